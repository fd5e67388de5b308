#include "bench/server.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "base/pool.h"
#include "bench/talk.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

/* Connections that began with a hello, at once. */
#define TALKS_MAX 16384

/* Buffers with unsent echoes after which a client is not read from until it reads. */
#define UNSENT_MAX 8

/* How often to look whether clients that do not read keep the buffers from the others. */
#define WATCH_NS (100 * PP_NS_PER_MS)

/* How long no connection is accepted after descriptors or memory ran out. */
#define BACK_OFF_NS (50 * PP_NS_PER_MS)

/* Kept in conn->op.tag. */
enum conn_flag {
    CONN_LIVE = 1,
    CONN_ENDED = 2,  /* the client has sent all it had */
    CONN_PAUSED = 4, /* not read from: too much is unsent */
    CONN_BROKEN = 8, /* an error, or the server stops: drop everything */
    CONN_CLOSING = 16,
    CONN_STUCK = 32, /* had unsent echoes at the last watch, and has sent none since */
    CONN_HEARD = 64, /* something has come: only what comes first can be a hello */
    CONN_TALKS = 128 /* it was a hello: unsent is the number of its talk, counted from 1 */
};

/* A received buffer on its way back. */
struct echo {
    struct pp_io_op op;
    char *buf;
    struct conn *conn;
    struct echo *next; /* of the same connection, in a ring */
};

/* One client. Ten thousand idle ones should cost little, so there is no pointer to spare. */
struct conn {
    struct pp_io_op op; /* receive, then close */
    uint32_t number;    /* its place in server->conns */
    uint32_t unsent;    /* the echo that came last, counted from 1; 0: all is sent */
};

static_assert(sizeof(struct conn) == 48, "an idle connection costs one of these");

struct pp_server {
    struct pp_server_options options;
    struct pp_io_loop *loop;
    int listen_fd;
    _Atomic uint64_t accepted;
    struct pp_io_op accept_op; /* accept, or the timer of a pause in accepting; then close */
    struct pp_io_op stop_op;
    struct pp_io_op watch_op;
    uint64_t starved_before; /* the loop's count at the last watch */
    bool stopping;
    struct pp_pool echoes;
    struct pp_pool talks;
    struct pp_pool pool; /* over conns */
    struct conn conns[];
};

static struct pp_server *server_of(const struct conn *conn)
{
    return container_of(conn - conn->number, struct pp_server, conns);
}

/* ---- the echoes of a connection ---- */

static struct echo *last_echo(const struct conn *conn)
{
    if (!conn->unsent || conn->op.tag & CONN_TALKS)
        return NULL;
    return pp_pool_at(&server_of(conn)->echoes, conn->unsent - 1);
}

static struct pp_talk *talk_of(const struct conn *conn)
{
    if (!(conn->op.tag & CONN_TALKS))
        return NULL;
    return pp_pool_at(&server_of(conn)->talks, conn->unsent - 1);
}

static uint32_t echo_number(const struct pp_server *server, const struct echo *echo)
{
    return (uint32_t)(echo - (const struct echo *)(const void *)server->echoes.items);
}

static bool echo_append(struct conn *conn, struct echo *echo)
{
    struct echo *last = last_echo(conn);

    echo->next = last ? last->next : echo;
    if (last)
        last->next = echo;
    conn->unsent = echo_number(server_of(conn), echo) + 1;
    return !last;
}

/* Takes the oldest echo out and gives back its buffer. */
static void echo_drop_first(struct conn *conn)
{
    struct pp_server *server = server_of(conn);
    struct echo *last = last_echo(conn);
    struct echo *first = last->next;

    last->next = first->next;
    if (first == last)
        conn->unsent = 0;
    pp_io_buffer_put(server->loop, first->buf);
    pp_pool_give(&server->echoes, first);
}

static bool too_much_unsent(const struct conn *conn)
{
    const struct echo *last = last_echo(conn);
    unsigned count = 1;

    if (!last)
        return false;
    for (const struct echo *echo = last->next; echo != last; echo = echo->next)
        count++;
    return count >= UNSENT_MAX;
}

static enum pp_io_next on_sent(struct pp_io_op *op);
static enum pp_io_next on_received(struct pp_io_op *op);

static bool is_undisturbed(const struct conn *conn)
{
    return (conn->op.tag & ~(CONN_STUCK | CONN_HEARD | CONN_TALKS)) == CONN_LIVE;
}

/* The news that a send is done can wait, unless something else waits for that news. */
static void set_lazy(struct conn *conn)
{
    struct echo *last = last_echo(conn);

    if (last)
        last->next->op.lazy = last->next == last && is_undisturbed(conn);
}

static void send_first(struct conn *conn)
{
    struct echo *first = last_echo(conn)->next;

    pp_io_send(server_of(conn)->loop, &first->op, conn->op.fd, first->op.buf, first->op.len,
               on_sent);
    set_lazy(conn);
}

/* ---- the end of a connection ---- */

static enum pp_io_next on_closed(struct pp_io_op *op)
{
    struct conn *conn = container_of(op, struct conn, op);

