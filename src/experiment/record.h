/* An experiment as one JSON document, with everything in it: what was run, in which order, the
 * whole result of each trial, and what it came to. */
#ifndef PP_EXPERIMENT_RECORD_H
#define PP_EXPERIMENT_RECORD_H

#include "experiment/experiment.h"
#include "result/ladder.h"
#include "result/explanation.h"
#include "result/sweep.h"

#include <stdio.h>

/* 0, or a negative errno with err set; whether out has taken it is for its owner to find out. */
int pp_record_write(const struct pp_experiment *experiment, const struct pp_comparison *comparison,
                    FILE *out, struct pp_error *err);

/* The same of a sweep, of which each candidate is a point; knee_count of 0: no knees were asked
 * for. */
int pp_record_write_sweep(const struct pp_experiment *experiment,
                          const struct pp_sweep_point *points, const struct pp_knee *knees,
                          unsigned knee_count, FILE *out, struct pp_error *err);

/* The same of searches for the highest rate with a condition, found of each candidate. */
int pp_record_write_slo(const struct pp_experiment *experiment, const char *condition,
                        const struct pp_slo *found, FILE *out, struct pp_error *err);

/* The same of an explanation: its candidates are as pp_explanation_of() has them. */
int pp_record_write_explanation(const struct pp_experiment *experiment,
                                const struct pp_explanation *explanation, FILE *out,
                                struct pp_error *err);

#endif
