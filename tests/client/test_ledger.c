/* Datagrams that were given up, and are found again when their answers come. */
#include "client/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

#define CAPACITY 64

static struct conn conns[2];

static int open_one(void **state)
{
    *state = pp_ledger_open(CAPACITY);
    return *state ? 0 : -1;
}

static int close_it(void **state)
{
    pp_ledger_close(*state);
    return 0;
}

static void add(struct pp_ledger *ledger, unsigned conn, uint64_t number)
{
    const struct trip trip = { .sent_ns = 1000 * number + conn, .state = TRIP_OVERDUE };

    pp_ledger_add(ledger, &conns[conn], number, &trip);
}

static bool has(struct pp_ledger *ledger, unsigned conn, uint64_t number)
{
    struct trip trip = { 0 };

    if (!pp_ledger_take(ledger, &conns[conn], number, &trip))
        return false;
    assert_int_equal(trip.sent_ns, 1000 * number + conn);
    return true;
}

static void test_a_message_is_found_once_by_connection_and_number(void **state)
{
    assert_false(has(*state, 0, 7));
    add(*state, 0, 7);
    add(*state, 1, 7);
    add(*state, 1, 8);
    assert_false(has(*state, 0, 8));
    assert_true(has(*state, 1, 7));
    assert_true(has(*state, 0, 7));
    assert_false(has(*state, 0, 7));
    assert_true(has(*state, 1, 8));
}

static void test_when_it_is_full_the_oldest_is_forgotten(void **state)
{
    for (uint64_t n = 0; n < 3 * CAPACITY; n++)
        add(*state, n % 2, n);
    for (uint64_t n = 0; n < 3 * CAPACITY; n++)
        assert_int_equal(has(*state, n % 2, n), n >= 2 * CAPACITY);
}

static void test_one_that_was_taken_leaves_the_others_in_place(void **state)
{
    for (unsigned round = 0; round < 50; round++) {
        for (uint64_t n = 0; n < CAPACITY / 2; n++)
            add(*state, 0, 1000 * round + n);
        for (uint64_t n = 0; n < CAPACITY / 2; n += 3)
            assert_true(has(*state, 0, 1000 * round + n));
        for (uint64_t n = 0; n < CAPACITY / 2; n++)
            assert_int_equal(has(*state, 0, 1000 * round + n), n % 3 != 0);
    }
}

static void test_what_is_cleared_is_empty(void **state)
{
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t n = 0; n < CAPACITY * round + 5; n++)
            add(*state, 0, n);
        pp_ledger_clear(*state);
        for (uint64_t n = 0; n < CAPACITY * round + 5; n++)
            assert_false(has(*state, 0, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_is_found_once_by_connection_and_number,
                                        open_one, close_it),
        cmocka_unit_test_setup_teardown(test_when_it_is_full_the_oldest_is_forgotten, open_one,
                                        close_it),
        cmocka_unit_test_setup_teardown(test_one_that_was_taken_leaves_the_others_in_place,
                                        open_one, close_it),
        cmocka_unit_test_setup_teardown(test_what_is_cleared_is_empty, open_one, close_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
