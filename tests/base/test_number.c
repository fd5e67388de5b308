#include "base/container.h"
#include "base/number.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the headers above */

#define UNTOUCHED UINT64_C(0x5eed)

struct accepted {
    const char *text;
    uint64_t value;
};

static void check_count(const char *text, int want, uint64_t want_value)
{
    uint64_t value = UNTOUCHED;
    const int rc = pp_number_parse_count(text, 0, UINT64_MAX, &value);

    if (rc != want || value != want_value)
        fail_msg("count \"%s\": rc %d value %ju", text, rc, (uintmax_t)value);
}

static void check_duration(const char *text, uint64_t bare_unit_ns, int want, uint64_t want_ns)
{
    uint64_t ns = UNTOUCHED;
    const int rc = pp_number_parse_duration(text, bare_unit_ns, 0, UINT64_MAX, &ns);

    if (rc != want || ns != want_ns)
        fail_msg("duration \"%s\": rc %d value %ju", text, rc, (uintmax_t)ns);
}

static void check_count_range(const char *text, uint64_t min, uint64_t max, int want)
{
    uint64_t value = UNTOUCHED;
    const int rc = pp_number_parse_count(text, min, max, &value);

    if (rc != want || (value == UNTOUCHED) != (want != 0))
        fail_msg("count \"%s\" in %ju to %ju: rc %d", text, (uintmax_t)min, (uintmax_t)max, rc);
}

