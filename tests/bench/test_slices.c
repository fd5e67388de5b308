/* The course of a measurement, in slices that become fewer as it goes on. */
#include "bench/slices.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

#define LONG_RUN 5000

static void note_steady(struct pp_slices *slices, unsigned ticks, uint64_t each)
{
    pp_slices_begin(slices);
    for (unsigned i = 1; i <= ticks; i++)
        pp_slices_note(slices, i * each);
}

static void test_each_tick_is_a_slice_while_there_is_room(void **state)
{
    struct pp_slices slices;

    (void)state;
    note_steady(&slices, PP_TREND_VALUES_MAX, 7);
    assert_int_equal(slices.every, 1);
    assert_int_equal(slices.count, PP_TREND_VALUES_MAX + 1);
    for (unsigned i = 0; i < slices.count; i++)
        assert_int_equal(slices.totals[i], 7 * i);
}

static void test_one_tick_more_halves_the_slices(void **state)
{
    struct pp_slices slices;

    (void)state;
    note_steady(&slices, PP_TREND_VALUES_MAX + 1, 7);
    assert_int_equal(slices.every, 2);
    assert_int_equal(slices.count, PP_TREND_VALUES_MAX / 2 + 1);
    pp_slices_note(&slices, 7 * (PP_TREND_VALUES_MAX + 2));
    assert_int_equal(slices.count, PP_TREND_VALUES_MAX / 2 + 2);
}

/* However long it takes, each reading is where its slice ends. */
static void test_slices_stay_equal_however_long_it_takes(void **state)
{
    struct pp_slices slices;

    (void)state;
    pp_slices_begin(&slices);
    for (unsigned tick = 1; tick <= LONG_RUN; tick++) {
        pp_slices_note(&slices, 3 * tick);
        assert_true(slices.count <= PP_TREND_VALUES_MAX + 1);
        for (unsigned i = 0; i < slices.count; i++)
            assert_int_equal(slices.totals[i], 3 * i * slices.every);
        assert_true(tick - (slices.count - 1) * slices.every < slices.every);
    }
    assert_true(slices.count > PP_TREND_VALUES_MAX / 2);
}

static void test_a_steady_rate_has_no_trend(void **state)
{
    (void)state;
    for (unsigned ticks = 0; ticks < 300; ticks++) {
        struct pp_slices slices;
        struct pp_trend trend;

        note_steady(&slices, ticks, 1000);
        trend = pp_slices_trend(&slices);
        assert_true(trend.z == 0 && trend.change == 0);
    }
}

/* Round trips of one tick after the other that change by so many. */
static struct pp_trend trend_of(unsigned ticks, double first, double more)
{
    struct pp_slices slices;
    double total = 0;

    pp_slices_begin(&slices);
    for (unsigned i = 0; i < ticks; i++) {
        total += first + more * i;
        pp_slices_note(&slices, (uint64_t)total);
    }
    return pp_slices_trend(&slices);
}

static void test_fewer_than_ten_slices_tell_nothing(void **state)
{
    (void)state;
    assert_true(trend_of(9, 1000, 100).z == 0);
    assert_true(trend_of(10, 1000, 100).z > 3.29);
}

/* From 1,000 a tick to 1,500 or to 500. */
static void test_a_rate_that_rises_or_falls_has_a_trend_of_that_size(void **state)
{
    static const unsigned ticks[] = { 20, 64, 65, 100, 129, 1000 };

    (void)state;
    for (size_t i = 0; i < sizeof ticks / sizeof *ticks; i++) {
        const struct pp_trend up = trend_of(ticks[i], 1000, 500.0 / ticks[i]);
        const struct pp_trend down = trend_of(ticks[i], 1000, -500.0 / ticks[i]);

        assert_true(up.z > 3.29 && fabs(up.change - 0.5) < 0.05);
        assert_true(down.z < -3.29 && fabs(down.change + 0.5) < 0.05);
    }
}

/* One slice that stood still is a stall, and no drift. */
static void test_a_stall_is_no_trend(void **state)
{
    struct pp_slices slices;
    uint64_t total = 0;

    (void)state;
    pp_slices_begin(&slices);
    for (unsigned i = 0; i < 40; i++)
        pp_slices_note(&slices, total += i == 30 ? 0 : 1000 + i % 3);
    assert_true(fabs(pp_slices_trend(&slices).z) < 3.29);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_tick_is_a_slice_while_there_is_room),
        cmocka_unit_test(test_one_tick_more_halves_the_slices),
        cmocka_unit_test(test_slices_stay_equal_however_long_it_takes),
        cmocka_unit_test(test_a_steady_rate_has_no_trend),
        cmocka_unit_test(test_fewer_than_ten_slices_tell_nothing),
        cmocka_unit_test(test_a_rate_that_rises_or_falls_has_a_trend_of_that_size),
        cmocka_unit_test(test_a_stall_is_no_trend),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
