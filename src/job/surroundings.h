/* Where a measurement runs, and what else happens there meanwhile. */
#ifndef PP_JOB_SURROUNDINGS_H
#define PP_JOB_SURROUNDINGS_H

#include "result/result.h"

/* Before any thread is pinned: reads the machine and the way to result->addr into result. Takes a
 * few milliseconds. */
void pp_surroundings_read(struct pp_result *result);

/* Right before and right after what is measured. */
void pp_surroundings_now(struct pp_disturbance_reading *reading, const struct pp_result *result);

/* Fills in result->disturbance, once it is known what the server has cost, if it says so. */
void pp_surroundings_fill(struct pp_result *result, const struct pp_disturbance_reading *before,
                          const struct pp_disturbance_reading *after);

#endif
