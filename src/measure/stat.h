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

#define PP_TREND_VALUES_MAX 64

/* A rise from nothing, or to more than a hundred times as much, is told as this. */
#define PP_TREND_CHANGE_MAX 99.0

struct pp_trend {
    double z;      /* Mann-Kendall: beyond 1.96 either way, chance alone does so 1 time in 20 */
    double slope;  /* Theil-Sen, in units of the values for each step from one to the next */
    double change; /* the end of a line of that slope against its beginning: 0.1 for a rise by 10 %,
                      from -1 to PP_TREND_CHANGE_MAX */
};

/* Do values, taken at equal distances in time, rise or fall? z is the test of Mann (Econometrica
 * 13, 1945, doi 10.2307/1907187) and Kendall (Rank Correlation Methods, 1975), with its corrections
 * for ties and continuity; slope is the median of the slopes of all pairs (Sen 1968,
 * doi 10.1080/01621459.1968.10480934). Neither minds a few outliers. count is at most
 * PP_TREND_VALUES_MAX; z says little below 10 values. All is 0 below 3. The line of change goes
 * through the medians of the values and of their places, and its ends lie within the values; change
 * is 0 where both are not above 0. */
struct pp_trend pp_stat_trend(const double *values, unsigned count);

/* How evenly n parties share, from 1/n, where one has all, to 1: sum^2 / (n sum_of_squares) (Jain,
 * Chiu and Hawe, DEC-TR-301, 1984). 1 where there is nothing to share. */
double pp_stat_jain(uint64_t n, double sum, double sum_of_squares);

#endif
