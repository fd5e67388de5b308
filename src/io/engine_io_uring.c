/* The io_uring engine, by way of liburing: completions from the kernel itself.
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
#include "base/container.h"
#include "base/memory.h"
#include "base/number.h"
#include "io/datagram.h"
#include "io/loop.h"
#include "io/reuse.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQ_ENTRIES_MIN 256
#define SQ_ENTRIES_MAX 4096

/* Kept free, before the loop runs, for cancellations. */
#define SQ_ENTRIES_EARLY 32

/* Completions in one turn up to which each is answered by a send(2) of its own; above, the system
 * calls cost more than passing sends through the ring. */
#define PLAIN_SENDS_MAX 4

/* Results held for one descriptor before its multishot request is ended: the owner is not asking,
 * and must not take the buffers of all others. */
#define HELD_MAX 16

/* A ring that takes nothing, however often it is told to, as old kernels with overflowed
 * completions may, has broken down. */
#define SUBMIT_TRIES 1000

enum feature { FEATURE_MULTISHOT, FEATURE_BUFFER_RING, FEATURE_DEFER, FEATURE_SKIP, FEATURE_COUNT };

/* The low bits of a completion's user_data. Operations are aligned to 8. */
enum tag {
    TAG_OP,     /* an operation's own result, which never has to wait */
    TAG_SEND,   /* a send with skip: only failures arrive */
    TAG_POLLED, /* its descriptor is ready: try the operation again */
    TAG_EDGE,   /* its descriptor has changed, once more: see edges_begin() */
    TAG_RECV,   /* of a multishot receive: descriptor and generation instead of a pointer */
    TAG_ACCEPT, /* of a multishot accept: the same */
    TAG_TIMER,
    TAG_IGNORE
};

#define TAG_MASK 7

static_assert(TAG_IGNORE <= TAG_MASK, "a tag has three bits");

enum multishot { MULTISHOT_NONE, MULTISHOT_LIVE, MULTISHOT_ENDING };

/* What kind of socket it is, once somebody wanted to know. */
enum type {
    TYPE_UNKNOWN,
    TYPE_STREAM,
    TYPE_DATAGRAM,
    TYPE_TELLING /* a datagram comes with the address that it was sent to */
};

/* What is known of one descriptor. A held result is a buffer, or an accepted connection; held and
 * held_last are its number plus one, so that a zeroed table is an empty one. Buffers are numbered
 * through, one class after the other. */
struct slot {
    struct pp_io_op *op; /* the receive or accept that waits for the next result */
    uint32_t held, held_last;
    uint32_t held_next; /* for an accepted connection that is held: the one after it */
    uint32_t held_count;
    uint8_t multishot;  /* enum multishot */
    uint8_t generation; /* of the descriptor, so that late results of a closed one are known */
    uint8_t kind;       /* enum pp_io_kind, of all that op ever was */
    bool ended;         /* end_res is the stream's end, still to be delivered */
    int16_t end_res;
    uint8_t class; /* enum pp_io_class: the buffers that the multishot request fills */
    uint8_t type;  /* enum type */
};

static_assert(sizeof(struct slot) == 32, "an idle connection costs a slot: keep it small");

static_assert(sizeof(struct io_uring_recvmsg_out) == PP_IO_SENDER_NAME_OFFSET &&
                  offsetof(struct io_uring_recvmsg_out, namelen) ==
                      offsetof(struct pp_io_addr, len),
              "a sender stands in its buffer as the kernel writes it");
static_assert(offsetof(struct io_uring_recvmsg_out, controllen) ==
                      offsetof(struct pp_io_told, control_len) &&
                  offsetof(struct pp_io_told, control) ==
                      PP_IO_SENDER_NAME_OFFSET + PP_IO_TOLD_NAME_BYTES,
              "and so does what the socket tells");

struct held_buffer {
    uint32_t bytes;
    uint32_t next;
};

struct uring_state {
    struct io_uring ring;
    struct io_uring_buf_ring *buf_rings[PP_IO_CLASSES]; /* NULL: the loop's pool has them */
    struct held_buffer *held_buffers;                   /* by buffer number */
    struct msghdr sender_only; /* what a multishot recvmsg is to write besides the datagram */
    struct msghdr told;        /* the same, for a socket that tells */
    struct slot *slots;        /* by descriptor */
    uint32_t slots_used;       /* the highest that was, plus one */
    bool has[FEATURE_COUNT];
    bool plain_sends; /* try send(2) first, while completions come few at a time */
    unsigned batch;   /* how many completions came last */
    bool sends_to;    /* IORING_OP_SEND takes an address */
    bool ring_enabled;
    int error; /* the ring has broken down; a negative errno */
    struct io_uring_sqe nowhere;
    struct pp_io_queue early; /* started before the loop runs, beyond what the queue holds */
    struct pp_io_queue sends; /* with skip, not yet known to have gone out */
    struct pp_io_queue ends;  /* to be shut down after what was queued before */
    uint64_t timer_ns;        /* the deadline the kernel knows, or PP_IO_NO_DEADLINE */
    struct __kernel_timespec timer_at;
};

static struct uring_state *state_of(struct pp_io_loop *loop)
{
    return (struct uring_state *)(void *)loop->engine_state;
}

/* ---- talking to the ring ---- */

/* This thread is the one that submits from now on. liburing 2.3 declares a function for it and does
 * not export it. */
