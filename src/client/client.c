#include "client/client.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "client/conn.h"
#include "client/ledger.h"
#include "wire/datagram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Connections being set up at once, by all clients: more could overflow a listener's queue, and
 * wait for seconds. */
#define CONNECTING_MAX 256

/* How often to look whether answers still come when the time is over, and when first: what is spent
 * before that belongs to the phase. */
#define DRAIN_FIRST_LOOK_NS (5 * PP_NS_PER_MS)
#define DRAIN_LOOK_NS (50 * PP_NS_PER_MS)

#define UNSENT_MAX 100000000 /* counted no further */

/* How often to look for lost datagrams, and for connections that are not made. */
#define WATCH_DGRAM_NS (5 * PP_NS_PER_MS)
#define WATCH_CRR_NS (50 * PP_NS_PER_MS)

/* A ring of trips remembers so many times the depth, and more where there are few connections: a
 * datagram that is overtaken by as many is given up. So many of these are remembered by all client
 * threads together: those of a minute, if 17,000 are lost in a second. */
#define REMEMBERED 4
#define REMEMBERED_MIN 64
#define REMEMBERED_MAX 4096
#define REMEMBERED_BY_ALL 65536
#define GIVEN_UP_REMEMBERED (1u << 20)
#define GIVEN_UP_REMEMBERED_MIN (1u << 14)

#define TEXT_BYTES 256

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
    const uint64_t now_ns = pp_clock_now_ns();

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

/* Ends everything, whatever is still under way. */
static void finish(struct pp_client *client)
{
    if (client->state != PHASE_FINISHED)
        phase_over(client, PHASE_FINISHED);
}

/* The answer to a datagram that was given up, and has not come after all, is still worth waiting
 * for. */
static bool waits_for_lost(const struct pp_client *client)
{
    return client->phase.last && client->counts.lost > 0 && client->live > 0 &&
           pp_clock_now_ns() < client->lost_sent_ns + pp_client_patience_ns(client);
}

static void finish_if_idle(struct pp_client *client)
{
    if (!pp_client_is_active(client) || client->under_way > 0)
        return;
    if ((client->state == PHASE_DRAIN || client->spent) && waits_for_lost(client))
        return; /* on_watch() comes again */
    if (client->live == 0)
        finish(client);
    else if (client->state == PHASE_DRAIN || client->spent)
        phase_over(client, PHASE_READY);
}

void pp_client_interrupt(struct pp_client *client)
{
    finish(client);
}

/* ---- leaving ---- */

static void connection_over(struct pp_client *client)
{
    client->open--;
    if (client->open == 0 && client->disconnecting)
        client->options.on_disconnected(client->options.owner);
}

static enum pp_io_next on_closed(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);
    struct pp_client *client = c->client;

    connection_over(client);
    if (!client->plan->crr || client->disconnecting || c->failed)
        return PP_IO_DISARM;
    c->leaving = false;
    c->dropped = false;
    pp_conn_freed(c, 1, pp_clock_now_ns());
    return PP_IO_DISARM;
}

void pp_conn_close_if_quiet(struct conn *c)
{
    if (!c->leaving || c->fd < 0 || c->flying > 0 || pp_io_is_armed(&c->recv_op) ||
        pp_io_is_armed(&c->send_op))
        return;
    pp_io_close(c->client->options.loop, &c->recv_op, c->fd, on_closed);
    c->fd = -1;
}

void pp_conn_leave_now(struct conn *c)
{
    if (c->fd < 0)
        return;
    c->leaving = true;
    c->dropped = true;
    pp_io_cancel(c->client->options.loop, &c->recv_op);
    pp_io_cancel(c->client->options.loop, &c->send_op);
    for (uint32_t i = 0; c->flying > 0 && i < c->client->plan->depth; i++)
        pp_io_cancel(c->client->options.loop, &c->outgoings[i].op);
    pp_conn_close_if_quiet(c);
}

static enum pp_io_next on_shut_down(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, send_op);

    if (op->res < 0)
        pp_conn_leave_now(c);
    pp_conn_close_if_quiet(c);
    return PP_IO_DISARM; /* the receive goes on to the end of the stream */
}

void pp_conn_shut_down(struct conn *c)
{
    pp_io_shutdown(c->client->options.loop, &c->send_op, c->fd, on_shut_down);
}

