#include "bench/latency.h"

#include "measure/stat.h"

/* Less than twice as much is not worth a line. */
#define HIDDEN_FACTOR 2

void pp_quantile_of(struct pp_quantile *quantile, const struct pp_hist *hist, double q)
{
    uint64_t low, high;

    *quantile = (struct pp_quantile){ .q = q, .supported = pp_hist_supports(hist, q) };
    if (!quantile->supported)
        return;
    pp_stat_quantile_ranks(hist->total, q, &low, &high);
    quantile->ns = pp_hist_quantile_ns(hist, q);
    quantile->low_ns = pp_hist_at_rank_ns(hist, low);
    quantile->high_ns = pp_hist_at_rank_ns(hist, high);
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

/* NULL: none is supported. */
static const struct pp_quantile *highest_supported(const struct pp_latency *latency)
{
    const struct pp_quantile *highest = NULL;

    for (unsigned i = 0; i < latency->count; i++) {
        const struct pp_quantile *quantile = &latency->quantiles[i];

        if (quantile->supported && (!highest || quantile->q > highest->q))
            highest = quantile;
    }
    return highest;
}

void pp_hidden_of(struct pp_hidden *hidden, const struct pp_latency *latency,
                  const struct pp_hist *hist, uint64_t think_ns, struct pp_hist *scratch)
{
    const struct pp_quantile *highest = highest_supported(latency);

    *hidden = (struct pp_hidden){ 0 };
    if (!highest)
        return;
    hidden->q = highest->q;
    hidden->shown_ns = highest->ns;
    hidden->interval_ns = pp_hist_quantile_ns(hist, 0.5) + think_ns;
    if (hidden->interval_ns == 0)
        return;
    pp_hist_reset(scratch);
    pp_hist_correct(scratch, hist, hidden->interval_ns);
    hidden->corrected_ns = pp_hist_quantile_ns(scratch, highest->q);
    hidden->matters = hidden->corrected_ns >= HIDDEN_FACTOR * hidden->shown_ns;
}
