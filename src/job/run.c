#include "job/run.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/escape.h"
#include "base/format.h"
#include "base/memory.h"
#include "job/clients.h"
#include "job/control.h"
#include "job/interrupt.h"
#include "job/servers.h"
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

#define TEXT_BYTES 256

/* How long the server may take to close its side: it has nothing else to do. After a signal nobody
 * wants to wait for one that is frozen. */
#define LINGER_NS (2 * PP_NS_PER_S)
#define LINGER_INTERRUPTED_NS (200 * PP_NS_PER_MS)

/* An open loop has not kept its schedule if more than this share of the messages that were due was
 * never sent, or by how late they were. */
#define UNSENT_SHARE 0.001

enum stage {
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
    struct pp_pattern out, in;
    struct pp_io_addr source;
    struct pp_control control;
    struct pp_hello_reply peer_before;
    uint64_t peer_asked_ns; /* for peer_before */
    bool greeted;           /* a connection was made for the hello alone */

    struct pp_io_op reply_op; /* a server's thread has something to say */
    struct pp_io_op interrupt_op;
    struct pp_io_op tick_op;
    struct pp_io_op linger_op;
    uint64_t started_ns; /* the measurement */
    uint64_t ticked_moved;
    uint64_t moved_ns; /* when something was seen to have moved */
    bool silent;       /* nothing moved for so long that it was given up */
    uint64_t quiet_ns;
    unsigned ticks;
    struct pp_slices slices;
    struct pp_disturbance_reading before, after;
    struct pp_waits_reading waits_before, waits_after;
    struct pp_hist *scratch; /* for the end */

    struct pp_io_workers *writer; /* what is below is its own while a job of it runs */
    struct pp_io_op interval_op;
    struct pp_io_job interval_job;
    struct pp_result_interval *interval; /* NULL: nobody wants them */
    struct pp_counts counted;            /* up to the end of the last interval */
    uint64_t split_ns;                   /* when the current interval ends */
    bool ended_early;                    /* nobody listens any more */
    bool ended;                          /* the measurement is over */
    uint64_t ended_ns;                   /* since then, drain and all */
    bool drains;                         /* what was spent was read when the time was over */
    bool sampling;                       /* or is being read: the servers' threads are asked */
};

/* ---- the server's costs ---- */

static void sides_fill(struct pp_result_side *side, const struct pp_sample *spent)
{
    side->usage = spent->usage;
    side->io = spent->io;
}

/* What a hello's answer and the last messages make of it is less than this. */
#define SHARED_LEAST 0.02

/* The server may have worked for others, too. What was under way when the time was over counts as
 * ours: it may have been answered by then. */
static void note_sharing(struct run *run)
{
    struct pp_result *result = run->result;
    const struct pp_hello_reply *says = &result->peer_says, *before = &run->peer_before;
    const uint64_t ours = pp_clients_counts(run->clients).bytes;
    const uint64_t all = says->bytes - before->bytes;
    const uint64_t own = run->plan->socket.dgram ? 0 : (uint64_t)run->plan->connections + 1;

    if (!says->says_bytes || !before->says_bytes || says->bytes < before->bytes)
        return;
    result->server_share = 1;
    if ((double)all * (1 - SHARED_LEAST) <= (double)ours)
        return;
    result->server_share = (double)ours / (double)all;
    result->server_others = says->connections > own ? says->connections - own : 0;
}

/* A server elsewhere is asked with a call that blocks: nothing else is going on. If there is a
 * drain, it was asked when that began, and what it said then is taken. One that did not answer once
 * is not asked again: its connection is closed, and its costs stay unknown. */
static void ask_peer(struct run *run)
{
    struct pp_result *result = run->result;
    struct pp_hello_reply *says = &result->peer_says;
    const struct pp_hello_reply *before = &run->peer_before;
    const uint64_t now_ns = pp_clock_now_ns();

    if (result->peer != PP_PEER_PINGPONG || pp_control_ask(&run->control, says, UINT64_MAX) < 0)
        return;
    if (run->stage != STAGE_SAMPLE_LAST) {
        run->peer_before = *says;
        run->peer_asked_ns = now_ns;
        return;
    }
    result->peer_costs_known =
        pp_hello_reply_follows(before, says, pp_clock_now_ns() - run->peer_asked_ns) &&
        says->user_ns + says->system_ns > 0; /* or it could not read them itself */
    if (!result->peer_costs_known)
        return;
    result->server.usage = (struct pp_usage){
        .user_ns = says->user_ns - before->user_ns,
        .system_ns = says->system_ns - before->system_ns,
        .context_switches = says->context_switches - before->context_switches,
    };
    result->server.io.syscalls = says->syscalls - before->syscalls;
    note_sharing(run);
}

