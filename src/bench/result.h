/* What came out of a run: everything that any output needs, and nothing that it has to compute.
 * A run that failed or was interrupted has a result too; it is partial. */
#ifndef PP_BENCH_RESULT_H
#define PP_BENCH_RESULT_H

#include "bench/plan.h"
#include "io/io.h"
#include "measure/hist.h"
#include "measure/usage.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_CONGESTION_CONTROL_BYTES 32

/* One end of the connections. */
struct pp_result_side {
    char engine[160];      /* its name and what it was granted: pp_io_loop_describe() */
    char engine_name[64];  /* its name alone */
    struct pp_usage usage; /* of the measured span */
    struct pp_io_stats io; /* of the measured span */
};

struct pp_result {
    struct pp_plan plan;    /* with all decisions in it */
    struct pp_io_addr addr; /* where the server listened */
    char
        refused_engine[400]; /* why auto could not take an engine that it prefers; "" if it could */
    char congestion_control[PP_CONGESTION_CONTROL_BYTES];

    uint64_t sent;        /* sent = received + errors + in_flight */
    uint64_t received;    /* whole, checked, and in rtt */
    uint64_t errors;      /* under way on a connection that failed */
    uint64_t in_flight;   /* under way when the measurement ended */
    uint64_t duration_ns; /* from the first send to the last receive */
    uint32_t failed_connections;
    int signal;    /* that ended the run early; 0: none */
    bool partial;  /* fewer round trips than planned */
    bool measured; /* the measurement began at all */

    struct pp_result_side client, server;
    struct pp_hist rtt; /* full round trips, in nanoseconds */
};

static inline double pp_result_rate(const struct pp_result *result)
{
    return result->duration_ns ? (double)result->received * 1e9 / (double)result->duration_ns : 0;
}

#endif
