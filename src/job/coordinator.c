/* What the servers cost, the stages in the order in which they come, progress, and the loops: this
 * one's, and those that it waits for. */
#include "job/coordinator.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "job/interrupt.h"

#include <errno.h>
#include <string.h>

/* How often it is looked at how far the clients are; all but the slices waits for some ticks. */
#define TICK_NS (25 * PP_NS_PER_MS)
#define TICKS_OF_WATCH 4
#define WATCH_NS (TICKS_OF_WATCH * TICK_NS)

/* How long the server may take to close its side: it has nothing else to do. After a signal nobody
 * wants to wait for one that is frozen. */
#define LINGER_NS (2 * PP_NS_PER_S)
#define LINGER_INTERRUPTED_NS (200 * PP_NS_PER_MS)

/* Stages follow each other; some may be left out. */
static void enter(struct pp_coordinator *c, enum pp_stage stage)
{
    pp_assert(stage > c->stage && stage <= PP_STAGE_LEAVE);
    c->stage = stage;
}

/* What always holds between two callbacks. */
static void check(void *owner)
{
    const struct pp_coordinator *c = owner;

    pp_assert(c->stage <= PP_STAGE_LEAVE);
    pp_assert(c->result->measured || c->stage != PP_STAGE_MEASURE);
    pp_assert(!c->result->measured || (c->started_ns > 0 && c->stage >= PP_STAGE_MEASURE));
    pp_assert(!c->ended || (c->result->measured && c->stage > PP_STAGE_MEASURE));
    pp_assert(!c->drains || c->result->measured);
    pp_assert(!c->sampling || (c->servers && c->drains));
    pp_assert(!c->silent || c->error.code != 0);
    pp_clients_check(c->clients);
}

/* ---- the server's costs ---- */

static void sides_fill(struct pp_result_side *side, const struct pp_sample *spent)
{
    side->usage = spent->usage;
    side->io = spent->io;
}

static void sampled(struct pp_coordinator *c);

/* Whether there is something to wait for. */
static bool ask_peer(struct pp_coordinator *c)
{
    if (c->stage == PP_STAGE_SAMPLE_FIRST)
        return pp_peer_ask_before(&c->peer);
    return pp_peer_ask_after(&c->peer);
}

static void sample_servers(struct pp_coordinator *c, enum pp_stage stage)
{
    enter(c, stage);
    if (!c->servers) {
        if (!ask_peer(c))
            sampled(c);
    } else if (pp_servers_ended(c->servers)) {
        sampled(c);
    } else {
        pp_servers_sample(c->servers);
    }
}

/* ---- the stages ---- */

bool pp_coordinator_has_error(const struct pp_coordinator *c)
{
    return c->error.code || pp_clients_error(c->clients)->code;
}

static bool has_failed(const struct pp_coordinator *c)
{
    return pp_coordinator_has_error(c) || pp_interrupt_signal();
}

/* Nobody waits for the other side after an error, nor for one that was never there, or has never
 * answered. */
static void leave(struct pp_coordinator *c)
{
    const bool server_lives = !c->servers || !pp_servers_ended(c->servers);
    const bool politely = server_lives && c->stage > PP_STAGE_CONNECT &&
                          !pp_coordinator_has_error(c) && pp_clients_received(c->clients) > 0;
    const uint64_t linger_ns = pp_interrupt_signal() ? LINGER_INTERRUPTED_NS : LINGER_NS;

    enter(c, PP_STAGE_LEAVE);
    pp_io_cancel(c->loop, &c->reply_op);
    pp_io_cancel(c->loop, &c->tick_op);
    pp_peer_leave(&c->peer);
    pp_io_timer(c->loop, &c->linger_op, pp_io_now_ns(c->loop) + linger_ns, c->linger_op.cb);
    pp_clients_disconnect(c->clients, politely);
}

