/* Messages in a stream: requests are cut from one pattern one after the other, answers are compared
 * with another, and counted off in order. Nothing on the wire says where a message ends. */
#include "client/stream.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- sending ---- */

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, send_op);

    if (op->res < 0) {
        pp_conn_fail(c, op->res);
        pp_conn_close_if_quiet(c);
        return PP_IO_DISARM;
    }
    if ((uint32_t)op->res < op->len || c->unsent > 0)
        pp_client_note_moved(c->client, (uint32_t)op->res);
    if (c->dropped) { /* the cancellation came too late: its own result came first */
        pp_conn_close_if_quiet(c);
        return PP_IO_DISARM;
    }
    if (!pp_io_advance(op))
        return PP_IO_REARM; /* a short write: the rest of this piece */
    if (c->leaving)
        pp_conn_shut_down(c);
    else
        pp_stream_flush(c);
    return PP_IO_DISARM;
}

void pp_stream_flush(struct conn *c)
{
    const struct pp_pattern *out = c->client->options.out;
    const uint32_t piece = c->unsent < PP_PATTERN_PIECE ? (uint32_t)c->unsent : PP_PATTERN_PIECE;

    if (piece == 0)
        return;
    if (pp_io_is_armed(&c->send_op)) { /* goes on when that is through, and is in a hurry now */
        c->send_op.lazy = false;
        return;
    }
    pp_assert(c->fd >= 0 && !c->leaving);
    c->unsent -= piece;
    pp_io_send(c->client->options.loop, &c->send_op, c->fd, out->bytes + c->out_at, piece, on_sent);
    c->send_op.lazy = c->unsent == 0; /* the answer is news enough */
    c->out_at = pp_pattern_after(out, c->out_at, piece);
}

static void await(struct conn *c, const struct trip *trip)
{
    pp_assert(c->under_way > 0 && trip->answer_bytes > 0);
    c->left = c->client->plan->expect_how == PP_EXPECT_UNTIL ? 0 : trip->answer_bytes;
}

void pp_stream_send(struct conn *c, uint64_t now_ns, uint64_t intended_ns)
{
    const struct pp_plan *plan = c->client->plan;
    const bool echo = plan->expect_how == PP_EXPECT_ECHO && !plan->answers;
    const uint32_t bytes = pp_sizes_next(&plan->request, &c->request_sizes);
    struct trip *trip = pp_trip_begin(c, now_ns, intended_ns);

    trip->answer_bytes = echo ? bytes : pp_sizes_next(&plan->response, &c->answer_sizes);
    if (c->under_way == 1)
        await(c, trip);
    c->unsent += bytes;
}

/* ---- receiving ---- */

/* What to suspect, by what is known of who answers. */
static const char *suspect(const struct pp_plan *plan)
{
    if (plan->expect_how != PP_EXPECT_ECHO)
        return "the server does not answer as it is expected to";
    if (plan->answers)
        return "the server does not answer as was agreed on";
    return "what answers is not an echo server (another service needs --expect)";
}

static void unasked(struct conn *c, const char *data, uint32_t len)
{
    char got[PP_FORMAT_HEX_BYTES];

    pp_client_wrong(c->client, "wrong answer: %u more bytes came back than were asked for: %s; %s",
                    len, pp_format_hex(got, data, len), suspect(c->client->plan));
}

/* How many bytes from place on are shown of the answer that should be there. Where answers are all
 * the same text, the next one would only look like a part of it. */
static uint32_t shown_bytes(const struct pp_plan *plan, const struct trip *trip, uint32_t place)
{
    return plan->expect_how == PP_EXPECT_TEXT ? trip->answer_bytes - place : PP_PATTERN_PIECE;
}

/* data[good] is not what should be there. The good bytes before it may have ended some answers, or
 * all that there are to come. */
