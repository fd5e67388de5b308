/* What a terminal shows while an experiment runs: a bar, and lines for runs that are left out. */
#ifndef PP_CLI_MEANWHILE_H
#define PP_CLI_MEANWHILE_H

#include "cli/screen.h"
#include "experiment/experiment.h"

/* Runs it as pp_experiment_run() does, and leaves no bar behind. tally writes what it looks like so
 * far, for the bar; NULL: like nothing. */
int pp_cli_run_experiment(struct pp_experiment *experiment, const struct pp_screen *screen,
                          void (*tally)(void *context, char *text, size_t bytes), void *context,
                          struct pp_error *err);

#endif
