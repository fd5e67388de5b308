/* The tables: what can be asked for, by which name, and what it does to the plan. */
#include "cli/options.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/escape.h"
#include "base/format.h"
#include "base/number.h"
#include "cli/table.h"
#include "report/figures.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SPIN_MAX_NS (60 * PP_NS_PER_S)
#define YIELD_DEFAULT_NS (50 * PP_NS_PER_US)
#define THINK_MAX_NS (60 * PP_NS_PER_S)
#define BUSY_POLL_MAX_NS PP_NS_PER_S
#define CONNECT_MAX_NS (3600 * PP_NS_PER_S)
#define IDLE_MAX_NS TIME_MAX_NS
#define TIME_MAX_NS (UINT64_C(31536000) * PP_NS_PER_S) /* a year */
#define COUNT_MAX UINT64_C(1000000000000)
#define SEED_MAX INT64_MAX /* what an integer of JSON can be, as programs read it */
#define RATE_MIN 0.001
#define RATE_MAX 1e9
#define INTERVAL_MIN_NS (10 * PP_NS_PER_MS)
#define INTERVAL_MAX_NS (3600 * PP_NS_PER_S)
#define PERCENTILE_MIN 0.001
#define PERCENTILE_MAX 99.99999
#define SOCKET_BUFFER_MAX (UINT64_C(1) << 30)
#define CPU_MAX 1023

/* ---- what several options need ---- */

static int set_number(const char *value, uint64_t min, uint64_t max, uint32_t *out)
{
    uint64_t number;
    const int ret = pp_number_parse_count(value, min, max, &number);

    if (ret == 0)
        *out = (uint32_t)number;
    return ret;
}

/* The index of value among names, or -EINVAL. */
static int choose(const char *value, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(value, names[i]) == 0)
            return (int)i;
    return -EINVAL;
}

static int set_text(const char *value, struct pp_plan_text *text, struct pp_error *err)
{
    const int ret = *value ? pp_escape_decode(value, text->text, sizeof text->text, &text->bytes)
                           : -EINVAL;

    if (ret == -E2BIG)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "the text to send or expect has at most 4,096 bytes, not \"%.40s...\"",
                            value);
    return ret;
}

/* ---- load: one function an option ---- */

static int set_connections(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return set_number(value, 1, PP_PLAN_CONNECTIONS_MAX, &cli->plan.connections);
}

static int set_threads(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return set_number(value, 1, PP_PLAN_THREADS_MAX, &cli->plan.client_threads);
}

static int set_server_threads(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return set_number(value, 1, PP_PLAN_THREADS_MAX, &cli->plan.server_threads);
}

static int set_depth(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return set_number(value, 1, PP_PLAN_DEPTH_MAX, &cli->plan.depth);
}

static int set_size(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    const size_t bytes = strcspn(value, ",");
    char request[PATH_MAX];
    int ret;

    if (bytes >= sizeof request)
        return -EINVAL;
    memcpy(request, value, bytes);
    request[bytes] = '\0';
    ret = pp_sizes_parse(&plan->request, request, err);
    if (ret == 0 && value[bytes])
        ret = pp_sizes_parse(&plan->response, value + bytes + 1, err);
    else if (ret == 0)
        plan->response = plan->request;
    if (ret < 0)
        return ret;
    plan->sizes_given = true;
    plan->answers = !pp_sizes_equal(&plan->request, &plan->response);
    return 0;
}

static int set_count(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    cli->given.count = true;
    return pp_number_parse_count(value, 1, COUNT_MAX, &cli->plan.count);
}

static int set_time(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    cli->given.time = true;
    return pp_number_parse_duration(value, PP_NS_PER_S, PP_NS_PER_MS, TIME_MAX_NS,
                                    &cli->plan.time_ns);
}

/* What is no number alone has the unit of a time. */
static int set_warmup(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    int ret;

    (void)err;
    plan->warmup_given = true;
    plan->warmup_count = 0;
    plan->warmup_ns = 0;
    ret = pp_number_parse_count(value, 0, COUNT_MAX, &plan->warmup_count);
    if (ret == -EINVAL)
        ret = pp_number_parse_duration(value, 1, 0, TIME_MAX_NS, &plan->warmup_ns);
    return ret;
}

