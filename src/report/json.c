/* A result as one JSON object; or as it goes, a line of JSON for each interval and a last one for
 * the whole. docs/OUTPUT.md has the schema, and says what each key means. */
#include "base/clock.h"
#include "base/number.h"
#include "measure/hist_wire.h"
#include "report/json_parts.h"
#include "report/names.h"
#include "report/report.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* To be raised when a key changes its meaning or goes; new ones may come without. */
#define FORMAT_VERSION 2

/* ---- parts that only the whole has ---- */

/* Takes both over. */
static json_t *joined(json_t *a, json_t *b)
{
    if (!a || !b || json_object_update(a, b) < 0) {
        json_decref(a);
        a = NULL;
    }
    json_decref(b);
    return a;
}

/* "2026-11-24T18:31:08.123Z" */
static json_t *wall_time(uint64_t ns)
{
    const time_t seconds = (time_t)(ns / PP_NS_PER_S);
    char text[64];
    struct tm parts;
    size_t used;

    (void)gmtime_r(&seconds, &parts);
    used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text + used, sizeof text - used, ".%03uZ",
                   (unsigned)(ns % PP_NS_PER_S / PP_NS_PER_MS));
    return json_string(text);
}

static json_t *server(const struct pp_result *result)
{
    static const char *const kinds[] = { [PP_PEER_OURS] = "this process",
                                         [PP_PEER_PINGPONG] = "pingpong",
                                         [PP_PEER_UNKNOWN] = "unknown" };
    char addr[PP_TARGET_TEXT_BYTES];

    return json_pack(
        "{s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "address",
        pp_json_text(pp_server_address(result, addr)), "transport", pp_transport_id(&result->plan),
        "kind", kinds[result->peer], "version", pp_json_text(result->peer_says.version), "host",
        pp_json_text(result->peer_says.host), "engine", pp_json_text(result->server.engine), "wait",
        pp_json_text(result->peer_says.wait));
}

static json_t *per_round_trip(double total, uint64_t round_trips)
{
    return round_trips ? json_real(total / (double)round_trips) : json_null();
}

static json_t *costs_of(const struct pp_result_side *side, uint64_t round_trips, bool calls_known)
{
    const double cpu_ns = (double)(side->usage.user_ns + side->usage.system_ns);

    return json_pack(
        "{s:I, s:I, s:o, s:I, s:o, s:o, s:o}", "cpu_user_ns", (json_int_t)side->usage.user_ns,
        "cpu_system_ns", (json_int_t)side->usage.system_ns, "system_calls",
        calls_known ? json_integer((json_int_t)side->io.syscalls) : json_null(), "context_switches",
        (json_int_t)side->usage.context_switches, "cpu_ns_per_round_trip",
        pp_json_ns(round_trips ? (uint64_t)(cpu_ns / (double)round_trips + 0.5) : 0,
                   round_trips > 0),
        "system_calls_per_round_trip",
        calls_known ? per_round_trip((double)side->io.syscalls, round_trips) : json_null(),
        "context_switches_per_round_trip",
        per_round_trip((double)side->usage.context_switches, round_trips));
}

static json_t *costs_if(bool known, bool calls_known, const struct pp_result_side *side,
                        uint64_t round_trips)
{
    return known ? costs_of(side, round_trips, calls_known) : json_null();
}

/* A server that has not said what it costs costs nobody knows what. */
static json_t *costs(const struct pp_result *result)
{
    const uint64_t trips = result->counts.received;
    const struct pp_load *load = &result->client_load;

    if (!result->measured)
        return json_null();
    return json_pack(
        "{s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "client",
        costs_if(pp_result_client_costs_known(result), true, &result->client, trips), "server",
        costs_if(pp_result_server_costs_known(result), pp_result_server_calls_known(result),
                 &result->server, pp_result_server_trips(result)),
        "server_share", result->server_share > 0 ? json_real(result->server_share) : json_null(),
        "server_other_connections", (json_int_t)result->server_others, "server_memory_bytes",
        result->server_memory_bytes ? json_integer((json_int_t)result->server_memory_bytes)
                                    : json_null(),
        "client_busy_share", load->unknown ? json_null() : json_real(load->share),
        "client_saturated", load->unknown ? json_null() : json_boolean(load->saturated));
}

static json_t *rate_of(uint64_t round_trips, uint64_t duration_ns)
{
    return duration_ns ? json_real(pp_number_per_s(round_trips, duration_ns)) : json_null();
}

