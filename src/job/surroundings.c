#include "job/surroundings.h"

#include "base/clock.h"
#include "measure/usage.h"

#include <string.h>

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

/* A server of another process may have any CPU: its time can only be taken from that of all. */
void pp_surroundings_now(struct pp_disturbance_reading *reading, const struct pp_result *result)
{
    int cpus[CPUS_MAX];
    const unsigned count = pp_result_server_is_near(result) ? 0 : cpus_of(&result->plan, cpus);

    pp_disturbance_read(reading, count ? cpus : NULL, count, "");
}

/* Where no packet comes from elsewhere, it is for us that the network stack works, or for whoever
 * is busy with other packets. Below this share of the time it makes no difference. */
#define INTERRUPTS_SHARE 0.02

static bool counts_interrupts(const struct pp_result *result,
                              const struct pp_disturbance_reading *before,
                              const struct pp_disturbance_reading *after)
{
    const uint64_t total = after->total_ticks - before->total_ticks;
    const uint64_t interrupts = after->interrupt_ticks - before->interrupt_ticks;

    return (result->plan.job == PP_JOB_RUN || pp_result_server_is_near(result)) &&
           (double)interrupts > INTERRUPTS_SHARE * (double)total && pp_usage_holds_interrupts();
}

void pp_surroundings_fill(struct pp_result *result, const struct pp_disturbance_reading *before,
                          const struct pp_disturbance_reading *after)
{
    const struct pp_usage *server = &result->server.usage;
    struct pp_disturbance_reading later = *after;

    if (counts_interrupts(result, before, after))
        later.busy_ticks += after->interrupt_ticks - before->interrupt_ticks;
    if (pp_result_server_is_near(result) && pp_result_server_costs_known(result))
        later.own_ns += server->user_ns + server->system_ns;
    result->disturbance = pp_disturbance_between(before, &later);
}
