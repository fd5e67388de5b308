/* The echo server of one thread, for streams: whatever a client sends comes back, byte for byte, in
 * the buffer that it arrived in. It knows no messages, so anything can talk to it; a client that
 * begins with a hello (bench/hello.h) is told who answers, and may ask for answers of another size.
 * No error of one connection touches another, and none has more than its share: of the thread's
 * time, of buffers, of descriptors. */
#ifndef PP_BENCH_SERVER_H
#define PP_BENCH_SERVER_H

#include "base/error.h"
#include "bench/hello.h"
#include "bench/limits.h"
#include "bench/pattern.h"
#include "io/io.h"

#include <stdint.h>

struct pp_server;

struct pp_server_options {
    struct pp_io_loop *loop;
    int listen_fd;                    /* a listening socket, which the server takes over */
    uint32_t connections;             /* clients at once, at most */
    const struct pp_pattern *pattern; /* what answers of another size are made of */

    struct pp_server_limits limits;

    /* Fills in what is said to a hello. On the server's thread. */
    void (*introduce)(void *owner, struct pp_hello_reply *reply);

    /* Something has happened that whoever runs the server may want to know: pp_server_counts() has
     * it. On the server's thread; may be NULL. */
    void (*on_notice)(void *owner);
    void *owner;
};

/* So far. */
struct pp_server_counts {
    uint64_t accepted;    /* connections */
    uint64_t idle;        /* closed because nothing came or went on them */
    uint64_t full;        /* times that there was no descriptor for the next connection */
    int full_code;        /* the negative errno of the last time */
    uint64_t turned_away; /* connections that were reset, because there was still none */
    uint64_t closed;      /* of those accepted */
    uint64_t bytes;       /* of echoes and answers that were sent */
};

/* It works while the loop runs. */
int pp_server_open(struct pp_server **out, const struct pp_server_options *options,
                   struct pp_error *err);

/* From any thread: stops accepting, and closes connections once nothing more comes or goes on them,
 * so that what was taken in is also answered. Those that do not fall silent in time are reset. Then
 * the loop can end. */
void pp_server_stop(struct pp_server *server);

/* From any thread. */
struct pp_server_counts pp_server_counts(const struct pp_server *server);

/* After the loop has ended. May be NULL. */
void pp_server_close(struct pp_server *server);

#endif
