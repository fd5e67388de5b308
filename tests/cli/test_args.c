#include "cli/args.h"

#include "support.h"

#include <stdio.h>

/* A reader of a line, for the job run unless a test says otherwise. */
struct reader {
    char *argv[ARGS_MAX + 2];
    struct pp_cli_args args;
    struct pp_cli_arg arg; /* the last one read */
};

static void begin(struct reader *r, const struct line *line, unsigned jobs)
{
    const int argc = line_argv(line, r->argv);

    r->args = pp_cli_args_begin(argc, r->argv, jobs);
}

static const struct pp_cli_arg *next(struct reader *r)
{
    memset(&r->arg, 0xa5, sizeof r->arg);
    assert_true(pp_cli_args_next(&r->args, &r->arg));
    return &r->arg;
}

static void check_end(struct reader *r)
{
    assert_false(pp_cli_args_next(&r->args, &r->arg));
    assert_false(pp_cli_args_next(&r->args, &r->arg));
}

/* value may be NULL. */
static void check_option(struct reader *r, const char *name, const char *value)
{
    const struct pp_cli_arg *arg = next(r);

    assert_int_equal(arg->kind, PP_CLI_ARG_OPTION);
    assert_string_equal(arg->option->name, name);
    if (value)
        assert_string_equal(arg->value, value);
    else
        assert_null(arg->value);
}

static void check_word(struct reader *r, const char *word)
{
    const struct pp_cli_arg *arg = next(r);

    assert_int_equal(arg->kind, PP_CLI_ARG_WORD);
    assert_string_equal(arg->name, word);
    assert_int_equal(arg->name_bytes, strlen(word));
}

static void test_an_empty_line_ends_at_once(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE(NULL), PP_CLI_RUN);
    check_end(&r);
}

static void test_options_and_words_come_in_the_order_they_were_typed(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("one", "-n5", "two", "--count", "6", "-q", "three", "--count=7"), PP_CLI_RUN);
    check_word(&r, "one");
    check_option(&r, "count", "5");
    check_word(&r, "two");
    assert_int_equal(r.args.words, 2);
    check_option(&r, "count", "6");
    check_option(&r, "quiet", NULL);
    check_word(&r, "three");
    check_option(&r, "count", "7");
    assert_int_equal(r.args.words, 3);
    check_end(&r);
}

static void test_letters_in_a_cluster_are_options_until_one_takes_the_rest(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("-qv", "-uvn5", "-vn", "7", "-4q"), PP_CLI_RUN);
    check_option(&r, "quiet", NULL);
    assert_int_equal(r.arg.letter, 'q');
    check_option(&r, "verbose", NULL);
    check_option(&r, "udp", NULL);
    check_option(&r, "verbose", NULL);
    check_option(&r, "count", "5");
    check_option(&r, "verbose", NULL);
    check_option(&r, "count", "7");
    check_option(&r, "ipv4", NULL);
    check_option(&r, "quiet", NULL);
    check_end(&r);
}

static void test_a_value_may_look_like_an_option(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("-n", "-q", "--count", "--", "--count=-1", "-n-", "--count="), PP_CLI_RUN);
    check_option(&r, "count", "-q");
    check_option(&r, "count", "--");
    check_option(&r, "count", "-1");
    check_option(&r, "count", "-");
    check_option(&r, "count", "");
    check_end(&r);
}

static void test_a_value_that_is_missing_is_null(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("-qn"), PP_CLI_RUN);
    check_option(&r, "quiet", NULL);
    check_option(&r, "count", NULL);
    check_end(&r);
    begin(&r, LINE("--count"), PP_CLI_RUN);
    check_option(&r, "count", NULL);
    check_end(&r);
}

static void test_after_two_dashes_everything_is_a_word(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("-q", "--", "-q", "--count=5", "--"), PP_CLI_RUN);
    check_option(&r, "quiet", NULL);
    check_word(&r, "-q");
    check_word(&r, "--count=5");
    check_word(&r, "--");
    check_end(&r);
}

static void test_a_dash_and_nothing_are_words(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("-", ""), PP_CLI_RUN);
    check_word(&r, "-");
    check_word(&r, "");
    check_end(&r);
}

