/* Datagrams. On a socket that serves many each comes with its sender and can go back to it; an
 * error is of one datagram, and never the end. */
#include "io/sender.h"
#include "listening.h"
#include "support.h"

#include <arpa/inet.h>
#include <unistd.h>

#define LARGE 4
#define LARGE_BYTES 65728 /* the largest datagram and its sender */
#define SMALL_BYTES 256
#define CUT_BYTES (SMALL_BYTES - PP_IO_SENDER_BYTES)
#define WINDOW 8

static struct pp_io_loop *datagram_loop(struct fixture *f)
{
    return test_loop_with(
        f, (struct pp_io_options){ .buffers = 8,
                                   .buffer_bytes = SMALL_BYTES,
                                   .datagram_buffers = LARGE,
                                   .datagram_bytes = LARGE_BYTES - PP_IO_SENDER_BYTES });
}

/* As many large buffers, which are small. */
static struct pp_io_loop *narrow_loop(struct fixture *f)
{
    return test_loop_with(
        f, (struct pp_io_options){ .buffers = 8,
                                   .buffer_bytes = 64,
                                   .datagram_buffers = LARGE,
                                   .datagram_bytes = SMALL_BYTES - PP_IO_SENDER_BYTES });
}

/* With a family: its sockets tell to which address each datagram was sent. */
#define TELLING 0x100

/* Calls check for UDP over IPv4 and IPv6, and for Unix datagrams. */
static void with_each_family(struct fixture *f, void (*check)(struct fixture *, int family))
{
    check(f, AF_INET);
    check(f, AF_INET | TELLING);
    check(f, AF_UNIX);
    if (test_has_ipv6()) {
        check(f, AF_INET6);
        check(f, AF_INET6 | TELLING);
    }
}

static int bound(int family, int flags, struct pp_io_addr *addr)
{
    const int fd = test_bound(family & ~TELLING, SOCK_DGRAM | flags, addr);

    if (family & TELLING)
        test_make_telling(fd);
    return fd;
}

/* The loop's socket, and one of its clients. */
struct served {
    struct pp_io_addr addr;
    int fd; /* non-blocking */
};

static struct served serve(int family)
{
    struct served served;

    served.fd = bound(family, SOCK_NONBLOCK, &served.addr);
    return served;
}

static int client_of(const struct served *served)
{
    struct pp_io_addr name;
    const int fd = test_bound(served->addr.any.sa_family, SOCK_DGRAM, &name);

    test_connect_to(fd, &served->addr);
    return fd;
}

static void assert_nothing_has_come(int fd)
{
    char byte;

    assert_int_equal(test_receive_now(fd, &byte, 1), -EAGAIN);
}

/* ---- receivers --------------------------------------------------------------------------- */

/* Keeps what it receives, up to limit datagrams, and then stops. */
struct taker {
    struct pp_io_op op;
    int calls, limit;
    int32_t last;
    int kept;
    char *bufs[LARGE];
    int32_t bytes[LARGE];
};

static enum pp_io_next on_taken(struct pp_io_op *op)
{
    struct taker *t = container_of(op, struct taker, op);

    t->calls++;
    t->last = op->res;
    if (op->res < 0)
        return PP_IO_DISARM;
    t->bufs[t->kept] = op->buf;
    t->bytes[t->kept++] = op->res;
    return t->kept < t->limit ? PP_IO_REARM : PP_IO_DISARM;
}

static struct taker *taker_new(struct fixture *f, int limit)
{
    struct taker *t = test_new(f, sizeof(*t));

    t->limit = limit;
    return t;
}

static void put_all(struct pp_io_loop *loop, struct taker *t)
{
    while (t->kept > 0)
        pp_io_buffer_put(loop, t->bufs[--t->kept]);
}

static struct taker *take(struct fixture *f, struct pp_io_loop *loop, int fd, int count)
{
    struct taker *t = taker_new(f, count);

    pp_io_recv_from(loop, &t->op, fd, on_taken);
    test_run(loop);
    assert_int_equal(t->kept, count);
    return t;
}

/* One datagram that has come, or will. */
static struct taker *take_one(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    return take(f, loop, fd, 1);
}

static void assert_taken(const struct taker *t, int at, const char *text)
{
    assert_int_equal(t->bytes[at], strlen(text));
    assert_memory_equal(t->bufs[at], text, strlen(text));
}

static struct test_probe *send_back(struct fixture *f, struct pp_io_loop *loop, int fd,
                                    const struct taker *t, uint32_t len)
{
    struct test_probe *probe = test_probe(f);

    pp_io_send_back(loop, &probe->op, fd, t->bufs[0], len, test_probe_once);
    return probe;
}

/* Sends each datagram back until it has answered as many as it was asked for, and forgets those
 * that cannot be. */
struct answer {
    struct pp_io_op op;
    struct echo *echo;
    char *buf;
};

struct echo {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int fd;
    bool lazy;
    int received, wanted, answered, failed;
    struct answer answers[LARGE]; /* one for each buffer */
};

static enum pp_io_next on_answered(struct pp_io_op *op)
{
    struct answer *answer = container_of(op, struct answer, op);

    if (op->res < 0)
        answer->echo->failed++;
    else
        answer->echo->answered++;
    pp_io_buffer_put(answer->echo->loop, answer->buf);
    answer->buf = NULL;
    return PP_IO_DISARM;
}

static struct answer *free_answer(struct echo *echo)
{
    for (size_t i = 0; i < COUNT_OF(echo->answers); i++)
        if (!echo->answers[i].buf)
            return &echo->answers[i];
    return NULL;
}

static enum pp_io_next on_question(struct pp_io_op *op)
{
    struct echo *echo = container_of(op, struct echo, op);
    struct answer *answer = op->res < 0 ? NULL : free_answer(echo);

