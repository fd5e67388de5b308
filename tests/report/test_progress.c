#include "base/container.h"
#include "report/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define ERASE "\r\033[K"
#define S UINT64_C(1000000000)

struct drawing {
    char text[512];
};

static struct drawing draw(unsigned columns, uint64_t done, double share, uint64_t elapsed_ns)
{
    struct drawing drawing = { "" };
    FILE *out = fmemopen(drawing.text, sizeof drawing.text, "w");

    assert_non_null(out);
    pp_progress_draw(out, columns, done, share, elapsed_ns);
    assert_int_equal(fclose(out), 0);
    return drawing;
}

static void check(const struct drawing got, const char *want)
{
    assert_string_equal(got.text, want);
}

static void test_the_bar_fills_up_with_the_share(void **state)
{
    (void)state;
    check(draw(46, 0, 0, S), ERASE "[          ]   0 %  0 roundtrips/s");
    check(draw(46, 1, 0.09, S), ERASE "[          ]   9 %  1 roundtrips/s");
    check(draw(46, 10, 0.5, S), ERASE "[=====     ]  50 %  10 roundtrips/s");
    check(draw(46, 99, 0.99, S), ERASE "[========= ]  99 %  99 roundtrips/s");
    check(draw(46, 100, 1, S), ERASE "[==========] 100 %  100 roundtrips/s");
}

static void test_the_rate_is_what_was_done_in_the_time(void **state)
{
    (void)state;
    check(draw(36, 1000000, 0, 4 * S), ERASE "[]   0 %  250,000 roundtrips/s");
    check(draw(36, 1, 0, 3 * S), ERASE "[]   0 %  0 roundtrips/s");
    check(draw(36, 5, 0, 0), ERASE "[]   0 %  0 roundtrips/s"); /* it has just begun */
}

static void test_the_bar_is_as_long_as_there_is_room_up_to_30(void **state)
{
    static const struct {
        unsigned columns, bar;
    } table[] = { { 0, 0 },   { 10, 0 },  { 35, 0 },  { 36, 0 },  { 37, 1 },  { 40, 4 },
                  { 60, 24 }, { 66, 30 }, { 67, 30 }, { 80, 30 }, { 200, 30 } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct drawing got = draw(table[i].columns, 0, 1, S);

        const char *bar = strrchr(got.text, '[') + 1; /* ERASE has one, too */

        assert_int_equal(strspn(bar, "="), table[i].bar);
        assert_int_equal(bar[table[i].bar], ']');
    }
}

static void test_it_stays_on_one_line_of_the_terminal(void **state)
{
    static const uint64_t done[] = { 0, 1, 999999, 123456789, 1000000000 };

    (void)state;
    for (unsigned columns = 40; columns <= 200; columns++) {
        for (size_t i = 0; i < COUNT_OF(done); i++) {
            const struct drawing got = draw(columns, done[i], 1, S);

            assert_true(strlen(got.text) - strlen(ERASE) <= columns);
            assert_null(strchr(got.text, '\n'));
        }
    }
}

static void test_clearing_leaves_an_empty_line(void **state)
{
    char got[16] = "";
    FILE *out = fmemopen(got, sizeof got, "w");

    (void)state;
    assert_non_null(out);
    pp_progress_clear(out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(got, ERASE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bar_fills_up_with_the_share),
        cmocka_unit_test(test_the_rate_is_what_was_done_in_the_time),
        cmocka_unit_test(test_the_bar_is_as_long_as_there_is_room_up_to_30),
        cmocka_unit_test(test_it_stays_on_one_line_of_the_terminal),
        cmocka_unit_test(test_clearing_leaves_an_empty_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
