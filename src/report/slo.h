/* Up to which rate a condition holds: as text, as Markdown, and as CSV with a row for each try. */
#ifndef PP_REPORT_SLO_H
#define PP_REPORT_SLO_H

#include "plan/gate.h"
#include "report/report.h"
#include "result/ladder.h"

struct pp_report_slo {
    const struct pp_plan *plan; /* of the first candidate */
    const struct pp_gate *slo;
    unsigned count; /* of candidates */
    const char *names[PP_CANDIDATES_MAX];
    double least[PP_CANDIDATES_MAX], most[PP_CANDIDATES_MAX]; /* rates that were tried */
    const struct pp_slo *found;                               /* of each */
    const struct pp_trial *trials;                            /* a try each */
    const struct pp_slo_try *tries;                           /* beside them */
    size_t trial_count;
    uint64_t seed;
    int signal; /* that ended it early; 0: none */
};

void pp_report_slo_text(FILE *out, const struct pp_report_style *style,
                        const struct pp_report_slo *of);
void pp_report_slo_markdown(FILE *out, const struct pp_report_slo *of);
void pp_report_slo_csv(FILE *out, const struct pp_report_slo *of);

#endif