    if (!answer) {
        echo->failed++;
        return PP_IO_DISARM;
    }
    answer->echo = echo;
    answer->buf = op->buf;
    pp_io_send_back(echo->loop, &answer->op, echo->fd, op->buf, (uint32_t)op->res, on_answered);
    answer->op.lazy = echo->lazy;
    return ++echo->received < echo->wanted ? PP_IO_REARM : PP_IO_DISARM;
}

static struct echo *echo_start(struct fixture *f, struct pp_io_loop *loop, int fd, int wanted)
{
    struct echo *echo = test_new(f, sizeof(*echo));

    echo->loop = loop;
    echo->fd = fd;
    echo->wanted = wanted;
    pp_io_recv_from(loop, &echo->op, fd, on_question);
    return echo;
}

static void assert_echoed(const struct echo *echo, int count)
{
    assert_int_equal(echo->failed, 0);
    assert_int_equal(echo->answered, count);
}

/* ---- one at a time ----------------------------------------------------------------------- */

static void check_sender(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);

    for (int i = 0; i < 3; i++) {
        const int fd = client_of(&served);
        const struct pp_io_addr name = test_name(fd);
        const struct pp_io_sender *sender;
        struct taker *t;

        test_write(fd, "ping", 4);
        t = take_one(f, loop, served.fd);
        assert_taken(t, 0, "ping");
        sender = pp_io_sender(t->bufs[0]);
        assert_int_equal(sender->len, name.len);
        assert_memory_equal(&sender->any, &name.any, name.len);
        put_all(loop, t);
    }
    test_loop_close(f, loop);
}

static void a_datagram_comes_with_its_sender(void **state)
{
    with_each_family(*state, check_sender);
}

static void check_waiting(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    struct taker *t = taker_new(f, 1);

    pp_io_recv_from(loop, &t->op, served.fd, on_taken);
    test_poll(loop);
    assert_int_equal(t->calls, 0);
    test_write(client_of(&served), "late", 4);
    test_run(loop);
    assert_taken(t, 0, "late");
    test_loop_close(f, loop);
}

static void a_receive_waits_for_a_datagram_that_is_still_to_come(void **state)
{
    with_each_family(*state, check_waiting);
}

static void check_back(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int near = client_of(&served);
    const int other = client_of(&served);
    struct taker *t;
    const struct test_probe *sent;

    test_write(near, "ping", 4);
    t = take_one(f, loop, served.fd);
    sent = send_back(f, loop, served.fd, t, 4);
    test_run(loop);
    assert_int_equal(sent->calls, 1);
    assert_int_equal(sent->res, 4);
    test_read_text(near, "ping");
    assert_nothing_has_come(other);
    test_loop_close(f, loop);
}

static void it_goes_back_to_its_sender_and_nobody_else(void **state)
{
    with_each_family(*state, check_back);
}

static void check_first_bytes(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    char got[16];

    test_write(fd, "pingpong", 8);
    (void)send_back(f, loop, served.fd, take_one(f, loop, served.fd), 4);
    test_run(loop);
    assert_int_equal(test_receive(fd, got, sizeof(got)), 4);
    assert_memory_equal(got, "ping", 4);
    test_loop_close(f, loop);
}

static void its_first_bytes_may_go_back_alone(void **state)
{
    with_each_family(*state, check_first_bytes);
}

static void check_empty(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    const struct echo *echo = echo_start(f, loop, served.fd, 4);
    char got[16];

    for (int i = 0; i < 4; i++) {
        const ssize_t bytes = i % 2 == 0 ? 0 : 4;

        test_poll(loop);
        test_write(fd, "ping", (size_t)bytes);
        test_run_until(loop, &echo->answered, i + 1);
        assert_int_equal(test_receive(fd, got, sizeof(got)), bytes);
    }
    assert_echoed(echo, 4);
    test_loop_close(f, loop);
}

static void an_empty_datagram_comes_and_goes_back_like_any_other(void **state)
{
    with_each_family(*state, check_empty);
}

/* Of UDP; a Unix socket takes more. */
static size_t largest(int family)
{
    return (family & ~TELLING) == AF_INET ? 65507 : 65527;
}

static void check_largest(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    const struct echo *echo = echo_start(f, loop, served.fd, 2 * LARGE);
    const size_t bytes = largest(family);
    char *sent = test_new(f, bytes);
    char *got = test_new(f, bytes + 1);

    for (int i = 0; i < 2 * LARGE; i++) {
        test_pattern_fill(sent, (uint64_t)i, bytes);
        test_write(fd, sent, bytes);
        test_run_until(loop, &echo->answered, i + 1);
        assert_int_equal(test_receive(fd, got, bytes + 1), bytes);
        assert_true(test_pattern_matches(got, (uint64_t)i, bytes));
    }
    assert_echoed(echo, 2 * LARGE);
    test_loop_close(f, loop);
}

static void the_largest_datagram_comes_and_goes_back(void **state)
{
    with_each_family(*state, check_largest);
}

static void check_cut(struct fixture *f, int family)
{
    static const size_t lengths[] = { CUT_BYTES, CUT_BYTES + 1, 1000, 4 };
    struct pp_io_loop *loop = narrow_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    struct taker *t;
    char data[1000];

    test_pattern_fill(data, 0, sizeof(data));
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        test_write(fd, data, lengths[i]);
    t = take(f, loop, served.fd, (int)COUNT_OF(lengths));
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        assert_int_equal(t->bytes[i], lengths[i] < CUT_BYTES ? lengths[i] : CUT_BYTES);
        assert_true(test_pattern_matches(t->bufs[i], 0, (size_t)t->bytes[i]));
    }
    test_loop_close(f, loop);
}

static void a_datagram_that_does_not_fit_is_cut_and_the_next_one_is_whole(void **state)
{
    with_each_family(*state, check_cut);
}

