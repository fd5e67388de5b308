#include "server/server.h"

#include "base/clock.h"
#include "stream_server.h"

#include <stdio.h>

#define LONG_NS (150 * PP_NS_PER_MS)
#define MIB ((size_t)1024 * 1024)

/* Callbacks that a loop runs before it looks at the kernel again, and some. */
#define MANY_CALLBACKS 1100

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
    const uint64_t until_ns = give_up_ns();

    while (stream->received < stream->bytes && pp_clock_now_ns() < until_ns) {
        if (stream->sent < stream->bytes)
            (void)stream_send(stream, MSG_DONTWAIT);
        (void)stream_receive(stream, MSG_DONTWAIT);
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
    assert_int_equal(pp_io_loop_stats(f->loop).starved, 0);
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

static void test_a_slow_reader_that_nobody_suffers_from_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct stream slow = { .bytes = 4 * MIB };
    uint64_t until_ns;

    serve(f, 4, BUFFER_BYTES, 8192);
    slow.fd = narrow_client(f);
    send_until_stuck(f, &slow);
    until_ns = pp_clock_now_ns() + 2 * LONG_NS; /* two looks at who is stuck */
    while (pp_clock_now_ns() < until_ns)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    finish_stream(f, &slow);
}

/* Together they have more unsent than there are buffers. */
static void test_slow_readers_are_closed_once_others_need_their_buffers(void **state)
{
    struct fixture *f = *state;
    struct stream slow[BUFFERS];
    unsigned open = 0;
    char byte;
    int other;

    serve(f, COUNT_OF(slow) + 1, BUFFER_BYTES, 8192);
    other = client(f);
    for (size_t i = 0; i < COUNT_OF(slow); i++) {
        slow[i] = (struct stream){ .fd = narrow_client(f), .bytes = 4 * MIB };
        send_until_stuck(f, &slow[i]);
    }
    say(other, "PING\n");
    while (recv(other, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    hear(other, "PING\n");
    for (size_t i = 0; i < COUNT_OF(slow); i++)
        open += end_at_server(slow[i].fd) >= 0;
    assert_true(open < COUNT_OF(slow));
    assert_true(pp_io_loop_stats(f->loop).starved > 0);
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
    assert_int_equal(pp_io_loop_stats(f->loop).starved, 0);
}

/* The next descriptor that a process gets is the lowest free one. */
static void allow_more_descriptors(const struct fixture *f, rlim_t more)
{
    struct rlimit limit = f->files;
    const int next = fcntl(0, F_DUPFD, 0);

    assert_true(next >= 0);
    (void)close(next);
    limit.rlim_cur = (rlim_t)next + more;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_when_descriptors_run_out_clients_are_accepted_later(void **state)
{
    struct fixture *f = *state;
    char got;
    int fd;

    serve(f, 4, BUFFER_BYTES, 0);
    fd = client_socket(f);
    allow_more_descriptors(f, 0);
    client_connect(f, fd);
    say(fd, "PING\n");
    drive(f);
    assert_int_equal(unread_by_server(fd), -1); /* not accepted */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->files), 0);
    while (recv(fd, &got, 1, MSG_DONTWAIT | MSG_PEEK) < 0)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    hear(fd, "PING\n");
}

static void test_when_descriptors_run_out_old_clients_go_on(void **state)
{
    struct fixture *f = *state;
    int old, fd;

    serve(f, 4, BUFFER_BYTES, 0);
    allow_more_descriptors(f, 50);
    old = client(f);
    is_echoed_when_driven(f, old, "PING\n");
    fd = client_socket(f);
    use_up_descriptors(f);
    client_connect(f, fd);
    drive(f);
    for (int i = 0; i < 100; i++)
        is_echoed_when_driven(f, old, "PING\n");
    assert_int_equal(unread_by_server(fd), -1); /* not accepted */
}

/* A loop that waits takes few turns: one each time that it asks again. */
static void test_when_descriptors_run_out_the_server_does_not_spin(void **state)
{
    struct fixture *f = *state;
    uint64_t turns, until_ns;
    int fd;

    serve(f, 4, BUFFER_BYTES, 0);
    fd = client_socket(f);
    allow_more_descriptors(f, 0);
    client_connect(f, fd);
    drive(f);
    turns = pp_io_loop_stats(f->loop).turns;
    until_ns = pp_clock_now_ns() + 2 * LONG_NS;
    while (pp_clock_now_ns() < until_ns)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    assert_in_range(pp_io_loop_stats(f->loop).turns - turns, 1, 100);
}

static void test_a_server_that_waits_for_descriptors_can_be_stopped(void **state)
{
    struct fixture *f = *state;
    int fd;

    serve(f, 4, BUFFER_BYTES, 0);
    fd = client_socket(f);
    allow_more_descriptors(f, 0);
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
    while (unread_by_server(fd) >= 0) /* until there is no server's side any more */
        drive(f);
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
        ON_EACH_ENGINE(test_a_slow_reader_that_nobody_suffers_from_is_left_alone),
        ON_EACH_ENGINE(test_slow_readers_are_closed_once_others_need_their_buffers),
        ON_EACH_ENGINE(test_a_reset_in_mid_message_leaves_the_others_alone),
        ON_EACH_ENGINE(test_a_slow_reader_that_resets_gives_its_buffers_back),
        ON_EACH_ENGINE(test_when_descriptors_run_out_clients_are_accepted_later),
        ON_EACH_ENGINE(test_when_descriptors_run_out_old_clients_go_on),
        ON_EACH_ENGINE(test_when_descriptors_run_out_the_server_does_not_spin),
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
