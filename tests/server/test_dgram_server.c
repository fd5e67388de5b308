#include "server/dgram_server.h"

#include "base/random.h"
#include "listening.h"
#include "serving.h"
#include "wire/datagram.h"

#define SERVERS 2
#define CLIENTS_MAX 64
#define LARGE_BUFFERS 32 /* some are held for a server that is not asking */

#define HELLO_BYTES (PP_DATAGRAM_HEADER_BYTES + PP_HELLO_BYTES)

struct dgrams {
    struct pp_io_loop *loop;
    struct pp_dgram_server *server;
    struct pp_io_addr addr;
    struct loop_thread thread;
    atomic_uint introductions;
    int fd; /* its socket once more, to send in its name */
};

struct fixture {
    const char *engine;
    struct pp_pattern pattern;
    struct dgrams servers[SERVERS];
    unsigned server_count;
    int clients[CLIENTS_MAX];
    unsigned client_count;
};

/* One datagram. */
struct message {
    uint32_t bytes;
    char data[PP_DATAGRAM_BYTES_MAX];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct pp_error err = { 0 };

    if (!f || pp_pattern_open_random(&f->pattern, 1, &err) < 0)
        return -1;
    f->engine = *state;
    *state = f;
    hang_guard_start();
    return 0;
}

static void stop_one(struct dgrams *s)
{
    pp_dgram_server_stop(s->server);
    if (s->thread.running)
        loop_thread_join(&s->thread);
    else
        s->thread.result = pp_io_loop_run(s->loop);
}

static void close_one(struct dgrams *s)
{
    pp_io_loop_close(s->loop);
    pp_dgram_server_close(s->server);
    if (s->fd > 0)
        (void)close(s->fd);
    *s = (struct dgrams){ 0 };
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool in_time;

    for (unsigned i = 0; i < SERVERS; i++)
        if (f->servers[i].server)
            stop_one(&f->servers[i]);
    in_time = hang_guard_stop();
    for (unsigned i = 0; i < SERVERS; i++)
        close_one(&f->servers[i]);
    for (unsigned i = 0; i < f->client_count; i++)
        (void)close(f->clients[i]);
    pp_pattern_close(&f->pattern);
    free(f);
    return in_time ? 0 : -1;
}

/* ---- servers ---- */

static struct pp_io_loop *open_dgram_loop(const char *engine)
{
    const struct pp_io_options options = { .engine = engine,
                                           .connections = 16,
                                           .buffers = 16,
                                           .buffer_bytes = 256,
                                           .datagram_buffers = LARGE_BUFFERS,
                                           .datagram_bytes = 65536 };
    struct pp_error err = { 0 };
    struct pp_io_loop *loop = NULL;

    if (pp_io_loop_open(&loop, &options, &err) < 0) {
        if (err.kind == PP_ERROR_UNAVAILABLE)
            skip();
        fail_msg("%s: %s", engine, err.text);
    }
    return loop;
}

/* On a socket that the server takes over, and that is bound to addr. */
static struct dgrams *serve_on(struct fixture *f, int fd, const struct pp_io_addr *addr)
{
    struct dgrams *s = &f->servers[f->server_count++];
    struct pp_server_options options = { .listen_fd = fd,
                                         .connections = 1,
                                         .pattern = &f->pattern,
                                         .introduce = introduce,
                                         .owner = &s->introductions };
    struct pp_error err = { 0 };

    options.loop = s->loop = open_dgram_loop(f->engine);
    s->addr = *addr;
    s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(pp_dgram_server_open(&s->server, &options, &err), 0);
    return s;
}

/* For the test to drive. */
static struct dgrams *serve(struct fixture *f)
{
    const struct pp_io_socket_options options = { .dgram = true };
    struct pp_io_addr addr = loopback();
    struct pp_error err = { 0 };
    const int fd = listen_one(&addr, &options, &err);

