/* What pairs say of a ratio: against published tables, brute force, and made-up experiments whose
 * truth is known. */
#include "base/container.h"
#include "base/random.h"
#include "measure/paired.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

static void assert_near(double value, double wanted, double off)
{
    if (!(fabs(value - wanted) <= off))
        fail_msg("%.15g is not %.15g", value, wanted);
}

/* ---- the distribution ---- */

/* Critical values of the signed-rank test: the greatest w with P(W+ <= w) <= 0.025, as Wilcoxon's
 * tables have them (two-sided 5 %), and the same for 0.005 (two-sided 1 %). 0 is a value, too; -1
 * is none. */
static void test_the_distribution_is_that_of_the_published_tables(void **state)
{
    static const struct {
        unsigned n;
        int at_5, at_1;
    } table[] = {
        { 5, -1, -1 },  { 6, 0, -1 },   { 7, 2, -1 },     { 8, 3, 0 },    { 9, 5, 1 },
        { 10, 8, 3 },   { 11, 10, 5 },  { 12, 13, 7 },    { 13, 17, 9 },  { 14, 21, 12 },
        { 15, 25, 15 }, { 16, 29, 19 }, { 17, 34, 23 },   { 18, 40, 27 }, { 19, 46, 32 },
        { 20, 52, 37 }, { 25, 89, 68 }, { 30, 137, 109 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const unsigned n = table[i].n;

        if (table[i].at_5 >= 0)
            assert_true(pp_paired_chance(n, (unsigned)table[i].at_5) <= 0.025);
        assert_true(pp_paired_chance(n, (unsigned)(table[i].at_5 + 1)) > 0.025);
        if (table[i].at_1 >= 0)
            assert_true(pp_paired_chance(n, (unsigned)table[i].at_1) <= 0.005);
        assert_true(pp_paired_chance(n, (unsigned)(table[i].at_1 + 1)) > 0.005);
    }
}

/* The ranks with a plus in each of the 2^n patterns of signs. */
static void test_the_distribution_is_that_of_all_patterns_of_signs(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 12; n++) {
        const unsigned most = n * (n + 1) / 2;
        unsigned counts[79] = { 0 }, below = 0;

        for (unsigned pattern = 0; pattern < 1U << n; pattern++) {
            unsigned sum = 0;

            for (unsigned i = 0; i < n; i++)
                sum += pattern >> i & 1 ? i + 1 : 0;
            counts[sum]++;
        }
        for (unsigned w = 0; w <= most; w++) {
            below += counts[w];
            assert_near(pp_paired_chance(n, w), below / ldexp(1, (int)n), 1e-12);
        }
        assert_near(pp_paired_chance(n, most + 7), 1, 0);
    }
}

static void test_hundreds_of_pairs_have_a_distribution_too(void **state)
{
    const unsigned n = PP_PAIRED_MAX, middle = n * (n + 1) / 4;

    (void)state;
    assert_near(pp_paired_chance(n, middle), 0.5, 0.001);
    assert_near(pp_paired_chance(n, middle - 6458), 0.02275, 0.0005); /* two standard deviations */
}

/* ---- the estimate ---- */

static struct pp_paired paired_of(const double *logs, unsigned n)
{
    struct pp_paired paired;

    assert_int_equal(pp_paired_of(logs, n, &paired), 0);
    return paired;
}

static void test_the_estimate_is_the_median_of_the_walsh_averages(void **state)
{
    /* averages: 0, .5, 1, 2, 2.5, 4 */
    const struct pp_paired paired = paired_of((const double[]){ 4, 0, 1 }, 3);

    (void)state;
    assert_near(paired.ratio, exp(1.5), 1e-12);
    assert_int_equal(paired.n, 3);
}

/* With n pairs it goes from the k-th lowest Walsh average to the k-th highest: k is 1 for 6 pairs,
 * 4 for 8, 9 for 10, 14 for 12. */
