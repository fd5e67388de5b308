/* Candidates that nobody has to type: each engine against each, and an engine without each of its
 * features. */
#ifndef PP_CLI_VARIANTS_H
#define PP_CLI_VARIANTS_H

#include "cli/options.h"

/* Makes the candidates that --matrix or --ablate ask for, if they do. 0, or a negative errno with
 * err set. */
int pp_cli_variants_make(struct pp_cli_experiment *experiment, struct pp_error *err);

#endif