    assert_true(fd >= 0);
    return serve_on(f, fd, &addr);
}

static struct dgrams *serve_on_thread(struct fixture *f)
{
    struct dgrams *s = serve(f);

    loop_thread_start(&s->thread, s->loop);
    return s;
}

static void drive(struct dgrams *s)
{
    for (int i = 0; i < 8; i++)
        assert_int_equal(pp_io_loop_poll(s->loop), 0);
}

static void counts_are(const struct dgrams *s, uint64_t answered, uint64_t ignored)
{
    assert_int_equal(pp_dgram_server_answered(s->server), answered);
    assert_int_equal(pp_dgram_server_ignored(s->server), ignored);
}

static void stop(struct dgrams *s)
{
    stop_one(s);
    assert_int_equal(s->thread.result, 0);
}

/* ---- their clients ---- */

static int client(struct fixture *f, const struct dgrams *s)
{
    const int family = s->addr.any.sa_family;
    const struct sockaddr unnamed = { .sa_family = AF_UNIX };
    const int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && f->client_count < CLIENTS_MAX);
    f->clients[f->client_count++] = fd;
    if (family == AF_UNIX)
        assert_int_equal(bind(fd, &unnamed, sizeof unnamed.sa_family), 0);
    assert_int_equal(connect(fd, &s->addr.any, s->addr.len), 0);
    return fd;
}

static void say_bytes(int fd, const void *data, size_t bytes)
{
    assert_int_equal(send(fd, data, bytes, MSG_NOSIGNAL), bytes);
}

static void say(int fd, const struct message *message)
{
    say_bytes(fd, message->data, message->bytes);
}

static void hear(int fd, struct message *message)
{
    const ssize_t got = recv(fd, message->data, sizeof message->data, MSG_TRUNC);

    assert_in_range(got, 1, sizeof message->data);
    message->bytes = (uint32_t)got;
}

static void hear_when_driven(struct dgrams *s, int fd, struct message *message)
{
    const uint64_t until_ns = give_up_ns();
    ssize_t got = -1;

    while (got < 0 && pp_clock_now_ns() < until_ns) {
        assert_int_equal(pp_io_loop_poll(s->loop), 0);
        got = recv(fd, message->data, sizeof message->data, MSG_DONTWAIT);
    }
    assert_in_range(got, 1, sizeof message->data);
    message->bytes = (uint32_t)got;
}

static void nothing_is_heard(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* ---- messages ---- */

static void header_write(struct message *m, enum pp_datagram_kind kind, uint32_t bytes,
                         uint32_t reply_bytes, uint64_t number)
{
    const struct pp_datagram header = { .kind = kind,
                                        .reply_bytes = reply_bytes,
                                        .number = number };

    m->bytes = bytes;
    for (uint32_t i = 0; i < bytes; i++)
        m->data[i] = (char)(i * 31 + number);
    pp_datagram_write(&header, m->data);
}

static void request_write(struct message *m, uint32_t bytes, uint32_t reply_bytes, uint64_t number)
{
    header_write(m, PP_DATAGRAM_REQUEST, bytes, reply_bytes, number);
}

static void hello_write(struct message *m)
{
    header_write(m, PP_DATAGRAM_HELLO, HELLO_BYTES, HELLO_BYTES, 0);
    write_question(m->data + PP_DATAGRAM_HEADER_BYTES);
}

/* All of the request but its kind, as far as it asked. */
static void is_reply_to(struct message *request, const struct message *reply, uint32_t reply_bytes)
{
    assert_int_equal(reply->bytes, reply_bytes);
    pp_datagram_turn(request->data, PP_DATAGRAM_REPLY);
    assert_memory_equal(reply->data, request->data, reply_bytes);
}

/* One round trip: whatever was said on fd before has been dealt with. */
static void is_answered(int fd)
{
    struct message request, reply;

    request_write(&request, 64, 64, 4711);
    say(fd, &request);
    hear(fd, &reply);
    is_reply_to(&request, &reply, 64);
}

/* ---- requests ---- */

static void test_requests_of_any_size_come_back_as_replies(void **state)
{
    static const uint32_t sizes[] = {
        16, 17, 64, 255, 256, 257, 1400, 9000, PP_DATAGRAM_BYTES_MAX
    };
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);

    for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
        struct message request, reply;

        request_write(&request, sizes[i], sizes[i], UINT64_MAX - i);
        say(fd, &request);
        hear(fd, &reply);
        is_reply_to(&request, &reply, sizes[i]);
    }
    stop(s);
    counts_are(s, COUNT_OF(sizes), 0);
}

