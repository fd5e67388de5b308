#include "cli/options.h"

#include "base/format.h"
#include "support.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>

#define COLUMNS 80
#define HELP_BYTES 16384

static const unsigned topics[] = { PP_CLI_ALL, PP_CLI_RUN, PP_CLI_CLIENT, PP_CLI_SERVE };

static const char *help(unsigned jobs)
{
    static char text[HELP_BYTES];
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    pp_cli_print_help(out, jobs);
    assert_int_equal(fclose(out), 0);
    assert_true(strlen(text) < sizeof text - 1);
    return text;
}

/* How a line of the help begins that is about the option. */
static void head_of(char head[640], const struct pp_cli_option *option)
{
    const struct pp_cli_text value = pp_cli_value_text(option);
    char letter[] = "-x, ";

    letter[1] = option->letter;
    (void)snprintf(head, 640, "\n  %s--%s%s%s%s", option->letter ? letter : "    ", option->name,
                   !value.used        ? ""
                   : option->optional ? "[="
                                      : "=",
                   value.text, option->optional ? "]" : "");
}

/* Where the option has its line in text; NULL: nowhere. What it does tells it from another meaning
 * of its name. */
static const char *find_option(const char *text, const struct pp_cli_option *option)
{
    const struct pp_cli_text help = pp_cli_help_text(option);
    char head[640];

    head_of(head, option);
    for (text = strstr(text, head); text; text = strstr(text + 1, head)) {
        const char *behind = text + strlen(head);

        if (isspace((unsigned char)*behind) &&
            strncmp(behind + strspn(behind, " \n"), help.text, 13) == 0)
            return text + 1;
    }
    return NULL;
}

static void test_no_line_is_wider_than_a_terminal(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(topics); i++) {
        const char *line = help(topics[i]);
        unsigned columns = 0;

        for (const char *at = line; *at; at++) {
            columns = *at == '\n' ? 0 : columns + (((unsigned char)*at & 0xc0) != 0x80);
            line = *at == '\n' ? at + 1 : line;
            if (columns > COLUMNS)
                fail_msg("wider than %d columns: %.100s", COLUMNS, line);
        }
        assert_ptr_equal(line, strchr(line, '\0')); /* it ends with its last line */
    }
}

static void test_no_line_ends_with_a_blank(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(topics); i++)
        assert_null(strstr(help(topics[i]), " \n"));
}

static void test_every_option_of_the_table_is_in_the_help_of_its_jobs_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(topics); i++) {
        const char *text = help(topics[i]);

        for (size_t j = 0; j < pp_cli_option_count; j++) {
            const bool has = pp_cli_options[j].jobs & topics[i];

            if (has != (find_option(text, &pp_cli_options[j]) != NULL))
                fail_msg("--%s %s", pp_cli_options[j].name, has ? "is missing" : "is too much");
        }
    }
}

static void test_the_help_has_as_many_options_as_the_table(void **state)
{
    const char *text = help(PP_CLI_ALL);
    size_t options = 0;

    (void)state;
    for (const char *at = text; (at = strstr(at, "\n  ")); at += 3)
        options += strncmp(at + 3, "    --", 6) == 0 || (at[3] == '-' && at[5] == ',');
    assert_int_equal(options, pp_cli_option_count);
}

static void test_every_alias_stands_below_its_option(void **state)
{
    const char *text = help(PP_CLI_ALL);

    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];
        const char *also;

        if (!option->aliases[0])
            continue;
        also = strstr(find_option(text, option), " also --");
        assert_non_null(also);
        for (const char *const *alias = option->aliases; *alias; alias++) {
            char name[80];

            (void)snprintf(name, sizeof name, "--%s", *alias);
            assert_non_null(strstr(also, name));
            assert_true(strstr(also, name) < strstr(also, "\n  "));
        }
    }
}

