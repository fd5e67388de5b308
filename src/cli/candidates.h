/* From candidates as people type them to trials: "io_uring:no-multishot", "size=64 wait=block",
 * "libuv", "at:10.0.0.2", "server:./echo {port}", "bin:./old/pingpong", "old.json". */
#ifndef PP_CLI_CANDIDATES_H
#define PP_CLI_CANDIDATES_H

#include "cli/options.h"
#include "experiment/experiment.h"

/* The arguments of one trial; all texts are its own. Zero it. */
#define PP_CLI_TRIAL_ARGS_MAX 128

struct pp_cli_trial_args {
    unsigned count;
    char *args[PP_CLI_TRIAL_ARGS_MAX + 1]; /* then NULL */
};

struct pp_cli_candidates {
    struct pp_plan plan; /* of the baseline's trials, with what was decided for all */
    char engine[64];     /* that auto takes here */
    struct pp_cli_trial_args args[PP_EXPERIMENT_CANDIDATES_MAX];
    struct pp_cli_trial_args parsed[PP_EXPERIMENT_CANDIDATES_MAX]; /* the plans' texts are here */
    struct pp_saved *saved[PP_CANDIDATES_MAX]; /* of those that are files; else NULL */
};

/* Fills in the experiment's candidates, from texts as they are typed, which must outlive it, and
 * what is handed on to all; called again, it adds to those that are there. Engine, placement and
 * wait are decided here, once, by the baseline's plan, and the same for all that do not ask for
 * others; each that can be is checked as if it ran. Zero candidates before; it must outlive the
 * experiment, and is given back by pp_cli_candidates_fini() whatever came of this. 0, or a negative
 * errno with err set. */
int pp_cli_candidates_settle(struct pp_cli_candidates *candidates, const struct pp_cli *cli,
                             const char *const *texts, unsigned count,
                             struct pp_experiment *experiment, struct pp_error *err);

/* Of the order of trials: the one that was named, or else one that is drawn, so that no order is
 * everybody's. */
uint64_t pp_cli_experiment_seed(const struct pp_cli *cli);

void pp_cli_candidates_fini(struct pp_cli_candidates *candidates);

#endif
