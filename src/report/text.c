/* A result for people, from the top of the page to its end: the verdict, the main figures,
 * latencies, costs, and with -v everything there is; then intervals. */
#include "report/text.h"

#include "base/format.h"
#include "base/number.h"
#include "report/figures.h"
#include "report/table.h"
#include "report/text_parts.h"

#include <inttypes.h>
#include <string.h>

#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RED "\033[31m"
#define PLAIN "\033[0m"

static const char *colour(const struct pp_report_style *style, const char *code)
{
    return style->colour ? code : "";
}

/* ---- the verdict ---- */

static const char *level_colour(enum pp_verdict_level level)
{
    static const char *const codes[] = {
        [PP_VALID] = GREEN, [PP_SUSPECT] = YELLOW, [PP_INVALID] = RED
    };

    return codes[level];
}

static void level_field(struct pp_line *line, const struct pp_report_style *style,
                        enum pp_verdict_level level, const char *after)
{
    pp_line_field(line, "%s%s%s%s", colour(style, level_colour(level)),
                  pp_verdict_level_name(level), colour(style, PLAIN), after);
}

static void reason_line(FILE *out, const struct pp_report_style *style,
                        const struct pp_reason *reason)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };

    if (reason->level > PP_VALID)
        level_field(&line, style, reason->level, ":");
    else
        pp_line_words(&line, "note:");
    pp_line_words(&line, reason->text);
    pp_line_words(&line, "\u2192");
    pp_line_words(&line, pp_reason_cure(reason->id));
    pp_line_end(&line);
}

/* Reasons of the levels from least on, up to most. */
static void reason_lines(FILE *out, const struct pp_report_style *style,
                         const struct pp_result *result, enum pp_verdict_level least,
                         enum pp_verdict_level most)
{
    const struct pp_verdict *verdict = &result->verdict;

    for (unsigned i = 0; i < verdict->count; i++)
        if (verdict->reasons[i].level >= least && verdict->reasons[i].level <= most)
            reason_line(out, style, &verdict->reasons[i]);
}

/* ---- the main figures ---- */

static const char *checked(const struct pp_plan *plan)
{
    if (plan->verify == PP_VERIFY_OFF)
        return "answers not checked";
    if (plan->expect_how == PP_EXPECT_UNTIL)
        return "only endings checked";
    if (plan->verify == PP_VERIFY_FULL && plan->expect_how != PP_EXPECT_BYTES)
        return "every byte checked";
    return "only lengths checked";
}

static void count_words(struct pp_line *line, const struct pp_result *result)
{
    const uint64_t received = result->counts.received;
    char text[PP_FORMAT_BYTES], of[PP_FORMAT_BYTES], words[256];

    (void)pp_format_count(text, received);
    if (!result->partial)
        (void)snprintf(words, sizeof words, "%s round trip%s, %s", text, pp_text_plural(received),
                       checked(&result->plan));
    else if (result->plan.count)
        (void)snprintf(words, sizeof words, "PARTIAL: %s of %s round trips, %s%s", text,
                       pp_format_count(of, result->plan.count), checked(&result->plan),
                       result->signal ? "; interrupted" : "");
    else
        (void)snprintf(words, sizeof words,
                       "PARTIAL: %s round trip%s in less than the time asked for, %s%s", text,
                       pp_text_plural(received), checked(&result->plan),
                       result->signal ? "; interrupted" : "");
    pp_line_words(line, words);
}

static void count_line(FILE *out, const struct pp_report_style *style,
                       const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };

    count_words(&line, result);
    line.separator = PP_LINE_DOT;
    if (!style->quiet)
        level_field(&line, style, result->verdict.level, "");
    pp_line_end(&line);
}

static void rate_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_result *result)
{
    char text[PP_FORMAT_BYTES];

    (void)fprintf(out, "%s%s roundtrips/s%s\n", colour(style, BOLD),
                  pp_format_decimal(text, pp_result_rate(result), 2), colour(style, PLAIN));
    (void)fprintf(out, "%s seconds total\n",
                  pp_format_decimal(text, (double)result->duration_ns / 1e9, 2));
}

/* ---- latencies ---- */

static void us_cell(char cell[PP_FORMAT_BYTES], double ns, bool known)
{
    if (known)
        (void)pp_format_us(cell, ns);
    else
        (void)snprintf(cell, PP_FORMAT_BYTES, "n/a");
}

