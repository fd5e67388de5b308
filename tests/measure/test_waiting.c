/* Whose time it was that threads waited for a CPU. */
#include "measure/waiting.h"

#include "base/clock.h"
#include "tree.h"

#include <math.h>
#include <pthread.h>

#define S PP_NS_PER_S
#define MS PP_NS_PER_MS
#define ANY (-1)

static int setup(void **state)
{
    static struct tree tree;

    tree_open(&tree);
    *state = &tree;
    return 0;
}

static int teardown(void **state)
{
    tree_close(*state);
    return 0;
}

/* ---- what is read ---- */

static void test_the_scheduler_s_three_figures_are_read(void **state)
{
    const struct tree *tree = *state;
    struct pp_runqueue queue;

    tree_write(tree, "/proc/thread-self/schedstat", "218115583 17183958 472\n");
    queue = pp_runqueue_of_thread(tree->root);
    assert_true(queue.known);
    assert_int_equal(queue.ran_ns, 218115583);
    assert_int_equal(queue.waited_ns, 17183958);
    assert_int_equal(queue.turns, 472);
}

static void test_without_the_scheduler_s_figures_nothing_is_known(void **state)
{
    const struct tree *tree = *state;
    const struct pp_runqueue known = { .known = true, .ran_ns = 5, .waited_ns = 7, .turns = 9 };
    struct pp_runqueue queue = pp_runqueue_of_thread(tree->root);

    assert_false(queue.known);
    assert_false(pp_runqueue_between(&queue, &known).known);
    assert_false(pp_runqueue_between(&known, &queue).known);
    tree_write(tree, "/proc/thread-self/schedstat", "218115583 x\n");
    assert_false(pp_runqueue_of_thread(tree->root).known);
    tree_write(tree, "/proc/thread-self/schedstat", "0 0 0\n"); /* a kernel that does not count */
    assert_false(pp_runqueue_of_thread(tree->root).known);
}

static void test_what_came_between_two_readings_is_their_difference(void **state)
{
    const struct pp_runqueue earlier = { true, 5, 70, 900 }, later = { true, 8, 75, 907 };
    const struct pp_runqueue between = pp_runqueue_between(&earlier, &later);

    (void)state;
    assert_true(between.known);
    assert_int_equal(between.ran_ns, 3);
    assert_int_equal(between.waited_ns, 5);
    assert_int_equal(between.turns, 7);
}

/* Idle, waiting for a disk, both kinds of interrupts, and taken by the hypervisor. */
static void test_a_cpu_is_free_while_no_program_has_it(void **state)
{
    const struct tree *tree = *state;
    static struct pp_cpu_times times;

    tree_write(tree, "/proc/stat",
               "cpu  9 9 9 9 9 9 9 9 9 9\n"
               "cpu0 1000 200 30 4 5 6 7 8 100 100\n"
               "cpu7 0 0 0 50 0 0 0 0 0 0\n"
               "intr 1 2 3\n");
    pp_cpu_times_read(&times, tree->root);
    assert_int_equal(times.free_ns[0], 30 * times.tick_ns);
    assert_int_equal(times.free_ns[7], 50 * times.tick_ns);
    assert_int_equal(times.free_ns[1], 0);
    assert_true(times.own_ns > 0);
}

static void test_without_proc_no_cpu_is_known(void **state)
{
    static struct pp_cpu_times times;

    pp_cpu_times_read(&times, ((const struct tree *)*state)->root);
    for (unsigned i = 0; i < PP_WAITING_CPUS_MAX; i++)
        assert_int_equal(times.free_ns[i], 0);
}

/* ---- whose time it was ---- */

