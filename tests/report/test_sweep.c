/* What people read of a sweep: lines that fit, whatever the candidates are called. */
#include "report/sweep.h"

#include "base/container.h"
#include "report/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define POINTS 4

static const char *const values[POINTS][PP_SWEEP_AXES_MAX] = {
    { "1", "64" }, { "10000", "1048576" }, { "1", "64" }, { "10000", "1048576" }
};

static const struct pp_sweep_point points[POINTS] = {
    { .trials = 1, .figures = { 8000, 58187, 16400, 29900 }, .p999_ns = 48600, .bytes_per_s = 3e6 },
    { .trials = 1,
      .figures = { 900, 1234567, 123456789, 1234567890 },
      .p999_ns = 12345678901,
      .bytes_per_s = 12345678901 },
    { .trials = 1, .figures = { 7000, 68187, 15400, 27900 }, .p999_ns = 45600, .bytes_per_s = 4e6 },
    { .trials = 1, .missing = 1, .level = PP_INVALID },
};

/* Of two candidates, with two points each. */
static struct pp_report_sweep sweep_of(const struct pp_plan *plan, const char *const series[POINTS])
{
    return (struct pp_report_sweep){ .plan = plan,
                                     .axis_count = 2,
                                     .axes = { "connections", "size" },
                                     .has_series = true,
                                     .count = POINTS,
                                     .points = points,
                                     .series = series,
                                     .values = values,
                                     .rounds = 1,
                                     .signal = 2 };
}

/* The caller's to free(). */
static char *text_of(const char *const series[POINTS], unsigned columns)
{
    const struct pp_report_style style = { .columns = columns };
    struct pp_plan plan;
    struct pp_report_sweep of = sweep_of(&plan, series);
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    assert_non_null(out);
    pp_plan_default(&plan, PP_JOB_RUN);
    pp_report_sweep_text(out, &style, &of);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void check_fits(const char *const series[POINTS])
{
    for (unsigned columns = 60; columns <= 140; columns++) {
        char *text = text_of(series, columns);

        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            if (pp_line_columns(line) > columns)
                fail_msg("%u columns: %s", columns, line);
        free(text);
    }
}

#define SHORT "wait=block"
#define LONG "server:./a/long/path {host} {port} -x -y -z"

static const char *const short_series[POINTS] = { "epoll", "epoll", SHORT, SHORT };
static const char *const long_series[POINTS] = { "epoll", "epoll", LONG, LONG };

static void test_no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    check_fits(short_series);
    check_fits(long_series);
}

static void test_names_that_have_room_stand_in_each_row(void **state)
{
    char *text = text_of(long_series, 0);

    (void)state;
    assert_non_null(strstr(text, "\n" LONG "            1       64 "));
    assert_null(strstr(text, "\nB  "));
    free(text);
    text = text_of(short_series, 80);
    assert_non_null(strstr(text, "\n" SHORT "            1       64 "));
    assert_null(strstr(text, "\nB  "));
    free(text);
}

static void test_names_that_have_none_have_letters(void **state)
{
    char *text = text_of(long_series, 80);

    (void)state;
    assert_non_null(strstr(text, "\nA  epoll\nB  " LONG "\n"));
    assert_non_null(strstr(text, "\nA            1       64 "));
    assert_non_null(strstr(text, "\nB        10000  1048576 "));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_line_is_wider_than_the_terminal),
        cmocka_unit_test(test_names_that_have_room_stand_in_each_row),
        cmocka_unit_test(test_names_that_have_none_have_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
