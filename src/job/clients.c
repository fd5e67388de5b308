#include "job/clients.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

/* A thread takes so many portions from the budget, on average: few enough to be rare, many enough
 * that all end together. */
#define PORTIONS 64
#define PORTION_MAX 1024

/* A thread that used more of a CPU than this, and looked in vain less often than this for each time
 * that it did not, was the bottleneck. */
#define SATURATED_SHARE 0.95
#define SATURATED_LOOKS 0.05

/* How often each thread looks whether it still turns. */
#define TICK_NS (25 * PP_NS_PER_MS)

/* What the coordinator tells a thread; several may be told at once, and are done in this order. */
enum command {
    COMMAND_CONNECT = 1,
    COMMAND_START = 2,
    COMMAND_INTERRUPT = 4,
    COMMAND_LEAVE = 8,
    COMMAND_DROP = 16,
    COMMAND_SPLIT = 32,
    COMMAND_LOOK = 64,
    COMMAND_END = 128
};

/* What a thread tells the coordinator, and how far it has come as far as that knows. */
enum event {
    EVENT_CONNECTED = 1,
    EVENT_DRAINING = 2,
    EVENT_FINISHED = 4,
    EVENT_DISCONNECTED = 8,
    EVENT_SPLIT = 16,
    EVENT_BROKEN = 32 /* its loop; nothing more comes of it */
};

/* Where samples go, one after the other: one is filled while another is taken. */
#define HISTS 2

struct recording {
    struct pp_hist rtt, response, late;
};

struct client_thread {
    struct pp_clients *clients;
    struct pp_io_loop *loop;
    struct pp_client *client;
    struct pp_worker worker;
    struct pp_io_op command_op;
    struct pp_io_op tick_op; /* armed while it measures */
    atomic_uint commands;
    atomic_uint events;
    unsigned begun;    /* phases, that of connecting included */
    atomic_uint ended; /* how many had begun when the last one was over */
    bool ticking;      /* the measurement goes on */
    bool last;         /* none follows the one that began last */
    unsigned known;    /* events, to the coordinator */
    bool drains;       /* what was spent by the phase is in after already */
    struct pp_sample before, after;
    struct pp_spread spread; /* of the phase that ended last, as what follows */
    struct pp_tcp_summary tcp;
    struct pp_stopped stopped;           /* of the last phase */
    struct recording *recordings[HISTS]; /* only the first, if nothing is ever split */
    unsigned recording;                  /* that is being filled */
    struct pp_counts counts;             /* as they stood at the last split, and nowhere else */
};

struct pp_clients {
    struct pp_clients_options options;
    struct pp_io_loop *loop; /* the coordinator's */
    struct pp_io_op event_op;
    struct pp_phase phase;
    struct pp_budget budget;
    unsigned begun;        /* phases, as above */
    struct pp_error error; /* a loop broke down */
    bool connecting;       /* on_connected is still to come */
    bool timed;            /* on_draining may still come */
    bool running;          /* on_finished is still to come */
    bool leaving;          /* on_disconnected is still to come */
    bool splitting;        /* on_split is still to come */
    bool released;
    unsigned count;
    struct client_thread threads[];
};

/* ---- on a client's thread ---- */

static void wake_coordinator(struct client_thread *thread)
{
    pp_io_wake(thread->clients->loop, &thread->clients->event_op);
}

static void tell(struct client_thread *thread, enum event event)
{
    (void)atomic_fetch_or(&thread->events, event);
    wake_coordinator(thread);
}

static void on_connected(void *owner)
{
    struct client_thread *thread = owner;

    pp_client_prepare(thread->client);
    tell(thread, EVENT_CONNECTED);
}

static void on_draining(void *owner)
{
    struct client_thread *thread = owner;

    thread->after = pp_sample_now(thread->loop);
    thread->drains = true;
    tell(thread, EVENT_DRAINING);
}

/* Gaps end where the measured time does. */
static void note_gap(struct client_thread *thread, uint64_t due_ns)
{
    const struct pp_phase *phase = &thread->clients->phase;
    const uint64_t end_ns = phase->time_ns ? phase->start_ns + phase->time_ns : UINT64_MAX;
    const uint64_t now_ns = pp_clock_now_ns();
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
    struct client_thread *thread = container_of(op, struct client_thread, tick_op);

    if (op->res < 0 || !thread->ticking)
        return PP_IO_DISARM;
    note_gap(thread, op->deadline_ns);
    op->deadline_ns = pp_clock_next(op->deadline_ns, TICK_NS);
    return PP_IO_REARM;
}

