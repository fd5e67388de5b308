/* The io_uring engine, by way of liburing: completions from the kernel itself. Here are its hooks,
 * what is done without a request, and what comes back. uring_ring.c sets the ring up and fills it,
 * uring_enter.c hands it over and waits; uring_buffers.c, uring_multishot.c, uring_sends.c and, for
 * zero-copy sends, uring_lent.c are what their names say.
 *
 * One system call a turn submits what was started and waits. A pooled receive is a multishot
 * receive on a ring of provided buffers, one for each class of them; an accept is
 * a multishot accept. The kernel goes on with these by itself, so what it brings while the owner is
 * not asking is held, by descriptor, until it asks again; nothing in the kernel ever points to the
 * owner's operation.
 *
 * A send that goes out whole at once posts no completion ("skip"): the engine knows that it did
 * when the system call has returned and no failure was posted. Where a kernel lacks a feature, the
 * plain form of the same request is used; loop->description says what was granted.
 *
 * Nothing is left for the kernel to wait for but polls and multishot requests, which are waited for
 * by polling, too. Any other request that has to wait, or is tried in vain a few times, goes to a
 * thread that the kernel makes for it: one for each peer that does not read, and a request that
 * such a thread executes cannot be cancelled reliably. So a send or receive never waits
 * (MSG_DONTWAIT): it fails, a poll waits, and it is tried again. Connecting, accepting alone and
 * shutting down are system calls, because the kernel hands these requests over, or may. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "io/engines/uring.h"
#include "io/reuse.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Places in the queue that are kept free, before the loop runs, for cancellations. */
#define SQ_ENTRIES_EARLY 32

/* ---- submitting ---- */

/* Without a buffer ring, a buffer is taken when bytes have come, so these are waited for first. */
static bool is_multishot(struct pp_io_loop *loop, const struct pp_io_op *op)
{
    const struct pp_uring *st = pp_uring_of(loop);

    if (op->kind == PP_IO_ACCEPT)
        return st->has[PP_URING_MULTISHOT];
    return pp_io_takes_buffer(op) && st->buf_rings[pp_io_class_of(loop, op)];
}

/* Asks for the next of what comes by itself. */
static void ask(struct pp_io_loop *loop, struct pp_io_op *op)
{
    if (is_multishot(loop, op))
        pp_uring_multishot_ask(loop, op);
    else
        pp_uring_poll_first(loop, op);
}

static void close_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_uring_slot *slot = &pp_uring_of(loop)->slots[op->fd];
    struct io_uring_sqe *sqe;

    pp_assert(!slot->op);
    pp_uring_multishot_stop(loop, op->fd, slot);
    pp_uring_drop_held(loop, slot);
    pp_uring_file_forget(loop, op->fd);
    *slot = (struct pp_uring_slot){ .generation = (uint8_t)(slot->generation + 1) };
    pp_io_number_released();
    sqe = pp_uring_sqe(loop);
    io_uring_prep_close(sqe, op->fd);
    pp_uring_tag(sqe, op, PP_URING_TAG_OP);
}

static void op_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    switch ((enum pp_io_kind)op->kind) {
    case PP_IO_CONNECT:
        pp_uring_settle(loop, op, pp_io_try(loop, op));
        return;
    case PP_IO_SEND:
    case PP_IO_SEND_BACK:
        pp_uring_send_submit(loop, op);
        return;
    case PP_IO_CLOSE:
        close_submit(loop, op);
        return;
    case PP_IO_SHUTDOWN:
        pp_io_queue_push(&pp_uring_of(loop)->ends, op);
        return;
    case PP_IO_ACCEPT:
    case PP_IO_RECV:
    case PP_IO_RECV_POOLED:
    case PP_IO_RECV_FROM:
    case PP_IO_WATCH:
        ask(loop, op);
        return;
    case PP_IO_TIMER:
    case PP_IO_WAKE:
        break;
    }
    pp_assert(!"an operation that the loop keeps to itself");
}

/* All that was queued before them has been submitted. */
static void shut_down_all(struct pp_io_loop *loop)
{
    struct pp_io_op *op;

    while ((op = pp_io_queue_pop(&pp_uring_of(loop)->ends))) {
        pp_assert(op->kind == PP_IO_SHUTDOWN);
        pp_io_complete(loop, op, pp_io_try(loop, op));
    }
}

/* Which thread will run the loop is not known before it does, and only that one may submit. */
static void uring_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_uring *st = pp_uring_of(loop);

    pp_assert(op->state == PP_IO_ARMED);
    if (!st->ring_enabled && io_uring_sq_space_left(&st->ring) < SQ_ENTRIES_EARLY)
        pp_io_queue_push(&st->early, op);
    else
        op_submit(loop, op);
}

