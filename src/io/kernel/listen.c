/* Sockets that a server listens on, and which of several gets a connection. */
#include "base/assert.h"
#include "base/container.h"
#include "base/leftover.h"
#include "base/memory.h"
#include "io/kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel cuts it down to net.core.somaxconn. */
#define BACKLOG 4096

/* Where /proc does not say whether anybody has a port that is in use, it is waited for by naps that
 * are no longer. */
#define UNKNOWN_NAP_MS 800

static const struct pp_io_socket_options none;

/* ---- errors ------------------------------------------------------------------------------ */

static const char *inet_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program has it: pick another with -p or in ADDRESS, or port 0 for any "
               "free one";
    case EACCES:
        return "; ports below 1024 need root: pick another with -p or in ADDRESS";
    case EADDRNOTAVAIL:
        return "; this machine has no such address: pick another with --host or in ADDRESS";
    default:
        return "";
    }
}

static const char *unix_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program listens there: end it, or pick another path";
    case EEXIST:
        return "; it is not a socket: pick another path, or move it away";
    case EISDIR:
        return "; name a socket in it, or pick another path";
    case EACCES:
    case EPERM:
    case EROFS:
        return "; pick a path in a directory that you may write to";
    case ENOENT:
    case ENOTDIR:
        return "; make its directory first, or pick another path";
    default:
        return "";
    }
}

static int listen_error(const struct pp_io_addr *addr, int error, struct pp_error *err)
{
    const bool is_unix = addr->any.sa_family == AF_UNIX;
    char text[PP_IO_ADDR_TEXT_BYTES];

    pp_assert(error > 0);
    return pp_error_set(err, PP_ERROR_RUN, -error, "cannot listen on %s: %s%s",
                        pp_io_addr_format(addr, text), strerror(error),
                        is_unix ? unix_advice(error) : inet_advice(error));
}

static void close_all(const int *fds, unsigned count)
{
    while (count > 0)
        (void)close(fds[--count]);
}

/* ---- Unix sockets ------------------------------------------------------------------------ */

/* How long a socket may be bound before it listens: until then it looks stale. */
#define STARTING_MS 10

/* How long the kernel may take to close the listener of a program that was killed; and of one that
 * certainly was, on a busy machine. */
#define ENDING_MS 300
#define ENDED_MS 5000

static bool look(const struct pp_io_addr *addr, struct stat *status)
{
    pp_assert(addr->any.sa_family == AF_UNIX && addr->un.sun_path[0]);
    return lstat(addr->un.sun_path, status) == 0;
}

static bool is_refused(int fd, const struct pp_io_addr *addr)
{
    return connect(fd, &addr->any, addr->len) < 0 && errno == ECONNREFUSED;
}

/* Whether the process that listens behind fd, a connection to it, is gone. One of another namespace
 * has no number here. */
static bool has_ended(int fd)
{
    struct ucred peer = { 0 };
    socklen_t bytes = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.pid > 0 &&
           kill(peer.pid, 0) < 0 && errno == ESRCH;
}

/* fd was not refused. If its connection ends right away, the listener was one of a program that
 * used io_uring and was killed: the kernel closes it a moment after the program's end. */
static bool ends_soon(int fd)
{
    struct pollfd ended = { .fd = fd };

    return poll(&ended, 1, has_ended(fd) ? ENDED_MS : ENDING_MS) > 0;
}

/* Removes the file if it is all that a server has left behind: nobody answers there, now or in a
 * moment, and it is the same file all the while. fd is not bound yet, and after a connection that
 * was refused it is as new. Any file that is no socket would refuse a connection, too, and it
 * stays. 0 or a negative errno; -EAGAIN: try again, with another descriptor. */
