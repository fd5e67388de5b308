#include "cli/options.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

#define SPIN_MAX_NS (60 * PP_NS_PER_S)
#define YIELD_DEFAULT_NS (50 * PP_NS_PER_US)

/* Values of getopt for options without a letter begin here. */
#define LONG_ONLY 256

struct option_spec {
    char letter; /* 0: none */
    const char *name;
    const char *value; /* what the value is called; NULL: takes none */
    const char *takes; /* completes "--name takes ..." */
    const char *help;  /* may hold line breaks */
    /* value is NULL for an option that takes none. Negative: the value is refused. */
    int (*apply)(struct pp_cli *cli, const char *value);
};

/* ---- one function an option ---- */

static int set_count(struct pp_cli *cli, const char *value)
{
    return pp_number_parse_count(value, 1, UINT64_C(1000000000000), &cli->plan.count);
}

static int set_connections(struct pp_cli *cli, const char *value)
{
    uint64_t connections;
    const int ret = pp_number_parse_count(value, 1, PP_PLAN_CONNECTIONS_MAX, &connections);

    if (ret == 0)
        cli->plan.connections = (uint32_t)connections;
    return ret;
}

static int set_port(struct pp_cli *cli, const char *value)
{
    uint64_t port;
    const int ret = pp_number_parse_count(value, 0, UINT16_MAX, &port);

    if (ret == 0)
        cli->plan.port = (uint16_t)port;
    return ret;
}

static int set_host(struct pp_cli *cli, const char *value)
{
    if (!*value || strlen(value) > 253) /* the longest name that DNS allows */
        return -EINVAL;
    cli->plan.host = value;
    return 0;
}

static bool is_engine(const char *value)
{
    return strcmp(value, "auto") == 0 || pp_io_engine_exists(value);
}

static int set_engine(struct pp_cli *cli, const char *value)
{
    if (!is_engine(value))
        return -EINVAL;
    cli->plan.client_engine = value;
    if (!cli->server_engine_given)
        cli->plan.server_engine = value;
    return 0;
}

static int set_server_engine(struct pp_cli *cli, const char *value)
{
    if (!is_engine(value))
        return -EINVAL;
    cli->plan.server_engine = value;
    cli->server_engine_given = true;
    return 0;
}

/* The microseconds in "spin:50"; without them, *ns stays as it is. */
static int parse_spell(const char *value, uint64_t *ns)
{
    const char *colon = strchr(value, ':');

    if (!colon)
        return 0;
    return pp_number_parse_duration(colon + 1, PP_NS_PER_US, PP_NS_PER_US, SPIN_MAX_NS, ns);
}

static bool is_word(const char *value, const char *word)
{
    const size_t bytes = strcspn(value, ":");

    return strlen(word) == bytes && memcmp(value, word, bytes) == 0;
}

static int set_wait(struct pp_cli *cli, const char *value)
{
    struct pp_plan *plan = &cli->plan;

    plan->wait_auto = strcmp(value, "auto") == 0;
    plan->spin_ns = 0;
    plan->wait = PP_IO_WAIT_BLOCK;
    if (plan->wait_auto || strcmp(value, "block") == 0)
        return 0;
    if (is_word(value, "spin")) {
        plan->wait = PP_IO_WAIT_SPIN;
        plan->spin_ns = PP_IO_SPIN_FOREVER;
        return parse_spell(value, &plan->spin_ns);
    }
    if (is_word(value, "yield")) {
        plan->wait = PP_IO_WAIT_YIELD;
        plan->spin_ns = YIELD_DEFAULT_NS;
        return parse_spell(value, &plan->spin_ns);
    }
    return -EINVAL;
}

