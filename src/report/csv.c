/* A table for spreadsheets and scripts: one row for the whole, and before it one for each interval
 * that was asked for (RFC 4180). docs/OUTPUT.md says what each column means. */
#include "base/container.h"
#include "base/format.h"
#include "base/number.h"
#include "report/csv_cell.h"
#include "report/names.h"
#include "report/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* ---- cells ---- */

/* The first cell of a row has no comma before it. */
struct row {
    FILE *out;
    bool begun;
};

static void separate(struct row *row)
{
    if (row->begun)
        (void)fputc(',', row->out);
    row->begun = true;
}

__attribute__((format(printf, 2, 3))) static void number(struct row *row, const char *format, ...)
{
    va_list args;

    separate(row);
    va_start(args, format);
    (void)vfprintf(row->out, format, args);
    va_end(args);
}

static void empty(struct row *row)
{
    separate(row);
}

static void text(struct row *row, const char *value)
{
    separate(row);
    pp_csv_text(row->out, value);
}

static void end_row(struct row *row)
{
    (void)fputs("\r\n", row->out);
    row->begun = false;
}

/* ---- the head ---- */

static void latency_heads(struct row *row, const char *name, const struct pp_plan *plan)
{
    char percentile[PP_FORMAT_BYTES];

    number(row, "%s_min_ns", name);
    number(row, "%s_mean_ns", name);
    for (unsigned i = 0; i < plan->quantile_count; i++)
        number(row, "%s_p%s_ns", name, pp_format_percentile(percentile, plan->quantiles[i]));
    number(row, "%s_max_ns", name);
}

static void heads(struct row *row, const struct pp_plan *plan)
{
    static const char *const before[] = {
        "record", "number", "start_ns",  "length_ns", "round_trips", "round_trips_per_s", "sent",
        "lost",   "errors", "in_flight", "late",      "reordered",   "duplicates"
    };
    static const char *const after[] = { "verdict",
                                         "reasons",
                                         "partial",
                                         "failed_if",
                                         "client_cpu_user_ns",
                                         "client_cpu_system_ns",
                                         "server_cpu_user_ns",
                                         "server_cpu_system_ns",
                                         "client_system_calls",
                                         "server_system_calls",
                                         "client_context_switches",
                                         "server_context_switches",
                                         "started_unix_ns",
                                         "version",
                                         "transport",
                                         "address",
                                         "connections",
                                         "depth",
                                         "rate_asked_per_s",
                                         "engine",
                                         "server_engine" };

    for (size_t i = 0; i < COUNT_OF(before); i++)
        number(row, "%s", before[i]);
    latency_heads(row, "rtt", plan);
    latency_heads(row, "response", plan);
    for (size_t i = 0; i < COUNT_OF(after); i++)
        number(row, "%s", after[i]);
    end_row(row);
}

/* ---- rows ---- */

static void cell(struct row *row, uint64_t value, bool known)
{
    if (known)
        number(row, "%" PRIu64, value);
    else
        empty(row);
}

static void latency_cells(struct row *row, const struct pp_latency *latency, bool applies)
{
    const bool known = applies && latency->samples > 0;

    cell(row, latency->min_ns, known);
    cell(row, (uint64_t)(latency->mean_ns + 0.5), known);
    for (unsigned i = 0; i < latency->count; i++)
        cell(row, latency->quantiles[i].ns, applies && latency->quantiles[i].supported);
    cell(row, latency->max_ns, known);
}

static void count_cells(struct row *row, const struct pp_counts *counts, uint64_t in_flight,
                        uint64_t length_ns)
{
    number(row, "%" PRIu64, counts->received);
    if (length_ns)
        number(row, "%.3f", pp_number_per_s(counts->received, length_ns));
    else
        empty(row);
    number(row, "%" PRIu64, counts->sent);
    number(row, "%" PRId64, (int64_t)counts->lost);
    number(row, "%" PRIu64, counts->errors);
    number(row, "%" PRIu64, in_flight);
    number(row, "%" PRIu64, counts->late);
    number(row, "%" PRIu64, counts->reordered);
    number(row, "%" PRIu64, counts->duplicates);
}

static void reasons_cell(struct row *row, const struct pp_verdict *verdict)
{
    char names[512] = "";
    size_t used = 0;

    for (unsigned i = 0; i < verdict->count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? " " : "",
                                 pp_reason_name(verdict->reasons[i].id));
    text(row, names);
}

