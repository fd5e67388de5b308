#include "measure/stat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define Z_95 1.959963984540054

static void check_near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.12g is not %.12g", got, want);
}

/* R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
 * Medicine 17 (1998), table I, method 3. */
static void test_the_intervals_are_those_of_the_literature(void **state)
{
    static const struct {
        uint64_t hits, n;
        double low, high;
    } table[] = {
        { 81, 263, 0.2553, 0.3662 },
        { 15, 148, 0.0624, 0.1605 },
        { 0, 20, 0.0000, 0.1611 },
        { 1, 29, 0.0061, 0.1718 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct pp_interval got = pp_stat_proportion(table[i].hits, table[i].n);

        check_near(got.low, table[i].low, 0.00005);
        check_near(got.high, table[i].high, 0.00005);
    }
}

/* By how much the share lies beyond the normal distribution's 95 % around p. */
static double beyond(double share, double p, double n)
{
    return fabs(share - p) - Z_95 * sqrt(p * (1 - p) / n);
}

/* The p between near, where beyond() is negative, and far that puts share just at the edge. */
static double bisect(double share, double n, double near, double far)
{
    for (int i = 0; i < 200; i++) {
        const double middle = (near + far) / 2;

        if (beyond(share, middle, n) < 0)
            near = middle;
        else
            far = middle;
    }
    return (near + far) / 2;
}

/* What the interval means: its ends are the proportions from which what was seen is just as far
 * away as chance goes. Found here by trying, not by the formula. */
static void test_the_ends_are_where_chance_just_reaches_what_was_seen(void **state)
{
    static const struct {
        uint64_t hits, n;
    } table[] = { { 1, 2 },      { 1, 10 },        { 9, 10 },          { 50, 100 },
                  { 3, 1000 },   { 997, 1000 },    { 1, 1000000 },     { 200000, 1000000 },
                  { 12, 34567 }, { 4321, 500000 }, { 7, 10000000000 }, { 5, 6 } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const double n = (double)table[i].n;
        const double share = (double)table[i].hits / n;
        const struct pp_interval got = pp_stat_proportion(table[i].hits, table[i].n);

        check_near(got.low, bisect(share, n, share, 0), 1e-9);
        check_near(got.high, bisect(share, n, share, 1), 1e-9);
    }
}

static void test_an_interval_holds_what_was_seen_and_stays_within_0_and_1(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 200; n++) {
        for (uint64_t hits = 0; hits <= n; hits++) {
            const struct pp_interval got = pp_stat_proportion(hits, n);
            const double share = (double)hits / (double)n;

            assert_true(got.low >= 0 && got.low <= share);
            assert_true(got.high <= 1 && got.high >= share);
            assert_true(got.low < got.high);
        }
    }
}

static void test_none_and_all_touch_the_end_exactly(void **state)
{
    static const uint64_t table[] = { 1, 2, 3, 7, 20, 333, 500000, 10000000000 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct pp_interval none = pp_stat_proportion(0, table[i]);
        const struct pp_interval all = pp_stat_proportion(table[i], table[i]);

        assert_true(none.low == 0 && all.high == 1);
        check_near(none.high, 1 - all.low, 1e-12);
        check_near(none.high, Z_95 * Z_95 / ((double)table[i] + Z_95 * Z_95), 1e-12);
    }
}

static void test_more_samples_of_the_same_share_say_more(void **state)
{
    double before = 1;

    (void)state;
    for (uint64_t n = 10; n <= 1000000000; n *= 10) {
        const struct pp_interval got = pp_stat_proportion(n / 10, n);

        assert_true(got.high - got.low < before);
        before = got.high - got.low;
    }
}

static void test_without_a_sample_anything_is_possible(void **state)
{
    const struct pp_interval got = pp_stat_proportion(0, 0);

    (void)state;
    assert_true(got.low == 0 && got.high == 1);
}

/* ---- trend ---- */

static struct pp_trend trend_of(unsigned count, double (*value)(unsigned i))
{
    double values[PP_TREND_VALUES_MAX];

    for (unsigned i = 0; i < count; i++)
        values[i] = value(i);
    return pp_stat_trend(values, count);
}

/* By hand: of the 15 pairs 13 rise, one falls and one is a tie, so S = 12; the variance is
 * (6 * 5 * 17 - 2 * 1 * 9) / 18 = 82 / 3; z = 11 / sqrt(82 / 3). The slopes, sorted, are
 * -1 0 1/2 2/3 1 1 5/4 [4/3] 7/5 3/2 3/2 2 2 3 3. */
