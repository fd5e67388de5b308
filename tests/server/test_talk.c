#include "server/talk.h"

#include "stream_server.h"

#include <sys/wait.h>

#define MIB (UINT32_C(1) << 20)

/* As many connections as may talk at once, and some. */
#define TALKS_MAX 16384
#define MANY (TALKS_MAX + 8)

#define MAGIC_BYTES ((uint32_t)(sizeof PP_HELLO_MAGIC - 1))

/* Ordinary bytes. */
static const char filler[65536];

/* ---- what clients say and hear ---- */

static void hear_introduction(int fd, uint64_t nth)
{
    char data[PP_HELLO_BYTES];

    hear_bytes(fd, data, sizeof data);
    is_introduction(data, nth);
}

static void ask(int fd)
{
    char data[PP_HELLO_BYTES];

    write_question(data);
    say_bytes(fd, data, sizeof data);
}

static void is_introduced(int fd, uint64_t nth)
{
    ask(fd);
    hear_introduction(fd, nth);
}

static struct pp_sizes between(uint32_t low, uint32_t high)
{
    return (struct pp_sizes){ .count = 1,
                              .min = low,
                              .max = high,
                              .ranges = { { .low = low, .high = high, .weight_to = 1 } } };
}

static struct pp_hello hello_of(struct pp_sizes request, struct pp_sizes response)
{
    return (struct pp_hello){ .answers = true,
                              .request = request,
                              .response = response,
                              .request_seed = 11,
                              .response_seed = 22,
                              .response_at = 33333 };
}

/* How many bytes so many messages have. */
static uint64_t bytes_of(const struct pp_sizes *sizes, uint64_t seed, uint32_t messages)
{
    struct pp_random random = { .state = seed };
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < messages; i++)
        bytes += pp_sizes_next(sizes, &random);
    return bytes;
}

/* A connection on which answers differ in size from requests. */
struct talk {
    struct fixture *f;
    struct pp_hello hello;
    int fd;
    uint64_t requests; /* bytes still to be sent */
    uint64_t answers;  /* bytes still to come */
    uint32_t at;       /* where in the pattern they go on */
};

static void owe(struct talk *t, uint32_t messages)
{
    t->requests = bytes_of(&t->hello.request, t->hello.request_seed, messages);
    t->answers = bytes_of(&t->hello.response, t->hello.response_seed, messages);
    t->at = t->hello.response_at;
}

static void say_hello(struct talk *t)
{
    char data[PP_HELLO_BYTES];

    assert_int_equal(pp_hello_write(&t->hello, data), 0);
    say_bytes(t->fd, data, sizeof data);
}

/* On a server that has a thread. */
static struct talk talk(struct fixture *f, struct pp_hello hello, uint32_t messages)
{
    struct talk t = { .f = f, .hello = hello, .fd = client(f) };
    char data[PP_HELLO_BYTES];

    owe(&t, messages);
    say_hello(&t);
    hear_bytes(t.fd, data, sizeof data);
    is_introduction(data, atomic_load(&f->introductions));
    return t;
}

static ssize_t send_some(struct talk *t, int flags)
{
    const size_t bytes = t->requests < sizeof filler ? (size_t)t->requests : sizeof filler;
    const ssize_t sent = send(t->fd, filler, bytes, flags | MSG_NOSIGNAL);

    t->requests -= sent > 0 ? (uint64_t)sent : 0;
    return sent;
}

static void send_all(struct talk *t)
{
    while (t->requests > 0)
        assert_true(send_some(t, 0) > 0);
}

static void *send_all_on_thread(void *argument)
{
    struct talk *t = argument;

    while (t->requests > 0 && send_some(t, 0) > 0)
        ;
    return NULL;
}

static ssize_t hear_some(struct talk *t, int flags)
{
    char data[65536];
    const size_t most = t->answers < sizeof data ? (size_t)t->answers : sizeof data;
    const ssize_t got = recv(t->fd, data, most, flags);

    if (got <= 0)
        return got;
    assert_int_equal(pp_pattern_match(&t->f->pattern, t->at, data, (uint32_t)got), got);
    t->at = pp_pattern_after(&t->f->pattern, t->at, (uint32_t)got);
    t->answers -= (uint64_t)got;
    return got;
}

static void hear_all(struct talk *t)
{
    while (t->answers > 0)
        assert_true(hear_some(t, 0) > 0);
}

