/* A connection whose client began with a hello: it is told who answers; and where it asked for
 * answers of another size than its requests, it gets them from then on.
 *
 * A client that does not read what it is owed is not read from beyond a limit, and requests are
 * taken in portions, however many there are in a buffer: no client can keep a server's thread to
 * itself. */
#ifndef PP_SERVER_TALK_H
#define PP_SERVER_TALK_H

#include "server/server.h"
#include "wire/hello.h"

#include <stdbool.h>

/* What a client may be owed, in bytes, before it is not read from any more. */
#define PP_TALK_OWED_MAX (UINT64_C(1) << 20)

/* Requests that are taken at a time. */
#define PP_TALK_REQUESTS_MAX 256

struct pp_talk {
    struct pp_io_op op;
    const struct pp_server_options *options;
    int fd;
    bool broken;   /* nothing more is sent */
    bool answers;  /* requests come, not hellos */
    uint32_t have; /* bytes of the hello in data */
    char data[PP_HELLO_BYTES];
    struct pp_hello hello;
    struct pp_random request_sizes, response_sizes;
    uint32_t request_left; /* bytes of the request that is coming in */
    uint32_t response_at;  /* where in the pattern the next send begins */
    uint64_t unsent;       /* bytes of answers that are owed and not yet being sent */

    /* A send has ended: res < 0 says that the connection is broken. */
    void (*on_sent)(struct pp_talk *talk, int res);
};

void pp_talk_begin(struct pp_talk *talk, const struct pp_server_options *options, int fd);

/* Takes in what the client sent: all of it, or as much as may be taken now. How many bytes that
 * were, or -EPROTO if they make no sense. What is left over are requests, which are counted and not
 * looked at: where they are taken in later, data may be NULL. */
int64_t pp_talk_take(struct pp_talk *talk, const char *data, uint32_t len);

/* Whether a hello has begun to come in, and is not whole. */
static inline bool pp_talk_is_half_greeted(const struct pp_talk *talk)
{
    return talk->have > 0;
}

/* Whether the client is owed so much that it is not to be read from. */
static inline bool pp_talk_owes_too_much(const struct pp_talk *talk)
{
    return talk->unsent > PP_TALK_OWED_MAX;
}

/* Whether nothing is owed and nothing under way. */
bool pp_talk_is_quiet(const struct pp_talk *talk);

/* Nothing more is to be sent: what is under way is cancelled. */
void pp_talk_break(struct pp_talk *talk);

#endif
