/* What a result says beyond what was counted. */
#include "result/result.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h> /* needs the headers above */

static int setup(void **state)
{
    struct pp_result *result = calloc(1, sizeof *result);

    if (!result)
        return -1;
    result->plan.rate = 100;
    result->plan.time_ns = 60 * PP_NS_PER_S;
    result->counts.last_ns = PP_NS_PER_S;
    result->counts.sent = result->counts.received = 100;
    *state = result;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static bool misses_rate(struct pp_result *result)
{
    static struct pp_hist scratch;
    struct pp_slices slices;

    pp_slices_begin(&slices);
    pp_result_complete(result, &slices, 0, &scratch);
    return result->rate_missed;
}

static void test_a_message_that_was_never_sent_is_missed(void **state)
{
    struct pp_result *result = *state;

    assert_false(misses_rate(result));
    result->counts.unsent = 1;
    assert_true(misses_rate(result));
}

static void test_what_had_just_become_due_at_a_signal_is_not_missed(void **state)
{
    struct pp_result *result = *state;

    result->signal = SIGINT;
    result->counts.unsent = 1;
    result->counts.lag_ns = PP_NS_PER_MS / 10;
    assert_false(misses_rate(result));
    result->counts.lag_ns = 20 * PP_NS_PER_MS;
    assert_true(misses_rate(result));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_that_was_never_sent_is_missed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_had_just_become_due_at_a_signal_is_not_missed,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
