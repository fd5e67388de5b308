#include "server/server.h"

#include "base/memory.h"
#include "server/conn.h"

#include <errno.h>

/* ---- accepting ---- */

static void on_connection(void *owner, int fd)
{
    struct pp_server *server = owner;
    struct conn *conn = pp_pool_take(&server->pool);

    pp_assert(server->state == SERVER_ACCEPTING);
    if (!conn) { /* more descriptors than the limit said there could be */
        server->world->close(fd);
        return;
    }
    pp_server_count(&server->counters.accepted);
    *conn = (struct conn){ .number = (uint32_t)(conn - server->conns) & 0xfffffu,
                           .op.tag = CONN_NEW };
    pp_served_moved(conn);
    pp_io_recv_pooled(server->loop, &conn->op, fd, pp_served_on_received);
}

static void on_full(void *server, int code)
{
    pp_server_spare(server, code);
}

static void on_turned_away(void *owner, const struct pp_io_addr *from)
{
    struct pp_server *server = owner;
    struct counters *counters = &server->counters;

    if (from->len > 0 && !atomic_load_explicit(&counters->told_from, memory_order_acquire)) {
        counters->turned_away_from = *from;
        atomic_store_explicit(&counters->told_from, true, memory_order_release);
    }
    pp_server_notice(server, &server->counters.turned_away);
}

/* ---- stopping ---- */

void pp_server_close_if_empty(struct pp_server *server)
{
    if (server->state != SERVER_DRAINING || server->pool.in_use > 0)
        return;
    server->state = SERVER_CLOSED;
    pp_io_cancel(server->loop, &server->watch_op);
}

/* Closes what has fallen silent, and at last everything. */
static void drain(struct pp_server *server, bool to_the_end)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (!pp_served_is_live(conn))
            continue;
        if (to_the_end)
            server->world->reset_on_close(conn->op.fd);
        if (to_the_end || (conn->flags & CONN_QUIET && !pp_served_owes(conn)))
            pp_served_break(conn);
        else
            pp_served_set(conn, CONN_QUIET);
    }
}

static enum pp_io_next drain_on(struct pp_server *server, uint64_t now_ns)
{
    const bool to_the_end = now_ns - server->stopped_ns >= server->options.limits.drain_ns;

    pp_assert(now_ns >= server->stopped_ns);
    drain(server, to_the_end);
    if (to_the_end || server->pool.in_use == 0)
        return PP_IO_DISARM;
    server->watch_op.deadline_ns = now_ns + WATCH_NS;
    return PP_IO_REARM;
}

/* Connections on which nothing is under way, for all that can be known, need not be waited for. */
static void break_dormant(struct pp_server *server)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];
        const struct talking *talking = pp_served_talking(conn);
        const bool half_greeted = talking && pp_talk_is_half_greeted(&talking->talk);

        if (pp_served_is_live(conn) &&
            (conn->op.tag == CONN_NEW || conn->op.tag == CONN_ASKED || half_greeted ||
             (!pp_served_owes(conn) && pp_served_is_silent(conn))))
            pp_served_break(conn);
        pp_served_set(conn, CONN_DRAINS);
        pp_served_set_lazy(conn);
    }
}

static enum pp_io_next on_stop(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, stop_op);

    pp_assert(server->state == SERVER_ACCEPTING);
    server->state = SERVER_DRAINING;
    server->stopped_ns = pp_io_now_ns(server->loop);
    pp_acceptor_stop(&server->acceptor);
    break_dormant(server);
    pp_server_close_if_empty(server);
    return PP_IO_DISARM;
}

/* A client that does not read is left alone as long as there are buffers for the others. */
static enum pp_io_next on_watch(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, watch_op);
    const uint64_t now_ns = pp_io_now_ns(server->loop);

    if (op->res < 0 || server->state == SERVER_CLOSED)
        return PP_IO_DISARM;
    if (server->state == SERVER_DRAINING)
        return drain_on(server, now_ns);
    if (pp_io_loop_has_starved(server->loop))
        pp_server_break_stuck(server);
    pp_server_break_half_greeted(server, now_ns);
    pp_server_live(server, now_ns);
    pp_server_check_idle(server);
    if (server->probes && !pp_acceptor_is_full(&server->acceptor))
        pp_server_stop_probing(server);
    op->deadline_ns = now_ns + pp_server_watch_ns(server);
    return PP_IO_REARM;
}

