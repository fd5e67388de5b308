#include "server/server.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "base/pool.h"
#include "server/acceptor.h"
#include "server/talk.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

/* Connections that began with a hello, at once. */
#define TALKS_MAX 16384

/* Buffers with unsent echoes after which a client is not read from until it reads: at most, and
 * fewer when they run short. */
#define UNSENT_MAX 8
#define UNSENT_MIN 2

/* How often to look whether clients that do not read keep the buffers from the others, and whether
 * connections have fallen silent. */
#define WATCH_NS (100 * PP_NS_PER_MS)

/* How many silent connections are closed, or asked whether they are still there, each time that
 * there is no descriptor for the next one. */
#define SPARE_MAX 64
#define PROBE_MAX 1024

/* Kept in conn->op.tag. */
enum conn_stage {
    CONN_FREE,
    CONN_NEW,    /* nothing has come: only what comes first can be a hello */
    CONN_ECHOES, /* it was none */
    CONN_TALKS,  /* a hello, or requests after one: tail is the number of its talk */
    CONN_ASKED,  /* a hello was answered that asked for nothing; another may follow */
    CONN_CLOSING
};

enum conn_flag {
    CONN_ENDED = 1,   /* the client has sent all it had */
    CONN_PAUSED = 2,  /* not read from: too much is unsent, or not taken yet */
    CONN_BROKEN = 4,  /* an error, or the server stops: drop everything */
    CONN_STUCK = 8,   /* had unsent echoes at the last watch, and has sent none since */
    CONN_QUIET = 16,  /* nothing has come or gone since the last watch of a stopping server */
    CONN_DRAINS = 32, /* the server has been stopped */
    CONN_PROBED = 64, /* the kernel asks the other side whether it is still there */
    CONN_STILL = 128, /* nothing has come or gone since the last round: see round_begin() */
    CONN_SILENT = 256 /* nor since the one before */
};

/* A received buffer on its way back. */
struct echo {
    struct pp_io_op op;
    char *buf;
    struct conn *conn;
    struct echo *next; /* of the same connection, in a ring */
};

/* What a connection has that talks. */
struct talking {
    struct pp_talk talk;
    struct conn *conn;
    struct talking *older, *newer; /* among those whose hello is not whole */
    uint64_t began_ns;
    struct pp_io_op go_on_op;
    uint32_t rest; /* bytes of requests that have come and are not taken in yet */
};

/* One client. Ten thousand idle ones should cost little, so there is no pointer to spare. */
struct conn {
    struct pp_io_op op;   /* receive, then close */
    uint32_t number : 20; /* its place in server->conns */
    uint32_t seen : 12;   /* the tick when something came or went, as far as the bits reach */
    uint32_t tail : 18;   /* the echo that came last, or the talk, counted from 1; 0: none */
    uint32_t unsent : 4;  /* echoes */
    uint32_t flags : 10;
};

#define TICKS_MAX 4096 /* that seen can tell apart */

static_assert(sizeof(struct conn) == 48, "an idle connection costs one of these");
static_assert(PP_IO_FDS_MAX <= UINT32_C(1) << 20, "a connection's number has 20 bits");
static_assert(UNSENT_MAX < 1 << 4, "how many echoes are unsent has 4 bits");
static_assert(TALKS_MAX < 1 << 18, "a talk's number has 18 bits");

/* Written by the server's thread, read by any. */
struct counters {
    _Atomic uint64_t accepted, idle, full, turned_away, closed, bytes;
    atomic_int full_code;
};

struct pp_server {
    struct pp_server_options options;
    struct pp_io_loop *loop;
    struct pp_acceptor acceptor;
    struct counters counters;
    struct pp_io_op stop_op;
    struct pp_io_op watch_op;
    uint64_t tick_ns;                          /* what conn->seen is counted in */
    uint32_t tick;                             /* now */
    uint64_t watched_ns, lived_ns, checked_ns; /* see live() */
    uint64_t round_ns;                         /* when the last round began, in lived_ns */
    uint64_t stopped_ns;
    bool stopping;
    bool probes; /* some connections are CONN_PROBED */
    struct pp_pool echoes;
    struct pp_pool talkings;
    struct talking *oldest, *newest; /* whose hello is not whole */
    struct pp_pool pool;             /* over conns */
    struct conn conns[];
};