static void begin_ticks(struct client_thread *thread)
{
    thread->stopped = (struct pp_stopped){ 0 };
    thread->ticking = true;
    pp_io_timer(thread->loop, &thread->tick_op, thread->clients->phase.start_ns + TICK_NS, on_tick);
}

/* The end may come before a tick that is due already. */
static void end_ticks(struct client_thread *thread)
{
    if (!thread->ticking)
        return;
    thread->ticking = false;
    note_gap(thread, thread->tick_op.deadline_ns);
    pp_io_cancel(thread->loop, &thread->tick_op);
}

static void sum_up(struct client_thread *thread, const struct pp_sample *after)
{
    if (!thread->drains)
        thread->after = *after;
    thread->spread = (struct pp_spread){ 0 };
    thread->tcp = (struct pp_tcp_summary){ 0 };
    pp_client_spread_add(thread->client, &thread->spread);
    pp_client_tcp_add(thread->client, &thread->tcp);
}

/* It comes a second time when a client that was ready for the next phase is interrupted or fails.
 * The coordinator knows already that the phase is over, and may be reading what came of it. */
static void on_finished(void *owner)
{
    struct client_thread *thread = owner;
    struct pp_sample after;

    if (atomic_load(&thread->ended) == thread->begun)
        return;
    after = pp_sample_now(thread->loop);
    end_ticks(thread);
    sum_up(thread, &after);
    if (!thread->last)
        pp_client_prepare(thread->client);
    atomic_store(&thread->ended, thread->begun);
    wake_coordinator(thread);
}

static void split(struct client_thread *thread)
{
    struct recording *next;

    thread->counts = *pp_client_counts(thread->client);
    thread->recording = (thread->recording + 1) % HISTS;
    next = thread->recordings[thread->recording];
    pp_client_record_into(thread->client, &next->rtt, &next->response, &next->late);
    tell(thread, EVENT_SPLIT);
}

static void on_disconnected(void *owner)
{
    tell(owner, EVENT_DISCONNECTED);
}

static enum pp_io_next on_command(struct pp_io_op *op)
{
    struct client_thread *thread = container_of(op, struct client_thread, command_op);
    const unsigned commands = atomic_exchange(&thread->commands, 0);

    if (commands & COMMAND_CONNECT)
        pp_client_connect(thread->client);
    if (commands & COMMAND_START) {
        thread->begun++;
        thread->last = thread->clients->phase.last;
        thread->drains = false;
        thread->before = pp_sample_now(thread->loop);
        if (thread->last)
            begin_ticks(thread);
        pp_client_start(thread->client, &thread->clients->phase);
    }
    if (commands & COMMAND_SPLIT)
        split(thread);
    if (commands & COMMAND_LOOK)
        pp_client_look(thread->client);
    if (commands & COMMAND_INTERRUPT)
        pp_client_interrupt(thread->client);
    if (commands & (COMMAND_LEAVE | COMMAND_DROP))
        pp_client_disconnect(thread->client, !(commands & COMMAND_DROP));
    return commands & COMMAND_END ? PP_IO_DISARM : PP_IO_REARM;
}

/* ---- on the coordinator's thread ---- */

static void command(struct client_thread *thread, enum command what)
{
    (void)atomic_fetch_or(&thread->commands, what);
    pp_io_wake(thread->loop, &thread->command_op);
}

static void command_all(struct pp_clients *clients, enum command what)
{
    for (unsigned i = 0; i < clients->count; i++)
        command(&clients->threads[i], what);
}

/* The phase that began last, or that of connecting, is over for thread: what came of it can be
 * read. */
static bool has_ended(const struct client_thread *thread)
{
    return atomic_load(&thread->ended) == thread->clients->begun;
}

/* The thread's loop broke down in the midst of something, and the thread is no more: the rest is
 * done for it here. */
static void note_broken(struct client_thread *thread)
{
    const struct pp_worker *worker = &thread->worker;

    thread->known |= EVENT_BROKEN | EVENT_DRAINING | EVENT_FINISHED | EVENT_DISCONNECTED |
                     EVENT_SPLIT;
    (void)pp_loop_broken(thread->loop, worker->result, &thread->clients->error);
    if (atomic_load(&thread->ended) != thread->begun)
        sum_up(thread, &worker->last);
}

