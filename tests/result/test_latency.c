/* What is said of a histogram: quantiles, stalls, and what a closed loop hides of them. */
#include "result/latency.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

struct fixture {
    struct pp_hist hist, scratch;
    struct pp_plan plan;
    struct pp_latency latency;
    struct pp_hidden hidden;
};

static int setup(void **state)
{
    struct fixture *f = pp_memory_alloc(1, sizeof *f);

    if (!f)
        return -1;
    pp_hist_reset(&f->hist);
    pp_hist_reset(&f->scratch);
    pp_plan_default(&f->plan, PP_JOB_RUN);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    pp_memory_free(*state);
    return 0;
}

/* 1, 2, ... count ns: up to 2,047 ns each has a bucket of its own, so that sample number r is r. */
static void record_ranks(struct fixture *f, uint64_t count)
{
    for (uint64_t ns = 1; ns <= count; ns++)
        pp_hist_record(&f->hist, ns);
}

static void record(struct fixture *f, uint64_t count, uint64_t ns)
{
    while (count-- > 0)
        pp_hist_record(&f->hist, ns);
}

/* Asks for these quantiles. */
static void show(struct fixture *f, unsigned count, const double *quantiles)
{
    f->plan.quantile_count = count;
    memcpy(f->plan.quantiles, quantiles, count * sizeof *quantiles);
}

#define SHOW(f, ...)                                                                               \
    show((f), sizeof((double[]){ __VA_ARGS__ }) / sizeof(double), (double[]){ __VA_ARGS__ })

/* ---- quantiles ---- */

static void test_a_quantile_is_the_sample_of_its_rank(void **state)
{
    static const struct pp_quantile by_hand[] = {
        { .q = 0.5, .ns = 500 },
        { .q = 0.9, .ns = 900 },
        { .q = 0.99, .ns = 990 },
    };
    struct fixture *f = *state;

    record_ranks(f, 1000);
    for (size_t i = 0; i < COUNT_OF(by_hand); i++) {
        struct pp_quantile quantile;

        pp_quantile_of(&quantile, &f->hist, by_hand[i].q);
        assert_true(quantile.supported && quantile.q == by_hand[i].q);
        assert_int_equal(quantile.ns, by_hand[i].ns);
    }
}

/* n (1 - q) >= 10. */
static void test_a_quantile_needs_ten_samples_beyond_it(void **state)
{
    static const struct {
        double q;
        uint64_t samples;
    } enough[] = { { 0.5, 20 }, { 0.9, 100 }, { 0.99, 1000 }, { 0.999, 10000 } };
    struct fixture *f = *state;
    struct pp_quantile quantile;

    for (size_t i = 0; i < COUNT_OF(enough); i++) {
        pp_hist_reset(&f->hist);
        record(f, enough[i].samples - 1, 1000);
        pp_quantile_of(&quantile, &f->hist, enough[i].q);
        assert_false(quantile.supported);
        assert_int_equal(quantile.ns, 0);
        record(f, 1, 1000);
        pp_quantile_of(&quantile, &f->hist, enough[i].q);
        assert_true(quantile.supported);
    }
}

static void test_a_latency_has_the_quantiles_of_the_plan(void **state)
{
    struct fixture *f = *state;

    SHOW(f, 0.25, 0.75, 0.99);
    record_ranks(f, 100);
    pp_latency_of(&f->latency, &f->hist, &f->plan);
    assert_int_equal(f->latency.count, 3);
    assert_int_equal(f->latency.quantiles[0].ns, 25);
    assert_int_equal(f->latency.quantiles[1].ns, 75);
    assert_false(f->latency.quantiles[2].supported);
    assert_false(pp_latency_is_supported(&f->latency));
    f->plan.quantile_count = 2;
    pp_latency_of(&f->latency, &f->hist, &f->plan);
    assert_true(pp_latency_is_supported(&f->latency));
}

