/* Phases and messages: how a phase ends, how a message begins and ends, what follows it in a
 * closed loop, and how a phase begins, goes over into its drain and is watched. */
#include "client/client.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "client/conn.h"

/* How often to look whether answers still come when the time is over, and when first: what is spent
 * before that belongs to the phase. */
#define DRAIN_FIRST_LOOK_NS (5 * PP_NS_PER_MS)
#define DRAIN_LOOK_NS (50 * PP_NS_PER_MS)

#define UNSENT_MAX 100000000 /* counted no further */

/* ---- the end of a phase ---- */

static void stop_timers(struct pp_client *client)
{
    pp_io_cancel(client->options.loop, &client->end_op);
    pp_io_cancel(client->options.loop, &client->pace_op);
    pp_io_cancel(client->options.loop, &client->watch_op);
}

/* How far behind the schedule the phase ended: where all of a count was sent, as far as its last
 * message was, and otherwise as far as the first one that was due and not sent; without one it is
 * not behind, however late those before went out. */
static void note_lag(struct pp_client *client, uint64_t now_ns)
{
    const uint64_t at_ns = now_ns < client->end_ns ? now_ns : client->end_ns;
    const uint64_t next_ns = client->pace.next_ns;

    if (client->plan->rate > 0 && !client->spent)
        client->counts.lag_ns = next_ns < at_ns ? at_ns - next_ns : 0;
}

/* The benchmark of what measuring itself costs is built without: it reads the clock only here. */
#ifndef PP_UNMEASURED
static const bool measures = true;
#else
static const bool measures = false;
#endif

/* trip has no answer, and it is not waited for any longer. */
static void note_unanswered(struct pp_client *client, const struct trip *trip, uint64_t now_ns)
{
    const uint64_t waited_ns = now_ns > trip->intended_ns ? now_ns - trip->intended_ns : 0;

    pp_assert(trip->state == TRIP_UNDER_WAY);
    if (measures && waited_ns > client->counts.unanswered_ns)
        client->counts.unanswered_ns = waited_ns;
}

/* Those that are under way still. The first one of each connection is its oldest. */
static void note_all_unanswered(struct pp_client *client, uint64_t now_ns)
{
    for (uint32_t i = 0; i < client->options.connections; i++) {
        const struct conn *c = &client->conns[i];
        uint64_t n = c->oldest;

        if (c->under_way == 0)
            continue;
        while (n < c->number && pp_conn_trip(c, n)->state != TRIP_UNDER_WAY)
            n++;
        if (n < c->number && pp_conn_trip(c, n)->sent_ns)
            note_unanswered(client, pp_conn_trip(c, n), now_ns);
    }
}

/* What was due by the end, and will not be sent any more. */
static void note_unsent(struct pp_client *client, uint64_t now_ns)
{
    const uint64_t until_ns = now_ns < client->end_ns ? now_ns : client->end_ns;

    if (client->plan->rate > 0 && !client->spent)
        client->counts.unsent = pp_pace_due(&client->pace, until_ns, UNSENT_MAX);
}

static void phase_over(struct pp_client *client, enum phase_state state)
{
    const uint64_t now_ns = pp_client_now_ns(client);

    pp_assert(client->state != PHASE_FINISHED);
    pp_assert(state == PHASE_READY || state == PHASE_FINISHED);
    if (client->state == PHASE_ACTIVE)
        note_lag(client, now_ns);
    if (pp_client_is_active(client)) {
        note_all_unanswered(client, now_ns);
        note_unsent(client, now_ns);
    }
    if (pp_client_is_active(client) && now_ns >= client->end_ns)
        client->counts.last_ns = client->end_ns;
    else if (pp_client_is_active(client) && (state == PHASE_FINISHED || !measures))
        client->counts.last_ns = now_ns;
    client->state = state;
    stop_timers(client);
    client->options.on_finished(client->options.owner);
}

void pp_client_finish(struct pp_client *client)
{
    if (client->state != PHASE_FINISHED)
        phase_over(client, PHASE_FINISHED);
}

/* The answer to a datagram that was given up, and has not come after all, is still worth waiting
 * for. */
static bool waits_for_lost(const struct pp_client *client)
{
    return client->phase.last && client->counts.lost > 0 && client->live > 0 &&
           pp_client_now_ns(client) < client->lost_sent_ns + pp_client_patience_ns(client);
}

