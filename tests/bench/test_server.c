#include "bench/server.h"

#include "base/clock.h"
#include "support.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#define CLIENTS_MAX 256
#define BUFFERS 64 /* fewer than clients, and more than a slow one may hold */
#define BUFFER_BYTES 256
#define LONG_NS (150 * PP_NS_PER_MS)
#define MIB ((size_t)1024 * 1024)

/* Many more turns than anything here takes. */
#define TURNS_MAX 20000

/* Callbacks that a loop runs before it looks at the kernel again, and some. */
#define MANY_CALLBACKS 1100

/* The server's loop runs on a thread of its own, or is driven by the test, turn by turn. */
struct fixture {
    const char *engine;
    struct pp_io_loop *loop;
    struct pp_server *server;
    struct pp_io_addr addr;
    pthread_t thread;
    bool threaded;
    int loop_result;
    struct rlimit files; /* as they were before the test */
    int clients[CLIENTS_MAX];
    unsigned client_count;
};

static void *run_loop(void *argument)
{
    struct fixture *f = argument;

    f->loop_result = pp_io_loop_run(f->loop);
    return NULL;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f || getrlimit(RLIMIT_NOFILE, &f->files) < 0)
        return -1;
    f->engine = *state;
    *state = f;
    hang_guard_start();
    return 0;
}

static void stop_and_join(struct fixture *f)
{
    pp_server_stop(f->server);
    (void)pthread_join(f->thread, NULL);
    f->threaded = false;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool in_time;

    (void)setrlimit(RLIMIT_NOFILE, &f->files);
    if (f->threaded) {
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
    free(f);
    return in_time ? 0 : -1;
}

/* ---- the server ---- */

/* The sizes are those of the sockets; 0 leaves them to the kernel. */
static void serve(struct fixture *f, uint32_t connections, uint32_t buffer_bytes, int socket_bytes)
{
    struct pp_error err = { 0 };
    int listen_fd;

    f->loop = open_loop(f->engine, BUFFERS, buffer_bytes);
    f->addr = loopback();
    listen_fd = pp_io_listen(&f->addr, &err);
    assert_true(listen_fd >= 0);
    if (socket_bytes) {
        set_option(listen_fd, SOL_SOCKET, SO_SNDBUF, socket_bytes);
        set_option(listen_fd, SOL_SOCKET, SO_RCVBUF, socket_bytes);
    }
    assert_int_equal(pp_server_open(&f->server, f->loop, listen_fd, connections,
                                    pp_io_loop_buffers(f->loop), &err),
                     0);
}

static void start_thread(struct fixture *f)
{
    assert_int_equal(pthread_create(&f->thread, NULL, run_loop, f), 0);
    f->threaded = true;
}

static void serve_on_thread(struct fixture *f, uint32_t connections)
{
    serve(f, connections, BUFFER_BYTES, 0);
    start_thread(f);
}

static void close_server(struct fixture *f)
{
    pp_io_loop_close(f->loop);
    pp_server_close(f->server);
    f->loop = NULL;
    f->server = NULL;
}

static void stop(struct fixture *f)
{
    stop_and_join(f);
    assert_int_equal(f->loop_result, 0);
    close_server(f);
}

/* Some turns of a loop that has no thread. */
static void drive(struct fixture *f)
{
    for (int i = 0; i < 8; i++)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
}

/* ---- its clients ---- */

static int client_socket(struct fixture *f)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && f->client_count < CLIENTS_MAX);
    f->clients[f->client_count++] = fd;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return fd;
}

static void client_connect(struct fixture *f, int fd)
{
    assert_int_equal(connect(fd, &f->addr.any, f->addr.len), 0);
}

static int client(struct fixture *f)
{
    const int fd = client_socket(f);

    client_connect(f, fd);
    return fd;
}

