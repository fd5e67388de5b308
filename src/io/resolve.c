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

static int look_up(struct pp_io_job *job)
{
    struct pp_io_resolve *resolve = container_of(job, struct pp_io_resolve, job);
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list;
    int error;

    error = getaddrinfo(resolve->host, NULL, &hints, &list);
    if (error) {
        resolve->why = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
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
