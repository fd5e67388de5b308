/* What the tests of the server of streams share: one on a loop that runs on a thread of its own, or
 * is driven by the test, turn by turn; and its clients, which are plain sockets. */
#ifndef PP_TESTS_SUPPORT_STREAM_SERVER_H
#define PP_TESTS_SUPPORT_STREAM_SERVER_H

#include "listening.h"
#include "server/server.h"
#include "serving.h"

#include <sys/ioctl.h>
#include <sys/resource.h>

#define CLIENTS_MAX 256
#define BUFFERS 64 /* fewer than clients, and more than a slow one may hold */
#define BUFFER_BYTES 256

struct fixture {
    const char *engine;
    struct pp_server_limits limits; /* the usual ones, unless a test says otherwise */
    struct pp_io_loop *loop;
    struct pp_server *server;
    struct pp_pattern pattern;
    atomic_uint introductions;
    struct pp_io_addr addr;
    struct loop_thread thread;
    struct rlimit files; /* as they were before the test */
    int clients[CLIENTS_MAX];
    unsigned client_count;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct pp_error err = { 0 };

    if (!f || getrlimit(RLIMIT_NOFILE, &f->files) < 0 ||
        pp_pattern_open_random(&f->pattern, 1, &err) < 0)
        return -1;
    f->engine = *state;
    f->limits = pp_server_limits_default();
    *state = f;
    hang_guard_start();
    return 0;
}

static inline void stop_and_join(struct fixture *f)
{
    pp_server_stop(f->server);
    loop_thread_join(&f->thread);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    bool in_time;

    (void)setrlimit(RLIMIT_NOFILE, &f->files);
    if (f->thread.running) {
        stop_and_join(f);
    } else if (f->server) {
        pp_server_stop(f->server);
        (void)pp_io_loop_run(f->loop);
    }
    in_time = hang_guard_stop();
    for (unsigned i = 0; i < f->client_count; i++)
        (void)close(f->clients[i]);
    pp_io_loop_close(f->loop);
    pp_server_close(f->server);
    pp_pattern_close(&f->pattern);
    free(f);
    return in_time ? 0 : -1;
}

/* ---- the server ---- */

static inline int listen_with(struct fixture *f, int socket_bytes)
{
    struct pp_error err = { 0 };
    int listen_fd;

    f->addr = loopback();
    listen_fd = listen_one(&f->addr, NULL, &err);
    assert_true(listen_fd >= 0);
    if (socket_bytes) {
        set_option(listen_fd, SOL_SOCKET, SO_SNDBUF, socket_bytes);
        set_option(listen_fd, SOL_SOCKET, SO_RCVBUF, socket_bytes);
    }
    return listen_fd;
}

/* The sizes are those of the sockets; 0 leaves them to the kernel. */
static inline void serve(struct fixture *f, uint32_t connections, uint32_t buffer_bytes,
                         int socket_bytes)
{
    struct pp_server_options options = { .connections = connections,
                                         .limits = f->limits,
                                         .pattern = &f->pattern,
                                         .introduce = introduce,
                                         .owner = &f->introductions };
    struct pp_error err = { 0 };

    f->loop = open_loop(f->engine, BUFFERS, buffer_bytes);
    options.loop = f->loop;
    options.listen_fd = listen_with(f, socket_bytes);
    assert_int_equal(pp_server_open(&f->server, &options, &err), 0);
    pp_io_loop_check(f->loop, pp_server_check, f->server);
}

static inline void start_thread(struct fixture *f)
{
    loop_thread_start(&f->thread, f->loop);
}

static inline void serve_on_thread(struct fixture *f, uint32_t connections)
{
    serve(f, connections, BUFFER_BYTES, 0);
    start_thread(f);
}

static inline void close_server(struct fixture *f)
{
    pp_io_loop_close(f->loop);
    pp_server_close(f->server);
    f->loop = NULL;
    f->server = NULL;
}

static inline void stop(struct fixture *f)
{
    stop_and_join(f);
    assert_int_equal(f->thread.result, 0);
    close_server(f);
}

