#include "cli/options.h"

#include "support.h"

#include <stdio.h>

static void check_client(const struct line *line, const char *host, uint16_t port)
{
    const struct pp_cli *cli = parsed(line);

    assert_string_equal(cli->command->name, "client");
    assert_int_equal(cli->plan.job, PP_JOB_CLIENT);
    assert_string_equal(cli->plan.target.host, host);
    assert_string_equal(cli->plan.target.path, "");
    assert_int_equal(cli->plan.target.port, port);
}

static void check_path(const struct line *line, enum pp_job job, const char *path)
{
    const struct pp_cli *cli = parsed(line);

    assert_int_equal(cli->plan.job, job);
    assert_string_equal(cli->plan.target.path, path);
}

static void check_serve(const struct line *line, const char *host, uint16_t port)
{
    const struct pp_cli *cli = parsed(line);

    assert_string_equal(cli->command->name, "serve");
    assert_int_equal(cli->plan.job, PP_JOB_SERVE);
    assert_string_equal(cli->plan.target.host, host);
    assert_int_equal(cli->plan.target.port, port);
}

static void check_help(const struct line *line, unsigned jobs)
{
    const struct pp_cli *cli = parsed(line);

    assert_string_equal(cli->command->name, "help");
    assert_int_equal(cli->help_jobs, jobs);
}

/* ---- commands ---- */

static void test_each_command_is_a_job(void **state)
{
    (void)state;
    assert_int_equal(parsed(LINE(NULL))->plan.job, PP_JOB_RUN);
    assert_int_equal(parsed(LINE("run"))->plan.job, PP_JOB_RUN);
    assert_int_equal(parsed(LINE("run", "-n5"))->plan.count, 5);
    assert_int_equal(parsed(LINE("serve"))->plan.job, PP_JOB_SERVE);
    assert_int_equal(parsed(LINE("client", "x"))->plan.job, PP_JOB_CLIENT);
    assert_string_equal(parsed(LINE("version"))->command->name, "version");
    assert_string_equal(parsed(LINE("help"))->command->name, "help");
}

static void test_options_and_words_stand_in_any_order(void **state)
{
    static const struct line lines[] = {
        { { "client", "x:7", "-n5", "-q" } },       { { "-n5", "client", "-q", "x:7" } },
        { { "-q", "-n5", "client", "x:7" } },       { { "-q", "-n", "5", "x:7" } },
        { { "x:7", "--count", "5", "-q" } },        { { "-qn5", "x:7" } },
        { { "--quiet", "x:7", "--count=5" } },      { { "-n5", "-q", "--", "client", "x:7" } },
        { { "-n5", "client", "-q", "--", "x:7" } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        check_client(&lines[i], "x", 7);
        assert_int_equal(parsed(&lines[i])->plan.count, 5);
        assert_true(parsed(&lines[i])->quiet);
    }
}

static void test_the_value_of_an_option_is_no_command(void **state)
{
    (void)state;
    check_client(LINE("--host", "serve", "client"), "serve", 3131);
    check_client(LINE("client", "--host", "help"), "help", 3131);
    check_client(LINE("--expect", "run", "client", "x"), "x", 3131);
}

static void test_a_command_that_is_mistyped_is_named(void **state)
{
    static const struct {
        const char *typed, *meant;
    } table[] = {
        { "serv", "did you mean serve?" },       { "sevre", "did you mean serve?" },
        { "server", "did you mean serve?" },     { "clent", "did you mean client?" },
        { "cleint", "did you mean client?" },    { "rnu", "did you mean run?" },
        { "hepl", "did you mean help?" },        { "versoin", "did you mean version?" },
        { "versions", "did you mean version?" },
    };
    char client[80];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        (void)snprintf(client, sizeof client, "pingpong client %s", table[i].typed);
        check_refused(LINE(table[i].typed), table[i].meant, client);
        check_refused(LINE("-n5", table[i].typed), table[i].meant, client);
        check_client(LINE("client", table[i].typed), table[i].typed, 3131); /* as it says */
    }
}

static void test_a_word_like_no_command_is_a_host(void **state)
{
    (void)state;
    check_client(LINE("localhost"), "localhost", 3131);
    check_client(LINE("cache"), "cache", 3131);
    check_client(LINE("serv:7"), "serv", 7); /* a port tells */
    check_client(LINE("serv.example"), "serv.example", 3131);
}

