/* A peer whose server changes a byte of its hundredth answer: what its client says of that is what
 * test_peers.py looks at. */
#include "pair.h"

#include <err.h>
#include <sys/socket.h>
#include <unistd.h>

#define WRONG 100
#define BYTES 5

static void serve(struct pair *pair)
{
    const int fd = accept(pair->listener, NULL, NULL);
    char bytes[BYTES];

    if (fd < 0 || !pair_accepted(pair))
        err(1, "accept one connection");
    for (int i = 1; recv(fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes; i++) {
        bytes[2] ^= i == WRONG;
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
    const struct pair_peer peer = { "wrong", "", BYTES, serve, ask };

    return pair_main(argc, argv, &peer);
}
