/* The course of a measurement: how many round trips each of a few equal slices of it brought. */
#ifndef PP_BENCH_SLICES_H
#define PP_BENCH_SLICES_H

#include "measure/stat.h"

#include <stdint.h>

struct pp_slices {
    unsigned count; /* readings kept: each is the total so far */
    unsigned every; /* this many ticks make a slice */
    unsigned tick;
    uint64_t totals[PP_TREND_VALUES_MAX + 1];
};

void pp_slices_begin(struct pp_slices *slices);

/* To be called at equal distances: total round trips so far. When there are too many slices, two
 * become one. */
void pp_slices_note(struct pp_slices *slices, uint64_t total);

/* Whether the rate rose or fell over the measurement; its z is 0 where there are too few slices to
 * tell. */
struct pp_trend pp_slices_trend(const struct pp_slices *slices);

#endif
