/* Datagrams of a socket that is bound to all addresses of the machine: an answer must come from the
 * one that was asked, which a client that is connected to it waits for, and the kernel by itself
 * would choose another (RFC 1122, 4.1.3.5). */
#include "base/assert.h"
#include "io/kernel/kernel.h"
#include "io/loop.h"
#include "io/sender.h"

static bool is_set(struct pp_io_loop *loop, int fd, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof value;

    pp_io_count_syscall(loop);
    return getsockopt(fd, level, option, &value, &len) == 0 && value != 0;
}

bool pp_kernel_is_telling(struct pp_io_loop *loop, int fd)
{
    return is_set(loop, fd, IPPROTO_IP, IP_PKTINFO) ||
           is_set(loop, fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

static ssize_t receive_told(int fd, char *buf, size_t bytes)
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

ssize_t pp_kernel_receive_from(int fd, bool is_telling, char *buf, size_t bytes)
{
    struct pp_io_sender *sender = (struct pp_io_sender *)(void *)buf;

    pp_assert(bytes > PP_IO_SENDER_BYTES);
    if (is_telling)
        return receive_told(fd, buf, bytes);
    sender->control_len = 0;
    sender->len = PP_IO_SENDER_NAME_BYTES;
    return recvfrom(fd, buf + PP_IO_SENDER_BYTES, bytes - PP_IO_SENDER_BYTES, MSG_DONTWAIT,
                    &sender->any, &sender->len);
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

static ssize_t send_back_told(const struct pp_io_op *op)
{
    struct pp_io_sender *sender = pp_io_sender(op->buf);
    struct iovec data = { .iov_base = op->buf, .iov_len = op->len };
    struct msghdr msg = pp_io_all_told(sender);

    pp_assert(msg.msg_controllen > 0);
    msg.msg_name = &sender->any;
    msg.msg_namelen = sender->len;
    msg.msg_iov = &data;
    msg.msg_iovlen = 1;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&msg); each; each = CMSG_NXTHDR(&msg, each))
        turn_round(each);
    return sendmsg(op->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t pp_kernel_send_back(const struct pp_io_op *op)
{
    const struct pp_io_sender *sender = pp_io_sender(op->buf);

    pp_assert(op->kind == PP_IO_SEND_BACK);
    if (sender->control_len > 0)
        return send_back_told(op);
    return sendto(op->fd, op->buf, op->len, MSG_DONTWAIT | MSG_NOSIGNAL, &sender->any, sender->len);
}
