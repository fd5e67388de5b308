/* Wakes, from threads, signal handlers and callbacks: they may be merged, but never lost. Where one
 * were lost a test would hang, and be ended by its alarm. */
#include "support.h"

#include <sched.h>
#include <semaphore.h>
#include <signal.h>

/* What the wakers do is counted before each wake. The waiter is done when it has seen all of it. */
struct tally {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    atomic_int made;
    int seen, wanted, calls, wakes_each;
    int32_t res;
};

static enum pp_io_next on_tally(struct pp_io_op *op)
{
    struct tally *tally = container_of(op, struct tally, op);

    tally->calls++;
    tally->res = op->res;
    tally->seen = atomic_load(&tally->made);
    return tally->seen == tally->wanted ? PP_IO_DISARM : PP_IO_REARM;
}

static void *make_and_wake(void *argument)
{
    struct tally *tally = argument;

    for (int i = 0; i < tally->wakes_each; i++) {
        (void)atomic_fetch_add(&tally->made, 1);
        pp_io_wake(tally->loop, &tally->op);
    }
    return NULL;
}

static struct tally *tally_start(struct fixture *f, struct pp_io_loop *loop, int threads,
                                 int wakes_each)
{
    struct tally *tally = test_new(f, sizeof(*tally));

    tally->loop = loop;
    tally->wakes_each = wakes_each;
    tally->wanted = threads * wakes_each;
    pp_io_wake_wait(loop, &tally->op, on_tally);
    return tally;
}

static void assert_all_seen(const struct tally *tally)
{
    assert_int_equal(tally->res, 0);
    assert_int_equal(tally->seen, tally->wanted);
    assert_in_range(tally->calls, 1, tally->wanted);
}

static void check_wakes(struct fixture *f, int threads, int wakes_each)
{
    struct pp_io_loop *loop = test_loop(f);
    struct tally *tally = tally_start(f, loop, threads, wakes_each);

    for (int i = 0; i < threads; i++)
        test_thread(f, make_and_wake, tally);
    test_run(loop);
    test_threads_join(f);
    assert_all_seen(tally);
}

static void a_wake_from_another_thread_completes(void **state)
{
    check_wakes(*state, 1, 1);
}

static void many_wakes_from_a_thread_are_never_lost(void **state)
{
    check_wakes(*state, 1, 20000);
}

static void many_wakes_from_many_threads_are_never_lost(void **state)
{
    check_wakes(*state, 6, 5000);
}

static void each_of_many_ops_gets_the_wakes_meant_for_it(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tally *tallies[TEST_THREADS_MAX];

    for (int i = 0; i < TEST_THREADS_MAX; i++) {
        tallies[i] = tally_start(f, loop, 1, 2000);
        test_thread(f, make_and_wake, tallies[i]);
    }
    test_run(loop);
    test_threads_join(f);
    for (int i = 0; i < TEST_THREADS_MAX; i++)
        assert_all_seen(tallies[i]);
}

/* A thread that wakes, and does so again when that was noticed. */
struct caller {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    sem_t answered;
    int calls;
};

#define CALLS 3000

static enum pp_io_next on_called(struct pp_io_op *op)
{
    struct caller *caller = container_of(op, struct caller, op);

    caller->calls++;
    (void)sem_post(&caller->answered);
    return caller->calls < CALLS ? PP_IO_REARM : PP_IO_DISARM;
}

static void *call_and_await(void *argument)
{
    struct caller *caller = argument;

    for (int i = 0; i < CALLS; i++) {
        pp_io_wake(caller->loop, &caller->op);
        (void)sem_wait(&caller->answered);
    }
    return NULL;
}