/* What has not been handed on yet stays unsent. */
static void leave(struct conn *c)
{
    if (c->leaving || c->fd < 0)
        return;
    c->leaving = true;
    c->unsent = 0;
    c->send_op.lazy = false;
    if (!pp_io_is_armed(&c->send_op)) /* otherwise when it is through */
        pp_conn_shut_down(c);
}

void pp_client_disconnect(struct pp_client *client, bool politely)
{
    const bool stream = !client->plan->socket.dgram;

    client->disconnecting = true;
    if (client->open == 0)
        client->options.on_disconnected(client->options.owner);
    for (uint32_t i = 0; i < client->options.connections; i++) {
        if (politely && stream && pp_io_is_armed(&client->conns[i].recv_op))
            leave(&client->conns[i]);
        else
            pp_conn_leave_now(&client->conns[i]);
    }
}

/* ---- failing ---- */

/* Nobody listens on what is no socket, and nobody can be made to. */
static bool is_no_socket(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISSOCK(status.st_mode);
}

static const char *advice(const struct pp_client *client, int code)
{
    switch (-code) {
    case ECONNREFUSED:
        if (client->plan->target.path[0] && is_no_socket(client->plan->target.path))
            return "; what has this path is no socket: pick another";
        return client->plan->job == PP_JOB_RUN ? "; is the server still there?"
                                               : "; start one there with: pingpong serve ADDRESS";
    case EADDRNOTAVAIL:
        return client->plan->crr
                   ? "; all local ports wait out their closed connections: fewer round trips, or "
                     "a wider net.ipv4.ip_local_port_range"
                   : "; no free local port: fewer connections, or a wider "
                     "net.ipv4.ip_local_port_range";
    case ENOENT:
        return "; no server has made this socket: pingpong serve unix:/path";
    case ETIMEDOUT:
        return "; is something on the way dropping packets?";
    case EMSGSIZE:
        return "; the datagram is too large for the way: a smaller --size";
    case EPROTOTYPE:
        return client->plan->socket.dgram ? "; this socket is for streams: without -u"
                                          : "; this socket is for datagrams: with -u";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "; is the address right, and the machine up? (ip route get ADDRESS shows the way)";
    case ENODATA:
    case ECONNRESET:
    case EPIPE:
        return client->plan->crr || client->plan->job == PP_JOB_RUN ||
                       client->state == PHASE_CONNECT
                   ? ""
                   : "; has it ended, or does it allow a connection so many messages and no more? "
                     "(--crr makes one for each)";
    default:
        return "";
    }
}

/* The line that a user reads. A connection that carries one round trip has not done any. */
static void say_failed(const struct conn *c, int code)
{
    struct pp_client *client = c->client;
    const bool connecting = client->state == PHASE_CONNECT ||
                            (client->plan->crr && (code == -ECONNREFUSED ||
                                                   code == -EADDRNOTAVAIL || code == -ETIMEDOUT));
    const char *why = code == -ENODATA ? "the server closed it" : strerror(-code);
    char text[PP_IO_ADDR_TEXT_BYTES];

    (void)pp_io_addr_format(client->options.addr, text);
    if (client->plan->socket.dgram && code == -ECONNREFUSED && client->counts.received == 0)
        (void)pp_error_set(&client->error, PP_ERROR_RUN, code, "cannot reach %s: %s%s", text, why,
                           advice(client, code));
    else if (connecting)
        (void)pp_error_set(&client->error, PP_ERROR_RUN, code, "cannot connect to %s: %s%s", text,
                           why, advice(client, code));
    else if (client->plan->crr)
        (void)pp_error_set(&client->error, PP_ERROR_RUN, code, "a connection broke with %s: %s%s",
                           text, why, advice(client, code));
    else
        (void)pp_error_set(&client->error, PP_ERROR_RUN, code,
                           "a connection broke after %" PRIu64 " round trip%s with %s: %s%s",
                           c->received, c->received == 1 ? "" : "s", text, why,
                           advice(client, code));
}

/* Messages of c whose answer will not come any more. */
static void give_up_trips(struct conn *c)
{
    struct pp_client *client = c->client;

    for (uint64_t n = c->oldest; n < c->number && c->under_way > 0; n++) {
        struct trip *trip = pp_conn_trip(c, n);

        if (trip->state != TRIP_UNDER_WAY)
            continue;
        trip->state = TRIP_DONE;
        c->under_way--;
        if (!trip->sent_ns)
            continue;
        client->under_way--;
        client->counts.errors++;
    }
}