/* Ten seconds on two CPUs. free_ns of each, and what this process had in all. */
static void check_with(const struct pp_waiter *threads, unsigned count, uint64_t free0_ns,
                       uint64_t free1_ns, uint64_t own_ns, uint64_t explained_ns, double share)
{
    static struct pp_cpu_times before, after;
    struct pp_waiting waiting;

    before = (struct pp_cpu_times){ .tick_ns = 10 * MS, .own_ns = 3 };
    after = (struct pp_cpu_times){ .tick_ns = 10 * MS, .own_ns = 3 + own_ns };
    before.free_ns[0] = before.free_ns[1] = 77 * S;
    after.free_ns[0] = 77 * S + free0_ns;
    after.free_ns[1] = 77 * S + free1_ns;
    waiting = pp_waiting_of(threads, count, &before, &after, "0-1", explained_ns);
    assert_true(waiting.known && waiting.others_known);
    if (fabs(waiting.others_share - share) > 0.0025)
        fail_msg("%f is not %f", waiting.others_share, share);
}

static struct pp_waiter waiter(int cpu, uint64_t ran_ns, uint64_t waited_ns, uint64_t turns)
{
    return (struct pp_waiter){ .queue = { true, ran_ns, waited_ns, turns },
                               .time_ns = 10 * S,
                               .cpu = cpu };
}

static void test_one_that_waits_where_nobody_of_ours_runs_waits_for_others(void **state)
{
    const struct pp_waiter thread = waiter(0, 3 * S, 6 * S, 1000);

    (void)state;
    check_with(&thread, 1, 0, 10 * S, 3 * S, 0, 0.6);
}

static void test_two_of_ours_on_one_cpu_wait_for_each_other(void **state)
{
    const struct pp_waiter threads[] = { waiter(1, 5 * S, 5 * S, 1000000),
                                         waiter(1, 5 * S, 5 * S, 1000000) };

    (void)state;
    check_with(threads, 2, 10 * S, 0, 10 * S, 0, 0);
}

static void test_more_of_ours_than_cpus_wait_for_each_other(void **state)
{
    struct pp_waiter threads[8];

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        threads[i] = waiter(ANY, 5 * S / 2, 15 * S / 2, 1000);
    check_with(threads, 8, 0, 0, 20 * S, 0, 0);
}

static void test_with_a_third_that_is_not_ours_what_is_more_is_its(void **state)
{
    const struct pp_waiter threads[] = { waiter(0, 3 * S, 7 * S, 1000),
                                         waiter(0, 3 * S, 7 * S, 1000) };

    (void)state;
    check_with(threads, 2, 0, 10 * S, 6 * S, 0, 0.4);
}

static void test_ours_that_are_pinned_elsewhere_explain_nothing(void **state)
{
    const struct pp_waiter threads[] = { waiter(0, 4 * S, 6 * S, 1000), waiter(1, 9 * S, 0, 10) };
    const struct pp_waiter unpinned[] = { threads[0], waiter(ANY, 9 * S, 0, 10) };

    (void)state;
    check_with(threads, 2, 0, S, 13 * S, 0, 0.6);
    check_with(unpinned, 2, 0, S, 13 * S, 0, 0);
}

static void test_to_wake_up_is_not_to_wait_for_others(void **state)
{
    const struct pp_waiter often = waiter(0, S, 3 * S, 100000), rarely = waiter(0, S, 3 * S, 1000);

    (void)state;
    check_with(&often, 1, 5 * S, 0, S, 0, 0);
    check_with(&often, 1, S, 0, S, 0, 0.2);       /* it was free for less */
    check_with(&rarely, 1, 5 * S, 0, S, 0, 0.28); /* 200 us each time */
}

static void test_one_that_is_not_pinned_may_wake_up_on_any_cpu(void **state)
{
    const struct pp_waiter thread = waiter(ANY, S, 3 * S, 100000);

    (void)state;
    check_with(&thread, 1, 0, 5 * S, S, 0, 0);
    check_with(&thread, 1, 0, S, S, 0, 0.2);
}

