/* What the floors have in common: a client thread and a server thread over loopback,
 * connected beforehand, each pinned as asked, or several such pairs at once; the clock; the result
 * line. Not here: how a message is sent and received, which is what they differ in.
 *
 * These are programs of a benchmark, not of the product: what goes wrong ends them with a line on
 * stderr and exit status 1 (2 for a wrong command line). */
#ifndef PP_BENCH_PAIR_H
#define PP_BENCH_PAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAIR_PING "PING\n"
#define PAIR_PING_BYTES (sizeof PAIR_PING - 1)

#define PAIR_UNPINNED (-1)

#define PAIR_PAIRS_MAX 16
#define PAIR_SIZE_MAX (UINT32_C(64) << 20)

enum pair_transport { PAIR_TCP, PAIR_UDP, PAIR_UNIX };

struct pair_options {
    enum pair_transport transport;
    uint32_t size;                   /* bytes of a message */
    uint32_t depth;                  /* messages under way on each connection */
    unsigned pairs;                  /* each a client and a server with connections of their own */
    unsigned connections;            /* of each pair */
    int client_cpus[PAIR_PAIRS_MAX]; /* of each pair, or PAIR_UNPINNED */
    int server_cpus[PAIR_PAIRS_MAX];
    uint64_t count;       /* round trips over all connections of all pairs */
    uint64_t duration_ns; /* 0: stop by count alone */
};

/* What all threads of a run meet at. */
struct pair_gate {
    pthread_barrier_t ready;
    atomic_bool time_is_up;
};

/* On cache lines of its own: pairs share nothing while they are measured. */
struct pair {
    _Alignas(128) const struct pair_options *options;
    struct pair_gate *gate;
    uint64_t count;  /* round trips of this pair */
    int *client_fds; /* one a connection, blocking; the client closes them */
    int *server_fds; /* the same for the server */

    /* the client's */
    uint64_t sent;
    uint64_t received;
    uint64_t start_ns, start_cpu_ns;
    uint64_t end_ns, end_cpu_ns;
};

/* One end's whole life on its own thread, from its set-up to the closing of its descriptors.
 * The client runs until pair->received == pair->sent and no more may be sent; the server until the
 * client has closed, which it sees as the end of the stream or as a reset, or over UDP as an empty
 * message. */
typedef void pair_end(struct pair *pair);

/* The command line is that of "pingpong run", as compare calls a program; exits on what has no
 * meaning here. Without options it is one unpinned pair with one connection, on which one PAIR_PING
 * is under way over TCP.
 *
 *     --count=N | --time=NNNms   over all pairs
 *     --connections=N            over all pairs
 *     --cpus=C,.../S,...         a pair of threads for each of the client's CPUs
 *     --udp, --host=unix:PATH    the transport; unix is a stream, and PATH is not used
 *     --size=N                   bytes of a message
 *     --depth=N                  messages under way on each connection */
struct pair_options pair_options_parse(int argc, char **argv);

/* Connects, runs both ends of each pair and prints the result line. server may be NULL: the client
 * then plays both ends on the one thread. */
void pair_run(const struct pair_options *options, pair_end *client, pair_end *server);

/* Each end calls its own once it is set up. The clock starts when all have. */
void pair_server_ready(struct pair *pair);
void pair_client_start(struct pair *pair);

/* The client calls this right after the last pong: the clock stops. */
void pair_client_stop(struct pair *pair);

/* Whether the client may send one more ping; if so it is counted as sent. */
static inline bool pair_take_ping(struct pair *pair)
{
    if (pair->sent == pair->count ||
        atomic_load_explicit(&pair->gate->time_is_up, memory_order_relaxed))
        return false;
    pair->sent++;
    return true;
}

/* A plain blocking send of all of it. */
void pair_send(int fd, const char *data, size_t len);

/* The client's last call also tells a server that cannot see it: the one over UDP. */
void pair_close_client(struct pair *pair);
void pair_close_server(struct pair *pair);

uint64_t pair_now_ns(void);

#endif
