#include "result/latency.h"

/* Less than twice as much is not worth a line. */
#define HIDDEN_FACTOR 2

/* What is a stall, and when stalls make a closed loop's figures wrong: they take so much of the
 * time that at an even pace one message in ten would meet one, and p99 does not show them. A
 * service that is merely uneven stays below, even if its p99 is 33 times the median (lognormal). */
#define STALL_FACTOR 100
#define STALLS_MIN_NS (10 * (double)PP_NS_PER_MS) /* less is one turn of others on the CPU */
#define STALLS_TIME 0.10
#define STALLS_TRIPS 0.01

void pp_quantile_of(struct pp_quantile *quantile, const struct pp_hist *hist, double q)
{
    *quantile = (struct pp_quantile){ .q = q, .supported = pp_hist_supports(hist, q) };
    if (quantile->supported)
        quantile->ns = pp_hist_quantile_ns(hist, q);
}

void pp_latency_of(struct pp_latency *latency, const struct pp_hist *hist,
                   const struct pp_plan *plan)
{
    *latency = (struct pp_latency){
        .samples = hist->total,
        .saturated = hist->saturated,
        .min_ns = hist->total ? hist->min_ns : 0,
        .max_ns = hist->max_ns,
        .mean_ns = pp_hist_mean_ns(hist),
        .count = plan->quantile_count,
    };
    for (unsigned i = 0; i < plan->quantile_count; i++)
        pp_quantile_of(&latency->quantiles[i], hist, plan->quantiles[i]);
}

bool pp_latency_is_supported(const struct pp_latency *latency)
{
    for (unsigned i = 0; i < latency->count; i++)
        if (!latency->quantiles[i].supported)
            return false;
    return true;
}

double pp_latency_highest(const struct pp_latency *latency)
{
    double highest = 0;

    for (unsigned i = 0; i < latency->count; i++) {
        const struct pp_quantile *quantile = &latency->quantiles[i];

        if (quantile->supported && quantile->q > highest)
            highest = quantile->q;
    }
    return highest;
}

void pp_stalls_of(struct pp_stalls *stalls, const struct pp_hist *hist, uint64_t think_ns)
{
    const double time_ns = (double)hist->sum_ns + (double)hist->total * (double)think_ns;
    struct pp_hist_tail tail;

    *stalls = (struct pp_stalls){ 0 };
    if (hist->total == 0 || !(time_ns > 0))
        return;
    stalls->longer_than_ns = STALL_FACTOR * pp_hist_quantile_ns(hist, 0.5);
    tail = pp_hist_above(hist, stalls->longer_than_ns);
    stalls->trips = tail.samples;
    stalls->time_share = tail.sum_ns / time_ns;
    stalls->matter = tail.sum_ns >= STALLS_MIN_NS && stalls->time_share >= STALLS_TIME &&
                     (double)stalls->trips < STALLS_TRIPS * (double)hist->total;
}

void pp_hidden_of(struct pp_hidden *hidden, const struct pp_latency *latency,
                  const struct pp_hist *hist, uint64_t think_ns, struct pp_hist *scratch)
{
    struct pp_stalls stalls;

    *hidden = (struct pp_hidden){ .interval_ns = 0 };
    if (hist->total == 0)
        return;
    pp_stalls_of(&stalls, hist, think_ns);
    hidden->matters = stalls.matter;
    hidden->interval_ns = pp_hist_quantile_ns(hist, 0.5) + think_ns;
    pp_hist_reset(scratch);
    pp_hist_correct(scratch, hist, hidden->interval_ns);
    hidden->mean_ns = pp_hist_mean_ns(scratch);
    for (unsigned i = 0; i < latency->count; i++)
        if (latency->quantiles[i].supported)
            hidden->corrected_ns[i] = pp_hist_quantile_ns(scratch, latency->quantiles[i].q);
}

unsigned pp_hidden_lowest(const struct pp_hidden *hidden, const struct pp_latency *latency)
{
    unsigned lowest = latency->count;

    for (unsigned i = 0; i < latency->count; i++) {
        const struct pp_quantile *quantile = &latency->quantiles[i];

        if (quantile->supported && hidden->corrected_ns[i] / HIDDEN_FACTOR >= quantile->ns &&
            (lowest == latency->count || quantile->q < latency->quantiles[lowest].q))
            lowest = i;
    }
    return lowest;
}