/* ---- many -------------------------------------------------------------------------------- */

/* A window of them is under way, which is twice as many as there are buffers. Over the loopback
 * none is lost, and each must come back once. */
static void exchange_window(struct pp_io_loop *loop, const int *fds, const int *answered, int first)
{
    bool back[WINDOW] = { false };

    for (int i = 0; i < WINDOW; i++) {
        const int number = first + i;

        test_write(fds[i % 2], &number, sizeof(number));
    }
    test_run_until(loop, answered, first + WINDOW);
    for (int i = 0; i < WINDOW; i++) {
        int number;

        assert_int_equal(test_receive(fds[i % 2], &number, sizeof(number)), sizeof(number));
        assert_in_range(number, first, first + WINDOW - 1);
        assert_int_equal((number - first) % 2, i % 2); /* its own, and not the other client's */
        assert_false(back[number - first]);
        back[number - first] = true;
    }
}

static void check_many(struct fixture *f, int family)
{
    const int count = 100 * WINDOW;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fds[] = { client_of(&served), client_of(&served) };
    const struct echo *echo = echo_start(f, loop, served.fd, count);

    for (int i = 0; i < count; i += WINDOW)
        exchange_window(loop, fds, &echo->answered, i);
    assert_echoed(echo, count);
    assert_nothing_has_come(fds[0]);
    assert_nothing_has_come(fds[1]);
    test_loop_close(f, loop);
}

static void many_under_way_come_back_once_each_and_to_their_senders(void **state)
{
    with_each_family(*state, check_many);
}

static void sockets_of_all_kinds_share_the_buffers_of_a_loop(void **state)
{
    const int families[] = { AF_INET, AF_UNIX, test_has_ipv6() ? AF_INET6 : AF_INET,
                             AF_INET | TELLING };
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct echo *echoes[4];
    int fds[4];

    for (int i = 0; i < 4; i++) {
        const struct served served = serve(families[i]);

        fds[i] = client_of(&served);
        echoes[i] = echo_start(f, loop, served.fd, 30 * 3);
    }
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 12; i++)
            test_write(fds[i % 4], "ping", 4);
        for (int i = 0; i < 4; i++)
            test_run_until(loop, &echoes[i]->answered, 3 * (round + 1));
        for (int i = 0; i < 12; i++)
            test_read_text(fds[i % 4], "ping");
    }
    test_run(loop);
    for (int i = 0; i < 4; i++)
        assert_echoed(echoes[i], 90);
}

/* ---- lazy answers ------------------------------------------------------------------------ */

static void check_lazy(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    struct test_probe *wake = test_probe(f);
    struct test_probe *sent;

    test_write(fd, "ping", 4);
    sent = send_back(f, loop, served.fd, take_one(f, loop, served.fd), 4);
    assert_false(sent->op.lazy); /* starting clears it */
    sent->op.lazy = true;
    pp_io_wake_wait(loop, &wake->op, test_probe_once);
    test_poll(loop);
    test_read_text(fd, "ping"); /* it has gone out, whatever its owner knows */
    pp_io_wake(loop, &wake->op);
    test_run_until(loop, &wake->calls, 1);
    assert_int_equal(sent->calls, 1);
    assert_int_equal(sent->res, 4);
    test_loop_close(f, loop);
}

static void a_lazy_answer_goes_out_and_completes_no_later_than_the_next_event(void **state)
{
    with_each_family(*state, check_lazy);
}

static void check_not_lazy_any_more(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    struct test_probe *sent;

    test_write(fd, "ping", 4);
    sent = send_back(f, loop, served.fd, take_one(f, loop, served.fd), 4);
    sent->op.lazy = true;
    test_poll(loop);
    if (pp_io_is_armed(&sent->op))
        sent->op.lazy = false;
    test_run(loop);
    assert_int_equal(sent->calls, 1);
    assert_int_equal(sent->res, 4);
    test_loop_close(f, loop);
}

static void an_answer_that_is_not_lazy_any_more_completes_by_itself(void **state)
{
    with_each_family(*state, check_not_lazy_any_more);
}

/* The wait for the last answers is ended by a timer. */
static void check_many_lazy(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    struct echo *echo = echo_start(f, loop, served.fd, 200);
    struct test_probe *timer = test_probe(f);

    echo->lazy = true;
    for (int i = 0; i < 200; i++) {
        test_write(fd, &i, sizeof(i));
        test_run_until(loop, &echo->received, i + 1);
        test_poll(loop);
        assert_int_equal(test_receive(fd, &i, sizeof(i)), sizeof(i));
    }
    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + PP_NS_PER_MS, test_probe_once);
    test_run(loop);
    assert_echoed(echo, 200);
    test_loop_close(f, loop);
}

static void many_lazy_answers_all_go_out_and_complete(void **state)
{
    with_each_family(*state, check_many_lazy);
}

/* ---- cancelling and closing -------------------------------------------------------------- */

static void check_canceled(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    struct taker *t = taker_new(f, 1);
    int taken = 0;

    for (int written = 0; written < 100; written++) {
        pp_io_recv_from(loop, &t->op, served.fd, on_taken);
        if (written % 3 == 0)
            test_poll(loop);
        test_write(fd, &written, sizeof(written));
        if (written % 4 == 0)
            test_poll(loop);
        pp_io_cancel(loop, &t->op);
        test_run(loop);
        while (t->kept == 0 && written - taken >= 4) { /* before the socket is full */
            pp_io_recv_from(loop, &t->op, served.fd, on_taken);
            test_run(loop);
        }
        if (t->kept == 0) {
            assert_int_equal(t->last, -ECANCELED);
            continue;
        }
        assert_int_equal(t->bytes[0], sizeof(taken));
        assert_memory_equal(t->bufs[0], &taken, sizeof(taken)); /* none is missing before it */
        taken++;
        put_all(loop, t);
    }
    assert_true(taken >= 96);
    test_loop_close(f, loop);
}