static int set_rate(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return pp_number_parse_rate(value, RATE_MIN, RATE_MAX, &cli->plan.rate);
}

static int set_arrivals(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    const int chosen = choose(value, pp_arrivals_names, PP_ARRIVALS);

    (void)err;
    if (chosen < 0)
        return chosen;
    cli->plan.arrivals = (enum pp_arrivals)chosen;
    return 0;
}

static int set_crr(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->plan.crr = true;
    return 0;
}

static int set_think(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return pp_number_parse_duration(value, PP_NS_PER_US, 0, THINK_MAX_NS, &cli->plan.think_ns);
}

static int set_verify(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    const int chosen = choose(value, pp_verify_names, PP_VERIFIES);

    (void)err;
    if (chosen < 0)
        return chosen;
    cli->plan.verify = (enum pp_verify)chosen;
    return 0;
}

static int set_seed(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return pp_number_parse_count(value, 0, SEED_MAX, &cli->plan.seed);
}

/* With a limit of one's own there is none besides. */
static int set_idle_timeout(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    cli->plan.server_limits.silent_ns = 0;
    return pp_number_parse_duration(value, PP_NS_PER_S, 0, IDLE_MAX_NS,
                                    &cli->plan.server_limits.idle_ns);
}

static int set_connect_timeout(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return pp_number_parse_duration(value, PP_NS_PER_S, PP_NS_PER_MS, CONNECT_MAX_NS,
                                    &cli->plan.connect_timeout_ns);
}

static int set_strict(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    if (!value || strcmp(value, "invalid") == 0)
        cli->plan.strict = PP_INVALID;
    else if (strcmp(value, "suspect") == 0)
        cli->plan.strict = PP_SUSPECT;
    else
        return -EINVAL;
    return 0;
}

/* ---- transport ---- */

/* A target is read at the end, when it is known what else was given. */
static int set_host(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_target target = { 0 };

    (void)err;
    if (pp_target_parse(&target, value) < 0 || pp_cli_has_port(value))
        return -EINVAL;
    cli->given.host = value;
    return 0;
}

static int set_port(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    uint32_t port = 0;
    const int ret = set_number(value, 0, UINT16_MAX, &port);

    (void)err;
    if (ret < 0)
        return ret;
    cli->plan.target.port = (uint16_t)port;
    cli->given.port = true;
    return 0;
}

static int set_bind(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_target *source = &cli->plan.source;

    (void)err;
    if (pp_target_parse(source, value) < 0 || source->path[0])
        return -EINVAL;
    if (!pp_cli_has_port(value))
        source->port = 0;
    return 0;
}

static int set_udp(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->plan.socket.dgram = true;
    return 0;
}

static int set_ipv4(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->given.ipv4 = true;
    return 0;
}

static int set_ipv6(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->given.ipv6 = true;
    return 0;
}

static int set_mptcp(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->plan.socket.mptcp = true;
    return 0;
}

static int set_cc(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    const size_t bytes = strlen(value);

    (void)err;
    if (bytes == 0 || bytes >= sizeof cli->plan.socket.congestion)
        return -EINVAL;
    for (size_t i = 0; i < bytes; i++)
        if (!isgraph((unsigned char)value[i]))
            return -EINVAL;
    memcpy(cli->plan.socket.congestion, value, bytes + 1);
    return 0;
}

static int set_nodelay(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    static const char *const names[] = { "on", "off" };
    const int chosen = choose(value, names, COUNT_OF(names));

    (void)err;
    if (chosen < 0)
        return chosen;
    cli->plan.socket.nagle = chosen == 1;
    return 0;
}

static int set_busy_poll(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    uint64_t ns;
    const int ret = pp_number_parse_duration(value, PP_NS_PER_US, 0, BUSY_POLL_MAX_NS, &ns);

    (void)err;
    if (ret < 0 || ns % PP_NS_PER_US != 0)
        return -EINVAL;
    cli->plan.socket.busy_poll_given = true;
    cli->plan.socket.busy_poll_us = (uint32_t)(ns / PP_NS_PER_US);
    return 0;
}

static int set_buffer(const char *value, uint32_t *out)
{
    uint64_t bytes;
    const int ret = pp_number_parse_size(value, 1, SOCKET_BUFFER_MAX, &bytes);

    if (ret == 0)
        *out = (uint32_t)bytes;
    return ret;
}

