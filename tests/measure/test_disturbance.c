#include "measure/disturbance.h"

#include "base/clock.h"

#include "tree.h"

#include <math.h>

#define CPU "/sys/devices/system/cpu/"

static const int cpus_1_2[] = { 1, 2 };

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

static struct pp_disturbance_reading reading_of(const struct tree *tree, const int *cpus,
                                                unsigned count)
{
    struct pp_disturbance_reading reading;

    memset(&reading, 0xa5, sizeof reading);
    pp_disturbance_read(&reading, cpus, count, tree->root);
    return reading;
}

static void check_near(double got, double want)
{
    if (!(fabs(got - want) < 1e-9))
        fail_msg("%.12g is not %.12g", got, want);
}

/* cpu0 has 100 ticks of stolen time, cpu1 20, cpu2 3; each has 1,000 in all, guests not counted
 * twice. */
static const char stat_text[] = "cpu  1 2 3 4 5 6 7 999 9 9\n"
                                "cpu0 100 100 100 500 50 25 25 100 100 0\n"
                                "cpu1 100 100 100 500 50 25 105 20 100 0\n"
                                "cpu2 100 100 100 500 50 25 122 3 100 0\n"
                                "intr 1 2 3\ncpu3 1 1 1 1 1 1 1 1 1 1\n";

static void test_ticks_are_summed_over_the_cpus_of_the_run(void **state)
{
    struct pp_disturbance_reading r;

    tree_write(*state, "/proc/stat", stat_text);
    r = reading_of(*state, cpus_1_2, 2);
    assert_int_equal(r.steal_ticks, 23);
    assert_int_equal(r.total_ticks, 2000);
    assert_int_equal(r.busy_ticks, 600);
    assert_int_equal(r.cpus, 2);
    r = reading_of(*state, NULL, 0);
    assert_int_equal(r.steal_ticks, 123);
    assert_int_equal(r.total_ticks, 3000);
    assert_int_equal(r.cpus, 3);
    r = reading_of(*state, cpus_1_2, 0);
    assert_int_equal(r.total_ticks, 0);
}

static void test_the_frequency_is_the_mean_of_the_cpus_of_the_run(void **state)
{
    tree_write(*state, CPU "online", "0-1\n");
    tree_write(*state, CPU "cpu0/cpufreq/scaling_cur_freq", "1000000\n");
    tree_write(*state, CPU "cpu1/cpufreq/scaling_cur_freq", "2000000\n");
    tree_write(*state, CPU "cpu2/cpufreq/scaling_cur_freq", "3000000\n");
    check_near(reading_of(*state, cpus_1_2, 2).mhz, 2500);
    check_near(reading_of(*state, NULL, 0).mhz, 1500);
}

static void test_without_cpufreq_the_frequency_is_that_of_cpuinfo(void **state)
{
    tree_write(*state, "/proc/cpuinfo",
               "processor\t: 0\ncpu MHz\t\t: 1000.000\n\nprocessor\t: 1\ncpu MHz\t\t: 2000.500\n\n"
               "processor\t: 2\ncpu MHz\t\t: 3000.500\n");
    check_near(reading_of(*state, cpus_1_2, 2).mhz, 2500.5);
    check_near(reading_of(*state, NULL, 0).mhz, (1000 + 2000.5 + 3000.5) / 3);
}

static void test_an_empty_system_was_not_disturbed(void **state)
{
    const struct pp_disturbance_reading r = reading_of(*state, NULL, 0);
    const struct pp_disturbance d = pp_disturbance_between(&r, &r);

    assert_true(r.mhz == 0 && r.total_ticks == 0 && r.load < 0);
    assert_false(d.steal_known);
    assert_true(d.steal_share == 0 && d.frequency_change == 0);
    assert_true(d.suspended_ns == 0 && d.wall_step_ns == 0);
    assert_true(d.load_before < 0 && d.load_after < 0);
}

static void test_the_load_is_that_of_the_last_minute(void **state)
{
    tree_write(*state, "/proc/loadavg", "1.25 0.41 0.30 1/123 4567\n");
    assert_true(reading_of(*state, NULL, 0).load == 1.25);
}

