/* The parts of the kernel's world, pp_io_kernel, that have files of theirs. Their contracts stand
 * at the hooks of struct pp_io_world. */
#ifndef PP_IO_KERNEL_KERNEL_H
#define PP_IO_KERNEL_KERNEL_H

#include "io/world.h"

int pp_kernel_socket(const struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                     const struct pp_io_addr *source, struct pp_error *err);
void pp_kernel_reset_on_close(int fd);
void pp_kernel_keepalive(int fd, int idle_s, int unacked_s);
bool pp_kernel_is_self_connected(int fd);
bool pp_kernel_has_ipv6(void);

int pp_kernel_listen(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                     const int *cpus, unsigned count, int *fds, struct pp_error *err);
void pp_kernel_unlisten(const struct pp_io_addr *addr);

int pp_kernel_tcp_info(int fd, struct pp_io_tcp_info *info);
bool pp_kernel_speaks_mptcp(int fd);

int pp_kernel_look_up(const char *host, int family, struct pp_io_addr *addr, const char **why);

/* pp_io_leave_rseq() of the calling thread, which is about to run loop. */
void pp_kernel_thread_enter(struct pp_io_loop *loop);

/* ---- datagrams ---- */

struct pp_io_op;

/* Whether fd is a socket that tells which of its addresses a datagram was sent to. Two system calls
 * at most, which loop counts. */
bool pp_kernel_is_telling(struct pp_io_loop *loop, int fd);

/* The next datagram of fd into the buffer of so many bytes, behind its sender. As recv(2). */
ssize_t pp_kernel_receive_from(int fd, bool is_telling, char *buf, size_t bytes);

/* A send_back: from the address that the datagram was sent to, where that was told. As send(2). */
ssize_t pp_kernel_send_back(const struct pp_io_op *op);

/* ---- what sockets to connect with and sockets to listen on have in common ---- */

/* A socket of the family that has all the options, bound to nothing. The descriptor, or a negative
 * errno with err set. */
int pp_kernel_socket_open(int family, const struct pp_io_socket_options *options,
                          struct pp_error *err);

/* Sets an option of the socket, which an error calls name. 0 or a negative errno with err set. */
int pp_kernel_socket_set(int fd, int level, int option, int value, const char *name,
                         struct pp_error *err);

enum pp_kernel_owner {
    PP_KERNEL_OWNER_UNKNOWN, /* there is no such socket, or processes are hidden from this one */
    PP_KERNEL_OWNER_LIVES,
    PP_KERNEL_OWNER_GONE /* no process has it open: the kernel is about to close it */
};

/* Of the sockets that are bound to port, TCP or UDP. */
enum pp_kernel_owner pp_kernel_owner_of(unsigned port, bool dgram);

#endif