static int set_placement(struct pp_cli *cli, const char *value)
{
    static const char *const names[] = {
        [PP_PLACEMENT_SAME] = "same", [PP_PLACEMENT_SPLIT] = "split", [PP_PLACEMENT_NONE] = "none"
    };

    cli->plan.placement_auto = strcmp(value, "auto") == 0;
    if (cli->plan.placement_auto)
        return 0;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(value, names[i]) == 0) {
            cli->plan.placement = (enum pp_placement)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_cpu(const char *text, size_t bytes, int *cpu)
{
    char number[8];
    uint64_t value;
    int ret;

    if (bytes >= sizeof number)
        return -EINVAL;
    memcpy(number, text, bytes);
    number[bytes] = '\0';
    ret = pp_number_parse_count(number, 0, 1023, &value);
    if (ret == 0)
        *cpu = (int)value;
    return ret;
}

static int set_cpus(struct pp_cli *cli, const char *value)
{
    const size_t first = strcspn(value, ",");

    if (!value[first] || parse_cpu(value, first, &cli->plan.client_cpu) < 0 ||
        parse_cpu(value + first + 1, strlen(value + first + 1), &cli->plan.server_cpu) < 0)
        return -EINVAL;
    cli->plan.cpus_given = true;
    return 0;
}

static int set_quiet(struct pp_cli *cli, const char *value)
{
    (void)value;
    cli->quiet = true;
    return 0;
}

static int set_verbose(struct pp_cli *cli, const char *value)
{
    (void)value;
    cli->verbose = true;
    return 0;
}

static int set_help(struct pp_cli *cli, const char *value)
{
    (void)value;
    cli->action = PP_CLI_HELP;
    return 0;
}

static int set_version(struct pp_cli *cli, const char *value)
{
    (void)value;
    cli->action = PP_CLI_VERSION;
    return 0;
}

/* ---- the table ---- */

static const struct option_spec options[] = {
    { 'n', "count", "N", "a whole number from 1 to 1,000,000,000,000, such as 500000, 500k or 1.5M",
      "round trips to measure, over all connections (500k)", set_count },
    { 'c', "connections", "N", "a whole number from 1 to 100,000; to choose a host there is --host",
      "connections, all from the one client thread (1)", set_connections },
    { 'p', "port", "PORT", "a port from 0 to 65535",
      "TCP port of the server; 0 takes any free one (3131)", set_port },
    { 0, "host", "HOST", "an address of this machine, or a name of it",
      "address the server listens on and the client\nconnects to (127.0.0.1)", set_host },
    { 0, "engine", "NAME", "auto, io_uring or epoll (or io_uring:no-FEATURE)",
      "what does the I/O on both sides: io_uring, epoll, or\n"
      "auto for the fastest that works here; one asked for by\n"
      "name is never replaced. io_uring:no-FEATURE runs\n"
      "without multishot, buffer-ring, defer or skip (auto)",
      set_engine },
    { 0, "server-engine", "NAME", "auto, io_uring or epoll (or io_uring:no-FEATURE)",
      "the same, for the server alone", set_server_engine },
    { 0, "wait", "HOW", "auto, block, spin[:MICROSECONDS] or yield[:MICROSECONDS]",
      "what a thread does while there is nothing to do: block\n"
      "(sleep), spin (look again, never sleep), yield (give\n"
      "the CPU away, look again; sleep after 50 \u00b5s); with a\n"
      "time, as in spin:20, sleep after that many \u00b5s (auto)",
      set_wait },
    { 0, "placement", "HOW", "auto, same, split or none",
      "where client and server thread run: same CPU, split\n"
      "over two, none (wherever the kernel likes) (auto)",
      set_placement },
    { 'A', "cpus", "C,S", "two CPU numbers, such as 0,1: the client's and the server's",
      "pin the client to CPU C and the server to CPU S", set_cpus },
    { 'q', "quiet", NULL, NULL, "print the rate and the time, nothing else", set_quiet },
    { 'v', "verbose", NULL, NULL, "print all there is", set_verbose },
    { 'h', "help", NULL, NULL, "print this, and stop", set_help },
    { 'V', "version", NULL, NULL, "print the version, and stop", set_version },
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

/* ---- the parser ---- */

struct tables {
    char letters[2 + 2 * OPTION_COUNT + 1];
    struct option longs[OPTION_COUNT + 1];
};

/* The same table as getopt_long(3) wants it. */
static void make_tables(struct tables *tables)
{
    char *letter = tables->letters;

    *letter++ = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        tables->longs[i] = (struct option){
            .name = options[i].name,
            .has_arg = options[i].value ? required_argument : no_argument,
            .val = LONG_ONLY + (int)i,
        };
        if (!options[i].letter)
            continue;
        *letter++ = options[i].letter;
        if (options[i].value)
            *letter++ = ':';
    }
    *letter = '\0';
    tables->longs[OPTION_COUNT] = (struct option){ 0 };
}

static const struct option_spec *spec_of(int got)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (got == LONG_ONLY + (int)i || (options[i].letter && got == options[i].letter))
            return &options[i];
    return NULL;
}

