/* Inside this layer: what the head of a measurement and that of a server have in common. */
#ifndef PP_REPORT_TEXT_PARTS_H
#define PP_REPORT_TEXT_PARTS_H

#include "plan/plan.h"
#include "report/line.h"
#include "report/report.h"

const char *pp_text_plural(uint64_t n);                         /* "s", or "" for one */
const char *pp_text_transport_name(const struct pp_plan *plan); /* "TCP" */

/* How many connections and threads, how long messages are, how they follow each other. */
void pp_text_load_fields(struct pp_line *line, const struct pp_plan *plan);
void pp_text_wait_field(struct pp_line *line, const struct pp_plan *plan);
void pp_text_placement_field(struct pp_line *line, const struct pp_plan *plan);

/* For which name a letter stands in tables that have no room for it. */
void pp_text_legend_line(FILE *out, const struct pp_report_style *style, char letter,
                         const char *name);

/* Why an engine was not taken; nothing where why is "". */
void pp_text_refused_line(FILE *out, const struct pp_report_style *style, const char *why);

#endif