static void latency_row(struct pp_table *table, const char *label, const struct pp_latency *latency)
{
    char(*cells)[PP_FORMAT_BYTES] = table->cells[table->rows];
    unsigned column = 0;

    table->labels[table->rows++] = label;
    us_cell(cells[column++], (double)latency->min_ns, true);
    us_cell(cells[column++], latency->mean_ns, true);
    for (unsigned i = 0; i < latency->count; i++)
        us_cell(cells[column++], (double)latency->quantiles[i].ns, latency->quantiles[i].supported);
    us_cell(cells[column], (double)latency->max_ns, true);
}

/* What a closed loop would show, had it sent messages while it waited, too. */
static void pace_row(struct pp_table *table, const struct pp_result *result)
{
    struct pp_latency paced = result->rtt_latency;

    paced.mean_ns = result->hidden.mean_ns;
    for (unsigned i = 0; i < paced.count; i++)
        paced.quantiles[i].ns = result->hidden.corrected_ns[i];
    latency_row(table, "  at an even pace, about", &paced);
}

static void latency_heads(struct pp_table *table, const struct pp_latency *latency)
{
    char percentile[PP_FORMAT_BYTES];

    (void)pp_table_head(table, "min");
    (void)pp_table_head(table, "mean");
    for (unsigned i = 0; i < latency->count; i++)
        (void)pp_table_head(table, "p%s",
                            pp_format_percentile(percentile, latency->quantiles[i].q));
    (void)pp_table_head(table, "max");
}

/* In an open loop from when a message ought to have been sent, and below from when it was. */
static void latency_table(FILE *out, const struct pp_report_style *style,
                          const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;
    struct pp_table table = { .title = "RTT \u00b5s" };
    char text[PP_FORMAT_BYTES];

    if (result->rtt_latency.samples == 0)
        return;
    (void)fputc('\n', out);
    latency_heads(&table, &result->rtt_latency);
    if (result->plan.rate > 0) {
        latency_row(&table, "  from intended send", &result->response_latency);
        latency_row(&table, "  from actual send", &result->rtt_latency);
        latency_row(&table, "  sent late by", &result->late_latency);
    } else {
        latency_row(&table, result->hidden.matters ? "  measured" : "", &result->rtt_latency);
    }
    if (result->hidden.matters)
        pace_row(&table, result);
    pp_table_write(&table, out, style->columns);
    (void)fprintf(
        out, "  max %s s after the start\n",
        pp_format_decimal(text, (double)(counts->worst_at_ns - counts->first_ns) / 1e9, 2));
}

static double rate_of(uint64_t round_trips, const struct pp_result *result)
{
    return pp_number_per_s(round_trips, result->duration_ns);
}

/* How evenly connections were served. */
static void spread_line(FILE *out, const struct pp_report_style *style,
                        const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_spread *spread = &result->spread;
    char a[PP_FORMAT_BYTES], b[PP_FORMAT_BYTES];

    if (spread->connections < 2 || result->counts.received == 0)
        return;
    pp_line_field(&line, "connections  slowest %s/s",
                  pp_format_decimal(a, rate_of(spread->least, result), 1));
    pp_line_field(&line, "fastest %s/s", pp_format_decimal(a, rate_of(spread->most, result), 1));
    pp_line_field(&line, "Jain's index %.3f", result->jain);
    if (spread->with_p99 > 0)
        pp_line_field(&line, "p99 from %s to %s \u00b5s",
                      pp_format_us(a, (double)spread->p99_least_ns),
                      pp_format_us(b, (double)spread->p99_most_ns));
    pp_line_end(&line);
}

static void loss_line(FILE *out, const struct pp_report_style *style,
                      const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_counts *counts = &result->counts;
    char text[PP_FORMAT_BYTES];

    if (!result->plan.socket.dgram || counts->received + counts->lost == 0)
        return;
    pp_line_field(&line, "lost %s (%.4f %%, 95 %% interval %.4f to %.4f %%)",
                  pp_format_count(text, counts->lost), 100 * result->loss,
                  100 * result->loss_interval.low, 100 * result->loss_interval.high);
    pp_line_field(&line, "late %s", pp_format_count(text, counts->late));
    pp_line_field(&line, "duplicate %s", pp_format_count(text, counts->duplicates));
    pp_line_field(&line, "reordered %s", pp_format_count(text, counts->reordered));
    if (counts->strays)
        pp_line_field(&line, "stray %s", pp_format_count(text, counts->strays));
    pp_line_end(&line);
}

