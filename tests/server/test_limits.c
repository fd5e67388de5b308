/* What a server's clients may cost it: how long they may be silent, how much they may leave unread,
 * how much of a turn is theirs, and what becomes of them when descriptors run out or the server
 * stops. */
#include "base/clock.h"
#include "server/server.h"
#include "server/talk.h"
#include "stream_server.h"

#define SHORT_NS (100 * PP_NS_PER_MS)
#define MIB ((size_t)1024 * 1024)

/* ---- driving ---- */

/* The result of recv() for one byte, once there is any, while the server's loop turns. */
static ssize_t hear_something(struct fixture *f, int fd)
{
    char byte;
    ssize_t got;

    while ((got = recv(fd, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    return got;
}

static void is_ended(struct fixture *f, int fd)
{
    assert_int_equal(hear_something(f, fd), 0);
}

static void is_reset(struct fixture *f, int fd)
{
    ssize_t got;

    do
        got = hear_something(f, fd);
    while (got > 0);
    assert_int_equal(got, -1);
    assert_int_equal(errno, ECONNRESET);
}

static struct pp_server_counts counts(const struct fixture *f)
{
    return pp_server_counts(f->server);
}

/* A client that the server has accepted. */
static int accepted_client(struct fixture *f)
{
    const uint64_t before = counts(f).accepted;
    const int fd = client(f);

    while (counts(f).accepted == before)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    return fd;
}

static int spoken_client(struct fixture *f)
{
    const int fd = accepted_client(f);

    is_echoed_when_driven(f, fd, "PING\n");
    return fd;
}

/* A client that has sent until nothing more goes, and reads nothing. Returns how much. It may be
 * reset meanwhile: who is told so is not told again when it reads. */
static size_t send_until_stuck(struct fixture *f, int fd)
{
    static const char data[4096];
    size_t sent = 0;

    for (int stuck = 0; stuck < 50; stuck++) {
        const ssize_t part = send(fd, data, sizeof data, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (part < 0 && errno == ECONNRESET)
            return 0;
        if (part > 0) {
            sent += (size_t)part;
            stuck = 0;
        }
        drive(f);
    }
    return sent;
}

/* -1: the machine was so slow that it was reset before it was done. */
static int deaf_client(struct fixture *f)
{
    const int fd = narrow_client(f);

    return send_until_stuck(f, fd) > 0 ? fd : -1;
}

/* ---- silence ---- */

static void test_who_never_says_anything_is_closed_and_others_are_not(void **state)
{
    struct fixture *f = *state;
    int spoken;

    f->limits.silent_ns = SHORT_NS;
    serve(f, 4, BUFFER_BYTES, 0);
    spoken = spoken_client(f);
    is_ended(f, accepted_client(f));
    is_ended(f, accepted_client(f)); /* so the limit has passed for the first one, too */
    is_echoed_when_driven(f, spoken, "PING\n");
    assert_int_equal(counts(f).idle, 2);
}

static void test_without_a_limit_silence_is_no_fault(void **state)
{
    struct fixture *f = *state;
    uint64_t until_ns;
    int silent;

    serve(f, 4, BUFFER_BYTES, 0);
    silent = accepted_client(f);
    until_ns = pp_clock_now_ns() + 3 * SHORT_NS;
    while (pp_clock_now_ns() < until_ns)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    is_echoed_when_driven(f, silent, "PING\n");
    assert_int_equal(counts(f).idle, 0);
}

static void test_with_an_idle_limit_all_are_closed_on_which_nothing_moves(void **state)
{
    struct fixture *f = *state;
    int spoken, asked, moving, silent;
    char data[PP_HELLO_BYTES];

    f->limits.idle_ns = 3 * SHORT_NS;
    serve(f, 4, BUFFER_BYTES, 0);
    spoken = spoken_client(f);
    asked = accepted_client(f);
    write_question(data);
    say_bytes(asked, data, sizeof data);
    hear_when_driven(f, asked, data, sizeof data);
    moving = spoken_client(f);
    silent = accepted_client(f);
    while (counts(f).idle < 3)
        is_echoed_when_driven(f, moving, "PING\n");
    is_ended(f, spoken);
    is_ended(f, asked);
    is_ended(f, silent);
    is_echoed_when_driven(f, moving, "PING\n");
}

static void test_who_does_not_read_is_reset_in_time(void **state)
{
    struct fixture *f = *state;
    int deaf;

    f->limits.silent_ns = SHORT_NS;
    serve(f, 4, BUFFER_BYTES, 8192);
    deaf = deaf_client(f);
    while (counts(f).idle < 1)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    if (deaf >= 0)
        is_reset(f, deaf);
}

/* The time in which the server did not run is not counted as theirs. */
static void test_silence_of_a_stopped_server_is_not_that_of_its_clients(void **state)
{
    struct fixture *f = *state;
    int fds[3];
    uint64_t until_ns;

    f->limits.idle_ns = 5 * SHORT_NS;
    serve(f, 4, BUFFER_BYTES, 0);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        fds[i] = spoken_client(f);
    until_ns = pp_clock_now_ns() + 2 * f->limits.idle_ns;
    while (pp_clock_now_ns() < until_ns)
        ;
    drive(f);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        is_echoed_when_driven(f, fds[i], "PING\n");
    assert_int_equal(counts(f).idle, 0);
}

static void test_half_a_hello_is_closed_in_time(void **state)
{
    struct fixture *f = *state;
    char data[PP_HELLO_BYTES];
    int half, asked;

    f->limits.hello_ns = SHORT_NS;
    serve(f, 4, BUFFER_BYTES, 0);
    write_question(data);
    half = accepted_client(f);
    asked = accepted_client(f);
    say_bytes(half, data, sizeof data / 2);
    say_bytes(asked, data, sizeof data);
    is_ended(f, half);
    hear_when_driven(f, asked, data, sizeof data);
    is_introduction(data, 1);
}

/* ---- when descriptors run out ---- */

#define FEW 40

/* To be called before the loop turns: an accept that is under way goes by the limit of when it
 * began. */
static void serve_with_few_descriptors(struct fixture *f)
{
    struct rlimit limit = f->files;
    int next;

    serve(f, 8, BUFFER_BYTES, 0);
    next = fcntl(0, F_DUPFD, 0);
    assert_true(next >= 0);
    (void)close(next);
    limit.rlim_cur = (rlim_t)next + FEW;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Those that were used up last are free again. */
static void give_back_descriptors(struct fixture *f, int count)
{
    while (count-- > 0)
        (void)close(f->clients[--f->client_count]);
}

static void test_a_newcomer_gets_the_descriptor_of_who_never_said_anything(void **state)
{
    struct fixture *f = *state;
    int spoken, silent, newcomer;

    f->limits.spare_ns = SHORT_NS;
    serve_with_few_descriptors(f);
    spoken = spoken_client(f);
    silent = accepted_client(f);
    newcomer = client_socket(f);
    use_up_descriptors(f);
    client_connect(f, newcomer);
    is_ended(f, silent);
    say(newcomer, "PING\n");
    assert_int_equal(hear_something(f, newcomer), 1);
    is_echoed_when_driven(f, spoken, "PING\n");
    assert_true(counts(f).full > 0);
    assert_int_equal(counts(f).turned_away, 0);
}

static void test_a_newcomer_gets_a_descriptor_also_where_silence_has_a_long_limit(void **state)
{
    ((struct fixture *)*state)->limits.idle_ns = 24 * 3600 * PP_NS_PER_S;
    test_a_newcomer_gets_the_descriptor_of_who_never_said_anything(state);
}

/* How many seconds what is sent to fd's end at the server may be unacknowledged. */
static int unacked_s(int fd)
{
    unsigned ms = 0;
    socklen_t len = sizeof ms;

    assert_int_equal(getsockopt(end_at_server(fd), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len), 0);
    return (int)ms / 1000;
}

static void test_who_is_silent_is_asked_while_descriptors_are_short_and_no_longer(void **state)
{
    struct fixture *f = *state;
    int spoken, newcomer;

    f->limits.spare_ns = SHORT_NS;
    serve_with_few_descriptors(f);
    spoken = spoken_client(f);
    newcomer = client_socket(f);
    use_up_descriptors(f);
    client_connect(f, newcomer);
    while (unacked_s(spoken) != 4)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    give_back_descriptors(f, FEW / 4);
    is_echoed_when_driven(f, newcomer, "PING\n");
    while (unacked_s(spoken) != f->limits.unacked_s)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    is_echoed_when_driven(f, spoken, "PING\n");
}

static void test_newcomers_that_waited_in_vain_are_reset(void **state)
{
    struct fixture *f = *state;
    struct pp_io_addr from, own = { .len = sizeof own.un };
    int spoken, fds[3];

    f->limits.newcomer_ns = SHORT_NS;
    serve_with_few_descriptors(f);
    spoken = spoken_client(f);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        fds[i] = client_socket(f);
    use_up_descriptors(f);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        client_connect(f, fds[i]);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        is_reset(f, fds[i]);
    assert_int_equal(counts(f).turned_away, COUNT_OF(fds));
    assert_true(pp_server_turned_away_from(f->server, &from));
    assert_int_equal(getsockname(fds[0], &own.any, &own.len), 0);
    assert_int_equal(from.len, own.len);
    assert_memory_equal(&from.any, &own.any, own.len);
    assert_false(pp_server_turned_away_from(f->server, &from)); /* that was the first of them */
    is_echoed_when_driven(f, spoken, "PING\n");
    give_back_descriptors(f, FEW / 4);
    is_echoed_when_driven(f, client(f), "PING\n");
    is_echoed_when_driven(f, client(f), "PING\n");
}

static void test_newcomers_that_waited_are_served_once_there_is_a_descriptor(void **state)
{
    struct fixture *f = *state;
    int first, second;

    serve_with_few_descriptors(f);
    (void)spoken_client(f);
    first = client_socket(f);
    second = client_socket(f);
    use_up_descriptors(f);
    client_connect(f, first);
    client_connect(f, second);
    while (counts(f).full < 2)
        assert_int_equal(pp_io_loop_poll(f->loop), 0);
    give_back_descriptors(f, FEW / 4);
    say(first, "PING\n");
    assert_int_equal(hear_something(f, first), 1);
    say(second, "PING\n");
    assert_int_equal(hear_something(f, second), 1);
    assert_int_equal(counts(f).turned_away, 0);
}

/* ---- stopping ---- */

static void run_to_the_end(struct fixture *f)
{
    pp_server_stop(f->server);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
}

static size_t hear_to_the_end(int fd, ssize_t *last)
{
    char data[4096];
    size_t heard = 0;

    while ((*last = recv(fd, data, sizeof data, 0)) > 0)
        heard += (size_t)*last;
    return heard;
}

/* It reads only after the server was told to stop, and then all of it. */
static void *hear_on_thread(void *argument)
{
    const int *fd = argument;
    ssize_t last;
    const size_t heard = hear_to_the_end(*fd, &last);

    return last == 0 ? (void *)(uintptr_t)heard : NULL;
}

static void test_what_was_taken_in_is_echoed_before_the_end(void **state)
{
    struct fixture *f = *state;
    pthread_t reader;
    size_t sent;
    void *heard;
    int fd;

    f->limits.drain_ns = 60 * PP_NS_PER_S; /* the machine may be slow */
    serve(f, 4, BUFFER_BYTES, 8192);
    fd = narrow_client(f);
    sent = send_until_stuck(f, fd);
    assert_int_equal(pthread_create(&reader, NULL, hear_on_thread, &fd), 0);
    run_to_the_end(f);
    (void)pthread_join(reader, &heard);
    assert_true(sent > 8192);
    assert_int_equal((uintptr_t)heard, sent);
}

static void test_who_does_not_read_is_reset_at_the_end(void **state)
{
    struct fixture *f = *state;
    ssize_t last;
    int deaf;

    f->limits.drain_ns = SHORT_NS;
    serve(f, 4, BUFFER_BYTES, 8192);
    deaf = deaf_client(f);
    run_to_the_end(f);
    (void)hear_to_the_end(deaf, &last);
    assert_int_equal(last, -1);
    assert_int_equal(errno, ECONNRESET);
}

static void *ping_on_thread(void *argument)
{
    const int *fd = argument;
    char data[5];

    while (send(*fd, "PING\n", 5, MSG_NOSIGNAL) == 5 && recv(*fd, data, 5, 0) == 5)
        ;
    return NULL;
}

static void test_who_never_falls_silent_does_not_hold_up_the_end(void **state)
{
    struct fixture *f = *state;
    pthread_t pinger;
    int fd;

    f->limits.drain_ns = SHORT_NS;
    serve(f, 4, BUFFER_BYTES, 0);
    fd = spoken_client(f);
    assert_int_equal(pthread_create(&pinger, NULL, ping_on_thread, &fd), 0);
    run_to_the_end(f);
    (void)pthread_join(pinger, NULL);
}

static void test_who_has_nothing_to_come_is_ended_properly(void **state)
{
    struct fixture *f = *state;
    int spoken, silent;
    ssize_t last;

    serve(f, 4, BUFFER_BYTES, 0);
    spoken = spoken_client(f);
    silent = accepted_client(f);
    run_to_the_end(f);
    assert_int_equal(hear_to_the_end(spoken, &last), 0);
    assert_int_equal(last, 0);
    assert_int_equal(hear_to_the_end(silent, &last), 0);
    assert_int_equal(last, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_who_never_says_anything_is_closed_and_others_are_not),
        ON_EACH_ENGINE(test_without_a_limit_silence_is_no_fault),
        ON_EACH_ENGINE(test_with_an_idle_limit_all_are_closed_on_which_nothing_moves),
        ON_EACH_ENGINE(test_who_does_not_read_is_reset_in_time),
        ON_EACH_ENGINE(test_silence_of_a_stopped_server_is_not_that_of_its_clients),
        ON_EACH_ENGINE(test_half_a_hello_is_closed_in_time),
        ON_EACH_ENGINE(test_a_newcomer_gets_the_descriptor_of_who_never_said_anything),
        ON_EACH_ENGINE(test_a_newcomer_gets_a_descriptor_also_where_silence_has_a_long_limit),
        ON_EACH_ENGINE(test_who_is_silent_is_asked_while_descriptors_are_short_and_no_longer),
        ON_EACH_ENGINE(test_newcomers_that_waited_in_vain_are_reset),
        ON_EACH_ENGINE(test_newcomers_that_waited_are_served_once_there_is_a_descriptor),
        ON_EACH_ENGINE(test_what_was_taken_in_is_echoed_before_the_end),
        ON_EACH_ENGINE(test_who_does_not_read_is_reset_at_the_end),
        ON_EACH_ENGINE(test_who_never_falls_silent_does_not_hold_up_the_end),
        ON_EACH_ENGINE(test_who_has_nothing_to_come_is_ended_properly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
