/* What trials come to: which are paired, what is called a difference and what is not, on made-up
 * machines whose truth is known. */
#include "base/container.h"
#include "base/random.h"
#include "result/change.h"
#include "result/comparison.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define ROUNDS 12
#define TRIALS_MAX (3 * ROUNDS)

static struct pp_comparison comparison;

static void compare(const struct pp_trial *trials, unsigned count, unsigned candidates)
{
    assert_int_equal(pp_comparison_of(trials, count, candidates, &comparison), 0);
}

static double normal(struct pp_random *random)
{
    return sqrt(-2 * log(pp_random_unit(random))) *
           cos(2 * 3.141592653589793 * pp_random_unit(random));
}

/* How noisy each metric is, as a standard deviation of its logarithm: as on a quiet machine. */
static const double noise[PP_METRICS] = { 0.01, 0.015, 0.015, 0.03 };

static struct pp_trial trial_of(struct pp_random *random, double *drift, unsigned candidate,
                                unsigned round, bool twin, double slower)
{
    static const double usual[PP_METRICS] = { 8000, 100000, 9000, 15000 };
    struct pp_trial trial = { .candidate = candidate, .round = round, .twin = twin };
    const double outlier = pp_random_below(random, 20) == 0 ? 4 : 1;

    *drift += 0.005 * normal(random);
    for (unsigned i = 0; i < PP_METRICS; i++) {
        const double off = log(slower) + *drift + noise[i] * outlier * normal(random);

        trial.figures[i] = usual[i] * exp(pp_metrics[i].more_is_better ? -off : off);
    }
    return trial;
}

/* A, A' and B in every round, shuffled. */
static unsigned experiment(struct pp_random *random, double slower,
                           struct pp_trial trials[TRIALS_MAX])
{
    double drift = 0;
    unsigned count = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned order[3] = { 0, 1, 2 };

        for (unsigned i = 3; i-- > 1;) {
            const unsigned j = pp_random_below(random, i + 1), swapped = order[i];

            order[i] = order[j];
            order[j] = swapped;
        }
        for (unsigned i = 0; i < 3; i++)
            trials[count++] = trial_of(random, &drift, order[i] == 2, round, order[i] == 1,
                                       order[i] == 2 ? slower : 1);
    }
    return count;
}

static bool is_told_apart(const struct pp_effect *effect)
{
    return effect->difference == PP_DIFFERENCE_BETTER || effect->difference == PP_DIFFERENCE_WORSE;
}

/* How many of so many experiments call the metric different, and any of them. */
struct calls {
    unsigned worse[PP_METRICS], better[PP_METRICS], any;
};

static struct calls call_often(unsigned times, double slower)
{
    struct pp_random random = { 7 };
    struct calls calls = { .any = 0 };

    for (unsigned i = 0; i < times; i++) {
        struct pp_trial trials[TRIALS_MAX];
        bool any = false;

        compare(trials, experiment(&random, slower, trials), 2);
        for (unsigned j = 0; j < PP_METRICS; j++) {
            const struct pp_effect *effect = &comparison.effects[1][j];

            calls.worse[j] += effect->difference == PP_DIFFERENCE_WORSE;
            calls.better[j] += effect->difference == PP_DIFFERENCE_BETTER;
            any |= is_told_apart(effect);
        }
        calls.any += any;
    }
    return calls;
}

static void test_the_same_program_twice_is_rarely_called_different(void **state)
{
    (void)state;
    assert_true(call_often(1000, 1).any <= 50);
}

static void test_five_percent_are_found(void **state)
{
    const struct calls calls = call_often(500, 1.05);

    (void)state;
    assert_true(calls.worse[PP_METRIC_CPU] >= 475);
    assert_true(calls.worse[PP_METRIC_RATE] >= 400);
    for (unsigned i = 0; i < PP_METRICS; i++)
        assert_int_equal(calls.better[i], 0);
}