    op->tag = 0;
    pp_pool_give(&server_of(conn)->pool, conn);
    return PP_IO_DISARM;
}

/* Whether it has sent all it owes, or never will: nothing is under way. */
static bool is_through(const struct conn *conn)
{
    const bool broken = conn->op.tag & CONN_BROKEN;
    const struct pp_talk *talk = talk_of(conn);
    const struct echo *last = last_echo(conn);

    if (talk)
        return broken ? !pp_io_is_armed(&talk->op) : pp_talk_is_quiet(talk);
    return !last || (broken && !pp_io_is_armed(&last->next->op));
}

static void drop_unsent(struct conn *conn)
{
    struct pp_talk *talk = talk_of(conn);

    if (talk) {
        pp_pool_give(&server_of(conn)->talks, talk);
        conn->unsent = 0;
        conn->op.tag &= (uint8_t)~CONN_TALKS;
    }
    while (conn->unsent)
        echo_drop_first(conn);
}

/* Closes the connection once nothing is under way on it any more. */
static void conn_close_if_over(struct conn *conn)
{
    if (!(conn->op.tag & (CONN_ENDED | CONN_BROKEN)) || conn->op.tag & CONN_CLOSING ||
        pp_io_is_armed(&conn->op) || !is_through(conn))
        return;
    drop_unsent(conn);
    conn->op.tag |= CONN_CLOSING;
    pp_io_close(server_of(conn)->loop, &conn->op, conn->op.fd, on_closed);
}

static void conn_break(struct conn *conn)
{
    struct pp_io_loop *loop = server_of(conn)->loop;
    struct echo *last = last_echo(conn);
    struct pp_talk *talk = talk_of(conn);

    if (conn->op.tag & CONN_CLOSING)
        return;
    conn->op.tag |= CONN_BROKEN;
    pp_io_cancel(loop, &conn->op);
    if (last)
        pp_io_cancel(loop, &last->next->op);
    if (talk) {
        talk->unsent = 0; /* a send that is through already must not start the next one */
        pp_io_cancel(loop, &talk->op);
    }
    conn_close_if_over(conn);
}

/* ---- echoing ---- */

static void resume_if_paused(struct conn *conn)
{
    if ((conn->op.tag & (CONN_PAUSED | CONN_BROKEN)) != CONN_PAUSED || too_much_unsent(conn))
        return;
    conn->op.tag &= (uint8_t)~CONN_PAUSED;
    pp_io_recv_pooled(server_of(conn)->loop, &conn->op, conn->op.fd, on_received);
}

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    struct echo *echo = container_of(op, struct echo, op);
    struct conn *conn = echo->conn;

    if (op->res < 0) {
        conn_break(conn);
        return PP_IO_DISARM;
    }
    conn->op.tag &= (uint8_t)~CONN_STUCK;
    if (!pp_io_advance(op) && !(conn->op.tag & CONN_BROKEN))
        return PP_IO_REARM; /* a short write: the rest of this echo */
    echo_drop_first(conn);
    if (conn->unsent && !(conn->op.tag & CONN_BROKEN))
        send_first(conn);
    resume_if_paused(conn);
    conn_close_if_over(conn);
    return PP_IO_DISARM;
}

static void echo_start(struct conn *conn, char *buf, uint32_t len)
{
    struct echo *echo = pp_pool_take(&server_of(conn)->echoes);

    pp_assert(echo); /* there is one for each buffer */
    echo->op = (struct pp_io_op){ .buf = buf, .len = len };
    echo->buf = buf;
    echo->conn = conn;
    if (echo_append(conn, echo))
        send_first(conn);
}

/* ---- talking ---- */

static void on_talk_sent(struct pp_talk *talk, int res)
{
    struct conn *conn = talk->conn;

    if (res < 0)
        conn_break(conn);
    else
        conn_close_if_over(conn);
}

static void talk_start(struct conn *conn)
{
    struct pp_server *server = server_of(conn);
    struct pp_talk *talk = pp_pool_take(&server->talks);

    if (!talk) {
        conn_break(conn);
        return;
    }
    pp_talk_begin(talk, &server->options, conn->op.fd);
    talk->conn = conn;
    talk->on_sent = on_talk_sent;
    conn->unsent = (uint32_t)(talk - (const struct pp_talk *)(const void *)server->talks.items) + 1;
    conn->op.tag |= CONN_TALKS;
}

static void talk_take(struct conn *conn, char *buf, uint32_t len)
{
    if (!pp_talk_take(talk_of(conn), buf, len))
        conn_break(conn);
    pp_io_buffer_put(server_of(conn)->loop, buf);
}

static void take(struct conn *conn, char *buf, uint32_t len)
{
    if (!(conn->op.tag & CONN_HEARD)) {
        conn->op.tag |= CONN_HEARD;
        if (pp_hello_begins(buf, len))
            talk_start(conn);
    }
    if (conn->op.tag & CONN_TALKS)
        talk_take(conn, buf, len);
    else if (conn->op.tag & CONN_BROKEN)
        pp_io_buffer_put(server_of(conn)->loop, buf);
    else
        echo_start(conn, buf, len);
}

