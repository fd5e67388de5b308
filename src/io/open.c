/* Opening and closing a loop, and what it says of itself: nothing here runs while it measures. */
#include "base/assert.h"
#include "base/memory.h"
#include "base/number.h"
#include "io/engine.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static uint32_t fds_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > PP_IO_FDS_MAX)
        return PP_IO_FDS_MAX;
    return (uint32_t)limit.rlim_cur;
}

static int buffers_init(struct pp_io_buffers *buffers, uint32_t count, uint32_t bytes,
                        struct pp_error *err)
{
    int ret;

    pp_assert(count > 0 && bytes > 0 && bytes % 64 == 0);
    ret = pp_pool_init(&buffers->pool, (uint32_t)pp_number_power_of_two(count), bytes);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "no memory for %u receive buffers of %u B",
                            count, bytes);
    buffers->free = buffers->pool.capacity;
    return 0;
}

static int tables_init(struct pp_io_loop *loop, struct pp_error *err)
{
    loop->fds_max = fds_limit();
    loop->types = pp_memory_alloc(loop->fds_max, sizeof *loop->types);
    if (!loop->types)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u descriptors",
                            loop->fds_max);
    return 0;
}

static int all_buffers_init(struct pp_io_loop *loop, const struct pp_io_options *options,
                            struct pp_error *err)
{
    int ret = buffers_init(&loop->buffers[PP_IO_SMALL], options->buffers, options->buffer_bytes,
                           err);

    if (ret == 0 && options->large_buffers > 0)
        ret = buffers_init(&loop->buffers[PP_IO_LARGE], options->large_buffers,
                           options->large_buffer_bytes, err);
    if (ret == 0 && options->datagram_buffers > 0)
        ret = buffers_init(&loop->buffers[PP_IO_DATAGRAM], options->datagram_buffers,
                           PP_IO_SENDER_BYTES + options->datagram_bytes, err);
    return ret;
}

static void memory_fini(struct pp_io_loop *loop)
{
    pp_memory_free(loop->types);
    for (unsigned i = 0; i < PP_IO_CLASSES; i++)
        pp_pool_fini(&loop->buffers[i].pool);
}

static int loop_ready(struct pp_io_loop *loop, const struct pp_io_options *options, uint32_t wanted,
                      struct pp_error *err)
{
    int ret;

    pp_io_waiter_init(&loop->waiter, options->wait, options->spin_ns);
    ret = tables_init(loop, err);
    if (ret == 0)
        ret = all_buffers_init(loop, options, err);
    if (ret < 0)
        goto fail_memory;
    loop->wake_fd = loop->head.world->wake_open();
    if (loop->wake_fd < 0) {
        ret = pp_error_set(err, PP_ERROR_RUN, loop->wake_fd, "cannot open an eventfd: %s",
                           strerror(-loop->wake_fd));
        goto fail_memory;
    }
    ret = loop->engine->open(loop, options, wanted, err);
    if (ret < 0)
        goto fail_engine;
    pp_io_watch_wakes(loop);
    return 0;

fail_engine:
    loop->head.world->close(loop->wake_fd);
fail_memory:
    memory_fini(loop);
    return ret;
}

int pp_io_loop_open(struct pp_io_loop **out, const struct pp_io_options *options,
                    struct pp_error *err)
{
    const struct pp_io_engine *engine;
    struct pp_io_loop *loop;
    uint32_t wanted;
    int ret;

    engine = pp_io_engine_find(options->engine, &wanted, err);
    if (!engine)
        return -EINVAL;
    pp_assert(options->connections > 0);
    loop = pp_memory_alloc(1, sizeof *loop + engine->state_size);
    if (!loop)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for an event loop");
    loop->head.world = options->world ? options->world : &pp_io_kernel;
    loop->engine = engine;
    ret = loop_ready(loop, options, wanted, err);
    if (ret < 0) {
        pp_memory_free(loop);
        return ret;
    }
    pp_assert(loop->description[0] != '\0' && !(loop->granted & ~wanted));
    *out = loop;
    return 0;
}

/* Callbacks that will not run any more would have got these. */
static void close_accepted(const struct pp_io_loop *loop)
{
    for (const struct pp_io_op *op = loop->done.head; op; op = op->next)
        if (op->kind == PP_IO_ACCEPT && op->res >= 0)
            loop->head.world->close(op->res);
}

void pp_io_loop_close(struct pp_io_loop *loop)
{
    if (!loop)
        return;
    pp_assert(!loop->in_a_row); /* no callback is running */
    close_accepted(loop);
    loop->engine->close(loop);
    loop->head.world->close(loop->wake_fd);
    memory_fini(loop);
    pp_memory_free(loop);
}

/* ---- what it says of itself ---- */

static uint64_t counted(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct pp_io_stats pp_io_loop_stats(const struct pp_io_loop *loop)
{
    return (struct pp_io_stats){
        .syscalls = counted(&loop->counters.syscalls),
        .turns = counted(&loop->counters.turns),
        .starved = counted(&loop->counters.starved),
        .overflows = counted(&loop->counters.overflows),
        .guard_trips = counted(&loop->counters.guard_trips),
        .idle_looks = counted(&loop->counters.idle_looks),
    };
}

struct pp_io_stats pp_io_stats_between(const struct pp_io_stats *earlier,
                                       const struct pp_io_stats *later)
{
    pp_assert(later->turns >= earlier->turns);
    return (struct pp_io_stats){
        .syscalls = later->syscalls - earlier->syscalls,
        .turns = later->turns - earlier->turns,
        .starved = later->starved - earlier->starved,
        .overflows = later->overflows - earlier->overflows,
        .guard_trips = later->guard_trips - earlier->guard_trips,
        .idle_looks = later->idle_looks - earlier->idle_looks,
    };
}

uint32_t pp_io_loop_small_bytes(const struct pp_io_loop *loop)
{
    pp_assert(loop->buffers[PP_IO_SMALL].pool.capacity > 0);
    return (uint32_t)loop->buffers[PP_IO_SMALL].pool.item_bytes;
}

uint32_t pp_io_loop_buffers(const struct pp_io_loop *loop)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < PP_IO_CLASSES; i++)
        count += loop->buffers[i].pool.capacity;
    pp_assert(count > 0);
    return count;
}

const char *pp_io_loop_describe(const struct pp_io_loop *loop)
{
    pp_assert(loop->description[0] != '\0');
    return loop->description;
}

bool pp_io_loop_has_feature(const struct pp_io_loop *loop, unsigned number)
{
    pp_assert(number < PP_IO_FEATURES_MAX);
    return loop->granted >> number & 1;
}
