/* A connection whose client began with a hello: it is told who answers, as often as it asks; and
 * where it asked for answers of another size than its requests, it gets them from then on. */
#ifndef PP_BENCH_TALK_H
#define PP_BENCH_TALK_H

#include "bench/hello.h"
#include "bench/server.h"

#include <stdbool.h>

struct pp_talk {
    struct pp_io_op op;
    const struct pp_server_options *options;
    void *conn; /* the owner's */
    int fd;
    bool answers;  /* requests come, not hellos */
    uint32_t have; /* bytes of the hello in data */
    char data[PP_HELLO_BYTES];
    struct pp_hello hello;
    struct pp_random request_sizes, response_sizes;
    uint32_t request_left; /* bytes of the request that is coming in */
    uint32_t response_at;  /* where in the pattern the next send begins */
    uint64_t unsent;       /* bytes of answers that are owed */

    /* A send has ended: res < 0 says that the connection is broken. */
    void (*on_sent)(struct pp_talk *talk, int res);
};

void pp_talk_begin(struct pp_talk *talk, const struct pp_server_options *options, int fd);

/* Takes in what the client sent. False if it makes no sense. */
bool pp_talk_take(struct pp_talk *talk, const char *data, uint32_t len);

/* Whether nothing is owed and nothing under way. */
bool pp_talk_is_quiet(const struct pp_talk *talk);

#endif