static enum pp_io_next on_received(struct pp_io_op *op)
{
    struct conn *conn = container_of(op, struct conn, op);

    if (op->res > 0) {
        take(conn, op->buf, (uint32_t)op->res);
        if (too_much_unsent(conn))
            op->tag |= CONN_PAUSED;
        set_lazy(conn);
        if (is_undisturbed(conn))
            return PP_IO_REARM;
        conn_close_if_over(conn);
        return PP_IO_DISARM;
    }
    if (op->res == 0) {
        op->tag |= CONN_ENDED;
        set_lazy(conn);
        conn_close_if_over(conn);
    } else {
        conn_break(conn);
    }
    return PP_IO_DISARM;
}

/* ---- accepting ---- */

static enum pp_io_next on_accepted(struct pp_io_op *op);

static void conn_start(struct pp_server *server, int fd)
{
    struct conn *conn = pp_pool_take(&server->pool);

    if (!conn) { /* more descriptors than the limit said there could be */
        (void)close(fd);
        return;
    }
    atomic_store_explicit(&server->accepted,
                          atomic_load_explicit(&server->accepted, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    *conn = (struct conn){ .number = (uint32_t)(conn - server->conns), .op.tag = CONN_LIVE };
    pp_io_recv_pooled(server->loop, &conn->op, fd, on_received);
}

static enum pp_io_next on_listener_closed(struct pp_io_op *op)
{
    (void)op;
    return PP_IO_DISARM;
}

static enum pp_io_next stop_accepting(struct pp_server *server)
{
    pp_io_close(server->loop, &server->accept_op, server->listen_fd, on_listener_closed);
    server->listen_fd = -1;
    return PP_IO_DISARM;
}

static enum pp_io_next on_backed_off(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, accept_op);

    if (server->stopping)
        return stop_accepting(server);
    pp_io_accept(server->loop, op, server->listen_fd, on_accepted);
    return PP_IO_DISARM;
}

static enum pp_io_next on_accepted(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, accept_op);

    if (server->stopping) {
        if (op->res >= 0)
            (void)close(op->res);
        return stop_accepting(server);
    }
    if (op->res >= 0) {
        conn_start(server, op->res);
        return PP_IO_REARM;
    }
    /* Out of descriptors or memory: asking again at once would only spin. */
    pp_io_timer(server->loop, op, pp_clock_now_ns() + BACK_OFF_NS, on_backed_off);
    return PP_IO_DISARM;
}

/* ---- fairness ---- */

/* Ends the connections that have taken none of their echoes between two watches, to get back the
 * buffers which these fill. */
static void break_stuck(struct pp_server *server)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (!(conn->op.tag & CONN_LIVE) || !last_echo(conn))
            continue;
        if (conn->op.tag & CONN_STUCK)
            conn_break(conn);
        conn->op.tag |= CONN_STUCK;
    }
}

/* A client that does not read is left alone as long as there are buffers for the others. */
static enum pp_io_next on_watch(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, watch_op);
    const uint64_t starved = pp_io_loop_stats(server->loop).starved;

    if (server->stopping)
        return PP_IO_DISARM;
    if (starved != server->starved_before || pp_io_loop_is_starving(server->loop))
        break_stuck(server);
    server->starved_before = starved;
    op->deadline_ns = pp_clock_now_ns() + WATCH_NS;
    return PP_IO_REARM;
}

/* ---- opening and closing ---- */

static enum pp_io_next on_stop(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, stop_op);

    server->stopping = true;
    pp_io_cancel(server->loop, &server->accept_op);
    pp_io_cancel(server->loop, &server->watch_op);
    for (uint32_t i = 0; i < server->pool.used_once; i++)
        if (server->conns[i].op.tag & CONN_LIVE)
            conn_break(&server->conns[i]);
    return PP_IO_DISARM;
}

void pp_server_stop(struct pp_server *server)
{
    pp_io_wake(server->loop, &server->stop_op);
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
        pp_pool_init(&server->talks, talks, sizeof(struct pp_talk)) < 0) {
        if (server)
            pp_pool_fini(&server->echoes);
        pp_memory_free(server);
        (void)close(options->listen_fd);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory to serve %u connections",
                            connections);
    }
    pp_pool_init_over(&server->pool, server->conns, connections, sizeof server->conns[0]);
    server->options = *options;
    server->loop = options->loop;
    server->listen_fd = options->listen_fd;
    pp_io_wake_wait(server->loop, &server->stop_op, on_stop);
    pp_io_timer(server->loop, &server->watch_op, pp_clock_now_ns() + WATCH_NS, on_watch);
    pp_io_accept(server->loop, &server->accept_op, server->listen_fd, on_accepted);
    *out = server;
    return 0;
}

uint64_t pp_server_accepted(const struct pp_server *server)
{
    return atomic_load_explicit(&server->accepted, memory_order_relaxed);
}

void pp_server_close(struct pp_server *server)
{
    if (!server)
        return;
    if (server->listen_fd >= 0) /* the loop never ran, or broke down */
        (void)close(server->listen_fd);
    pp_pool_fini(&server->talks);
    pp_pool_fini(&server->echoes);
    pp_memory_free(server);
}