static void submit_early(struct pp_io_loop *loop)
{
    struct pp_io_op *op;

    pp_assert(pp_uring_of(loop)->ring_enabled);
    while ((op = pp_io_queue_pop(&pp_uring_of(loop)->early)))
        op_submit(loop, op);
}

/* What the kernel has of op is a poll, or a request that does not wait. A poll is found, and ends
 * with -ECANCELED, or is not (-ENOENT), because it has ended: the kernel takes it out of its table
 * in the same step as it completes. Requests are executed in order, so one that is still queued is
 * found, too, and one that op makes when it is started anew is not. So whatever a cancellation
 * comes to, op completes, and its result says nothing that is not known. */
static void uring_cancel(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct pp_uring_slot *slot = &st->slots[op->fd];

    pp_assert(op->state == PP_IO_CANCELING);
    if (pp_io_queue_remove(&st->early, op) ||
        (op->kind == PP_IO_SHUTDOWN && pp_io_queue_remove(&st->ends, op))) {
        pp_io_complete(loop, op, -ECANCELED);
        return;
    }
    if (slot->op == op) {
        slot->op = NULL;
        pp_uring_multishot_stop(loop, op->fd, slot);
        pp_io_complete(loop, op, -ECANCELED);
        return;
    }
    pp_uring_cancel_data(loop, (uint64_t)(uintptr_t)op | PP_URING_TAG_POLLED);
    if (pp_io_is_send(op))
        pp_uring_cancel_data(loop, (uint64_t)(uintptr_t)op | PP_URING_TAG_EDGE);
}

/* ---- completions ---- */

/* op, which was not canceled, may succeed. */
static void retry(struct pp_io_loop *loop, struct pp_io_op *op, int32_t events)
{
    switch ((enum pp_io_kind)op->kind) {
    case PP_IO_SEND:
    case PP_IO_SEND_BACK:
        pp_uring_on_send_polled(loop, op, events);
        return;
    case PP_IO_ACCEPT:
    case PP_IO_RECV_POOLED:
    case PP_IO_RECV_FROM:
    case PP_IO_CONNECT:
    case PP_IO_RECV:
        if (is_multishot(loop, op))
            pp_uring_multishot_ask(loop, op);
        else
            pp_uring_settle(loop, op, pp_io_try(loop, op));
        return;
    case PP_IO_WATCH:
        pp_io_complete(loop, op, 0);
        return;
    case PP_IO_SHUTDOWN:
    case PP_IO_CLOSE:
    case PP_IO_TIMER:
    case PP_IO_WAKE:
        break;
    }
    pp_assert(!"an operation that does not poll");
}

static void on_polled(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    pp_assert(op->state == PP_IO_ARMED || op->state == PP_IO_CANCELING);
    if (res < 0)
        pp_io_complete(loop, op, res);
    else if (op->state == PP_IO_CANCELING)
        pp_io_complete(loop, op, -ECANCELED);
    else
        retry(loop, op, res);
}

static void on_cqe(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    const enum pp_uring_tag tag = (enum pp_uring_tag)(cqe->user_data & PP_URING_TAG_MASK);
    struct pp_io_op *op = (struct pp_io_op *)(uintptr_t)(cqe->user_data &
                                                         ~(uint64_t)PP_URING_TAG_MASK);

    switch (tag) {
    case PP_URING_TAG_OP:
        pp_uring_settle(loop, op, cqe->res);
        return;
    case PP_URING_TAG_EDGE:
        pp_uring_on_edge(loop, op, cqe);
        return;
    case PP_URING_TAG_POLLED:
        on_polled(loop, op, cqe->res);
        return;
    case PP_URING_TAG_RECV:
    case PP_URING_TAG_ACCEPT:
        pp_uring_on_multishot(loop, cqe);
        return;
    case PP_URING_TAG_LENT:
        pp_uring_on_lent(loop, cqe);
        return;
    case PP_URING_TAG_RING:
        if (cqe->user_data == PP_URING_TIMER)
            pp_uring_of(loop)->timer_ns = PP_IO_NO_DEADLINE;
        return;
    case PP_URING_TAG_SEND: /* taken note of already */
        return;
    }
}

/* Sends are settled first: a receive in the same batch may be the answer to one of them. So where a
 * thread polls the queue, nothing is taken in before it has taken all. */