static void test_the_share_of_stolen_time_is_that_between_the_readings(void **state)
{
    const struct pp_disturbance_reading earlier = { .steal_ticks = 900, .total_ticks = 1000 };
    const struct pp_disturbance_reading later = { .steal_ticks = 910, .total_ticks = 1200 };
    const struct pp_disturbance d = pp_disturbance_between(&earlier, &later);

    (void)state;
    assert_true(d.steal_known);
    check_near(d.steal_share, 0.05);
}

/* One tick that ended just then is more than a hundredth of a shorter time. */
static void test_stolen_time_is_known_from_a_hundred_ticks_of_each_cpu_on(void **state)
{
    static const struct {
        unsigned cpus;
        uint64_t total;
        bool known;
    } cases[] = { { 1, 99, false }, { 1, 100, true }, { 4, 399, false }, { 4, 400, true } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pp_disturbance_reading earlier = { .total_ticks = 1000,
                                                        .cpus = cases[i].cpus };
        const struct pp_disturbance_reading later = { .steal_ticks = cases[i].cpus,
                                                      .total_ticks = 1000 + cases[i].total,
                                                      .cpus = cases[i].cpus };
        const struct pp_disturbance d = pp_disturbance_between(&earlier, &later);

        assert_int_equal(d.steal_known, cases[i].known);
        check_near(d.steal_share, cases[i].known ? 0.01 : 0);
    }
}

