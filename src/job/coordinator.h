/* The course of a run, on a thread and a loop of its own: who runs the messages is told when to
 * connect, to begin and to end, and is looked after. */
#ifndef PP_JOB_COORDINATOR_H
#define PP_JOB_COORDINATOR_H

#include "job/clients.h"
#include "job/intervals.h"
#include "job/peer.h"
#include "job/run.h"
#include "job/servers.h"
#include "job/silence.h"
#include "job/surroundings.h"
#include "job/waits.h"
#include "result/slices.h"

enum pp_stage {
    PP_STAGE_GREET, /* a server elsewhere is asked who it is */
    PP_STAGE_CONNECT,
    PP_STAGE_WARM_UP,
    PP_STAGE_SAMPLE_FIRST, /* waiting for the servers to say what they have cost so far */
    PP_STAGE_MEASURE,
    PP_STAGE_SAMPLE_LAST,
    PP_STAGE_LEAVE
};

/* Embed it; it must not move. plan, hooks and result are there from the beginning, and servers, if
 * there are any, before it runs; all can be read when it is over. */
struct pp_coordinator {
    const struct pp_plan *plan;
    const struct pp_run_hooks *hooks;
    struct pp_result *result;
    struct pp_io_loop *loop;    /* its own */
    struct pp_servers *servers; /* NULL: they are elsewhere */
    struct pp_clients *clients;
    struct pp_intervals intervals;
    struct pp_peer_talk peer; /* with servers elsewhere */

    enum pp_stage stage;
    struct pp_error error;    /* of the coordinator itself */
    int loop_code;            /* what the loop returned */
    struct pp_io_op reply_op; /* a server's thread has something to say */
    struct pp_io_op interrupt_op;
    struct pp_io_op tick_op;
    struct pp_io_op linger_op;
    uint64_t begun_ns;   /* the run, with the greeting */
    uint64_t started_ns; /* the measurement */
    unsigned ticks;
    struct pp_silence silence;
    bool silent; /* it was given up */
    struct pp_slices slices;
    struct pp_disturbance_reading before, after;
    struct pp_waits_reading waits_before, waits_after;
    bool ended;        /* the measurement is over */
    uint64_t ended_ns; /* since then, drain and all */
    bool drains;       /* what was spent was read when the time was over */
    bool sampling;     /* or is being read: the servers' threads are asked */
};

/* Opens the loop, and what is started there first. Close it after an error, too. */
int pp_coordinator_open(struct pp_coordinator *coordinator, struct pp_error *err);

/* Opens clients and runs all loops to their end: the first client's on this thread. options names
 * loops, addresses and messages; the rest is filled in here. */
int pp_coordinator_run(struct pp_coordinator *coordinator, struct pp_clients_options options,
                       struct pp_error *err);

/* Whether anything went wrong, with the clients or here. */
bool pp_coordinator_has_error(const struct pp_coordinator *coordinator);

/* Before the clients and the servers are closed, which it leaves to others; may never have been
 * opened. */
void pp_coordinator_close(struct pp_coordinator *coordinator);

#endif