static void a_canceled_receive_loses_no_datagram(void **state)
{
    with_each_family(*state, check_canceled);
}

static void close_fd(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    struct test_probe *probe = test_probe(f);

    pp_io_close(loop, &probe->op, fd, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->res, 0);
}

static void check_all_buffers_are_there(struct fixture *f, struct pp_io_loop *loop, int family)
{
    const struct served served = serve(family);
    const int fd = client_of(&served);

    for (int i = 0; i < LARGE; i++)
        test_write(fd, "all", 3);
    put_all(loop, take(f, loop, served.fd, LARGE)); /* hangs, if one is missing */
}

/* Datagrams that nobody has asked for may be in the engine's hands. */
static void check_closing(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);

    for (int i = 0; i < 5 * LARGE; i++) {
        const struct served served = serve(family);
        const int fd = client_of(&served);
        struct taker *t;

        for (int k = 0; k <= i % 6; k++)
            test_write(fd, "ping", 4);
        t = take_one(f, loop, served.fd);
        test_poll(loop);
        put_all(loop, t);
        if (i % 3 == 0) {
            pp_io_recv_from(loop, &t->op, served.fd, on_taken);
            pp_io_cancel(loop, &t->op);
            test_run(loop);
            put_all(loop, t);
        }
        close_fd(f, loop, served.fd);
        test_far_close(fd);
    }
    check_all_buffers_are_there(f, loop, family);
    test_loop_close(f, loop);
}

static void closing_loses_no_buffer(void **state)
{
    with_each_family(*state, check_closing);
}

static void check_new_socket(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    struct served served = serve(family);
    const int number = served.fd;
    int fd = client_of(&served);

    test_write(fd, "old", 3);
    test_write(fd, "older", 5);
    put_all(loop, take_one(f, loop, served.fd));
    close_fd(f, loop, served.fd);
    served = serve(family);
    assert_int_equal(served.fd, number);
    fd = client_of(&served);
    test_write(fd, "new", 3);
    assert_taken(take_one(f, loop, served.fd), 0, "new");
    test_loop_close(f, loop);
}

static void a_new_socket_with_an_old_number_gets_only_its_own_datagrams(void **state)
{
    with_each_family(*state, check_new_socket);
}

/* ---- when the buffers are out ------------------------------------------------------------ */

/* Keeps every large buffer that there is. */
struct hoarder {
    struct pp_io_op op;
    int calls;
};

static enum pp_io_next on_hoarded(struct pp_io_op *op)
{
    struct hoarder *hoarder = container_of(op, struct hoarder, op);

    hoarder->calls += op->res > 0;
    return op->res > 0 ? PP_IO_REARM : PP_IO_DISARM;
}

static void streams_that_have_taken_all_buffers_leave_datagrams_theirs(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop =
        test_loop_with(f, (struct pp_io_options){ .buffers = 2,
                                                  .buffer_bytes = 64,
                                                  .large_buffers = 2,
                                                  .large_buffer_bytes = SMALL_BYTES,
                                                  .datagram_buffers = LARGE,
                                                  .datagram_bytes = SMALL_BYTES });
    const struct served served = serve(AF_INET);
    const struct test_pair pair = test_pair(AF_INET);
    struct hoarder *hoarder = test_new(f, sizeof *hoarder);
    const char data[10 * SMALL_BYTES] = "";
    const int fd = client_of(&served);
    const struct echo *echo;

    test_write(pair.far, data, sizeof data);
    pp_io_recv_pooled(loop, &hoarder->op, pair.near, on_hoarded);
    while (!pp_io_loop_has_starved(loop))
        test_poll(loop);
    echo = echo_start(f, loop, served.fd, 10);
    for (int i = 0; i < 10; i++) {
        test_write(fd, "ping", 4);
        test_run_until(loop, &echo->answered, i + 1);
        test_read_text(fd, "ping");
    }
    assert_true(pp_io_loop_has_starved(loop));
}

static void check_starving(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    struct taker *hungry = taker_new(f, 2);
    struct taker *out;

    for (int i = 0; i < LARGE; i++)
        test_write(fd, "out", 3);
    out = take(f, loop, served.fd, LARGE);
    test_write(fd, "one", 3);
    test_write(fd, "two", 3);
    pp_io_recv_from(loop, &hungry->op, served.fd, on_taken);
    test_poll(loop);
    assert_int_equal(hungry->calls, 0);
    assert_true(pp_io_loop_stats(loop).starved > 0);
    for (int i = 0; i < LARGE; i++)
        assert_taken(out, i, "out"); /* they are left alone */
    pp_io_buffer_put(loop, out->bufs[--out->kept]);
    test_run_until(loop, &hungry->calls, 1);
    put_all(loop, out);
    test_run(loop);
    assert_taken(hungry, 0, "one");
    assert_taken(hungry, 1, "two");
    test_loop_close(f, loop);
}

static void without_a_free_buffer_a_receive_waits_and_then_goes_on(void **state)
{
    with_each_family(*state, check_starving);
}

static void check_starving_canceled(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int fd = client_of(&served);
    struct taker *hungry = taker_new(f, 1);
    struct taker *out;

    for (int i = 0; i < LARGE; i++)
        test_write(fd, "out", 3);
    out = take(f, loop, served.fd, LARGE);
    test_write(fd, "one", 3);
    pp_io_recv_from(loop, &hungry->op, served.fd, on_taken);
    test_poll(loop);
    pp_io_cancel(loop, &hungry->op);
    test_run(loop);
    assert_int_equal(hungry->calls, 1);
    assert_int_equal(hungry->last, -ECANCELED);
    put_all(loop, out);
    assert_taken(take_one(f, loop, served.fd), 0, "one");
    test_loop_close(f, loop);
}