static void sampled(struct run *run);

static void sample_servers(struct run *run, enum stage stage)
{
    run->stage = stage;
    if (!run->servers) {
        ask_peer(run);
        sampled(run);
    } else if (pp_servers_ended(run->servers)) {
        sampled(run);
    } else {
        pp_servers_sample(run->servers);
    }
}

/* ---- intervals ---- */

/* The next interval, up to run->split_ns, goes into the result, and to whoever wants it. */
static int report_interval(struct run *run, bool last)
{
    struct pp_result_interval *interval = run->interval;
    const struct pp_hist *main_hist = run->plan->rate > 0 ? &interval->response : &interval->rtt;
    struct pp_result *result = run->result;
    const struct pp_counts counts = pp_clients_take(run->clients, last, &interval->rtt,
                                                    &interval->response, &interval->late);

    interval->number++;
    interval->last = last;
    interval->start_ns += interval->length_ns;
    interval->length_ns = run->split_ns - run->started_ns - interval->start_ns;
    interval->counts = pp_counts_between(&run->counted, &counts);
    interval->in_flight = pp_counts_in_flight(&counts);
    run->counted = counts;
    pp_hist_merge(&result->rtt, &interval->rtt);
    pp_hist_merge(&result->response, &interval->response);
    pp_hist_merge(&result->late, &interval->late);
    pp_latency_of(&interval->rtt_latency, &interval->rtt, run->plan);
    pp_latency_of(&interval->response_latency, &interval->response, run->plan);
    pp_quantile_of(&interval->p50, main_hist, 0.5);
    pp_quantile_of(&interval->p99, main_hist, 0.99);
    return run->hooks->on_interval(run->hooks->context, interval);
}

static int write_interval(struct pp_io_job *job)
{
    return report_interval(container_of(job, struct run, interval_job), false);
}

static enum pp_io_next on_interval_written(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, interval_job.op);

    if (op->res < 0 && run->stage == STAGE_MEASURE) {
        run->ended_early = true;
        pp_clients_interrupt(run->clients);
    }
    return PP_IO_DISARM;
}

static void on_split(void *owner)
{
    struct run *run = owner;

    if (run->stage != STAGE_MEASURE) /* it all goes into the last one */
        return;
    run->split_ns = pp_clock_now_ns();
    pp_io_work_start(run->writer, run->loop, &run->interval_job, write_interval,
                     on_interval_written);
}

static enum pp_io_next on_interval_over(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, interval_op);

    if (op->res < 0 || run->stage != STAGE_MEASURE)
        return PP_IO_DISARM;
    if (!pp_io_is_armed(&run->interval_job.op) && !pp_clients_splitting(run->clients))
        pp_clients_split(run->clients);
    op->deadline_ns = pp_clock_next(op->deadline_ns, run->plan->interval_ns);
    if (run->plan->time_ns && op->deadline_ns >= run->started_ns + run->plan->time_ns)
        return PP_IO_DISARM; /* the last one ends with the measurement */
    return PP_IO_REARM;
}

/* What has come since the last one, unless it ended just there. */
static void report_last_interval(struct run *run)
{
    struct pp_result_interval *interval = run->interval;
    const uint64_t end_ns = run->started_ns + interval->start_ns + interval->length_ns;
    const struct pp_counts counts = pp_clients_counts(run->clients);

    run->split_ns = counts.last_ns > end_ns ? counts.last_ns : end_ns;
    if (run->split_ns > end_ns || counts.sent > run->counted.sent ||
        counts.received > run->counted.received || counts.drained > run->counted.drained)
        (void)report_interval(run, true);
}

