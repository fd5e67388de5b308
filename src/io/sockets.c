/* Sockets as this program wants them, and addresses as people read them. */
#include "io/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kernel cuts it down to net.core.somaxconn. */
#define BACKLOG 4096

const char *pp_io_addr_format(const struct pp_io_addr *addr, char text[PP_IO_ADDR_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (addr->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &addr->in6.sin6_addr, host, sizeof host);
        (void)snprintf(text, PP_IO_ADDR_TEXT_BYTES, "[%s]:%u", host, ntohs(addr->in6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &addr->in.sin_addr, host, sizeof host);
        (void)snprintf(text, PP_IO_ADDR_TEXT_BYTES, "%s:%u", host, ntohs(addr->in.sin_port));
    }
    return text;
}

static int socket_error(struct pp_error *err)
{
    if (errno == EMFILE || errno == ENFILE)
        return pp_error_set(err, PP_ERROR_RUN, -errno,
                            "cannot open a socket: %s; raise the limit with ulimit -n",
                            strerror(errno));
    return pp_error_set(err, PP_ERROR_RUN, -errno, "cannot open a socket: %s", strerror(errno));
}

int pp_io_socket(const struct pp_io_addr *addr, struct pp_error *err)
{
    const int one = 1;
    const int fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return socket_error(err);
    /* Accepted connections inherit this from their listener. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static const char *listen_advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program has it: pick another with -p, or -p 0 for any free one";
    case EACCES:
        return "; ports below 1024 need root: pick another with -p";
    case EADDRNOTAVAIL:
        return "; this machine has no such address: pick another with --host";
    default:
        return "";
    }
}

static int listen_error(const struct pp_io_addr *addr, int error, struct pp_error *err)
{
    char text[PP_IO_ADDR_TEXT_BYTES];

    return pp_error_set(err, PP_ERROR_RUN, -error, "cannot listen on %s: %s%s",
                        pp_io_addr_format(addr, text), strerror(error), listen_advice(error));
}

int pp_io_listen(struct pp_io_addr *addr, struct pp_error *err)
{
    const int one = 1;
    const int fd = pp_io_socket(addr, err);
    int ret;

    if (fd < 0)
        return fd;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &addr->any, addr->len) == 0 && listen(fd, BACKLOG) == 0 &&
        getsockname(fd, &addr->any, &addr->len) == 0)
        return fd;
    ret = listen_error(addr, errno, err);
    (void)close(fd);
    return ret;
}
