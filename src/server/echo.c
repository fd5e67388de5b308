/* What clients send goes back, in the buffers that it came in. */
#include "server/conn.h"

/* ---- the echoes of a connection ---- */

static uint32_t echo_number(const struct pp_server *server, const struct echo *echo)
{
    return (uint32_t)(echo - (const struct echo *)(const void *)server->echoes.items);
}

static bool echo_append(struct conn *conn, struct echo *echo)
{
    struct echo *last = pp_served_last_echo(conn);

    pp_assert(conn->unsent < UNSENT_MAX && conn->op.tag == CONN_ECHOES);
    echo->next = last ? last->next : echo;
    if (last)
        last->next = echo;
    conn->tail = (echo_number(pp_server_of(conn), echo) + 1) & 0x3ffffu;
    conn->unsent++;
    return !last;
}

/* Takes the oldest echo out and gives back its buffer. */
static void echo_drop_first(struct conn *conn)
{
    struct pp_server *server = pp_server_of(conn);
    struct echo *last = pp_served_last_echo(conn);
    struct echo *first = last->next;

    pp_assert(conn->unsent > 0 && !pp_io_is_armed(&first->op));
    last->next = first->next;
    conn->unsent--;
    if (first == last)
        conn->tail = 0;
    pp_io_buffer_put(server->loop, first->buf);
    pp_pool_give(&server->echoes, first);
}

static bool too_much_unsent(const struct conn *conn)
{
    return conn->unsent >= UNSENT_MIN &&
           conn->unsent >= pp_io_recv_share(pp_server_of(conn)->loop, &conn->op, UNSENT_MAX);
}

static enum pp_io_next on_sent(struct pp_io_op *op);

void pp_served_set_lazy(struct conn *conn)
{
    struct echo *last = pp_served_last_echo(conn);

    if (last)
        last->next->op.lazy = last->next == last && pp_served_is_undisturbed(conn) &&
                              !(conn->flags & CONN_DRAINS);
}

static void send_first(struct conn *conn)
{
    struct echo *first = pp_served_last_echo(conn)->next;

    pp_assert(first->op.len > 0 && !(conn->flags & CONN_BROKEN));
    pp_io_send(pp_server_of(conn)->loop, &first->op, conn->op.fd, first->op.buf, first->op.len,
               on_sent);
    pp_served_set_lazy(conn);
}

/* ---- the end of a connection ---- */

static enum pp_io_next on_closed(struct pp_io_op *op)
{
    struct conn *conn = container_of(op, struct conn, op);
    struct pp_server *server = pp_server_of(conn);

    pp_assert(op->tag == CONN_CLOSING && conn->tail == 0);
    op->tag = CONN_FREE;
    pp_server_count(&server->counters.closed);
    pp_pool_give(&server->pool, conn);
    pp_server_close_if_empty(server);
    return PP_IO_DISARM;
}

bool pp_served_owes(const struct conn *conn)
{
    const struct talking *talking = pp_served_talking(conn);

    return talking ? talking->rest > 0 || !pp_talk_is_quiet(&talking->talk) : conn->tail != 0;
}

/* Whether it has sent all it owes, or never will: nothing is under way. */
static bool is_through(const struct conn *conn)
{
    const struct talking *talking = pp_served_talking(conn);
    const struct echo *last = pp_served_last_echo(conn);

    if (!(conn->flags & CONN_BROKEN))
        return !pp_served_owes(conn);
    if (talking)
        return !pp_io_is_armed(&talking->talk.op) && !pp_io_is_armed(&talking->go_on_op);
    return !last || !pp_io_is_armed(&last->next->op);
}

void pp_served_close_if_over(struct conn *conn)
{
    if (!(conn->flags & (CONN_ENDED | CONN_BROKEN)) || !pp_served_is_live(conn) ||
        pp_io_is_armed(&conn->op) || !is_through(conn))
        return;
    if (pp_served_talking(conn))
        pp_served_end_talk(conn, CONN_ECHOES);
    while (conn->tail)
        echo_drop_first(conn);
    conn->op.tag = CONN_CLOSING;
    pp_io_close(pp_server_of(conn)->loop, &conn->op, conn->op.fd, on_closed);
}

