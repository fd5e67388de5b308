/* Addresses; one operation on a loop of its own, as far ends have it; sockets and their options;
 * what far ends do; and plain calls, for where neither a loop nor an assertion can be. */
#include "sockets.h"

#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE /* Linux 6.3 */
#define IP_LOCAL_PORT_RANGE 51
#endif

static int32_t result_of(ssize_t ret)
{
    return ret < 0 ? -errno : (int32_t)ret;
}

/* ---- addresses --------------------------------------------------------------------------- */

struct pp_io_addr test_loopback(int family)
{
    struct pp_io_addr addr = { .any.sa_family = (sa_family_t)family };

    if (family == AF_UNIX) {
        addr.len = sizeof(addr.un.sun_family);
    } else if (family == AF_INET6) {
        addr.len = sizeof(addr.in6);
        addr.in6.sin6_addr = in6addr_loopback;
    } else {
        addr.len = sizeof(addr.in);
        addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    return addr;
}

bool test_has_ipv6(void)
{
    const struct pp_io_addr addr = test_loopback(AF_INET6);
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool has = fd >= 0 && bind(fd, &addr.any, addr.len) == 0;

    (void)close(fd);
    return has;
}

void test_needs_ipv6(void)
{
    if (!test_has_ipv6())
        skip();
}

struct pp_io_addr test_name(int fd)
{
    struct pp_io_addr addr = { .len = sizeof(addr.un) };

    assert_int_equal(getsockname(fd, &addr.any, &addr.len), 0);
    return addr;
}

/* ---- one operation on a loop of its own -------------------------------------------------- */

/* The loop knows nothing of the descriptor afterwards: a test may close it, or hand it to another
 * loop. */
struct far_end {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int32_t res; /* the last */
};

static enum pp_io_next on_far_end(struct pp_io_op *op)
{
    container_of(op, struct far_end, op)->res = op->res;
    return PP_IO_DISARM;
}

/* Goes on until all of the request is done, or no more comes. */
static enum pp_io_next on_far_part(struct pp_io_op *op)
{
    container_of(op, struct far_end, op)->res = op->res;
    return op->res <= 0 || pp_io_advance(op) ? PP_IO_DISARM : PP_IO_REARM;
}

static struct far_end far_open(void)
{
    const struct pp_io_options options = test_options((struct pp_io_options){ 0 });
    struct far_end far = { 0 };
    struct pp_error err = { 0 };