static json_t *spread(const struct pp_result *result)
{
    const struct pp_spread *spread_ = &result->spread;
    const bool has_p99 = spread_->with_p99 > 0;

    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:f}", "count",
                     (json_int_t)spread_->connections, "slowest_round_trips_per_s",
                     rate_of(spread_->least, result->duration_ns), "fastest_round_trips_per_s",
                     rate_of(spread_->most, result->duration_ns), "lowest_p99_ns",
                     pp_json_ns(spread_->p99_least_ns, has_p99), "highest_p99_ns",
                     pp_json_ns(spread_->p99_most_ns, has_p99), "with_p99",
                     (json_int_t)spread_->with_p99, "jain_index", result->jain);
}

static json_t *tcp(const struct pp_result *result)
{
    const struct pp_tcp_summary *tcp_ = &result->tcp;

    if (tcp_->connections == 0)
        return json_null();
    return json_pack("{s:I, s:I, s:o, s:I, s:I, s:o, s:I}", "connections",
                     (json_int_t)tcp_->connections, "retransmits", (json_int_t)tcp_->retransmits,
                     "min_rtt_ns", pp_json_ns(tcp_->min_rtt_ns, tcp_->min_rtt_ns > 0),
                     "mss_min_bytes", (json_int_t)tcp_->mss_least, "mss_max_bytes",
                     (json_int_t)tcp_->mss_most, "congestion_control",
                     pp_json_text(tcp_->congestion), "mptcp_fallbacks",
                     (json_int_t)tcp_->fallbacks);
}

static json_t *loss(const struct pp_result *result)
{
    const uint64_t settled = result->counts.received + result->counts.lost;
    if (!result->plan.socket.dgram || settled == 0)
        return json_null();
    return json_pack("{s:f, s:f, s:f}", "share", result->loss, "low", result->loss_interval.low,
                     "high", result->loss_interval.high);
}

