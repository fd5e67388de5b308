/* No client takes from another what a server has: buffers, places, descriptors. */
#include "server/conn.h"

/* How many silent connections are closed, or asked whether they are still there, each time that
 * there is no descriptor for the next one. */
#define SPARE_MAX 64
#define PROBE_MAX 1024

/* ---- fairness ---- */

void pp_server_break_stuck(struct pp_server *server)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (!pp_served_is_live(conn) || !pp_served_last_echo(conn))
            continue;
        if (conn->flags & CONN_STUCK)
            pp_served_break(conn);
        pp_served_set(conn, CONN_STUCK);
    }
}

void pp_server_break_half_greeted(struct pp_server *server, uint64_t now_ns)
{
    while (server->oldest && now_ns - server->oldest->began_ns >= server->options.limits.hello_ns)
        pp_server_drop_half_greeted(server);
}

/* How long nothing may come or go; 0: for ever. */
static uint64_t idle_limit_ns(const struct conn *conn)
{
    const struct pp_server_limits *limits = &pp_server_of(conn)->options.limits;

    if (limits->idle_ns || !(conn->op.tag == CONN_NEW || pp_served_owes(conn)))
        return limits->idle_ns;
    return limits->silent_ns;
}

static void break_idle(struct pp_server *server)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];
        const uint64_t limit_ns = pp_served_is_live(conn) ? idle_limit_ns(conn) : 0;

        if (limit_ns == 0 || conn->flags & CONN_BROKEN || pp_served_silent_ns(conn) < limit_ns)
            continue;
        pp_served_break(conn);
        pp_server_notice(server, &server->counters.idle);
    }
}

uint64_t pp_server_shortest_limit_ns(const struct pp_server_limits *limits)
{
    return limits->idle_ns ? limits->idle_ns : limits->silent_ns;
}

uint64_t pp_server_watch_ns(const struct pp_server *server)
{
    return server->tick_ns < WATCH_NS ? server->tick_ns : WATCH_NS;
}

void pp_server_live(struct pp_server *server, uint64_t now_ns)
{
    const uint64_t passed_ns = now_ns - server->watched_ns;
    const uint64_t most_ns = 2 * pp_server_watch_ns(server);

    pp_assert(now_ns >= server->watched_ns && server->tick_ns > 0);
    server->lived_ns += passed_ns < most_ns ? passed_ns : most_ns;
    server->watched_ns = now_ns;
    server->tick = (uint32_t)(server->lived_ns / server->tick_ns);
}

void pp_server_check_idle(struct pp_server *server)
{
    const uint64_t limit_ns = pp_server_shortest_limit_ns(&server->options.limits);

    pp_assert(server->checked_ns <= server->lived_ns);
    if (limit_ns == 0 || server->lived_ns - server->checked_ns < limit_ns / 8)
        return;
    server->checked_ns = server->lived_ns;
    break_idle(server);
}

/* ---- when descriptors run out ---- */

/* The longest that a connection has been silent which never said anything. */
static uint64_t longest_silence_ns(const struct pp_server *server)
{
    uint64_t longest_ns = 0;

    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        const struct conn *conn = &server->conns[i];

        if (conn->op.tag == CONN_NEW && pp_served_silent_ns(conn) > longest_ns)
            longest_ns = pp_served_silent_ns(conn);
    }
    return longest_ns;
}

/* Closes connections that never said anything, the silent ones first. */
static void spare_silent(struct pp_server *server)
{
    const uint64_t longest_ns = longest_silence_ns(server);
    unsigned left = SPARE_MAX;

    for (uint32_t i = 0; i < server->pool.used_once && left > 0; i++) {
        struct conn *conn = &server->conns[i];

        if (conn->op.tag != CONN_NEW || !pp_served_is_silent(conn) ||
            pp_served_silent_ns(conn) < longest_ns / 4 * 3)
            continue;
        pp_served_break(conn);
        pp_server_notice(server, &server->counters.idle);
        left--;
    }
}

/* The kernel asks those on the other side of silent connections whether they are still there. */
static void probe_silent(struct pp_server *server)
{
    unsigned left = PROBE_MAX;

    for (uint32_t i = 0; i < server->pool.used_once && left > 0; i++) {
        struct conn *conn = &server->conns[i];

        if (!pp_served_is_live(conn) || conn->flags & (CONN_PROBED | CONN_BROKEN) ||
            !pp_served_is_silent(conn))
            continue;
        server->world->keepalive(conn->op.fd, 1, 4);
        pp_served_set(conn, CONN_PROBED);
        server->probes = true;
        left--;
    }
}

void pp_server_stop_probing(struct pp_server *server)
{
    const struct pp_server_limits *limits = &server->options.limits;

    server->probes = false;
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (!pp_served_is_live(conn) || !(conn->flags & CONN_PROBED))
            continue;
        server->world->keepalive(conn->op.fd, limits->keepalive_s, limits->unacked_s);
        pp_served_clear(conn, CONN_PROBED);
    }
}

/* Where ticks are long, as with a limit of days, they do not tell who has been silent for long
 * enough. While descriptors are short, who was silent for a whole round is. */
static void round_begin(struct pp_server *server)
{
    pp_assert(server->round_ns <= server->lived_ns);
    if (server->lived_ns - server->round_ns <= server->options.limits.spare_ns)
        return;
    server->round_ns = server->lived_ns;
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (conn->flags & CONN_STILL)
            pp_served_set(conn, CONN_SILENT);
        pp_served_set(conn, CONN_STILL);
    }
}

void pp_server_spare(struct pp_server *server, int code)
{
    atomic_store_explicit(&server->counters.full_code, code, memory_order_relaxed);
    pp_server_notice(server, &server->counters.full);
    round_begin(server);
    spare_silent(server);
    probe_silent(server);
}
