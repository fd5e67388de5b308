/* The jobs: what the command line asks for, and its report. One file each. */
#ifndef PP_CLI_COMMANDS_H
#define PP_CLI_COMMANDS_H

#include "base/error.h"
#include "cli/options.h"

/* 0, or a negative errno with err set. *signal_out is the signal that ended the job early, or 0. */
int pp_cli_run(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_client(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_serve(const struct pp_cli *cli, int *signal_out, struct pp_error *err);

#endif
