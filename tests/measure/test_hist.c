/* Known values come from hdr-histogram-js 3 with lowest 1, highest 60e9 and 3 digits. */
#include "base/container.h"
#include "measure/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define SEED UINT64_C(0x70696e67)

/* A share as a fraction, so that a test can find a sample's rank without rounding. */
struct share {
    uint64_t part;
    uint64_t whole;
};

static const struct share shares[] = {
    { 1, 1000000 }, { 1, 1000 },   { 7, 100 },      { 25, 100 },         { 29, 100 },
    { 50, 100 },    { 55, 100 },   { 57, 100 },     { 90, 100 },         { 95, 100 },
    { 99, 100 },    { 999, 1000 }, { 9999, 10000 }, { 999999, 1000000 }, { 1, 1 },
};

static double share_q(struct share share)
{
    return (double)share.part / (double)share.whole;
}

static uint64_t share_rank(struct share share, uint64_t total)
{
    return (share.part * total + share.whole - 1) / share.whole;
}

/* Knuth's MMIX generator; its low bits are poor. */
static uint64_t random_next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* About as many values of each magnitude, from 0 to the highest. */
static uint64_t random_value_ns(uint64_t *seed)
{
    const uint64_t wide = random_next(seed) << 31 | random_next(seed);

    return (wide >> (26 + random_next(seed) % 36)) % (PP_HIST_HIGHEST_NS + 1);
}

static int compare_values(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void record_all(struct pp_hist *hist, const uint64_t *values_ns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pp_hist_record(hist, values_ns[i]);
}

static void record_times(struct pp_hist *hist, uint64_t value_ns, uint64_t times)
{
    for (uint64_t i = 0; i < times; i++)
        pp_hist_record(hist, value_ns);
}

static void record_1_to(struct pp_hist *hist, uint64_t last_ns)
{
    for (uint64_t value_ns = 1; value_ns <= last_ns; value_ns++)
        pp_hist_record(hist, value_ns);
}

static void test_an_empty_histogram_answers_zero_and_supports_nothing(void **state)
{
    struct pp_hist hist;

    (void)state;
    memset(&hist, 0xa5, sizeof hist);
    pp_hist_reset(&hist);
    assert_true(hist.total == 0 && hist.saturated == 0 && hist.sum_ns == 0 && hist.max_ns == 0);
    assert_true(hist.min_ns == UINT64_MAX);
    for (uint32_t i = 0; i < PP_HIST_COUNTS; i++)
        assert_true(hist.counts[i] == 0);
    assert_true(pp_hist_mean_ns(&hist) == 0);
    assert_int_equal(pp_hist_quantile_ns(&hist, 0.5), 0);
    assert_int_equal(pp_hist_quantile_ns(&hist, 1), 0);
    assert_false(pp_hist_supports(&hist, 0.5));
    assert_false(pp_hist_supports(&hist, 1e-9));
}

static void test_the_geometry_is_that_of_hdrhistogram(void **state)
{
    static const struct {
        uint64_t value_ns;
        uint32_t index;
        uint64_t lowest_ns;
        uint64_t highest_ns;
    } table[] = {
        { 0, 0, 0, 0 },
        { 1, 1, 1, 1 },
        { 2047, 2047, 2047, 2047 },
        { 2048, 2048, 2048, 2049 },
        { 2049, 2048, 2048, 2049 },
        { 4095, 3071, 4094, 4095 },
        { 4096, 3072, 4096, 4099 },
        { 8180, 4093, 8180, 8183 },
        { 8193, 4096, 8192, 8199 },
        { 10007, 4322, 10000, 10007 },
        { 10009, 4323, 10008, 10015 },
        { 1000000, 11169, 999936, 1000447 },
        { 123456789, 18267, 123404288, 123469823 },
        { UINT64_C(59999999999), 27388, UINT64_C(59995324416), UINT64_C(60028878847) },
        { UINT64_C(60000000000), 27388, UINT64_C(59995324416), UINT64_C(60028878847) },
    };

    (void)state;
    assert_int_equal(PP_HIST_COUNTS, 27648);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_int_equal(pp_hist_index(table[i].value_ns), table[i].index);
        assert_int_equal(pp_hist_lowest_ns(table[i].index), table[i].lowest_ns);
        assert_int_equal(pp_hist_highest_ns(table[i].index), table[i].highest_ns);
    }
}