static int remove_stale(int fd, const struct pp_io_addr *addr)
{
    struct stat first, now;

    if (!look(addr, &first))
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(first.st_mode))
        return S_ISDIR(first.st_mode) ? -EISDIR : -EEXIST;
    if (!is_refused(fd, addr))
        return ends_soon(fd) ? -EAGAIN : -EADDRINUSE;
    (void)poll(NULL, 0, STARTING_MS);
    if (!is_refused(fd, addr) || !look(addr, &now) || now.st_dev != first.st_dev ||
        now.st_ino != first.st_ino)
        return -EADDRINUSE;
    return unlink(addr->un.sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int bind_unix(int fd, const struct pp_io_addr *addr)
{
    struct stat status;
    int ret;

    pp_assert(addr->any.sa_family == AF_UNIX);
    if (bind(fd, &addr->any, addr->len) < 0) {
        if (errno != EADDRINUSE || addr->un.sun_path[0] == '\0')
            return -errno;
        ret = remove_stale(fd, addr);
        if (ret < 0)
            return ret;
        if (bind(fd, &addr->any, addr->len) < 0)
            return -errno;
    }
    if (addr->un.sun_path[0] && look(addr, &status))
        pp_leftover_note(AT_FDCWD, addr->un.sun_path, &status);
    return 0;
}

static int open_unix(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                     struct pp_error *err)
{
    int fd = pp_kernel_socket_open(AF_UNIX, options, err);
    int ret = fd < 0 ? fd : bind_unix(fd, addr);

    if (ret == -EAGAIN) {
        (void)close(fd);
        fd = pp_kernel_socket_open(AF_UNIX, options, err);
        ret = fd < 0 ? fd : bind_unix(fd, addr);
    }
    if (fd < 0)
        return fd;
    if (ret == -EAGAIN) /* once is enough */
        ret = -EADDRINUSE;
    if (ret == 0 && !options->dgram && listen(fd, BACKLOG) < 0) {
        ret = -errno;
        pp_kernel_unlisten(addr);
    }
    if (ret == 0)
        return fd;
    (void)close(fd);
    return listen_error(addr, -ret, err);
}

/* The others are names of the first: whichever is asked gets the next connection. */
static int listen_unix(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                       unsigned count, int *fds, struct pp_error *err)
{
    const int fd = open_unix(addr, options, err);

    pp_assert(count > 0);
    if (fd < 0)
        return fd;
    fds[0] = fd;
    for (unsigned i = 1; i < count; i++) {
        fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (fds[i] < 0) {
            const int error = errno;

            pp_kernel_unlisten(addr);
            close_all(fds, i);
            return listen_error(addr, error, err);
        }
    }
    return 0;
}

void pp_kernel_unlisten(const struct pp_io_addr *addr)
{
    if (addr->any.sa_family == AF_UNIX && addr->un.sun_path[0])
        pp_leftover_remove(AT_FDCWD, addr->un.sun_path);
}

/* ---- steering ---------------------------------------------------------------------------- */

/* An answer that is no socket's number: the kernel then chooses by the hash of the addresses. */
#define BY_HASH UINT32_MAX

static unsigned count_of(const int *cpus, unsigned count, int cpu)
{
    unsigned found = 0;

    pp_assert(cpus);
    for (unsigned i = 0; i < count; i++)
        found += cpus[i] == cpu;
    return found;
}

/* Appends to code what answers for each CPU that has a socket: its number, or, where several
 * sockets are that CPU's, any. A CPU that cannot be (-1) matches nothing. */
static struct sock_filter *add_cpus(struct sock_filter *code, const int *cpus, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint32_t answer = count_of(cpus, count, cpus[i]) > 1 ? BY_HASH : i;

        if (count_of(cpus, i, cpus[i]) > 0)
            continue;
        *code++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)cpus[i], 0, 1);
        *code++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer);
    }
    return code;
}

/* Two for each CPU, one to ask for it, and two for all others. */
#define FILTER_LINES(count) (2 * (size_t)(count) + 3)

static int attach(int fd, const int *cpus, unsigned count, struct sock_filter *code)
{
    struct sock_filter *end = code;
    struct sock_fprog program = { .filter = code };

    *end++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                          (uint32_t)(SKF_AD_OFF + SKF_AD_CPU));
    end = add_cpus(end, cpus, count);
    *end++ = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count);
    *end++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    pp_assert((size_t)(end - code) <= FILTER_LINES(count));
    program.len = (unsigned short)(end - code);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0)
        return 0;
    return -errno;
}