static void test_a_word_that_is_nothing_is_refused(void **state)
{
    (void)state;
    check_refused(LINE(""), "nothing is known to do with \"\"", "pingpong help");
    check_refused(LINE("-"), "nothing is known to do with \"-\"", "pingpong help");
    check_refused(LINE("--", "-q"), "nothing is known to do with \"-q\"", "pingpong help");
    check_refused(LINE("a b"), "nothing is known to do with \"a b\"", "pingpong help");
    check_refused(LINE("-n5", "%s%n"), "nothing is known to do with \"%s%n\"", "pingpong help");
}

static void test_run_takes_no_address(void **state)
{
    (void)state;
    check_refused(LINE("run", "10.0.0.2"), "run takes no ADDRESS", "pingpong client 10.0.0.2");
}

static void test_a_second_word_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("client", "a", "b"), "one ADDRESS is enough", "a or b");
    check_refused(LINE("a", "b"), "one ADDRESS is enough", "a or b");
    check_refused(LINE("serve", ":1", ":2"), "one ADDRESS is enough", ":1 or :2");
    check_refused(LINE("a", "serve"), "one ADDRESS is enough", "a or serve");
}

/* ---- addresses ---- */

static void test_every_form_of_an_address_is_taken(void **state)
{
    (void)state;
    check_client(LINE("10.0.0.2"), "10.0.0.2", 3131);
    check_client(LINE("10.0.0.2:7"), "10.0.0.2", 7);
    check_client(LINE("a-name:65535"), "a-name", 65535);
    check_client(LINE("::1"), "::1", 3131);
    check_client(LINE("[::1]"), "::1", 3131);
    check_client(LINE("[fe80::1%eth0]:7"), "fe80::1%eth0", 7);
    check_client(LINE(":7"), "", 7);
    check_client(LINE("client", "--", "10.0.0.2"), "10.0.0.2", 3131);
    check_path(LINE("unix:/run/pp"), PP_JOB_CLIENT, "/run/pp");
    check_path(LINE("serve", "unix:/run/pp"), PP_JOB_SERVE, "/run/pp");
    check_serve(LINE("serve", ":7"), "", 7);
    check_serve(LINE("serve", "[::1]:0"), "::1", 0);
    check_serve(LINE("serve"), "127.0.0.1", 3131);
}

static void test_host_and_port_make_up_an_address(void **state)
{
    (void)state;
    check_client(LINE("client", "-H", "x"), "x", 3131);
    check_client(LINE("client", "-H", "x", "-p7"), "x", 7);
    check_client(LINE("client", "-p7"), "127.0.0.1", 7);
    check_client(LINE("-p7", "x"), "x", 7);
    check_serve(LINE("serve", "-p7"), "127.0.0.1", 7);
    check_serve(LINE("-H", "10.0.0.1", "-p0", "serve"), "10.0.0.1", 0);
    check_path(LINE("client", "-H", "unix:/x"), PP_JOB_CLIENT, "/x");
}

static void test_a_client_without_a_server_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("client"), "client takes the ADDRESS", "pingpong client HOST[:PORT]");
    check_refused(LINE("client", "-n5", "-q"), "client takes the ADDRESS", "HOST[:PORT]");
}

static void test_an_address_that_makes_no_sense_is_refused(void **state)
{
    static const char *const wrong[] = { "x:",      "x:y",   "x:65536", "x:-1",  "[::1",
                                         "[::1]7",  "[]:7",  "a:b:c",   "unix:", "x/y",
                                         "[x]:7:8", "1:2:3", "::1:x" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        check_refused(LINE(wrong[i]), "ADDRESS is HOST", wrong[i]);
        check_refused(LINE("serve", wrong[i]), "ADDRESS is HOST", wrong[i]);
    }
    check_refused(LINE("client", ""), "ADDRESS is HOST", "not \"\"");
}

static void test_a_url_is_refused_with_what_to_leave_out(void **state)
{
    (void)state;
    check_refused(LINE("http://10.0.0.2/"), "HOST:PORT without http://",
                  "not \"http://10.0.0.2/\"");
    check_refused(LINE("client", "redis://x"), "HOST:PORT without http://", "not \"redis://x\"");
}

static void test_what_is_named_twice_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("x", "-H", "y"), "named twice", "--host");
    check_refused(LINE("serve", "x", "-H", "y"), "named twice", "--host");
    check_refused(LINE("x:7", "-p7"), "the port is named twice, in x:7", "--port");
    check_refused(LINE("[::1]:7", "-p8"), "the port is named twice, in [::1]:7", "--port");
    check_refused(LINE("serve", ":7", "-p8"), "the port is named twice, in :7", "--port");
}

static void test_a_client_refuses_a_port_that_is_any(void **state)
{
    (void)state;
    check_refused(LINE("x:0"), "has to know the port", "run and serve");
    check_refused(LINE("x", "-p0"), "has to know the port", "run and serve");
}