static void test_the_interval_is_cut_where_the_table_says(void **state)
{
    static const struct {
        unsigned n, k;
    } table[] = { { 6, 1 }, { 8, 4 }, { 10, 9 }, { 12, 14 } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const unsigned n = table[i].n, k = table[i].k;
        double logs[12], averages[78];
        unsigned count = 0, low = 0, high = 0;
        struct pp_paired paired;

        for (unsigned j = 0; j < n; j++)
            logs[j] = sqrt(2 + j * 3.0) * (j % 2 ? 1 : -1);
        for (unsigned j = 0; j < n; j++)
            for (unsigned m = j; m < n; m++)
                averages[count++] = (logs[j] + logs[m]) / 2;
        paired = paired_of(logs, n);
        for (unsigned j = 0; j < count; j++) {
            low += averages[j] <= log(paired.at95.low) + 1e-9;
            high += averages[j] >= log(paired.at95.high) - 1e-9;
        }
        assert_int_equal(low, k);
        assert_int_equal(high, k);
        assert_true(paired.at90.low >= paired.at95.low && paired.at90.high <= paired.at95.high);
    }
}

/* What holds of logarithms of ratios holds of any values. */
static void test_a_shift_is_the_estimate_and_the_interval_of_the_values_themselves(void **state)
{
    double values[12];
    struct pp_paired paired;
    struct pp_shift shift;

    (void)state;
    for (unsigned i = 0; i < 12; i++)
        values[i] = sqrt(2 + i * 3.0) * (i % 2 ? 1 : -1);
    paired = paired_of(values, 12);
    assert_int_equal(pp_shift_of(values, 12, &shift), 0);
    assert_int_equal(shift.n, 12);
    assert_near(shift.estimate, log(paired.ratio), 1e-12);
    assert_near(shift.at95.low, log(paired.at95.low), 1e-12);
    assert_near(shift.at95.high, log(paired.at95.high), 1e-12);
    assert_int_equal(pp_shift_of(values, 5, &shift), 0);
    assert_true(isinf(shift.at95.low) && isinf(shift.at95.high));
    assert_int_equal(pp_shift_of(values, 0, &shift), 0);
    assert_true(isnan(shift.estimate));
}

static void test_five_pairs_say_nothing_and_none_less(void **state)
{
    const double logs[] = { 1, 2, 3, 4, 5 };
    struct pp_paired paired = paired_of(logs, 5);

    (void)state;
    assert_true(!(paired.at95.low > 0) && isinf(paired.at95.high));
    assert_near(paired.p, 2 / 32.0, 1e-12);
    assert_int_equal(pp_paired_rounds_needed(&paired, 0.02), 0);
    paired = paired_of(logs, 0);
    assert_true(isnan(paired.ratio));
    assert_near(paired.p, 1, 0);
}

