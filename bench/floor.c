/* The floors: the same round trips in hand-written loops on bare system calls. An event loop is
 * judged by how close it comes to them. They wait in the ways that a program can wait:
 *
 *     block    plain send() and recv(); many connections are served in a fixed order, so that no
 *              call ever asks which of them is ready
 *     yield    send, give the CPU away, look without waiting, sleep after 50 us; one connection
 *     answer   the same over UDP with a server that answers whoever writes to it
 *     single   one thread plays both ends: no thread is ever woken
 *     stream   sends what the socket takes, reads what is there; one connection (floor_stream.c)
 */
#include "floor.h"

#include <err.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#define YIELD_FOR_NS UINT64_C(50000)

/* What all but stream send: the whole of it at once. */
#define SIZE_MAX_AT_ONCE 4096

static const char message[SIZE_MAX_AT_ONCE];

/* ---- block ------------------------------------------------------------------------------- */

/* False at the end of the connection. */
static bool recv_message(int fd, char *buf, size_t size)
{
    for (size_t have = 0; have < size;) {
        const ssize_t got = recv(fd, buf + have, size - have, 0);

        if (got > 0)
            have += (size_t)got;
        else if (floor_is_end(got))
            return false;
        else
            err(1, "recv");
    }
    return true;
}

static void recv_answer(int fd, size_t size)
{
    char answer[SIZE_MAX_AT_ONCE];

    if (!recv_message(fd, answer, size))
        errx(1, "the server closed the connection");
}

static void echo_in_turn(const int *fds, unsigned connections, size_t size)
{
    char buf[SIZE_MAX_AT_ONCE];

    for (unsigned i = 0; recv_message(fds[i], buf, size); i = i + 1 < connections ? i + 1 : 0)
        pair_send(fds[i], buf, size);
}

static void block_server(struct pair *pair)
{
    pair_server_ready(pair);
    echo_in_turn(pair->server_fds, pair->options->connections, pair->options->size);
    pair_close_server(pair);
}

/* Answers come back in the order of the messages, so the last ones are read in turn as well. */
static void block_client(struct pair *pair)
{
    const unsigned connections = pair->options->connections;
    const size_t size = pair->options->size;
    const int *fds = pair->client_fds;

    pair_client_start(pair);
    for (unsigned i = 0; i < connections && pair_take_ping(pair); i++)
        pair_send(fds[i], message, size);
    for (unsigned i = 0; pair->received < pair->sent; i = i + 1 < connections ? i + 1 : 0) {
        recv_answer(fds[i], size);
        pair->received++;
        if (pair_take_ping(pair))
            pair_send(fds[i], message, size);
    }
    pair_client_stop(pair);
    pair_close_client(pair);
}

/* ---- yield ------------------------------------------------------------------------------- */

/* As recvfrom(), but gives the CPU to the other thread before each look, and sleeps only when that
 * has brought nothing for a while. The clock is read only where the first look found nothing. */
static ssize_t recvfrom_yielding(int fd, char *buf, size_t len, struct sockaddr *from,
                                 socklen_t *from_len)
{
    uint64_t deadline_ns = 0;

    for (;;) {
        ssize_t got;

        sched_yield();
        got = recvfrom(fd, buf, len, MSG_DONTWAIT, from, from_len);
        if (got >= 0 || errno != EAGAIN)
            return got;
        if (!deadline_ns)
            deadline_ns = pair_now_ns() + YIELD_FOR_NS;
        else if (pair_now_ns() > deadline_ns)
            return recvfrom(fd, buf, len, 0, from, from_len);
    }
}

/* False at the end of the connection. */
static bool recv_message_yielding(int fd, char *buf, size_t size)
{
    for (size_t have = 0; have < size;) {
        const ssize_t got = recvfrom_yielding(fd, buf + have, size - have, NULL, NULL);

        if (got > 0)
            have += (size_t)got;
        else if (floor_is_end(got))
            return false;
        else
            err(1, "recv");
    }
    return true;
}

static void yield_server(struct pair *pair)
{
    const int fd = pair->server_fds[0];
    const size_t size = pair->options->size;
    char buf[SIZE_MAX_AT_ONCE];

    pair_server_ready(pair);
    while (recv_message_yielding(fd, buf, size))
        pair_send(fd, buf, size);
    pair_close_server(pair);
}

