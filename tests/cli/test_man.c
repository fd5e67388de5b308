#include "cli/man.h"

#include "support.h"

#include <ctype.h>
#include <stdio.h>

#define PAGE_BYTES 65536

static const char *page(const char *name)
{
    static char text[PAGE_BYTES];
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    assert_true(pp_cli_print_man(out, name));
    assert_int_equal(fclose(out), 0);
    assert_true(strlen(text) < sizeof text - 1);
    return text;
}

static const char *page_of(const struct pp_cli_command *command)
{
    char name[PP_CLI_MAN_NAME_BYTES];

    (void)snprintf(name, sizeof name, "pingpong-%s", command->name);
    return page(name);
}

/* What a reader sees of a part of a page: no marks, and one blank where there is space. */
static const char *plain(const char *source)
{
    static char text[PAGE_BYTES];
    size_t used = 0;

    for (; *source; source++) {
        if (strncmp(source, " ++\n", 4) == 0) {
            source += 2;
        } else if (isspace((unsigned char)*source)) {
            if (used > 0 && text[used - 1] != ' ')
                text[used++] = ' ';
        } else if (*source == '\\') {
            text[used++] = *++source;
        } else if (*source != '*' && *source != '_') {
            text[used++] = *source;
        }
    }
    text[used] = '\0';
    return text;
}

/* Where the option's entry begins; NULL: nowhere. The row's help tells it from another meaning. */
static const char *find_entry(const char *text, const struct pp_cli_option *option)
{
    char letter[] = "*-x*, ", head[80], help[600];

    letter[2] = option->letter;
    (void)snprintf(head, sizeof head, "\n%s*--%s*%s", option->letter ? letter : "", option->name,
                   pp_cli_takes_value(option) ? "" : "\n");
    (void)snprintf(help, sizeof help, " %s ", pp_cli_help_text(option).text);
    for (text = strstr(text, head); text; text = strstr(text + 1, head)) {
        char entry[2048];

        (void)snprintf(entry, sizeof entry, "%.*s ", (int)(strstr(text + 1, "\n\n") - text), text);
        if ((!pp_cli_takes_value(option) || strchr("=[", text[strlen(head)])) &&
            strstr(plain(entry), help))
            return text + 1;
    }
    return NULL;
}

static void test_every_option_of_the_table_has_its_entry_in_the_pages_of_its_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        const struct pp_cli_command *command = &pp_cli_commands[i];
        const char *text;

        if (!command->jobs)
            continue;
        text = page_of(command);
        for (size_t j = 0; j < pp_cli_option_count; j++) {
            const bool has = pp_cli_options[j].jobs & command->jobs;

            if (has != (find_entry(text, &pp_cli_options[j]) != NULL))
                fail_msg("%s: --%s %s", command->name, pp_cli_options[j].name,
                         has ? "is missing" : "is too much");
        }
    }
}

/* Checks the entry that begins at text. */
static void check_entry(const char *text, const struct pp_cli_option *option)
{
    char entry[2048], takes[600];

    assert_non_null(text);
    (void)snprintf(entry, sizeof entry, "%.*s ", (int)(strstr(text, "\n\n") - text), text);
    if (pp_cli_takes_value(option)) {
        (void)snprintf(takes, sizeof takes, " Takes %s ", pp_cli_takes_text(option).text);
        if (!strstr(plain(entry), takes))
            fail_msg("--%s lacks \"%s\"", option->name, takes);
    }
    for (const char *const *alias = option->aliases; *alias; alias++) {
        char name[80];

        (void)snprintf(name, sizeof name, "*--%s*", *alias);
        assert_non_null(strstr(strstr(entry, "\nAlso "), name));
    }
}

static void test_an_entry_has_what_the_option_takes_and_its_aliases(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        const struct pp_cli_command *command = &pp_cli_commands[i];
        const char *text;

        if (!command->jobs)
            continue;
        text = page_of(command);
        for (size_t j = 0; j < pp_cli_option_count; j++)
            if (pp_cli_options[j].jobs & command->jobs)
                check_entry(find_entry(text, &pp_cli_options[j]), &pp_cli_options[j]);
    }
}

static void test_options_stand_below_the_title_of_their_group(void **state)
{
    const char *text = page("pingpong-client");

    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];
        char title[80];
        const char *entry, *next;

        if (!(option->jobs & PP_CLI_CLIENT))
            continue;
        (void)snprintf(title, sizeof title, "\n## %s\n", pp_cli_groups[option->group].title);
        entry = find_entry(text, option);
        assert_non_null(entry);
        assert_non_null(strstr(text, title));
        assert_null(strstr(strstr(text, title) + 1, title));
        next = strstr(strstr(text, title) + 1, "\n#");
        assert_true(entry > strstr(text, title) && entry < next);
    }
}

static void test_a_group_without_options_has_no_title(void **state)
{
    (void)state;
    assert_null(strstr(page("pingpong-serve"), pp_cli_groups[PP_CLI_FOREIGN].title));
}

static void test_there_is_a_page_for_the_program_and_for_each_job(void **state)
{
    char name[PP_CLI_MAN_NAME_BYTES];
    size_t pages = 1;

    (void)state;
    assert_string_equal(pp_cli_man_name(0, name), "pingpong");
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        char expected[PP_CLI_MAN_NAME_BYTES];

        if (!pp_cli_commands[i].jobs)
            continue;
        (void)snprintf(expected, sizeof expected, "pingpong-%s", pp_cli_commands[i].name);
        assert_string_equal(pp_cli_man_name(pages++, name), expected);
    }
    assert_null(pp_cli_man_name(pages, name));
    assert_false(pp_cli_print_man(stdout, "pingpong-help"));
    assert_false(pp_cli_print_man(stdout, "run"));
    assert_false(pp_cli_print_man(stdout, ""));
}