static struct pp_server *server_of(const struct conn *conn)
{
    return container_of(conn - conn->number, struct pp_server, conns);
}

static void add(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter)
{
    add(counter, 1);
}

static void notice(struct pp_server *server, _Atomic uint64_t *counter)
{
    count(counter);
    if (server->options.on_notice)
        server->options.on_notice(server->options.owner);
}

/* ---- what a connection is at ---- */

static bool is_live(const struct conn *conn)
{
    return conn->op.tag != CONN_FREE && conn->op.tag != CONN_CLOSING;
}

static void set_flag(struct conn *conn, enum conn_flag flag)
{
    conn->flags |= (uint32_t)flag & 0x3ffu;
}

static void clear_flags(struct conn *conn, unsigned flags)
{
    conn->flags &= ~flags & 0x3ffu;
}

static void note_movement(struct conn *conn)
{
    conn->seen = server_of(conn)->tick % TICKS_MAX;
    clear_flags(conn, CONN_QUIET | CONN_STILL | CONN_SILENT);
}

static uint64_t silent_ns(const struct conn *conn)
{
    const struct pp_server *server = server_of(conn);

    return (server->tick - conn->seen) % TICKS_MAX * server->tick_ns;
}

/* For so long that it may be the first to go. A tick may have just begun, or just ended. */
static bool is_silent(const struct conn *conn)
{
    const struct pp_server *server = server_of(conn);

    return conn->flags & CONN_SILENT ||
           silent_ns(conn) >= server->options.limits.spare_ns + server->tick_ns;
}

static bool is_undisturbed(const struct conn *conn)
{
    return !(conn->flags & (CONN_ENDED | CONN_PAUSED | CONN_BROKEN));
}

/* ---- the echoes of a connection ---- */

static struct echo *last_echo(const struct conn *conn)
{
    if (!conn->tail || conn->op.tag == CONN_TALKS)
        return NULL;
    return pp_pool_at(&server_of(conn)->echoes, conn->tail - 1);
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
    conn->tail = (echo_number(server_of(conn), echo) + 1) & 0x3ffffu;
    conn->unsent++;
    return !last;
}

/* Takes the oldest echo out and gives back its buffer. */
static void echo_drop_first(struct conn *conn)
{
    struct pp_server *server = server_of(conn);
    struct echo *last = last_echo(conn);
    struct echo *first = last->next;

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
           conn->unsent >= pp_io_recv_share(server_of(conn)->loop, &conn->op, UNSENT_MAX);
}

static enum pp_io_next on_sent(struct pp_io_op *op);
static enum pp_io_next on_received(struct pp_io_op *op);

/* The news that a send is done can wait, unless something else waits for that news. */
static void set_lazy(struct conn *conn)
{
    struct echo *last = last_echo(conn);

    if (last)
        last->next->op.lazy = last->next == last && is_undisturbed(conn) &&
                              !(conn->flags & CONN_DRAINS);
}

static void send_first(struct conn *conn)
{
    struct echo *first = last_echo(conn)->next;

    pp_io_send(server_of(conn)->loop, &first->op, conn->op.fd, first->op.buf, first->op.len,
               on_sent);
    set_lazy(conn);
}

/* ---- the talk of a connection ---- */

static struct talking *talking_of(const struct conn *conn)
{
    if (conn->op.tag != CONN_TALKS)
        return NULL;
    return pp_pool_at(&server_of(conn)->talkings, conn->tail - 1);
}

static void half_greeted_add(struct pp_server *server, struct talking *talking)
{
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
    if (talking->older)
        talking->older->newer = talking->newer;
    else
        server->oldest = talking->newer;
    if (talking->newer)
        talking->newer->older = talking->older;
    else
        server->newest = talking->older;
}

/* Nothing of it may be under way. */
static void talking_drop(struct conn *conn, enum conn_stage next)
{
    struct pp_server *server = server_of(conn);
    struct talking *talking = talking_of(conn);

    if (pp_talk_is_half_greeted(&talking->talk))
        half_greeted_remove(server, talking);
    pp_pool_give(&server->talkings, talking);
    conn->tail = 0;
    conn->op.tag = (uint8_t)next;
}

/* ---- the end of a connection ---- */

static enum pp_io_next on_closed(struct pp_io_op *op)
{
    struct conn *conn = container_of(op, struct conn, op);
    struct pp_server *server = server_of(conn);

