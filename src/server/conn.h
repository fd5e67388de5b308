/* The inside of a server: one connection of it, and what its files need of each other. server.c
 * accepts, watches and stops; echo.c receives and sends back; talking.c serves those that began
 * with a hello; patience.c ends those that keep something from the others. These know each other,
 * in a circle, as what a client does in one may end the connection in another: whoever looks for
 * the end of a connection finds it in echo.c. */
#ifndef PP_SERVER_CONN_H
#define PP_SERVER_CONN_H

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/pool.h"
#include "server/acceptor.h"
#include "server/talk.h"

#include <assert.h>
#include <stdatomic.h>

/* Connections that began with a hello, at once. */
#define TALKS_MAX 16384

/* Buffers with unsent echoes after which a client is not read from until it reads: at most, and
 * fewer when they run short. */
#define UNSENT_MAX 8
#define UNSENT_MIN 2

/* How often to look whether clients that do not read keep the buffers from the others, and whether
 * connections have fallen silent. */
#define WATCH_NS (100 * PP_NS_PER_MS)

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
    CONN_STILL = 128, /* nothing has come or gone since the last round: see patience.c */
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

enum server_state {
    SERVER_ACCEPTING,
    SERVER_DRAINING, /* stopped: what was taken in is still answered */
    SERVER_CLOSED    /* and all connections are */
};

/* Written by the server's thread, read by any. */
struct counters {
    _Atomic uint64_t accepted, idle, full, turned_away, closed, bytes;
    atomic_int full_code;
    atomic_bool told_from;              /* turned_away_from is there to be read, and not written */
    struct pp_io_addr turned_away_from; /* one of them */
};

struct pp_server {
    struct pp_server_options options;
    struct pp_io_loop *loop;
    const struct pp_io_world *world;
    struct pp_acceptor acceptor;
    struct counters counters;
    struct pp_io_op stop_op;
    struct pp_io_op watch_op;
    uint64_t tick_ns;                          /* what conn->seen is counted in */
    uint32_t tick;                             /* now */
    uint64_t watched_ns, lived_ns, checked_ns; /* see pp_server_live() */
    uint64_t round_ns;                         /* when the last round began, in lived_ns */
    uint64_t stopped_ns;
    enum server_state state;
    bool probes; /* some connections are CONN_PROBED */
    struct pp_pool echoes;
    struct pp_pool talkings;
    struct talking *oldest, *newest; /* whose hello is not whole */
    struct pp_pool pool;             /* over conns */
    uint32_t checks;                 /* pp_server_check() was called so often */
    struct conn conns[];
};

static inline struct pp_server *pp_server_of(const struct conn *conn)
{
    return container_of(conn - conn->number, struct pp_server, conns);
}

static inline void pp_server_add(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline void pp_server_count(_Atomic uint64_t *counter)
{
    pp_server_add(counter, 1);
}

static inline void pp_server_notice(struct pp_server *server, _Atomic uint64_t *counter)
{
    pp_server_count(counter);
    if (server->options.on_notice)
        server->options.on_notice(server->options.owner);
}

static inline bool pp_served_is_live(const struct conn *conn)
{
    return conn->op.tag != CONN_FREE && conn->op.tag != CONN_CLOSING;
}

static inline void pp_served_set(struct conn *conn, enum conn_flag flag)
{
    conn->flags |= (uint32_t)flag & 0x3ffu;
}

static inline void pp_served_clear(struct conn *conn, unsigned flags)
{
    conn->flags &= ~flags & 0x3ffu;
}

static inline void pp_served_moved(struct conn *conn)
{
    conn->seen = pp_server_of(conn)->tick % TICKS_MAX;
    pp_served_clear(conn, CONN_QUIET | CONN_STILL | CONN_SILENT);
}

static inline uint64_t pp_served_silent_ns(const struct conn *conn)
{
    const struct pp_server *server = pp_server_of(conn);

    return (server->tick - conn->seen) % TICKS_MAX * server->tick_ns;
}

/* For so long that it may be the first to go. A tick may have just begun, or just ended. */
static inline bool pp_served_is_silent(const struct conn *conn)
{
    const struct pp_server *server = pp_server_of(conn);

    return conn->flags & CONN_SILENT ||
           pp_served_silent_ns(conn) >= server->options.limits.spare_ns + server->tick_ns;
}

static inline bool pp_served_is_undisturbed(const struct conn *conn)
{
    return !(conn->flags & (CONN_ENDED | CONN_PAUSED | CONN_BROKEN));
}

static inline struct talking *pp_served_talking(const struct conn *conn)
{
    if (conn->op.tag != CONN_TALKS)
        return NULL;
    return pp_pool_at(&pp_server_of(conn)->talkings, conn->tail - 1);
}

static inline struct echo *pp_served_last_echo(const struct conn *conn)
{
    if (!conn->tail || conn->op.tag == CONN_TALKS)
        return NULL;
    return pp_pool_at(&pp_server_of(conn)->echoes, conn->tail - 1);
}

/* ---- server.c ---- */

/* It has stopped, and its last connection may just have been closed. */
void pp_server_close_if_empty(struct pp_server *server);

/* ---- echo.c ---- */

/* What comes on a connection. */
enum pp_io_next pp_served_on_received(struct pp_io_op *op);

/* The news that a send is done can wait, unless something else waits for that news. */
void pp_served_set_lazy(struct conn *conn);

/* Whether anything is owed to the client. */
bool pp_served_owes(const struct conn *conn);

/* Reads on, if that was put off and need not be any more. */
void pp_served_resume(struct conn *conn);

/* Ends the connection now. What is owed is dropped, and then the client must not take the end for a
 * proper one. */
void pp_served_break(struct conn *conn);

/* Closes the connection once nothing is under way on it any more. */
void pp_served_close_if_over(struct conn *conn);

/* ---- talking.c ---- */

/* False: there is no room for one more. */
bool pp_served_begin_talk(struct conn *conn);

/* Takes what has come, and gives back its buffer. */
void pp_served_talk(struct conn *conn, char *buf, uint32_t len);

/* Nothing of it may be under way. */
void pp_served_end_talk(struct conn *conn, enum conn_stage next);

/* Takes its talk from the client whose hello has been coming in for longest, which there is. */
void pp_server_drop_half_greeted(struct pp_server *server);

/* ---- patience.c ---- */

/* Ends the connections that have taken none of their echoes between two watches, to get back the
 * buffers which these fill. */
void pp_server_break_stuck(struct pp_server *server);

/* A hello that came in part may not keep its place for long. */
void pp_server_break_half_greeted(struct pp_server *server, uint64_t now_ns);

/* The silence of connections is counted in the time that the server has lived through: while it was
 * stopped, or had no CPU, it was not they who were silent. */
void pp_server_live(struct pp_server *server, uint64_t now_ns);

/* Ends those on which nothing has come or gone for too long. */
void pp_server_check_idle(struct pp_server *server);

/* The shortest time after which something is closed; 0: nothing is. */
uint64_t pp_server_shortest_limit_ns(const struct pp_server_limits *limits);

/* How often to look. */
uint64_t pp_server_watch_ns(const struct pp_server *server);

/* There was no descriptor for the next connection: makes room. */
void pp_server_spare(struct pp_server *server, int code);

/* Those who were still there when they were asked are trusted as before. */
void pp_server_stop_probing(struct pp_server *server);

#endif
