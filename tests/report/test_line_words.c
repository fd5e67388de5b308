/* Fields and words, folded where the next one would not fit. */
#include "report/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

/* The words of text, folded at so many columns. */
static void check_words(unsigned limit, const char *text, const char *wanted)
{
    char *got = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&got, &bytes);
    struct pp_line line = { .out = out, .separator = " ", .limit = limit };

    assert_non_null(out);
    pp_line_words(&line, text);
    pp_line_end(&line);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(got, wanted);
    free(got);
}

static void test_words_are_folded_where_the_next_would_not_fit(void **state)
{
    (void)state;
    check_words(9, "one two three", "one two\n  three\n");
    check_words(13, "one two three", "one two three\n");
    check_words(0, "one two three", "one two three\n");
}

static void test_a_word_that_never_fits_has_a_line_of_its_own(void **state)
{
    (void)state;
    check_words(4, "a incomprehensible b", "a\n  incomprehensible\n  b\n");
}

static void test_letters_of_several_bytes_are_one_column(void **state)
{
    (void)state;
    check_words(5, "\u00b5\u00b5 \u00b5\u00b5", "\u00b5\u00b5 \u00b5\u00b5\n");
}

static void test_a_figure_stays_with_its_unit(void **state)
{
    (void)state;
    check_words(9, "takes 1.6 \u00b5s", "takes\n  1.6 \u00b5s\n");
    check_words(10, "some 98.5 ms", "some\n  98.5 ms\n");
    check_words(9, "lasts 2 s, or more", "lasts\n  2 s, or\n  more\n");
    check_words(8, "about 97 %", "about\n  97 %\n");
    check_words(8, "about 97 %: so", "about\n  97 %:\n  so\n");
}

static void test_only_a_unit_stays_with_a_figure(void **state)
{
    (void)state;
    check_words(8, "about 97 men", "about 97\n  men\n");
    check_words(8, "the ms %", "the ms %\n");
    check_words(5, "the s", "the s\n");
    check_words(8, "about 97", "about 97\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_folded_where_the_next_would_not_fit),
        cmocka_unit_test(test_a_word_that_never_fits_has_a_line_of_its_own),
        cmocka_unit_test(test_letters_of_several_bytes_are_one_column),
        cmocka_unit_test(test_a_figure_stays_with_its_unit),
        cmocka_unit_test(test_only_a_unit_stays_with_a_figure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
