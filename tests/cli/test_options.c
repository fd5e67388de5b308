#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define ARGS_MAX 8
#define COLUMNS 80

/* The arguments after the program's name, then NULL. */
struct line {
    const char *args[ARGS_MAX];
};

#define LINE(...) (&(struct line){ { __VA_ARGS__ } })

static int parse(struct pp_cli *cli, const struct line *line, struct pp_error *err)
{
    static char name[] = "pingpong";
    char *argv[ARGS_MAX + 2] = { name };
    int argc = 1;

    for (; argc <= ARGS_MAX && line->args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)line->args[argc - 1];
    memset(cli, 0xa5, sizeof *cli);
    optind = 0; /* getopt begins anew */
    return pp_cli_parse(cli, argc, argv, err);
}

static struct pp_cli defaults(void)
{
    return (struct pp_cli){ .plan = pp_plan_default() };
}

static void check_same_plan(const struct pp_plan *got, const struct pp_plan *want)
{
    assert_string_equal(got->host, want->host);
    assert_int_equal(got->port, want->port);
    assert_int_equal(got->count, want->count);
    assert_int_equal(got->connections, want->connections);
    assert_string_equal(got->wire.message, want->wire.message);
    assert_int_equal(got->wire.bytes, want->wire.bytes);
    assert_string_equal(got->client_engine, want->client_engine);
    assert_string_equal(got->server_engine, want->server_engine);
    assert_int_equal(got->wait_auto, want->wait_auto);
    assert_int_equal(got->placement_auto, want->placement_auto);
    assert_int_equal(got->cpus_given, want->cpus_given);
    assert_int_equal(got->client_cpu, want->client_cpu);
    assert_int_equal(got->server_cpu, want->server_cpu);
    if (!want->wait_auto) {
        assert_int_equal(got->wait, want->wait);
        assert_int_equal(got->spin_ns, want->spin_ns);
    }
    if (!want->placement_auto)
        assert_int_equal(got->placement, want->placement);
}

/* line gives want, and nothing else has changed. */
static void check(const struct line *line, const struct pp_cli *want)
{
    struct pp_error err = { 0 };
    struct pp_cli got;

    if (parse(&got, line, &err) != 0)
        fail_msg("%s: %s", line->args[0], err.text);
    assert_int_equal(err.code, 0);
    assert_int_equal(got.action, want->action);
    assert_int_equal(got.quiet, want->quiet);
    assert_int_equal(got.verbose, want->verbose);
    check_same_plan(&got.plan, &want->plan);
}

/* A usage error whose text has both words in it. */
static void check_refused(const struct line *line, const char *word, const char *other)
{
    struct pp_error err = { 0 };
    struct pp_cli got;

    if (parse(&got, line, &err) != -EINVAL)
        fail_msg("%s %s is not refused", line->args[0], line->args[1] ? line->args[1] : "");
    assert_int_equal(err.code, -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    if (!strstr(err.text, word) || !strstr(err.text, other))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.text, word, other);
}

/* ---- each option's effect ---- */

static void test_without_options_it_is_the_main_job(void **state)
{
    const struct pp_cli want = defaults();

    (void)state;
    check(LINE(NULL), &want);
}

static void test_count_sets_the_round_trips(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.count = 1500000;
    check(LINE("-n", "1500000"), &want);
    check(LINE("-n1.5M"), &want);
    check(LINE("--count", "1500k"), &want);
    check(LINE("--count=1.5M"), &want);
    want.plan.count = 1;
    check(LINE("-n", "1"), &want);
    want.plan.count = UINT64_C(1000000000000);
    check(LINE("-n", "1000G"), &want);
}

static void test_connections_sets_the_connections(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.connections = 1;
    check(LINE("-c", "1"), &want);
    want.plan.connections = 100000;
    check(LINE("-c", "100k"), &want);
    check(LINE("--connections=100000"), &want);
}

static void test_port_sets_the_port(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.port = 0;
    check(LINE("-p", "0"), &want);
    want.plan.port = 65535;
    check(LINE("-p65535"), &want);
    check(LINE("--port=65535"), &want);
}

static void test_host_sets_the_host(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.host = "::1";
    check(LINE("--host=::1"), &want);
    check(LINE("--host", "::1"), &want);
}

static void test_engine_sets_both_sides(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    check(LINE("--engine=auto"), &want);
    want.plan.client_engine = "epoll";
    want.plan.server_engine = "epoll";
    check(LINE("--engine=epoll"), &want);
    want.plan.client_engine = "io_uring:no-multishot,no-defer";
    want.plan.server_engine = "io_uring:no-multishot,no-defer";
    check(LINE("--engine", "io_uring:no-multishot,no-defer"), &want);
}

