/* The correction for coordinated omission, against one that adds each sample by itself, and against
 * hdr-histogram-js 3 (copyCorrectedForCoordinatedOmission). */
#include "measure/hist.h"

#include "base/container.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void correct_one_by_one(struct pp_hist *into, const struct pp_hist *from,
                               uint64_t expected_ns)
{
    pp_hist_merge(into, from);
    for (uint32_t i = 0; i <= pp_hist_index(PP_HIST_HIGHEST_NS); i++) {
        const uint64_t value_ns = least(pp_hist_highest_ns(i),
                                        least(from->max_ns, PP_HIST_HIGHEST_NS));

        for (uint64_t n = 0; n < from->counts[i]; n++) {
            for (uint64_t k = 1; value_ns >= (k + 1) * expected_ns; k++)
                pp_hist_record(into, value_ns - k * expected_ns);
        }
    }
}

static void check_as_one_by_one(const struct pp_hist *from, uint64_t expected_ns)
{
    struct pp_hist got;
    struct pp_hist want;

    pp_hist_reset(&got);
    pp_hist_reset(&want);
    pp_hist_correct(&got, from, expected_ns);
    correct_one_by_one(&want, from, expected_ns);
    assert_memory_equal(&got, &want, sizeof want);
}

static void record_random(struct pp_hist *hist, uint64_t seed, unsigned bits)
{
    struct pp_random random = { seed };

    for (int i = 0; i < 300; i++)
        pp_hist_record(hist, pp_random_next(&random) >> (64 - bits + pp_random_below(&random, 8)));
}

static void test_it_adds_what_adding_one_by_one_adds(void **state)
{
    static const uint64_t expected_ns[] = { 1, 2, 3, 7, 100, 1000, 1023, 4096, 65537, 1000000 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected_ns); i++) {
        for (unsigned bits = 8; bits <= 36; bits += 4) {
            struct pp_hist from;

            if (bits > 12 && expected_ns[i] < UINT64_C(1) << (bits - 12))
                continue; /* it would take long one by one */
            pp_hist_reset(&from);
            record_random(&from, i * 100 + bits, bits < 35 ? bits : 35);
            check_as_one_by_one(&from, expected_ns[i]);
        }
    }
}

static void test_a_sample_of_the_interval_or_up_to_twice_it_hides_none(void **state)
{
    struct pp_hist from;
    struct pp_hist into;

    (void)state;
    pp_hist_reset(&from);
    for (uint64_t ns = 0; ns < 2000; ns++)
        pp_hist_record(&from, ns);
    pp_hist_reset(&into);
    pp_hist_correct(&into, &from, 1000);
    assert_memory_equal(&into, &from, sizeof into);
    pp_hist_record(&from, 2000); /* twice: one was due in the middle */
    pp_hist_reset(&into);
    pp_hist_correct(&into, &from, 1000);
    assert_int_equal(into.total, from.total + 1);
    assert_int_equal(into.counts[1000], from.counts[1000] + 1);
}

static void test_no_interval_corrects_nothing(void **state)
{
    struct pp_hist from;
    struct pp_hist into;

    (void)state;
    pp_hist_reset(&from);
    pp_hist_reset(&into);
    record_random(&from, 1, 30);
    pp_hist_correct(&into, &from, 0);
    assert_memory_equal(&into, &from, sizeof into);
}

static void test_nothing_stays_nothing(void **state)
{
    struct pp_hist from;
    struct pp_hist into;

    (void)state;
    pp_hist_reset(&from);
    pp_hist_reset(&into);
    pp_hist_correct(&into, &from, 10);
    assert_memory_equal(&into, &from, sizeof into);
}

static void test_it_agrees_with_hdr_histogram_js(void **state)
{
    struct pp_hist from;
    struct pp_hist into;

    (void)state;
    pp_hist_reset(&from);
    for (int i = 0; i < 1000; i++)
        pp_hist_record(&from, 20000);
    for (int i = 0; i < 3; i++)
        pp_hist_record(&from, 100073471); /* the highest of its bucket */
    pp_hist_reset(&into);
    pp_hist_correct(&into, &from, MS);
    assert_int_equal(into.total, 1300);
    assert_int_equal(pp_hist_quantile_ns(&into, 0.5), 20015);
    assert_int_equal(pp_hist_quantile_ns(&into, 0.9), 57081855);
    assert_int_equal(pp_hist_quantile_ns(&into, 0.99), 96075775);
    assert_int_equal(pp_hist_quantile_ns(&into, 0.999), 100073471);
}

/* One by one, these would be 6 * 10^14 samples. */
static void test_a_long_stall_and_a_short_interval_do_not_take_long(void **state)
{
    const uint64_t stalls = 100000000;
    struct pp_hist from;
    struct pp_hist into;

    (void)state;
    pp_hist_reset(&from);
    pp_hist_reset(&into);
    pp_hist_record(&from, 60 * S);
    from.total = from.counts[pp_hist_index(60 * S)] = stalls;
    pp_hist_correct(&into, &from, 10000);
    assert_int_equal(into.total, stalls * 6000000);
    assert_int_equal(into.min_ns, 10000);
    assert_int_equal(into.max_ns, 60 * S);
    assert_int_equal(pp_hist_index(pp_hist_quantile_ns(&into, 0.5)), pp_hist_index(30 * S));
}

static void test_a_sum_that_does_not_fit_stops_at_the_highest(void **state)
{
    struct pp_hist from;
    struct pp_hist into;

    (void)state;
    pp_hist_reset(&from);
    pp_hist_reset(&into);
    pp_hist_record(&from, 60 * S);
    pp_hist_correct(&into, &from, 10000);
    assert_true(into.sum_ns == UINT64_C(180000030000000000)); /* 10 µs * 6e6 * (6e6 + 1) / 2 */
    for (int i = 1; i < 200; i++)
        pp_hist_correct(&into, &from, 10000);
    assert_true(into.sum_ns == UINT64_MAX);
}

static void test_a_saturated_sample_hides_those_of_a_wait_of_60_s(void **state)
{
    struct pp_hist from;
    struct pp_hist into;

    (void)state;
    pp_hist_reset(&from);
    pp_hist_reset(&into);
    pp_hist_record(&from, 100 * S);
    pp_hist_correct(&into, &from, S);
    assert_int_equal(into.total, 60);
    assert_int_equal(into.saturated, 1);
    assert_int_equal(into.max_ns, 100 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_adds_what_adding_one_by_one_adds),
        cmocka_unit_test(test_a_sample_of_the_interval_or_up_to_twice_it_hides_none),
        cmocka_unit_test(test_no_interval_corrects_nothing),
        cmocka_unit_test(test_nothing_stays_nothing),
        cmocka_unit_test(test_it_agrees_with_hdr_histogram_js),
        cmocka_unit_test(test_a_long_stall_and_a_short_interval_do_not_take_long),
        cmocka_unit_test(test_a_sum_that_does_not_fit_stops_at_the_highest),
        cmocka_unit_test(test_a_saturated_sample_hides_those_of_a_wait_of_60_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
