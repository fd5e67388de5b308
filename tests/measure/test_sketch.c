#include "base/container.h"
#include "base/random.h"
#include "measure/sketch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static const double qs[] = { 1e-9, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };

/* A sketch, and all that goes with it. */
struct filled {
    struct pp_sketch sketch;
    struct pp_sketch_recent recent;
    struct pp_random random;
};

static void record(struct filled *filled, uint64_t value_ns)
{
    pp_sketch_record(&filled->sketch, &filled->recent, &filled->random, value_ns);
}

static void flush(struct filled *filled)
{
    pp_sketch_flush(&filled->sketch, &filled->recent, &filled->random);
}

static uint64_t highest_ns(uint64_t value_ns)
{
    struct filled one = { .random = { 1 } };

    record(&one, value_ns);
    flush(&one);
    return pp_sketch_quantile_ns(&one.sketch, 1, UINT64_MAX - 1);
}

static void test_an_empty_one_answers_zero(void **state)
{
    struct filled filled = { .random = { 1 } };

    (void)state;
    flush(&filled);
    assert_int_equal(pp_sketch_quantile_ns(&filled.sketch, 0.5, 9), 0);
    assert_int_equal(pp_sketch_total(&filled.sketch), 0);
}

static void test_one_that_is_reset_is_empty(void **state)
{
    struct filled filled = { .random = { 1 } };

    (void)state;
    for (int i = 0; i < 200000; i++)
        record(&filled, 5000);
    pp_sketch_reset(&filled.sketch, &filled.recent);
    flush(&filled);
    assert_int_equal(pp_sketch_total(&filled.sketch), 0);
    for (int i = 0; i < 1000; i++) /* and each sample counts again */
        record(&filled, 5000);
    flush(&filled);
    assert_int_equal(pp_sketch_total(&filled.sketch), 1000);
}

static void test_buckets_follow_each_other_without_gap_or_overlap(void **state)
{
    uint64_t lowest_ns = 0;
    uint32_t index = 0;

    (void)state;
    for (; lowest_ns <= PP_HIST_HIGHEST_NS; index++) {
        const uint64_t top_ns = highest_ns(lowest_ns);

        assert_int_equal(pp_sketch_index(lowest_ns), index);
        if (top_ns <= PP_HIST_HIGHEST_NS)
            assert_int_equal(pp_sketch_index(top_ns), index);
        assert_true(top_ns >= lowest_ns);
        lowest_ns = top_ns + 1;
        if (top_ns == UINT64_MAX - 1) {
            index++;
            break;
        }
    }
    assert_true(index <= PP_SKETCH_COUNTS);
    assert_int_equal(index, pp_sketch_index(PP_HIST_HIGHEST_NS) + 1);
}

static void test_a_value_read_back_is_above_by_less_than_an_eighth_or_64_ns(void **state)
{
    struct pp_random random = { 1 };

    (void)state;
    for (int i = 0; i < 300000; i++) {
        const uint64_t wide = pp_random_next(&random) >> (28 + pp_random_below(&random, 36));
        const uint64_t value_ns = wide % (PP_HIST_HIGHEST_NS + 1);
        const uint64_t read_ns = highest_ns(value_ns);

        if (pp_sketch_index(value_ns) == pp_sketch_index(PP_HIST_HIGHEST_NS))
            continue;
        assert_true(read_ns >= value_ns);
        assert_true((read_ns - value_ns) * 8 < value_ns || read_ns - value_ns < 64);
    }
}