static void test_one_percent_is_not_called_a_difference(void **state)
{
    const struct calls calls = call_often(500, 1.01);

    (void)state;
    for (unsigned i = 0; i < PP_METRICS; i++)
        assert_true(calls.worse[i] + calls.better[i] <= 40);
}

/* Trials that are all alike, but for candidate 1, in which each figure is by a half more. */
static unsigned plain(struct pp_trial *trials, unsigned rounds)
{
    unsigned count = 0;

    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < 3; i++) {
            struct pp_trial trial = { .candidate = i == 2, .round = round, .twin = i == 1 };

            for (unsigned j = 0; j < PP_METRICS; j++)
                trial.figures[j] = (i == 2 ? 150.0 : 100.0) + round;
            trials[count++] = trial;
        }
    return count;
}

static void test_better_is_less_time_and_more_rate(void **state)
{
    struct pp_trial trials[TRIALS_MAX];

    (void)state;
    compare(trials, plain(trials, ROUNDS), 2);
    assert_int_equal(comparison.rounds, ROUNDS);
    assert_int_equal(comparison.effects[1][PP_METRIC_CPU].difference, PP_DIFFERENCE_WORSE);
    assert_int_equal(comparison.effects[1][PP_METRIC_RATE].difference, PP_DIFFERENCE_BETTER);
    assert_int_equal(comparison.effects[1][PP_METRIC_P99].difference, PP_DIFFERENCE_WORSE);
    assert_true(fabs(comparison.effects[0][PP_METRIC_RATE].median - 105.5) < 1e-9);
    assert_true(fabs(comparison.effects[1][PP_METRIC_RATE].median - 155.5) < 1e-9);
    assert_true(comparison.floor[PP_METRIC_RATE] < 1e-9);
}

static void test_with_too_few_rounds_nothing_is_said(void **state)
{
    struct pp_trial trials[TRIALS_MAX];

    (void)state;
    compare(trials, plain(trials, PP_ROUNDS_LEAST - 1), 2);
    assert_int_equal(comparison.effects[1][PP_METRIC_RATE].difference, PP_DIFFERENCE_UNKNOWN);
    compare(trials, plain(trials, PP_ROUNDS_LEAST), 2);
    assert_int_equal(comparison.effects[1][PP_METRIC_RATE].difference, PP_DIFFERENCE_BETTER);
}

static void test_what_is_missing_leaves_its_pair_out_and_is_counted(void **state)
{
    struct pp_trial trials[TRIALS_MAX];
    const unsigned count = plain(trials, ROUNDS);

    (void)state;
    trials[2].missing = true;                         /* the candidate, round 0 */
    trials[3].missing = true;                         /* the baseline, round 1 */
    trials[8].figures[PP_METRIC_P99] = NAN;           /* the candidate, round 2 */
    trials[11].figures[PP_METRIC_CPU] = 0;            /* round 3: no figure either */
    trials[14].level = trials[13].level = PP_SUSPECT; /* the candidate, the twin */
    compare(trials, count, 2);
    assert_int_equal(comparison.effects[1][PP_METRIC_RATE].paired.n, ROUNDS - 2);
    assert_int_equal(comparison.effects[1][PP_METRIC_P99].paired.n, ROUNDS - 3);
    assert_int_equal(comparison.effects[1][PP_METRIC_CPU].paired.n, ROUNDS - 3);
    assert_int_equal(comparison.twin[PP_METRIC_RATE].paired.n, ROUNDS - 1);
    assert_int_equal(comparison.tallies[1].missing, 1);
    assert_int_equal(comparison.tallies[0].missing, 1);
    assert_int_equal(comparison.tallies[1].suspect, 1);
    assert_int_equal(comparison.tallies[0].suspect, 1);
    assert_int_equal(comparison.tallies[1].trials, ROUNDS);
    assert_int_equal(comparison.tallies[0].trials, 2 * ROUNDS);
}