static void reap(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);
    const bool all_submitted = io_uring_sq_ready(&st->ring) == 0; /* to be known before the rest */
    const bool overflow = io_uring_cq_has_overflow(&st->ring);
    const unsigned count = io_uring_cq_ready(&st->ring);
    unsigned left = count;
    struct io_uring_cqe *cqe;
    unsigned head;

    pp_assert(st->ring_enabled);
    if (st->has[PP_URING_SQPOLL] && st->sends.head && !all_submitted) {
        pp_io_count_syscall(loop);
        (void)sched_yield();
        return;
    }
    st->batch = count;
    if (overflow)
        pp_io_count(&loop->counters.overflows);
    if (st->sends.head) {
        pp_uring_note_failed_sends(st, count);
        if (!overflow && all_submitted)
            pp_uring_settle_sends(loop);
    }
    if (all_submitted)
        shut_down_all(loop);
    io_uring_for_each_cqe(&st->ring, head, cqe)
    {
        if (left-- == 0)
            break;
        on_cqe(loop, cqe);
    }
    io_uring_cq_advance(&st->ring, count);
}

/* ---- waiting ---- */

/* A timeout request of its own, and only one: a timeout argument to the wait would set up a timer
 * each time. One that comes too early wakes the loop for nothing, once. */
static void timer_set(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct pp_uring *st = pp_uring_of(loop);
    const bool is_set = st->timer_ns != PP_IO_NO_DEADLINE;
    struct io_uring_sqe *sqe;

    pp_assert(deadline_ns != PP_IO_NO_WAIT);
    if (deadline_ns >= st->timer_ns)
        return;
    sqe = pp_uring_sqe(loop);
    st->timer_ns = deadline_ns;
    st->timer_at.tv_sec = (long long)(deadline_ns / PP_NS_PER_S);
    st->timer_at.tv_nsec = (long long)(deadline_ns % PP_NS_PER_S);
    if (is_set)
        io_uring_prep_timeout_update(sqe, &st->timer_at, PP_URING_TIMER, IORING_TIMEOUT_ABS);
    else
        io_uring_prep_timeout(sqe, &st->timer_at, 0, IORING_TIMEOUT_ABS);
    sqe->user_data = is_set ? PP_URING_IGNORED : PP_URING_TIMER;
}

static int uring_poll(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct pp_uring *st = pp_uring_of(loop);
    int ret = pp_uring_enable(loop);

    if (ret < 0)
        return ret;
    submit_early(loop);
    if (st->error < 0)
        return st->error;
    if (deadline_ns == PP_IO_NO_WAIT || io_uring_cq_ready(&st->ring) ||
        pp_uring_has_eager_send(st) || st->ends.head || io_uring_cq_has_overflow(&st->ring)) {
        ret = pp_uring_look(loop);
    } else {
        timer_set(loop, deadline_ns);
        ret = pp_uring_wait(loop);
    }
    if (ret < 0 && !pp_uring_is_passing(-ret))
        return ret;
    reap(loop);
    return 0;
}

extern const struct pp_io_engine pp_io_engine_io_uring;

static void describe(struct pp_io_loop *loop)
{
    const struct pp_uring *st = pp_uring_of(loop);
    const bool multishot = st->has[PP_URING_MULTISHOT];
    size_t length;

    (void)snprintf(loop->description, sizeof loop->description, "io_uring: %s, %s, %s, %s",
                   multishot ? "multishot" : "single-shot",
                   st->buf_rings[PP_IO_SMALL] ? "buffer ring" : "no buffer ring",
                   st->has[PP_URING_DEFER] ? "deferred task work" : "task work at any time",
                   st->plain_sends          ? "plain sends"
                   : st->has[PP_URING_SKIP] ? "silent sends"
                                            : "announced sends");
    for (unsigned i = PP_URING_SQPOLL; i < PP_URING_FEATURES; i++) {
        length = strlen(loop->description);
        if (st->has[i])
            (void)snprintf(loop->description + length, sizeof loop->description - length, ", %s",
                           pp_io_engine_io_uring.features[i]);
    }
}

/* Connections that the kernel has accepted and nobody will ask for any more. */
static void close_accepted(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct io_uring_cqe *cqe;
    unsigned head;

    io_uring_for_each_cqe(&st->ring, head, cqe)
    {
        if ((cqe->user_data & PP_URING_TAG_MASK) == PP_URING_TAG_ACCEPT && cqe->res >= 0)
            (void)close(cqe->res);
    }
    for (uint32_t fd = 0; st->slots && fd < st->slots_used; fd++)
        if (st->slots[fd].kind == PP_IO_ACCEPT)
            pp_uring_drop_held(loop, &st->slots[fd]);
}

static void uring_close(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);

    close_accepted(loop);
    if (st->has[PP_URING_SQPOLL])
        pp_uring_poller_end(loop);
    io_uring_queue_exit(&st->ring);
    pp_uring_buffers_unmap(loop);
    pp_memory_free(st->loans);
    pp_memory_free(st->held_buffers);
    pp_memory_free(st->slots);
}

