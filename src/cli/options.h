/* The command line: a table of commands and one of options serve the parser, the help, the manual
 * pages and the completions. */
#ifndef PP_CLI_OPTIONS_H
#define PP_CLI_OPTIONS_H

#include "base/clock.h"
#include "base/error.h"
#include "plan/plan.h"
#include "report/report.h"
#include "result/comparison.h"
#include "result/explanation.h"

#include <stdbool.h>
#include <stdio.h>

/* Sets of what commands do: a run's jobs, experiments, which are many runs, of any load or of one
 * kind, and one that runs nothing. */
#define PP_CLI_RUN (1U << PP_JOB_RUN)
#define PP_CLI_CLIENT (1U << PP_JOB_CLIENT)
#define PP_CLI_SERVE (1U << PP_JOB_SERVE)
#define PP_CLI_COMPARE (1U << (PP_JOB_SERVE + 1))
#define PP_CLI_SWEEP (1U << (PP_JOB_SERVE + 2))
#define PP_CLI_EXPLAIN (1U << (PP_JOB_SERVE + 3))
#define PP_CLI_ENGINES (1U << (PP_JOB_SERVE + 4))
#define PP_CLI_ANY_LOAD (PP_CLI_COMPARE | PP_CLI_SWEEP)
#define PP_CLI_EXPERIMENTS (PP_CLI_ANY_LOAD | PP_CLI_EXPLAIN)
#define PP_CLI_JOBS (PP_CLI_RUN | PP_CLI_CLIENT | PP_CLI_SERVE)
#define PP_CLI_ALL (PP_CLI_JOBS | PP_CLI_EXPERIMENTS | PP_CLI_ENGINES)

/* What an experiment is where nothing else is said. */
#define PP_CLI_COMPARE_ROUNDS 12
#define PP_CLI_SWEEP_ROUNDS 3
#define PP_CLI_SEARCH_ROUNDS 8 /* of a knee or a highest rate, which have intervals */
#define PP_CLI_EXPLAIN_ROUNDS 12
#define PP_CLI_TRIAL_NS PP_NS_PER_S
#define PP_CLI_EXPLAIN_TRIAL_NS (300 * PP_NS_PER_MS)

/* What was given; the parser's own, kept to settle at the end what depends on several options. */
struct pp_cli_given {
    const char *address; /* as they were typed; NULL: not given */
    const char *host, *bind;
    const char *server_engine;
    const char *output;
    bool port, ipv4, ipv6, count, time, idle_timeout, rounds;
    bool expect, expect_bytes, expect_until;
};

/* Text, JSON, ...: where each goes. */
struct pp_cli_output {
    const struct pp_report_format *format;
    const char *path; /* "-": standard output */
};

/* The option that asks for it: "json". The text is what --output alone is for. */
static inline const char *pp_cli_output_option(const struct pp_report_format *format)
{
    return format == &pp_report_text ? "output" : format->name;
}

#define PP_CLI_OUTPUTS_MAX 8 /* more than there are formats */

/* An option that an experiment hands on to its runs, and its value, or NULL. */
struct pp_cli_passed {
    const struct pp_cli_option *option;
    const char *value;
};

#define PP_CLI_PASSED_MAX 64
#define PP_CLI_AXES_MAX 2

#define PP_CLI_MADE_BYTES 160 /* of a candidate's text */

/* What an experiment is to be. */
struct pp_cli_experiment {
    unsigned candidate_count;
    const char *candidates[PP_CANDIDATES_MAX]; /* as they were typed, or made */
    char made[PP_CANDIDATES_MAX][PP_CLI_MADE_BYTES];
    bool matrix;             /* each engine against each */
    unsigned matrix_engines; /* so many; 0: none was asked for */
    const char *ablate;      /* the engine that is to do without a feature each; NULL: none */
    unsigned passed_count;
    struct pp_cli_passed passed[PP_CLI_PASSED_MAX];
    unsigned axis_count;
    struct pp_cli_passed axes[PP_CLI_AXES_MAX]; /* of a sweep: options with several values */
    uint32_t rounds;                            /* 0: as many as is usual for the command */
    uint64_t budget_ns;                         /* 0: as long as it takes */
    uint64_t trial_ns;          /* how long a trial measures where nothing else is said */
    struct pp_gate slo;         /* sought is the highest rate at which it is met; text "": not */
    bool knee;                  /* of a sweep's rates is looked for */
    const char *more;           /* the experiment that is gone on with; NULL: none */
    bool unlike;                /* results of different machines may be compared */
    const char *before, *after; /* commands around each trial; NULL: none */
};

/* 20 KB: pass it by pointer. */
struct pp_cli {
    const struct pp_cli_command *command; /* what is to be done */
    unsigned help_jobs;                   /* a set; PP_CLI_ALL: the help as a whole */
    struct pp_plan plan;
    bool quiet;
    bool verbose;
    bool intervals; /* were asked for, and are shown in all outputs */
    bool histogram; /* with all of it in JSON */
    unsigned output_count;
    struct pp_cli_output outputs[PP_CLI_OUTPUTS_MAX];
    struct pp_cli_experiment experiment;
    struct pp_cli_given given;
    char **words; /* as they were typed, then NULL */
};

/* Fills in cli from the arguments, which must outlive it. 0, or a negative errno with err set: to
 * -EINVAL, unless a file that an option names is at fault. */
int pp_cli_parse(struct pp_cli *cli, int argc, char **argv, struct pp_error *err);

/* About these jobs alone, or with PP_CLI_ALL about everything. */
void pp_cli_print_help(FILE *out, unsigned jobs);

#endif
