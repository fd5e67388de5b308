/* The epoll engine: readiness turned into completions with plain system calls.
 *
 * A descriptor is registered once, edge-triggered, for reading, and once more for writing where
 * that ever has to wait. A request is tried when the descriptor is not known to be dry (receive) or
 * full (send), and waits for the next edge where the kernel says EAGAIN or, for a receive on a
 * stream, gave less than was asked for: the stream is dry then, and one system call is saved.
 *
 * While the loop spins and only a few receives wait, they are tried directly and epoll is left out.
 * A descriptor that is only ever tried so is not even registered, because the bookkeeping of the
 * epoll set costs each arriving message about 2 %. */
#include "base/assert.h"
#include "base/memory.h"
#include "io/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_POLL 256

/* Receives that are tried directly while the loop spins. */
#define HOT_MAX 4

/* Every so many direct looks epoll is asked besides, for accepts, wakes and sends. */
#define DIRECT_LOOKS_MAX 64

/* After so many receives in a row without sleeping, a hot descriptor leaves the epoll set again. */
#define DIRECT_STREAK 1024

/* Every so many datagrams that were found by direct looks, one is looked for behind it: a prime, or
 * it might always be the last of a burst. */
#define LONE_DATAGRAMS 61

/* One that was found there is worth so many more looks behind others. */
#define BURSTY_LOOKS 16

enum fd_flag {
    FD_REGISTERED = 1,
    FD_READABLE = 2,   /* may have something to read; without it, the next edge tells */
    FD_FULL = 4,       /* a send or connect has to wait for the next edge */
    FD_HUNG_UP = 8,    /* the end of the stream, or an error, is yet to be read: no more edges */
    FD_TELLS_ROOM = 16 /* registered for sending, too */
};

/* Kept apart from each other so that an idle connection costs 9 bytes here. */
struct epoll_state {
    int epoll_fd;
    int timer_fd;
    uint64_t timer_ns;         /* what timer_fd is set to; PP_IO_NO_DEADLINE when it is not */
    struct pp_io_op **waiting; /* by descriptor: the operations that wait for an edge */
    uint8_t *flags;            /* by descriptor: enum fd_flag */
    uint32_t receives;         /* receives that wait */
    uint32_t hot_count;
    struct pp_io_op *hot[HOT_MAX]; /* the first of them */
    uint32_t looks;                /* direct ones since epoll was last asked */
    uint32_t streak;               /* direct receives since the last sleep */
    uint32_t lone;                 /* datagrams that were not looked behind */
    uint32_t bursty;               /* looks behind one that are still worth it */
    struct epoll_event events[EVENTS_PER_POLL];
};

static struct epoll_state *state_of(struct pp_io_loop *loop)
{
    return (struct epoll_state *)(void *)loop->engine_state;
}

static bool is_stream(struct pp_io_loop *loop, int fd)
{
    return pp_io_type_of(loop, fd) == PP_IO_STREAM;
}

/* ---- trying ---- */

/* Whether a receive that gave res has left nothing behind. A short datagram does not say so: the
 * next one may stand behind it. */
static bool has_run_dry(struct pp_io_loop *loop, const struct pp_io_op *op, int32_t res)
{
    const size_t wanted = op->kind == PP_IO_RECV ? op->len
                                                 : pp_io_buffers_of(loop, op)->pool.item_bytes;

    pp_assert(pp_io_is_receive(op));
    if (res == (int32_t)wanted || state_of(loop)->flags[op->fd] & FD_HUNG_UP)
        return false;
    return res == -EAGAIN || (res >= 0 && is_stream(loop, op->fd));
}

/* What op's coming to res says of its descriptor. That a datagram has to wait says nothing: another
 * one's receiver may have room. */
static void note_try(struct pp_io_loop *loop, const struct pp_io_op *op, int32_t res)
{
    uint8_t *flags = &state_of(loop)->flags[op->fd];

    switch ((enum pp_io_kind)op->kind) {
    case PP_IO_RECV:
    case PP_IO_RECV_POOLED:
    case PP_IO_RECV_FROM:
        if (has_run_dry(loop, op, res))
            *flags &= (uint8_t)~FD_READABLE;
        return;
    case PP_IO_ACCEPT:
        if (res == -EAGAIN)
            *flags &= (uint8_t)~FD_READABLE;
        return;
    case PP_IO_CONNECT:
        if (res == -EAGAIN && op->res == -EINPROGRESS)
            *flags |= FD_FULL;
        return;
    case PP_IO_SEND:
        if (res == -EAGAIN)
            *flags |= FD_FULL;
        return;
    case PP_IO_WATCH:
        *flags &= (uint8_t)~FD_READABLE;
        return;
    case PP_IO_SEND_BACK:
    case PP_IO_SHUTDOWN:
    case PP_IO_CLOSE:
    case PP_IO_TIMER:
    case PP_IO_WAKE:
        return;
    }
}

