/* A bar that moves while a run is going on. Only for a terminal, which is columns wide: it draws
 * over its own line. */
#ifndef PP_REPORT_PROGRESS_H
#define PP_REPORT_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

/* done round trips in elapsed_ns; share of the whole, 0 to 1. */
void pp_progress_draw(FILE *out, unsigned columns, uint64_t done, double share,
                      uint64_t elapsed_ns);

/* The same of an experiment: so many trials of all are over, the rest takes left_ns (0: it is not
 * known); text is what it looks like so far, "" if like nothing. */
void pp_progress_trials(FILE *out, unsigned columns, unsigned done, unsigned of, uint64_t left_ns,
                        const char *text);

/* Leaves the line empty. */
void pp_progress_clear(FILE *out);

#endif