/* The client hears the end, and nothing before it. */
static void hear_end(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static void nothing_is_heard(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* ---- who are you ---- */

static void test_a_hello_is_answered_with_who_the_server_is(void **state)
{
    struct fixture *f = *state;

    serve_on_thread(f, 1);
    is_introduced(client(f), 1);
    stop(f);
}

static void test_a_hello_may_come_byte_by_byte_after_its_magic(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES];
    int fd;

    serve_on_thread(f, 1);
    fd = client(f);
    write_question(data);
    say_bytes(fd, data, MAGIC_BYTES);
    for (uint32_t i = MAGIC_BYTES; i < PP_HELLO_BYTES; i++)
        say_bytes(fd, data + i, 1);
    hear_introduction(fd, 1);
    stop(f);
}

static void test_part_of_a_hello_is_not_answered(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES];
    int fd;

    serve(f, 1, BUFFER_BYTES, 0);
    fd = client(f);
    write_question(data);
    say_bytes(fd, data, PP_HELLO_BYTES - 1);
    for (int i = 0; i < 10; i++)
        drive(f);
    assert_int_equal(unread_by_server(fd), 0);
    nothing_is_heard(fd);
    say_bytes(fd, data + PP_HELLO_BYTES - 1, 1);
    hear_when_driven(f, fd, data, sizeof data);
    is_introduction(data, 1);
}

static void test_a_client_may_ask_as_often_as_it_likes(void **state)
{
    struct fixture *f = *state;
    int fd;

    serve_on_thread(f, 1);
    fd = client(f);
    for (unsigned i = 1; i <= 500; i++)
        is_introduced(fd, i);
    stop(f);
}

static void test_an_answer_is_of_when_it_was_asked(void **state)
{
    struct fixture *f = *state;
    int first, second;

    serve_on_thread(f, 2);
    first = client(f);
    second = client(f);
    is_introduced(first, 1);
    is_introduced(second, 2);
    is_introduced(first, 3);
    stop(f);
}

static void test_who_asks_again_before_the_answer_went_out_is_closed(void **state)
{
    struct fixture *f = *state;
    char data[2 * PP_HELLO_BYTES];
    int other, fd;
    size_t heard = 0;
    ssize_t got;

    serve_on_thread(f, 2);
    other = client(f);
    is_introduced(other, 1);
    fd = client(f);
    write_question(data);
    write_question(data + PP_HELLO_BYTES);
    say_bytes(fd, data, sizeof data);
    while ((got = recv(fd, data, sizeof data, 0)) > 0)
        heard += (size_t)got;
    assert_true(got == 0 || errno == ECONNRESET);
    assert_true(heard <= PP_HELLO_BYTES);
    is_introduced(other, 3);
    stop(f);
}

static void test_an_end_after_a_hello_is_answered_and_then_ended(void **state)
{
    struct fixture *f = *state;
    int fd;

    serve_on_thread(f, 1);
    for (unsigned i = 1; i <= 20; i++) {
        fd = client(f);
        ask(fd);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        hear_introduction(fd, i);
        hear_end(fd);
    }
    stop(f);
}

/* The only place is free again each time. */
static void test_half_a_hello_and_then_the_end_is_answered_by_the_end(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES];

    serve_on_thread(f, 1);
    write_question(data);
    for (int i = 0; i < 20; i++) {
        const int fd = client(f);

        say_bytes(fd, data, PP_HELLO_BYTES / 2);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        hear_end(fd);
    }
    is_introduced(client(f), 1);
    stop(f);
}

static void test_a_reset_after_half_a_hello_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES];
    int other;

    serve_on_thread(f, 8);
    other = client(f);
    write_question(data);
    for (unsigned i = 1; i <= 20; i++) {
        const int fd = client(f);

        say_bytes(fd, data, PP_HELLO_BYTES / 2);
        is_introduced(other, i);
        disown(f, fd);
        reset_connection(fd);
    }
    stop(f);
}

static void frame(char data[PP_HELLO_BYTES], const char *lines)
{
    memset(data, 0, PP_HELLO_BYTES);
    memcpy(data, PP_HELLO_MAGIC, MAGIC_BYTES);
    memcpy(data + MAGIC_BYTES, lines, strlen(lines));
}

