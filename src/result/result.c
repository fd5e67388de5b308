#include "result/result.h"

#include <string.h>

bool pp_result_server_is_near(const struct pp_result *result)
{
    const char *boot_id = result->peer == PP_PEER_PINGPONG ? result->peer_says.boot_id : "";

    if (result->plan.job == PP_JOB_RUN)
        return false;
    if (boot_id[0] && result->machine.boot_id[0])
        return strcmp(boot_id, result->machine.boot_id) == 0;
    return result->plan.server_pid || result->plan.target.path[0] ||
           strcmp(result->route.interface, "lo") == 0 ||
           strcmp(result->route.driver, "veth") == 0 ||
           (result->peer == PP_PEER_PINGPONG &&
            strcmp(result->peer_says.host, result->machine.host_name) == 0);
}
