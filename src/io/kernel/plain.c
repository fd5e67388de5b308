/* Operations by plain system calls that do not wait: what every engine on the kernel falls back on,
 * and some do nothing else. */
#include "base/assert.h"
#include "io/engine.h"
#include "io/kernel/kernel.h"
#include "io/reuse.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* What is interrupted, or finds a client gone that it was to accept, is tried so many times at
 * once: there is no end to either if others want it so. */
#define TRIES_MAX 16

static int32_t result_of(struct pp_io_loop *loop, ssize_t ret)
{
    pp_io_count_syscall(loop);
    return ret < 0 ? -errno : (int32_t)ret;
}

/* ---- kinds of sockets ---- */

static enum pp_io_type ask_type(struct pp_io_loop *loop, int fd)
{
    int type;
    socklen_t len = sizeof type;

    pp_io_count_syscall(loop);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type == SOCK_STREAM)
        return PP_IO_STREAM;
    return pp_kernel_is_telling(loop, fd) ? PP_IO_TELLING : PP_IO_SILENT;
}

enum pp_io_type pp_io_type_of(struct pp_io_loop *loop, int fd)
{
    uint8_t *type = &loop->types[fd];

    pp_assert(fd >= 0 && (uint32_t)fd < loop->fds_max);
    if (*type == PP_IO_UNKNOWN)
        *type = (uint8_t)ask_type(loop, fd);
    return (enum pp_io_type) * type;
}

/* ---- trying ---- */

