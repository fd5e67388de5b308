/* Timers. No test asserts how long anything took: only order, and that nothing comes too early. */
#include "io/engine.h"
#include "io/loop.h"
#include "support.h"

#define TIMERS 64

struct tick {
    struct pp_io_op op;
    int calls;
    int32_t res;
    bool early;       /* it came before its deadline */
    int *order;       /* counts the ticks of a test */
    int place;        /* which of them this one was */
    int repeats_left; /* rearms, each with the deadline moved by period_ns */
    uint64_t period_ns;
};

static enum pp_io_next on_tick(struct pp_io_op *op)
{
    struct tick *tick = container_of(op, struct tick, op);

    tick->calls++;
    tick->res = op->res;
    tick->early |= op->res == 0 && pp_clock_now_ns() < op->deadline_ns;
    tick->place = (*tick->order)++;
    if (tick->repeats_left == 0)
        return PP_IO_DISARM;
    tick->repeats_left--;
    op->deadline_ns += tick->period_ns;
    return PP_IO_REARM;
}

static struct tick *ticks_new(struct fixture *f, size_t count)
{
    struct tick *ticks = test_new(f, count * sizeof(*ticks));
    int *order = test_new(f, sizeof(*order));

    for (size_t i = 0; i < count; i++)
        ticks[i].order = order;
    return ticks;
}

static void assert_ticked(const struct tick *tick)
{
    assert_int_equal(tick->calls, 1);
    assert_int_equal(tick->res, 0);
    assert_false(tick->early);
}

static void a_timer_completes_and_not_before_its_deadline(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *ticks = ticks_new(f, 10);

    for (uint64_t i = 0; i < 10; i++) {
        pp_io_timer(loop, &ticks[i].op, pp_clock_now_ns() + i * 300 * PP_NS_PER_US, on_tick);
        test_run(loop);
        assert_ticked(&ticks[i]);
    }
}

static void a_deadline_in_the_past_completes_at_once(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *ticks = ticks_new(f, 2);

    pp_io_timer(loop, &ticks[0].op, 0, on_tick);
    pp_io_timer(loop, &ticks[1].op, pp_clock_now_ns() - 1, on_tick);
    assert_int_equal(pp_io_loop_poll(loop), 0); /* without waiting for anything */
    assert_ticked(&ticks[0]);
    assert_ticked(&ticks[1]);
}

/* Started in an order that mixes early and late ones; neighbours share a deadline when step is
 * 0. */
static void check_order(struct fixture *f, struct pp_io_loop *loop, uint64_t step_ns)
{
    struct tick *ticks = ticks_new(f, TIMERS);
    const uint64_t first_ns = pp_clock_now_ns() + PP_NS_PER_MS;

    for (uint64_t i = 0; i < TIMERS; i++) {
        const uint64_t at = step_ns > 0 ? i * 37 % TIMERS : i;

        pp_io_timer(loop, &ticks[at].op, first_ns + at * step_ns, on_tick);
    }
    test_run(loop);
    for (int i = 0; i < TIMERS; i++) {
        assert_ticked(&ticks[i]);
        assert_int_equal(ticks[i].place, i);
    }
}

static void timers_complete_in_the_order_of_their_deadlines(void **state)
{
    check_order(*state, test_loop(*state), 20 * PP_NS_PER_US);
}

static void timers_that_are_all_due_complete_in_the_order_of_their_deadlines(void **state)
{
    check_order(*state, test_loop(*state), 1);
}

static void equal_deadlines_complete_in_the_order_of_starting(void **state)
{
    check_order(*state, test_loop(*state), 0);
}

static void rearm_with_a_moved_deadline_repeats(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *tick = ticks_new(f, 1);

    tick->repeats_left = 9;
    tick->period_ns = 200 * PP_NS_PER_US;
    pp_io_timer(loop, &tick->op, pp_clock_now_ns(), on_tick);
    test_run(loop);
    assert_int_equal(tick->calls, 10);
    assert_int_equal(tick->res, 0);
    assert_false(tick->early);
}

static void rearm_with_the_same_deadline_completes_again(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *tick = ticks_new(f, 1);

    tick->repeats_left = 9;
    pp_io_timer(loop, &tick->op, pp_clock_now_ns(), on_tick);
    test_run(loop);
    assert_int_equal(tick->calls, 10);
}

/* ---- looked for -------------------------------------------------------------------------- */

static const struct pp_io_options looking[] = {
    { .wait = PP_IO_WAIT_SPIN, .spin_ns = 1 },
    { .wait = PP_IO_WAIT_SPIN, .spin_ns = 50 * PP_NS_PER_US },
    { .wait = PP_IO_WAIT_SPIN, .spin_ns = PP_IO_SPIN_FOREVER },
    { .wait = PP_IO_WAIT_YIELD, .spin_ns = 50 * PP_NS_PER_US },
};

