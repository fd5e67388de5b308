/* How patient a server is with its clients. */
#ifndef PP_PLAN_LIMITS_H
#define PP_PLAN_LIMITS_H

#include "base/clock.h"

#include <stdint.h>

struct pp_server_limits {
    /* Connections on which nothing has come or gone for so long are closed: all of them; and those
     * that never said anything, or do not read what they are owed. 0: they are left alone. */
    uint64_t idle_ns, silent_ns;

    /* When there is no descriptor for the next connection, those that have been silent for so long
     * are closed, or asked whether they are still there. */
    uint64_t spare_ns;

    /* In seconds, as for pp_io_socket_keepalive(): how long clients may be silent before the kernel
     * asks whether they are still there, and how long what was sent to them may be
     * unacknowledged. */
    int keepalive_s, unacked_s;

    /* A hello that has begun must be whole by then, or it is closed. */
    uint64_t hello_ns;

    /* When descriptors have been short for so long, newcomers are reset. */
    uint64_t newcomer_ns;

    /* Connections that have not fallen silent so long after the stop are, too. */
    uint64_t drain_ns;
};

static inline struct pp_server_limits pp_server_limits_default(void)
{
    return (struct pp_server_limits){ .spare_ns = PP_NS_PER_S,
                                      .keepalive_s = 15,
                                      .unacked_s = 120,
                                      .hello_ns = 5 * PP_NS_PER_S,
                                      .newcomer_ns = 10 * PP_NS_PER_S,
                                      .drain_ns = PP_NS_PER_S / 2 };
}

#endif
