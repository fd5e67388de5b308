/* What is going to be measured, and how: the lines before the figures. */
#include "report/text.h"

#include "base/format.h"
#include "report/names.h"
#include "report/text_parts.h"

#include <inttypes.h>
#include <string.h>

const char *pp_text_plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

const char *pp_text_transport_name(const struct pp_plan *plan)
{
    if (plan->target.path[0])
        return plan->socket.dgram ? "datagrams" : "stream";
    return plan->socket.dgram ? "UDP" : plan->socket.mptcp ? "MPTCP" : "TCP";
}

/* "64 B", or a distribution and its mean. */
static void sizes_field(struct pp_line *line, const struct pp_sizes *sizes, const char *what)
{
    char text[PP_SIZES_TEXT_BYTES], mean[PP_FORMAT_BYTES];

    if (sizes->min == sizes->max)
        pp_line_field(line, "%s B%s", pp_format_count(mean, sizes->min), what);
    else
        pp_line_field(line, "%.60s B%s, %s on average", pp_sizes_format(sizes, text), what,
                      pp_format_decimal(mean, pp_sizes_mean(sizes), 1));
}

static void message_fields(struct pp_line *line, const struct pp_plan *plan)
{
    sizes_field(line, &plan->request, "");
    if (plan->answers || plan->expect_how == PP_EXPECT_TEXT || plan->expect_how == PP_EXPECT_BYTES)
        sizes_field(line, &plan->response, " back");
    if (plan->expect_how == PP_EXPECT_UNTIL)
        pp_line_field(line, "answers end with a text");
}

/* How messages follow each other. */
static void load_fields(struct pp_line *line, const struct pp_plan *plan)
{
    char text[PP_FORMAT_BYTES];

    pp_line_field(line, plan->rate > 0 ? "depth up to %s" : "depth %s",
                  pp_format_count(text, plan->depth));
    if (plan->rate > 0)
        pp_line_field(line, "open loop, %s/s%s",
                      pp_format_decimal(text, plan->rate, plan->rate < 10 ? 2 : 0),
                      plan->arrivals == PP_ARRIVALS_POISSON ? " (Poisson)" : "");
    if (plan->crr)
        pp_line_field(line, "a connection each round trip");
    if (plan->think_ns)
        pp_line_field(line, "think %s \u00b5s", pp_format_us(text, (double)plan->think_ns));
    if (plan->warmup_ns)
        pp_line_field(line, "warm-up %s s",
                      pp_format_decimal(text, (double)plan->warmup_ns / 1e9, 2));
    if (plan->warmup_count)
        pp_line_field(line, "warm-up %s", pp_format_count(text, plan->warmup_count));
}

static void threads_field(struct pp_line *line, const struct pp_plan *plan)
{
    if (plan->job == PP_JOB_RUN && (plan->client_threads > 1 || plan->server_threads > 1))
        pp_line_field(line, "%u client + %u server threads", plan->client_threads,
                      plan->server_threads);
    else if (plan->client_threads > 1)
        pp_line_field(line, "%u threads", plan->client_threads);
}

void pp_text_load_fields(struct pp_line *line, const struct pp_plan *plan)
{
    char count[PP_FORMAT_BYTES];

    pp_line_field(line, "%s connection%s", pp_format_count(count, plan->connections),
                  pp_text_plural(plan->connections));
    threads_field(line, plan);
    message_fields(line, plan);
    load_fields(line, plan);
}

static void engine_field(struct pp_line *line, const struct pp_result *result)
{
    const struct pp_plan *plan = &result->plan;
    const char *client = result->client.engine_name;
    const char *server = result->server.engine_name;
    const bool auto_client = strcmp(plan->client_engine, "auto") == 0;
    const bool auto_server = strcmp(plan->server_engine, "auto") == 0;

    if (plan->job == PP_JOB_CLIENT || (strcmp(client, server) == 0 && auto_client == auto_server))
        pp_line_field(line, "engine %s%s", client, auto_client ? " (auto)" : "");
    else
        pp_line_field(line, "engine %s%s, server %s%s", client, auto_client ? " (auto)" : "",
                      server, auto_server ? " (auto)" : "");
}

void pp_text_wait_field(struct pp_line *line, const struct pp_plan *plan)
{
    const char *chosen = plan->wait_auto ? "auto: " : "";
    char us[PP_FORMAT_BYTES];

    if (plan->wait == PP_IO_WAIT_BLOCK)
        pp_line_field(line, "wait %sblock", chosen);
    else if (plan->spin_ns == PP_IO_SPIN_FOREVER)
        pp_line_field(line, "wait %s%s, never block", chosen, pp_wait_names[plan->wait]);
    else
        pp_line_field(line, "wait %s%s, block after %s \u00b5s", chosen, pp_wait_names[plan->wait],
                      pp_format_count(us, plan->spin_ns / 1000));
}

