/* Trials in their order; the first parts run or take one and look at what it says, the last go
 * through the rounds. */
#include "experiment/experiment.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/memory.h"
#include "base/random.h"
#include "experiment/saved.h"
#include "experiment/unlike.h"
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
    trial->p999_ns = trial->bytes_per_s = trial->memory_bytes = NAN;
}

/* What was saved of this round; -ENODATA with err set: nothing. */
static int take_saved(const struct pp_candidate *candidate, struct pp_trial *trial,
                      json_t **result_out, struct pp_error *err)
{
    const struct pp_saved *saved = candidate->saved;
    const struct pp_trial *found = pp_saved_trial(saved, candidate->saved_as, trial->round,
                                                  trial->twin);

    *result_out = NULL;
    if (!found || found->missing)
        return pp_error_set(err, PP_ERROR_RUN, -ENODATA, "nothing was saved of this round");
    *result_out = json_incref(json_array_get(saved->results, (size_t)(found - saved->trials)));
    return 0;
}

static int run_or_take(const struct pp_experiment *experiment, struct pp_trial *trial,
                       json_t **result_out, struct pp_error *err)
{
    const struct pp_candidate *candidate = &experiment->candidates[trial->candidate];

    if (candidate->saved)
        return take_saved(candidate, trial, result_out, err);
    return pp_trial_run(&candidate->spec, result_out, err);
}

