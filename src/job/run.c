#include "job/run.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "job/clients.h"
#include "job/interrupt.h"
#include "job/intervals.h"
#include "job/messages.h"
#include "job/peer.h"
#include "job/servers.h"
#include "job/silence.h"
#include "job/surroundings.h"
#include "job/waits.h"
#include "measure/host.h"
#include "result/slices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How often it is looked at how far the clients are; all but the slices waits for some ticks. */
#define TICK_NS (25 * PP_NS_PER_MS)
#define TICKS_OF_WATCH 4
#define WATCH_NS (TICKS_OF_WATCH * TICK_NS)

/* How long the server may take to close its side: it has nothing else to do. After a signal nobody
 * wants to wait for one that is frozen. */
#define LINGER_NS (2 * PP_NS_PER_S)
#define LINGER_INTERRUPTED_NS (200 * PP_NS_PER_MS)

enum stage {
    STAGE_GREET, /* a server elsewhere is asked who it is */
    STAGE_CONNECT,
    STAGE_WARM_UP,
    STAGE_SAMPLE_FIRST, /* waiting for the servers to say what they have cost so far */
    STAGE_MEASURE,
    STAGE_SAMPLE_LAST,
    STAGE_LEAVE
};

struct run {
    const struct pp_plan *plan;
    const struct pp_run_hooks *hooks;
    struct pp_result *result;
    enum stage stage;
    struct pp_error error; /* of the coordinator itself */

    struct pp_io_loop *loops[PP_PLAN_THREADS_MAX]; /* of the client threads, until they have them */
    struct pp_io_loop *loop;                       /* the coordinator's */
    int loop_code;                                 /* what it returned */
    struct pp_servers *servers;                    /* NULL: they are elsewhere */
    struct pp_clients *clients;
    struct pp_messages messages;
    struct pp_io_addr source;
    struct pp_peer_talk peer; /* with servers elsewhere */

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
    struct pp_hist *scratch; /* for the end */

    struct pp_intervals intervals;
    bool ended;        /* the measurement is over */
    uint64_t ended_ns; /* since then, drain and all */
    bool drains;       /* what was spent was read when the time was over */
    bool sampling;     /* or is being read: the servers' threads are asked */
};

/* Stages follow each other; some may be left out. */
static void enter(struct run *run, enum stage stage)
{
    pp_assert(stage > run->stage && stage <= STAGE_LEAVE);
    run->stage = stage;
}

/* What always holds between two callbacks. */
static void check(void *owner)
{
    const struct run *run = owner;

    pp_assert(run->stage <= STAGE_LEAVE);
    pp_assert(run->result->measured || run->stage != STAGE_MEASURE);
    pp_assert(!run->result->measured || (run->started_ns > 0 && run->stage >= STAGE_MEASURE));
    pp_assert(!run->ended || (run->result->measured && run->stage > STAGE_MEASURE));
    pp_assert(!run->drains || run->result->measured);
    pp_assert(!run->sampling || (run->servers && run->drains));
    pp_assert(!run->silent || run->error.code != 0);
    pp_clients_check(run->clients);
}

/* ---- the server's costs ---- */

static void sides_fill(struct pp_result_side *side, const struct pp_sample *spent)
{
    side->usage = spent->usage;
    side->io = spent->io;
}

static void sampled(struct run *run);

/* Whether there is something to wait for. */
static bool ask_peer(struct run *run)
{
    struct pp_counts counts;

    if (run->stage == STAGE_SAMPLE_FIRST)
        return pp_peer_ask_before(&run->peer);
    counts = pp_clients_counts(run->clients);
    return pp_peer_ask_after(&run->peer, &counts);
}

static void sample_servers(struct run *run, enum stage stage)
{
    enter(run, stage);
    if (!run->servers) {
        if (!ask_peer(run))
            sampled(run);
    } else if (pp_servers_ended(run->servers)) {
        sampled(run);
    } else {
        pp_servers_sample(run->servers);
    }
}

/* ---- the stages ---- */

static bool has_error(const struct run *run)
{
    return run->error.code || pp_clients_error(run->clients)->code;
}

