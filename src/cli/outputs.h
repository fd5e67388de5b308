/* The outputs of a measurement: opened before it, so that a name which cannot be written to is no
 * surprise after it, and files put in their place when they are whole. */
#ifndef PP_CLI_OUTPUTS_H
#define PP_CLI_OUTPUTS_H

#include "base/error.h"
#include "base/outfile.h"
#include "cli/options.h"
#include "cli/screen.h"
#include "report/report.h"

struct pp_output {
    struct pp_report report;
    const char *path;
    int error; /* errno of the first write that failed; 0: none has */
    struct pp_outfile file;
};

struct pp_outputs {
    unsigned count;
    bool begun;
    struct pp_output outputs[PP_CLI_OUTPUTS_MAX];
    const struct pp_result *result;
};

/* 0, or a negative errno with err set, and nothing is left behind. Two outputs in one file are a
 * usage error, whatever it is called. Waits for the readers of pipes, until a signal comes. result
 * is what all are about; it is filled in as time goes. */
int pp_outputs_open(struct pp_outputs *outputs, const struct pp_cli *cli,
                    const struct pp_screen *screen, const struct pp_result *result,
                    struct pp_error *err);

void pp_outputs_begin(struct pp_outputs *outputs);

/* 0, or -EPIPE: whoever read standard output is gone. */
int pp_outputs_interval(struct pp_outputs *outputs, const struct pp_result_interval *interval);

/* Writes what there is to say at the end, after what belongs at the beginning if the measurement
 * never got there, and puts each file in its place, where it replaces an
 * older one. error is what went wrong with the measurement. 0 or the first error, which the others
 * do not suffer from. */
int pp_outputs_end(struct pp_outputs *outputs, const struct pp_error *error, struct pp_error *err);

/* The same for what is no measurement: write() puts it out in the format of each report. */
int pp_outputs_write(struct pp_outputs *outputs,
                     int (*write)(void *context, struct pp_report *report, struct pp_error *err),
                     void *context, struct pp_error *err);

/* Removes what is not whole. */
void pp_outputs_close(struct pp_outputs *outputs);

/* Whether people read text on standard output, and intervals there. */
bool pp_outputs_show_text(const struct pp_outputs *outputs);

#endif