/* ---- costs ---- */

static void cost_row(struct pp_table *table, const char *label, const struct pp_result_side *side,
                     uint64_t round_trips, bool known, bool calls_known)
{
    char(*cells)[PP_FORMAT_BYTES] = table->cells[table->rows];
    const double trips = (double)round_trips;
    const double user_ns = (double)side->usage.user_ns, system_ns = (double)side->usage.system_ns;

    table->labels[table->rows++] = label;
    us_cell(cells[0], (user_ns + system_ns) / trips, known);
    us_cell(cells[1], user_ns / trips, known);
    us_cell(cells[2], system_ns / trips, known);
    (void)snprintf(cells[3], PP_FORMAT_BYTES, "n/a");
    (void)snprintf(cells[4], PP_FORMAT_BYTES, "n/a");
    if (!known)
        return;
    if (calls_known)
        (void)pp_format_decimal(cells[3], (double)side->io.syscalls / trips, 2);
    (void)pp_format_decimal(cells[4], (double)side->usage.context_switches / trips, 2);
}

/* It is one that does say what it costs, but it could not be asked. */
static void silent_line(FILE *out, const struct pp_report_style *style)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };

    pp_line_field(&line, "  server n/a:");
    pp_line_words(&line, "it did not answer again, has begun anew, or says what cannot be");
    pp_line_end(&line);
}

/* A server that has not said what it costs costs nobody knows what. */
static void shared_line(FILE *out, const struct pp_report_style *style,
                        const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };

    pp_line_field(
        &line,
        "server  %.1f %% of the bytes that it sent were for this client, which is what it "
        "is charged",
        result->server_share * 100);
    if (result->server_others > 0)
        pp_line_field(&line, "connections of others: %" PRIu64, result->server_others);
    pp_line_end(&line);
}

static void cost_table(FILE *out, const struct pp_report_style *style,
                       const struct pp_result *result)
{
    const bool known = pp_result_server_costs_known(result);
    const uint64_t trips = result->counts.received;
    struct pp_table table = { .title = "cost a round trip" };
    char text[PP_FORMAT_BYTES];

    if (trips == 0)
        return;
    (void)pp_table_head(&table, "CPU \u00b5s");
    (void)pp_table_head(&table, "user");
    (void)pp_table_head(&table, "system");
    (void)pp_table_head(&table, "system calls");
    (void)pp_table_head(&table, "context switches");
    cost_row(&table, "  client", &result->client, trips, pp_result_client_costs_known(result),
             true);
    cost_row(&table, "  server", &result->server, pp_result_server_trips(result), known,
             pp_result_server_calls_known(result));
    pp_table_write(&table, out, style->columns);
    if (known && result->server_share > 0 && result->server_share < 1)
        shared_line(out, style, result);
    if (result->peer == PP_PEER_PINGPONG && !known)
        silent_line(out, style);
    if (result->server_memory_bytes > 0)
        (void)fprintf(out, "server  %s MB of memory\n",
                      pp_format_decimal(text, (double)result->server_memory_bytes / 1e6, 1));
}

/* It has answered as an echo does, which is all that is known of it. */
static void echo_line(FILE *out, const struct pp_result *result)
{
    const bool echoes = result->plan.expect_how == PP_EXPECT_ECHO && !result->plan.answers;

    if (result->peer == PP_PEER_UNKNOWN && echoes && result->plan.hello &&
        result->counts.received > 0)
        (void)fputs("server: a plain echo, as far as can be told\n", out);
}

static void tcp_line(FILE *out, const struct pp_report_style *style, const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_tcp_summary *tcp = &result->tcp;
    char a[PP_FORMAT_BYTES], b[PP_FORMAT_BYTES];

    if (tcp->connections == 0)
        return;
    pp_line_field(&line, "TCP  retransmits %s", pp_format_count(a, tcp->retransmits));
    if (tcp->min_rtt_ns)
        pp_line_field(&line, "least RTT seen by the kernel %s \u00b5s",
                      pp_format_us(a, (double)tcp->min_rtt_ns));
    if (tcp->mss_least == tcp->mss_most)
        pp_line_field(&line, "MSS %s B", pp_format_count(a, tcp->mss_least));
    else
        pp_line_field(&line, "MSS %s to %s B", pp_format_count(a, tcp->mss_least),
                      pp_format_count(b, tcp->mss_most));
    pp_line_field(&line, "%s", tcp->congestion);
    if (tcp->fallbacks)
        pp_line_field(&line, "%s of %s connections fell back from MPTCP to TCP",
                      pp_format_count(a, tcp->fallbacks), pp_format_count(b, tcp->connections));
    pp_line_end(&line);
}

