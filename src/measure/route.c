/* The way to an address: asking the kernel for it over netlink, reading its answer, and what is
 * known of the interface. */
#include "measure/route.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_S 1

static_assert(sizeof((struct pp_route *)0)->interface == IFNAMSIZ, "any name fits");
static_assert(sizeof((struct pp_route *)0)->source == INET6_ADDRSTRLEN, "any address fits");
static_assert(sizeof((struct pp_route *)0)->gateway == INET6_ADDRSTRLEN, "any address fits");

/* An address without its port, as rtnetlink wants it. */
struct destination {
    unsigned char family;
    unsigned char bytes;
    unsigned scope_id; /* the interface of a link-local address; 0: any */
    unsigned char address[sizeof(struct in6_addr)];
};

struct request {
    struct nlmsghdr header;
    struct rtmsg route;
    char attributes[64];
};

struct answer {
    _Alignas(struct nlmsghdr) char bytes[4096];
};

/* What is left of a list of attributes. */
struct attributes {
    const char *bytes;
    size_t left;
};

/* False if it is no address of the internet. */
static bool destination_set(struct destination *to, const struct sockaddr *address, socklen_t bytes)
{
    memset(to, 0, sizeof *to);
    if (address->sa_family == AF_INET && bytes >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const void *)address;

        to->bytes = sizeof in->sin_addr;
        memcpy(to->address, &in->sin_addr, sizeof in->sin_addr);
    } else if (address->sa_family == AF_INET6 && bytes >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in6 = (const void *)address;

        to->bytes = sizeof in6->sin6_addr;
        to->scope_id = in6->sin6_scope_id;
        memcpy(to->address, &in6->sin6_addr, sizeof in6->sin6_addr);
    } else {
        return false;
    }
    to->family = (unsigned char)address->sa_family;
    return true;
}

/* An IPv4 address in an IPv6 one goes by IPv4's routes. */
static void destination_unmap(struct destination *to)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (to->family != AF_INET6 || memcmp(to->address, mapped, sizeof mapped) != 0)
        return;
    memmove(to->address, to->address + sizeof mapped, sizeof(struct in_addr));
    to->family = AF_INET;
    to->bytes = sizeof(struct in_addr);
    to->scope_id = 0;
}

/* ---- asking ---- */

