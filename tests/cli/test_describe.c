#include "cli/describe.h"

#include "base/format.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>

/* What the option of that name takes, and what it does. */
static const struct pp_cli_option *row(const char *name)
{
    for (size_t i = 0; i < pp_cli_option_count; i++)
        if (strcmp(pp_cli_options[i].name, name) == 0)
            return &pp_cli_options[i];
    fail_msg("there is no --%s", name);
    return NULL;
}

static void check_takes(const char *name, const char *takes)
{
    assert_string_equal(pp_cli_takes_text(row(name)).text, takes);
}

static void check_help_ends(const char *name, const char *end)
{
    const struct pp_cli_text help = pp_cli_help_text(row(name));

    if (help.used < strlen(end) || strcmp(help.text + help.used - strlen(end), end) != 0)
        fail_msg("--%s: \"%s\" does not end with \"%s\"", name, help.text, end);
}

static int apply(struct pp_cli *cli, const struct pp_cli_option *option, const char *value)
{
    struct pp_error err = { 0 };

    memset(cli, 0, sizeof *cli);
    return pp_cli_option_apply(cli, option, value, &err);
}

/* ---- every row ---- */

static bool is_integer(const struct pp_cli_option *option)
{
    return option->type >= PP_CLI_NUMBER && option->type <= PP_CLI_TIME;
}

static bool has_decimals(const struct pp_cli_option *option)
{
    return option->type == PP_CLI_RATE || option->type == PP_CLI_PERCENTILES;
}

static void test_every_row_says_what_it_does_for_whom_and_what_it_takes(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];
        const bool has_value = pp_cli_takes_value(option);

        assert_true(option->jobs && !(option->jobs & ~PP_CLI_ALL));
        assert_true(pp_cli_help_text(option).used > 0);
        if (has_value != (pp_cli_value_text(option).used > 0) ||
            has_value != (pp_cli_takes_text(option).used > 0))
            fail_msg("--%s does not say what it takes, or takes nothing", option->name);
        if (option->type != PP_CLI_ACTION && !option->field.bytes && !option->apply &&
            !option->format)
            fail_msg("--%s changes nothing", option->name);
        assert_true(option->type != PP_CLI_OTHER || option->apply);
        assert_true(option->type != PP_CLI_CHOICE || option->words);
    }
}

/* A text that was cut off has no room left. */
static void test_no_text_of_a_row_is_cut_off_or_has_a_place_left_to_fill_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_text help = pp_cli_help_text(&pp_cli_options[i]);
        const struct pp_cli_text takes = pp_cli_takes_text(&pp_cli_options[i]);

        assert_true(help.used < sizeof help.text - 1 && takes.used < sizeof takes.text - 1);
        assert_null(strstr(help.text, "{}"));
        assert_null(strstr(takes.text, "{}"));
    }
}

static void test_every_integer_has_a_range_that_fits_into_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];
        const size_t bytes = option->field.bytes;
        const uint64_t scale = option->type == PP_CLI_TIME && bytes < 8 ? option->unit_ns : 1;

        if (!is_integer(option) || option->apply)
            continue;
        if (option->min >= option->max)
            fail_msg("--%s has no range", option->name);
        assert_true(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
        assert_true(bytes == 8 || option->max / scale < UINT64_C(1) << (8 * bytes));
        assert_true(option->type != PP_CLI_TIME || option->unit_ns > 0);
    }
}

/* As it is typed. */
static const char *typed(char text[PP_FORMAT_BYTES], const struct pp_cli_option *option,
                         uint64_t number)
{
    (void)snprintf(text, PP_FORMAT_BYTES, "%" PRIu64 "%s", number,
                   option->type == PP_CLI_TIME ? "ns" : "");
    return text;
}

static void test_a_range_goes_as_far_as_it_says_and_no_further(void **state)
{
    char text[PP_FORMAT_BYTES];
    static struct pp_cli cli;
    unsigned ranges = 0;

    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        if (!is_integer(option) || option->apply)
            continue;
        ranges++;
        assert_int_equal(apply(&cli, option, typed(text, option, option->min)), 0);
        assert_int_equal(apply(&cli, option, typed(text, option, option->max)), 0);
        assert_true(apply(&cli, option, typed(text, option, option->max + 1)) < 0);
        if (option->min > 0)
            assert_true(apply(&cli, option, typed(text, option, option->min - 1)) < 0);
    }
    assert_true(ranges >= 15);
}