static void test_a_value_is_handed_on_with_an_option_that_takes_none(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("--quiet=yes", "--quiet", "yes"), PP_CLI_RUN);
    check_option(&r, "quiet", "yes");
    check_option(&r, "quiet", NULL);
    check_word(&r, "yes");
}

/* ---- shortened names ---- */

static void test_a_name_may_be_shortened_while_it_fits_one_option_alone(void **state)
{
    static const struct {
        const char *typed, *name;
    } table[] = {
        { "--connections=1", "connections" },
        { "--connecti=1", "connections" },
        { "--connect-=1", "connect-timeout" },
        { "--cou=1", "count" },
        { "--dep=1", "depth" },
        { "--flo=1", "connections" },
        { "--para=1", "connections" },
        { "--dur=1", "time" },
        { "--om=1", "warmup" },
        { "--qu=1", "quiet" },
        { "--time=1", "time" },
        { "--server-t=1", "server-threads" },
        { "--server-e=1", "server-engine" },
    };
    struct reader r;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        begin(&r, LINE(table[i].typed), PP_CLI_RUN);
        check_option(&r, table[i].name, "1");
    }
}

static void test_an_exact_name_wins_over_longer_ones_that_begin_with_it(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("--expect", "a", "--expect=b"), PP_CLI_CLIENT);
    check_option(&r, "expect", "a");
    check_option(&r, "expect", "b");
    check_end(&r);
}

static void test_a_beginning_of_several_names_is_ambiguous(void **state)
{
    static const char *const typed[] = { "--co=1",      "--connect=1", "--s=1", "--server=1",
                                         "--expect-=1", "--ver",       "--ip",  "--p=1" };
    struct reader r;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(typed); i++) {
        begin(&r, LINE(typed[i]), PP_CLI_ALL);
        assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    }
}

static void test_the_beginning_of_a_name_and_of_its_own_alias_is_not_ambiguous(void **state)
{
    struct reader r;

    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        assert_true(pp_cli_option_begins(option, option->name, 1));
        assert_false(pp_cli_option_begins(option, "%", 1));
    }
    begin(&r, LINE("--cpu=0"), PP_CLI_RUN); /* two rows of the table */
    check_option(&r, "cpus", "0");
}

static void test_of_a_shortened_name_the_job_decides_what_it_is_short_for(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("--se=1"), PP_CLI_CLIENT); /* seed, send */
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    begin(&r, LINE("--sen=1"), PP_CLI_CLIENT);
    check_option(&r, "send", "1");
    begin(&r, LINE("--se=1"), PP_CLI_SERVE); /* server-threads, server-engine */
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    begin(&r, LINE("--th=1"), PP_CLI_CLIENT); /* think, threads */
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    begin(&r, LINE("--s=1"), PP_CLI_SERVE);
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    begin(&r, LINE("--c=1"), PP_CLI_SERVE); /* cc, cpus */
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    begin(&r, LINE("--d=1"), PP_CLI_SERVE); /* depth and duration are for others */
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    begin(&r, LINE("--v"), PP_CLI_SERVE); /* verbose, version; verify is for others */
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_AMBIGUOUS);
    begin(&r, LINE("--verb"), PP_CLI_SERVE);
    check_option(&r, "verbose", NULL);
    begin(&r, LINE("--n=on"), PP_CLI_SERVE); /* no-hello is for clients */
    check_option(&r, "nodelay", "on");
    begin(&r, LINE("--no-=1"), PP_CLI_SERVE);
    check_option(&r, "no-hello", "1");
}

/* ---- what an option means where ---- */

static void test_a_letter_means_what_it_does_for_the_job(void **state)
{
    static const struct {
        unsigned jobs;
        const char *value;
    } table[] = {
        { PP_CLI_RUN, "C,S" },
        { PP_CLI_CLIENT, "LIST" },
        { PP_CLI_SERVE, "LIST" },
    };
    struct reader r;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        begin(&r, LINE("-A0", "--cpus=0", "--cpu", "0"), table[i].jobs);
        for (int j = 0; j < 3; j++) {
            check_option(&r, "cpus", "0");
            assert_string_equal(r.arg.option->value, table[i].value);
        }
    }
}

