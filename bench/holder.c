/* Holds many connections to an echo server, so that what they cost its memory can be measured:
 *
 *     holder N PORT    connects N times to 127.0.0.1:PORT, sends one ping on each, reads each echo
 *                      back, prints "done"
 *     (end of input)   resets all connections and ends
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* It never outlives its benchmark by much, whatever becomes of that. */
#define MAX_SECONDS 60

#define PING "PING\n"
#define PING_BYTES (sizeof PING - 1)

static unsigned long parse(const char *text, unsigned long max)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno || *end || value == 0 || value > max)
        errx(2, "not a number from 1 to %lu: %s", max, text);
    return value;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        err(1, "setrlimit");
}

static int connect_to(in_port_t port)
{
    const struct sockaddr_in addr = { .sin_family = AF_INET,
                                      .sin_port = htons(port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) ||
        connect(fd, (const struct sockaddr *)&addr, sizeof addr))
        err(1, "connect");
    return fd;
}

/* All pings are under way at once: the server gets no chance to use one buffer for all. */
static void use_once(const int *fds, unsigned long count)
{
    char pong[PING_BYTES];

    for (unsigned long i = 0; i < count; i++) {
        if (send(fds[i], PING, PING_BYTES, MSG_NOSIGNAL) != (ssize_t)PING_BYTES)
            err(1, "send");
    }
    for (unsigned long i = 0; i < count; i++) {
        if (recv(fds[i], pong, PING_BYTES, MSG_WAITALL) != (ssize_t)PING_BYTES ||
            memcmp(pong, PING, PING_BYTES) != 0)
            errx(1, "connection %lu: no echo, or a wrong one", i);
    }
}

int main(int argc, char **argv)
{
    unsigned long count;
    in_port_t port;
    int *fds;

    if (argc != 3)
        errx(2, "usage: holder N PORT");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(MAX_SECONDS);
    count = parse(argv[1], 1000000);
    port = (in_port_t)parse(argv[2], 65535);
    fds = calloc(count, sizeof *fds);
    if (!fds)
        err(1, "calloc");
    raise_descriptor_limit();
    for (unsigned long i = 0; i < count; i++)
        fds[i] = connect_to(port);
    use_once(fds, count);
    puts("done");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    free(fds);
    return 0;
}
