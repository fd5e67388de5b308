#include "bench/client.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Connections being set up at once: more could overflow a listener's queue, and wait for
 * seconds. */
#define CONNECTING_MAX 256

enum phase {
    PHASE_CONNECT,
    PHASE_READY, /* connected, not started */
    PHASE_MEASURE,
    PHASE_FINISHED /* on_finished was called: whatever still comes is not looked at */
};

struct client_conn {
    struct pp_io_op recv_op; /* connect, then receive, then close */
    struct pp_io_op send_op; /* send, then shutdown */
    struct pp_client *client;
    uint64_t sent_ns;
    uint32_t at;  /* how far into a message the answers are */
    int fd;       /* -1: none */
    bool waits;   /* a ping is under way */
    bool leaving; /* being closed */
    bool dropped; /* without waiting for the server to close its side */
};

struct pp_client {
    struct pp_client_options options;
    struct pp_client_counts counts;
    enum phase phase;
    uint32_t connecting; /* connects started so far */
    uint32_t connected;
    uint32_t live; /* connections that can still carry pings */
    uint32_t open; /* connections that are not closed yet */
    bool disconnecting;
    struct pp_error error;
    struct client_conn conns[];
};

static void finish(struct pp_client *client, uint64_t now_ns)
{
    if (client->phase == PHASE_FINISHED)
        return;
    client->phase = PHASE_FINISHED;
    client->counts.last_ns = now_ns;
    client->options.on_finished(client->options.owner);
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
    connection_over(container_of(op, struct client_conn, recv_op)->client);
    return PP_IO_DISARM;
}

/* Closes once neither direction has anything under way. */
static void close_if_quiet(struct client_conn *c)
{
    if (!c->leaving || c->fd < 0 || pp_io_is_armed(&c->recv_op) || pp_io_is_armed(&c->send_op))
        return;
    pp_io_close(c->client->options.loop, &c->recv_op, c->fd, on_closed);
    c->fd = -1;
}

/* Drops the connection as it stands. */
static void leave_now(struct client_conn *c)
{
    if (c->fd < 0)
        return;
    c->leaving = true;
    c->dropped = true;
    pp_io_cancel(c->client->options.loop, &c->recv_op);
    pp_io_cancel(c->client->options.loop, &c->send_op);
    close_if_quiet(c);
}

static enum pp_io_next on_shut_down(struct pp_io_op *op)
{
    struct client_conn *c = container_of(op, struct client_conn, send_op);

    if (op->res < 0)
        leave_now(c);
    close_if_quiet(c);
    return PP_IO_DISARM; /* the receive goes on to the end of the stream */
}

static void leave(struct client_conn *c)
{
    if (c->leaving || c->fd < 0)
        return;
    c->leaving = true;
    c->send_op.lazy = false;
    if (pp_io_is_armed(&c->send_op))
        return; /* shut down when it is through */
    pp_io_shutdown(c->client->options.loop, &c->send_op, c->fd, on_shut_down);
}

void pp_client_disconnect(struct pp_client *client, bool politely)
{
    client->disconnecting = true;
    if (client->open == 0)
        client->options.on_disconnected(client->options.owner);
    for (uint32_t i = 0; i < client->options.connections; i++) {
        if (politely && pp_io_is_armed(&client->conns[i].recv_op))
            leave(&client->conns[i]);
        else
            leave_now(&client->conns[i]);
    }
}

/* ---- failing ---- */

static const char *advice(int code)
{
    switch (-code) {
    case ECONNREFUSED:
        return "; is the server still there?";
    case EADDRNOTAVAIL:
        return "; no free local port: fewer connections, or a wider net.ipv4.ip_local_port_range";
    default:
        return "";
    }
}

static const char *what_failed(const struct pp_client *client)
{
    return client->phase == PHASE_CONNECT ? "cannot connect" : "a connection broke";
}

