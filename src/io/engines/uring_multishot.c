/* Multishot requests, with which the kernel goes on by itself. What it brings while the owner of a
 * descriptor is not asking is held in a slot until it asks again. */
#include "io/engines/uring.h"
#include "io/reuse.h"

#include <unistd.h>

/* Results held for one descriptor before its multishot request is ended: the owner is not asking,
 * and must not take the buffers of all others. */
#define HELD_MAX 16

/* ---- held results ---- */

/* Where the number after a held one is kept. */
static uint32_t *held_link(struct pp_uring *st, const struct pp_uring_slot *slot, uint32_t number)
{
    return slot->kind == PP_IO_ACCEPT ? &st->slots[number].held_next
                                      : &st->held_buffers[number].next;
}

static void hold(struct pp_uring *st, struct pp_uring_slot *slot, uint32_t number)
{
    pp_assert(!slot->op); /* it would get it */
    *held_link(st, slot, number) = 0;
    if (slot->held)
        *held_link(st, slot, slot->held_last - 1) = number + 1;
    else
        slot->held = number + 1;
    slot->held_last = number + 1;
    slot->held_count++;
}

static uint32_t unhold(struct pp_uring *st, struct pp_uring_slot *slot)
{
    const uint32_t number = slot->held - 1;

    pp_assert(slot->held && slot->held_count > 0);
    slot->held = *held_link(st, slot, number);
    slot->held_count--;
    return number;
}

static void deliver(struct pp_io_loop *loop, struct pp_uring_slot *slot, uint32_t number)
{
    struct pp_io_op *op = slot->op;

    pp_assert(op && op->kind == slot->kind);
    slot->op = NULL;
    if (slot->kind == PP_IO_ACCEPT) {
        pp_io_number_taken();
        if (op->peer)
            pp_io_ask_peer(loop, (int)number, op->peer);
        pp_io_complete(loop, op, (int32_t)number);
        return;
    }
    op->buf = pp_uring_buffer_at(loop, number) +
              (slot->kind == PP_IO_RECV_FROM ? PP_IO_SENDER_BYTES : 0);
    pp_io_complete(loop, op, (int32_t)pp_uring_of(loop)->held_buffers[number].bytes);
}

void pp_uring_drop_held(struct pp_io_loop *loop, struct pp_uring_slot *slot)
{
    while (slot->held) {
        const uint32_t number = unhold(pp_uring_of(loop), slot);

        if (slot->kind == PP_IO_ACCEPT)
            (void)close((int)number);
        else
            pp_uring_buffer_put_number(loop, number);
    }
    pp_assert(slot->held_count == 0);
}

/* ---- multishot requests ---- */

/* Of a multishot request: descriptor, class of its buffers, generation and tag. */
static uint64_t slot_data(int fd, const struct pp_uring_slot *slot)
{
    const enum pp_uring_tag tag = slot->kind == PP_IO_ACCEPT ? PP_URING_TAG_ACCEPT
                                                             : PP_URING_TAG_RECV;

    pp_assert(fd >= 0);
    return (uint64_t)(uint32_t)fd << 32 | (uint64_t)slot->class << 16 |
           (uint64_t)slot->generation << 8 | tag;
}

static int data_fd(uint64_t user_data)
{
    return (int)(user_data >> 32);
}

static enum pp_io_class data_class(uint64_t user_data)
{
    return (enum pp_io_class)(user_data >> 16 & 0xFF);
}

static uint8_t data_generation(uint64_t user_data)
{
    return (uint8_t)(user_data >> 8);
}

static void select_buffers(struct io_uring_sqe *sqe, enum pp_io_class class)
{
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (uint16_t) class;
}

static struct msghdr *recvmsg_wants(struct pp_io_loop *loop, int fd)
{
    struct pp_uring *st = pp_uring_of(loop);

    return pp_io_type_of(loop, fd) == PP_IO_TELLING ? &st->told : &st->sender_only;
}

/* liburing 2.3 does not know it. */
#define RECVSEND_BUNDLE (1u << 4)

static void prep_recv(struct pp_io_loop *loop, struct io_uring_sqe *sqe, int fd)
{
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    if (pp_uring_of(loop)->has[PP_URING_BUNDLE] && pp_io_type_of(loop, fd) == PP_IO_STREAM)
        sqe->ioprio |= RECVSEND_BUNDLE;
}

