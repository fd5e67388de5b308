/* Datagrams by plain system calls. A buffer begins with its sender, a struct pp_io_addr, just as
 * io_uring's multishot recvmsg writes it. Private to src/io. */
#ifndef PP_IO_DATAGRAM_H
#define PP_IO_DATAGRAM_H

#include "io/io.h"

#include <assert.h>

#define PP_IO_SENDER_NAME_OFFSET offsetof(struct pp_io_addr, any)
#define PP_IO_SENDER_NAME_BYTES (PP_IO_SENDER_BYTES - PP_IO_SENDER_NAME_OFFSET)

static_assert(sizeof(struct pp_io_addr) == PP_IO_SENDER_BYTES, "a sender is an address");

/* The next datagram of fd into the buffer of so many bytes. As recv(2). */
static inline ssize_t pp_io_datagram_receive(int fd, char *buf, size_t bytes)
{
    struct pp_io_addr *sender = (struct pp_io_addr *)(void *)buf;

    sender->len = PP_IO_SENDER_NAME_BYTES;
    return recvfrom(fd, buf + PP_IO_SENDER_BYTES, bytes - PP_IO_SENDER_BYTES, MSG_DONTWAIT,
                    &sender->any, &sender->len);
}

/* As send(2). */
static inline ssize_t pp_io_datagram_send_back(const struct pp_io_op *op)
{
    const struct pp_io_addr *sender = pp_io_sender(op->buf);

    return sendto(op->fd, op->buf, op->len, MSG_DONTWAIT | MSG_NOSIGNAL, &sender->any, sender->len);
}

#endif