static void test_server_engine_sets_the_server_whatever_comes_first(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.server_engine = "epoll";
    check(LINE("--server-engine=epoll"), &want);
    want.plan.client_engine = "io_uring";
    check(LINE("--server-engine=epoll", "--engine=io_uring"), &want);
    check(LINE("--engine=io_uring", "--server-engine=epoll"), &want);
    want.plan.server_engine = "auto";
    check(LINE("--server-engine=auto", "--engine=io_uring"), &want);
}

static void test_wait_sets_how_to_wait(void **state)
{
    static const struct {
        const char *how;
        enum pp_io_wait wait;
        uint64_t spin_ns;
    } table[] = {
        { "block", PP_IO_WAIT_BLOCK, 0 },
        { "spin", PP_IO_WAIT_SPIN, PP_IO_SPIN_FOREVER },
        { "spin:20", PP_IO_WAIT_SPIN, 20000 },
        { "spin:1", PP_IO_WAIT_SPIN, 1000 },
        { "spin:1.5", PP_IO_WAIT_SPIN, 1500 },
        { "spin:3ms", PP_IO_WAIT_SPIN, 3000000 },
        { "spin:60s", PP_IO_WAIT_SPIN, UINT64_C(60000000000) },
        { "yield", PP_IO_WAIT_YIELD, 50000 },
        { "yield:7", PP_IO_WAIT_YIELD, 7000 },
        { "yield:2us", PP_IO_WAIT_YIELD, 2000 },
    };
    struct pp_cli want = defaults();

    (void)state;
    check(LINE("--wait=auto"), &want);
    want.plan.wait_auto = false;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        want.plan.wait = table[i].wait;
        want.plan.spin_ns = table[i].spin_ns;
        check(LINE("--wait", table[i].how), &want);
    }
}

static void test_placement_sets_the_placement(void **state)
{
    static const struct {
        const char *how;
        enum pp_placement placement;
    } table[] = {
        { "same", PP_PLACEMENT_SAME },
        { "split", PP_PLACEMENT_SPLIT },
        { "none", PP_PLACEMENT_NONE },
    };
    struct pp_cli want = defaults();

    (void)state;
    check(LINE("--placement=auto"), &want);
    want.plan.placement_auto = false;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        want.plan.placement = table[i].placement;
        check(LINE("--placement", table[i].how), &want);
    }
}

static void test_cpus_sets_the_cpu_of_each_side(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.cpus_given = true;
    want.plan.client_cpu = 0;
    want.plan.server_cpu = 1023;
    check(LINE("-A", "0,1023"), &want);
    check(LINE("--cpus=0,1023"), &want);
}

static void test_quiet_and_verbose_are_set_alone(void **state)
{
    struct pp_cli quiet = defaults();
    struct pp_cli verbose = defaults();

    (void)state;
    quiet.quiet = true;
    verbose.verbose = true;
    check(LINE("-q"), &quiet);
    check(LINE("--quiet"), &quiet);
    check(LINE("-v"), &verbose);
    check(LINE("--verbose"), &verbose);
}

static void test_help_and_version_ask_for_themselves(void **state)
{
    struct pp_cli help = defaults();
    struct pp_cli version = defaults();

    (void)state;
    help.action = PP_CLI_HELP;
    version.action = PP_CLI_VERSION;
    check(LINE("-h"), &help);
    check(LINE("--help"), &help);
    check(LINE("-V"), &version);
    check(LINE("--version"), &version);
    check(LINE("-h", "-V"), &help);
    check(LINE("--help", "--nonsense", "foo"), &help); /* what comes after is not looked at */
}

/* ---- several options ---- */

static void test_options_are_set_together(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.count = 10;
    want.plan.connections = 2;
    want.plan.port = 7;
    want.verbose = true;
    check(LINE("-vn10", "-c", "2", "--port=7"), &want);
    check(LINE("--port", "7", "-c2", "--count=10", "--verbose"), &want);
}

static void test_the_last_of_two_holds(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    check(LINE("--wait=spin", "--wait=auto", "--placement=none", "--placement=auto"), &want);
    want.plan.count = 2;
    want.plan.port = 4;
    check(LINE("-n1", "-p3", "-n2", "-p4"), &want);
}

static void test_a_name_may_be_shortened(void **state)
{
    struct pp_cli want = defaults();

    (void)state;
    want.plan.connections = 3;
    check(LINE("--conn=3"), &want);
}