static void measure(struct pp_coordinator *c)
{
    if (c->servers)
        pp_servers_begin(c->servers);
    pp_surroundings_now(&c->before, c->result);
    pp_waits_read(&c->waits_before);
    pp_slices_begin(&c->slices);
    c->result->measured = true;
    c->result->wall_start_ns = pp_clock_wall_ns();
    enter(c, PP_STAGE_MEASURE);
    c->started_ns = pp_io_now_ns(c->loop);
    c->silence.quiet_ns = 0;
    pp_intervals_begin(&c->intervals, c->clients, c->started_ns);
    pp_memory_seal(true);
    pp_clients_start(c->clients, c->plan->count, c->plan->time_ns, true);
}

static void sampled(struct pp_coordinator *c)
{
    struct pp_sample spent;

    if (c->stage == PP_STAGE_SAMPLE_FIRST && !has_failed(c)) {
        measure(c);
        return;
    }
    if (c->servers) {
        spent = pp_servers_spent(c->servers);
        sides_fill(&c->result->server, &spent);
    }
    c->sampling = false;
    if (c->stage != PP_STAGE_MEASURE)
        leave(c);
}

static void connect_clients(struct pp_coordinator *c)
{
    struct pp_result *result = c->result;

    enter(c, PP_STAGE_CONNECT);
    if (result->peer == PP_PEER_PINGPONG)
        pp_result_name_engine(&result->server, result->peer_says.engine);
    pp_clients_connect(c->clients, pp_io_now_ns(c->loop) - c->begun_ns);
    if (pp_interrupt_signal() && !pp_io_is_armed(&c->interrupt_op)) /* it has been told */
        pp_clients_interrupt(c->clients);
}

/* What the server elsewhere was asked is answered, or it never will be. */
static void on_peer(void *owner)
{
    struct pp_coordinator *c = owner;

    if (c->stage == PP_STAGE_GREET)
        connect_clients(c);
    else
        sampled(c);
}

static void fail(struct pp_coordinator *c, int code, const char *text)
{
    (void)pp_error_set(&c->error, PP_ERROR_RUN, code, "%s", text);
    pp_clients_interrupt(c->clients);
}

static void on_clients_connected(void *owner)
{
    struct pp_coordinator *c = owner;
    const struct pp_plan *plan = c->plan;

    if (has_failed(c)) /* on_clients_finished is coming */
        return;
    c->hooks->on_begin(c->hooks->context, c->result);
    if (plan->warmup_count || plan->warmup_ns) {
        enter(c, PP_STAGE_WARM_UP);
        pp_clients_start(c->clients, plan->warmup_count, plan->warmup_ns, false);
    } else {
        sample_servers(c, PP_STAGE_SAMPLE_FIRST);
    }
}

static void read_after(struct pp_coordinator *c)
{
    pp_surroundings_now(&c->after, c->result);
    pp_waits_read(&c->waits_after);
}

/* Of the measurement, on the clients' side. A signal that comes after the whole time, or later,
 * cuts nothing off. */
static void note_end(struct pp_coordinator *c)
{
    const struct pp_sample spent = pp_clients_spent(c->clients);
    const uint64_t time_ns = c->plan->time_ns;

    c->ended = true;
    c->ended_ns = pp_io_now_ns(c->loop);
    pp_intervals_end(&c->intervals);
    if (!time_ns || pp_io_now_ns(c->loop) < c->started_ns + time_ns)
        c->result->signal = pp_interrupt_signal();
    if (!c->drains)
        read_after(c);
    sides_fill(&c->result->client, &spent);
}

/* The time is over, and answers have yet to come, perhaps for long: what was spent is read now. */
static void on_clients_draining(void *owner)
{
    struct pp_coordinator *c = owner;

    if (c->stage != PP_STAGE_MEASURE)
        return;
    c->drains = true;
    read_after(c);
    pp_peer_ask_ahead(&c->peer);
    if (c->servers && !pp_servers_ended(c->servers)) {
        c->sampling = true;
        pp_servers_sample(c->servers);
    }
}

static void end_sampling(struct pp_coordinator *c)
{
    if (!c->drains || !c->servers) {
        sample_servers(c, PP_STAGE_SAMPLE_LAST);
        return;
    }
    enter(c, PP_STAGE_SAMPLE_LAST);
    if (!c->sampling)
        leave(c);
}

