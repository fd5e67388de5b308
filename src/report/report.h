/* What the outputs have in common: each takes a measurement as it goes, and writes it in a format
 * of its own. An output computes nothing and sees no socket. */
#ifndef PP_REPORT_REPORT_H
#define PP_REPORT_REPORT_H

#include "base/error.h"
#include "result/result.h"

#include <stdbool.h>
#include <stdio.h>

struct pp_report_style {
    bool quiet;       /* text: the two lines with the rate and the time, nothing else */
    bool verbose;     /* text: everything there is */
    bool colour;      /* text: there is a terminal that shows colours, and they are wanted */
    bool intervals;   /* intervals were asked for; otherwise only formats made of them show any */
    bool histogram;   /* JSON: with all of each histogram */
    unsigned columns; /* text: lines are folded to this width; 0: never */
};

/* One output. Its format's functions are called in this order, on_interval as often as need be, and
 * all return 0 or a negative errno with err set. Whether out can take what was written is for its
 * owner to find out. */
struct pp_report {
    const struct pp_report_format *format;
    struct pp_report_style style;
    FILE *out;
    int error;   /* a negative errno: what should have been written is missing; end() says so */
    void *state; /* the format's own */
};

struct pp_report_format {
    const char *name;
    const char *suffix;   /* of a file's name, with its dot */
    bool streams;         /* what it says of an interval, it says at once */
    bool wants_intervals; /* it is made of them: they come each second if nothing else is said */

    /* Before anything is measured. */
    int (*open)(struct pp_report *report, struct pp_error *err);

    /* The measurement is about to begin: result has the plan and the engines. */
    void (*begin)(struct pp_report *report, const struct pp_result *result);

    /* May run on another thread than the rest, but never at the same time. */
    void (*interval)(struct pp_report *report, const struct pp_result *result,
                     const struct pp_result_interval *interval);

    /* It is over. error is what went wrong, with code 0 if nothing did. */
    int (*end)(struct pp_report *report, const struct pp_result *result,
               const struct pp_error *error, struct pp_error *err);

    /* Whether or not it came to an end. */
    void (*close)(struct pp_report *report);
};

extern const struct pp_report_format pp_report_text;
extern const struct pp_report_format pp_report_json;
extern const struct pp_report_format pp_report_json_stream;
extern const struct pp_report_format pp_report_csv;
extern const struct pp_report_format pp_report_hlog;
extern const struct pp_report_format pp_report_markdown;

#endif
