#include "base/container.h"
#include "base/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h> /* needs the headers above */

static void test_counts_have_a_comma_before_each_three_digits(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } table[] = {
        { 0, "0" },
        { 7, "7" },
        { 999, "999" },
        { 1000, "1,000" },
        { 9999, "9,999" },
        { 10000, "10,000" },
        { 100000, "100,000" },
        { 500000, "500,000" },
        { 1000000, "1,000,000" },
        { 1234567, "1,234,567" },
        { UINT64_C(1000000000000), "1,000,000,000,000" },
        { UINT64_MAX, "18,446,744,073,709,551,615" },
    };
    char text[PP_FORMAT_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_string_equal(pp_format_count(text, table[i].value), table[i].text);
}

static void test_decimals_are_rounded_and_only_the_whole_part_has_commas(void **state)
{
    static const struct {
        double value;
        unsigned decimals;
        const char *text;
    } table[] = {
        { 0, 0, "0" },
        { 0, 2, "0.00" },
        { 0.004, 2, "0.00" },
        { 0.006, 2, "0.01" },
        { 1, 2, "1.00" },
        { 999.994, 2, "999.99" },
        { 999.996, 2, "1,000.00" },
        { 999.6, 0, "1,000" },
        { 1234567.891, 2, "1,234,567.89" },
        { 1234567.891, 0, "1,234,568" },
        { 123.45678, 5, "123.45678" },
        { 123456.75, 4, "123,456.7500" },
        { 1e15, 2, "1,000,000,000,000,000.00" },
    };
    char text[PP_FORMAT_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_string_equal(pp_format_decimal(text, table[i].value, table[i].decimals),
                            table[i].text);
}

static void test_microseconds_have_three_significant_digits(void **state)
{
    static const struct {
        double ns;
        const char *text;
    } table[] = {
        { 0, "0.00" },          { 4, "0.00" },        { 6, "0.01" },
        { 57, "0.06" },         { 999, "1.00" },      { 1000, "1.00" },
        { 3412, "3.41" },       { 9994, "9.99" },     { 9996, "10.0" }, /* and not 10.00 */
        { 10000, "10.0" },      { 34120, "34.1" },    { 99940, "99.9" },
        { 99960, "100" }, /* and not 100.0 */
        { 100000, "100" },      { 412345, "412" },    { 999400, "999" },
        { 999600, "1,000" },    { 1234567, "1,235" }, { 1e9, "1,000,000" },
        { 6e10, "60,000,000" },
    };
    char text[PP_FORMAT_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_string_equal(pp_format_us(text, table[i].ns), table[i].text);
}

static void test_a_percentile_has_the_digits_that_it_was_typed_with(void **state)
{
    static const char *const table[] = {
        "0.001",          "0.01",   "1",       "50",       "90",       "99",       "99.9",
        "99.99",          "99.999", "99.9999", "99.99991", "99.99992", "99.99999", "33.3333333333",
        "7.123456789012", "14.7",   "57.3"
    };
    char text[PP_FORMAT_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_string_equal(pp_format_percentile(text, strtod(table[i], NULL) / 100), table[i]);
    assert_string_equal(pp_format_percentile(text, 0.999), "99.9");
    for (unsigned i = 1; i < 10000; i++) {
        char want[PP_FORMAT_BYTES];

        (void)snprintf(want, sizeof want, "%g", i / 100.0);
        assert_string_equal(pp_format_percentile(text, i / 100.0 / 100), want);
    }
}

static void test_the_first_eight_bytes_are_shown_in_hexadecimal_digits(void **state)
{
    char text[PP_FORMAT_HEX_BYTES];

    (void)state;
    assert_string_equal(pp_format_hex(text, "", 0), "");
    assert_string_equal(pp_format_hex(text, "\xff", 1), "ff");
    assert_string_equal(pp_format_hex(text, "a\0\n", 3), "61 00 0a");
    assert_string_equal(pp_format_hex(text, "PING\r\n\x80\x7f and more", 17),
                        "50 49 4e 47 0d 0a 80 7f");
}

static void test_numbers_beyond_all_measure_stay_within_the_buffer(void **state)
{
    struct {
        char text[PP_FORMAT_BYTES];
        char after[8];
    } place = { .after = "intact!" };

    (void)state;
    (void)pp_format_decimal(place.text, 1e300, 2);
    assert_string_equal(place.after, "intact!");
    (void)pp_format_us(place.text, 1e300);
    assert_string_equal(place.after, "intact!");
}

/* ---- characters ---- */

static void test_a_character_has_as_many_bytes_as_utf8_says(void **state)
{
    static const struct {
        const char *text;
        size_t bytes;
    } table[] = {
        { "a", 1 },
        { "\x7f", 1 },
        { "\xc2\x80", 2 },
        { "\xdf\xbf!", 2 },
        { "\xe0\xa0\x80", 3 },
        { "\xed\x9f\xbf", 3 },
        { "\xef\xbf\xbf", 3 },
        { "\xf0\x90\x80\x80", 4 },
        { "\xf4\x8f\xbf\xbf", 4 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(pp_format_character(table[i].text), table[i].bytes);
}

static void test_what_is_no_utf8_is_no_character(void **state)
{
    static const char *const table[] = {
        "\x80",             /* the middle of one */
        "\xff",             /* never a part of one */
        "\xc2",             /* cut short */
        "\xe2\x86",         /* cut short */
        "\xc0\xaf",         /* longer than need be */
        "\xe0\x9f\xbf",     /* longer than need be */
        "\xf0\x8f\xbf\xbf", /* longer than need be */
        "\xed\xa0\x80",     /* half of a pair of UTF-16 */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf8\x88\x80\x80", /* of five bytes */
        "\xc2q",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(pp_format_character(table[i]), 0);
}

static void test_bytes_that_are_no_utf8_become_question_marks(void **state)
{
    char text[32];

    (void)state;
    assert_string_equal(pp_format_utf8(text, sizeof text, "a\xff\u00b5\xc2z"), "a?\u00b5?z");
    assert_string_equal(pp_format_utf8(text, sizeof text, "tab\tand\nline"), "tab\tand\nline");
    assert_string_equal(pp_format_utf8(text, sizeof text, ""), "");
}

static void test_of_a_line_control_characters_become_question_marks(void **state)
{
    char text[32];

    (void)state;
    assert_string_equal(pp_format_line(text, sizeof text, "a\nb\t\x1b[1m\x7f\u00b5\xff"),
                        "a?b??[1m?\u00b5?");
}

static void test_a_text_that_does_not_fit_is_cut_between_characters(void **state)
{
    char text[8];

    (void)state;
    assert_string_equal(pp_format_utf8(text, 4, "abcdef"), "abc");
    assert_string_equal(pp_format_utf8(text, 4, "ab\u00b5"), "ab");
    assert_string_equal(pp_format_utf8(text, 5, "ab\u00b5"), "ab\u00b5");
    assert_string_equal(pp_format_utf8(text, 1, "a"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_have_a_comma_before_each_three_digits),
        cmocka_unit_test(test_decimals_are_rounded_and_only_the_whole_part_has_commas),
        cmocka_unit_test(test_microseconds_have_three_significant_digits),
        cmocka_unit_test(test_a_percentile_has_the_digits_that_it_was_typed_with),
        cmocka_unit_test(test_the_first_eight_bytes_are_shown_in_hexadecimal_digits),
        cmocka_unit_test(test_numbers_beyond_all_measure_stay_within_the_buffer),
        cmocka_unit_test(test_a_character_has_as_many_bytes_as_utf8_says),
        cmocka_unit_test(test_what_is_no_utf8_is_no_character),
        cmocka_unit_test(test_bytes_that_are_no_utf8_become_question_marks),
        cmocka_unit_test(test_of_a_line_control_characters_become_question_marks),
        cmocka_unit_test(test_a_text_that_does_not_fit_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