static int uring_enable(struct pp_io_loop *loop)
{
    struct uring_state *st = state_of(loop);

    if (st->ring_enabled)
        return 0;
    pp_io_count_syscall(loop);
    if (syscall(SYS_io_uring_register, st->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return -errno;
    st->ring_enabled = true;
    st->ring.flags &= ~IORING_SETUP_R_DISABLED;
    return 0;
}

/* An error of enter after which the same call may succeed; nothing is lost meanwhile. */
static bool is_passing(int error)
{
    return error == EINTR || error == EAGAIN || error == EBUSY;
}

/* The queue is full: hands it over, and waits for nothing. */
static int submit_all(struct pp_io_loop *loop)
{
    struct uring_state *st = state_of(loop);
    int ret = uring_enable(loop);

    if (ret < 0)
        return ret;
    pp_io_count_syscall(loop);
    ret = io_uring_submit(&st->ring);
    return ret < 0 && !is_passing(-ret) ? ret : 0;
}

/* Once the ring has broken down, what it returns leads nowhere: the next poll says so. */
static struct io_uring_sqe *sqe_get(struct pp_io_loop *loop)
{
    struct uring_state *st = state_of(loop);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&st->ring);

    for (unsigned tries = 0; !sqe; tries++) {
        if (st->error == 0)
            st->error = tries < SUBMIT_TRIES ? submit_all(loop) : -EBUSY;
        sqe = st->error < 0 ? &st->nowhere : io_uring_get_sqe(&st->ring);
    }
    return sqe;
}

static void sqe_tag(struct io_uring_sqe *sqe, const struct pp_io_op *op, enum tag tag)
{
    sqe->user_data = (uint64_t)(uintptr_t)op | tag;
}

/* Of a multishot request: descriptor, class of its buffers, generation and tag. */
static uint64_t slot_data(int fd, const struct slot *slot)
{
    const enum tag tag = slot->kind == PP_IO_ACCEPT ? TAG_ACCEPT : TAG_RECV;

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

static void cancel_data(struct pp_io_loop *loop, uint64_t user_data)
{
    struct io_uring_sqe *sqe = sqe_get(loop);

    io_uring_prep_cancel64(sqe, user_data, 0);
    sqe->user_data = TAG_IGNORE;
}

static bool is_send(const struct pp_io_op *op)
{
    return op->kind == PP_IO_SEND || op->kind == PP_IO_SEND_BACK;
}

/* Tries op again when its descriptor is ready. */
static void poll_first(struct pp_io_loop *loop, struct pp_io_op *op)
{
    const bool writes = is_send(op) || op->kind == PP_IO_CONNECT;
    struct io_uring_sqe *sqe = sqe_get(loop);

    io_uring_prep_poll_add(sqe, op->fd, writes ? POLLOUT : POLLIN);
    sqe_tag(sqe, op, TAG_POLLED);
}

/* Tries op again, to which the kernel has said EAGAIN, when it may succeed. */
static void try_later(struct pp_io_loop *loop, struct pp_io_op *op)
{
    if (op->state == PP_IO_CANCELING)
        pp_io_complete(loop, op, -ECANCELED);
    else if (pp_io_is_unannounced(loop, op))
        pp_io_postpone(loop, op);
    else
        poll_first(loop, op);
}

/* ---- buffers ---- */

/* The class of the buffer with this number; its place there is then in number. */
static struct pp_io_buffers *buffers_with(struct pp_io_loop *loop, uint32_t *number)
{
    struct pp_io_buffers *buffers = loop->buffers;

    while (*number >= buffers->pool.capacity)
        *number -= buffers++->pool.capacity;
    return buffers;
}

static char *buffer_at(struct pp_io_loop *loop, uint32_t number)
{
    const struct pp_io_buffers *buffers = buffers_with(loop, &number);

    return pp_pool_at(&buffers->pool, number);
}

/* The number of the buffer that the kernel has filled, which is not free any more. */
static uint32_t buffer_taken(struct pp_io_loop *loop, enum pp_io_class class,
                             const struct io_uring_cqe *cqe)
{
    uint32_t number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    loop->buffers[class].free--;
    for (unsigned i = 0; i < class; i++)
        number += loop->buffers[i].pool.capacity;
    return number;
}

static void uring_buffer_put(struct pp_io_loop *loop, struct pp_io_buffers *buffers, char *buf)
{
    struct io_uring_buf_ring *ring = state_of(loop)->buf_rings[buffers - loop->buffers];
    const struct pp_pool *pool = &buffers->pool;

    pp_assert(pp_pool_owns(pool, buf));
    buffers->free++;
    if (!ring) {
        pp_pool_give(&buffers->pool, buf);
        return;
    }
    io_uring_buf_ring_add(ring, buf, (unsigned)pool->item_bytes,
                          (unsigned short)((size_t)(buf - pool->items) / pool->item_bytes),
                          io_uring_buf_ring_mask(pool->capacity), 0);
    io_uring_buf_ring_advance(ring, 1);
}

static void buffer_put_number(struct pp_io_loop *loop, uint32_t number)
{
    struct pp_io_buffers *buffers = buffers_with(loop, &number);

    uring_buffer_put(loop, buffers, pp_pool_at(&buffers->pool, number));
}

/* ---- held results ---- */

/* Where the number after a held one is kept. */
static uint32_t *held_link(struct uring_state *st, const struct slot *slot, uint32_t number)
{
    return slot->kind == PP_IO_ACCEPT ? &st->slots[number].held_next
                                      : &st->held_buffers[number].next;
}

static void hold(struct uring_state *st, struct slot *slot, uint32_t number)
{
    *held_link(st, slot, number) = 0;
    if (slot->held)
        *held_link(st, slot, slot->held_last - 1) = number + 1;
    else
        slot->held = number + 1;
    slot->held_last = number + 1;
    slot->held_count++;
}

static uint32_t unhold(struct uring_state *st, struct slot *slot)
{
    const uint32_t number = slot->held - 1;

    slot->held = *held_link(st, slot, number);
    slot->held_count--;
    return number;
}

static void deliver(struct pp_io_loop *loop, struct slot *slot, uint32_t number)
{
    struct pp_io_op *op = slot->op;

    slot->op = NULL;
    if (slot->kind == PP_IO_ACCEPT) {
        pp_io_number_taken();
        pp_io_complete(loop, op, (int32_t)number);
        return;
    }
    op->buf = buffer_at(loop, number) + (slot->kind == PP_IO_RECV_FROM ? PP_IO_SENDER_BYTES : 0);
    pp_io_complete(loop, op, (int32_t)state_of(loop)->held_buffers[number].bytes);
}

/* Gives up what is held for a descriptor that is about to be closed. */
static void drop_held(struct pp_io_loop *loop, struct slot *slot)
{
    while (slot->held) {
        const uint32_t number = unhold(state_of(loop), slot);

        if (slot->kind == PP_IO_ACCEPT)
            (void)close((int)number);
        else
            buffer_put_number(loop, number);
    }
}

/* ---- kinds of sockets ---- */

static enum type ask_type(struct pp_io_loop *loop, int fd)
{
    if (pp_io_is_stream(loop, fd))
        return TYPE_STREAM;
    return pp_io_datagram_is_telling(loop, fd) ? TYPE_TELLING : TYPE_DATAGRAM;
}

/* The kernel is asked once. */
static enum type type_of(struct pp_io_loop *loop, int fd)
{
    struct slot *slot = &state_of(loop)->slots[fd];

    if (slot->type == TYPE_UNKNOWN)
        slot->type = (uint8_t)ask_type(loop, fd);
    return (enum type)slot->type;
}

/* ---- multishot requests ---- */

static void select_buffers(struct io_uring_sqe *sqe, enum pp_io_class class)
{
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (uint16_t) class;
}

static struct msghdr *recvmsg_wants(struct pp_io_loop *loop, int fd)
{
    struct uring_state *st = state_of(loop);

    return type_of(loop, fd) == TYPE_TELLING ? &st->told : &st->sender_only;
}

/* For slot->op. */
static void multishot_start(struct pp_io_loop *loop, int fd, struct slot *slot)
{
    const enum pp_io_class class = pp_io_class_of(loop, slot->op);
    struct io_uring_sqe *sqe = sqe_get(loop);

    if (slot->kind == PP_IO_ACCEPT) {
        io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } else {
        if (slot->kind == PP_IO_RECV_FROM)
            io_uring_prep_recvmsg_multishot(sqe, fd, recvmsg_wants(loop, fd), 0);
        else
            io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
        select_buffers(sqe, class);
    }
    slot->class = (uint8_t) class;
    sqe->user_data = slot_data(fd, slot);
    slot->multishot = MULTISHOT_LIVE;
}

static void multishot_stop(struct pp_io_loop *loop, int fd, struct slot *slot)
{
    if (slot->multishot != MULTISHOT_LIVE)
        return;
    slot->multishot = MULTISHOT_ENDING;
    cancel_data(loop, slot_data(fd, slot));
}

/* Whether the live request fills other buffers than slot->op asks for. */
static bool multishot_misfits(const struct pp_io_loop *loop, const struct slot *slot)
{
    return slot->class != pp_io_class_of(loop, slot->op);
}

/* op asks for the next result of its descriptor. Buffers of another class are what it gets until
 * the request that fills these has ended: what was received comes in order. */
static void multishot_ask(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct uring_state *st = state_of(loop);
    struct slot *slot = &st->slots[op->fd];

    slot->op = op;
    slot->kind = op->kind;
    if (st->slots_used <= (uint32_t)op->fd)
        st->slots_used = (uint32_t)op->fd + 1;
    if (multishot_misfits(loop, slot))
        multishot_stop(loop, op->fd, slot);
    if (slot->held) {
        deliver(loop, slot, unhold(st, slot));
    } else if (slot->ended) {
        slot->ended = false;
        slot->op = NULL;
        pp_io_complete(loop, op, slot->end_res);
    } else if (slot->multishot == MULTISHOT_NONE) {
        multishot_start(loop, op->fd, slot);
    }
}

/* The kernel has ended the request without a last result; res says why. */
static void multishot_failed(struct pp_io_loop *loop, struct slot *slot, int32_t res)
{
    struct pp_io_op *op = slot->op;

    if (!op) {
        slot->ended = res != -ENOBUFS;
        slot->end_res = (int16_t)res;
        return;
    }
    slot->op = NULL;
    if (res == -ENOBUFS && pp_io_takes_buffer(op))
        pp_io_starve(loop, op);
    else if (res == -EAGAIN)
        poll_first(loop, op); /* an older kernel, and a non-blocking descriptor */
    else
        pp_io_complete(loop, op, res);
}

/* A result that came after its descriptor was closed. */
static void drop_late(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    if (cqe->flags & IORING_CQE_F_BUFFER)
        buffer_put_number(loop, buffer_taken(loop, data_class(cqe->user_data), cqe));
    else if ((cqe->user_data & TAG_MASK) == TAG_ACCEPT && cqe->res >= 0)
        (void)close(cqe->res);
}

/* Sets *number to the buffer that a multishot receive brought. False when there is nothing in it:
 * an empty datagram is something if its sender is with it. */
static bool multishot_filled(struct pp_io_loop *loop, const struct slot *slot,
                             const struct io_uring_cqe *cqe, uint32_t *number)
{
    const bool from = slot->kind == PP_IO_RECV_FROM;
    const int32_t bytes = from ? cqe->res - PP_IO_SENDER_BYTES : cqe->res;

    if (!(cqe->flags & IORING_CQE_F_BUFFER))
        return false;
    *number = buffer_taken(loop, data_class(cqe->user_data), cqe);
    if (bytes < 0 || (bytes == 0 && !from)) {
        buffer_put_number(loop, *number);
        return false;
    }
    state_of(loop)->held_buffers[*number].bytes = (uint32_t)bytes;
    return true;
}

/* Takes in what a multishot request brought. False when it brought nothing but its end. */
static bool multishot_take(struct pp_io_loop *loop, int fd, struct slot *slot,
                           const struct io_uring_cqe *cqe)
{
    uint32_t number = (uint32_t)cqe->res;

    if (slot->kind == PP_IO_ACCEPT ? cqe->res < 0 : !multishot_filled(loop, slot, cqe, &number))
        return false;
    if (slot->op)
        deliver(loop, slot, number);
    else
        hold(state_of(loop), slot, number);
    if (slot->held_count >= pp_io_buffer_share(&loop->buffers[slot->class], HELD_MAX))
        multishot_stop(loop, fd, slot);
    return true;
}

/* Whether a request that brought nothing more has ended because we wanted another one. */
static bool multishot_made_way(const struct pp_io_loop *loop, const struct slot *slot, int32_t res)
{
    if (res == -ECANCELED)
        return slot->multishot == MULTISHOT_ENDING;
    return res == -ENOBUFS && slot->op && multishot_misfits(loop, slot);
}

static void on_multishot(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    const int fd = data_fd(cqe->user_data);
    struct slot *slot = &state_of(loop)->slots[fd];
    bool goes_on;

    if (slot->generation != data_generation(cqe->user_data)) {
        drop_late(loop, cqe);
        return;
    }
    goes_on = multishot_take(loop, fd, slot, cqe);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    goes_on = goes_on || multishot_made_way(loop, slot, cqe->res);
    slot->multishot = MULTISHOT_NONE;
    if (!goes_on)
        multishot_failed(loop, slot, cqe->res);
    else if (slot->op)
        multishot_start(loop, fd, slot);
}

/* ---- sends ---- */

static void prep_send(struct io_uring_sqe *sqe, const struct pp_io_op *op, int flags)
{
    io_uring_prep_send(sqe, op->fd, op->buf, op->len, MSG_NOSIGNAL | flags);
    if (op->kind == PP_IO_SEND_BACK) {
        const struct pp_io_addr *sender = pp_io_sender(op->buf);

        io_uring_prep_send_set_addr(sqe, &sender->any, (uint16_t)sender->len);
    }
}

static void send_submit_announced(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct io_uring_sqe *sqe = sqe_get(loop);

    prep_send(sqe, op, MSG_DONTWAIT);
    sqe_tag(sqe, op, TAG_OP);
}

/* Goes out whole and says nothing, or fails at once and says so: MSG_DONTWAIT keeps it from being
 * finished later, MSG_WAITALL makes a short send a failure. */
static void send_submit_skip(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct io_uring_sqe *sqe = sqe_get(loop);

    prep_send(sqe, op, MSG_DONTWAIT | MSG_WAITALL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe_tag(sqe, op, TAG_SEND);
    op->res = 0;
    pp_io_queue_push(&state_of(loop)->sends, op);
}

/* With a system call of its own: its result, or -EAGAIN if it has to wait. */
static int32_t send_try(struct pp_io_loop *loop, const struct pp_io_op *op)
{
    ssize_t ret;

    do {
        pp_io_count_syscall(loop);
        if (op->kind == PP_IO_SEND_BACK)
            ret = pp_io_datagram_send_back(op);
        else
            ret = send(op->fd, op->buf, op->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : (int32_t)ret;
}

/* False if it has to wait. */
static bool send_now(struct pp_io_loop *loop, struct pp_io_op *op)
{
    const int32_t res = send_try(loop, op);

    if (res == -EAGAIN)
        return false;
    pp_io_complete(loop, op, res);
    return true;
}

/* IORING_OP_SEND may take an address to send to; one to send from it never takes. */
static bool is_submittable(const struct uring_state *st, const struct pp_io_op *op)
{
    return op->kind == PP_IO_SEND || (st->sends_to && !pp_io_datagram_is_told(op->buf));
}

static void send_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    const struct uring_state *st = state_of(loop);
    const bool submittable = is_submittable(st, op);
    const bool plain = st->plain_sends && st->batch <= PLAIN_SENDS_MAX;

    if (plain || !submittable) {
        if (!send_now(loop, op))
            try_later(loop, op);
    } else if (st->has[FEATURE_SKIP]) {
        send_submit_skip(loop, op);
    } else {
        send_submit_announced(loop, op);
    }
}

/* All that was submitted has been tried, and every failure is in op->res. */
static void settle_sends(struct pp_io_loop *loop)
{
    struct pp_io_op *op;

    while ((op = pp_io_queue_pop(&state_of(loop)->sends))) {
        if (op->res == -EAGAIN)
            try_later(loop, op);
        else
            pp_io_complete(loop, op, op->res == 0 ? (int32_t)op->len : op->res);
    }
}

/* Whether a send is under way whose owner wants to hear of it without delay. */
static bool has_eager_send(const struct uring_state *st)
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
    struct io_uring_sqe *sqe = sqe_get(loop);

    io_uring_prep_poll_multishot(sqe, op->fd, POLLOUT);
    sqe_tag(sqe, op, TAG_EDGE);
    op->res = -EAGAIN;
}

static void edges_ended(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    if (op->res != -EAGAIN)
        pp_io_complete(loop, op, op->res);
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
static void on_edge(struct pp_io_loop *loop, struct pp_io_op *op, const struct io_uring_cqe *cqe)
{
    const bool goes_on = cqe->flags & IORING_CQE_F_MORE;

    if (op->res == -EAGAIN && op->state == PP_IO_ARMED && cqe->res >= 0) {
        op->res = send_try(loop, op);
        if (op->res != -EAGAIN && goes_on)
            cancel_data(loop, (uint64_t)(uintptr_t)op | TAG_EDGE);
    }
    if (!goes_on)
        edges_ended(loop, op, cqe->res);
}

/* There is room, or nothing else to wait for. Where there is room, and the send fails for want of
 * it all the same, what is short is not the socket's: no event will tell. */
static void on_send_polled(struct pp_io_loop *loop, struct pp_io_op *op, int32_t events)
{
    if (send_now(loop, op))
        return;
    if (events & POLLOUT || pp_io_is_unannounced(loop, op))
        pp_io_postpone(loop, op);
    else
        edges_begin(loop, op);
}

/* ---- the other operations ---- */

/* Without a buffer ring, a buffer is taken when bytes have come, so wait for them first. */
static void recv_pooled_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    if (state_of(loop)->buf_rings[pp_io_class_of(loop, op)])
        multishot_ask(loop, op);
    else
        poll_first(loop, op);
}

static void close_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct slot *slot = &state_of(loop)->slots[op->fd];
    struct io_uring_sqe *sqe;

    pp_assert(!slot->op);
    multishot_stop(loop, op->fd, slot);
    drop_held(loop, slot);
    *slot = (struct slot){ .generation = (uint8_t)(slot->generation + 1) };
    pp_io_number_released();
    sqe = sqe_get(loop);
    io_uring_prep_close(sqe, op->fd);
    sqe_tag(sqe, op, TAG_OP);
}

static void accept_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    if (state_of(loop)->has[FEATURE_MULTISHOT])
        multishot_ask(loop, op);
    else
        poll_first(loop, op);
}

/* EAGAIN: a Unix listener's queue is full; or, to another address, no port is free, which TCP calls
 * EADDRNOTAVAIL. */
static void connect_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    pp_io_count_syscall(loop);
    if (connect(op->fd, op->addr, op->len) == 0)
        pp_io_complete(loop, op, 0);
    else if (errno == EINPROGRESS || errno == EINTR)
        poll_first(loop, op);
    else if (errno == EAGAIN && pp_io_is_unannounced(loop, op))
        pp_io_postpone(loop, op);
    else
        pp_io_complete(loop, op, errno == EAGAIN ? -EADDRNOTAVAIL : -errno);
}

