/* The same things under each way of waiting. */
#include "support.h"

#include <sched.h>

#define MB (1024 * 1024)

static const struct {
    const char *name;
    enum pp_io_wait wait;
    uint64_t spin_ns;
} policies[] = {
    { "block", PP_IO_WAIT_BLOCK, 0 },
    { "spin for 50 us", PP_IO_WAIT_SPIN, 50 * PP_NS_PER_US },
    { "spin for 1 ms", PP_IO_WAIT_SPIN, PP_NS_PER_MS },
    { "spin for ever", PP_IO_WAIT_SPIN, PP_IO_SPIN_FOREVER },
    { "spin for no time", PP_IO_WAIT_SPIN, 0 },
    { "yield for 50 us", PP_IO_WAIT_YIELD, 50 * PP_NS_PER_US },
    { "yield for ever", PP_IO_WAIT_YIELD, PP_IO_SPIN_FOREVER },
};

/* Calls check with a loop of each policy. */
static void with_each_policy(struct fixture *f,
                             void (*check)(struct fixture *f, struct pp_io_loop *))
{
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct pp_io_loop *loop = test_loop_with(
            f, (struct pp_io_options){ .wait = policies[i].wait, .spin_ns = policies[i].spin_ns });

        print_message("             %s\n", policies[i].name);
        check(f, loop);
        test_threads_join(f);
        test_loop_close(f, loop);
    }
}

static void ping_pong(struct fixture *f, struct pp_io_loop *loop, int rounds, bool lazy)
{
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, rounds);

    pinger->lazy = lazy;
    pinger->on_end = test_pinger_shut;
    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    test_run(loop);
    test_pinger_is_well(pinger);
}

static void check_ping_pong(struct fixture *f, struct pp_io_loop *loop)
{
    ping_pong(f, loop, 1000, false);
}

static void a_ping_pong_is_intact_under_each(void **state)
{
    with_each_policy(*state, check_ping_pong);
}

static void check_lazy_ping_pong(struct fixture *f, struct pp_io_loop *loop)
{
    ping_pong(f, loop, 500, true);
}

static void a_lazy_ping_pong_is_intact_under_each(void **state)
{
    with_each_policy(*state, check_lazy_ping_pong);
}

#define PAIRS 12

/* Client and server on the same loop, and more of them than an engine may treat specially. */
static void check_many_ping_pongs(struct fixture *f, struct pp_io_loop *loop)
{
    struct test_pinger *pingers[PAIRS];
    const struct test_echo *echoes[PAIRS];

    for (size_t i = 0; i < PAIRS; i++) {
        const struct test_pair pair = test_pair(AF_INET);

        echoes[i] = test_echo(f, loop, pair.far);
        pingers[i] = test_pinger(f, loop, pair.near, 100 * ((int)i + 1));
        pingers[i]->on_end = test_pinger_shut;
        test_pinger_start(pingers[i]);
    }
    test_run(loop);
    for (size_t i = 0; i < PAIRS; i++) {
        test_pinger_is_well(pingers[i]);
        assert_true(echoes[i]->closed);
    }
}

static void many_ping_pongs_at_once_are_intact_under_each(void **state)
{
    with_each_policy(*state, check_many_ping_pongs);
}

static void check_transfer(struct fixture *f, struct pp_io_loop *loop)
{
    const struct test_pair pair = test_pair(AF_INET);
    const struct test_sink *sink;

    test_shrink_send_buffer(pair.near);
    sink = test_sink(f, loop, pair.far);
    (void)test_source(f, loop, pair.near, MB);
    test_run(loop);
    test_sink_has(sink, MB);
}

static void sends_that_have_to_wait_go_on_under_each(void **state)
{
    with_each_policy(*state, check_transfer);
}

/* ---- what arrives while it waits --------------------------------------------------------- */