static void every_wake_is_answered_while_others_come_at_any_moment(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct caller *callers = test_new(f, 4 * sizeof(*callers));

    for (int i = 0; i < 4; i++) {
        callers[i].loop = loop;
        assert_int_equal(sem_init(&callers[i].answered, 0, 0), 0);
        pp_io_wake_wait(loop, &callers[i].op, on_called);
    }
    for (int i = 0; i < 4; i++)
        test_thread(f, call_and_await, &callers[i]);
    test_run(loop);
    test_threads_join(f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(callers[i].calls, CALLS);
}

static void wakes_before_the_loop_runs_count_as_one(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tally *tally = tally_start(f, loop, 1, 1000);

    tally->wanted = 1001; /* so that it goes on waiting */
    (void)make_and_wake(tally);
    assert_int_equal(tally->calls, 0);
    test_poll(loop);
    test_poll(loop);
    assert_int_equal(tally->calls, 1);
    assert_int_equal(tally->seen, 1000);
}

static void a_wake_from_before_the_thread_runs_the_loop_ends_its_wait(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct tally *tally = tally_start(f, loop, 1, 1);

    test_thread(f, make_and_wake, tally);
    test_threads_join(f);
    test_run(loop); /* blocks */
    assert_all_seen(tally);
}

static void nobody_is_woken_who_was_not_meant(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *meant = test_probe(f);
    struct test_probe *other = test_probe(f);

    pp_io_wake_wait(loop, &other->op, test_probe_once);
    pp_io_wake_wait(loop, &meant->op, test_probe_once);
    pp_io_wake(loop, &meant->op);
    test_run_until(loop, &meant->calls, 1);
    test_poll(loop);
    assert_int_equal(other->calls, 0);
}

/* A thread may still be about to wake somebody who has just stopped waiting. */
static void a_wake_that_nobody_waits_for_calls_nobody(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);

    for (int i = 1; i <= 10; i++) {
        pp_io_wake_wait(loop, &probe->op, test_probe_once);
        pp_io_wake(loop, &probe->op);
        test_run(loop);
        assert_int_equal(probe->calls, i);
        pp_io_wake(loop, &probe->op);
        test_poll(loop);
        assert_int_equal(probe->calls, i);
        assert_false(pp_io_is_armed(&probe->op));
    }
}

/* ---- in callbacks ------------------------------------------------------------------------ */

struct self_waker {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int calls, wanted;
};

static enum pp_io_next on_self_waker(struct pp_io_op *op)
{
    struct self_waker *waker = container_of(op, struct self_waker, op);

    if (++waker->calls == waker->wanted)
        return PP_IO_DISARM;
    pp_io_wake(waker->loop, op);
    pp_io_wake(waker->loop, op);
    return PP_IO_REARM;
}

static void a_wake_during_its_callback_asks_for_another(void **state)
{
    struct fixture *f = *state;
    struct self_waker *waker = test_new(f, sizeof(*waker));

    waker->loop = test_loop(f);
    waker->wanted = 10;
    pp_io_wake_wait(waker->loop, &waker->op, on_self_waker);
    pp_io_wake(waker->loop, &waker->op);
    test_run(waker->loop);
    assert_int_equal(waker->calls, 10);
}

/* Two that wake each other. */
struct neighbour {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct neighbour *other;
    int calls;
};

static enum pp_io_next on_neighbour(struct pp_io_op *op)
{
    struct neighbour *n = container_of(op, struct neighbour, op);

    n->calls++;
    pp_io_wake(n->loop, &n->other->op);
    return n->calls < 100 ? PP_IO_REARM : PP_IO_DISARM;
}

static void callbacks_may_wake_each_other(void **state)
{
    struct fixture *f = *state;
    struct neighbour *n = test_new(f, 2 * sizeof(*n));
    struct pp_io_loop *loop = test_loop(f);

    for (int i = 0; i < 2; i++) {
        n[i] = (struct neighbour){ .loop = loop, .other = &n[1 - i] };
        pp_io_wake_wait(loop, &n[i].op, on_neighbour);
    }
    pp_io_wake(loop, &n[0].op);
    while (n[1].calls < 100)
        assert_int_equal(pp_io_loop_run_once(loop), 0);
    assert_int_equal(n[0].calls, 100);
}

/* ---- signals ----------------------------------------------------------------------------- */

/* Whom to wake travels with the signal itself, so that the handler needs nothing static. */
struct target {
    struct pp_io_op op;
    struct pp_io_op pulse_op;
    struct pp_io_loop *loop;
    pthread_t thread;
    sem_t done;
    int calls, wanted;
};

