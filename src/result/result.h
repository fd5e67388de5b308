/* What came out of a run: everything that any output needs, and nothing that it has to compute.
 * A run that failed or was interrupted has a result too; it is partial. */
#ifndef PP_RESULT_RESULT_H
#define PP_RESULT_RESULT_H

#include "base/clock.h"
#include "base/number.h"
#include "io/io.h"
#include "measure/disturbance.h"
#include "measure/enclosure.h"
#include "measure/hist.h"
#include "measure/machine.h"
#include "measure/route.h"
#include "measure/stat.h"
#include "measure/usage.h"
#include "measure/waiting.h"
#include "plan/plan.h"
#include "result/counts.h"
#include "result/latency.h"
#include "result/slices.h"
#include "result/verdict.h"
#include "wire/hello.h"

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
    bool peer_costs_known;           /* a server elsewhere answered when asked before and after, or
                                        is a process whose costs could be read */
    double server_share;             /* of what the server sent meanwhile, this was for us, and so
                                        much of its costs is ours; 0: not known, taken for all */
    uint64_t server_memory_bytes; /* of plan.server_pid when the measurement ended; 0: not known */
    uint64_t server_others;       /* connections of others that it had in the end, if it is not 1 */

    struct pp_counts counts; /* sent = received + lost + errors + in flight */
    uint64_t in_flight;      /* under way when the measurement ended; counted by itself */
    bool balanced;           /* and so it holds, or does not */
    uint64_t wall_start_ns;  /* when the measurement began, since 1970 */
    uint64_t duration_ns;    /* from the first send to the last receive, or to the end of the
                                       time */
    int signal;              /* that ended the run early; 0: none */
    bool partial;            /* less than planned */
    bool measured;           /* the measurement began at all */
    bool rate_missed;        /* an open loop could not keep its schedule */
    struct pp_growth growth; /* open loop only: latencies that grow until the end */

    struct pp_result_side client, server;
    struct pp_load client_load;
    double loss;                      /* share of the datagrams, 0 to 1 */
    struct pp_interval loss_interval; /* of that share */
    struct pp_spread spread;
    double jain;               /* Jain's index of how evenly connections were served, 0 to 1 */
    struct pp_tcp_summary tcp; /* connections 0: nothing is known */

    struct pp_hist rtt;      /* full round trips, in nanoseconds, from the actual send */
    struct pp_hist response; /* the same from the intended send; open loop only */
    struct pp_hist late; /* how much after the intended send the actual one was; open loop only */
    struct pp_latency rtt_latency, response_latency, late_latency;
    struct pp_stalls stalls;
    struct pp_hidden hidden; /* closed loop only */

    struct pp_machine machine;
    struct pp_route route; /* interface "": none is known, or none is used */
    uint64_t clock_reading_ns;
    struct pp_disturbance disturbance;
    struct pp_stopped stopped;
    struct pp_waiting waiting;     /* others_known: not if it may have been for an unknown server */
    bool waits_of_server;          /* and not of the client: waiting.others_who */
    bool waits_for_server;         /* perhaps: an unknown one of this machine may be the other */
    struct pp_throttled throttled; /* sum_ns: of one CPU, on average */
    struct pp_steadiness steadiness;
    struct pp_verdict verdict;
    struct pp_gate_outcome gates[PP_GATES_MAX]; /* of the plan's */
};

/* A part of a measurement that is still going on: what has come since the part before it. */
struct pp_result_interval {
    unsigned number;   /* from 1 */
    bool last;         /* the measurement is over: it may be shorter */
    uint64_t start_ns; /* since the measurement began */
    uint64_t length_ns;
    struct pp_counts counts; /* of this part; its times mean nothing. lost is below zero, as
                                       an int64_t, if more of those given up before came after all
                                       than were given up */
    uint64_t in_flight;      /* at its end */
    struct pp_hist rtt, response, late; /* as in the result */
    struct pp_latency rtt_latency, response_latency;
    struct pp_quantile p50, p99; /* of the main figures, whatever else was asked for */
};

/* Whether the server is another process of this machine, in whatever network namespace or container
 * that is: it says so by the machine's boot id, or else the way to it does. */
bool pp_result_server_is_near(const struct pp_result *result);

/* Fills in all that follows from what was counted and timed, the verdict last: duration, whether it
 * is balanced, partial (if it is not set already) and has held its rate, loss, fairness, course,
 * latencies, stalls. slices are those of the measurement, which began at started_ns; scratch is for
 * its own use. */
void pp_result_complete(struct pp_result *result, struct pp_slices *slices, uint64_t started_ns,
                        struct pp_hist *scratch);

/* The engine of a side, by how it describes itself: a name, and after a colon how it works here. */
void pp_result_name_engine(struct pp_result_side *side, const char *description);

/* The same for one that ended before there was anything to measure, which is a result, too. */
void pp_result_complete_unmeasured(struct pp_result *result);

/* The main figures: from the intended send in an open loop, else from the actual one. */
static inline const struct pp_latency *pp_result_latency(const struct pp_result *result)
{
    return result->plan.rate > 0 ? &result->response_latency : &result->rtt_latency;
}

static inline bool pp_result_client_costs_known(const struct pp_result *result)
{
    return result->measured && !result->client.usage.unknown;
}

/* Whether anything is in server.usage and server.io. */
static inline bool pp_result_server_costs_known(const struct pp_result *result)
{
    return result->peer == PP_PEER_OURS ? !result->server.usage.unknown : result->peer_costs_known;
}

/* Whether its system calls are among them: the kernel counts none for others. */
static inline bool pp_result_server_calls_known(const struct pp_result *result)
{
    return result->peer != PP_PEER_UNKNOWN && pp_result_server_costs_known(result);
}

/* What the server's costs are divided by: as many round trips of ours as make all that it did. */
static inline uint64_t pp_result_server_trips(const struct pp_result *result)
{
    const double share = result->server_share > 0 ? result->server_share : 1;

    return (uint64_t)((double)result->counts.received / share + 0.5);
}

static inline double pp_result_rate(const struct pp_result *result)
{
    return pp_number_per_s(result->counts.received, result->duration_ns);
}

#endif