void pp_served_break(struct conn *conn)
{
    const struct pp_server *server = pp_server_of(conn);
    struct pp_io_loop *loop = server->loop;
    struct echo *last = pp_served_last_echo(conn);
    struct talking *talking = pp_served_talking(conn);

    if (!pp_served_is_live(conn) || conn->flags & CONN_BROKEN)
        return;
    if (pp_served_owes(conn))
        server->world->reset_on_close(conn->op.fd);
    pp_served_set(conn, CONN_BROKEN);
    pp_io_cancel(loop, &conn->op);
    if (last)
        pp_io_cancel(loop, &last->next->op);
    if (talking) {
        pp_talk_break(&talking->talk);
        pp_io_cancel(loop, &talking->go_on_op);
    }
    pp_served_close_if_over(conn);
}

/* ---- reading on ---- */

static bool should_pause(const struct conn *conn)
{
    const struct talking *talking = pp_served_talking(conn);

    return talking ? talking->rest > 0 || pp_talk_owes_too_much(&talking->talk)
                   : too_much_unsent(conn);
}

void pp_served_resume(struct conn *conn)
{
    if ((conn->flags & (CONN_PAUSED | CONN_BROKEN)) != CONN_PAUSED || should_pause(conn))
        return;
    pp_assert(!pp_io_is_armed(&conn->op) && pp_served_is_live(conn));
    pp_served_clear(conn, CONN_PAUSED);
    pp_io_recv_pooled(pp_server_of(conn)->loop, &conn->op, conn->op.fd, pp_served_on_received);
}

/* ---- echoing ---- */

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    struct echo *echo = container_of(op, struct echo, op);
    struct conn *conn = echo->conn;

    pp_assert(pp_served_last_echo(conn)->next == echo);
    if (op->res < 0) {
        pp_served_break(conn);
        pp_served_close_if_over(conn);
        return PP_IO_DISARM;
    }
    pp_server_add(&pp_server_of(conn)->counters.bytes, (uint64_t)op->res);
    pp_served_clear(conn, CONN_STUCK);
    if (!pp_io_advance(op) && !(conn->flags & CONN_BROKEN)) {
        pp_served_moved(conn);
        return PP_IO_REARM; /* a short write: the rest of this echo */
    }
    echo_drop_first(conn);
    if (conn->tail && !(conn->flags & CONN_BROKEN)) {
        pp_served_moved(conn);
        send_first(conn);
    }
    pp_served_resume(conn);
    pp_served_close_if_over(conn);
    return PP_IO_DISARM;
}

static void echo_start(struct conn *conn, char *buf, uint32_t len)
{
    struct echo *echo = pp_pool_take(&pp_server_of(conn)->echoes);

    pp_assert(echo); /* there is one for each buffer */
    echo->op = (struct pp_io_op){ .buf = buf, .len = len };
    echo->buf = buf;
    echo->conn = conn;
    if (echo_append(conn, echo))
        send_first(conn);
    else
        pp_served_set_lazy(conn);
}

/* ---- what comes ---- */

/* What a connection is turns out with the first bytes. */
static void meet(struct conn *conn, const char *data, uint32_t len)
{
    const bool greets = conn->op.tag == CONN_ASKED || pp_hello_begins(data, len);

    if (conn->op.tag != CONN_NEW && conn->op.tag != CONN_ASKED)
        return;
    if (!greets)
        conn->op.tag = CONN_ECHOES;
    else if (!pp_served_begin_talk(conn))
        pp_served_break(conn);
}

static void take(struct conn *conn, char *buf, uint32_t len)
{
    pp_assert(buf && len > 0);
    meet(conn, buf, len);
    if (conn->flags & CONN_BROKEN)
        pp_io_buffer_put(pp_server_of(conn)->loop, buf);
    else if (conn->op.tag == CONN_TALKS)
        pp_served_talk(conn, buf, len);
    else
        echo_start(conn, buf, len);
}

enum pp_io_next pp_served_on_received(struct pp_io_op *op)
{
    struct conn *conn = container_of(op, struct conn, op);

    if (op->res > 0) {
        pp_served_moved(conn);
        take(conn, op->buf, (uint32_t)op->res);
        if (should_pause(conn)) {
            pp_served_set(conn, CONN_PAUSED);
            pp_served_set_lazy(conn);
        }
        if (pp_served_is_undisturbed(conn))
            return PP_IO_REARM;
        pp_served_close_if_over(conn);
        return PP_IO_DISARM;
    }
    if (op->res == 0) {
        pp_served_set(conn, CONN_ENDED);
        pp_served_set_lazy(conn);
    } else {
        pp_served_break(conn);
    }
    pp_served_close_if_over(conn);
    return PP_IO_DISARM;
}