/* "0,1,0,1": the CPU of each thread, cut where it gets long. */
static const char *cpus_text(char *text, size_t bytes, const int *cpus, unsigned threads)
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < threads && used + 8 < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, i ? ",%d" : "%d", cpus[i]);
    return text;
}

void pp_text_placement_field(struct pp_line *line, const struct pp_plan *plan)
{
    const bool given = plan->client_cpus_given.count || plan->server_cpus_given.count;
    const char *chosen = plan->placement_auto && !given ? "auto: " : "";
    char client[40], server[40];

    (void)cpus_text(client, sizeof client, plan->client_cpus, plan->client_threads);
    (void)cpus_text(server, sizeof server, plan->server_cpus, plan->server_threads);
    if (plan->placement == PP_PLACEMENT_NONE)
        pp_line_field(line, "placement %snone", chosen);
    else if (plan->job == PP_JOB_CLIENT)
        pp_line_field(line, "placement %scpu %s", chosen, client);
    else if (plan->job == PP_JOB_SERVE)
        pp_line_field(line, "placement %scpu %s", chosen, server);
    else if (plan->placement == PP_PLACEMENT_SAME)
        pp_line_field(line, "placement %ssame core (cpu %d)", chosen, plan->client_cpus[0]);
    else if (plan->placement == PP_PLACEMENT_PAIRS)
        pp_line_field(line, "placement %spairs (cpu %s)", chosen, client);
    else
        pp_line_field(line, "placement %ssplit (cpu %s, server %s)", chosen, client, server);
}

/* Nobody has answered yet, so what it is cannot be said. */
static const char *unknown_peer(const struct pp_plan *plan)
{
    if (plan->expect_how != PP_EXPECT_ECHO)
        return "server: of another service";
    return plan->hello ? "server: does not answer as pingpong does"
                       : "server: not asked who it is (--no-hello)";
}

/* Who answers, when it is not ourselves. */
static void peer_line(FILE *out, const struct pp_report_style *style,
                      const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_hello_reply *says = &result->peer_says;

    if (result->peer == PP_PEER_OURS)
        return;
    if (result->peer == PP_PEER_UNKNOWN) {
        pp_line_field(&line, "%s", unknown_peer(&result->plan));
    } else {
        pp_line_field(&line, "server pingpong %s on %s", says->version, says->host);
        pp_line_field(&line, "engine %s", result->server.engine_name);
        pp_line_field(&line, "wait %s", says->wait);
        pp_line_field(&line, "%u thread%s", says->threads, pp_text_plural(says->threads));
    }
    pp_line_end(&line);
}

void pp_text_legend_line(FILE *out, const struct pp_report_style *style, char letter,
                         const char *name)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };
    char text[512];

    pp_line_field(&line, "%c ", letter);
    pp_line_words(&line, pp_format_line(text, sizeof text, name));
    pp_line_end(&line);
}

void pp_text_refused_line(FILE *out, const struct pp_report_style *style, const char *why)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };

    if (!why[0])
        return;
    pp_line_words(&line, "not used: ");
    pp_line_words(&line, why);
    pp_line_end(&line);
}

/* What decides most about the figures, of what this machine is. */
static void host_line(FILE *out, const struct pp_report_style *style,
                      const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_machine *machine = &result->machine;
    const char *virtualisation = machine->virtualisation;

    pp_line_field(&line, "host Linux %s", machine->kernel_release);
    if (machine->cpu_model[0])
        pp_line_field(&line, "%s", machine->cpu_model);
    if (machine->cpus_online)
        pp_line_field(&line, "%u CPU%s", machine->cpus_online,
                      pp_text_plural(machine->cpus_online));
    if (virtualisation[0] && strcmp(virtualisation, "none") != 0)
        pp_line_field(&line, "%s", virtualisation);
    if (machine->container[0])
        pp_line_field(&line, "in %s", machine->container);
    if (machine->governor[0])
        pp_line_field(&line, "governor %s", machine->governor);
    if (machine->load >= 0)
        pp_line_field(&line, "load %.2f", machine->load);
    pp_line_end(&line);
}

/* Each word of the longer texts is folded by itself. */
static void machine_line(FILE *out, const struct pp_report_style *style,
                         const struct pp_machine *machine)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };

    pp_line_field(&line, "%s", machine->os[0] ? machine->os : "unknown distribution");
    pp_line_field(&line, "CPUs allowed %s", machine->cpus_allowed);
    if (machine->cpu_limit > 0)
        pp_line_field(&line, "limited to %.2f CPUs", machine->cpu_limit);
    if (machine->turbo[0])
        pp_line_field(&line, "turbo %s", machine->turbo);
    if (machine->smt[0])
        pp_line_field(&line, "SMT %s", machine->smt);
    pp_line_field(&line, "clock source %s", machine->clocksource);
    pp_line_end(&line);
    line.separator = " ";
    pp_line_words(&line, machine->mitigations_off ? "mitigations off:" : "mitigations:");
    pp_line_words(&line, machine->mitigations[0] ? machine->mitigations : "unknown");
    pp_line_end(&line);
}

