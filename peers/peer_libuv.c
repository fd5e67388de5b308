/* An echo server and its client as one writes them on libuv: a loop a thread, uv_read_start() into
 * one buffer that all connections share.
 *
 * Messages go out with uv_try_write(), the faster way: uv_write() sends just as early, but reports
 * from the next turn of the loop, which costs one more epoll_wait() a message. */
#include "pair.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct conn {
    uv_tcp_t tcp; /* first, so that a handle is its connection */
    struct pair_conn pair;
};

struct rest {
    uv_write_t request;
    char bytes[];
};

/* Of one thread; each read is dealt with before the next one. */
static _Thread_local char buffer[65536];

static void check(int status, const char *what)
{
    if (status < 0)
        errx(1, "%s: %s", what, uv_strerror(status));
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_written(uv_write_t *request, int status)
{
    (void)status; /* a connection that is broken shows when it is read */
    free(request->data);
}

static void write_all(uv_stream_t *stream, char *bytes, size_t len)
{
    uv_buf_t buf = uv_buf_init(bytes, (unsigned)len);
    const int written = uv_try_write(stream, &buf, 1);
    const size_t done = written > 0 ? (size_t)written : 0;
    struct rest *rest;

    check(written == UV_EAGAIN ? 0 : written, "uv_try_write");
    if (done == len)
        return;
    rest = pair_alloc(1, sizeof *rest + len - done);
    memcpy(rest->bytes, bytes + done, len - done);
    rest->request.data = rest;
    buf = uv_buf_init(rest->bytes, (unsigned)(len - done));
    check(uv_write(&rest->request, stream, &buf, 1, on_written), "uv_write");
}

/* ---- server ---- */

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_ping(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    if (got > 0)
        write_all(stream, buf->base, (size_t)got);
    else if (got < 0)
        uv_close((uv_handle_t *)stream, on_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *tcp = pair_alloc(1, sizeof *tcp);
    uv_stream_t *stream = (uv_stream_t *)tcp;

    check(status, "listen");
    check(uv_tcp_init(listener->loop, tcp), "uv_tcp_init");
    check(uv_accept(listener, stream), "uv_accept");
    check(uv_read_start(stream, on_alloc, on_ping), "uv_read_start");
    if (pair_accepted(listener->data))
        uv_close((uv_handle_t *)listener, NULL);
}

static void run(uv_loop_t *loop)
{
    check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
    check(uv_loop_close(loop), "uv_loop_close");
}

static void serve(struct pair *pair)
{
    uv_loop_t loop;
    uv_tcp_t listener;

    check(uv_loop_init(&loop), "uv_loop_init");
    check(uv_tcp_init(&loop, &listener), "uv_tcp_init");
    check(uv_tcp_open(&listener, pair->listener), "uv_tcp_open");
    listener.data = pair;
    check(uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection), "uv_listen");
    run(&loop);
}

/* ---- client ---- */

static void on_pong(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct conn *conn = (struct conn *)stream;
    enum pair_next next;

    check((int)got, "read");
    next = pair_take(&conn->pair, buf->base, (size_t)got);
    if (next == PAIR_SEND)
        write_all(stream, conn->pair.ping, conn->pair.pair->size);
    else if (next == PAIR_CLOSE)
        uv_close((uv_handle_t *)stream, NULL);
}

static void connect_all(struct pair *pair)
{
    struct conn *conns = pair_alloc(pair->connections, sizeof *conns);
    uv_loop_t loop;

    check(uv_loop_init(&loop), "uv_loop_init");
    for (unsigned i = 0; i < pair->connections; i++) {
        uv_tcp_t *tcp = &conns[i].tcp;

        check(uv_tcp_init(&loop, tcp), "uv_tcp_init");
        check(uv_tcp_open(tcp, pair_connect(&conns[i].pair, pair)), "uv_tcp_open");
        check(uv_read_start((uv_stream_t *)tcp, on_alloc, on_pong), "uv_read_start");
    }
    pair_start(pair);
    for (unsigned i = 0; i < pair->connections; i++)
        write_all((uv_stream_t *)&conns[i].tcp, pair_first(&conns[i].pair), pair->size);
    run(&loop);
    free(conns);
}

int main(int argc, char **argv)
{
    const struct pair_peer peer = { "libuv", uv_version_string(), 64 << 20, serve, connect_all };

    return pair_main(argc, argv, &peer);
}
