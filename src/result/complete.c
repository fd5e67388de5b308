/* What a result says beyond what was counted and timed: pure functions of it. */
#include "result/result.h"

#include <stdio.h>
#include <string.h>

/* An open loop has not kept its schedule if more than this share of the messages that were due was
 * never sent, or by how late they were. */
#define UNSENT_SHARE 0.001

/* What has become due only just before a signal ended it all would have been sent. */
static bool missed_rate(const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;
    const double due = (double)counts->sent + (double)counts->unsent;
    const bool only_just = result->signal && counts->lag_ns < PP_DELAYED_MIN_NS;

    return result->plan.rate > 0 &&
           (((double)counts->unsent > UNSENT_SHARE * due && !only_just) ||
            (double)counts->behind_ns >
                PP_BEHIND_SHARE * (double)result->duration_ns * (double)counts->sent);
}

/* Messages at equal distances take as many of these as there are messages: the last one's belongs
 * to the time, or n of them in n - 1 distances would be more than was asked for. */
static uint64_t duration_ns(const struct pp_plan *plan, const struct pp_counts *counts)
{
    const uint64_t length_ns = counts->last_ns - counts->first_ns;
    double scheduled_ns = 0;

    if (plan->rate > 0 && plan->arrivals == PP_ARRIVALS_FIXED && counts->sent == plan->count)
        scheduled_ns = (double)plan->count * 1e9 / plan->rate;
    return (double)length_ns < scheduled_ns ? (uint64_t)scheduled_ns : length_ns;
}

static void complete_counts(struct pp_result *result, struct pp_slices *slices, uint64_t started_ns)
{
    const struct pp_plan *plan = &result->plan;
    const struct pp_counts *counts = &result->counts;
    const uint64_t fates = counts->received + counts->lost;

    result->balanced = pp_counts_in_flight(counts) == result->in_flight;
    result->duration_ns = duration_ns(plan, counts);
    result->partial |= !plan->time_ns && fates < plan->count;
    result->rate_missed = missed_rate(result);
    result->loss = fates > 0 ? (double)counts->lost / (double)fates : 0;
    result->loss_interval = pp_stat_proportion(counts->lost, fates);
    result->jain = pp_stat_jain(result->spread.connections, result->spread.sum,
                                result->spread.sum_squares);
    pp_slices_end(slices, counts->last_ns);
    if (plan->rate > 0)
        result->growth = pp_slices_growth(slices, result->duration_ns);
    result->steadiness = pp_slices_steadiness(slices, plan->rate > 0 || plan->think_ns > 0,
                                              started_ns);
}

static void complete_latencies(struct pp_result *result)
{
    pp_latency_of(&result->rtt_latency, &result->rtt, &result->plan);
    pp_latency_of(&result->response_latency, &result->response, &result->plan);
    pp_latency_of(&result->late_latency, &result->late, &result->plan);
}

void pp_result_complete(struct pp_result *result, struct pp_slices *slices, uint64_t started_ns,
                        struct pp_hist *scratch)
{
    const struct pp_plan *plan = &result->plan;

    complete_counts(result, slices, started_ns);
    complete_latencies(result);
    pp_stalls_of(&result->stalls, &result->rtt, plan->think_ns);
    if (!(plan->rate > 0))
        pp_hidden_of(&result->hidden, &result->rtt_latency, &result->rtt, plan->think_ns, scratch);
    pp_verdict_of(&result->verdict, result);
}

void pp_result_complete_unmeasured(struct pp_result *result)
{
    result->partial = true;
    result->balanced = true;
    complete_latencies(result);
    pp_verdict_of(&result->verdict, result);
}

void pp_result_name_engine(struct pp_result_side *side, const char *description)
{
    (void)snprintf(side->engine, sizeof side->engine, "%s", description);
    (void)snprintf(side->engine_name, sizeof side->engine_name, "%.*s",
                   (int)strcspn(side->engine, ":"), side->engine);
}