static void test_buckets_follow_each_other_without_gap_or_overlap(void **state)
{
    const uint32_t last = pp_hist_index(PP_HIST_HIGHEST_NS);

    (void)state;
    assert_true(last < PP_HIST_COUNTS);
    assert_int_equal(pp_hist_lowest_ns(0), 0);
    for (uint32_t i = 0; i < last; i++) {
        assert_int_equal(pp_hist_index(pp_hist_lowest_ns(i)), i);
        assert_int_equal(pp_hist_index(pp_hist_highest_ns(i)), i);
        assert_int_equal(pp_hist_lowest_ns(i + 1), pp_hist_highest_ns(i) + 1);
    }
}

static void test_a_value_read_back_is_off_by_at_most_1_in_1000(void **state)
{
    uint64_t seed = SEED;

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        const uint64_t value_ns = random_value_ns(&seed);
        const uint32_t index = pp_hist_index(value_ns);
        const uint64_t lowest_ns = pp_hist_lowest_ns(index);
        const uint64_t highest_ns = pp_hist_highest_ns(index);

        assert_in_range(value_ns, lowest_ns, highest_ns);
        assert_true((highest_ns - lowest_ns) * 1000 <= value_ns);
    }
}

static void test_random_values_reach_every_magnitude(void **state)
{
    uint64_t seed = SEED;
    uint64_t magnitudes = 0;

    (void)state;
    for (int i = 0; i < 1000000; i++)
        magnitudes |= UINT64_C(1) << (63 - __builtin_clzll(random_value_ns(&seed) | 1));
    assert_true(magnitudes == (UINT64_C(1) << 36) - 1);
}

static void test_quantiles_are_in_the_bucket_of_the_sorted_sample(void **state)
{
    static const size_t counts[] = { 1, 2, 3, 10, 99, 100, 101, 1000, 10007 };
    uint64_t values_ns[10007];
    struct pp_hist hist;
    uint64_t seed = SEED;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        for (size_t j = 0; j < counts[i]; j++)
            values_ns[j] = random_value_ns(&seed);
        pp_hist_reset(&hist);
        record_all(&hist, values_ns, counts[i]);
        qsort(values_ns, counts[i], sizeof *values_ns, compare_values);
        for (size_t j = 0; j < COUNT_OF(shares); j++) {
            const uint64_t want_ns = values_ns[share_rank(shares[j], counts[i]) - 1];
            const uint64_t got_ns = pp_hist_quantile_ns(&hist, share_q(shares[j]));

            assert_int_equal(pp_hist_index(got_ns), pp_hist_index(want_ns));
            assert_in_range(got_ns, want_ns, values_ns[counts[i] - 1]);
        }
    }
}

/* Values below 2,048 have buckets of their own, so every rank can be told from the next. */
static void test_a_quantile_is_exactly_sample_ceil_q_times_total(void **state)
{
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    for (uint64_t total = 1; total <= 2000; total++) {
        pp_hist_record(&hist, total);
        for (size_t i = 0; i < COUNT_OF(shares); i++)
            assert_int_equal(pp_hist_quantile_ns(&hist, share_q(shares[i])),
                             share_rank(shares[i], total));
    }
}

static void test_every_percentile_of_100_samples_is_the_sample_of_that_number(void **state)
{
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    record_1_to(&hist, 100);
    for (unsigned percent = 1; percent <= 100; percent++) {
        assert_int_equal(pp_hist_quantile_ns(&hist, percent / 100.0), percent);
        assert_int_equal(pp_hist_quantile_ns(&hist, percent * 0.01), percent);
    }
}