/* Nothing more is to come over c: the server may hang up. */
static bool has_done_its_part(const struct conn *c)
{
    const struct pp_client *client = c->client;
    const bool all_sent = client->state == PHASE_READY ||
                          (pp_client_is_active(client) && client->spent);

    return client->phase.last && all_sent && c->under_way == 0;
}

void pp_conn_fail(struct conn *c, int code)
{
    struct pp_client *client = c->client;

    if (client->state == PHASE_FINISHED || c->leaving || c->failed)
        return;
    if (has_done_its_part(c)) {
        pp_conn_leave_now(c);
        return;
    }
    say_failed(c, code);
    pp_conn_note_tcp(c);
    c->failed = true;
    client->counts.failed_connections++;
    give_up_trips(c);
    client->live--;
    if (client->live == 0 || !pp_client_is_active(client))
        finish(client);
    else
        finish_if_idle(client);
    pp_conn_leave_now(c);
}

void pp_client_wrong(struct pp_client *client, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;

    if (client->state == PHASE_FINISHED)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)pp_error_set(&client->error, PP_ERROR_WRONG_ECHO, -EBADMSG, "%s", text);
    client->counts.wrong = true;
    finish(client);
}

/* ---- messages ---- */

static bool refill_quota(struct pp_client *client)
{
    struct pp_budget *budget = client->phase.budget;
    uint64_t left = atomic_load_explicit(&budget->left, memory_order_relaxed);
    uint64_t portion;

    do {
        portion = left < budget->portion ? left : budget->portion;
    } while (portion > 0 && !atomic_compare_exchange_weak(&budget->left, &left, left - portion));
    client->quota = portion;
    client->spent = portion == 0;
    return portion > 0;
}

/* Whether one more message may be sent; it is counted off. */
static bool take_quota(struct pp_client *client)
{
    if (client->quota == 0 && (client->spent || !refill_quota(client)))
        return false;
    client->quota--;
    return true;
}

struct trip *pp_trip_begin(struct conn *c, uint64_t now_ns, uint64_t intended_ns)
{
    struct pp_client *client = c->client;
    struct trip *trip = pp_conn_trip(c, c->number++);

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

    pp_hist_record(client->options.rtt, rtt_ns);
    if (open_loop)
        pp_hist_record(client->options.response, response_ns);
    pp_hist_small_record(&client->conn_rtts[c - client->conns], response_ns);
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

/* ---- the open loop ---- */

static enum pp_io_next on_pace(struct pp_io_op *op);

static void pace_timer(struct pp_client *client, uint64_t deadline_ns)
{
    if (!pp_io_is_armed(&client->pace_op))
        pp_io_timer(client->options.loop, &client->pace_op, deadline_ns, on_pace);
}

/* c may be chosen for one more message. They take turns. */
static void queue_free(struct conn *c)
{
    struct pp_client *client = c->client;

    if (c->queued || c->failed || c->under_way >= client->plan->depth)
        return;
    c->queued = true;
    c->next_free = NULL;
    if (client->free_first)
        client->free_last->next_free = c;
    else
        client->free_first = c;
    client->free_last = c;
}

static struct conn *pop_free(struct pp_client *client)
{
    struct conn *c = client->free_first;

