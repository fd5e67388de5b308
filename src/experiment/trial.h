/* One trial: a program runs once in a process of its own and prints a result as JSON, which is read
 * here. Beside it, if asked for, a server that is started before and stopped after it. Or round
 * trips are made by hand, whose result says no more than how fast they are. */
#ifndef PP_EXPERIMENT_TRIAL_H
#define PP_EXPERIMENT_TRIAL_H

#include "base/error.h"
#include "experiment/floor.h"
#include "result/comparison.h"

#include <jansson.h>
#include <stdint.h>

struct pp_trial_spec {
    /* The program and its arguments, then NULL. {host}, {port} and {pid} in them are filled in
     * where there is a server. */
    char *const *argv;
    const char *server;         /* a command for the shell that starts an echo server, with {host}
                                   and {port} in it; NULL: none */
    struct pp_cpus server_cpus; /* of that; none: any */
    const char *before, *after; /* commands for the shell around the trial; NULL: none */
    uint64_t limit_ns;          /* no trial takes longer */

    /* Round trips by hand, in this process, in place of all that; NULL: not. */
    const struct pp_floor_spec *floor;
};

/* Runs it, and waits until all of it has ended, whatever came of it. *result_out is what it
 * printed, the caller's to json_decref(); NULL with err set if that is no result, or none came: it
 * could not be started, failed, hung, or its server never listened. -EINTR: a signal came
 * (pp_interrupt_signal()). 0 also for a result that is INVALID. */
int pp_trial_run(const struct pp_trial_spec *spec, json_t **result_out, struct pp_error *err);

/* The figures of a result, checked: what is missing in it, but for the rate, is not known (NAN);
 * what is of another type, or cannot be (a negative rate, no JSON of this format), is refused with
 * err set. Leaves candidate, round and twin alone. */
int pp_trial_read(const json_t *result, struct pp_trial *trial, struct pp_error *err);

/* That percentile, 0 to 100, of the latencies of a result; NAN: it has none, or the result does not
 * say. 0, or a negative errno with err set where it is no number. */
int pp_trial_percentile(const json_t *result, double percentile, double *ns, struct pp_error *err);

/* The first reason that a result's verdict gives; "?" if it gives none. It lives as long as
 * result. */
const char *pp_trial_reason(const json_t *result);

#endif
