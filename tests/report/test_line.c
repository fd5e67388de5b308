#include "report/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define TEXT_BYTES 4096

/* A line of the fields, of which the last is followed by NULL. */
static const char *folded(const char *separator, unsigned limit, const char *const *fields)
{
    static char text[TEXT_BYTES];
    struct pp_line line = { .separator = separator, .limit = limit };

    line.out = fmemopen(text, sizeof text, "w");
    assert_non_null(line.out);
    for (; *fields; fields++)
        pp_line_field(&line, "%s", *fields);
    pp_line_end(&line);
    assert_int_equal(fclose(line.out), 0);
    return text;
}

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_columns_are_counted_in_characters(void **state)
{
    (void)state;
    assert_int_equal(pp_line_columns(""), 0);
    assert_int_equal(pp_line_columns("abc"), 3);
    assert_int_equal(pp_line_columns("50 \u00b5s"), 5);
    assert_int_equal(pp_line_columns("\u2192"), 1);
}

static void test_colours_take_up_no_columns(void **state)
{
    (void)state;
    assert_int_equal(pp_line_columns("\033[31mINVALID\033[0m"), 7);
    assert_int_equal(pp_line_columns("\033[1m\033[0m"), 0);
    assert_int_equal(pp_line_columns("a\033["), 1);
}

static void test_fields_stand_between_separators_and_the_line_ends(void **state)
{
    (void)state;
    assert_string_equal(folded(" | ", 0, FIELDS("one", "two", "three")), "one | two | three\n");
    assert_string_equal(folded(" | ", 0, FIELDS("one")), "one\n");
    assert_string_equal(folded(" | ", 0, FIELDS(NULL)), "\n");
}

static void test_a_line_that_fits_just_so_is_not_folded(void **state)
{
    (void)state;
    assert_string_equal(folded(", ", 10, FIELDS("1234", "6789")), "1234, 6789\n");
    assert_string_equal(folded(", ", 9, FIELDS("1234", "6789")), "1234\n  6789\n");
}

static void test_what_does_not_fit_stands_indented_on_the_next_line(void **state)
{
    (void)state;
    assert_string_equal(folded(" ", 10, FIELDS("aaaa", "bbbb", "cccc", "ddd", "eeee")),
                        "aaaa bbbb\n  cccc ddd\n  eeee\n");
}

static void test_a_field_wider_than_the_line_is_folded_between_its_words(void **state)
{
    (void)state;
    assert_string_equal(folded(", ", 10, FIELDS("a", "bb  ccc dddd", "e")),
                        "a, bb  ccc\n  dddd, e\n");
    assert_string_equal(folded(", ", 12, FIELDS("bb  ccc dddd", "e")), "bb  ccc dddd\n  e\n");
    assert_string_equal(folded(", ", 12, FIELDS("a", "bb  ccc dddd")), "a, bb  ccc\n  dddd\n");
    assert_string_equal(folded(", ", 14, FIELDS("a", "bb  ccc dddd")), "a\n  bb  ccc dddd\n");
    assert_string_equal(folded(", ", 10, FIELDS("about 100 ms")), "about\n  100 ms\n");
}

static void test_a_word_wider_than_the_line_is_kept_whole(void **state)
{
    (void)state;
    assert_string_equal(folded(" ", 5, FIELDS("a", "1234567890", "b")), "a\n  1234567890\n  b\n");
}

static void test_a_field_ends_after_512_bytes(void **state)
{
    char wide[600];

    (void)state;
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    assert_int_equal(strlen(folded(" ", 0, FIELDS(wide))), 512);
}

static void test_words_are_fields_whatever_blanks_are_between_them(void **state)
{
    char text[64];
    struct pp_line line = { .separator = " ", .limit = 8 };

    (void)state;
    line.out = fmemopen(text, sizeof text, "w");
    assert_non_null(line.out);
    pp_line_words(&line, "a  bcd efgh ");
    pp_line_words(&line, "");
    pp_line_words(&line, "ij");
    pp_line_end(&line);
    assert_int_equal(fclose(line.out), 0);
    assert_string_equal(text, "a bcd\n  efgh\n  ij\n");
}

static void test_after_its_end_a_line_begins_anew(void **state)
{
    char text[64];
    struct pp_line line = { .separator = ", ", .limit = 6 };

    (void)state;
    line.out = fmemopen(text, sizeof text, "w");
    assert_non_null(line.out);
    pp_line_field(&line, "abcd");
    pp_line_end(&line);
    pp_line_field(&line, "%d", 12345);
    pp_line_end(&line);
    assert_int_equal(fclose(line.out), 0);
    assert_string_equal(text, "abcd\n12345\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_counted_in_characters),
        cmocka_unit_test(test_colours_take_up_no_columns),
        cmocka_unit_test(test_fields_stand_between_separators_and_the_line_ends),
        cmocka_unit_test(test_a_line_that_fits_just_so_is_not_folded),
        cmocka_unit_test(test_what_does_not_fit_stands_indented_on_the_next_line),
        cmocka_unit_test(test_a_field_wider_than_the_line_is_folded_between_its_words),
        cmocka_unit_test(test_a_word_wider_than_the_line_is_kept_whole),
        cmocka_unit_test(test_a_field_ends_after_512_bytes),
        cmocka_unit_test(test_words_are_fields_whatever_blanks_are_between_them),
        cmocka_unit_test(test_after_its_end_a_line_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