    if (c) {
        client->free_first = c->next_free;
        c->queued = false;
    }
    return c;
}

/* A message that was due at due_ns goes out now. Since free_since_ns it could have. Those that were
 * due while the client was away are late by that, even if they wait for room then. */
static void note_late(struct pp_client *client, uint64_t due_ns, uint64_t now_ns)
{
    const uint64_t could_ns = client->free_since_ns > due_ns ? client->free_since_ns : due_ns;
    uint64_t delayed_ns = now_ns - could_ns;

    client->counts.lag_ns = now_ns - due_ns;
    client->counts.behind_ns += now_ns - due_ns;
    pp_hist_record(client->options.late, now_ns - due_ns);
    if (delayed_ns >= PP_DELAYED_MIN_NS)
        client->away_until_ns = now_ns;
    else if (client->away_until_ns > due_ns)
        delayed_ns = client->away_until_ns - due_ns;
    if (delayed_ns < PP_DELAYED_MIN_NS)
        return;
    client->counts.delayed++;
    client->counts.delayed_ns += delayed_ns;
}

static bool may_send(const struct pp_client *client, uint64_t now_ns)
{
    return client->state == PHASE_ACTIVE ? now_ns < client->end_ns
                                         : client->state == PHASE_DRAIN && client->catches_up;
}

/* Sends the messages that are due, as far as connections are free, and none that is due after the
 * end. The rest stays due, and its latency counts from when it was. */
static void keep_schedule(struct pp_client *client, uint64_t now_ns)
{
    struct pp_pace *pace = &client->pace;

    while (pace->next_ns <= now_ns && pace->next_ns < client->end_ns && client->free_first &&
           may_send(client, now_ns)) {
        struct conn *c = pop_free(client);

        if (c->failed)
            continue;
        if (!take_quota(client))
            break;
        note_late(client, pace->next_ns, now_ns);
        client->transport->send(c, now_ns, pace->next_ns);
        client->transport->flush(c);
        pp_pace_step(pace);
        queue_free(c);
        now_ns = pp_clock_now_ns();
    }
    if (pace->next_ns > now_ns && pace->next_ns < client->end_ns && !client->spent)
        pace_timer(client, pace->next_ns);
}

/* ---- thinking ---- */

static void think(struct conn *c, uint32_t count, uint64_t now_ns)
{
    struct pp_client *client = c->client;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = (client->thoughts_first + client->thoughts_count++) %
                            client->thoughts_max;

        client->thoughts[at] = (struct thought){ c, now_ns + client->plan->think_ns };
    }
    pace_timer(client, now_ns + client->plan->think_ns);
}

static void end_thoughts(struct pp_client *client, uint64_t now_ns)
{
    while (client->thoughts_count > 0) {
        const struct thought *thought = &client->thoughts[client->thoughts_first];

        if (thought->due_ns > now_ns) {
            pace_timer(client, thought->due_ns);
            return;
        }
        client->thoughts_first = (client->thoughts_first + 1) % client->thoughts_max;
        client->thoughts_count--;
        if (thought->conn->failed || !take_quota(client))
            continue;
        client->transport->send(thought->conn, now_ns, now_ns);
        client->transport->flush(thought->conn);
    }
}

static enum pp_io_next on_pace(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, pace_op);
    const uint64_t now_ns = pp_clock_now_ns();

    if (client->state != PHASE_ACTIVE || op->res < 0 || now_ns >= client->end_ns)
        return PP_IO_DISARM;
    if (client->plan->rate > 0)
        keep_schedule(client, now_ns);
    else
        end_thoughts(client, now_ns);
    finish_if_idle(client);
    return PP_IO_DISARM;
}

/* ---- the closed loop ---- */

static void send_next(struct conn *c, uint32_t count, uint64_t now_ns)
{
    const struct pp_transport *transport = c->client->transport;

    while (count-- > 0 && take_quota(c->client))
        transport->send(c, now_ns, now_ns);
    transport->flush(c);
}

void pp_conn_freed(struct conn *c, uint32_t count, uint64_t now_ns)
{
    struct pp_client *client = c->client;

    if (may_send(client, now_ns) && !c->failed) {
        if (client->plan->rate > 0) {
            if (!client->free_first)
                client->free_since_ns = now_ns;
            queue_free(c);
            keep_schedule(client, now_ns);
        } else if (client->plan->think_ns) {
            think(c, count, now_ns);
        } else {
            send_next(c, count, now_ns);
        }
    }
    if (client->under_way == 0)
        finish_if_idle(client);
}

/* ---- phases ---- */

/* Who is told that the drain goes on reads what was spent: it has all to be spent by the phase. */
static enum pp_io_next on_drain_look(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, end_op);
    const uint64_t patience_ns = pp_client_patience_ns(client);
    const uint64_t longest_ns = client->phase.last ? client->plan->silence_ns : patience_ns;
    const uint64_t now_ns = pp_clock_now_ns();

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
 * that no latency is missing. They are late by a half of the last one's lag, on average. */
static bool is_to_catch_up(const struct pp_client *client)
{
    const struct pp_counts *counts = &client->counts;
    const uint64_t left = pp_pace_due(&client->pace, client->end_ns, counts->sent);
    const double behind_ns = (double)counts->behind_ns + (double)left * (double)counts->lag_ns / 2;

    return client->plan->rate > 0 && client->phase.last && left < counts->sent &&
           behind_ns <=
               PP_BEHIND_SHARE * (double)client->phase.time_ns * (double)(counts->sent + left);
}

