#include "server/dgram_server.h"

#include "base/assert.h"
#include "base/container.h"
#include "base/memory.h"
#include "base/pool.h"
#include "wire/datagram.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

/* A datagram on its way back. */
struct reply {
    struct pp_io_op op;
    struct pp_dgram_server *server;
    char *buf;
};

struct pp_dgram_server {
    struct pp_server_options options;
    const struct pp_io_world *world;
    int fd;                  /* -1: closed */
    struct pp_io_op recv_op; /* receive, then close */
    struct pp_io_op stop_op;
    bool stopping;
    struct pp_pool replies; /* one for each buffer of the loop */
    _Atomic uint64_t answered, ignored, bytes;
};

/* Only this thread adds to it. */
static void add(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter)
{
    add(counter, 1);
}

/* ---- closing ---- */

static enum pp_io_next on_closed(struct pp_io_op *op)
{
    (void)op;
    return PP_IO_DISARM;
}

static void close_if_quiet(struct pp_dgram_server *server)
{
    if (!server->stopping || server->fd < 0 || pp_io_is_armed(&server->recv_op) ||
        server->replies.in_use > 0)
        return;
    pp_io_close(server->options.loop, &server->recv_op, server->fd, on_closed);
    server->fd = -1;
}

/* ---- answering ---- */

static enum pp_io_next on_replied(struct pp_io_op *op)
{
    struct reply *reply = container_of(op, struct reply, op);
    struct pp_dgram_server *server = reply->server;

    pp_assert(pp_pool_owns(&server->replies, reply) && reply->buf);
    if (op->res >= 0) {
        count(&server->answered);
        add(&server->bytes, (uint64_t)op->res);
    }
    pp_io_buffer_put(server->options.loop, reply->buf);
    pp_pool_give(&server->replies, reply);
    close_if_quiet(server);
    return PP_IO_DISARM;
}

static void introduce(struct pp_dgram_server *server, char *data)
{
    struct pp_hello_reply reply = { 0 };

    server->options.introduce(server->options.owner, &reply);
    pp_hello_reply_write(&reply, data + PP_DATAGRAM_HEADER_BYTES);
}

/* A reply is no shorter than a header, and no longer than its request, so that nobody can be
 * flooded by way of this server. */
static bool is_fair(const struct pp_datagram *request, uint32_t len)
{
    return request->reply_bytes >= PP_DATAGRAM_HEADER_BYTES && request->reply_bytes <= len;
}

/* The length of the reply that data was turned into; 0: it is not worth one, or may not have one.
 */
static uint32_t turn(struct pp_dgram_server *server, char *data, uint32_t len)
{
    struct pp_datagram header;
    struct pp_hello hello;

    if (!pp_datagram_read(&header, data, len) || !pp_io_is_answerable(data))
        return 0;
    if (header.kind == PP_DATAGRAM_REQUEST) {
        if (!is_fair(&header, len))
            return 0;
        pp_datagram_turn(data, PP_DATAGRAM_REPLY);
        return header.reply_bytes;
    }
    if (header.kind != PP_DATAGRAM_HELLO || len != PP_DATAGRAM_HEADER_BYTES + PP_HELLO_BYTES ||
        pp_hello_read(&hello, data + PP_DATAGRAM_HEADER_BYTES) < 0)
        return 0;
    introduce(server, data);
    pp_datagram_turn(data, PP_DATAGRAM_HELLO_REPLY);
    return len;
}

static void answer(struct pp_dgram_server *server, char *buf, uint32_t len)
{
    const uint32_t reply_bytes = turn(server, buf, len);
    struct reply *reply = reply_bytes ? pp_pool_take(&server->replies) : NULL;

    if (!reply) {
        count(&server->ignored);
        pp_io_buffer_put(server->options.loop, buf);
        return;
    }
    pp_assert(reply_bytes <= len && !server->stopping); /* nobody is flooded by way of this */
    *reply = (struct reply){ .server = server, .buf = buf };
    pp_io_send_back(server->options.loop, &reply->op, server->fd, buf, reply_bytes, on_replied);
    reply->op.lazy = true;
}

/* A server that stops starts no reply: the replies that were under way have been cancelled, and
 * this one would wait for a client that does not read, or for news that does not come. */
static enum pp_io_next on_received(struct pp_io_op *op)
{
    struct pp_dgram_server *server = container_of(op, struct pp_dgram_server, recv_op);

    pp_assert(server->fd >= 0);
    if (op->res >= 0 && server->stopping)
        pp_io_buffer_put(server->options.loop, op->buf);
    else if (op->res >= 0)
        answer(server, op->buf, (uint32_t)op->res);
    if (!server->stopping)
        return PP_IO_REARM; /* an error is of one sender, not of the socket */
    close_if_quiet(server);
    return PP_IO_DISARM;
}

/* ---- opening and stopping ---- */

static enum pp_io_next on_stop(struct pp_io_op *op)
{
    struct pp_dgram_server *server = container_of(op, struct pp_dgram_server, stop_op);

    pp_assert(!server->stopping && server->fd >= 0);
    server->stopping = true;
    pp_io_cancel(server->options.loop, &server->recv_op);
    for (uint32_t i = 0; i < server->replies.used_once; i++) {
        struct reply *reply = pp_pool_at(&server->replies, i);

        reply->op.lazy = false;
        pp_io_cancel(server->options.loop, &reply->op);
    }
    close_if_quiet(server);
    return PP_IO_DISARM;
}

void pp_dgram_server_stop(struct pp_dgram_server *server)
{
    pp_io_wake(server->options.loop, &server->stop_op);
}

int pp_dgram_server_open(struct pp_dgram_server **out, const struct pp_server_options *options,
                         struct pp_error *err)
{
    struct pp_dgram_server *server = pp_memory_alloc(1, sizeof *server);

    if (!server || pp_pool_init(&server->replies, pp_io_loop_buffers(options->loop),
                                sizeof(struct reply)) < 0) {
        pp_memory_free(server);
        pp_io_world_of(options->loop)->close(options->listen_fd);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory to serve datagrams");
    }
    server->options = *options;
    server->world = pp_io_world_of(options->loop);
    server->fd = options->listen_fd;
    pp_io_wake_wait(options->loop, &server->stop_op, on_stop);
    pp_io_recv_from(options->loop, &server->recv_op, server->fd, on_received);
    *out = server;
    return 0;
}

uint64_t pp_dgram_server_answered(const struct pp_dgram_server *server)
{
    return atomic_load_explicit(&server->answered, memory_order_relaxed);
}

uint64_t pp_dgram_server_ignored(const struct pp_dgram_server *server)
{
    return atomic_load_explicit(&server->ignored, memory_order_relaxed);
}

void pp_dgram_server_close(struct pp_dgram_server *server)
{
    if (!server)
        return;
    if (server->fd >= 0) /* the loop never ran, or broke down */
        server->world->close(server->fd);
    pp_pool_fini(&server->replies);
    pp_memory_free(server);
}

uint64_t pp_dgram_server_bytes(const struct pp_dgram_server *server)
{
    return atomic_load_explicit(&server->bytes, memory_order_relaxed);
}
