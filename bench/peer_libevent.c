/* An echo pair as one writes it on libevent: an event base a thread, a persistent read event a
 * connection, recv() and send() in its callback. Plain events are the faster of libevent's two
 * interfaces; bufferevents keep their own copies. */
#include "pair.h"

#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
    struct end *end;
    struct event *event;
    int fd;
    size_t have; /* bytes of the pong so far */
};

struct end {
    struct event_base *base;
    struct pair *pair;
    struct conn *conns;
};

static void end_open(struct end *end, struct pair *pair, const int *fds, event_callback_fn on_read)
{
    const unsigned connections = pair->options->connections;

    end->pair = pair;
    end->base = event_base_new();
    end->conns = calloc(connections, sizeof *end->conns);
    if (!end->base || !end->conns)
        errx(1, "event_base_new");
    for (unsigned i = 0; i < connections; i++) {
        struct conn *conn = &end->conns[i];

        evutil_make_socket_nonblocking(fds[i]);
        conn->end = end;
        conn->fd = fds[i];
        conn->event = event_new(end->base, fds[i], EV_READ | EV_PERSIST, on_read, conn);
        if (!conn->event || event_add(conn->event, NULL))
            errx(1, "event_add");
    }
}

/* Runs until every connection is closed: a base without events has nothing to wait for. */
static void end_run(struct end *end)
{
    if (event_base_dispatch(end->base) < 0)
        errx(1, "event_base_dispatch");
    event_base_free(end->base);
    free(end->conns);
}

static void conn_close(struct conn *conn)
{
    event_free(conn->event);
    close(conn->fd);
}

/* ---- server ------------------------------------------------------------------------------ */

static void on_ping(evutil_socket_t fd, short what, void *argument)
{
    char buf[4096];
    const ssize_t got = recv(fd, buf, sizeof buf, 0);

    (void)what;
    if (got > 0) {
        if (send(fd, buf, (size_t)got, MSG_NOSIGNAL) != got)
            err(1, "send");
    } else if (got == 0 || errno != EAGAIN) {
        conn_close(argument);
    }
}

static void server(struct pair *pair)
{
    struct end end;

    end_open(&end, pair, pair->server_fds, on_ping);
    pair_server_ready(pair);
    end_run(&end);
}

/* ---- client ------------------------------------------------------------------------------ */

static void close_all(struct end *end)
{
    for (unsigned i = 0; i < end->pair->options->connections; i++)
        conn_close(&end->conns[i]);
}

static void on_pong(evutil_socket_t fd, short what, void *argument)
{
    struct conn *conn = argument;
    struct end *end = conn->end;
    struct pair *pair = end->pair;
    char buf[4096];
    const ssize_t got = recv(fd, buf, sizeof buf, 0);

    (void)what;
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        err(1, "recv");
    conn->have += (size_t)got;
    if (conn->have < PAIR_PING_BYTES)
        return;
    conn->have = 0;
    pair->received++;
    if (pair_take_ping(pair)) {
        pair_send_ping(fd);
    } else if (pair->received == pair->sent) {
        pair_client_stop(pair);
        close_all(end);
    }
}

static void client(struct pair *pair)
{
    struct end end;

    end_open(&end, pair, pair->client_fds, on_pong);
    pair_client_start(pair);
    for (unsigned i = 0; i < pair->options->connections && pair_take_ping(pair); i++)
        pair_send_ping(pair->client_fds[i]);
    end_run(&end);
}

int main(int argc, char **argv)
{
    const struct pair_options options = pair_options_parse(argc, argv, 1);

    pair_options_expect_pings(&options);
    pair_run(&options, client, server);
    return 0;
}