/* One that takes in little at a time. */
static int narrow_client(struct fixture *f)
{
    const int fd = client_socket(f);

    set_option(fd, SOL_SOCKET, SO_RCVBUF, 4096);
    client_connect(f, fd);
    return fd;
}

/* The test closes fd itself. */
static void disown(struct fixture *f, int fd)
{
    for (unsigned i = 0; i < f->client_count; i++)
        if (f->clients[i] == fd)
            f->clients[i] = f->clients[--f->client_count];
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hear(int fd, const char *text)
{
    char got[256] = "";
    const size_t bytes = strlen(text);

    assert_true(bytes < sizeof got);
    assert_int_equal(recv(fd, got, bytes, MSG_WAITALL), bytes);
    assert_string_equal(got, text);
}

static void is_echoed(int fd, const char *text)
{
    say(fd, text);
    hear(fd, text);
}

/* The same where nobody else turns the server's loop. */
static void is_echoed_when_driven(struct fixture *f, int fd, const char *text)
{
    char got[256] = "";
    size_t bytes = 0;

    say(fd, text);
    for (int turn = 0; turn < TURNS_MAX && bytes < strlen(text); turn++) {
        const ssize_t part = recv(fd, got + bytes, sizeof got - bytes - 1, MSG_DONTWAIT);

        bytes += part > 0 ? (size_t)part : 0;
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    }
    assert_string_equal(got, text);
}

/* The server's side of fd is closed, or is just being closed. */
static void is_closed(int fd)
{
    char byte;
    const ssize_t got = recv(fd, &byte, 1, 0);

    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
}

/* How much of what fd sent lies in the server's socket, unread. -1: nobody is at the other end. */
static int unread_by_server(int fd)
{
    struct sockaddr_in own = { 0 }, other = { 0 };
    socklen_t len = sizeof own;
    int bytes = -1;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    for (int i = 3; i < 1024; i++) {
        len = sizeof other;
        if (getpeername(i, (struct sockaddr *)&other, &len) == 0 &&
            other.sin_port == own.sin_port && ioctl(i, FIONREAD, &bytes) == 0)
            return bytes;
    }
    return -1;
}

/* A stream in which no place looks like the next. */
static char stream_at(uint64_t position)
{
    return (char)((position * UINT64_C(0x9e3779b1)) >> 24);
}

struct stream {
    int fd;
    uint64_t bytes; /* to be sent */
    uint64_t sent;
    uint64_t received;
};

static ssize_t stream_send(struct stream *stream, int flags)
{
    char data[4096];
    const uint64_t left = stream->bytes - stream->sent;
    const size_t len = left < sizeof data ? (size_t)left : sizeof data;
    ssize_t ret;

    for (size_t i = 0; i < len; i++)
        data[i] = stream_at(stream->sent + i);
    ret = send(stream->fd, data, len, flags | MSG_NOSIGNAL);
    stream->sent += ret > 0 ? (uint64_t)ret : 0;
    return ret;
}

static ssize_t stream_receive(struct stream *stream, int flags)
{
    char data[4096];
    const ssize_t ret = recv(stream->fd, data, sizeof data, flags);

    for (ssize_t i = 0; i < ret; i++)
        if (data[i] != stream_at(stream->received + (uint64_t)i))
            fail_msg("byte %llu is wrong", (unsigned long long)stream->received + (uint64_t)i);
    stream->received += ret > 0 ? (uint64_t)ret : 0;
    return ret;
}

static void *send_whole_stream(void *argument)
{
    struct stream *stream = argument;

    while (stream->sent < stream->bytes && stream_send(stream, 0) > 0)
        ;
    (void)shutdown(stream->fd, SHUT_WR);
    return NULL;
}

/* ---- echoing ---- */

static void test_megabytes_come_back_as_they_went_and_then_the_end(void **state)
{
    struct fixture *f = *state;
    struct stream stream = { .bytes = 8 * MIB };
    pthread_t sender;

    serve_on_thread(f, 1);
    stream.fd = client(f);
    assert_int_equal(pthread_create(&sender, NULL, send_whole_stream, &stream), 0);
    while (stream_receive(&stream, 0) > 0)
        ;
    assert_int_equal(pthread_join(sender, NULL), 0);
    assert_int_equal(stream.sent, stream.bytes);
    assert_int_equal(stream.received, stream.bytes);
    is_closed(stream.fd);
    stop(f);
}

static void test_the_end_of_a_silent_client_is_answered_by_the_end(void **state)
{
    struct fixture *f = *state;
    char byte;
    int fd;

    serve_on_thread(f, 1);
    fd = client(f);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    stop(f);
}

static void test_bytes_are_echoed_without_waiting_for_more(void **state)
{
    struct fixture *f = *state;
    int fd;

    serve_on_thread(f, 1);
    fd = client(f);
    is_echoed(fd, "P");
    is_echoed(fd, "ING\nPI");
    is_echoed(fd, "NG\n");
    stop(f);
}

static void test_many_clients_each_get_their_own_bytes_back(void **state)
{
    struct fixture *f = *state;
    int fds[CLIENTS_MAX];
    char text[64];

    serve_on_thread(f, CLIENTS_MAX);
    for (int i = 0; i < CLIENTS_MAX; i++)
        fds[i] = client(f);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CLIENTS_MAX; i++) {
            (void)snprintf(text, sizeof text, "round %d of client %d\n", round, i);
            say(fds[i], text);
        }
        for (int i = CLIENTS_MAX - 1; i >= 0; i--) {
            (void)snprintf(text, sizeof text, "round %d of client %d\n", round, i);
            hear(fds[i], text);
        }
    }
    stop(f);
}

