#include "bench/surroundings.h"

#include "base/clock.h"

#define CPUS_MAX (2 * PP_PLAN_THREADS_MAX)

void pp_surroundings_read(struct pp_result *result)
{
    const struct pp_io_addr *addr = &result->addr;

    pp_machine_read(&result->machine, "");
    (void)pp_route_find(&result->route, &addr->any, addr->len);
    result->clock_reading_ns = pp_clock_reading_cost_ns();
}

/* The CPUs that the plan's threads are pinned to; 0: they may run anywhere. */
static unsigned cpus_of(const struct pp_plan *plan, int cpus[CPUS_MAX])
{
    unsigned count = 0;

    for (uint32_t i = 0; i < plan->client_threads && plan->client_cpus[i] != PP_CPU_ANY; i++)
        cpus[count++] = plan->client_cpus[i];
    for (uint32_t i = 0;
         plan->job == PP_JOB_RUN && i < plan->server_threads && plan->server_cpus[i] != PP_CPU_ANY;
         i++)
        cpus[count++] = plan->server_cpus[i];
    return count;
}

static void read_disturbance(struct pp_disturbance_reading *reading, const struct pp_plan *plan)
{
    int cpus[CPUS_MAX];
    const unsigned count = cpus_of(plan, cpus);

    pp_disturbance_read(reading, count ? cpus : NULL, count, "");
}

void pp_surroundings_before(struct pp_disturbance_reading *before, const struct pp_plan *plan)
{
    read_disturbance(before, plan);
}

void pp_surroundings_after(struct pp_result *result, const struct pp_disturbance_reading *before)
{
    struct pp_disturbance_reading after;

    read_disturbance(&after, &result->plan);
    result->disturbance = pp_disturbance_between(before, &after);
}
