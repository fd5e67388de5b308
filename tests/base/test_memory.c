#include "aborts.h"
#include "base/container.h"
#include "base/memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

#define CACHE_LINE_BYTES 64
#define MIB ((size_t)1024 * 1024)

/* On both sides of a cache line, and of the size from which areas are mapped. */
static const size_t sizes[] = { 1, 63, 64, 65, 4096, 131007, 131008, 131009, 131072, 1000003 };

static bool all_bytes_are(const unsigned char *bytes, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != value)
            return false;
    }
    return true;
}

static long resident_peak_kib(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* Whether act ends a process of its own with SIGABRT. */
static bool aborts(void (*act)(void))
{
    const pid_t child = aborts_fork();

    if (child == 0) {
        act();
        _exit(0);
    }
    return aborts_wait(child);
}

static void test_memory_is_zero_even_where_it_was_used_before(void **state)
{
    unsigned char *memory;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        memory = pp_memory_alloc(1, sizes[i]);
        assert_non_null(memory);
        memset(memory, 0xa5, sizes[i]);
        pp_memory_free(memory);
        memory = pp_memory_alloc(1, sizes[i]);
        assert_non_null(memory);
        assert_true(all_bytes_are(memory, sizes[i], 0));
        pp_memory_free(memory);
    }
}

static void test_memory_starts_on_a_cache_line(void **state)
{
    void *memory[COUNT_OF(sizes)];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        memory[i] = pp_memory_alloc(1, sizes[i]);
        assert_non_null(memory[i]);
        assert_int_equal((uintptr_t)memory[i] % CACHE_LINE_BYTES, 0);
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        pp_memory_free(memory[i]);
}

static void test_areas_do_not_overlap(void **state)
{
    unsigned char *memory[COUNT_OF(sizes)];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        memory[i] = pp_memory_alloc(3, sizes[i]);
        assert_non_null(memory[i]);
        memset(memory[i], (int)i + 1, 3 * sizes[i]);
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        assert_true(all_bytes_are(memory[i], 3 * sizes[i], (unsigned char)(i + 1)));
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        pp_memory_free(memory[i]);
}

static void test_a_size_that_overflows_is_refused(void **state)
{
    (void)state;
    assert_null(pp_memory_alloc(SIZE_MAX / 2 + 1, 2)); /* wraps to 0 */
    assert_null(pp_memory_alloc(2, SIZE_MAX / 2 + 2)); /* wraps to 2 */
    assert_null(pp_memory_alloc(SIZE_MAX, SIZE_MAX));  /* wraps to 1 */
    assert_null(pp_memory_alloc(1, SIZE_MAX));         /* wraps with what stands before the area */
    assert_null(pp_memory_alloc(1, SIZE_MAX - CACHE_LINE_BYTES));
}

static void test_more_than_there_is_gives_null(void **state)
{
    (void)state;
    assert_null(pp_memory_alloc((size_t)1 << 30, (size_t)1 << 30));
}

static void test_a_large_area_takes_up_memory_only_where_it_is_touched(void **state)
{
    const size_t bytes = 256 * MIB;
    const long before_kib = resident_peak_kib();
    char *memory = pp_memory_alloc(256, MIB);

    (void)state;
    assert_non_null(memory);
    memory[bytes - 1] = 1;
    assert_true(resident_peak_kib() - before_kib < 64 * 1024);
    pp_memory_free(memory);
}

static void alloc_while_sealed(void)
{
    pp_memory_seal(true);
    pp_memory_free(pp_memory_alloc(1, 1));
}

static void alloc_after_unsealing(void)
{
    pp_memory_seal(true);
    pp_memory_seal(false);
    pp_memory_free(pp_memory_alloc(1, 1));
}

static void free_while_sealed(void)
{
    void *memory = pp_memory_alloc(1, 1);

    pp_memory_seal(true);
    pp_memory_free(memory);
}

static void test_an_allocation_while_sealed_aborts(void **state)
{
    (void)state;
    assert_true(aborts(alloc_while_sealed));
}

static void test_after_unsealing_memory_can_be_had_again(void **state)
{
    (void)state;
    assert_false(aborts(alloc_after_unsealing));
}

static void test_memory_may_be_given_back_while_sealed(void **state)
{
    (void)state;
    assert_false(aborts(free_while_sealed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zero_even_where_it_was_used_before),
        cmocka_unit_test(test_memory_starts_on_a_cache_line),
        cmocka_unit_test(test_areas_do_not_overlap),
        cmocka_unit_test(test_a_size_that_overflows_is_refused),
        cmocka_unit_test(test_more_than_there_is_gives_null),
        cmocka_unit_test(test_a_large_area_takes_up_memory_only_where_it_is_touched),
        cmocka_unit_test(test_an_allocation_while_sealed_aborts),
        cmocka_unit_test(test_after_unsealing_memory_can_be_had_again),
        cmocka_unit_test(test_memory_may_be_given_back_while_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
