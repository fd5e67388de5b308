/* What trials say of a ladder of loads: of each point its medians, as plain data. */
#ifndef PP_RESULT_SWEEP_H
#define PP_RESULT_SWEEP_H

#include "result/comparison.h"

/* Medians of its trials; NAN: not known. */
struct pp_sweep_point {
    unsigned trials, missing;
    double figures[PP_METRICS]; /* as in struct pp_trial */
    double rate_least, rate_most;
    double p999_ns, bytes_per_s;
    enum pp_verdict_level level; /* the worst of them; PP_INVALID where all are missing */
};

/* points has an item for each candidate, and the trials' candidates are below their number. 0 or
 * -ENOMEM. */
int pp_sweep_of(const struct pp_trial *trials, size_t count, struct pp_sweep_point *points,
                unsigned candidates);

#endif