static void test_what_is_not_a_quantile_is_exact(void **state)
{
    struct fixture *f = *state;

    record(f, 3, 1234567);
    record(f, 1, 7654321);
    record(f, 2, PP_HIST_HIGHEST_NS + 5);
    pp_latency_of(&f->latency, &f->hist, &f->plan);
    assert_int_equal(f->latency.samples, 6);
    assert_int_equal(f->latency.saturated, 2);
    assert_int_equal(f->latency.min_ns, 1234567);
    assert_int_equal(f->latency.max_ns, PP_HIST_HIGHEST_NS + 5);
    assert_true(f->latency.mean_ns ==
                (double)(3 * 1234567 + 7654321 + 2 * (PP_HIST_HIGHEST_NS + 5)) / 6);
}

static void test_without_samples_nothing_is_claimed(void **state)
{
    struct fixture *f = *state;

    pp_latency_of(&f->latency, &f->hist, &f->plan);
    assert_true(f->latency.samples == 0 && f->latency.min_ns == 0 && f->latency.max_ns == 0);
    assert_true(f->latency.mean_ns == 0);
    assert_false(pp_latency_is_supported(&f->latency));
    pp_hidden_of(&f->hidden, &f->latency, &f->hist, 0, &f->scratch);
    assert_false(f->hidden.matters);
    assert_int_equal(f->hidden.interval_ns, 0);
}

/* ---- what a closed loop hides ---- */

static void find_hidden(struct fixture *f, uint64_t think_ns)
{
    pp_latency_of(&f->latency, &f->hist, &f->plan);
    pp_hidden_of(&f->hidden, &f->latency, &f->hist, think_ns, &f->scratch);
}

static uint64_t corrected_ns(const struct fixture *f, double q)
{
    for (unsigned i = 0; i < f->latency.count; i++)
        if (f->latency.quantiles[i].q == q)
            return f->hidden.corrected_ns[i];
    fail();
    return 0;
}

/* 20,000 round trips of 20 us, and one for which the server stood still for 100 ms: at an even pace
 * 4,999 more would have waited, of 25,000 in all: a fifth, so that p90 is half of that and p99
 * waited for 95 ms or more. */
static void test_every_quantile_is_corrected_for_a_stall(void **state)
{
    struct fixture *f = *state;

    SHOW(f, 0.5, 0.999, 0.9, 0.99, 0.9999);
    record(f, 20000, 20000);
    record(f, 1, 100 * PP_NS_PER_MS);
    find_hidden(f, 0);
    assert_true(f->hidden.matters);
    assert_in_range(f->hidden.interval_ns, 20000, 20020);
    assert_in_range(corrected_ns(f, 0.5), 20000, 20020);
    assert_in_range(corrected_ns(f, 0.9), 49 * PP_NS_PER_MS, 51 * PP_NS_PER_MS);
    assert_in_range(corrected_ns(f, 0.99), 94 * PP_NS_PER_MS, 96 * PP_NS_PER_MS);
    assert_in_range(corrected_ns(f, 0.999), 99 * PP_NS_PER_MS, 100 * PP_NS_PER_MS);
    assert_int_equal(corrected_ns(f, 0.9999), 0);                       /* too few samples */
    assert_true(fabs(f->hidden.mean_ns / (10016 * 1000.0) - 1) < 0.01); /* 250 s of 25,000 */
    assert_int_equal(pp_hidden_lowest(&f->hidden, &f->latency), 2);
}

static void test_without_a_stall_nothing_is_hidden(void **state)
{
    struct fixture *f = *state;

    record(f, 20000, 20000);
    record(f, 200, 35000);
    find_hidden(f, 0);
    assert_false(f->hidden.matters);
    for (unsigned i = 0; i < f->latency.count; i++)
        if (f->latency.quantiles[i].supported)
            assert_int_equal(f->hidden.corrected_ns[i], f->latency.quantiles[i].ns);
    assert_int_equal(pp_hidden_lowest(&f->hidden, &f->latency), f->latency.count);
}

/* 445 of 20 us, 10 of 30 us, and 45 of 55 us, beside which an even pace puts as many of 35 us: the
 * 450th of 500 is one of 30 us, and the 491st of 545 one of 35 us. */