static bool has_failed(const struct run *run)
{
    return has_error(run) || pp_interrupt_signal();
}

/* Nobody waits for the other side after an error, nor for one that was never there, or has never
 * answered. */
static void leave(struct run *run)
{
    const bool server_lives = !run->servers || !pp_servers_ended(run->servers);
    const bool politely = server_lives && run->stage > STAGE_CONNECT && !has_error(run) &&
                          pp_clients_received(run->clients) > 0;
    const uint64_t linger_ns = pp_interrupt_signal() ? LINGER_INTERRUPTED_NS : LINGER_NS;

    enter(run, STAGE_LEAVE);
    pp_io_cancel(run->loop, &run->reply_op);
    pp_io_cancel(run->loop, &run->tick_op);
    pp_peer_leave(&run->peer);
    pp_io_timer(run->loop, &run->linger_op, pp_io_now_ns(run->loop) + linger_ns, run->linger_op.cb);
    pp_clients_disconnect(run->clients, politely);
}

static void measure(struct run *run)
{
    if (run->servers)
        pp_servers_begin(run->servers);
    pp_surroundings_now(&run->before, run->result);
    pp_waits_read(&run->waits_before);
    pp_slices_begin(&run->slices);
    run->result->measured = true;
    run->result->wall_start_ns = pp_clock_wall_ns();
    enter(run, STAGE_MEASURE);
    run->started_ns = pp_io_now_ns(run->loop);
    run->silence.quiet_ns = 0;
    pp_intervals_begin(&run->intervals, run->clients, run->started_ns);
    pp_memory_seal(true);
    pp_clients_start(run->clients, run->plan->count, run->plan->time_ns, true);
}

static void sampled(struct run *run)
{
    struct pp_sample spent;

    if (run->stage == STAGE_SAMPLE_FIRST && !has_failed(run)) {
        measure(run);
        return;
    }
    if (run->servers) {
        spent = pp_servers_spent(run->servers);
        sides_fill(&run->result->server, &spent);
    }
    run->sampling = false;
    if (run->stage != STAGE_MEASURE)
        leave(run);
}

static void name_engine(struct pp_result_side *side, const char *description)
{
    (void)snprintf(side->engine, sizeof side->engine, "%s", description);
    (void)snprintf(side->engine_name, sizeof side->engine_name, "%.*s",
                   (int)strcspn(side->engine, ":"), side->engine);
}

static void connect_clients(struct run *run)
{
    struct pp_result *result = run->result;

    run->stage = STAGE_CONNECT;
    if (result->peer == PP_PEER_PINGPONG)
        name_engine(&result->server, result->peer_says.engine);
    pp_clients_connect(run->clients, pp_io_now_ns(run->loop) - run->begun_ns);
    if (pp_interrupt_signal() && !pp_io_is_armed(&run->interrupt_op)) /* it has been told */
        pp_clients_interrupt(run->clients);
}

/* What the server elsewhere was asked is answered, or it never will be. */
static void on_peer(void *owner)
{
    struct run *run = owner;

    if (run->stage == STAGE_GREET)
        connect_clients(run);
    else
        sampled(run);
}

static void begin(struct run *run, const struct pp_io_addr *source)
{
    run->begun_ns = pp_io_now_ns(run->loop);
    if (run->servers || !pp_peer_meet(&run->peer, source))
        connect_clients(run);
}

static void fail(struct run *run, int code, const char *text)
{
    (void)pp_error_set(&run->error, PP_ERROR_RUN, code, "%s", text);
    pp_clients_interrupt(run->clients);
}

static void on_connected(void *owner)
{
    struct run *run = owner;
    const struct pp_plan *plan = run->plan;

    if (has_failed(run)) /* on_finished is coming */
        return;
    run->hooks->on_begin(run->hooks->context, run->result);
    if (plan->warmup_count || plan->warmup_ns) {
        enter(run, STAGE_WARM_UP);
        pp_clients_start(run->clients, plan->warmup_count, plan->warmup_ns, false);
    } else {
        sample_servers(run, STAGE_SAMPLE_FIRST);
    }
}

