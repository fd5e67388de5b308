/* Host names to addresses. */
#include "io/kernel/kernel.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

/* The type is one of several that would give the same addresses: it keeps them from coming more
 * than once. */
static int ask(const char *host, int family, struct addrinfo **list)
{
    const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };

    return getaddrinfo(host, NULL, &hints, list);
}

/* An address or a name that has none of the wanted family is reported in several ways, one of them
 * that there is no such name: asking for any family tells which it is. */
static const char *why_not(const char *host, int family, int error)
{
    struct addrinfo *list;

    if (error == EAI_SYSTEM)
        return strerror(errno);
    if (family == AF_UNSPEC || ask(host, AF_UNSPEC, &list) != 0)
        return gai_strerror(error);
    freeaddrinfo(list);
    return family == AF_INET6 ? "it has no IPv6 address" : "it has no IPv4 address";
}

int pp_kernel_look_up(const char *host, int family, struct pp_io_addr *addr, const char **why)
{
    struct addrinfo *list;
    const int error = ask(host, family, &list);

    if (error) {
        *why = why_not(host, family, error);
        return -ENXIO;
    }
    memcpy(&addr->any, list->ai_addr, list->ai_addrlen);
    addr->len = list->ai_addrlen;
    freeaddrinfo(list);
    return 0;
}