static void test_a_reply_may_be_shorter_than_its_request(void **state)
{
    static const uint32_t sizes[] = { 16, 17, 999, 1000 };
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);

    for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
        struct message request, reply;

        request_write(&request, 1000, sizes[i], i);
        say(fd, &request);
        hear(fd, &reply);
        is_reply_to(&request, &reply, sizes[i]);
    }
    stop(s);
}

static void test_a_reply_longer_than_its_request_or_shorter_than_a_header_is_refused(void **state)
{
    static const uint32_t sizes[] = { 0, PP_DATAGRAM_HEADER_BYTES - 1, 65, 1400,
                                      PP_DATAGRAM_BYTES_MAX };
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);

    for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
        struct message request;

        request_write(&request, 64, sizes[i], i);
        say(fd, &request);
    }
    is_answered(fd);
    nothing_is_heard(fd);
    stop(s);
    counts_are(s, 1, COUNT_OF(sizes));
}

static void test_each_client_gets_the_replies_to_its_own_requests(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    struct message request, reply;
    int fds[CLIENTS_MAX];

    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        fds[i] = client(f, s);
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        request_write(&request, 20 + i, 20 + i, i);
        say(fds[i], &request);
    }
    for (unsigned i = CLIENTS_MAX; i-- > 0;) {
        request_write(&request, 20 + i, 20 + i, i);
        hear(fds[i], &reply);
        is_reply_to(&request, &reply, 20 + i);
        nothing_is_heard(fds[i]);
    }
    stop(s);
    counts_are(s, CLIENTS_MAX, 0);
}

/* All have come before the server looks for the first time; the sockets hold that many. */
static void test_more_requests_than_there_are_buffers_are_all_answered(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve(f);
    const int fd = client(f, s);
    struct message request, reply;

    for (unsigned i = 0; i < 5 * LARGE_BUFFERS; i++) {
        request_write(&request, 16, 16, i);
        say(fd, &request);
    }
    for (unsigned i = 0; i < 5 * LARGE_BUFFERS; i++) {
        request_write(&request, 16, 16, i);
        hear_when_driven(s, fd, &reply);
        is_reply_to(&request, &reply, 16);
    }
    nothing_is_heard(fd);
}

/* Until it is tagged. */
static enum pp_io_next on_failed(struct pp_io_op *op)
{
    return op->tag ? PP_IO_DISARM : PP_IO_REARM;
}

/* Others are always ready. */
static void test_requests_beside_much_else_are_answered_several_a_turn(void **state)
{
    static struct pp_io_op busy[64];
    struct fixture *f = *state;
    struct dgrams *s = serve(f);
    const int fd = client(f, s);
    struct message request;
    char byte;

    memset(busy, 0, sizeof busy);
    for (size_t i = 0; i < COUNT_OF(busy); i++)
        pp_io_recv(s->loop, &busy[i], -1, &byte, 1, on_failed);
    drive(s);
    for (unsigned i = 0; i < LARGE_BUFFERS / 2; i++) {
        request_write(&request, 16, 16, i);
        say(fd, &request);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pp_io_loop_poll(s->loop), 0);
    for (size_t i = 0; i < COUNT_OF(busy); i++)
        busy[i].tag = 1;
    counts_are(s, LARGE_BUFFERS / 2, 0);
}

