/* What the peers share: the command line, connected sockets, threads, the clock, the check of each
 * byte that comes back, the figures, and the result as JSON. Not here: how an event loop, or a
 * thread, waits for messages and sends them, which is what peers differ in.
 *
 * These are programs of their own: what goes wrong ends one with a line on stderr, and status 1, 2
 * for a wrong command line, or 5 for a wrong answer, as pingpong itself does. */
#ifndef PP_PEERS_PAIR_H
#define PP_PEERS_PAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pair_side { PAIR_CLIENT, PAIR_SERVER, PAIR_SIDES };

enum pair_phase { PAIR_WARM_UP, PAIR_MEASURED, PAIR_OVER };

/* Of all threads of a side. */
struct pair_clocks {
    unsigned count;
    clockid_t *clocks;
    uint64_t begin_ns, spent_ns; /* CPU time, when the measurement begins, and then until its end */
};

struct pair_samples;

/* A run. A peer reads the first part alone. */
struct pair {
    unsigned connections;
    uint32_t size; /* bytes of a message */
    int listener;  /* listens; what it accepts sends without delay, too */

    int cpus[PAIR_SIDES]; /* -1: any */
    uint64_t count;       /* round trips; 0: as many as there is time for */
    uint64_t time_ns;     /* 0: until there are so many */
    uint64_t warmup_ns, warmup_count;
    char *pattern; /* messages are cut from it */

    pthread_barrier_t ready; /* of both sides */
    unsigned accepted;
    uint64_t start_ns; /* of the warm-up */

    pthread_mutex_t lock; /* of what follows, as far as it is not atomic */
    _Atomic enum pair_phase phase;
    _Atomic uint64_t warmed_up, received;
    uint64_t begin_ns, end_ns;
    struct pair_clocks clocks[PAIR_SIDES];
    struct pair_samples *samples; /* of each thread of the client */
};

/* A library, and both ends on it. */
struct pair_peer {
    const char *name;
    const char *version;                /* of the library; "": there is none */
    uint32_t size_max;                  /* of a message */
    void (*serve)(struct pair *pair);   /* the life of the server's thread, until all have closed */
    void (*connect)(struct pair *pair); /* the life of the client's, likewise */
};

/* The whole program. */
int pair_main(int argc, char **argv, const struct pair_peer *peer);

/* ---- for both ends ---- */

/* Another thread of a side: it runs on that side's CPU, and its CPU time is the side's. */
pthread_t pair_spawn(struct pair *pair, enum pair_side side, void (*run)(void *argument),
                     void *argument);

/* count zeroed items, or the end. */
void *pair_alloc(size_t count, size_t size);

/* ---- for a server ---- */

/* One more connection is accepted. True: it was the last one, and the client is ready. */
bool pair_accepted(struct pair *pair);

/* ---- for a client ---- */

/* A connection: embed it in yours. */
struct pair_conn {
    struct pair *pair;
    struct pair_samples *samples;
    char *ping; /* what is to be sent now: pair->size bytes, which stay for as long as the run */
    uint32_t got;
    uint64_t number, sent_ns;
};

enum pair_next {
    PAIR_WAIT, /* for the rest of the pong */
    PAIR_SEND, /* the next ping: conn->ping */
    PAIR_CLOSE /* the connection */
};

/* A connected socket, which blocks; the caller closes it. */
int pair_connect(struct pair_conn *conn, struct pair *pair);

/* All connections are there: returns when the server has accepted them. */
void pair_start(struct pair *pair);

/* The first ping of a connection, to be sent at once. All of one are the same thread's. */
char *pair_first(struct pair_conn *conn);

/* Looks at what has come, of the pong alone or a part of it. A wrong byte is the end. */
enum pair_next pair_take(struct pair_conn *conn, const char *bytes, size_t len);

#endif
