/* What a sweep has come to: a row for each point, as text with a plot, as Markdown, and as CSV. */
#ifndef PP_REPORT_SWEEP_H
#define PP_REPORT_SWEEP_H

#include "report/report.h"
#include "result/ladder.h"
#include "result/sweep.h"

#define PP_SWEEP_AXES_MAX 2

struct pp_report_sweep {
    const struct pp_plan *plan; /* of the first point */
    unsigned axis_count;
    const char *axes[PP_SWEEP_AXES_MAX]; /* the options' names */
    bool has_series;                     /* the points are of several candidates */
    unsigned count;
    const struct pp_sweep_point *points;
    const char *const *series;                      /* of each point; "" without */
    const char *const (*values)[PP_SWEEP_AXES_MAX]; /* of each point: of each axis */
    const struct pp_knee *knees;                    /* of each series */
    unsigned knee_count;                            /* 0: none were asked for */
    unsigned rounds;
    uint64_t seed;
    int signal; /* that ended it early; 0: none */
};

void pp_report_sweep_text(FILE *out, const struct pp_report_style *style,
                          const struct pp_report_sweep *of);
void pp_report_sweep_markdown(FILE *out, const struct pp_report_sweep *of);
void pp_report_sweep_csv(FILE *out, const struct pp_report_sweep *of);

#endif