static void op_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    switch ((enum pp_io_kind)op->kind) {
    case PP_IO_ACCEPT:
        accept_submit(loop, op);
        return;
    case PP_IO_CONNECT:
        connect_submit(loop, op);
        return;
    case PP_IO_RECV_POOLED:
    case PP_IO_RECV_FROM:
        recv_pooled_submit(loop, op);
        return;
    case PP_IO_SEND:
    case PP_IO_SEND_BACK:
        send_submit(loop, op);
        return;
    case PP_IO_CLOSE:
        close_submit(loop, op);
        return;
    case PP_IO_SHUTDOWN:
        pp_io_queue_push(&state_of(loop)->ends, op);
        return;
    case PP_IO_RECV:
    case PP_IO_WATCH:
        poll_first(loop, op);
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

    while ((op = pp_io_queue_pop(&state_of(loop)->ends))) {
        pp_io_count_syscall(loop);
        pp_io_complete(loop, op, shutdown(op->fd, SHUT_WR) < 0 ? -errno : 0);
    }
}

/* Which thread will run the loop is not known before it does, and only that one may submit. */
static void uring_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct uring_state *st = state_of(loop);

    if (!st->ring_enabled && io_uring_sq_space_left(&st->ring) < SQ_ENTRIES_EARLY)
        pp_io_queue_push(&st->early, op);
    else
        op_submit(loop, op);
}

