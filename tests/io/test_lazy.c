/* Lazy sends: their callback may wait for the loop's next event, but never gets lost. */
#include "support.h"

#define MB (1024 * 1024)

static struct test_probe *start_lazy(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    struct test_probe *probe = test_probe(f);

    pp_io_send(loop, &probe->op, fd, "ping", 4, test_probe_once);
    probe->op.lazy = true;
    return probe;
}

static void assert_sent(const struct test_probe *probe)
{
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, 4);
}

static void starting_a_send_clears_lazy(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    probe->op.lazy = true;
    pp_io_send(loop, &probe->op, pair.near, "ping", 4, test_probe_once);
    test_run(loop);
    assert_sent(probe);
}

static void it_completes_with_the_answer_it_caused_and_before_it(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_log *log = test_new(f, sizeof(*log));
    struct test_logged *ping = test_logged(f, log, 's');
    struct test_logged *pong = test_logged(f, log, 'r');

    pp_io_recv(loop, &pong->op, pair.near, pong->buf, sizeof(pong->buf), test_log_once);
    pp_io_send(loop, &ping->op, pair.near, "ping", 4, test_log_once);
    ping->op.lazy = true;
    test_poll(loop);
    test_read_text(pair.far, "ping");
    test_write(pair.far, "pong", 4);
    test_run(loop);
    assert_string_equal(log->text, "sr");
    assert_int_equal(ping->res, 4);
}

static void it_completes_no_later_than_a_wake(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *wake = test_probe(f);
    struct test_probe *probe = start_lazy(f, loop, pair.near);

    pp_io_wake_wait(loop, &wake->op, test_probe_once);
    test_poll(loop);
    test_read_text(pair.far, "ping");
    pp_io_wake(loop, &wake->op);
    test_run_until(loop, &wake->calls, 1);
    assert_sent(probe);
}

static void it_completes_no_later_than_a_timer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *timer = test_probe(f);
    struct test_probe *probe = start_lazy(f, loop, pair.near);

    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + PP_NS_PER_MS, test_probe_once);
    test_poll(loop);
    test_run_until(loop, &timer->calls, 1);
    assert_sent(probe);
}

static void it_completes_no_later_than_an_event_of_another_connection(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const struct test_pair other = test_pair(AF_INET);
    struct test_probe *probe = start_lazy(f, loop, pair.near);
    struct test_probe *event = test_probe(f);

    pp_io_recv(loop, &event->op, other.near, event->buf, 4, test_probe_once);
    test_poll(loop);
    test_read_text(pair.far, "ping");
    test_write(other.far, "ping", 4);
    test_run_until(loop, &event->calls, 1);
    assert_sent(probe);
}

static void without_lazy_before_the_loop_runs_it_completes_by_itself(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = start_lazy(f, loop, pair.near);

    probe->op.lazy = false;
    test_run(loop);
    assert_sent(probe);
}

static void without_lazy_after_it_went_out_it_completes_by_itself(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = start_lazy(f, loop, pair.near);

    test_poll(loop);
    test_read_text(pair.far, "ping");
    if (pp_io_is_armed(&probe->op))
        probe->op.lazy = false;
    test_run(loop);
    assert_sent(probe);
}

/* A connection that waits for nothing else any more and takes lazy back in another's callback. */
struct clearing {
    struct pp_io_op op;
    struct test_probe *send;
};

static enum pp_io_next on_clearing(struct pp_io_op *op)
{
    struct clearing *clearing = container_of(op, struct clearing, op);

    if (pp_io_is_armed(&clearing->send->op))
        clearing->send->op.lazy = false;
    return PP_IO_DISARM;
}

static void without_lazy_in_a_callback_it_completes_by_itself(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct clearing *clearing = test_new(f, sizeof(*clearing));

    pp_io_timer(loop, &clearing->op, pp_clock_now_ns(), on_clearing);
    clearing->send = start_lazy(f, loop, pair.near);
    test_run(loop);
    assert_sent(clearing->send);
}

static void one_that_went_out_in_part_completes_without_another_event(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    test_shrink_send_buffer(pair.near);
    pp_io_send(loop, &probe->op, pair.near, test_new(f, 4 * MB), 4 * MB, test_probe_once);
    probe->op.lazy = true;
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_in_range(probe->res, 1, 4 * MB - 1);
}

