/* Host names to addresses, on a worker thread because getaddrinfo(3) blocks. */
#include "base/container.h"
#include "io/io.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

static void set_port(struct pp_io_addr *addr, uint16_t port)
{
    if (addr->any.sa_family == AF_INET6)
        addr->in6.sin6_port = htons(port);
    else
        addr->in.sin_port = htons(port);
}

/* The type is one of several that would give the same addresses: it keeps them from coming more
 * than once. */
static int ask(const char *host, int family, struct addrinfo **list)
{
    const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };

    return getaddrinfo(host, NULL, &hints, list);
}

/* An address or a name that has none of the wanted family is reported in several ways, one of them
 * that there is no such name: asking for any family tells which it is. */
static const char *why_not(const struct pp_io_resolve *resolve, int error)
{
    struct addrinfo *list;

    if (error == EAI_SYSTEM)
        return strerror(errno);
    if (resolve->family == AF_UNSPEC || ask(resolve->host, AF_UNSPEC, &list) != 0)
        return gai_strerror(error);
    freeaddrinfo(list);
    return resolve->family == AF_INET6 ? "it has no IPv6 address" : "it has no IPv4 address";
}

static int look_up(struct pp_io_job *job)
{
    struct pp_io_resolve *resolve = container_of(job, struct pp_io_resolve, job);
    struct addrinfo *list;
    const int error = ask(resolve->host, resolve->family, &list);

    if (error) {
        resolve->why = why_not(resolve, error);
        return -ENXIO;
    }
    memcpy(&resolve->addr.any, list->ai_addr, list->ai_addrlen);
    resolve->addr.len = list->ai_addrlen;
    set_port(&resolve->addr, resolve->port);
    freeaddrinfo(list);
    return 0;
}

void pp_io_resolve_start(struct pp_io_workers *workers, struct pp_io_loop *loop,
                         struct pp_io_resolve *resolve, const char *host, uint16_t port,
                         pp_io_cb *cb)
{
    resolve->host = host;
    resolve->port = port;
    resolve->why = "";
    pp_io_work_start(workers, loop, &resolve->job, look_up, cb);
}
