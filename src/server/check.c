/* What always holds of a server between two callbacks, whatever clients do. */
#include "server/conn.h"

/* With more connections than this they are looked over seldom, and one at a time otherwise. */
#define CONNECTIONS_FEW 64
#define SELDOM 1024

static void check_echoes(const struct conn *conn)
{
    const struct pp_server *server = pp_server_of(conn);
    const struct echo *last = pp_served_last_echo(conn), *echo = last;
    unsigned count = 0;

    if (!last) {
        pp_assert(conn->unsent == 0 || conn->op.tag == CONN_TALKS);
        return;
    }
    do {
        pp_assert(pp_pool_owns(&server->echoes, echo));
        pp_assert(echo->conn == conn && echo->buf);
        pp_assert(echo == last->next || !pp_io_is_armed(&echo->op)); /* the oldest alone is sent */
        echo = echo->next;
        count++;
    } while (echo != last && count <= UNSENT_MAX);
    pp_assert(count == conn->unsent);
    pp_assert(conn->flags & CONN_BROKEN || pp_io_is_armed(&last->next->op));
}

static void check_talk(const struct conn *conn)
{
    const struct pp_server *server = pp_server_of(conn);
    const struct talking *talking = pp_served_talking(conn);

    pp_assert(talking && pp_pool_owns(&server->talkings, talking));
    pp_assert(talking->conn == conn);
    pp_assert(talking->talk.have <= PP_HELLO_BYTES);
    pp_assert(conn->unsent == 0);
    pp_assert(talking->rest == 0 || conn->flags & (CONN_PAUSED | CONN_BROKEN | CONN_ENDED));
}

static void check_conn(const struct pp_server *server, const struct conn *conn)
{
    pp_assert(conn->op.tag <= CONN_CLOSING);
    if (conn->op.tag == CONN_FREE)
        return;
    pp_assert(pp_server_of(conn) == server);
    if (conn->op.tag == CONN_CLOSING) {
        pp_assert(pp_io_is_armed(&conn->op) && conn->tail == 0);
        pp_assert(conn->flags & (CONN_ENDED | CONN_BROKEN));
        return;
    }
    pp_assert(conn->op.fd >= 0);
    /* Something is under way, or it would wait for ever. */
    pp_assert(pp_io_is_armed(&conn->op) || pp_served_owes(conn) || conn->flags & CONN_BROKEN);
    pp_assert(pp_served_is_undisturbed(conn) == false || pp_io_is_armed(&conn->op));
    pp_assert(conn->op.tag != CONN_NEW || conn->tail == 0);
    pp_assert(conn->op.tag != CONN_ASKED || conn->tail == 0);
    pp_assert(!(conn->flags & CONN_PROBED) || server->probes);
    if (conn->op.tag == CONN_TALKS)
        check_talk(conn);
    else
        check_echoes(conn);
}

static void check_half_greeted(const struct pp_server *server)
{
    const struct talking *newer = NULL;
    uint32_t left = server->talkings.in_use;

    pp_assert(!server->oldest == !server->newest);
    for (const struct talking *talking = server->newest; talking; talking = talking->older) {
        pp_assert(talking->newer == newer && left-- > 0);
        pp_assert(pp_talk_is_half_greeted(&talking->talk));
        pp_assert(newer || talking == server->newest);
        newer = talking;
    }
    pp_assert(newer == server->oldest);
}

static void check_all(const struct pp_server *server)
{
    uint32_t taken = 0, talks = 0, echoes = 0;

    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        const struct conn *conn = &server->conns[i];

        check_conn(server, conn);
        if (conn->op.tag == CONN_FREE)
            continue;
        taken++;
        talks += conn->op.tag == CONN_TALKS;
        echoes += conn->unsent;
    }
    pp_assert(taken == server->pool.in_use);
    pp_assert(talks == server->talkings.in_use);
    pp_assert(echoes == server->echoes.in_use);
    check_half_greeted(server);
}

void pp_server_check(void *owner)
{
    struct pp_server *server = owner;
    const struct pp_server_counts counts = pp_server_counts(server);
    const uint32_t connections = server->pool.used_once;

    pp_assert(server->state <= SERVER_CLOSED);
    pp_assert(counts.accepted == counts.closed + server->pool.in_use);
    pp_assert(counts.idle <= counts.accepted);
    pp_assert(server->state != SERVER_CLOSED || server->pool.in_use == 0);
    pp_assert(server->checked_ns <= server->lived_ns);
    server->checks++;
    if (connections <= CONNECTIONS_FEW || server->checks % SELDOM == 0)
        check_all(server);
    else
        check_conn(server, &server->conns[server->checks % connections]);
}