    op->tag = CONN_FREE;
    count(&server->counters.closed);
    pp_pool_give(&server->pool, conn);
    if (server->stopping && server->pool.in_use == 0)
        pp_io_cancel(server->loop, &server->watch_op);
    return PP_IO_DISARM;
}

/* Whether anything is owed to the client. */
static bool owes(const struct conn *conn)
{
    const struct talking *talking = talking_of(conn);

    return talking ? talking->rest > 0 || !pp_talk_is_quiet(&talking->talk) : conn->tail != 0;
}

/* Whether it has sent all it owes, or never will: nothing is under way. */
static bool is_through(const struct conn *conn)
{
    const struct talking *talking = talking_of(conn);
    const struct echo *last = last_echo(conn);

    if (!(conn->flags & CONN_BROKEN))
        return !owes(conn);
    if (talking)
        return !pp_io_is_armed(&talking->talk.op) && !pp_io_is_armed(&talking->go_on_op);
    return !last || !pp_io_is_armed(&last->next->op);
}

/* Closes the connection once nothing is under way on it any more. */
static void conn_close_if_over(struct conn *conn)
{
    if (!(conn->flags & (CONN_ENDED | CONN_BROKEN)) || !is_live(conn) ||
        pp_io_is_armed(&conn->op) || !is_through(conn))
        return;
    if (talking_of(conn))
        talking_drop(conn, CONN_ECHOES);
    while (conn->tail)
        echo_drop_first(conn);
    conn->op.tag = CONN_CLOSING;
    pp_io_close(server_of(conn)->loop, &conn->op, conn->op.fd, on_closed);
}

/* What is owed is dropped, and then the client must not take the end for a proper one. */
static void conn_break(struct conn *conn)
{
    struct pp_io_loop *loop = server_of(conn)->loop;
    struct echo *last = last_echo(conn);
    struct talking *talking = talking_of(conn);

    if (!is_live(conn) || conn->flags & CONN_BROKEN)
        return;
    if (owes(conn))
        pp_io_socket_reset_on_close(conn->op.fd);
    set_flag(conn, CONN_BROKEN);
    pp_io_cancel(loop, &conn->op);
    if (last)
        pp_io_cancel(loop, &last->next->op);
    if (talking) {
        pp_talk_break(&talking->talk);
        pp_io_cancel(loop, &talking->go_on_op);
    }
    conn_close_if_over(conn);
}

/* ---- reading on ---- */

static bool should_pause(const struct conn *conn)
{
    const struct talking *talking = talking_of(conn);

    return talking ? talking->rest > 0 || pp_talk_owes_too_much(&talking->talk)
                   : too_much_unsent(conn);
}

static void resume_if_paused(struct conn *conn)
{
    if ((conn->flags & (CONN_PAUSED | CONN_BROKEN)) != CONN_PAUSED || should_pause(conn))
        return;
    clear_flags(conn, CONN_PAUSED);
    pp_io_recv_pooled(server_of(conn)->loop, &conn->op, conn->op.fd, on_received);
}

/* ---- echoing ---- */

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    struct echo *echo = container_of(op, struct echo, op);
    struct conn *conn = echo->conn;

    if (op->res < 0) {
        conn_break(conn);
        conn_close_if_over(conn);
        return PP_IO_DISARM;
    }
    add(&server_of(conn)->counters.bytes, (uint64_t)op->res);
    clear_flags(conn, CONN_STUCK);
    if (!pp_io_advance(op) && !(conn->flags & CONN_BROKEN)) {
        note_movement(conn);
        return PP_IO_REARM; /* a short write: the rest of this echo */
    }
    echo_drop_first(conn);
    if (conn->tail && !(conn->flags & CONN_BROKEN)) {
        note_movement(conn);
        send_first(conn);
    }
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
    else
        set_lazy(conn);
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
    conn_close_if_over(conn);
    return PP_IO_DISARM;
}

static void go_on_soon(struct conn *conn)
{
    struct talking *talking = talking_of(conn);

    if (talking->rest > 0 && !pp_talk_owes_too_much(&talking->talk) &&
        !pp_io_is_armed(&talking->go_on_op))
        pp_io_timer(server_of(conn)->loop, &talking->go_on_op, 0, on_go_on);
}

/* Takes a portion of what has come, the rest of which is remembered by its length alone: so nobody
 * keeps a buffer from the others. data is NULL where there is nothing but such a rest. */
