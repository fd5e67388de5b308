#ifndef PP_CLI_CLOSED_RATE_H
#define PP_CLI_CLOSED_RATE_H

#include "cli/options.h"

/* The rate of a closed loop, from one run of a candidate as it is typed: more than that no open
 * loop holds. 0, or a negative errno with err set. */
int pp_cli_closed_rate(const struct pp_cli *cli, const char *candidate, double *rate,
                       struct pp_error *err);

#endif