static void test_one_parse_leaves_nothing_to_the_next(void **state)
{
    const struct pp_cli want = defaults();
    struct pp_error err = { 0 };
    struct pp_cli cli;

    (void)state;
    assert_int_equal(parse(&cli, LINE("-n1", "--server-engine=epoll", "-q", "--cpus=0,0"), &err),
                     0);
    check(LINE(NULL), &want);
}

/* ---- refusals ---- */

static void test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_option(void **state)
{
    static const struct {
        const char *option;
        const char *name;
        const char *values[24];
    } table[] = {
        { "-n",
          "--count takes ",
          { "0", "-1", "", "x", "1.5", "1e3", "1000.001G", "1001G", "99999999999999999999" } },
        { "-c", "--connections takes ", { "0", "-1", "", "many", "100001", "1.5", "127.0.0.1" } },
        { "-p", "--port takes ", { "65536", "-1", "", "http", "3131x", "0x10", "1.5" } },
        { "--host", "--host takes ", { "" } },
        { "--engine",
          "--engine takes ",
          { "", "steam", "epol", "EPOLL", "epoll:no-multishot", "io_uring:multishot",
            "io_uring:no-steam", "auto:no-defer", "AUTO" } },
        { "--server-engine", "--server-engine takes ", { "", "steam", "epoll,io_uring" } },
        { "--wait",
          "--wait takes ",
          { "", "sleep", "spin:", "spin:0", "spin:-1", "spin:x", "spin:0.9", "spin:999ns",
            "spin:61s", "spin:20:", "spinn", "spi", "yield:", "yield:0", "block:", "block:5",
            "auto:5", ":5", "Spin" } },
        { "--placement", "--placement takes ", { "", "both", "Same", "samesame", "0,1" } },
        { "--cpus",
          "--cpus takes ",
          { "", "0", "0,", ",0", ",", "0,1,2", "0;1", "-1,0", "0,-1", "x,0", "0,x", "1024,0",
            "0,1024", "0, 1", "00000000,1" } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        for (size_t j = 0; j < COUNT_OF(table[i].values) && table[i].values[j]; j++) {
            char quoted[64];

            (void)snprintf(quoted, sizeof quoted, "not \"%s\"", table[i].values[j]);
            check_refused(LINE(table[i].option, table[i].values[j]), table[i].name, quoted);
        }
    }
}

static void test_a_host_longer_than_any_name_is_refused(void **state)
{
    struct pp_cli want = defaults();
    char name[255];

    (void)state;
    memset(name, 'a', sizeof name);
    name[254] = '\0';
    check_refused(LINE("--host", name), "--host takes ", "not \"aaaa");
    name[253] = '\0';
    want.plan.host = name;
    check(LINE("--host", name), &want);
}

static void test_a_missing_value_is_refused_by_the_name_of_its_option(void **state)
{
    static const struct {
        const char *option;
        const char *name;
    } table[] = {
        { "-n", "--count takes " },
        { "--count", "--count takes " },
        { "-c", "--connections takes " },
        { "-p", "--port takes " },
        { "--host", "--host takes " },
        { "--engine", "--engine takes " },
        { "--server-engine", "--server-engine takes " },
        { "--wait", "--wait takes " },
        { "--placement", "--placement takes " },
        { "-A", "--cpus takes " },
        { "-qn", "--count takes " },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_refused(LINE(table[i].option), table[i].name, "none was given");
}

static void test_an_unknown_option_is_refused_by_its_name(void **state)
{
    (void)state;
    check_refused(LINE("-x"), "there is no option -x", "--help");
    check_refused(LINE("-qx"), "there is no option -x", "--help");
    check_refused(LINE("-xq"), "there is no option -x", "--help");
    check_refused(LINE("--nonsense"), "there is no option --nonsense", "--help");
    check_refused(LINE("--nonsense=5"), "there is no option --nonsense=5", "--help");
    check_refused(LINE("-n", "5", "--nonsense", "-q"), "there is no option --nonsense", "--help");
}

static void test_an_unknown_letter_that_cannot_be_printed_is_refused_in_words(void **state)
{
    (void)state;
    check_refused(LINE("-\x01"), "there is no option of that letter", "--help");
    check_refused(LINE("-\xc3\xa4"), "there is no option of that letter", "--help");
}

static void test_a_shortened_name_that_fits_several_options_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("--h"), "--h", "--help"); /* host, help */
    check_refused(LINE("--ver"), "--ver", "--help");
}

static void test_a_value_for_an_option_that_takes_none_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("--quiet=yes"), "takes no value: --quiet=yes", "--help");
    check_refused(LINE("--help=me"), "takes no value: --help=me", "--help");
}

