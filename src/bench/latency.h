/* What a histogram of latencies says, at the quantiles that were asked for. */
#ifndef PP_BENCH_LATENCY_H
#define PP_BENCH_LATENCY_H

#include "bench/plan.h"
#include "measure/hist.h"

#include <stdbool.h>
#include <stdint.h>

struct pp_quantile {
    double q;       /* 0 to 1 */
    bool supported; /* samples enough lie beyond it; otherwise ns says nothing */
    uint64_t ns;
};

struct pp_latency {
    uint64_t samples;
    uint64_t saturated; /* of these, above what the histogram can hold */
    uint64_t min_ns, max_ns;
    double mean_ns;
    unsigned count;
    struct pp_quantile quantiles[PP_PLAN_QUANTILES_MAX];
};

void pp_quantile_of(struct pp_quantile *quantile, const struct pp_hist *hist, double q);

/* The quantiles are those of plan. */
void pp_latency_of(struct pp_latency *latency, const struct pp_hist *hist,
                   const struct pp_plan *plan);

/* Whether all quantiles have samples enough. */
bool pp_latency_is_supported(const struct pp_latency *latency);

/* The highest quantile that has samples enough; 0: none has. */
double pp_latency_highest(const struct pp_latency *latency);

/* How much of the stalls a closed loop hides: while an answer is awaited nothing is sent, so that
 * one long round trip stands for all those that would have been long, too. */
struct pp_hidden {
    bool matters;          /* what hides is more than what shows, at the highest quantile */
    double q;              /* that quantile: of those asked for, and PP_PLAN_QUANTILES */
    uint64_t shown_ns;     /* what the samples say there */
    uint64_t corrected_ns; /* what they would say, had messages gone out at an even pace */
    uint64_t interval_ns;  /* that pace: the median round trip and the time to think */
};

/* latency must be that of hist. scratch is overwritten. By the correction of HdrHistogram (G. Tene,
 * "How not to measure latency"), which fills in the samples that an even pace would have had. */
void pp_hidden_of(struct pp_hidden *hidden, const struct pp_latency *latency,
                  const struct pp_hist *hist, uint64_t think_ns, struct pp_hist *scratch);

#endif
