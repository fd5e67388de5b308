/* The course of a measurement, in slices that become fewer as it goes on. */
#include "result/slices.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

#define LONG_RUN 5000
#define START_NS (5 * PP_NS_PER_S)
#define TICK_NS (25 * PP_NS_PER_MS)
#define TRIP_NS 20000

/* What a tick brings. */
struct pace {
    uint64_t trips;
    uint64_t trip_ns;
};

/* The pace is first, and then from tick number change on. */
static void note(struct pp_slices *slices, unsigned ticks, struct pace first, unsigned change,
                 struct pace then)
{
    struct pp_slices_mark mark = { .at_ns = START_NS };

    pp_slices_begin(slices);
    pp_slices_note(slices, &mark);
    for (unsigned i = 0; i < ticks; i++) {
        const struct pace pace = i < change ? first : then;

        mark.at_ns += TICK_NS;
        mark.trips += pace.trips + i % 2;
        mark.latency_ns += (pace.trips + i % 2) * pace.trip_ns;
        pp_slices_note(slices, &mark);
    }
}

static void note_steady(struct pp_slices *slices, unsigned ticks, uint64_t each)
{
    note(slices, ticks, (struct pace){ each, TRIP_NS }, ticks, (struct pace){ 0, 0 });
}

static void test_each_tick_is_a_slice_while_there_is_room(void **state)
{
    struct pp_slices slices;

    (void)state;
    note_steady(&slices, PP_COURSE_VALUES_MAX, 1000);
    assert_int_equal(slices.every, 1);
    assert_int_equal(slices.count, PP_COURSE_VALUES_MAX + 1);
    for (unsigned i = 0; i < slices.count; i++)
        assert_int_equal(slices.marks[i].at_ns, START_NS + i * TICK_NS);
}

static void test_one_tick_more_halves_the_slices(void **state)
{
    struct pp_slices slices;

    (void)state;
    note_steady(&slices, PP_COURSE_VALUES_MAX + 1, 1000);
    assert_int_equal(slices.every, 2);
    assert_int_equal(slices.count, PP_COURSE_VALUES_MAX / 2 + 1);
    note_steady(&slices, PP_COURSE_VALUES_MAX + 2, 1000);
    assert_int_equal(slices.count, PP_COURSE_VALUES_MAX / 2 + 2);
}

/* However long it takes, each mark is where its slice ends. */
static void test_slices_stay_equal_however_long_it_takes(void **state)
{
    struct pp_slices slices;

    (void)state;
    pp_slices_begin(&slices);
    for (unsigned tick = 0; tick <= LONG_RUN; tick++) {
        pp_slices_note(&slices, &(struct pp_slices_mark){ .at_ns = tick, .trips = 3 * tick });
        assert_true(slices.count <= PP_COURSE_VALUES_MAX + 1);
        for (unsigned i = 0; i < slices.count; i++)
            assert_int_equal(slices.marks[i].at_ns, i * slices.every);
        assert_true(tick - (slices.count - 1) * slices.every < slices.every);
    }
    assert_true(slices.count > PP_COURSE_VALUES_MAX / 2);
}

static enum pp_course_shape shape_of(struct pp_slices *slices, bool of_latency)
{
    return pp_slices_steadiness(slices, of_latency, START_NS).course.shape;
}

static void test_a_steady_run_is_steady_and_a_short_one_unknown(void **state)
{
    (void)state;
    for (unsigned ticks = 0; ticks < 300; ticks++) {
        const enum pp_course_shape want = ticks < PP_COURSE_VALUES_MIN ? PP_COURSE_UNKNOWN
                                                                       : PP_COURSE_STEADY;
        struct pp_slices slices;

        note_steady(&slices, ticks, 1000);
        assert_int_equal(shape_of(&slices, false), want);
        assert_int_equal(shape_of(&slices, true), want);
    }
}

static void test_a_rate_that_halves_is_told_in_its_units(void **state)
{
    struct pp_slices slices;
    struct pp_steadiness steadiness;

    (void)state;
    note(&slices, 80, (struct pace){ 1000, TRIP_NS }, 60, (struct pace){ 500, TRIP_NS });
    steadiness = pp_slices_steadiness(&slices, false, START_NS);
    assert_false(steadiness.of_latency);
    assert_int_equal(steadiness.course.shape, PP_COURSE_STEP);
    assert_true(fabs(steadiness.course.from - 40000) < 400);
    assert_true(fabs(steadiness.course.to - 20000) < 400);
    assert_int_equal(steadiness.at_ns, 1500 * PP_NS_PER_MS);
    assert_int_equal(steadiness.slice_ns, 2 * TICK_NS);
}

/* In an open loop the rate stays what it is. */
static void test_latencies_that_rise_are_seen_where_the_rate_stays(void **state)
{
    struct pp_slices slices;
    struct pp_steadiness steadiness;

    (void)state;
    note(&slices, 80, (struct pace){ 900, 50000 }, 60, (struct pace){ 900, 450000 });
    assert_int_equal(shape_of(&slices, false), PP_COURSE_STEADY);
    steadiness = pp_slices_steadiness(&slices, true, START_NS);
    assert_true(steadiness.of_latency);
    assert_int_equal(steadiness.course.shape, PP_COURSE_STEP);
    assert_true(fabs(steadiness.course.from - 50000) < 1);
    assert_true(fabs(steadiness.course.to - 450000) < 1);
}