static int set_sndbuf(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return set_buffer(value, &cli->plan.socket.sndbuf);
}

static int set_rcvbuf(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return set_buffer(value, &cli->plan.socket.rcvbuf);
}

static int hex_digit(char digit)
{
    if (isdigit((unsigned char)digit))
        return digit - '0';
    if (!isxdigit((unsigned char)digit))
        return -1;
    return tolower((unsigned char)digit) - 'a' + 10;
}

/* "0xb8", as such a byte is written everywhere, or "184". */
static int set_tos(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    uint32_t tos = 0;

    (void)err;
    if (strncmp(value, "0x", 2) == 0) {
        const int high = hex_digit(value[2]);
        const int low = high < 0 ? -1 : hex_digit(value[3]);

        if (high < 0 || (value[3] && (low < 0 || value[4])))
            return -EINVAL;
        tos = (uint32_t)(value[3] ? high * 16 + low : high);
    } else if (set_number(value, 0, UINT8_MAX, &tos) < 0) {
        return -EINVAL;
    }
    cli->plan.socket.tos = (uint8_t)tos;
    cli->plan.socket.tos_given = true;
    return 0;
}

/* ---- foreign servers ---- */

static int set_send(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    return set_text(value, &cli->plan.send, err);
}

static int set_expect(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    cli->given.expect = true;
    cli->plan.expect_how = PP_EXPECT_TEXT;
    return set_text(value, &cli->plan.expect, err);
}

static int set_expect_bytes(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    cli->given.expect_bytes = true;
    cli->plan.expect_how = PP_EXPECT_BYTES;
    return pp_number_parse_size(value, 1, PP_SIZES_BYTES_MAX, &cli->plan.expect_bytes);
}

static int set_expect_until(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    cli->given.expect_until = true;
    cli->plan.expect_how = PP_EXPECT_UNTIL;
    return set_text(value, &cli->plan.expect, err);
}

static int set_no_hello(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->plan.hello = false;
    return 0;
}

/* ---- how it runs ---- */

static bool is_engine(const char *value)
{
    return strcmp(value, "auto") == 0 || pp_io_engine_exists(value);
}

static int set_engine(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    if (!is_engine(value))
        return -EINVAL;
    cli->plan.client_engine = value;
    if (!cli->given.server_engine)
        cli->plan.server_engine = value;
    return 0;
}