static void on_signal(int number, siginfo_t *info, void *context)
{
    struct target *target = info->si_value.sival_ptr;

    (void)number;
    (void)context;
    pp_io_wake(target->loop, &target->op);
}

static void handle_signal(void (*handler)(int, siginfo_t *, void *))
{
    const struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static enum pp_io_next on_target(struct pp_io_op *op)
{
    struct target *target = container_of(op, struct target, op);

    target->calls++;
    (void)sem_post(&target->done);
    return target->calls < target->wanted ? PP_IO_REARM : PP_IO_DISARM;
}

/* The thread sanitizer keeps a signal back until the program does something that it watches. A loop
 * about to sleep in io_uring does no such thing, and would sleep for ever. */
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_ARE_KEPT_BACK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_ARE_KEPT_BACK 1
#endif
#endif

#ifndef SIGNALS_ARE_KEPT_BACK
#define SIGNALS_ARE_KEPT_BACK 0
#endif

#define PULSE_NS (10 * PP_NS_PER_MS)

static enum pp_io_next on_pulse(struct pp_io_op *op)
{
    const struct target *target = container_of(op, struct target, pulse_op);

    op->deadline_ns = pp_clock_now_ns() + PULSE_NS;
    return target->calls < target->wanted ? PP_IO_REARM : PP_IO_DISARM;
}

static void *send_signals(void *argument)
{
    struct target *target = argument;

    for (int i = 0; i < target->wanted; i++) {
        (void)pthread_sigqueue(target->thread, SIGUSR1, (union sigval){ .sival_ptr = target });
        while (sem_wait(&target->done) < 0)
            continue;
    }
    return NULL;
}

static void a_wake_from_a_signal_handler_completes(void **state)
{
    struct fixture *f = *state;
    struct target *target = test_new(f, sizeof(*target));

    target->loop = test_loop(f);
    target->thread = pthread_self();
    target->wanted = 200;
    assert_int_equal(sem_init(&target->done, 0, 0), 0);
    handle_signal(on_signal);
    pp_io_wake_wait(target->loop, &target->op, on_target);
    if (SIGNALS_ARE_KEPT_BACK)
        pp_io_timer(target->loop, &target->pulse_op, pp_clock_now_ns() + PULSE_NS, on_pulse);
    test_thread(f, send_signals, target);
    test_run(target->loop);
    test_threads_join(f);
    assert_int_equal(target->calls, 200);
}

static void on_ignored(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
}

struct disturber {
    pthread_t thread;
    int fd;
};

static void *disturb_and_write(void *argument)
{
    const struct disturber *disturber = argument;

    for (int i = 0; i < 200; i++) {
        (void)pthread_sigqueue(disturber->thread, SIGUSR1, (union sigval){ .sival_int = i });
        (void)sched_yield();
    }
    (void)test_send_now(disturber->fd, "ping", 4);
    return NULL;
}

static void a_signal_that_wakes_nobody_ends_no_wait(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct disturber *disturber = test_new(f, sizeof(*disturber));
    struct test_probe *probe = test_probe(f);

    *disturber = (struct disturber){ .thread = pthread_self(), .fd = pair.far };
    handle_signal(on_ignored);
    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_thread(f, disturb_and_write, disturber);
    test_run(loop);
    test_threads_join(f);
    assert_int_equal(probe->calls, 1);
    assert_string_equal(probe->buf, "ping");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wake_from_another_thread_completes),
        TEST(many_wakes_from_a_thread_are_never_lost),
        TEST(many_wakes_from_many_threads_are_never_lost),
        TEST(each_of_many_ops_gets_the_wakes_meant_for_it),
        TEST(every_wake_is_answered_while_others_come_at_any_moment),
        TEST(wakes_before_the_loop_runs_count_as_one),
        TEST(a_wake_from_before_the_thread_runs_the_loop_ends_its_wait),
        TEST(nobody_is_woken_who_was_not_meant),
        TEST(a_wake_that_nobody_waits_for_calls_nobody),
        TEST(a_wake_during_its_callback_asks_for_another),
        TEST(callbacks_may_wake_each_other),
        TEST(a_wake_from_a_signal_handler_completes),
        TEST(a_signal_that_wakes_nobody_ends_no_wait),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