static void read_after(struct run *run)
{
    pp_surroundings_now(&run->after, run->result);
    pp_waits_read(&run->waits_after);
}

/* Of the measurement, on the clients' side. A signal that comes after the whole time, or later,
 * cuts nothing off. */
static void note_end(struct run *run)
{
    const struct pp_sample spent = pp_clients_spent(run->clients);
    const uint64_t time_ns = run->plan->time_ns;

    run->ended = true;
    run->ended_ns = pp_io_now_ns(run->loop);
    pp_intervals_end(&run->intervals);
    if (!time_ns || pp_io_now_ns(run->loop) < run->started_ns + time_ns)
        run->result->signal = pp_interrupt_signal();
    if (!run->drains)
        read_after(run);
    sides_fill(&run->result->client, &spent);
}

/* The time is over, and answers have yet to come, perhaps for long: what was spent is read now. */
static void on_draining(void *owner)
{
    struct run *run = owner;

    if (run->stage != STAGE_MEASURE)
        return;
    run->drains = true;
    read_after(run);
    pp_peer_ask_ahead(&run->peer);
    if (run->servers && !pp_servers_ended(run->servers)) {
        run->sampling = true;
        pp_servers_sample(run->servers);
    }
}

static void end_sampling(struct run *run)
{
    if (!run->drains || !run->servers) {
        sample_servers(run, STAGE_SAMPLE_LAST);
        return;
    }
    enter(run, STAGE_SAMPLE_LAST);
    if (!run->sampling)
        leave(run);
}

static void on_finished(void *owner)
{
    struct run *run = owner;

    pp_memory_seal(false);
    if (run->stage == STAGE_MEASURE) {
        note_end(run);
        end_sampling(run);
    } else if (run->stage == STAGE_WARM_UP && !has_failed(run)) {
        sample_servers(run, STAGE_SAMPLE_FIRST);
    } else if (run->stage < STAGE_SAMPLE_LAST) {
        leave(run);
    }
}

static void on_split(void *owner)
{
    pp_intervals_split(&((struct run *)owner)->intervals);
}

static enum pp_io_next on_lingered(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, linger_op);

    if (op->res == 0)
        pp_clients_disconnect(run->clients, false);
    return PP_IO_DISARM;
}

static void on_disconnected(void *owner)
{
    struct run *run = owner;

    pp_io_cancel(run->loop, &run->linger_op);
    pp_io_cancel(run->loop, &run->interrupt_op);
    pp_clients_release(run->clients);
}

/* A server's thread has sampled itself, or ended before its time. */
static enum pp_io_next on_reply(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, reply_op);

    if (op->res < 0)
        return PP_IO_DISARM;
    if (pp_servers_broken(run->servers, &run->error) < 0)
        pp_clients_interrupt(run->clients);
    if ((run->stage == STAGE_SAMPLE_FIRST || run->stage == STAGE_SAMPLE_LAST || run->sampling) &&
        (pp_servers_sampled(run->servers) || pp_servers_ended(run->servers)))
        sampled(run);
    return run->stage == STAGE_LEAVE ? PP_IO_DISARM : PP_IO_REARM;
}

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, interrupt_op);

    if (op->res < 0)
        return PP_IO_DISARM;
    if (run->stage == STAGE_LEAVE)
        pp_clients_disconnect(run->clients, false);
    else if (run->stage > STAGE_GREET && !run->ended)
        pp_clients_interrupt(run->clients);
    pp_peer_interrupt(&run->peer);
    return PP_IO_DISARM;
}

/* ---- progress ---- */

static double share_done(const struct pp_plan *plan, uint64_t done, uint64_t elapsed_ns)
{
    const double by_count = plan->count ? (double)done / (double)plan->count : 0;
    const double by_time = plan->time_ns ? (double)elapsed_ns / (double)plan->time_ns : 0;
    const double share = by_count > by_time ? by_count : by_time;

    return share < 1 ? share : 1;
}