static void a_canceled_wait_for_a_buffer_loses_no_datagram(void **state)
{
    with_each_family(*state, check_starving_canceled);
}

static void a_loop_without_free_buffers_sleeps(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(AF_INET);
    const int fd = client_of(&served);
    struct taker *hungry = taker_new(f, 1);
    struct test_probe *timer = test_probe(f);
    uint64_t turns;

    for (int i = 0; i <= LARGE; i++)
        test_write(fd, "ping", 4);
    (void)take(f, loop, served.fd, LARGE);
    pp_io_recv_from(loop, &hungry->op, served.fd, on_taken);
    test_poll(loop);
    turns = pp_io_loop_stats(loop).turns;
    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + 20 * PP_NS_PER_MS, test_probe_once);
    test_run_until(loop, &timer->calls, 1);
    assert_in_range(pp_io_loop_stats(loop).turns - turns, 1, 5);
    assert_int_equal(hungry->calls, 0);
}

/* ---- senders that cannot be answered ----------------------------------------------------- */

/* The port of a sender that is gone answers with ICMP, which must not end the server's receive. */
static void check_gone(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(family);
    const int stays = client_of(&served);

    for (int i = 0; i < 10; i++) {
        const int goes = client_of(&served);
        struct taker *waiting = taker_new(f, 1);
        const struct test_probe *sent;
        struct taker *t;

        test_write(goes, "bye.", 4);
        t = take_one(f, loop, served.fd);
        test_far_close(goes);
        pp_io_recv_from(loop, &waiting->op, served.fd, on_taken);
        sent = send_back(f, loop, served.fd, t, 4);
        test_run_until(loop, &sent->calls, 1);
        assert_int_equal(sent->res, family == AF_UNIX ? -ECONNREFUSED : 4);
        test_poll(loop);
        assert_int_equal(waiting->calls, 0);
        test_write(stays, "ping", 4);
        test_run(loop);
        assert_taken(waiting, 0, "ping");
        (void)send_back(f, loop, served.fd, waiting, 4);
        test_run(loop);
        test_read_text(stays, "ping");
        put_all(loop, waiting);
        put_all(loop, t);
    }
    test_loop_close(f, loop);
}

static void a_sender_that_is_gone_ends_nothing(void **state)
{
    with_each_family(*state, check_gone);
}

static void a_sender_without_a_name_is_none_and_cannot_be_answered(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(AF_UNIX);
    const int fd = test_unbound(AF_UNIX, SOCK_DGRAM);
    const struct test_probe *sent;
    const struct taker *t;

    test_write(client_of(&served), "named", 5); /* whose name must not stay behind */
    put_all(loop, take_one(f, loop, served.fd));
    test_connect_to(fd, &served.addr);
    for (int i = 0; i < LARGE; i++) {
        test_write(fd, "ping", 4);
        t = take_one(f, loop, served.fd);
        assert_taken(t, 0, "ping");
        assert_int_equal(pp_io_sender(t->bufs[0])->len, 0);
        sent = send_back(f, loop, served.fd, t, 4);
        test_run(loop);
        assert_int_equal(sent->calls, 1);
        assert_true(sent->res < 0);
        pp_io_buffer_put(loop, t->bufs[0]);
    }
    check_all_buffers_are_there(f, loop, AF_UNIX);
}

/* A client that does not read, and an answer for it that the server holds. If it is connected, then
 * the server's own socket is full; if not, then its socket is, and no event says when there is room
 * again. */
struct deaf {
    int fd;
    int queued; /* datagrams that wait in it */
    struct test_probe *sent;
};

static struct deaf fill(struct fixture *f, struct pp_io_loop *loop, const struct served *served,
                        bool connected)
{
    struct pp_io_addr name;
    struct deaf deaf = { .fd = test_bound(AF_UNIX, SOCK_DGRAM, &name) };
    int32_t res;

    test_grow_send_buffer(served->fd, 1024 * 1024); /* so that there is enough for the others */
    if (connected)
        test_connect_to(deaf.fd, &served->addr);
    assert_int_equal(test_send_to_now(deaf.fd, &served->addr, "deaf", 4), 4);
    while ((res = test_send_to_now(served->fd, &name, "full", 4)) == 4)
        deaf.queued++;
    assert_int_equal(res, -EAGAIN);
    deaf.sent = send_back(f, loop, served->fd, take_one(f, loop, served->fd), 4);
    test_poll(loop);
    assert_int_equal(deaf.sent->calls, 0);
    return deaf;
}

static void read_all(const struct deaf *deaf)
{
    for (int i = 0; i < deaf->queued; i++)
        test_read_text(deaf->fd, "full");
}

static void a_client_that_does_not_read_holds_up_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(AF_UNIX);
    const int other = client_of(&served);
    const struct deaf deaf = fill(f, loop, &served, false);
    const struct echo *echo = echo_start(f, loop, served.fd, 20);

    for (int i = 0; i < 20; i++) {
        test_write(other, "ping", 4);
        test_run_until(loop, &echo->answered, i + 1);
        test_read_text(other, "ping");
    }
    assert_int_equal(deaf.sent->calls, 0);
    read_all(&deaf);
    test_run(loop); /* now there is room */
    assert_int_equal(deaf.sent->res, 4);
    test_read_text(deaf.fd, "deaf");
}

static void an_answer_of_a_full_socket_waits_for_room(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(AF_UNIX);
    const struct deaf deaf = fill(f, loop, &served, true);

    read_all(&deaf);
    test_run(loop);
    assert_int_equal(deaf.sent->calls, 1);
    assert_int_equal(deaf.sent->res, 4);
    test_read_text(deaf.fd, "deaf");
}

