/* What can be said of a whole from a sample of it. */
#ifndef PP_MEASURE_STAT_H
#define PP_MEASURE_STAT_H

#include <stdint.h>

struct pp_interval {
    double low, high;
};

/* The 95 % interval of a proportion of which hits out of n were seen, 0 to 1 (Wilson 1927,
 * doi 10.1080/01621459.1927.10502953). Without a sample it says nothing: 0 to 1. */
struct pp_interval pp_stat_proportion(uint64_t hits, uint64_t n);

/* How evenly n parties share, from 1/n, where one has all, to 1: sum^2 / (n sum_of_squares) (Jain,
 * Chiu and Hawe, DEC-TR-301, 1984). 1 where there is nothing to share. */
double pp_stat_jain(uint64_t n, double sum, double sum_of_squares);

/* The median; sorts values. NAN without any. */
double pp_stat_median(double *values, unsigned count);

#endif