static bool is_broken(const struct client_thread *thread)
{
    return thread->known & EVENT_BROKEN;
}

static void note_events(struct client_thread *thread)
{
    thread->known |= atomic_exchange(&thread->events, 0);
    if (has_ended(thread))
        thread->known |= EVENT_FINISHED | EVENT_DRAINING;
    if (!is_broken(thread) && atomic_load(&thread->worker.ended) && thread->worker.result < 0)
        note_broken(thread);
}

static bool has_failed(const struct client_thread *thread)
{
    return is_broken(thread) || (has_ended(thread) && pp_client_error(thread->client)->code != 0);
}

static void note_all_events(struct pp_clients *clients)
{
    bool failed = false;

    for (unsigned i = 0; i < clients->count; i++) {
        struct client_thread *thread = &clients->threads[i];
        const unsigned before = thread->known;

        note_events(thread);
        failed |= is_broken(thread) ? !(before & EVENT_BROKEN)
                                    : !(before & EVENT_FINISHED) && has_failed(thread);
    }
    if (failed)
        pp_clients_interrupt(clients);
}

/* What threads have done before is still to come. */
static void forget(struct pp_clients *clients, unsigned events)
{
    for (unsigned i = 0; i < clients->count; i++)
        if (!is_broken(&clients->threads[i]))
            clients->threads[i].known &= ~events;
}

/* Whether all threads have come so far: clears *pending the first time. */
static bool reached(const struct pp_clients *clients, enum event event, bool *pending)
{
    if (!*pending)
        return false;
    for (unsigned i = 0; i < clients->count; i++)
        if (!(clients->threads[i].known & event))
            return false;
    *pending = false;
    return true;
}

static enum pp_io_next on_event(struct pp_io_op *op)
{
    struct pp_clients *clients = container_of(op, struct pp_clients, event_op);
    const struct pp_clients_options *options = &clients->options;

    note_all_events(clients);
    if (reached(clients, EVENT_CONNECTED, &clients->connecting))
        options->on_connected(options->owner);
    if (reached(clients, EVENT_SPLIT, &clients->splitting))
        options->on_split(options->owner);
    if (reached(clients, EVENT_FINISHED, &clients->running)) {
        clients->timed = false;
        options->on_finished(options->owner);
    }
    if (options->on_draining && reached(clients, EVENT_DRAINING, &clients->timed))
        options->on_draining(options->owner);
    if (reached(clients, EVENT_DISCONNECTED, &clients->leaving))
        options->on_disconnected(options->owner);
    return clients->released ? PP_IO_DISARM : PP_IO_REARM;
}

void pp_clients_connect(struct pp_clients *clients)
{
    clients->connecting = true;
    clients->running = true; /* it may end here */
    command_all(clients, COMMAND_CONNECT);
}

/* What a client takes of the count at once. On a schedule it takes one message when that is due, or
 * the last portions would be sent by one client alone, at its share of the rate. */
static uint64_t portion_of(const struct pp_clients *clients, uint64_t count)
{
    const uint64_t portion = count / clients->count / PORTIONS;

    if (!count)
        return PORTION_MAX;
    if (clients->count == 1)
        return count;
    if (clients->options.plan->rate > 0 || portion == 0)
        return 1;
    return portion < PORTION_MAX ? portion : PORTION_MAX;
}

void pp_clients_start(struct pp_clients *clients, uint64_t count, uint64_t time_ns, bool last)
{
    atomic_store(&clients->budget.left, count ? count : UINT64_MAX);
    clients->budget.portion = portion_of(clients, count);
    clients->phase = (struct pp_phase){
        .budget = &clients->budget, .start_ns = pp_clock_now_ns(), .time_ns = time_ns, .last = last
    };
    clients->running = true;
    clients->timed = time_ns > 0;
    clients->begun++;
    forget(clients, EVENT_FINISHED | EVENT_DRAINING);
    command_all(clients, COMMAND_START);
}

void pp_clients_split(struct pp_clients *clients)
{
    pp_assert(clients->options.splits && !clients->splitting);
    clients->splitting = true;
    forget(clients, EVENT_SPLIT);
    command_all(clients, COMMAND_SPLIT);
}

bool pp_clients_splitting(const struct pp_clients *clients)
{
    return clients->splitting;
}