/* All have asked before the server looks for the first time. */
static void test_more_clients_than_there_are_buffers_are_all_served(void **state)
{
    struct fixture *f = *state;
    int fds[CLIENTS_MAX];

    serve(f, CLIENTS_MAX, BUFFER_BYTES, 0);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        fds[i] = client(f);
        say(fds[i], "PING\n");
    }
    start_thread(f);
    for (int i = 0; i < CLIENTS_MAX; i++)
        hear(fds[i], "PING\n");
    stop(f);
}

static void test_the_place_of_a_client_that_left_is_taken_by_the_next(void **state)
{
    struct fixture *f = *state;
    char byte;

    serve_on_thread(f, 1);
    for (int i = 0; i < 100; i++) {
        const int fd = client(f);

        is_echoed(fd, "PING\n");
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        assert_int_equal(recv(fd, &byte, 1, 0), 0); /* the server has closed its side */
    }
    stop(f);
}

static void test_a_client_too_many_is_closed_and_the_others_go_on(void **state)
{
    struct fixture *f = *state;
    int first, second, third;
    char byte;

    serve_on_thread(f, 2);
    first = client(f);
    second = client(f);
    is_echoed(first, "first\n");
    is_echoed(second, "second\n");
    third = client(f);
    assert_int_equal(recv(third, &byte, 1, 0), 0);
    is_echoed(first, "first\n");
    is_echoed(second, "second\n");
    stop(f);
}

/* ---- slow readers ---- */

/* Sends until nothing more goes, however often the server is turned. */
static void send_until_stuck(struct fixture *f, struct stream *stream)
{
    for (int stuck = 0; stuck < 50 && stream->sent < stream->bytes; stuck++) {
        if (stream_send(stream, MSG_DONTWAIT) > 0)
            stuck = 0;
        drive(f);
    }
}

/* Receives the whole stream, and sends what is left of it. */
static void finish_stream(struct fixture *f, struct stream *stream)
{
    for (int idle = 0; idle < TURNS_MAX && stream->received < stream->bytes; idle++) {
        if (stream->sent < stream->bytes)
            (void)stream_send(stream, MSG_DONTWAIT);
        if (stream_receive(stream, MSG_DONTWAIT) > 0)
            idle = 0;
        drive(f);
    }
    assert_int_equal(stream->received, stream->bytes);
}

