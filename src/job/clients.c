/* The coordinator's side of the client threads: what it tells them and hears of them; then their
 * results, taken together; then opening and closing. */
#include "job/clients.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "job/client_thread.h"

#include <errno.h>

/* A thread takes so many portions from the budget, on average: few enough to be rare, many enough
 * that all end together. */
#define PORTIONS 64
#define PORTION_MAX 1024

/* Events are awaited until all threads have come so far. */
struct pp_clients {
    struct pp_clients_options options;
    struct pp_io_loop *loop; /* the coordinator's */
    struct pp_io_op event_op;
    struct pp_phase phase;
    struct pp_budget budget;
    unsigned begun;        /* phases, that of connecting included */
    unsigned awaited;      /* events of which the options' callbacks are still to come */
    struct pp_error error; /* a loop broke down */
    bool released;
    unsigned count;
    struct pp_client_thread threads[];
};

static void command_all(struct pp_clients *clients, enum pp_command what)
{
    for (unsigned i = 0; i < clients->count; i++)
        pp_client_thread_command(&clients->threads[i], what);
}

static bool has_ended(const struct pp_clients *clients, unsigned i)
{
    return pp_client_thread_has_ended(&clients->threads[i], clients->begun);
}

/* The thread's loop broke down in the midst of something, and the thread is no more: the rest is
 * done for it here. */
static void note_broken(struct pp_clients *clients, struct pp_client_thread *thread)
{
    thread->known |= PP_EVENT_BROKEN | PP_EVENT_DRAINING | PP_EVENT_FINISHED |
                     PP_EVENT_DISCONNECTED | PP_EVENT_SPLIT;
    (void)pp_loop_broken(thread->loop, thread->loop_thread.result, &clients->error);
    pp_client_thread_finish_broken(thread);
}

static bool is_broken(const struct pp_client_thread *thread)
{
    return thread->known & PP_EVENT_BROKEN;
}

static bool is_failed(const struct pp_clients *clients, unsigned i)
{
    const struct pp_client_thread *thread = &clients->threads[i];

    return is_broken(thread) || (has_ended(clients, i) && thread->error.code != 0);
}

/* Whether it has turned out just now that the thread has failed. */
static bool note_events(struct pp_clients *clients, unsigned i)
{
    struct pp_client_thread *thread = &clients->threads[i];
    const unsigned before = thread->known;

    thread->known |= atomic_exchange(&thread->events, 0);
    if (has_ended(clients, i))
        thread->known |= PP_EVENT_FINISHED | PP_EVENT_DRAINING;
    if (!is_broken(thread) && atomic_load(&thread->loop_thread.ended) &&
        thread->loop_thread.result < 0)
        note_broken(clients, thread);
    if (is_broken(thread))
        return !(before & PP_EVENT_BROKEN);
    return !(before & PP_EVENT_FINISHED) && is_failed(clients, i);
}

static void note_all_events(struct pp_clients *clients)
{
    bool failed = false;

    for (unsigned i = 0; i < clients->count; i++)
        failed |= note_events(clients, i);
    if (failed)
        pp_clients_interrupt(clients);
}

/* Waits for these from now on, whether threads have come so far before or not. */
static void await_anew(struct pp_clients *clients, unsigned events)
{
    clients->awaited |= events;
    for (unsigned i = 0; i < clients->count; i++)
        if (!is_broken(&clients->threads[i]))
            clients->threads[i].known &= ~events;
}

/* Whether all threads have come so far, which is said once. */
static bool reached(struct pp_clients *clients, enum pp_event event)
{
    if (!(clients->awaited & event))
        return false;
    for (unsigned i = 0; i < clients->count; i++)
        if (!(clients->threads[i].known & event))
            return false;
    clients->awaited &= ~(unsigned)event;
    return true;
}

static enum pp_io_next on_event(struct pp_io_op *op)
{
    struct pp_clients *clients = container_of(op, struct pp_clients, event_op);
    const struct pp_clients_options *options = &clients->options;

    note_all_events(clients);
    if (reached(clients, PP_EVENT_CONNECTED))
        options->on_connected(options->owner);
    if (reached(clients, PP_EVENT_SPLIT))
        options->on_split(options->owner);
    if (reached(clients, PP_EVENT_FINISHED)) {
        clients->awaited &= ~(unsigned)PP_EVENT_DRAINING;
        options->on_finished(options->owner);
    }
    if (reached(clients, PP_EVENT_DRAINING) && options->on_draining)
        options->on_draining(options->owner);
    if (reached(clients, PP_EVENT_DISCONNECTED))
        options->on_disconnected(options->owner);
    return clients->released ? PP_IO_DISARM : PP_IO_REARM;
}

void pp_clients_connect(struct pp_clients *clients, uint64_t greeting_ns)
{
    for (unsigned i = 0; i < clients->count; i++)
        clients->threads[i].greeting_ns = greeting_ns;
    clients->awaited |= PP_EVENT_CONNECTED | PP_EVENT_FINISHED; /* it may end here */
    command_all(clients, PP_COMMAND_CONNECT);
    pp_io_wake(clients->loop, &clients->event_op); /* nobody else would, if all have broken down */
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
    clients->phase = (struct pp_phase){ .budget = &clients->budget,
                                        .start_ns = pp_io_now_ns(clients->loop),
                                        .time_ns = time_ns,
                                        .last = last };
    clients->begun++;
    await_anew(clients, PP_EVENT_FINISHED | PP_EVENT_DRAINING);
    if (time_ns == 0)
        clients->awaited &= ~(unsigned)PP_EVENT_DRAINING; /* by the count alone none drains */
    command_all(clients, PP_COMMAND_START);
}