static void one_that_fails_completes_without_another_event(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    test_far_shutdown(pair.near);
    pp_io_send(loop, &probe->op, pair.near, "ping", 4, test_probe_once);
    probe->op.lazy = true;
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, -EPIPE);
}

static void canceled_after_it_went_out_it_has_its_own_result(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = start_lazy(f, loop, pair.near);

    test_poll(loop);
    test_read_text(pair.far, "ping");
    pp_io_cancel(loop, &probe->op);
    test_run(loop);
    assert_sent(probe);
}

/* The two flags share a byte. */
static void its_op_may_wait_for_a_wake_afterwards(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *timer = test_probe(f);
    struct test_probe *probe = start_lazy(f, loop, pair.near);

    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + PP_NS_PER_MS, test_probe_once);
    test_run(loop);
    assert_sent(probe);
    pp_io_wake_wait(loop, &probe->op, test_probe_once);
    test_poll(loop);
    assert_int_equal(probe->calls, 1);
    pp_io_wake(loop, &probe->op);
    test_run(loop);
    assert_int_equal(probe->calls, 2);
}

static void many_on_many_connections_all_complete_with_the_next_event(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *wake = test_probe(f);
    struct test_probe *probes[50];

    pp_io_wake_wait(loop, &wake->op, test_probe_once);
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        probes[i] = start_lazy(f, loop, test_pair(AF_INET).near);
    test_poll(loop);
    pp_io_wake(loop, &wake->op);
    test_run_until(loop, &wake->calls, 1);
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        assert_sent(probes[i]);
    test_run(loop);
}

static void a_long_lazy_ping_pong_is_intact(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, 2000);

    pinger->lazy = true;
    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    test_run(loop);
    test_pinger_is_well(pinger);
}

/* Closing must wait neither for the send nor for an event that never comes. */
struct sent_then_closed {
    struct pp_io_op send_op, close_op;
    struct pp_io_loop *loop;
    int closed;
};

static enum pp_io_next on_then_closed(struct pp_io_op *op)
{
    container_of(op, struct sent_then_closed, close_op)->closed++;
    return PP_IO_DISARM;
}

static enum pp_io_next on_then_sent(struct pp_io_op *op)
{
    struct sent_then_closed *t = container_of(op, struct sent_then_closed, send_op);

    pp_io_close(t->loop, &t->close_op, op->fd, on_then_closed);
    return PP_IO_DISARM;
}

static void its_callback_may_close_the_connection(void **state)
{
    struct fixture *f = *state;
    const struct test_pair pair = test_pair(AF_INET);
    struct sent_then_closed *t = test_new(f, sizeof(*t));
    struct test_probe *timer = test_probe(f);

    t->loop = test_loop(f);
    pp_io_send(t->loop, &t->send_op, pair.near, "bye.", 4, on_then_sent);
    t->send_op.lazy = true;
    pp_io_timer(t->loop, &timer->op, pp_clock_now_ns() + PP_NS_PER_MS, test_probe_once);
    test_run(t->loop);
    assert_int_equal(t->closed, 1);
    test_read_text(pair.far, "bye.");
    test_read_eof(pair.far);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(starting_a_send_clears_lazy),
        TEST(it_completes_with_the_answer_it_caused_and_before_it),
        TEST(it_completes_no_later_than_a_wake),
        TEST(it_completes_no_later_than_a_timer),
        TEST(it_completes_no_later_than_an_event_of_another_connection),
        TEST(without_lazy_before_the_loop_runs_it_completes_by_itself),
        TEST(without_lazy_after_it_went_out_it_completes_by_itself),
        TEST(without_lazy_in_a_callback_it_completes_by_itself),
        TEST(one_that_went_out_in_part_completes_without_another_event),
        TEST(one_that_fails_completes_without_another_event),
        TEST(canceled_after_it_went_out_it_has_its_own_result),
        TEST(its_op_may_wait_for_a_wake_afterwards),
        TEST(many_on_many_connections_all_complete_with_the_next_event),
        TEST(a_long_lazy_ping_pong_is_intact),
        TEST(its_callback_may_close_the_connection),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
