/* An echo server and its client without any event loop: a thread a connection on either side, which
 * blocks in recv() until there is something. */
#include "pair.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that blocks while it sends reads nothing: what is larger than the sockets' buffers would
 * wait for ever. */
#define LARGEST_B 65536

struct conn {
    int fd;
    pthread_t thread;
    pthread_barrier_t *begin; /* of the client's */
    struct pair_conn pair;
};

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent < 0)
            err(1, "send");
        bytes += sent;
        len -= (size_t)sent;
    }
}

static void join_all(struct conn *conns, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pthread_join(conns[i].thread, NULL);
    free(conns);
}

/* ---- server ---- */

static void echo(void *argument)
{
    struct conn *conn = argument;
    char buffer[65536];
    ssize_t got;

    while ((got = recv(conn->fd, buffer, sizeof buffer, 0)) > 0)
        send_all(conn->fd, buffer, (size_t)got);
    close(conn->fd);
}

static void serve(struct pair *pair)
{
    struct conn *conns = pair_alloc(pair->connections, sizeof *conns);
    unsigned count = 0;

    do {
        struct conn *conn = &conns[count++];

        conn->fd = accept(pair->listener, NULL, NULL);
        if (conn->fd < 0)
            err(1, "accept");
        conn->thread = pair_spawn(pair, PAIR_SERVER, echo, conn);
    } while (!pair_accepted(pair));
    close(pair->listener);
    join_all(conns, count);
}

/* ---- client ---- */

static void ask(void *argument)
{
    struct conn *conn = argument;
    struct pair_conn *pair = &conn->pair;
    enum pair_next next = PAIR_SEND;
    char buffer[65536];

    pthread_barrier_wait(conn->begin);
    (void)pair_first(pair);
    while (next != PAIR_CLOSE) {
        ssize_t got;

        if (next == PAIR_SEND)
            send_all(conn->fd, pair->ping, pair->pair->size);
        got = recv(conn->fd, buffer, sizeof buffer, 0);
        if (got <= 0)
            err(1, "recv");
        next = pair_take(pair, buffer, (size_t)got);
    }
    close(conn->fd);
}

static void connect_all(struct pair *pair)
{
    struct conn *conns = pair_alloc(pair->connections, sizeof *conns);
    pthread_barrier_t begin;

    errno = pthread_barrier_init(&begin, NULL, pair->connections + 1);
    if (errno)
        err(1, "pthread_barrier_init");
    for (unsigned i = 0; i < pair->connections; i++) {
        struct conn *conn = &conns[i];

        conn->fd = pair_connect(&conn->pair, pair);
        conn->begin = &begin;
        conn->thread = pair_spawn(pair, PAIR_CLIENT, ask, conn);
    }
    pair_start(pair);
    pthread_barrier_wait(&begin);
    join_all(conns, pair->connections);
    pthread_barrier_destroy(&begin);
}

int main(int argc, char **argv)
{
    const struct pair_peer peer = { "threads", "", LARGEST_B, serve, connect_all };

    return pair_main(argc, argv, &peer);
}