void pp_clients_interrupt(struct pp_clients *clients)
{
    command_all(clients, COMMAND_INTERRUPT);
}

void pp_clients_disconnect(struct pp_clients *clients, bool politely)
{
    clients->leaving = true;
    command_all(clients, politely ? COMMAND_LEAVE : COMMAND_DROP);
    pp_io_wake(clients->loop, &clients->event_op); /* nobody else would, if all have broken down */
}

uint64_t pp_clients_received(const struct pp_clients *clients)
{
    uint64_t received = 0;

    for (unsigned i = 0; i < clients->count; i++)
        received += pp_client_received(clients->threads[i].client);
    return received;
}

uint64_t pp_clients_latency_ns(const struct pp_clients *clients)
{
    uint64_t latency_ns = 0;

    for (unsigned i = 0; i < clients->count; i++)
        latency_ns += pp_client_latency_ns(clients->threads[i].client);
    return latency_ns;
}

uint64_t pp_clients_moved(const struct pp_clients *clients)
{
    uint64_t moved = 0;

    for (unsigned i = 0; i < clients->count; i++)
        moved += pp_client_moved(clients->threads[i].client);
    return moved;
}

void pp_clients_look(struct pp_clients *clients)
{
    command_all(clients, COMMAND_LOOK);
}

void pp_clients_release(struct pp_clients *clients)
{
    clients->released = true;
    command_all(clients, COMMAND_END);
    pp_io_cancel(clients->loop, &clients->event_op);
}

void pp_clients_abandon(struct pp_clients *clients, int code)
{
    (void)pp_loop_broken(clients->loop, code, &clients->error);
    pp_clients_interrupt(clients);
    pp_clients_disconnect(clients, false);
    pp_clients_release(clients);
}

void pp_clients_run(struct pp_clients *clients)
{
    pp_worker_run(&clients->threads[0].worker);
}

int pp_clients_join(struct pp_clients *clients)
{
    int first = 0;

    for (unsigned i = 0; i < clients->count; i++) {
        struct client_thread *thread = &clients->threads[i];
        const int ret = pp_worker_join(&thread->worker);

        if (ret < 0 && !is_broken(thread))
            note_broken(thread);
        if (first == 0)
            first = ret;
    }
    return first;
}

/* ---- results ---- */

struct pp_counts pp_clients_counts(const struct pp_clients *clients)
{
    struct pp_counts sum = pp_counts_none();

    for (unsigned i = 0; i < clients->count; i++)
        pp_counts_add(&sum, pp_client_counts(clients->threads[i].client));
    return sum;
}

uint64_t pp_clients_in_flight(const struct pp_clients *clients)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < clients->count; i++)
        sum += pp_client_in_flight(clients->threads[i].client);
    return sum;
}

static void take(const struct pp_clients *clients, struct client_thread *thread, bool over,
                 struct pp_hist *rtt, struct pp_hist *response, struct pp_hist *late)
{
    for (unsigned i = 0; i < HISTS; i++) {
        struct recording *recording = thread->recordings[i];

        if (!recording || (!over && i == thread->recording))
            continue;
        pp_hist_merge(rtt, &recording->rtt);
        pp_hist_reset(&recording->rtt);
        if (!(clients->options.plan->rate > 0))
            continue;
        pp_hist_merge(response, &recording->response);
        pp_hist_reset(&recording->response);
        pp_hist_merge(late, &recording->late);
        pp_hist_reset(&recording->late);
    }
}

struct pp_counts pp_clients_take(struct pp_clients *clients, bool over, struct pp_hist *rtt,
                                 struct pp_hist *response, struct pp_hist *late)
{
    struct pp_counts sum = pp_counts_none();

    pp_hist_reset(rtt);
    pp_hist_reset(response);
    pp_hist_reset(late);
    for (unsigned i = 0; i < clients->count; i++) {
        const struct client_thread *thread = &clients->threads[i];

        pp_counts_add(&sum, over ? pp_client_counts(thread->client) : &thread->counts);
        take(clients, &clients->threads[i], over, rtt, response, late);
    }
    return sum;
}

struct pp_sample pp_clients_spent(const struct pp_clients *clients)
{
    struct pp_sample sum = { 0 };

    for (unsigned i = 0; i < clients->count; i++)
        pp_sample_add(&sum, &clients->threads[i].before, &clients->threads[i].after);
    return sum;
}