static void test_quantiles_agree_with_hdr_histogram_js(void **state)
{
    static const struct {
        double q;
        uint64_t value_ns;
    } table[] = {
        { 0.001, 89215 },   { 0.07, 6782975 }, { 0.5, 46071807 },
        { 0.55, 52232191 }, { 0.9, 89587711 }, { 0.99, 99024895 },
    };
    struct pp_hist hist;
    uint64_t seed = 1;

    (void)state;
    pp_hist_reset(&hist);
    for (int i = 0; i < 1000; i++)
        pp_hist_record(&hist, random_next(&seed) % 100000000);
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(pp_hist_quantile_ns(&hist, table[i].q), table[i].value_ns);
}

static void test_every_quantile_of_one_sample_is_that_sample(void **state)
{
    static const double qs[] = { 1e-300, 1e-9, 0.5, 0.999999, 1 };
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    pp_hist_record(&hist, 123456789);
    for (size_t i = 0; i < COUNT_OF(qs); i++)
        assert_int_equal(pp_hist_quantile_ns(&hist, qs[i]), 123456789);
}

static void test_a_tiny_quantile_is_the_first_sample_and_the_whole_is_the_maximum(void **state)
{
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    pp_hist_record(&hist, 5);
    pp_hist_record(&hist, 1000001);
    assert_int_equal(pp_hist_quantile_ns(&hist, 1e-300), 5);
    assert_int_equal(pp_hist_quantile_ns(&hist, 0.5), 5);
    assert_int_equal(pp_hist_quantile_ns(&hist, 0.500001), 1000001);
    assert_int_equal(pp_hist_quantile_ns(&hist, 1), 1000001);
}

static void test_mean_minimum_and_maximum_are_exact(void **state)
{
    static const uint64_t values_ns[] = { 1000001, 7, 123456789, UINT64_C(59999999999) };
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    record_all(&hist, values_ns, COUNT_OF(values_ns));
    assert_int_equal(hist.min_ns, 7);
    assert_int_equal(hist.max_ns, UINT64_C(59999999999));
    assert_int_equal(hist.sum_ns, UINT64_C(60124456796));
    assert_true(pp_hist_mean_ns(&hist) == 15031114199.0);
}

static void test_a_sample_of_zero_is_a_sample(void **state)
{
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    pp_hist_record(&hist, 0);
    assert_int_equal(hist.total, 1);
    assert_int_equal(hist.counts[0], 1);
    assert_int_equal(hist.min_ns, 0);
    assert_int_equal(pp_hist_quantile_ns(&hist, 1), 0);
}

static void test_values_beyond_the_range_are_saturated_and_never_wrapped(void **state)
{
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    pp_hist_record(&hist, PP_HIST_HIGHEST_NS);
    assert_int_equal(hist.saturated, 0);
    pp_hist_record(&hist, PP_HIST_HIGHEST_NS + 1);
    pp_hist_record(&hist, UINT64_C(1) << 63);
    assert_int_equal(hist.saturated, 2);
    assert_int_equal(hist.total, 3);
    assert_int_equal(hist.counts[pp_hist_index(PP_HIST_HIGHEST_NS)], 3);
    assert_true(hist.min_ns == PP_HIST_HIGHEST_NS);
    assert_true(hist.max_ns == UINT64_C(1) << 63);
    assert_true(hist.sum_ns == (UINT64_C(1) << 63) + 2 * PP_HIST_HIGHEST_NS + 1);
}

/* Nothing is known of them but that the longest is the maximum. */
static void test_quantiles_beyond_the_range_are_the_maximum_and_never_below_the_minimum(
    void **state)
{
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    pp_hist_record(&hist, 2 * PP_HIST_HIGHEST_NS);
    pp_hist_record(&hist, 3 * PP_HIST_HIGHEST_NS);
    assert_true(pp_hist_quantile_ns(&hist, 0.5) == 3 * PP_HIST_HIGHEST_NS);
    assert_true(pp_hist_quantile_ns(&hist, 1) == 3 * PP_HIST_HIGHEST_NS);
    for (int i = 0; i < 8; i++)
        pp_hist_record(&hist, PP_HIST_HIGHEST_NS);
    assert_int_equal(pp_hist_index(PP_HIST_HIGHEST_NS), pp_hist_index(59999999999));
    assert_in_range(pp_hist_quantile_ns(&hist, 0.8), PP_HIST_HIGHEST_NS,
                    PP_HIST_HIGHEST_NS + PP_HIST_HIGHEST_NS / 1000);
    assert_true(pp_hist_quantile_ns(&hist, 0.9) == 3 * PP_HIST_HIGHEST_NS);
}