static void check_timer(struct fixture *f, struct pp_io_loop *loop)
{
    const uint64_t deadline_ns = pp_clock_now_ns() + 5 * PP_NS_PER_MS;
    const struct test_pair silent = test_pair(AF_INET);
    struct test_probe *recv_probe = test_probe(f);
    struct test_probe *timer = test_probe(f);

    pp_io_recv(loop, &recv_probe->op, silent.near, recv_probe->buf, 1, test_probe_once);
    pp_io_timer(loop, &timer->op, deadline_ns, test_probe_once);
    test_run_until(loop, &timer->calls, 1);
    assert_true(pp_clock_now_ns() >= deadline_ns);
    assert_int_equal(recv_probe->calls, 0);
}

static void a_timer_comes_under_each(void **state)
{
    with_each_policy(*state, check_timer);
}

/* Waits for one thing after the other, each of which is caused when a timer says that the loop has
 * been waiting for it for a while. */
struct late {
    struct pp_io_op timer_op;
    struct pp_io_loop *loop;
    struct pp_io_op *wake_op; /* is woken, unless NULL */
    int fd;                   /* is written to otherwise */
};

static enum pp_io_next on_late(struct pp_io_op *op)
{
    struct late *late = container_of(op, struct late, timer_op);

    if (late->wake_op)
        pp_io_wake(late->loop, late->wake_op);
    else
        (void)test_send_now(late->fd, "late", 4);
    return PP_IO_DISARM;
}

static struct late *late_start(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *wake_op,
                               int fd)
{
    struct late *late = test_new(f, sizeof(*late));

    *late = (struct late){ .loop = loop, .wake_op = wake_op, .fd = fd };
    pp_io_timer(loop, &late->timer_op, pp_clock_now_ns() + 3 * PP_NS_PER_MS, on_late);
    return late;
}

static void check_late_bytes(struct fixture *f, struct pp_io_loop *loop)
{
    const struct test_pair pair = test_pair(AF_INET);

    for (int i = 0; i < 3; i++) {
        struct test_probe *probe = test_probe(f);

        pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
        (void)late_start(f, loop, NULL, pair.far);
        test_run(loop);
        assert_string_equal(probe->buf, "late");
    }
}

static void bytes_that_come_late_are_noticed_under_each(void **state)
{
    with_each_policy(*state, check_late_bytes);
}

/* Of two that spin on one busy CPU each waits until the other has had its time: then fewer will
 * do. */
#define MANY 2500
#define MANY_NS (4 * PP_NS_PER_S)

/* An engine may treat a connection specially after thousands of messages without a pause. */
static void check_late_bytes_after_many(struct fixture *f, struct pp_io_loop *loop)
{
    const struct test_pair pair = test_pair(AF_INET);
    const uint64_t end_ns = pp_clock_now_ns() + MANY_NS;
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, MANY);
    struct test_probe *probe = test_probe(f);

    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    while (pinger->rounds < pinger->wanted) {
        assert_int_equal(pp_io_loop_run_once(loop), 0);
        if (pp_clock_now_ns() >= end_ns && pinger->rounds + 1 < pinger->wanted)
            pinger->wanted = pinger->rounds + 1;
    }
    test_run(loop);
    test_pinger_is_well(pinger);
    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    (void)late_start(f, loop, NULL, pair.near); /* which the thread sends back */
    test_run(loop);
    assert_string_equal(probe->buf, "late");
    test_far_shutdown(pair.near);
}

static void bytes_that_come_late_after_thousands_that_did_not_are_noticed_under_each(void **state)
{
    with_each_policy(*state, check_late_bytes_after_many);
}

/* A look that finds nothing is a switch to the peer and back for nothing. */
static void check_first_look(struct fixture *f, struct pp_io_loop *loop)
{
    struct test_probe *probe = test_probe(f);
    const struct test_pair pair = test_unix_pair(SOCK_STREAM);

    for (int i = 1; i <= 500; i++) {
        pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
        test_poll(loop);
        assert_int_equal(probe->calls, i - 1);
        test_write(pair.far, "now", 4);
        assert_int_equal(pp_io_loop_poll(loop), 0); /* once, and test_poll() does more */
        assert_int_equal(probe->calls, i);
    }
}

static void the_first_look_finds_what_is_there_under_each(void **state)
{
    with_each_policy(*state, check_first_look);
}

