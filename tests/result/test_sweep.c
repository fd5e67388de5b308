/* What trials say of the points of a ladder. */
#include "result/sweep.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

static struct pp_trial trial_of(unsigned candidate, double rate)
{
    return (struct pp_trial){ .candidate = candidate,
                              .figures = { 10, rate, 20, NAN },
                              .p999_ns = 30,
                              .bytes_per_s = rate * 10 };
}

static void test_a_point_has_the_medians_of_its_trials_and_their_spread(void **state)
{
    const struct pp_trial trials[] = { trial_of(0, 300), trial_of(1, 7), trial_of(0, 100),
                                       trial_of(0, 260) };
    struct pp_sweep_point points[2];

    (void)state;
    assert_int_equal(pp_sweep_of(trials, 4, points, 2), 0);
    assert_true(fabs(points[0].figures[PP_METRIC_RATE] - 260) < 1e-9);
    assert_true(fabs(points[0].bytes_per_s - 2600) < 1e-9);
    assert_true(fabs(points[0].rate_least - 100) < 1e-9);
    assert_true(fabs(points[0].rate_most - 300) < 1e-9);
    assert_true(isnan(points[0].figures[PP_METRIC_P99]));
    assert_int_equal(points[0].trials, 3);
    assert_int_equal(points[0].level, PP_VALID);
    assert_true(fabs(points[1].figures[PP_METRIC_RATE] - 7) < 1e-9);
}

static void test_its_verdict_is_the_worst_and_what_is_missing_counts(void **state)
{
    struct pp_trial trials[] = { trial_of(0, 1), trial_of(0, 2), trial_of(1, 3), trial_of(1, 4) };
    struct pp_sweep_point points[3];

    (void)state;
    trials[1].level = PP_SUSPECT;
    trials[2].missing = trials[3].missing = true;
    assert_int_equal(pp_sweep_of(trials, 4, points, 3), 0);
    assert_int_equal(points[0].level, PP_SUSPECT);
    assert_int_equal(points[1].level, PP_INVALID);
    assert_int_equal(points[1].missing, 2);
    assert_true(isnan(points[1].figures[PP_METRIC_RATE]));
    assert_int_equal(points[2].trials, 0); /* it has not come to its turn */
    assert_int_equal(points[2].level, PP_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_point_has_the_medians_of_its_trials_and_their_spread),
        cmocka_unit_test(test_its_verdict_is_the_worst_and_what_is_missing_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
