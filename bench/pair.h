/* What the floors and the peers have in common: a client thread and a server thread over loopback
 * TCP, connected beforehand, each pinned as asked; the clock; the result line. Not here: how a ping
 * is sent and received, which is what the programs differ in.
 *
 * These are programs of a benchmark, not of the product: what goes wrong ends them with a line on
 * stderr and exit status 1 (2 for a wrong command line). */
#ifndef PP_BENCH_PAIR_H
#define PP_BENCH_PAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PAIR_PING "PING\n"
#define PAIR_PING_BYTES (sizeof PAIR_PING - 1)

#define PAIR_UNPINNED (-1)

struct pair_options {
    unsigned connections;
    int client_cpu; /* or PAIR_UNPINNED */
    int server_cpu;
    uint64_t count;       /* round trips over all connections */
    uint64_t duration_ns; /* 0: stop by count alone */
};

struct pair {
    struct pair_options options;
    int *client_fds; /* one a connection, blocking; the client closes them */
    int *server_fds; /* the same for the server */

    /* the client's */
    uint64_t sent;
    uint64_t received;
    uint64_t start_ns;
    uint64_t end_ns;

    /* between the threads */
    pthread_barrier_t ready;
    bool has_server;
    atomic_bool time_is_up;
};

/* One end's whole life on its own thread, from its set-up to the closing of its descriptors.
 * The client runs until pair->received == pair->sent and no more may be sent; the server until the
 * client has closed, which it sees as the end of the stream or as a reset. */
typedef void pair_end(struct pair *pair);

/* Reads "--connections N --cpus A,B" and "--count N" or "--seconds S" from argv[first] on; exits
 * on nonsense. */
struct pair_options pair_options_parse(int argc, char **argv, int first);

/* Connects, runs both ends and prints the result line. server may be NULL: the client then plays
 * both ends on the one thread. */
void pair_run(const struct pair_options *options, pair_end *client, pair_end *server);

/* Each end calls its own once it is set up. The clock starts when both have. */
void pair_server_ready(struct pair *pair);
void pair_client_start(struct pair *pair);

/* The client calls this right after the last pong: the clock stops. */
void pair_client_stop(struct pair *pair);

/* Whether the client may send one more ping; if so it is counted as sent. */
static inline bool pair_take_ping(struct pair *pair)
{
    if (pair->sent == pair->options.count ||
        atomic_load_explicit(&pair->time_is_up, memory_order_relaxed))
        return false;
    pair->sent++;
    return true;
}

/* Plain blocking calls, for the floors and for a first ping. */
void pair_send_ping(int fd);

void pair_close_all(const int *fds, unsigned count);

uint64_t pair_now_ns(void);

#endif
