/* What a ladder of loads says: from which load on latency grows faster than the load, and up to
 * which load a condition holds. Pure functions of trials. */
#ifndef PP_RESULT_LADDER_H
#define PP_RESULT_LADDER_H

#include "result/comparison.h"

/* The points of one series: candidates first, first + 1, ..., at rising loads, so many at most. */
struct pp_ladder {
    const struct pp_trial *trials;
    size_t trial_count;
    unsigned first, points;
    const double *loads;
};

#define PP_LADDER_POINTS_MAX 64

/* Two points make no knee. */
#define PP_KNEE_POINTS_LEAST 4

struct pp_knee {
    unsigned rounds, found; /* rounds with enough points; those of them that have a knee */
    struct pp_paired load;  /* of the latter: ratio is the load, at95 its interval, and 3 % more for
                             what lies between steps */
};

/* The load from which a growth of 1 % makes the 99th percentile grow by more than 1 %: where the
 * slope of its logarithm over that of the load passes 1. The slopes of each round, of lines through
 * the points around, are made to rise, as those of a queue do, by pooling adjacent violators (Ayer
 * et al. 1955, doi 10.1214/aoms/1177728423); rounds are combined as pairs are. 0 or -ENOMEM. */
int pp_knee_of(const struct pp_ladder *ladder, struct pp_knee *knee);

/* ---- up to which rate a condition holds --------------------------------------------------- */

/* One search: up from start by a factor that grows until the condition fails, or down until it
 * holds, then by halves until 2 % are left. */
struct pp_slo_search {
    double least, most; /* no other rates are tried */
    double rate;        /* to be tried next, in an open loop */
    double factor;
    double holds_at, fails_at; /* 0, INFINITY: nothing is known */
    bool is_over;
    double edge; /* then: the highest rate that holds; 0: not even least does */
};

struct pp_slo_search pp_slo_begin(double start, double factor, double least, double most);

/* What came of the try at search->rate. */
void pp_slo_note(struct pp_slo_search *search, bool holds);

/* What came of a try, beside its trial. */
struct pp_slo_try {
    double rate;     /* that was asked for */
    double value_ns; /* what the condition is about */
    bool holds;
};

struct pp_slo {
    unsigned rounds;       /* searches that are over */
    unsigned never, most;  /* of them: where it does not even hold at the least rate, and where it
                             holds at the highest */
    struct pp_paired edge; /* of the others: ratio is the rate, at95 its interval */
};

/* edges[i] is that of search i. 0 or -ENOMEM. */
int pp_slo_of(const double *edges, unsigned count, double most, struct pp_slo *slo);

#endif