static void submit_early(struct pp_io_loop *loop)
{
    struct pp_io_op *op;

    while ((op = pp_io_queue_pop(&state_of(loop)->early)))
        op_submit(loop, op);
}

/* What the kernel has of op is a poll, or a request that does not wait. A poll is found, and ends
 * with -ECANCELED, or is not (-ENOENT), because it has ended: the kernel takes it out of its table
 * in the same step as it completes. Requests are executed in order, so one that is still queued is
 * found, too, and one that op makes when it is started anew is not. So whatever a cancellation
 * comes to, op completes, and its result says nothing that is not known. */
static void uring_cancel(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct uring_state *st = state_of(loop);
    struct slot *slot = &st->slots[op->fd];

    if (pp_io_queue_remove(&st->early, op) ||
        (op->kind == PP_IO_SHUTDOWN && pp_io_queue_remove(&st->ends, op))) {
        pp_io_complete(loop, op, -ECANCELED);
        return;
    }
    if (slot->op == op) {
        slot->op = NULL;
        multishot_stop(loop, op->fd, slot);
        pp_io_complete(loop, op, -ECANCELED);
        return;
    }
    cancel_data(loop, (uint64_t)(uintptr_t)op | TAG_POLLED);
    if (is_send(op))
        cancel_data(loop, (uint64_t)(uintptr_t)op | TAG_EDGE);
}