void pp_client_finish_if_idle(struct pp_client *client)
{
    if (!pp_client_is_active(client) || client->under_way > 0)
        return;
    if ((client->state == PHASE_DRAIN || client->spent) && waits_for_lost(client))
        return; /* on_watch() comes again */
    if (client->live == 0)
        pp_client_finish(client);
    else if (client->state == PHASE_DRAIN || client->spent)
        phase_over(client, PHASE_READY);
}

void pp_client_interrupt(struct pp_client *client)
{
    pp_client_finish(client);
}

/* ---- messages ---- */

bool pp_client_refill_quota(struct pp_client *client)
{
    struct pp_budget *budget = client->phase.budget;
    uint64_t left = atomic_load_explicit(&budget->left, memory_order_relaxed);
    uint64_t portion;

    pp_assert(client->quota == 0 && budget->portion > 0);
    do {
        portion = left < budget->portion ? left : budget->portion;
    } while (portion > 0 && !atomic_compare_exchange_weak(&budget->left, &left, left - portion));
    client->quota = portion;
    client->spent = portion == 0;
    return portion > 0;
}

struct trip *pp_trip_begin(struct conn *c, uint64_t now_ns, uint64_t intended_ns)
{
    struct pp_client *client = c->client;
    struct trip *trip = pp_conn_trip(c, c->number++);

    pp_assert(pp_client_is_active(client) && !c->failed);
    pp_assert(c->under_way < client->plan->depth);
    trip->sent_ns = now_ns;
    trip->intended_ns = intended_ns;
    trip->state = TRIP_UNDER_WAY;
    c->under_way++;
    client->under_way++;
    client->counts.sent++;
    return trip;
}

/* One clock reading serves all: now_ns is when the answer was there. */
static void record(struct conn *c, const struct trip *trip, uint64_t now_ns)
{
    struct pp_client *client = c->client;
    const uint64_t rtt_ns = now_ns - trip->sent_ns;
    const bool open_loop = client->options.response != NULL;
    const uint64_t response_ns = open_loop ? now_ns - trip->intended_ns : rtt_ns;

    pp_assert(now_ns >= trip->sent_ns && trip->sent_ns >= trip->intended_ns);
    pp_hist_record(client->options.rtt, rtt_ns);
    if (open_loop)
        pp_hist_record(client->options.response, response_ns);
    pp_sketch_record(&client->sketches[pp_conn_index(c)], &c->recent, &client->random, response_ns);
    atomic_store_explicit(&client->latency_ns,
                          atomic_load_explicit(&client->latency_ns, memory_order_relaxed) +
                              response_ns,
                          memory_order_relaxed);
    if (response_ns >= client->counts.worst_ns) {
        client->counts.worst_ns = response_ns;
        client->counts.worst_at_ns = now_ns;
    }
}

void pp_trip_end(struct conn *c, const struct trip *trip, uint64_t now_ns)
{
    struct pp_client *client = c->client;

    if (!trip->sent_ns)
        return;
    pp_assert(client->under_way > 0);
    client->under_way--;
    if (!pp_client_is_active(client)) {
        client->too_late++;
        return;
    }
    if (measures && now_ns < trip->sent_ns) { /* never a sample */
        client->counts.errors++;
        client->counts.backwards++;
        return;
    }
    if (!pp_client_counts_at(client, now_ns)) { /* no part of the rate, but it took so long */
        client->too_late++;
        client->counts.drained++;
        if (measures)
            record(c, trip, now_ns);
        return;
    }
    c->received++;
    client->counts.received++;
    client->counts.last_ns = now_ns;
    atomic_store_explicit(&client->received, client->counts.received, memory_order_relaxed);
    if (measures)
        record(c, trip, now_ns);
}

/* ---- the closed loop ---- */

static void send_next(struct conn *c, uint32_t count, uint64_t now_ns)
{
    const struct pp_transport *transport = c->client->transport;

    pp_assert(c->under_way + count <= c->client->plan->depth);
    while (count-- > 0 && pp_client_take_quota(c->client))
        transport->send(c, now_ns, now_ns);
    transport->flush(c);
}

