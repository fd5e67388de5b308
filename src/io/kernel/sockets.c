/* Sockets as this program wants them. */
#include "base/assert.h"
#include "io/kernel/kernel.h"
#include "io/reuse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- options ----------------------------------------------------------------------------- */

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

int pp_kernel_socket_set(int fd, int level, int option, int value, const char *name,
                         struct pp_error *err)
{
    const int ret = set(fd, level, option, value);

    pp_assert(name);
    if (ret == 0)
        return 0;
    return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                        "cannot set %s on a socket: %s; this kernel may lack it for such sockets",
                        name, strerror(-ret));
}

/* Fills text with the one line of a file below /proc; with "?" where it cannot be read. */
static const char *read_line(const char *path, char *text, size_t bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd < 0 ? -1 : read(fd, text, bytes - 1);

    pp_assert(bytes > sizeof "?");
    if (fd >= 0)
        (void)close(fd);
    if (len <= 0)
        return "?";
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static int congestion_error(const char *name, int error, struct pp_error *err)
{
    char known[160];

    pp_assert(error > 0 && name[0] != '\0');
    if (error == EPERM)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, -error,
                            "cannot use congestion control \"%s\": it is for root only; add it to "
                            "sysctl net.ipv4.tcp_allowed_congestion_control",
                            name);
    return pp_error_set(
        err, PP_ERROR_UNAVAILABLE, -error,
        "cannot use congestion control \"%s\": %s; load it with modprobe tcp_%s, or "
        "pick one that is loaded: %s",
        name, strerror(error), name,
        read_line("/proc/sys/net/ipv4/tcp_available_congestion_control", known, sizeof known));
}

static int set_congestion(int fd, const char *name, struct pp_error *err)
{
    if (name[0] == '\0' ||
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0)
        return 0;
    return congestion_error(name, errno, err);
}

/* An IPv6 socket takes both: over IPv4 it speaks to and hears from mapped addresses. */
static int set_tos(int fd, int family, int tos, struct pp_error *err)
{
    int ret = 0;

    pp_assert(tos >= 0 && tos <= UINT8_MAX);
    if (family == AF_INET6)
        ret = pp_kernel_socket_set(fd, IPPROTO_IPV6, IPV6_TCLASS, tos, "the traffic class", err);
    if (ret == 0)
        ret = pp_kernel_socket_set(fd, IPPROTO_IP, IP_TOS, tos, "the type of service", err);
    return ret;
}

static int set_busy_poll(int fd, uint32_t us, struct pp_error *err)
{
    const int ret = set(fd, SOL_SOCKET, SO_BUSY_POLL, us > INT_MAX ? INT_MAX : (int)us);

    if (ret == 0)
        return 0;
    return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret, "cannot busy-poll a socket: %s%s",
                        strerror(-ret),
                        ret == -EPERM ? "; this kernel wants root for it, or the capability "
                                        "CAP_NET_ADMIN"
                                      : "; leave it out");
}

/* Root may exceed net.core.wmem_max and rmem_max; for all others the kernel cuts the size down to
 * those without a word. */
static int set_buffer(int fd, int forced, int plain, uint32_t bytes, struct pp_error *err)
{
    const int value = bytes > INT_MAX / 2 ? INT_MAX / 2 : (int)bytes; /* the kernel doubles it */

    pp_assert(forced != plain);
    if (bytes == 0 || set(fd, SOL_SOCKET, forced, value) == 0)
        return 0;
    return pp_kernel_socket_set(fd, SOL_SOCKET, plain, value, "the buffer size", err);
}

/* Accepted connections inherit all these from their listener. */
static int set_stream_options(int fd, const struct pp_io_socket_options *options,
                              struct pp_error *err)
{
    int ret = 0;

    pp_assert(!options->dgram);
    if (!options->nagle)
        ret = pp_kernel_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY", err);
    if (ret == 0)
        ret = set_congestion(fd, options->congestion, err);
    return ret;
}

static int set_ip_options(int fd, int family, const struct pp_io_socket_options *options,
                          struct pp_error *err)
{
    int ret = options->dgram ? 0 : set_stream_options(fd, options, err);

    pp_assert(family != AF_UNIX);
    if (ret == 0 && options->tos_given)
        ret = set_tos(fd, family, options->tos, err);
    if (ret == 0 && options->busy_poll_given)
        ret = set_busy_poll(fd, options->busy_poll_us, err);
    return ret;
}

static int set_options(int fd, int family, const struct pp_io_socket_options *options,
                       struct pp_error *err)
{
    int ret = family == AF_UNIX ? 0 : set_ip_options(fd, family, options, err);

    if (ret == 0)
        ret = set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options->sndbuf, err);
    if (ret == 0)
        ret = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options->rcvbuf, err);
    return ret;
}

/* ---- opening ----------------------------------------------------------------------------- */

static int mptcp_error(int error, struct pp_error *err)
{
    if (error == ENOPROTOOPT)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, -error,
                            "Multipath TCP is switched off here; switch it on with "
                            "sysctl net.mptcp.enabled=1, or run without --mptcp");
    return pp_error_set(err, PP_ERROR_UNAVAILABLE, -error,
                        "this kernel has no Multipath TCP (%s) and no sysctl net.mptcp.enabled to "
                        "switch it on: run without --mptcp",
                        strerror(error));
}