static void test_a_hello_that_makes_no_sense_is_not_answered_but_closed(void **state)
{
    static const char *const lines[] = {
        "",
        "nonsense",
        "answers=2\n",
        "answers=1\n",
        "answers=-1\n",
        "answers=1\nrequest=0\nresponse=1\nrequest_seed=1\nresponse_seed=1\nresponse_at=0\n",
        "answers=1\nrequest=1\nresponse=67108865\nrequest_seed=1\nresponse_seed=1\n"
        "response_at=0\n",
        "answers=1\nrequest=1\nresponse=4294967297\nrequest_seed=1\nresponse_seed=1\n"
        "response_at=0\n",
        "answers=1\nrequest=1\nresponse=1\nrequest_seed=1\nresponse_seed=1\nresponse_at=65536\n",
    };
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES];
    int other;

    serve_on_thread(f, 4);
    other = client(f);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const int fd = client(f);

        frame(data, lines[i]);
        say_bytes(fd, data, sizeof data);
        is_closed(fd);
        is_introduced(other, i + 1);
    }
    stop(f);
}

/* ---- what only looks like a hello ---- */

static void test_bytes_that_merely_begin_like_a_hello_are_echoed(void **state)
{
    static const char *const texts[] = { "\x9d",
                                         "\x9dping",
                                         "\x9dpingpong hello 2\n",
                                         "\x9dpingpong here 1\nversion=1\n",
                                         "pingpong hello 1\nanswers=0\n",
                                         (" " PP_HELLO_MAGIC) };
    struct fixture *f = *state;

    serve_on_thread(f, COUNT_OF(texts));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const int fd = client(f);

        is_echoed(fd, texts[i]);
        is_echoed(fd, "PING\n");
    }
    assert_int_equal(f->introductions, 0);
    stop(f);
}

/* Whatever comes first decides, and the first byte alone is not enough. */
static void test_a_hello_that_comes_byte_by_byte_from_the_start_is_echoed(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES], got[PP_HELLO_BYTES];
    int fd;

    serve_on_thread(f, 1);
    fd = client(f);
    write_question(data);
    say_bytes(fd, data, 1);
    hear_bytes(fd, got, 1);
    say_bytes(fd, data + 1, sizeof data - 1);
    hear_bytes(fd, got + 1, sizeof got - 1);
    assert_memory_equal(got, data, sizeof data);
    stop(f);
}

static void test_a_hello_after_ordinary_bytes_is_echoed(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES], got[PP_HELLO_BYTES];
    int fd;

    serve_on_thread(f, 1);
    fd = client(f);
    is_echoed(fd, "PING\n");
    write_question(data);
    say_bytes(fd, data, sizeof data);
    hear_bytes(fd, got, sizeof got);
    assert_memory_equal(got, data, sizeof data);
    stop(f);
}

/* ---- answers of another size ---- */

static void check_answers(struct fixture *f, struct pp_sizes request, struct pp_sizes response,
                          uint32_t messages)
{
    struct talk t;
    pthread_t sender;

    serve_on_thread(f, 1);
    t = talk(f, hello_of(request, response), messages);
    assert_int_equal(pthread_create(&sender, NULL, send_all_on_thread, &t), 0);
    hear_all(&t);
    assert_int_equal(pthread_join(sender, NULL), 0);
    assert_int_equal(t.requests, 0);
    assert_int_equal(shutdown(t.fd, SHUT_WR), 0);
    hear_end(t.fd); /* and not a byte more */
    stop(f);
}

static void test_answers_have_the_size_that_was_asked_for(void **state)
{
    check_answers(*state, pp_sizes_of(100), pp_sizes_of(3000), 100);
}

static void test_answers_of_one_byte(void **state)
{
    check_answers(*state, pp_sizes_of(MIB), pp_sizes_of(1), 4);
}

/* They are longer than what can be had of the pattern in one piece. */
static void test_answers_of_a_mebibyte(void **state)
{
    check_answers(*state, pp_sizes_of(1), pp_sizes_of(MIB), 4);
}

static void test_sizes_are_drawn_as_the_client_draws_them(void **state)
{
    check_answers(*state, between(1, 500), between(200, 1000), 2000);
}

static void test_a_deep_pipeline_is_answered_in_full(void **state)
{
    check_answers(*state, pp_sizes_of(1), pp_sizes_of(40), 60000);
}

static void test_each_connection_has_sizes_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct talk a, b;

    serve_on_thread(f, 2);
    a = talk(f, hello_of(between(1, 100), pp_sizes_of(77)), 50);
    b = talk(f, hello_of(pp_sizes_of(3), between(1, 9000)), 100);
    send_all(&a);
    send_all(&b);
    hear_all(&b);
    hear_all(&a);
    stop(f);
}

