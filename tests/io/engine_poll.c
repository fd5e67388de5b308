/* A small engine of poll(2): level-triggered, without a trick, and all that src/io/engine.h asks
 * for. It is no part of the program. The tests of the loop run on it, too: that this file is all it
 * took to add it, and that they hold an engine to nothing that its contract does not say. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "io/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

struct poll_state {
    struct pp_io_op **waiting; /* by descriptor: those that wait for it, linked by next */
    struct pollfd *fds;
    nfds_t used; /* the highest descriptor that was waited for, plus one */
};

static struct poll_state *state_of(struct pp_io_loop *loop)
{
    return (struct poll_state *)(void *)loop->engine_state;
}

static void try_or_wait(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct poll_state *st = state_of(loop);

    if (pp_io_settle(loop, op, pp_io_try(loop, op)))
        return;
    op->next = st->waiting[op->fd];
    st->waiting[op->fd] = op;
    if (st->used <= (nfds_t)op->fd)
        st->used = (nfds_t)op->fd + 1;
}

static void poll_cancel(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_io_op **at = &state_of(loop)->waiting[op->fd];

    while (*at != op) {
        pp_assert(*at);
        at = &(*at)->next;
    }
    *at = op->next;
    pp_io_complete(loop, op, -ECANCELED);
}

static short events_of(const struct pp_io_op *op)
{
    short events = 0;

    for (; op; op = op->next)
        events |= pp_io_waits_for(op);
    return events;
}

static nfds_t fds_fill(struct poll_state *st)
{
    nfds_t count = 0;

    for (nfds_t fd = 0; fd < st->used; fd++)
        if (st->waiting[fd])
            st->fds[count++] = (struct pollfd){ .fd = (int)fd,
                                                .events = events_of(st->waiting[fd]) };
    return count;
}

static struct timespec time_until(uint64_t deadline_ns)
{
    const uint64_t now_ns = pp_clock_now_ns();
    const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

    return (struct timespec){ .tv_sec = (time_t)(left_ns / PP_NS_PER_S),
                              .tv_nsec = (long)(left_ns % PP_NS_PER_S) };
}

/* Errors and hang-ups concern all that wait for a descriptor. */
static void on_ready(struct pp_io_loop *loop, const struct pollfd *ready)
{
    struct pp_io_op *op = state_of(loop)->waiting[ready->fd], *next;

    state_of(loop)->waiting[ready->fd] = NULL;
    for (; op; op = next) {
        next = op->next;
        try_or_wait(loop, op);
    }
}

static int poll_poll(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct poll_state *st = state_of(loop);
    const nfds_t count = fds_fill(st);
    const bool sleeps = deadline_ns != PP_IO_NO_WAIT && !pp_io_has_done(loop);
    const struct timespec timeout = time_until(sleeps ? deadline_ns : 0);

    pp_io_count_syscall(loop);
    if (ppoll(st->fds, count, sleeps && deadline_ns == PP_IO_NO_DEADLINE ? NULL : &timeout, NULL) <
        0)
        return errno == EINTR ? 0 : -errno;
    for (nfds_t i = 0; i < count; i++)
        if (st->fds[i].revents)
            on_ready(loop, &st->fds[i]);
    return 0;
}

static void poll_buffer_put(struct pp_io_loop *loop, struct pp_io_buffers *buffers, char *buf)
{
    (void)loop;
    pp_pool_give(&buffers->pool, buf);
    buffers->free++;
}

static void poll_close(struct pp_io_loop *loop)
{
    pp_memory_free(state_of(loop)->waiting);
    pp_memory_free(state_of(loop)->fds);
}

static int poll_open(struct pp_io_loop *loop, const struct pp_io_options *options, uint32_t wanted,
                     struct pp_error *err)
{
    struct poll_state *st = state_of(loop);

    (void)options;
    (void)wanted;
    st->waiting = pp_memory_alloc(loop->fds_max, sizeof *st->waiting);
    st->fds = pp_memory_alloc(loop->fds_max, sizeof *st->fds);
    if (!st->waiting || !st->fds) {
        poll_close(loop);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u descriptors",
                            loop->fds_max);
    }
    (void)snprintf(loop->description, sizeof loop->description, "poll: level-triggered");
    return 0;
}

const struct pp_io_engine pp_io_engine_poll = {
    .name = "poll",
    .state_size = sizeof(struct poll_state),
    .open = poll_open,
    .close = poll_close,
    .submit = try_or_wait,
    .cancel = poll_cancel,
    .poll = poll_poll,
    .buffer_put = poll_buffer_put,
};
