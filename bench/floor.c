/* The floors: the same round trips in hand-written loops on bare system calls. An event loop is
 * judged by how close it comes to them. They wait in the ways that a program can wait:
 *
 *     block    plain send() and recv(); many connections are served in a fixed order, so that no
 *              call ever asks which of them is ready
 *     yield    send, give the CPU away, look without waiting, sleep after 50 us; one connection
 *     single   one thread plays both ends: no thread is ever woken
 */
#include "pair.h"

#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define YIELD_FOR_NS UINT64_C(50000)

/* What recv() said when the peer is gone: it closed, or it reset the connection in closing. */
static bool is_end(ssize_t got)
{
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* ---- block ------------------------------------------------------------------------------- */

/* False at the end of the connection. */
static bool recv_ping(int fd, char ping[PAIR_PING_BYTES])
{
    for (size_t have = 0; have < PAIR_PING_BYTES;) {
        const ssize_t got = recv(fd, ping + have, PAIR_PING_BYTES - have, 0);

        if (got > 0)
            have += (size_t)got;
        else if (is_end(got))
            return false;
        else
            err(1, "recv");
    }
    return true;
}

static void recv_pong(int fd)
{
    char pong[PAIR_PING_BYTES];

    if (!recv_ping(fd, pong))
        errx(1, "the server closed the connection");
}

static void echo_in_turn(const int *fds, unsigned connections)
{
    char ping[PAIR_PING_BYTES];

    for (unsigned i = 0; recv_ping(fds[i], ping); i = i + 1 < connections ? i + 1 : 0)
        pair_send_ping(fds[i]);
}

static void block_server(struct pair *pair)
{
    pair_server_ready(pair);
    echo_in_turn(pair->server_fds, pair->options.connections);
    pair_close_all(pair->server_fds, pair->options.connections);
}

/* Pongs come back in the order of the pings, so the last ones are read in turn as well. */
static void block_client(struct pair *pair)
{
    const unsigned connections = pair->options.connections;
    const int *fds = pair->client_fds;

    pair_client_start(pair);
    for (unsigned i = 0; i < connections && pair_take_ping(pair); i++)
        pair_send_ping(fds[i]);
    for (unsigned i = 0; pair->received < pair->sent; i = i + 1 < connections ? i + 1 : 0) {
        recv_pong(fds[i]);
        pair->received++;
        if (pair_take_ping(pair))
            pair_send_ping(fds[i]);
    }
    pair_client_stop(pair);
    pair_close_all(fds, connections);
}

/* ---- yield ------------------------------------------------------------------------------- */

/* As recv(), but gives the CPU to the other thread before each look, and sleeps only when that has
 * brought nothing for a while. The clock is read only where the first look found nothing. */
static ssize_t recv_yielding(int fd, char *buf, size_t len)
{
    uint64_t deadline_ns = 0;

    for (;;) {
        ssize_t got;

        sched_yield();
        got = recv(fd, buf, len, MSG_DONTWAIT);
        if (got >= 0 || errno != EAGAIN)
            return got;
        if (!deadline_ns)
            deadline_ns = pair_now_ns() + YIELD_FOR_NS;
        else if (pair_now_ns() > deadline_ns)
            return recv(fd, buf, len, 0);
    }
}

/* False at the end of the connection. */
static bool recv_ping_yielding(int fd, char ping[PAIR_PING_BYTES])
{
    for (size_t have = 0; have < PAIR_PING_BYTES;) {
        const ssize_t got = recv_yielding(fd, ping + have, PAIR_PING_BYTES - have);

        if (got > 0)
            have += (size_t)got;
        else if (is_end(got))
            return false;
        else
            err(1, "recv");
    }
    return true;
}

static void yield_server(struct pair *pair)
{
    const int fd = pair->server_fds[0];
    char ping[PAIR_PING_BYTES];

    pair_server_ready(pair);
    while (recv_ping_yielding(fd, ping))
        pair_send_ping(fd);
    pair_close_all(&fd, 1);
}

static void yield_client(struct pair *pair)
{
    const int fd = pair->client_fds[0];
    char pong[PAIR_PING_BYTES];

    pair_client_start(pair);
    while (pair_take_ping(pair)) {
        pair_send_ping(fd);
        if (!recv_ping_yielding(fd, pong))
            errx(1, "the server closed the connection");
        pair->received++;
    }
    pair_client_stop(pair);
    pair_close_all(&fd, 1);
}

/* ---- single ------------------------------------------------------------------------------ */

static void single_client(struct pair *pair)
{
    const unsigned connections = pair->options.connections;
    unsigned i = 0;

    pair_client_start(pair);
    while (pair_take_ping(pair)) {
        pair_send_ping(pair->client_fds[i]);
        recv_pong(pair->server_fds[i]);
        pair_send_ping(pair->server_fds[i]);
        recv_pong(pair->client_fds[i]);
        pair->received++;
        i = i + 1 < connections ? i + 1 : 0;
    }
    pair_client_stop(pair);
    pair_close_all(pair->client_fds, connections);
    pair_close_all(pair->server_fds, connections);
}

/* ---- main -------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    struct pair_options options;

    if (strcmp(mode, "block") != 0 && strcmp(mode, "yield") != 0 && strcmp(mode, "single") != 0)
        errx(2, "the first argument is block, yield or single");
    options = pair_options_parse(argc, argv, 2);
    if (mode[0] == 'y' && options.connections != 1)
        errx(2, "yield serves one connection");
    if (mode[0] == 'b')
        pair_run(&options, block_client, block_server);
    else if (mode[0] == 'y')
        pair_run(&options, yield_client, yield_server);
    else
        pair_run(&options, single_client, NULL);
    return 0;
}