static void test_requests_may_follow_the_hello_at_once(void **state)
{
    struct fixture *f = *state;
    struct talk t = { .f = f, .hello = hello_of(pp_sizes_of(10), pp_sizes_of(20)) };
    char data[PP_HELLO_BYTES + 100] = "";

    serve_on_thread(f, 1);
    t.fd = client(f);
    owe(&t, 10);
    assert_int_equal(pp_hello_write(&t.hello, data), 0);
    say_bytes(t.fd, data, sizeof data);
    hear_introduction(t.fd, 1);
    hear_all(&t);
    stop(f);
}

/* A talk on a server that the test drives. */
static struct talk driven_talk(struct fixture *f, int fd, struct pp_hello hello, uint32_t messages)
{
    struct talk t = { .f = f, .hello = hello, .fd = fd };
    char data[PP_HELLO_BYTES];

    owe(&t, messages);
    say_hello(&t);
    hear_when_driven(f, t.fd, data, sizeof data);
    is_introduction(data, atomic_load(&f->introductions));
    return t;
}

static void test_a_request_in_pieces_is_answered_once_it_is_whole(void **state)
{
    struct fixture *f = *state;
    char answer[7];
    struct talk t;

    serve(f, 1, BUFFER_BYTES, 0);
    t = driven_talk(f, client(f), hello_of(pp_sizes_of(5), pp_sizes_of(sizeof answer)), 1);
    for (int request = 0; request < 3; request++) {
        for (int i = 0; i < 4; i++) {
            say_bytes(t.fd, "x", 1);
            for (int turn = 0; turn < 10; turn++)
                drive(f);
            nothing_is_heard(t.fd);
        }
        say_bytes(t.fd, "x", 1);
        hear_when_driven(f, t.fd, answer, sizeof answer);
        assert_int_equal(pp_pattern_match(&f->pattern, t.at, answer, sizeof answer), sizeof answer);
        t.at = pp_pattern_after(&f->pattern, t.at, sizeof answer);
    }
}

static void test_the_end_in_mid_request_is_answered_by_what_is_owed_and_the_end(void **state)
{
    struct fixture *f = *state;
    struct talk t;

    serve_on_thread(f, 1);
    t = talk(f, hello_of(pp_sizes_of(10), pp_sizes_of(50000)), 20);
    send_all(&t);
    say(t.fd, "a part");
    assert_int_equal(shutdown(t.fd, SHUT_WR), 0);
    hear_all(&t);
    hear_end(t.fd);
    stop(f);
}

/* ---- clients that do not read ---- */

/* Sends requests until all are gone or nothing more goes, however often the server is turned. */
static void send_until_stuck(struct fixture *f, struct talk *t)
{
    for (int stuck = 0; stuck < 50 && t->requests > 0; stuck++) {
        if (send_some(t, MSG_DONTWAIT) > 0)
            stuck = 0;
        drive(f);
    }
}

/* A client that has asked for far more than the sockets take. */
static struct talk deaf_talk(struct fixture *f)
{
    struct talk t = driven_talk(f, narrow_client(f), hello_of(pp_sizes_of(100), pp_sizes_of(1000)),
                                4000);

    send_until_stuck(f, &t);
    return t;
}

static void test_a_client_that_does_not_read_leaves_buffers_for_the_others(void **state)
{
    struct fixture *f = *state;
    int other;

    serve(f, 4, BUFFER_BYTES, 8192);
    other = client(f);
    (void)deaf_talk(f);
    (void)deaf_talk(f);
    for (int i = 0; i < 100; i++)
        is_echoed_when_driven(f, other, "PING\n");
    assert_int_equal(pp_io_loop_stats(f->loop).starved, 0);
}

/* Each has sent more requests at once than are taken in while so much is owed. */
static void test_requests_that_wait_to_be_taken_in_leave_buffers_for_the_others(void **state)
{
    struct fixture *f = *state;
    int other;

    serve(f, BUFFERS + 1, 8192, 8192);
    other = client(f);
    for (int i = 0; i < BUFFERS; i++) {
        struct talk t = driven_talk(f, narrow_client(f),
                                    hello_of(pp_sizes_of(1), pp_sizes_of(1000000)), 1000);

        send_until_stuck(f, &t);
        assert_int_equal(t.requests, 0);
    }
    for (int i = 0; i < 10; i++)
        is_echoed_when_driven(f, other, "PING\n");
    assert_int_equal(pp_io_loop_stats(f->loop).starved, 0);
}