void pp_conn_freed(struct conn *c, uint32_t count, uint64_t now_ns)
{
    struct pp_client *client = c->client;

    pp_assert(count > 0);
    if (pp_client_may_send(client, now_ns) && !c->failed) {
        if (client->plan->rate > 0) {
            if (!client->free_first)
                client->free_since_ns = now_ns;
            pp_schedule_free(c);
            pp_schedule_keep(client, now_ns);
        } else if (client->plan->think_ns) {
            pp_schedule_think(c, count, now_ns);
        } else {
            send_next(c, count, now_ns);
        }
    }
    if (client->under_way == 0)
        pp_client_finish_if_idle(client);
}

/* ---- phases ---- */

/* Who is told that the drain goes on reads what was spent: it has all to be spent by the phase. */
static enum pp_io_next on_drain_look(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, end_op);
    const uint64_t patience_ns = pp_client_patience_ns(client);
    const uint64_t longest_ns = client->phase.last ? client->plan->silence_ns : patience_ns;
    const uint64_t now_ns = pp_client_now_ns(client);

    if (op->res < 0 || client->state != PHASE_DRAIN)
        return PP_IO_DISARM;
    if (op->deadline_ns == client->end_ns + DRAIN_FIRST_LOOK_NS && client->options.on_draining)
        client->options.on_draining(client->options.owner);
    if (pp_client_moved(client) != client->drain_moved) {
        client->drain_moved = pp_client_moved(client);
        client->drain_alive_ns = now_ns;
    }
    if (now_ns >= client->drain_alive_ns + patience_ns ||
        now_ns >= client->drain_begin_ns + longest_ns) {
        phase_over(client, PHASE_READY);
        return PP_IO_DISARM;
    }
    op->deadline_ns = now_ns + DRAIN_LOOK_NS;
    return PP_IO_REARM;
}

/* Of a schedule that was kept, but for a hiccup near its end, what is left is sent in the drain, so
 * that no latency is missing. They are late by a half of the last one's lag, on average. What the
 * other threads are late by is not known here: it may be nothing, and all are judged together. */
static bool is_to_catch_up(const struct pp_client *client)
{
    const struct pp_counts *counts = &client->counts;
    double behind_ns, due_by_all;
    uint64_t left;

    if (!(client->plan->rate > 0) || !client->phase.last)
        return false;
    left = pp_pace_due(&client->pace, client->end_ns, counts->sent);
    behind_ns = (double)counts->behind_ns + (double)left * (double)counts->lag_ns / 2;
    due_by_all = (double)(counts->sent + left) * client->options.shares;
    return left < counts->sent &&
           behind_ns <= PP_BEHIND_SHARE * (double)client->phase.time_ns * due_by_all;
}

/* All that was due has been sent, or will be. A client that has been away waits from now on: it may
 * send only now what was due. */
static void begin_drain(struct pp_client *client)
{
    pp_assert(client->state == PHASE_ACTIVE && client->end_ns != UINT64_MAX);
    note_lag(client, client->end_ns);
    client->state = PHASE_DRAIN;
    client->counts.last_ns = client->end_ns;
    client->drain_moved = pp_client_moved(client);
    client->drain_begin_ns = client->drain_alive_ns = pp_client_now_ns(client);
    client->catches_up = is_to_catch_up(client);
    if (client->catches_up)
        pp_schedule_keep(client, pp_client_now_ns(client));
    pp_client_finish_if_idle(client);
}

static enum pp_io_next on_end(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, end_op);

    if (op->res < 0 || client->state != PHASE_ACTIVE)
        return PP_IO_DISARM;
    begin_drain(client);
    if (client->state == PHASE_DRAIN)
        pp_io_timer(client->options.loop, op, client->end_ns + DRAIN_FIRST_LOOK_NS, on_drain_look);
    return PP_IO_DISARM;
}

static enum pp_io_next on_watch(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, watch_op);

    if (!pp_client_is_active(client) || op->res < 0)
        return PP_IO_DISARM;
    client->transport->watch(client, pp_client_now_ns(client));
    pp_client_finish_if_idle(client);
    if (!pp_client_is_active(client))
        return PP_IO_DISARM;
    op->deadline_ns = pp_client_now_ns(client) + client->transport->watch_ns;
    return PP_IO_REARM;
}

/* What an earlier phase has left under way is this one's, which waits for it; what it has given up
 * for lost is of no interest any more. */
