/* What a comparison has come to: as text, as a table in Markdown, and as CSV. */
#ifndef PP_REPORT_COMPARISON_H
#define PP_REPORT_COMPARISON_H

#include "report/report.h"
#include "result/comparison.h"

struct pp_report_comparison {
    const struct pp_comparison *comparison;
    const char *names[PP_CANDIDATES_MAX];
    bool saved[PP_CANDIDATES_MAX];              /* those were measured at another time */
    const char *differences[PP_CANDIDATES_MAX]; /* of host and build from the baseline's; NULL or
                                                   "": none */
    const struct pp_plan *plan;                 /* of the baseline's trials; NULL: all were saved */
    const struct pp_trial *trials;
    size_t trial_count;
    uint64_t seed;   /* of the order */
    unsigned matrix; /* the names are "CLIENT/SERVER" of so many engines with each other; 0: not */
    int signal;      /* that ended it early; 0: none */
};

/* A table for each metric, a sentence for each candidate, and the noise. */
void pp_report_comparison_text(FILE *out, const struct pp_report_style *style,
                               const struct pp_report_comparison *of);

/* The tables as one, the sentences below. */
void pp_report_comparison_markdown(FILE *out, const struct pp_report_comparison *of);

/* A head, and a row for each candidate and metric. */
void pp_report_comparison_csv(FILE *out, const struct pp_report_comparison *of);

#endif
