#include "base/container.h"
#include "wire/sizes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

#define DRAWS 200000
#define MUTATIONS 100000

struct range {
    uint32_t low, high, weight;
};

/* A file without a name, that has one in /proc. */
struct file {
    int fd;
    char path[64];
    char text[64 + 5]; /* "file:" and the path */
};

static struct file file_of(const char *content, size_t bytes)
{
    struct file file = { .fd = memfd_create("sizes", MFD_CLOEXEC) };

    assert_true(file.fd >= 0);
    assert_int_equal(write(file.fd, content, bytes), bytes);
    (void)snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    (void)snprintf(file.text, sizeof file.text, "file:%s", file.path);
    return file;
}

static int parse_content(struct pp_sizes *sizes, const char *content, size_t bytes,
                         struct pp_error *err)
{
    const struct file file = file_of(content, bytes);
    const int ret = pp_sizes_parse(sizes, file.text, err);

    (void)close(file.fd);
    return ret;
}

static struct pp_sizes sizes_in(const char *content)
{
    struct pp_error err = { 0 };
    struct pp_sizes sizes = { 0 };

    if (parse_content(&sizes, content, strlen(content), &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(err.code, 0);
    return sizes;
}

static void check_refused(const char *content, size_t bytes, const char *why)
{
    struct pp_error err = { 0 };
    struct pp_sizes sizes = pp_sizes_of(77);
    const struct pp_sizes before = sizes;
    const int ret = parse_content(&sizes, content, bytes, &err);

    if (ret >= 0 || ret == -EINVAL || ret == -ERANGE || err.code != ret ||
        err.kind != PP_ERROR_USAGE || !strstr(err.text, why))
        fail_msg("\"%s\": returned %d, \"%s\"", content, ret, err.text);
    assert_memory_equal(&sizes, &before, sizeof sizes);
}

static void check_format(const struct pp_sizes *sizes, const char *want)
{
    char text[PP_SIZES_TEXT_BYTES];

    assert_ptr_equal(pp_sizes_format(sizes, text), text);
    assert_string_equal(text, want);
}

static void test_one_size_and_a_uniform_range_are_read(void **state)
{
    static const struct {
        const char *text;
        uint32_t min, max;
    } table[] = {
        { "64", 64, 64 },
        { "1", 1, 1 },
        { "1k", 1000, 1000 },
        { "4KiB", 4096, 4096 },
        { "64MiB", PP_SIZES_BYTES_MAX, PP_SIZES_BYTES_MAX },
        { "uniform:64-1400", 64, 1400 },
        { "uniform:1-64MiB", 1, PP_SIZES_BYTES_MAX },
        { "uniform:1k-1KiB", 1000, 1024 },
        { "uniform:9-9", 9, 9 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct pp_error err = { 0 };
        struct pp_sizes sizes;

        if (pp_sizes_parse(&sizes, table[i].text, &err) != 0 || sizes.count != 1 ||
            sizes.min != table[i].min || sizes.max != table[i].max)
            fail_msg("\"%s\"", table[i].text);
    }
}

static void check_not_sizes(const char *text, int want)
{
    struct pp_error err = { 0 };
    struct pp_sizes sizes = pp_sizes_of(77);
    const struct pp_sizes before = sizes;
    const int ret = pp_sizes_parse(&sizes, text, &err);

    if (ret != want || err.code != 0)
        fail_msg("\"%s\": returned %d", text, ret);
    assert_memory_equal(&sizes, &before, sizeof sizes);
}

static void test_what_is_no_size_is_refused_and_leaves_sizes_and_err_alone(void **state)
{
    static const char *const invalid[] = {
        "",
        "-1",
        "+1",
        " 64",
        "64 ",
        "64-1400",
        "64*2",
        "64,65",
        "1.5",
        "uniform:",
        "uniform:64",
        "uniform:64-",
        "uniform:-9",
        "uniform:-",
        "uniform:9-8",
        "uniform:1-2-3",
        "uniform: 1-2",
        "uniform:1--2",
        "Uniform:1-2",
        "file:",
        "file",
        "64x",
        "1e3",
        "0x40",
        "uniform:99999999999999999999999999999999999999999999999999-2",
    };
    static const char *const out_of_range[] = {
        "0", "67108865", "65MiB", "18446744073709551617", "uniform:0-5", "uniform:5-65MiB",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(invalid); i++)
        check_not_sizes(invalid[i], -EINVAL);
    for (size_t i = 0; i < COUNT_OF(out_of_range); i++)
        check_not_sizes(out_of_range[i], -ERANGE);
}

static void test_a_file_gives_ranges_with_weights_and_may_hold_comments(void **state)
{
    const struct pp_sizes sizes = sizes_in("# sizes of a day\n"
                                           "64\n"
                                           "\n"
                                           "  100-200\t3   # in pieces\r\n"
                                           "1KiB 1k#all of them\n"
                                           "   # indented\n"
                                           "64 2");

    (void)state;
    check_format(&sizes, "64*1,100-200*3,1024*1000,64*2");
    assert_int_equal(sizes.min, 64);
    assert_int_equal(sizes.max, 1024);
}

static void test_a_comment_may_be_longer_than_any_line_and_end_the_file(void **state)
{
    char content[5000];
    struct pp_sizes sizes;

    (void)state;
    memset(content, 'x', sizeof content - 1);
    memcpy(content, "9 #", 3);
    content[sizeof content - 1] = '\0';
    sizes = sizes_in(content);
    check_format(&sizes, "9");
    content[4000] = '\n';
    content[4001] = '#';
    sizes = sizes_in(content);
    check_format(&sizes, "9");
}

static void test_the_weight_of_a_range_that_stands_alone_is_not_kept(void **state)
{
    struct pp_sizes sizes = sizes_in("64 7\n");
    const struct pp_sizes plain = pp_sizes_of(64);

    (void)state;
    assert_true(pp_sizes_equal(&sizes, &plain));
    sizes = sizes_in("64-1400 4294967295\n");
    check_format(&sizes, "64-1400");
}

static void test_a_bad_line_is_named_with_its_number(void **state)
{
    static const char *const table[] = {
        "-",     "64-",    "-64",   "9-8",         "0",    "0-9",     "1-67108865", "64 0",
        "64 -1", "64 1 1", "64 x",  "x",           "64,9", "64 1.5",  "1.5",        "64 4294967296",
        "1 - 2", "64\f1",  "1-2-3", "uniform:1-2", "64*2", "file:/x", "64 1;",
    };
    char content[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        (void)snprintf(content, sizeof content, "# first\n64\n%s\n65\n", table[i]);
        check_refused(content, strlen(content), ", line 3: ");
        (void)snprintf(content, sizeof content, "%s", table[i]);
        check_refused(content, strlen(content), ", line 1: ");
    }
}

static void test_a_line_that_is_too_long_or_holds_a_zero_is_refused(void **state)
{
    char content[1000];

    (void)state;
    memset(content, ' ', sizeof content);
    memcpy(content, "64\n65", 5);
    check_refused(content, sizeof content, ", line 2: ");
    check_refused("64\n65\0 7\n", 9, ", line 2: ");
}

static void test_a_file_without_sizes_is_refused(void **state)
{
    (void)state;
    check_refused("", 0, "holds no size");
    check_refused("# none\n\n", 8, "holds no size");
}

static void test_a_file_that_cannot_be_read_is_named(void **state)
{
    struct pp_error err = { 0 };
    struct pp_sizes sizes;

    (void)state;
    assert_int_equal(pp_sizes_parse(&sizes, "file:/nowhere/sizes", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/sizes: No such file"));
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    err = (struct pp_error){ 0 };
    assert_int_equal(pp_sizes_parse(&sizes, "file:/", &err), -EIO);
    assert_non_null(strstr(err.text, "Is a directory"));
}

static void test_64_ranges_are_read_and_65_are_refused(void **state)
{
    char content[1024] = "";
    struct pp_sizes sizes;

    (void)state;
    for (unsigned i = 1; i <= PP_SIZES_RANGES_MAX; i++)
        (void)snprintf(content + strlen(content), sizeof content - strlen(content), "%u\n", i);
    sizes = sizes_in(content);
    assert_int_equal(sizes.count, 64);
    assert_int_equal(sizes.max, 64);
    (void)strncat(content, "65\n", 4);
    check_refused(content, strlen(content), ", line 65: more than 64 ranges");
}

static void test_weights_are_summed_up_to_32_bits_and_refused_above(void **state)
{
    const struct pp_sizes sizes = sizes_in("1 4294967294\n2 1\n");

    (void)state;
    check_format(&sizes, "1*4294967294,2*1");
    check_refused("1 4294967294\n2 1\n3 1\n", 21, ", line 3: the weights");
}

/* Ranges of all kinds; the sum of their weights is below 2^32. */
static struct pp_sizes random_sizes(struct pp_random *random)
{
    struct pp_sizes sizes = { .count = 1 + pp_random_below(random, PP_SIZES_RANGES_MAX),
                              .min = UINT32_MAX };
    uint32_t weight_to = 0;

    for (uint32_t i = 0; i < sizes.count; i++) {
        const uint32_t top = PP_SIZES_BYTES_MAX >> pp_random_below(random, 27);
        const uint32_t low = 1 + pp_random_below(random, top);
        const uint32_t more = pp_random_below(random, PP_SIZES_BYTES_MAX - low + 1);
        const uint32_t high = pp_random_below(random, 2) ? low + more : low;

        weight_to += 1 + pp_random_below(random, UINT32_C(1) << pp_random_below(random, 26));
        sizes.ranges[i] = (struct pp_sizes_range){ low, high, weight_to };
        sizes.min = low < sizes.min ? low : sizes.min;
        sizes.max = high > sizes.max ? high : sizes.max;
    }
    if (sizes.count == 1)
        sizes.ranges[0].weight_to = 1;
    return sizes;
}

static void test_what_is_formatted_reads_as_the_same_sizes(void **state)
{
    struct pp_random random = { .state = 5 };

    (void)state;
    for (int round = 0; round < 5000; round++) {
        const struct pp_sizes sizes = random_sizes(&random);
        char text[PP_SIZES_TEXT_BYTES];
        struct pp_sizes again;

        assert_int_equal(pp_sizes_read(&again, pp_sizes_format(&sizes, text)), 0);
        assert_true(pp_sizes_equal(&sizes, &again));
        assert_int_equal(again.min, sizes.min);
        assert_int_equal(again.max, sizes.max);
    }
}

static void test_the_longest_text_there_can_be_fits(void **state)
{
    struct pp_sizes sizes = { .count = PP_SIZES_RANGES_MAX };
    uint32_t weight_to = 0;
    char text[PP_SIZES_TEXT_BYTES];
    struct pp_sizes again;

    (void)state;
    for (uint32_t i = 0; i < sizes.count; i++) {
        weight_to += i < 40 ? 100000000 : 10000000; /* one more digit would be beyond 32 bits */
        sizes.ranges[i] = (struct pp_sizes_range){ 10000000, PP_SIZES_BYTES_MAX, weight_to };
    }
    assert_int_equal(strlen(pp_sizes_format(&sizes, text)), 64 * 19 + 40 * 9 + 24 * 8 - 1);
    assert_int_equal(pp_sizes_read(&again, text), 0);
    assert_true(pp_sizes_equal(&sizes, &again));
}

static void test_what_was_not_formatted_is_not_read(void **state)
{
    static const char *const table[] = {
        "",
        "0",
        "67108865",
        "64 ",
        " 64",
        "064",
        "1k",
        "64-64",
        "64*1",
        "64*2",
        "64-65*1",
        "65-64",
        "0-5*1,6*1",
        "64,65",
        "64*1,65",
        "64*0,1*1",
        "64*1,",
        ",64*1",
        "64*1,,1*1",
        "64**1,1*1",
        "64-*1,1*1",
        "64*+1,1*1",
        "1*4294967295,2*1",
        "1*4294967296,2*1",
        "64*1;65*1",
        "64\n",
        "64*01,1*1",
        "99999999999999999999999999999999999999999999999999999999999999999999999999999",
        "18446744073709551680",
        "4294967360",
        "uniform:1-2",
        "1-2-3",
        "64*1*1,1*1",
    };
    struct pp_sizes sizes = pp_sizes_of(77);
    const struct pp_sizes before = sizes;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (pp_sizes_read(&sizes, table[i]) != -EINVAL)
            fail_msg("\"%s\" was read", table[i]);
    assert_memory_equal(&sizes, &before, sizeof sizes);
}

static void test_65_ranges_are_not_read(void **state)
{
    char text[PP_SIZES_TEXT_BYTES] = "9*1";
    struct pp_sizes sizes;

    (void)state;
    for (int i = 1; i < PP_SIZES_RANGES_MAX; i++)
        (void)strncat(text, ",9*1", 5);
    assert_int_equal(pp_sizes_read(&sizes, text), 0);
    (void)strncat(text, ",9*1", 5);
    assert_int_equal(pp_sizes_read(&sizes, text), -EINVAL);
}

static void mutate(char *text, struct pp_random *random)
{
    static const char bytes[] = "0123456789-*,0 k.+\x9d";
    const uint32_t length = (uint32_t)strlen(text);
    const uint32_t at = pp_random_below(random, length);

    if (pp_random_below(random, 8) == 0)
        text[at] = '\0';
    else if (pp_random_below(random, 4) == 0)
        memmove(text + at, text + at + 1, length - at);
    else
        text[at] = bytes[pp_random_below(random, sizeof bytes - 1)];
}

static void check_sane(const struct pp_sizes *sizes, struct pp_random *random)
{
    uint32_t weight_to = 0;

    assert_in_range(sizes->count, 1, PP_SIZES_RANGES_MAX);
    for (uint32_t i = 0; i < sizes->count; i++) {
        const struct pp_sizes_range *range = &sizes->ranges[i];

        assert_true(range->low >= 1 && range->low <= range->high);
        assert_true(range->low >= sizes->min && range->high <= sizes->max);
        assert_true(range->weight_to > weight_to);
        weight_to = range->weight_to;
    }
    assert_true(sizes->max <= PP_SIZES_BYTES_MAX);
    for (int i = 0; i < 4; i++)
        assert_in_range(pp_sizes_next(sizes, random), sizes->min, sizes->max);
}

static void test_no_mutation_is_read_as_sizes_out_of_range(void **state)
{
    struct pp_random random = { .state = 6 };
    struct pp_sizes sizes = { 0 };
    char text[PP_SIZES_TEXT_BYTES] = "";
    int read = 0;

    (void)state;
    for (int round = 0; round < MUTATIONS; round++) {
        if (round % 8 == 0 || text[0] == '\0') {
            sizes = random_sizes(&random);
            sizes.count = sizes.count % 4 + 1; /* short ones are hit more often */
            if (sizes.count == 1)
                sizes.ranges[0].weight_to = 1;
            (void)pp_sizes_format(&sizes, text);
        }
        mutate(text, &random);
        if (pp_sizes_read(&sizes, text) == 0) {
            check_sane(&sizes, &random);
            read++;
        }
    }
    assert_true(read > MUTATIONS / 20); /* else the test would show little */
}

static void test_ranges_are_drawn_as_often_as_they_weigh(void **state)
{
    static const struct range ranges[] = {
        { 64, 64, 5 }, { 100, 199, 3 }, { 1000, 1000, 1 }, { 2000, 2003, 10 }, { 9000, 9000, 1 }
    };
    const struct pp_sizes sizes = sizes_in("64 5\n100-199 3\n1000\n2000-2003 10\n9000\n");
    struct pp_random random = { .state = 7 };
    uint32_t seen[COUNT_OF(ranges)] = { 0 };
    double chi_square = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        const uint32_t size = pp_sizes_next(&sizes, &random);

        for (size_t j = 0; j < COUNT_OF(ranges); j++)
            seen[j] += size >= ranges[j].low && size <= ranges[j].high;
    }
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        const double want = DRAWS * ranges[i].weight / 20.0;

        chi_square += ((double)seen[i] - want) * ((double)seen[i] - want) / want;
    }
    assert_true(chi_square < 18.47); /* four degrees of freedom: 1 in 1,000 */
}

static void test_sizes_of_a_range_are_as_likely_as_each_other(void **state)
{
    struct pp_random random = { .state = 8 };
    uint32_t seen[10] = { 0 };
    double chi_square = 0;
    struct pp_sizes sizes;

    (void)state;
    assert_int_equal(pp_sizes_parse(&sizes, "uniform:11-20", NULL), 0);
    for (int i = 0; i < DRAWS; i++)
        seen[pp_sizes_next(&sizes, &random) - 11]++;
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        const double off = (double)seen[i] - DRAWS / 10.0;

        chi_square += off * off / (DRAWS / 10.0);
    }
    assert_true(chi_square < 27.88); /* nine degrees of freedom: 1 in 1,000 */
}

static void test_the_same_seed_draws_the_same_sizes_on_both_ends(void **state)
{
    struct pp_random random = { .state = 9 };

    (void)state;
    for (int round = 0; round < 200; round++) {
        const struct pp_sizes sizes = random_sizes(&random);
        struct pp_random here = { .state = 10 };
        struct pp_random there = { .state = 10 };
        char text[PP_SIZES_TEXT_BYTES];
        struct pp_sizes read;

        assert_int_equal(pp_sizes_read(&read, pp_sizes_format(&sizes, text)), 0);
        for (int i = 0; i < 100; i++)
            assert_int_equal(pp_sizes_next(&sizes, &here), pp_sizes_next(&read, &there));
    }
}

static void test_a_single_size_draws_no_number(void **state)
{
    const struct pp_sizes sizes = pp_sizes_of(64);
    struct pp_random random = { .state = 11 };

    (void)state;
    assert_int_equal(pp_sizes_next(&sizes, &random), 64);
    assert_true(random.state == 11);
}

static void test_sizes_are_equal_only_with_the_same_ranges_and_weights(void **state)
{
    static const char *const contents[] = {
        "64\n",       "65\n",       "64-65\n",      "64\n65\n",
        "64\n65 2\n", "64 2\n65\n", "64\n65\n66\n", "65\n64\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        for (size_t j = 0; j < COUNT_OF(contents); j++) {
            const struct pp_sizes a = sizes_in(contents[i]);
            const struct pp_sizes b = sizes_in(contents[j]);

            assert_int_equal(pp_sizes_equal(&a, &b), i == j);
        }
    }
}

static void check_mean(const char *content, double want)
{
    const struct pp_sizes sizes = sizes_in(content);
    const double mean = pp_sizes_mean(&sizes);

    if (mean < want * 0.999999 || mean > want * 1.000001)
        fail_msg("mean %f, not %f", mean, want);
}

static void test_the_mean_counts_each_range_by_its_weight(void **state)
{
    (void)state;
    check_mean("64", 64);
    check_mean("1-2", 1.5);
    check_mean("10-20 3\n100", 36.25);
    check_mean("1 4294967294\n67108864", 1.015625);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_size_and_a_uniform_range_are_read),
        cmocka_unit_test(test_what_is_no_size_is_refused_and_leaves_sizes_and_err_alone),
        cmocka_unit_test(test_a_file_gives_ranges_with_weights_and_may_hold_comments),
        cmocka_unit_test(test_a_comment_may_be_longer_than_any_line_and_end_the_file),
        cmocka_unit_test(test_the_weight_of_a_range_that_stands_alone_is_not_kept),
        cmocka_unit_test(test_a_bad_line_is_named_with_its_number),
        cmocka_unit_test(test_a_line_that_is_too_long_or_holds_a_zero_is_refused),
        cmocka_unit_test(test_a_file_without_sizes_is_refused),
        cmocka_unit_test(test_a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(test_64_ranges_are_read_and_65_are_refused),
        cmocka_unit_test(test_weights_are_summed_up_to_32_bits_and_refused_above),
        cmocka_unit_test(test_what_is_formatted_reads_as_the_same_sizes),
        cmocka_unit_test(test_the_longest_text_there_can_be_fits),
        cmocka_unit_test(test_what_was_not_formatted_is_not_read),
        cmocka_unit_test(test_65_ranges_are_not_read),
        cmocka_unit_test(test_no_mutation_is_read_as_sizes_out_of_range),
        cmocka_unit_test(test_ranges_are_drawn_as_often_as_they_weigh),
        cmocka_unit_test(test_sizes_of_a_range_are_as_likely_as_each_other),
        cmocka_unit_test(test_the_same_seed_draws_the_same_sizes_on_both_ends),
        cmocka_unit_test(test_a_single_size_draws_no_number),
        cmocka_unit_test(test_sizes_are_equal_only_with_the_same_ranges_and_weights),
        cmocka_unit_test(test_the_mean_counts_each_range_by_its_weight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