/* For slot->op. */
static void multishot_start(struct pp_io_loop *loop, int fd, struct pp_uring_slot *slot)
{
    const enum pp_io_class class = pp_io_class_of(loop, slot->op);
    struct io_uring_sqe *sqe = pp_uring_sqe(loop);

    pp_assert(slot->multishot == PP_URING_NONE && !slot->held);
    if (slot->kind == PP_IO_ACCEPT) {
        io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } else {
        if (slot->kind == PP_IO_RECV_FROM)
            io_uring_prep_recvmsg_multishot(sqe, fd, recvmsg_wants(loop, fd), 0);
        else
            prep_recv(loop, sqe, fd);
        select_buffers(sqe, class);
    }
    slot->class = (uint8_t) class;
    sqe->user_data = slot_data(fd, slot);
    slot->multishot = PP_URING_LIVE;
}

void pp_uring_multishot_stop(struct pp_io_loop *loop, int fd, struct pp_uring_slot *slot)
{
    if (slot->multishot != PP_URING_LIVE)
        return;
    slot->multishot = PP_URING_ENDING;
    pp_uring_cancel_data(loop, slot_data(fd, slot));
}

/* Whether the live request fills other buffers than slot->op asks for. */
static bool multishot_misfits(const struct pp_io_loop *loop, const struct pp_uring_slot *slot)
{
    pp_assert(slot->op);
    return slot->class != pp_io_class_of(loop, slot->op);
}

/* Buffers of another class are what op gets until the request that fills these has ended: what was
 * received comes in order. */
void pp_uring_multishot_ask(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct pp_uring_slot *slot = &st->slots[op->fd];

    pp_assert(!slot->op); /* one asks at a time */
    slot->op = op;
    slot->kind = op->kind;
    if (st->slots_used <= (uint32_t)op->fd)
        st->slots_used = (uint32_t)op->fd + 1;
    if (multishot_misfits(loop, slot))
        pp_uring_multishot_stop(loop, op->fd, slot);
    if (slot->held) {
        deliver(loop, slot, unhold(st, slot));
    } else if (slot->ended) {
        slot->ended = false;
        slot->op = NULL;
        pp_io_complete(loop, op, slot->end_res);
    } else if (slot->multishot == PP_URING_NONE) {
        multishot_start(loop, op->fd, slot);
    }
}

/* The kernel has ended the request without a last result; res says why. */
static void multishot_failed(struct pp_io_loop *loop, struct pp_uring_slot *slot, int32_t res)
{
    struct pp_io_op *op = slot->op;

    pp_assert(slot->multishot == PP_URING_NONE);
    if (!op) {
        slot->ended = res != -ENOBUFS;
        slot->end_res = (int16_t)res;
        return;
    }
    slot->op = NULL;
    if (res == -ENOBUFS && pp_io_takes_buffer(op))
        pp_io_starve(loop, op);
    else if (res == -EAGAIN)
        pp_uring_poll_first(loop, op); /* an older kernel, and a non-blocking descriptor */
    else
        pp_io_complete(loop, op, res);
}

static uint32_t buffer_bytes(const struct pp_io_loop *loop, enum pp_io_class class)
{
    return (uint32_t)loop->buffers[class].pool.item_bytes;
}

/* The buffer that the kernel filled after number, which it has filled to its end. */
static uint32_t next_of_bundle(struct pp_io_loop *loop, enum pp_io_class class, uint32_t number)
{
    pp_assert(pp_uring_of(loop)->has[PP_URING_BUNDLE] && loop->buffers[class].free > 0);
    loop->buffers[class].free--;
    return pp_uring_buffer_behind(loop, class, number);
}

static void drop_buffers(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    const enum pp_io_class class = data_class(cqe->user_data);
    uint32_t number = pp_uring_buffer_taken(loop, class, cqe);

    for (int64_t rest = cqe->res - (int64_t)buffer_bytes(loop, class); rest > 0;
         rest -= buffer_bytes(loop, class)) {
        const uint32_t next = next_of_bundle(loop, class, number);

        pp_uring_buffer_put_number(loop, number);
        number = next;
    }
    pp_uring_buffer_put_number(loop, number);
}

