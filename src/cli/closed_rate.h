#ifndef PP_CLI_CLOSED_RATE_H
#define PP_CLI_CLOSED_RATE_H

#include "cli/options.h"
#include "cli/screen.h"

/* The rate of a closed loop, from one run of a candidate as it is typed, which screen shows: more
 * than that no open loop holds. 0; -EINTR: a signal came; or another negative errno with err set.
 */
int pp_cli_closed_rate(const struct pp_cli *cli, const struct pp_screen *screen,
                       const char *candidate, double *rate, struct pp_error *err);

#endif
