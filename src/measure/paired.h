/* What pairs of measurements say of a ratio, or of a difference: the estimate of Hodges and
 * Lehmann, and the exact interval and test of Wilcoxon's signed ranks, which ask for no
 * distribution and which outliers hardly move. Pure functions.
 * Sources: Hodges and Lehmann 1963 (doi 10.1214/aoms/1177704172), Wilcoxon 1945
 * (doi 10.2307/3001968), Holm 1979 (Scandinavian Journal of Statistics 6, 65-70). */
#ifndef PP_MEASURE_PAIRED_H
#define PP_MEASURE_PAIRED_H

#include "measure/stat.h"

#define PP_PAIRED_MAX 500 /* pairs */
#define PP_PAIRED_TESTS_MAX 64

struct pp_paired {
    unsigned n;   /* pairs */
    double ratio; /* the estimate; NAN without a pair */
    struct pp_interval at95,
        at90; /* of the ratio; from 0 to INFINITY where n is too small for one */
    double p; /* two-sided and exact: of such a difference by chance, if the
                                     ratio is 1 */
};

/* logs[i] is the logarithm of the ratio of pair i, in any order; n is PP_PAIRED_MAX at most. 0, or
 * -ENOMEM. */
int pp_paired_of(const double *logs, unsigned n, struct pp_paired *paired);

struct pp_shift {
    unsigned n;              /* values */
    double estimate;         /* NAN without a value */
    struct pp_interval at95; /* from -INFINITY to INFINITY where n is too small for one: below 6 */
};

/* The same of values as they are, such as differences of pairs: where their middle lies. n is
 * PP_PAIRED_MAX at most. 0, or -ENOMEM. */
int pp_shift_of(const double *values, unsigned n, struct pp_shift *shift);

/* P(W+ <= w) of the sum of ranks W+ of n pairs without ties, if the ratio is 1: exact. */
double pp_paired_chance(unsigned n, unsigned w);

/* How many rounds it would take for even odds of telling a ratio of 1 + least from 1:
 * n (half-width / ln(1 + least))^2, and no fewer than n. 0: it is not known, as there is no
 * interval. */
unsigned pp_paired_rounds_needed(const struct pp_paired *paired, double least);

/* Holm's correction: makes each of the count p-values the least level at which its test, as one of
 * them all, rejects. */
void pp_paired_holm(double *p, unsigned count);

#endif