static void test_every_group_has_its_title_once_and_its_options_below_it(void **state)
{
    static const char *const titles[] = {
        [PP_CLI_LOAD] = "\nThe load (run and client):\n",
        [PP_CLI_TRANSPORT] = "\nTransport:\n",
        [PP_CLI_FOREIGN] = "\nServers that are no pingpong (client):\n",
        [PP_CLI_HOW] = "\nHow it runs:\n",
        [PP_CLI_TRIALS] = "\nThe trials (compare, sweep and explain):\n",
        [PP_CLI_RESULT] = "\nThe result (run and client):\n",
        [PP_CLI_OUTPUT] = "\nOutput:\n",
    };
    const char *text = help(PP_CLI_ALL);

    (void)state;
    static_assert(COUNT_OF(titles) == PP_CLI_GROUPS, "a title each");
    for (size_t i = 0; i < COUNT_OF(titles); i++) {
        const char *title = strstr(text, titles[i]);

        assert_non_null(title);
        assert_null(strstr(title + 1, titles[i]));
    }
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const enum pp_cli_group group = pp_cli_options[i].group;
        const char *option = find_option(text, &pp_cli_options[i]);

        assert_true(option > strstr(text, titles[group]));
        if (group + 1 < PP_CLI_GROUPS)
            assert_true(option < strstr(text, titles[group + 1]));
    }
}

static void test_an_option_that_not_all_of_its_group_share_says_who_has_it(void **state)
{
    const char *text = help(PP_CLI_ALL);

    (void)state;
    assert_non_null(strstr(text, "server threads (1)\n                          "
                                 "for run, serve and explain alone\n"));
    assert_non_null(strstr(text, "--cpus=C,S "));
    assert_non_null(strstr(text, "for run and explain alone\n  -A, --cpus=LIST "));
    assert_null(strstr(help(PP_CLI_RUN), " for run"));
    assert_null(strstr(help(PP_CLI_SERVE), "(run and client)"));
}

static void test_the_whole_help_names_every_command(void **state)
{
    const char *text = help(PP_CLI_ALL);

    (void)state;
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        char usage[80];

        (void)snprintf(usage, sizeof usage, "\n  pingpong %s  ", pp_cli_commands[i].usage);
        assert_non_null(strstr(text, usage));
    }
    assert_int_equal(strncmp(text, "usage: pingpong ", 16), 0);
}

static void test_the_help_of_a_command_begins_with_its_usage_and_what_it_does(void **state)
{
    static const struct {
        unsigned jobs;
        const char *begins;
    } table[] = {
        { PP_CLI_RUN, "usage: pingpong [run] [OPTION]...\n\nStarts an echo server in this " },
        { PP_CLI_CLIENT, "usage: pingpong [client] ADDRESS [OPTION]...\n\nMeasures against a " },
        { PP_CLI_SERVE, "usage: pingpong serve [ADDRESS] [OPTION]...\n\nServes whoever " },
        { PP_CLI_EXPLAIN, "usage: pingpong explain [OPTION]...\n\nTakes a round trip " },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const char *text = help(table[i].jobs);

        assert_int_equal(strncmp(text, table[i].begins, strlen(table[i].begins)), 0);
        assert_null(strstr(text, "Examples:"));
        assert_int_equal(strstr(text, "\nADDRESS is ") != NULL,
                         (table[i].jobs & (PP_CLI_CLIENT | PP_CLI_SERVE)) != 0);
    }
}

/* Text of more than a line, with blanks between its lines. */
static void check_has(const char *text, const char *wanted)
{
    static char line[HELP_BYTES];

    (void)snprintf(line, sizeof line, "%s", text);
    for (char *at = line; (at = strchr(at, '\n'));)
        *at = ' ';
    if (!strstr(line, wanted))
        fail_msg("\"%s\" is missing", wanted);
}