/* c is of no more use. The others go on; when it was the last one, the measurement ends. */
static void conn_fail(struct client_conn *c, int code)
{
    struct pp_client *client = c->client;
    char text[PP_IO_ADDR_TEXT_BYTES];
    const char *why = code == -ENODATA ? "the server closed it" : strerror(-code);

    if (client->phase == PHASE_FINISHED || c->leaving)
        return;
    (void)pp_error_set(&client->error, PP_ERROR_RUN, code,
                       "%s to %s after %" PRIu64 " of %" PRIu64 " round trips: %s%s",
                       what_failed(client), pp_io_addr_format(client->options.addr, text),
                       client->counts.received, client->options.count, why, advice(code));
    client->counts.failed_connections++;
    client->counts.errors += c->waits;
    c->waits = false;
    client->live--;
    if (client->live == 0 || client->phase != PHASE_MEASURE ||
        client->counts.received + client->counts.errors == client->options.count)
        finish(client, pp_clock_now_ns());
    leave_now(c);
}

static void wrong_echo(struct client_conn *c, char got)
{
    struct pp_client *client = c->client;
    const struct pp_wire *wire = &client->options.wire;

    (void)pp_error_set(
        &client->error, PP_ERROR_WRONG_ECHO, -EBADMSG,
        "wrong echo: byte %u of round trip %" PRIu64
        " came back as 0x%02x instead of 0x%02x; what answers is not an echo server, "
        "or bytes are damaged on the way",
        c->at + 1, client->counts.received + 1, (unsigned char)got,
        (unsigned char)wire->message[c->at]);
    finish(client, pp_clock_now_ns());
}

void pp_client_fail(struct pp_client *client, enum pp_error_kind kind, int code, const char *text)
{
    if (client->phase == PHASE_FINISHED)
        return;
    (void)pp_error_set(&client->error, kind, code, "%s", text);
    finish(client, pp_clock_now_ns());
}

void pp_client_interrupt(struct pp_client *client)
{
    finish(client, pp_clock_now_ns());
}

/* ---- the round trip ---- */

static enum pp_io_next on_ping_sent(struct pp_io_op *op)
{
    struct client_conn *c = container_of(op, struct client_conn, send_op);

    if (op->res < 0) {
        conn_fail(c, op->res);
        close_if_quiet(c);
        return PP_IO_DISARM;
    }
    if (c->dropped) { /* the cancellation came too late: its own result came first */
        close_if_quiet(c);
        return PP_IO_DISARM;
    }
    if (!pp_io_advance(op))
        return PP_IO_REARM; /* a short write: the rest of this ping */
    if (c->leaving)
        pp_io_shutdown(c->client->options.loop, op, c->fd, on_shut_down);
    return PP_IO_DISARM;
}

static void ping(struct client_conn *c, uint64_t now_ns)
{
    struct pp_client *client = c->client;
    const struct pp_wire *wire = &client->options.wire;

    c->sent_ns = now_ns;
    c->waits = true;
    client->counts.sent++;
    pp_io_send(client->options.loop, &c->send_op, c->fd, wire->message, wire->bytes, on_ping_sent);
    c->send_op.lazy = true; /* its pong is news enough */
}

/* A whole pong. */
static void round_done(struct client_conn *c, uint64_t now_ns)
{
    struct pp_client *client = c->client;

    c->waits = false;
    client->counts.received++;
#ifndef PP_UNMEASURED
    pp_hist_record(client->options.rtt, now_ns - c->sent_ns);
#endif
    if (client->counts.sent < client->options.count)
        ping(c, now_ns);
    else if (client->counts.received + client->counts.errors == client->options.count)
        finish(client, pp_clock_now_ns());
}

/* What came: part of a pong, a pong, or something that nobody asked for. */
static void look_at(struct client_conn *c, const char *data, uint32_t len, uint64_t now_ns)
{
    uint32_t wrong = 0;
    const int pongs = pp_wire_check(&c->client->options.wire, &c->at, data, len, &wrong);

    if (pongs < 0)
        wrong_echo(c, data[wrong]);
    else if (pongs > 1 || (pongs == 1 && c->at > 0) || !c->waits)
        pp_client_fail(c->client, PP_ERROR_WRONG_ECHO, -EBADMSG,
                       "wrong echo: more came back than was sent; what answers is not an echo "
                       "server");
    else if (pongs == 1)
        round_done(c, now_ns);
}

