/* The echo server of one thread, for streams: whatever a client sends comes back, byte for byte, in
 * the buffer that it arrived in. It knows no messages, so anything can talk to it; a client that
 * begins with a hello (wire/hello.h) is told who answers, and may ask for answers of another size.
 * No error of one connection touches another, and none has more than its share: of the thread's
 * time, of buffers, of descriptors. */
#ifndef PP_SERVER_SERVER_H
#define PP_SERVER_SERVER_H

#include "base/error.h"
#include "io/io.h"
#include "plan/limits.h"
#include "result/counts.h"
#include "wire/hello.h"
#include "wire/pattern.h"

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

/* It works while the loop runs. */
int pp_server_open(struct pp_server **out, const struct pp_server_options *options,
                   struct pp_error *err);

/* From any thread: stops accepting, and closes connections once nothing more comes or goes on them,
 * so that what was taken in is also answered. Those that do not fall silent in time are reset. Then
 * the loop can end. */
void pp_server_stop(struct pp_server *server);

/* So far, from any thread. */
struct pp_server_counts pp_server_counts(const struct pp_server *server);

/* Where one of those came from that were turned away since this was last asked; false: it is not
 * known of any. From any thread, but one at a time. */
bool pp_server_turned_away_from(struct pp_server *server, struct pp_io_addr *from);

/* Asserts what always holds of owner, a server, between two callbacks: for pp_io_loop_check(). */
void pp_server_check(void *owner);

/* After the loop has ended. May be NULL. */
void pp_server_close(struct pp_server *server);

#endif
