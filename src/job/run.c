/* A run from the outside: what it needs is opened, the coordinator runs it, and what came of it
 * goes into the result. */
#include "job/run.h"

#include "base/memory.h"
#include "job/coordinator.h"
#include "job/interrupt.h"
#include "job/messages.h"
#include "measure/family.h"
#include "measure/host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct run {
    struct pp_coordinator coordinator;
    struct pp_io_loop *loops[PP_PLAN_THREADS_MAX]; /* of the client threads, until they have them */
    struct pp_messages messages;
    struct pp_io_addr source;
    struct pp_hist *scratch; /* for the end */
};

/* ---- before the run ---- */

static int find_server(struct pp_coordinator *c, struct pp_error *err)
{
    struct pp_result *result = c->result;

    if (!c->servers)
        return pp_address_find(pp_io_world_of(c->loop), &result->addr, &c->plan->target, false,
                               err);
    result->addr = *pp_servers_addr(c->servers);
    return 0;
}

/* What will be read when it begins is better known to be readable. */
static int find_server_process(const struct pp_plan *plan, struct pp_error *err)
{
    if (!plan->server_pid || !pp_usage_of_family((pid_t)plan->server_pid).unknown)
        return 0;
    return pp_error_set(err, PP_ERROR_USAGE, -ESRCH,
                        "--server-pid: there is no process %" PRIu32
                        " here whose CPU time can be read",
                        plan->server_pid);
}

static const struct pp_io_addr *source_of(struct run *run, struct pp_error *err, int *ret)
{
    const struct pp_target *source = &run->coordinator.plan->source;

    if (!source->host[0] && !source->port)
        return NULL;
    *ret = pp_address_find(pp_io_world_of(run->coordinator.loop), &run->source, source, true, err);
    return &run->source;
}

static void name_engines(struct run *run)
{
    struct pp_result *result = run->coordinator.result;

    pp_result_name_engine(&result->client, pp_io_loop_describe(run->loops[0]));
    if (run->coordinator.servers)
        pp_result_name_engine(&result->server, pp_servers_describe(run->coordinator.servers));
}

/* ---- the run ---- */

static void fill_counts(struct pp_coordinator *c)
{
    struct pp_result *result = c->result;

    result->counts = pp_clients_counts(c->clients);
    pp_peer_share(&c->peer);
    result->in_flight = pp_clients_in_flight(c->clients);
    result->partial = result->signal || pp_coordinator_has_error(c) || c->intervals.unheard;
    result->client_load = pp_clients_load(c->clients);
    result->stopped = pp_clients_stopped(c->clients);
    result->spread = pp_clients_spread(c->clients);
    result->tcp = pp_clients_tcp(c->clients);
    pp_surroundings_fill(result, &c->before, &c->after);
    pp_waits_fill(result, &c->waits_before, &c->waits_after, c->clients, c->servers);
}

/* Nothing was measured, though nothing has failed: what listens there does not answer, perhaps not
 * even what the warm-up has sent. */
static int check_answered(const struct pp_coordinator *c, struct pp_error *err)
{
    const struct pp_result *result = c->result;
    const struct pp_counts *counts = &result->counts;
    char what[PP_SILENCE_TEXT_BYTES] = "no message was due in the measured time";
    char came[PP_SILENCE_TEXT_BYTES];

    if (result->signal || counts->received + counts->drained > 0)
        return 0;
    if (counts->sent == 1)
        (void)snprintf(what, sizeof what, "the only message was not answered");
    else if (counts->sent > 0)
        (void)snprintf(what, sizeof what, "not one of %" PRIu64 " messages was answered",
                       counts->sent);
    return pp_error_set(
        err, PP_ERROR_RUN, -ETIMEDOUT,
        "%s, %s; is the address right, and does what listens there answer such "
        "messages?",
        what, pp_silence_came(&c->silence, c->ended ? c->ended_ns : pp_io_now_ns(c->loop), came));
}

static int fill_result(struct run *run, struct pp_error *err)
{
    struct pp_coordinator *c = &run->coordinator;
    struct pp_result *result = c->result;

    if (!c->ended)
        result->signal = pp_interrupt_signal();
    if (!result->measured) {
        pp_result_complete_unmeasured(result);
        return 0;
    }
    fill_counts(c);
    pp_intervals_finish(&c->intervals);
    pp_result_complete(result, &c->slices, c->started_ns, run->scratch);
    if (!result->balanced)
        return pp_error_set(err, PP_ERROR_RUN, -EPROTO,
                            "the accounting does not add up: this is a defect of pingpong; please "
                            "report it with the output of -v");
    return pp_coordinator_has_error(c) ? 0 : check_answered(c, err);
}

static int error_of(const struct pp_error *error, struct pp_error *err)
{
    if (!error->code)
        return 0;
    return pp_error_set(err, error->kind, error->code, "%s", error->text);
}

/* Whoever took the hello's connection and then no other may be meant for one alone. */
static int clients_error(const struct pp_coordinator *c, struct pp_error *err)
{
    const struct pp_error *error = pp_clients_error(c->clients);
    char text[PP_IO_ADDR_TEXT_BYTES];

    if (!c->peer.greeted || error->code != -ECONNREFUSED || pp_clients_received(c->clients) > 0)
        return error_of(error, err);
    return pp_error_set(err, error->kind, error->code,
                        "cannot connect to %s a second time, after the hello: %s; it may take one "
                        "connection only: leave the hello out with --no-hello",
                        pp_io_addr_format(&c->result->addr, text), strerror(-error->code));
}