/* Those that find no room are lost, as datagrams are. */
static void test_a_flood_of_requests_does_no_harm(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    struct message request, reply;
    const int deaf = client(f, s);
    const int fd = client(f, s);
    const struct timeval patience = { .tv_usec = 200000 };
    ssize_t got = -1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    request_write(&request, 1400, 1400, 1);
    for (int i = 0; i < 2000; i++)
        say(deaf, &request);
    while (got < 0) { /* this one may be lost, too */
        say(fd, &request);
        got = recv(fd, reply.data, sizeof reply.data, 0);
    }
    assert_int_equal(got, 1400);
    stop(s);
}

/* ---- what is not answered ---- */

static void test_replies_are_never_answered(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);
    struct message m;

    header_write(&m, PP_DATAGRAM_REPLY, 64, 64, 1);
    say(fd, &m);
    hello_write(&m);
    pp_datagram_turn(m.data, PP_DATAGRAM_HELLO_REPLY);
    say(fd, &m);
    is_answered(fd);
    nothing_is_heard(fd);
    stop(s);
    counts_are(s, 1, 2);
}

static void test_empty_datagrams_are_never_answered(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);

    for (int i = 0; i < 5 * LARGE_BUFFERS; i++) {
        say_bytes(fd, "", 0);
        is_answered(fd);
    }
    nothing_is_heard(fd);
    stop(s);
    counts_are(s, 5 * LARGE_BUFFERS, 5 * LARGE_BUFFERS);
}

static void test_what_is_shorter_than_a_header_is_never_answered(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);
    struct message m;

    request_write(&m, 16, 16, 1);
    for (uint32_t bytes = 1; bytes < 16; bytes++)
        say_bytes(fd, m.data, bytes);
    is_answered(fd);
    nothing_is_heard(fd);
    stop(s);
    counts_are(s, 1, 15);
}

static void test_garbage_is_never_answered(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);
    struct pp_random random = { .state = 3 };
    struct message m;

    for (unsigned i = 0; i < 500; i++) {
        m.bytes = 1 + pp_random_below(&random, 2000);
        for (uint32_t at = 0; at < m.bytes; at++)
            m.data[at] = (char)pp_random_below(&random, 256);
        m.data[0] = '\0'; /* no magic value, whatever follows */
        say(fd, &m);
        is_answered(fd);
    }
    nothing_is_heard(fd);
    stop(s);
    counts_are(s, 500, 500);
}

static void test_another_version_is_never_answered(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);
    struct message m;

    request_write(&m, 64, 64, 1);
    m.data[3] = 2;
    say(fd, &m);
    is_answered(fd);
    nothing_is_heard(fd);
    stop(s);
    counts_are(s, 1, 1);
}

/* To the first server a message comes from the second; their answers, if any, go on from there. */
static void check_silence(struct fixture *f, const struct message *m, uint64_t answered_by_first)
{
    struct dgrams *first = serve_on_thread(f), *second = serve_on_thread(f);
    const int to_first = client(f, first), to_second = client(f, second);

    assert_int_equal(sendto(second->fd, m->data, m->bytes, 0, &first->addr.any, first->addr.len),
                     m->bytes);
    for (int i = 0; i < 20; i++) { /* many round trips later */
        is_answered(to_first);
        is_answered(to_second);
    }
    stop(first);
    stop(second);
    counts_are(first, 20 + answered_by_first, 1 - answered_by_first);
    counts_are(second, 20, answered_by_first);
}

static void test_two_servers_fall_silent_after_a_request_with_a_forged_sender(void **state)
{
    struct message m;

    request_write(&m, 100, 100, 1);
    check_silence(*state, &m, 1);
}

static void test_two_servers_fall_silent_after_a_hello_with_a_forged_sender(void **state)
{
    struct message m;

    hello_write(&m);
    check_silence(*state, &m, 1);
}