static void test_a_trend_is_what_the_formulas_give_by_hand(void **state)
{
    static const double values[] = { 1, 3, 2, 5, 5, 8 };
    const struct pp_trend trend = pp_stat_trend(values, COUNT_OF(values));

    (void)state;
    check_near(trend.z, 11 / sqrt(82.0 / 3), 1e-12);
    check_near(trend.slope, 4.0 / 3, 1e-12);
    check_near(trend.change, (4 + 4.0 / 3 * 2.5) / 1 - 1, 1e-12); /* 2/3 is less than the least */
}

static void test_the_slope_is_the_one_of_a_line_through_its_points(void **state)
{
    double values[PP_TREND_VALUES_MAX];

    (void)state;
    for (unsigned count = 3; count <= PP_TREND_VALUES_MAX; count++) {
        const double n = count;
        struct pp_trend trend;

        for (unsigned i = 0; i < count; i++)
            values[i] = 100 - 0.25 * i;
        trend = pp_stat_trend(values, count);
        check_near(trend.slope, -0.25, 1e-12);
        check_near(trend.change, -0.25 * (n - 1) / 100, 1e-12);
        /* all n (n - 1) / 2 pairs fall */
        check_near(trend.z, -(n * (n - 1) / 2 - 1) / sqrt(n * (n - 1) * (2 * n + 5) / 18), 1e-9);
    }
}

static double constant(unsigned i)
{
    (void)i;
    return 7;
}

static void test_equal_values_have_no_trend(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= PP_TREND_VALUES_MAX; count++) {
        const struct pp_trend trend = trend_of(count, constant);

        assert_true(trend.z == 0 && trend.slope == 0 && trend.change == 0);
    }
}

static double rising(unsigned i)
{
    return i + 1;
}

static void test_fewer_than_three_values_have_no_trend(void **state)
{
    (void)state;
    for (unsigned count = 0; count < 3; count++) {
        const struct pp_trend trend = trend_of(count, rising);

        assert_true(trend.z == 0 && trend.slope == 0 && trend.change == 0);
    }
    assert_true(trend_of(3, rising).slope == 1);
}

static double negative(unsigned i)
{
    return i - 100.0;
}

static void test_values_below_0_have_a_slope_but_no_share_of_change(void **state)
{
    const struct pp_trend trend = trend_of(20, negative);

    (void)state;
    assert_true(trend.slope == 1 && trend.change == 0 && trend.z > 1.96);
}

/* The slope in the midst of a curve, drawn out over its whole length, would make it fall by more
 * than there is, or begin below 0. */
static void test_a_series_falls_by_no_more_than_all_and_rises_from_no_less_than_its_least(
    void **state)
{
    static const double curve[] = { 1000, 990, 960, 900, 800, 680, 540, 200, 90, 50,
                                    30,   20,  12,  8,   5,   3,   2,   2,   1,  1 };
    double turned[COUNT_OF(curve)];
    struct pp_trend trend = pp_stat_trend(curve, COUNT_OF(curve));

    (void)state;
    assert_true(trend.slope * (COUNT_OF(curve) - 1) / 40 < -4);
    assert_true(trend.change < -0.99 && trend.change >= -1);
    for (unsigned i = 0; i < COUNT_OF(curve); i++)
        turned[i] = curve[COUNT_OF(curve) - 1 - i];
    trend = pp_stat_trend(turned, COUNT_OF(curve));
    assert_true(trend.change > 1 && trend.change <= PP_TREND_CHANGE_MAX);
}

static double falling_to_0(unsigned i)
{
    return i < 8 ? 1000.0 - i : 0;
}

static double rising_from_0(unsigned i)
{
    return i < 5 ? 0 : 100.0 * i;
}

static double falling_from_0(unsigned i)
{
    return -(double)i;
}

static void test_a_series_that_begins_or_ends_with_0_has_a_change_that_can_be_told(void **state)
{
    (void)state;
    assert_true(trend_of(20, falling_to_0).change == -1);
    assert_true(trend_of(20, rising_from_0).change == PP_TREND_CHANGE_MAX);
    assert_true(trend_of(20, falling_from_0).change == 0);
}

static double rising_with_outliers(unsigned i)
{
    return i % 10 == 5 ? 1e9 : 100 + 2.0 * i;
}

static void test_a_few_outliers_do_not_hide_a_trend(void **state)
{
    const struct pp_trend trend = trend_of(40, rising_with_outliers);

    (void)state;
    check_near(trend.slope, 2, 0.2);
    assert_true(trend.z > 1.96);
}

