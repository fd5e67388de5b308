/* Connect, request, response, close: a round trip is a connection of its own. Its time counts from
 * the beginning of connecting to the last byte of the response. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "client/stream.h"

#include <errno.h>

/* How often to look for connections that are not made. */
#define WATCH_NS (50 * PP_NS_PER_MS)

static enum pp_io_next on_received(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);
    const uint64_t now_ns = pp_client_now_ns(c->client);
    int answers = 0;

    if (op->res <= 0) {
        pp_conn_fail(c, op->res == 0 ? -ENODATA : op->res);
        pp_conn_close_if_quiet(c);
        return PP_IO_DISARM;
    }
    pp_client_note_came(c->client, op->buf, (uint32_t)op->res);
    if (c->client->state != PHASE_FINISHED && !c->dropped)
        answers = pp_stream_take(c, op->buf, (uint32_t)op->res, now_ns);
    pp_io_buffer_put(c->client->options.loop, op->buf);
    if (answers == 0 && !c->dropped)
        return PP_IO_REARM;
    pp_conn_leave_now(c); /* the next round trip begins when this connection is closed */
    return PP_IO_DISARM;
}

static enum pp_io_next on_crr_connected(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);

    if (op->res < 0)
        pp_conn_fail(c, op->res);
    else if (!c->leaving && c->client->world->is_self_connected(c->fd))
        pp_conn_fail(c, -ECONNREFUSED); /* its own port was the server's: nobody listens */
    if (op->res < 0 || c->leaving) {
        pp_conn_leave_now(c);
        return PP_IO_DISARM;
    }
    c->client->connected = 1;
    pp_io_recv_pooled(c->client->options.loop, op, c->fd, on_received);
    pp_stream_flush(c);
    return PP_IO_DISARM;
}

static void crr_watch(struct pp_client *client, uint64_t now_ns)
{
    const uint64_t timeout_ns = client->connected > 0 ? client->plan->connect_timeout_ns
                                                      : pp_client_connect_timeout_ns(client);

    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct conn *c = &client->conns[i];
        const bool connects = pp_io_is_armed(&c->recv_op) && c->recv_op.cb == on_crr_connected;

        if (connects && now_ns > pp_conn_rest(c)->connecting_ns + timeout_ns)
            pp_conn_fail(c, -ETIMEDOUT);
    }
}

static void crr_greet(struct conn *c)
{
    pp_conn_ready(c);
}

static void crr_send(struct conn *c, uint64_t now_ns, uint64_t intended_ns)
{
    pp_assert(c->fd < 0 && c->under_way == 0);
    c->unsent = 0;
    pp_conn_rest(c)->connecting_ns = now_ns;
    pp_stream_send(c, now_ns, intended_ns);
    (void)pp_conn_connect(c, on_crr_connected);
}

/* There is nothing to connect before the first message. */
static void crr_late(struct conn *c)
{
    pp_conn_fail(c, -ETIMEDOUT);
}

/* The request waits for its connection. */
static void crr_flush(struct conn *c)
{
    (void)c;
}

const struct pp_transport pp_transport_crr = {
    .greet = crr_greet,
    .late = crr_late,
    .send = crr_send,
    .flush = crr_flush,
    .watch = crr_watch,
    .watch_ns = WATCH_NS,
};
