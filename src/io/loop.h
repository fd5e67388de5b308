/* The inside of the loop. What of it concerns engines is told in engine.h. Private to src/io. */
#ifndef PP_IO_LOOP_H
#define PP_IO_LOOP_H

#include "base/assert.h"
#include "base/pool.h"
#include "io/io.h"
#include "io/queue.h"
#include "io/timers.h"
#include "io/wait.h"

#include <stdalign.h>

struct pp_io_engine;

/* What kind of socket a descriptor is, once somebody wanted to know. */
enum pp_io_type {
    PP_IO_UNKNOWN,
    PP_IO_STREAM,
    PP_IO_SILENT, /* datagrams */
    PP_IO_TELLING /* datagrams that come with the address that they were sent to */
};

enum pp_io_class { PP_IO_SMALL, PP_IO_LARGE, PP_IO_DATAGRAM, PP_IO_CLASSES };

/* The receive buffers of one class. There may be none but small ones. */
struct pp_io_buffers {
    struct pp_pool pool;        /* an engine may take them all for itself */
    uint32_t free;              /* those that are neither an owner's nor held for one */
    struct pp_io_queue starved; /* receives that wait for one */
    bool has_starved;           /* one had to, since this was last asked */
};

/* struct pp_io_stats as it is being counted: written by the loop's thread alone, read by any. */
struct pp_io_counters {
    atomic_uint_least64_t syscalls;
    atomic_uint_least64_t turns;
    atomic_uint_least64_t starved;
    atomic_uint_least64_t overflows;
    atomic_uint_least64_t guard_trips;
    atomic_uint_least64_t idle_looks;
};

struct pp_io_loop {
    struct pp_io_loop_head head;
    const struct pp_io_engine *engine;
    struct pp_io_queue done; /* completed, callback still to run */
    struct pp_io_queue bulk; /* the same, those that moved many bytes: they come after the others */
    struct pp_io_timers timers;
    struct pp_io_queue postponed;
    const struct pp_io_op *in_a_row; /* called back at once if it completes again; NULL: none */
    unsigned mixed_looks;            /* after so many more with nothing but bulk, it is alone */
    bool comes_again;                /* in_a_row has completed again */
    uint64_t retry_ns;               /* when they are tried again */
    uint32_t armed; /* operations whose callback is still to come, wake_op included */
    struct pp_io_waiter waiter;
    struct pp_io_counters counters;
    uint32_t fds_max; /* tables by descriptor are this long */
    uint8_t *types;   /* by descriptor: enum pp_io_type */
    struct pp_io_buffers buffers[PP_IO_CLASSES];
    const char *constant; /* see pp_io_loop_constant() */
    size_t constant_bytes;
    _Atomic(struct pp_io_op *) woken; /* a stack, pushed by any thread */
    int wake_fd;
    struct pp_io_op wake_op;
    void (*check)(void *owner); /* NULL: none */
    void *check_owner;
    char description[160];
    uint32_t granted; /* of the engine's features: a set */
    alignas(64) char engine_state[];
};

/* Whether a callback is due. */
static inline bool pp_io_has_done(const struct pp_io_loop *loop)
{
    return loop->done.head || loop->bulk.head;
}

/* There is one writer, so that no lock is needed. */
static inline void pp_io_count(atomic_uint_least64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* The engines and the waits count every system call that they make. Only the benchmark of what
 * measuring itself costs is built without. */
static inline void pp_io_count_syscall(struct pp_io_loop *loop)
{
#ifndef PP_UNMEASURED
    pp_io_count(&loop->counters.syscalls);
#else
    (void)loop;
#endif
}

static inline bool pp_io_takes_buffer(const struct pp_io_op *op)
{
    return op->kind == PP_IO_RECV_POOLED || op->kind == PP_IO_RECV_FROM;
}

/* Which buffers op, a receive, takes. */
static inline enum pp_io_class pp_io_class_of(const struct pp_io_loop *loop,
                                              const struct pp_io_op *op)
{
    const bool has_large = loop->buffers[PP_IO_LARGE].pool.capacity > 0;

    if (op->kind == PP_IO_RECV_FROM)
        return PP_IO_DATAGRAM;
    return op->large && has_large ? PP_IO_LARGE : PP_IO_SMALL;
}

static inline struct pp_io_buffers *pp_io_buffers_of(struct pp_io_loop *loop,
                                                     const struct pp_io_op *op)
{
    pp_assert(pp_io_takes_buffer(op));
    return &loop->buffers[pp_io_class_of(loop, op)];
}

/* Whether buf points into one of these. */
static inline bool pp_io_has_buffer(const struct pp_io_buffers *buffers, const char *buf)
{
    return (uintptr_t)buf - (uintptr_t)buffers->pool.items <
           buffers->pool.capacity * buffers->pool.item_bytes;
}

/* Whether these len bytes stay as they are. */
static inline bool pp_io_is_constant(const struct pp_io_loop *loop, const char *buf, uint32_t len)
{
    const uintptr_t at = (uintptr_t)buf - (uintptr_t)loop->constant;

    return at < loop->constant_bytes && len <= loop->constant_bytes - at;
}

/* From now on pp_io_wake() ends the loop's waits: wake_fd is open. */
void pp_io_watch_wakes(struct pp_io_loop *loop);

/* How many of these buffers one owner may hold, at most so many: an equal share of those that are
 * free, and at least one. */
#define PP_IO_BUFFER_SHARES 16
uint32_t pp_io_buffer_share(const struct pp_io_buffers *buffers, uint32_t most);

#endif