/* A result that came after its descriptor was closed. */
static void drop_late(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    if (cqe->flags & IORING_CQE_F_BUFFER)
        drop_buffers(loop, cqe);
    else if ((cqe->user_data & PP_URING_TAG_MASK) == PP_URING_TAG_ACCEPT && cqe->res >= 0)
        (void)close(cqe->res);
}

/* Sets *number to the buffer that a multishot receive brought. False when there is nothing in it:
 * an empty datagram is something if its sender is with it. */
static bool multishot_filled(struct pp_io_loop *loop, const struct pp_uring_slot *slot,
                             const struct io_uring_cqe *cqe, uint32_t *number)
{
    const bool from = slot->kind == PP_IO_RECV_FROM;
    const int32_t bytes = from ? cqe->res - PP_IO_SENDER_BYTES : cqe->res;

    if (!(cqe->flags & IORING_CQE_F_BUFFER))
        return false;
    *number = pp_uring_buffer_taken(loop, data_class(cqe->user_data), cqe);
    if (bytes < 0 || (bytes == 0 && !from)) {
        pp_uring_buffer_put_number(loop, *number);
        return false;
    }
    pp_uring_of(loop)->held_buffers[*number].bytes = (uint32_t)bytes;
    return true;
}

static void pass_on(struct pp_io_loop *loop, struct pp_uring_slot *slot, uint32_t number)
{
    if (slot->op)
        deliver(loop, slot, number);
    else
        hold(pp_uring_of(loop), slot, number);
}

/* A bundle fills several buffers, each to its end before the next. Passes on all but the last, and
 * returns that. */
static uint32_t multishot_unpack(struct pp_io_loop *loop, struct pp_uring_slot *slot,
                                 uint32_t number)
{
    struct pp_uring_held *held = pp_uring_of(loop)->held_buffers;
    const enum pp_io_class class = (enum pp_io_class)slot->class;
    const uint32_t each = buffer_bytes(loop, class);

    while (held[number].bytes > each) {
        const uint32_t rest = held[number].bytes - each;
        const uint32_t next = next_of_bundle(loop, class, number);

        held[number].bytes = each;
        pass_on(loop, slot, number);
        held[next].bytes = rest;
        number = next;
    }
    return number;
}

/* Takes in what a multishot request brought. False when it brought nothing but its end. */
static bool multishot_take(struct pp_io_loop *loop, int fd, struct pp_uring_slot *slot,
                           const struct io_uring_cqe *cqe)
{
    uint32_t number = (uint32_t)cqe->res;

    if (slot->kind == PP_IO_ACCEPT ? cqe->res < 0 : !multishot_filled(loop, slot, cqe, &number))
        return false;
    if (slot->kind == PP_IO_RECV_POOLED && pp_uring_of(loop)->has[PP_URING_BUNDLE])
        number = multishot_unpack(loop, slot, number);
    pass_on(loop, slot, number);
    if (slot->held_count >= pp_io_buffer_share(&loop->buffers[slot->class], HELD_MAX))
        pp_uring_multishot_stop(loop, fd, slot);
    pp_assert(!slot->op); /* it has got this, or was not there */
    return true;
}

/* Whether a request that brought nothing more has ended because we wanted another one. */
static bool multishot_made_way(const struct pp_io_loop *loop, const struct pp_uring_slot *slot,
                               int32_t res)
{
    if (res == -ECANCELED)
        return slot->multishot == PP_URING_ENDING;
    return res == -ENOBUFS && slot->op && multishot_misfits(loop, slot);
}

void pp_uring_on_multishot(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    const int fd = data_fd(cqe->user_data);
    struct pp_uring_slot *slot = &pp_uring_of(loop)->slots[fd];
    bool goes_on;

    pp_assert(fd >= 0 && (uint32_t)fd < loop->fds_max);
    if (slot->generation != data_generation(cqe->user_data)) {
        drop_late(loop, cqe);
        return;
    }
    goes_on = multishot_take(loop, fd, slot, cqe);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    goes_on = goes_on || multishot_made_way(loop, slot, cqe->res);
    slot->multishot = PP_URING_NONE;
    if (!goes_on)
        multishot_failed(loop, slot, cqe->res);
    else if (slot->op)
        multishot_start(loop, fd, slot);
}