static int open_error(int family, bool mptcp, int error, struct pp_error *err)
{
    pp_assert(error > 0);
    if (error == EMFILE || error == ENFILE)
        return pp_error_set(err, PP_ERROR_RUN, -error,
                            "cannot open a socket: %s; raise the limit with ulimit -n",
                            strerror(error));
    if (error == EAFNOSUPPORT)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, -error,
                            "cannot open a socket: %s; this machine has no %s", strerror(error),
                            family == AF_INET6 ? "IPv6" : "such sockets");
    if (mptcp && (error == ENOPROTOOPT || error == EPROTONOSUPPORT || error == EINVAL))
        return mptcp_error(error, err);
    return pp_error_set(err, PP_ERROR_RUN, -error, "cannot open a socket: %s", strerror(error));
}

int pp_kernel_socket_open(int family, const struct pp_io_socket_options *options,
                          struct pp_error *err)
{
    static const struct pp_io_socket_options none;
    const struct pp_io_socket_options *wanted = options ? options : &none;
    const int type = wanted->dgram ? SOCK_DGRAM : SOCK_STREAM;
    const bool mptcp = wanted->mptcp && !wanted->dgram && family != AF_UNIX;
    int fd, ret;

    pp_io_number_taken();
    fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, mptcp ? IPPROTO_MPTCP : 0);
    if (fd < 0)
        return open_error(family, mptcp, errno, err);
    ret = set_options(fd, family, wanted, err);
    if (ret == 0)
        return fd;
    (void)close(fd);
    return ret;
}

/* ---- sockets to connect with ------------------------------------------------------------- */

static const char *bind_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; its port is taken: leave it out, or pick another";
    case EACCES:
        return "; ports below 1024 need root: pick another";
    case EADDRNOTAVAIL:
        return "; this machine has no such address: pick one that ip addr shows";
    case EAFNOSUPPORT:
    case EINVAL:
        return "; the server's address is of another family: pick one of the same";
    default:
        return "";
    }
}

static int bind_error(const struct pp_io_addr *source, int error, struct pp_error *err)
{
    char text[PP_IO_ADDR_TEXT_BYTES];

    pp_assert(error > 0);
    return pp_error_set(err, PP_ERROR_RUN, -error, "cannot bind to %s: %s%s",
                        pp_io_addr_format(source, text), strerror(error), bind_advice(error));
}

static bool has_port(const struct pp_io_addr *addr)
{
    pp_assert(addr->any.sa_family != AF_UNIX);
    return addr->any.sa_family == AF_INET6 ? addr->in6.sin6_port != 0 : addr->in.sin_port != 0;
}

/* Without a port, one is chosen when the socket is connected: it then need be free for that server
 * only, and not for all the world, so that many connections do not run out of ports. With a port,
 * it may be one that an earlier connection has left in TIME_WAIT; UDP has no such state, and there
 * two sockets would share the port and steal from each other. */
static void prepare_bind(int fd, const struct pp_io_addr *source, bool dgram)
{
    if (source->any.sa_family == AF_UNIX)
        return;
    if (!has_port(source))
        (void)set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    else if (!dgram)
        (void)set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

static int bind_source(int fd, const struct pp_io_addr *source, bool dgram, struct pp_error *err)
{
    pp_assert(fd >= 0);
    prepare_bind(fd, source, dgram);
    if (bind(fd, &source->any, source->len) == 0)
        return 0;
    return bind_error(source, errno, err);
}

/* A name of the kernel's choice: a datagram is answered by name. */
static int bind_unnamed(int fd, struct pp_error *err)
{
    const struct pp_io_addr unnamed = { .len = sizeof unnamed.any.sa_family,
                                        .any.sa_family = AF_UNIX };

    return bind(fd, &unnamed.any, unnamed.len) == 0 ? 0 : bind_error(&unnamed, errno, err);
}

void pp_kernel_reset_on_close(int fd)
{
    const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void pp_kernel_keepalive(int fd, int idle_s, int unacked_s)
{
    pp_assert(idle_s > 0 && unacked_s > 0);
    if (set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s) < 0) /* it is none of TCP */
        return;
    (void)set(fd, IPPROTO_TCP, TCP_KEEPINTVL, idle_s >= 3 ? idle_s / 3 : 1);
    (void)set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    (void)set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, unacked_s * 1000);
    (void)set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int pp_kernel_socket(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                     const struct pp_io_addr *source, struct pp_error *err)
{
    const int fd = pp_kernel_socket_open(addr->any.sa_family, options, err);
    const bool dgram = options && options->dgram;
    int ret = 0;

    if (fd < 0)
        return fd;
    pp_assert(!source || source->len > 0);
    if (source)
        ret = bind_source(fd, source, dgram, err);
    else if (addr->any.sa_family == AF_UNIX && dgram)
        ret = bind_unnamed(fd, err);
    if (ret == 0)
        return fd;
    (void)close(fd);
    return ret;
}

bool pp_kernel_has_ipv6(void)
{
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static bool is_same_place(const struct pp_io_addr *a, const struct pp_io_addr *b)
{
    if (a->any.sa_family == AF_INET)
        return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return a->any.sa_family == AF_INET6 && a->in6.sin6_port == b->in6.sin6_port &&
           memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
}

bool pp_kernel_is_self_connected(int fd)
{
    struct pp_io_addr near = { .len = sizeof near.un };
    struct pp_io_addr far = { .len = sizeof far.un };

    return getsockname(fd, &near.any, &near.len) == 0 && getpeername(fd, &far.any, &far.len) == 0 &&
           is_same_place(&near, &far);
}
