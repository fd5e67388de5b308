/* An echo server and its client as one writes them on libevent: an event base a thread, recv() and
 * send() in the callbacks of events. Bufferevents copy, and send from the next turn of the loop. */
#include "pair.h"

#include <err.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/socket.h>

struct conn {
    struct event *readable, *writable;
    struct evbuffer *rest; /* what the socket had no room for */
    struct pair_conn pair;
};

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    struct conn *conn = argument;

    (void)what;
    if (evbuffer_write(conn->rest, fd) < 0 && errno != EAGAIN)
        err(1, "write");
    if (evbuffer_get_length(conn->rest) > 0)
        event_add(conn->writable, NULL);
}

static void conn_open(struct conn *conn, struct event_base *base, int fd, event_callback_fn on_read)
{
    evutil_make_socket_nonblocking(fd);
    conn->rest = evbuffer_new();
    conn->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_read, conn);
    conn->writable = event_new(base, fd, EV_WRITE, on_writable, conn);
    if (!conn->rest || !conn->readable || !conn->writable || event_add(conn->readable, NULL) < 0)
        errx(1, "no memory for a connection");
}

static void conn_close(struct conn *conn)
{
    const evutil_socket_t fd = event_get_fd(conn->readable);

    event_free(conn->readable);
    event_free(conn->writable);
    evbuffer_free(conn->rest);
    evutil_closesocket(fd);
    free(conn);
}

static void write_all(struct conn *conn, const char *bytes, size_t len)
{
    const bool waits = evbuffer_get_length(conn->rest) > 0;
    const ssize_t sent = waits ? 0 : send(event_get_fd(conn->readable), bytes, len, MSG_NOSIGNAL);
    const size_t done = sent > 0 ? (size_t)sent : 0;

    if (sent < 0 && errno != EAGAIN)
        err(1, "send");
    if (done < len) {
        evbuffer_add(conn->rest, bytes + done, len - done);
        event_add(conn->writable, NULL);
    }
}

static void run(struct event_base *base)
{
    if (event_base_dispatch(base) < 0)
        errx(1, "event_base_dispatch");
    event_base_free(base);
}

/* ---- server ---- */

static void on_ping(evutil_socket_t fd, short what, void *argument)
{
    char buffer[65536];
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);

    (void)what;
    if (got > 0)
        write_all(argument, buffer, (size_t)got);
    else
        conn_close(argument);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *addr, int bytes, void *argument)
{
    (void)addr;
    (void)bytes;
    conn_open(pair_alloc(1, sizeof(struct conn)), evconnlistener_get_base(listener), fd, on_ping);
    if (pair_accepted(argument))
        evconnlistener_free(listener);
}

static void serve(struct pair *pair)
{
    struct event_base *base = event_base_new();

    evutil_make_socket_nonblocking(pair->listener);
    if (!base ||
        !evconnlistener_new(base, on_connection, pair, LEV_OPT_CLOSE_ON_FREE, 0, pair->listener))
        errx(1, "no memory for the server");
    run(base);
}

/* ---- client ---- */

static void on_pong(evutil_socket_t fd, short what, void *argument)
{
    char buffer[65536];
    struct conn *conn = argument;
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    enum pair_next next;

    (void)what;
    if (got <= 0)
        err(1, "recv");
    next = pair_take(&conn->pair, buffer, (size_t)got);
    if (next == PAIR_SEND)
        write_all(conn, conn->pair.ping, conn->pair.pair->size);
    else if (next == PAIR_CLOSE)
        conn_close(conn);
}

static void connect_all(struct pair *pair)
{
    struct conn **conns = pair_alloc(pair->connections, sizeof *conns);
    struct event_base *base = event_base_new();

    if (!base)
        errx(1, "no memory for the client");
    for (unsigned i = 0; i < pair->connections; i++) {
        conns[i] = pair_alloc(1, sizeof *conns[i]);
        conn_open(conns[i], base, pair_connect(&conns[i]->pair, pair), on_pong);
    }
    pair_start(pair);
    for (unsigned i = 0; i < pair->connections; i++)
        write_all(conns[i], pair_first(&conns[i]->pair), pair->size);
    run(base);
    free(conns);
}

int main(int argc, char **argv)
{
    const struct pair_peer peer = { "libevent", event_get_version(), 64 << 20, serve, connect_all };

    return pair_main(argc, argv, &peer);
}
