/* What programs know things by, in all formats that they read. */
#ifndef PP_REPORT_NAMES_H
#define PP_REPORT_NAMES_H

#include "bench/plan.h"

/* "tcp", "mptcp", "udp", "unix-stream" or "unix-datagram" */
static inline const char *pp_transport_id(const struct pp_plan *plan)
{
    if (plan->target.path[0])
        return plan->socket.dgram ? "unix-datagram" : "unix-stream";
    return plan->socket.dgram ? "udp" : plan->socket.mptcp ? "mptcp" : "tcp";
}

#endif