static void timers_that_are_looked_for_come_in_order_and_not_early(void **state)
{
    for (size_t i = 0; i < COUNT_OF(looking); i++) {
        check_order(*state, test_loop_with(*state, looking[i]), 20 * PP_NS_PER_US);
        check_order(*state, test_loop_with(*state, looking[i]), 200 * PP_NS_PER_US);
    }
}

/* An engine that is the real one, and notes until when it is to sleep. */
struct watched {
    struct pp_io_engine engine;
    const struct pp_io_engine *real;
    uint64_t timer_ns; /* when the timer comes */
    int sleeps;
    bool oversleeps; /* one of them until then, or longer */
};

static int watched_poll(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct watched *watched = (void *)(uintptr_t)loop->engine;

    if (deadline_ns != PP_IO_NO_WAIT) {
        watched->sleeps++;
        watched->oversleeps |= deadline_ns >= watched->timer_ns;
    }
    return watched->real->poll(loop, deadline_ns);
}

static struct watched *watch(struct fixture *f, struct pp_io_loop *loop)
{
    struct watched *watched = test_new(f, sizeof *watched);

    watched->engine = *loop->engine;
    watched->engine.poll = watched_poll;
    watched->real = loop->engine;
    loop->engine = &watched->engine;
    return watched;
}

/* Whether the loop has slept before a timer, which it may be too late for on a busy machine; there
 * it may also come to give up looking. */
static bool sleeps_before_a_timer(struct fixture *f, struct pp_io_loop *loop)
{
    struct watched *watched = watch(f, loop);
    struct tick *tick = ticks_new(f, 1);

    watched->timer_ns = pp_clock_now_ns() + 5 * PP_NS_PER_MS;
    pp_io_timer(loop, &tick->op, watched->timer_ns, on_tick);
    test_run(loop);
    loop->engine = watched->real;
    assert_ticked(tick);
    if (pp_io_loop_stats(loop).guard_trips > 0)
        return false;
    assert_false(watched->oversleeps);
    return watched->sleeps > 0;
}

/* It sleeps until a while before the timer, and looks for the rest of the time. */
static void a_loop_that_looks_is_awake_when_a_timer_comes(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(looking); i++) {
        int tries = 1000;
        bool slept = looking[i].spin_ns == PP_IO_SPIN_FOREVER;

        while (!slept) {
            struct pp_io_loop *loop = test_loop_with(f, looking[i]);

            assert_true(tries-- > 0);
            slept = sleeps_before_a_timer(f, loop);
            test_loop_close(f, loop);
        }
    }
}

/* ---- beside other things ----------------------------------------------------------------- */

static void a_timer_ends_the_wait_for_a_silent_peer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);
    struct tick *tick = ticks_new(f, 1);

    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    pp_io_timer(loop, &tick->op, pp_clock_now_ns() + 3 * PP_NS_PER_MS, on_tick);
    test_run_until(loop, &tick->calls, 1);
    assert_ticked(tick);
    assert_int_equal(probe->calls, 0);
}

static void an_earlier_timer_started_later_comes_first(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *ticks = ticks_new(f, 2);
    const uint64_t now_ns = pp_clock_now_ns();

    pp_io_timer(loop, &ticks[0].op, now_ns + 3600 * PP_NS_PER_S, on_tick);
    test_poll(loop); /* the kernel may know of the late one now */
    pp_io_timer(loop, &ticks[1].op, now_ns + PP_NS_PER_MS, on_tick);
    test_run_until(loop, &ticks[1].calls, 1);
    assert_ticked(&ticks[1]);
    assert_int_equal(ticks[0].calls, 0);
}

static void a_deadline_that_never_comes_disturbs_nobody(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *ticks = ticks_new(f, 2);

    pp_io_timer(loop, &ticks[0].op, UINT64_MAX, on_tick);
    pp_io_timer(loop, &ticks[1].op, pp_clock_now_ns() + PP_NS_PER_MS, on_tick);
    test_run_until(loop, &ticks[1].calls, 1);
    assert_ticked(&ticks[1]);
    assert_int_equal(ticks[0].calls, 0);
    pp_io_cancel(loop, &ticks[0].op);
    test_run(loop);
    assert_int_equal(ticks[0].res, -ECANCELED);
}

static void canceling_the_first_timer_leaves_the_next(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *ticks = ticks_new(f, 3);
    const uint64_t now_ns = pp_clock_now_ns();

    for (uint64_t i = 0; i < 3; i++)
        pp_io_timer(loop, &ticks[i].op, now_ns + (i + 1) * PP_NS_PER_MS, on_tick);
    pp_io_cancel(loop, &ticks[0].op);
    test_run(loop);
    assert_int_equal(ticks[0].res, -ECANCELED);
    assert_ticked(&ticks[1]);
    assert_ticked(&ticks[2]);
}