/* The program belongs to the group: one socket of it passes it on. Without one, and with Multipath
 * TCP, which knows none, the kernel goes by the hash of the addresses. */
static int steer(int fd, const int *cpus, unsigned count, bool mptcp, struct pp_error *err)
{
    struct sock_filter *code;
    int ret;

    pp_assert(count > 1);
    if (!cpus)
        return 0;
    code = pp_memory_alloc(FILTER_LINES(count), sizeof *code);
    if (!code)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "there is no memory to steer with");
    ret = attach(fd, cpus, count, code);
    pp_memory_free(code);
    if (ret == 0 || (mptcp && ret == -EOPNOTSUPP))
        return 0;
    return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                        "cannot steer to %u sockets by CPU: %s; ask for fewer threads", count,
                        strerror(-ret));
}

/* ---- TCP and UDP ------------------------------------------------------------------------- */

/* Whether it stands for all addresses of the machine, or all of IPv4 in the words of IPv6. */
static bool is_wildcard(const struct pp_io_addr *addr)
{
    const struct in6_addr *in6 = &addr->in6.sin6_addr;

    pp_assert(addr->any.sa_family != AF_UNIX);
    if (addr->any.sa_family == AF_INET)
        return addr->in.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr32[3] == 0);
}

/* Each datagram is to come with the address that it was sent to: the answer goes out from there,
 * unless it was sent to many. A socket of IPv6 needs both, because only the first says which IPv4
 * addresses are broadcast. */