/* Some turns of a loop that has no thread. */
static inline void drive(struct fixture *f)
{
    for (int i = 0; i < 8; i++)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
}

/* ---- its clients ---- */

static inline int client_socket(struct fixture *f)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && f->client_count < CLIENTS_MAX);
    f->clients[f->client_count++] = fd;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return fd;
}

static inline void client_connect(struct fixture *f, int fd)
{
    assert_int_equal(connect(fd, &f->addr.any, f->addr.len), 0);
}

static inline int client(struct fixture *f)
{
    const int fd = client_socket(f);

    client_connect(f, fd);
    return fd;
}

/* An accept that is under way goes by the limit of when it began, so that a lower one is no way to
 * this. The fixture closes them. */
static inline void use_up_descriptors(struct fixture *f)
{
    int fd;

    while ((fd = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0) {
        assert_true(f->client_count < CLIENTS_MAX);
        f->clients[f->client_count++] = fd;
    }
    assert_int_equal(errno, EMFILE);
}

/* One that takes in little at a time. */
static inline int narrow_client(struct fixture *f)
{
    const int fd = client_socket(f);

    set_option(fd, SOL_SOCKET, SO_RCVBUF, 4096);
    client_connect(f, fd);
    return fd;
}

/* The test closes fd itself. */
static inline void disown(struct fixture *f, int fd)
{
    for (unsigned i = 0; i < f->client_count; i++)
        if (f->clients[i] == fd)
            f->clients[i] = f->clients[--f->client_count];
}

static inline void say_bytes(int fd, const void *data, size_t bytes)
{
    assert_int_equal(send(fd, data, bytes, MSG_NOSIGNAL), bytes);
}

static inline void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* MSG_WAITALL would not do: when the kernel has work for a thread that has had a ring, it returns
 * with what there is. */
static inline void hear_bytes(int fd, void *data, size_t bytes)
{
    ssize_t part;

    for (size_t got = 0; got < bytes; got += (size_t)part) {
        part = recv(fd, (char *)data + got, bytes - got, 0);
        assert_true(part > 0);
    }
}

static inline void hear(int fd, const char *text)
{
    char got[256] = "";

    assert_true(strlen(text) < sizeof got);
    hear_bytes(fd, got, strlen(text));
    assert_string_equal(got, text);
}

static inline void is_echoed(int fd, const char *text)
{
    say(fd, text);
    hear(fd, text);
}

/* Receives bytes where nobody else turns the server's loop. */
static inline void hear_when_driven(struct fixture *f, int fd, char *data, size_t bytes)
{
    const uint64_t until_ns = give_up_ns();
    size_t got = 0;

    while (got < bytes && pp_clock_now_ns() < until_ns) {
        const ssize_t part = recv(fd, data + got, bytes - got, MSG_DONTWAIT);

        got += part > 0 ? (size_t)part : 0;
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    }
    assert_int_equal(got, bytes);
}

static inline void is_echoed_when_driven(struct fixture *f, int fd, const char *text)
{
    char got[256] = "";

    say(fd, text);
    hear_when_driven(f, fd, got, strlen(text));
    assert_string_equal(got, text);
}

/* The server's side of fd is closed, or is just being closed. */
static inline void is_closed(int fd)
{
    char byte;
    const ssize_t got = recv(fd, &byte, 1, 0);

    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
}

/* The server's descriptor of what fd is connected to. -1: nobody is at the other end. */
static inline int end_at_server(int fd)
{
    struct sockaddr_in own = { 0 }, other = { 0 };
    socklen_t len = sizeof own;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    for (int i = 3; i < 1024; i++) {
        len = sizeof other;
        if (getpeername(i, (struct sockaddr *)&other, &len) == 0 && other.sin_port == own.sin_port)
            return i;
    }
    return -1;
}

/* How much of what fd sent lies in the server's socket, unread. -1: nobody is at the other end. */
static inline int unread_by_server(int fd)
{
    int bytes = -1;

    return ioctl(end_at_server(fd), FIONREAD, &bytes) == 0 ? bytes : -1;
}

#endif
