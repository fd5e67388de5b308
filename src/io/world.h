/* What loops share: the world that they are in, with its time, sockets, threads and names, as one
 * table of hooks. io.h includes it, and others include that. A loop's is pp_io_world_of(loop); all
 * that work together are in one. */
#ifndef PP_IO_WORLD_H
#define PP_IO_WORLD_H

#include "base/error.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct pp_io_loop;

/* ---- addresses --------------------------------------------------------------------------- */

struct pp_io_addr {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

#define PP_IO_ADDR_TEXT_BYTES 128

/* "127.0.0.1:3131", "[::1]:3131", "[fe80::1%eth0]:3131", "unix:/path", "unix:@abstract name" or
 * "unix:(unnamed)". Returns text. */
const char *pp_io_addr_format(const struct pp_io_addr *addr, char text[PP_IO_ADDR_TEXT_BYTES]);

/* A Unix socket's address. 0; -ENAMETOOLONG: path does not fit; -EINVAL: it is empty. */
int pp_io_addr_unix(struct pp_io_addr *addr, const char *path);

/* ---- sockets ----------------------------------------------------------------------------- */

/* Zeroed, or NULL: what the system does by itself, and no Nagle delay. What makes no sense for a
 * kind of socket is ignored there: congestion control for UDP, all but dgram and the sizes of the
 * buffers for Unix sockets. What the kernel refuses is an error of kind PP_ERROR_UNAVAILABLE. */
struct pp_io_socket_options {
    bool dgram; /* UDP, or Unix datagrams */
    bool mptcp; /* Multipath TCP */
    bool nagle; /* leave Nagle's algorithm on */
    bool tos_given;
    uint8_t tos;
    uint32_t sndbuf; /* bytes; without root, net.core.wmem_max and rmem_max are the most */
    uint32_t rcvbuf;
    bool busy_poll_given;
    uint32_t busy_poll_us; /* 0 switches it off; older kernels want CAP_NET_ADMIN for it */
    char congestion[16];   /* "": the system's */
};

/* What the kernel knows of a TCP connection that is up. */
struct pp_io_tcp_info {
    uint64_t retransmits; /* segments that this end has sent again, so far */
    uint64_t min_rtt_ns;  /* the least that the kernel has seen; 0: none yet */
    uint32_t mss;         /* bytes; of what this end sends */
    uint64_t acked;       /* bytes that this end has sent and the other has acknowledged */
    char congestion[16];  /* its congestion control */
};

/* ---- the table --------------------------------------------------------------------------- */

struct pp_io_world {
    /* The clock by which timers are due, in nanoseconds: for pp_io_now_ns(). NULL: it is the
     * kernel's monotonic one, which is read without a call. */
    uint64_t (*now_ns)(void);

    /* A socket to connect to addr with: non-blocking, close-on-exec, bound to source, whose port
     * may be 0, unless that is NULL. A Unix one for datagrams has a name, so that it can be
     * answered. The descriptor, the caller's, or a negative errno with err set. */
    int (*socket)(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                  const struct pp_io_addr *source, struct pp_error *err);

    /* Sockets on *addr, whose port is filled in where it was 0: listening ones, or bound ones for
     * datagrams. A port that anybody has is refused with -EADDRINUSE.
     *
     * With count > 1 they share the address, and a connection or a datagram goes to fds[i], where
     * cpus[i] is the CPU that its packets arrive on: over the loopback, the sender's. Where several
     * cpus[i] are that CPU, or with cpus NULL, it goes to any of fds, and always to the same for
     * the same two ports; where none is, to fds[CPU % count]. That holds while all are open.
     * Multipath TCP cannot be steered and goes to any. Unix sockets are one and the same.
     *
     * A Unix socket's file that nobody listens on any more is replaced; any other file is left
     * alone and is -EEXIST, or -EISDIR. Returns 0, with count descriptors that are the caller's, or
     * a negative errno with err set and *addr as it was. */
    int (*listen)(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                  const int *cpus, unsigned count, int *fds, struct pp_error *err);

    /* Removes the file of the Unix socket that listen() has bound to addr; nothing to do for
     * others, nor if the path is another file's by now. Until then it is noted (base/leftover.h),
     * so that a signal that ends the program can remove it, too. */
    void (*unlisten)(const struct pp_io_addr *addr);

    /* A descriptor that no loop works on, or none any more: one that a loop has worked on, and
     * which goes on, is closed by pp_io_close(). */
    void (*close)(int fd);

    /* Closing fd resets its connection from now on, and drops what is unsent: the other side must
     * not take the end for a proper one. Nothing to do for Unix sockets. */
    void (*reset_on_close)(int fd);

    /* The kernel asks whether the other side of a TCP connection is still there when nothing has
     * come for idle_s seconds, and again each idle_s / 3; after three questions without an answer,
     * or when what was sent has been unacknowledged for unacked_s seconds, the connection fails
     * with -ETIMEDOUT. Accepted connections inherit it from their listener. Nothing to do for
     * others. */
    void (*keepalive)(int fd, int idle_s, int unacked_s);

    /* Whether fd is connected to itself. A client of a port on this machine that nobody listens on
     * can get that very port for its own end, and TCP then connects the two. */
    bool (*is_self_connected)(int fd);

    /* 0, or a negative errno: fd is no TCP connection. Two system calls. */
    int (*tcp_info)(int fd, struct pp_io_tcp_info *info);

    /* Whether both ends of a connection speak Multipath TCP. One that was asked for it has fallen
     * back to plain TCP where the other end, or something on the way, does not. */
    bool (*speaks_mptcp)(int fd);

    /* Whether there is IPv6 here at all. */
    bool (*has_ipv6)(void);

    /* The first address that host has in family, which may be AF_UNSPEC, without a port. Blocks. 0,
     * or a negative errno with *why in words: "it has no IPv6 address". */
    int (*look_up)(const char *host, int family, struct pp_io_addr *addr, const char **why);

    /* A descriptor that becomes readable by wake(), from any thread or signal handler, until
     * wake_taken(). It may also just be held. Negative errno: there is none to be had. */
    int (*wake_open)(void);
    void (*wake)(int fd);
    void (*wake_taken)(int fd);

    /* Runs body(argument) on a thread of its own, to be joined. 0 or a negative errno. */
    int (*thread_start)(pthread_t *thread, void *(*body)(void *), void *argument);
    void (*thread_join)(pthread_t thread);

    /* The calling thread is about to run loop for long. */
    void (*thread_enter)(struct pp_io_loop *loop);
};

/* This machine's: the world of every engine that makes system calls. */
extern const struct pp_io_world pp_io_kernel;

#endif