static void test_two_servers_are_silent_after_a_reply_with_a_forged_sender(void **state)
{
    struct message m;

    header_write(&m, PP_DATAGRAM_REPLY, 100, 100, 1);
    check_silence(*state, &m, 0);
}

static void test_two_servers_are_silent_after_garbage_with_a_forged_sender(void **state)
{
    const struct message m = { .bytes = 4, .data = "ping" };

    check_silence(*state, &m, 0);
}

static void test_a_server_that_is_made_to_write_to_itself_falls_silent(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);
    struct message m;

    request_write(&m, 100, 100, 1);
    assert_int_equal(sendto(s->fd, m.data, m.bytes, 0, &s->addr.any, s->addr.len), m.bytes);
    for (int i = 0; i < 20; i++)
        is_answered(fd);
    stop(s);
    counts_are(s, 21, 1);
}

/* ---- hellos ---- */

static void test_a_hello_is_answered_with_who_the_server_is(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);

    for (unsigned i = 1; i <= 20; i++) {
        struct pp_datagram header;
        struct message m;

        hello_write(&m);
        say(fd, &m);
        hear(fd, &m);
        assert_int_equal(m.bytes, HELLO_BYTES); /* no longer than the question */
        assert_true(pp_datagram_read(&header, m.data, m.bytes));
        assert_int_equal(header.kind, PP_DATAGRAM_HELLO_REPLY);
        is_introduction(m.data + PP_DATAGRAM_HEADER_BYTES, i);
    }
    stop(s);
    counts_are(s, 20, 0);
}

static void test_a_hello_that_makes_no_sense_is_not_answered(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int fd = client(f, s);
    struct message m;

    hello_write(&m);
    say_bytes(fd, m.data, PP_DATAGRAM_HEADER_BYTES);
    say_bytes(fd, m.data, HELLO_BYTES - 1);
    m.data[HELLO_BYTES] = '\0';
    say_bytes(fd, m.data, HELLO_BYTES + 1);
    m.data[PP_DATAGRAM_HEADER_BYTES] = 'x';
    say(fd, &m);
    is_answered(fd);
    nothing_is_heard(fd);
    stop(s);
    counts_are(s, 1, 4);
    assert_int_equal(s->introductions, 0);
}

/* ---- errors ---- */

/* Clients that ask and do not wait for the reply, beside one that does. */
static void go_away_unanswered(struct fixture *f, struct dgrams *s, int other)
{
    struct message m;

    request_write(&m, 64, 64, 1);
    for (int i = 0; i < 50; i++) {
        const int fd = client(f, s);

        say(fd, &m);
        (void)close(fd);
        f->client_count--;
        is_answered(other);
    }
}

/* The kernel tells the server's socket that nobody takes its reply. */
static void test_a_client_that_has_gone_does_no_harm_to_the_others(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve_on_thread(f);
    const int other = client(f, s);

    go_away_unanswered(f, s, other);
    stop(s);
}

static void test_a_unix_client_that_has_gone_does_no_harm_to_the_others(void **state)
{
    struct fixture *f = *state;
    struct pp_io_addr addr;
    const int server_fd = unnamed_socket(SOCK_DGRAM, &addr);
    struct dgrams *s = serve_on(f, server_fd, &addr);
    const int other = client(f, s);

    loop_thread_start(&s->thread, s->loop);
    go_away_unanswered(f, s, other);
    stop(s);
}

/* Nobody could send it a reply. */
static void test_a_unix_client_without_a_name_does_no_harm_to_the_others(void **state)
{
    struct fixture *f = *state;
    struct pp_io_addr addr;
    const int server_fd = unnamed_socket(SOCK_DGRAM, &addr);
    struct dgrams *s = serve_on(f, server_fd, &addr);
    const int other = client(f, s);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct message m;

    f->clients[f->client_count++] = fd;
    loop_thread_start(&s->thread, s->loop);
    request_write(&m, 64, 64, 1);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(sendto(fd, m.data, m.bytes, 0, &addr.any, addr.len), m.bytes);
        is_answered(other);
    }
    stop(s);
}