static void spread_add(struct pp_spread *sum, const struct pp_spread *spread)
{
    if (sum->connections == 0 || spread->least < sum->least)
        sum->least = spread->least;
    if (spread->most > sum->most)
        sum->most = spread->most;
    if (spread->with_p99 && (sum->with_p99 == 0 || spread->p99_least_ns < sum->p99_least_ns))
        sum->p99_least_ns = spread->p99_least_ns;
    if (spread->p99_most_ns > sum->p99_most_ns)
        sum->p99_most_ns = spread->p99_most_ns;
    sum->connections += spread->connections;
    sum->sum += spread->sum;
    sum->sum_squares += spread->sum_squares;
    sum->with_p99 += spread->with_p99;
}

struct pp_spread pp_clients_spread(const struct pp_clients *clients)
{
    struct pp_spread sum = { 0 };

    for (unsigned i = 0; i < clients->count; i++)
        spread_add(&sum, &clients->threads[i].spread);
    return sum;
}

static void tcp_add(struct pp_tcp_summary *sum, const struct pp_tcp_summary *tcp)
{
    const bool first = sum->connections == 0;

    sum->fallbacks += tcp->fallbacks;
    sum->retransmits += tcp->retransmits;
    if (tcp->connections == 0)
        return;
    if (first)
        memcpy(sum->congestion, tcp->congestion, sizeof sum->congestion);
    if (tcp->min_rtt_ns && (!sum->min_rtt_ns || tcp->min_rtt_ns < sum->min_rtt_ns))
        sum->min_rtt_ns = tcp->min_rtt_ns;
    if (first || tcp->mss_least < sum->mss_least)
        sum->mss_least = tcp->mss_least;
    if (tcp->mss_most > sum->mss_most)
        sum->mss_most = tcp->mss_most;
    sum->connections += tcp->connections;
}

struct pp_tcp_summary pp_clients_tcp(const struct pp_clients *clients)
{
    struct pp_tcp_summary sum = { 0 };

    for (unsigned i = 0; i < clients->count; i++)
        tcp_add(&sum, &clients->threads[i].tcp);
    return sum;
}

static struct pp_load load_of(const struct client_thread *thread)
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

struct pp_load pp_clients_load(const struct pp_clients *clients)
{
    struct pp_load busiest = { 0 };

    for (unsigned i = 0; i < clients->count; i++) {
        const struct pp_load load = load_of(&clients->threads[i]);

        if (load.share > busiest.share)
            busiest.share = load.share;
        busiest.saturated |= load.saturated;
        busiest.unknown |= load.unknown;
    }
    return busiest;
}

unsigned pp_clients_waiters(const struct pp_clients *clients, struct pp_waiter *waiters)
{
    for (unsigned i = 0; i < clients->count; i++)
        waiters[i] = pp_sample_waiter(&clients->threads[i].before, &clients->threads[i].after,
                                      clients->options.plan->client_cpus[i]);
    return clients->count;
}

struct pp_stopped pp_clients_stopped(const struct pp_clients *clients)
{
    struct pp_stopped most = { 0 };

    for (unsigned i = 0; i < clients->count; i++) {
        const struct pp_stopped *stopped = &clients->threads[i].stopped;

        if (stopped->sum_ns > most.sum_ns)
            most.sum_ns = stopped->sum_ns;
        if (stopped->longest_ns > most.longest_ns)
            most.longest_ns = stopped->longest_ns;
    }
    return most;
}

struct pp_client_part pp_clients_part(const struct pp_clients *clients)
{
    struct pp_client_part part = { 0 };

    for (unsigned i = 0; i < clients->count && part.bytes == 0; i++)
        part = pp_client_part(clients->threads[i].client);
    return part;
}

const struct pp_error *pp_clients_error(const struct pp_clients *clients)
{
    if (clients->error.code)
        return &clients->error;
    for (unsigned i = 0; i < clients->count; i++)
        if (has_failed(&clients->threads[i]))
            return pp_client_error(clients->threads[i].client);
    return &clients->error;
}

/* ---- opening and closing ---- */

/* The connections of thread i: the first ones get one more where they do not divide evenly. */
static uint32_t share_of(const struct pp_plan *plan, unsigned i)
{
    const unsigned threads = plan->client_threads;

    return plan->connections / threads + (i < plan->connections % threads);
}