/* ---- everything there is ---- */

/* Of a server elsewhere only the system calls are known. */
static void side_line(FILE *out, const struct pp_report_style *style, const char *name,
                      const struct pp_result_side *side, bool elsewhere)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    char a[PP_FORMAT_BYTES], b[PP_FORMAT_BYTES];

    pp_line_field(&line, "%s  CPU %s ms user + %s ms system", name,
                  pp_format_count(a, side->usage.user_ns / 1000000),
                  pp_format_count(b, side->usage.system_ns / 1000000));
    if (!elsewhere)
        pp_line_field(&line, "%s turns", pp_format_count(a, side->io.turns));
    pp_line_field(&line, "%s system calls", pp_format_count(a, side->io.syscalls));
    if (elsewhere) {
        pp_line_end(&line);
        return;
    }
    pp_line_field(&line, "%s waits for a buffer", pp_format_count(a, side->io.starved));
    pp_line_field(&line, "%s queue overflows", pp_format_count(a, side->io.overflows));
    pp_line_field(&line, "%s yield guard trips", pp_format_count(a, side->io.guard_trips));
    pp_line_end(&line);
}

static void gates_line(FILE *out, const struct pp_report_style *style,
                       const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    char text[PP_FIGURES_TEXT_BYTES];

    for (unsigned i = 0; i < result->plan.gate_count; i++)
        pp_line_field(&line, "%s%s", i == 0 ? "fail if  " : "",
                      pp_figures_gate_text(text, result, i));
    if (result->plan.gate_count > 0)
        pp_line_end(&line);
}

static void identity_line(FILE *out, const struct pp_report_style *style,
                          const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };
    const struct pp_counts *counts = &result->counts;

    pp_line_field(&line, "sent %" PRIu64, counts->sent);
    pp_line_field(&line, "= received %" PRIu64, counts->received);
    pp_line_field(&line, "+ lost %" PRIu64, counts->lost);
    pp_line_field(&line, "+ errors %" PRIu64, counts->errors);
    pp_line_field(&line, "+ in flight %" PRIu64, result->in_flight);
    pp_line_end(&line);
}

/* What could not be read: no fault, and not fine either. */
static void unknown_line(FILE *out, const struct pp_report_style *style,
                         const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };
    const struct pp_verdict *verdict = &result->verdict;

    if (verdict->unknowns == 0)
        return;
    pp_line_field(&line, "not judged, as it is unknown:");
    for (unsigned i = 0; i < verdict->unknowns; i++)
        pp_line_field(&line, "%s%s", pp_reason_name(verdict->unknown[i]),
                      i + 1 < verdict->unknowns ? "," : "");
    pp_line_end(&line);
}

static void disturbance_line(FILE *out, const struct pp_report_style *style,
                             const struct pp_result *result)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const struct pp_disturbance *disturbance = &result->disturbance;
    char text[PP_FORMAT_BYTES];

    (void)snprintf(text, sizeof text, "n/a");
    if (!result->client_load.unknown)
        (void)snprintf(text, sizeof text, "%.0f %%", result->client_load.share * 100);
    pp_line_field(&line, "meanwhile  busiest client thread %s", text);
    if (disturbance->others_known)
        pp_line_field(&line, "other programs %.1f %%", disturbance->others_share * 100);
    if (disturbance->steal_known)
        pp_line_field(&line, "steal %.1f %%", disturbance->steal_share * 100);
    if (result->waiting.known)
        pp_line_field(&line, "waited for a CPU %.1f %%", result->waiting.share * 100);
    if (result->waiting.others_known)
        pp_line_field(&line, "of that for others %.1f %%", result->waiting.others_share * 100);
    if (disturbance->load_after >= 0)
        pp_line_field(&line, "load average %.2f to %.2f", disturbance->load_before,
                      disturbance->load_after);
    pp_line_field(&line, "%s %s", result->steadiness.of_latency ? "mean latency" : "rate",
                  pp_course_name(result->steadiness.course.shape));
    pp_line_field(&line, "a clock reading %s ns", pp_format_count(text, result->clock_reading_ns));
    pp_line_end(&line);
}

