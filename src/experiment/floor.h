/* The floor of this machine: round trips made by hand, with a system call for each message sent
 * and each received, and without an event loop and an engine. What a program adds to that is its
 * own. */
#ifndef PP_EXPERIMENT_FLOOR_H
#define PP_EXPERIMENT_FLOOR_H

#include "base/error.h"
#include "io/io.h"
#include "result/capabilities.h"

enum pp_floor_transport {
    PP_FLOOR_TCP, /* over the loopback */
    PP_FLOOR_UDP,
    PP_FLOOR_UNIX, /* a stream */
    PP_FLOOR_UNIX_DGRAM,
    PP_FLOOR_NOTHING /* no message: of one thread as many system calls, which do nothing */
};

/* Whether a round trip is measured as the program does it: it is timed, kept in a histogram and
 * checked, on threads out of restartable sequences; and what the median is that of. */
enum pp_floor_ruler {
    PP_FLOOR_BARE,     /* it is not; of eight together */
    PP_FLOOR_IN_TURNS, /* eight are and eight are not: by how much those take longer, if they do */
    PP_FLOOR_EACH      /* it is; of each by itself, as the program's own */
};

#define PP_FLOOR_BYTES_MAX 16384 /* that one thread can have under way to itself */

struct pp_floor_spec {
    enum pp_floor_transport transport;
    enum pp_floor_ruler ruler;
    bool one_thread;       /* that plays both ends; it never waits */
    enum pp_io_wait wait;  /* of two threads */
    uint64_t look_ns;      /* spinning and yielding end in sleep after so long, or
                              PP_IO_SPIN_FOREVER */
    int near_cpu, far_cpu; /* PP_CPU_ANY leaves it to the kernel */
    uint32_t bytes;        /* of a message; 0: 5 */
    uint64_t duration_ns;
};

/* Makes round trips for so long, on threads of its own. 0, or a negative errno with err set, also
 * where a CPU may not be used. */
int pp_floor_measure(const struct pp_floor_spec *spec, struct pp_floor *out, struct pp_error *err);

/* What a system call that does nothing costs in ns: the least of many short samples, which others
 * have disturbed least. */
double pp_floor_call_ns(uint64_t duration_ns);

#endif
