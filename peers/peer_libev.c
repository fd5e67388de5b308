/* An echo server and its client as one writes them on libev: a loop a thread, recv() and send() in
 * the callbacks of watchers. */
#include "pair.h"

#include <err.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
    ev_io readable, writable;
    char *rest; /* what the socket had no room for */
    size_t rest_bytes;
    struct pair_conn pair;
};

static size_t send_some(int fd, const char *bytes, size_t len)
{
    const ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN)
        err(1, "send");
    return sent > 0 ? (size_t)sent : 0;
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct conn *conn = watcher->data;
    const size_t sent = send_some(watcher->fd, conn->rest, conn->rest_bytes);

    (void)events;
    conn->rest_bytes -= sent;
    memmove(conn->rest, conn->rest + sent, conn->rest_bytes);
    if (conn->rest_bytes == 0)
        ev_io_stop(loop, watcher);
}

static void write_all(struct ev_loop *loop, struct conn *conn, const char *bytes, size_t len)
{
    const size_t sent = conn->rest_bytes ? 0 : send_some(conn->readable.fd, bytes, len);

    if (sent == len)
        return;
    conn->rest = realloc(conn->rest, conn->rest_bytes + len - sent);
    if (!conn->rest)
        err(1, "no memory for a message");
    memcpy(conn->rest + conn->rest_bytes, bytes + sent, len - sent);
    conn->rest_bytes += len - sent;
    ev_io_start(loop, &conn->writable);
}

static void conn_open(struct conn *conn, struct ev_loop *loop, int fd,
                      void (*on_readable)(struct ev_loop *loop, ev_io *watcher, int events))
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ev_io_init(&conn->readable, on_readable, fd, EV_READ);
    ev_io_init(&conn->writable, on_writable, fd, EV_WRITE);
    conn->readable.data = conn->writable.data = conn;
    ev_io_start(loop, &conn->readable);
}

static void conn_close(struct ev_loop *loop, struct conn *conn)
{
    ev_io_stop(loop, &conn->readable);
    ev_io_stop(loop, &conn->writable);
    close(conn->readable.fd);
    free(conn->rest);
    free(conn);
}

/* ---- server ---- */

static void on_ping(struct ev_loop *loop, ev_io *watcher, int events)
{
    char buffer[65536];
    const ssize_t got = recv(watcher->fd, buffer, sizeof buffer, 0);

    (void)events;
    if (got > 0)
        write_all(loop, watcher->data, buffer, (size_t)got);
    else
        conn_close(loop, watcher->data);
}

static void on_connection(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    conn_open(pair_alloc(1, sizeof(struct conn)), loop, accept(watcher->fd, NULL, NULL), on_ping);
    if (pair_accepted(watcher->data))
        ev_io_stop(loop, watcher);
}

static void serve(struct pair *pair)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_io listener = { .data = pair };

    ev_io_init(&listener, on_connection, pair->listener, EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    ev_loop_destroy(loop);
    close(pair->listener);
}

/* ---- client ---- */

static void on_pong(struct ev_loop *loop, ev_io *watcher, int events)
{
    char buffer[65536];
    struct conn *conn = watcher->data;
    const ssize_t got = recv(watcher->fd, buffer, sizeof buffer, 0);
    enum pair_next next;

    (void)events;
    if (got <= 0)
        err(1, "recv");
    next = pair_take(&conn->pair, buffer, (size_t)got);
    if (next == PAIR_SEND)
        write_all(loop, conn, conn->pair.ping, conn->pair.pair->size);
    else if (next == PAIR_CLOSE)
        conn_close(loop, conn);
}

static void connect_all(struct pair *pair)
{
    struct conn **conns = pair_alloc(pair->connections, sizeof *conns);
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    for (unsigned i = 0; i < pair->connections; i++) {
        conns[i] = pair_alloc(1, sizeof *conns[i]);
        conn_open(conns[i], loop, pair_connect(&conns[i]->pair, pair), on_pong);
    }
    pair_start(pair);
    for (unsigned i = 0; i < pair->connections; i++)
        write_all(loop, conns[i], pair_first(&conns[i]->pair), pair->size);
    ev_run(loop, 0);
    ev_loop_destroy(loop);
    free(conns);
}

int main(int argc, char **argv)
{
    return pair_main(argc, argv, &(struct pair_peer){ "libev", "", 64 << 20, serve, connect_all });
}