static void talk_take(struct conn *conn, const char *data)
{
    struct pp_server *server = server_of(conn);
    struct talking *talking = talking_of(conn);
    const bool was_half = pp_talk_is_half_greeted(&talking->talk);
    const int64_t used = pp_talk_take(&talking->talk, data, talking->rest);

    if (was_half && !pp_talk_is_half_greeted(&talking->talk))
        half_greeted_remove(server, talking);
    else if (!was_half && pp_talk_is_half_greeted(&talking->talk))
        half_greeted_add(server, talking);
    if (used < 0) {
        conn_break(conn);
        return;
    }
    talking->rest -= (uint32_t)used;
    resume_if_paused(conn);
    go_on_soon(conn);
}

/* A client that asked for nothing needs no talk until it asks again. */
static void on_talk_sent(struct pp_talk *talk, int res)
{
    struct talking *talking = container_of(talk, struct talking, talk);
    struct conn *conn = talking->conn;

    if (res > 0 && talk->answers)
        add(&server_of(conn)->counters.bytes, (uint64_t)res);
    if (res < 0) {
        conn_break(conn);
    } else if (!(conn->flags & CONN_BROKEN)) {
        note_movement(conn);
        if (!talk->answers && !pp_talk_is_half_greeted(talk))
            talking_drop(conn, CONN_ASKED);
        else
            go_on_soon(conn);
        resume_if_paused(conn);
    }
    conn_close_if_over(conn);
}

/* Takes its talk from the client whose hello has been coming in for longest. */
static void drop_oldest_half_greeted(struct pp_server *server)
{
    struct conn *conn = server->oldest->conn;

    talking_drop(conn, CONN_ASKED);
    conn_break(conn);
}

static bool talk_start(struct conn *conn)
{
    struct pp_server *server = server_of(conn);
    struct talking *talking = pp_pool_take(&server->talkings);

    if (!talking && server->oldest) {
        drop_oldest_half_greeted(server);
        talking = pp_pool_take(&server->talkings);
    }
    if (!talking)
        return false;
    pp_talk_begin(&talking->talk, &server->options, conn->op.fd);
    talking->talk.on_sent = on_talk_sent;
    talking->conn = conn;
    talking->go_on_op = (struct pp_io_op){ 0 };
    talking->rest = 0;
    talking->began_ns = pp_clock_now_ns();
    conn->tail =
        ((uint32_t)(talking - (const struct talking *)(const void *)server->talkings.items) + 1) &
        0x3ffffu;
    conn->op.tag = CONN_TALKS;
    return true;
}

static void talk_take_buffer(struct conn *conn, char *buf, uint32_t len)
{
    talking_of(conn)->rest = len;
    talk_take(conn, buf);
    pp_io_buffer_put(server_of(conn)->loop, buf);
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
    else if (!talk_start(conn))
        conn_break(conn);
}

static void take(struct conn *conn, char *buf, uint32_t len)
{
    meet(conn, buf, len);
    if (conn->flags & CONN_BROKEN)
        pp_io_buffer_put(server_of(conn)->loop, buf);
    else if (conn->op.tag == CONN_TALKS)
        talk_take_buffer(conn, buf, len);
    else
        echo_start(conn, buf, len);
}

static enum pp_io_next on_received(struct pp_io_op *op)
{
    struct conn *conn = container_of(op, struct conn, op);

    if (op->res > 0) {
        note_movement(conn);
        take(conn, op->buf, (uint32_t)op->res);
        if (should_pause(conn)) {
            set_flag(conn, CONN_PAUSED);
            set_lazy(conn);
        }
        if (is_undisturbed(conn))
            return PP_IO_REARM;
        conn_close_if_over(conn);
        return PP_IO_DISARM;
    }
    if (op->res == 0) {
        set_flag(conn, CONN_ENDED);
        set_lazy(conn);
    } else {
        conn_break(conn);
    }
    conn_close_if_over(conn);
    return PP_IO_DISARM;
}

/* ---- accepting ---- */

static void on_connection(void *owner, int fd)
{
    struct pp_server *server = owner;
    struct conn *conn = pp_pool_take(&server->pool);

    if (!conn) { /* more descriptors than the limit said there could be */
        (void)close(fd);
        return;
    }
    count(&server->counters.accepted);
    *conn = (struct conn){ .number = (uint32_t)(conn - server->conns) & 0xfffffu,
                           .op.tag = CONN_NEW };
    note_movement(conn);
    pp_io_recv_pooled(server->loop, &conn->op, fd, on_received);
}