/* ---- intervals ---- */

/* As wide as the figures below them, so that both are folded at the same places. */
static void interval_heads(struct pp_line *line, bool dgram)
{
    pp_line_field(line, "%15s", "seconds");
    pp_line_field(line, "%16s", "roundtrips/s");
    pp_line_field(line, "%11s", "p50 \u00b5s"); /* of 10 columns */
    pp_line_field(line, "%11s", "p99 \u00b5s");
    pp_line_field(line, "%11s", "max \u00b5s");
    pp_line_field(line, "%8s", dgram ? "lost" : "errors");
    pp_line_end(line);
}

void pp_text_interval(FILE *out, const struct pp_report_style *style,
                      const struct pp_result *result, const struct pp_result_interval *interval)
{
    const bool open_loop = result->plan.rate > 0;
    const struct pp_latency *latency = open_loop ? &interval->response_latency
                                                 : &interval->rtt_latency;
    const int64_t bad = (int64_t)(interval->counts.errors + interval->counts.lost);
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    if (style->quiet)
        return;
    if (interval->number == 1)
        interval_heads(&line, result->plan.socket.dgram);
    pp_line_field(&line, "%7.2f-%7.2f", (double)interval->start_ns / 1e9,
                  (double)(interval->start_ns + interval->length_ns) / 1e9);
    (void)pp_format_decimal(text, pp_number_per_s(interval->counts.received, interval->length_ns),
                            1);
    pp_line_field(&line, "%16s", text);
    us_cell(text, (double)interval->p50.ns, interval->p50.supported);
    pp_line_field(&line, "%10s", text);
    us_cell(text, (double)interval->p99.ns, interval->p99.supported);
    pp_line_field(&line, "%10s", text);
    us_cell(text, (double)latency->max_ns, latency->samples > 0);
    pp_line_field(&line, "%10s", text);
    pp_line_field(&line, "%8" PRId64, bad);
    pp_line_end(&line);
    (void)fflush(out);
}

/* ---- the whole ---- */

void pp_text_end(FILE *out, const struct pp_report_style *style, const struct pp_result *result)
{
    if (!style->quiet)
        (void)fputc('\n', out);
    if (!style->quiet || result->partial)
        count_line(out, style, result);
    reason_lines(out, style, result, style->quiet ? PP_INVALID : PP_SUSPECT, PP_INVALID);
    rate_lines(out, style, result);
    if (style->quiet)
        return;
    latency_table(out, style, result);
    reason_lines(out, style, result, PP_VALID, PP_VALID);
    loss_line(out, style, result);
    spread_line(out, style, result);
    cost_table(out, style, result);
    echo_line(out, result);
    tcp_line(out, style, result);
    if (result->measured && (style->verbose || !result->waiting.known)) /* that is not usual */
        unknown_line(out, style, result);
    gates_line(out, style, result);
    if (!style->verbose)
        return;
    if (pp_result_client_costs_known(result))
        side_line(out, style, "client", &result->client, false);
    if (pp_result_server_calls_known(result))
        side_line(out, style, "server", &result->server, result->peer != PP_PEER_OURS);
    disturbance_line(out, style, result);
    identity_line(out, style, result);
}

/* ---- as an output ---- */

static int text_open(struct pp_report *report, struct pp_error *err)
{
    (void)report;
    (void)err;
    return 0;
}

static void text_begin(struct pp_report *report, const struct pp_result *result)
{
    pp_text_begin(report->out, &report->style, result);
    (void)fflush(report->out);
}

static void text_interval(struct pp_report *report, const struct pp_result *result,
                          const struct pp_result_interval *interval)
{
    if (report->style.intervals)
        pp_text_interval(report->out, &report->style, result, interval);
}

static int text_end(struct pp_report *report, const struct pp_result *result,
                    const struct pp_error *error, struct pp_error *err)
{
    (void)error;
    (void)err;
    pp_text_end(report->out, &report->style, result);
    return 0;
}

static void text_close(struct pp_report *report)
{
    (void)report;
}

const struct pp_report_format pp_report_text = {
    .name = "text",
    .suffix = ".txt",
    .streams = true,
    .open = text_open,
    .begin = text_begin,
    .interval = text_interval,
    .end = text_end,
    .close = text_close,
};