/* Gives up a stage that has no limit of time and in which nothing moves any more. */
static void watch_silence(struct run *run)
{
    const bool may_last = (run->stage == STAGE_MEASURE && !run->plan->time_ns) ||
                          (run->stage == STAGE_WARM_UP && !run->plan->warmup_ns);

    if (!pp_silence_watch(&run->silence, may_last, WATCH_NS))
        return;
    run->silent = true;
    fail(run, -ETIMEDOUT, "silence");
}

/* What comes after the time is over, in the drain, belongs to no slice. */
static void note_slice(struct run *run)
{
    const struct pp_slices_mark mark = { .at_ns = pp_io_now_ns(run->loop),
                                         .trips = pp_clients_received(run->clients),
                                         .latency_ns = pp_clients_latency_ns(run->clients) };

    if (!run->plan->time_ns || mark.at_ns - run->started_ns <= run->plan->time_ns)
        pp_slices_note(&run->slices, &mark);
}

static void show_progress(struct run *run)
{
    const uint64_t received = pp_clients_received(run->clients);
    const uint64_t elapsed_ns = pp_io_now_ns(run->loop) - run->started_ns;

    run->hooks->on_progress(run->hooks->context, received,
                            share_done(run->plan, received, elapsed_ns), elapsed_ns);
}

static enum pp_io_next on_tick(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, tick_op);
    const bool watches = ++run->ticks % TICKS_OF_WATCH == 0;

    if (op->res < 0 || run->stage == STAGE_LEAVE)
        return PP_IO_DISARM;
    if (run->stage == STAGE_MEASURE)
        note_slice(run);
    if (run->stage == STAGE_MEASURE && watches)
        show_progress(run);
    if (watches)
        watch_silence(run);
    op->deadline_ns = pp_clock_next(op->deadline_ns, TICK_NS, pp_io_now_ns(run->loop));
    return PP_IO_REARM;
}

/* ---- before the run ---- */

static int find_server(struct run *run, struct pp_error *err)
{
    struct pp_result *result = run->result;

    if (!run->servers)
        return pp_address_find(pp_io_world_of(run->loop), &result->addr, &run->plan->target, false,
                               err);
    result->addr = *pp_servers_addr(run->servers);
    return 0;
}

static const struct pp_io_addr *source_of(struct run *run, struct pp_error *err, int *ret)
{
    const struct pp_target *source = &run->plan->source;

    if (!source->host[0] && !source->port)
        return NULL;
    *ret = pp_address_find(pp_io_world_of(run->loop), &run->source, source, true, err);
    return &run->source;
}

static void name_engines(struct run *run)
{
    struct pp_result *result = run->result;

    name_engine(&result->client, pp_io_loop_describe(run->loops[0]));
    if (run->servers)
        name_engine(&result->server, pp_servers_describe(run->servers));
}

/* ---- the run ---- */

/* The coordinator's thread. If its loop breaks down, what was started there will not end. */
static void *coordinate(void *argument)
{
    struct run *run = argument;

    (void)pthread_setname_np(pthread_self(), "coordinator");
    run->loop_code = pp_io_loop_run(run->loop);
    if (run->loop_code < 0)
        pp_clients_abandon(run->clients, run->loop_code);
    return NULL;
}

/* Nothing but messages happens on a client's thread, of which the first is this one: phases,
 * intervals, progress and signals are the coordinator's. */
static int run_loops(struct run *run, const struct pp_io_addr *source, struct pp_error *err)
{
    const struct pp_io_world *world = pp_io_world_of(run->loop);
    pthread_t coordinator;
    int ret;

    if (PP_CHECKS)
        pp_io_loop_check(run->loop, check, run);
    run->linger_op.cb = on_lingered;
    pp_io_wake_wait(run->loop, &run->interrupt_op, on_interrupt);
    pp_io_timer(run->loop, &run->tick_op, pp_io_now_ns(run->loop) + TICK_NS, on_tick);
    pp_interrupt_attach(run->loop, &run->interrupt_op);
    begin(run, source);
    ret = world->thread_start(&coordinator, coordinate, run);
    if (ret < 0)
        pp_clients_abandon(run->clients, ret);
    pp_clients_run(run->clients);
    if (ret == 0)
        world->thread_join(coordinator);
    pp_interrupt_attach(NULL, NULL);
    pp_memory_seal(false);
    (void)pp_clients_join(run->clients); /* what it returns is in the clients' error, too */
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "cannot start a thread: %s", strerror(-ret));
    return 0;
}