/* The operation's result, or -EAGAIN when it has to wait for an edge, or -ENOBUFS for a buffer. An
 * edge is all that a watch waits for. */
static int32_t op_try(struct pp_io_loop *loop, struct pp_io_op *op)
{
    const int32_t res = op->kind == PP_IO_WATCH ? 0 : pp_io_try(loop, op);

    note_try(loop, op, res);
    return res;
}

/* Whether a try could succeed, as far as the edges so far tell. */
static bool may_succeed(const struct epoll_state *st, const struct pp_io_op *op)
{
    const uint8_t flags = st->flags[op->fd];

    pp_assert(!(flags & FD_TELLS_ROOM) || flags & FD_REGISTERED);
    switch ((enum pp_io_kind)op->kind) {
    case PP_IO_ACCEPT:
    case PP_IO_RECV:
    case PP_IO_RECV_POOLED:
    case PP_IO_RECV_FROM:
    case PP_IO_WATCH:
        return flags & FD_READABLE;
    case PP_IO_CONNECT:
    case PP_IO_SEND:
    case PP_IO_SEND_BACK:
        return !(flags & FD_FULL);
    case PP_IO_SHUTDOWN:
    case PP_IO_CLOSE:
    case PP_IO_TIMER:
    case PP_IO_WAKE:
        break;
    }
    return true;
}

/* ---- waiting for an edge ---- */

/* Edges for sending are asked for once something has had to wait for one, and from then on: a
 * datagram or Unix socket has one each time that its receiver has taken a message. */
static int fd_register(struct pp_io_loop *loop, int fd, bool for_sending)
{
    struct epoll_state *st = state_of(loop);
    const uint8_t wanted = for_sending ? FD_REGISTERED | FD_TELLS_ROOM : FD_REGISTERED;
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd };

    if ((st->flags[fd] & wanted) == wanted)
        return 0;
    if (for_sending)
        event.events |= EPOLLOUT;
    pp_io_count_syscall(loop);
    if (epoll_ctl(st->epoll_fd, st->flags[fd] & FD_REGISTERED ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
                  &event) < 0)
        return -errno;
    st->flags[fd] |= wanted;
    return 0;
}

static void fd_unregister(struct pp_io_loop *loop, int fd)
{
    struct epoll_state *st = state_of(loop);

    pp_assert(!st->waiting[fd]); /* it would wait for ever */
    if (!(st->flags[fd] & FD_REGISTERED))
        return;
    pp_io_count_syscall(loop);
    (void)epoll_ctl(st->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    st->flags[fd] &= (uint8_t) ~(FD_REGISTERED | FD_TELLS_ROOM);
}

static void unheat(struct epoll_state *st, const struct pp_io_op *op)
{
    pp_assert(st->receives > 0 && st->hot_count <= st->receives);
    st->receives--;
    for (uint32_t i = 0; i < st->hot_count; i++) {
        if (st->hot[i] == op) {
            st->hot[i] = st->hot[--st->hot_count];
            return;
        }
    }
}

static void wait_end(struct epoll_state *st, struct pp_io_op *op)
{
    struct pp_io_op **at = &st->waiting[op->fd];

    while (*at != op) {
        pp_assert(*at);
        at = &(*at)->next;
    }
    *at = op->next;
    if (pp_io_is_receive(op))
        unheat(st, op);
}

/* A receive of a loop that spins may do without epoll, if it is one of a few. */
static bool heat(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct epoll_state *st = state_of(loop);

    pp_assert(pp_io_is_receive(op) && st->hot_count <= HOT_MAX);
    st->receives++;
    if (loop->waiter.policy == PP_IO_WAIT_BLOCK || st->hot_count == HOT_MAX)
        return false;
    st->hot[st->hot_count++] = op;
    return true;
}

static void wait_begin(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct epoll_state *st = state_of(loop);
    int ret;

    pp_assert(op->state == PP_IO_ARMED);
    op->next = st->waiting[op->fd];
    st->waiting[op->fd] = op;
    if (pp_io_is_receive(op) && heat(loop, op))
        return;
    ret = fd_register(loop, op->fd, pp_io_waits_for(op) == POLLOUT);
    if (ret == 0)
        return;
    wait_end(st, op);
    pp_io_complete(loop, op, ret);
}

/* Tries an operation that waits. */
static void retry(struct pp_io_loop *loop, struct pp_io_op *op)
{
    const int32_t res = op_try(loop, op);

    if (res == -EAGAIN && op->kind != PP_IO_SEND_BACK)
        return;
    wait_end(state_of(loop), op);
    if (!pp_io_settle(loop, op, res))
        wait_begin(loop, op);
}

static void on_edge(struct pp_io_loop *loop, int fd, uint32_t events)
{
    struct epoll_state *st = state_of(loop);
    struct pp_io_op *next;

    pp_assert(fd >= 0 && (uint32_t)fd < loop->fds_max);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        st->flags[fd] |= FD_READABLE;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) && is_stream(loop, fd))
        st->flags[fd] |= FD_HUNG_UP; /* to datagrams an error is a passing thing */
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        st->flags[fd] &= (uint8_t)~FD_FULL;
    for (struct pp_io_op *op = st->waiting[fd]; op; op = next) {
        next = op->next;
        if (may_succeed(st, op))
            retry(loop, op);
    }
}