/* All that was due has been sent, or will be. A client that has been away waits from now on: it may
 * send only now what was due. */
static void begin_drain(struct pp_client *client)
{
    note_lag(client, client->end_ns);
    client->state = PHASE_DRAIN;
    client->counts.last_ns = client->end_ns;
    client->drain_moved = pp_client_moved(client);
    client->drain_begin_ns = client->drain_alive_ns = pp_clock_now_ns();
    client->catches_up = is_to_catch_up(client);
    if (client->catches_up)
        keep_schedule(client, pp_clock_now_ns());
    finish_if_idle(client);
}

static enum pp_io_next on_end(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, end_op);

    if (op->res < 0)
        return PP_IO_DISARM;
    if (client->state == PHASE_CONNECT) {
        pp_stream_late(&client->conns[client->connected]);
    } else if (client->state == PHASE_ACTIVE) {
        begin_drain(client);
        if (client->state == PHASE_DRAIN)
            pp_io_timer(client->options.loop, op, client->end_ns + DRAIN_FIRST_LOOK_NS,
                        on_drain_look);
    }
    return PP_IO_DISARM;
}

static uint64_t watch_period_ns(const struct pp_client *client)
{
    return client->plan->crr ? WATCH_CRR_NS : WATCH_DGRAM_NS;
}

static enum pp_io_next on_watch(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, watch_op);

    if (!pp_client_is_active(client) || op->res < 0)
        return PP_IO_DISARM;
    if (client->plan->crr)
        pp_crr_watch(client, pp_clock_now_ns());
    else
        pp_dgram_watch(client, pp_clock_now_ns());
    finish_if_idle(client);
    if (!pp_client_is_active(client))
        return PP_IO_DISARM;
    op->deadline_ns = pp_clock_now_ns() + watch_period_ns(client);
    return PP_IO_REARM;
}

/* What an earlier phase has left under way is this one's, which waits for it; what it has given up
 * for lost is of no interest any more. */
static void carry_over(struct conn *c)
{
    struct pp_client *client = c->client;
    const uint64_t ring = client->trip_mask + 1;
    const uint64_t oldest = c->number - c->base > ring ? c->number - ring : c->base;

    for (uint64_t n = oldest; n < c->number; n++) {
        struct trip *trip = pp_conn_trip(c, n);

        if (n < c->oldest || trip->state != TRIP_UNDER_WAY || !trip->sent_ns) {
            trip->sent_ns = 0;
            continue;
        }
        client->under_way++;
        client->counts.sent++;
        (void)take_quota(client);
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
    client->counts.first_ns = client->counts.last_ns = pp_clock_now_ns();
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
    if (plan->socket.dgram)
        pp_dgram_begin(client);
    client->free_since_ns = phase->start_ns;
    if (plan->rate > 0)
        client->counts.first_ns = phase->start_ns;
    else if (client->counts.first_ns > client->end_ns) /* so short a time may be over already */
        client->counts.first_ns = client->counts.last_ns = client->end_ns;
    if (phase->time_ns)
        pp_io_timer(loop, &client->end_op, client->end_ns, on_end);
    if (plan->socket.dgram || plan->crr)
        pp_io_timer(loop, &client->watch_op, pp_clock_now_ns() + watch_period_ns(client), on_watch);
    if (plan->rate > 0)
        pp_pace_begin(&client->pace, plan->arrivals, plan->rate, phase->start_ns,
                      (struct pp_pace_deal){ client->options.share, client->options.shares,
                                             plan->connections },
                      plan->seed + client->options.share);
    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct conn *c = &client->conns[i];

        if (plan->rate > 0)
            queue_free(c);
        else if (!c->failed)
            send_next(c, plan->depth - c->under_way, pp_clock_now_ns());
    }
    if (plan->rate > 0)
        keep_schedule(client, pp_clock_now_ns());
    finish_if_idle(client);
}

/* ---- connecting ---- */

static void connect_next(struct pp_client *client);

static void all_connected(struct pp_client *client)
{
    client->state = PHASE_READY;
    pp_io_cancel(client->options.loop, &client->end_op);
    client->options.on_connected(client->options.owner);
}

