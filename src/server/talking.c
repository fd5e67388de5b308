/* Connections that began with a hello. */
#include "server/conn.h"

/* ---- the talk of a connection ---- */

static void half_greeted_add(struct pp_server *server, struct talking *talking)
{
    pp_assert(pp_pool_owns(&server->talkings, talking));
    talking->older = server->newest;
    talking->newer = NULL;
    if (server->newest)
        server->newest->newer = talking;
    else
        server->oldest = talking;
    server->newest = talking;
}

static void half_greeted_remove(struct pp_server *server, struct talking *talking)
{
    pp_assert(server->oldest && server->newest);
    if (talking->older)
        talking->older->newer = talking->newer;
    else
        server->oldest = talking->newer;
    if (talking->newer)
        talking->newer->older = talking->older;
    else
        server->newest = talking->older;
}

void pp_served_end_talk(struct conn *conn, enum conn_stage next)
{
    struct pp_server *server = pp_server_of(conn);
    struct talking *talking = pp_served_talking(conn);

    pp_assert(talking && !pp_io_is_armed(&talking->talk.op) && !pp_io_is_armed(&talking->go_on_op));
    if (pp_talk_is_half_greeted(&talking->talk))
        half_greeted_remove(server, talking);
    pp_pool_give(&server->talkings, talking);
    conn->tail = 0;
    conn->op.tag = (uint8_t)next;
}

/* ---- talking ---- */

static void talk_take(struct conn *conn, const char *data);

/* A timer that has passed: the next portion is the next turn's. */
static enum pp_io_next on_go_on(struct pp_io_op *op)
{
    struct talking *talking = container_of(op, struct talking, go_on_op);
    struct conn *conn = talking->conn;

    if (!(conn->flags & CONN_BROKEN))
        talk_take(conn, NULL);
    pp_served_close_if_over(conn);
    return PP_IO_DISARM;
}

static void go_on_soon(struct conn *conn)
{
    struct talking *talking = pp_served_talking(conn);

    if (talking->rest > 0 && !pp_talk_owes_too_much(&talking->talk) &&
        !pp_io_is_armed(&talking->go_on_op))
        pp_io_timer(pp_server_of(conn)->loop, &talking->go_on_op, 0, on_go_on);
}

/* Takes a portion of what has come, the rest of which is remembered by its length alone: so nobody
 * keeps a buffer from the others. data is NULL where there is nothing but such a rest. */
static void talk_take(struct conn *conn, const char *data)
{
    struct pp_server *server = pp_server_of(conn);
    struct talking *talking = pp_served_talking(conn);
    const bool was_half = pp_talk_is_half_greeted(&talking->talk);
    const int64_t used = pp_talk_take(&talking->talk, data, talking->rest);

    if (was_half && !pp_talk_is_half_greeted(&talking->talk))
        half_greeted_remove(server, talking);
    else if (!was_half && pp_talk_is_half_greeted(&talking->talk))
        half_greeted_add(server, talking);
    if (used < 0) {
        pp_served_break(conn);
        return;
    }
    pp_assert(used <= talking->rest);
    talking->rest -= (uint32_t)used;
    pp_served_resume(conn);
    go_on_soon(conn);
}

/* A client that asked for nothing needs no talk until it asks again. */
static void on_talk_sent(struct pp_talk *talk, int res)
{
    struct talking *talking = container_of(talk, struct talking, talk);
    struct conn *conn = talking->conn;

    if (res > 0 && talk->answers)
        pp_server_add(&pp_server_of(conn)->counters.bytes, (uint64_t)res);
    if (res < 0) {
        pp_served_break(conn);
    } else if (!(conn->flags & CONN_BROKEN)) {
        pp_served_moved(conn);
        if (!talk->answers && !pp_talk_is_half_greeted(talk))
            pp_served_end_talk(conn, CONN_ASKED);
        else
            go_on_soon(conn);
        pp_served_resume(conn);
    }
    pp_served_close_if_over(conn);
}

void pp_server_drop_half_greeted(struct pp_server *server)
{
    struct conn *conn = server->oldest->conn;

    pp_assert(pp_talk_is_half_greeted(&server->oldest->talk));
    pp_served_end_talk(conn, CONN_ASKED);
    pp_served_break(conn);
}

bool pp_served_begin_talk(struct conn *conn)
{
    struct pp_server *server = pp_server_of(conn);
    struct talking *talking = pp_pool_take(&server->talkings);

    if (!talking && server->oldest) {
        pp_server_drop_half_greeted(server);
        talking = pp_pool_take(&server->talkings);
    }
    if (!talking)
        return false;
    pp_talk_begin(&talking->talk, &server->options, conn->op.fd);
    talking->talk.on_sent = on_talk_sent;
    talking->conn = conn;
    talking->go_on_op = (struct pp_io_op){ 0 };
    talking->rest = 0;
    talking->began_ns = pp_io_now_ns(server->loop);
    conn->tail =
        ((uint32_t)(talking - (const struct talking *)(const void *)server->talkings.items) + 1) &
        0x3ffffu;
    conn->op.tag = CONN_TALKS;
    return true;
}

void pp_served_talk(struct conn *conn, char *buf, uint32_t len)
{
    pp_assert(conn->op.tag == CONN_TALKS && pp_served_talking(conn)->rest == 0);
    pp_served_talking(conn)->rest = len;
    talk_take(conn, buf);
    pp_io_buffer_put(pp_server_of(conn)->loop, buf);
}
