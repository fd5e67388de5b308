/* The figures of a result by name: the keys of its JSON, with dots between ("counts.lost",
 * "costs.client.system_calls_per_round_trip"); any percentile ("p99.9", "rtt.p50"); and short ones
 * for the main figures: rate, min, mean, max, loss, stalls, cpu. */
#ifndef PP_REPORT_FIGURES_H
#define PP_REPORT_FIGURES_H

#include "result/result.h"

#include <stdbool.h>
#include <stdio.h>

/* 0 if some result has a figure of this name; -EINVAL with err set, or -ENOMEM. */
int pp_figure_check(const char *name, struct pp_error *err);

/* Times in ns. False: n/a in this result. */
bool pp_figure_of(const struct pp_result *result, const char *name, double *value);

/* Fills in the outcomes of all the plan's gates. */
void pp_figures_judge(struct pp_result *result);

/* Of gate number i, such as "p99>200us: 254 µs, failed". */
#define PP_FIGURES_TEXT_BYTES 192
const char *pp_figures_gate_text(char text[PP_FIGURES_TEXT_BYTES], const struct pp_result *result,
                                 unsigned i);

#endif
