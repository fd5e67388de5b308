#include "report/text.h"

#include "measure/stat.h"
#include "base/format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define FIELD_BYTES 512
#define DOT " \u00b7 "
#define SPACES "  "

/* A line of fields, folded where the next one would not fit. */
struct line {
    FILE *out;
    const char *separator;
    unsigned limit; /* columns; 0: none */
    unsigned used;
};

/* How many columns UTF-8 text takes up: its bytes without the continuation bytes. */
static unsigned columns_of(const char *text)
{
    unsigned columns = 0;

    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

__attribute__((format(printf, 2, 3))) static void field(struct line *line, const char *format, ...)
{
    char text[FIELD_BYTES];
    va_list args;
    unsigned columns, separator_columns;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    columns = columns_of(text);
    separator_columns = columns_of(line->separator);
    if (line->used && line->limit && line->used + separator_columns + columns > line->limit) {
        (void)fputs("\n  ", line->out);
        line->used = 2;
    } else if (line->used) {
        (void)fputs(line->separator, line->out);
        line->used += separator_columns;
    }
    (void)fputs(text, line->out);
    line->used += columns;
}

static void line_end(struct line *line)
{
    (void)fputc('\n', line->out);
    line->used = 0;
}

/* Each word of text is a field. */
static void words(struct line *line, const char *text)
{
    while (*text) {
        const size_t bytes = strcspn(text, " ");

        field(line, "%.*s", (int)bytes, text);
        text += bytes + strspn(text + bytes, " ");
    }
}

/* ---- the head ---- */

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static const char *transport_name(const struct pp_plan *plan)
{
    if (plan->target.path[0])
        return plan->socket.dgram ? "datagrams" : "stream";
    return plan->socket.dgram ? "UDP" : plan->socket.mptcp ? "MPTCP" : "TCP";
}

/* "64 B", or a distribution and its mean. */
static void sizes_field(struct line *line, const struct pp_sizes *sizes, const char *what)
{
    char text[PP_SIZES_TEXT_BYTES], mean[PP_FORMAT_BYTES];

    if (sizes->min == sizes->max)
        field(line, "%s B%s", pp_format_count(mean, sizes->min), what);
    else
        field(line, "%.60s B%s, %s on average", pp_sizes_format(sizes, text), what,
              pp_format_decimal(mean, pp_sizes_mean(sizes), 1));
}

static void message_fields(struct line *line, const struct pp_plan *plan)
{
    sizes_field(line, &plan->request, "");
    if (plan->answers || plan->expect_how == PP_EXPECT_TEXT || plan->expect_how == PP_EXPECT_BYTES)
        sizes_field(line, &plan->response, " back");
    if (plan->expect_how == PP_EXPECT_UNTIL)
        field(line, "answers end with a text");
}

/* How messages follow each other. */
static void load_fields(struct line *line, const struct pp_plan *plan)
{
    char text[PP_FORMAT_BYTES];

    field(line, plan->rate > 0 ? "depth up to %u" : "depth %u", plan->depth);
    if (plan->rate > 0)
        field(line, "open loop, %s/s%s",
              pp_format_decimal(text, plan->rate, plan->rate < 10 ? 2 : 0),
              plan->arrivals == PP_ARRIVALS_POISSON ? " (Poisson)" : "");
    if (plan->crr)
        field(line, "a connection each round trip");
    if (plan->think_ns)
        field(line, "think %s \u00b5s", pp_format_us(text, (double)plan->think_ns));
    if (plan->warmup_ns)
        field(line, "warm-up %s s", pp_format_decimal(text, (double)plan->warmup_ns / 1e9, 2));
    if (plan->warmup_count)
        field(line, "warm-up %s", pp_format_count(text, plan->warmup_count));
}

static void threads_field(struct line *line, const struct pp_plan *plan)
{
    if (plan->job == PP_JOB_RUN && (plan->client_threads > 1 || plan->server_threads > 1))
        field(line, "%u client + %u server threads", plan->client_threads, plan->server_threads);
    else if (plan->client_threads > 1)
        field(line, "%u threads", plan->client_threads);
}

static void engine_field(struct line *line, const struct pp_result *result)
{
    const struct pp_plan *plan = &result->plan;
    const char *client = result->client.engine_name;
    const char *server = result->server.engine_name;
    const bool auto_client = strcmp(plan->client_engine, "auto") == 0;
    const bool auto_server = strcmp(plan->server_engine, "auto") == 0;

    if (plan->job == PP_JOB_CLIENT || (strcmp(client, server) == 0 && auto_client == auto_server))
        field(line, "engine %s%s", client, auto_client ? " (auto)" : "");
    else
        field(line, "engine %s%s, server %s%s", client, auto_client ? " (auto)" : "", server,
              auto_server ? " (auto)" : "");
}

static void wait_field(struct line *line, const struct pp_plan *plan)
{
    static const char *const names[] = {
        [PP_IO_WAIT_BLOCK] = "block", [PP_IO_WAIT_SPIN] = "spin", [PP_IO_WAIT_YIELD] = "yield"
    };
    const char *chosen = plan->wait_auto ? "auto: " : "";
    char us[PP_FORMAT_BYTES];

    if (plan->wait == PP_IO_WAIT_BLOCK)
        field(line, "wait %sblock", chosen);
    else if (plan->spin_ns == PP_IO_SPIN_FOREVER)
        field(line, "wait %s%s, never block", chosen, names[plan->wait]);
    else
        field(line, "wait %s%s, block after %s \u00b5s", chosen, names[plan->wait],
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

static void placement_field(struct line *line, const struct pp_plan *plan)
{
    const bool given = plan->client_cpus_given.count || plan->server_cpus_given.count;
    const char *chosen = plan->placement_auto && !given ? "auto: " : "";
    char client[40], server[40];

    (void)cpus_text(client, sizeof client, plan->client_cpus, plan->client_threads);
    (void)cpus_text(server, sizeof server, plan->server_cpus, plan->server_threads);
    if (plan->placement == PP_PLACEMENT_NONE)
        field(line, "placement %snone", chosen);
    else if (plan->job == PP_JOB_CLIENT)
        field(line, "placement %scpu %s", chosen, client);
    else if (plan->job == PP_JOB_SERVE)
        field(line, "placement %scpu %s", chosen, server);
    else if (plan->placement == PP_PLACEMENT_SAME)
        field(line, "placement %ssame core (cpu %d)", chosen, plan->client_cpus[0]);
    else if (plan->placement == PP_PLACEMENT_PAIRS)
        field(line, "placement %spairs (cpu %s)", chosen, client);
    else
        field(line, "placement %ssplit (cpu %s, server %s)", chosen, client, server);
}

/* Who answers, when it is not ourselves. */
static void peer_line(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    const struct pp_hello_reply *says = &result->peer_says;

    if (result->peer == PP_PEER_OURS)
        return;
    if (result->peer == PP_PEER_UNKNOWN) {
        field(&line, result->plan.expect_how == PP_EXPECT_ECHO
                         ? "server: a plain echo, as far as can be told"
                         : "server: of another service");
    } else {
        field(&line, "server pingpong %s on %s", says->version, says->host);
        field(&line, "engine %s", result->server.engine_name);
        field(&line, "wait %s", says->wait);
        field(&line, "%u thread%s", says->threads, plural(says->threads));
    }
    line_end(&line);
}

static void refused_line(FILE *out, const struct pp_text_style *style, const char *why)
{
    struct line line = { .out = out, .separator = " ", .limit = style->columns };

    if (!why[0])
        return;
    words(&line, "not used: ");
    words(&line, why);
    line_end(&line);
}

void pp_text_begin(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    const struct pp_plan *plan = &result->plan;
    char addr[PP_IO_ADDR_TEXT_BYTES], count[PP_FORMAT_BYTES];

    if (style->quiet)
        return;
    field(&line, "pingpong %s", PP_VERSION);
    field(&line, "%s %s", transport_name(plan), pp_io_addr_format(&result->addr, addr));
    field(&line, "%s connection%s", pp_format_count(count, plan->connections),
          plural(plan->connections));
    threads_field(&line, plan);
    message_fields(&line, plan);
    load_fields(&line, plan);
    line_end(&line);
    engine_field(&line, result);
    wait_field(&line, plan);
    placement_field(&line, plan);
    if (result->congestion_control[0])
        field(&line, "congestion control %s", result->congestion_control);
    line_end(&line);
    peer_line(out, style, result);
    if (style->verbose) {
        field(&line, "client %s", result->client.engine);
        line_end(&line);
        field(&line, "server %s", result->server.engine[0] ? result->server.engine : "unknown");
        line_end(&line);
    }
    refused_line(out, style, result->refused_engine);
}

/* ---- serving ---- */

void pp_text_serve_begin(FILE *out, const struct pp_text_style *style, const struct pp_plan *plan,
                         const struct pp_serve_report *report)
{
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    const bool both = !plan->socket.dgram && !plan->target.path[0];
    char addr[PP_IO_ADDR_TEXT_BYTES];

    field(&line, "listening on %s %s", both ? "TCP and UDP" : transport_name(plan),
          pp_io_addr_format(&report->addr, addr));
    field(&line, "engine %.*s%s", (int)strcspn(report->engine, ":"), report->engine,
          strcmp(plan->server_engine, "auto") == 0 ? " (auto)" : "");
    wait_field(&line, plan);
    if (plan->server_threads > 1)
        field(&line, "%u threads", plan->server_threads);
    placement_field(&line, plan);
    line_end(&line);
    if (style->verbose) {
        field(&line, "engine %s", report->engine);
        line_end(&line);
    }
    refused_line(out, style, report->refused_engine);
}

void pp_text_serve_end(FILE *out, const struct pp_text_style *style,
                       const struct pp_serve_report *report)
{
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    if (style->quiet)
        return;
    field(&line, "served %s connection%s", pp_format_count(text, report->counts.accepted),
          plural(report->counts.accepted));
    field(&line, "answered %s datagram%s", pp_format_count(text, report->counts.datagrams),
          plural(report->counts.datagrams));
    field(&line, "ignored %s", pp_format_count(text, report->counts.ignored));
    line_end(&line);
}

/* ---- the figures ---- */

static const char *checked(const struct pp_plan *plan)
{
    if (plan->verify == PP_VERIFY_FULL && plan->expect_how < PP_EXPECT_BYTES)
        return "every byte checked";
    return plan->verify == PP_VERIFY_OFF ? "answers not checked" : "only lengths checked";
}

static void count_line(FILE *out, const struct pp_result *result)
{
    const uint64_t received = result->counts.received;
    char text[PP_FORMAT_BYTES], of[PP_FORMAT_BYTES];

    (void)pp_format_count(text, received);
    if (!result->partial)
        (void)fprintf(out, "%s round trip%s, %s\n", text, plural(received), checked(&result->plan));
    else if (result->plan.count)
        (void)fprintf(out, "PARTIAL: %s of %s round trips, %s%s\n", text,
                      pp_format_count(of, result->plan.count), checked(&result->plan),
                      result->signal ? "; interrupted" : "");
    else
        (void)fprintf(out, "PARTIAL: %s round trip%s in less than the time asked for, %s%s\n", text,
                      plural(received), checked(&result->plan),
                      result->signal ? "; interrupted" : "");
}

static void rate_lines(FILE *out, const struct pp_result *result)
{
    char text[PP_FORMAT_BYTES];

    (void)fprintf(out, "%s roundtrips/s\n", pp_format_decimal(text, pp_result_rate(result), 2));
    (void)fprintf(out, "%s seconds total\n",
                  pp_format_decimal(text, (double)result->duration_ns / 1e9, 2));
}

static void missed_line(FILE *out, const struct pp_text_style *style,
                        const struct pp_result *result)
{
    struct line line = { .out = out, .separator = " ", .limit = style->columns };
    char rate[PP_FORMAT_BYTES], lag[PP_FORMAT_BYTES], text[200];

    if (!result->rate_missed)
        return;
    (void)snprintf(text, sizeof text,
                   "RATE NOT HELD: %s messages/s were asked for, and at the end the schedule was "
                   "%s ms behind: not a valid result; ask for less, or give it more threads",
                   pp_format_decimal(rate, result->plan.rate, 0),
                   pp_format_decimal(lag, (double)result->counts.lag_ns / 1e6, 1));
    words(&line, text);
    line_end(&line);
}

static void quantile_field(struct line *line, const struct pp_hist *rtt, const char *name, double q)
{
    char text[PP_FORMAT_BYTES];

    field(line, "%s %s", name,
          pp_hist_supports(rtt, q) ? pp_format_us(text, (double)pp_hist_quantile_ns(rtt, q))
                                   : "n/a");
}

static void rtt_line(FILE *out, const struct pp_text_style *style, const char *name,
                     const struct pp_hist *rtt)
{
    struct line line = { .out = out, .separator = SPACES, .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    if (rtt->total == 0)
        return;
    field(&line, "%s", name);
    field(&line, "min %s", pp_format_us(text, (double)rtt->min_ns));
    field(&line, "mean %s", pp_format_us(text, pp_hist_mean_ns(rtt)));
    quantile_field(&line, rtt, "p50", 0.5);
    quantile_field(&line, rtt, "p90", 0.9);
    quantile_field(&line, rtt, "p99", 0.99);
    quantile_field(&line, rtt, "p99.9", 0.999);
    if (style->verbose)
        quantile_field(&line, rtt, "p99.99", 0.9999);
    field(&line, "max %s", pp_format_us(text, (double)rtt->max_ns));
    line_end(&line);
}

static void rtt_lines(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    if (!(result->plan.rate > 0)) {
        rtt_line(out, style, "RTT \u00b5s", &result->rtt);
        return;
    }
    rtt_line(out, style, "RTT \u00b5s from the intended send", &result->response);
    rtt_line(out, style, "RTT \u00b5s from the actual send", &result->rtt);
}

static void loss_line(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    const struct pp_client_counts *counts = &result->counts;
    const uint64_t settled = counts->received + counts->lost;
    const struct pp_interval loss = pp_stat_proportion(counts->lost, settled);
    char text[PP_FORMAT_BYTES];

    if (!result->plan.socket.dgram || settled == 0)
        return;
    field(&line, "lost %s (%.4f %%, 95 %% interval %.4f to %.4f %%)",
          pp_format_count(text, counts->lost), 100 * (double)counts->lost / (double)settled,
          100 * loss.low, 100 * loss.high);
    field(&line, "late %s", pp_format_count(text, counts->late));
    field(&line, "duplicate %s", pp_format_count(text, counts->duplicates));
    field(&line, "reordered %s", pp_format_count(text, counts->reordered));
    if (counts->strays)
        field(&line, "stray %s", pp_format_count(text, counts->strays));
    line_end(&line);
}

static double cpu_ns(const struct pp_result_side *side)
{
    return (double)(side->usage.user_ns + side->usage.system_ns);
}

/* A server that has not said what it costs costs nobody knows what. */
static void cost_line(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    const double trips = (double)result->counts.received;
    const bool both = result->peer != PP_PEER_UNKNOWN;
    const struct pp_result_side *client = &result->client, *server = &result->server;
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    char a[PP_FORMAT_BYTES], b[PP_FORMAT_BYTES];

    if (result->counts.received == 0)
        return;
    if (both)
        field(&line, "cost a round trip  CPU %s \u00b5s client + %s \u00b5s server",
              pp_format_us(a, cpu_ns(client) / trips), pp_format_us(b, cpu_ns(server) / trips));
    else
        field(&line, "cost a round trip  CPU %s \u00b5s client, server unknown",
              pp_format_us(a, cpu_ns(client) / trips));
    field(&line, "%.2f system calls%s", (double)(client->io.syscalls + server->io.syscalls) / trips,
          both ? "" : " (client)");
    field(&line, "%.2f context switches%s",
          (double)(client->usage.context_switches + server->usage.context_switches) / trips,
          both ? "" : " (client)");
    line_end(&line);
}

static void side_line(FILE *out, const struct pp_text_style *style, const char *name,
                      const struct pp_result_side *side)
{
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    char a[PP_FORMAT_BYTES], b[PP_FORMAT_BYTES];

    field(&line, "%s  CPU %s ms user + %s ms system", name,
          pp_format_count(a, side->usage.user_ns / 1000000),
          pp_format_count(b, side->usage.system_ns / 1000000));
    field(&line, "%s turns", pp_format_count(a, side->io.turns));
    field(&line, "%s system calls", pp_format_count(a, side->io.syscalls));
    field(&line, "%s waits for a buffer", pp_format_count(a, side->io.starved));
    field(&line, "%s queue overflows", pp_format_count(a, side->io.overflows));
    field(&line, "%s yield guard trips", pp_format_count(a, side->io.guard_trips));
    line_end(&line);
}

static void identity_line(FILE *out, const struct pp_result *result)
{
    const struct pp_client_counts *counts = &result->counts;

    (void)fprintf(out,
                  "sent %" PRIu64 " = received %" PRIu64 " + lost %" PRIu64 " + errors %" PRIu64
                  " + in flight %" PRIu64 "\n",
                  counts->sent, counts->received, counts->lost, counts->errors, result->in_flight);
}

void pp_text_end(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    if (!style->quiet || result->partial)
        count_line(out, result);
    missed_line(out, style, result);
    rate_lines(out, result);
    if (style->quiet)
        return;
    rtt_lines(out, style, result);
    loss_line(out, style, result);
    cost_line(out, style, result);
    if (!style->verbose)
        return;
    side_line(out, style, "client", &result->client);
    if (result->peer != PP_PEER_UNKNOWN)
        side_line(out, style, "server", &result->server);
    identity_line(out, result);
}