static void test_rows_of_one_name_agree_on_whether_they_take_a_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct pp_cli_option *a = &pp_cli_options[i], *b = &pp_cli_options[j];

            if (strcmp(a->name, b->name) != 0) {
                assert_true(!a->letter || a->letter != b->letter);
                continue;
            }
            assert_int_equal(a->jobs & b->jobs, 0);
            assert_int_equal(a->letter, b->letter);
            assert_int_equal(pp_cli_takes_value(a), pp_cli_takes_value(b));
        }
    }
}

static void check_found(const struct pp_cli_option *option, const char *name)
{
    char typed[80];
    struct reader r;

    (void)snprintf(typed, sizeof typed, "--%s=1", name);
    begin(&r, LINE(typed), option->jobs);
    check_option(&r, option->name, "1");
    assert_ptr_equal(r.arg.option, option);
}

static void test_every_name_and_every_alias_of_the_table_is_found_in_full(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        check_found(&pp_cli_options[i], pp_cli_options[i].name);
        for (const char *const *alias = pp_cli_options[i].aliases; *alias; alias++)
            check_found(&pp_cli_options[i], *alias);
    }
}

/* ---- what is unknown ---- */

static void test_what_follows_an_unknown_option_may_be_its_value_and_is_not_taken(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("--nonsense", "word", "-x", "other", "-y", "-q"), PP_CLI_RUN);
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_UNKNOWN);
    assert_string_equal(r.arg.value, "word");
    assert_int_equal(r.arg.letter, 0);
    check_word(&r, "word");
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_UNKNOWN);
    assert_int_equal(r.arg.letter, 'x');
    assert_string_equal(r.arg.value, "other");
    check_word(&r, "other");
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_UNKNOWN);
    assert_null(r.arg.value);
    check_option(&r, "quiet", NULL);
    check_end(&r);
}

static void test_what_follows_an_unknown_letter_in_its_cluster_is_its_value(void **state)
{
    struct reader r;

    (void)state;
    begin(&r, LINE("-qx5", "--nonsense=7"), PP_CLI_RUN);
    check_option(&r, "quiet", NULL);
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_UNKNOWN);
    assert_string_equal(r.arg.value, "5");
    assert_int_equal(next(&r)->kind, PP_CLI_ARG_UNKNOWN);
    assert_string_equal(r.arg.value, "7");
    assert_int_equal(r.arg.name_bytes, strlen("nonsense"));
    check_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_line_ends_at_once),
        cmocka_unit_test(test_options_and_words_come_in_the_order_they_were_typed),
        cmocka_unit_test(test_letters_in_a_cluster_are_options_until_one_takes_the_rest),
        cmocka_unit_test(test_a_value_may_look_like_an_option),
        cmocka_unit_test(test_a_value_that_is_missing_is_null),
        cmocka_unit_test(test_after_two_dashes_everything_is_a_word),
        cmocka_unit_test(test_a_dash_and_nothing_are_words),
        cmocka_unit_test(test_a_value_is_handed_on_with_an_option_that_takes_none),
        cmocka_unit_test(test_a_name_may_be_shortened_while_it_fits_one_option_alone),
        cmocka_unit_test(test_an_exact_name_wins_over_longer_ones_that_begin_with_it),
        cmocka_unit_test(test_a_beginning_of_several_names_is_ambiguous),
        cmocka_unit_test(test_the_beginning_of_a_name_and_of_its_own_alias_is_not_ambiguous),
        cmocka_unit_test(test_of_a_shortened_name_the_job_decides_what_it_is_short_for),
        cmocka_unit_test(test_a_letter_means_what_it_does_for_the_job),
        cmocka_unit_test(test_rows_of_one_name_agree_on_whether_they_take_a_value),
        cmocka_unit_test(test_every_name_and_every_alias_of_the_table_is_found_in_full),
        cmocka_unit_test(test_what_follows_an_unknown_option_may_be_its_value_and_is_not_taken),
        cmocka_unit_test(test_what_follows_an_unknown_letter_in_its_cluster_is_its_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