static void test_counts_are_read_exactly(void **state)
{
    static const struct accepted table[] = {
        { "0", 0 },
        { "1", 1 },
        { "007", 7 },
        { "500000", 500000 },
        { "500k", 500000 },
        { "1.5k", 1500 },
        { "1.5M", 1500000 },
        { "0.001k", 1 },
        { "2G", UINT64_C(2000000000) },
        { "1.000000001G", 1000000001 },
        { "1.0", 1 },
        { "0.0", 0 },
        { "3.00000000000000000000000000000000", 3 },
        { "1.50000000000000000000000000000000k", 1500 },
        { "9007199254740993", UINT64_C(9007199254740993) }, /* no double holds this */
        { "18446744073709551615", UINT64_MAX },
        { "18446744073709551.615k", UINT64_MAX },
        { "18446744073.709551615G", UINT64_MAX },
        { "00000000000000000000000000000000000042", 42 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_count(table[i].text, 0, table[i].value);
}

static void test_what_is_not_a_count_is_refused_and_leaves_out_alone(void **state)
{
    static const char *const table[] = {
        "",      " ",     "+1",       "-1",     "-0",    " 1",
        "1 ",    "\t1",   "1\n",      "1 k",    "1,000", "1_000",
        "1e3",   "1e999", "1E3",      "0x10",   "0x",    "10h",
        "inf",   "nan",   "k",        ".",      ".5",    ".5k",
        "1.",    "1.k",   "1..5k",    "1.5.5k", "10kk",  "10kM",
        "10K",   "10m",   "10g",      "10T",    "10Ki",  "10s",
        "1.-5k", "1.+5k", "\xd9\xa1", "ten",    "1k0",   "99999999999999999999999999999999kk",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_count(table[i], -EINVAL, UNTOUCHED);
}

static void test_a_count_that_is_not_whole_is_refused(void **state)
{
    static const char *const table[] = {
        "1.5",
        "0.1",
        "1.0001k",
        "0.0000001M",
        "1.0000000001G",
        "18446744073709551616.5",
        "0.00000000000000000001G",
        "1.0000000000000000000000000000000000001k",
        /* 64 places, and 10^64 is 0 in 64 bits; then 2^55, and 2^55 * 10^9 is 0 in 64 bits. */
        "0.0000000000000000000000000000000000000000000000000000000000000001k",
        "0.36028797018963968G",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_count(table[i], -EINVAL, UNTOUCHED);
}

static void test_a_count_beyond_64_bits_is_out_of_range_and_never_wraps(void **state)
{
    static const char *const table[] = {
        "18446744073709551616",   "18446744073709551620",
        "18446744073709551.616k", "18446744073709552k",
        "36893488147419103232",   "18446744073709551616k",
        "18446744073709551615G",  "999999999999999999999999999999999999999999",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_count(table[i], -ERANGE, UNTOUCHED);
}

static void test_the_limits_of_a_count_belong_to_its_range(void **state)
{
    (void)state;
    check_count_range("9", 10, 2000, -ERANGE);
    check_count_range("10", 10, 2000, 0);
    check_count_range("2k", 10, 2000, 0);
    check_count_range("2.001k", 10, 2000, -ERANGE);
    check_count_range("7", 7, 7, 0);
    check_count_range("0", 1, UINT64_MAX, -ERANGE);
}

static void test_durations_are_read_exactly_in_nanoseconds(void **state)
{
    static const struct accepted table[] = {
        { "0s", 0 },
        { "1ns", 1 },
        { "2000ns", 2000 },
        { "1us", 1000 },
        { "1.5us", 1500 },
        { "0.001us", 1 },
        { "10\xc2\xb5s", 10000 },
        { "10\xce\xbcs", 10000 },
        { "1.5\xc2\xb5s", 1500 },
        { "250ms", 250000000 },
        { "0.000001ms", 1 },
        { "1s", UINT64_C(1000000000) },
        { "0.1s", 100000000 },
        { "1.000000001s", 1000000001 },
        { "1m", UINT64_C(60000000000) },
        { "1.5m", UINT64_C(90000000000) },
        { "0.00000000005m", 3 }, /* eleven places: the most that can come out whole */
        { "18446744073.709551615s", UINT64_MAX },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_duration(table[i].text, 1, 0, table[i].value);
}

static void test_a_duration_without_a_unit_is_in_bare_units(void **state)
{
    (void)state;
    check_duration("10", 1, 0, 10);
    check_duration("10", 1000000000, 0, UINT64_C(10000000000));
    check_duration("0.5", 1000000000, 0, 500000000);
    check_duration("0.25", 4, 0, 1);
    check_duration("0.5", 1, -EINVAL, UNTOUCHED);
    check_duration("10us", 1000000000, 0, 10000);
}

static void test_what_is_not_a_duration_is_refused_and_leaves_out_alone(void **state)
{
    static const char *const table[] = {
        "",           "s",         "ms",       "-1s",
        "+1s",        " 1s",       "1s ",      "1 s",
        "1.s",        ".5s",       "1S",       "1MS",
        "1min",       "1h",        "1d",       "1ss",
        "1mss",       "1e3s",      "1e999",    "0x1s",
        "10k",        "1ks",       "1M",       "1n",
        "1u",         "1\xc2\xb5", "1\xb5s",   "1\xc2s",
        "1\xce\xb5s", "1.5ns",     "0.0001us", "0.000000000005m",
        "1s500ms",    "1:30",      "infs",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_duration(table[i], 1, -EINVAL, UNTOUCHED);
}

static void test_a_duration_beyond_64_bits_is_out_of_range_and_never_wraps(void **state)
{
    (void)state;
    check_duration("18446744073.709551616s", 1, -ERANGE, UNTOUCHED);
    check_duration("18446744074s", 1, -ERANGE, UNTOUCHED);
    check_duration("307445735m", 1, -ERANGE, UNTOUCHED);
    check_duration("18446744073709551616ns", 1, -ERANGE, UNTOUCHED);
    check_duration("2", UINT64_MAX, -ERANGE, UNTOUCHED);
}

static void test_the_limits_of_a_duration_belong_to_its_range(void **state)
{
    uint64_t ns = UNTOUCHED;

    (void)state;
    assert_int_equal(pp_number_parse_duration("999us", 1, 1000000, 2000000, &ns), -ERANGE);
    assert_int_equal(pp_number_parse_duration("2.000001ms", 1, 1000000, 2000000, &ns), -ERANGE);
    assert_true(ns == UNTOUCHED);
    assert_int_equal(pp_number_parse_duration("1ms", 1, 1000000, 2000000, &ns), 0);
    assert_true(ns == 1000000);
    assert_int_equal(pp_number_parse_duration("2ms", 1, 1000000, 2000000, &ns), 0);
    assert_true(ns == 2000000);
}

static void check_size(const char *text, int want, uint64_t want_bytes)
{
    uint64_t bytes = UNTOUCHED;
    const int rc = pp_number_parse_size(text, 0, UINT64_MAX, &bytes);

    if (rc != want || bytes != want_bytes)
        fail_msg("size \"%s\": rc %d value %ju", text, rc, (uintmax_t)bytes);
}

static void check_rate(const char *text, int want, double want_rate)
{
    double rate = (double)UNTOUCHED;
    const int rc = pp_number_parse_rate(text, 0.001, 1e9, &rate);

    if (rc != want || rate < want_rate || rate > want_rate)
        fail_msg("rate \"%s\": rc %d value %.17g", text, rc, rate);
}

static void test_sizes_are_read_in_powers_of_1000_and_with_an_i_of_1024(void **state)
{
    static const struct accepted table[] = {
        { "64", 64 },
        { "64B", 64 },
        { "1k", 1000 },
        { "1kB", 1000 },
        { "1.5k", 1500 },
        { "1K", 1024 },
        { "1KiB", 1024 },
        { "1.5KiB", 1536 },
        { "1M", 1000000 },
        { "1MB", 1000000 },
        { "1MiB", 1048576 },
        { "1G", 1000000000 },
        { "1GB", 1000000000 },
        { "1GiB", 1073741824 },
        { "0.0009765625KiB", 1 },
        { "17179869183GiB", UINT64_C(18446744072635809792) },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_size(table[i].text, 0, table[i].value);
}

static void test_what_is_not_a_size_is_refused_and_leaves_out_alone(void **state)
{
    static const char *const table[] = {
        "",    "k",    "B",    "-1",   "+1",   " 1",     "1 ",   "1 k", "1.5",   "1.5B", "1Ki",
        "1Mi", "1kiB", "1KB",  "1mb",  "1Mb",  "1b",     "1kb",  "1g",  "1m",    "1T",   "1BB",
        "1e3", "0x10", "1Kib", "1MIB", "1,5k", "1.1KiB", "1k B", "1iB", "1GiBs", "inf",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_size(table[i], -EINVAL, UNTOUCHED);
}

static void test_a_size_beyond_its_range_is_refused(void **state)
{
    uint64_t bytes = UNTOUCHED;

    (void)state;
    check_size("17179869184GiB", -ERANGE, UNTOUCHED);
    check_size("18446744073709551616", -ERANGE, UNTOUCHED);
    assert_int_equal(pp_number_parse_size("0", 1, 1024, &bytes), -ERANGE);
    assert_int_equal(pp_number_parse_size("1025", 1, 1024, &bytes), -ERANGE);
    assert_true(bytes == UNTOUCHED);
    assert_int_equal(pp_number_parse_size("1K", 1, 1024, &bytes), 0);
    assert_true(bytes == 1024);
}

static void test_rates_are_read_as_doubles(void **state)
{
    (void)state;
    check_rate("1", 0, 1);
    check_rate("0.5", 0, 0.5);
    check_rate("0.1", 0, 0.1);
    check_rate("0.001", 0, 0.001);
    check_rate("33.3", 0, 33.3);
    check_rate("50k", 0, 50000);
    check_rate("1.5M", 0, 1500000);
    check_rate("0.0001k", 0, 0.1);
    check_rate("1.2345678k", 0, 1234.5678);
    check_rate("1G", 0, 1e9);
    check_rate("0.3333333333", 0, 0.3333333333);
    check_rate("2.50000000000000000000000000000000", 0, 2.5);
}

static void test_what_is_not_a_rate_is_refused_and_leaves_out_alone(void **state)
{
    static const char *const table[] = {
        "",     "k",
        "-1",   "+1",
        "-0.0", " 1",
        "1 ",   "1 k",
        "1e3",  "1E3",
        "0x10", "0x1p3",
        "inf",  "nan",
        "INF",  ".5",
        "5.",   "1.5.5",
        "1K",   "1m",
        "1/s",  "1kk",
        "1,5",  "50k/s",
        "1s",   "0.33333333333333333333",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_rate(table[i], -EINVAL, (double)UNTOUCHED);
}

static void test_a_rate_of_0_or_beyond_its_range_is_refused(void **state)
{
    double rate = (double)UNTOUCHED;

    (void)state;
    check_rate("0", -ERANGE, (double)UNTOUCHED);
    check_rate("0.0009", -ERANGE, (double)UNTOUCHED);
    check_rate("1.0000001G", -ERANGE, (double)UNTOUCHED);
    check_rate("18446744073709551617", -ERANGE, (double)UNTOUCHED); /* it would wrap to 1 */
    check_rate("99999999999999999999999999999999G", -ERANGE, (double)UNTOUCHED);
    assert_int_equal(pp_number_parse_rate("0.0", 0, 1, &rate), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_read_exactly),
        cmocka_unit_test(test_what_is_not_a_count_is_refused_and_leaves_out_alone),
        cmocka_unit_test(test_a_count_that_is_not_whole_is_refused),
        cmocka_unit_test(test_a_count_beyond_64_bits_is_out_of_range_and_never_wraps),
        cmocka_unit_test(test_the_limits_of_a_count_belong_to_its_range),
        cmocka_unit_test(test_durations_are_read_exactly_in_nanoseconds),
        cmocka_unit_test(test_a_duration_without_a_unit_is_in_bare_units),
        cmocka_unit_test(test_what_is_not_a_duration_is_refused_and_leaves_out_alone),
        cmocka_unit_test(test_a_duration_beyond_64_bits_is_out_of_range_and_never_wraps),
        cmocka_unit_test(test_the_limits_of_a_duration_belong_to_its_range),
        cmocka_unit_test(test_sizes_are_read_in_powers_of_1000_and_with_an_i_of_1024),
        cmocka_unit_test(test_what_is_not_a_size_is_refused_and_leaves_out_alone),
        cmocka_unit_test(test_a_size_beyond_its_range_is_refused),
        cmocka_unit_test(test_rates_are_read_as_doubles),
        cmocka_unit_test(test_what_is_not_a_rate_is_refused_and_leaves_out_alone),
        cmocka_unit_test(test_a_rate_of_0_or_beyond_its_range_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