static int open_histograms(struct run *run, struct pp_error *err)
{
    const bool has_intervals = run->plan->interval_ns && run->hooks->on_interval;

    run->scratch = pp_memory_alloc(1, sizeof *run->scratch);
    if (has_intervals)
        run->interval = pp_memory_alloc(1, sizeof *run->interval);
    if (!run->scratch || (has_intervals && !run->interval))
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for histograms");
    return has_intervals ? pp_io_workers_open(&run->writer, 1, err) : 0;
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

    run->stage = STAGE_LEAVE;
    pp_io_cancel(run->loop, &run->reply_op);
    pp_io_cancel(run->loop, &run->tick_op);
    pp_io_cancel(run->loop, &run->interval_op);
    pp_io_timer(run->loop, &run->linger_op, pp_clock_now_ns() + linger_ns, run->linger_op.cb);
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
    run->stage = STAGE_MEASURE;
    run->started_ns = pp_clock_now_ns();
    run->quiet_ns = 0;
    if (run->interval)
        pp_io_timer(run->loop, &run->interval_op, run->started_ns + run->plan->interval_ns,
                    on_interval_over);
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
        run->stage = STAGE_WARM_UP;
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
    run->ended_ns = pp_clock_now_ns();
    if (!time_ns || pp_clock_now_ns() < run->started_ns + time_ns)
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
    if (run->result->peer == PP_PEER_PINGPONG)
        pp_control_ask_ahead(&run->control);
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
    run->stage = STAGE_SAMPLE_LAST;
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

    if (op->res == 0 && run->stage == STAGE_LEAVE)
        pp_clients_disconnect(run->clients, false);
    else if (op->res == 0 && !run->ended)
        pp_clients_interrupt(run->clients);
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

/* How long no byte may come or go without anything being wrong. */
static uint64_t patience_ns(const struct pp_plan *plan)
{
    const double interval_ns = plan->rate > 0 ? 10e9 / plan->rate : 0;

    return plan->silence_ns + plan->think_ns + (uint64_t)interval_ns;
}

/* Why what has come is no answer, for a sentence that says that there was none. */
static const char *what_came(const struct run *run, char text[TEXT_BYTES])
{
    const struct pp_client_part part = pp_clients_part(run->clients);
    const uint64_t until_ns = run->ended ? run->ended_ns : pp_clock_now_ns();
    const double quiet_s = until_ns > run->moved_ns ? (double)(until_ns - run->moved_ns) / 1e9 : 0;
    char shown[4 * PP_CLIENT_CAME_BYTES + 4], seconds[PP_FORMAT_BYTES];

    (void)pp_escape_encode(shown, sizeof shown, part.came, part.came_bytes);
    if (part.bytes == 0)
        (void)snprintf(text, TEXT_BYTES, "and not a byte came");
    else if (part.of > 0)
        (void)snprintf(text, TEXT_BYTES,
                       "%" PRIu64 " of %u B of an answer came, then nothing for %s s: \"%s\"",
                       part.bytes, part.of, pp_format_decimal(seconds, quiet_s, 1), shown);
    else
        (void)snprintf(text, TEXT_BYTES, "and %" PRIu64 " B that came made up no answer: \"%s\"",
                       part.bytes, shown);
    return text;
}

/* Gives up a stage that has no limit of time and in which nothing moves any more: a part of a large
 * message that comes or goes is enough, and if none is seen for a while, the kernel is asked what
 * it has still sent. */
static void watch_silence(struct run *run)
{
    const bool may_last = (run->stage == STAGE_MEASURE && !run->plan->time_ns) ||
                          (run->stage == STAGE_WARM_UP && !run->plan->warmup_ns);
    const uint64_t moved = pp_clients_moved(run->clients);

    if (moved != run->ticked_moved)
        run->moved_ns = pp_clock_now_ns();
    run->quiet_ns = may_last && moved == run->ticked_moved ? run->quiet_ns + WATCH_NS : 0;
    run->ticked_moved = moved;
    if (run->quiet_ns < patience_ns(run->plan) / 10)
        return;
    if (run->quiet_ns < patience_ns(run->plan)) {
        pp_clients_look(run->clients);
        return;
    }
    run->silent = true;
    fail(run, -ETIMEDOUT, "silence");
}

/* Once no other thread counts any more: what was said in the midst of it. */
static void explain_silence(struct run *run)
{
    char came[TEXT_BYTES], seconds[PP_FORMAT_BYTES];
    const bool part = pp_clients_counts(run->clients).received == 0 &&
                      pp_clients_part(run->clients).bytes > 0;

    (void)snprintf(run->error.text, sizeof run->error.text,
                   "no round trip was completed for %s s, nor any part of one%s%s; does the server "
                   "hang, or is something on the way dropping packets?",
                   pp_format_decimal(seconds, (double)run->plan->silence_ns / 1e9, 0),
                   part ? ": " : "", part ? what_came(run, came) : "");
}

/* What comes after the time is over, in the drain, belongs to no slice. */
static void note_slice(struct run *run)
{
    const struct pp_slices_mark mark = { .at_ns = pp_clock_now_ns(),
                                         .trips = pp_clients_received(run->clients),
                                         .latency_ns = pp_clients_latency_ns(run->clients) };

    if (!run->plan->time_ns || mark.at_ns - run->started_ns <= run->plan->time_ns)
        pp_slices_note(&run->slices, &mark);
}

static void show_progress(struct run *run)
{
    const uint64_t received = pp_clients_received(run->clients);
    const uint64_t elapsed_ns = pp_clock_now_ns() - run->started_ns;

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
    op->deadline_ns = pp_clock_next(op->deadline_ns, TICK_NS);
    return PP_IO_REARM;
}

/* ---- before the run ---- */

/* The size of all messages; 0: there are several. With responses of another size, both ends have to
 * use the same pattern without knowing more of each other: that of size 1. */
static uint32_t size_of(const struct pp_plan *plan)
{
    if (plan->answers)
        return 1;
    return plan->request.min == plan->request.max ? plan->request.max : 0;
}

/* What messages are made of. */
static int open_patterns(struct run *run, struct pp_error *err)
{
    const struct pp_plan *plan = run->plan;
    const bool by_text = plan->expect_how == PP_EXPECT_TEXT;
    int ret;

    if (plan->send.bytes && !plan->socket.dgram)
        ret = pp_pattern_open(&run->out, plan->send.text, plan->send.bytes, err);
    else
        ret = pp_pattern_open_random(&run->out, size_of(plan), err);
    if (ret == 0 && by_text)
        ret = pp_pattern_open(&run->in, plan->expect.text, plan->expect.bytes, err);
    return ret;
}

/* What answers are compared with; NULL: nothing. */
static const struct pp_pattern *pattern_in(const struct run *run)
{
    if (run->plan->verify != PP_VERIFY_FULL)
        return NULL;
    switch (run->plan->expect_how) {
    case PP_EXPECT_ECHO:
        return &run->out;
    case PP_EXPECT_TEXT:
        return &run->in;
    case PP_EXPECT_BYTES:
    case PP_EXPECT_UNTIL:
        break;
    }
    return NULL;
}

static int find_server(struct run *run, struct pp_error *err)
{
    struct pp_result *result = run->result;

    if (!run->servers)
        return pp_address_find(&result->addr, &run->plan->target, false, err);
    result->addr = *pp_servers_addr(run->servers);
    return 0;
}

static const struct pp_io_addr *source_of(struct run *run, struct pp_error *err, int *ret)
{
    const struct pp_target *source = &run->plan->source;

    if (!source->host[0] && !source->port)
        return NULL;
    *ret = pp_address_find(&run->source, source, true, err);
    return &run->source;
}

/* The same address and any port: the one given is for the connection that is measured. */
static struct pp_io_addr without_port(struct pp_io_addr addr)
{
    if (addr.any.sa_family == AF_INET)
        addr.in.sin_port = 0;
    else if (addr.any.sa_family == AF_INET6)
        addr.in6.sin6_port = 0;
    return addr;
}

/* Asks a server elsewhere who it is, for half of the time that connecting may take at most.
 * Whatever goes wrong here, the connections will tell. */
static void meet_peer(struct run *run, const struct pp_io_addr *source)
{
    const struct pp_io_addr from = source ? without_port(*source) : (struct pp_io_addr){ 0 };
    const uint64_t deadline_ns = pp_clock_now_ns() + run->plan->connect_timeout_ns / 2;
    struct pp_result *result = run->result;

    result->peer = PP_PEER_OURS;
    if (run->servers)
        return;
    result->peer = PP_PEER_UNKNOWN;
    if (!run->plan->hello || run->plan->expect_how != PP_EXPECT_ECHO || pp_interrupt_signal())
        return;
    if (pp_control_open(&run->control, run->plan, &result->addr, source ? &from : NULL,
                        deadline_ns) < 0)
        return;
    run->greeted = !run->plan->socket.dgram;
    if (!pp_interrupt_signal() &&
        pp_control_ask(&run->control, &result->peer_says, deadline_ns) == 0)
        result->peer = PP_PEER_PINGPONG;
}

static void name_engine(struct pp_result_side *side, const char *description)
{
    (void)snprintf(side->engine, sizeof side->engine, "%s", description);
    (void)snprintf(side->engine_name, sizeof side->engine_name, "%.*s",
                   (int)strcspn(side->engine, ":"), side->engine);
}

static void name_engines(struct run *run)
{
    struct pp_result *result = run->result;

    name_engine(&result->client, pp_io_loop_describe(run->loops[0]));
    if (run->servers)
        name_engine(&result->server, pp_servers_describe(run->servers));
    else if (result->peer == PP_PEER_PINGPONG)
        name_engine(&result->server, result->peer_says.engine);
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
static int run_loops(struct run *run, struct pp_error *err)
{
    pthread_t coordinator;
    int ret;

    run->linger_op.cb = on_lingered;
    pp_io_wake_wait(run->loop, &run->interrupt_op, on_interrupt);
    pp_io_timer(run->loop, &run->tick_op, pp_clock_now_ns() + TICK_NS, on_tick);
    pp_interrupt_attach(run->loop, &run->interrupt_op);
    pp_clients_connect(run->clients);
    ret = -pthread_create(&coordinator, NULL, coordinate, run);
    if (ret < 0)
        pp_clients_abandon(run->clients, ret);
    pp_clients_run(run->clients);
    if (ret == 0)
        (void)pthread_join(coordinator, NULL);
    pp_interrupt_attach(NULL, NULL);
    pp_memory_seal(false);
    (void)pp_clients_join(run->clients); /* what it returns is in the clients' error, too */
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "cannot start a thread: %s", strerror(-ret));
    return 0;
}

/* Its loop broke down. The writer may be at work on the result just now. */
static void break_off(struct run *run)
{
    if (run->stage == STAGE_MEASURE)
        note_end(run);
    pp_io_workers_close(run->writer);
    run->writer = NULL;
}

/* Where all that was due was sent, the latencies say how late. */
static bool missed_rate(const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;
    const double due = (double)counts->sent + (double)counts->unsent;

    return result->plan.rate > 0 &&
           ((double)counts->unsent > UNSENT_SHARE * due ||
            (double)counts->behind_ns >
                PP_BEHIND_SHARE * (double)result->duration_ns * (double)counts->sent);
}

/* Messages at equal distances take as many of these as there are messages: the last one's belongs
 * to the time, or n of them in n - 1 distances would be more than was asked for. */
static uint64_t duration_ns(const struct run *run, const struct pp_counts *counts)
{
    const struct pp_plan *plan = run->plan;
    const uint64_t length_ns = counts->last_ns - counts->first_ns;
    double scheduled_ns = 0;

    if (plan->rate > 0 && plan->arrivals == PP_ARRIVALS_FIXED && counts->sent == plan->count)
        scheduled_ns = (double)plan->count * 1e9 / plan->rate;
    return (double)length_ns < scheduled_ns ? (uint64_t)scheduled_ns : length_ns;
}

static void fill_counts(struct run *run)
{
    const struct pp_counts counts = pp_clients_counts(run->clients);
    struct pp_result *result = run->result;

    result->counts = counts;
    result->in_flight = pp_clients_in_flight(run->clients);
    result->balanced = pp_counts_in_flight(&counts) == result->in_flight;
    result->duration_ns = duration_ns(run, &counts);
    result->partial = result->signal || has_error(run) || run->ended_early ||
                      (!run->plan->time_ns && counts.received + counts.lost < run->plan->count);
    result->rate_missed = missed_rate(result);
    pp_slices_end(&run->slices, counts.last_ns);
    if (run->plan->rate > 0)
        result->growth = pp_slices_growth(&run->slices, result->duration_ns);
    result->client_load = pp_clients_load(run->clients);
    result->stopped = pp_clients_stopped(run->clients);
    pp_surroundings_fill(result, &run->before, &run->after);
    pp_waits_fill(result, &run->waits_before, &run->waits_after, run->clients, run->servers);
    if (counts.received + counts.lost > 0)
        result->loss = (double)counts.lost / (double)(counts.received + counts.lost);
    result->loss_interval = pp_stat_proportion(counts.lost, counts.received + counts.lost);
    result->spread = pp_clients_spread(run->clients);
    result->jain = pp_stat_jain(result->spread.connections, result->spread.sum,
                                result->spread.sum_squares);
    result->tcp = pp_clients_tcp(run->clients);
    result->steadiness = pp_slices_steadiness(
        &run->slices, run->plan->rate > 0 || run->plan->think_ns > 0, run->started_ns);
}

static void fill_latencies(struct run *run)
{
    struct pp_result *result = run->result;

    if (run->interval)
        report_last_interval(run);
    else
        (void)pp_clients_take(run->clients, true, &result->rtt, &result->response, &result->late);
    pp_latency_of(&result->rtt_latency, &result->rtt, run->plan);
    pp_latency_of(&result->response_latency, &result->response, run->plan);
    pp_latency_of(&result->late_latency, &result->late, run->plan);
    pp_stalls_of(&result->stalls, &result->rtt, run->plan->think_ns);
    if (!(run->plan->rate > 0))
        pp_hidden_of(&result->hidden, &result->rtt_latency, &result->rtt, run->plan->think_ns,
                     run->scratch);
}

/* It ended before there was anything to measure, which is a result, too. */
static void fill_nothing(struct pp_result *result)
{
    result->partial = true;
    result->balanced = true;
    pp_latency_of(&result->rtt_latency, &result->rtt, &result->plan);
    pp_latency_of(&result->response_latency, &result->response, &result->plan);
    pp_latency_of(&result->late_latency, &result->late, &result->plan);
    pp_verdict_of(&result->verdict, result);
}

/* Nothing was measured, though nothing has failed: what listens there does not answer, perhaps not
 * even what the warm-up has sent. */
static int check_answered(const struct run *run, struct pp_error *err)
{
    const struct pp_result *result = run->result;
    const struct pp_counts *counts = &result->counts;
    char what[TEXT_BYTES] = "no message was due in the measured time";
    char came[TEXT_BYTES];

    if (result->signal || counts->received + counts->drained > 0)
        return 0;
    if (counts->sent > 0)
        (void)snprintf(what, sizeof what, "not one of %" PRIu64 " messages was answered",
                       counts->sent);
    return pp_error_set(err, PP_ERROR_RUN, -ETIMEDOUT,
                        "%s, %s; is the address right, and does what listens there answer such "
                        "messages?",
                        what, what_came(run, came));
}

static int fill_result(struct run *run, struct pp_error *err)
{
    struct pp_result *result = run->result;

    if (!run->ended)
        result->signal = pp_interrupt_signal();
    if (!result->measured) {
        fill_nothing(result);
        return 0;
    }
    fill_counts(run);
    fill_latencies(run);
    pp_verdict_of(&result->verdict, result);
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

    if (!run->greeted || error->code != -ECONNREFUSED || pp_clients_received(run->clients) > 0)
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
    const uint64_t begun_ns = pp_clock_now_ns();
    struct pp_clients_options options = {
        .loop = run->loop,
        .loops = run->loops,
        .plan = run->plan,
        .addr = &run->result->addr,
        .source = source,
        .out = &run->out,
        .in = pattern_in(run),
        .splits = run->interval != NULL,
        .owner = run,
        .on_connected = on_connected,
        .on_draining = on_draining,
        .on_finished = on_finished,
        .on_split = on_split,
        .on_disconnected = on_disconnected,
    };

    if (ret < 0)
        return ret;
    meet_peer(run, source);
    options.greeting_ns = pp_clock_now_ns() - begun_ns;
    name_engines(run);
    ret = pp_clients_open(&run->clients, &options, err);
    if (ret < 0)
        return ret;
    ret = run_loops(run, err);
    if (ret < 0)
        return ret;
    if (run->loop_code < 0)
        break_off(run);
    if (run->silent)
        explain_silence(run);
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
    int ret = descriptors < 0 ? descriptors : open_patterns(run, err);

    if (ret == 0)
        ret = pp_loops_open(run->loops, plan->client_threads, plan, plan->client_engine, by_clients,
                            err);
    if (ret == 0)
        ret = pp_loop_open_waiting(&run->loop, err);
    if (ret == 0 && plan->job == PP_JOB_RUN)
        ret = pp_servers_open(&run->servers, plan, (uint32_t)descriptors, by_servers, err);
    name_refused(run, by_clients, by_servers);
    if (ret == 0)
        ret = open_histograms(run, err);
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
    fill_nothing(run->result);
    return 0;
}

int pp_run(const struct pp_plan *plan, const struct pp_run_hooks *hooks, struct pp_result *result,
           struct pp_error *err)
{
    struct run run = { .hooks = hooks, .result = result, .control.fd = -1 };
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
    pp_control_close(&run.control);
    pp_io_workers_close(run.writer);
    pp_memory_free(run.interval);
    pp_memory_free(run.scratch);
    pp_io_loop_close(run.loop); /* before what they may have under way, as these */
    for (unsigned i = 0; i < PP_PLAN_THREADS_MAX; i++)
        pp_io_loop_close(run.loops[i]);
    pp_clients_close(run.clients);
    pp_servers_close(run.servers);
    pp_pattern_close(&run.out);
    pp_pattern_close(&run.in);
    return ret;
}
