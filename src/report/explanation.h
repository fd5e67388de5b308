/* Where a round trip's time goes: as text, as a table in Markdown, and as CSV. */
#ifndef PP_REPORT_EXPLANATION_H
#define PP_REPORT_EXPLANATION_H

#include "report/report.h"
#include "result/explanation.h"

struct pp_report_explanation {
    const struct pp_explanation *explanation;
    const char *const *others;  /* the options of each, as they are typed: "--wait=block" */
    const char *const *names;   /* and as a candidate of compare: "wait=block" */
    const struct pp_plan *plan; /* of the program's trials */
    const char *engine;         /* that they had */
    unsigned runs;              /* in a round */
    uint64_t seed;              /* of the order */
    int signal;                 /* that ended it early; 0: none */
};

/* A table of the parts and a bar of them, one of what was run instead, and advice. */
void pp_report_explanation_text(FILE *out, const struct pp_report_style *style,
                                const struct pp_report_explanation *of);

/* The tables, the advice below. */
void pp_report_explanation_markdown(FILE *out, const struct pp_report_explanation *of);

/* A head, and a row for the whole, each part, and what was run instead. */
void pp_report_explanation_csv(FILE *out, const struct pp_report_explanation *of);

#endif
