/* What came out of a run: everything that any output needs, and nothing that it has to compute.
 * A run that failed or was interrupted has a result too; it is partial. */
#ifndef PP_BENCH_RESULT_H
#define PP_BENCH_RESULT_H

#include "bench/client.h"
#include "bench/hello.h"
#include "bench/loops.h"
#include "bench/plan.h"
#include "io/io.h"
#include "measure/hist.h"
#include "measure/usage.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_CONGESTION_CONTROL_BYTES 32

/* Who the server is. */
enum pp_peer {
    PP_PEER_OURS,     /* in this process */
    PP_PEER_PINGPONG, /* it said so, and what it has cost */
    PP_PEER_UNKNOWN   /* it did not: some echo server, or one of another service */
};

/* One end of the connections. */
struct pp_result_side {
    char engine[160];      /* its name and what it was granted: pp_io_loop_describe() */
    char engine_name[64];  /* its name alone */
    struct pp_usage usage; /* of the measured span */
    struct pp_io_stats io; /* of the measured span; of a PP_PEER_PINGPONG only the system calls */
};

struct pp_result {
    struct pp_plan plan;                   /* with all decisions in it */
    struct pp_io_addr addr;                /* of the server */
    char refused_engine[PP_REFUSED_BYTES]; /* why auto could not take an engine that it prefers; ""
                                              if it could */
    char congestion_control[PP_CONGESTION_CONTROL_BYTES]; /* of TCP; "" for anything else */
    enum pp_peer peer;
    struct pp_hello_reply peer_says; /* PP_PEER_PINGPONG */

    struct pp_client_counts counts; /* sent = received + lost + errors + in flight */
    uint64_t in_flight;             /* under way when the measurement ended */
    uint64_t duration_ns;           /* from the first send to the last receive, or to the end of the
                                       time */
    int signal;                     /* that ended the run early; 0: none */
    bool partial;                   /* less than planned */
    bool measured;                  /* the measurement began at all */
    bool rate_missed;               /* an open loop could not keep its schedule */

    struct pp_result_side client, server;
    struct pp_hist rtt;      /* full round trips, in nanoseconds, from the actual send */
    struct pp_hist response; /* the same from the intended send; open loop only */
};

static inline double pp_result_rate(const struct pp_result *result)
{
    return result->duration_ns ? (double)result->counts.received * 1e9 / (double)result->duration_ns
                               : 0;
}

#endif