static void test_a_client_that_does_not_read_is_not_read_from(void **state)
{
    struct fixture *f = *state;

    struct talk t;

    serve(f, 4, BUFFER_BYTES, 8192);
    t = driven_talk(f, narrow_client(f), hello_of(pp_sizes_of(1000), pp_sizes_of(1000)), 40000);
    send_until_stuck(f, &t);
    assert_true(t.requests > 0); /* they do not go out any more */
}

static void test_a_client_that_reads_at_last_gets_all_it_asked_for(void **state)
{
    struct fixture *f = *state;
    const uint64_t until_ns = give_up_ns();
    struct talk t;

    serve(f, 4, BUFFER_BYTES, 8192);
    t = deaf_talk(f);
    while (t.answers > 0 && pp_clock_now_ns() < until_ns) {
        if (t.requests > 0)
            (void)send_some(&t, MSG_DONTWAIT);
        (void)hear_some(&t, MSG_DONTWAIT);
        drive(f);
    }
    assert_int_equal(t.answers, 0);
    assert_int_equal(shutdown(t.fd, SHUT_WR), 0);
    while (end_at_server(t.fd) >= 0 && pp_clock_now_ns() < until_ns)
        drive(f);
    hear_end(t.fd);
}

static void test_a_client_that_does_not_read_does_not_hold_up_stopping(void **state)
{
    struct fixture *f = *state;
    struct talk t;

    serve(f, 4, BUFFER_BYTES, 8192);
    t = deaf_talk(f);
    pp_server_stop(f->server);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(end_at_server(t.fd), -1);
}

static void test_a_reset_while_answers_are_owed_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    int other;

    serve(f, 2, BUFFER_BYTES, 8192);
    other = client(f);
    for (int i = 0; i < 10; i++) { /* each in the same place */
        struct talk t = deaf_talk(f);

        disown(f, t.fd);
        reset_connection(t.fd);
        drive(f);
        is_echoed_when_driven(f, other, "PING\n");
    }
}

/* ---- small requests ---- */

static void on_nothing_sent(struct pp_talk *talk, int res)
{
    (void)talk;
    (void)res;
}

/* However many a buffer holds. */
static void test_requests_are_taken_in_portions(void **state)
{
    struct fixture *f = *state;
    const struct pp_hello hello = hello_of(pp_sizes_of(1), pp_sizes_of(1));
    struct pp_server_options options = { .pattern = &f->pattern,
                                         .introduce = introduce,
                                         .owner = &f->introductions };
    struct pp_talk talk = { 0 };
    char data[PP_HELLO_BYTES];

    options.loop = f->loop = open_loop(f->engine, BUFFERS, BUFFER_BYTES);
    pp_talk_begin(&talk, &options, -1);
    talk.on_sent = on_nothing_sent;
    assert_int_equal(pp_hello_write(&hello, data), 0);
    assert_int_equal(pp_talk_take(&talk, data, sizeof data), sizeof data);
    assert_int_equal(pp_talk_take(&talk, filler, sizeof filler), PP_TALK_REQUESTS_MAX);
    assert_int_equal(talk.unsent, PP_TALK_REQUESTS_MAX);
}

/* With buffers that hold many portions. */
static void test_each_portion_is_answered(void **state)
{
    struct fixture *f = *state;
    struct talk t;

    serve(f, 2, 65536, 0);
    t = driven_talk(f, client(f), hello_of(pp_sizes_of(1), pp_sizes_of(1)), 200000);
    while (t.answers > 0) {
        if (t.requests > 0)
            (void)send_some(&t, MSG_DONTWAIT);
        (void)hear_some(&t, MSG_DONTWAIT);
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    }
    assert_int_equal(shutdown(t.fd, SHUT_WR), 0);
    while (end_at_server(t.fd) >= 0)
        drive(f);
    hear_end(t.fd);
}

