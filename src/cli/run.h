/* The main job: a run as the options say, and its report. */
#ifndef PP_CLI_RUN_H
#define PP_CLI_RUN_H

#include "base/error.h"
#include "cli/options.h"

/* 0, or a negative errno with err set. *signal_out is the signal that ended the run early, or 0. */
int pp_cli_run(const struct pp_cli *cli, int *signal_out, struct pp_error *err);

#endif