/* ---- what is sent to many ---- */

/* On all addresses of the machine, of IPv4 alone or of both. */
static void check_broadcast(struct fixture *f, struct pp_io_addr addr)
{
    const struct pp_io_socket_options options = { .dgram = true };
    struct pp_error err = { 0 };
    const int server_fd = listen_one(&addr, &options, &err);
    const struct sockaddr_in many = { .sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(0x7FFFFFFF), /* 127.255.255.255 */
                                      .sin_port = addr.in.sin_port };
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    struct dgrams *s;
    struct message m;
    int alone;

    assert_true(server_fd >= 0 && fd >= 0);
    f->clients[f->client_count++] = fd;
    s = serve_on(f, server_fd, &addr);
    s->addr = loopback();
    s->addr.in.sin_port = addr.in.sin_port;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on), 0);
    request_write(&m, 64, 64, 1);
    assert_int_equal(sendto(fd, m.data, m.bytes, 0, (const struct sockaddr *)&many, sizeof many),
                     m.bytes);
    drive(s);
    nothing_is_heard(fd);
    counts_are(s, 0, 1);
    alone = client(f, s);
    say(alone, &m);
    hear_when_driven(s, alone, &m);
    stop(s);
}

static void test_a_broadcast_is_not_answered(void **state)
{
    struct pp_io_addr any = { .len = sizeof any.in, .in.sin_family = AF_INET };

    check_broadcast(*state, any);
}

static void test_a_broadcast_to_a_socket_of_ipv6_is_not_answered(void **state)
{
    struct pp_io_addr any = { .len = sizeof any.in6, .in6.sin6_family = AF_INET6 };
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        skip();
    (void)close(fd);
    check_broadcast(*state, any);
}

/* ---- stopping ---- */

/* A Unix client that does not read: its queue is short, and then replies have to wait. */
static void test_replies_that_wait_do_not_hold_up_stopping(void **state)
{
    struct fixture *f = *state;
    struct pp_io_addr addr;
    const int server_fd = unnamed_socket(SOCK_DGRAM, &addr);
    struct dgrams *s = serve_on(f, server_fd, &addr);
    const int deaf = client(f, s);
    struct message m;
    unsigned sent = 0;

    request_write(&m, 16, 16, 1);
    for (int stuck = 0; stuck < 50; stuck++) {
        if (send(deaf, m.data, m.bytes, MSG_DONTWAIT) > 0) {
            stuck = 0;
            sent++;
        }
        drive(s);
    }
    assert_true(pp_dgram_server_answered(s->server) < sent);
    stop(s);
}

/* Requests that have come together with the order to stop, the first of which is none: by the time
 * that the next one is looked at, the server is stopping. Nobody would hear that its reply went
 * out, or wait for it to. */
static void test_requests_that_come_with_the_order_to_stop_do_not_hold_it_up(void **state)
{
    struct fixture *f = *state;
    struct dgrams *s = serve(f);
    const int fd = client(f, s);
    struct message m;

    drive(s);
    say_bytes(fd, "garbage", 7);
    request_write(&m, 64, 64, 1);
    say(fd, &m);
    stop(s);
}

static void test_requests_of_the_deaf_that_come_with_the_order_to_stop_do_not_hold_it_up(
    void **state)
{
    struct fixture *f = *state;
    struct pp_io_addr addr;
    const int server_fd = unnamed_socket(SOCK_DGRAM, &addr);
    struct dgrams *s = serve_on(f, server_fd, &addr);
    const int deaf = client(f, s);
    struct pp_io_addr deaf_addr = { .len = sizeof deaf_addr.un };
    struct message m;

    assert_int_equal(getsockname(deaf, &deaf_addr.any, &deaf_addr.len), 0);
    request_write(&m, 64, 64, 1);
    for (int i = 0; i < 4; i++)
        say(deaf, &m);
    while (sendto(s->fd, m.data, m.bytes, MSG_DONTWAIT, &deaf_addr.any, deaf_addr.len) > 0)
        continue; /* its queue is full */
    stop(s);
}