static void wrong_answer(struct conn *c, const char *data, uint32_t good, uint32_t len)
{
    const struct pp_plan *plan = c->client->plan;
    const struct pp_pattern *in = c->client->options.in;
    const char *expected = in->bytes + pp_pattern_after(in, c->in_at, good);
    uint64_t number = c->oldest;
    uint32_t place = pp_conn_trip(c, number)->answer_bytes - c->left + good;
    char expected_text[PP_FORMAT_HEX_BYTES], got_text[PP_FORMAT_HEX_BYTES];

    while (place >= pp_conn_trip(c, number)->answer_bytes) {
        place -= pp_conn_trip(c, number++)->answer_bytes;
        if (number == c->number) {
            unasked(c, data + good - place, len - good + place);
            return;
        }
    }
    (void)pp_format_hex(expected_text, expected, shown_bytes(plan, pp_conn_trip(c, number), place));
    pp_client_wrong(c->client,
                    "wrong answer: at byte %u of round trip %" PRIu64 " of a connection, %s was "
                    "expected and %s received; %s, or bytes are damaged on the way",
                    place + 1, number + 1, expected_text,
                    pp_format_hex(got_text, data + good, len - good), suspect(plan));
}

/* How many bytes of data the answer that is due takes; it is complete if *ended is set. */
static uint32_t take_part(struct conn *c, const char *data, uint32_t len, bool *ended)
{
    const struct pp_plan *plan = c->client->plan;
    uint32_t part;

    pp_assert(len > 0 && c->under_way > 0);
    if (plan->expect_how == PP_EXPECT_UNTIL) {
        part = pp_pattern_find(plan->expect.text, plan->expect.bytes, &c->left, data, len);
        *ended = part > 0;
        return *ended ? part : len;
    }
    part = len < c->left ? len : c->left;
    c->left -= part;
    *ended = c->left == 0;
    return part;
}

static bool is_right(struct conn *c, const char *data, uint32_t len)
{
    const struct pp_pattern *in = c->client->options.in;
    uint32_t good;

    if (!in)
        return true;
    pp_assert(c->in_at < in->period);
    good = pp_pattern_match(in, c->in_at, data, len);
    if (good < len) {
        wrong_answer(c, data, good, len);
        return false;
    }
    c->in_at = pp_pattern_after(in, c->in_at, len);
    return true;
}

int pp_stream_take(struct conn *c, const char *data, uint32_t len, uint64_t now_ns)
{
    int answers = 0;

    if (c->under_way > 0 && !is_right(c, data, len))
        return -EBADMSG;
    while (len > 0) {
        bool ended;
        uint32_t part;

        if (c->under_way == 0) {
            if (c->client->plan->verify == PP_VERIFY_OFF)
                break;
            unasked(c, data, len);
            return -EBADMSG;
        }
        part = take_part(c, data, len, &ended);
        data += part;
        len -= part;
        if (!ended)
            break;
        pp_trip_end(c, pp_conn_trip(c, c->oldest++), now_ns);
        answers++;
        if (--c->under_way > 0)
            await(c, pp_conn_trip(c, c->oldest));
    }
    return answers;
}

static enum pp_io_next on_received(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);
    struct pp_client *client = c->client;
#ifndef PP_UNMEASURED
    const uint64_t now_ns = pp_client_now_ns(client); /* before anything else is in the sample */
#else
    const uint64_t now_ns = 1;
#endif
    int answers = 0;

    if (op->res <= 0) {
        pp_conn_fail(c, op->res == 0 ? -ENODATA : op->res);
        pp_conn_close_if_quiet(c);
        return PP_IO_DISARM;
    }
    pp_client_note_came(client, op->buf, (uint32_t)op->res);
    if (client->state != PHASE_FINISHED && !c->dropped)
        answers = pp_stream_take(c, op->buf, (uint32_t)op->res, now_ns);
    if (answers > 0)
        pp_conn_freed(c, (uint32_t)answers, now_ns);
    pp_io_buffer_put(client->options.loop, op->buf);
    if (!c->dropped)
        return PP_IO_REARM;
    pp_conn_close_if_quiet(c);
    return PP_IO_DISARM;
}