static void test_a_slow_reader_is_not_read_from_until_it_reads(void **state)
{
    struct fixture *f = *state;
    struct stream slow = { .bytes = 4 * MIB };

    serve(f, 4, BUFFER_BYTES, 8192);
    slow.fd = narrow_client(f);
    send_until_stuck(f, &slow);
    assert_true(slow.sent < slow.bytes);
    assert_true(unread_by_server(slow.fd) > 0);
    finish_stream(f, &slow);
    assert_int_equal(shutdown(slow.fd, SHUT_WR), 0);
    drive(f);
    is_closed(slow.fd);
}

static void test_a_slow_reader_leaves_buffers_for_the_others(void **state)
{
    struct fixture *f = *state;
    struct stream slow = { .bytes = 4 * MIB };
    int other;

    serve(f, 4, BUFFER_BYTES, 8192);
    slow.fd = narrow_client(f);
    other = client(f);
    send_until_stuck(f, &slow);
    for (int i = 0; i < 100; i++)
        is_echoed_when_driven(f, other, "PING\n");
    assert_int_equal(pp_io_loop_stats(f->loop)->starved, 0);
    finish_stream(f, &slow);
    is_echoed_when_driven(f, other, "PING\n");
}

static void test_a_slow_reader_that_has_sent_its_end_gets_all_and_then_the_end(void **state)
{
    struct fixture *f = *state;
    struct stream slow = { .bytes = 4 * MIB };

    serve(f, 4, BUFFER_BYTES, 8192);
    slow.fd = narrow_client(f);
    send_until_stuck(f, &slow);
    slow.bytes = slow.sent; /* that was all, then */
    assert_int_equal(shutdown(slow.fd, SHUT_WR), 0);
    finish_stream(f, &slow);
    drive(f);
    is_closed(slow.fd);
}

/* With buffers larger than a socket takes at once. */
static void test_an_echo_that_goes_out_in_parts_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct stream slow = { .bytes = 4 * MIB };

    serve(f, 4, 65536, 32768);
    slow.fd = narrow_client(f);
    send_until_stuck(f, &slow);
    finish_stream(f, &slow);
}

/* What clients ask after the server has had nothing to do for long, all at once, and with fewer
 * buffers than questions: none of them is stuck. */
static void test_clients_that_have_just_asked_are_not_taken_for_stuck(void **state)
{
    struct fixture *f = *state;
    int fds[CLIENTS_MAX];
    uint64_t until_ns;

    serve(f, CLIENTS_MAX, BUFFER_BYTES, 0);
    for (int i = 0; i < CLIENTS_MAX; i++)
        fds[i] = client(f);
    drive(f);
    until_ns = pp_clock_now_ns() + LONG_NS;
    while (pp_clock_now_ns() < until_ns)
        ; /* whatever the server does from time to time falls due */
    for (int i = 0; i < CLIENTS_MAX; i++)
        say(fds[i], "PING\n");
    for (int turn = 0; turn < 1000; turn++)
        drive(f);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        hear(fds[i], "PING\n");
        assert_true(unread_by_server(fds[i]) >= 0); /* it is still there */
    }
}

/* ---- errors ---- */

static void test_a_reset_in_mid_message_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    int other;

    serve_on_thread(f, 8);
    other = client(f);
    for (int i = 0; i < 50; i++) {
        const int fd = client(f);

        say(fd, "PI");
        if (i % 2 == 0)
            hear(fd, "PI");
        disown(f, fd);
        reset_connection(fd);
        is_echoed(other, "PING\n");
    }
    is_echoed(client(f), "PING\n");
    stop(f);
}

