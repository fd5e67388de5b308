#include "aborts.h"
#include "base/pool.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

#define CAPACITY 5

/* The pool keeps its own link in the first 8 bytes of a free item. */
struct item {
    uint64_t first;
    char rest[32];
};

static struct pp_pool pool_open(void)
{
    struct pp_pool pool;

    assert_int_equal(pp_pool_init(&pool, CAPACITY, sizeof(struct item)), 0);
    return pool;
}

static void take_all(struct pp_pool *pool, struct item *items[CAPACITY])
{
    for (int i = 0; i < CAPACITY; i++) {
        items[i] = pp_pool_take(pool);
        assert_non_null(items[i]);
    }
}

/* Whether act ends a process of its own with SIGABRT. */
static bool aborts(void (*act)(struct pp_pool *), struct pp_pool *pool)
{
    const pid_t child = aborts_fork();

    if (child == 0) {
        act(pool);
        _exit(0);
    }
    return aborts_wait(child);
}

static void test_all_items_can_be_taken_and_do_not_overlap(void **state)
{
    struct pp_pool pool = pool_open();
    struct item *items[CAPACITY];
    struct item want;

    (void)state;
    take_all(&pool, items);
    for (int i = 0; i < CAPACITY; i++)
        memset(items[i], i + 1, sizeof *items[i]);
    for (int i = 0; i < CAPACITY; i++) {
        memset(&want, i + 1, sizeof want);
        assert_memory_equal(items[i], &want, sizeof want);
    }
    pp_pool_fini(&pool);
}

static void test_an_item_never_taken_before_is_zero(void **state)
{
    struct pp_pool pool = pool_open();
    struct item *items[CAPACITY];
    const struct item zero = { 0 };

    (void)state;
    take_all(&pool, items);
    for (int i = 0; i < CAPACITY; i++)
        assert_memory_equal(items[i], &zero, sizeof zero);
    pp_pool_fini(&pool);
}

static void test_an_item_keeps_its_address_and_its_index(void **state)
{
    struct pp_pool pool = pool_open();
    struct item *first[CAPACITY];
    struct item *again[CAPACITY];

    (void)state;
    take_all(&pool, first);
    for (uint32_t i = 0; i < CAPACITY; i++)
        assert_ptr_equal(pp_pool_at(&pool, i), first[i]);
    for (int i = CAPACITY - 1; i >= 0; i--)
        pp_pool_give(&pool, first[i]);
    take_all(&pool, again);
    for (int i = 0; i < CAPACITY; i++)
        assert_ptr_equal(again[i], first[i]);
    pp_pool_fini(&pool);
}

static void test_the_item_given_back_last_is_taken_first(void **state)
{
    struct pp_pool pool = pool_open();
    struct item *a = pp_pool_take(&pool);
    struct item *b = pp_pool_take(&pool);
    struct item *c = pp_pool_take(&pool);

    (void)state;
    pp_pool_give(&pool, b);
    pp_pool_give(&pool, c);
    pp_pool_give(&pool, a);
    assert_ptr_equal(pp_pool_take(&pool), a);
    assert_ptr_equal(pp_pool_take(&pool), c);
    assert_ptr_equal(pp_pool_take(&pool), b);
    pp_pool_fini(&pool);
}

static void test_an_item_comes_back_as_it_was_given_but_for_its_first_8_bytes(void **state)
{
    struct pp_pool pool = pool_open();
    struct item *item = pp_pool_take(&pool);
    struct item want;

    (void)state;
    memset(item, 0x5a, sizeof *item);
    want = *item;
    pp_pool_give(&pool, item);
    assert_ptr_equal(pp_pool_take(&pool), item);
    assert_memory_equal(item->rest, want.rest, sizeof want.rest);
    pp_pool_fini(&pool);
}

static void test_an_exhausted_pool_gives_null_until_an_item_comes_back(void **state)
{
    struct pp_pool pool = pool_open();
    struct item *items[CAPACITY];

    (void)state;
    take_all(&pool, items);
    assert_null(pp_pool_take(&pool));
    assert_null(pp_pool_take(&pool));
    assert_int_equal(pool.in_use, CAPACITY);
    pp_pool_give(&pool, items[2]);
    assert_ptr_equal(pp_pool_take(&pool), items[2]);
    assert_null(pp_pool_take(&pool));
    pp_pool_fini(&pool);
}

static void test_used_once_is_the_most_that_were_ever_in_use(void **state)
{
    struct pp_pool pool = pool_open();
    struct item *a = pp_pool_take(&pool);
    struct item *b = pp_pool_take(&pool);

    (void)state;
    assert_int_equal(pool.used_once, 2);
    pp_pool_give(&pool, a);
    pp_pool_give(&pool, b);
    assert_int_equal(pool.in_use, 0);
    assert_int_equal(pool.used_once, 2);
    for (int i = 0; i < 3; i++)
        assert_non_null(pp_pool_take(&pool));
    assert_int_equal(pool.in_use, 3);
    assert_int_equal(pool.used_once, 3);
    pp_pool_fini(&pool);
}

