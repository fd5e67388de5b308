/* What people used to other programs type, and what it is called here. Private to src/cli. */
#ifndef PP_CLI_HINTS_H
#define PP_CLI_HINTS_H

#include "cli/args.h"

/* For an unknown letter: sets err and returns its code if other programs have that one, else 0. */
int pp_cli_hint_letter(const struct pp_cli_args *args, const struct pp_cli_arg *arg,
                       struct pp_error *err);

/* For a value that an option refuses, or an option that the job does not have; the same. */
int pp_cli_hint_value(const struct pp_cli_option *option, const char *value, struct pp_error *err);
int pp_cli_hint_job(const struct pp_cli_option *option, enum pp_job job, struct pp_error *err);

/* For an address that pp_target_parse() refuses; the same. */
int pp_cli_hint_address(const char *text, struct pp_error *err);

#endif