static void test_the_order_of_trials_changes_nothing(void **state)
{
    struct pp_random random = { 3 };
    struct pp_trial trials[TRIALS_MAX], turned[TRIALS_MAX];
    const unsigned count = experiment(&random, 1.03, trials);
    struct pp_comparison straight;

    (void)state;
    for (unsigned i = 0; i < count; i++)
        turned[count - 1 - i] = trials[i];
    compare(trials, count, 2);
    straight = comparison;
    compare(turned, count, 2);
    assert_memory_equal(&straight, &comparison, sizeof straight);
}

/* With eight rounds the least p is 2/256, which eight tests make 0.06: one round more will do. */
static void test_what_is_no_comparison_is_refused(void **state)
{
    static const struct pp_trial good = { .figures = { 1, 1, 1, 1 } };
    static const struct pp_trial bad[] = {
        { .candidate = 2 },
        { .candidate = UINT32_MAX },
        { .candidate = 1, .twin = true },
        { .round = PP_ROUNDS_MAX },
        { .round = UINT32_MAX },
        { .candidate = 0 }, /* there is one already */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const struct pp_trial trials[] = { good, bad[i] };

        assert_int_equal(pp_comparison_of(trials, 2, 2, &comparison), -EINVAL);
    }
    assert_int_equal(pp_comparison_of(&good, 1, PP_CANDIDATES_MAX + 1, &comparison), -EINVAL);
    compare(&good, 1, 2);
}

static void test_figures_as_large_as_there_are_have_ratios(void **state)
{
    struct pp_trial trials[2 * ROUNDS];

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(trials); i++) {
        trials[i] = (struct pp_trial){ .candidate = i % 2, .round = i / 2 };
        for (unsigned j = 0; j < PP_METRICS; j++)
            trials[i].figures[j] = i % 2 ? 1e300 : 1e-300;
    }
    compare(trials, COUNT_OF(trials), 2);
    assert_int_equal(comparison.effects[1][PP_METRIC_RATE].paired.n, ROUNDS);
}

/* What is so with one candidate, and with four that are all A. */
static void test_of_many_that_are_the_same_few_are_called_different(void **state)
{
    struct pp_random random = { .state = 77 };
    unsigned called = 0;

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        struct pp_trial trials[5 * ROUNDS];
        bool any = false;
        double drift = 0;
        unsigned count = 0;

        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned j = 0; j < 5; j++, count++)
                trials[count] = trial_of(&random, &drift, j % 4, round, j == 4, 1);
        compare(trials, count, 4);
        for (unsigned j = 1; j < 4; j++)
            for (unsigned k = 0; k < PP_METRICS; k++)
                any |= comparison.effects[j][k].p_holm <= 0.05;
        called += any;
    }
    assert_true(called <= 500 * 7 / 100); /* 5 in 100, and two standard deviations */
}

static void test_what_is_clear_but_for_many_tests_takes_few_rounds_more(void **state)
{
    struct pp_trial trials[4 * PP_ROUNDS_LEAST];
    unsigned count = plain(trials, PP_ROUNDS_LEAST);

    (void)state;
    for (unsigned round = 0; round < PP_ROUNDS_LEAST; round++) {
        trials[count] = trials[3 * round + 2];
        trials[count++].candidate = 2;
    }
    compare(trials, count, 3);
    assert_int_equal(comparison.effects[1][PP_METRIC_CPU].difference, PP_DIFFERENCE_CANNOT_TELL);
    assert_int_equal(comparison.effects[1][PP_METRIC_CPU].rounds_needed, PP_ROUNDS_LEAST + 1);
}

/* The baseline's own second trials are 10 % off: 5 % are nothing to act upon. */
static void test_less_than_the_baseline_differs_from_itself_is_no_difference(void **state)
{
    struct pp_trial trials[TRIALS_MAX];
    const unsigned count = plain(trials, ROUNDS);

    (void)state;
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < PP_METRICS; j++)
            trials[i].figures[j] = trials[i].twin ? 110 : trials[i].candidate ? 105 : 100;
    compare(trials, count, 2);
    assert_true(comparison.floor[PP_METRIC_RATE] > 0.099);
    assert_int_equal(comparison.effects[1][PP_METRIC_RATE].difference, PP_DIFFERENCE_NOISE);
}