static int usage_error(struct pp_error *err, const char *what, const char *which)
{
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL, "%s %s; pingpong --help lists the options",
                        what, which);
}

/* getopt has refused the letter optopt, or the whole argument before optind. */
static int refuse_option(char **argv, struct pp_error *err)
{
    const char letter[] = { '-', (char)optopt, '\0' };

    if (optopt < 0 || (optopt > 0 && optopt < LONG_ONLY))
        return usage_error(err, "there is no option",
                           optopt > 0 && isprint(optopt) ? letter : "of that letter");
    return usage_error(err, optopt ? "this option takes no value:" : "there is no option",
                       argv[optind - 1]);
}

static int apply(struct pp_cli *cli, const struct option_spec *spec, const char *value,
                 struct pp_error *err)
{
    if (spec->apply(cli, value) < 0)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL, "--%s takes %s, not \"%.80s\"",
                            spec->name, spec->takes, value);
    return 0;
}

static int check(const struct pp_cli *cli, struct pp_error *err)
{
    if (cli->plan.cpus_given && !cli->plan.placement_auto)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "--cpus says where the threads run, so --placement cannot: give one "
                            "of them");
    if (cli->quiet && cli->verbose)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "--quiet and --verbose exclude each other: give one of them");
    return 0;
}

int pp_cli_parse(struct pp_cli *cli, int argc, char **argv, struct pp_error *err)
{
    struct tables tables;
    int got;

    *cli = (struct pp_cli){ .plan = pp_plan_default() };
    make_tables(&tables);
    opterr = 0;
    while ((got = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
        const struct option_spec *spec = spec_of(got == ':' ? optopt : got);
        int ret;

        if (!spec)
            return refuse_option(argv, err);
        if (got == ':')
            return pp_error_set(err, PP_ERROR_USAGE, -EINVAL, "--%s takes %s, and none was given",
                                spec->name, spec->takes);
        ret = apply(cli, spec, optarg, err);
        if (ret < 0 || cli->action != PP_CLI_RUN)
            return ret;
    }
    if (optind < argc)
        return usage_error(err, "nothing is known to do with", argv[optind]);
    return check(cli, err);
}

/* ---- the help ---- */

#define HELP_COLUMN 26

/* Prints text from column HELP_COLUMN on, on every line. */
static void print_indented(FILE *out, const char *text, int used)
{
    while (*text) {
        const size_t bytes = strcspn(text, "\n");

        (void)fprintf(out, "%*s%.*s\n", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "", (int)bytes,
                      text);
        text += bytes + (text[bytes] == '\n');
        used = 0;
    }
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    int used = 0;

    if (spec->letter)
        used = fprintf(out, "  -%c, --%s", spec->letter, spec->name);
    else
        used = fprintf(out, "      --%s", spec->name);
    if (spec->value)
        used += fprintf(out, "=%s", spec->value);
    print_indented(out, spec->help, used);
}

void pp_cli_print_help(FILE *out)
{
    (void)fputs("usage: pingpong [OPTION]...\n\n"
                "Measures network round trips: how many per second, how long each takes, and\n"
                "what each costs. Starts an echo server in a thread of its own, sends it\n"
                "\"PING\\n\", waits for the echo, checks every byte, and sends the next.\n\n",
                out);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        print_option(out, &options[i]);
    (void)fputs(
        "\nexit status: 0 ok, 1 the run failed, 2 usage, 4 the engine cannot run here,\n"
        "5 an echo came back wrong, 130 or 143 interrupted (what was measured is printed)\n",
        out);
}