/* ---- options of other commands ---- */

static void test_options_of_other_commands_are_refused_with_whose_they_are(void **state)
{
    (void)state;
    check_refused(LINE("--send=x"), "--send is for client, not for run", "");
    check_refused(LINE("run", "--no-hello"), "--no-hello is for client, not for run", "");
    check_refused(LINE("serve", "-n5"), "--count is for run and client, not for serve", "");
    check_refused(LINE("-c5", "serve"),
                  "--connections is for run, client and explain, not for serve", "");
    check_refused(LINE("serve", "--mps=5"), "--rate is for run and client, not for serve", "");
    check_refused(LINE("x", "--server-engine=epoll"),
                  "--server-engine is for run, serve and explain, not for client", "");
    check_refused(LINE("serve", "-B", "x"), "--bind is for run and client, not for serve", "");
    check_refused(LINE("explain", "-R5"), "round trips by hand", "of --rate: leave it out");
    check_refused(LINE("explain", "--before=x"), "--before is for compare and sweep", "");
}

static void test_what_explain_cannot_take_apart_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("explain", "-m", "64,1k"), "messages of one size", "-m 64");
    check_refused(LINE("explain", "-m", "uniform:1-9"), "messages of one size", "");
    check_refused(LINE("explain", "-m", "17k"), "up to 16KiB", "");
    check_refused(LINE("explain", "-H", "10.0.0.1"), "about this machine", "not 10.0.0.1");
    check_refused(LINE("explain", "10.0.0.1"), "about this machine", "takes no ADDRESS");
    check_refused(LINE("explain", "--rounds=5"), "from 6 to 500", "");
    check_refused(LINE("explain", "--budget=5"), "too short", "");
    check_refused(LINE("explain", "--budget=60", "-t1"), "--budget says", "");
}

/* ---- unknown and ambiguous ones ---- */

static void test_an_unknown_option_is_refused_by_its_name(void **state)
{
    (void)state;
    check_refused(LINE("-x"), "there is no option -x", "pingpong help");
    check_refused(LINE("-qx"), "there is no option -x", "pingpong help");
    check_refused(LINE("-xq"), "there is no option -x", "pingpong help");
    check_refused(LINE("--nonsense"), "there is no option --nonsense;", "pingpong help");
    check_refused(LINE("--nonsense=5"), "there is no option --nonsense;", "pingpong help");
    check_refused(LINE("-n", "5", "--nonsense", "-q"), "no option --nonsense;", "pingpong help");
    check_refused(LINE("serve", "-x"), "there is no option -x", "pingpong help serve");
    check_refused(LINE("--nonsense", "run"), "there is no option --nonsense", "pingpong help run");
}

static void test_an_unknown_letter_that_cannot_be_printed_is_refused_in_words(void **state)
{
    (void)state;
    check_refused(LINE("-\x01"), "there is no option of that letter", "help");
    check_refused(LINE("-\xc3\xa4"), "there is no option of that letter", "help");
}

static void test_what_follows_an_unknown_option_is_not_blamed(void **state)
{
    (void)state;
    check_refused(LINE("--nonsense", "serv"), "there is no option --nonsense", "help");
    check_refused(LINE("-x", "a b"), "there is no option -x", "help");
    check_refused(LINE("-d30s", "-t2", "a b"), "there is no option -d", "-T 2");
}

