/* The interval log of HdrHistogram, version 1.3, which its tools read: comments, a legend, and a
 * line of text for each interval and histogram. Whether writing worked is asked of the stream. */
#ifndef PP_REPORT_HLOG_H
#define PP_REPORT_HLOG_H

#include "measure/hist_wire.h"

#include <stdint.h>
#include <stdio.h>

/* The comments and the legend. start_wall_ns is the time since the epoch at which the log begins:
 * what the intervals' times count from. */
void pp_hlog_begin(FILE *out, uint64_t start_wall_ns);

/* An interval that begins start_ns after the log's begin. tag tells histograms of the same interval
 * from each other, has neither comma nor white space, and is NULL for none: readers take the lines
 * of one tag, or those without. Times are rounded to milliseconds, the maximum is exact. Allocates
 * nothing, once out has its buffer. */
void pp_hlog_line(FILE *out, struct pp_hist_encoder *encoder, const char *tag, uint64_t start_ns,
                  uint64_t length_ns, const struct pp_hist *hist);

#endif