/* One that asks for far more than fits into a turn, in small pieces. */
static void test_small_requests_leave_turns_for_the_others(void **state)
{
    struct fixture *f = *state;
    struct talk t;
    int other, turns = 0;
    char got[5];

    serve(f, 2, 65536, 0);
    other = client(f);
    is_echoed_when_driven(f, other, "PING\n");
    t = driven_talk(f, client(f), hello_of(pp_sizes_of(1), pp_sizes_of(1)), 200000);
    while (t.requests > 0 && send_some(&t, MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(pp_io_loop_poll(f->loop), 0);
    say(other, "PING\n");
    for (; recv(other, got, sizeof got, MSG_DONTWAIT) < 0; turns++)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    assert_in_range(turns, 1, 4);
    while (hear_some(&t, MSG_DONTWAIT) > 0)
        ;
    assert_true(200000 - t.answers < 6 * PP_TALK_REQUESTS_MAX);
}

/* ---- stopping ---- */

static void test_stopping_closes_connections_that_talk(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES];
    int asked, asking;
    struct talk t;

    serve_on_thread(f, 3);
    asked = client(f);
    is_introduced(asked, 1);
    asking = client(f);
    write_question(data);
    say_bytes(asking, data, PP_HELLO_BYTES / 2);
    t = talk(f, hello_of(pp_sizes_of(1), pp_sizes_of(1)), 1);
    stop(f);
    is_closed(asked);
    is_closed(asking);
    is_closed(t.fd);
}

/* ---- too many ---- */

/* Skips the test where the limit is lower. */
static void raise_descriptors(const struct fixture *f, rlim_t needed)
{
    struct rlimit limit = f->files;

    limit.rlim_cur = needed;
    if (limit.rlim_max < needed)
        skip();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int connect_unix(struct fixture *f)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &f->addr.any, f->addr.len), 0);
    return fd;
}

/* One that has begun to say hello, and goes on later. */
static int half_talk(struct fixture *f)
{
    char data[PP_HELLO_BYTES];
    const int fd = connect_unix(f);

    write_question(data);
    say_bytes(fd, data, MAGIC_BYTES);
    return fd;
}

/* In a process of their own: both ends together would be more descriptors than one may have. Waits
 * to be told to begin, says so once they stand, and then waits for the end of the test. */
static void half_talks_main(struct fixture *f, int count, int said_fd)
{
    char byte = 0;

    (void)alarm(4 * HANG_S);
    if (read(said_fd, &byte, 1) != 1)
        _exit(1);
    for (int i = 0; i < count; i++) {
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (connect(fd, &f->addr.any, f->addr.len) < 0 ||
            send(fd, PP_HELLO_MAGIC, MAGIC_BYTES, MSG_NOSIGNAL) != MAGIC_BYTES)
            _exit(1);
    }
    _exit(write(said_fd, &byte, 1) == 1 && read(said_fd, &byte, 1) == 0 ? 0 : 1);
}

static pid_t start_half_talks(struct fixture *f, int count, int *said_fd)
{
    int fds[2];
    pid_t child;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        half_talks_main(f, count, fds[1]);
    }
    (void)close(fds[1]);
    *said_fd = fds[0];
    return child;
}

static void finish_talk(struct fixture *f, int fd)
{
    char data[PP_HELLO_BYTES];

    write_question(data);
    say_bytes(fd, data + MAGIC_BYTES, sizeof data - MAGIC_BYTES);
    hear_when_driven(f, fd, data, sizeof data);
    is_introduction(data, atomic_load(&f->introductions));
}

static void is_introduced_when_driven(struct fixture *f, int fd)
{
    char data[PP_HELLO_BYTES];

    ask(fd);
    hear_when_driven(f, fd, data, sizeof data);
    is_introduction(data, atomic_load(&f->introductions));
    (void)close(fd);
}

static void is_closed_when_driven(struct fixture *f, int fd)
{
    char byte;

    while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    is_closed(fd);
}

static void serve_many(struct fixture *f)
{
    struct pp_server_options options = { .connections = MANY,
                                         .limits = f->limits,
                                         .pattern = &f->pattern,
                                         .introduce = introduce,
                                         .owner = &f->introductions };
    struct pp_error err = { 0 };

    options.loop = f->loop = open_loop(f->engine, BUFFERS, BUFFER_BYTES);
    options.listen_fd = unnamed_socket(SOCK_STREAM, &f->addr);
    assert_int_equal(listen(options.listen_fd, 100), 0);
    assert_int_equal(pp_server_open(&f->server, &options, &err), 0);
    pp_io_loop_check(f->loop, pp_server_check, f->server);
}