/* Thousands of messages come over a connection whose peer takes none meanwhile. */
static void check_send_beside_receives(struct fixture *f, struct pp_io_loop *loop)
{
    struct test_probe *sender = test_probe(f);
    struct test_probe *receiver = test_probe(f);
    const struct test_pair pair = test_unix_pair(SOCK_STREAM);
    char data[4096] = "";

    while (test_send_now(pair.near, data, sizeof(data)) > 0)
        continue;
    pp_io_send(loop, &sender->op, pair.near, "wait", 4, test_probe_once);
    for (int i = 1; i <= 2500; i++) {
        pp_io_recv(loop, &receiver->op, pair.near, receiver->buf, 1, test_probe_once);
        test_write(pair.far, "!", 1);
        test_poll(loop);
        assert_int_equal(receiver->calls, i);
    }
    assert_int_equal(sender->calls, 0);
    pp_io_recv(loop, &receiver->op, pair.near, receiver->buf, 1, test_probe_once);
    while (test_receive_now(pair.far, data, sizeof(data)) > 0)
        continue;
    for (int i = 0; i < 100 && sender->calls == 0; i++)
        test_poll(loop);
    assert_int_equal(sender->calls, 1);
    assert_int_equal(sender->res, 4);
}

static void a_send_that_waits_is_not_forgotten_beside_receives_under_each(void **state)
{
    with_each_policy(*state, check_send_beside_receives);
}

static void check_late_wake(struct fixture *f, struct pp_io_loop *loop)
{
    struct test_probe *probe = test_probe(f);

    pp_io_wake_wait(loop, &probe->op, test_probe_once);
    (void)late_start(f, loop, &probe->op, -1);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
}

static void a_wake_from_a_callback_comes_under_each(void **state)
{
    with_each_policy(*state, check_late_wake);
}

struct thread_waker {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    atomic_int seen;
};

static enum pp_io_next on_thread_wake(struct pp_io_op *op)
{
    struct thread_waker *waker = container_of(op, struct thread_waker, op);

    return atomic_fetch_add(&waker->seen, 1) + 1 < 100 ? PP_IO_REARM : PP_IO_DISARM;
}

/* The next wake when the one before was seen, so that the loop is mostly waiting. */
static void *wake_again_and_again(void *argument)
{
    struct thread_waker *waker = argument;

    for (int i = 0; i < 100; i++) {
        pp_io_wake(waker->loop, &waker->op);
        while (atomic_load(&waker->seen) <= i)
            (void)sched_yield();
    }
    return NULL;
}

static void check_thread_wakes(struct fixture *f, struct pp_io_loop *loop)
{
    const struct test_pair silent = test_pair(AF_INET);
    struct thread_waker *waker = test_new(f, sizeof(*waker));
    struct test_probe *probe = test_probe(f);

    pp_io_recv(loop, &probe->op, silent.near, probe->buf, 1, test_probe_once);
    waker->loop = loop;
    pp_io_wake_wait(loop, &waker->op, on_thread_wake);
    test_thread(f, wake_again_and_again, waker);
    while (atomic_load(&waker->seen) < 100)
        assert_int_equal(pp_io_loop_run_once(loop), 0);
    assert_int_equal(probe->calls, 0);
}

static void wakes_from_another_thread_come_under_each(void **state)
{
    with_each_policy(*state, check_thread_wakes);
}

/* While one connection is busy, a client connects. */
struct busy {
    struct pp_io_op op;
    struct test_pinger *pinger;
    const struct pp_io_addr *addr;
};

static enum pp_io_next on_busy_timer(struct pp_io_op *op)
{
    const struct busy *busy = container_of(op, struct busy, op);

    (void)test_connect_now(busy->addr);
    return PP_IO_DISARM;
}

static void check_busy(struct fixture *f, struct pp_io_loop *loop)
{
    struct pp_io_addr *addr = test_new(f, sizeof(*addr));
    const int listen_fd = test_listen(AF_INET, 8, addr);
    const struct test_pair pair = test_pair(AF_INET);
    struct busy *busy = test_new(f, sizeof(*busy));
    struct test_probe *accepted = test_probe(f);

    busy->addr = addr;
    busy->pinger = test_pinger(f, loop, pair.near, INT32_MAX);
    busy->pinger->on_end = test_pinger_shut;
    test_echo_thread(f, pair.far);
    test_pinger_start(busy->pinger);
    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    pp_io_timer(loop, &busy->op, pp_clock_now_ns() + 3 * PP_NS_PER_MS, on_busy_timer);
    test_run_until(loop, &accepted->calls, 1);
    assert_true(accepted->res >= 0);
    busy->pinger->wanted = busy->pinger->rounds + 1;
    test_run(loop);
    test_pinger_is_well(busy->pinger);
}