/* The conditions that the result meets, or that could not be looked at. */
static void gates_cell(struct row *row, const struct pp_result *result)
{
    char names[PP_GATES_MAX * PP_GATE_TEXT_BYTES] = "";
    size_t used = 0;

    for (unsigned i = 0; i < result->plan.gate_count; i++)
        if (result->gates[i].failed)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? " " : "",
                                     result->plan.gates[i].text);
    text(row, names);
}

static void cost_cells(struct row *row, const struct pp_result *result)
{
    const struct pp_result_side *client = &result->client, *server = &result->server;
    const bool of_client = pp_result_client_costs_known(result);
    const bool of_server = result->measured && pp_result_server_costs_known(result);

    cell(row, client->usage.user_ns, of_client);
    cell(row, client->usage.system_ns, of_client);
    cell(row, server->usage.user_ns, of_server);
    cell(row, server->usage.system_ns, of_server);
    cell(row, client->io.syscalls, of_client);
    cell(row, server->io.syscalls, result->measured && pp_result_server_calls_known(result));
    cell(row, client->usage.context_switches, of_client);
    cell(row, server->usage.context_switches, of_server);
}

/* What is the same in all rows of a run. */
static void run_cells(struct row *row, const struct pp_result *result)
{
    const struct pp_plan *plan = &result->plan;
    char addr[PP_TARGET_TEXT_BYTES];

    cell(row, result->wall_start_ns, result->measured);
    text(row, PP_VERSION);
    text(row, pp_transport_id(plan));
    text(row, pp_server_address(result, addr));
    number(row, "%u", plan->connections);
    number(row, "%u", plan->depth);
    if (plan->rate > 0)
        number(row, "%.3f", plan->rate);
    else
        empty(row);
    text(row, result->client.engine_name);
    text(row, result->server.engine_name);
}

#define COST_CELLS 8

static void csv_begin(struct pp_report *report, const struct pp_result *result)
{
    struct row row = { .out = report->out };

    heads(&row, &result->plan);
}

static void csv_interval(struct pp_report *report, const struct pp_result *result,
                         const struct pp_result_interval *interval)
{
    struct row row = { .out = report->out };

    if (!report->style.intervals)
        return;
    text(&row, "interval");
    number(&row, "%u", interval->number);
    number(&row, "%" PRIu64, interval->start_ns);
    number(&row, "%" PRIu64, interval->length_ns);
    count_cells(&row, &interval->counts, interval->in_flight, interval->length_ns);
    latency_cells(&row, &interval->rtt_latency, true);
    latency_cells(&row, &interval->response_latency, result->plan.rate > 0);
    empty(&row); /* verdict, reasons, partial, failed_if: of the whole */
    empty(&row);
    empty(&row);
    empty(&row);
    for (unsigned i = 0; i < COST_CELLS; i++)
        empty(&row);
    run_cells(&row, result);
    end_row(&row);
    (void)fflush(report->out);
}

static int csv_end(struct pp_report *report, const struct pp_result *result,
                   const struct pp_error *error, struct pp_error *err)
{
    struct row row = { .out = report->out };

    (void)error;
    (void)err;
    text(&row, "total");
    empty(&row);
    number(&row, "0");
    number(&row, "%" PRIu64, result->duration_ns);
    count_cells(&row, &result->counts, result->in_flight, result->duration_ns);
    latency_cells(&row, &result->rtt_latency, true);
    latency_cells(&row, &result->response_latency, result->plan.rate > 0);
    text(&row, pp_verdict_level_name(result->verdict.level));
    reasons_cell(&row, &result->verdict);
    number(&row, "%d", result->partial);
    gates_cell(&row, result);
    cost_cells(&row, result);
    run_cells(&row, result);
    end_row(&row);
    return 0;
}

static int csv_open(struct pp_report *report, struct pp_error *err)
{
    (void)report;
    (void)err;
    return 0;
}

static void csv_close(struct pp_report *report)
{
    (void)report;
}

const struct pp_report_format pp_report_csv = {
    .name = "csv",
    .suffix = ".csv",
    .streams = true,
    .open = csv_open,
    .begin = csv_begin,
    .interval = csv_interval,
    .end = csv_end,
    .close = csv_close,
};