static int apply_decimal(struct pp_cli *cli, const struct pp_cli_option *option, double number)
{
    char text[PP_FORMAT_BYTES];

    (void)snprintf(text, sizeof text, "%.12f", number);
    return apply(cli, option, text);
}

static void test_a_range_of_decimals_goes_as_far_as_it_says_and_no_further(void **state)
{
    static struct pp_cli cli;
    unsigned ranges = 0;

    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        if (!has_decimals(option))
            continue;
        ranges++;
        assert_int_equal(apply_decimal(&cli, option, option->low), 0);
        assert_int_equal(apply_decimal(&cli, option, option->high), 0);
        assert_true(apply_decimal(&cli, option, option->low / 2) < 0);
        assert_true(apply_decimal(&cli, option, option->high * 2) < 0);
    }
    assert_int_equal(ranges, 2);
}

static void test_every_range_stands_in_what_the_option_takes(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        if (!is_integer(option) && !has_decimals(option) && !option->timed)
            continue;
        if (!strstr(pp_cli_takes_text(option).text, " from ") ||
            !strstr(pp_cli_takes_text(option).text, " to "))
            fail_msg("--%s takes %s", option->name, pp_cli_takes_text(option).text);
        assert_true(!has_decimals(option) || (option->low > 0 && option->low < option->high));
    }
}

/* What is offered must be taken. */
static void test_every_word_of_a_row_is_a_value_of_its_option(void **state)
{
    static struct pp_cli cli;
    unsigned words = 0;

    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const char *list[PP_CLI_WORDS_MAX];
        const unsigned count = pp_cli_words(&pp_cli_options[i], list);

        assert_true(count < PP_CLI_WORDS_MAX);
        for (unsigned j = 0; j < count; j++, words++)
            if (apply(&cli, &pp_cli_options[i], list[j]) < 0)
                fail_msg("--%s refuses %s", pp_cli_options[i].name, list[j]);
    }
    assert_true(words >= 15);
}

/* ---- what is made of a row ---- */

static void test_what_is_taken_is_told_with_its_range_its_unit_and_an_example(void **state)
{
    (void)state;
    check_takes("connections", "a whole number from 1 to 100,000");
    check_takes("count", "a whole number from 1 to 1,000,000,000,000, such as 500000, 500k or "
                         "1.5M");
    check_takes("port", "a port from 0 to 65535");
    check_takes("sndbuf", "a size from 1 to 1GiB, such as 65536, 64k (64,000) or 64KiB");
    check_takes("think", "a time from 0 to 60s, such as 100 (microseconds) or 1ms");
    check_takes("time", "a time from 1ms to a year, such as 10 (seconds), 500ms or 5m");
    check_takes("busy-poll", "a time from 0 to 1s in whole microseconds, such as 50 "
                             "(microseconds) or 1ms");
    check_takes("rate", "a rate from 0.001 to 1,000,000,000 messages a second, such as 1000, 50k "
                        "or 1.5M, over all connections");
    check_takes("percentiles", "up to 16 percentiles from 0.001 to 99.99999, such as 50,99,99.99; "
                               "each once");
    check_takes("placement", "auto, same, split, pairs or none");
    check_takes("wait", "auto, block, spin[:MICROSECONDS] or yield[:MICROSECONDS], from 1us to "
                        "60s");
    check_takes("send", "text of 1 to 4,096 bytes; \\n, \\r, \\t, \\0, \\\\ and \\xHH are what "
                        "they are in C");
}

static void test_the_help_ends_with_the_default_of_the_plan(void **state)
{
    (void)state;
    check_help_ends("connections", " (1)");
    check_help_ends("size", " (5)");
    check_help_ends("count", " (run: 500k, unless there is a --time)");
    check_help_ends("time",
                    " (client: 10, unless there is a --count; explain: 300ms for each run)");
    check_help_ends("think", " or as 1ms (0)");
    check_help_ends("verify", " (full)");
    check_help_ends("nodelay", " (on)");
    check_help_ends("placement", " (auto)");
    check_help_ends("engine", " (auto)");
    check_help_ends("port", " (3131)");
    check_help_ends("host", " (127.0.0.1)");
    check_help_ends("idle-timeout", " (2m, for those that say nothing at first, or do not read)");
    check_help_ends("percentiles", " (50,90,99,99.9)");
}

