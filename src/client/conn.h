/* The inside of a client: one connection of it, and what its files need of each other. client.c
 * has phases and messages, schedule.c when they are sent, connections.c how connections come and
 * go, facts.c what is known of them, setup.c memory; how messages travel is a transport's, and
 * none of these knows which. client.c, schedule.c and facts.c are a circle: an answer makes room
 * for what is due, and what is sent last ends the phase. */
#ifndef PP_CLIENT_CONN_H
#define PP_CLIENT_CONN_H

#include "base/random.h"
#include "client/client.h"
#include "client/pace.h"
#include "measure/sketch.h"
#include "wire/hello.h"

#include <assert.h>
#include <stddef.h>

enum trip_state {
    TRIP_FREE,
    TRIP_UNDER_WAY,
    TRIP_OVERDUE, /* given up for lost; its answer may still come */
    TRIP_DONE
};

/* One message under way, and its answer. */
struct trip {
    uint64_t sent_ns; /* 0: of an earlier phase, not counted any more */
    uint64_t intended_ns;
    uint32_t answer_bytes;
    uint32_t state; /* enum trip_state; datagrams only */
};

/* A datagram on its way out. */
struct outgoing {
    struct pp_io_op op;
    struct conn *conn;
    struct outgoing *next; /* free ones */
    char *data;
};

/* A connection: what each message touches, in three cache lines, and in the first two what most of
 * them do. What is seldom looked at, or needed by one transport only, has the same index in a table
 * of its own. */
struct conn {
    struct pp_io_op recv_op; /* connect, then receive, then close */
    struct pp_client *client;
    struct trip *trips; /* a ring, by the number of the message */
    int fd;             /* -1: none */
    bool leaving;       /* being closed */
    bool dropped;       /* without waiting for the server to close its side */
    bool failed;        /* of no more use */
    bool queued;        /* among those that the schedule may use next */

    struct pp_io_op send_op; /* send, then shutdown */
    uint64_t number;         /* of the next message */
    uint64_t oldest;         /* of the oldest message that may still be under way */
    uint32_t under_way;      /* messages whose answer is awaited */
    uint32_t left; /* of a stream: bytes of the answer that is due; or how much was seen of
                                the text that ends it */

    uint64_t received; /* answers of this phase */
    uint64_t unsent;   /* of a stream: bytes of requests that are not yet with send_op */
    uint32_t out_at;   /* where in its pattern the next send begins */
    uint32_t in_at;    /* where in its pattern the next answer goes on */
    struct pp_sketch_recent recent;
    bool greeted; /* it stands, and waits for what the server says to that */
    struct conn *next_free;
    struct pp_random request_sizes, answer_sizes;
};

static_assert(offsetof(struct conn, send_op) == 64 && offsetof(struct conn, received) == 128 &&
                  sizeof(struct conn) == 192,
              "a connection is three cache lines");

/* What is seldom looked at. */
struct conn_rest {
    uint64_t retransmits_before; /* this phase, as the kernel counts them */
    uint64_t connecting_ns;      /* since when, where each round trip is a connection */
};

/* Of datagrams. */
struct conn_dgram {
    uint64_t base;               /* number of the first message */
    uint64_t first;              /* number of the first message of this phase */
    uint64_t highest;            /* number of the latest one answered, plus one */
    uint64_t srtt_ns, rttvar_ns; /* smoothed RTT and its variation (RFC 6298); 0: no sample yet */
    uint64_t gave_up_ns;         /* when a message was, while there is silence */
    uint32_t backoff;            /* how many have been in this silence */
    uint32_t flying;             /* outgoings that are with the loop */
    struct outgoing *outgoings;  /* as many as the depth */
    struct outgoing *free_outgoing;
};

enum phase_state {
    PHASE_CONNECT,
    PHASE_READY, /* connected, or between two phases */
    PHASE_ACTIVE,
    PHASE_DRAIN,   /* nothing more is sent: waiting for what is under way */
    PHASE_FINISHED /* for good: whatever still comes is not looked at */
};

/* A connection that thinks before it sends again. */
struct thought {
    struct conn *conn;
    uint64_t due_ns;
};