/* ---- fairness ---- */

/* Ends the connections that have taken none of their echoes between two watches, to get back the
 * buffers which these fill. */
static void break_stuck(struct pp_server *server)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (!is_live(conn) || !last_echo(conn))
            continue;
        if (conn->flags & CONN_STUCK)
            conn_break(conn);
        set_flag(conn, CONN_STUCK);
    }
}

/* A hello that came in part may not keep its place for long. */
static void break_half_greeted(struct pp_server *server, uint64_t now_ns)
{
    while (server->oldest && now_ns - server->oldest->began_ns >= server->options.limits.hello_ns)
        drop_oldest_half_greeted(server);
}

/* How long nothing may come or go; 0: for ever. */
static uint64_t idle_limit_ns(const struct conn *conn)
{
    const struct pp_server_limits *limits = &server_of(conn)->options.limits;

    if (limits->idle_ns || !(conn->op.tag == CONN_NEW || owes(conn)))
        return limits->idle_ns;
    return limits->silent_ns;
}

static void break_idle(struct pp_server *server)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];
        const uint64_t limit_ns = is_live(conn) ? idle_limit_ns(conn) : 0;

        if (limit_ns == 0 || conn->flags & CONN_BROKEN || silent_ns(conn) < limit_ns)
            continue;
        conn_break(conn);
        notice(server, &server->counters.idle);
    }
}

/* The shortest time after which something is closed; 0: nothing is. */
static uint64_t shortest_limit_ns(const struct pp_server_limits *limits)
{
    return limits->idle_ns ? limits->idle_ns : limits->silent_ns;
}

static uint64_t watch_ns(const struct pp_server *server)
{
    return server->tick_ns < WATCH_NS ? server->tick_ns : WATCH_NS;
}

/* The silence of connections is counted in the time that the server has lived through: while it was
 * stopped, or had no CPU, it was not they who were silent. */
static void live(struct pp_server *server, uint64_t now_ns)
{
    const uint64_t passed_ns = now_ns - server->watched_ns;
    const uint64_t most_ns = 2 * watch_ns(server);

    server->lived_ns += passed_ns < most_ns ? passed_ns : most_ns;
    server->watched_ns = now_ns;
    server->tick = (uint32_t)(server->lived_ns / server->tick_ns);
}

static void check_idle(struct pp_server *server)
{
    const uint64_t limit_ns = shortest_limit_ns(&server->options.limits);

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

        if (conn->op.tag == CONN_NEW && silent_ns(conn) > longest_ns)
            longest_ns = silent_ns(conn);
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

        if (conn->op.tag != CONN_NEW || !is_silent(conn) || silent_ns(conn) < longest_ns / 4 * 3)
            continue;
        conn_break(conn);
        notice(server, &server->counters.idle);
        left--;
    }
}

/* The kernel asks those on the other side of silent connections whether they are still there. */
static void probe_silent(struct pp_server *server)
{
    unsigned left = PROBE_MAX;

    for (uint32_t i = 0; i < server->pool.used_once && left > 0; i++) {
        struct conn *conn = &server->conns[i];

        if (!is_live(conn) || conn->flags & (CONN_PROBED | CONN_BROKEN) || !is_silent(conn))
            continue;
        pp_io_socket_keepalive(conn->op.fd, 1, 4);
        set_flag(conn, CONN_PROBED);
        server->probes = true;
        left--;
    }
}

/* Those who were still there are trusted as before. */
static void stop_probing(struct pp_server *server)
{
    const struct pp_server_limits *limits = &server->options.limits;

    server->probes = false;
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (!is_live(conn) || !(conn->flags & CONN_PROBED))
            continue;
        pp_io_socket_keepalive(conn->op.fd, limits->keepalive_s, limits->unacked_s);
        clear_flags(conn, CONN_PROBED);
    }
}

/* Where ticks are long, as with a limit of days, they do not tell who has been silent for long
 * enough. While descriptors are short, who was silent for a whole round is. */