static enum pp_io_next on_pong(struct pp_io_op *op)
{
#ifndef PP_UNMEASURED
    const uint64_t now_ns = pp_clock_now_ns(); /* first, so that nothing else is in the sample */
#else
    const uint64_t now_ns = 0;
#endif
    struct client_conn *c = container_of(op, struct client_conn, recv_op);
    struct pp_client *client = c->client;

    if (op->res <= 0) {
        conn_fail(c, op->res == 0 ? -ENODATA : op->res);
        close_if_quiet(c);
        return PP_IO_DISARM;
    }
    if (client->phase == PHASE_MEASURE || client->phase == PHASE_READY)
        look_at(c, op->buf, (uint32_t)op->res, now_ns);
    pp_io_buffer_put(client->options.loop, op->buf);
    if (!c->dropped)
        return PP_IO_REARM;
    close_if_quiet(c);
    return PP_IO_DISARM;
}

void pp_client_start(struct pp_client *client)
{
    pp_assert(client->phase == PHASE_READY);
    client->phase = PHASE_MEASURE;
    client->counts.first_ns = pp_clock_now_ns();
    for (uint32_t i = 0; i < client->options.connections; i++)
        if (client->counts.sent < client->options.count)
            ping(&client->conns[i], pp_clock_now_ns());
}

/* ---- connecting ---- */

static void connect_next(struct pp_client *client);

static enum pp_io_next on_connected(struct pp_io_op *op)
{
    struct client_conn *c = container_of(op, struct client_conn, recv_op);
    struct pp_client *client = c->client;

    if (op->res < 0) {
        conn_fail(c, op->res);
        close_if_quiet(c);
        return PP_IO_DISARM;
    }
    if (c->leaving || client->phase == PHASE_FINISHED) {
        leave_now(c);
        return PP_IO_DISARM;
    }
    pp_io_recv_pooled(client->options.loop, op, c->fd, on_pong);
    client->connected++;
    if (client->connected == client->options.connections) {
        client->phase = PHASE_READY;
        client->options.on_connected(client->options.owner);
    } else {
        connect_next(client);
    }
    return PP_IO_DISARM;
}

static void connect_next(struct pp_client *client)
{
    struct client_conn *c = &client->conns[client->connecting];

    if (client->connecting == client->options.connections || client->phase != PHASE_CONNECT)
        return;
    c->fd = pp_io_socket(client->options.addr, &client->error);
    if (c->fd < 0) {
        finish(client, pp_clock_now_ns());
        return;
    }
    client->connecting++;
    client->open++;
    pp_io_connect(client->options.loop, &c->recv_op, c->fd, &client->options.addr->any,
                  client->options.addr->len, on_connected);
}

void pp_client_connect(struct pp_client *client)
{
    for (unsigned i = 0; i < CONNECTING_MAX; i++)
        connect_next(client);
}

/* ---- opening and closing ---- */

int pp_client_open(struct pp_client **out, const struct pp_client_options *options,
                   struct pp_error *err)
{
    struct pp_client *client =
        pp_memory_alloc(1, sizeof *client + options->connections * sizeof client->conns[0]);

    if (!client)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u connections",
                            options->connections);
    client->options = *options;
    client->live = options->connections;
    for (uint32_t i = 0; i < options->connections; i++) {
        client->conns[i].client = client;
        client->conns[i].fd = -1;
    }
    *out = client;
    return 0;
}

const struct pp_client_counts *pp_client_counts(const struct pp_client *client)
{
    return &client->counts;
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
        if (client->conns[i].fd >= 0) /* the loop broke down */
            (void)close(client->conns[i].fd);
    pp_memory_free(client);
}