    if (pp_io_loop_open(&far.loop, &options, &err) < 0)
        fail_msg("%s: %s", options.engine, err.text);
    return far;
}

/* Runs what was started, and returns what it came to. */
static int32_t far_finish(struct far_end *far)
{
    const int ret = pp_io_loop_run(far->loop);

    pp_io_loop_close(far->loop);
    assert_int_equal(ret, 0);
    return far->res;
}

/* ---- sockets ----------------------------------------------------------------------------- */

int test_unbound(int family, int type)
{
    const int fd = socket(family, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

int test_bound_to(int type, const struct pp_io_addr *addr)
{
    const int fd = test_unbound(addr->any.sa_family, type);

    assert_int_equal(bind(fd, &addr->any, addr->len), 0);
    return fd;
}

int test_bound(int family, int type, struct pp_io_addr *addr)
{
    const struct pp_io_addr any = test_loopback(family);
    const int fd = test_bound_to(type, &any);

    *addr = test_name(fd);
    return fd;
}

int test_listen(int family, int backlog, struct pp_io_addr *addr)
{
    const int fd = test_bound(family, SOCK_STREAM | SOCK_NONBLOCK, addr);

    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

int test_socket(int family)
{
    const struct pp_io_addr addr = test_loopback(family);
    struct pp_error err = { 0 };
    const int fd = pp_io_kernel.socket(&addr, NULL, NULL, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

int test_without_port(int type, struct pp_io_addr *addr)
{
    const int fd = test_unbound(AF_INET, type | SOCK_NONBLOCK);
    uint32_t port, range;

    (void)test_bound(AF_INET, type, addr);
    port = ntohs(addr->in.sin_port);
    range = port << 16 | port;
    if (setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range)) < 0)
        skip();
    return fd;
}

void test_connect_to(int fd, const struct pp_io_addr *addr)
{
    struct far_end far = far_open();

    pp_io_connect(far.loop, &far.op, fd, &addr->any, addr->len, on_far_end);
    assert_int_equal(far_finish(&far), 0);
}

int test_connect(const struct pp_io_addr *addr)
{
    const int fd = test_socket(addr->any.sa_family);

    test_connect_to(fd, addr);
    return fd;
}

int test_connect_now(const struct pp_io_addr *addr)
{
    const int fd = pp_io_kernel.socket(addr, NULL, NULL, NULL);

    (void)connect(fd, &addr->any, addr->len);
    return fd;
}

int test_accept(int listen_fd)
{
    struct far_end far = far_open();
    int32_t res;

    pp_io_accept(far.loop, &far.op, listen_fd, on_far_end);
    res = far_finish(&far);
    assert_true(res >= 0);
    return res;
}

struct test_pair test_pair(int family)
{
    struct pp_io_addr addr = test_loopback(family);
    struct pp_error err = { 0 };
    struct test_pair pair;
    int listen_fd;

    if (pp_io_kernel.listen(&addr, NULL, NULL, 1, &listen_fd, &err) < 0)
        fail_msg("%s", err.text);
    pair.far = test_connect(&addr);
    pair.near = test_accept(listen_fd);
    test_far_close(listen_fd);
    return pair;
}

struct test_pair test_unix_pair(int type)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return (struct test_pair){ .near = fds[0], .far = fds[1] };
}

int test_full_socket(void)
{
    static const char zeros[4096];
    const int fd = test_unix_pair(SOCK_STREAM).near;
    int32_t res;

    do
        res = test_send_now(fd, zeros, sizeof(zeros));
    while (res > 0);
    assert_int_equal(res, -EAGAIN);
    return fd;
}

/* ---- options ----------------------------------------------------------------------------- */

static void set_option(int fd, int level, int option, int value)
{
    assert_int_equal(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

void test_set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

int test_renumber(int fd, int number)
{
    const int other = number < 0 ? dup(fd) : dup3(fd, number, O_CLOEXEC);

    assert_true(other >= 0 && (number < 0 || other == number));
    assert_int_equal(close(fd), 0);
    return other;
}

void test_shrink_send_buffer(int fd)
{
    set_option(fd, SOL_SOCKET, SO_SNDBUF, 8192);
}

void test_grow_send_buffer(int fd, int bytes)
{
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0) /* root's */
        set_option(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

void test_grow_receive_buffer(int fd, int bytes)
{
    set_option(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

void test_make_telling(int fd)
{
    if (test_name(fd).any.sa_family == AF_INET)
        set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    else
        set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/* ---- far ends ---------------------------------------------------------------------------- */

void test_write(int fd, const void *data, size_t bytes)
{
    struct far_end far = far_open();

    pp_io_send(far.loop, &far.op, fd, data, (uint32_t)bytes, on_far_part);
    assert_true(far_finish(&far) >= 0 && far.op.len == 0);
}

void test_read(int fd, void *data, size_t bytes)
{
    struct far_end far = far_open();

    pp_io_recv(far.loop, &far.op, fd, data, (uint32_t)bytes, on_far_part);
    assert_true(far_finish(&far) > 0 && far.op.len == 0);
}

void test_read_text(int fd, const char *wanted)
{
    char got[64] = "";
    const size_t len = strlen(wanted);

    assert_true(len < sizeof(got));
    test_read(fd, got, len);
    assert_string_equal(got, wanted);
}

int32_t test_receive(int fd, void *data, size_t bytes)
{
    struct far_end far = far_open();

    pp_io_recv(far.loop, &far.op, fd, data, (uint32_t)bytes, on_far_end);
    return far_finish(&far);
}

int32_t test_read_end(int fd)
{
    char byte;

    return test_receive(fd, &byte, 1);
}

void test_read_eof(int fd)
{
    assert_int_equal(test_read_end(fd), 0);
}

int32_t test_receive_from(int fd, struct pp_io_addr *from, void *data, size_t bytes)
{
    from->len = sizeof(from->un);
    return result_of(recvfrom(fd, data, bytes, 0, &from->any, &from->len));
}

void test_far_shutdown(int fd)
{
    struct far_end far = far_open();

    pp_io_shutdown(far.loop, &far.op, fd, on_far_end);
    assert_int_equal(far_finish(&far), 0);
}

void test_far_close(int fd)
{
    struct far_end far = far_open();

    pp_io_close(far.loop, &far.op, fd, on_far_end);
    assert_int_equal(far_finish(&far), 0);
}

void test_reset(int fd)
{
    pp_io_kernel.reset_on_close(fd);
    test_far_close(fd);
}

/* ---- at once ----------------------------------------------------------------------------- */

int32_t test_send_now(int fd, const void *data, size_t bytes)
{
    return result_of(send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int32_t test_receive_now(int fd, void *data, size_t bytes)
{
    return result_of(recv(fd, data, bytes, MSG_DONTWAIT));
}

int32_t test_receive_late(int fd, void *data, size_t bytes)
{
    struct pollfd readable = { .fd = fd, .events = POLLIN };

    return poll(&readable, 1, -1) > 0 ? test_receive_now(fd, data, bytes) : -errno;
}

int32_t test_send_to_now(int fd, const struct pp_io_addr *addr, const void *data, size_t bytes)
{
    return result_of(sendto(fd, data, bytes, MSG_DONTWAIT, &addr->any, addr->len));
}

int32_t test_send_urgent_now(int fd)
{
    return result_of(send(fd, "!", 1, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL));
}

void test_hang_up_now(int fd)
{
    (void)shutdown(fd, SHUT_RDWR);
}

static bool answer_is_refused;

/* In place of the library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!answer_is_refused)
        return syscall(SYS_sendmsg, fd, message, flags);
    answer_is_refused = false;
    errno = EAGAIN;
    return -1;
}

void test_refuse_answer(void)
{
    answer_is_refused = true;
}

bool test_answer_is_refused(void)
{
    return answer_is_refused;
}