static void fill_counts(struct run *run)
{
    struct pp_result *result = run->result;

    result->counts = pp_clients_counts(run->clients);
    result->in_flight = pp_clients_in_flight(run->clients);
    result->partial = result->signal || has_error(run) || run->intervals.unheard;
    result->client_load = pp_clients_load(run->clients);
    result->stopped = pp_clients_stopped(run->clients);
    result->spread = pp_clients_spread(run->clients);
    result->tcp = pp_clients_tcp(run->clients);
    pp_surroundings_fill(result, &run->before, &run->after);
    pp_waits_fill(result, &run->waits_before, &run->waits_after, run->clients, run->servers);
}

/* Nothing was measured, though nothing has failed: what listens there does not answer, perhaps not
 * even what the warm-up has sent. */
static int check_answered(const struct run *run, struct pp_error *err)
{
    const struct pp_result *result = run->result;
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
        what,
        pp_silence_came(&run->silence, run->ended ? run->ended_ns : pp_io_now_ns(run->loop), came));
}

static int fill_result(struct run *run, struct pp_error *err)
{
    struct pp_result *result = run->result;

    if (!run->ended)
        result->signal = pp_interrupt_signal();
    if (!result->measured) {
        pp_result_complete_unmeasured(result);
        return 0;
    }
    fill_counts(run);
    pp_intervals_finish(&run->intervals);
    pp_result_complete(result, &run->slices, run->started_ns, run->scratch);
    if (!result->balanced)
        return pp_error_set(err, PP_ERROR_RUN, -EPROTO,
                            "the accounting does not add up: this is a defect of pingpong; please "
                            "report it with the output of -v");
    return has_error(run) ? 0 : check_answered(run, err);
}

static int error_of(const struct pp_error *error, struct pp_error *err)
{
    if (!error->code)
        return 0;
    return pp_error_set(err, error->kind, error->code, "%s", error->text);
}

/* Whoever took the hello's connection and then no other may be meant for one alone. */
static int clients_error(const struct run *run, struct pp_error *err)
{
    const struct pp_error *error = pp_clients_error(run->clients);
    char text[PP_IO_ADDR_TEXT_BYTES];

    if (!run->peer.greeted || error->code != -ECONNREFUSED || pp_clients_received(run->clients) > 0)
        return error_of(error, err);
    return pp_error_set(err, error->kind, error->code,
                        "cannot connect to %s a second time, after the hello: %s; it may take one "
                        "connection only: leave the hello out with --no-hello",
                        pp_io_addr_format(&run->result->addr, text), strerror(-error->code));
}

static int run_clients(struct run *run, struct pp_error *err)
{
    int filled, ret = 0;
    const struct pp_io_addr *source = source_of(run, err, &ret);
    const struct pp_clients_options options = {
        .loop = run->loop,
        .loops = run->loops,
        .plan = run->plan,
        .addr = &run->result->addr,
        .source = source,
        .out = &run->messages.out,
        .in = run->messages.in,
        .splits = pp_intervals_wanted(&run->intervals),
        .owner = run,
        .on_connected = on_connected,
        .on_draining = on_draining,
        .on_finished = on_finished,
        .on_split = on_split,
        .on_disconnected = on_disconnected,
    };

    if (ret < 0)
        return ret;
    run->result->peer = PP_PEER_OURS;
    name_engines(run);
    ret = pp_clients_open(&run->clients, &options, err);
    if (ret < 0)
        return ret;
    run->silence =
        (struct pp_silence){ .loop = run->loop, .plan = run->plan, .clients = run->clients };
    ret = run_loops(run, source, err);
    if (ret < 0)
        return ret;
    if (run->loop_code < 0 && run->stage == STAGE_MEASURE)
        note_end(run);
    if (run->silent)
        pp_silence_explain(&run->silence, run->error.text, sizeof run->error.text);
    ret = error_of(&run->error, err);
    if (ret == 0)
        ret = clients_error(run, err);
    filled = fill_result(run, err);
    return ret == 0 ? filled : ret;
}