/* ---- completions ---- */

/* The kernel calls a connect done that an ICMP error has come for; the socket knows better. */
static void connect_result(struct pp_io_loop *loop, struct pp_io_op *op)
{
    int error = 0;
    socklen_t len = sizeof error;

    pp_io_count_syscall(loop);
    if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    pp_io_complete(loop, op, -error);
}

static void on_op(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    if (res == -EAGAIN && is_send(op))
        try_later(loop, op);
    else
        pp_io_complete(loop, op, res);
}

/* Completes op with what a system call returned, or waits again. */
static void finish_now(struct pp_io_loop *loop, struct pp_io_op *op, ssize_t ret)
{
    if (ret < 0 && (errno == EAGAIN || errno == EINTR))
        poll_first(loop, op);
    else
        pp_io_complete(loop, op, ret < 0 ? -errno : (int32_t)ret);
}

static void recv_now(struct pp_io_loop *loop, struct pp_io_op *op)
{
    pp_io_count_syscall(loop);
    finish_now(loop, op, recv(op->fd, op->buf, op->len, MSG_DONTWAIT));
}

static void accept_now(struct pp_io_loop *loop, struct pp_io_op *op)
{
    int fd;

    do {
        pp_io_count_syscall(loop);
        fd = accept4(op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == ECONNABORTED);
    if (fd >= 0)
        pp_io_number_taken();
    finish_now(loop, op, fd);
}

/* Bytes have come and there is no buffer ring to receive them by. */
static void recv_pooled_now(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_io_buffers *buffers = pp_io_buffers_of(loop, op);
    const size_t bytes = buffers->pool.item_bytes;
    const bool from = op->kind == PP_IO_RECV_FROM;
    const bool is_telling = from && type_of(loop, op->fd) == TYPE_TELLING;
    char *buf = pp_pool_take(&buffers->pool);
    ssize_t ret;

    if (!buf) {
        pp_io_starve(loop, op);
        return;
    }
    pp_io_count_syscall(loop);
    ret = from ? pp_io_datagram_receive(op->fd, is_telling, buf, bytes)
               : recv(op->fd, buf, bytes, MSG_DONTWAIT);
    buffers->free--;
    if (ret > 0 || (ret == 0 && from))
        op->buf = from ? buf + PP_IO_SENDER_BYTES : buf;
    else
        uring_buffer_put(loop, buffers, buf);
    finish_now(loop, op, ret);
}

/* op, which was not cancelled, may succeed. */
static void retry(struct pp_io_loop *loop, struct pp_io_op *op, int32_t events)
{
    switch ((enum pp_io_kind)op->kind) {
    case PP_IO_CONNECT:
        connect_result(loop, op);
        return;
    case PP_IO_SEND:
    case PP_IO_SEND_BACK:
        on_send_polled(loop, op, events);
        return;
    case PP_IO_RECV:
        recv_now(loop, op);
        return;
    case PP_IO_RECV_POOLED:
    case PP_IO_RECV_FROM:
        if (state_of(loop)->buf_rings[pp_io_class_of(loop, op)])
            multishot_ask(loop, op);
        else
            recv_pooled_now(loop, op);
        return;
    case PP_IO_ACCEPT:
        if (state_of(loop)->has[FEATURE_MULTISHOT])
            multishot_ask(loop, op);
        else
            accept_now(loop, op);
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
    if (res < 0)
        pp_io_complete(loop, op, res);
    else if (op->state == PP_IO_CANCELING)
        pp_io_complete(loop, op, -ECANCELED);
    else
        retry(loop, op, res);
}

static void on_cqe(struct pp_io_loop *loop, const struct io_uring_cqe *cqe)
{
    const enum tag tag = (enum tag)(cqe->user_data & TAG_MASK);
    struct pp_io_op *op = (struct pp_io_op *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);

    switch (tag) {
    case TAG_OP:
        on_op(loop, op, cqe->res);
        return;
    case TAG_EDGE:
        on_edge(loop, op, cqe);
        return;
    case TAG_POLLED:
        on_polled(loop, op, cqe->res);
        return;
    case TAG_RECV:
    case TAG_ACCEPT:
        on_multishot(loop, cqe);
        return;
    case TAG_TIMER:
        state_of(loop)->timer_ns = PP_IO_NO_DEADLINE;
        return;
    case TAG_SEND: /* taken note of already */
    case TAG_IGNORE:
        return;
    }
}

static void note_failed_sends(struct uring_state *st, unsigned count)
{
    struct io_uring_cqe *cqe;
    unsigned head;

    io_uring_for_each_cqe(&st->ring, head, cqe)
    {
        if (count-- == 0)
            return;
        if ((cqe->user_data & TAG_MASK) == TAG_SEND)
            ((struct pp_io_op *)(uintptr_t)(cqe->user_data - TAG_SEND))->res = cqe->res;
    }
}

/* Sends are settled first: a receive in the same batch may be the answer to one of them. */
static void reap(struct pp_io_loop *loop)
{
    struct uring_state *st = state_of(loop);
    const bool overflow = io_uring_cq_has_overflow(&st->ring);
    const bool all_submitted = io_uring_sq_ready(&st->ring) == 0;
    const unsigned count = io_uring_cq_ready(&st->ring);
    unsigned left = count;
    struct io_uring_cqe *cqe;
    unsigned head;

    st->batch = count;
    if (overflow)
        pp_io_count(&loop->counters.overflows);
    if (st->sends.head) {
        note_failed_sends(st, count);
        if (!overflow && all_submitted)
            settle_sends(loop);
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
    struct uring_state *st = state_of(loop);
    const bool is_set = st->timer_ns != PP_IO_NO_DEADLINE;
    struct io_uring_sqe *sqe;

    if (deadline_ns >= st->timer_ns)
        return;
    sqe = sqe_get(loop);
    st->timer_ns = deadline_ns;
    st->timer_at.tv_sec = (long long)(deadline_ns / PP_NS_PER_S);
    st->timer_at.tv_nsec = (long long)(deadline_ns % PP_NS_PER_S);
    if (is_set)
        io_uring_prep_timeout_update(sqe, &st->timer_at, TAG_TIMER, IORING_TIMEOUT_ABS);
    else
        io_uring_prep_timeout(sqe, &st->timer_at, 0, IORING_TIMEOUT_ABS);
    sqe->user_data = is_set ? TAG_IGNORE : TAG_TIMER;
}

static int uring_poll(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct uring_state *st = state_of(loop);
    int ret = uring_enable(loop);

    if (ret < 0)
        return ret;
    submit_early(loop);
    if (st->error < 0)
        return st->error;
    pp_io_count_syscall(loop);
    if (deadline_ns == PP_IO_NO_WAIT || io_uring_cq_ready(&st->ring) || has_eager_send(st) ||
        st->ends.head || io_uring_cq_has_overflow(&st->ring)) {
        ret = io_uring_submit_and_get_events(&st->ring);
    } else {
        timer_set(loop, deadline_ns);
        ret = io_uring_submit_and_wait(&st->ring, 1);
    }
    if (ret < 0 && !is_passing(-ret))
        return ret;
    reap(loop);
    return 0;
}

/* ---- opening and closing ---- */

static int sysctl_disabled(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int value = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%d", &value) != 1)
        value = 0;
    (void)fclose(file);
    return value;
}

/* Says why the kernel refused, and what to do. */
static int refused(struct pp_error *err, int ret)
{
    struct rlimit lock = { 0 };

    if (ret == -EPERM && sysctl_disabled() > 0)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                            "io_uring is switched off (EPERM): sysctl kernel.io_uring_disabled "
                            "is %d; set it to 0",
                            sysctl_disabled());
    if (ret == -EPERM || ret == -EACCES)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                            "io_uring is not permitted (%s): a seccomp profile forbids it, as "
                            "containers do; run with one that allows io_uring_setup, "
                            "io_uring_enter and io_uring_register",
                            ret == -EPERM ? "EPERM" : "EACCES");
    if (ret == -ENOSYS)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                            "io_uring is missing (ENOSYS): the kernel is older than 5.11, or a "
                            "seccomp profile hides it");
    if (ret == -ENOMEM) {
        (void)getrlimit(RLIMIT_MEMLOCK, &lock);
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                            "io_uring got no memory (ENOMEM): the limit on locked memory is %llu "
                            "KiB; raise it with ulimit -l",
                            (unsigned long long)lock.rlim_cur / 1024);
    }
    return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret, "io_uring cannot run here: %s",
                        strerror(-ret));
}