static void an_answer_that_waits_for_room_can_be_canceled(void **state)
{
    struct fixture *f = *state;

    for (int connected = 0; connected < 2; connected++) {
        struct pp_io_loop *loop = datagram_loop(f);
        const struct served served = serve(AF_UNIX);
        const struct deaf deaf = fill(f, loop, &served, connected);

        pp_io_cancel(loop, &deaf.sent->op);
        test_run(loop);
        assert_int_equal(deaf.sent->calls, 1);
        assert_int_equal(deaf.sent->res, -ECANCELED);
    }
}

/* A try each millisecond is fine, and as many as there can be is not. */
static void check_sleeps(struct fixture *f, bool connected)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served served = serve(AF_UNIX);
    const struct deaf deaf = fill(f, loop, &served, connected);
    struct test_probe *timer = test_probe(f);
    const uint64_t before = pp_io_loop_stats(loop).syscalls;
    const uint64_t start_ns = pp_clock_now_ns();

    pp_io_timer(loop, &timer->op, start_ns + 20 * PP_NS_PER_MS, test_probe_once);
    test_run_until(loop, &timer->calls, 1);
    assert_int_equal(deaf.sent->calls, 0);
    assert_in_range(pp_io_loop_stats(loop).syscalls - before, 1,
                    20 + 10 * (pp_clock_now_ns() - start_ns) / PP_NS_PER_MS);
}

static void a_loop_whose_answer_waits_for_room_sleeps(void **state)
{
    check_sleeps(*state, false);
    check_sleeps(*state, true);
}

/* ---- sockets on all addresses ------------------------------------------------------------ */

static struct served serve_all(const char *host)
{
    const struct pp_io_socket_options options = { .dgram = true };
    struct served served = { .addr = { .len = sizeof(served.addr.in6) } };
    struct pp_error err;

    if (inet_pton(AF_INET6, host, &served.addr.in6.sin6_addr) == 1) {
        served.addr.in6.sin6_family = AF_INET6;
    } else {
        served.addr.in.sin_family = AF_INET;
        served.addr.len = sizeof(served.addr.in);
    }
    served.fd = listen_one(&served.addr, &options, &err);
    assert_true(served.fd >= 0);
    return served;
}

/* One that is not connected, and so hears of answers from elsewhere, too. */
struct asker {
    int fd;
    struct pp_io_addr asks;
};

static struct asker asker_of(const struct served *served, const char *host)
{
    const int family = strchr(host, ':') ? AF_INET6 : AF_INET;
    struct pp_io_addr own;
    struct asker asker = { .fd = test_bound(family, SOCK_DGRAM, &own),
                           .asks = test_loopback(family) };

    if (family == AF_INET6)
        assert_int_equal(inet_pton(family, host, &asker.asks.in6.sin6_addr), 1);
    else
        assert_int_equal(inet_pton(family, host, &asker.asks.in.sin_addr), 1);
    asker.asks.in.sin_port = served->addr.in.sin_port; /* it has one place in both */
    return asker;
}

static void ask(const struct asker *asker, const char *text)
{
    assert_int_equal(test_send_to_now(asker->fd, &asker->asks, text, strlen(text)), strlen(text));
}

static void assert_answered(const struct asker *asker, const char *text)
{
    struct pp_io_addr from;
    char got[16];

    assert_int_equal(test_receive_from(asker->fd, &from, got, sizeof(got)), strlen(text));
    assert_memory_equal(got, text, strlen(text));
    assert_int_equal(from.len, asker->asks.len);
    assert_memory_equal(&from.any, &asker->asks.any, from.len);
}

/* Calls check with a socket on all addresses, and with several of them that a client may ask. */
static void with_all_addresses(struct fixture *f,
                               void (*check)(struct fixture *, const struct served *,
                                             const char *const hosts[3]))
{
    static const struct {
        const char *all;
        const char *hosts[3];
    } cases[] = { { "0.0.0.0", { "127.0.0.1", "127.0.0.2", "127.0.0.3" } },
                  { "::", { "::1", "127.0.0.2", "127.0.0.3" } },
                  { "::ffff:0.0.0.0", { "127.0.0.1", "127.0.0.2", "127.0.0.3" } } };
    const size_t count = test_has_ipv6() ? COUNT_OF(cases) : 1;

    for (size_t i = 0; i < count; i++) {
        const struct served served = serve_all(cases[i].all);

        check(f, &served, cases[i].hosts);
    }
}

static void check_asked(struct fixture *f, const struct served *served, const char *const hosts[3])
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct echo *echo = echo_start(f, loop, served->fd, 3 * 10);
    struct asker askers[3];

    for (int i = 0; i < 3; i++)
        askers[i] = asker_of(served, hosts[i]);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++)
            ask(&askers[i], hosts[i]);
        test_run_until(loop, &echo->answered, 3 * (round + 1));
        for (int i = 0; i < 3; i++)
            assert_answered(&askers[i], hosts[i]);
    }
    assert_echoed(echo, 30);
    test_loop_close(f, loop);
}

static void an_answer_comes_from_the_address_that_was_asked(void **state)
{
    with_all_addresses(*state, check_asked);
}

static void check_connected(struct fixture *f, const struct served *served,
                            const char *const hosts[3])
{
    struct pp_io_loop *loop = datagram_loop(f);

    for (int i = 0; i < 3; i++) {
        const struct asker asker = asker_of(served, hosts[i]);

        test_connect_to(asker.fd, &asker.asks);
        test_write(asker.fd, "ping", 4);
        (void)send_back(f, loop, served->fd, take_one(f, loop, served->fd), 4);
        test_run(loop);
        test_read_text(asker.fd, "ping");
    }
    test_loop_close(f, loop);
}

static void a_client_connected_to_any_of_a_sockets_addresses_is_answered(void **state)
{
    with_all_addresses(*state, check_connected);
}