static void test_stopping_leaves_no_descriptor_open(void **state)
{
    struct fixture *f = *state;
    const int before = open_descriptors();
    struct dgrams *s = serve_on_thread(f);

    is_answered(client(f, s));
    stop(s);
    close_one(s);
    assert_int_equal(open_descriptors(), before + 1); /* the client's */
}

static void test_a_server_that_never_ran_gives_its_port_back(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_socket_options options = { .dgram = true };
    struct dgrams *s = serve(f);
    struct pp_io_addr addr = s->addr;
    struct pp_error err = { 0 };
    int fd;

    close_one(s);
    fd = listen_one(&addr, &options, &err);
    assert_true(fd >= 0);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_requests_of_any_size_come_back_as_replies),
        ON_EACH_ENGINE(test_a_reply_may_be_shorter_than_its_request),
        ON_EACH_ENGINE(test_a_reply_longer_than_its_request_or_shorter_than_a_header_is_refused),
        ON_EACH_ENGINE(test_each_client_gets_the_replies_to_its_own_requests),
        ON_EACH_ENGINE(test_more_requests_than_there_are_buffers_are_all_answered),
        ON_EACH_ENGINE(test_requests_beside_much_else_are_answered_several_a_turn),
        ON_EACH_ENGINE(test_a_flood_of_requests_does_no_harm),
        ON_EACH_ENGINE(test_replies_are_never_answered),
        ON_EACH_ENGINE(test_empty_datagrams_are_never_answered),
        ON_EACH_ENGINE(test_what_is_shorter_than_a_header_is_never_answered),
        ON_EACH_ENGINE(test_garbage_is_never_answered),
        ON_EACH_ENGINE(test_another_version_is_never_answered),
        ON_EACH_ENGINE(test_two_servers_fall_silent_after_a_request_with_a_forged_sender),
        ON_EACH_ENGINE(test_two_servers_fall_silent_after_a_hello_with_a_forged_sender),
        ON_EACH_ENGINE(test_two_servers_are_silent_after_a_reply_with_a_forged_sender),
        ON_EACH_ENGINE(test_two_servers_are_silent_after_garbage_with_a_forged_sender),
        ON_EACH_ENGINE(test_a_server_that_is_made_to_write_to_itself_falls_silent),
        ON_EACH_ENGINE(test_a_hello_is_answered_with_who_the_server_is),
        ON_EACH_ENGINE(test_a_hello_that_makes_no_sense_is_not_answered),
        ON_EACH_ENGINE(test_a_client_that_has_gone_does_no_harm_to_the_others),
        ON_EACH_ENGINE(test_a_unix_client_that_has_gone_does_no_harm_to_the_others),
        ON_EACH_ENGINE(test_a_unix_client_without_a_name_does_no_harm_to_the_others),
        ON_EACH_ENGINE(test_replies_that_wait_do_not_hold_up_stopping),
        ON_EACH_ENGINE(test_a_broadcast_is_not_answered),
        ON_EACH_ENGINE(test_a_broadcast_to_a_socket_of_ipv6_is_not_answered),
        ON_EACH_ENGINE(test_requests_that_come_with_the_order_to_stop_do_not_hold_it_up),
        ON_EACH_ENGINE(
            test_requests_of_the_deaf_that_come_with_the_order_to_stop_do_not_hold_it_up),
        ON_EACH_ENGINE(test_stopping_leaves_no_descriptor_open),
        ON_EACH_ENGINE(test_a_server_that_never_ran_gives_its_port_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