/* A tick that is late makes a slice longer, and the next one shorter; some do not come at all. */
static void test_ticks_need_not_come_at_equal_distances(void **state)
{
    struct pp_slices slices;

    (void)state;
    pp_slices_begin(&slices);
    for (unsigned i = 0; i < 60; i++) {
        const uint64_t at_ns = i * TICK_NS + (i % 3) * TICK_NS / 3;

        if (i % 7 != 3)
            pp_slices_note(&slices, &(struct pp_slices_mark){ .at_ns = START_NS + at_ns,
                                                              .trips = at_ns / 1000,
                                                              .latency_ns = at_ns });
    }
    assert_int_equal(shape_of(&slices, false), PP_COURSE_STEADY);
    assert_int_equal(shape_of(&slices, true), PP_COURSE_STEADY);
}

/* One round trip in each second tick is a rate that is even, and two levels it is not. */
static void test_slices_of_few_round_trips_are_joined(void **state)
{
    struct pp_slices slices;

    (void)state;
    note_steady(&slices, 64, 0);
    assert_int_equal(shape_of(&slices, false), PP_COURSE_UNKNOWN);
    note_steady(&slices, 64, 2);
    assert_int_equal(shape_of(&slices, false), PP_COURSE_STEADY);
    assert_int_equal(slices.count, 33);
}

/* Until all threads have begun. */
static void test_counts_of_the_phase_before_are_dropped(void **state)
{
    struct pp_slices slices;

    (void)state;
    pp_slices_begin(&slices);
    pp_slices_note(&slices, &(struct pp_slices_mark){ 1, 5000, 700 });
    pp_slices_note(&slices, &(struct pp_slices_mark){ 2, 5100, 800 });
    pp_slices_note(&slices, &(struct pp_slices_mark){ 3, 200, 900 });
    assert_int_equal(slices.count, 1);
    assert_int_equal(slices.marks[0].at_ns, 3);
    pp_slices_note(&slices, &(struct pp_slices_mark){ 4, 300, 899 });
    assert_int_equal(slices.count, 1);
    assert_int_equal(slices.marks[0].at_ns, 4);
}

static void test_what_comes_after_the_end_is_no_slice(void **state)
{
    struct pp_slices slices;
    struct pp_steadiness steadiness;

    (void)state;
    note(&slices, 60, (struct pace){ 1000, TRIP_NS }, 40, (struct pace){ 0, 0 });
    pp_slices_end(&slices, START_NS + 40 * TICK_NS);
    assert_int_equal(slices.count, 41);
    steadiness = pp_slices_steadiness(&slices, false, START_NS);
    assert_int_equal(steadiness.course.shape, PP_COURSE_STEADY);
    assert_int_equal(steadiness.slices, 40);
    pp_slices_end(&slices, 0);
    assert_int_equal(slices.count, 0);
}

static void test_without_answers_there_is_no_latency(void **state)
{
    struct pp_slices slices;

    (void)state;
    note(&slices, 60, (struct pace){ 1000, TRIP_NS }, 40, (struct pace){ 0, 0 });
    for (unsigned i = 41; i < slices.count; i++)
        slices.marks[i].trips = slices.marks[40].trips;
    assert_int_equal(shape_of(&slices, true), PP_COURSE_STEADY);
    assert_int_equal(shape_of(&slices, false), PP_COURSE_STEP);
}

/* Latencies of 20 us that grow by so much a tick from tick number from to tick number to. */
static struct pp_growth growth_of(uint64_t by_ns, unsigned from, unsigned to)
{
    struct pp_slices_mark mark = { .at_ns = START_NS };
    uint64_t trip_ns = TRIP_NS;
    struct pp_slices slices;

    pp_slices_begin(&slices);
    pp_slices_note(&slices, &mark);
    for (unsigned i = 0; i < 80; i++) {
        trip_ns += i >= from && i < to ? by_ns : 0;
        mark.at_ns += TICK_NS;
        mark.trips += 100;
        mark.latency_ns += 100 * trip_ns;
        pp_slices_note(&slices, &mark);
    }
    return pp_slices_growth(&slices, 80 * TICK_NS);
}

/* 10 % more than a server can do: each second latencies grow by a tenth of it. */
static void test_latencies_that_grow_to_the_end_are_told_from_those_that_rise_and_stay(void **state)
{
    (void)state;
    assert_true(growth_of(TICK_NS / 10, 0, 80).until_end);
    assert_true(growth_of(TICK_NS / 10, 0, 80).to_ns > 170e6);
    assert_false(growth_of(0, 0, 80).until_end);
    assert_false(growth_of(TICK_NS / 10, 30, 40).until_end);    /* one step up */
    assert_false(growth_of(PP_NS_PER_S / 4, 78, 80).until_end); /* a hiccup at the end */
    assert_false(growth_of(TICK_NS / 10000, 0, 80).until_end);  /* by 8 us in all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_tick_is_a_slice_while_there_is_room),
        cmocka_unit_test(test_one_tick_more_halves_the_slices),
        cmocka_unit_test(test_slices_stay_equal_however_long_it_takes),
        cmocka_unit_test(test_a_steady_run_is_steady_and_a_short_one_unknown),
        cmocka_unit_test(test_a_rate_that_halves_is_told_in_its_units),
        cmocka_unit_test(test_latencies_that_rise_are_seen_where_the_rate_stays),
        cmocka_unit_test(test_ticks_need_not_come_at_equal_distances),
        cmocka_unit_test(test_slices_of_few_round_trips_are_joined),
        cmocka_unit_test(test_counts_of_the_phase_before_are_dropped),
        cmocka_unit_test(test_what_comes_after_the_end_is_no_slice),
        cmocka_unit_test(test_without_answers_there_is_no_latency),
        cmocka_unit_test(
            test_latencies_that_grow_to_the_end_are_told_from_those_that_rise_and_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
