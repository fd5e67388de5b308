#include "base/container.h"
#include "base/random.h"
#include "measure/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static const double qs[] = { 1e-9, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };

static uint64_t highest_ns(uint64_t value_ns)
{
    struct pp_hist_small hist = { .total = 0 };

    pp_hist_small_record(&hist, value_ns);
    hist.max_ns = PP_HIST_HIGHEST_NS; /* so that it is not what is returned, but in the last one */
    return pp_hist_small_quantile_ns(&hist, 1);
}

static void test_it_takes_less_than_2_kb(void **state)
{
    (void)state;
    assert_true(sizeof(struct pp_hist_small) < 2000);
}

static void test_an_empty_one_answers_zero_and_supports_nothing(void **state)
{
    struct pp_hist_small hist;

    (void)state;
    memset(&hist, 0xa5, sizeof hist);
    pp_hist_small_reset(&hist);
    assert_int_equal(pp_hist_small_quantile_ns(&hist, 0.5), 0);
    assert_int_equal(hist.total, 0);
    assert_int_equal(hist.max_ns, 0);
    assert_false(pp_hist_small_supports(&hist, 1e-9));
}

static void test_buckets_follow_each_other_without_gap_or_overlap(void **state)
{
    uint64_t lowest_ns = 0;
    uint32_t index = 0;

    (void)state;
    for (; lowest_ns <= PP_HIST_HIGHEST_NS; index++) {
        const uint64_t top_ns = highest_ns(lowest_ns);

        assert_int_equal(pp_hist_small_index(lowest_ns), index);
        if (top_ns <= PP_HIST_HIGHEST_NS)
            assert_int_equal(pp_hist_small_index(top_ns), index);
        assert_true(top_ns >= lowest_ns);
        lowest_ns = top_ns + 1;
    }
    assert_true(index <= PP_HIST_SMALL_COUNTS);
    assert_int_equal(index, pp_hist_small_index(PP_HIST_HIGHEST_NS) + 1);
}

static void test_a_value_read_back_is_above_by_less_than_a_sixteenth_or_8_ns(void **state)
{
    struct pp_random random = { 1 };

    (void)state;
    for (int i = 0; i < 300000; i++) {
        const uint64_t wide = pp_random_next(&random) >> (28 + pp_random_below(&random, 36));
        const uint64_t value_ns = wide % (PP_HIST_HIGHEST_NS + 1);
        const uint64_t read_ns = highest_ns(value_ns);

        assert_true(read_ns >= value_ns);
        assert_true((read_ns - value_ns) * 16 < value_ns || read_ns - value_ns < 8);
    }
}

static void test_quantiles_are_at_most_a_sixteenth_above_those_of_the_large_one(void **state)
{
    static const uint32_t totals[] = { 1, 2, 10, 100, 1000, 20000 };
    struct pp_random random = { 2 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(totals); i++) {
        struct pp_hist_small small = { .total = 0 };
        struct pp_hist large;

        pp_hist_reset(&large);
        for (uint32_t n = 0; n < totals[i]; n++) {
            const uint64_t value_ns = 1000 + (pp_random_next(&random) >>
                                              (30 + pp_random_below(&random, 20)));

            pp_hist_small_record(&small, value_ns);
            pp_hist_record(&large, value_ns);
        }
        assert_int_equal(small.total, large.total);
        assert_int_equal(small.max_ns, large.max_ns);
        for (size_t j = 0; j < COUNT_OF(qs); j++) {
            const uint64_t got_ns = pp_hist_small_quantile_ns(&small, qs[j]);
            const uint64_t exact_ns = pp_hist_quantile_ns(&large, qs[j]);

            assert_true(got_ns >= exact_ns);
            assert_true((got_ns - exact_ns) * 16 < exact_ns);
        }
    }
}

static void test_every_quantile_of_one_sample_is_that_sample(void **state)
{
    struct pp_hist_small hist = { .total = 0 };

    (void)state;
    pp_hist_small_record(&hist, 123456789);
    for (size_t i = 0; i < COUNT_OF(qs); i++)
        assert_int_equal(pp_hist_small_quantile_ns(&hist, qs[i]), 123456789);
}

static void test_it_supports_what_the_large_one_supports(void **state)
{
    struct pp_hist_small small = { .total = 0 };
    struct pp_hist large;

    (void)state;
    pp_hist_reset(&large);
    for (int n = 0; n <= 12000; n++) {
        for (size_t i = 0; i < COUNT_OF(qs); i++)
            assert_int_equal(pp_hist_small_supports(&small, qs[i]),
                             pp_hist_supports(&large, qs[i]));
        pp_hist_small_record(&small, 5);
        pp_hist_record(&large, 5);
    }
}

static void test_values_beyond_the_range_are_in_the_last_bucket(void **state)
{
    struct pp_hist_small hist = { .total = 0 };

    (void)state;
    pp_hist_small_record(&hist, UINT64_MAX);
    pp_hist_small_record(&hist, PP_HIST_HIGHEST_NS);
    assert_int_equal(hist.counts[pp_hist_small_index(PP_HIST_HIGHEST_NS)], 2);
    assert_true(hist.max_ns == UINT64_MAX);
    assert_true(pp_hist_small_quantile_ns(&hist, 0.5) == UINT64_MAX);
    assert_true(pp_hist_small_quantile_ns(&hist, 1) == UINT64_MAX);
}

static void test_a_full_bucket_takes_no_more_and_quantiles_go_on(void **state)
{
    struct pp_hist_small hist = { .total = 0 };

    (void)state;
    hist.counts[pp_hist_small_index(1000)] = UINT32_MAX - 1;
    hist.total = UINT32_MAX - 1;
    for (int i = 0; i < 3; i++)
        pp_hist_small_record(&hist, 1000);
    assert_int_equal(hist.counts[pp_hist_small_index(1000)], UINT32_MAX);
    assert_int_equal(hist.total, UINT32_MAX);
    assert_int_equal(pp_hist_small_quantile_ns(&hist, 1), 1000);
    pp_hist_small_record(&hist, 5000);
    assert_int_equal(hist.total, UINT64_C(1) << 32);
    assert_int_equal(pp_hist_small_quantile_ns(&hist, 1), 5000);
    assert_int_equal(pp_hist_small_index(pp_hist_small_quantile_ns(&hist, 0.5)),
                     pp_hist_small_index(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_takes_less_than_2_kb),
        cmocka_unit_test(test_an_empty_one_answers_zero_and_supports_nothing),
        cmocka_unit_test(test_buckets_follow_each_other_without_gap_or_overlap),
        cmocka_unit_test(test_a_value_read_back_is_above_by_less_than_a_sixteenth_or_8_ns),
        cmocka_unit_test(test_quantiles_are_at_most_a_sixteenth_above_those_of_the_large_one),
        cmocka_unit_test(test_every_quantile_of_one_sample_is_that_sample),
        cmocka_unit_test(test_it_supports_what_the_large_one_supports),
        cmocka_unit_test(test_values_beyond_the_range_are_in_the_last_bucket),
        cmocka_unit_test(test_a_full_bucket_takes_no_more_and_quantiles_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
