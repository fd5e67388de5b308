/* The sockets of the event loop's tests: those that a loop works on, and what a test does at their
 * other ends. No other file of these tests makes a system call about a socket, which tools/tidy.py
 * checks: what a socket is can change in one place.
 *
 * Descriptors are the fixture's, which closes them. All of this is for the main thread and fails
 * the test where something goes wrong. What ends in _now does not: it neither waits nor asserts,
 * and may be called by callbacks and by any thread. */
#ifndef PP_TESTS_IO_SOCKETS_H
#define PP_TESTS_IO_SOCKETS_H

#include "io/io.h"

/* ---- addresses --------------------------------------------------------------------------- */

bool test_has_ipv6(void);

/* Skips the test where IPv6 is switched off. */
void test_needs_ipv6(void);

/* A Unix address has no name yet: the kernel finds one, which is no file's. */
struct pp_io_addr test_loopback(int family);

/* Where fd is bound. */
struct pp_io_addr test_name(int fd);

/* ---- sockets ----------------------------------------------------------------------------- */

/* One without an address. */
int test_unbound(int family, int type);

/* One at that address. */
int test_bound_to(int type, const struct pp_io_addr *addr);

/* One on an ephemeral port of the loopback, which it writes into addr. */
int test_bound(int family, int type, struct pp_io_addr *addr);

/* Listens on one. Non-blocking. */
int test_listen(int family, int backlog, struct pp_io_addr *addr);

/* One to connect with. */
int test_socket(int family);

/* One to connect with to addr, which it fills in, and whose only local port is that of addr, and so
 * taken. Skips the test where the kernel cannot be told so. */
int test_without_port(int type, struct pp_io_addr *addr);

/* A connected one. */
int test_connect(const struct pp_io_addr *addr);

/* Connects fd; one for datagrams hears of nobody else from then on. */
void test_connect_to(int fd, const struct pp_io_addr *addr);

/* One that has begun to connect, whatever comes of it. */
int test_connect_now(const struct pp_io_addr *addr);

int test_accept(int listen_fd);

struct test_pair {
    int near; /* the loop's */
    int far;  /* the test's */
};

/* A connection over TCP on the loopback. */
struct test_pair test_pair(int family);

/* Two Unix sockets without names. */
struct test_pair test_unix_pair(int type);

/* A non-blocking socket that takes no more, and whose peer does not read. It is a Unix one, because
 * TCP moves bytes on behind the back of a test. */
int test_full_socket(void);

void test_set_nonblocking(int fd);

/* fd gets another number, that one or, if it is -1, any that is free; returned. */
int test_renumber(int fd, int number);

/* So that a large write into fd is short. */
void test_shrink_send_buffer(int fd);

/* To so many bytes, or as many as are granted. */
void test_grow_send_buffer(int fd, int bytes);
void test_grow_receive_buffer(int fd, int bytes);

/* Datagrams that come tell from now on to which address they were sent. */
void test_make_telling(int fd);

/* ---- far ends ---------------------------------------------------------------------------- */

/* What the test does on an end that is not under test goes through a loop, too, of the same engine,
 * and so does the making of a connection: no system call needs to know the socket. */
void test_write(int fd, const void *data, size_t bytes);
void test_read(int fd, void *data, size_t bytes);
void test_read_text(int fd, const char *wanted);
void test_read_eof(int fd);

/* Receives once: bytes, as of a datagram; 0 for the end of a stream; or a negative errno. */
int32_t test_receive(int fd, void *data, size_t bytes);

/* Receives one more byte: 0 for the end of the stream, or a negative errno, or 1. */
int32_t test_read_end(int fd);

/* Receives a datagram and who has sent it. */
int32_t test_receive_from(int fd, struct pp_io_addr *from, void *data, size_t bytes);

void test_far_shutdown(int fd); /* of sending */
void test_far_close(int fd);

/* Closes fd so that the peer is reset. */
void test_reset(int fd);

/* What there is room for at once, and what has come: bytes, or a negative errno. */
int32_t test_send_now(int fd, const void *data, size_t bytes);
int32_t test_receive_now(int fd, void *data, size_t bytes);

/* The same, but it waits for something to come: for another thread. */
int32_t test_receive_late(int fd, void *data, size_t bytes);

/* A datagram from a socket that is not connected. */
int32_t test_send_to_now(int fd, const struct pp_io_addr *addr, const void *data, size_t bytes);

/* A byte of TCP's that comes out of band. */
int32_t test_send_urgent_now(int fd);

/* Neither end sends or receives on it any more: whoever waits for it goes on. */
void test_hang_up_now(int fd);

/* Over UDP nothing is ever full: the next answer that goes out by a plain system call finds it so
 * all the same. Whether that is still to come. */
void test_refuse_answer(void);
bool test_answer_is_refused(void);

#endif