static void canceling_one_in_the_middle_leaves_the_others(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tick *ticks = ticks_new(f, TIMERS);
    const uint64_t now_ns = pp_clock_now_ns();

    for (uint64_t i = 0; i < TIMERS; i++)
        pp_io_timer(loop, &ticks[i].op, now_ns + i * 10 * PP_NS_PER_US, on_tick);
    for (int i = 1; i < TIMERS; i += 3)
        pp_io_cancel(loop, &ticks[i].op);
    test_run(loop);
    for (int i = 0; i < TIMERS; i++)
        assert_int_equal(ticks[i].res, i % 3 == 1 ? -ECANCELED : 0);
}

/* An engine that tells the kernel of each deadline anew must take the old ones back, or they add up
 * with each message, and all of them wake the loop in the end. */
static void short_waits_before_a_long_one_leave_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct tick *ticks = ticks_new(f, 3);
    struct test_probe *probe = test_probe(f);
    uint64_t turns;

    pp_io_timer(loop, &ticks[0].op, pp_clock_now_ns() + 300 * PP_NS_PER_MS, on_tick);
    for (int i = 0; i < 1000; i++) {
        pp_io_timer(loop, &ticks[1].op, pp_clock_now_ns() + 20 * PP_NS_PER_US, on_tick);
        test_run_until(loop, &ticks[1].calls, i + 1);
        pp_io_recv(loop, &probe->op, pair.near, probe->buf, 1, test_probe_once);
        test_write(pair.far, "!", 1);
        test_run_until(loop, &probe->calls, i + 1);
    }
    test_run_until(loop, &ticks[0].calls, 1);
    turns = pp_io_loop_stats(loop).turns;
    pp_io_timer(loop, &ticks[2].op, pp_clock_now_ns() + 10 * PP_NS_PER_MS, on_tick);
    test_run(loop);
    assert_in_range(pp_io_loop_stats(loop).turns - turns, 1, 10);
}

/* A conversation that never stops by itself must not keep a timer from coming. */
struct interrupting {
    struct pp_io_op op;
    struct test_pinger *pinger;
};

static enum pp_io_next on_interrupting(struct pp_io_op *op)
{
    const struct interrupting *t = container_of(op, struct interrupting, op);

    t->pinger->wanted = t->pinger->rounds + 1;
    return PP_IO_DISARM;
}

static void a_timer_comes_in_the_midst_of_traffic(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct interrupting *t = test_new(f, sizeof(*t));

    (void)test_echo(f, loop, pair.far);
    t->pinger = test_pinger(f, loop, pair.near, INT32_MAX);
    test_pinger_start(t->pinger);
    pp_io_timer(loop, &t->op, pp_clock_now_ns() + 20 * PP_NS_PER_MS, on_interrupting);
    while (t->pinger->rounds < t->pinger->wanted)
        assert_int_equal(pp_io_loop_run_once(loop), 0);
    test_pinger_is_well(t->pinger);
}

/* The other way round: a timer that is always due must not keep the peers from being heard. */
struct busy_timer {
    struct pp_io_op op;
    const struct test_pinger *pinger;
};

static enum pp_io_next on_busy_timer(struct pp_io_op *op)
{
    const struct test_pinger *pinger = container_of(op, struct busy_timer, op)->pinger;

    return pinger->rounds < pinger->wanted ? PP_IO_REARM : PP_IO_DISARM;
}

static void a_timer_that_is_always_due_does_not_stop_traffic(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, 50);
    struct busy_timer *busy = test_new(f, sizeof(*busy));

    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    busy->pinger = pinger;
    pp_io_timer(loop, &busy->op, 0, on_busy_timer);
    test_run(loop);
    test_pinger_is_well(pinger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_timer_completes_and_not_before_its_deadline),
        TEST(a_deadline_in_the_past_completes_at_once),
        TEST(timers_complete_in_the_order_of_their_deadlines),
        TEST(timers_that_are_all_due_complete_in_the_order_of_their_deadlines),
        TEST(equal_deadlines_complete_in_the_order_of_starting),
        TEST(rearm_with_a_moved_deadline_repeats),
        TEST(rearm_with_the_same_deadline_completes_again),
        TEST(timers_that_are_looked_for_come_in_order_and_not_early),
        TEST(a_loop_that_looks_is_awake_when_a_timer_comes),
        TEST(a_timer_ends_the_wait_for_a_silent_peer),
        TEST(an_earlier_timer_started_later_comes_first),
        TEST(a_deadline_that_never_comes_disturbs_nobody),
        TEST(canceling_the_first_timer_leaves_the_next),
        TEST(canceling_one_in_the_middle_leaves_the_others),
        TEST(short_waits_before_a_long_one_leave_nothing_behind),
        TEST(a_timer_comes_in_the_midst_of_traffic),
        TEST(a_timer_that_is_always_due_does_not_stop_traffic),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