void pp_conn_ready(struct conn *c)
{
    struct pp_client *client = c->client;

    client->connected++;
    if (client->connected == client->options.connections)
        all_connected(client);
    else
        connect_next(client);
}

static enum pp_io_next on_connected(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);

    if (c->leaving || c->client->state == PHASE_FINISHED)
        pp_conn_leave_now(c);
    else if (op->res < 0)
        pp_conn_fail(c, op->res);
    else if (pp_io_is_self_connected(c->fd))
        pp_conn_fail(c, -ECONNREFUSED); /* its own port was the server's: nobody listens */
    else
        c->client->transport->greet(c);
    pp_conn_close_if_quiet(c);
    return PP_IO_DISARM;
}

bool pp_conn_connect(struct conn *c, pp_io_cb *cb)
{
    struct pp_client *client = c->client;
    const struct pp_client_options *options = &client->options;

    c->fd = pp_io_socket(options->addr, &client->plan->socket, options->source, &client->error);
    if (c->fd < 0) {
        finish(client);
        return false;
    }
    client->open++;
    pp_io_connect(options->loop, &c->recv_op, c->fd, &options->addr->any, options->addr->len, cb);
    return true;
}

static void connect_next(struct pp_client *client)
{
    if (client->connecting == client->options.connections || client->state != PHASE_CONNECT)
        return;
    if (pp_conn_connect(&client->conns[client->connecting], on_connected))
        client->connecting++;
}

void pp_client_connect(struct pp_client *client)
{
    const unsigned at_once = CONNECTING_MAX / client->options.shares;

    if (client->state != PHASE_CONNECT)
        return;
    if (client->plan->crr) {
        all_connected(client);
        return;
    }
    pp_io_timer(client->options.loop, &client->end_op,
                pp_clock_now_ns() + pp_client_connect_timeout_ns(client), on_end);
    for (unsigned i = 0; i < at_once || i == 0; i++)
        connect_next(client);
}

/* ---- opening and closing ---- */

static uint64_t power_of_two_from(uint64_t n)
{
    uint64_t power = 1;

    while (power < n)
        power *= 2;
    return power;
}

static uint64_t ring_length(const struct pp_plan *plan)
{
    uint64_t remembered = REMEMBERED_BY_ALL / plan->connections;

    if (!plan->socket.dgram)
        return power_of_two_from(plan->depth);
    if (remembered > REMEMBERED_MAX)
        remembered = REMEMBERED_MAX;
    if (remembered < REMEMBERED_MIN)
        remembered = REMEMBERED_MIN;
    if (remembered < (uint64_t)plan->depth * REMEMBERED)
        remembered = (uint64_t)plan->depth * REMEMBERED;
    return power_of_two_from(remembered);
}

static uint32_t given_up_remembered(const struct pp_client *client)
{
    const uint32_t share = GIVEN_UP_REMEMBERED / client->options.shares;

    return share < GIVEN_UP_REMEMBERED_MIN ? GIVEN_UP_REMEMBERED_MIN : share;
}

/* The tables of all connections. */
static bool allocate(struct pp_client *client)
{
    const struct pp_plan *plan = client->plan;
    const size_t connections = client->options.connections;
    const size_t most = connections * plan->depth;

    client->trips = pp_memory_alloc(connections * (client->trip_mask + 1), sizeof(struct trip));
    client->conn_rtts = pp_memory_alloc(connections, sizeof(struct pp_hist_small));
    if (plan->think_ns)
        client->thoughts = pp_memory_alloc(most, sizeof(struct thought));
    if (plan->answers && !plan->socket.dgram)
        client->hellos = pp_memory_alloc(connections, PP_HELLO_BYTES);
    if (plan->socket.dgram) {
        client->outgoings = pp_memory_alloc(most, sizeof(struct outgoing));
        client->datagrams = pp_memory_alloc(most, plan->request.max);
        client->ledger = pp_ledger_open(given_up_remembered(client));
    }
    return client->trips && client->conn_rtts && (!plan->think_ns || client->thoughts) &&
           (!plan->answers || plan->socket.dgram || client->hellos) &&
           (!plan->socket.dgram || (client->outgoings && client->datagrams && client->ledger));
}