static int set_server_engine(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    if (!is_engine(value))
        return -EINVAL;
    cli->plan.server_engine = value;
    cli->given.server_engine = true;
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

static int set_wait(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;

    (void)err;
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

static int set_placement(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    int chosen;

    (void)err;
    cli->plan.placement_auto = strcmp(value, "auto") == 0;
    if (cli->plan.placement_auto)
        return 0;
    chosen = choose(value, pp_placement_names, PP_PLACEMENTS);
    if (chosen < 0)
        return chosen;
    cli->plan.placement = (enum pp_placement)chosen;
    return 0;
}

/* Digits, as far as they go: what follows them, or NULL where there are none or too many. */
static const char *parse_cpu(const char *text, int *cpu)
{
    int value = 0;

    if (!isdigit((unsigned char)*text))
        return NULL;
    for (; isdigit((unsigned char)*text); text++) {
        value = value * 10 + (*text - '0');
        if (value > CPU_MAX)
            return NULL;
    }
    *cpu = value;
    return text;
}

/* Appends first to last. */
static bool add_cpus(struct pp_cpus *cpus, int first, int last)
{
    if (last < first)
        return false;
    for (int cpu = first; cpu <= last; cpu++) {
        if (cpus->count == PP_PLAN_THREADS_MAX)
            return false;
        cpus->cpus[cpus->count++] = cpu;
    }
    return true;
}

/* "0,2-3" up to end, one of the characters that may end it. */
static int parse_cpus(struct pp_cpus *cpus, const char *text, const char **end)
{
    cpus->count = 0;
    for (;; text++) {
        int first, last;

        text = parse_cpu(text, &first);
        if (!text)
            return -EINVAL;
        last = first;
        if (*text == '-')
            text = parse_cpu(text + 1, &last);
        if (!text || !add_cpus(cpus, first, last))
            return -EINVAL;
        if (*text != ',')
            break;
    }
    *end = text;
    return 0;
}

/* "0,1", one CPU each. */
static int parse_cpu_pair(struct pp_plan *plan, const char *value)
{
    plan->client_cpus_given.count = plan->server_cpus_given.count = 1;
    value = parse_cpu(value, &plan->client_cpus_given.cpus[0]);
    if (value && *value == ',')
        value = parse_cpu(value + 1, &plan->server_cpus_given.cpus[0]);
    else
        value = NULL;
    return value && !*value ? 0 : -EINVAL;
}

static int set_cpus_of_both(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    const char *end;

    (void)err;
    if (!strchr(value, '/'))
        return parse_cpu_pair(plan, value);
    if (parse_cpus(&plan->client_cpus_given, value, &end) < 0 || *end != '/' ||
        parse_cpus(&plan->server_cpus_given, end + 1, &end) < 0 || *end)
        return -EINVAL;
    return 0;
}

static int set_cpus(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    const char *end;
    const int ret = parse_cpus(plan->job == PP_JOB_SERVE ? &plan->server_cpus_given
                                                         : &plan->client_cpus_given,
                               value, &end);

    (void)err;
    return ret == 0 && *end ? -EINVAL : ret;
}

/* ---- output ---- */

/* The same format twice means the last one. path is NULL where none was given. */
static int add_output(struct pp_cli *cli, const struct pp_report_format *format, const char *path)
{
    unsigned i = 0;

    if (path && !*path)
        return -EINVAL;
    while (i < cli->output_count && cli->outputs[i].format != format)
        i++;
    if (i == cli->output_count)
        cli->output_count++;
    cli->outputs[i] = (struct pp_cli_output){ .format = format, .path = path };
    return 0;
}

static int set_json(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return add_output(cli, &pp_report_json, value);
}

static int set_json_stream(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return add_output(cli, &pp_report_json_stream, value);
}

static int set_csv(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return add_output(cli, &pp_report_csv, value);
}

static int set_hlog(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return add_output(cli, &pp_report_hlog, value);
}

static int set_output(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    cli->given.output = value;
    return *value ? 0 : -EINVAL;
}

static int set_interval(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)err;
    return pp_number_parse_duration(value, PP_NS_PER_S, INTERVAL_MIN_NS, INTERVAL_MAX_NS,
                                    &cli->plan.interval_ns);
}

/* Of two columns with one name, programs would find only one. */
static bool has_percentile(const struct pp_plan *plan, unsigned count, double q)
{
    char wanted[PP_FORMAT_BYTES], text[PP_FORMAT_BYTES];

    (void)pp_format_percentile(wanted, q);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(pp_format_percentile(text, plan->quantiles[i]), wanted) == 0)
            return true;
    return false;
}

/* "50,99,99.99" */
static int set_percentiles(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    unsigned count = 0;

    for (const char *text = value;; text++) {
        const size_t bytes = strcspn(text, ",");
        char one[32];
        double percentile;

        if (bytes >= sizeof one || count == PP_PLAN_QUANTILES_MAX)
            return -EINVAL;
        memcpy(one, text, bytes);
        one[bytes] = '\0';
        if (pp_number_parse_rate(one, PERCENTILE_MIN, PERCENTILE_MAX, &percentile) < 0)
            return -EINVAL;
        if (has_percentile(plan, count, percentile / 100))
            return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                                "--percentiles has %s twice: name each percentile once", one);
        plan->quantiles[count++] = percentile / 100;
        text += bytes;
        if (!*text)
            break;
    }
    plan->quantile_count = count;
    plan->quantiles_given = true;
    return 0;
}

/* One or several, with commas or spaces between them. */
static int set_fail_if(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    int ret = *value ? 0 : -EINVAL;

    while (ret == 0 && *value) {
        const size_t bytes = strcspn(value, ", ");
        struct pp_gate *gate = &plan->gates[plan->gate_count];

        if (bytes > 0 && plan->gate_count == PP_GATES_MAX)
            return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                                "--fail-if takes 16 conditions at most");
        if (bytes > 0)
            ret = pp_gate_parse(gate, value, bytes, err);
        if (bytes > 0 && ret == 0)
            ret = pp_figure_check(gate->figure, err);
        plan->gate_count += bytes > 0 && ret == 0;
        value += bytes + (value[bytes] != '\0');
    }
    return ret;
}