static void test_a_value_is_called_as_its_type_or_its_row_says(void **state)
{
    (void)state;
    assert_string_equal(pp_cli_value_text(row("crr")).text, "");
    assert_string_equal(pp_cli_value_text(row("depth")).text, "N");
    assert_string_equal(pp_cli_value_text(row("size")).text, "REQ[,RESP]");
    assert_string_equal(pp_cli_value_text(row("arrivals")).text, "fixed|poisson");
    assert_string_equal(pp_cli_value_text(row("json-stream")).text, "FILE.jsonl");
    assert_string_equal(pp_cli_value_text(row("hlog")).text, "FILE");
}

static void test_every_engine_and_feature_stands_in_what_the_options_of_engines_say(void **state)
{
    static const char *const names[] = { "engine", "server-engine" };
    const char *engines[PP_IO_ENGINES_MAX];

    (void)state;
    pp_io_engine_list(1, engines);
    for (size_t i = 0; engines[i]; i++) {
        const char *feature;

        for (size_t j = 0; j < COUNT_OF(names); j++)
            assert_non_null(strstr(pp_cli_takes_text(row(names[j])).text, engines[i]));
        assert_non_null(strstr(pp_cli_help_text(row("engine")).text, engines[i]));
        for (unsigned j = 0; (feature = pp_io_engine_feature(engines[i], j)); j++)
            assert_non_null(strstr(pp_cli_help_text(row("engine")).text, feature));
    }
    assert_non_null(strstr(pp_cli_takes_text(row("engine")).text, "auto, "));
}

static void test_jobs_are_listed_by_the_names_of_their_commands(void **state)
{
    (void)state;
    assert_string_equal(pp_cli_jobs_text(PP_CLI_RUN, ", ", " and ").text, "run");
    assert_string_equal(pp_cli_jobs_text(PP_CLI_RUN | PP_CLI_SERVE, ", ", " and ").text,
                        "run and serve");
    assert_string_equal(pp_cli_jobs_text(PP_CLI_ALL, ", ", " and ").text,
                        "run, client, serve, compare, sweep, explain and engines");
    assert_string_equal(pp_cli_jobs_text(PP_CLI_JOBS, "|", "|").text, "run|client|serve");
}

static void test_a_text_that_is_too_long_is_cut_off(void **state)
{
    struct pp_cli_text text = { 0 };

    (void)state;
    for (unsigned i = 0; i < PP_CLI_TEXT_BYTES; i++)
        pp_cli_text_add(&text, "%s", "abc");
    assert_int_equal(text.used, sizeof text.text - 1);
    assert_int_equal(strlen(text.text), text.used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_says_what_it_does_for_whom_and_what_it_takes),
        cmocka_unit_test(test_no_text_of_a_row_is_cut_off_or_has_a_place_left_to_fill_in),
        cmocka_unit_test(test_every_integer_has_a_range_that_fits_into_its_field),
        cmocka_unit_test(test_a_range_goes_as_far_as_it_says_and_no_further),
        cmocka_unit_test(test_a_range_of_decimals_goes_as_far_as_it_says_and_no_further),
        cmocka_unit_test(test_every_range_stands_in_what_the_option_takes),
        cmocka_unit_test(test_every_word_of_a_row_is_a_value_of_its_option),
        cmocka_unit_test(test_what_is_taken_is_told_with_its_range_its_unit_and_an_example),
        cmocka_unit_test(test_the_help_ends_with_the_default_of_the_plan),
        cmocka_unit_test(test_a_value_is_called_as_its_type_or_its_row_says),
        cmocka_unit_test(test_every_engine_and_feature_stands_in_what_the_options_of_engines_say),
        cmocka_unit_test(test_jobs_are_listed_by_the_names_of_their_commands),
        cmocka_unit_test(test_a_text_that_is_too_long_is_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