static unsigned power_of_two_between(uint32_t n, unsigned min, unsigned max)
{
    const uint64_t size = pp_number_power_of_two(n);

    return size < min ? min : size > max ? max : (unsigned)size;
}

/* The best set-up that the kernel takes: each step asks for less. */
static int ring_setup(struct uring_state *st, const struct pp_io_options *options, bool defer)
{
    static const unsigned steps[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
            IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        0,
    };
    const unsigned sq_entries = power_of_two_between(options->connections, SQ_ENTRIES_MIN,
                                                     SQ_ENTRIES_MAX);
    int ret = -EINVAL;

    for (size_t i = defer ? 0 : 1; i < COUNT_OF(steps) && ret == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = steps[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = sq_entries * 4,
        };

        ret = io_uring_queue_init_params(sq_entries, &st->ring, &params);
        st->has[FEATURE_DEFER] = params.flags & IORING_SETUP_DEFER_TASKRUN;
        st->has[FEATURE_SKIP] = params.features & IORING_FEAT_CQE_SKIP;
        st->ring_enabled = !(params.flags & IORING_SETUP_R_DISABLED);
    }
    return ret;
}

/* As many as the kernel takes: a request has eight bits to name itself. */
#define PROBED_OPS 256

/* The kernel that brought shutdown (5.11) has all that there is no plain form for. The one that
 * brought zero-copy send (6.0) brought multishot receive, and the one that brought
 * zero-copy sendmsg (6.1) sends to an address, which no probe shows. */
