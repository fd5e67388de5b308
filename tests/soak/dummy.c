/* Somebody else's server: it echoes, gives answers of the size that a hello asks for, and answers
 * datagrams, all on one port, in the plainest way: one thread, epoll, 64 kB for each connection, of
 * which nothing is read while something is owed. The churn visits it where a server is measured
 * that is not to be disturbed by more than the churn's work on the same CPUs.
 *
 *     dummy ADDRESS
 *
 * It prints its port, and ends when its standard input does. IPv4 only. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO_BYTES 1200
#define BUFFER_BYTES 65536
#define EVENTS 64

struct conn {
    int fd;
    bool begun, hello, sized, ended, waits; /* waits: for room to send */
    uint32_t request, response, request_left;
    uint32_t have; /* of the hello */
    uint64_t owed; /* answers */
    uint32_t at, len;
    char data[BUFFER_BYTES];
};

static int epoll_fd, listen_fd, udp_fd;
static char answer[BUFFER_BYTES];

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(2);
}

static void watch(int fd, void *owner, uint32_t events, int how)
{
    struct epoll_event event = { .events = events, .data.ptr = owner };

    must(epoll_ctl(epoll_fd, how, fd, &event) == 0, "epoll_ctl");
}

static void conn_close(struct conn *conn)
{
    (void)close(conn->fd);
    free(conn);
}

static uint32_t number_in(const struct conn *conn, const char *name)
{
    const char *at = memmem(conn->data, HELLO_BYTES - 1, name, strlen(name));

    return at ? (uint32_t)strtoul(at + strlen(name), NULL, 10) : 0;
}

static void requests_taken(struct conn *conn, uint64_t bytes)
{
    if (bytes < conn->request_left) {
        conn->request_left -= (uint32_t)bytes;
        return;
    }
    bytes -= conn->request_left;
    conn->owed += conn->response * (1 + bytes / conn->request);
    conn->request_left = conn->request - (uint32_t)(bytes % conn->request);
}

/* The hello itself is the answer to it. Requests may have come with it. */
static void hello_taken(struct conn *conn)
{
    const uint32_t more = conn->have - HELLO_BYTES;

    conn->data[HELLO_BYTES - 1] = '\0';
    conn->request = number_in(conn, "\nrequest=");
    conn->response = number_in(conn, "\nresponse=");
    conn->sized = conn->request > 0 && conn->response > 0;
    conn->request_left = conn->request;
    conn->have = 0;
    conn->at = 0;
    conn->len = HELLO_BYTES;
    if (conn->sized && more > 0)
        requests_taken(conn, more);
}

static void taken(struct conn *conn, size_t bytes)
{
    if (!conn->begun)
        conn->hello = bytes > 17 && memcmp(conn->data, "\x9dpingpong hello 1\n", 18) == 0;
    conn->begun = true;
    if (conn->sized) {
        requests_taken(conn, bytes);
    } else if (conn->hello) {
        conn->have += (uint32_t)bytes;
        if (conn->have >= HELLO_BYTES)
            hello_taken(conn);
    } else {
        conn->at = 0;
        conn->len = (uint32_t)bytes;
    }
}

/* Whether all is sent. False with waits: not yet; without: it is closed. */
static bool send_all(struct conn *conn)
{
    while (conn->at < conn->len || conn->owed > 0) {
        const bool owed = conn->at == conn->len;
        const char *data = owed ? answer : conn->data + conn->at;
        const size_t bytes = !owed                        ? conn->len - conn->at
                             : conn->owed < sizeof answer ? (size_t)conn->owed
                                                          : sizeof answer;
        const ssize_t sent = send(conn->fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0) {
            conn->waits = errno == EAGAIN;
            return false;
        }
        if (owed)
            conn->owed -= (uint64_t)sent;
        else
            conn->at += (uint32_t)sent;
    }
    return true;
}

static bool receive(struct conn *conn)
{
    const bool hello = conn->hello && !conn->sized;
    const size_t room = hello ? HELLO_BYTES - conn->have : sizeof conn->data;
    const ssize_t got = recv(conn->fd, conn->data + (hello ? conn->have : 0), room, MSG_DONTWAIT);

    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    taken(conn, (size_t)got);
    return true;
}

static void conn_serve(struct conn *conn, uint32_t events)
{
    const bool waited = conn->waits;

    conn->waits = false;
    if (events & (EPOLLERR | EPOLLHUP) || (!waited && !receive(conn))) {
        conn_close(conn);
        return;
    }
    if (!send_all(conn) && !conn->waits)
        conn_close(conn);
    else if (waited != conn->waits)
        watch(conn->fd, conn, conn->waits ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
}

static void accept_one(void)
{
    const int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *conn = fd < 0 ? NULL : calloc(1, sizeof *conn);

    if (!conn)
        return;
    conn->fd = fd;
    watch(fd, conn, EPOLLIN, EPOLL_CTL_ADD);
}

/* A request's third kind byte is 0; its reply is the same with a 1. */
static void datagram_serve(void)
{
    static char data[BUFFER_BYTES];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    const ssize_t got = recvfrom(udp_fd, data, sizeof data, MSG_DONTWAIT, (void *)&from, &len);

    if (got < 16 || memcmp(data, "pp\x9d\x01", 5) != 0)
        return;
    data[4] = 1;
    (void)sendto(udp_fd, data, (size_t)got, MSG_DONTWAIT, (void *)&from, len);
}

static void listen_at(const char *host)
{
    struct sockaddr_in addr = { .sin_family = AF_INET };
    socklen_t len = sizeof addr;

    must(inet_pton(AF_INET, host, &addr.sin_addr) == 1, "ADDRESS");
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(bind(listen_fd, (void *)&addr, len) == 0 && listen(listen_fd, 4096) == 0, "listen");
    must(getsockname(listen_fd, (void *)&addr, &len) == 0, "getsockname");
    udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(bind(udp_fd, (void *)&addr, len) == 0, "bind");
    printf("%u\n", ntohs(addr.sin_port));
    (void)fflush(stdout);
}

/* False: it is to end. */
static bool serve(const struct epoll_event *event)
{
    if (event->data.ptr == &listen_fd)
        accept_one();
    else if (event->data.ptr == &udp_fd)
        datagram_serve();
    else if (event->data.ptr)
        conn_serve(event->data.ptr, event->events);
    return event->data.ptr != NULL;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct rlimit limit;
    int count = 0;

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_at(argc > 1 ? argv[1] : "127.0.0.1");
    watch(listen_fd, &listen_fd, EPOLLIN, EPOLL_CTL_ADD);
    watch(udp_fd, &udp_fd, EPOLLIN, EPOLL_CTL_ADD);
    watch(STDIN_FILENO, NULL, EPOLLIN, EPOLL_CTL_ADD);
    while ((count = epoll_wait(epoll_fd, events, EVENTS, -1)) >= 0 || errno == EINTR)
        for (int i = 0; i < count; i++)
            if (!serve(&events[i]))
                return 0;
    return 1;
}