static void yield_client(struct pair *pair)
{
    const int fd = pair->client_fds[0];
    const size_t size = pair->options->size;
    char answer[SIZE_MAX_AT_ONCE];

    pair_client_start(pair);
    while (pair_take_ping(pair)) {
        pair_send(fd, message, size);
        if (!recv_message_yielding(fd, answer, size))
            errx(1, "the server closed the connection");
        pair->received++;
    }
    pair_client_stop(pair);
    pair_close_client(pair);
}

/* ---- answer ------------------------------------------------------------------------------ */

/* The kernel has chosen the port, and takes it back with the peer: it is bound again. */
static void disconnect(int fd)
{
    const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
    struct sockaddr_in self;
    socklen_t len = sizeof self;

    if (getsockname(fd, (struct sockaddr *)&self, &len) || connect(fd, &nobody, sizeof nobody) ||
        bind(fd, (struct sockaddr *)&self, len))
        err(1, "disconnect");
}

/* Each message says where it comes from, and each answer where it goes to. */
static void answer_server(struct pair *pair)
{
    const int fd = pair->server_fds[0];
    char buf[SIZE_MAX_AT_ONCE];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t got;

    disconnect(fd);
    pair_server_ready(pair);
    while ((got = recvfrom_yielding(fd, buf, sizeof buf, (struct sockaddr *)&from, &from_len)) >
           0) {
        if (sendto(fd, buf, (size_t)got, MSG_NOSIGNAL, (struct sockaddr *)&from, from_len) != got)
            err(1, "sendto");
    }
    if (!floor_is_end(got))
        err(1, "recvfrom");
    pair_close_server(pair);
}

/* ---- single ------------------------------------------------------------------------------ */

static void single_client(struct pair *pair)
{
    const unsigned connections = pair->options->connections;
    const size_t size = pair->options->size;
    unsigned i = 0;

    pair_client_start(pair);
    while (pair_take_ping(pair)) {
        pair_send(pair->client_fds[i], message, size);
        recv_answer(pair->server_fds[i], size);
        pair_send(pair->server_fds[i], message, size);
        recv_answer(pair->client_fds[i], size);
        pair->received++;
        i = i + 1 < connections ? i + 1 : 0;
    }
    pair_client_stop(pair);
    pair_close_client(pair);
    pair_close_server(pair);
}

/* ---- main -------------------------------------------------------------------------------- */

struct mode {
    const char *name;
    pair_end *client;
    pair_end *server;
    unsigned connections_max;
    uint32_t size_max;
    uint32_t depth_max;
};

static const struct mode modes[] = {
    { "block", block_client, block_server, UINT32_MAX, SIZE_MAX_AT_ONCE, 1 },
    { "yield", yield_client, yield_server, 1, SIZE_MAX_AT_ONCE, 1 },
    { "answer", yield_client, answer_server, 1, SIZE_MAX_AT_ONCE, 1 },
    { "single", single_client, NULL, UINT32_MAX, SIZE_MAX_AT_ONCE, 1 },
    { "ring", floor_ring_client, floor_ring_server, UINT32_MAX, PAIR_PING_BYTES, 1 },
    { "stream", floor_stream_client, floor_stream_server, 1, PAIR_SIZE_MAX, UINT32_MAX },
};

/* The program goes by the name of each: floor-ring. */
static const struct mode *find_mode(const char *program)
{
    const char *name = strrchr(program, '-');

    for (size_t i = 0; name && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, name + 1) == 0)
            return &modes[i];
    }
    errx(2, "this program goes by the names floor-block, -yield, -answer, -single, -ring and "
            "-stream");
}

static void check(const struct mode *mode, const struct pair_options *options)
{
    if (options->connections > mode->connections_max)
        errx(2, "%s serves one connection a pair", mode->name);
    if (options->size > mode->size_max)
        errx(2, "%s has messages of at most %u bytes", mode->name, mode->size_max);
    if (options->depth > mode->depth_max)
        errx(2, "%s has one message under way on each connection", mode->name);
    if (mode->server == floor_ring_server && options->transport == PAIR_UDP)
        errx(2, "a ring does not see the end of messages over UDP");
    if (mode->server == floor_stream_server && options->transport == PAIR_UDP)
        errx(2, "messages over UDP are no stream");
    if (mode->server == answer_server && options->transport != PAIR_UDP)
        errx(2, "%s needs --udp", mode->name);
}

int main(int argc, char **argv)
{
    const struct mode *mode = find_mode(argc > 0 ? argv[0] : "");
    const struct pair_options options = pair_options_parse(argc, argv);

    check(mode, &options);
    pair_run(&options, mode->client, mode->server);
    return 0;
}