static void test_less_than_twice_as_much_is_not_named(void **state)
{
    struct fixture *f = *state;

    SHOW(f, 0.9);
    record(f, 445, 20000);
    record(f, 10, 30000);
    record(f, 45, 55000);
    find_hidden(f, 0);
    assert_in_range(corrected_ns(f, 0.9), 34900, 35060);
    assert_int_equal(pp_hidden_lowest(&f->hidden, &f->latency), 1);
}

/* ---- stalls ---- */

static struct pp_stalls stalls_of(struct fixture *f, uint64_t think_ns)
{
    struct pp_stalls stalls;

    pp_stalls_of(&stalls, &f->hist, think_ns);
    return stalls;
}

/* 900 of 20 us and 2 of 41 ms: 82 ms of 100 ms. */
static void test_the_time_that_stalls_took_is_exact(void **state)
{
    struct fixture *f = *state;
    struct pp_stalls stalls;

    record(f, 900, 20000);
    record(f, 2, 41 * PP_NS_PER_MS);
    stalls = stalls_of(f, 0);
    assert_in_range(stalls.longer_than_ns, 2000000, 2001600);
    assert_int_equal(stalls.trips, 2);
    assert_true(stalls.time_share > 0.8195 && stalls.time_share < 0.8205);
    assert_true(stalls.matter);
    stalls = stalls_of(f, 9 * PP_NS_PER_MS); /* time to think is time, too: 8,218 ms in all */
    assert_true(stalls.time_share > 0.0099 && stalls.time_share < 0.0101);
    assert_false(stalls.matter);
}

/* A short run in which others had the CPU once. */
static void test_a_stall_of_a_few_milliseconds_does_not_matter(void **state)
{
    struct fixture *f = *state;
    struct pp_stalls stalls;

    for (int i = 0; i < 999; i++)
        pp_hist_record(&f->hist, 13 * PP_NS_PER_US);
    pp_hist_record(&f->hist, 5 * PP_NS_PER_MS);
    stalls = stalls_of(f, 0);
    assert_true(stalls.time_share > 0.27 && stalls.time_share < 0.29);
    assert_false(stalls.matter);
    pp_hist_record(&f->hist, 6 * PP_NS_PER_MS);
    assert_true(stalls_of(f, 0).matter);
}

static void test_without_samples_there_is_no_stall(void **state)
{
    const struct pp_stalls stalls = stalls_of(*state, 5);

    assert_true(stalls.longer_than_ns == 0 && stalls.trips == 0 && stalls.time_share == 0);
    assert_false(stalls.matter);
}

/* Beyond the range, too, each counts with what it took. */
static void test_stalls_of_more_than_a_minute_take_their_time(void **state)
{
    struct fixture *f = *state;
    struct pp_stalls stalls;

    record(f, 2000, 60 * PP_NS_PER_MS); /* 120 s */
    record(f, 1, 480 * PP_NS_PER_S);
    stalls = stalls_of(f, 0);
    assert_int_equal(stalls.trips, 1);
    assert_true(stalls.time_share > 0.799 && stalls.time_share < 0.801);
}

static double normal(struct pp_random *random)
{
    return sqrt(-2 * log(pp_random_unit(random))) * cos(6.28318530718 * pp_random_unit(random));
}

/* A service whose times are lognormal, around 50 us. */
static struct pp_stalls lognormal(struct fixture *f, double sigma)
{
    struct pp_random random = { 1 };

    pp_hist_reset(&f->hist);
    for (unsigned i = 0; i < 200000; i++)
        pp_hist_record(&f->hist, (uint64_t)(50000 * exp(sigma * normal(&random))));
    return stalls_of(f, 0);
}

static struct pp_stalls exponential(struct fixture *f)
{
    struct pp_random random = { 2 };

    pp_hist_reset(&f->hist);
    for (unsigned i = 0; i < 200000; i++)
        pp_hist_record(&f->hist, (uint64_t)(-50000 * log(pp_random_unit(&random))));
    return stalls_of(f, 0);
}

/* So many of ten thousand take so many times as long as the others. */
static struct pp_stalls bimodal(struct fixture *f, unsigned slow, unsigned times)
{
    pp_hist_reset(&f->hist);
    record(f, 10000 - slow, 100000);
    record(f, slow, 100000 * times);
    return stalls_of(f, 0);
}