static void test_quantiles_are_at_most_an_eighth_above_those_of_a_histogram(void **state)
{
    static const uint32_t totals[] = { 1, 2, 10, 100, 1000, 20000 };
    struct pp_random random = { 2 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(totals); i++) {
        struct filled filled = { .random = { 1 } };
        struct pp_hist *hist = malloc(sizeof *hist);

        assert_non_null(hist);
        pp_hist_reset(hist);
        for (uint32_t n = 0; n < totals[i]; n++) {
            const uint64_t value_ns = 1000 + (pp_random_next(&random) >>
                                              (30 + pp_random_below(&random, 20)));

            record(&filled, value_ns);
            pp_hist_record(hist, value_ns);
        }
        flush(&filled);
        assert_int_equal(pp_sketch_total(&filled.sketch), hist->total);
        for (size_t j = 0; j < COUNT_OF(qs); j++) {
            const uint64_t got_ns = pp_sketch_quantile_ns(&filled.sketch, qs[j], hist->max_ns);
            const uint64_t exact_ns = pp_hist_quantile_ns(hist, qs[j]);

            assert_true(got_ns * 1000 >= exact_ns * 999); /* exact_ns has its bucket's width, too */
            assert_true((got_ns - exact_ns) * 8 < exact_ns || got_ns < exact_ns);
        }
        free(hist);
    }
}

static void test_no_quantile_is_above_the_longest_sample(void **state)
{
    struct filled filled = { .random = { 1 } };

    (void)state;
    record(&filled, 123456789);
    flush(&filled);
    for (size_t i = 0; i < COUNT_OF(qs); i++)
        assert_int_equal(pp_sketch_quantile_ns(&filled.sketch, qs[i], 123456789), 123456789);
}

static void test_values_beyond_the_range_are_in_the_last_bucket(void **state)
{
    struct filled filled = { .random = { 1 } };

    (void)state;
    record(&filled, UINT64_MAX);
    record(&filled, PP_HIST_HIGHEST_NS);
    flush(&filled);
    assert_int_equal(filled.sketch.counts[pp_sketch_index(PP_HIST_HIGHEST_NS)], 2);
    assert_true(pp_sketch_quantile_ns(&filled.sketch, 0.5, UINT64_MAX) == UINT64_MAX);
}

/* Of ten million samples, of which one in 50 is slow, first few and then many: a sketch that let
 * those that come last count for more would put the slow ones elsewhere than where they are. */
static void test_of_more_samples_than_it_holds_those_that_stay_are_drawn_by_chance(void **state)
{
    enum { SAMPLES = 10000000, SLOW_EACH = 50 };
    static const bool slow_first[] = { true, false };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(slow_first); i++) {
        struct filled filled = { .random = { 7 } };
        uint64_t slow, total;

        for (int n = 0; n < SAMPLES; n++) {
            const bool is_slow = slow_first[i] ? n < SAMPLES / SLOW_EACH
                                               : n >= SAMPLES - SAMPLES / SLOW_EACH;

            record(&filled, is_slow ? 1000000 : 10000);
        }
        flush(&filled);
        slow = filled.sketch.counts[pp_sketch_index(1000000)];
        total = pp_sketch_total(&filled.sketch);
        assert_true(filled.recent.halvings > 0 && total > 32767);
        /* A binomial share of 0.02 of 32,768 or more: 0.0008 is one standard deviation at most. */
        assert_true((double)slow / (double)total > 1.0 / SLOW_EACH - 0.004);
        assert_true((double)slow / (double)total < 1.0 / SLOW_EACH + 0.004);
        assert_true(pp_sketch_quantile_ns(&filled.sketch, 0.99, UINT64_MAX) >= 1000000);
        assert_true(pp_sketch_quantile_ns(&filled.sketch, 0.95, UINT64_MAX) < 12000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_one_answers_zero),
        cmocka_unit_test(test_one_that_is_reset_is_empty),
        cmocka_unit_test(test_buckets_follow_each_other_without_gap_or_overlap),
        cmocka_unit_test(test_a_value_read_back_is_above_by_less_than_an_eighth_or_64_ns),
        cmocka_unit_test(test_quantiles_are_at_most_an_eighth_above_those_of_a_histogram),
        cmocka_unit_test(test_no_quantile_is_above_the_longest_sample),
        cmocka_unit_test(test_values_beyond_the_range_are_in_the_last_bucket),
        cmocka_unit_test(test_of_more_samples_than_it_holds_those_that_stay_are_drawn_by_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
