/* Whether a datagram may be answered, from what the kernel told of it. */
#include "io/sender.h"

/* Not a broadcast address by which one would know it: those of networks look like any other. */
static bool is_one_host(uint32_t address)
{
    const uint32_t host = ntohl(address);

    return !IN_MULTICAST(host) && host != INADDR_BROADCAST && host != INADDR_ANY;
}

static bool is_one_host6(const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        return is_one_host(address->s6_addr32[3]);
    return !IN6_IS_ADDR_MULTICAST(address) && !IN6_IS_ADDR_UNSPECIFIED(address);
}

static bool can_be_written_to(const struct pp_io_sender *sender)
{
    switch (sender->any.sa_family) {
    case AF_INET:
        return sender->in.sin_port != 0 && is_one_host(sender->in.sin_addr.s_addr);
    case AF_INET6:
        return sender->in6.sin6_port != 0 && is_one_host6(&sender->in6.sin6_addr);
    default: /* a Unix socket with a name */
        return sender->len > offsetof(struct sockaddr_un, sun_path);
    }
}

/* Of IPv4 the kernel tells two addresses: the one that the datagram names, and the one of this
 * machine that it was taken in for. They are the same unless the first stands for many, such as the
 * broadcast address of some network of ours. */
static bool was_sent_to_one(const struct cmsghdr *told)
{
    const struct in_pktinfo *in = (const struct in_pktinfo *)(const void *)CMSG_DATA(told);
    const struct in6_pktinfo *in6 = (const struct in6_pktinfo *)(const void *)CMSG_DATA(told);

    if (told->cmsg_level == IPPROTO_IP)
        return in->ipi_addr.s_addr == in->ipi_spec_dst.s_addr && is_one_host(in->ipi_addr.s_addr);
    return is_one_host6(&in6->ipi6_addr);
}

bool pp_io_is_answerable(char *buf)
{
    struct msghdr msg = pp_io_all_told(pp_io_sender(buf));

    if (!can_be_written_to(pp_io_sender(buf)))
        return false;
    for (struct cmsghdr *told = CMSG_FIRSTHDR(&msg); told; told = CMSG_NXTHDR(&msg, told))
        if (!was_sent_to_one(told))
            return false;
    return true;
}
