/* What a histogram of latencies says, at the quantiles that were asked for. */
#ifndef PP_RESULT_LATENCY_H
#define PP_RESULT_LATENCY_H

#include "measure/hist.h"
#include "plan/plan.h"

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

/* Round trips that took a hundred times as long as half of the others: the server stood still, or
 * something was lost on the way. */
struct pp_stalls {
    uint64_t longer_than_ns; /* 0: there is no round trip */
    uint64_t trips;
    double time_share; /* of the time that messages were under way, or thought about; 0 to 1 */
    bool matter; /* they take a tenth of it, but are less than a hundredth of the round trips */
};

/* hist has the round trips from their actual sends. */
void pp_stalls_of(struct pp_stalls *stalls, const struct pp_hist *hist, uint64_t think_ns);

/* How much of the stalls a closed loop hides: while an answer is awaited nothing is sent, so that
 * one long round trip stands for all those that would have been long, too. */
struct pp_hidden {
    bool matters;         /* as the stalls do */
    uint64_t interval_ns; /* an even pace: the median round trip and the time to think; 0: none */
    double mean_ns;       /* what the mean would be, had messages gone out at that pace */
    uint64_t corrected_ns[PP_PLAN_QUANTILES_MAX]; /* and the latency's quantiles, if supported */
};

/* latency must be that of hist. scratch is overwritten. By the correction of HdrHistogram (G. Tene,
 * "How not to measure latency"), which fills in the samples that an even pace would have had. */
void pp_hidden_of(struct pp_hidden *hidden, const struct pp_latency *latency,
                  const struct pp_hist *hist, uint64_t think_ns, struct pp_hist *scratch);

/* The lowest quantile of latency that at an even pace would be at least twice as high; its number,
 * or latency->count if there is none. */
unsigned pp_hidden_lowest(const struct pp_hidden *hidden, const struct pp_latency *latency);

#endif