/* splitmix64 (Steele, Lea and Flood 2014), 0 to 1. */
static double random_next(uint64_t *random)
{
    uint64_t z = (*random += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* How often out of 4,000 z lies beyond 1.96 for 30 random values of so many kinds, the more kinds
 * the fewer ties, that rise by so much in all. */
static unsigned trends_found(unsigned kinds, double rise)
{
    uint64_t random = kinds;
    unsigned found = 0;
    double values[30];

    for (unsigned trial = 0; trial < 4000; trial++) {
        for (unsigned i = 0; i < COUNT_OF(values); i++)
            values[i] = floor(random_next(&random) * kinds) + rise * i / 30.0;
        found += fabs(pp_stat_trend(values, COUNT_OF(values)).z) > 1.96;
    }
    return found;
}

/* The seed is fixed, so this cannot fail by chance. */
static void test_chance_alone_gives_a_trend_one_time_in_twenty(void **state)
{
    static const unsigned kinds[] = { 2, 3, 10, 1000000 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        assert_in_range(trends_found(kinds[i], 0), 140, 240);
    assert_true(trends_found(1000000, 1000000) > 3600);
}

static void test_the_order_alone_makes_a_trend(void **state)
{
    static const double up[] = { 3, 9, 4, 12, 11, 15, 13, 20, 16, 30, 22 };
    double down[COUNT_OF(up)];
    struct pp_trend a;
    struct pp_trend b;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(up); i++)
        down[i] = up[COUNT_OF(up) - 1 - i];
    a = pp_stat_trend(up, COUNT_OF(up));
    b = pp_stat_trend(down, COUNT_OF(down));
    assert_true(a.z > 0 && a.slope > 0 && a.change > 0);
    check_near(a.z, -b.z, 1e-12);
    check_near(a.slope, -b.slope, 1e-12);
    check_near((1 + a.change) * (1 + b.change), 1, 1e-12);
}

/* ---- fairness ---- */

static double jain_of(const double *values, uint64_t n)
{
    double sum = 0;
    double squares = 0;

    for (uint64_t i = 0; i < n; i++) {
        sum += values[i];
        squares += values[i] * values[i];
    }
    return pp_stat_jain(n, sum, squares);
}

/* If k of n share evenly and the others get nothing, it is k / n: Jain, Chiu and Hawe (1984). */
static void test_fairness_is_the_share_of_those_who_share(void **state)
{
    double values[50] = { 0 };

    (void)state;
    for (uint64_t k = 1; k <= COUNT_OF(values); k++) {
        values[k - 1] = 3;
        check_near(jain_of(values, COUNT_OF(values)), (double)k / COUNT_OF(values), 1e-12);
    }
}

/* By hand: (1 + 2 + 3)^2 / (3 (1 + 4 + 9)) = 36 / 42; how much there is to share is no matter. */
static void test_fairness_has_no_unit(void **state)
{
    static const double small[] = { 1, 2, 3 };
    static const double large[] = { 2e9, 6e9, 4e9 };

    (void)state;
    check_near(jain_of(small, 3), 36.0 / 42, 1e-12);
    check_near(jain_of(large, 3), 36.0 / 42, 1e-12);
}

static void test_nothing_to_share_is_fair(void **state)
{
    (void)state;
    assert_true(pp_stat_jain(0, 0, 0) == 1);
    assert_true(pp_stat_jain(5, 0, 0) == 1);
    assert_true(pp_stat_jain(1, 7, 49) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_intervals_are_those_of_the_literature),
        cmocka_unit_test(test_the_ends_are_where_chance_just_reaches_what_was_seen),
        cmocka_unit_test(test_an_interval_holds_what_was_seen_and_stays_within_0_and_1),
        cmocka_unit_test(test_none_and_all_touch_the_end_exactly),
        cmocka_unit_test(test_more_samples_of_the_same_share_say_more),
        cmocka_unit_test(test_without_a_sample_anything_is_possible),
        cmocka_unit_test(test_a_trend_is_what_the_formulas_give_by_hand),
        cmocka_unit_test(test_the_slope_is_the_one_of_a_line_through_its_points),
        cmocka_unit_test(test_equal_values_have_no_trend),
        cmocka_unit_test(test_fewer_than_three_values_have_no_trend),
        cmocka_unit_test(test_values_below_0_have_a_slope_but_no_share_of_change),
        cmocka_unit_test(
            test_a_series_falls_by_no_more_than_all_and_rises_from_no_less_than_its_least),
        cmocka_unit_test(test_a_series_that_begins_or_ends_with_0_has_a_change_that_can_be_told),
        cmocka_unit_test(test_a_few_outliers_do_not_hide_a_trend),
        cmocka_unit_test(test_chance_alone_gives_a_trend_one_time_in_twenty),
        cmocka_unit_test(test_the_order_alone_makes_a_trend),
        cmocka_unit_test(test_fairness_is_the_share_of_those_who_share),
        cmocka_unit_test(test_fairness_has_no_unit),
        cmocka_unit_test(test_nothing_to_share_is_fair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
