#include "job/client_thread.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"

#include <errno.h>

/* How often a thread looks whether it still turns. */
#define TICK_NS (25 * PP_NS_PER_MS)

/* A thread that used more of a CPU than this, and looked in vain less often than this for each time
 * that it did not, was the bottleneck. */
#define SATURATED_SHARE 0.95
#define SATURATED_LOOKS 0.05

static void wake_coordinator(struct pp_client_thread *thread)
{
    pp_io_wake(thread->coordinator, thread->event_op);
}

static void tell(struct pp_client_thread *thread, enum pp_event event)
{
    (void)atomic_fetch_or(&thread->events, event);
    wake_coordinator(thread);
}

/* ---- whether it still turns ---- */

/* Gaps end where the measured time does. */
static void note_gap(struct pp_client_thread *thread, uint64_t due_ns)
{
    const struct pp_phase *phase = thread->phase;
    const uint64_t end_ns = phase->time_ns ? phase->start_ns + phase->time_ns : UINT64_MAX;
    const uint64_t now_ns = pp_io_now_ns(thread->loop);
    const uint64_t until_ns = now_ns < end_ns ? now_ns : end_ns;
    struct pp_stopped *stopped = &thread->stopped;

    if (until_ns < due_ns + PP_STOPPED_MIN_NS)
        return;
    stopped->sum_ns += until_ns - due_ns;
    if (stopped->longest_ns < until_ns - due_ns)
        stopped->longest_ns = until_ns - due_ns;
}

static enum pp_io_next on_tick(struct pp_io_op *op)
{
    struct pp_client_thread *thread = container_of(op, struct pp_client_thread, tick_op);

    if (op->res < 0 || !thread->ticking)
        return PP_IO_DISARM;
    note_gap(thread, op->deadline_ns);
    op->deadline_ns = pp_clock_next(op->deadline_ns, TICK_NS, pp_io_now_ns(thread->loop));
    return PP_IO_REARM;
}

static void begin_ticks(struct pp_client_thread *thread)
{
    pp_assert(!thread->ticking);
    thread->stopped = (struct pp_stopped){ 0 };
    thread->ticking = true;
    pp_io_timer(thread->loop, &thread->tick_op, thread->phase->start_ns + TICK_NS, on_tick);
}

/* The end may come before a tick that is due already. */
static void end_ticks(struct pp_client_thread *thread)
{
    if (!thread->ticking)
        return;
    thread->ticking = false;
    note_gap(thread, thread->tick_op.deadline_ns);
    pp_io_cancel(thread->loop, &thread->tick_op);
}

/* ---- what the client says ---- */

static void on_client_connected(void *owner)
{
    struct pp_client_thread *thread = owner;

    pp_client_prepare(thread->client);
    tell(thread, PP_EVENT_CONNECTED);
}

static void on_client_draining(void *owner)
{
    struct pp_client_thread *thread = owner;

    thread->after = pp_sample_now(thread->loop);
    thread->drains = true;
    tell(thread, PP_EVENT_DRAINING);
}

static void sum_up(struct pp_client_thread *thread, const struct pp_sample *after)
{
    if (!thread->drains)
        thread->after = *after;
    thread->spread = (struct pp_spread){ 0 };
    thread->tcp = (struct pp_tcp_summary){ 0 };
    pp_client_spread_add(thread->client, &thread->spread);
    pp_client_tcp_add(thread->client, &thread->tcp);
    thread->error = *pp_client_error(thread->client);
}

/* The end of a phase is told by its number: a bit could arrive in the next one. It comes a second
 * time when a client that was ready for the next phase is interrupted or fails: the coordinator
 * knows already that the phase is over, and may be reading what came of it. The next one, if there
 * is one, then ends as it begins. */
static void on_client_finished(void *owner)
{
    struct pp_client_thread *thread = owner;
    struct pp_sample after;

    if (pp_client_thread_has_ended(thread, thread->begun))
        return;
    after = pp_sample_now(thread->loop);
    end_ticks(thread);
    sum_up(thread, &after);
    if (!thread->last)
        pp_client_prepare(thread->client);
    atomic_store(&thread->ended, thread->begun);
    wake_coordinator(thread);
}

static void on_client_disconnected(void *owner)
{
    tell(owner, PP_EVENT_DISCONNECTED);
}

void pp_client_thread_finish_broken(struct pp_client_thread *thread)
{
    pp_assert(atomic_load(&thread->loop_thread.ended));
    if (!pp_client_thread_has_ended(thread, thread->begun))
        sum_up(thread, &thread->loop_thread.last);
}

/* ---- what the coordinator says ---- */

static void start(struct pp_client_thread *thread)
{
    pp_assert(!thread->last); /* the last phase has begun already */
    thread->begun++;
    thread->last = thread->phase->last;
    thread->drains = false;
    thread->before = pp_sample_now(thread->loop);
    if (thread->last)
        begin_ticks(thread);
    pp_client_start(thread->client, thread->phase);
}

