/* A result for people: plain UTF-8 text, one subject a line. */
#ifndef PP_REPORT_TEXT_H
#define PP_REPORT_TEXT_H

#include "bench/result.h"
#include "bench/serve.h"

#include <stdbool.h>
#include <stdio.h>

struct pp_text_style {
    bool quiet;       /* the two lines with the rate and the time, nothing else */
    bool verbose;     /* everything there is */
    unsigned columns; /* lines are folded to this width; 0: never */
};

/* What is going to be measured. Nothing when quiet. */
void pp_text_begin(FILE *out, const struct pp_text_style *style, const struct pp_result *result);

/* A server: where it listens, and what it has done. The first line begins with "listening on". */
void pp_text_serve_begin(FILE *out, const struct pp_text_style *style, const struct pp_plan *plan,
                         const struct pp_serve_report *report);
void pp_text_serve_end(FILE *out, const struct pp_text_style *style,
                       const struct pp_serve_report *report);

/* What came out. */
void pp_text_end(FILE *out, const struct pp_text_style *style, const struct pp_result *result);

#endif
