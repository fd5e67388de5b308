/* Accepts connections, also where descriptors run out. Newcomers then wait in the listener's queue,
 * and its owner is asked again and again to part with connections that it can spare. When that has
 * not helped for some seconds those who wait are reset, one after the other, because by then they
 * have given up: for that, one descriptor is kept in reserve. */
#ifndef PP_SERVER_ACCEPTOR_H
#define PP_SERVER_ACCEPTOR_H

#include "io/io.h"

#include <stdbool.h>
#include <stdint.h>

struct pp_acceptor {
    struct pp_io_loop *loop;
    int listen_fd;        /* -1: closed */
    uint64_t patience_ns; /* how long newcomers wait for a descriptor */

    void *owner;
    void (*on_connection)(void *owner, int fd); /* fd is the owner's */
    void (*on_full)(void *owner, int code); /* descriptors or memory have run out, as the negative
                                                   errno says */
    void (*on_turned_away)(void *owner, const struct pp_io_addr *from); /* whose len may be 0 */

    /* its own */
    const struct pp_io_world *world;
    struct pp_io_op op;     /* accept, or the timer of a pause in accepting; then close */
    struct pp_io_addr from; /* of the last that came in place of the reserve */
    int reserve_fd;         /* -1: given up, so that one more can be accepted and turned away */
    uint64_t full_since_ns; /* 0: there are descriptors */
    bool stopping;
};

/* The first members are the caller's to set; listen_fd, a listening socket, is taken over. */
void pp_acceptor_start(struct pp_acceptor *acceptor);

/* Whether newcomers wait for a descriptor, as far as is known. */
static inline bool pp_acceptor_is_full(const struct pp_acceptor *acceptor)
{
    return acceptor->full_since_ns > 0 && acceptor->op.kind == PP_IO_TIMER;
}

/* Accepts no more, and closes listen_fd. On the loop's thread. */
void pp_acceptor_stop(struct pp_acceptor *acceptor);

/* After the loop has ended, or where it never ran. */
void pp_acceptor_close(struct pp_acceptor *acceptor);

#endif
