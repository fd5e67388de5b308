/* Datagrams of a socket that is bound to all addresses of the machine: an answer must come from the
 * one that was asked, which a client that is connected to it waits for, and the kernel by itself
 * would choose another (RFC 1122, 4.1.3.5). */
#include "io/datagram.h"

#include "io/loop.h"

static bool is_set(struct pp_io_loop *loop, int fd, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof value;

    pp_io_count_syscall(loop);
    return getsockopt(fd, level, option, &value, &len) == 0 && value != 0;
}

bool pp_io_datagram_is_telling(struct pp_io_loop *loop, int fd)
{
    return is_set(loop, fd, IPPROTO_IP, IP_PKTINFO) ||
           is_set(loop, fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

ssize_t pp_io_datagram_receive_told(int fd, char *buf, size_t bytes)
{
    struct pp_io_sender *sender = (struct pp_io_sender *)(void *)buf;
    struct iovec data = { .iov_base = buf + PP_IO_SENDER_BYTES,
                          .iov_len = bytes - PP_IO_SENDER_BYTES };
    struct msghdr msg = { .msg_name = &sender->any,
                          .msg_namelen = PP_IO_TOLD_NAME_BYTES,
                          .msg_iov = &data,
                          .msg_iovlen = 1,
                          .msg_control = sender->told.control,
                          .msg_controllen = PP_IO_TOLD_CONTROL_BYTES };
    const ssize_t ret = recvmsg(fd, &msg, MSG_DONTWAIT);

    sender->len = msg.msg_namelen;
    sender->control_len = (uint32_t)msg.msg_controllen;
    return ret;
}

/* ---- whether to answer ---- */

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

/* All that was told of a datagram, as the macros for control data want it. */
static struct msghdr all_told(struct pp_io_sender *sender)
{
    return (struct msghdr){ .msg_control = sender->told.control,
                            .msg_controllen = sender->control_len };
}

bool pp_io_is_answerable(char *buf)
{
    struct msghdr msg = all_told(pp_io_sender(buf));

    if (!can_be_written_to(pp_io_sender(buf)))
        return false;
    for (struct cmsghdr *told = CMSG_FIRSTHDR(&msg); told; told = CMSG_NXTHDR(&msg, told))
        if (!was_sent_to_one(told))
            return false;
    return true;
}

/* ---- answering ---- */

/* What was told of a datagram says the same of an answer, but for the interface: the way back is
 * the kernel's choice, unless the address means nothing without one. */
static void turn_round(struct cmsghdr *told)
{
    struct in_pktinfo *in = (struct in_pktinfo *)(void *)CMSG_DATA(told);
    struct in6_pktinfo *in6 = (struct in6_pktinfo *)(void *)CMSG_DATA(told);

    if (told->cmsg_level == IPPROTO_IP) {
        in->ipi_ifindex = 0;
        return;
    }
    if (IN6_IS_ADDR_MULTICAST(&in6->ipi6_addr)) /* it is nobody's: any will do */
        in6->ipi6_addr = in6addr_any;
    if (!IN6_IS_ADDR_LINKLOCAL(&in6->ipi6_addr))
        in6->ipi6_ifindex = 0;
}

ssize_t pp_io_datagram_send_back_told(const struct pp_io_op *op)
{
    struct pp_io_sender *sender = pp_io_sender(op->buf);
    struct iovec data = { .iov_base = op->buf, .iov_len = op->len };
    struct msghdr msg = all_told(sender);

    msg.msg_name = &sender->any;
    msg.msg_namelen = sender->len;
    msg.msg_iov = &data;
    msg.msg_iovlen = 1;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&msg); each; each = CMSG_NXTHDR(&msg, each))
        turn_round(each);
    return sendmsg(op->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}