void pp_clients_split(struct pp_clients *clients)
{
    pp_assert(clients->options.splits && !pp_clients_splitting(clients));
    await_anew(clients, PP_EVENT_SPLIT);
    command_all(clients, PP_COMMAND_SPLIT);
}

bool pp_clients_splitting(const struct pp_clients *clients)
{
    return clients->awaited & PP_EVENT_SPLIT;
}

void pp_clients_interrupt(struct pp_clients *clients)
{
    command_all(clients, PP_COMMAND_INTERRUPT);
}

void pp_clients_disconnect(struct pp_clients *clients, bool politely)
{
    clients->awaited |= PP_EVENT_DISCONNECTED;
    command_all(clients, politely ? PP_COMMAND_LEAVE : PP_COMMAND_DROP);
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
    command_all(clients, PP_COMMAND_LOOK);
}

void pp_clients_release(struct pp_clients *clients)
{
    clients->released = true;
    command_all(clients, PP_COMMAND_END);
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
    pp_loop_thread_run(&clients->threads[0].loop_thread);
}

int pp_clients_join(struct pp_clients *clients)
{
    int first = 0;

    for (unsigned i = 0; i < clients->count; i++) {
        struct pp_client_thread *thread = &clients->threads[i];
        const int ret = pp_loop_thread_join(&thread->loop_thread);

        if (ret < 0 && !is_broken(thread))
            note_broken(clients, thread);
        if (first == 0)
            first = ret;
    }
    return first;
}

void pp_clients_check(const struct pp_clients *clients)
{
    const unsigned events = PP_EVENT_CONNECTED | PP_EVENT_DRAINING | PP_EVENT_FINISHED |
                            PP_EVENT_DISCONNECTED | PP_EVENT_SPLIT;

    pp_assert(clients->begun >= 1 && (clients->awaited & ~events) == 0);
    pp_assert(clients->options.splits || !pp_clients_splitting(clients));
    for (unsigned i = 0; i < clients->count; i++) {
        const struct pp_client_thread *thread = &clients->threads[i];

        pp_assert((thread->known & ~(events | PP_EVENT_BROKEN)) == 0);
        pp_assert(atomic_load(&thread->ended) <= clients->begun);
        pp_assert(!is_broken(thread) || clients->error.code != 0);
        pp_assert(!(thread->known & PP_EVENT_DISCONNECTED) || is_broken(thread) ||
                  clients->awaited & PP_EVENT_DISCONNECTED || clients->released);
    }
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

struct pp_counts pp_clients_take(struct pp_clients *clients, bool over, struct pp_hist *rtt,
                                 struct pp_hist *response, struct pp_hist *late)
{
    struct pp_counts sum = pp_counts_none();

    pp_hist_reset(rtt);
    pp_hist_reset(response);
    pp_hist_reset(late);
    for (unsigned i = 0; i < clients->count; i++) {
        struct pp_client_thread *thread = &clients->threads[i];

        pp_counts_add(&sum, over ? pp_client_counts(thread->client) : &thread->counts);
        pp_client_thread_take(thread, over, rtt, response, late);
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

struct pp_spread pp_clients_spread(const struct pp_clients *clients)
{
    struct pp_spread sum = { 0 };

    for (unsigned i = 0; i < clients->count; i++)
        pp_spread_add(&sum, &clients->threads[i].spread);
    return sum;
}

struct pp_tcp_summary pp_clients_tcp(const struct pp_clients *clients)
{
    struct pp_tcp_summary sum = { 0 };

    for (unsigned i = 0; i < clients->count; i++)
        pp_tcp_add(&sum, &clients->threads[i].tcp);
    return sum;
}

struct pp_load pp_clients_load(const struct pp_clients *clients)
{
    struct pp_load busiest = { 0 };

    for (unsigned i = 0; i < clients->count; i++) {
        const struct pp_load load = pp_client_thread_load(&clients->threads[i]);

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
        if (is_failed(clients, i))
            return &clients->threads[i].error;
    return &clients->error;
}

/* ---- opening and closing ---- */

/* The connections of thread i: the first ones get one more where they do not divide evenly. */
static uint32_t share_of(const struct pp_plan *plan, unsigned i)
{
    const unsigned threads = plan->client_threads;

    return plan->connections / threads + (i < plan->connections % threads);
}

static int thread_open(struct pp_clients *clients, unsigned i, uint32_t first, struct pp_error *err)
{
    const struct pp_plan *plan = clients->options.plan;
    const struct pp_client_thread_options options = {
        .phase = &clients->phase,
        .coordinator = clients->loop,
        .event_op = &clients->event_op,
        .splits = clients->options.splits,
        .cpu = plan->client_cpus[i],
    };
    const struct pp_client_options client = {
        .loop = clients->options.loops[i],
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
    };

    clients->options.loops[i] = NULL; /* it is the thread's */
    return pp_client_thread_open(&clients->threads[i], &options, &client, err);
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
    for (unsigned i = 1; i < clients->count && ret == 0; i++)
        ret = pp_loop_thread_start(&clients->threads[i].loop_thread, err);
    return ret;
}

/* Some threads may not run, or have no loop yet. */
static void give_up(struct pp_clients *clients)
{
    for (unsigned i = 1; i < clients->count; i++)
        if (clients->threads[i].loop_thread.started)
            pp_client_thread_command(&clients->threads[i], PP_COMMAND_END);
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
    for (unsigned i = 0; i < clients->count; i++)
        pp_client_thread_close(&clients->threads[i]);
    pp_memory_free(clients);
}
