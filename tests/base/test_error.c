#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static void test_setting_an_error_fills_it_in_and_returns_its_code(void **state)
{
    struct pp_error err = { 0 };

    (void)state;
    assert_int_equal(pp_error_set(&err, PP_ERROR_USAGE, -EINVAL, "port %d of %s", 70000, "peer"),
                     -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.text, "port 70000 of peer");
}

static void test_the_first_error_stands(void **state)
{
    struct pp_error err = { 0 };

    (void)state;
    (void)pp_error_set(&err, PP_ERROR_UNAVAILABLE, -ENOSYS, "the cause");
    assert_int_equal(pp_error_set(&err, PP_ERROR_RUN, -EIO, "a consequence"), -ENOSYS);
    assert_int_equal(err.kind, PP_ERROR_UNAVAILABLE);
    assert_int_equal(err.code, -ENOSYS);
    assert_string_equal(err.text, "the cause");
}

static void test_without_a_place_for_the_error_its_code_still_returns(void **state)
{
    (void)state;
    assert_int_equal(pp_error_set(NULL, PP_ERROR_RUN, -EPIPE, "unheard"), -EPIPE);
}

static void test_a_long_text_is_cut_and_stays_a_string(void **state)
{
    struct pp_error err = { 0 };
    char path[2 * sizeof err.text];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(pp_error_set(&err, PP_ERROR_RUN, -ENOENT, "no %s", path), -ENOENT);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "no xxx", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setting_an_error_fills_it_in_and_returns_its_code),
        cmocka_unit_test(test_the_first_error_stands),
        cmocka_unit_test(test_without_a_place_for_the_error_its_code_still_returns),
        cmocka_unit_test(test_a_long_text_is_cut_and_stays_a_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
