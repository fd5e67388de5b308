/* Messages as datagrams: each has a number, by which its answer is known, whatever was lost,
 * doubled or overtaken. A message without an answer is given up after a time that follows the RTT,
 * and the next one is sent in its place; should its answer come after all, however late, it counts,
 * and is called late. While nothing comes at all, more and more time passes before one message is
 * given up: a server that stands still is not sent much more than the depth. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/format.h"
#include "client/conn.h"
#include "client/ledger.h"
#include "wire/datagram.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* How often to look for messages that are overdue. */
#define WATCH_NS (5 * PP_NS_PER_MS)

/* How long to wait for an answer: before the first sample, and within which bounds after it. The
 * first and the last are of RFC 6298, (2.1) and (2.5); a second at least would be too long for
 * somebody who does not send the same again. */
#define WAIT_FIRST_NS PP_NS_PER_S
#define WAIT_MIN_NS (10 * PP_NS_PER_MS)
#define WAIT_MAX_NS (60 * PP_NS_PER_S)
#define BACKOFF_MAX 20 /* doublings: more than from the least to the most */

static enum pp_io_next on_received(struct pp_io_op *op);

/* ---- sending ---- */

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    struct outgoing *out = container_of(op, struct outgoing, op);
    struct conn *c = out->conn;
    struct conn_dgram *dgram = pp_conn_dgram(c);

    pp_assert(dgram->flying > 0);
    out->next = dgram->free_outgoing;
    dgram->free_outgoing = out;
    dgram->flying--;
    if (op->res < 0 && op->res != -ECANCELED && op->res != -ENOBUFS)
        pp_conn_fail(c, op->res);
    pp_conn_close_if_quiet(c);
    return PP_IO_DISARM;
}

/* What follows the header of message number. */
static uint32_t body_at(const struct pp_pattern *pattern, uint64_t number)
{
    return (uint32_t)(number % pattern->period);
}

/* The trip whose place in the ring is needed now. */
static void keep_given_up(struct conn *c)
{
    const struct trip *trip = pp_conn_trip(c, c->number);

    if (trip->state == TRIP_OVERDUE && trip->sent_ns)
        pp_ledger_add(c->client->ledger, c, c->number - c->client->trip_mask - 1, trip);
}

static void dgram_send(struct conn *c, uint64_t now_ns, uint64_t intended_ns)
{
    const struct pp_client *client = c->client;
    const struct pp_plan *plan = client->plan;
    const struct pp_pattern *pattern = client->options.out;
    const uint32_t bytes = pp_sizes_next(&plan->request, &c->request_sizes);
    struct pp_datagram header = { .kind = PP_DATAGRAM_REQUEST, .number = c->number };
    struct conn_dgram *dgram = pp_conn_dgram(c);
    struct outgoing *out = dgram->free_outgoing;
    struct trip *trip;

    keep_given_up(c);
    trip = pp_trip_begin(c, now_ns, intended_ns);

    trip->answer_bytes = plan->answers ? pp_sizes_next(&plan->response, &c->answer_sizes) : bytes;
    if (!out) /* the kernel takes no more: lost before it was sent */
        return;
    dgram->free_outgoing = out->next;
    dgram->flying++;
    header.reply_bytes = trip->answer_bytes;
    pp_datagram_write(&header, out->data);
    memcpy(out->data + PP_DATAGRAM_HEADER_BYTES, pattern->bytes + body_at(pattern, header.number),
           bytes - PP_DATAGRAM_HEADER_BYTES);
    pp_io_send(client->options.loop, &out->op, c->fd, out->data, bytes, on_sent);
    out->op.lazy = true; /* its answer is news enough */
}

static void dgram_flush(struct conn *c)
{
    pp_assert(c->unsent == 0);
    (void)c;
}

/* ---- losing ---- */

static uint64_t patience_ns(const struct conn_dgram *dgram)
{
    const uint64_t wait_ns = dgram->srtt_ns ? dgram->srtt_ns + 4 * dgram->rttvar_ns : WAIT_FIRST_NS;

    return wait_ns < WAIT_MIN_NS ? WAIT_MIN_NS : wait_ns > WAIT_MAX_NS ? WAIT_MAX_NS : wait_ns;
}

/* RFC 6298, section 2. */
static void note_rtt(struct conn_dgram *dgram, uint64_t rtt_ns)
{
    const uint64_t off_ns = rtt_ns > dgram->srtt_ns ? rtt_ns - dgram->srtt_ns
                                                    : dgram->srtt_ns - rtt_ns;

    if (!dgram->srtt_ns) {
        dgram->srtt_ns = rtt_ns;
        dgram->rttvar_ns = rtt_ns / 2;
        return;
    }
    dgram->rttvar_ns += off_ns / 4 - dgram->rttvar_ns / 4;
    dgram->srtt_ns += rtt_ns / 8 - dgram->srtt_ns / 8;
}

