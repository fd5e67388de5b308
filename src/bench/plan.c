#include "bench/plan.h"

#include "base/clock.h"
#include "measure/host.h"

#include <errno.h>
#include <stddef.h>

/* Up to so many connections, looking again beats sleeping. Above, there is nearly always something
 * to do, and the two are level. */
#define LOOK_CONNECTIONS_MAX 16
#define LOOK_NS (50 * PP_NS_PER_US)

/* How long to watch what the CPUs are doing, and from what share on one is taken. */
#define BUSY_SAMPLE_MS 50
#define BUSY_SHARE 0.5

/* Less of a difference is chance. */
#define BUSY_DIFFERENCE 0.25

struct pp_plan pp_plan_default(void)
{
    return (struct pp_plan){
        .host = "127.0.0.1",
        .port = 3131,
        .count = 500000,
        .connections = 1,
        .wire = { .message = "PING\n", .bytes = 5 },
        .client_engine = "auto",
        .server_engine = "auto",
        .wait_auto = true,
        .placement_auto = true,
        .client_cpu = PP_CPU_ANY,
        .server_cpu = PP_CPU_ANY,
    };
}

/* On a CPU of its own a thread has nobody to give it to; elsewhere the other side may need it. */
static void decide_wait(struct pp_plan *plan)
{
    if (!plan->wait_auto)
        return;
    plan->spin_ns = LOOK_NS;
    if (plan->connections > LOOK_CONNECTIONS_MAX)
        plan->wait = PP_IO_WAIT_BLOCK;
    else if (plan->placement == PP_PLACEMENT_SPLIT)
        plan->wait = PP_IO_WAIT_SPIN;
    else
        plan->wait = PP_IO_WAIT_YIELD;
}

static bool is_better(const struct pp_host_cpu *cpu, const struct pp_host_cpu *best,
                      const struct pp_host_cpu *other)
{
    if (cpu->busy < best->busy - BUSY_DIFFERENCE || cpu->busy > best->busy + BUSY_DIFFERENCE)
        return cpu->busy < best->busy;
    return other && best->core == other->core && cpu->core != other->core;
}

/* The idlest CPU but other; among equals one on another core than other's, and the lowest
 * number. */
static const struct pp_host_cpu *idlest(const struct pp_host_cpu *cpus, unsigned count,
                                        const struct pp_host_cpu *other)
{
    const struct pp_host_cpu *best = NULL;

    for (unsigned i = 0; i < count; i++)
        if (&cpus[i] != other && (!best || is_better(&cpus[i], best, other)))
            best = &cpus[i];
    return best;
}

/* One connection is a strict alternation: on one CPU no wake-up crosses to another. Several can
 * keep two CPUs busy, where two are free. */
static enum pp_placement choose_placement(const struct pp_plan *plan,
                                          const struct pp_host_cpu *second)
{
    const bool spins = !plan->wait_auto && plan->wait == PP_IO_WAIT_SPIN;
    const bool wants_two = plan->connections > 1 || spins;

    return wants_two && second && second->busy < BUSY_SHARE ? PP_PLACEMENT_SPLIT
                                                            : PP_PLACEMENT_SAME;
}

static int place(struct pp_plan *plan, struct pp_error *err)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);
    const struct pp_host_cpu *first, *second;

    pp_host_sample_busy(cpus, count, BUSY_SAMPLE_MS);
    first = idlest(cpus, count, NULL);
    second = idlest(cpus, count, first);
    if (plan->placement_auto)
        plan->placement = choose_placement(plan, second);
    if (plan->placement == PP_PLACEMENT_SPLIT && !second)
        return pp_error_set(err, PP_ERROR_RUN, -EINVAL,
                            "--placement split needs two CPUs, and this process may use only one");
    plan->client_cpu = first->cpu;
    plan->server_cpu = plan->placement == PP_PLACEMENT_SPLIT ? second->cpu : first->cpu;
    return 0;
}

static bool may_use(const struct pp_host_cpu *cpus, unsigned count, int cpu)
{
    for (unsigned i = 0; i < count; i++)
        if (cpus[i].cpu == cpu)
            return true;
    return cpu == PP_CPU_ANY;
}

static int check_cpus(struct pp_plan *plan, struct pp_error *err)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);
    const int wrong = may_use(cpus, count, plan->client_cpu) ? plan->server_cpu : plan->client_cpu;

    if (!may_use(cpus, count, wrong))
        return pp_error_set(
            err, PP_ERROR_USAGE, -EINVAL,
            "--cpus: this process may not use CPU %d (it may use %u, from %d to %d)", wrong, count,
            cpus[0].cpu, cpus[count - 1].cpu);
    plan->placement = plan->client_cpu == plan->server_cpu ? PP_PLACEMENT_SAME : PP_PLACEMENT_SPLIT;
    return 0;
}

static int decide_placement(struct pp_plan *plan, struct pp_error *err)
{
    if (plan->cpus_given)
        return check_cpus(plan, err);
    if (!plan->placement_auto && plan->placement == PP_PLACEMENT_NONE)
        return 0;
    return place(plan, err);
}

int pp_plan_decide(struct pp_plan *plan, struct pp_error *err)
{
    const int ret = decide_placement(plan, err);

    if (ret == 0)
        decide_wait(plan);
    return ret;
}
