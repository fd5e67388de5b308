/* What programs know things by, in all formats that they read. */
#ifndef PP_REPORT_NAMES_H
#define PP_REPORT_NAMES_H

#include "plan/plan.h"
#include "result/result.h"

/* "tcp", "mptcp", "udp", "unix-stream" or "unix-datagram" */
static inline const char *pp_transport_id(const struct pp_plan *plan)
{
    if (plan->target.path[0])
        return plan->socket.dgram ? "unix-datagram" : "unix-stream";
    return plan->socket.dgram ? "udp" : plan->socket.mptcp ? "mptcp" : "tcp";
}

/* The server's, or while its name has not been looked up what was asked for. Returns text. */
static inline const char *pp_server_address(const struct pp_result *result,
                                            char text[PP_TARGET_TEXT_BYTES])
{
    return result->addr.len > 0 ? pp_io_addr_format(&result->addr, text)
                                : pp_target_format(&result->plan.target, text);
}

#endif
