#include "bench/latency.h"

#include <stddef.h>

/* Less than twice as much is not worth a line. */
#define HIDDEN_FACTOR 2

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

/* The highest that is supported of those that were asked for and of the usual ones: what is hidden
 * does not depend on what somebody wants to see. 0: there is none. */
static double highest_of_all(const struct pp_latency *latency, const struct pp_hist *hist)
{
    static const double usual[] = { PP_PLAN_QUANTILES };
    double highest = pp_latency_highest(latency);

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i] > highest && pp_hist_supports(hist, usual[i]))
            highest = usual[i];
    return highest;
}

void pp_hidden_of(struct pp_hidden *hidden, const struct pp_latency *latency,
                  const struct pp_hist *hist, uint64_t think_ns, struct pp_hist *scratch)
{
    *hidden = (struct pp_hidden){ .q = highest_of_all(latency, hist) };
    if (!(hidden->q > 0))
        return;
    hidden->shown_ns = pp_hist_quantile_ns(hist, hidden->q);
    hidden->interval_ns = pp_hist_quantile_ns(hist, 0.5) + think_ns;
    if (hidden->interval_ns == 0)
        return;
    pp_hist_reset(scratch);
    pp_hist_correct(scratch, hist, hidden->interval_ns);
    hidden->corrected_ns = pp_hist_quantile_ns(scratch, hidden->q);
    hidden->matters = hidden->corrected_ns >= HIDDEN_FACTOR * hidden->shown_ns;
}
