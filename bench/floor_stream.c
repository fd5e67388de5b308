#include "floor.h"

#include <err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Large enough that a message of a megabyte is a few calls, small enough to stay in the cache. */
#define CHUNK_BYTES (UINT32_C(512) << 10)

static char *new_chunk(void)
{
    char *chunk = calloc(1, CHUNK_BYTES);

    if (!chunk)
        err(1, "calloc");
    return chunk;
}

/* What is there goes back at once. A send that blocks is no deadlock: the client always reads. */
void floor_stream_server(struct pair *pair)
{
    const int fd = pair->server_fds[0];
    char *chunk = new_chunk();
    ssize_t got;

    pair_server_ready(pair);
    while ((got = recv(fd, chunk, CHUNK_BYTES, 0)) > 0)
        pair_send(fd, chunk, (size_t)got);
    if (!floor_is_end(got))
        err(1, "recv");
    pair_close_server(pair);
    free(chunk);
}

struct stream {
    int fd;
    uint64_t unsent; /* bytes of messages that may be sent */
    uint64_t have;   /* bytes of the answer that is coming in */
    char *out;
    char *in;
};

/* Counts these as sent, if so many may be. */
static void take_messages(struct stream *stream, struct pair *pair, uint64_t messages)
{
    while (messages-- > 0 && pair_take_ping(pair))
        stream->unsent += pair->options->size;
}

/* As much as fits into the socket. */
static void send_some(struct stream *stream)
{
    while (stream->unsent > 0) {
        const size_t len = stream->unsent < CHUNK_BYTES ? stream->unsent : CHUNK_BYTES;
        const ssize_t sent = send(stream->fd, stream->out, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            err(1, "send");
        stream->unsent -= (uint64_t)sent;
    }
}

/* Returns the number of answers that this has completed; 0 also when the socket takes more now. */
static uint64_t receive_some(struct stream *stream, uint32_t size)
{
    const ssize_t got = recv(stream->fd, stream->in, CHUNK_BYTES,
                             stream->unsent ? MSG_DONTWAIT : 0);
    uint64_t whole;

    if (got < 0 && errno == EAGAIN) {
        struct pollfd wanted = { .fd = stream->fd, .events = POLLIN | POLLOUT };

        if (poll(&wanted, 1, -1) < 0)
            err(1, "poll");
        return 0;
    }
    if (floor_is_end(got))
        errx(1, "the server closed the connection");
    if (got < 0)
        err(1, "recv");
    if (memcmp(stream->in, stream->out, (size_t)got) != 0)
        errx(1, "the answer is not what was sent");
    stream->have += (uint64_t)got;
    whole = stream->have / size;
    stream->have -= whole * size;
    return whole;
}

/* Sleeps in recv() where all is sent, and in poll() only where the socket is full. */
void floor_stream_client(struct pair *pair)
{
    struct stream stream = { .fd = pair->client_fds[0], .out = new_chunk(), .in = new_chunk() };

    pair_client_start(pair);
    take_messages(&stream, pair, pair->options->depth);
    while (pair->received < pair->sent) {
        uint64_t whole;

        send_some(&stream);
        whole = receive_some(&stream, pair->options->size);
        pair->received += whole;
        take_messages(&stream, pair, whole);
    }
    pair_client_stop(pair);
    pair_close_client(pair);
    free(stream.out);
    free(stream.in);
}
