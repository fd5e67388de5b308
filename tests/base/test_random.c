#include "base/container.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

#define DRAWS 1000000

/* What the authors' program prints for the seed 0. */
static void test_the_numbers_of_seed_0_are_those_that_were_published(void **state)
{
    static const uint64_t published[] = {
        UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4), UINT64_C(0x06c45d188009454f),
        UINT64_C(0xf88bb8a8724c81ec), UINT64_C(0x1b39896a51a8749b),
    };
    struct pp_random random = { .state = 0 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(published); i++)
        assert_true(pp_random_next(&random) == published[i]);
}

static void test_a_seed_repeats_its_numbers_and_another_does_not(void **state)
{
    struct pp_random a = { .state = 7 };
    struct pp_random b = { .state = 7 };
    struct pp_random other = { .state = 8 };

    (void)state;
    for (int i = 0; i < 1000; i++) {
        const uint64_t number = pp_random_next(&a);

        assert_true(number == pp_random_next(&b));
        assert_true(number != pp_random_next(&other));
    }
}

static void test_a_number_is_below_its_bound(void **state)
{
    static const uint32_t bounds[] = { 1, 2, 3, 10, 65537, UINT32_C(1) << 31, UINT32_MAX };
    struct pp_random random = { .state = 1 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        for (int j = 0; j < 10000; j++)
            assert_true(pp_random_below(&random, bounds[i]) < bounds[i]);
}

/* Five standard deviations on either side. */
static void test_all_numbers_below_a_bound_are_as_likely_as_each_other(void **state)
{
    struct pp_random random = { .state = 2 };
    uint32_t seen[10] = { 0 };

    (void)state;
    for (int i = 0; i < DRAWS; i++)
        seen[pp_random_below(&random, COUNT_OF(seen))]++;
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        assert_in_range(seen[i], DRAWS / 10 - 1500, DRAWS / 10 + 1500);
}

static void test_a_unit_is_above_0_and_at_most_1_and_a_half_in_the_mean(void **state)
{
    struct pp_random random = { .state = 3 };
    double sum = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        const double unit = pp_random_unit(&random);

        assert_true(unit > 0 && unit <= 1);
        sum += unit;
    }
    assert_true(sum > 0.4985 * DRAWS && sum < 0.5015 * DRAWS);
}

/* The next step takes it to 0, which is mixed to 0. */
static uint64_t state_that_gives_zeros(void)
{
    return UINT64_C(0) - UINT64_C(0x9e3779b97f4a7c15);
}

static void test_the_least_unit_is_not_0(void **state)
{
    struct pp_random random = { .state = state_that_gives_zeros() };

    (void)state;
    assert_true(pp_random_unit(&random) == 0x1p-53);
    random.state = state_that_gives_zeros();
    assert_true(pp_random_below(&random, UINT32_MAX) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_numbers_of_seed_0_are_those_that_were_published),
        cmocka_unit_test(test_a_seed_repeats_its_numbers_and_another_does_not),
        cmocka_unit_test(test_a_number_is_below_its_bound),
        cmocka_unit_test(test_all_numbers_below_a_bound_are_as_likely_as_each_other),
        cmocka_unit_test(test_a_unit_is_above_0_and_at_most_1_and_a_half_in_the_mean),
        cmocka_unit_test(test_the_least_unit_is_not_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