/* As many clients as may talk have begun a hello and do not go on. */
static void test_half_hellos_give_way_to_whole_ones_the_oldest_first(void **state)
{
    struct fixture *f = *state;
    int oldest, newest, said_fd, status;
    ssize_t said;
    char byte;
    pid_t child;

    raise_descriptors(f, MANY + 64);
    (void)alarm(4 * HANG_S);
    f->limits.hello_ns = 3600 * PP_NS_PER_S;
    serve_many(f);
    child = start_half_talks(f, TALKS_MAX - 2, &said_fd);
    oldest = half_talk(f);
    drive(f);
    say_bytes(said_fd, "", 1);
    while ((said = recv(said_fd, &byte, 1, MSG_DONTWAIT)) < 0)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    assert_int_equal(said, 1);
    while (pp_server_counts(f->server).accepted < TALKS_MAX - 1) /* or the queue is full of them */
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    newest = half_talk(f);
    for (int i = 0; i < 1000; i++)
        drive(f);
    nothing_is_heard(oldest); /* there is room for all so far */
    is_introduced_when_driven(f, connect_unix(f));
    is_closed_when_driven(f, oldest);
    finish_talk(f, newest);
    for (int i = 0; i < 10; i++)
        is_introduced_when_driven(f, connect_unix(f));
    (void)close(said_fd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_a_hello_is_answered_with_who_the_server_is),
        ON_EACH_ENGINE(test_a_hello_may_come_byte_by_byte_after_its_magic),
        ON_EACH_ENGINE(test_part_of_a_hello_is_not_answered),
        ON_EACH_ENGINE(test_a_client_may_ask_as_often_as_it_likes),
        ON_EACH_ENGINE(test_an_answer_is_of_when_it_was_asked),
        ON_EACH_ENGINE(test_who_asks_again_before_the_answer_went_out_is_closed),
        ON_EACH_ENGINE(test_an_end_after_a_hello_is_answered_and_then_ended),
        ON_EACH_ENGINE(test_half_a_hello_and_then_the_end_is_answered_by_the_end),
        ON_EACH_ENGINE(test_a_reset_after_half_a_hello_leaves_the_others_alone),
        ON_EACH_ENGINE(test_a_hello_that_makes_no_sense_is_not_answered_but_closed),
        ON_EACH_ENGINE(test_bytes_that_merely_begin_like_a_hello_are_echoed),
        ON_EACH_ENGINE(test_a_hello_that_comes_byte_by_byte_from_the_start_is_echoed),
        ON_EACH_ENGINE(test_a_hello_after_ordinary_bytes_is_echoed),
        ON_EACH_ENGINE(test_answers_have_the_size_that_was_asked_for),
        ON_EACH_ENGINE(test_answers_of_one_byte),
        ON_EACH_ENGINE(test_answers_of_a_mebibyte),
        ON_EACH_ENGINE(test_sizes_are_drawn_as_the_client_draws_them),
        ON_EACH_ENGINE(test_a_deep_pipeline_is_answered_in_full),
        ON_EACH_ENGINE(test_each_connection_has_sizes_of_its_own),
        ON_EACH_ENGINE(test_requests_may_follow_the_hello_at_once),
        ON_EACH_ENGINE(test_a_request_in_pieces_is_answered_once_it_is_whole),
        ON_EACH_ENGINE(test_the_end_in_mid_request_is_answered_by_what_is_owed_and_the_end),
        ON_EACH_ENGINE(test_a_client_that_does_not_read_leaves_buffers_for_the_others),
        ON_EACH_ENGINE(test_requests_that_wait_to_be_taken_in_leave_buffers_for_the_others),
        ON_EACH_ENGINE(test_a_client_that_does_not_read_is_not_read_from),
        ON_EACH_ENGINE(test_a_client_that_reads_at_last_gets_all_it_asked_for),
        ON_EACH_ENGINE(test_a_client_that_does_not_read_does_not_hold_up_stopping),
        ON_EACH_ENGINE(test_a_reset_while_answers_are_owed_leaves_the_others_alone),
        ON_EACH_ENGINE(test_requests_are_taken_in_portions),
        ON_EACH_ENGINE(test_each_portion_is_answered),
        ON_EACH_ENGINE(test_small_requests_leave_turns_for_the_others),
        ON_EACH_ENGINE(test_stopping_closes_connections_that_talk),
        ON_ENGINE("epoll", test_half_hellos_give_way_to_whole_ones_the_oldest_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
