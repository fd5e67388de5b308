#include "cli/value.h"

#include "io/io.h"
#include "support.h"

static struct pp_cli_value value_of(const char *value, const char *takes)
{
    const struct pp_cli_option option = { .name = "name", .value = value, .takes = takes };

    return pp_cli_value_of(&option);
}

static void check_words(const char *value, const char *takes, const char *words)
{
    const struct pp_cli_value found = value_of(value, takes);

    assert_int_equal(found.kind, PP_CLI_VALUE_WORDS);
    assert_string_equal(found.words, words);
    assert_string_equal(found.name, value);
}

static void test_an_option_without_a_value_takes_none(void **state)
{
    (void)state;
    assert_int_equal(value_of(NULL, NULL).kind, PP_CLI_VALUE_NONE);
}

static void test_a_list_of_words_is_found_in_the_name_of_the_value(void **state)
{
    (void)state;
    check_words("on|off", "either", "on off");
    check_words("full|len|off", "full, len or off", "full len off");
}

static void test_a_list_of_words_is_found_in_what_the_option_takes(void **state)
{
    (void)state;
    check_words("HOW", "fixed or poisson", "fixed poisson");
    check_words("HOW", "auto, block, spin[:US] or yield[:US]", "auto block spin yield");
    check_words("NAME", "auto, io_uring or epoll (or io_uring:no-FEATURE)", "auto io_uring epoll");
}

static void test_text_is_no_list_of_words(void **state)
{
    static const char *const texts[] = {
        "text",
        "a whole number from 1 to 256",
        "CPU numbers, such as 0 or 0,2-3",
        "0 or more",
        "on or off, as you like",
        "fixed or ",
        "fixed or poisson[",
        "",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const struct pp_cli_value value = value_of("N", texts[i]);

        if (value.kind != PP_CLI_VALUE_ANY || value.words[0])
            fail_msg("\"%s\" is read as words: %s", texts[i], value.words);
    }
    assert_int_equal(value_of("TIME|COUNT", "a time").kind, PP_CLI_VALUE_ANY);
}

static void test_files_and_addresses_are_known_by_the_name_of_the_value(void **state)
{
    (void)state;
    assert_int_equal(value_of("FILE", "the path of a file").kind, PP_CLI_VALUE_FILE);
    assert_int_equal(value_of("HOST", "a name").kind, PP_CLI_VALUE_ADDRESS);
    assert_int_equal(value_of("ADDRESS", "a name").kind, PP_CLI_VALUE_ADDRESS);
    assert_int_equal(value_of("FILES", "how many").kind, PP_CLI_VALUE_ANY);
}

static void test_brackets_make_a_value_optional_and_are_no_part_of_its_name(void **state)
{
    static const char *const names[] = { "[FILE]", "[FILE.json]" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct pp_cli_value value = value_of(names[i], "the path of a file");

        assert_true(value.optional);
        assert_memory_equal(value.name, "FILE", 4);
        assert_null(strpbrk(value.name, "[]"));
        assert_int_equal(value.kind, PP_CLI_VALUE_FILE);
    }
    assert_false(value_of("REQ[,RESP]", "a size").optional);
    assert_string_equal(value_of("REQ[,RESP]", "a size").name, "REQ[,RESP]");
}

static bool has_word(const char *words, const char *word)
{
    char padded[PP_CLI_WORDS_BYTES + 2], needle[64];

    (void)snprintf(padded, sizeof padded, " %s ", words);
    (void)snprintf(needle, sizeof needle, " %s ", word);
    return strstr(padded, needle) != NULL;
}

static void test_every_engine_is_among_the_words_of_the_options_that_take_one(void **state)
{
    const char *engines[PP_IO_ENGINES_MAX];
    unsigned options = 0;

    (void)state;
    pp_io_engine_list(1, engines);
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_value value = pp_cli_value_of(&pp_cli_options[i]);

        if (!strstr(pp_cli_options[i].name, "engine"))
            continue;
        options++;
        assert_true(has_word(value.words, "auto"));
        for (size_t j = 0; engines[j]; j++)
            if (!has_word(value.words, engines[j]))
                fail_msg("--%s lacks %s", pp_cli_options[i].name, engines[j]);
    }
    assert_int_equal(options, 2);
}

/* What is offered must be taken. */
static void test_every_word_of_the_table_is_a_value_of_its_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        struct pp_cli_value value = pp_cli_value_of(&pp_cli_options[i]);
        char *place = NULL;

        for (char *word = strtok_r(value.words, " ", &place); word;
             word = strtok_r(NULL, " ", &place)) {
            static struct pp_cli cli;
            struct pp_error err = { 0 };

            if (pp_cli_options[i].apply(&cli, word, &err) < 0)
                fail_msg("--%s refuses %s", pp_cli_options[i].name, word);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_option_without_a_value_takes_none),
        cmocka_unit_test(test_a_list_of_words_is_found_in_the_name_of_the_value),
        cmocka_unit_test(test_a_list_of_words_is_found_in_what_the_option_takes),
        cmocka_unit_test(test_text_is_no_list_of_words),
        cmocka_unit_test(test_files_and_addresses_are_known_by_the_name_of_the_value),
        cmocka_unit_test(test_brackets_make_a_value_optional_and_are_no_part_of_its_name),
        cmocka_unit_test(test_every_engine_is_among_the_words_of_the_options_that_take_one),
        cmocka_unit_test(test_every_word_of_the_table_is_a_value_of_its_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
