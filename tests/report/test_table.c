#include "report/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define TEXT_BYTES 4096

static const char *written(const struct pp_table *table, unsigned limit)
{
    static char text[TEXT_BYTES];
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    text[0] = '\0';
    pp_table_write(table, out, limit);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void add_row(struct pp_table *table, const char *label, const char *const *cells)
{
    const unsigned row = table->rows++;

    table->labels[row] = label;
    for (unsigned column = 0; column < table->columns; column++)
        (void)strcpy(table->cells[row][column], cells[column]);
}

#define CELLS(...) ((const char *const[]){ __VA_ARGS__ })

/* 2 rows of 3 columns: 4 for the labels, then 5, 6 and 8. */
static struct pp_table small(void)
{
    struct pp_table table = { .title = "of" };

    assert_int_equal(pp_table_head(&table, "min"), 0);
    assert_int_equal(pp_table_head(&table, "p%g", 50.0), 1);
    assert_int_equal(pp_table_head(&table, "max"), 2);
    add_row(&table, "one", CELLS("1.00", "2.00", "30,000"));
    add_row(&table, "four", CELLS("7", "n/a", "9"));
    return table;
}

static void test_figures_are_aligned_to_the_right_under_their_heads(void **state)
{
    const struct pp_table table = small();

    (void)state;
    assert_string_equal(written(&table, 0), "of     min   p50     max\n"
                                            "one   1.00  2.00  30,000\n"
                                            "four     7   n/a       9\n");
}

static void test_a_table_that_fits_just_so_is_in_one_piece(void **state)
{
    const struct pp_table table = small();

    (void)state;
    assert_string_equal(written(&table, 24), written(&table, 0));
}

static void test_columns_that_do_not_fit_go_into_a_second_table(void **state)
{
    const struct pp_table table = small();

    (void)state;
    assert_string_equal(written(&table, 23), "of     min   p50\n"
                                             "one   1.00  2.00\n"
                                             "four     7   n/a\n"
                                             "of       max\n"
                                             "one   30,000\n"
                                             "four       9\n");
}

static void test_a_column_wider_than_the_terminal_stands_alone(void **state)
{
    const struct pp_table table = small();
    const char *text = written(&table, 5);
    unsigned lines = 0;

    (void)state;
    for (; *text; text++)
        lines += *text == '\n';
    assert_int_equal(lines, 9);
}

static void test_width_is_counted_in_characters(void **state)
{
    struct pp_table table = { .title = "\u00b5s" };

    (void)state;
    (void)pp_table_head(&table, "\u00b5");
    (void)pp_table_head(&table, "b");
    add_row(&table, "", CELLS("12", "\u00b5\u00b5"));
    assert_string_equal(written(&table, 10), "\u00b5s   \u00b5   b\n"
                                             "    12  \u00b5\u00b5\n");
}

static void test_a_table_without_rows_is_its_head(void **state)
{
    struct pp_table table = { .title = "t" };

    (void)state;
    (void)pp_table_head(&table, "a");
    assert_string_equal(written(&table, 0), "t  a\n");
}

static void test_a_table_without_columns_is_nothing(void **state)
{
    const struct pp_table table = { .title = "t" };

    (void)state;
    assert_string_equal(written(&table, 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_are_aligned_to_the_right_under_their_heads),
        cmocka_unit_test(test_a_table_that_fits_just_so_is_in_one_piece),
        cmocka_unit_test(test_columns_that_do_not_fit_go_into_a_second_table),
        cmocka_unit_test(test_a_column_wider_than_the_terminal_stands_alone),
        cmocka_unit_test(test_width_is_counted_in_characters),
        cmocka_unit_test(test_a_table_without_rows_is_its_head),
        cmocka_unit_test(test_a_table_without_columns_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
