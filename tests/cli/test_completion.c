#include "cli/completion.h"

#include "support.h"

#include <ctype.h>
#include <stdio.h>

#define FILE_BYTES 65536

static const char *completion(const char *shell)
{
    static char text[FILE_BYTES];
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    assert_true(pp_cli_print_completion(out, shell));
    assert_int_equal(fclose(out), 0);
    assert_true(strlen(text) < sizeof text - 1);
    return text;
}

/* What a shell's line for an option has: at its beginning the commands that take it, up to end, and
 * before each way to call it one of the other texts. */
struct dialect {
    const char *shell;
    const char *end;
    const char *letter, *name, *long_only, *alias;
};

static const struct dialect dialects[] = {
    { "bash", "|", "|-", " --", "|--", "--" },
    { "zsh", ")", ")-", ")--", " '--", "!--" },
    { "fish", "' ", " -s ", " -l ", " -l ", " -l " },
};

/* Whether line has word behind before, and there no more of a word. */
static bool has(const char *line, const char *before, const char *word, size_t bytes)
{
    char text[80];

    (void)snprintf(text, sizeof text, "%s%.*s", before, (int)bytes, word);
    for (const char *at = line; (at = strstr(at, text)); at++) {
        const char *end = at + strlen(text);

        end += *end == '-'; /* one that nothing follows says how its value is given */
        if (!isalnum((unsigned char)*end))
            return true;
    }
    return false;
}

static bool is_for(const char *line, const struct dialect *dialect, unsigned jobs)
{
    const char *end = strstr(line, dialect->end);
    char condition[160];

    if (!end)
        return false;
    (void)snprintf(condition, sizeof condition, "%.*s ", (int)(end - line), line);
    for (unsigned job = 0; PP_CLI_ALL >> job; job++) {
        const char *name = pp_cli_command_of(1U << job)->name;

        if (has(condition, "", name, strlen(name)) != (jobs >> job & 1))
            return false;
    }
    return true;
}

/* Whether the line is about the option and calls it by its letter and its name. */
static bool is_line_of(const char *line, const struct dialect *dialect,
                       const struct pp_cli_option *option)
{
    const char *before = option->letter ? dialect->name : dialect->long_only;

    return is_for(line, dialect, pp_cli_takers(option)) &&
           (!option->letter || has(line, dialect->letter, &option->letter, 1)) &&
           has(line, before, option->name, strlen(option->name));
}

/* How many lines of text are about the option. */
static unsigned count_lines(const char *text, const struct dialect *dialect,
                            const struct pp_cli_option *option)
{
    unsigned count = 0;

    while (*text) {
        static char line[8192];
        const size_t bytes = strcspn(text, "\n");

        assert_true(bytes < sizeof line);
        (void)snprintf(line, sizeof line, "%.*s", (int)bytes, text);
        count += is_line_of(line, dialect, option);
        text += bytes + (text[bytes] == '\n');
    }
    return count;
}

static void test_every_option_of_the_table_has_one_line_in_every_completion(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dialects); i++) {
        const char *text = completion(dialects[i].shell);

        for (size_t j = 0; j < pp_cli_option_count; j++) {
            const unsigned lines = count_lines(text, &dialects[i], &pp_cli_options[j]);

            if (lines != 1)
                fail_msg("%s: --%s has %u lines", dialects[i].shell, pp_cli_options[j].name, lines);
        }
    }
}

static void test_every_alias_is_in_every_completion(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dialects); i++) {
        const char *text = completion(dialects[i].shell);

        for (size_t j = 0; j < pp_cli_option_count; j++)
            for (const char *const *alias = pp_cli_options[j].aliases; *alias; alias++)
                if (!has(text, dialects[i].alias, *alias, strlen(*alias)))
                    fail_msg("%s: --%s is missing", dialects[i].shell, *alias);
    }
}

static void test_every_list_of_words_is_in_every_completion(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dialects); i++) {
        const char *text = completion(dialects[i].shell);

        for (size_t j = 0; j < pp_cli_option_count; j++) {
            const char *words[PP_CLI_WORDS_MAX];
            const unsigned count = pp_cli_words(&pp_cli_options[j], words);
            struct pp_cli_text list = { 0 };

            for (unsigned k = 0; k < count; k++)
                pp_cli_text_add(&list, "%s%s", k > 0 ? " " : "", words[k]);
            if (!strstr(text, list.text))
                fail_msg("%s: --%s lacks %s", dialects[i].shell, pp_cli_options[j].name, list.text);
        }
    }
}

static void test_every_command_is_in_every_completion(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dialects); i++)
        for (size_t j = 0; j < pp_cli_command_count; j++)
            assert_true(has(completion(dialects[i].shell), "", pp_cli_commands[j].name,
                            strlen(pp_cli_commands[j].name)));
}

static void test_there_are_completions_for_these_shells_and_no_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(dialects); i++)
        assert_string_equal(pp_cli_completion_shell(i), dialects[i].shell);
    assert_null(pp_cli_completion_shell(COUNT_OF(dialects)));
    assert_false(pp_cli_print_completion(stdout, "sh"));
    assert_false(pp_cli_print_completion(stdout, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option_of_the_table_has_one_line_in_every_completion),
        cmocka_unit_test(test_every_alias_is_in_every_completion),
        cmocka_unit_test(test_every_list_of_words_is_in_every_completion),
        cmocka_unit_test(test_every_command_is_in_every_completion),
        cmocka_unit_test(test_there_are_completions_for_these_shells_and_no_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