static int set_quiet(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->quiet = true;
    return 0;
}

static int set_verbose(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->verbose = true;
    return 0;
}

static int set_help(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->action = PP_CLI_HELP;
    return 0;
}

static int set_version(struct pp_cli *cli, const char *value, struct pp_error *err)
{
    (void)value;
    (void)err;
    cli->action = PP_CLI_VERSION;
    return 0;
}

/* ---- the tables ---- */

#define ALL PP_CLI_ALL
#define RUN PP_CLI_RUN
#define CLIENT PP_CLI_CLIENT
#define SERVE PP_CLI_SERVE

#define ENGINES "auto, io_uring or epoll (or io_uring:no-FEATURE)"
#define TEXT "text of 1 to 4,096 bytes; \\n, \\r, \\t, \\0, \\\\ and \\xHH are what they are in C"
#define BUFFER "a size from 1 to 1GiB, such as 65536, 64k (64,000) or 64KiB"

const struct pp_cli_option pp_cli_options[] = {
    { 'c', "connections", "flows,parallel", "N", PP_CLI_LOAD, RUN | CLIENT,
      "a whole number from 1 to 100,000", "connections, shared among the client threads (1)",
      set_connections },
    { 'T', "threads", NULL, "N", PP_CLI_LOAD, RUN | CLIENT, "a whole number from 1 to 256",
      "client threads (1)", set_threads },
    { 'S', "server-threads", NULL, "N", PP_CLI_LOAD, RUN | SERVE, "a whole number from 1 to 256",
      "server threads (1)", set_server_threads },
    { 'D', "depth", NULL, "N", PP_CLI_LOAD, RUN | CLIENT, "a whole number from 1 to 65,536",
      "requests that one connection may have on the way at\n"
      "once (1)",
      set_depth },
    { 'm', "size", NULL, "REQ[,RESP]", PP_CLI_LOAD, RUN | CLIENT,
      "a size from 1 to 64MiB, such as 64, 1k or 4KiB, or uniform:LOW-HIGH or file:PATH; and after "
      "a comma the response's, if it is another",
      "size of a request, and of the response if it is no\n"
      "echo: 64, 1k, 4KiB, uniform:64-1400, or file:PATH\n"
      "with lines SIZE [WEIGHT] or LOW-HIGH [WEIGHT] (5)",
      set_size },
    { 'n', "count", NULL, "N", PP_CLI_LOAD, RUN | CLIENT,
      "a whole number from 1 to 1,000,000,000,000, such as 500000, 500k or 1.5M",
      "round trips to measure, over all connections\n"
      "(run: 500k, unless there is a --time)",
      set_count },
    { 't', "time", "duration", "TIME", PP_CLI_LOAD, RUN | CLIENT,
      "a time from 1ms to a year, such as 10 (seconds), 500ms or 5m",
      "how long to measure, in seconds or as 500ms or 5m\n"
      "(client: 10, unless there is a --count)",
      set_time },
    { 'w', "warmup", "omit", "TIME|COUNT", PP_CLI_LOAD, RUN | CLIENT,
      "a time with its unit, such as 500ms or 1s, or a number of round trips up to "
      "1,000,000,000,000, such as 10k; 0 for none",
      "what to leave out at first: a time, as 1s, or so many\n"
      "round trips, as 10k; 0 is none (a tenth of the time,\n"
      "at most 1s; with a --count, none)",
      set_warmup },
    { 'R', "rate", "mps,qps", "RATE", PP_CLI_LOAD, RUN | CLIENT,
      "messages a second over all connections, such as 1000, 50k or 1.5M",
      "messages a second over all connections, sent when\n"
      "they are due whatever became of those before (as\n"
      "fast as the answers come)",
      set_rate },
    { 0, "arrivals", NULL, "fixed|poisson", PP_CLI_LOAD, RUN | CLIENT, "fixed or poisson",
      "with --rate: at equal or at random distances (fixed)", set_arrivals },
    { 0, "crr", NULL, NULL, PP_CLI_LOAD, RUN | CLIENT, NULL,
      "connect, request, response, close: a connection for\n"
      "each round trip",
      set_crr },
    { 0, "think", NULL, "TIME", PP_CLI_LOAD, RUN | CLIENT,
      "a time from 0 to 60s, such as 100 (microseconds) or 1ms",
      "wait for so long between a response and the next\n"
      "request, in \u00b5s or as 1ms (0)",
      set_think },
    { 0, "verify", NULL, "full|len|off", PP_CLI_LOAD, RUN | CLIENT, "full, len or off",
      "check every byte of a response, or only how many\n"
      "there are, or not even that (full)",
      set_verify },
    { 0, "seed", NULL, "N", PP_CLI_LOAD, RUN | CLIENT,
      "a whole number from 0 to 9,223,372,036,854,775,807",
      "of sizes and arrivals drawn at random: the same seed\n"
      "draws the same (1)",
      set_seed },
    { 0, "connect-timeout", NULL, "TIME", PP_CLI_LOAD, RUN | CLIENT,
      "a time from 1ms to an hour, such as 5 (seconds) or 500ms",
      "give up connecting after so long, in seconds (5)", set_connect_timeout },
    { 0, "strict", NULL, "[invalid|suspect]", PP_CLI_LOAD, RUN | CLIENT, "invalid or suspect",
      "a result whose verdict is INVALID, such as a --rate\n"
      "that was not held, is a failure: status 3; with\n"
      "suspect, one that is SUSPECT is, too",
      set_strict },

    { 'H', "host", NULL, "HOST", PP_CLI_TRANSPORT, ALL,
      "a name, an address or unix:/path, without a port (that is --port)",
      "where the server listens, and the client connects to;\n"
      "or unix:/path (127.0.0.1)",
      set_host },
    { 'p', "port", NULL, "PORT", PP_CLI_TRANSPORT, ALL, "a port from 0 to 65535",
      "port of the server; 0 takes any free one (3131)", set_port },
    { 'u', "udp", NULL, NULL, PP_CLI_TRANSPORT, ALL, NULL, "datagrams instead of streams",
      set_udp },
    { '4', "ipv4", NULL, NULL, PP_CLI_TRANSPORT, ALL, NULL, "take a name's IPv4 address",
      set_ipv4 },
    { '6', "ipv6", NULL, NULL, PP_CLI_TRANSPORT, ALL, NULL,
      "take a name's IPv6 address; ::1 where no host is given", set_ipv6 },
    { 'B', "bind", NULL, "ADDRESS", PP_CLI_TRANSPORT, RUN | CLIENT,
      "an address of this machine, such as 10.0.0.1, 10.0.0.1:5000 or [::1]:5000",
      "connect from this address of this machine", set_bind },
    { 0, "mptcp", NULL, NULL, PP_CLI_TRANSPORT, ALL, NULL, "Multipath TCP", set_mptcp },
    { 0, "cc", NULL, "NAME", PP_CLI_TRANSPORT, ALL,
      "the name of a congestion control, such as cubic or bbr, of at most 15 letters",
      "congestion control: cubic, bbr, ... (the system's)", set_cc },
    { 0, "nodelay", NULL, "on|off", PP_CLI_TRANSPORT, ALL, "on or off",
      "off lets Nagle's algorithm hold back small messages\n"
      "(on)",
      set_nodelay },
    { 0, "busy-poll", NULL, "TIME", PP_CLI_TRANSPORT, ALL,
      "a time from 0 to 1s in whole microseconds, such as 50 (microseconds) or 1ms",
      "let the kernel poll the network device for so long,\n"
      "in \u00b5s; 0: not at all (the system's)",
      set_busy_poll },
    { 0, "sndbuf", NULL, "SIZE", PP_CLI_TRANSPORT, ALL, BUFFER,
      "size of a socket's send buffer (the system's)", set_sndbuf },
    { 0, "rcvbuf", NULL, "SIZE", PP_CLI_TRANSPORT, ALL, BUFFER,
      "size of a socket's receive buffer (the system's)", set_rcvbuf },
    { 0, "tos", NULL, "N", PP_CLI_TRANSPORT, ALL, "a number from 0 to 255 or 0x0 to 0xff",
      "the IP header's TOS or traffic class byte, as 0xb8", set_tos },
    { 0, "idle-timeout", NULL, "TIME", PP_CLI_TRANSPORT, SERVE,
      "a time up to a year, such as 60 (seconds), 500ms or 10m; 0 for none",
      "close connections on which nothing has come or gone\n"
      "for so long, in seconds; 0 never does (2m, for those\n"
      "that say nothing at first, or do not read)",
      set_idle_timeout },

    { 0, "send", NULL, "TEXT", PP_CLI_FOREIGN, CLIENT, TEXT,
      "the request, as \"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\"", set_send },
    { 0, "expect", NULL, "TEXT", PP_CLI_FOREIGN, CLIENT, TEXT, "the response is this text",
      set_expect },
    { 0, "expect-bytes", NULL, "N", PP_CLI_FOREIGN, CLIENT,
      "a size from 1 to 64MiB, such as 512, 1k (1,000) or 4KiB", "the response has so many bytes",
      set_expect_bytes },
    { 0, "expect-until", NULL, "TEXT", PP_CLI_FOREIGN, CLIENT, TEXT,
      "the response ends with this text", set_expect_until },
    { 0, "no-hello", NULL, NULL, PP_CLI_FOREIGN, CLIENT, NULL,
      "do not ask the server whether it is a pingpong; one\n"
      "that is to give responses of another size is told so\n"
      "all the same",
      set_no_hello },

    { 0, "engine", NULL, "NAME", PP_CLI_HOW, ALL, ENGINES,
      "what does the I/O: io_uring, epoll, or auto for the\n"
      "fastest that works here; one asked for by name is\n"
      "never replaced. io_uring:no-FEATURE runs without\n"
      "multishot, buffer-ring, defer or skip (auto)",
      set_engine },
    { 0, "server-engine", NULL, "NAME", PP_CLI_HOW, RUN | SERVE, ENGINES,
      "the same, for the server alone", set_server_engine },
    { 0, "wait", NULL, "HOW", PP_CLI_HOW, ALL,
      "auto, block, spin[:MICROSECONDS] or yield[:MICROSECONDS]",
      "what a thread does while there is nothing to do: block\n"
      "(sleep), spin (look again, never sleep), yield (give\n"
      "the CPU away, look again; sleep after 50 \u00b5s); with a\n"
      "time, as in spin:20, sleep after that many \u00b5s (auto)",
      set_wait },
    { 0, "placement", NULL, "auto|same|split|pairs|none", PP_CLI_HOW, ALL,
      "auto, same, split, pairs or none",
      "where threads run: all on the same CPU, split (the\n"
      "server's on others than the client's), pairs (one of\n"
      "each on a CPU), or none (wherever the kernel likes)\n"
      "(auto)",
      set_placement },
    { 'A', "cpus", NULL, "C,S", PP_CLI_HOW, RUN,
      "two CPU numbers, such as 0,1: the client's and the server's; or two lists, such as "
      "0,2-3/4-6",
      "pin the client to CPU C and the server to CPU S; or\n"
      "LIST/LIST, as 0,2-3/4-6: a CPU for each thread",
      set_cpus_of_both },
    { 'A', "cpus", NULL, "LIST", PP_CLI_HOW, CLIENT | SERVE, "CPU numbers, such as 0 or 0,2-3",
      "pin the threads to these CPUs, as 0,2-3", set_cpus },

    { 'i', "interval", NULL, "TIME", PP_CLI_RESULT, RUN | CLIENT,
      "a time from 10ms to an hour, such as 1 (second) or 500ms",
      "a line each so many seconds while it runs; --csv and\n"
      "--json have them, too",
      set_interval },
    { 0, "percentiles", NULL, "LIST", PP_CLI_RESULT, RUN | CLIENT,
      "up to 16 percentiles from 0.001 to 99.99999, each once, such as 50,99,99.99",
      "the percentiles of the RTT to show, as 50,99,99.99\n"
      "(50,90,99,99.9)",
      set_percentiles },
    { 0, "fail-if", NULL, "CONDITION", PP_CLI_RESULT, RUN | CLIENT,
      "figures with <, <=, >, >=, == or != and a limit, such as 'p99>200us'",
      "status 3 if the result meets it: 'p99>200us',\n"
      "'rate<50k', 'loss>0.1%', and other figures by their\n"
      "names in --json; several may follow, each in quotes.\n"
      "One that is n/a fails",
      set_fail_if },
    { 'J', "json", NULL, "[FILE.json]", PP_CLI_RESULT, RUN | CLIENT,
      "the name of a file, or - for standard output",
      "everything as JSON; without a FILE, or with -, it goes\n"
      "to standard output instead of the text",
      set_json },
    { 0, "json-stream", NULL, "[FILE.jsonl]", PP_CLI_RESULT, RUN | CLIENT,
      "the name of a file, or - for standard output",
      "a line of JSON for each interval (1s unless --interval\n"
      "says otherwise), and a last one with everything",
      set_json_stream },
    { 0, "csv", NULL, "[FILE.csv]", PP_CLI_RESULT, RUN | CLIENT,
      "the name of a file, or - for standard output",
      "comma-separated values: a head, a row for the whole,\n"
      "and before it one for each --interval asked for",
      set_csv },
    { 0, "hlog", NULL, "FILE", PP_CLI_RESULT, RUN | CLIENT,
      "the name of a file, or - for standard output",
      "the histogram of each interval as an HdrHistogram log", set_hlog },
    { 'o', "output", NULL, "FILE", PP_CLI_RESULT, RUN | CLIENT,
      "the name of a file, or - for standard output",
      "the file for the output that has none, or for the text", set_output },

    { 'q', "quiet", NULL, NULL, PP_CLI_OUTPUT, ALL, NULL,
      "print the rate and the time, nothing else", set_quiet },
    { 'v', "verbose", NULL, NULL, PP_CLI_OUTPUT, ALL, NULL,
      "print more: of the build, the host, and either side", set_verbose },
    { 'h', "help", NULL, NULL, PP_CLI_OUTPUT, ALL, NULL, "print the help, and stop", set_help },
    { 'V', "version", NULL, NULL, PP_CLI_OUTPUT, ALL, NULL, "print the version, and stop",
      set_version },
};

