#include "job/control.h"

#include "base/clock.h"
#include "job/interrupt.h"
#include "wire/datagram.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS (500 * PP_NS_PER_MS)

static_assert(PATIENCE_NS < PP_NS_PER_S, "it is a number of nanoseconds in a timespec");

/* A datagram may be lost on its way. */
#define TRIES 3

#define MESSAGE_BYTES (PP_DATAGRAM_HEADER_BYTES + PP_HELLO_BYTES)

/* When to stop waiting: then, or if a signal comes that had not come before. After one, what the
 * server has to say still belongs to the result. */
struct limit {
    uint64_t deadline_ns;
    int signal;
};

/* So long from now on, and not beyond deadline_ns. */
static struct limit limit_in(uint64_t patience_ns, uint64_t deadline_ns)
{
    const uint64_t end_ns = pp_clock_now_ns() + patience_ns;

    return (struct limit){ .deadline_ns = end_ns < deadline_ns ? end_ns : deadline_ns,
                           .signal = pp_interrupt_signal() };
}

/* Waits until fd is ready for events. No signal can come between the look at it and the wait. */
static int wait_for(int fd, short events, const struct limit *limit)
{
    struct pollfd poll_fd = { .fd = fd, .events = events };
    sigset_t all, before;
    int ret = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    while (ret == 0) {
        const uint64_t now_ns = pp_clock_now_ns();
        struct timespec left;

        if (pp_interrupt_signal() != limit->signal)
            ret = -ECANCELED;
        else if (now_ns >= limit->deadline_ns)
            ret = -ETIMEDOUT;
        if (ret < 0)
            break;
        left = (struct timespec){ .tv_nsec = (long)(limit->deadline_ns - now_ns) };
        ret = ppoll(&poll_fd, 1, &left, &before);
        if (ret < 0)
            ret = errno == EINTR ? 0 : -errno;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret < 0 ? ret : 0;
}

static int finish_connecting(int fd, uint64_t deadline_ns)
{
    const struct limit limit = limit_in(PATIENCE_NS, deadline_ns);
    int error = 0;
    socklen_t len = sizeof error;
    int ret = wait_for(fd, POLLOUT, &limit);

    if (ret == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        ret = -errno;
    return ret < 0 ? ret : -error;
}

int pp_control_open(struct pp_control *control, const struct pp_plan *plan,
                    const struct pp_io_addr *addr, const struct pp_io_addr *source,
                    uint64_t deadline_ns)
{
    int ret = 0;

    control->dgram = plan->socket.dgram;
    control->asked = false;
    control->number = 0;
    control->fd = pp_io_kernel.socket(addr, &plan->socket, source, NULL);
    if (control->fd < 0)
        return control->fd;
    if (connect(control->fd, &addr->any, addr->len) < 0)
        ret = errno == EINPROGRESS ? finish_connecting(control->fd, deadline_ns) : -errno;
    if (ret < 0)
        pp_control_close(control);
    return ret;
}

/* Sends all of data, or as much as goes out before the deadline. */
static int send_all(int fd, const char *data, size_t bytes, const struct limit *limit)
{
    while (bytes > 0) {
        const ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        int ret;

        if (sent >= 0) {
            data += sent;
            bytes -= (size_t)sent;
            continue;
        }
        ret = errno == EAGAIN ? wait_for(fd, POLLOUT, limit) : -errno;
        if (ret < 0 && ret != -EINTR)
            return ret;
    }
    return 0;
}

/* One piece of what comes: how many bytes, 0 at the end of the stream, or a negative errno. */
static int receive(int fd, char *data, size_t bytes, const struct limit *limit)
{
    for (;;) {
        const int ret = wait_for(fd, POLLIN, limit);
        ssize_t got;

        if (ret < 0)
            return ret;
        got = recv(fd, data, bytes, MSG_DONTWAIT);
        if (got >= 0)
            return (int)got;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
}

static int ask_by_stream(struct pp_control *control, char data[PP_HELLO_BYTES],
                         uint64_t deadline_ns)
{
    const struct limit limit = limit_in(PATIENCE_NS, deadline_ns);
    const int fd = control->fd;
    int ret = control->asked ? 0 : send_all(fd, data, PP_HELLO_BYTES, &limit);

    for (size_t have = 0; ret >= 0 && have < PP_HELLO_BYTES; have += (size_t)ret) {
        ret = receive(fd, data + have, PP_HELLO_BYTES - have, &limit);
        if (ret == 0)
            return -EPROTO; /* it has hung up on what it did not understand */
        if (ret > 0 && !pp_hello_reply_may_begin(data, (uint32_t)have + (uint32_t)ret))
            return -EPROTO; /* an echo, or another service's error: nothing more to wait for */
    }
    return ret < 0 ? ret : 0;
}

/* ---- by datagrams ---- */

static int send_numbered(int fd, uint64_t number, const char data[PP_HELLO_BYTES])
{
    const struct pp_datagram header = { .kind = PP_DATAGRAM_HELLO,
                                        .reply_bytes = MESSAGE_BYTES,
                                        .number = number };
    char message[MESSAGE_BYTES];

    pp_datagram_write(&header, message);
    memcpy(message + PP_DATAGRAM_HEADER_BYTES, data, PP_HELLO_BYTES);
    return send(fd, message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* One reply and its number, whichever it answers. */
static int receive_numbered(int fd, uint64_t *number, char data[PP_HELLO_BYTES],
                            const struct limit *limit)
{
    char message[MESSAGE_BYTES + 1]; /* one that is longer is seen to be */
    struct pp_datagram header;
    const int got = receive(fd, message, sizeof message, limit);

    if (got < 0)
        return got;
    if (got != MESSAGE_BYTES || !pp_datagram_read(&header, message, (uint32_t)got) ||
        header.kind != PP_DATAGRAM_HELLO_REPLY)
        return -EPROTO;
    memcpy(data, message + PP_DATAGRAM_HEADER_BYTES, PP_HELLO_BYTES);
    *number = header.number;
    return 0;
}

/* A reply that comes late or twice may still be there when the next question is asked: only those
 * to numbers from first on are for this one. */
static int ask_once_by_datagram(struct pp_control *control, uint64_t first,
                                const char hello[PP_HELLO_BYTES], char data[PP_HELLO_BYTES],
                                uint64_t deadline_ns)
{
    const struct limit limit = limit_in(PATIENCE_NS / TRIES, deadline_ns);
    uint64_t number = 0;
    int ret = control->asked ? 0 : send_numbered(control->fd, ++control->number, hello);

    control->asked = false;
    while (ret == 0 && (number < first || number > control->number))
        ret = receive_numbered(control->fd, &number, data, &limit);
    return ret;
}

static int ask_by_datagram(struct pp_control *control, char data[PP_HELLO_BYTES],
                           uint64_t deadline_ns)
{
    const uint64_t first = control->number + !control->asked;
    char hello[PP_HELLO_BYTES];
    int ret = -ETIMEDOUT;

    memcpy(hello, data, sizeof hello);
    for (unsigned i = 0; i < TRIES && ret == -ETIMEDOUT; i++)
        ret = ask_once_by_datagram(control, first, hello, data, deadline_ns);
    return ret;
}

void pp_control_ask_ahead(struct pp_control *control)
{
    const struct pp_hello hello = { 0 };
    const struct limit at_once = { .signal = pp_interrupt_signal() };
    char data[PP_HELLO_BYTES];
    int ret;

    if (control->fd < 0)
        return;
    (void)pp_hello_write(&hello, data);
    if (control->dgram)
        ret = send_numbered(control->fd, ++control->number, data);
    else
        ret = send_all(control->fd, data, sizeof data, &at_once);
    control->asked = ret == 0;
    if (ret < 0)
        pp_control_close(control);
}

int pp_control_ask(struct pp_control *control, struct pp_hello_reply *reply, uint64_t deadline_ns)
{
    const struct pp_hello hello = { 0 };
    char data[PP_HELLO_BYTES];
    int ret;

    if (control->fd < 0)
        return -ENOTCONN;
    (void)pp_hello_write(&hello, data);
    if (control->dgram)
        ret = ask_by_datagram(control, data, deadline_ns);
    else
        ret = ask_by_stream(control, data, deadline_ns);
    control->asked = false;
    if (ret == 0 && pp_hello_reply_read(reply, data) < 0)
        ret = -EPROTO;
    if (ret < 0)
        pp_control_close(control);
    return ret;
}

void pp_control_close(struct pp_control *control)
{
    if (control->fd >= 0)
        (void)close(control->fd);
    control->fd = -1;
}