static void test_no_change_at_all_is_the_same(void **state)
{
    struct pp_trial trials[TRIALS_MAX];
    const unsigned count = plain(trials, ROUNDS);

    (void)state;
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < PP_METRICS; j++)
            trials[i].figures[j] = 100 + (i % 2) * 0.5;
    compare(trials, count, 2);
    assert_int_equal(comparison.effects[1][PP_METRIC_P50].difference, PP_DIFFERENCE_SAME);
}

static void test_a_condition_is_met_only_where_that_is_sure(void **state)
{
    static const struct {
        const char *text;
        enum pp_change change;
    } table[] = {
        { "rate>+40%", PP_CHANGE_SURELY },
        { "rate<-3%", PP_CHANGE_NO },
        { "rate<+48%", PP_CHANGE_CANNOT_TELL },
        { "cpu>=0%", PP_CHANGE_SURELY },
        { "p99>60%", PP_CHANGE_NO },
        { "p50<100%", PP_CHANGE_SURELY },
    };
    struct pp_trial trials[TRIALS_MAX];

    (void)state;
    compare(trials, plain(trials, ROUNDS), 2);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct pp_error err = { 0 };
        struct pp_gate gate;

        assert_int_equal(pp_gate_parse_change(&gate, table[i].text, strlen(table[i].text), &err),
                         0);
        assert_int_equal(pp_change_check(&gate, &err), 0);
        if (pp_change_of(&gate, &comparison, 1) != table[i].change)
            fail_msg("%s: %d", table[i].text, pp_change_of(&gate, &comparison, 1));
    }
    compare(trials, plain(trials, PP_ROUNDS_LEAST - 1), 2);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct pp_gate gate;

        assert_int_equal(pp_gate_parse_change(&gate, table[i].text, strlen(table[i].text), NULL),
                         0);
        assert_int_equal(pp_change_of(&gate, &comparison, 1), PP_CHANGE_CANNOT_TELL);
    }
}

static void test_a_condition_that_makes_no_sense_is_refused(void **state)
{
    static const char *const texts[] = { "rate",     "rate<",  "rate<3", "rate<3k%",
                                         "rate==3%", "rate<%", "<3%",    "rate<--3%" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct pp_error err = { 0 };
        struct pp_gate gate;

        if (pp_gate_parse_change(&gate, texts[i], strlen(texts[i]), &err) != -EINVAL)
            fail_msg("%s is taken", texts[i]);
        assert_int_equal(err.kind, PP_ERROR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_program_twice_is_rarely_called_different),
        cmocka_unit_test(test_five_percent_are_found),
        cmocka_unit_test(test_one_percent_is_not_called_a_difference),
        cmocka_unit_test(test_better_is_less_time_and_more_rate),
        cmocka_unit_test(test_with_too_few_rounds_nothing_is_said),
        cmocka_unit_test(test_what_is_missing_leaves_its_pair_out_and_is_counted),
        cmocka_unit_test(test_the_order_of_trials_changes_nothing),
        cmocka_unit_test(test_less_than_the_baseline_differs_from_itself_is_no_difference),
        cmocka_unit_test(test_what_is_no_comparison_is_refused),
        cmocka_unit_test(test_figures_as_large_as_there_are_have_ratios),
        cmocka_unit_test(test_of_many_that_are_the_same_few_are_called_different),
        cmocka_unit_test(test_what_is_clear_but_for_many_tests_takes_few_rounds_more),
        cmocka_unit_test(test_no_change_at_all_is_the_same),
        cmocka_unit_test(test_a_condition_is_met_only_where_that_is_sure),
        cmocka_unit_test(test_a_condition_that_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