static void split(struct pp_client_thread *thread)
{
    struct pp_recording *next;

    thread->counts = *pp_client_counts(thread->client);
    thread->recording = (thread->recording + 1) % PP_RECORDINGS;
    next = thread->recordings[thread->recording];
    pp_assert(next); /* it was said that there would be splits */
    pp_client_record_into(thread->client, &next->rtt, &next->response, &next->late);
    tell(thread, PP_EVENT_SPLIT);
}

static enum pp_io_next on_command(struct pp_io_op *op)
{
    struct pp_client_thread *thread = container_of(op, struct pp_client_thread, command_op);
    const unsigned commands = atomic_exchange(&thread->commands, 0);

    if (commands & PP_COMMAND_CONNECT)
        pp_client_connect(thread->client, thread->greeting_ns);
    if (commands & PP_COMMAND_START)
        start(thread);
    if (commands & PP_COMMAND_SPLIT)
        split(thread);
    if (commands & PP_COMMAND_LOOK)
        pp_client_look(thread->client);
    if (commands & PP_COMMAND_INTERRUPT)
        pp_client_interrupt(thread->client);
    if (commands & (PP_COMMAND_LEAVE | PP_COMMAND_DROP))
        pp_client_disconnect(thread->client, !(commands & PP_COMMAND_DROP));
    return commands & PP_COMMAND_END ? PP_IO_DISARM : PP_IO_REARM;
}

void pp_client_thread_command(struct pp_client_thread *thread, enum pp_command what)
{
    (void)atomic_fetch_or(&thread->commands, what);
    pp_io_wake(thread->loop, &thread->command_op);
}

/* ---- what came of it ---- */

void pp_client_thread_take(struct pp_client_thread *thread, bool joined, struct pp_hist *rtt,
                           struct pp_hist *response, struct pp_hist *late)
{
    for (unsigned i = 0; i < PP_RECORDINGS; i++) {
        struct pp_recording *recording = thread->recordings[i];

        if (!recording || (!joined && i == thread->recording))
            continue;
        pp_hist_merge(rtt, &recording->rtt);
        pp_hist_reset(&recording->rtt);
        if (!thread->scheduled)
            continue;
        pp_hist_merge(response, &recording->response);
        pp_hist_reset(&recording->response);
        pp_hist_merge(late, &recording->late);
        pp_hist_reset(&recording->late);
    }
}

struct pp_load pp_client_thread_load(const struct pp_client_thread *thread)
{
    struct pp_sample spent = { 0 };
    const uint64_t time_ns = thread->after.at_ns - thread->before.at_ns;
    struct pp_load load = { 0 };

    pp_sample_add(&spent, &thread->before, &thread->after);
    load.unknown = spent.usage.unknown;
    if (time_ns == 0 || load.unknown)
        return load;
    load.share = (double)(spent.usage.user_ns + spent.usage.system_ns) / (double)time_ns;
    load.saturated = load.share > SATURATED_SHARE &&
                     (double)spent.io.idle_looks < SATURATED_LOOKS * (double)spent.io.turns;
    load.share = load.share < 1 ? load.share : 1;
    return load;
}

/* ---- opening and closing ---- */

static int recordings_open(struct pp_client_thread *thread, unsigned needed, struct pp_error *err)
{
    for (unsigned i = 0; i < needed; i++) {
        struct pp_recording *recording = pp_memory_alloc(1, sizeof *recording);

        if (!recording)
            return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for histograms");
        pp_hist_reset(&recording->rtt);
        pp_hist_reset(&recording->response);
        pp_hist_reset(&recording->late);
        thread->recordings[i] = recording;
    }
    return 0;
}

int pp_client_thread_open(struct pp_client_thread *thread,
                          const struct pp_client_thread_options *options,
                          const struct pp_client_options *client, struct pp_error *err)
{
    struct pp_client_options all = *client;
    int ret;

    *thread = (struct pp_client_thread){ .loop = client->loop,
                                         .phase = options->phase,
                                         .coordinator = options->coordinator,
                                         .event_op = options->event_op,
                                         .scheduled = client->plan->rate > 0,
                                         .begun = 1 };
    ret = recordings_open(thread, options->splits ? PP_RECORDINGS : 1, err);
    if (ret < 0)
        return ret;
    all.rtt = &thread->recordings[0]->rtt;
    all.response = thread->scheduled ? &thread->recordings[0]->response : NULL;
    all.late = &thread->recordings[0]->late;
    all.owner = thread;
    all.on_connected = on_client_connected;
    all.on_draining = on_client_draining;
    all.on_finished = on_client_finished;
    all.on_disconnected = on_client_disconnected;
    ret = pp_client_open(&thread->client, &all, err);
    if (ret < 0)
        return ret;
    pp_io_wake_wait(thread->loop, &thread->command_op, on_command);
    pp_loop_thread_prepare(&thread->loop_thread, thread->loop, options->cpu, options->coordinator,
                           options->event_op);
    return 0;
}

void pp_client_thread_close(struct pp_client_thread *thread)
{
    pp_io_loop_close(thread->loop); /* before what it may still have under way */
    pp_client_close(thread->client);
    for (unsigned i = 0; i < PP_RECORDINGS; i++)
        pp_memory_free(thread->recordings[i]);
}
