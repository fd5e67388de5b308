#include "bench/waits.h"

#include "bench/clients.h"
#include "bench/servers.h"
#include "measure/cpulist.h"

#include <string.h>

#define WAITERS_MAX (2 * PP_PLAN_THREADS_MAX)

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
    return allowed > 0 && cpus > allowed ? allowed : cpus;
}

static bool is_here(const struct pp_result *result)
{
    return result->plan.target.path[0] || strcmp(result->route.interface, "lo") == 0;
}

/* A server of another process of this machine works for us, on CPUs where our threads may wait for
 * it: what it had is known if it says so. */
static bool server_time(const struct pp_result *result, uint64_t *ns)
{
    *ns = 0;
    if (result->peer == PP_PEER_OURS || !is_here(result))
        return true;
    *ns = result->server.usage.user_ns + result->server.usage.system_ns;
    return pp_result_server_costs_known(result);
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
    uint64_t server_ns;
    const bool known = server_time(result, &server_ns);

    result->throttled = pp_throttled_between(&before->throttling, &after->throttling);
    result->waiting = pp_waiting_of(waiters, count, &before->cpus, &after->cpus, allowed,
                                    server_ns + result->throttled.sum_ns);
    result->waiting.others_known = result->waiting.known && known;
    result->waits_of_server = result->waiting.others_who >= of_clients;
    /* The kernel adds up what each CPU was kept from; those that are busy are stopped together. */
    result->throttled.sum_ns /= cpus_of(waiters, count, pp_cpulist_count(allowed));
}