/* ---- the greeting ---- */

static void start(struct conn *c)
{
    pp_io_recv_pooled(c->client->options.loop, &c->recv_op, c->fd, on_received);
    pp_conn_ready(c);
}

static void no_pingpong(struct conn *c, int code)
{
    (void)pp_error_set(&c->client->error, PP_ERROR_RUN, code,
                       "the server does not answer as pingpong does, and only pingpong can give "
                       "responses of another size: run pingpong serve there, or give --size one "
                       "value");
    pp_conn_fail(c, code);
}

static void stream_late(struct conn *c)
{
    if (c->greeted)
        no_pingpong(c, -ETIMEDOUT);
    else
        pp_conn_fail(c, -ETIMEDOUT);
}

/* The reply is whole, and data is what came with it, which nobody asked for. */
static void agree(struct conn *c, const char *data, uint32_t len)
{
    struct pp_hello_reply reply;

    if (pp_hello_reply_read(&reply, pp_conn_hello(c)) < 0)
        no_pingpong(c, -EPROTO);
    else if (pp_stream_take(c, data, len, 0) == 0)
        start(c);
}

static enum pp_io_next on_greeted(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);
    uint32_t part;
    char *buf;

    if (c->leaving || op->res <= 0) {
        if (op->res > 0)
            pp_io_buffer_put(c->client->options.loop, op->buf);
        pp_conn_fail(c, op->res == 0 ? -ENODATA : op->res);
        pp_conn_close_if_quiet(c);
        return PP_IO_DISARM;
    }
    pp_assert(c->greeted && c->left < PP_HELLO_BYTES);
    part = (uint32_t)op->res < PP_HELLO_BYTES - c->left ? (uint32_t)op->res
                                                        : PP_HELLO_BYTES - c->left;
    memcpy(pp_conn_hello(c) + c->left, op->buf, part);
    c->left += part;
    if (c->left < PP_HELLO_BYTES) {
        pp_io_buffer_put(c->client->options.loop, op->buf);
        return PP_IO_REARM;
    }
    buf = op->buf; /* before op goes on to receive */
    agree(c, buf + part, (uint32_t)op->res - part);
    pp_io_buffer_put(c->client->options.loop, buf);
    pp_conn_close_if_quiet(c);
    return PP_IO_DISARM;
}

/* The answer will be the news; an error shows there too. */
static enum pp_io_next on_hello_sent(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, send_op);

    if (op->res >= 0 && !c->leaving && !pp_io_advance(op))
        return PP_IO_REARM;
    pp_conn_close_if_quiet(c);
    return PP_IO_DISARM;
}

static void stream_greet(struct conn *c)
{
    struct pp_io_loop *loop = c->client->options.loop;
    const struct pp_plan *plan = c->client->plan;
    const struct pp_hello hello = {
        .answers = true,
        .request = plan->request,
        .response = plan->response,
        .request_seed = c->request_sizes.state,
        .response_seed = c->answer_sizes.state,
        .response_at = c->in_at,
    };

    if (!plan->answers) {
        start(c);
        return;
    }
    if (pp_hello_write(&hello, pp_conn_hello(c)) < 0) {
        (void)pp_error_set(&c->client->error, PP_ERROR_USAGE, -E2BIG,
                           "--size: the server cannot be told of so many sizes; name fewer");
        pp_conn_fail(c, -E2BIG);
        return;
    }
    c->greeted = true;
    pp_io_recv_pooled(loop, &c->recv_op, c->fd, on_greeted);
    pp_io_send(loop, &c->send_op, c->fd, pp_conn_hello(c), PP_HELLO_BYTES, on_hello_sent);
}

const struct pp_transport pp_transport_stream = {
    .greet = stream_greet,
    .late = stream_late,
    .send = pp_stream_send,
    .flush = pp_stream_flush,
};
