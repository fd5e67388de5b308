/* The way that packets take from this host to an address, and the interface that they leave by. */
#ifndef PP_MEASURE_ROUTE_H
#define PP_MEASURE_ROUTE_H

#include <stdint.h>
#include <sys/socket.h>

/* A text is "" and a number 0 where nothing is known. */
struct pp_route {
    char interface[16]; /* "eth0" */
    char source[46];    /* the address that the kernel sends from: "192.0.2.7" */
    char gateway[46];   /* "" if there is none: the address is on this link */
    char driver[32];    /* of the interface: "virtio_net", "veth"; "loopback" */
    uint32_t mtu;
    uint32_t speed_mbit; /* Mbit/s */
};

/* Asks the kernel (rtnetlink(7)). to is an IPv4 or IPv6 address; its port does not matter. Waits
 * for at most a second. 0; -EAFNOSUPPORT: another kind of address, such as a Unix socket's;
 * -ENETUNREACH or -EHOSTUNREACH: there is no way; -ETIMEDOUT: no answer; another negative errno.
 * *route is empty on an error. */
int pp_route_find(struct pp_route *route, const struct sockaddr *to, socklen_t to_bytes);

#endif