static int ring_probe(struct uring_state *st)
{
    alignas(struct io_uring_probe) char
        memory[sizeof(struct io_uring_probe) + PROBED_OPS * sizeof(struct io_uring_probe_op)] = "";
    struct io_uring_probe *probe = (struct io_uring_probe *)(void *)memory;
    const int ret = io_uring_register_probe(&st->ring, probe, PROBED_OPS);

    if (ret < 0)
        return ret;
    st->has[FEATURE_MULTISHOT] = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);
    st->sends_to = io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC);
    if (!io_uring_opcode_supported(probe, IORING_OP_SHUTDOWN))
        return -ENOSYS;
    /* May enter be called at all? A ring that is not enabled yet answers EBADFD. liburing would
     * leave the call out, as there is nothing to submit. */
    if (syscall(SYS_io_uring_enter, st->ring.ring_fd, 0, 0, 0, NULL, 0) < 0 && errno != EBADFD &&
        !is_passing(errno))
        return -errno;
    return 0;
}

static size_t buf_ring_bytes(uint32_t count)
{
    return count * sizeof(struct io_uring_buf);
}

static void buf_ring_unmap(struct pp_io_loop *loop, enum pp_io_class class)
{
    struct uring_state *st = state_of(loop);

    if (st->buf_rings[class])
        (void)munmap(st->buf_rings[class], buf_ring_bytes(loop->buffers[class].pool.capacity));
    st->buf_rings[class] = NULL;
}