/* As nothing was full, no event says that there is room again; another datagram is one, too. */
static void check_full(struct fixture *f, const struct served *served, const char *const hosts[3])
{
    struct pp_io_loop *loop = datagram_loop(f);

    for (int i = 0; i < 3; i++) {
        const struct asker asker = asker_of(served, hosts[i]);
        const struct test_probe *sent;

        ask(&asker, "ping");
        test_refuse_answer();
        sent = send_back(f, loop, served->fd, take_one(f, loop, served->fd), 4);
        assert_false(test_answer_is_refused());
        ask(&asker, "next");
        test_run(loop);
        assert_int_equal(sent->res, 4);
        assert_answered(&asker, "ping");
        put_all(loop, take_one(f, loop, served->fd));
    }
    test_loop_close(f, loop);
}

static void an_answer_that_has_to_wait_comes_from_there_too(void **state)
{
    with_all_addresses(*state, check_full);
}

/* ---- connected sockets ------------------------------------------------------------------- */

/* Sends one datagram after the other to a client's connected socket, which the loop receives from
 * with buffers of its own. */
static struct test_pair connected_pair(int family)
{
    struct pp_io_addr near;
    struct pp_io_addr far;
    const struct test_pair pair = { .near = bound(family, SOCK_NONBLOCK, &near),
                                    .far = bound(family, 0, &far) };

    test_connect_to(pair.near, &far);
    test_connect_to(pair.far, &near);
    return pair;
}

static void check_pooled(struct fixture *f, int family)
{
    static const char *const texts[] = { "a", "four", "", "of them" };
    struct pp_io_loop *loop = datagram_loop(f);
    const struct test_pair pair = connected_pair(family);
    struct taker *t = taker_new(f, 1);

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        test_write(pair.far, texts[i], strlen(texts[i]));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        t->op.large = i % 2 == 0;
        pp_io_recv_pooled(loop, &t->op, pair.near, on_taken);
        test_run(loop);
        assert_int_equal(t->last, strlen(texts[i]));
        if (t->last > 0)
            assert_taken(t, 0, texts[i]);
        else
            t->kept = 0; /* there is no buffer */
        put_all(loop, t);
    }
    test_loop_close(f, loop);
}

static void a_pooled_receive_brings_one_datagram_and_an_empty_one_is_no_end(void **state)
{
    with_each_family(*state, check_pooled);
}

static void check_send(struct fixture *f, int family)
{
    struct pp_io_loop *loop = datagram_loop(f);
    const struct test_pair pair = connected_pair(family);
    const size_t bytes = largest(family);
    char *data = test_new(f, bytes);
    char *got = test_new(f, bytes);
    struct test_probe *probe = test_probe(f);

    test_pattern_fill(data, 0, bytes);
    for (size_t i = 0; i < 3; i++) {
        const uint32_t len = i == 1 ? 0 : (uint32_t)(bytes - i);

        pp_io_send(loop, &probe->op, pair.near, data, len, test_probe_once);
        test_run(loop);
        assert_int_equal(probe->res, len);
        assert_int_equal(test_receive(pair.far, got, bytes), len);
        assert_true(test_pattern_matches(got, 0, len));
    }
    test_loop_close(f, loop);
}

static void a_send_is_one_datagram(void **state)
{
    with_each_family(*state, check_send);
}

/* Over UDP nothing is ever full. */
static void a_send_that_has_to_wait_goes_out_whole(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct served far = serve(AF_UNIX);
    const int fd = client_of(&far);
    struct test_probe *probe = test_probe(f);
    int queued = 0;
    int32_t res;

    while ((res = test_send_now(fd, "full", 4)) == 4)
        queued++;
    assert_int_equal(res, -EAGAIN);
    pp_io_send(loop, &probe->op, fd, "ping", 4, test_probe_once);
    test_poll(loop);
    assert_int_equal(probe->calls, 0);
    for (int i = 0; i < queued; i++)
        test_read_text(far.fd, "full");
    test_run(loop);
    assert_int_equal(probe->res, 4);
    test_read_text(far.fd, "ping");
}

static void too_large_a_datagram_is_refused_and_the_next_one_goes_out(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct test_pair pair = connected_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    pp_io_send(loop, &probe->op, pair.near, test_new(f, 65508), 65508, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->res, -EMSGSIZE);
    pp_io_send(loop, &probe->op, pair.near, "ping", 4, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->res, 4);
    test_read_text(pair.far, "ping");
}

/* Whoever sends to a port that nobody has any more is told by the next receive; when somebody has
 * it again, the same socket serves on. */
static void a_refusal_is_told_and_is_no_end(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = datagram_loop(f);
    const struct test_pair pair = connected_pair(AF_INET);
    const struct pp_io_addr near = test_name(pair.near), far = test_name(pair.far);
    struct taker *t = taker_new(f, 1);
    int again;

    pp_io_recv_pooled(loop, &t->op, pair.near, on_taken);
    test_poll(loop);
    test_far_close(pair.far);
    test_write(pair.near, "gone?", 5);
    test_run(loop);
    assert_int_equal(t->calls, 1);
    assert_int_equal(t->last, -ECONNREFUSED);
    again = test_bound_to(SOCK_DGRAM, &far);
    test_connect_to(again, &near);
    pp_io_recv_pooled(loop, &t->op, pair.near, on_taken);
    test_poll(loop);
    assert_int_equal(t->calls, 1);
    test_write(again, "back", 4);
    test_run(loop);
    assert_taken(t, 0, "back");
}

/* ---- looking ------------------------------------------------------------------------------- */

#define BURST 32
#define BURSTS 20

struct drain {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int calls;
};

static enum pp_io_next on_drained(struct pp_io_op *op)
{
    struct drain *drain = container_of(op, struct drain, op);