static void test_an_argument_that_is_no_option_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("foo"), "nothing is known to do with foo", "--help");
    check_refused(LINE("-n", "5", "foo", "-q"), "nothing is known to do with foo", "--help");
    check_refused(LINE("--", "-q"), "nothing is known to do with -q", "--help");
    check_refused(LINE(""), "nothing is known to do with", "--help");
}

static void test_options_that_exclude_each_other_are_refused(void **state)
{
    (void)state;
    check_refused(LINE("-q", "-v"), "--quiet", "--verbose");
    check_refused(LINE("--cpus=0,0", "--placement=same"), "--cpus", "--placement");
    check_refused(LINE("--placement=none", "--cpus=0,0"), "--cpus", "--placement");
}

static void test_a_very_long_value_is_cut_in_the_error(void **state)
{
    char value[2000];
    struct pp_error err = { 0 };
    struct pp_cli cli;

    (void)state;
    memset(value, '9', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_int_equal(parse(&cli, LINE("-n", value), &err), -EINVAL);
    assert_non_null(strstr(err.text, "--count takes "));
    assert_true(strlen(err.text) < sizeof err.text - 1); /* with its end */
    assert_int_equal(err.text[strlen(err.text) - 1], '"');
}

/* ---- the help ---- */

static void help(char *text, size_t bytes)
{
    FILE *out = fmemopen(text, bytes, "w");

    assert_non_null(out);
    pp_cli_print_help(out);
    assert_int_equal(fclose(out), 0);
}

static void test_the_help_names_every_option(void **state)
{
    static const char *const names[] = {
        "  -n, --count=N ",   "  -c, --connections=N ", "  -p, --port=PORT ",
        "      --host=HOST ", "      --engine=NAME ",   "      --server-engine=NAME ",
        "      --wait=HOW ",  "      --placement=HOW ", "  -A, --cpus=C,S ",
        "  -q, --quiet ",     "  -v, --verbose ",       "  -h, --help ",
        "  -V, --version ",
    };
    char text[8192];

    (void)state;
    help(text, sizeof text);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!strstr(text, names[i]))
            fail_msg("the help lacks \"%s\"", names[i]);
    assert_non_null(strstr(text, "\nexit status: 0 ok, "));
}

static void test_the_help_fits_a_terminal(void **state)
{
    char text[8192];
    unsigned columns = 0;

    (void)state;
    help(text, sizeof text);
    for (const char *at = text; *at; at++) {
        columns = *at == '\n' ? 0 : columns + (((unsigned char)*at & 0xc0) != 0x80);
        if (columns > COLUMNS)
            fail_msg("wider than %d columns: ...%.20s", COLUMNS, at);
    }
    assert_true(strlen(text) > 0 && text[strlen(text) - 1] == '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_options_it_is_the_main_job),
        cmocka_unit_test(test_count_sets_the_round_trips),
        cmocka_unit_test(test_connections_sets_the_connections),
        cmocka_unit_test(test_port_sets_the_port),
        cmocka_unit_test(test_host_sets_the_host),
        cmocka_unit_test(test_engine_sets_both_sides),
        cmocka_unit_test(test_server_engine_sets_the_server_whatever_comes_first),
        cmocka_unit_test(test_wait_sets_how_to_wait),
        cmocka_unit_test(test_placement_sets_the_placement),
        cmocka_unit_test(test_cpus_sets_the_cpu_of_each_side),
        cmocka_unit_test(test_quiet_and_verbose_are_set_alone),
        cmocka_unit_test(test_help_and_version_ask_for_themselves),
        cmocka_unit_test(test_options_are_set_together),
        cmocka_unit_test(test_the_last_of_two_holds),
        cmocka_unit_test(test_a_name_may_be_shortened),
        cmocka_unit_test(test_one_parse_leaves_nothing_to_the_next),
        cmocka_unit_test(test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_option),
        cmocka_unit_test(test_a_host_longer_than_any_name_is_refused),
        cmocka_unit_test(test_a_missing_value_is_refused_by_the_name_of_its_option),
        cmocka_unit_test(test_an_unknown_option_is_refused_by_its_name),
        cmocka_unit_test(test_an_unknown_letter_that_cannot_be_printed_is_refused_in_words),
        cmocka_unit_test(test_a_shortened_name_that_fits_several_options_is_refused),
        cmocka_unit_test(test_a_value_for_an_option_that_takes_none_is_refused),
        cmocka_unit_test(test_an_argument_that_is_no_option_is_refused),
        cmocka_unit_test(test_options_that_exclude_each_other_are_refused),
        cmocka_unit_test(test_a_very_long_value_is_cut_in_the_error),
        cmocka_unit_test(test_the_help_names_every_option),
        cmocka_unit_test(test_the_help_fits_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