/* ---- the hooks ---- */

/* There was one more datagram at once. It counts as a look, so that a socket which never runs dry
 * does not keep epoll from being asked. */
static void note_burst(struct epoll_state *st)
{
    pp_assert(st->bursty <= BURSTY_LOOKS);
    st->bursty = BURSTY_LOOKS;
    st->looks++;
}

static void epoll_submit(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct epoll_state *st = state_of(loop);
    int32_t res;

    if (op->kind == PP_IO_CLOSE) {
        pp_assert(!st->waiting[op->fd]);
        st->flags[op->fd] = 0; /* closing takes the descriptor out of the epoll set */
    }
    if (!may_succeed(st, op)) {
        wait_begin(loop, op);
        return;
    }
    res = op_try(loop, op);
    if (pp_io_is_receive(op) && res >= 0 && loop->types[op->fd] > PP_IO_STREAM)
        note_burst(st);
    if (!pp_io_settle(loop, op, res))
        wait_begin(loop, op);
}

static void epoll_cancel(struct pp_io_loop *loop, struct pp_io_op *op)
{
    pp_assert(op->state == PP_IO_CANCELING);
    wait_end(state_of(loop), op);
    pp_io_complete(loop, op, -ECANCELED);
}

static void epoll_buffer_put(struct pp_io_loop *loop, struct pp_io_buffers *buffers, char *buf)
{
    (void)loop;
    pp_assert(buffers->free < buffers->pool.capacity);
    pp_pool_give(&buffers->pool, buf);
    buffers->free++;
}

/* What a direct look has found on fd says nothing of what is behind it, if it is a datagram. Trying
 * at once costs a system call where there is none, and a look a message where there are many. */
static void look_behind(struct pp_io_loop *loop, int fd)
{
    struct epoll_state *st = state_of(loop);

    if (is_stream(loop, fd))
        return;
    if (st->bursty > 0)
        st->bursty--;
    else if (++st->lone % LONE_DATAGRAMS > 0)
        return;
    st->flags[fd] |= FD_READABLE;
}

/* The few receives there are, tried one by one. */
static void look_directly(struct pp_io_loop *loop)
{
    struct epoll_state *st = state_of(loop);

    pp_assert(st->hot_count == st->receives); /* or one would never be looked at */
    st->looks++;
    for (uint32_t i = st->hot_count; i-- > 0;) {
        struct pp_io_op *op = st->hot[i];
        const int fd = op->fd;

        retry(loop, op);
        if (op->state != PP_IO_DONE)
            continue;
        look_behind(loop, fd);
        if (++st->streak % DIRECT_STREAK == 0 && !st->waiting[fd])
            fd_unregister(loop, fd); /* a send that waits would wait for ever */
    }
}

