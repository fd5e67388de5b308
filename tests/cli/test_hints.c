#include "cli/hints.h"

#include "support.h"

static void test_s_of_iperf_is_answered_with_the_command_serve(void **state)
{
    (void)state;
    check_refused(LINE("-s"), "no option -s", "pingpong serve");
    check_refused(LINE("-s", "-p", "5201"), "no option -s", "pingpong serve");
    check_refused(LINE("-vs"), "no option -s", "pingpong serve");
}

static void test_c_host_of_iperf_is_answered_with_the_command_client(void **state)
{
    static const char *const hosts[] = { "10.0.0.2",   "a-name", "server.example", "localhost:5201",
                                         "10.0.0.2:7", "::1",    "[::1]:7",        "fe80::1",
                                         "x",          "a.b.c.d" };
    char command[80];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        (void)snprintf(command, sizeof command, "pingpong client %s", hosts[i]);
        check_refused(LINE("-c", hosts[i]), "--connections takes a number", command);
        check_refused(LINE("-t10", "-c", hosts[i], "-P4"), "--connections takes a number", command);
    }
}

static void test_a_number_of_connections_that_is_wrong_is_not_taken_for_a_host(void **state)
{
    static const char *const numbers[] = { "0", "-1", "1.5", "100001", "", "1e3", "10.0.0" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        assert_null(strstr(refusal(LINE("-c", numbers[i])), "client"));
}

static void test_t_and_d_of_wrk_are_answered_with_threads_and_time(void **state)
{
    static const char command[] = "pingpong client -T 2 -c 2 -t 30s ADDRESS";

    (void)state;
    check_refused(LINE("-t2", "-d30s"), "no option -d", command);
    check_refused(LINE("-t", "2", "-d", "30s"), "no option -d", command);
    check_refused(LINE("-d30s", "-t2"), "no option -d", command);
    check_refused(LINE("-t2", "-d30s", "http://10.0.0.2:80/"), "no option -d", command);
    check_refused(LINE("-t2", "-c100", "-d30s"), "no option -d", "-T 2 -c 100 -t 30s ADDRESS");
    check_refused(LINE("-d30s", "-c", "64", "-t4"), "no option -d", "-T 4 -c 64 -t 30s ADDRESS");
}

static void test_d_alone_is_answered_with_the_time(void **state)
{
    (void)state;
    check_refused(LINE("-d30s"), "no option -d", "pingpong client -t 30s ADDRESS");
    check_refused(LINE("-d", "30"), "no option -d", "pingpong client -t 30 ADDRESS");
    check_refused(LINE("-d"), "no option -d", "pingpong client -t TIME ADDRESS");
    check_refused(LINE("-t2s", "-d"), "no option -d", "pingpong client -t TIME ADDRESS");
    check_refused(LINE("-dx"), "no option -d", "pingpong client -t TIME ADDRESS");
}

static void test_the_command_proposed_to_users_of_wrk_parses(void **state)
{
    (void)state;
    (void)parsed(LINE("client", "-T", "2", "-c", "2", "-t", "30s", "10.0.0.2"));
    (void)parsed(LINE("client", "-T", "2", "-c", "100", "-t", "30s", "10.0.0.2"));
}

static void test_other_letters_of_other_programs_are_answered_with_ours(void **state)
{
    (void)state;
    check_refused(LINE("-P", "4"), "no option -P", "pingpong client -c 4 ADDRESS");
    check_refused(LINE("-P4", "x"), "no option -P", "pingpong client -c 4 ADDRESS");
    check_refused(LINE("-P"), "no option -P", "pingpong client -c N ADDRESS");
    check_refused(LINE("-l", "128"), "no option -l", "pingpong client -m 128 ADDRESS");
    check_refused(LINE("-l"), "no option -l", "pingpong client -m SIZE ADDRESS");
    check_refused(LINE("-b", "1M"), "no option -b", "pingpong client -R 1M ADDRESS");
    check_refused(LINE("-b"), "no option -b", "pingpong client -R RATE ADDRESS");
}

static void test_threads_of_the_other_side_are_answered_with_those_of_this_one(void **state)
{
    (void)state;
    check_refused(LINE("serve", "-T2"), "--threads is for run and client", "--server-threads");
    check_refused(LINE("client", "x", "-S2"), "--server-threads is for run and serve",
                  "a client has --threads");
}

static void test_a_word_that_is_nearly_right_is_named(void **state)
{
    static const struct {
        const char *option, *typed, *meant;
    } table[] = {
        { "--verify", "ful", "did you mean full?" },
        { "--verify", "length", "full, len or off" },
        { "--arrivals", "possion", "did you mean poisson?" },
        { "--arrivals", "fxied", "did you mean fixed?" },
        { "--nodelay", "onn", "did you mean on?" },
        { "--nodelay", "offf", "did you mean off?" },
        { "--placement", "pair", "did you mean pairs?" },
        { "--placement", "spilt", "did you mean split?" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_refused(LINE(table[i].option, table[i].typed), table[i].option, table[i].meant);
}

static void test_a_word_that_is_like_none_is_not_guessed_at(void **state)
{
    (void)state;
    assert_null(strstr(refusal(LINE("--verify", "everything")), "did you mean"));
    assert_null(strstr(refusal(LINE("--placement", "")), "did you mean"));
    assert_null(strstr(refusal(LINE("--size", "fixed")), "did you mean"));
}

static void test_a_letter_that_nobody_uses_has_no_hint(void **state)
{
    char *argv[ARGS_MAX + 2];
    const struct pp_cli_args args = pp_cli_args_begin(line_argv(LINE("-x"), argv), argv,
                                                      PP_CLI_ALL);
    const struct pp_cli_arg arg = { .kind = PP_CLI_ARG_UNKNOWN, .letter = 'x' };
    struct pp_error err = { 0 };

    (void)state;
    assert_int_equal(pp_cli_hint_letter(&args, &arg, &err), 0);
    assert_int_equal(err.code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s_of_iperf_is_answered_with_the_command_serve),
        cmocka_unit_test(test_c_host_of_iperf_is_answered_with_the_command_client),
        cmocka_unit_test(test_a_number_of_connections_that_is_wrong_is_not_taken_for_a_host),
        cmocka_unit_test(test_t_and_d_of_wrk_are_answered_with_threads_and_time),
        cmocka_unit_test(test_d_alone_is_answered_with_the_time),
        cmocka_unit_test(test_the_command_proposed_to_users_of_wrk_parses),
        cmocka_unit_test(test_other_letters_of_other_programs_are_answered_with_ours),
        cmocka_unit_test(test_threads_of_the_other_side_are_answered_with_those_of_this_one),
        cmocka_unit_test(test_a_word_that_is_nearly_right_is_named),
        cmocka_unit_test(test_a_word_that_is_like_none_is_not_guessed_at),
        cmocka_unit_test(test_a_letter_that_nobody_uses_has_no_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