static void on_clients_finished(void *owner)
{
    struct pp_coordinator *c = owner;

    pp_memory_seal(false);
    if (c->stage == PP_STAGE_MEASURE) {
        note_end(c);
        end_sampling(c);
    } else if (c->stage == PP_STAGE_WARM_UP && !has_failed(c)) {
        sample_servers(c, PP_STAGE_SAMPLE_FIRST);
    } else if (c->stage < PP_STAGE_SAMPLE_LAST) {
        leave(c);
    }
}

static void on_clients_split(void *owner)
{
    pp_intervals_split(&((struct pp_coordinator *)owner)->intervals);
}

static enum pp_io_next on_lingered(struct pp_io_op *op)
{
    struct pp_coordinator *c = container_of(op, struct pp_coordinator, linger_op);

    if (op->res == 0)
        pp_clients_disconnect(c->clients, false);
    return PP_IO_DISARM;
}

static void on_clients_disconnected(void *owner)
{
    struct pp_coordinator *c = owner;

    pp_io_cancel(c->loop, &c->linger_op);
    pp_io_cancel(c->loop, &c->interrupt_op);
    pp_clients_release(c->clients);
}

/* A server's thread has sampled itself, or ended before its time. */
static enum pp_io_next on_reply(struct pp_io_op *op)
{
    struct pp_coordinator *c = container_of(op, struct pp_coordinator, reply_op);

    if (op->res < 0)
        return PP_IO_DISARM;
    if (pp_servers_broken(c->servers, &c->error) < 0)
        pp_clients_interrupt(c->clients);
    if ((c->stage == PP_STAGE_SAMPLE_FIRST || c->stage == PP_STAGE_SAMPLE_LAST || c->sampling) &&
        (pp_servers_sampled(c->servers) || pp_servers_ended(c->servers)))
        sampled(c);
    return c->stage == PP_STAGE_LEAVE ? PP_IO_DISARM : PP_IO_REARM;
}

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct pp_coordinator *c = container_of(op, struct pp_coordinator, interrupt_op);

    if (op->res < 0)
        return PP_IO_DISARM;
    if (c->stage == PP_STAGE_LEAVE)
        pp_clients_disconnect(c->clients, false);
    else if (c->stage > PP_STAGE_GREET && !c->ended)
        pp_clients_interrupt(c->clients);
    pp_peer_interrupt(&c->peer);
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
static void watch_silence(struct pp_coordinator *c)
{
    const bool may_last = (c->stage == PP_STAGE_MEASURE && !c->plan->time_ns) ||
                          (c->stage == PP_STAGE_WARM_UP && !c->plan->warmup_ns);

    if (!pp_silence_watch(&c->silence, may_last, WATCH_NS))
        return;
    c->silent = true;
    fail(c, -ETIMEDOUT, "silence");
}

/* What comes after the time is over, in the drain, belongs to no slice. */
static void note_slice(struct pp_coordinator *c)
{
    const struct pp_slices_mark mark = { .at_ns = pp_io_now_ns(c->loop),
                                         .trips = pp_clients_received(c->clients),
                                         .latency_ns = pp_clients_latency_ns(c->clients) };

    if (!c->plan->time_ns || mark.at_ns - c->started_ns <= c->plan->time_ns)
        pp_slices_note(&c->slices, &mark);
}

static void show_progress(struct pp_coordinator *c)
{
    const uint64_t received = pp_clients_received(c->clients);
    const uint64_t elapsed_ns = pp_io_now_ns(c->loop) - c->started_ns;

    c->hooks->on_progress(c->hooks->context, received, share_done(c->plan, received, elapsed_ns),
                          elapsed_ns);
}

static enum pp_io_next on_tick(struct pp_io_op *op)
{
    struct pp_coordinator *c = container_of(op, struct pp_coordinator, tick_op);
    const bool watches = ++c->ticks % TICKS_OF_WATCH == 0;