static void test_a_page_names_itself_first_and_all_others_last(void **state)
{
    char name[PP_CLI_MAN_NAME_BYTES], other[PP_CLI_MAN_NAME_BYTES], text[64];

    (void)state;
    for (size_t i = 0; pp_cli_man_name(i, name); i++) {
        const char *see_also = strstr(page(name), "\n# SEE ALSO\n");

        (void)snprintf(text, sizeof text, "%s(1) ", name);
        assert_int_equal(strncmp(page(name), text, strlen(text)), 0);
        (void)snprintf(text, sizeof text, "\n# NAME\n\n%s - ", name);
        assert_non_null(strstr(page(name), text));
        for (size_t j = 0; pp_cli_man_name(j, other); j++) {
            (void)snprintf(text, sizeof text, "*%s*(1)", other);
            assert_int_equal(strstr(see_also, text) != NULL, i != j);
        }
    }
}

static void test_the_first_page_has_every_command_and_its_help(void **state)
{
    const char *text = plain(page("pingpong"));

    (void)state;
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        char entry[160];

        (void)snprintf(entry, sizeof entry, " pingpong %s %s", pp_cli_commands[i].usage,
                       pp_cli_commands[i].help);
        if (!strstr(text, entry))
            fail_msg("\"%s\" is missing", entry);
    }
}

static void test_every_exit_status_that_may_be_is_explained_in_every_page(void **state)
{
    static const struct {
        const char *text;
        bool of_serve, of_compare, of_sweep, of_engines; /* explain has the same as sweep */
    } statuses[] = { { "*0*:", true, true, true, true },
                     { "*1*:", true, true, true, true },
                     { "*2*:", true, true, true, true },
                     { "*3*:", false, true, false, false },
                     { "*4*:", true, true, true, false },
                     { "*5*:", false, true, true, false },
                     { "*129, 130, 131 or 143*:", true, true, true, true } };
    char name[PP_CLI_MAN_NAME_BYTES];

    (void)state;
    for (size_t i = 0; pp_cli_man_name(i, name); i++) {
        const bool serve = strcmp(name, "pingpong-serve") == 0;
        const bool compare = strcmp(name, "pingpong-compare") == 0;
        const bool sweep = strcmp(name, "pingpong-sweep") == 0 ||
                           strcmp(name, "pingpong-explain") == 0;
        const bool engines = strcmp(name, "pingpong-engines") == 0;

        for (size_t j = 0; j < COUNT_OF(statuses); j++) {
            const char *text = strstr(strstr(page(name), "\n# EXIT STATUS\n"), statuses[j].text);

            assert_int_equal(text != NULL, serve     ? statuses[j].of_serve
                                           : compare ? statuses[j].of_compare
                                           : sweep   ? statuses[j].of_sweep
                                           : engines ? statuses[j].of_engines
                                                     : true);
        }
    }
}

/* Splits a line as a shell does that knows single quotes, and parses it. */
static void check_example(char *line)
{
    char name[] = "pingpong", *argv[ARGS_MAX + 2] = { name };
    struct pp_error err = { 0 };
    static struct pp_cli cli;
    int argc = 0;

    while (*line) {
        const bool quoted = *line == '\'';
        char *end;

        line += quoted;
        end = line + strcspn(line, quoted ? "'" : " ");
        assert_true(argc <= ARGS_MAX);
        argv[argc++] = line;
        line = end + (*end != '\0' && quoted);
        line += strspn(line, " ");
        *end = '\0';
    }
    assert_string_equal(argv[0], name);
    if (pp_cli_parse(&cli, argc, argv, &err) != 0)
        fail_msg("%s %s: %s", argv[1], argc > 2 ? argv[2] : "", err.text);
}

/* The examples are for copying. */
static void test_every_example_parses(void **state)
{
    char name[PP_CLI_MAN_NAME_BYTES];

    (void)state;
    for (size_t i = 0; pp_cli_man_name(i, name); i++) {
        unsigned examples = 0;

        for (const char *at = page(name); (at = strstr(at, "\n```\npingpong")); at++) {
            char line[160];
            size_t used = 0;

            at += strlen("\n```\n");
            for (; *at != '\n'; at++)
                if (*at != '\\' || *++at)
                    line[used++] = *at;
            line[used] = '\0';
            check_example(line);
            examples++;
        }
        assert_true(examples >= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option_of_the_table_has_its_entry_in_the_pages_of_its_commands),
        cmocka_unit_test(test_an_entry_has_what_the_option_takes_and_its_aliases),
        cmocka_unit_test(test_options_stand_below_the_title_of_their_group),
        cmocka_unit_test(test_a_group_without_options_has_no_title),
        cmocka_unit_test(test_there_is_a_page_for_the_program_and_for_each_job),
        cmocka_unit_test(test_a_page_names_itself_first_and_all_others_last),
        cmocka_unit_test(test_the_first_page_has_every_command_and_its_help),
        cmocka_unit_test(test_every_exit_status_that_may_be_is_explained_in_every_page),
        cmocka_unit_test(test_every_example_parses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