static void test_a_pool_owns_its_items_and_nothing_else(void **state)
{
    struct pp_pool pool = pool_open();
    char *item = pp_pool_take(&pool);
    struct item stranger;

    (void)state;
    assert_true(pp_pool_owns(&pool, item));
    assert_true(pp_pool_owns(&pool, pp_pool_at(&pool, CAPACITY - 1)));
    assert_false(pp_pool_owns(&pool, item + 8));
    assert_false(pp_pool_owns(&pool, pool.items + CAPACITY * sizeof(struct item)));
    assert_false(pp_pool_owns(&pool, &stranger));
    assert_false(pp_pool_owns(&pool, NULL));
    pp_pool_fini(&pool);
}

static void give_a_stranger(struct pp_pool *pool)
{
    struct item stranger = { 0 };

    pp_pool_give(pool, &stranger);
}

static void give_the_middle_of_an_item(struct pp_pool *pool)
{
    pp_pool_give(pool, (char *)pp_pool_at(pool, 0) + 8);
}

static void give_an_item_twice(struct pp_pool *pool)
{
    pp_pool_give(pool, pp_pool_at(pool, 0));
    pp_pool_give(pool, pp_pool_at(pool, 0));
}

static void give_an_item(struct pp_pool *pool)
{
    pp_pool_give(pool, pp_pool_at(pool, 0));
}

static void test_giving_what_was_not_taken_from_the_pool_aborts(void **state)
{
    struct pp_pool pool = pool_open();

    (void)state;
    assert_non_null(pp_pool_take(&pool));
    assert_true(aborts(give_a_stranger, &pool));
    assert_true(aborts(give_the_middle_of_an_item, &pool));
    assert_false(aborts(give_an_item, &pool));
    pp_pool_fini(&pool);
}

static void test_giving_back_more_than_was_taken_aborts(void **state)
{
    struct pp_pool pool = pool_open();

    (void)state;
    assert_non_null(pp_pool_take(&pool));
    assert_true(aborts(give_an_item_twice, &pool));
    pp_pool_fini(&pool);
}

static void init_with_items_of_12_bytes(struct pp_pool *pool)
{
    (void)pp_pool_init(pool, CAPACITY, 12);
}

static void test_items_that_are_no_multiple_of_8_bytes_abort(void **state)
{
    struct pp_pool pool;

    (void)state;
    assert_true(aborts(init_with_items_of_12_bytes, &pool));
}

static void test_a_pool_larger_than_memory_is_an_error(void **state)
{
    struct pp_pool pool;

    (void)state;
    assert_int_equal(pp_pool_init(&pool, UINT32_C(1) << 30, (size_t)1 << 30), -ENOMEM);
    assert_int_equal(pp_pool_init(&pool, UINT32_C(1) << 31, (size_t)1 << 40), -ENOMEM);
}

static void test_a_pool_over_memory_of_the_caller_lives_there_and_leaves_it_to_the_caller(
    void **state)
{
    struct item memory[CAPACITY] = { 0 };
    struct item *items[CAPACITY];
    struct pp_pool pool;

    (void)state;
    pp_pool_init_over(&pool, memory, CAPACITY, sizeof *memory);
    take_all(&pool, items);
    for (int i = 0; i < CAPACITY; i++)
        assert_ptr_equal(items[i], &memory[i]);
    assert_null(pp_pool_take(&pool));
    pp_pool_give(&pool, items[1]);
    assert_ptr_equal(pp_pool_take(&pool), &memory[1]);
    pp_pool_fini(&pool);
    memset(memory, 1, sizeof memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_items_can_be_taken_and_do_not_overlap),
        cmocka_unit_test(test_an_item_never_taken_before_is_zero),
        cmocka_unit_test(test_an_item_keeps_its_address_and_its_index),
        cmocka_unit_test(test_the_item_given_back_last_is_taken_first),
        cmocka_unit_test(test_an_item_comes_back_as_it_was_given_but_for_its_first_8_bytes),
        cmocka_unit_test(test_an_exhausted_pool_gives_null_until_an_item_comes_back),
        cmocka_unit_test(test_used_once_is_the_most_that_were_ever_in_use),
        cmocka_unit_test(test_a_pool_owns_its_items_and_nothing_else),
        cmocka_unit_test(test_giving_what_was_not_taken_from_the_pool_aborts),
        cmocka_unit_test(test_giving_back_more_than_was_taken_aborts),
        cmocka_unit_test(test_items_that_are_no_multiple_of_8_bytes_abort),
        cmocka_unit_test(test_a_pool_larger_than_memory_is_an_error),
        cmocka_unit_test(
            test_a_pool_over_memory_of_the_caller_lives_there_and_leaves_it_to_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
