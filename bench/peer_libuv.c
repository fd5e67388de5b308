/* An echo pair as one writes it on libuv: a loop a thread, uv_read_start() into one shared buffer.
 *
 * Pings and echoes go out with uv_try_write(), which is the faster of libuv's two ways for messages
 * that always fit into the socket's buffer: uv_write() sends just as early, but reports from the
 * next turn of the loop, which costs one more epoll_wait() a message. */
#include "pair.h"

#include <err.h>
#include <stdlib.h>
#include <uv.h>

struct conn {
    uv_tcp_t tcp; /* first, so that a handle is its connection; its data is the end */
    size_t have;  /* bytes of the pong so far */
};

struct end {
    uv_loop_t loop;
    struct pair *pair;
    struct conn *conns;
    char buf[65536]; /* shared: each read is dealt with before the next one */
};

static void check(int status, const char *what)
{
    if (status < 0)
        errx(1, "%s: %s", what, uv_strerror(status));
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct end *end = handle->data;

    (void)suggested;
    *buf = uv_buf_init(end->buf, sizeof end->buf);
}

static void write_now(uv_stream_t *stream, char *bytes, size_t len)
{
    const uv_buf_t buf = uv_buf_init(bytes, (unsigned)len);
    const int written = uv_try_write(stream, &buf, 1);

    check(written, "uv_try_write");
    if ((size_t)written != len)
        errx(1, "uv_try_write: the socket's buffer is full");
}

static void send_ping(struct conn *conn)
{
    char ping[] = PAIR_PING;

    write_now((uv_stream_t *)&conn->tcp, ping, PAIR_PING_BYTES);
}

static void end_open(struct end *end, struct pair *pair, const int *fds, uv_read_cb on_read)
{
    const unsigned connections = pair->options->connections;

    end->pair = pair;
    end->conns = calloc(connections, sizeof *end->conns);
    if (!end->conns)
        err(1, "calloc");
    check(uv_loop_init(&end->loop), "uv_loop_init");
    for (unsigned i = 0; i < connections; i++) {
        uv_tcp_t *tcp = &end->conns[i].tcp;

        check(uv_tcp_init(&end->loop, tcp), "uv_tcp_init");
        check(uv_tcp_open(tcp, fds[i]), "uv_tcp_open");
        tcp->data = end;
        check(uv_read_start((uv_stream_t *)tcp, on_alloc, on_read), "uv_read_start");
    }
}

/* Runs until every connection is closed. */
static void end_run(struct end *end)
{
    check(uv_run(&end->loop, UV_RUN_DEFAULT), "uv_run");
    check(uv_loop_close(&end->loop), "uv_loop_close");
    free(end->conns);
    free(end);
}

/* ---- server ------------------------------------------------------------------------------ */

static void on_ping(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    if (got > 0)
        write_now(stream, buf->base, (size_t)got);
    else if (got < 0)
        uv_close((uv_handle_t *)stream, NULL);
}

static void server(struct pair *pair)
{
    struct end *end = calloc(1, sizeof *end);

    if (!end)
        err(1, "calloc");
    end_open(end, pair, pair->server_fds, on_ping);
    pair_server_ready(pair);
    end_run(end);
}

/* ---- client ------------------------------------------------------------------------------ */

static void close_all(struct end *end)
{
    for (unsigned i = 0; i < end->pair->options->connections; i++)
        uv_close((uv_handle_t *)&end->conns[i].tcp, NULL);
}

static void on_pong(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct conn *conn = (struct conn *)stream;
    struct end *end = stream->data;
    struct pair *pair = end->pair;

    (void)buf;
    if (got < 0)
        check((int)got, "read");
    conn->have += (size_t)got;
    if (conn->have < PAIR_PING_BYTES)
        return;
    conn->have = 0;
    pair->received++;
    if (pair_take_ping(pair)) {
        send_ping(conn);
    } else if (pair->received == pair->sent) {
        pair_client_stop(pair);
        close_all(end);
    }
}

static void client(struct pair *pair)
{
    struct end *end = calloc(1, sizeof *end);

    if (!end)
        err(1, "calloc");
    end_open(end, pair, pair->client_fds, on_pong);
    pair_client_start(pair);
    for (unsigned i = 0; i < pair->options->connections && pair_take_ping(pair); i++)
        send_ping(&end->conns[i]);
    end_run(end);
}

int main(int argc, char **argv)
{
    const struct pair_options options = pair_options_parse(argc, argv, 1);

    pair_options_expect_pings(&options);
    pair_run(&options, client, server);
    return 0;
}
