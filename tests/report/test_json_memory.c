/* Whichever allocation of the JSON library fails: what is written is whole lines, and where one is
 * missing the end says so. */
#include "report/report.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define INTERVALS 2

/* The library asks for memory without saying for whom. */
static struct {
    unsigned long count;
    unsigned long failing; /* the number of the one that gets nothing; 0: all get some */
} allocations;

static void *allocate(size_t bytes)
{
    return ++allocations.count == allocations.failing ? NULL : malloc(bytes);
}

struct run {
    struct pp_result result;
    struct pp_result_interval interval;
};

/* A report of a run with two intervals. Returns what its end does; *text is the caller's. */
static int write_report(const struct pp_report_format *format, struct run *run, char **text)
{
    struct pp_report report = { .format = format, .style.intervals = true };
    const struct pp_error no_error = { 0 };
    struct pp_error err = { 0 };
    size_t bytes = 0;
    int ret;

    report.out = open_memstream(text, &bytes);
    assert_non_null(report.out);
    ret = format->open(&report, &err);
    if (ret == 0) {
        format->begin(&report, &run->result);
        for (unsigned i = 0; i < INTERVALS; i++)
            format->interval(&report, &run->result, &run->interval);
        ret = format->end(&report, &run->result, &no_error, &err);
    }
    format->close(&report);
    assert_int_equal(fclose(report.out), 0);
    if (ret < 0) {
        assert_int_equal(ret, -ENOMEM);
        assert_non_null(strstr(err.text, "no memory"));
    }
    return ret;
}

/* One value after the other, each with a newline behind it; how many. */
static unsigned check_whole(const char *text)
{
    unsigned count = 0;

    while (*text) {
        json_error_t error;
        json_t *value = json_loads(text, JSON_DISABLE_EOF_CHECK, &error);

        if (!value)
            fail_msg("cut: %.60s: %s", text, error.text);
        json_decref(value);
        text += error.position;
        assert_int_equal(*text, '\n');
        text++;
        count++;
    }
    return count;
}

/* From the first allocation to the last; a report of so many values is whole. The library does
 * without some of what it asks for, and then nothing may be missing. */
static void check_each_allocation(const struct pp_report_format *format, unsigned values)
{
    struct run *run = calloc(1, sizeof *run);
    unsigned long last, refusals = 0;
    char *whole = NULL, *text = NULL;

    assert_non_null(run);
    pp_plan_default(&run->result.plan, PP_JOB_RUN);
    json_set_alloc_funcs(allocate, free);
    allocations.count = 0;
    assert_int_equal(write_report(format, run, &whole), 0);
    last = allocations.count; /* reading allocates, too */
    assert_int_equal(check_whole(whole), values);
    for (unsigned long i = 1; i <= last; i++) {
        bool refused;

        allocations.count = 0;
        allocations.failing = i;
        refused = write_report(format, run, &text) < 0;
        allocations.failing = 0;
        if (refused ? check_whole(text) >= values : strcmp(text, whole) != 0)
            fail_msg("without allocation %lu of %lu %s: %.9999s", i, last,
                     refused ? "it is whole" : "it lacks something", text);
        refusals += refused;
        free(text);
    }
    assert_true(refusals > last / 2);
    json_set_alloc_funcs(malloc, free);
    free(whole);
    free(run);
}

static void test_a_stream_without_memory_ends_before_the_line_that_needs_it(void **state)
{
    (void)state;
    check_each_allocation(&pp_report_json_stream, 1 + INTERVALS + 1);
}

static void test_a_result_without_memory_is_not_written(void **state)
{
    (void)state;
    check_each_allocation(&pp_report_json, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_without_memory_ends_before_the_line_that_needs_it),
        cmocka_unit_test(test_a_result_without_memory_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
