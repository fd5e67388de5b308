/* How connections come and go: connecting, leaving, failing. */
#include "client/conn.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Connections being set up at once, by all clients: more could overflow a listener's queue, and
 * wait for seconds. */
#define CONNECTING_MAX 256

#define TEXT_BYTES 256

/* ---- connecting ---- */

static void connect_next(struct pp_client *client);

static enum pp_io_next on_late(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, end_op);

    if (op->res == 0 && client->state == PHASE_CONNECT)
        client->transport->late(&client->conns[client->connected]);
    return PP_IO_DISARM;
}

static void all_connected(struct pp_client *client)
{
    pp_assert(client->state == PHASE_CONNECT);
    client->state = PHASE_READY;
    pp_io_cancel(client->options.loop, &client->end_op);
    client->options.on_connected(client->options.owner);
}

void pp_conn_ready(struct conn *c)
{
    struct pp_client *client = c->client;

    pp_assert(client->connected < client->options.connections);
    client->connected++;
    if (client->connected == client->options.connections)
        all_connected(client);
    else
        connect_next(client);
}

static enum pp_io_next on_conn_connected(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);

    if (c->leaving || c->client->state == PHASE_FINISHED)
        pp_conn_leave_now(c);
    else if (op->res < 0)
        pp_conn_fail(c, op->res);
    else if (c->client->world->is_self_connected(c->fd))
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

    pp_assert(c->fd < 0 && !pp_io_is_armed(&c->recv_op));
    c->fd = client->world->socket(options->addr, &client->plan->socket, options->source,
                                  &client->error);
    if (c->fd < 0) {
        pp_client_finish(client);
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
    if (pp_conn_connect(&client->conns[client->connecting], on_conn_connected))
        client->connecting++;
}

void pp_client_connect(struct pp_client *client, uint64_t greeting_ns)
{
    const unsigned at_once = CONNECTING_MAX / client->options.shares;

    client->greeting_ns = greeting_ns;
    if (client->state != PHASE_CONNECT)
        return;
    if (client->plan->crr) {
        all_connected(client);
        return;
    }
    pp_io_timer(client->options.loop, &client->end_op,
                pp_client_now_ns(client) + pp_client_connect_timeout_ns(client), on_late);
    for (unsigned i = 0; i < at_once || i == 0; i++)
        connect_next(client);
}

/* ---- leaving ---- */

static void connection_over(struct pp_client *client)
{
    pp_assert(client->open > 0);
    client->open--;
    if (client->open == 0 && client->disconnecting)
        client->options.on_disconnected(client->options.owner);
}

static enum pp_io_next on_closed(struct pp_io_op *op)
{
    struct conn *c = container_of(op, struct conn, recv_op);
    struct pp_client *client = c->client;

    pp_assert(c->fd < 0 && !pp_io_is_armed(&c->send_op));
    connection_over(client);
    if (!client->plan->crr || client->disconnecting || c->failed)
        return PP_IO_DISARM;
    c->leaving = false;
    c->dropped = false;
    pp_conn_freed(c, 1, pp_client_now_ns(client));
    return PP_IO_DISARM;
}

void pp_conn_close_if_quiet(struct conn *c)
{
    const struct conn_dgram *dgram = pp_conn_dgram(c);

    if (!c->leaving || c->fd < 0 || pp_io_is_armed(&c->recv_op) || pp_io_is_armed(&c->send_op) ||
        (dgram && dgram->flying > 0))
        return;
    pp_io_close(c->client->options.loop, &c->recv_op, c->fd, on_closed);
    c->fd = -1;
}

void pp_conn_leave_now(struct conn *c)
{
    const struct conn_dgram *dgram = pp_conn_dgram(c);

    if (c->fd < 0)
        return;
    c->leaving = true;
    c->dropped = true;
    pp_io_cancel(c->client->options.loop, &c->recv_op);
    pp_io_cancel(c->client->options.loop, &c->send_op);
    for (uint32_t i = 0; dgram && dgram->flying > 0 && i < c->client->plan->depth; i++)
        pp_io_cancel(c->client->options.loop, &dgram->outgoings[i].op);
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
    pp_assert(c->fd >= 0 && !pp_io_is_armed(&c->send_op));
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

    pp_assert(!pp_client_is_active(client));
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
    pp_assert(c->under_way == 0);
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

    pp_assert(code < 0);
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
        pp_client_finish(client);
    else
        pp_client_finish_if_idle(client);
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
    pp_client_finish(client);
}
