/* The apply() of options whose values are like no other's. Private to src/cli. */
#ifndef PP_CLI_OWN_H
#define PP_CLI_OWN_H

#include "cli/table.h"

typedef int pp_cli_apply(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                         struct pp_error *err);

pp_cli_apply pp_cli_apply_size, pp_cli_apply_warmup, pp_cli_apply_strict, pp_cli_apply_wait;
pp_cli_apply pp_cli_apply_cpus, pp_cli_apply_cpus_of_both;
pp_cli_apply pp_cli_apply_fail_if, pp_cli_apply_fail_if_change, pp_cli_apply_slo;

#endif