static void test_what_others_had_is_what_was_busy_and_not_our_own(void **state)
{
    static const struct {
        uint64_t total, busy, own_ms;
        double share;
        bool known;
    } cases[] = {
        { 200, 150, 500, 0.5, true }, { 200, 150, 1500, 0, true }, { 200, 150, 2500, 0, true },
        { 200, 150, 0, 0.75, true },  { 100, 30, 0, 0.3, true },   { 99, 99, 0, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pp_disturbance_reading earlier = {
            .total_ticks = 1000, .busy_ticks = 500, .own_ns = 7, .tick_ns = 10000000
        };
        const struct pp_disturbance_reading later = { .total_ticks = 1000 + cases[i].total,
                                                      .busy_ticks = 500 + cases[i].busy,
                                                      .own_ns = 7 + cases[i].own_ms * 1000000,
                                                      .tick_ns = 10000000 };
        const struct pp_disturbance d = pp_disturbance_between(&earlier, &later);

        check_near(d.others_share, cases[i].share);
        assert_int_equal(d.others_known, cases[i].known);
    }
}

static void test_counters_that_step_back_never_leave_0_to_1(void **state)
{
    static const struct {
        uint64_t steal[2];
        uint64_t total[2];
        double share;
        bool known;
    } cases[] = {
        { { 10, 9 }, { 100, 200 }, 0, true },   { { 10, 300 }, { 100, 200 }, 1, true },
        { { 10, 20 }, { 100, 100 }, 0, false }, { { 10, 20 }, { 100, 90 }, 0, false },
        { { 0, 20 }, { 0, 90 }, 0, false },     { { 10, 0 }, { 100, 0 }, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pp_disturbance_reading earlier = { .steal_ticks = cases[i].steal[0],
                                                        .total_ticks = cases[i].total[0] };
        const struct pp_disturbance_reading later = { .steal_ticks = cases[i].steal[1],
                                                      .total_ticks = cases[i].total[1] };
        const struct pp_disturbance d = pp_disturbance_between(&earlier, &later);

        check_near(d.steal_share, cases[i].share);
        assert_int_equal(d.steal_known, cases[i].known);
    }
}

static void test_a_frequency_may_change_either_way(void **state)
{
    static const double cases[][3] = {
        { 2000, 3000, 0.5 }, { 2000, 1000, 0.5 }, { 2000, 2000, 0 }, { 0, 2000, 0 }, { 2000, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pp_disturbance_reading earlier = { .mhz = cases[i][0] };
        const struct pp_disturbance_reading later = { .mhz = cases[i][1] };

        check_near(pp_disturbance_between(&earlier, &later).frequency_change, cases[i][2]);
    }
}

static struct pp_disturbance between_offsets(int64_t boot_ns, int64_t wall_ns)
{
    const struct pp_disturbance_reading earlier = { .boot_offset_ns = 1000,
                                                    .wall_offset_ns = -5000 };
    const struct pp_disturbance_reading later = { .boot_offset_ns = 1000 + boot_ns,
                                                  .wall_offset_ns = -5000 + wall_ns };

    return pp_disturbance_between(&earlier, &later);
}

static void test_sleep_moves_the_wall_clock_without_a_step(void **state)
{
    const int64_t hour_ns = 3600 * (int64_t)PP_NS_PER_S;
    const struct pp_disturbance d = between_offsets(hour_ns, hour_ns);

    (void)state;
    assert_true(d.suspended_ns == (uint64_t)hour_ns);
    assert_true(d.wall_step_ns == 0);
}

static void test_a_step_of_the_wall_clock_is_seen_in_either_direction(void **state)
{
    const int64_t second_ns = (int64_t)PP_NS_PER_S;

    (void)state;
    assert_true(between_offsets(0, second_ns).wall_step_ns == second_ns);
    assert_true(between_offsets(0, -second_ns).wall_step_ns == -second_ns);
    assert_true(between_offsets(second_ns, 0).wall_step_ns == -second_ns);
    assert_true(between_offsets(0, second_ns).suspended_ns == 0);
}

static void test_what_comes_of_reading_one_clock_after_the_other_is_none(void **state)
{
    const int64_t ms_ns = (int64_t)PP_NS_PER_MS;

    (void)state;
    assert_true(between_offsets(ms_ns - 1, 0).suspended_ns == 0);
    assert_true(between_offsets(1 - ms_ns, 0).suspended_ns == 0);
    assert_true(between_offsets(-2 * ms_ns, 0).suspended_ns == 0);
    assert_true(between_offsets(ms_ns, ms_ns).suspended_ns == (uint64_t)ms_ns);
    assert_true(between_offsets(0, ms_ns - 1).wall_step_ns == 0);
    assert_true(between_offsets(0, 1 - ms_ns).wall_step_ns == 0);
}

static void test_the_offsets_are_those_of_the_clocks(void **state)
{
    struct pp_disturbance_reading r;
    struct timespec wall;
    struct timespec boot;
    int64_t now_ns;

    (void)state;
    pp_disturbance_read(&r, NULL, 0, "");
    now_ns = (int64_t)pp_clock_now_ns();
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &wall), 0);
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
    assert_true(llabs((now_ns + r.wall_offset_ns) / (int64_t)PP_NS_PER_S - wall.tv_sec) < 60);
    assert_true(llabs((now_ns + r.boot_offset_ns) / (int64_t)PP_NS_PER_S - boot.tv_sec) < 60);
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_ticks_are_summed_over_the_cpus_of_the_run),
        TREE_TEST(test_the_frequency_is_the_mean_of_the_cpus_of_the_run),
        TREE_TEST(test_without_cpufreq_the_frequency_is_that_of_cpuinfo),
        TREE_TEST(test_an_empty_system_was_not_disturbed),
        TREE_TEST(test_the_load_is_that_of_the_last_minute),
        cmocka_unit_test(test_the_share_of_stolen_time_is_that_between_the_readings),
        cmocka_unit_test(test_stolen_time_is_known_from_a_hundred_ticks_of_each_cpu_on),
        cmocka_unit_test(test_what_others_had_is_what_was_busy_and_not_our_own),
        cmocka_unit_test(test_counters_that_step_back_never_leave_0_to_1),
        cmocka_unit_test(test_a_frequency_may_change_either_way),
        cmocka_unit_test(test_sleep_moves_the_wall_clock_without_a_step),
        cmocka_unit_test(test_a_step_of_the_wall_clock_is_seen_in_either_direction),
        cmocka_unit_test(test_what_comes_of_reading_one_clock_after_the_other_is_none),
        cmocka_unit_test(test_the_offsets_are_those_of_the_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