/* Once: 0, -EINTR, or what was wrong, with err set: there are no figures. */
static int try_trial(const struct pp_experiment *experiment, struct pp_trial *trial,
                     json_t **result_out, struct pp_error *err)
{
    char reason[160];
    int ret = run_or_take(experiment, trial, result_out, err);

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

static const char *text_of(const json_t *value, char *text, size_t bytes)
{
    if (json_is_string(value))
        return pp_format_line(text, bytes, json_string_value(value));
    (void)snprintf(text, bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return text;
}

/* All results must come from machines like that of the first. */
static int check_host(const struct pp_experiment *experiment, const struct pp_candidate *candidate,
                      const json_t *result, struct pp_error *err)
{
    const json_t *first = NULL, *differs;
    char was[81], is[81];
    json_t *list;
    int ret = 0;

    for (size_t i = 0; !json_is_object(first) && i < json_array_size(experiment->results); i++)
        first = json_array_get(experiment->results, i);
    if (experiment->unlike || !json_is_object(first) || !json_object_get(first, "host") ||
        !json_object_get(result, "host"))
        return 0;
    list = pp_unlike_list(first, result);
    differs = pp_unlike_hosts(list);
    if (differs)
        ret = pp_error_set(err, PP_ERROR_USAGE, -EXDEV,
                           "%.60s is from another kind of machine (%s: \"%s\" and \"%s\"), and no "
                           "difference can be told from that: --unlike compares them all the same",
                           candidate->name, json_string_value(json_object_get(differs, "key")),
                           text_of(json_object_get(differs, "baseline"), was, sizeof was),
                           text_of(json_object_get(differs, "other"), is, sizeof is));
    json_decref(list);
    return ret;
}

static bool has_figures(const struct pp_experiment *experiment, unsigned candidate)
{
    for (unsigned i = 0; i < experiment->trial_count; i++)
        if (experiment->trials[i].candidate == candidate && !experiment->trials[i].missing)
            return true;
    return false;
}

/* Takes result over, NULL where there is none. */
static int keep_result(struct pp_experiment *experiment, const struct pp_candidate *candidate,
                       json_t *result, struct pp_error *err)
{
    const int ret = result ? check_host(experiment, candidate, result, err) : 0;

    if (ret < 0) {
        json_decref(result);
        return ret;
    }
    if (json_array_append_new(experiment->results, result ? result : json_null()) < 0)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the results");
    experiment->trial_count++;
    return 0;
}

/* What went wrong once may have been an accident; of a candidate that has never worked it is none.
 * What was saved is as it is. */
static int run_trial(struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                     struct pp_trial *trial, struct pp_error *err)
{
    const struct pp_candidate *candidate = &experiment->candidates[trial->candidate];
    struct pp_error first = { 0 }, second = { 0 };
    json_t *result;
    int ret = try_trial(experiment, trial, &result, &first);

    if (ret < 0 && ret != -EINTR && !candidate->saved) {
        ret = try_trial(experiment, trial, &result, &second);
        trial->repeated = true;
    }
    if (ret == -EINTR)
        return ret;
    ret = keep_result(experiment, candidate, result, err);
    if (ret < 0 || !trial->missing || candidate->saved)
        return ret;
    if (!has_figures(experiment, trial->candidate))
        return pp_error_set(err, second.kind, second.code, "%.80s: %.220s", candidate->name,
                            second.text);
    hooks->on_missing(hooks->context, experiment, trial, second.text);
    return 0;
}

/* ---- all of them ---- */

/* begun: when, and with how many trials there already. */
struct begun {
    uint64_t ns;
    unsigned trials;
};

static void tell(const struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                 const struct begun *begun)
{
    const unsigned done = experiment->trial_count, ran = done - begun->trials;

    hooks->on_progress(hooks->context, experiment, done,
                       experiment->rounds * trials_a_round(experiment),
                       ran ? (pp_clock_now_ns() - begun->ns) / ran : 0);
}

static int run_round(struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                     unsigned round, struct pp_random *random, const struct begun *begun,
                     struct pp_error *err)
{
    const unsigned count = trials_a_round(experiment);
    unsigned order[PP_EXPERIMENT_CANDIDATES_MAX + 1];
    int ret = 0;

    shuffle(order, count, random);
    for (unsigned i = 0; ret == 0 && i < count; i++) {
        struct pp_trial *trial = &experiment->trials[experiment->trial_count];
        const bool twin = order[i] == experiment->count;

        tell(experiment, hooks, begun);
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

/* For all rounds, those that were taken over among them. */
static int make_room(struct pp_experiment *experiment, struct pp_error *err)
{
    struct pp_trial *trials = pp_memory_alloc(
        (size_t)experiment->rounds * trials_a_round(experiment) + 1, sizeof *trials);

    if (!experiment->results)
        experiment->results = json_array();
    if (!trials || !experiment->results) {
        pp_memory_free(trials);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the results");
    }
    if (experiment->trial_count > 0)
        memcpy(trials, experiment->trials, experiment->trial_count * sizeof *trials);
    pp_memory_free(experiment->trials);
    experiment->trials = trials;
    return 0;
}

/* In whole rounds, one after the other, as they were made. */
static bool is_in_order(const struct pp_experiment *experiment, const struct pp_saved *saved)
{
    for (unsigned i = 0; i < saved->trial_count; i++)
        if (saved->trials[i].round != i / trials_a_round(experiment))
            return false;
    return true;
}

int pp_experiment_resume(struct pp_experiment *experiment, const struct pp_saved *saved,
                         struct pp_error *err)
{
    const unsigned before = saved->trial_count / trials_a_round(experiment);
    int ret = -ENOMEM;

    if (!is_in_order(experiment, saved))
        return pp_error_set(err, PP_ERROR_RUN, -EBADMSG, "its trials are not round by round");
    if (before + experiment->rounds > PP_ROUNDS_MAX)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "with the %u rounds that there are, %u more are too many: %d in all",
                            before, experiment->rounds, PP_ROUNDS_MAX);
    experiment->trials = pp_memory_alloc(saved->trial_count, sizeof *experiment->trials);
    experiment->results = json_array();
    if (experiment->trials && experiment->results &&
        json_array_extend(experiment->results, saved->results) == 0)
        ret = 0;
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "no memory for the results");
    memcpy(experiment->trials, saved->trials, saved->trial_count * sizeof *saved->trials);
    experiment->trial_count = saved->trial_count;
    experiment->seed = saved->seed;
    leave_out_unfinished(experiment);
    experiment->rounds += before;
    return 0;
}

int pp_experiment_run(struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                      struct pp_error *err)
{
    const struct begun begun = { .ns = pp_clock_now_ns(), .trials = experiment->trial_count };
    const unsigned begin = begun.trials / trials_a_round(experiment);
    struct pp_random random = { .state = experiment->seed + begin };
    int ret;

    pp_assert(experiment->count > 0 && experiment->count <= PP_EXPERIMENT_CANDIDATES_MAX);
    ret = make_room(experiment, err);
    for (unsigned round = begin; ret == 0 && round < experiment->rounds; round++)
        ret = run_round(experiment, hooks, round, &random, &begun, err);
    if (ret == 0)
        tell(experiment, hooks, &begun);
    if (ret != -EINTR)
        return ret;
    experiment->signal = pp_interrupt_signal();
    leave_out_unfinished(experiment);
    return 0;
}

static const json_t *first_result(const struct pp_experiment *experiment, unsigned candidate)
{
    for (unsigned i = 0; i < experiment->trial_count; i++)
        if (experiment->trials[i].candidate == candidate && !experiment->trials[i].missing)
            return json_array_get(experiment->results, i);
    return NULL;
}

json_t *pp_experiment_unlike(const struct pp_experiment *experiment, unsigned candidate)
{
    return pp_unlike_list(first_result(experiment, 0), first_result(experiment, candidate));
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
