/* Zero-copy sends, which have to be asked for. The kernel sends from the memory itself: it says
 * what the send came to, as of any other, and later, in a notification, that it needs the memory no
 * more. The send is over with the first. Until the second comes, a receive buffer is not put back,
 * though its owner has done so; of memory that the owner said is constant nothing has to be kept.
 * All other memory is copied, as ever. */
#include "base/memory.h"
#include "io/engines/uring.h"

/* Below, keeping account of pages costs more than copying. */
#define LENT_BYTES_MIN 16384

/* Loans at a time, before sends are copied again. */
#define LOANS_MAX 1024

int pp_uring_loans_open(struct pp_uring *st, struct pp_error *err)
{
    st->loans = pp_memory_alloc(LOANS_MAX, sizeof *st->loans);
    if (!st->loans)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for zero-copy sends");
    for (uint32_t i = 0; i < LOANS_MAX; i++)
        st->loans[i].next = i + 1 < LOANS_MAX ? i + 2 : 0;
    st->loans_free = 1;
    return 0;
}

static void loan_give(struct pp_uring *st, struct pp_uring_loan *loan)
{
    pp_assert(!loan->op);
    loan->next = st->loans_free;
    st->loans_free = (uint32_t)(loan - st->loans) + 1;
}

/* Whether op's memory stays as it is for longer than op: sets *number to the buffer, or to none. A
 * peer that does not read keeps what it is sent: no more than half of the buffers are for such. */
static bool is_lendable(struct pp_io_loop *loop, const struct pp_io_op *op, uint32_t *number)
{
    *number = PP_URING_NO_BUFFER;
    if (pp_io_is_constant(loop, op->buf, op->len))
        return true;
    for (unsigned i = 0; i < PP_IO_CLASSES; i++) {
        const struct pp_io_buffers *buffers = &loop->buffers[i];

        if (!pp_io_has_buffer(buffers, op->buf))
            continue;
        *number = pp_uring_buffer_number(loop, buffers, op->buf);
        return buffers->free > buffers->pool.capacity / 2;
    }
    return false;
}

bool pp_uring_lend(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct pp_uring_loan *loan;
    struct io_uring_sqe *sqe;
    uint32_t number;

    pp_assert(pp_io_is_send(op) && st->loans);
    if (op->kind != PP_IO_SEND || op->len < LENT_BYTES_MIN || !st->loans_free ||
        st->slots[op->fd].copies || !is_lendable(loop, op, &number))
        return false;
    loan = &st->loans[st->loans_free - 1];
    st->loans_free = loan->next;
    loan->op = op;
    loan->buffer = number;
    if (number != PP_URING_NO_BUFFER)
        st->held_buffers[number].loans++;
    sqe = pp_uring_sqe(loop);
    io_uring_prep_send_zc(sqe, op->fd, op->buf, op->len, MSG_NOSIGNAL | MSG_DONTWAIT, 0);
    sqe->user_data = (uint64_t)(loan - st->loans) << PP_URING_TAG_BITS | PP_URING_TAG_LENT;
    return true;
}

bool pp_uring_is_lent(struct pp_io_loop *loop, uint32_t number)
{
    struct pp_uring_held *held = &pp_uring_of(loop)->held_buffers[number];

    pp_assert(!held->put);
    held->put = held->loans > 0;
    return held->put;
}

static void buffer_comes_back(struct pp_io_loop *loop, uint32_t number)
{
    struct pp_uring_held *held = &pp_uring_of(loop)->held_buffers[number];

    pp_assert(held->loans > 0);
    if (--held->loans > 0 || !held->put)
        return;
    held->put = false;
    pp_uring_buffer_put_number(loop, number);
}

/* What a send that was tried without a copy came to. Some sockets, as Unix ones, cannot. */
static void lent_tried(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    if (res == -EOPNOTSUPP) {
        pp_uring_of(loop)->slots[op->fd].copies = true;
        pp_uring_send_announced(loop, op);
        return;
    }
    pp_uring_settle(loop, op, res);
}

void pp_uring_on_lent(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct pp_uring_loan *loan = &st->loans[cqe->user_data >> PP_URING_TAG_BITS];
    struct pp_io_op *op = loan->op;

    pp_assert(loan < st->loans + LOANS_MAX && !op == !!(cqe->flags & IORING_CQE_F_NOTIF));
    loan->op = NULL;
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        if (loan->buffer != PP_URING_NO_BUFFER)
            buffer_comes_back(loop, loan->buffer);
        loan_give(st, loan);
    }
    if (op)
        lent_tried(loop, op, cqe->res);
}