    if (op->res < 0 || c->stage == PP_STAGE_LEAVE)
        return PP_IO_DISARM;
    if (c->stage == PP_STAGE_MEASURE)
        note_slice(c);
    if (c->stage == PP_STAGE_MEASURE && watches)
        show_progress(c);
    if (watches)
        watch_silence(c);
    op->deadline_ns = pp_clock_next(op->deadline_ns, TICK_NS, pp_io_now_ns(c->loop));
    return PP_IO_REARM;
}

/* ---- the loops ---- */

/* The coordinator's thread. If its loop breaks down, what was started there will not end. */
static void *coordinate(void *argument)
{
    struct pp_coordinator *c = argument;

    (void)pthread_setname_np(pthread_self(), "coordinator");
    c->loop_code = pp_io_loop_run(c->loop);
    if (c->loop_code < 0)
        pp_clients_abandon(c->clients, c->loop_code);
    return NULL;
}

/* Nothing but messages happens on a client's thread, of which the first is this one: phases,
 * intervals, progress and signals are the coordinator's. */
static int run_loops(struct pp_coordinator *c, const struct pp_io_addr *source,
                     struct pp_error *err)
{
    const struct pp_io_world *world = pp_io_world_of(c->loop);
    pthread_t coordinator;
    int ret;

    if (PP_CHECKS)
        pp_io_loop_check(c->loop, check, c);
    c->linger_op.cb = on_lingered;
    pp_io_wake_wait(c->loop, &c->interrupt_op, on_interrupt);
    pp_io_timer(c->loop, &c->tick_op, pp_io_now_ns(c->loop) + TICK_NS, on_tick);
    pp_interrupt_attach(c->loop, &c->interrupt_op);
    c->begun_ns = pp_io_now_ns(c->loop);
    if (c->servers || !pp_peer_meet(&c->peer, source))
        connect_clients(c);
    ret = world->thread_start(&coordinator, coordinate, c);
    if (ret < 0)
        pp_clients_abandon(c->clients, ret);
    pp_clients_run(c->clients);
    if (ret == 0)
        world->thread_join(coordinator);
    pp_interrupt_attach(NULL, NULL);
    pp_memory_seal(false);
    (void)pp_clients_join(c->clients); /* what it returns is in the clients' error, too */
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "cannot start a thread: %s", strerror(-ret));
    return 0;
}

int pp_coordinator_run(struct pp_coordinator *c, struct pp_clients_options options,
                       struct pp_error *err)
{
    int ret;

    options.loop = c->loop;
    options.plan = c->plan;
    options.splits = pp_intervals_wanted(&c->intervals);
    options.owner = c;
    options.on_connected = on_clients_connected;
    options.on_draining = on_clients_draining;
    options.on_finished = on_clients_finished;
    options.on_split = on_clients_split;
    options.on_disconnected = on_clients_disconnected;
    ret = pp_clients_open(&c->clients, &options, err);
    if (ret < 0)
        return ret;
    c->silence = (struct pp_silence){ .loop = c->loop, .plan = c->plan, .clients = c->clients };
    ret = run_loops(c, options.source, err);
    if (ret < 0)
        return ret;
    if (c->loop_code < 0 && c->stage == PP_STAGE_MEASURE)
        note_end(c);
    if (c->silent)
        pp_silence_explain(&c->silence, c->error.text, sizeof c->error.text);
    return 0;
}

int pp_coordinator_open(struct pp_coordinator *c, struct pp_error *err)
{
    const int ret = pp_loop_open_waiting(&c->loop, err);

    if (ret < 0)
        return ret;
    pp_peer_begin(&c->peer, c->loop, c->result, on_peer, c);
    pp_io_wake_wait(c->loop, &c->reply_op, on_reply);
    return pp_intervals_open(&c->intervals, c->loop, c->result, c->hooks->on_interval,
                             c->hooks->context, err);
}

void pp_coordinator_close(struct pp_coordinator *c)
{
    pp_intervals_close(&c->intervals);
    if (!c->loop)
        return;
    pp_io_loop_close(c->loop);
    pp_peer_end(&c->peer);
}