struct pp_client {
    struct pp_client_options options;
    const struct pp_io_world *world;
    const struct pp_plan *plan;
    const struct pp_transport *transport;
    struct pp_counts counts;
    _Atomic uint64_t received;   /* counts.received, for other threads */
    _Atomic uint64_t latency_ns; /* the sum of what these took, for other threads */
    _Atomic uint64_t moved;      /* bytes, see pp_client_moved() */
    uint64_t acked;              /* bytes, when the kernel was asked last */
    uint64_t moved_at_look;      /* moved, after that; UINT64_MAX: it was not asked yet */
    uint64_t under_way;          /* messages of this phase whose answer is awaited */
    uint64_t too_late;           /* those whose answer came after the end of the phase */
    uint64_t drain_moved;        /* as moved, when the drain was looked at last */
    uint64_t drain_begin_ns;
    uint64_t drain_alive_ns; /* when it had changed last */
    bool catches_up;         /* in the drain what was due before is still sent */
    uint64_t away_until_ns;  /* when it came back to a schedule that it had left alone */
    uint64_t free_since_ns;  /* since when there has been a connection that could carry more */
    uint64_t retransmits;    /* of connections of this phase that have failed */
    uint64_t greeting_ns;    /* as in pp_client_connect() */
    enum phase_state state;
    struct pp_phase phase;
    uint64_t end_ns;    /* of the phase; UINT64_MAX: by the budget alone */
    uint64_t quota;     /* of the budget: messages that this client may still send */
    bool spent;         /* the budget is */
    uint64_t trip_mask; /* length of a ring of trips, minus one */

    uint32_t connecting; /* connects started so far */
    uint32_t connected;  /* 1 from the first on, where each round trip is a connection */
    uint32_t live;       /* connections that can still carry messages */
    uint32_t open;       /* connections that are not closed yet */
    bool disconnecting;

    struct pp_io_op end_op;   /* the end of connecting, of a phase's time, of its drain */
    struct pp_io_op pace_op;  /* the next message of a schedule, or the next thought's end */
    struct pp_io_op watch_op; /* looks for what does not come */
    struct pp_pace pace;
    struct conn *free_first, *free_last; /* connections that could carry one more message */
    struct thought *thoughts;            /* a ring, in order of time */
    uint32_t thoughts_first, thoughts_count, thoughts_max;

    struct pp_ledger *ledger; /* datagrams: those that no ring of trips has any more */
    uint64_t lost_sent_ns;    /* when the latest of those given up was sent */
    struct trip *trips;       /* of all connections, as what follows */
    struct pp_sketch *sketches;
    struct conn_rest *rests;
    char *hellos;              /* PP_HELLO_BYTES each, where answers have sizes of their own */
    struct conn_dgram *dgrams; /* NULL: these are streams */
    struct outgoing *outgoings;
    char *datagrams;         /* the buffers of outgoings */
    struct pp_random random; /* which samples stay in sketches */
    struct pp_error error;
    char came[PP_CLIENT_CAME_BYTES]; /* the first bytes that ever came */
    uint32_t came_bytes;
    uint32_t checks; /* pp_client_check() was called so often */
    alignas(64) struct conn conns[];
};

static inline uint32_t pp_conn_index(const struct conn *c)
{
    return (uint32_t)(c - c->client->conns);
}

static inline struct conn_rest *pp_conn_rest(const struct conn *c)
{
    return &c->client->rests[pp_conn_index(c)];
}

static inline char *pp_conn_hello(const struct conn *c)
{
    return c->client->hellos + (size_t)pp_conn_index(c) * PP_HELLO_BYTES;
}

/* NULL: it is a stream. */
static inline struct conn_dgram *pp_conn_dgram(const struct conn *c)
{
    return c->client->dgrams ? &c->client->dgrams[pp_conn_index(c)] : NULL;
}

/* The number of its first message. */
static inline uint64_t pp_conn_base(const struct conn *c)
{
    return c->client->dgrams ? pp_conn_dgram(c)->base : 0;
}

/* ---- client.c ---- */

/* Ends everything, whatever is still under way. */
void pp_client_finish(struct pp_client *client);

/* Ends the phase, if nothing of it is under way any more and nothing more is to be sent. */
void pp_client_finish_if_idle(struct pp_client *client);

/* Takes another portion of the budget; false: there is none. */
bool pp_client_refill_quota(struct pp_client *client);

/* Whether one more message may be sent; it is counted off. */
static inline bool pp_client_take_quota(struct pp_client *client)
{
    if (client->quota == 0 && (client->spent || !pp_client_refill_quota(client)))
        return false;
    client->quota--;
    return true;
}

static inline uint64_t pp_client_now_ns(const struct pp_client *client)
{
    return pp_io_now_ns(client->options.loop);
}

/* Whether the phase goes on, or what was due in it is still sent. */
static inline bool pp_client_may_send(const struct pp_client *client, uint64_t now_ns)
{
    return client->state == PHASE_ACTIVE ? now_ns < client->end_ns
                                         : client->state == PHASE_DRAIN && client->catches_up;
}

/* ---- schedule.c ---- */

/* c may be chosen for one more message. They take turns. */
void pp_schedule_free(struct conn *c);

/* Sends the messages that are due, as far as connections are free, and none that is due after the
 * end. The rest stays due, and its latency counts from when it was. */
void pp_schedule_keep(struct pp_client *client, uint64_t now_ns);

