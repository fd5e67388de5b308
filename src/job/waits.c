#include "job/waits.h"

#include "job/clients.h"
#include "job/servers.h"
#include "job/surroundings.h"
#include "measure/cpulist.h"

#include <string.h>

#define WAITERS_MAX (2 * PP_PLAN_THREADS_MAX)

/* No scheduler of Linux gives a task that computes less than this at once. */
#define SLICE_NS (700 * PP_NS_PER_US)

void pp_waits_read(struct pp_waits_reading *reading)
{
    pp_cpu_times_read(&reading->cpus, "");
    pp_enclosure_throttling(&reading->throttling, "");
}

static bool is_new(const struct pp_waiter *waiters, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (waiters[k].cpu == waiters[i].cpu)
            return false;
    return true;
}

/* How many CPUs the threads have at once, at most; at least 1. */
static unsigned cpus_of(const struct pp_waiter *waiters, unsigned count, unsigned allowed)
{
    unsigned cpus = 0;

    for (unsigned i = 0; i < count; i++)
        cpus += waiters[i].cpu < 0 || is_new(waiters, i);
    if (allowed > 0 && cpus > allowed)
        cpus = allowed;
    return cpus > 0 ? cpus : 1;
}

/* A server of another process of this machine works for us, on CPUs where our threads may wait for
 * it: what it had is known if it says so. */
static uint64_t server_ns(const struct pp_result *result)
{
    if (result->peer == PP_PEER_OURS || !result->peer_costs_known ||
        !pp_result_server_is_near(result))
        return 0;
    return result->server.usage.user_ns + result->server.usage.system_ns;
}

/* One that does not say so gives the CPU back as soon as it has answered; who computes does so for
 * a time slice. */
static void judge_waiting_for_server(struct pp_result *result)
{
    struct pp_waiting *waiting = &result->waiting;

    result->waits_for_server = result->peer != PP_PEER_OURS && pp_result_server_is_near(result) &&
                               !pp_result_server_costs_known(result);
    if (result->waits_for_server && waiting->others_share > 0 && waiting->each_ns < SLICE_NS)
        waiting->others_known = false;
}

void pp_waits_fill(struct pp_result *result, const struct pp_waits_reading *before,
                   const struct pp_waits_reading *after, const struct pp_clients *clients,
                   const struct pp_servers *servers)
{
    const char *allowed = result->machine.cpus_allowed;
    struct pp_waiter waiters[WAITERS_MAX];
    const unsigned of_clients = pp_clients_waiters(clients, waiters);
    const unsigned count = of_clients +
                           (servers ? pp_servers_waiters(servers, waiters + of_clients) : 0);

    result->throttled = pp_throttled_between(&before->throttling, &after->throttling);
    result->waiting = pp_waiting_of(waiters, count, &before->cpus, &after->cpus, allowed,
                                    server_ns(result) + result->throttled.sum_ns);
    judge_waiting_for_server(result);
    result->waits_of_server = result->waiting.others_who >= of_clients;
    /* The kernel adds up what each CPU was kept from; those that are busy are stopped together. */
    result->throttled.sum_ns /= cpus_of(waiters, count, pp_cpulist_count(allowed));
}