static int tell_destinations(int fd, int family, struct pp_error *err)
{
    const int ret = pp_kernel_socket_set(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO", err);

    if (ret < 0 || family == AF_INET)
        return ret;
    return pp_kernel_socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO", err);
}

/* Whether addr, an address of this machine, is the broadcast address of some network of its: the
 * kernel lets nobody connect to one without asking for broadcasts. */
static bool is_broadcast(const struct pp_io_addr *addr)
{
    const int fd = socket(addr->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool is = fd >= 0 && connect(fd, &addr->any, addr->len) < 0 && errno == EACCES;

    if (fd >= 0)
        (void)close(fd);
    return is;
}

static bool is_of_many4(uint32_t address)
{
    return IN_MULTICAST(ntohl(address)) || address == htonl(INADDR_BROADCAST);
}

/* Whether addr says by itself that it stands for many, on any network. */
static bool is_of_many(const struct pp_io_addr *addr)
{
    const struct in6_addr *in6 = &addr->in6.sin6_addr;

    pp_assert(addr->any.sa_family != AF_UNIX);
    if (addr->any.sa_family == AF_INET)
        return is_of_many4(addr->in.sin_addr.s_addr);
    return IN6_IS_ADDR_MULTICAST(in6) ||
           (IN6_IS_ADDR_V4MAPPED(in6) && is_of_many4(in6->s6_addr32[3]));
}

/* Such an address can be bound, and all that comes there may not be answered. */
static int refuse_address_of_many(const struct pp_io_addr *addr, struct pp_error *err)
{
    char text[PP_IO_ADDR_TEXT_BYTES];

    if (!is_of_many(addr) && !is_broadcast(addr))
        return 0;
    return pp_error_set(err, PP_ERROR_RUN, -EADDRNOTAVAIL,
                        "cannot listen on %s: it is the address of many hosts, and what is sent to "
                        "many is not answered; pick an address of this machine",
                        pp_io_addr_format(addr, text));
}

/* TCP binds a port that an earlier server's connections still linger on. Over IPv6, all addresses
 * are those of IPv4, too, whatever net.ipv6.bindv6only says. */
static int prepare(int fd, const struct pp_io_addr *addr, bool dgram, struct pp_error *err)
{
    const int family = addr->any.sa_family;
    int ret = 0;

    pp_assert(family != AF_UNIX);
    if (!dgram)
        ret = pp_kernel_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR", err);
    else if (is_wildcard(addr))
        ret = tell_destinations(fd, family, err);
    if (ret == 0 && family == AF_INET6)
        ret = pp_kernel_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0, "IPV6_V6ONLY", err);
    return ret;
}

static int share(int fd, struct pp_error *err)
{
    return pp_kernel_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT", err);
}

static int bind_inet(int fd, struct pp_io_addr *addr, struct pp_error *err)
{
    if (bind(fd, &addr->any, addr->len) == 0 && getsockname(fd, &addr->any, &addr->len) == 0)
        return 0;
    return listen_error(addr, errno, err);
}

/* The first of a group binds the port as if for itself, and only then agrees to share it. Had it
 * agreed before, then another server of the same user that shares as well, such as a second one of
 * ours, would not be told that the port is in use: each would get some of the other's clients. */
static int open_inet(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                     bool first, bool shared, struct pp_error *err)
{
    const int fd = pp_kernel_socket_open(addr->any.sa_family, options, err);
    int ret;

    pp_assert(first || shared);
    if (fd < 0)
        return fd;
    ret = prepare(fd, addr, options->dgram, err);
    if (ret == 0 && shared && !first)
        ret = share(fd, err);
    if (ret == 0)
        ret = bind_inet(fd, addr, err);
    if (ret == 0 && options->dgram && !is_wildcard(addr))
        ret = refuse_address_of_many(addr, err);
    if (ret == 0 && shared && first)
        ret = share(fd, err);
    if (ret == 0)
        return fd;
    (void)close(fd);
    return ret;
}

/* A socket's number in the group is its turn: for UDP at binding, for TCP at listening. Steering
 * comes in between, so that no connection comes before it. */
static int start_group(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                       const int *cpus, unsigned count, const int *fds, struct pp_error *err)
{
    const int ret = count > 1 ? steer(fds[0], cpus, count, options->mptcp, err) : 0;

    pp_assert(count > 0);
    if (ret < 0 || options->dgram)
        return ret;
    for (unsigned i = 0; i < count; i++)
        if (listen(fds[i], BACKLOG) < 0)
            return listen_error(addr, errno, err);
    return 0;
}

static int listen_inet(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                       const int *cpus, unsigned count, int *fds, struct pp_error *err)
{
    struct pp_io_addr bound = *addr;
    int ret = 0;

    for (unsigned i = 0; i < count; i++) {
        fds[i] = open_inet(&bound, options, i == 0, count > 1, err);
        if (fds[i] < 0) {
            close_all(fds, i);
            return fds[i];
        }
    }
    ret = start_group(&bound, options, cpus, count, fds, err);
    if (ret < 0)
        close_all(fds, count);
    else
        *addr = bound;
    return ret;
}

/* ---- both -------------------------------------------------------------------------------- */

static unsigned port_of(const struct pp_io_addr *addr)
{
    return ntohs(addr->any.sa_family == AF_INET6 ? addr->in6.sin6_port : addr->in.sin_port);
}

/* The sockets of a program that used io_uring and was killed are closed when the kernel takes down
 * its ring, which is a moment after its end, and on a busy machine seconds. */
static int listen_inet_soon(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                            const int *cpus, unsigned count, int *fds, struct pp_error *err)
{
    static const int naps_ms[] = { 5, 20, 75, 200, 400, 800, 1500, 3000, 6000 };
    int ret = listen_inet(addr, options, cpus, count, fds, err);

    for (size_t i = 0; ret == -EADDRINUSE && i < COUNT_OF(naps_ms); i++) {
        const enum pp_kernel_owner owner = pp_kernel_owner_of(port_of(addr), options->dgram);

        if (owner == PP_KERNEL_OWNER_LIVES ||
            (owner == PP_KERNEL_OWNER_UNKNOWN && naps_ms[i] > UNKNOWN_NAP_MS))
            return ret;
        (void)poll(NULL, 0, naps_ms[i]);
        ret = listen_inet(addr, options, cpus, count, fds, err);
    }
    return ret;
}

int pp_kernel_listen(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                     const int *cpus, unsigned count, int *fds, struct pp_error *err)
{
    const struct pp_io_socket_options *wanted = options ? options : &none;

    pp_assert(count > 0);
    if (addr->any.sa_family == AF_UNIX)
        return listen_unix(addr, wanted, count, fds, err);
    return listen_inet_soon(addr, wanted, cpus, count, fds, err);
}