static json_t *corrected(const struct pp_result *result)
{
    const struct pp_latency *latency = &result->rtt_latency;
    json_t *array = json_array();

    for (unsigned i = 0; array && i < latency->count; i++) {
        const struct pp_quantile *quantile = &latency->quantiles[i];
        json_t *object = json_pack("{s:f, s:o, s:o}", "percentile", quantile->q * 100, "shown_ns",
                                   pp_json_ns(quantile->ns, quantile->supported), "corrected_ns",
                                   pp_json_ns(result->hidden.corrected_ns[i], quantile->supported));

        if (json_array_append_new(array, object) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *hidden(const struct pp_result *result)
{
    if (!result->hidden.interval_ns)
        return json_null();
    return json_pack("{s:I, s:b, s:I, s:o}", "expected_interval_ns",
                     (json_int_t)result->hidden.interval_ns, "matters", (int)result->hidden.matters,
                     "corrected_mean_ns", (json_int_t)(result->hidden.mean_ns + 0.5), "percentiles",
                     corrected(result));
}

static json_t *stalls(const struct pp_result *result)
{
    const struct pp_stalls *stalls_ = &result->stalls;

    if (!stalls_->longer_than_ns)
        return json_null();
    return json_pack("{s:I, s:I, s:f}", "longer_than_ns", (json_int_t)stalls_->longer_than_ns,
                     "round_trips", (json_int_t)stalls_->trips, "time_share", stalls_->time_share);
}

static json_t *worst(const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;

    if (counts->received == 0)
        return json_null();
    return json_pack("{s:I, s:I}", "ns", (json_int_t)counts->worst_ns, "at_ns",
                     (json_int_t)(counts->worst_at_ns - counts->first_ns));
}

static json_t *counts_of(const struct pp_result *result)
{
    return joined(pp_json_counts(&result->counts, result->in_flight),
                  json_pack("{s:o}", "in_flight_oldest_ns",
                            pp_json_ns(result->counts.unanswered_ns,
                                       result->in_flight > result->counts.drained)));
}

static json_t *error_of(const struct pp_error *error)
{
    static const char *const kinds[] = { [PP_ERROR_RUN] = "run",
                                         [PP_ERROR_USAGE] = "usage",
                                         [PP_ERROR_GATE] = "gate",
                                         [PP_ERROR_UNAVAILABLE] = "unavailable",
                                         [PP_ERROR_WRONG_ECHO] = "wrong_answer" };

    if (!error->code)
        return json_null();
    return json_pack("{s:s, s:o}", "kind", kinds[error->kind], "text", pp_json_text(error->text));
}

static json_t *program(void)
{
    return json_pack("{s:s, s:s, s:s}", "version", PP_VERSION, "compiler", PP_COMPILER, "flags",
                     PP_FLAGS);
}

/* ---- the whole ---- */

/* How an open loop's schedule was kept. */
static json_t *schedule(const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;

    if (!(result->plan.rate > 0))
        return json_null();
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:b}", "sent_late",
                     pp_json_latency(&result->late_latency), "delayed", (json_int_t)counts->delayed,
                     "delayed_ns", (json_int_t)counts->delayed_ns, "lag_ns",
                     (json_int_t)counts->lag_ns, "unsent", (json_int_t)counts->unsent,
                     "grew_until_end", (int)result->growth.until_end);
}

static json_t *figures(const struct pp_result *result)
{
    const bool open_loop = result->plan.rate > 0;

    return json_pack("{s:I, s:o, s:I, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "round_trips", (json_int_t)result->counts.received, "round_trips_per_s",
                     rate_of(result->counts.received, result->duration_ns), "duration_ns",
                     (json_int_t)result->duration_ns, "counts", counts_of(result), "balanced",
                     (int)result->balanced, "rtt", pp_json_latency(&result->rtt_latency),
                     "response",
                     open_loop ? pp_json_latency(&result->response_latency) : json_null(),
                     "schedule", schedule(result), "worst", worst(result), "stalls", stalls(result),
                     "hidden_stalls", hidden(result), "loss", loss(result), "connections",
                     spread(result), "costs", costs(result), "tcp", tcp(result));
}

json_t *pp_json_figures(const struct pp_result *result)
{
    return joined(figures(result),
                  json_pack("{s:o}", "disturbance",
                            result->measured ? pp_json_disturbance(result) : json_null()));
}

static json_t *gate(const struct pp_gate *gate_, const struct pp_gate_outcome *outcome)
{
    return json_pack("{s:o, s:o, s:o, s:b}", "condition", pp_json_text(gate_->text), "figure",
                     pp_json_text(gate_->figure), "value",
                     outcome->known ? json_real(outcome->value) : json_null(), "failed",
                     (int)outcome->failed);
}

static json_t *gates(const struct pp_result *result)
{
    json_t *array = json_array();

    for (unsigned i = 0; array && i < result->plan.gate_count; i++)
        if (json_array_append_new(array, gate(&result->plan.gates[i], &result->gates[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *head(const struct pp_result *result)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "format", "pingpong-result",
                     "format_version", FORMAT_VERSION, "pingpong", program(), "server",
                     server(result), "client_engine", pp_json_text(result->client.engine),
                     "engine_not_used", pp_json_text(result->refused_engine), "options",
                     pp_json_options(&result->plan), "host", pp_json_host(result), "route",
                     pp_json_route(result));
}

static json_t *tail(const struct pp_result *result, const struct pp_error *error)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "started",
                     result->measured ? wall_time(result->wall_start_ns) : json_null(),
                     "started_unix_ns", pp_json_ns(result->wall_start_ns, result->measured),
                     "verdict", pp_json_verdict(&result->verdict), "gates", gates(result),
                     "partial", (int)result->partial, "signal",
                     result->signal ? json_integer(result->signal) : json_null(), "error",
                     error_of(error), "disturbance",
                     result->measured ? pp_json_disturbance(result) : json_null());
}

/* False without memory. */
static bool add_histogram(json_t *object, const char *key, struct pp_hist_encoder *encoder,
                          const struct pp_hist *hist)
{
    return json_object_set_new(json_object_get(object, key), "histogram",
                               json_string(pp_hist_encode(encoder, hist))) == 0;
}

/* Takes object over. Percentiles of several results together can be had from these alone. */
static json_t *with_histograms(json_t *object, const struct pp_result *result)
{
    struct pp_hist_encoder *encoder = pp_hist_encoder_open();
    bool done = object && encoder && add_histogram(object, "rtt", encoder, &result->rtt);

    if (done && result->plan.rate > 0)
        done = add_histogram(object, "response", encoder, &result->response);
    pp_hist_encoder_close(encoder);
    if (done)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *whole(const struct pp_report *report, const struct pp_result *result,
                     const struct pp_error *error)
{
    json_t *object = joined(joined(head(result), tail(result, error)), figures(result));

    return report->style.histogram ? with_histograms(object, result) : object;
}

static json_t *interval_object(const struct pp_result *result,
                               const struct pp_result_interval *interval)
{
    const bool open_loop = result->plan.rate > 0;

    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "number",
                     (json_int_t)interval->number, "start_ns", (json_int_t)interval->start_ns,
                     "length_ns", (json_int_t)interval->length_ns, "round_trips",
                     (json_int_t)interval->counts.received, "round_trips_per_s",
                     rate_of(interval->counts.received, interval->length_ns), "counts",
                     pp_json_counts(&interval->counts, interval->in_flight), "rtt",
                     pp_json_latency(&interval->rtt_latency), "response",
                     open_loop ? pp_json_latency(&interval->response_latency) : json_null());
}

/* ---- one object ---- */

/* Reals have as many digits as are sure to be theirs. */
#define REALS JSON_REAL_PRECISION(15)

static int no_memory(struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the result as JSON");
}

/* Takes object over. It becomes text first: without memory for that nothing is written, rather than
 * a part. Its length is counted without any text, since json_dumps() (2.14) leaves a key out whose
 * memory it does not get. 0 or -ENOMEM; whether out has taken it is for its owner to find out. */
static int put(FILE *out, json_t *object, size_t flags)
{
    const size_t bytes = object ? json_dumpb(object, NULL, 0, flags | REALS) : 0;
    char *text = object ? json_dumps(object, flags | REALS) : NULL;
    const bool whole = text && bytes > 0 && strlen(text) == bytes;
    json_free_t give_back;

    if (whole) {
        (void)fputs(text, out);
        (void)fputc('\n', out);
    }
    json_get_alloc_funcs(NULL, &give_back);
    give_back(text);
    json_decref(object);
    return whole ? 0 : -ENOMEM;
}

/* The state is the array of intervals, if any were asked for. */
static int json_open(struct pp_report *report, struct pp_error *err)
{
    if (!report->style.intervals)
        return 0;
    report->state = json_array();
    return report->state ? 0 : no_memory(err);
}

static void json_begin(struct pp_report *report, const struct pp_result *result)
{
    (void)report;
    (void)result;
}

static void json_interval(struct pp_report *report, const struct pp_result *result,
                          const struct pp_result_interval *interval)
{
    if (report->state &&
        json_array_append_new(report->state, interval_object(result, interval)) < 0)
        report->error = -ENOMEM;
}

static int json_end(struct pp_report *report, const struct pp_result *result,
                    const struct pp_error *error, struct pp_error *err)
{
    json_t *intervals = report->state ? json_incref(report->state) : json_null();
    json_t *object = joined(whole(report, result, error),
                            json_pack("{s:o}", "intervals", intervals));

    if (report->error < 0) {
        json_decref(object);
        return no_memory(err);
    }
    return put(report->out, object, JSON_INDENT(2)) < 0 ? no_memory(err) : 0;
}

static void json_close(struct pp_report *report)
{
    json_decref(report->state);
    report->state = NULL;
}

const struct pp_report_format pp_report_json = {
    .name = "json",
    .suffix = ".json",
    .open = json_open,
    .begin = json_begin,
    .interval = json_interval,
    .end = json_end,
    .close = json_close,
};

/* ---- a line each ---- */

/* Takes object over. After a line that is missing there are no others: what follows the gap would
 * be taken for the whole. */
static void put_line(struct pp_report *report, const char *type, json_t *object)
{
    json_t *line = joined(json_pack("{s:s}", "type", type), object);

    if (report->error < 0) {
        json_decref(line);
        return;
    }
    report->error = put(report->out, line, JSON_COMPACT);
    (void)fflush(report->out);
}

static int stream_open(struct pp_report *report, struct pp_error *err)
{
    (void)report;
    (void)err;
    return 0;
}

static void stream_begin(struct pp_report *report, const struct pp_result *result)
{
    put_line(report, "begin", head(result));
}

static void stream_interval(struct pp_report *report, const struct pp_result *result,
                            const struct pp_result_interval *interval)
{
    put_line(report, "interval", interval_object(result, interval));
}

static int stream_end(struct pp_report *report, const struct pp_result *result,
                      const struct pp_error *error, struct pp_error *err)
{
    put_line(report, "result", whole(report, result, error));
    return report->error < 0 ? no_memory(err) : 0;
}

static void stream_close(struct pp_report *report)
{
    (void)report;
}

const struct pp_report_format pp_report_json_stream = {
    .name = "json-stream",
    .suffix = ".jsonl",
    .streams = true,
    .wants_intervals = true,
    .open = stream_open,
    .begin = stream_begin,
    .interval = stream_interval,
    .end = stream_end,
    .close = stream_close,
};
