/* Axes of a sweep: which steps they have, how each is typed, what is refused. */
#include "support.h"

#include "cli/axis.h"

#include <stdio.h>

static const struct pp_cli_option *option_of(const char *name)
{
    for (size_t i = 0; i < pp_cli_option_count; i++)
        if (strcmp(pp_cli_options[i].name, name) == 0)
            return &pp_cli_options[i];
    fail_msg("no --%s", name);
    return NULL;
}

/* The steps as they are typed, with spaces between. */
static const char *steps(const struct pp_cli_axis *axis)
{
    static char all[1024];
    size_t used = 0;

    all[0] = '\0';
    for (unsigned i = 0; i < axis->count; i++) {
        char text[PP_CLI_AXIS_TEXT_BYTES];

        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? " " : "",
                                 pp_cli_axis_value(axis, i, text));
    }
    return all;
}

static void test_an_axis_goes_from_its_lowest_to_its_highest_value(void **state)
{
    static const struct {
        const char *option, *text, *steps;
    } table[] = {
        { "connections", "1..1000:x10", "1 10 100 1000" },
        { "connections", "1..1000", "1 10 100 1000" },
        { "connections", "1..16", "1 2 4 8 16" },
        { "connections", "1..100:x10", "1 10 100" },
        { "connections", "1..50:x10", "1 10 50" },
        { "connections", "10..50:+20", "10 30 50" },
        { "connections", "1..4:x1.1", "1 2 3 4" }, /* whole, and none twice */
        { "connections", "1,8,32", "1 8 32" },
        { "size", "1..4KiB:x16", "1 16 256 4096" },
        { "depth", "1..8", "1 2 4 8" },
        { "threads", "1..3:+1", "1 2 3" },
        { "think", "0..1ms:x10", "0ns 1000ns 10000ns 100000ns 1000000ns" },
        { "rate", "1k..4k", "1000 2000 4000" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct pp_cli_option *option = option_of(table[i].option);
        struct pp_error err = { 0 };
        struct pp_cli_axis axis;

        assert_true(pp_cli_is_axis(option, table[i].text));
        if (pp_cli_axis_parse(&axis, option, table[i].text, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(steps(&axis), table[i].steps);
    }
}

static void test_a_rate_goes_up_to_what_turns_out_to_be_the_most(void **state)
{
    struct pp_error err = { 0 };
    struct pp_cli_axis axis;

    (void)state;
    assert_int_equal(pp_cli_axis_parse(&axis, option_of("rate"), "1k..max:x2", &err), 0);
    assert_true(axis.to_max);
    assert_int_equal(axis.count, 0);
    assert_int_equal(pp_cli_axis_end(&axis, 5000.5, &err), 0);
    assert_string_equal(steps(&axis), "1000 2000 4000 5001");
}

static void test_what_is_one_value_is_no_axis(void **state)
{
    (void)state;
    assert_false(pp_cli_is_axis(option_of("connections"), "100"));
    assert_false(pp_cli_is_axis(option_of("size"), "64,1k")); /* request and response */
    assert_false(pp_cli_is_axis(option_of("host"), "a..b"));
    assert_false(pp_cli_is_axis(option_of("crr"), NULL));
}

static void test_what_leads_nowhere_is_refused(void **state)
{
    static const struct {
        const char *option, *text, *says;
    } table[] = {
        { "connections", "0..10", "the lowest value is none" },
        { "connections", "1..1e6", "the highest value is none" },
        { "connections", "1..max", "the highest value is none" },
        { "connections", "10..10", "not above the lowest" },
        { "connections", "10..1", "not above the lowest" },
        { "connections", "1..10:x1", "after the colon" },
        { "connections", "1..10:x-2", "after the colon" },
        { "connections", "1..10:xnan", "after the colon" },
        { "connections", "1..10:*2", "after the colon" },
        { "connections", "1..10:", "after the colon" },
        { "connections", "1..10:+0", "after the colon" },
        { "connections", "1..1000:+1", "more than 64 steps" },
        { "connections", "..", "the lowest value is none" },
        { "connections", "1,2,2", "do not rise" },
        { "connections", "1,x", "one of the values is none" },
        { "connections", "1,", "one of the values is none" },
        { "think", "1..2h", "the highest value is none" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct pp_error err = { 0 };
        struct pp_cli_axis axis;

        assert_int_equal(pp_cli_axis_parse(&axis, option_of(table[i].option), table[i].text, &err),
                         -EINVAL);
        assert_int_equal(err.kind, PP_ERROR_USAGE);
        if (!strstr(err.text, table[i].says))
            fail_msg("%s: no \"%s\" in: %s", table[i].text, table[i].says, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_axis_goes_from_its_lowest_to_its_highest_value),
        cmocka_unit_test(test_a_rate_goes_up_to_what_turns_out_to_be_the_most),
        cmocka_unit_test(test_what_is_one_value_is_no_axis),
        cmocka_unit_test(test_what_leads_nowhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