    if (op->res < 0)
        return PP_IO_DISARM;
    drain->calls++;
    pp_io_buffer_put(drain->loop, op->buf);
    return PP_IO_REARM;
}

static uint64_t take_burst(struct drain *drain, int client)
{
    const uint64_t before = pp_io_loop_stats(drain->loop).syscalls;
    const int wanted = drain->calls + BURST;

    for (int i = 0; i < BURST; i++)
        assert_int_equal(test_send_now(client, "burst", 5), 5);
    test_run_until(drain->loop, &drain->calls, wanted);
    return pp_io_loop_stats(drain->loop).syscalls - before;
}

static struct drain *looking_drain(struct fixture *f, int fd)
{
    struct drain *drain = test_new(f, sizeof *drain);

    drain->loop = test_loop_with(
        f, (struct pp_io_options){ .wait = PP_IO_WAIT_YIELD,
                                   .spin_ns = PP_IO_SPIN_FOREVER,
                                   .datagram_buffers = LARGE,
                                   .datagram_bytes = LARGE_BYTES - PP_IO_SENDER_BYTES });
    pp_io_recv_from(drain->loop, &drain->op, fd, on_drained);
    return drain;
}

/* One receive for each and few looks: not a look for each, which gives the CPU away first. */
static void a_loop_that_looks_soon_learns_that_datagrams_come_in_bursts(void **state)
{
    struct fixture *f = *state;
    const struct served served = serve(AF_INET);
    const int client = client_of(&served);
    struct drain *drain = looking_drain(f, served.fd);
    uint64_t calls = 0;

    for (int i = 0; i < BURSTS; i++)
        calls = take_burst(drain, client);
    if (!strchr(test_engine(), ':')) /* with all of its features */
        assert_in_range(calls, 1, BURST + 8);
}

static void accept_beside_a_flood(struct drain *drain, int client, struct test_probe *accepted,
                                  const struct pp_io_addr *addr)
{
    const int calls = accepted->calls, before = drain->calls;

    for (int i = 0; i < 10000; i++)
        (void)test_send_now(client, "flood", 5);
    (void)test_connect(addr);
    test_run_until(drain->loop, &accepted->calls, calls + 1);
    assert_true(accepted->res >= 0);
    assert_in_range(drain->calls - before, 0, 2048);
}

/* However many stand in the socket, of which there is room for thousands where the system lets it,
 * and though another receive is looked at directly. Three times, because epoll may happen to be
 * asked just then. */
static void a_burst_without_end_does_not_keep_a_client_from_being_accepted(void **state)
{
    struct fixture *f = *state;
    const struct served served = serve(AF_INET), quiet = serve(AF_INET);
    const int client = client_of(&served);
    struct drain *drain = looking_drain(f, served.fd);
    struct test_probe *accepted = test_probe(f), *nothing = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 1, &addr);

    pp_io_recv_from(drain->loop, &nothing->op, quiet.fd, test_probe_once);
    for (int i = 0; i < BURSTS; i++)
        (void)take_burst(drain, client);
    test_grow_receive_buffer(served.fd, 8 << 20);
    for (int i = 0; i < 3; i++) {
        pp_io_accept(drain->loop, &accepted->op, listen_fd, test_probe_once);
        accept_beside_a_flood(drain, client, accepted, &addr);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_datagram_comes_with_its_sender),
        TEST(a_receive_waits_for_a_datagram_that_is_still_to_come),
        TEST(it_goes_back_to_its_sender_and_nobody_else),
        TEST(its_first_bytes_may_go_back_alone),
        TEST(an_empty_datagram_comes_and_goes_back_like_any_other),
        TEST(the_largest_datagram_comes_and_goes_back),
        TEST(a_datagram_that_does_not_fit_is_cut_and_the_next_one_is_whole),
        TEST(many_under_way_come_back_once_each_and_to_their_senders),
        TEST(sockets_of_all_kinds_share_the_buffers_of_a_loop),
        TEST(streams_that_have_taken_all_buffers_leave_datagrams_theirs),
        TEST(a_lazy_answer_goes_out_and_completes_no_later_than_the_next_event),
        TEST(an_answer_that_is_not_lazy_any_more_completes_by_itself),
        TEST(many_lazy_answers_all_go_out_and_complete),
        TEST(a_canceled_receive_loses_no_datagram),
        TEST(closing_loses_no_buffer),
        TEST(a_new_socket_with_an_old_number_gets_only_its_own_datagrams),
        TEST(without_a_free_buffer_a_receive_waits_and_then_goes_on),
        TEST(a_canceled_wait_for_a_buffer_loses_no_datagram),
        TEST(a_loop_without_free_buffers_sleeps),
        TEST(a_sender_that_is_gone_ends_nothing),
        TEST(a_sender_without_a_name_is_none_and_cannot_be_answered),
        TEST(a_client_that_does_not_read_holds_up_nobody_else),
        TEST(an_answer_of_a_full_socket_waits_for_room),
        TEST(an_answer_that_waits_for_room_can_be_canceled),
        TEST(a_loop_whose_answer_waits_for_room_sleeps),
        TEST(an_answer_comes_from_the_address_that_was_asked),
        TEST(a_client_connected_to_any_of_a_sockets_addresses_is_answered),
        TEST(an_answer_that_has_to_wait_comes_from_there_too),
        TEST(a_pooled_receive_brings_one_datagram_and_an_empty_one_is_no_end),
        TEST(a_send_is_one_datagram),
        TEST(a_send_that_has_to_wait_goes_out_whole),
        TEST(too_large_a_datagram_is_refused_and_the_next_one_goes_out),
        TEST(a_refusal_is_told_and_is_no_end),
        TEST(a_loop_that_looks_soon_learns_that_datagrams_come_in_bursts),
        TEST(a_burst_without_end_does_not_keep_a_client_from_being_accepted),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
