/* The commands that do a job: what the command line asks for, and its report. One file each. */
#ifndef PP_CLI_COMMANDS_H
#define PP_CLI_COMMANDS_H

#include "cli/table.h"

/* As the run() of their rows. */
int pp_cli_measure(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_serve(const struct pp_cli *cli, int *signal_out, struct pp_error *err);

#endif
