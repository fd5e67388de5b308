/* How a loop waits: sleep in the kernel, spin, or give the CPU away and look again. Private to
 * src/io. The loop waits by this, and this asks the loop whether anything has happened: they know
 * each other. */
#ifndef PP_IO_WAIT_H
#define PP_IO_WAIT_H

#include "io/io.h"

/* Bare yielding collapses when a third busy thread shares the CPU, because each yield gives that
 * thread a whole time slice. The guard notices waits of more than 300 us while yielding and sleeps
 * instead for a number of waits, which grows each time it was not enough. */
struct pp_io_guard {
    uint32_t score;
    uint32_t sleeps_left; /* waits still to be slept through */
    uint32_t sleeps_next; /* and how many it will be next time */
};

struct pp_io_waiter {
    enum pp_io_wait policy;
    uint64_t spin_ns;
    uint64_t last_ns; /* when the last wait ended, or the work after it where that was long; not
                         kept up by PP_IO_WAIT_BLOCK */
    struct pp_io_guard guard;
};

void pp_io_waiter_init(struct pp_io_waiter *waiter, enum pp_io_wait policy, uint64_t spin_ns);

/* Takes note of a wait that was over without sleeping after waited_ns. True if the guard trips. */
bool pp_io_guard_note(struct pp_io_guard *guard, uint64_t waited_ns);

/* Waits until something has completed or deadline_ns has come; may return early. */
int pp_io_wait_until(struct pp_io_loop *loop, uint64_t deadline_ns);

#endif
