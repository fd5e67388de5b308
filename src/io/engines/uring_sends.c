/* Sends: with a system call of their own, or through the ring, where they say nothing unless they
 * fail. None waits in the kernel: a poll does. */
#include "io/engines/uring.h"

#include <poll.h>

/* Completions in one turn up to which each is answered by a send(2) of its own; above, the system
 * calls cost more than passing sends through the ring. */
#define PLAIN_SENDS_MAX 4

/* Whether fd is registered, or is now that it has been sent on so often. */
static bool is_fixed(struct pp_io_loop *loop, int fd)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct pp_uring_slot *slot = &st->slots[fd];

    if (slot->sends < PP_URING_SENDS_MANY)
        slot->sends++;
    else if (slot->sends == PP_URING_SENDS_MANY)
        pp_uring_file_register(loop, fd);
    return slot->sends == PP_URING_SENDS_FIXED;
}

static void prep_send(struct pp_io_loop *loop, struct io_uring_sqe *sqe, const struct pp_io_op *op,
                      int flags)
{
    pp_assert(pp_io_is_send(op));
    io_uring_prep_send(sqe, op->fd, op->buf, op->len, MSG_NOSIGNAL | flags);
    if (op->kind == PP_IO_SEND_BACK) {
        const struct pp_io_sender *sender = pp_io_sender(op->buf);

        io_uring_prep_send_set_addr(sqe, &sender->any, (uint16_t)sender->len);
    }
    if (is_fixed(loop, op->fd))
        sqe->flags |= IOSQE_FIXED_FILE;
}

void pp_uring_send_announced(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct io_uring_sqe *sqe = pp_uring_sqe(loop);

    prep_send(loop, sqe, op, MSG_DONTWAIT);
    pp_uring_tag(sqe, op, PP_URING_TAG_OP);
}

/* Goes out whole and says nothing, or fails at once and says so: MSG_DONTWAIT keeps it from being
 * finished later, MSG_WAITALL makes a short send a failure. */
static void send_submit_skip(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct io_uring_sqe *sqe = pp_uring_sqe(loop);

    pp_assert(pp_uring_of(loop)->has[PP_URING_SKIP]);
    prep_send(loop, sqe, op, MSG_DONTWAIT | MSG_WAITALL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    pp_uring_tag(sqe, op, PP_URING_TAG_SEND);
    op->res = 0;
    pp_io_queue_push(&pp_uring_of(loop)->sends, op);
}

/* IORING_OP_SEND may take an address to send to; one to send from it never takes. */
static bool is_submittable(const struct pp_uring *st, const struct pp_io_op *op)
{
    return op->kind == PP_IO_SEND || (st->sends_to && pp_io_sender(op->buf)->control_len == 0);
}

void pp_uring_send_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    const struct pp_uring *st = pp_uring_of(loop);
    const bool submittable = is_submittable(st, op);
    const bool plain = st->plain_sends && st->batch <= PLAIN_SENDS_MAX;

    if (st->loans && pp_uring_lend(loop, op))
        return;
    if (plain || !submittable) {
        pp_uring_settle(loop, op, pp_io_try(loop, op));
    } else if (st->has[PP_URING_SKIP]) {
        send_submit_skip(loop, op);
    } else {
        pp_uring_send_announced(loop, op);
    }
}

void pp_uring_note_failed_sends(struct pp_uring *st, unsigned count)
{
    struct io_uring_cqe *cqe;
    unsigned head;

    io_uring_for_each_cqe(&st->ring, head, cqe)
    {
        if (count-- == 0)
            return;
        if ((cqe->user_data & PP_URING_TAG_MASK) == PP_URING_TAG_SEND)
            ((struct pp_io_op *)(uintptr_t)(cqe->user_data - PP_URING_TAG_SEND))->res = cqe->res;
    }
}

void pp_uring_settle_sends(struct pp_io_loop *loop)
{
    struct pp_io_op *op;

    while ((op = pp_io_queue_pop(&pp_uring_of(loop)->sends))) {
        pp_uring_settle(loop, op, op->res == 0 ? (int32_t)op->len : op->res);
    }
}

bool pp_uring_has_eager_send(const struct pp_uring *st)
{
    for (const struct pp_io_op *op = st->sends.head; op; op = op->next)
        if (!op->lazy || op->state == PP_IO_CANCELING)
            return true;
    return false;
}

/* ---- sends that poll in vain ---- */

/* A poll says at once that the peer has ended its half of the connection, asked or not: while that
 * is so, polling for room again and again would only spin. A multishot poll speaks once, and then
 * each time that something has changed. op->res is what the send came to, or -EAGAIN. */
static void edges_begin(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct io_uring_sqe *sqe = pp_uring_sqe(loop);

    pp_assert(op->state == PP_IO_ARMED);
    io_uring_prep_poll_multishot(sqe, op->fd, POLLOUT);
    pp_uring_tag(sqe, op, PP_URING_TAG_EDGE);
    op->res = -EAGAIN;
}

static void edges_ended(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    pp_assert(op->state != PP_IO_IDLE);
    if (op->res != -EAGAIN)
        pp_uring_settle(loop, op, op->res);
    else if (op->state == PP_IO_CANCELING)
        pp_io_complete(loop, op, -ECANCELED);
    else if (res >= 0) /* the completion queue has overflown meanwhile */
        edges_begin(loop, op);
    else if (res == -EINVAL) /* before Linux 5.13 */
        pp_io_postpone(loop, op);
    else
        pp_io_complete(loop, op, res);
}

/* The send has its result as soon as there is one, but is the kernel's until the poll has ended. */
void pp_uring_on_edge(struct pp_io_loop *loop, struct pp_io_op *op, const struct io_uring_cqe *cqe)
{
    const bool goes_on = cqe->flags & IORING_CQE_F_MORE;

    pp_assert(pp_io_is_send(op) && op->state != PP_IO_IDLE);
    if (op->res == -EAGAIN && op->state == PP_IO_ARMED && cqe->res >= 0) {
        op->res = pp_io_try(loop, op);
        if (op->res != -EAGAIN && goes_on)
            pp_uring_cancel_data(loop, (uint64_t)(uintptr_t)op | PP_URING_TAG_EDGE);
    }
    if (!goes_on)
        edges_ended(loop, op, cqe->res);
}

/* There is room, or nothing else to wait for. Where there is room, and the send fails for want of
 * it all the same, what is short is not the socket's: no event will tell. */
void pp_uring_on_send_polled(struct pp_io_loop *loop, struct pp_io_op *op, int32_t events)
{
    const int32_t res = pp_io_try(loop, op);

    pp_assert(pp_io_is_send(op));
    if (res == -EAGAIN && events & POLLOUT)
        pp_io_postpone(loop, op);
    else if (!pp_io_settle(loop, op, res))
        edges_begin(loop, op);
}
