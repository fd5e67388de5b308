/* The command line: one table of options serves the parser and the help. */
#ifndef PP_CLI_OPTIONS_H
#define PP_CLI_OPTIONS_H

#include "base/error.h"
#include "bench/plan.h"

#include <stdbool.h>
#include <stdio.h>

enum pp_cli_action { PP_CLI_RUN, PP_CLI_HELP, PP_CLI_VERSION };

struct pp_cli {
    enum pp_cli_action action;
    struct pp_plan plan;
    bool quiet;
    bool verbose;
    bool server_engine_given;
};

/* Fills in cli from the arguments, which must outlive it. 0, or -EINVAL with err set. */
int pp_cli_parse(struct pp_cli *cli, int argc, char **argv, struct pp_error *err);

void pp_cli_print_help(FILE *out);

#endif