static void test_what_is_told_of_a_command_has_the_defaults_of_its_plan(void **state)
{
    const struct pp_cli run = defaults(PP_JOB_RUN), client = defaults(PP_JOB_CLIENT);
    const struct pp_cli serve = defaults(PP_JOB_SERVE);
    char text[320], number[PP_FORMAT_BYTES];

    (void)state;
    (void)snprintf(text, sizeof text, "against it: %s round trips, unless --count ",
                   pp_format_count(number, run.plan.count));
    check_has(help(PP_CLI_RUN), text);
    (void)snprintf(text, sizeof text, "already, for %u seconds, unless --count ",
                   (unsigned)(client.plan.time_ns / PP_NS_PER_S));
    check_has(help(PP_CLI_CLIENT), text);
    (void)snprintf(text, sizeof text, "it listens on %s:%u, ", serve.plan.target.host,
                   serve.plan.target.port);
    check_has(help(PP_CLI_SERVE), text);
}

/* The examples are for copying. */
static void test_every_example_parses(void **state)
{
    (void)state;
    assert_non_null(strstr(help(PP_CLI_ALL), "  pingpong serve :3131  "));
    (void)parsed(LINE("serve", ":3131"));
    assert_non_null(strstr(help(PP_CLI_ALL), "  pingpong 10.0.0.2 -c 100 -t 30s  "));
    (void)parsed(LINE("10.0.0.2", "-c", "100", "-t", "30s"));
    assert_non_null(strstr(help(PP_CLI_ALL), "  pingpong client 10.0.0.2 -R 50k -m 64,1k\n"));
    (void)parsed(LINE("client", "10.0.0.2", "-R", "50k", "-m", "64,1k"));
    assert_non_null(strstr(help(PP_CLI_ALL), "  pingpong client cache:6379 --send 'PING\\r\\n' "
                                             "--expect '+PONG\\r\\n'\n"));
    (void)parsed(LINE("client", "cache:6379", "--send", "PING\\r\\n", "--expect", "+PONG\\r\\n"));
}

static void test_every_exit_status_that_may_be_is_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(topics); i++) {
        const char *text = strstr(help(topics[i]), "\nExit status:\n");

        assert_non_null(text);
        assert_non_null(strstr(text, " 0 ok"));
        assert_non_null(strstr(text, " 1 the run failed"));
        assert_non_null(strstr(text, " 2 usage"));
        assert_int_equal(strstr(text, " 3 with --strict") != NULL, topics[i] != PP_CLI_SERVE);
        assert_non_null(strstr(text, " 4 an engine"));
        assert_int_equal(strstr(text, " 5 a wrong answer") != NULL, topics[i] != PP_CLI_SERVE);
        assert_non_null(strstr(text, " 129, 130, 131 or 143 interrupted"));
    }
}

static void test_a_server_that_a_signal_ends_is_no_failure(void **state)
{
    static const char before[] = "interrupted before it listens; later a signal ends it";

    (void)state;
    assert_non_null(strstr(help(PP_CLI_SERVE), before));
    assert_null(strstr(help(PP_CLI_CLIENT), before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_line_is_wider_than_a_terminal),
        cmocka_unit_test(test_no_line_ends_with_a_blank),
        cmocka_unit_test(test_every_option_of_the_table_is_in_the_help_of_its_jobs_alone),
        cmocka_unit_test(test_the_help_has_as_many_options_as_the_table),
        cmocka_unit_test(test_every_alias_stands_below_its_option),
        cmocka_unit_test(test_every_group_has_its_title_once_and_its_options_below_it),
        cmocka_unit_test(test_an_option_that_not_all_of_its_group_share_says_who_has_it),
        cmocka_unit_test(test_the_whole_help_names_every_command),
        cmocka_unit_test(test_the_help_of_a_command_begins_with_its_usage_and_what_it_does),
        cmocka_unit_test(test_what_is_told_of_a_command_has_the_defaults_of_its_plan),
        cmocka_unit_test(test_every_example_parses),
        cmocka_unit_test(test_every_exit_status_that_may_be_is_explained),
        cmocka_unit_test(test_a_server_that_a_signal_ends_is_no_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