static void attribute_append(struct request *request, unsigned short type, const void *data,
                             size_t bytes)
{
    struct rtattr *attribute = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
    memcpy(RTA_DATA(attribute), data, bytes);
    request->header.nlmsg_len =
        (uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
    pp_assert(request->header.nlmsg_len <= sizeof *request);
}

static void request_fill(struct request *request, const struct destination *to)
{
    *request = (struct request){
        .header = { .nlmsg_len = NLMSG_LENGTH(sizeof request->route),
                    .nlmsg_type = RTM_GETROUTE,
                    .nlmsg_flags = NLM_F_REQUEST },
        .route = { .rtm_family = to->family, .rtm_dst_len = (unsigned char)(to->bytes * 8) },
    };
    attribute_append(request, RTA_DST, to->address, to->bytes);
    if (to->scope_id)
        attribute_append(request, RTA_OIF, &to->scope_id, sizeof to->scope_id);
}

/* The length of the answer, or a negative errno. */
static ssize_t exchange(int fd, const struct request *request, struct answer *answer)
{
    const struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
    const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    ssize_t got;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
        return -errno;
    if (sendto(fd, request, request->header.nlmsg_len, 0, (const struct sockaddr *)&kernel,
               sizeof kernel) < 0)
        return -errno;
    do
        got = recv(fd, answer->bytes, sizeof answer->bytes, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    return got;
}

/* ---- the answer ---- */

/* NULL at the end. */
static const struct rtattr *attributes_next(struct attributes *attributes)
{
    const struct rtattr *attribute = (const void *)attributes->bytes;
    size_t bytes;

    if (attributes->left < sizeof *attribute || attribute->rta_len < sizeof *attribute ||
        attribute->rta_len > attributes->left)
        return NULL;
    bytes = RTA_ALIGN((size_t)attribute->rta_len);
    bytes = bytes < attributes->left ? bytes : attributes->left;
    attributes->bytes += bytes;
    attributes->left -= bytes;
    return attribute;
}

static int answer_error(const struct nlmsghdr *header)
{
    const struct nlmsgerr *error = NLMSG_DATA(header);

    if (header->nlmsg_len < NLMSG_LENGTH(sizeof *error) || error->error >= 0)
        return -EPROTO;
    return error->error;
}

static void address_text(char text[INET6_ADDRSTRLEN], int family, const void *address, size_t bytes)
{
    if (bytes >= (family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr)))
        (void)inet_ntop(family, address, text, INET6_ADDRSTRLEN);
}

/* IPv6 behind which an IPv4 address is reached, or the other way round. */
static void via_text(char text[INET6_ADDRSTRLEN], const struct rtattr *attribute)
{
    const struct rtvia *via = RTA_DATA(attribute);

    if (RTA_PAYLOAD(attribute) > sizeof *via)
        address_text(text, via->rtvia_family, via->rtvia_addr,
                     RTA_PAYLOAD(attribute) - sizeof *via);
}

static uint32_t number_of(const struct rtattr *attribute)
{
    uint32_t number = 0;

    if (RTA_PAYLOAD(attribute) >= sizeof number)
        memcpy(&number, RTA_DATA(attribute), sizeof number);
    return number;
}

/* A route may have an MTU of its own, below the interface's. */
static uint32_t mtu_of_metrics(const struct rtattr *metrics)
{
    struct attributes attributes = { RTA_DATA(metrics), RTA_PAYLOAD(metrics) };
    const struct rtattr *metric;

    while ((metric = attributes_next(&attributes))) {
        if (metric->rta_type == RTAX_MTU)
            return number_of(metric);
    }
    return 0;
}

static void attribute_read(struct pp_route *route, uint32_t *interface, int family,
                           const struct rtattr *attribute)
{
    switch (attribute->rta_type) {
    case RTA_OIF:
        *interface = number_of(attribute);
        break;
    case RTA_PREFSRC:
        address_text(route->source, family, RTA_DATA(attribute), RTA_PAYLOAD(attribute));
        break;
    case RTA_GATEWAY:
        address_text(route->gateway, family, RTA_DATA(attribute), RTA_PAYLOAD(attribute));
        break;
    case RTA_VIA:
        via_text(route->gateway, attribute);
        break;
    case RTA_METRICS:
        route->mtu = mtu_of_metrics(attribute);
        break;
    default:
        break;
    }
}

/* A route that blocks its packets has no interface; older kernels give one without saying so. */
static int answer_read(struct pp_route *route, uint32_t *interface, const struct nlmsghdr *header)
{
    const struct rtmsg *message = NLMSG_DATA(header);
    struct attributes attributes;
    const struct rtattr *attribute;

    if (header->nlmsg_type == NLMSG_ERROR)
        return answer_error(header);
    if (header->nlmsg_type != RTM_NEWROUTE || header->nlmsg_len < NLMSG_LENGTH(sizeof *message))
        return -EPROTO;
    if (message->rtm_type == RTN_UNREACHABLE || message->rtm_type == RTN_BLACKHOLE ||
        message->rtm_type == RTN_PROHIBIT)
        return -EHOSTUNREACH;
    attributes = (struct attributes){ (const void *)RTM_RTA(message), RTM_PAYLOAD(header) };
    while ((attribute = attributes_next(&attributes)))
        attribute_read(route, interface, message->rtm_family, attribute);
    return *interface ? 0 : -ENETUNREACH;
}

static int route_ask(struct pp_route *route, uint32_t *interface, const struct destination *to)
{
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    const struct nlmsghdr *header;
    struct request request;
    struct answer answer = { 0 };
    ssize_t got;

    if (fd < 0)
        return -errno;
    request_fill(&request, to);
    got = exchange(fd, &request, &answer);
    (void)close(fd);
    if (got < 0)
        return (int)got;
    header = (const void *)answer.bytes;
    return NLMSG_OK(header, (size_t)got) ? answer_read(route, interface, header) : -EPROTO;
}

/* ---- the interface ---- */

static bool interface_ioctl(int fd, struct ifreq *request, const char *name, unsigned long what)
{
    memcpy(request->ifr_name, name, sizeof request->ifr_name);
    return ioctl(fd, what, request) == 0;
}

static bool ethtool(int fd, const char *name, void *command)
{
    struct ifreq request = { .ifr_data = command };

    return interface_ioctl(fd, &request, name, SIOCETHTOOL);
}

/* Not from /sys, which may show the interfaces of another network namespace. */
static void driver_read(struct pp_route *route, int fd)
{
    struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
    struct ifreq request = { 0 };

    if (interface_ioctl(fd, &request, route->interface, SIOCGIFFLAGS) &&
        (request.ifr_flags & IFF_LOOPBACK))
        (void)snprintf(route->driver, sizeof route->driver, "loopback");
    else if (ethtool(fd, route->interface, &info))
        (void)snprintf(route->driver, sizeof route->driver, "%.*s", (int)sizeof info.driver - 1,
                       info.driver);
}

/* An interface without a cable, and many virtual ones, say -1. */
static void speed_read(struct pp_route *route, int fd)
{
    struct ethtool_cmd settings = { .cmd = ETHTOOL_GSET };
    uint32_t speed;

    if (!ethtool(fd, route->interface, &settings))
        return;
    speed = (uint32_t)settings.speed_hi << 16 | settings.speed;
    route->speed_mbit = speed > INT32_MAX || speed == UINT16_MAX ? 0 : speed;
}

static void interface_read(struct pp_route *route, uint32_t interface)
{
    struct ifreq request = { 0 };
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (!if_indextoname(interface, route->interface))
        route->interface[0] = '\0';
    if (fd < 0)
        return;
    if (route->interface[0] != '\0') {
        if (!route->mtu && interface_ioctl(fd, &request, route->interface, SIOCGIFMTU))
            route->mtu = (uint32_t)request.ifr_mtu;
        driver_read(route, fd);
        speed_read(route, fd);
    }
    (void)close(fd);
}

int pp_route_find(struct pp_route *route, const struct sockaddr *to, socklen_t to_bytes)
{
    struct destination destination;
    uint32_t interface = 0;
    int error;

    memset(route, 0, sizeof *route);
    if (!destination_set(&destination, to, to_bytes))
        return -EAFNOSUPPORT;
    destination_unmap(&destination);
    error = route_ask(route, &interface, &destination);
    if (error < 0) {
        memset(route, 0, sizeof *route);
        return error;
    }
    interface_read(route, interface);
    return 0;
}