static void skip_settled(struct conn *c)
{
    while (c->oldest < c->number && pp_conn_trip(c, c->oldest)->state != TRIP_UNDER_WAY)
        c->oldest++;
}

static void lose_oldest(struct conn *c)
{
    struct trip *trip = pp_conn_trip(c, c->oldest);

    pp_assert(c->oldest < c->number && trip->state == TRIP_UNDER_WAY);
    trip->state = TRIP_OVERDUE;
    c->under_way--;
    if (trip->sent_ns) {
        if (trip->sent_ns > c->client->lost_sent_ns)
            c->client->lost_sent_ns = trip->sent_ns;
        c->client->under_way--;
        c->client->counts.lost++;
    }
    skip_settled(c);
}

static bool is_overdue(const struct conn *c, uint64_t now_ns)
{
    const struct trip *trip = pp_conn_trip(c, c->oldest);

    return c->oldest < c->number && now_ns > trip->sent_ns + patience_ns(pp_conn_dgram(c));
}

/* Nothing was answered that was sent after the oldest: it may be lost, or the server or the path
 * stands still. Whoever has nothing more to send need not know. */
static bool is_silent(const struct conn *c)
{
    const struct pp_client *client = c->client;

    return pp_conn_dgram(c)->highest <= c->oldest && client->state == PHASE_ACTIVE &&
           !client->spent;
}

/* In a silence one message is given up after the other, at growing distances: RFC 6298, (5.5). */
static bool may_try_again(const struct conn_dgram *dgram, uint64_t now_ns)
{
    const uint64_t wait_ns = patience_ns(dgram) << dgram->backoff;

    return dgram->backoff == 0 ||
           now_ns > dgram->gave_up_ns + (wait_ns < WAIT_MAX_NS ? wait_ns : WAIT_MAX_NS);
}

static uint32_t lose_overdue(struct conn *c, uint64_t now_ns)
{
    struct conn_dgram *dgram = pp_conn_dgram(c);
    uint32_t count = 0;

    for (skip_settled(c); is_overdue(c, now_ns) && !is_silent(c); count++)
        lose_oldest(c);
    if (is_overdue(c, now_ns) && may_try_again(dgram, now_ns)) {
        lose_oldest(c);
        count++;
        dgram->gave_up_ns = now_ns;
        dgram->backoff += dgram->backoff < BACKOFF_MAX;
    }
    return count;
}

/* So much was sent after the oldest that its place in the ring is needed soon. */
static bool is_crowded(const struct conn *c)
{
    return c->number - c->oldest > c->client->trip_mask + 1 - c->client->plan->depth;
}

static void dgram_begin(struct pp_client *client)
{
    pp_ledger_clear(client->ledger);
    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct conn_dgram *dgram = &client->dgrams[i];

        dgram->first = client->conns[i].number;
        dgram->backoff = 0;
    }
}

static void dgram_watch(struct pp_client *client, uint64_t now_ns)
{
    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct conn *c = &client->conns[i];
        const uint32_t count = lose_overdue(c, now_ns);

        if (count > 0)
            pp_conn_freed(c, count, now_ns);
    }
}

/* ---- receiving ---- */

/* A datagram that fills a small buffer may have been cut to it. */
static void wrong_length(struct conn *c, const struct trip *trip, uint32_t len)
{
    const bool is_cut = len == pp_io_loop_small_bytes(c->client->options.loop);

    pp_client_wrong(c->client,
                    "wrong answer: a datagram of %u B%s came back instead of one of %u B; what "
                    "answers is not an echo server",
                    len, is_cut ? " or more" : "", trip->answer_bytes);
}

static bool is_right(struct conn *c, const struct trip *trip, uint64_t number, const char *data,
                     uint32_t len)
{
    struct pp_client *client = c->client;
    const struct pp_pattern *in = client->options.in;
    const uint32_t body_bytes = len - PP_DATAGRAM_HEADER_BYTES;
    char expected[PP_FORMAT_HEX_BYTES], got[PP_FORMAT_HEX_BYTES];
    uint32_t good;

    if (client->plan->verify == PP_VERIFY_OFF)
        return true;
    if (len != trip->answer_bytes) {
        wrong_length(c, trip, len);
        return false;
    }
    if (!in)
        return true;
    good = pp_pattern_match(in, body_at(in, number), data + PP_DATAGRAM_HEADER_BYTES, body_bytes);
    if (good == body_bytes)
        return true;
    pp_client_wrong(
        client,
        "wrong answer: at byte %u of a datagram, %s was expected and %s received; "
        "what answers is not an echo server, or bytes are damaged on the way",
        PP_DATAGRAM_HEADER_BYTES + good + 1,
        pp_format_hex(expected, in->bytes + body_at(in, number) + good, body_bytes - good),
        pp_format_hex(got, data + PP_DATAGRAM_HEADER_BYTES + good, body_bytes - good));
    return false;
}