static int run_with_servers(struct run *run, struct pp_error *err)
{
    int ret, server_ret;

    pp_io_wake_wait(run->loop, &run->reply_op, on_reply);
    ret = pp_servers_start(run->servers, run->loop, &run->reply_op, NULL, err);
    if (ret == 0)
        ret = run_clients(run, err);
    server_ret = pp_servers_stop(run->servers);
    if (server_ret < 0)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, server_ret, "engine %s broke down: %s",
                            run->result->server.engine_name, strerror(-server_ret));
    return ret;
}

/* Why the clients or the servers do not run on what auto prefers; "": they do. */
static void name_refused(struct run *run, const char *clients, const char *servers)
{
    const char *one_side = run->servers && !clients[0]   ? " (the server alone)"
                           : run->servers && !servers[0] ? " (the client alone)"
                                                         : "";
    const char *why = clients[0] ? clients : servers;

    if (why[0])
        (void)snprintf(run->result->refused_engine, PP_REFUSED_BYTES, "%s%s", why, one_side);
}

static int open_all(struct run *run, struct pp_error *err)
{
    const struct pp_plan *plan = run->plan;
    const int descriptors = pp_descriptors_raise(plan, err);
    char by_clients[PP_REFUSED_BYTES] = "", by_servers[PP_REFUSED_BYTES] = "";
    int ret = descriptors < 0 ? descriptors : pp_messages_open(&run->messages, plan, err);

    if (ret == 0)
        ret = pp_loops_open(run->loops, plan->client_threads, plan, plan->client_engine, by_clients,
                            err);
    if (ret == 0)
        ret = pp_loop_open_waiting(&run->loop, err);
    if (ret == 0)
        pp_peer_begin(&run->peer, run->loop, run->result, on_peer, run);
    if (ret == 0 && plan->job == PP_JOB_RUN)
        ret = pp_servers_open(&run->servers, plan, (uint32_t)descriptors, by_servers, err);
    name_refused(run, by_clients, by_servers);
    if (ret == 0)
        ret = pp_intervals_open(&run->intervals, run->loop, run->result, run->hooks->on_interval,
                                run->hooks->context, err);
    run->scratch = pp_memory_alloc(1, sizeof *run->scratch);
    if (ret == 0 && !run->scratch)
        ret = pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for histograms");
    return ret == 0 ? find_server(run, err) : ret;
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
    run->result->peer = run->plan->job == PP_JOB_RUN ? PP_PEER_OURS : PP_PEER_UNKNOWN;
    pp_surroundings_read(run->result);
    name_engines(run);
    run->result->signal = pp_interrupt_signal();
    pp_result_complete_unmeasured(run->result);
    return 0;
}

int pp_run(const struct pp_plan *plan, const struct pp_run_hooks *hooks, struct pp_result *result,
           struct pp_error *err)
{
    struct run run = { .hooks = hooks, .result = result };
    int ret;

    result->plan = *plan;
    run.plan = &result->plan;
    pp_hist_reset(&result->rtt);
    pp_hist_reset(&result->response);
    pp_hist_reset(&result->late);
    name_congestion_control(result);
    ret = open_all(&run, err);
    if (ret == 0)
        pp_surroundings_read(result);
    if (ret == 0)
        ret = run.servers ? run_with_servers(&run, err) : run_clients(&run, err);
    if (ret == -EINTR && pp_interrupt_signal())
        ret = end_before_beginning(&run);
    pp_intervals_close(&run.intervals);
    pp_memory_free(run.scratch);
    pp_io_loop_close(run.loop); /* before what they may have under way, as these */
    if (run.loop)
        pp_peer_end(&run.peer);
    for (unsigned i = 0; i < PP_PLAN_THREADS_MAX; i++)
        pp_io_loop_close(run.loops[i]);
    pp_clients_close(run.clients);
    pp_servers_close(run.servers);
    pp_messages_close(&run.messages);
    return ret;
}
