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
    struct pp_io_addr *sender = (struct pp_io_addr *)(void *)buf;
    struct pp_io_told *told = (struct pp_io_told *)(void *)buf;
    struct iovec data = { .iov_base = buf + PP_IO_SENDER_BYTES,
                          .iov_len = bytes - PP_IO_SENDER_BYTES };
    struct msghdr msg = { .msg_name = told->name,
                          .msg_namelen = sizeof told->name,
                          .msg_iov = &data,
                          .msg_iovlen = 1,
                          .msg_control = told->control,
                          .msg_controllen = sizeof told->control };
    const ssize_t ret = recvmsg(fd, &msg, MSG_DONTWAIT);

    sender->len = msg.msg_namelen;
    told->control_len = (uint32_t)msg.msg_controllen;
    return ret;
}

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
    struct pp_io_told *told = (struct pp_io_told *)(void *)(op->buf - PP_IO_SENDER_BYTES);
    struct iovec data = { .iov_base = op->buf, .iov_len = op->len };
    const struct msghdr msg = { .msg_name = told->name,
                                .msg_namelen = pp_io_sender(op->buf)->len,
                                .msg_iov = &data,
                                .msg_iovlen = 1,
                                .msg_control = told->control,
                                .msg_controllen = told->control_len };

    turn_round((struct cmsghdr *)(void *)told->control);
    return sendmsg(op->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}
