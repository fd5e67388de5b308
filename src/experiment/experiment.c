#include "experiment/experiment.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/memory.h"
#include "base/random.h"
#include "job/interrupt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static unsigned trials_a_round(const struct pp_experiment *experiment)
{
    return experiment->count + experiment->twins;
}

/* ---- the order ---- */

/* The last of a round's trials is the twin. Each order is as likely as any other (Fisher and Yates,
 * from the end). */
static void shuffle(unsigned *order, unsigned count, struct pp_random *random)
{
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = count; i-- > 1;) {
        const unsigned j = pp_random_below(random, i + 1), swapped = order[i];

        order[i] = order[j];
        order[j] = swapped;
    }
}

/* ---- one trial ---- */

static void forget(struct pp_trial *trial)
{
    trial->level = PP_INVALID;
    for (unsigned i = 0; i < PP_METRICS; i++)
        trial->figures[i] = NAN;
    trial->p999_ns = trial->bytes_per_s = NAN;
}

/* Once: 0, -EINTR, or what was wrong, with err set: there are no figures. */
static int try_trial(const struct pp_experiment *experiment, struct pp_trial *trial,
                     json_t **result_out, struct pp_error *err)
{
    char reason[160];
    int ret = pp_trial_run(&experiment->candidates[trial->candidate].spec, result_out, err);

    if (ret == 0)
        ret = pp_trial_read(*result_out, trial, err);
    if (ret == 0 && trial->level == PP_INVALID && !experiment->keeps_invalid)
        ret = pp_error_set(err, PP_ERROR_RUN, -EBADMSG, "its result is INVALID: %s",
                           pp_format_line(reason, sizeof reason, pp_trial_reason(*result_out)));
    if (ret < 0) {
        json_decref(*result_out);
        *result_out = NULL;
        forget(trial);
    }
    trial->missing = ret < 0;
    return ret;
}

static bool has_figures(const struct pp_experiment *experiment, unsigned candidate)
{
    for (unsigned i = 0; i < experiment->trial_count; i++)
        if (experiment->trials[i].candidate == candidate && !experiment->trials[i].missing)
            return true;
    return false;
}

/* What went wrong once may have been an accident; of a candidate that has never worked it is none.
 */
static int run_trial(struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                     struct pp_trial *trial, struct pp_error *err)
{
    const struct pp_candidate *candidate = &experiment->candidates[trial->candidate];
    struct pp_error first = { 0 }, second = { 0 };
    json_t *result;
    int ret = try_trial(experiment, trial, &result, &first);

    if (ret < 0 && ret != -EINTR)
        ret = try_trial(experiment, trial, &result, &second);
    if (ret == -EINTR)
        return ret;
    if (json_array_append_new(experiment->results, result ? result : json_null()) < 0)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the results");
    experiment->trial_count++;
    if (ret == 0)
        return 0;
    if (!has_figures(experiment, trial->candidate))
        return pp_error_set(err, second.kind, second.code, "%.80s: %.220s", candidate->name,
                            second.text);
    hooks->on_missing(hooks->context, experiment, trial, second.text);
    return 0;
}

/* ---- all of them ---- */

static void tell(const struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                 uint64_t started_ns)
{
    const unsigned done = experiment->trial_count;
    const uint64_t spent_ns = pp_clock_now_ns() - started_ns;

    hooks->on_progress(hooks->context, experiment, done,
                       experiment->rounds * trials_a_round(experiment), done ? spent_ns / done : 0);
}

static int run_round(struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                     unsigned round, struct pp_random *random, uint64_t started_ns,
                     struct pp_error *err)
{
    const unsigned count = trials_a_round(experiment);
    unsigned order[PP_EXPERIMENT_CANDIDATES_MAX + 1];
    int ret = 0;

    shuffle(order, count, random);
    for (unsigned i = 0; ret == 0 && i < count; i++) {
        struct pp_trial *trial = &experiment->trials[experiment->trial_count];
        const bool twin = order[i] == experiment->count;

        tell(experiment, hooks, started_ns);
        *trial =
            (struct pp_trial){ .candidate = twin ? 0 : order[i], .round = round, .twin = twin };
        ret = run_trial(experiment, hooks, trial, err);
    }
    return ret;
}

/* A round that was not finished says something of some and nothing of others. */
static void leave_out_unfinished(struct pp_experiment *experiment)
{
    const unsigned count = trials_a_round(experiment);
    const unsigned whole = experiment->trial_count / count * count;

    while (json_array_size(experiment->results) > whole)
        (void)json_array_remove(experiment->results, json_array_size(experiment->results) - 1);
    experiment->trial_count = whole;
}

int pp_experiment_run(struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                      struct pp_error *err)
{
    struct pp_random random = { .state = experiment->seed };
    const uint64_t started_ns = pp_clock_now_ns();
    int ret = 0;

    pp_assert(experiment->count > 0 && experiment->count <= PP_EXPERIMENT_CANDIDATES_MAX);
    experiment->trials = pp_memory_alloc((size_t)experiment->rounds * trials_a_round(experiment),
                                         sizeof *experiment->trials);
    experiment->results = json_array();
    if (!experiment->trials || !experiment->results)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the results");
    for (unsigned round = 0; ret == 0 && round < experiment->rounds; round++)
        ret = run_round(experiment, hooks, round, &random, started_ns, err);
    if (ret == 0)
        tell(experiment, hooks, started_ns);
    if (ret != -EINTR)
        return ret;
    experiment->signal = pp_interrupt_signal();
    leave_out_unfinished(experiment);
    return 0;
}

void pp_experiment_reorder(struct pp_experiment *experiment, const unsigned *order)
{
    struct pp_candidate candidates[PP_EXPERIMENT_CANDIDATES_MAX];
    unsigned places[PP_EXPERIMENT_CANDIDATES_MAX];

    for (unsigned i = 0; i < experiment->count; i++) {
        candidates[i] = experiment->candidates[order[i]];
        places[order[i]] = i;
    }
    memcpy(experiment->candidates, candidates, experiment->count * sizeof candidates[0]);
    for (unsigned i = 0; i < experiment->trial_count; i++)
        experiment->trials[i].candidate = places[experiment->trials[i].candidate];
}

void pp_experiment_fini(struct pp_experiment *experiment)
{
    json_decref(experiment->results);
    experiment->results = NULL;
    pp_memory_free(experiment->trials);
    experiment->trials = NULL;
    experiment->trial_count = 0;
}