/* The ring with what is wanted, as far as the kernel has it; and what has to be asked for, or err
 * says which of that it has not. */
static int open_ring(struct pp_io_loop *loop, const struct pp_io_options *options, uint32_t wanted,
                     struct pp_error *err)
{
    struct pp_uring *st = pp_uring_of(loop);
    int ret = pp_uring_set_up(st, options, wanted);

    if (ret < 0)
        return pp_uring_refused(err, ret);
    ret = pp_uring_probe(st);
    if (ret < 0) {
        (void)pp_uring_refused(err, ret);
        goto fail;
    }
    pp_uring_files_open(loop, options);
    ret = pp_uring_ask(st, wanted, err);
    if (ret < 0)
        goto fail;
    for (unsigned i = 0; i < PP_URING_FEATURES; i++)
        st->has[i] = st->has[i] && wanted >> i & 1;
    st->sends_to = st->sends_to && st->has[PP_URING_SKIP];
    st->files = st->has[PP_URING_FIXED] ? st->files : 0;
    return 0;

fail:
    io_uring_queue_exit(&st->ring);
    return ret;
}

static int allocate(struct pp_io_loop *loop, struct pp_error *err)
{
    struct pp_uring *st = pp_uring_of(loop);

    st->slots = pp_memory_alloc(loop->fds_max, sizeof *st->slots);
    st->held_buffers = pp_memory_alloc(pp_io_loop_buffers(loop), sizeof *st->held_buffers);
    if (!st->slots || !st->held_buffers)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u descriptors",
                            loop->fds_max);
    return st->has[PP_URING_SEND_ZC] ? pp_uring_loans_open(st, err) : 0;
}

/* Lends the receive buffers to the kernel, where it fills them by itself. */
static int lend_buffers(struct pp_io_loop *loop, uint32_t wanted, struct pp_error *err)
{
    struct pp_uring *st = pp_uring_of(loop);
    const bool may = st->has[PP_URING_MULTISHOT] && wanted >> PP_URING_BUFFER_RING & 1;
    const int ret = may ? pp_uring_buffers_lend(loop, err) : 0;

    st->has[PP_URING_BUFFER_RING] = st->buf_rings[PP_IO_SMALL];
    if (ret == 0 && st->has[PP_URING_BUNDLE] && !st->has[PP_URING_BUFFER_RING])
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, -EOPNOTSUPP,
                            "io_uring:bundle: bundles are what multishot receives into a ring of "
                            "buffers bring, and there are none");
    return ret;
}

static int uring_open(struct pp_io_loop *loop, const struct pp_io_options *options, uint32_t wanted,
                      struct pp_error *err)
{
    struct pp_uring *st = pp_uring_of(loop);
    int ret;

    st->timer_ns = PP_IO_NO_DEADLINE;
    st->sender_only.msg_namelen = PP_IO_SENDER_NAME_BYTES;
    st->told.msg_namelen = PP_IO_TOLD_NAME_BYTES;
    st->told.msg_controllen = PP_IO_TOLD_CONTROL_BYTES;
    ret = open_ring(loop, options, wanted, err);
    if (ret < 0)
        return ret;
    ret = allocate(loop, err);
    if (ret == 0)
        ret = lend_buffers(loop, wanted, err);
    if (ret < 0) {
        uring_close(loop);
        return ret;
    }
    /* While the loop looks again and again, messages may be few, and a plain send is the shorter
     * way; without deferred task work it would be interrupted by its own answer. */
    st->plain_sends = st->has[PP_URING_DEFER] && options->wait != PP_IO_WAIT_BLOCK;
    for (unsigned i = 0; i < PP_URING_FEATURES; i++)
        if (st->has[i])
            loop->granted |= 1u << i;
    describe(loop);
    return 0;
}

const struct pp_io_engine pp_io_engine_io_uring = {
    .name = "io_uring",
    .rank = { .few = 1, .many = 2 },
    .features = { [PP_URING_MULTISHOT] = "multishot",
                  [PP_URING_BUFFER_RING] = "buffer-ring",
                  [PP_URING_DEFER] = "defer",
                  [PP_URING_SKIP] = "skip",
                  [PP_URING_FIXED] = "fixed",
                  [PP_URING_SQPOLL] = "sqpoll",
                  [PP_URING_MIN_WAIT] = "min-wait",
                  [PP_URING_NAPI] = "napi",
                  [PP_URING_BUNDLE] = "bundle",
                  [PP_URING_SEND_ZC] = "send-zc" },
    .opt_in = PP_URING_OPT_IN,
    .can_overflow = true,
    .state_size = sizeof(struct pp_uring),
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .poll = uring_poll,
    .buffer_put = pp_uring_buffer_put,
};
