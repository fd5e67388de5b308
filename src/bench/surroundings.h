/* Where a measurement runs, and what else happens there meanwhile. */
#ifndef PP_BENCH_SURROUNDINGS_H
#define PP_BENCH_SURROUNDINGS_H

#include "bench/result.h"

/* Before any thread is pinned: reads the machine and the way to result->addr into result. Takes a
 * few milliseconds. */
void pp_surroundings_read(struct pp_result *result);

/* Right before and right after what is measured. */
void pp_surroundings_before(struct pp_disturbance_reading *before, const struct pp_plan *plan);
void pp_surroundings_after(struct pp_result *result, const struct pp_disturbance_reading *before);

#endif