/* c sends count more messages once it has thought. */
void pp_schedule_think(struct conn *c, uint32_t count, uint64_t now_ns);

/* ---- connections.c ---- */

/* c is of no more use; code is a negative errno. The others go on. */
void pp_conn_fail(struct conn *c, int code);

/* c stands and can carry messages. */
void pp_conn_ready(struct conn *c);

/* The answer is wrong, and with it the whole measurement: ends it. The text is for the user. */
__attribute__((format(printf, 2, 3))) void pp_client_wrong(struct pp_client *client,
                                                           const char *format, ...);

/* Drops the connection as it stands, or closes it once neither direction has anything under way. */
void pp_conn_leave_now(struct conn *c);
void pp_conn_close_if_quiet(struct conn *c);

/* Ends our side of a stream: its send_op must be idle. */
void pp_conn_shut_down(struct conn *c);

/* Begins to connect c; on_connected runs on c->recv_op. False: it failed, and that was said. */
bool pp_conn_connect(struct conn *c, pp_io_cb *on_connected);

/* The trip of a new message, which is counted as sent. */
struct trip *pp_trip_begin(struct conn *c, uint64_t now_ns, uint64_t intended_ns);

/* The answer to trip, one of c's, has come at now_ns: counts and times it. */
void pp_trip_end(struct conn *c, const struct trip *trip, uint64_t now_ns);

/* For pp_client_part(), as long as there is room. */
void pp_client_keep_came(struct pp_client *client, const char *data, uint32_t bytes);

/* So many bytes have come, or left while there were more to come. */
static inline void pp_client_note_moved(struct pp_client *client, uint32_t bytes)
{
    const uint64_t moved = atomic_load_explicit(&client->moved, memory_order_relaxed);

    atomic_store_explicit(&client->moved, moved + bytes, memory_order_relaxed);
}

/* count trips of c are over: it may carry as many new ones. */
void pp_conn_freed(struct conn *c, uint32_t count, uint64_t now_ns);

static inline bool pp_client_is_active(const struct pp_client *client)
{
    return client->state == PHASE_ACTIVE || client->state == PHASE_DRAIN;
}

static inline void pp_client_note_came(struct pp_client *client, const char *data, uint32_t bytes)
{
    if (__builtin_expect(client->came_bytes < sizeof client->came, 0))
        pp_client_keep_came(client, data, bytes);
    if (pp_client_is_active(client))
        client->counts.bytes += bytes;
    pp_client_note_moved(client, bytes);
}

/* How long it is worth waiting for another answer once the last one is there: twice as long as the
 * slowest took, a second at least, and half of what would be a silence at most. */
static inline uint64_t pp_client_patience_ns(const struct pp_client *client)
{
    const uint64_t slowest_ns = client->phase.last ? 2 * client->counts.worst_ns : 0;
    const uint64_t most_ns = client->plan->silence_ns / 2;
    const uint64_t patience_ns = slowest_ns > PP_NS_PER_S ? slowest_ns : PP_NS_PER_S;

    return patience_ns < most_ns ? patience_ns : most_ns;
}

/* Whether an answer that comes at now_ns is one of the phase's own time. */
static inline bool pp_client_counts_at(const struct pp_client *client, uint64_t now_ns)
{
    return pp_client_is_active(client) && now_ns < client->end_ns;
}

/* How long the first connections may take, and what is said on them before any message. */
static inline uint64_t pp_client_connect_timeout_ns(const struct pp_client *client)
{
    const uint64_t timeout_ns = client->plan->connect_timeout_ns;
    const uint64_t greeting_ns = client->greeting_ns;

    return timeout_ns > greeting_ns ? timeout_ns - greeting_ns : 0;
}

static inline struct trip *pp_conn_trip(const struct conn *c, uint64_t number)
{
    return &c->trips[number & c->client->trip_mask];
}

/* ---- the transports ---- */

/* How messages travel. All runs on the client's loop. */
struct pp_transport {
    /* Makes c ready, which has just been connected, and calls pp_conn_ready(). */
    void (*greet)(struct conn *c);

    /* The time for connecting is over, and c is not ready. */
    void (*late)(struct conn *c);

    /* A phase begins; may be NULL. */
    void (*begin)(struct pp_client *client);

    /* One more message, which was due at intended_ns. There is room for it, by the depth. */
    void (*send)(struct conn *c, uint64_t now_ns, uint64_t intended_ns);

    /* No more messages come for now: hands on those that were not yet. */
    void (*flush)(struct conn *c);

    /* Called each watch_ns of a phase: looks for what does not come. NULL: there is no need to. */
    void (*watch)(struct pp_client *client, uint64_t now_ns);
    uint64_t watch_ns;
};

/* ---- facts.c ---- */

/* c is about to be closed before its phase has ended. */
void pp_conn_note_tcp(struct conn *c);

#endif