static void test_an_uneven_service_does_not_stall(void **state)
{
    struct fixture *f = *state;

    assert_false(exponential(f).matter);
    assert_false(lognormal(f, 1).matter);
    assert_false(lognormal(f, 1.5).matter); /* p99 is 33 times the median */
    assert_false(bimodal(f, 1000, 10).matter);
    assert_false(bimodal(f, 100, 50).matter);
    assert_false(bimodal(f, 200, 1000).matter); /* p99 shows it */
}

static void test_what_stops_or_loses_stalls(void **state)
{
    struct fixture *f = *state;

    /* a server that is frozen for 50 of each 66 ms, and takes 31 us otherwise */
    pp_hist_reset(&f->hist);
    record(f, 30 * 516, 31000);
    record(f, 30, 50 * PP_NS_PER_MS);
    assert_true(stalls_of(f, 0).matter);
    assert_true(stalls_of(f, 0).time_share > 0.75);

    assert_true(bimodal(f, 50, 2000).matter); /* 0.5 % wait for TCP's 200 ms */
    assert_true(bimodal(f, 1, 2000).matter);  /* 0.01 % */
    assert_false(bimodal(f, 1, 1000).matter); /* a twelfth of the time */
}

static void test_the_highest_quantile_is_that_of_those_shown(void **state)
{
    struct fixture *f = *state;

    SHOW(f, 0.99, 0.75, 0.5); /* too few samples for the first */
    record(f, 500, 20000);
    pp_latency_of(&f->latency, &f->hist, &f->plan);
    assert_true(pp_latency_highest(&f->latency) == 0.75);
    f->plan.quantile_count = 1;
    pp_latency_of(&f->latency, &f->hist, &f->plan);
    assert_true(pp_latency_highest(&f->latency) == 0);
}

/* With 1 ms to think, 100 ms keep only some 98 messages back, of 20,000. */
static void test_time_to_think_is_part_of_the_pace(void **state)
{
    struct fixture *f = *state;

    SHOW(f, 0.999);
    record(f, 20000, 20000);
    record(f, 1, 100 * PP_NS_PER_MS);
    find_hidden(f, PP_NS_PER_MS);
    assert_in_range(f->hidden.interval_ns, 1020000, 1020020);
    assert_in_range(corrected_ns(f, 0.999), 75 * PP_NS_PER_MS, 82 * PP_NS_PER_MS);
    assert_false(f->hidden.matters); /* 100 ms of 20 s */
}

static void test_what_the_scratch_held_before_is_of_no_effect(void **state)
{
    struct fixture *f = *state;
    uint64_t before_ns;

    record(f, 20000, 20000);
    find_hidden(f, 0);
    before_ns = f->hidden.corrected_ns[0];
    for (unsigned i = 0; i < 1000; i++)
        pp_hist_record(&f->scratch, PP_NS_PER_S);
    find_hidden(f, 0);
    assert_int_equal(f->hidden.corrected_ns[0], before_ns);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_quantile_is_the_sample_of_its_rank),
        TEST(test_a_quantile_needs_ten_samples_beyond_it),
        TEST(test_a_latency_has_the_quantiles_of_the_plan),
        TEST(test_what_is_not_a_quantile_is_exact),
        TEST(test_without_samples_nothing_is_claimed),
        TEST(test_every_quantile_is_corrected_for_a_stall),
        TEST(test_without_a_stall_nothing_is_hidden),
        TEST(test_less_than_twice_as_much_is_not_named),
        TEST(test_the_time_that_stalls_took_is_exact),
        TEST(test_a_stall_of_a_few_milliseconds_does_not_matter),
        TEST(test_without_samples_there_is_no_stall),
        TEST(test_stalls_of_more_than_a_minute_take_their_time),
        TEST(test_an_uneven_service_does_not_stall),
        TEST(test_what_stops_or_loses_stalls),
        TEST(test_the_highest_quantile_is_that_of_those_shown),
        TEST(test_time_to_think_is_part_of_the_pace),
        TEST(test_what_the_scratch_held_before_is_of_no_effect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
