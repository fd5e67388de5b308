#ifndef PP_CLI_SLO_H
#define PP_CLI_SLO_H

#include "cli/options.h"

/* What sweep does with --slo: the highest rate at which a condition holds, of each candidate. As
 * commands are run. */
int pp_cli_slo(const struct pp_cli *cli, int *signal_out, struct pp_error *err);

#endif
