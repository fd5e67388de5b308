#include "report/hlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define MS UINT64_C(1000000)

struct fixture {
    struct pp_hist_encoder *encoder;
    struct pp_hist hist;
    char *text;
    size_t bytes;
    FILE *out;
};

static int open_fixture(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);

    *state = f;
    f->encoder = pp_hist_encoder_open();
    pp_hist_reset(&f->hist);
    f->out = open_memstream(&f->text, &f->bytes);
    return f->encoder && f->out ? 0 : -1;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;

    (void)fclose(f->out);
    free(f->text);
    pp_hist_encoder_close(f->encoder);
    test_free(f);
    return 0;
}

/* All that was written is want, and behind it the histogram and the end of the line. */
static void check_line(struct fixture *f, const char *want)
{
    const char *encoded = pp_hist_encode(f->encoder, &f->hist);

    assert_int_equal(fflush(f->out), 0);
    assert_int_equal(f->bytes, strlen(want) + strlen(encoded) + 1);
    assert_memory_equal(f->text, want, strlen(want));
    assert_memory_equal(f->text + strlen(want), encoded, strlen(encoded));
    assert_int_equal(f->text[f->bytes - 1], '\n');
}

static void test_a_log_begins_with_its_version_its_time_and_a_legend(void **state)
{
    struct fixture *f = *state;

    pp_hlog_begin(f->out, UINT64_C(1700000000001500000));
    assert_int_equal(fflush(f->out), 0);
    assert_string_equal(f->text, "#[pingpong: RTT in ns; Interval_Max in ms]\n"
                                 "#[Histogram log format version 1.3]\n"
                                 "#[StartTime: 1700000000.002 (seconds since epoch)]\n"
                                 "#[BaseTime: 1700000000.002 (seconds since epoch)]\n"
                                 "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                                 "\"Interval_Compressed_Histogram\"\n");
}

static void test_a_line_is_begin_length_maximum_and_histogram(void **state)
{
    struct fixture *f = *state;

    pp_hist_record(&f->hist, 20000);
    pp_hist_record(&f->hist, 1234567);
    pp_hlog_line(f->out, f->encoder, NULL, 3000 * MS, 1001 * MS, &f->hist);
    check_line(f, "3.000,1.001,1.234567,");
}

static void test_a_tag_stands_in_front(void **state)
{
    struct fixture *f = *state;

    pp_hlog_line(f->out, f->encoder, "intended", 0, 1, &f->hist);
    check_line(f, "Tag=intended,0.000,0.000,0.000000,");
}

static void test_times_are_rounded_to_the_nearest_millisecond(void **state)
{
    struct fixture *f = *state;

    pp_hlog_line(f->out, f->encoder, NULL, 999 * MS + MS / 2, 86400000 * MS + MS / 2 - 1, &f->hist);
    check_line(f, "1.000,86400.000,0.000000,");
}

static void test_the_maximum_is_exact_even_beyond_the_range(void **state)
{
    struct fixture *f = *state;

    pp_hist_record(&f->hist, PP_HIST_HIGHEST_NS * 3 + 1);
    pp_hlog_line(f->out, f->encoder, NULL, 0, 0, &f->hist);
    check_line(f, "0.000,0.000,180000.000001,");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_log_begins_with_its_version_its_time_and_a_legend),
        TEST(test_a_line_is_begin_length_maximum_and_histogram),
        TEST(test_a_tag_stands_in_front),
        TEST(test_times_are_rounded_to_the_nearest_millisecond),
        TEST(test_the_maximum_is_exact_even_beyond_the_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
