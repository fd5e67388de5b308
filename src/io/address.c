/* Addresses as people read them. */
#include "io/world.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static_assert(PP_IO_ADDR_TEXT_BYTES >= sizeof "unix:@" + sizeof(struct sockaddr_un) &&
                  PP_IO_ADDR_TEXT_BYTES >= INET6_ADDRSTRLEN + IF_NAMESIZE + sizeof "[]:65535",
              "every address fits");

/* "%eth0", or the interface's number where it has lost its name; nothing without a scope. */
static const char *format_scope(uint32_t scope, char text[IF_NAMESIZE + 1])
{
    text[0] = '\0';
    if (scope == 0)
        return text;
    text[0] = '%';
    if (!if_indextoname(scope, text + 1))
        (void)snprintf(text + 1, IF_NAMESIZE, "%u", scope);
    return text;
}

static void format_in(const struct sockaddr_in *in, char *text)
{
    char host[INET_ADDRSTRLEN] = "?";

    (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    (void)snprintf(text, PP_IO_ADDR_TEXT_BYTES, "%s:%u", host, ntohs(in->sin_port));
}

static void format_in6(const struct sockaddr_in6 *in6, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";
    char scope[IF_NAMESIZE + 1];

    (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    (void)snprintf(text, PP_IO_ADDR_TEXT_BYTES, "[%s%s]:%u", host,
                   format_scope(in6->sin6_scope_id, scope), ntohs(in6->sin6_port));
}

/* An abstract name begins with a zero byte and may have any others: it is as long as len says. */
static void format_un(const struct pp_io_addr *addr, char *text)
{
    const char *path = addr->un.sun_path;
    const size_t header = offsetof(struct sockaddr_un, sun_path);
    const int len = addr->len > header ? (int)(addr->len - header) : 0;

    if (len == 0)
        (void)snprintf(text, PP_IO_ADDR_TEXT_BYTES, "unix:(unnamed)");
    else if (path[0])
        (void)snprintf(text, PP_IO_ADDR_TEXT_BYTES, "unix:%.*s", len, path);
    else
        (void)snprintf(text, PP_IO_ADDR_TEXT_BYTES, "unix:@%.*s", len - 1, path + 1);
}

const char *pp_io_addr_format(const struct pp_io_addr *addr, char text[PP_IO_ADDR_TEXT_BYTES])
{
    /* The kernel says nothing at all of a sender without a name, not even its family. */
    const sa_family_t family = addr->len == 0 ? AF_UNIX : addr->any.sa_family;

    if (family == AF_INET6)
        format_in6(&addr->in6, text);
    else if (family == AF_UNIX)
        format_un(addr, text);
    else
        format_in(&addr->in, text);
    return text;
}

int pp_io_addr_unix(struct pp_io_addr *addr, const char *path)
{
    const size_t len = strlen(path);

    if (len == 0)
        return -EINVAL; /* it would be an abstract name */
    if (len >= sizeof addr->un.sun_path)
        return -ENAMETOOLONG;
    *addr = (struct pp_io_addr){ .un.sun_family = AF_UNIX };
    memcpy(addr->un.sun_path, path, len);
    addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}
