/* What an experiment is to be, where several options, or one and its absence, decide on it. Private
 * to src/cli. */
#ifndef PP_CLI_EXPERIMENTS_H
#define PP_CLI_EXPERIMENTS_H

#include "cli/options.h"

/* Settles cli->experiment by what was given, for the command, which is one of experiments. 0, or a
 * negative errno with err set. */
int pp_cli_experiment_settle(struct pp_cli *cli, struct pp_error *err);

#endif