static void a_new_client_is_accepted_beside_a_busy_one_under_each(void **state)
{
    with_each_policy(*state, check_busy);
}

/* Looking for 50 us takes hundreds of system calls, and looking until the timer tens of
 * thousands. */
static void a_limited_spin_sleeps_in_the_end(void **state)
{
    struct fixture *f = *state;
    const enum pp_io_wait waits[] = { PP_IO_WAIT_SPIN, PP_IO_WAIT_YIELD };

    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        struct pp_io_loop *loop = test_loop_with(
            f, (struct pp_io_options){ .wait = waits[i], .spin_ns = 50 * PP_NS_PER_US });
        const uint64_t before = pp_io_loop_stats(loop).syscalls;
        struct test_probe *timer = test_probe(f);

        pp_io_timer(loop, &timer->op, pp_clock_now_ns() + 50 * PP_NS_PER_MS, test_probe_once);
        test_run(loop);
        assert_in_range(pp_io_loop_stats(loop).syscalls - before, 1, 3000);
    }
}

/* A socket that has room again does not wake a loop where nothing waits to be sent. */
static void check_taken(struct fixture *f, int type)
{
    struct pp_io_loop *loop = test_loop_with(f, (struct pp_io_options){ .wait = PP_IO_WAIT_BLOCK });
    struct test_probe *answer = test_probe(f), *message = test_probe(f), *timer = test_probe(f);
    const struct test_pair pair = test_unix_pair(type);
    uint64_t before;
    char byte;

    pp_io_recv(loop, &answer->op, pair.near, answer->buf, 1, test_probe_once);
    test_poll(loop);
    pp_io_send(loop, &message->op, pair.near, "m", 1, test_probe_once);
    test_run_until(loop, &message->calls, 1);
    assert_int_equal(test_receive(pair.far, &byte, 1), 1);
    before = pp_io_loop_stats(loop).turns;
    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + 10 * PP_NS_PER_MS, test_probe_once);
    test_run_until(loop, &timer->calls, 1);
    assert_int_equal(pp_io_loop_stats(loop).turns - before, 1);
}

static void a_message_that_was_taken_wakes_nobody(void **state)
{
    check_taken(*state, SOCK_STREAM);
    check_taken(*state, SOCK_DGRAM);
}

static void check_poll(struct fixture *f, struct pp_io_loop *loop)
{
    const struct test_pair silent = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    pp_io_recv(loop, &probe->op, silent.near, probe->buf, 1, test_probe_once);
    test_poll(loop); /* hangs, if it waits */
    assert_int_equal(probe->calls, 0);
}

static void poll_waits_under_none(void **state)
{
    with_each_policy(*state, check_poll);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ping_pong_is_intact_under_each),
        TEST(a_lazy_ping_pong_is_intact_under_each),
        TEST(many_ping_pongs_at_once_are_intact_under_each),
        TEST(sends_that_have_to_wait_go_on_under_each),
        TEST(a_timer_comes_under_each),
        TEST(bytes_that_come_late_are_noticed_under_each),
        TEST(bytes_that_come_late_after_thousands_that_did_not_are_noticed_under_each),
        TEST(the_first_look_finds_what_is_there_under_each),
        TEST(a_send_that_waits_is_not_forgotten_beside_receives_under_each),
        TEST(a_wake_from_a_callback_comes_under_each),
        TEST(wakes_from_another_thread_come_under_each),
        TEST(a_new_client_is_accepted_beside_a_busy_one_under_each),
        TEST(a_limited_spin_sleeps_in_the_end),
        TEST(a_message_that_was_taken_wakes_nobody),
        TEST(poll_waits_under_none),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