static int32_t try_accept(struct pp_io_loop *loop, const struct pp_io_op *op)
{
    struct pp_io_addr *peer = op->peer;
    int32_t res;

    if (peer)
        peer->len = sizeof peer->un;
    res = result_of(loop, accept4(op->fd, peer ? &peer->any : NULL, peer ? &peer->len : NULL,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (res >= 0)
        pp_io_number_taken();
    return res;
}

void pp_io_ask_peer(struct pp_io_loop *loop, int fd, struct pp_io_addr *peer)
{
    peer->len = sizeof peer->un;
    if (result_of(loop, getpeername(fd, &peer->any, &peer->len)) < 0)
        peer->len = 0;
}

/* Begins, with op->res other than -EINPROGRESS, or asks what has become of it: the kernel calls a
 * connect done that an ICMP error has come for, and the socket knows better. */
static int32_t try_connect(struct pp_io_loop *loop, struct pp_io_op *op)
{
    int error = 0;
    socklen_t len = sizeof error;
    int32_t res;

    pp_assert(op->addr);
    if (op->res == -EINPROGRESS) {
        res = result_of(loop, getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &len));
        return res < 0 ? res : -error;
    }
    res = result_of(loop, connect(op->fd, op->addr, op->len));
    if (res == -EAGAIN && op->addr->sa_family != AF_UNIX)
        return -EADDRNOTAVAIL; /* UDP's word for it: no port is free, and no event tells */
    if (res != -EINPROGRESS && res != -EINTR)
        return res;
    op->res = -EINPROGRESS;
    return -EAGAIN;
}

/* Into a buffer of the loop's. An empty datagram is something, an empty stream is not. */
static int32_t try_recv_pooled(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct pp_io_buffers *buffers = pp_io_buffers_of(loop, op);
    const size_t bytes = buffers->pool.item_bytes;
    const bool from = op->kind == PP_IO_RECV_FROM;
    const bool is_telling = from && pp_io_type_of(loop, op->fd) == PP_IO_TELLING;
    char *buf = pp_pool_take(&buffers->pool);
    int32_t res;

    if (!buf)
        return -ENOBUFS;
    res = result_of(loop, from ? pp_kernel_receive_from(op->fd, is_telling, buf, bytes)
                               : recv(op->fd, buf, bytes, MSG_DONTWAIT));
    if (res < 0 || (res == 0 && !from)) {
        pp_pool_give(&buffers->pool, buf);
        return res;
    }
    pp_assert(buffers->free > 0);
    buffers->free--;
    op->buf = from ? buf + PP_IO_SENDER_BYTES : buf;
    return res;
}

static int32_t try_watch(struct pp_io_loop *loop, const struct pp_io_op *op)
{
    struct pollfd poll_fd = { .fd = op->fd, .events = POLLIN };
    const int32_t res = result_of(loop, poll(&poll_fd, 1, 0));

    return res == 0 ? -EAGAIN : res < 0 ? res : 0;
}

static int32_t try_once(struct pp_io_loop *loop, struct pp_io_op *op)
{
    switch ((enum pp_io_kind)op->kind) {
    case PP_IO_ACCEPT:
        return try_accept(loop, op);
    case PP_IO_CONNECT:
        return try_connect(loop, op);
    case PP_IO_RECV:
        return result_of(loop, recv(op->fd, op->buf, op->len, MSG_DONTWAIT));
    case PP_IO_RECV_POOLED:
    case PP_IO_RECV_FROM:
        return try_recv_pooled(loop, op);
    case PP_IO_SEND:
        return result_of(loop, send(op->fd, op->buf, op->len, MSG_DONTWAIT | MSG_NOSIGNAL));
    case PP_IO_SEND_BACK:
        return result_of(loop, pp_kernel_send_back(op));
    case PP_IO_SHUTDOWN:
        return result_of(loop, shutdown(op->fd, SHUT_WR));
    case PP_IO_CLOSE:
        return result_of(loop, close(op->fd));
    case PP_IO_WATCH:
        return try_watch(loop, op);
    case PP_IO_TIMER:
    case PP_IO_WAKE:
        break;
    }
    pp_assert(!"an operation that the loop keeps to itself");
    return -EINVAL;
}

/* Whether the next try may go better at once. A close that was interrupted has closed. */
static bool is_passing(const struct pp_io_op *op, int32_t res)
{
    return (res == -EINTR && op->kind != PP_IO_CLOSE) ||
           (res == -ECONNABORTED && op->kind == PP_IO_ACCEPT);
}

int32_t pp_io_try(struct pp_io_loop *loop, struct pp_io_op *op)
{
    unsigned tries = 0;
    int32_t res;

    pp_assert(op->state == PP_IO_ARMED);
    do
        res = try_once(loop, op);
    while (is_passing(op, res) && ++tries < TRIES_MAX);
    return res;
}

/* ---- waiting ---- */

short pp_io_waits_for(const struct pp_io_op *op)
{
    pp_assert(op->kind != PP_IO_SHUTDOWN && op->kind != PP_IO_CLOSE);
    return pp_io_is_send(op) || op->kind == PP_IO_CONNECT ? POLLOUT : POLLIN;
}

static bool is_writable(struct pp_io_loop *loop, int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

    pp_io_count_syscall(loop);
    return poll(&poll_fd, 1, 0) > 0;
}

/* A socket that could send, and did not, was refused by the receiver's. */
bool pp_io_is_unannounced(struct pp_io_loop *loop, const struct pp_io_op *op)
{
    if (op->kind == PP_IO_CONNECT)
        return op->addr->sa_family == AF_UNIX;
    return op->kind == PP_IO_SEND_BACK && pp_io_sender(op->buf)->any.sa_family == AF_UNIX &&
           is_writable(loop, op->fd);
}

bool pp_io_settle(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    const bool again = res == -EAGAIN || is_passing(op, res);

    pp_assert(op->state == PP_IO_ARMED || op->state == PP_IO_CANCELING);
    if (again && op->state == PP_IO_CANCELING)
        pp_io_complete(loop, op, -ECANCELED);
    else if (again && (res != -EAGAIN || pp_io_is_unannounced(loop, op)))
        pp_io_postpone(loop, op);
    else if (again)
        return false;
    else if (res == -ENOBUFS && pp_io_takes_buffer(op))
        pp_io_starve(loop, op);
    else
        pp_io_complete(loop, op, res);
    return true;
}