static int timer_set(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct epoll_state *st = state_of(loop);
    struct itimerspec at = { 0 };

    if (deadline_ns == st->timer_ns)
        return 0;
    if (deadline_ns != PP_IO_NO_DEADLINE) {
        at.it_value.tv_sec = (time_t)(deadline_ns / 1000000000);
        at.it_value.tv_nsec = (long)(deadline_ns % 1000000000);
    }
    pp_io_count_syscall(loop);
    if (timerfd_settime(st->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) < 0)
        return -errno;
    st->timer_ns = deadline_ns;
    return 0;
}

/* Epoll is about to be relied on: no receive may be left out of its set. */
static void register_hot(struct pp_io_loop *loop)
{
    struct epoll_state *st = state_of(loop);

    for (uint32_t i = st->hot_count; i-- > 0;) {
        struct pp_io_op *op = st->hot[i];
        const int ret = fd_register(loop, op->fd, false);

        if (ret < 0) {
            wait_end(st, op);
            pp_io_complete(loop, op, ret);
        }
    }
}

static int ask_epoll(struct pp_io_loop *loop, int timeout_ms)
{
    struct epoll_state *st = state_of(loop);
    int count;

    st->looks = 0;
    pp_io_count_syscall(loop);
    count = epoll_wait(st->epoll_fd, st->events, EVENTS_PER_POLL, timeout_ms);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        if (st->events[i].data.fd == st->timer_fd)
            st->timer_ns = PP_IO_NO_DEADLINE;
        else
            on_edge(loop, st->events[i].data.fd, st->events[i].events);
    }
    return 0;
}

static int epoll_sleep(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    int ret;

    pp_assert(deadline_ns != PP_IO_NO_WAIT);
    state_of(loop)->streak = 0;
    register_hot(loop);
    ret = timer_set(loop, deadline_ns);
    if (ret < 0)
        return ret;
    return ask_epoll(loop, pp_io_has_done(loop) ? 0 : -1);
}

static int epoll_poll(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct epoll_state *st = state_of(loop);
    int ret = 0;

    if (deadline_ns != PP_IO_NO_WAIT)
        return epoll_sleep(loop, deadline_ns);
    if (st->hot_count == 0 || st->hot_count < st->receives) {
        register_hot(loop);
        return ask_epoll(loop, 0);
    }
    if (st->looks >= DIRECT_LOOKS_MAX || pp_io_has_done(loop)) /* the busy are not to be alone */
        ret = ask_epoll(loop, 0);
    look_directly(loop);
    return ret;
}

/* ---- opening and closing ---- */

static void epoll_close(struct pp_io_loop *loop)
{
    struct epoll_state *st = state_of(loop);

    if (st->timer_fd >= 0)
        (void)close(st->timer_fd);
    if (st->epoll_fd >= 0)
        (void)close(st->epoll_fd);
    pp_memory_free(st->waiting);
    pp_memory_free(st->flags);
}

static int epoll_open(struct pp_io_loop *loop, const struct pp_io_options *options, uint32_t wanted,
                      struct pp_error *err)
{
    struct epoll_state *st = state_of(loop);
    int ret;

    (void)options;
    (void)wanted;
    st->timer_ns = PP_IO_NO_DEADLINE;
    st->timer_fd = -1;
    st->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (st->epoll_fd >= 0)
        st->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (st->timer_fd < 0) {
        ret = pp_error_set(err, PP_ERROR_UNAVAILABLE, -errno, "engine epoll cannot run here: %s",
                           strerror(errno));
        goto fail;
    }
    st->waiting = pp_memory_alloc(loop->fds_max, sizeof *st->waiting);
    st->flags = pp_memory_alloc(loop->fds_max, sizeof *st->flags);
    if (!st->waiting || !st->flags) {
        ret = pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u descriptors",
                           loop->fds_max);
        goto fail;
    }
    ret = fd_register(loop, st->timer_fd, false);
    if (ret < 0) {
        (void)pp_error_set(err, PP_ERROR_UNAVAILABLE, ret, "engine epoll cannot run here: %s",
                           strerror(-ret));
        goto fail;
    }
    (void)snprintf(loop->description, sizeof loop->description, "epoll: edge-triggered");
    return 0;

fail:
    epoll_close(loop);
    return ret;
}

const struct pp_io_engine pp_io_engine_epoll = {
    .name = "epoll",
    .rank = { .few = 2, .many = 1 },
    .state_size = sizeof(struct epoll_state),
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .poll = epoll_poll,
    .buffer_put = epoll_buffer_put,
};
