#include "base/container.h"
#include "client/pace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

#define START_NS UINT64_C(123456789)
#define STEPS 1000000
#define WHOLE ((struct pp_pace_deal){ 0, 1, 1 })
#define TRILLION UINT64_C(1000000000000)

__extension__ typedef unsigned __int128 wide;

/* Message number at rate a second, that is due number / rate seconds after the start. */
static void check_due(const struct pp_pace *pace, uint64_t number, uint64_t rate)
{
    const wide ns = (wide)number * 1000000000;
    const uint64_t want = START_NS + (uint64_t)(ns / rate); /* and less than 1 more */
    const uint64_t least = ns % rate > 0 ? want : want - 1;

    assert_true(pace->number == number);
    if (pace->next_ns < least || pace->next_ns > want + 1)
        fail_msg("message %ju at %ju/s: at %ju ns, not %ju", (uintmax_t)number, (uintmax_t)rate,
                 (uintmax_t)pace->next_ns, (uintmax_t)want);
}

static void test_the_first_message_of_a_fixed_rate_is_due_at_once(void **state)
{
    struct pp_pace pace;

    (void)state;
    pp_pace_begin(&pace, PP_ARRIVALS_FIXED, 1000, START_NS, WHOLE, 0);
    assert_true(pace.next_ns == START_NS);
    assert_true(pace.number == 0);
    pp_pace_step(&pace);
    assert_true(pace.next_ns == START_NS + 1000000);
    assert_true(pace.number == 1);
}

static void test_a_fixed_rate_is_never_off_by_more_than_a_nanosecond(void **state)
{
    static const uint64_t rates[] = { 1, 3, 7, 1000, 44100, 999983, 1000000, 3000000007 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct pp_pace pace;

        pp_pace_begin(&pace, PP_ARRIVALS_FIXED, (double)rates[i], START_NS, WHOLE, 0);
        for (uint64_t number = 0; number < 10000; number++) {
            check_due(&pace, number, rates[i]);
            pp_pace_step(&pace);
        }
    }
}

static void test_a_fixed_rate_has_not_drifted_after_a_trillion_messages(void **state)
{
    static const uint64_t rates[] = { 60,     1000,    1009,     44100,     333333,
                                      999983, 1000000, 12345678, 123456789, 3000000007 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct pp_pace pace;

        pp_pace_begin(&pace, PP_ARRIVALS_FIXED, (double)rates[i], START_NS, WHOLE, 0);
        pace.number = TRILLION - 1;
        for (uint64_t number = TRILLION; number < TRILLION + 1000; number++) {
            pp_pace_step(&pace);
            check_due(&pace, number, rates[i]);
        }
    }
}

/* All shares' messages in the order of their times: those of one rate. */
static void check_dealt(unsigned shares, unsigned slots)
{
    const int64_t rate = 63007;
    struct pp_pace paces[7];
    uint64_t sent[7] = { 0 };

    for (unsigned i = 0; i < shares; i++)
        pp_pace_begin(&paces[i], PP_ARRIVALS_FIXED, (double)rate, START_NS,
                      (struct pp_pace_deal){ i, shares, slots }, 0);
    for (int64_t number = 0; number < rate; number++) {
        unsigned next = 0;
        int64_t off; /* in ns / rate */

        for (unsigned i = 1; i < shares; i++)
            if (paces[i].next_ns < paces[next].next_ns)
                next = i;
        off = (int64_t)(paces[next].next_ns - START_NS) * rate - number * 1000000000;
        assert_true(off >= -rate && off <= rate);
        pp_pace_step(&paces[next]);
        sent[next]++;
    }
    for (unsigned i = 0; i < shares; i++) { /* as many as its slots are */
        const double slots_of = slots / shares + (i < slots % shares);

        assert_true(fabs((double)sent[i] * slots / (slots_of * (double)rate) - 1) < 0.001);
    }
}

static void test_a_schedule_is_dealt_out_whatever_the_threads_and_connections(void **state)
{
    (void)state;
    check_dealt(1, 5);
    check_dealt(7, 7);
    check_dealt(3, 5);
    check_dealt(2, 5);
    check_dealt(5, 14);
    check_dealt(7, 1000);
}

static void test_a_poisson_schedule_is_dealt_out_by_slots(void **state)
{
    struct pp_pace pace;

    (void)state;
    pp_pace_begin(&pace, PP_ARRIVALS_POISSON, 5000, 0, (struct pp_pace_deal){ 0, 3, 5 }, 1);
    for (int i = 1; i < STEPS; i++)
        pp_pace_step(&pace);
    assert_true(fabs((double)pace.next_ns / (STEPS * 1e9 / 2000) - 1) < 0.01);
}