const size_t pp_cli_option_count = COUNT_OF(pp_cli_options);

const struct pp_cli_command pp_cli_commands[] = {
    { "run", PP_CLI_JOB, PP_JOB_RUN, "[run]", "server and client in one process",
      "Starts an echo server in this process and measures against it: 500,000 round\n"
      "trips, unless --count or --time says otherwise." },
    { "serve", PP_CLI_JOB, PP_JOB_SERVE, "serve [ADDRESS]", "an echo server, until a signal",
      "Serves whoever connects, until a signal ends it. Without an ADDRESS it listens\n"
      "on 127.0.0.1:3131, where only this machine reaches it; :3131 is all addresses." },
    { "client", PP_CLI_JOB, PP_JOB_CLIENT, "[client] ADDRESS", "a client of a server elsewhere",
      "Measures against a server that runs already, for 10 seconds, unless --count or\n"
      "--time says otherwise." },
    { "help", PP_CLI_HELP, PP_JOB_RUN, "help [COMMAND]", "all options, or a command's", NULL },
    { "version", PP_CLI_VERSION, PP_JOB_RUN, "version", "the version", NULL },
};

const size_t pp_cli_command_count = COUNT_OF(pp_cli_commands);

const struct pp_cli_command *pp_cli_command_find(const char *name)
{
    for (size_t i = 0; i < pp_cli_command_count; i++)
        if (strcmp(name, pp_cli_commands[i].name) == 0)
            return &pp_cli_commands[i];
    return NULL;
}

const char *pp_cli_job_name(enum pp_job job)
{
    for (size_t i = 0; i < pp_cli_command_count; i++)
        if (pp_cli_commands[i].action == PP_CLI_JOB && pp_cli_commands[i].job == job)
            return pp_cli_commands[i].name;
    return "";
}

const char *pp_cli_jobs_format(unsigned jobs, char text[PP_CLI_JOBS_TEXT_BYTES])
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned job = 0; jobs >> job; job++) {
        const char *separator = jobs >> job == 1 ? " and " : ", ";

        if (jobs >> job & 1)
            used += (size_t)snprintf(text + used, PP_CLI_JOBS_TEXT_BYTES - used, "%s%s",
                                     used ? separator : "", pp_cli_job_name((enum pp_job)job));
    }
    return text;
}

bool pp_cli_has_port(const char *address)
{
    struct pp_target target = { 0 };
    size_t bytes;

    if (pp_target_parse(&target, address) < 0 || target.path[0])
        return false;
    bytes = strlen(target.host);
    return strlen(address) > bytes + (*address == '[' ? 2 : 0);
}