static int recordings_open(const struct pp_clients *clients, struct client_thread *thread,
                           struct pp_error *err)
{
    const unsigned needed = clients->options.splits ? HISTS : 1;

    for (unsigned i = 0; i < needed; i++) {
        struct recording *recording = pp_memory_alloc(1, sizeof *recording);

        if (!recording)
            return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for histograms");
        pp_hist_reset(&recording->rtt);
        pp_hist_reset(&recording->response);
        pp_hist_reset(&recording->late);
        thread->recordings[i] = recording;
    }
    return 0;
}

static int thread_open(struct pp_clients *clients, unsigned i, uint32_t first, struct pp_error *err)
{
    const struct pp_plan *plan = clients->options.plan;
    struct client_thread *thread = &clients->threads[i];
    struct pp_client_options options = {
        .transport = plan->socket.dgram ? &pp_transport_dgram
                     : plan->crr        ? &pp_transport_crr
                                        : &pp_transport_stream,
        .plan = plan,
        .addr = clients->options.addr,
        .source = clients->options.source,
        .out = clients->options.out,
        .in = clients->options.in,
        .connections = share_of(plan, i),
        .first = first,
        .share = i,
        .shares = clients->count,
        .greeting_ns = clients->options.greeting_ns,
        .owner = thread,
        .on_connected = on_connected,
        .on_draining = on_draining,
        .on_finished = on_finished,
        .on_disconnected = on_disconnected,
    };
    int ret;

    thread->clients = clients;
    thread->loop = options.loop = clients->options.loops[i];
    clients->options.loops[i] = NULL;
    ret = recordings_open(clients, thread, err);
    if (ret < 0)
        return ret;
    thread->begun = clients->begun;
    options.rtt = &thread->recordings[0]->rtt;
    options.response = plan->rate > 0 ? &thread->recordings[0]->response : NULL;
    options.late = &thread->recordings[0]->late;
    return pp_client_open(&thread->client, &options, err);
}

static int threads_open(struct pp_clients *clients, struct pp_error *err)
{
    uint32_t first = 0;
    int ret = 0;

    for (unsigned i = 0; i < clients->count && ret == 0; i++) {
        ret = thread_open(clients, i, first, err);
        first += share_of(clients->options.plan, i);
    }
    return ret;
}

/* The first thread is the caller's, later. */
static int threads_start(struct pp_clients *clients, struct pp_error *err)
{
    int ret = 0;

    pp_io_wake_wait(clients->loop, &clients->event_op, on_event);
    for (unsigned i = 0; i < clients->count; i++) {
        struct client_thread *thread = &clients->threads[i];

        pp_io_wake_wait(thread->loop, &thread->command_op, on_command);
        pp_worker_prepare(&thread->worker, thread->loop, clients->options.plan->client_cpus[i],
                          clients->loop, &clients->event_op);
    }
    for (unsigned i = 1; i < clients->count && ret == 0; i++)
        ret = pp_worker_start(&clients->threads[i].worker, err);
    return ret;
}

/* Some threads may not run, or have no loop yet. */
static void give_up(struct pp_clients *clients)
{
    for (unsigned i = 1; i < clients->count; i++)
        if (clients->threads[i].worker.started)
            command(&clients->threads[i], COMMAND_END);
    (void)pp_clients_join(clients);
    pp_clients_close(clients);
}

int pp_clients_open(struct pp_clients **out, const struct pp_clients_options *options,
                    struct pp_error *err)
{
    const unsigned count = options->plan->client_threads;
    struct pp_clients *clients =
        pp_memory_alloc(1, sizeof *clients + count * sizeof clients->threads[0]);
    int ret;

    if (!clients)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u client threads", count);
    clients->options = *options;
    clients->loop = options->loop;
    clients->count = count;
    clients->begun = 1;
    ret = threads_open(clients, err);
    if (ret == 0)
        ret = threads_start(clients, err);
    if (ret < 0) {
        give_up(clients);
        return ret;
    }
    *out = clients;
    return 0;
}

void pp_clients_close(struct pp_clients *clients)
{
    if (!clients)
        return;
    for (unsigned i = 0; i < clients->count; i++) {
        struct client_thread *thread = &clients->threads[i];

        pp_io_loop_close(thread->loop); /* before what it may still have under way */
        pp_client_close(thread->client);
        for (unsigned k = 0; k < HISTS; k++)
            pp_memory_free(thread->recordings[k]);
    }
    pp_memory_free(clients);
}