static void test_the_slowest_and_the_fastest_rates_are_kept(void **state)
{
    struct pp_pace pace;

    (void)state;
    pp_pace_begin(&pace, PP_ARRIVALS_FIXED, PP_PLAN_RATE_MIN, 0, WHOLE, 0);
    pp_pace_step(&pace);
    assert_in_range(pace.next_ns, UINT64_C(999999999999999), UINT64_C(1000000000000001));
    pp_pace_begin(&pace, PP_ARRIVALS_FIXED, 4e9, 0, WHOLE, 0);
    pace.number = 3999;
    pp_pace_step(&pace);
    assert_true(pace.next_ns == 1000);
}

static void test_poisson_intervals_have_the_mean_and_the_variance_of_their_distribution(
    void **state)
{
    const double mean_ns = 1e9 / 20000;
    double sum = 0, squares = 0, mean, variance;
    uint64_t before_ns = START_NS;
    struct pp_pace pace;

    (void)state;
    pp_pace_begin(&pace, PP_ARRIVALS_POISSON, 20000, START_NS, WHOLE, 1);
    for (int i = 0; i < STEPS; i++) {
        const double interval_ns = (double)(pace.next_ns - before_ns);

        assert_true(pace.next_ns >= before_ns);
        sum += interval_ns;
        squares += interval_ns * interval_ns;
        before_ns = pace.next_ns;
        pp_pace_step(&pace);
    }
    mean = sum / STEPS;
    variance = squares / STEPS - mean * mean;
    assert_true(fabs(mean / mean_ns - 1) < 0.01);
    assert_true(fabs(variance / (mean_ns * mean_ns) - 1) < 0.01);
    assert_true(pace.number == STEPS);
}

/* The chance of none in a mean interval is 1/e, of none in two 1/e^2, and so on. */
static void test_poisson_intervals_are_exponentially_distributed(void **state)
{
    uint32_t longer[5] = { 0 };
    uint64_t before_ns = 0;
    struct pp_pace pace;

    (void)state;
    pp_pace_begin(&pace, PP_ARRIVALS_POISSON, 1000, 0, WHOLE, 2);
    for (int i = 0; i < STEPS; i++) {
        for (uint32_t j = 0; j < COUNT_OF(longer); j++)
            longer[j] += pace.next_ns - before_ns > j * 500000;
        before_ns = pace.next_ns;
        pp_pace_step(&pace);
    }
    for (uint32_t j = 0; j < COUNT_OF(longer); j++)
        assert_true(fabs((double)longer[j] / STEPS - exp(-0.5 * j)) < 0.0025);
}

static void test_a_seed_repeats_a_poisson_schedule_and_shares_have_their_own(void **state)
{
    struct pp_pace a, b, other, share;
    int as_other = 0, as_share = 0;

    (void)state;
    pp_pace_begin(&a, PP_ARRIVALS_POISSON, 2000, 0, (struct pp_pace_deal){ 0, 2, 2 }, 3);
    pp_pace_begin(&b, PP_ARRIVALS_POISSON, 2000, 0, (struct pp_pace_deal){ 0, 2, 2 }, 3);
    pp_pace_begin(&other, PP_ARRIVALS_POISSON, 2000, 0, (struct pp_pace_deal){ 0, 2, 2 }, 4);
    pp_pace_begin(&share, PP_ARRIVALS_POISSON, 2000, 0, (struct pp_pace_deal){ 1, 2, 2 }, 3);
    for (int i = 0; i < 1000; i++) {
        assert_true(a.next_ns == b.next_ns);
        as_other += a.next_ns == other.next_ns;
        as_share += a.next_ns == share.next_ns;
        pp_pace_step(&a);
        pp_pace_step(&b);
        pp_pace_step(&other);
        pp_pace_step(&share);
    }
    assert_int_equal(as_other, 0);
    assert_int_equal(as_share, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_message_of_a_fixed_rate_is_due_at_once),
        cmocka_unit_test(test_a_fixed_rate_is_never_off_by_more_than_a_nanosecond),
        cmocka_unit_test(test_a_fixed_rate_has_not_drifted_after_a_trillion_messages),
        cmocka_unit_test(test_a_schedule_is_dealt_out_whatever_the_threads_and_connections),
        cmocka_unit_test(test_a_poisson_schedule_is_dealt_out_by_slots),
        cmocka_unit_test(test_the_slowest_and_the_fastest_rates_are_kept),
        cmocka_unit_test(
            test_poisson_intervals_have_the_mean_and_the_variance_of_their_distribution),
        cmocka_unit_test(test_poisson_intervals_are_exponentially_distributed),
        cmocka_unit_test(test_a_seed_repeats_a_poisson_schedule_and_shares_have_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
