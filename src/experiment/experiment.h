/* Many trials in a designed order: in each round every candidate has one and the baseline two,
 * shuffled anew. Trials run one after the other; nothing else does meanwhile. */
#ifndef PP_EXPERIMENT_EXPERIMENT_H
#define PP_EXPERIMENT_EXPERIMENT_H

#include "experiment/trial.h"

struct pp_saved;

struct pp_candidate {
    const char *name; /* as it is shown; no two are the same */
    struct pp_trial_spec spec;
    const struct pp_saved *saved; /* where its trials are taken from; NULL: they are run */
    unsigned saved_as;            /* its number there */
};

/* More than a comparison can have: an experiment may be a ladder, too. */
#define PP_EXPERIMENT_CANDIDATES_MAX 256

struct pp_experiment {
    /* what to do */
    unsigned count; /* of candidates */
    struct pp_candidate candidates[PP_EXPERIMENT_CANDIDATES_MAX];
    unsigned rounds;
    bool twins;         /* the first candidate has two trials a round */
    bool keeps_invalid; /* a result that is INVALID is one, too, as at a rate that cannot be held */
    uint64_t seed;      /* of the order */
    bool unlike;        /* results may come from different machines */

    /* how it was asked for: words, then NULL; NULL: it does not matter */
    char *const *command;

    /* what came of it */
    unsigned trial_count;
    struct pp_trial *trials;
    json_t *results; /* an array: the whole result of each trial, null where it is missing */
    int signal;      /* that ended it early; 0: none */
};

struct pp_experiment_hooks {
    /* Before each trial, and after the last: how many there are, how many are over, how long one
     * has taken on average (0: none is over). */
    void (*on_progress)(void *context, const struct pp_experiment *experiment, unsigned done,
                        unsigned of, uint64_t trial_ns);
    /* A trial is over that has no figures: why, in a line. */
    void (*on_missing)(void *context, const struct pp_experiment *experiment,
                       const struct pp_trial *trial, const char *why);
    void *context;
};

/* Takes over what a saved experiment of the same candidates has found out: pp_experiment_run()
 * goes on from there. 0, or a negative errno with err set: there would be too many rounds, or it is
 * none. */
int pp_experiment_resume(struct pp_experiment *experiment, const struct pp_saved *saved,
                         struct pp_error *err);

/* Does all rounds, but for those that were taken over. 0 also after a signal, with what is
 * complete; a negative errno with err set where the trials cannot be run at all: the first one of a
 * candidate failed twice, or machines are unlike. */
int pp_experiment_run(struct pp_experiment *experiment, const struct pp_experiment_hooks *hooks,
                      struct pp_error *err);

/* What that candidate's first result says of host and build otherwise than the baseline's first:
 * experiment/unlike.h. The caller's to json_decref(); NULL: there is no memory. */
json_t *pp_experiment_unlike(const struct pp_experiment *experiment, unsigned candidate);

/* The candidates in another order: order[i] is the number that the one with number i from now on
 * had. What has been found out of each stays its own. */
void pp_experiment_reorder(struct pp_experiment *experiment, const unsigned *order);

/* What trials and results hold is given back. */
void pp_experiment_fini(struct pp_experiment *experiment);

#endif