static void carry_over(struct conn *c)
{
    struct pp_client *client = c->client;
    const uint64_t ring = client->trip_mask + 1;
    const uint64_t base = pp_conn_base(c);
    const uint64_t oldest = c->number - base > ring ? c->number - ring : base;

    for (uint64_t n = oldest; n < c->number; n++) {
        struct trip *trip = pp_conn_trip(c, n);

        if (n < c->oldest || trip->state != TRIP_UNDER_WAY || !trip->sent_ns) {
            trip->sent_ns = 0;
            continue;
        }
        client->under_way++;
        client->counts.sent++;
        (void)pp_client_take_quota(client);
    }
}

static void begin_counting(struct pp_client *client)
{
    const uint64_t failed = client->counts.failed_connections;

    if (client->counts.received + client->counts.drained > 0) /* what came first was whole */
        client->came_bytes = 0;
    client->counts = (struct pp_counts){ .failed_connections = failed };
    atomic_store_explicit(&client->received, 0, memory_order_relaxed);
    atomic_store_explicit(&client->latency_ns, 0, memory_order_relaxed);
    client->under_way = 0;
    client->too_late = 0;
    client->quota = 0;
    client->spent = false;
    client->thoughts_count = 0;
    pp_hist_reset(client->options.rtt);
    if (client->options.response) {
        pp_hist_reset(client->options.response);
        pp_hist_reset(client->options.late);
    }
}

void pp_client_start(struct pp_client *client, const struct pp_phase *phase)
{
    const struct pp_plan *plan = client->plan;
    struct pp_io_loop *loop = client->options.loop;

    begin_counting(client);
    client->counts.first_ns = client->counts.last_ns = pp_client_now_ns(client);
    if (client->state != PHASE_READY) { /* it ended meanwhile: whoever waits is told again */
        client->options.on_finished(client->options.owner);
        return;
    }
    client->phase = *phase;
    client->end_ns = phase->time_ns ? phase->start_ns + phase->time_ns : UINT64_MAX;
    for (uint32_t i = 0; i < client->options.connections; i++)
        carry_over(&client->conns[i]);
    client->state = PHASE_ACTIVE;
    client->catches_up = false;
    client->away_until_ns = 0;
    client->lost_sent_ns = 0;
    if (client->transport->begin)
        client->transport->begin(client);
    client->free_since_ns = phase->start_ns;
    if (plan->rate > 0)
        client->counts.first_ns = phase->start_ns;
    else if (client->counts.first_ns > client->end_ns) /* so short a time may be over already */
        client->counts.first_ns = client->counts.last_ns = client->end_ns;
    if (phase->time_ns)
        pp_io_timer(loop, &client->end_op, client->end_ns, on_end);
    if (client->transport->watch)
        pp_io_timer(loop, &client->watch_op, pp_client_now_ns(client) + client->transport->watch_ns,
                    on_watch);
    if (plan->rate > 0)
        pp_pace_begin(&client->pace, plan->arrivals, plan->rate, phase->start_ns,
                      (struct pp_pace_deal){ client->options.share, client->options.shares,
                                             plan->connections },
                      plan->seed + client->options.share);
    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct conn *c = &client->conns[i];

        if (plan->rate > 0)
            pp_schedule_free(c);
        else if (!c->failed)
            send_next(c, plan->depth - c->under_way, pp_client_now_ns(client));
    }
    if (plan->rate > 0)
        pp_schedule_keep(client, pp_client_now_ns(client));
    pp_client_finish_if_idle(client);
}

const struct pp_counts *pp_client_counts(const struct pp_client *client)
{
    return &client->counts;
}

uint64_t pp_client_in_flight(const struct pp_client *client)
{
    return client->under_way + client->too_late;
}

void pp_client_record_into(struct pp_client *client, struct pp_hist *rtt, struct pp_hist *response,
                           struct pp_hist *late)
{
    pp_assert(rtt && (!client->options.response || (response && late)));
    client->options.rtt = rtt;
    if (!client->options.response)
        return;
    client->options.response = response;
    client->options.late = late;
}

uint64_t pp_client_received(const struct pp_client *client)
{
    return atomic_load_explicit(&client->received, memory_order_relaxed);
}

uint64_t pp_client_latency_ns(const struct pp_client *client)
{
    return atomic_load_explicit(&client->latency_ns, memory_order_relaxed);
}

uint64_t pp_client_moved(const struct pp_client *client)
{
    return atomic_load_explicit(&client->moved, memory_order_relaxed);
}

const struct pp_error *pp_client_error(const struct pp_client *client)
{
    return &client->error;
}
