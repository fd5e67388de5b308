/* A peer whose server changes a byte of answer WRONG, and gives each LATE_NS later than it could:
 * what becomes of that in its client is what test_peers.py looks at. */
#include "pair.h"

#include <err.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef WRONG
#define WRONG 0 /* none is */
#endif
#ifndef LATE_NS
#define LATE_NS 0
#endif
#define BYTES 5

static void serve(struct pair *pair)
{
    const int fd = accept(pair->listener, NULL, NULL);
    const struct timespec late = { .tv_nsec = LATE_NS };
    char bytes[BYTES];

    if (fd < 0 || !pair_accepted(pair))
        err(1, "accept one connection");
    for (int i = 1; recv(fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes; i++) {
        bytes[2] ^= i == WRONG;
        if (LATE_NS > 0)
            (void)nanosleep(&late, NULL);
        if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) < 0)
            err(1, "send");
    }
    close(fd);
}

static void ask(struct pair *pair)
{
    enum pair_next next = PAIR_SEND;
    struct pair_conn conn;
    const int fd = pair_connect(&conn, pair);
    char bytes[BYTES];

    pair_start(pair);
    for (pair_first(&conn); next == PAIR_SEND; next = pair_take(&conn, bytes, sizeof bytes))
        if (send(fd, conn.ping, sizeof bytes, MSG_NOSIGNAL) < 0 ||
            recv(fd, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes)
            err(1, "ask");
    close(fd);
}

int main(int argc, char **argv)
{
    const struct pair_peer peer = { "odd", "", BYTES, serve, ask };

    return pair_main(argc, argv, &peer);
}
