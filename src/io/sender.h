/* How a datagram stands in its buffer, which begins with its sender, just as io_uring's multishot
 * recvmsg writes it. Where the socket tells to which of its addresses a datagram was sent, that
 * stands behind the sender's name, as control data: such a socket is one of IPv4 or IPv6, whose
 * names are short. Private to src/io. */
#ifndef PP_IO_SENDER_H
#define PP_IO_SENDER_H

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

/* All that was told of a datagram, as the macros for control data want it. */
static inline struct msghdr pp_io_all_told(struct pp_io_sender *sender)
{
    return (struct msghdr){ .msg_control = sender->told.control,
                            .msg_controllen = sender->control_len };
}

#endif
