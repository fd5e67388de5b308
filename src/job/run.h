/* A whole measurement: resolve, listen, connect, warm up, measure, drain, close, and what came out
 * of it. */
#ifndef PP_JOB_RUN_H
#define PP_JOB_RUN_H

#include "base/error.h"
#include "plan/plan.h"
#include "result/result.h"

#include <stdint.h>

struct pp_run_hooks {
    /* Everything stands and the warm-up or the measurement is about to begin; the plan, the engines
     * and the address are in result. */
    void (*on_begin)(void *context, const struct pp_result *result);

    /* About ten times a second while measuring: how many round trips so far, which share of the
     * measurement is over (0 to 1), and for how long it has been going on. */
    void (*on_progress)(void *context, uint64_t done, double share, uint64_t elapsed_ns);

    /* A part of the measurement is over, each plan->interval_ns, and at the end what is left. Runs
     * on a thread of its own while measuring, so that it may take its time: if it takes too long,
     * the next part is longer. Negative: nobody listens any more, and the measurement ends here.
     * NULL where the plan has no interval. */
    int (*on_interval)(void *context, const struct pp_result_interval *interval);
    void *context;
};

/* Runs plan, a decided one of the job run or client, with the client on the calling thread, and
 * further threads as the plan says. result must be zeroed; it is filled in as far as the run got,
 * also when it failed. 0, or a negative errno with err set. An interrupt is not an error:
 * result->signal tells. */
int pp_run(const struct pp_plan *plan, const struct pp_run_hooks *hooks, struct pp_result *result,
           struct pp_error *err);

#endif