static void test_the_nearest_option_is_suggested(void **state)
{
    static const struct {
        const char *typed, *meant;
    } table[] = {
        { "--conections", "did you mean --connections?" },
        { "--conections=5", "did you mean --connections?" },
        { "--cuont", "did you mean --count?" },
        { "--treads", "did you mean --threads?" },
        { "--paralel=5", "did you mean --parallel?" },
        { "--duratoin", "did you mean --duration?" },
        { "--qpss", "did you mean --qps?" },
        { "--vebrose", "did you mean --verbose?" },
        { "--server_threads", "did you mean --server-threads?" },
        { "--exepct", "did you mean --expect?" }, /* of another job */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_refused(LINE(table[i].typed), "there is no option --", table[i].meant);
}

static void test_a_name_like_none_is_not_guessed_at(void **state)
{
    (void)state;
    assert_null(strstr(refusal(LINE("--nonsense")), "did you mean"));
    assert_null(strstr(refusal(LINE("--xy")), "did you mean"));
}

static void test_a_shortened_name_of_several_options_is_refused_with_their_names(void **state)
{
    (void)state;
    check_refused(LINE("--h"), "--h is short for several: --host, --histogram, --hlog, --help", "");
    check_refused(LINE("--ver"), "--ver is short for several: --verify, --verbose, --version", "");
    check_refused(LINE("serve", "--ver"), "--ver is short for several: --verbose, --version", "");
    check_refused(LINE("--co=5"), "--connections, --count, --connect-timeout", "");
    check_refused(LINE("x", "--exp=5"), "--expect, --expect-bytes, --expect-until", "");
}

static void test_a_shortened_name_of_other_commands_is_refused_with_their_names(void **state)
{
    (void)state;
    check_refused(LINE("serve", "--th=5"), "--th is short for several: --threads, --think", "");
    check_refused(LINE("--exp=5"), "--expect, --expect-bytes, --expect-until", "");
    check_refused(LINE("serve", "--cou=5"), "--count is for run and client, not for serve", "");
}

/* ---- help ---- */

static void test_help_of_a_command_is_about_it(void **state)
{
    (void)state;
    check_help(LINE("help"), PP_CLI_ALL);
    check_help(LINE("--help"), PP_CLI_ALL);
    check_help(LINE("help", "run"), PP_CLI_RUN);
    check_help(LINE("help", "client"), PP_CLI_CLIENT);
    check_help(LINE("help", "serve"), PP_CLI_SERVE);
    check_help(LINE("help", "help"), PP_CLI_ALL);
    check_help(LINE("help", "version"), PP_CLI_ALL);
    check_help(LINE("serve", "--help"), PP_CLI_SERVE);
    check_help(LINE("-h", "serve"), PP_CLI_SERVE);
    check_help(LINE("client", "x", "-h"), PP_CLI_CLIENT);
    check_help(LINE("run", "-h"), PP_CLI_RUN);
    check_help(LINE("help", "-q", "serve"), PP_CLI_SERVE);
}

static void test_help_of_what_is_no_command_names_the_commands(void **state)
{
    (void)state;
    check_refused(LINE("help", "nonsense"), "there is no command nonsense",
                  "run, serve, client, compare, sweep, explain, engines, help and version");
}

static void test_help_comes_before_what_is_wrong_after_it(void **state)
{
    (void)state;
    check_help(LINE("-h", "-n0"), PP_CLI_ALL);
    check_help(LINE("client", "-h"), PP_CLI_CLIENT); /* it needs no server */
    check_help(LINE("-qv", "-h"), PP_CLI_ALL);
    check_refused(LINE("-n0", "-h"), "--count takes ", "not \"0\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_command_is_a_job),
        cmocka_unit_test(test_options_and_words_stand_in_any_order),
        cmocka_unit_test(test_the_value_of_an_option_is_no_command),
        cmocka_unit_test(test_a_command_that_is_mistyped_is_named),
        cmocka_unit_test(test_a_word_like_no_command_is_a_host),
        cmocka_unit_test(test_a_word_that_is_nothing_is_refused),
        cmocka_unit_test(test_run_takes_no_address),
        cmocka_unit_test(test_a_second_word_is_refused),
        cmocka_unit_test(test_every_form_of_an_address_is_taken),
        cmocka_unit_test(test_host_and_port_make_up_an_address),
        cmocka_unit_test(test_a_client_without_a_server_is_refused),
        cmocka_unit_test(test_an_address_that_makes_no_sense_is_refused),
        cmocka_unit_test(test_a_url_is_refused_with_what_to_leave_out),
        cmocka_unit_test(test_what_is_named_twice_is_refused),
        cmocka_unit_test(test_a_client_refuses_a_port_that_is_any),
        cmocka_unit_test(test_options_of_other_commands_are_refused_with_whose_they_are),
        cmocka_unit_test(test_what_explain_cannot_take_apart_is_refused),
        cmocka_unit_test(test_an_unknown_option_is_refused_by_its_name),
        cmocka_unit_test(test_an_unknown_letter_that_cannot_be_printed_is_refused_in_words),
        cmocka_unit_test(test_what_follows_an_unknown_option_is_not_blamed),
        cmocka_unit_test(test_the_nearest_option_is_suggested),
        cmocka_unit_test(test_a_name_like_none_is_not_guessed_at),
        cmocka_unit_test(test_a_shortened_name_of_several_options_is_refused_with_their_names),
        cmocka_unit_test(test_a_shortened_name_of_other_commands_is_refused_with_their_names),
        cmocka_unit_test(test_help_of_a_command_is_about_it),
        cmocka_unit_test(test_help_of_what_is_no_command_names_the_commands),
        cmocka_unit_test(test_help_comes_before_what_is_wrong_after_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