/* The answer to a trip, in time or late. */
static void take_answer(struct conn *c, struct trip *trip, uint64_t number, uint64_t now_ns)
{
    struct pp_client *client = c->client;
    struct conn_dgram *dgram = pp_conn_dgram(c);
    const bool late = trip->state == TRIP_OVERDUE;
    uint32_t freed = late ? 0 : 1;

    pp_assert(late || trip->state == TRIP_UNDER_WAY);
    pp_assert(number < c->number && number >= dgram->base);
    trip->state = TRIP_DONE;
    dgram->backoff = 0;
    if (late && !pp_client_is_active(client)) /* it stays lost */
        return;
    if (number + 1 < dgram->highest)
        client->counts.reordered += trip->sent_ns != 0;
    else
        dgram->highest = number + 1;
    if (late && trip->sent_ns) { /* it was not lost, then */
        client->counts.lost--;
        client->counts.late++;
        client->under_way++;
    }
    if (trip->sent_ns)
        note_rtt(dgram, now_ns - trip->sent_ns);
    pp_trip_end(c, trip, now_ns);
    c->under_way -= freed;
    for (skip_settled(c); is_crowded(c); freed++)
        lose_oldest(c);
    if (freed > 0)
        pp_conn_freed(c, freed, now_ns);
}

/* The trip of a message that was sent: in the ring, or one that was given up long ago and is now in
 * *given_up; NULL: it was answered. */
static struct trip *find_trip(struct conn *c, uint64_t number, struct trip *given_up)
{
    if (c->number - number <= c->client->trip_mask + 1)
        return pp_conn_trip(c, number);
    return pp_ledger_take(c->client->ledger, c, number, given_up) ? given_up : NULL;
}

static void take_datagram(struct conn *c, const char *data, uint32_t len, uint64_t now_ns)
{
    const struct conn_dgram *dgram = pp_conn_dgram(c);
    struct pp_counts *counts = &c->client->counts;
    struct pp_datagram header;
    struct trip given_up, *trip;

    if (!pp_datagram_read(&header, data, len) || header.kind == PP_DATAGRAM_HELLO ||
        header.kind == PP_DATAGRAM_HELLO_REPLY || header.number < dgram->base ||
        header.number >= c->number) {
        counts->strays++;
        return;
    }
    trip = find_trip(c, header.number, &given_up);
    if (!trip)
        counts->duplicates += header.number >= dgram->first;
    else if (trip->state == TRIP_DONE)
        counts->duplicates += trip->sent_ns != 0;
    else if (is_right(c, trip, header.number, data, len))
        take_answer(c, trip, header.number, now_ns);
}

static enum pp_io_next on_received(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);
    struct pp_client *client = c->client;
    const uint64_t now_ns = pp_client_now_ns(client); /* before anything else is in the sample */

    if (op->res < 0) {
        pp_conn_fail(c, op->res);
        pp_conn_close_if_quiet(c);
        return PP_IO_DISARM;
    }
    pp_client_note_came(client, op->buf, (uint32_t)op->res);
    if (op->res == 0) { /* an empty datagram */
        client->counts.strays++;
    } else {
        if (client->state != PHASE_FINISHED && !c->dropped)
            take_datagram(c, op->buf, (uint32_t)op->res, now_ns);
        pp_io_buffer_put(client->options.loop, op->buf);
    }
    if (!c->dropped)
        return PP_IO_REARM;
    pp_conn_close_if_quiet(c);
    return PP_IO_DISARM;
}

/* There is always room for more than the longest answer: one that is longer must not look like one
 * that just fits. */
static void dgram_greet(struct conn *c)
{
    struct pp_io_loop *loop = c->client->options.loop;
    const struct pp_plan *plan = c->client->plan;
    const uint32_t longest = plan->answers ? plan->response.max : plan->request.max;

    c->recv_op.large = longest >= pp_io_loop_small_bytes(loop);
    pp_io_recv_pooled(loop, &c->recv_op, c->fd, on_received);
    pp_conn_ready(c);
}

/* It is connected at once, or not at all. */
static void dgram_late(struct conn *c)
{
    pp_conn_fail(c, -ETIMEDOUT);
}

const struct pp_transport pp_transport_dgram = {
    .greet = dgram_greet,
    .late = dgram_late,
    .begin = dgram_begin,
    .send = dgram_send,
    .flush = dgram_flush,
    .watch = dgram_watch,
    .watch_ns = WATCH_NS,
};