static void test_where_a_cpu_is_unknown_any_waking_up_may_be(void **state)
{
    const struct pp_waiter pinned = waiter(5, S, 3 * S, 1000), often = waiter(5, S, 3 * S, 100000);

    (void)state;
    check_with(&pinned, 1, 0, 0, S, 0, 0.28);
    check_with(&often, 1, 0, 0, S, 0, 0);
}

static void test_what_is_explained_otherwise_is_nobody_s_here(void **state)
{
    const struct pp_waiter thread = waiter(0, S, 6 * S, 1000);

    (void)state;
    check_with(&thread, 1, 0, 0, S, 2 * S, 0.4);
    check_with(&thread, 1, 0, 0, S, 7 * S, 0);
}

static void test_the_thread_that_waited_longest_is_named(void **state)
{
    const struct pp_waiter threads[] = { waiter(0, S, 2 * S, 10), waiter(1, S, 5 * S, 10) };
    static const struct pp_cpu_times none;
    struct pp_waiting waiting = pp_waiting_of(threads, 2, &none, &none, "", 0);

    (void)state;
    assert_int_equal(waiting.others_who, 1);
    assert_int_equal(waiting.each_ns, S / 2);
    assert_true(fabs(waiting.share - 0.5) < 1e-9);
}

static void test_one_thread_that_is_not_known_makes_all_unknown(void **state)
{
    const struct pp_waiter threads[] = { waiter(0, S, 2 * S, 10), { .time_ns = 10 * S } };
    static const struct pp_cpu_times none;
    const struct pp_waiting waiting = pp_waiting_of(threads, 2, &none, &none, "", 0);

    (void)state;
    assert_false(waiting.known || waiting.others_known);
}

/* ---- the real thing ---- */

static void *wait_in_turns(void *argument)
{
    const uint64_t end_ns = pp_clock_now_ns() + 100 * MS;

    while (pp_clock_now_ns() < end_ns)
        continue;
    *(struct pp_runqueue *)argument = pp_runqueue_of_thread("");
    return NULL;
}

static void test_what_the_kernel_says_of_a_thread_is_its_own(void **state)
{
    struct pp_runqueue queue = { 0 };
    pthread_t thread;

    (void)state;
    if (!pp_runqueue_of_thread("").known)
        skip();
    assert_int_equal(pthread_create(&thread, NULL, wait_in_turns, &queue), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(queue.known && queue.ran_ns > 0 && queue.turns > 0);
    assert_true(queue.ran_ns + queue.waited_ns >= 90 * MS); /* it never slept */
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_the_scheduler_s_three_figures_are_read),
        TREE_TEST(test_without_the_scheduler_s_figures_nothing_is_known),
        cmocka_unit_test(test_what_came_between_two_readings_is_their_difference),
        TREE_TEST(test_a_cpu_is_free_while_no_program_has_it),
        TREE_TEST(test_without_proc_no_cpu_is_known),
        cmocka_unit_test(test_one_that_waits_where_nobody_of_ours_runs_waits_for_others),
        cmocka_unit_test(test_two_of_ours_on_one_cpu_wait_for_each_other),
        cmocka_unit_test(test_more_of_ours_than_cpus_wait_for_each_other),
        cmocka_unit_test(test_with_a_third_that_is_not_ours_what_is_more_is_its),
        cmocka_unit_test(test_ours_that_are_pinned_elsewhere_explain_nothing),
        cmocka_unit_test(test_to_wake_up_is_not_to_wait_for_others),
        cmocka_unit_test(test_one_that_is_not_pinned_may_wake_up_on_any_cpu),
        cmocka_unit_test(test_where_a_cpu_is_unknown_any_waking_up_may_be),
        cmocka_unit_test(test_what_is_explained_otherwise_is_nobody_s_here),
        cmocka_unit_test(test_the_thread_that_waited_longest_is_named),
        cmocka_unit_test(test_one_thread_that_is_not_known_makes_all_unknown),
        cmocka_unit_test(test_what_the_kernel_says_of_a_thread_is_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