static int run_clients(struct run *run, struct pp_error *err)
{
    struct pp_coordinator *c = &run->coordinator;
    int filled, ret = 0;
    const struct pp_clients_options options = {
        .loops = run->loops,
        .addr = &c->result->addr,
        .source = source_of(run, err, &ret),
        .out = &run->messages.out,
        .in = run->messages.in,
    };

    if (ret < 0)
        return ret;
    c->result->peer = PP_PEER_OURS;
    name_engines(run);
    ret = pp_coordinator_run(c, options, err);
    if (ret < 0)
        return ret;
    ret = error_of(&c->error, err);
    if (ret == 0)
        ret = clients_error(c, err);
    filled = fill_result(run, err);
    return ret == 0 ? filled : ret;
}

static int start_servers(struct pp_coordinator *c, struct pp_error *err)
{
    return c->servers ? pp_servers_start(c->servers, c->loop, &c->reply_op, NULL, err) : 0;
}

/* What came of the servers counts before what came of the rest, which they may have broken. */
static int stop_servers(struct pp_coordinator *c, int so_far, struct pp_error *err)
{
    const int ret = c->servers ? pp_servers_stop(c->servers) : 0;

    if (ret == 0)
        return so_far;
    return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret, "engine %s broke down: %s",
                        c->result->server.engine_name, strerror(-ret));
}

/* Why the clients or the servers do not run on what auto prefers; "": they do. */
static void name_refused(struct pp_coordinator *c, const char *clients, const char *servers)
{
    const char *one_side = c->servers && !clients[0]   ? " (the server alone)"
                           : c->servers && !servers[0] ? " (the client alone)"
                                                       : "";
    const char *why = clients[0] ? clients : servers;

    if (why[0])
        (void)snprintf(c->result->refused_engine, PP_REFUSED_BYTES, "%s%s", why, one_side);
}

static int open_all(struct run *run, struct pp_error *err)
{
    struct pp_coordinator *c = &run->coordinator;
    const struct pp_plan *plan = c->plan;
    const int descriptors = pp_descriptors_raise(plan, err);
    char by_clients[PP_REFUSED_BYTES] = "", by_servers[PP_REFUSED_BYTES] = "";
    int ret = descriptors < 0 ? descriptors : find_server_process(plan, err);

    if (ret == 0)
        ret = pp_messages_open(&run->messages, plan, err);
    if (ret == 0)
        ret = pp_loops_open(run->loops, plan->client_threads, plan, plan->client_engine, by_clients,
                            err);
    if (ret == 0)
        ret = pp_coordinator_open(c, err);
    if (ret == 0 && plan->job == PP_JOB_RUN)
        ret = pp_servers_open(&c->servers, plan, (uint32_t)descriptors, by_servers, err);
    name_refused(c, by_clients, by_servers);
    run->scratch = pp_memory_alloc(1, sizeof *run->scratch);
    if (ret == 0 && !run->scratch)
        ret = pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for histograms");
    return ret == 0 ? find_server(c, err) : ret;
}

static void name_congestion_control(struct pp_result *result)
{
    const struct pp_plan *plan = &result->plan;

    if (plan->socket.congestion[0])
        (void)snprintf(result->congestion_control, PP_CONGESTION_CONTROL_BYTES, "%s",
                       plan->socket.congestion);
    else if (!plan->socket.dgram && !plan->target.path[0])
        pp_host_congestion_control(result->congestion_control, PP_CONGESTION_CONTROL_BYTES);
}

/* A signal came while a name was looked up. */
static int end_before_beginning(struct run *run)
{
    struct pp_result *result = run->coordinator.result;

    result->peer = result->plan.job == PP_JOB_RUN ? PP_PEER_OURS : PP_PEER_UNKNOWN;
    pp_surroundings_read(result);
    name_engines(run);
    result->signal = pp_interrupt_signal();
    pp_result_complete_unmeasured(result);
    return 0;
}

static void close_all(struct run *run)
{
    pp_memory_free(run->scratch);
    pp_coordinator_close(&run->coordinator);
    for (unsigned i = 0; i < PP_PLAN_THREADS_MAX; i++)
        pp_io_loop_close(run->loops[i]); /* before what they may have under way, as these */
    pp_clients_close(run->coordinator.clients);
    pp_servers_close(run->coordinator.servers);
    pp_messages_close(&run->messages);
}

int pp_run(const struct pp_plan *plan, const struct pp_run_hooks *hooks, struct pp_result *result,
           struct pp_error *err)
{
    struct run run = { .coordinator = { .plan = &result->plan, .hooks = hooks, .result = result } };
    int ret;

    result->plan = *plan;
    pp_hist_reset(&result->rtt);
    pp_hist_reset(&result->response);
    pp_hist_reset(&result->late);
    name_congestion_control(result);
    ret = open_all(&run, err);
    if (ret == 0) {
        pp_surroundings_read(result);
        ret = start_servers(&run.coordinator, err);
        if (ret == 0)
            ret = run_clients(&run, err);
        ret = stop_servers(&run.coordinator, ret, err);
    }
    if (ret == -EINTR && pp_interrupt_signal())
        ret = end_before_beginning(&run);
    close_all(&run);
    return ret;
}
