#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

static void test_the_clock_never_steps_back(void **state)
{
    uint64_t before_ns = pp_clock_now_ns();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        const uint64_t now_ns = pp_clock_now_ns();

        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }
}

/* No more than the whole takes: it makes 16 readings at the least. */
static void test_a_reading_costs_less_than_all_readings(void **state)
{
    const uint64_t start_ns = pp_clock_now_ns();
    const uint64_t cost_ns = pp_clock_reading_cost_ns();
    const uint64_t all_ns = pp_clock_now_ns() - start_ns;

    (void)state;
    assert_true(cost_ns * 16 <= all_ns);
}

/* The least of many is that of a thread left alone, for both ways to find out. */
static void test_the_cost_is_that_of_a_long_row_of_readings(void **state)
{
    uint64_t least_ns = UINT64_MAX;
    uint64_t least_of_row_ns = UINT64_MAX;

    (void)state;
    for (int i = 0; i < 50; i++) {
        const uint64_t cost_ns = pp_clock_reading_cost_ns();
        const uint64_t start_ns = pp_clock_now_ns();
        uint64_t row_ns;

        for (int j = 0; j < 1000; j++)
            (void)pp_clock_now_ns();
        row_ns = (pp_clock_now_ns() - start_ns) / 1000;
        least_ns = cost_ns < least_ns ? cost_ns : least_ns;
        least_of_row_ns = row_ns < least_of_row_ns ? row_ns : least_of_row_ns;
    }
    assert_true(least_ns <= 2 * least_of_row_ns + 5);
    assert_true(least_of_row_ns <= 2 * least_ns + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_clock_never_steps_back),
        cmocka_unit_test(test_a_reading_costs_less_than_all_readings),
        cmocka_unit_test(test_the_cost_is_that_of_a_long_row_of_readings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