/* The datagrams that c may have on their way out at once. */
static void deal_outgoings(struct conn *c, uint32_t index)
{
    struct pp_client *client = c->client;
    const uint32_t depth = client->plan->depth;

    c->outgoings = client->outgoings + (size_t)index * depth;
    for (uint32_t i = 0; i < depth; i++) {
        struct outgoing *out = &c->outgoings[i];

        out->conn = c;
        out->data = client->datagrams + ((size_t)index * depth + i) * client->plan->request.max;
        out->next = c->free_outgoing;
        c->free_outgoing = out;
    }
}

static void conn_init(struct pp_client *client, uint32_t index)
{
    const struct pp_plan *plan = client->plan;
    const uint64_t number = client->options.first + index;
    struct pp_random random = { .state = plan->seed ^ number << 32 };
    struct conn *c = &client->conns[index];

    c->client = client;
    c->fd = -1;
    c->trips = client->trips + (client->trip_mask + 1) * index;
    c->request_sizes.state = pp_random_next(&random);
    c->answer_sizes.state = pp_random_next(&random);
    if (client->hellos)
        c->hello = client->hellos + (size_t)index * PP_HELLO_BYTES;
    if (plan->socket.dgram) {
        c->base = c->number = c->oldest = c->highest = pp_random_next(&random) >> 1;
        deal_outgoings(c, index);
    } else if (plan->sizes_given) {
        c->out_at = pp_random_below(&random, PP_PATTERN_RANDOM_PERIOD_MIN);
        c->in_at = plan->answers ? pp_random_below(&random, PP_PATTERN_RANDOM_PERIOD_MIN)
                                 : c->out_at;
    }
}

int pp_client_open(struct pp_client **out, const struct pp_client_options *options,
                   struct pp_error *err)
{
    struct pp_client *client =
        pp_memory_alloc(1, sizeof *client + options->connections * sizeof client->conns[0]);

    if (!client)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u connections",
                            options->connections);
    client->options = *options;
    client->plan = options->plan;
    client->transport = options->plan->socket.dgram ? &pp_transport_dgram
                        : options->plan->crr        ? &pp_transport_crr
                                                    : &pp_transport_stream;
    client->live = options->connections;
    client->trip_mask = ring_length(options->plan) - 1;
    client->moved_at_look = UINT64_MAX;
    client->thoughts_max = options->connections * options->plan->depth;
    if (!allocate(client)) {
        pp_client_close(client);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM,
                            "no memory for %u connections with %u messages under way on each",
                            options->connections, options->plan->depth);
    }
    for (uint32_t i = 0; i < options->connections; i++)
        conn_init(client, i);
    *out = client;
    return 0;
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

void pp_client_keep_came(struct pp_client *client, const char *data, uint32_t bytes)
{
    const uint32_t room = PP_CLIENT_CAME_BYTES - client->came_bytes;
    const uint32_t part = bytes < room ? bytes : room;

    memcpy(client->came + client->came_bytes, data, part);
    client->came_bytes += part;
}

struct pp_client_part pp_client_part(const struct pp_client *client)
{
    struct pp_client_part part = { .bytes = client->counts.bytes,
                                   .came_bytes = client->came_bytes };
    const bool by_length = !client->plan->socket.dgram &&
                           client->plan->expect_how != PP_EXPECT_UNTIL;

    if (part.bytes < client->came_bytes) /* before the phase */
        part.bytes = client->came_bytes;
    memcpy(part.came, client->came, client->came_bytes);
    for (uint32_t i = 0; by_length && i < client->options.connections; i++) {
        const struct conn *c = &client->conns[i];
        const uint32_t of = c->under_way > 0 ? pp_conn_trip(c, c->oldest)->answer_bytes : 0;

        if (c->left >= of)
            continue;
        part.bytes = of - c->left;
        part.of = of;
        break;
    }
    return part;
}

const struct pp_error *pp_client_error(const struct pp_client *client)
{
    return &client->error;
}

void pp_client_close(struct pp_client *client)
{
    if (!client)
        return;
    for (uint32_t i = 0; i < client->options.connections; i++)
        if (client->conns[i].client && client->conns[i].fd >= 0) /* the loop broke down */
            (void)close(client->conns[i].fd);
    pp_memory_free(client->trips);
    pp_memory_free(client->conn_rtts);
    pp_memory_free(client->thoughts);
    pp_memory_free(client->hellos);
    pp_memory_free(client->outgoings);
    pp_memory_free(client->datagrams);
    pp_ledger_close(client->ledger);
    pp_memory_free(client);
}
