/* Time that a run's threads were kept from working: CPUs that others had, and quotas. */
#ifndef PP_JOB_WAITS_H
#define PP_JOB_WAITS_H

#include "measure/enclosure.h"
#include "measure/waiting.h"
#include "result/result.h"

struct pp_clients;
struct pp_servers;

struct pp_waits_reading {
    struct pp_cpu_times cpus;
    struct pp_throttling throttling;
};

/* Right before and right after what is measured. Takes a few file reads. */
void pp_waits_read(struct pp_waits_reading *reading);

/* Once all threads have been sampled: fills in result->waiting and result->throttled. servers is
 * NULL if they are elsewhere. */
void pp_waits_fill(struct pp_result *result, const struct pp_waits_reading *before,
                   const struct pp_waits_reading *after, const struct pp_clients *clients,
                   const struct pp_servers *servers);

#endif