static void test_a_slow_reader_that_resets_gives_its_buffers_back(void **state)
{
    struct fixture *f = *state;
    int other;

    serve(f, 4, BUFFER_BYTES, 8192);
    other = client(f);
    for (int i = 0; i < BUFFERS / 4; i++) { /* together more than there are buffers */
        struct stream slow = { .fd = narrow_client(f), .bytes = 4 * MIB };

        send_until_stuck(f, &slow);
        disown(f, slow.fd);
        reset_connection(slow.fd);
        drive(f);
        is_echoed_when_driven(f, other, "PING\n");
    }
    assert_int_equal(pp_io_loop_stats(f->loop)->starved, 0);
}

/* The next descriptor that a process gets is the lowest free one. */
static void allow_no_more_descriptors(const struct fixture *f)
{
    struct rlimit limit = f->files;
    const int next = fcntl(0, F_DUPFD, 0);

    assert_true(next >= 0);
    (void)close(next);
    limit.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_when_descriptors_run_out_clients_are_accepted_later(void **state)
{
    struct fixture *f = *state;
    char got;
    int fd;

    serve(f, 4, BUFFER_BYTES, 0);
    fd = client_socket(f);
    allow_no_more_descriptors(f);
    client_connect(f, fd);
    say(fd, "PING\n");
    drive(f);
    assert_int_equal(unread_by_server(fd), -1); /* not accepted */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->files), 0);
    while (recv(fd, &got, 1, MSG_DONTWAIT | MSG_PEEK) < 0)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    hear(fd, "PING\n");
}

static void test_a_server_that_waits_for_descriptors_can_be_stopped(void **state)
{
    struct fixture *f = *state;
    int fd;

    serve(f, 4, BUFFER_BYTES, 0);
    fd = client_socket(f);
    allow_no_more_descriptors(f);
    client_connect(f, fd);
    drive(f);
    assert_int_equal(unread_by_server(fd), -1);
    pp_server_stop(f->server);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    close_server(f);
    is_closed(fd);
}

/* ---- stopping ---- */

static void test_stopping_closes_every_connection_and_ends_the_loop(void **state)
{
    struct fixture *f = *state;
    int fds[100];

    serve_on_thread(f, 100);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        fds[i] = client(f);
    for (size_t i = 0; i < COUNT_OF(fds); i += 2)
        is_echoed(fds[i], "PING\n");
    is_echoed(fds[99], "PING\n"); /* so the one before it is accepted too */
    stop(f);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        is_closed(fds[i]);
}

