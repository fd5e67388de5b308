/* Datagrams by plain system calls. A buffer begins with its sender, just as io_uring's multishot
 * recvmsg writes it. Where the socket tells to which of its addresses a datagram was sent, that
 * stands behind the sender's name, as control data: such a socket is one of IPv4 or IPv6, whose
 * names are short. Private to src/io. */
#ifndef PP_IO_DATAGRAM_H
#define PP_IO_DATAGRAM_H

#include "io/io.h"

#include <assert.h>
#include <stdalign.h>

#define PP_IO_SENDER_BYTES 128 /* what stands before the datagram in its buffer */
#define PP_IO_SENDER_NAME_BYTES 112
#define PP_IO_TOLD_NAME_BYTES 32 /* on a socket that tells */
#define PP_IO_TOLD_CONTROL_BYTES 80

struct pp_io_sender {
    socklen_t len;        /* of the name; 0: it has none */
    uint32_t control_len; /* on any socket; 0: nothing was told */
    uint32_t unused[2];
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct {
            char name[PP_IO_TOLD_NAME_BYTES];
            alignas(struct cmsghdr) char control[PP_IO_TOLD_CONTROL_BYTES];
        } told;
    };
};

static_assert(sizeof(struct pp_io_sender) == PP_IO_SENDER_BYTES &&
                  offsetof(struct pp_io_sender, any) + PP_IO_SENDER_NAME_BYTES ==
                      PP_IO_SENDER_BYTES,
              "the datagram follows at one place");
static_assert(sizeof(struct sockaddr_in6) <= PP_IO_TOLD_NAME_BYTES,
              "a sender stands where it does");
static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo)) <=
                  PP_IO_TOLD_CONTROL_BYTES,
              "there is room for both: IPv4 over a socket of IPv6");

/* Of the datagram at buf: valid while the buffer is. */
static inline struct pp_io_sender *pp_io_sender(char *buf)
{
    return (struct pp_io_sender *)(void *)(buf - PP_IO_SENDER_BYTES);
}

/* Whether fd is a socket that tells; asks the kernel. */
bool pp_io_datagram_is_telling(struct pp_io_loop *loop, int fd);

/* Those below on a socket that tells, and for a datagram of which it has told. */
ssize_t pp_io_datagram_receive_told(int fd, char *buf, size_t bytes);
ssize_t pp_io_datagram_send_back_told(const struct pp_io_op *op);

/* The next datagram of fd into the buffer of so many bytes. As recv(2). */
static inline ssize_t pp_io_datagram_receive(int fd, bool is_telling, char *buf, size_t bytes)
{
    struct pp_io_sender *sender = (struct pp_io_sender *)(void *)buf;

    if (is_telling)
        return pp_io_datagram_receive_told(fd, buf, bytes);
    sender->control_len = 0;
    sender->len = PP_IO_SENDER_NAME_BYTES;
    return recvfrom(fd, buf + PP_IO_SENDER_BYTES, bytes - PP_IO_SENDER_BYTES, MSG_DONTWAIT,
                    &sender->any, &sender->len);
}

/* From the address that the datagram was sent to, where that was told. As send(2). */
static inline ssize_t pp_io_datagram_send_back(const struct pp_io_op *op)
{
    const struct pp_io_sender *sender = pp_io_sender(op->buf);

    if (sender->control_len > 0)
        return pp_io_datagram_send_back_told(op);
    return sendto(op->fd, op->buf, op->len, MSG_DONTWAIT | MSG_NOSIGNAL, &sender->any, sender->len);
}

#endif