static void test_p_is_that_of_the_table_and_of_no_difference_one(void **state)
{
    const double up[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, none[8] = { 0 };
    const double mixed[] = { -1, 2, 3, 4, 5, 6, 7, -8 }; /* W- = 9 */

    (void)state;
    assert_near(paired_of(up, 8).p, 2 / 256.0, 1e-12);
    assert_near(paired_of(none, 8).p, 1, 0);
    assert_near(paired_of(mixed, 8).p, 2 * pp_paired_chance(8, 9), 1e-12);
}

static void test_rounds_needed_follow_from_the_width_of_the_interval(void **state)
{
    struct pp_paired paired = { .n = 12, .at95 = { exp(-0.04), exp(0.04) } };

    (void)state;
    assert_int_equal(pp_paired_rounds_needed(&paired, 0.02), 49); /* 12 * (.04 / ln 1.02)^2 */
    paired.at95.low = exp(-0.001);
    paired.at95.high = exp(0.001);
    assert_int_equal(pp_paired_rounds_needed(&paired, 0.02), 12);
}

static void test_holm_corrects_the_least_most_and_keeps_the_order(void **state)
{
    double p[] = { 0.04, 0.01, 0.03, 0.005 };

    (void)state;
    pp_paired_holm(p, 4);
    assert_near(p[3], 0.02, 1e-12);
    assert_near(p[1], 0.03, 1e-12);
    assert_near(p[2], 0.06, 1e-12);
    assert_near(p[0], 0.06, 1e-12);
}

/* ---- experiments of which the truth is known ---- */

static double normal(struct pp_random *random)
{
    return sqrt(-2 * log(pp_random_unit(random))) *
           cos(2 * 3.141592653589793 * pp_random_unit(random));
}

/* The logarithm of a trial's figure: noise of 3 %, of which one in ten has five times as much, on a
 * machine that drifts by 1 % a trial or so, in steps that remember. */
static double trial(struct pp_random *random, double *drift)
{
    const double outlier = pp_random_below(random, 10) == 0 ? 5 : 1;

    *drift += 0.01 * normal(random);
    return *drift + 0.03 * outlier * normal(random);
}

#define ROUNDS 12
#define EXPERIMENTS 2000

/* Pairs in turns: the truth is in 93 to 97 % of the intervals. */
static void test_an_interval_holds_the_truth_as_often_as_it_says(void **state)
{
    struct pp_random random = { 1 };
    unsigned inside = 0;

    (void)state;
    for (unsigned i = 0; i < EXPERIMENTS; i++) {
        const double truth = 0.05;
        double logs[ROUNDS], drift = 0;
        struct pp_paired paired;

        for (unsigned j = 0; j < ROUNDS; j++) {
            const bool first = pp_random_below(&random, 2) == 0;
            const double a = trial(&random, &drift), b = trial(&random, &drift);

            logs[j] = truth + (first ? b - a : a - b);
        }
        paired = paired_of(logs, ROUNDS);
        inside += paired.at95.low <= exp(truth) && exp(truth) <= paired.at95.high;
    }
    assert_in_range(inside, EXPERIMENTS * 93 / 100, EXPERIMENTS * 97 / 100);
}

/* The same machine, but all of one before all of the other: the formula cannot make up for that. */
static void test_without_turns_no_interval_would_hold_what_it_says(void **state)
{
    struct pp_random random = { 2 };
    unsigned inside = 0;

    (void)state;
    for (unsigned i = 0; i < EXPERIMENTS; i++) {
        double logs[ROUNDS], drift = 0;
        struct pp_paired paired;

        for (unsigned j = 0; j < ROUNDS; j++)
            logs[j] = -trial(&random, &drift);
        for (unsigned j = 0; j < ROUNDS; j++)
            logs[j] += trial(&random, &drift);
        paired = paired_of(logs, ROUNDS);
        inside += paired.at95.low <= 1 && 1 <= paired.at95.high;
    }
    assert_true(inside < EXPERIMENTS * 80 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_distribution_is_that_of_the_published_tables),
        cmocka_unit_test(test_the_distribution_is_that_of_all_patterns_of_signs),
        cmocka_unit_test(test_hundreds_of_pairs_have_a_distribution_too),
        cmocka_unit_test(test_the_estimate_is_the_median_of_the_walsh_averages),
        cmocka_unit_test(test_the_interval_is_cut_where_the_table_says),
        cmocka_unit_test(test_a_shift_is_the_estimate_and_the_interval_of_the_values_themselves),
        cmocka_unit_test(test_five_pairs_say_nothing_and_none_less),
        cmocka_unit_test(test_p_is_that_of_the_table_and_of_no_difference_one),
        cmocka_unit_test(test_rounds_needed_follow_from_the_width_of_the_interval),
        cmocka_unit_test(test_holm_corrects_the_least_most_and_keeps_the_order),
        cmocka_unit_test(test_an_interval_holds_the_truth_as_often_as_it_says),
        cmocka_unit_test(test_without_turns_no_interval_would_hold_what_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