static void test_a_stopped_server_refuses_clients(void **state)
{
    struct fixture *f = *state;
    int fd;

    serve_on_thread(f, 1);
    stop(f);
    fd = client_socket(f);
    assert_int_equal(connect(fd, &f->addr.any, f->addr.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
}

static void test_a_server_that_never_ran_gives_its_port_back(void **state)
{
    struct fixture *f = *state;
    int fd;

    serve(f, 1, BUFFER_BYTES, 0);
    close_server(f);
    fd = client_socket(f);
    assert_int_equal(connect(fd, &f->addr.any, f->addr.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
}

static void test_stopping_leaves_no_descriptor_open(void **state)
{
    struct fixture *f = *state;
    const int before = open_descriptors();

    serve_on_thread(f, 8);
    for (int i = 0; i < 8; i++)
        is_echoed(client(f), "PING\n");
    stop(f);
    assert_int_equal(open_descriptors(), before + 8); /* those of the clients */
}

static void test_a_slow_reader_does_not_hold_up_stopping(void **state)
{
    struct fixture *f = *state;
    struct stream slow = { .bytes = 4 * MIB };

    serve(f, 4, BUFFER_BYTES, 8192);
    slow.fd = narrow_client(f);
    send_until_stuck(f, &slow);
    pp_server_stop(f->server);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(unread_by_server(slow.fd), -1);
}

static enum pp_io_next on_nothing(struct pp_io_op *op)
{
    (void)op;
    return PP_IO_DISARM;
}

/* Sends chunks, one buffer each, until the server stops reading. Returns how many it has read. */
static int chunks_until_paused(struct fixture *f, int fd, int chunks_max)
{
    static const char chunk[16384];
    int chunks = 0;

    for (; chunks < chunks_max; chunks++) {
        assert_int_equal(send(fd, chunk, sizeof chunk, MSG_DONTWAIT | MSG_NOSIGNAL), sizeof chunk);
        drive(f);
        if (unread_by_server(fd) > 0)
            break;
    }
    return chunks;
}

/* The order that matters: the stop comes first, then the news that a paused client's echo went
 * out. It is made by more callbacks than fit between two looks at the kernel. */
static void test_a_paused_client_is_closed_also_when_it_reads_while_the_server_stops(void **state)
{
    struct fixture *f = *state;
    static struct pp_io_op nothing[MANY_CALLBACKS];
    char data[4096];
    int chunks, fd;

    serve(f, 4, 65536, 32768);
    chunks = chunks_until_paused(f, narrow_client(f), 100);
    assert_in_range(chunks, 1, 99);
    fd = narrow_client(f);
    drive(f);
    assert_int_equal(chunks_until_paused(f, fd, chunks), chunks); /* and all it sent is read */
    memset(nothing, 0, sizeof nothing);
    for (int i = 0; i < MANY_CALLBACKS; i++)
        pp_io_recv(f->loop, &nothing[i], -1, data, 1, on_nothing);
    pp_server_stop(f->server);
    assert_int_equal(pp_io_loop_poll(f->loop), 0);
    while (recv(fd, data, sizeof data, MSG_DONTWAIT) > 0)
        ;
    for (int i = 0; i < 100 && unread_by_server(fd) >= 0; i++)
        drive(f);
    assert_int_equal(unread_by_server(fd), -1); /* there is no server's side any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_megabytes_come_back_as_they_went_and_then_the_end),
        ON_EACH_ENGINE(test_the_end_of_a_silent_client_is_answered_by_the_end),
        ON_EACH_ENGINE(test_bytes_are_echoed_without_waiting_for_more),
        ON_EACH_ENGINE(test_many_clients_each_get_their_own_bytes_back),
        ON_EACH_ENGINE(test_more_clients_than_there_are_buffers_are_all_served),
        ON_EACH_ENGINE(test_the_place_of_a_client_that_left_is_taken_by_the_next),
        ON_EACH_ENGINE(test_a_client_too_many_is_closed_and_the_others_go_on),
        ON_EACH_ENGINE(test_a_slow_reader_is_not_read_from_until_it_reads),
        ON_EACH_ENGINE(test_a_slow_reader_leaves_buffers_for_the_others),
        ON_EACH_ENGINE(test_a_slow_reader_that_has_sent_its_end_gets_all_and_then_the_end),
        ON_EACH_ENGINE(test_an_echo_that_goes_out_in_parts_arrives_whole),
        ON_EACH_ENGINE(test_clients_that_have_just_asked_are_not_taken_for_stuck),
        ON_EACH_ENGINE(test_a_reset_in_mid_message_leaves_the_others_alone),
        ON_EACH_ENGINE(test_a_slow_reader_that_resets_gives_its_buffers_back),
        ON_EACH_ENGINE(test_when_descriptors_run_out_clients_are_accepted_later),
        ON_EACH_ENGINE(test_a_server_that_waits_for_descriptors_can_be_stopped),
        ON_EACH_ENGINE(test_stopping_closes_every_connection_and_ends_the_loop),
        ON_EACH_ENGINE(test_a_stopped_server_refuses_clients),
        ON_EACH_ENGINE(test_a_server_that_never_ran_gives_its_port_back),
        ON_EACH_ENGINE(test_stopping_leaves_no_descriptor_open),
        ON_EACH_ENGINE(test_a_slow_reader_does_not_hold_up_stopping),
        ON_ENGINE("epoll",
                  test_a_paused_client_is_closed_also_when_it_reads_while_the_server_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
