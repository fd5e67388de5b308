#include "measure/cpulist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

static void test_a_list_has_the_cpus_of_its_ranges(void **state)
{
    static const unsigned want[] = { 0, 1, 2, 3, 8, 10, 11 };
    struct pp_cpulist list = { .rest = "0-3,8,10-11" };
    unsigned cpu;

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_true(pp_cpulist_next(&list, &cpu));
        assert_int_equal(cpu, want[i]);
    }
    assert_false(pp_cpulist_next(&list, &cpu));
    assert_false(pp_cpulist_next(&list, &cpu));
    assert_int_equal(cpu, 11);
}

static void test_what_is_no_list_ends_it(void **state)
{
    static const struct {
        const char *text;
        unsigned count;
    } cases[] = {
        { "", 0 },     { "x", 0 },          { "-1", 0 },
        { "3-1", 0 },  { "0-", 0 },         { "1,x", 1 },
        { "1,,2", 1 }, { "0-1 3", 2 },      { "99999999999999999999", 0 },
        { "7\n", 1 },  { "0-99999999", 0 }, { "0-1023", 1024 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(pp_cpulist_count(cases[i].text), cases[i].count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_has_the_cpus_of_its_ranges),
        cmocka_unit_test(test_what_is_no_list_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