static const char *limit_text(char text[PP_FORMAT_BYTES], uint64_t limit, const char *unit)
{
    char count[PP_FORMAT_BYTES];

    if (limit == PP_MACHINE_UNLIMITED)
        return "unlimited";
    (void)snprintf(text, PP_FORMAT_BYTES, "%.30s%s", pp_format_count(count, limit), unit);
    return text;
}

static void kernel_lines(FILE *out, const struct pp_report_style *style,
                         const struct pp_machine *machine)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    pp_line_words(&line, "kernel");
    pp_line_words(&line, machine->architecture);
    pp_line_words(&line, machine->kernel_version);
    pp_line_end(&line);
    line.separator = PP_LINE_DOT;
    if (machine->memory_bytes)
        pp_line_field(&line, "memory %s GB",
                      pp_format_decimal(text, (double)machine->memory_bytes / 1e9, 1));
    pp_line_field(&line, "open files %s", limit_text(text, machine->open_files, ""));
    pp_line_field(&line, "locked memory %s", limit_text(text, machine->locked_bytes, " B"));
    if (machine->scaling_driver[0])
        pp_line_field(&line, "scaling driver %s", machine->scaling_driver);
    pp_line_end(&line);
    for (unsigned i = 0; i < PP_MACHINE_SYSCTLS; i++)
        if (machine->sysctls[i].value[0])
            pp_line_field(&line, "%s %s", machine->sysctls[i].name, machine->sysctls[i].value);
    if (line.used)
        pp_line_end(&line);
}

static void buffer_field(struct pp_line *line, const char *name, uint32_t bytes)
{
    char text[PP_FORMAT_BYTES];

    if (bytes)
        pp_line_field(line, "%s buffer %s B", name, pp_format_count(text, bytes));
    else
        pp_line_field(line, "%s buffer default", name);
}

/* The options that no other line shows. */
static void options_line(FILE *out, const struct pp_report_style *style, const struct pp_plan *plan)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_io_socket_options *socket = &plan->socket;

    pp_line_field(&line, "seed %" PRIu64, plan->seed);
    if (!socket->dgram && !plan->target.path[0])
        pp_line_field(&line, "nodelay %s", socket->nagle ? "off" : "on");
    buffer_field(&line, "send", socket->sndbuf);
    buffer_field(&line, "receive", socket->rcvbuf);
    if (socket->tos_given)
        pp_line_field(&line, "TOS 0x%02x", socket->tos);
    if (socket->busy_poll_us)
        pp_line_field(&line, "busy poll %u \u00b5s", socket->busy_poll_us);
    pp_line_end(&line);
}

static void build_line(FILE *out, const struct pp_report_style *style)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };

    pp_line_words(&line, "built by " PP_COMPILER ", " PP_FLAGS);
    pp_line_end(&line);
}

static void route_line(FILE *out, const struct pp_report_style *style, const struct pp_route *route)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    if (!route->interface[0])
        return;
    pp_line_field(&line, "interface %s", route->interface);
    if (route->driver[0])
        pp_line_field(&line, "driver %s", route->driver);
    pp_line_field(&line, "MTU %s B", pp_format_count(text, route->mtu));
    if (route->speed_mbit)
        pp_line_field(&line, "%s Mbit/s", pp_format_count(text, route->speed_mbit));
    pp_line_field(&line, "from %s", route->source);
    if (route->gateway[0])
        pp_line_field(&line, "through %s", route->gateway);
    pp_line_end(&line);
}

void pp_text_begin(FILE *out, const struct pp_report_style *style, const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_plan *plan = &result->plan;
    char addr[PP_TARGET_TEXT_BYTES], shown[PP_TARGET_TEXT_BYTES];

    if (style->quiet)
        return;
    pp_line_field(&line, "pingpong %s", PP_VERSION);
    pp_line_field(&line, "%s %s", pp_text_transport_name(plan),
                  pp_format_line(shown, sizeof shown, pp_server_address(result, addr)));
    pp_text_load_fields(&line, plan);
    pp_line_end(&line);
    engine_field(&line, result);
    pp_text_wait_field(&line, plan);
    pp_text_placement_field(&line, plan);
    if (result->congestion_control[0])
        pp_line_field(&line, "congestion control %s", result->congestion_control);
    pp_line_end(&line);
    peer_line(out, style, result);
    if (style->verbose) {
        pp_line_field(&line, "client %s", result->client.engine);
        pp_line_end(&line);
        pp_line_field(&line, "server %s",
                      result->server.engine[0] ? result->server.engine : "unknown");
        pp_line_end(&line);
    }
    host_line(out, style, result);
    if (style->verbose) {
        machine_line(out, style, &result->machine);
        kernel_lines(out, style, &result->machine);
        route_line(out, style, &result->route);
        options_line(out, style, plan);
        build_line(out, style);
    }
    pp_text_refused_line(out, style, result->refused_engine);
}