static void round_begin(struct pp_server *server)
{
    if (server->lived_ns - server->round_ns <= server->options.limits.spare_ns)
        return;
    server->round_ns = server->lived_ns;
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (conn->flags & CONN_STILL)
            set_flag(conn, CONN_SILENT);
        set_flag(conn, CONN_STILL);
    }
}

static void on_full(void *owner, int code)
{
    struct pp_server *server = owner;

    atomic_store_explicit(&server->counters.full_code, code, memory_order_relaxed);
    notice(server, &server->counters.full);
    round_begin(server);
    spare_silent(server);
    probe_silent(server);
}

static void on_turned_away(void *owner)
{
    struct pp_server *server = owner;

    notice(server, &server->counters.turned_away);
}

/* ---- stopping ---- */

/* Closes what has fallen silent, and at last everything. */
static void drain(struct pp_server *server, bool to_the_end)
{
    for (uint32_t i = 0; i < server->pool.used_once; i++) {
        struct conn *conn = &server->conns[i];

        if (!is_live(conn))
            continue;
        if (to_the_end)
            pp_io_socket_reset_on_close(conn->op.fd);
        if (to_the_end || (conn->flags & CONN_QUIET && !owes(conn)))
            conn_break(conn);
        else
            set_flag(conn, CONN_QUIET);
    }
}

static enum pp_io_next drain_on(struct pp_server *server, uint64_t now_ns)
{
    const bool to_the_end = now_ns - server->stopped_ns >= server->options.limits.drain_ns;

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
        const struct talking *talking = talking_of(conn);
        const bool half_greeted = talking && pp_talk_is_half_greeted(&talking->talk);

        if (is_live(conn) && (conn->op.tag == CONN_NEW || conn->op.tag == CONN_ASKED ||
                              half_greeted || (!owes(conn) && is_silent(conn))))
            conn_break(conn);
        set_flag(conn, CONN_DRAINS);
        set_lazy(conn);
    }
}

static enum pp_io_next on_stop(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, stop_op);

    server->stopping = true;
    server->stopped_ns = pp_clock_now_ns();
    pp_acceptor_stop(&server->acceptor);
    break_dormant(server);
    if (server->pool.in_use == 0)
        pp_io_cancel(server->loop, &server->watch_op);
    return PP_IO_DISARM;
}

/* A client that does not read is left alone as long as there are buffers for the others. */
static enum pp_io_next on_watch(struct pp_io_op *op)
{
    struct pp_server *server = container_of(op, struct pp_server, watch_op);
    const uint64_t now_ns = pp_clock_now_ns();

    if (op->res < 0)
        return PP_IO_DISARM;
    if (server->stopping)
        return drain_on(server, now_ns);
    if (pp_io_loop_has_starved(server->loop))
        break_stuck(server);
    break_half_greeted(server, now_ns);
    live(server, now_ns);
    check_idle(server);
    if (server->probes && !pp_acceptor_is_full(&server->acceptor))
        stop_probing(server);
    op->deadline_ns = now_ns + watch_ns(server);
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
    const uint64_t shortest_ns = shortest_limit_ns(limits) / 16;
    const uint64_t longest_ns = shortest_limit_ns(limits) / (TICKS_MAX / 2);

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
    server->watched_ns = pp_clock_now_ns();
    server->tick_ns = tick_ns_of(&options->limits);
    server->acceptor = (struct pp_acceptor){ .loop = options->loop,
                                             .listen_fd = options->listen_fd,
                                             .patience_ns = options->limits.newcomer_ns,
                                             .owner = server,
                                             .on_connection = on_connection,
                                             .on_full = on_full,
                                             .on_turned_away = on_turned_away };
    pp_io_wake_wait(server->loop, &server->stop_op, on_stop);
    pp_io_timer(server->loop, &server->watch_op, server->watched_ns + watch_ns(server), on_watch);
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
        (void)close(options->listen_fd);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory to serve %u connections",
                            connections);
    }
    pp_pool_init_over(&server->pool, server->conns, connections, sizeof server->conns[0]);
    server_start(server, options);
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

void pp_server_close(struct pp_server *server)
{
    if (!server)
        return;
    pp_acceptor_close(&server->acceptor);
    for (uint32_t i = 0; i < server->pool.used_once; i++)
        if (is_live(&server->conns[i])) /* the loop broke down */
            (void)close(server->conns[i].op.fd);
    pp_pool_fini(&server->echoes);
    pp_pool_fini(&server->talkings);
    pp_memory_free(server);
}
