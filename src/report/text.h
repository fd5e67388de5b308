/* A result for people: plain UTF-8 text, what matters first. */
#ifndef PP_REPORT_TEXT_H
#define PP_REPORT_TEXT_H

#include "report/report.h"
#include "result/result.h"
#include "result/serving.h"

#include <stdio.h>

/* What is going to be measured. Nothing when quiet. */
void pp_text_begin(FILE *out, const struct pp_report_style *style, const struct pp_result *result);

/* One line for an interval, unless it has to be folded, and above the first one what its columns
 * mean. */
void pp_text_interval(FILE *out, const struct pp_report_style *style,
                      const struct pp_result *result, const struct pp_result_interval *interval);

/* What came out. */
void pp_text_end(FILE *out, const struct pp_report_style *style, const struct pp_result *result);

/* A server: where it listens, and what it has done. The first line begins with "listening on". */
void pp_text_serve_begin(FILE *out, const struct pp_report_style *style, const struct pp_plan *plan,
                         const struct pp_serve_report *report);
/* One line about what has happened between the two, for standard error; from is where one came from
 * that was turned away, or NULL. */
void pp_text_serve_notice(FILE *out, const struct pp_server_counts *before,
                          const struct pp_server_counts *now, const struct pp_io_addr *from);
void pp_text_serve_end(FILE *out, const struct pp_report_style *style,
                       const struct pp_serve_report *report);

#endif
