/* Where a measurement runs, and what else happens there meanwhile. */
#ifndef PP_BENCH_SURROUNDINGS_H
#define PP_BENCH_SURROUNDINGS_H

#include "bench/result.h"

/* Before any thread is pinned: reads the machine and the way to result->addr into result. Takes a
 * few milliseconds. */
void pp_surroundings_read(struct pp_result *result);

/* Right before and right after what is measured. */
void pp_surroundings_now(struct pp_disturbance_reading *reading, const struct pp_result *result);

/* Fills in result->disturbance, once it is known what the server has cost, if it says so. */
void pp_surroundings_fill(struct pp_result *result, const struct pp_disturbance_reading *before,
                          const struct pp_disturbance_reading *after);

/* Whether the server is another process of this machine, in whatever network namespace or container
 * that is: it says so by the machine's boot id, or else the way to it does. */
bool pp_server_is_elsewhere_here(const struct pp_result *result);

#endif
