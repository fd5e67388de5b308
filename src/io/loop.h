/* The inside of the loop, for the engines and the other files of src/io. */
#ifndef PP_IO_LOOP_H
#define PP_IO_LOOP_H

#include "base/pool.h"
#include "io/engine.h"
#include "io/io.h"
#include "io/queue.h"
#include "io/wait.h"

#include <stdalign.h>

struct pp_io_loop {
    const struct pp_io_engine *engine;
    struct pp_io_queue done;    /* completed, callback still to run */
    struct pp_io_queue starved; /* pooled receives that wait for a buffer */
    struct pp_io_op *timers;    /* by deadline, soonest first */
    uint32_t armed;             /* operations whose callback is still to come, wake_op included */
    struct pp_io_waiter waiter;
    struct pp_io_stats stats;
    uint32_t fds_max;       /* an engine's tables by descriptor are this long */
    struct pp_pool buffers; /* the receive buffers; an engine may take them all for itself */
    uint32_t buffers_free;  /* those that are neither an owner's nor held for one */
    _Atomic(struct pp_io_op *) woken; /* a stack, pushed by any thread */
    int wake_fd;
    struct pp_io_op wake_op;
    char description[160];
    alignas(64) char engine_state[];
};

/* The engines and the waits count every system call that they make. Only the benchmark of what
 * measuring itself costs is built without. */
static inline void pp_io_count_syscall(struct pp_io_loop *loop)
{
#ifndef PP_UNMEASURED
    loop->stats.syscalls++;
#else
    (void)loop;
#endif
}

/* op has completed with res: its callback will run. */
void pp_io_complete(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res);

/* There is no buffer for op: it is submitted again when one comes back. */
void pp_io_starve(struct pp_io_loop *loop, struct pp_io_op *op);

#endif