/* 0, or a negative errno: of those that end the set-up, -ENOMEM, err is set. */
static int buf_ring_setup(struct pp_io_loop *loop, enum pp_io_class class, struct pp_error *err)
{
    struct uring_state *st = state_of(loop);
    const uint32_t count = loop->buffers[class].pool.capacity;
    struct io_uring_buf_reg reg = { .ring_entries = count, .bgid = (uint16_t) class };
    struct io_uring_buf_ring *buf_ring;
    int ret;

    if (count > 32768)
        return -EINVAL;
    buf_ring = mmap(NULL, buf_ring_bytes(count), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* the kernel wants whole pages */
    if (buf_ring == MAP_FAILED)
        return pp_error_set(err, PP_ERROR_RUN, -errno, "no memory for a ring of buffers");
    reg.ring_addr = (uint64_t)(uintptr_t)buf_ring;
    io_uring_buf_ring_init(buf_ring);
    ret = io_uring_register_buf_ring(&st->ring, &reg, 0);
    if (ret < 0) {
        (void)munmap(buf_ring, buf_ring_bytes(count));
        return ret == -ENOMEM ? refused(err, ret) : ret;
    }
    st->buf_rings[class] = buf_ring;
    return 0;
}

static void buf_ring_fill(struct pp_io_loop *loop, struct pp_io_buffers *buffers)
{
    buffers->free = 0;
    for (uint32_t i = 0; i < buffers->pool.capacity; i++)
        uring_buffer_put(loop, buffers, pp_pool_take(&buffers->pool));
}

/* Hands the receive buffers to the kernel, for multishot requests. Where it knows no such rings,
 * they stay in the loop's pools. It is all classes or none, or a descriptor could not change over
 * from one to another. -ENOMEM is an error: of the loops of a side one would have them and another
 * not. */
static int buf_rings_setup(struct pp_io_loop *loop, struct pp_error *err)
{
    unsigned class;
    int ret;

    for (class = 0; class < PP_IO_CLASSES; class ++) {
        if (loop->buffers[class].pool.capacity == 0)
            continue;
        ret = buf_ring_setup(loop, (enum pp_io_class) class, err);
        if (ret < 0)
            goto undo;
    }
    for (class = 0; class < PP_IO_CLASSES; class ++)
        if (loop->buffers[class].pool.capacity > 0)
            buf_ring_fill(loop, &loop->buffers[class]);
    return 0;

undo:
    while (class -- > 0) {
        if (!state_of(loop)->buf_rings[class])
            continue;
        (void)io_uring_unregister_buf_ring(&state_of(loop)->ring, (int)class);
        buf_ring_unmap(loop, (enum pp_io_class) class);
    }
    return ret == -ENOMEM ? ret : 0;
}

static void describe(struct pp_io_loop *loop)
{
    const struct uring_state *st = state_of(loop);
    const bool multishot = st->has[FEATURE_MULTISHOT];

    (void)snprintf(loop->description, sizeof loop->description, "io_uring: %s, %s, %s, %s",
                   multishot ? "multishot" : "single-shot",
                   st->buf_rings[PP_IO_SMALL] ? "buffer ring" : "no buffer ring",
                   st->has[FEATURE_DEFER] ? "deferred task work" : "task work at any time",
                   st->plain_sends         ? "plain sends"
                   : st->has[FEATURE_SKIP] ? "silent sends"
                                           : "announced sends");
}

/* Connections that the kernel has accepted and nobody will ask for any more. */
static void close_accepted(struct pp_io_loop *loop)
{
    struct uring_state *st = state_of(loop);
    struct io_uring_cqe *cqe;
    unsigned head;

    io_uring_for_each_cqe(&st->ring, head, cqe)
    {
        if ((cqe->user_data & TAG_MASK) == TAG_ACCEPT && cqe->res >= 0)
            (void)close(cqe->res);
    }
    for (uint32_t fd = 0; st->slots && fd < st->slots_used; fd++)
        if (st->slots[fd].kind == PP_IO_ACCEPT)
            drop_held(loop, &st->slots[fd]);
}

static void uring_close(struct pp_io_loop *loop)
{
    struct uring_state *st = state_of(loop);

    close_accepted(loop);
    io_uring_queue_exit(&st->ring);
    for (unsigned i = 0; i < PP_IO_CLASSES; i++)
        buf_ring_unmap(loop, (enum pp_io_class)i);
    pp_memory_free(st->held_buffers);
    pp_memory_free(st->slots);
}

static int uring_open(struct pp_io_loop *loop, const struct pp_io_options *options,
                      uint32_t without, struct pp_error *err)
{
    struct uring_state *st = state_of(loop);
    int ret;

    st->timer_ns = PP_IO_NO_DEADLINE;
    st->sender_only.msg_namelen = PP_IO_SENDER_NAME_BYTES;
    st->told.msg_namelen = PP_IO_TOLD_NAME_BYTES;
    st->told.msg_controllen = PP_IO_TOLD_CONTROL_BYTES;
    ret = ring_setup(st, options, !(without >> FEATURE_DEFER & 1));
    if (ret < 0)
        return refused(err, ret);
    ret = ring_probe(st);
    if (ret < 0) {
        (void)refused(err, ret);
        goto fail;
    }
    st->slots = pp_memory_alloc(loop->fds_max, sizeof *st->slots);
    st->held_buffers = pp_memory_alloc(pp_io_loop_buffers(loop), sizeof *st->held_buffers);
    if (!st->slots || !st->held_buffers) {
        ret = pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u descriptors",
                           loop->fds_max);
        goto fail;
    }
    for (unsigned i = 0; i < FEATURE_COUNT; i++)
        st->has[i] = st->has[i] && !(without >> i & 1);
    st->sends_to = st->sends_to && st->has[FEATURE_SKIP];
    if (st->has[FEATURE_MULTISHOT] && !(without >> FEATURE_BUFFER_RING & 1)) {
        ret = buf_rings_setup(loop, err);
        if (ret < 0)
            goto fail;
    }
    /* While the loop looks again and again, messages may be few, and a plain send is the shorter
     * way; without deferred task work it would be interrupted by its own answer. */
    st->plain_sends = st->has[FEATURE_DEFER] && options->wait != PP_IO_WAIT_BLOCK;
    describe(loop);
    return 0;

fail:
    uring_close(loop);
    return ret;
}

const struct pp_io_engine pp_io_engine_io_uring = {
    .name = "io_uring",
    .rank = { .few = 1, .many = 2 },
    .features = { [FEATURE_MULTISHOT] = "multishot",
                  [FEATURE_BUFFER_RING] = "buffer-ring",
                  [FEATURE_DEFER] = "defer",
                  [FEATURE_SKIP] = "skip" },
    .state_size = sizeof(struct uring_state),
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .poll = uring_poll,
    .buffer_put = uring_buffer_put,
};
