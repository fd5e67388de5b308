/* The floor of this machine: round trips made by hand, with a system call for each message sent and
 * each received, and without an event loop, an engine, a histogram or a check. What a program adds
 * to that is its own. */
#ifndef PP_EXPERIMENT_FLOOR_H
#define PP_EXPERIMENT_FLOOR_H

#include "base/error.h"
#include "io/io.h"
#include "result/capabilities.h"

enum pp_floor_transport { PP_FLOOR_TCP, PP_FLOOR_UNIX };

struct pp_floor_spec {
    enum pp_floor_transport transport; /* TCP goes over the loopback */
    bool one_thread;                   /* that plays both ends; it never waits */
    enum pp_io_wait wait;              /* of two threads; yielding ends in sleep after 50 us */
    int near_cpu, far_cpu;             /* PP_CPU_ANY leaves it to the kernel */
    uint64_t duration_ns;
};

/* Makes round trips for so long, each of 5 bytes, on threads of its own. 0, or a negative errno
 * with err set, also where a CPU may not be used. */
int pp_floor_measure(const struct pp_floor_spec *spec, struct pp_floor *out, struct pp_error *err);

/* What a system call that does nothing costs in ns: the least of many short samples, which others
 * have disturbed least. */
double pp_floor_call_ns(uint64_t duration_ns);

#endif
