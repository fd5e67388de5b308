#include "base/container.h"
#include "measure/stat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

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
        cmocka_unit_test(test_fairness_is_the_share_of_those_who_share),
        cmocka_unit_test(test_fairness_has_no_unit),
        cmocka_unit_test(test_nothing_to_share_is_fair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
