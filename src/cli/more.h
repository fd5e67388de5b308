/* compare --more: an experiment that was saved, asked for again as it was then. */
#ifndef PP_CLI_MORE_H
#define PP_CLI_MORE_H

#include "cli/candidates.h"
#include "experiment/saved.h"

#define PP_CLI_MORE_WORDS_MAX 256

struct pp_cli_more_argv {
    char *words[PP_CLI_TRIAL_ARGS_MAX + 1]; /* then NULL */
};

struct pp_cli_more {
    const char *path;                       /* of the file */
    struct pp_saved saved;                  /* whose texts all of these are */
    char *words[PP_CLI_MORE_WORDS_MAX + 2]; /* its command line, then NULL */
    struct pp_cli cli;                      /* what they ask for, and what cli asks for now */
    struct pp_cli_more_argv argv[PP_CANDIDATES_MAX]; /* of the trials */
};

/* Reads what cli->experiment.more names, and what it was asked for with. The outputs, conditions
 * and rounds are those of cli. 0, or a negative errno with err set. Give it back with
 * pp_cli_more_fini() whatever came of it. */
int pp_cli_more_begin(struct pp_cli_more *more, const struct pp_cli *cli, struct pp_error *err);

/* Once its candidates are settled here: takes over what was found out of them, and how they were
 * run, as engine, placement and wait were decided once. 0, or a negative errno with err set. */
int pp_cli_more_resume(struct pp_cli_more *more, struct pp_experiment *experiment,
                       struct pp_error *err);

void pp_cli_more_fini(struct pp_cli_more *more);

#endif