void pp_server_stop(struct pp_server *server)
{
    pp_io_wake(server->loop, &server->stop_op);
}

/* ---- opening and closing ---- */

/* Fine enough for the shortest limit, and coarse enough that the longest fits into conn->seen. */
static uint64_t tick_ns_of(const struct pp_server_limits *limits)
{
    const uint64_t shortest_ns = pp_server_shortest_limit_ns(limits) / 16;
    const uint64_t longest_ns = pp_server_shortest_limit_ns(limits) / (TICKS_MAX / 2);

    if (longest_ns > PP_NS_PER_S)
        return longest_ns;
    if (shortest_ns == 0 || shortest_ns > PP_NS_PER_S)
        return PP_NS_PER_S;
    return shortest_ns > PP_NS_PER_MS ? shortest_ns : PP_NS_PER_MS;
}

static void server_start(struct pp_server *server, const struct pp_server_options *options)
{
    server->options = *options;
    server->loop = options->loop;
    server->world = pp_io_world_of(options->loop);
    server->watched_ns = pp_io_now_ns(server->loop);
    server->tick_ns = tick_ns_of(&options->limits);
    server->acceptor = (struct pp_acceptor){ .loop = options->loop,
                                             .listen_fd = options->listen_fd,
                                             .patience_ns = options->limits.newcomer_ns,
                                             .owner = server,
                                             .on_connection = on_connection,
                                             .on_full = on_full,
                                             .on_turned_away = on_turned_away };
    pp_io_wake_wait(server->loop, &server->stop_op, on_stop);
    pp_io_timer(server->loop, &server->watch_op, server->watched_ns + pp_server_watch_ns(server),
                on_watch);
    pp_acceptor_start(&server->acceptor);
}

int pp_server_open(struct pp_server **out, const struct pp_server_options *options,
                   struct pp_error *err)
{
    const uint32_t connections = options->connections;
    const uint32_t talks = connections < TALKS_MAX ? connections : TALKS_MAX;
    struct pp_server *server =
        pp_memory_alloc(1, sizeof *server + connections * sizeof server->conns[0]);

    if (!server ||
        pp_pool_init(&server->echoes, pp_io_loop_buffers(options->loop), sizeof(struct echo)) < 0 ||
        pp_pool_init(&server->talkings, talks, sizeof(struct talking)) < 0) {
        if (server)
            pp_pool_fini(&server->echoes);
        pp_memory_free(server);
        pp_io_world_of(options->loop)->close(options->listen_fd);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory to serve %u connections",
                            connections);
    }
    pp_pool_init_over(&server->pool, server->conns, connections, sizeof server->conns[0]);
    server_start(server, options);
    pp_io_loop_constant(options->loop, options->pattern->bytes, pp_pattern_bytes(options->pattern));
    if (PP_CHECKS)
        pp_io_loop_check(options->loop, pp_server_check, server);
    *out = server;
    return 0;
}

static uint64_t counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct pp_server_counts pp_server_counts(const struct pp_server *server)
{
    const struct counters *counters = &server->counters;

    return (struct pp_server_counts){ .accepted = counted(&counters->accepted),
                                      .idle = counted(&counters->idle),
                                      .full = counted(&counters->full),
                                      .full_code = atomic_load_explicit(&counters->full_code,
                                                                        memory_order_relaxed),
                                      .turned_away = counted(&counters->turned_away),
                                      .closed = counted(&counters->closed),
                                      .bytes = counted(&counters->bytes) };
}

bool pp_server_turned_away_from(struct pp_server *server, struct pp_io_addr *from)
{
    struct counters *counters = &server->counters;

    if (!atomic_load_explicit(&counters->told_from, memory_order_acquire))
        return false;
    *from = counters->turned_away_from;
    atomic_store_explicit(&counters->told_from, false, memory_order_release);
    return true;
}

void pp_server_close(struct pp_server *server)
{
    if (!server)
        return;
    pp_acceptor_close(&server->acceptor);
    for (uint32_t i = 0; i < server->pool.used_once; i++)
        if (pp_served_is_live(&server->conns[i])) /* the loop broke down */
            server->world->close(server->conns[i].op.fd);
    pp_pool_fini(&server->echoes);
    pp_pool_fini(&server->talkings);
    pp_memory_free(server);
}