static void test_merging_equals_recording_everything_into_one(void **state)
{
    struct pp_hist parts[3];
    struct pp_hist merged;
    struct pp_hist whole;
    uint64_t seed = SEED;

    (void)state;
    pp_hist_reset(&merged);
    pp_hist_reset(&whole);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        pp_hist_reset(&parts[i]);
    for (size_t i = 0; i < 30000; i++) {
        const uint64_t value_ns = random_value_ns(&seed) * (i % 100 == 0 ? 3 : 1);

        pp_hist_record(&parts[i % COUNT_OF(parts)], value_ns);
        pp_hist_record(&whole, value_ns);
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        pp_hist_merge(&merged, &parts[i]);
    assert_true(whole.saturated > 0);
    assert_memory_equal(&merged, &whole, sizeof whole);
}

static void test_merging_an_empty_histogram_changes_nothing(void **state)
{
    struct pp_hist hist;
    struct pp_hist before;
    struct pp_hist empty;

    (void)state;
    pp_hist_reset(&empty);
    pp_hist_reset(&hist);
    pp_hist_record(&hist, 42);
    before = hist;
    pp_hist_merge(&hist, &empty);
    assert_memory_equal(&hist, &before, sizeof hist);
}

static void test_a_quantile_is_supported_from_10_samples_beyond_it(void **state)
{
    static const struct {
        double q;
        uint64_t enough;
    } table[] = {
        { 0.5, 20 },      { 0.9, 100 },       { 0.95, 200 },        { 0.99, 1000 },
        { 0.999, 10000 }, { 0.9999, 100000 }, { 0.99999, 1000000 }, { 0.25, 14 },
    };
    struct pp_hist hist;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        pp_hist_reset(&hist);
        record_times(&hist, 1, table[i].enough - 1);
        assert_false(pp_hist_supports(&hist, table[i].q));
        pp_hist_record(&hist, 1);
        assert_true(pp_hist_supports(&hist, table[i].q));
    }
}

static void test_the_whole_is_never_supported_as_a_quantile(void **state)
{
    struct pp_hist hist;

    (void)state;
    pp_hist_reset(&hist);
    record_times(&hist, 1, 1000000);
    assert_false(pp_hist_supports(&hist, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_histogram_answers_zero_and_supports_nothing),
        cmocka_unit_test(test_the_geometry_is_that_of_hdrhistogram),
        cmocka_unit_test(test_buckets_follow_each_other_without_gap_or_overlap),
        cmocka_unit_test(test_a_value_read_back_is_off_by_at_most_1_in_1000),
        cmocka_unit_test(test_random_values_reach_every_magnitude),
        cmocka_unit_test(test_quantiles_are_in_the_bucket_of_the_sorted_sample),
        cmocka_unit_test(test_a_quantile_is_exactly_sample_ceil_q_times_total),
        cmocka_unit_test(test_every_percentile_of_100_samples_is_the_sample_of_that_number),
        cmocka_unit_test(test_quantiles_agree_with_hdr_histogram_js),
        cmocka_unit_test(test_every_quantile_of_one_sample_is_that_sample),
        cmocka_unit_test(test_a_tiny_quantile_is_the_first_sample_and_the_whole_is_the_maximum),
        cmocka_unit_test(test_mean_minimum_and_maximum_are_exact),
        cmocka_unit_test(test_a_sample_of_zero_is_a_sample),
        cmocka_unit_test(test_values_beyond_the_range_are_saturated_and_never_wrapped),
        cmocka_unit_test(
            test_quantiles_beyond_the_range_are_the_maximum_and_never_below_the_minimum),
        cmocka_unit_test(test_merging_equals_recording_everything_into_one),
        cmocka_unit_test(test_merging_an_empty_histogram_changes_nothing),
        cmocka_unit_test(test_a_quantile_is_supported_from_10_samples_beyond_it),
        cmocka_unit_test(test_the_whole_is_never_supported_as_a_quantile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
