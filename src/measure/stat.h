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

#endif
