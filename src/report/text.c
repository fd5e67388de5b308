#include "report/text.h"

#include "report/format.h"

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

static void engine_field(struct line *line, const struct pp_result *result)
{
    const struct pp_plan *plan = &result->plan;
    const char *client = result->client.engine_name;
    const char *server = result->server.engine_name;
    const bool auto_client = strcmp(plan->client_engine, "auto") == 0;
    const bool auto_server = strcmp(plan->server_engine, "auto") == 0;

    if (strcmp(client, server) == 0 && auto_client == auto_server)
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

static void placement_field(struct line *line, const struct pp_plan *plan)
{
    const char *chosen = plan->placement_auto && !plan->cpus_given ? "auto: " : "";

    switch (plan->placement) {
    case PP_PLACEMENT_SAME:
        field(line, "placement %ssame core (cpu %d)", chosen, plan->client_cpu);
        return;
    case PP_PLACEMENT_SPLIT:
        field(line, "placement %ssplit (cpu %d, server %d)", chosen, plan->client_cpu,
              plan->server_cpu);
        return;
    case PP_PLACEMENT_NONE:
        field(line, "placement none");
        return;
    }
}

void pp_text_begin(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    const struct pp_plan *plan = &result->plan;
    char addr[PP_IO_ADDR_TEXT_BYTES], count[PP_FORMAT_BYTES];

    if (style->quiet)
        return;
    field(&line, "pingpong %s", PP_VERSION);
    field(&line, "TCP %s", pp_io_addr_format(&result->addr, addr));
    field(&line, "%s connection%s", pp_format_count(count, plan->connections),
          plural(plan->connections));
    field(&line, "%u B", plan->wire.bytes);
    field(&line, "depth 1");
    line_end(&line);
    engine_field(&line, result);
    wait_field(&line, plan);
    placement_field(&line, plan);
    field(&line, "congestion control %s", result->congestion_control);
    line_end(&line);
    if (style->verbose) {
        field(&line, "client %s", result->client.engine);
        line_end(&line);
        field(&line, "server %s", result->server.engine);
        line_end(&line);
    }
    if (result->refused_engine[0]) {
        line.separator = " ";
        words(&line, "not used: ");
        words(&line, result->refused_engine);
        line_end(&line);
    }
}

/* ---- the figures ---- */

static void count_line(FILE *out, const struct pp_result *result)
{
    char received[PP_FORMAT_BYTES], count[PP_FORMAT_BYTES];

    if (!result->partial)
        (void)fprintf(out, "%s round trip%s, every byte checked\n",
                      pp_format_count(received, result->received), plural(result->received));
    else
        (void)fprintf(out, "PARTIAL: %s of %s round trips, every byte checked%s\n",
                      pp_format_count(received, result->received),
                      pp_format_count(count, result->plan.count),
                      result->signal ? "; interrupted" : "");
}

static void rate_lines(FILE *out, const struct pp_result *result)
{
    char text[PP_FORMAT_BYTES];

    (void)fprintf(out, "%s roundtrips/s\n", pp_format_decimal(text, pp_result_rate(result), 2));
    (void)fprintf(out, "%s seconds total\n",
                  pp_format_decimal(text, (double)result->duration_ns / 1e9, 2));
}

static void quantile_field(struct line *line, const struct pp_hist *rtt, const char *name, double q)
{
    char text[PP_FORMAT_BYTES];

    field(line, "%s %s", name,
          pp_hist_supports(rtt, q) ? pp_format_us(text, (double)pp_hist_quantile_ns(rtt, q))
                                   : "n/a");
}

static void rtt_line(FILE *out, const struct pp_text_style *style, const struct pp_hist *rtt)
{
    struct line line = { .out = out, .separator = SPACES, .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    if (rtt->total == 0)
        return;
    field(&line, "RTT \u00b5s");
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

static double cpu_ns(const struct pp_result_side *side)
{
    return (double)(side->usage.user_ns + side->usage.system_ns);
}

static void cost_line(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    const double trips = (double)result->received;
    const struct pp_result_side *client = &result->client, *server = &result->server;
    struct line line = { .out = out, .separator = DOT, .limit = style->columns };
    char a[PP_FORMAT_BYTES], b[PP_FORMAT_BYTES];

    if (result->received == 0)
        return;
    field(&line, "cost a round trip  CPU %s \u00b5s client + %s \u00b5s server",
          pp_format_us(a, cpu_ns(client) / trips), pp_format_us(b, cpu_ns(server) / trips));
    field(&line, "%.2f system calls", (double)(client->io.syscalls + server->io.syscalls) / trips);
    field(&line, "%.2f context switches",
          (double)(client->usage.context_switches + server->usage.context_switches) / trips);
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
    (void)fprintf(out,
                  "sent %" PRIu64 " = received %" PRIu64 " + errors %" PRIu64
                  " + in flight %" PRIu64 "\n",
                  result->sent, result->received, result->errors, result->in_flight);
}

void pp_text_end(FILE *out, const struct pp_text_style *style, const struct pp_result *result)
{
    if (!style->quiet || result->partial)
        count_line(out, result);
    rate_lines(out, result);
    if (style->quiet)
        return;
    rtt_line(out, style, &result->rtt);
    cost_line(out, style, result);
    if (!style->verbose)
        return;
    side_line(out, style, "client", &result->client);
    side_line(out, style, "server", &result->server);
    identity_line(out, result);
}
