/* By name means by the very JSON that is written, so that names and values agree. */
#include "report/figures.h"

#include "base/container.h"
#include "base/format.h"
#include "base/memory.h"
#include "report/json_parts.h"

#include <errno.h>
#include <string.h>

#define NAME_BYTES 128

static const struct {
    const char *name, *path;
} shorts[] = {
    { "rate", "round_trips_per_s" },
    { "loss", "loss.share" },
    { "stalls", "stalls.time_share" },
    { "cpu", "costs.client.cpu_ns_per_round_trip" },
};

/* Of the main figures. */
static const struct {
    const char *name, *key;
} mains[] = { { "min", "min_ns" }, { "mean", "mean_ns" }, { "max", "max_ns" } };

static const char *path_of(const struct pp_result *result, const char *name, char path[NAME_BYTES])
{
    for (size_t i = 0; i < COUNT_OF(shorts); i++)
        if (strcmp(name, shorts[i].name) == 0)
            return shorts[i].path;
    for (size_t i = 0; i < COUNT_OF(mains); i++) {
        if (strcmp(name, mains[i].name) != 0)
            continue;
        (void)snprintf(path, NAME_BYTES, "%s.%s", result->plan.rate > 0 ? "response" : "rtt",
                       mains[i].key);
        return path;
    }
    return name;
}

/* NULL: there is none. Borrowed from root. */
static json_t *find(json_t *root, const char *path)
{
    while (root && *path) {
        const size_t bytes = strcspn(path, ".");
        char key[NAME_BYTES];

        if (bytes >= sizeof key)
            return NULL;
        memcpy(key, path, bytes);
        key[bytes] = '\0';
        root = json_object_get(root, key);
        path += bytes + (path[bytes] == '.');
    }
    return root;
}

/* The histogram whose percentile name asks for, and which one; NULL: it asks for none. */
static const struct pp_hist *hist_of(const struct pp_result *result, const char *name, double *q)
{
    static const char *const late = "schedule.sent_late.";
    const bool open_loop = result->plan.rate > 0;

    *q = pp_gate_quantile(name);
    if (*q > 0)
        return open_loop ? &result->response : &result->rtt;
    if (strncmp(name, "rtt.", 4) == 0 && (*q = pp_gate_quantile(name + 4)) > 0)
        return &result->rtt;
    if (strncmp(name, "response.", 9) == 0 && (*q = pp_gate_quantile(name + 9)) > 0)
        return &result->response;
    if (strncmp(name, late, strlen(late)) == 0 && (*q = pp_gate_quantile(name + strlen(late))) > 0)
        return &result->late;
    return NULL;
}

bool pp_figure_of(const struct pp_result *result, const char *name, double *value)
{
    char path[NAME_BYTES];
    struct pp_quantile quantile;
    double q;
    const struct pp_hist *hist = hist_of(result, name, &q);
    json_t *root, *figure;
    bool known;

    if (hist) {
        pp_quantile_of(&quantile, hist, q);
        *value = (double)quantile.ns;
        return quantile.supported;
    }
    root = pp_json_figures(result);
    figure = find(root, path_of(result, name, path));
    known = json_is_number(figure);
    if (known)
        *value = json_number_value(figure);
    json_decref(root);
    return known;
}

/* A result that has what there can be. */
static void fill_sample(struct pp_result *result, bool dgram)
{
    pp_plan_default(&result->plan, PP_JOB_RUN);
    result->plan.client_engine = result->plan.server_engine = "auto";
    result->plan.socket.dgram = dgram;
    result->plan.rate = 1;
    result->counts = (struct pp_counts){ .sent = 1, .received = 1 };
    result->duration_ns = 1;
    result->measured = true;
    result->tcp.connections = !dgram;
    result->spread.connections = 1;
    pp_hist_reset(&result->rtt);
    pp_hist_record(&result->rtt, 1);
    pp_latency_of(&result->rtt_latency, &result->rtt, &result->plan);
    pp_latency_of(&result->response_latency, &result->rtt, &result->plan);
    pp_latency_of(&result->late_latency, &result->rtt, &result->plan);
    pp_stalls_of(&result->stalls, &result->rtt, 0);
    result->hidden.interval_ns = 1;
}

/* Whether the JSON of a run has a number there, or could have one. */
static bool has_figure(struct pp_result *sample, const char *name, bool dgram, bool closed)
{
    char path[NAME_BYTES];
    json_t *root, *figure;
    bool has;

    fill_sample(sample, dgram);
    if (closed)
        sample->plan.rate = 0;
    root = pp_json_figures(sample);
    figure = find(root, path_of(sample, name, path));
    has = json_is_number(figure) || json_is_null(figure);
    json_decref(root);
    return has;
}

int pp_figure_check(const char *name, struct pp_error *err)
{
    struct pp_result *sample = pp_memory_alloc(1, sizeof *sample);
    bool has;
    double q;

    if (!sample)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a result");
    has = hist_of(sample, name, &q) || has_figure(sample, name, true, false) ||
          has_figure(sample, name, false, false) || has_figure(sample, name, false, true);
    pp_memory_free(sample);
    if (has)
        return 0;
    return pp_error_set(
        err, PP_ERROR_USAGE, -EINVAL,
        "--fail-if: no result has a figure called \"%.60s\"; there are rate, p50 and "
        "any other percentile, min, mean, max, loss, stalls, cpu, and the keys of "
        "--json, as counts.lost",
        name);
}

void pp_figures_judge(struct pp_result *result)
{
    for (unsigned i = 0; i < result->plan.gate_count; i++) {
        const struct pp_gate *gate = &result->plan.gates[i];
        struct pp_gate_outcome *outcome = &result->gates[i];

        outcome->known = pp_figure_of(result, gate->figure, &outcome->value);
        outcome->failed = !outcome->known || pp_gate_meets(gate, outcome->value);
    }
}

const char *pp_figures_gate_text(char text[PP_FIGURES_TEXT_BYTES], const struct pp_result *result,
                                 unsigned i)
{
    const struct pp_gate *gate = &result->plan.gates[i];
    const struct pp_gate_outcome *outcome = &result->gates[i];
    char value[PP_FORMAT_BYTES] = "n/a";

    if (outcome->known && pp_gate_is_time(gate->figure))
        (void)pp_format_us(value, outcome->value);
    else if (outcome->known && outcome->value >= 1000)
        (void)pp_format_decimal(value, outcome->value, 0);
    else if (outcome->known)
        (void)snprintf(value, sizeof value, "%.6g", outcome->value);
    (void)snprintf(text, PP_FIGURES_TEXT_BYTES, "%s: %s%s, %s", gate->text, value,
                   outcome->known && pp_gate_is_time(gate->figure) ? " \u00b5s" : "",
                   outcome->failed ? "failed" : "passed");
    return text;
}
