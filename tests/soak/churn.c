/* Visitors of a server that behave as badly as they can: they come, stay for a while and go, each
 * as drawn from a row of the table below, and another one takes its place. No row is about one
 * server: whatever echoes can be visited.
 *
 *     churn ADDRESS PORT [--seed N] [--scale PERCENT] [--only KIND+KIND...]
 *
 * It ends when its standard input does, and then prints one line of JSON: what it has done. What is
 * drawn follows from the seed; in which order it happens is up to the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define HELLO_BYTES 1200
#define CHUNK_MAX 65536
#define VISITORS_MAX 4096
#define DATAGRAM_BYTES_MAX 65507
#define NS_PER_MS UINT64_C(1000000)
#define FOR_EVER_MS UINT32_C(1000000000)

enum body { BODY_PING, BODY_RANDOM, BODY_HTTP, BODY_TLS };
enum hello { HELLO_NONE, HELLO_HALF, HELLO_WHOLE, HELLO_SIZED, HELLO_FLOOD };
enum ends { END_CLOSE = 1, END_RESET = 2, END_ANY = 3 };
enum flags { HALF_CLOSES = 1, DATAGRAMS = 2, LARGEST = 4, ANY_STATE = 8, ON_DEMAND = 16 };

struct range {
    uint32_t low, high;
};

/* A kind of visitor. What is a range is drawn for each visitor. */
struct kind {
    const char *name;
    unsigned population; /* at a time */
    enum hello hello;
    struct range send;     /* bytes behind the hello */
    struct range chunk;    /* bytes a write */
    struct range pause_us; /* between two writes */
    struct range read;     /* bytes, then never again */
    struct range life_ms;
    enum ends ends;
    unsigned flags;
};

#define READS_ALL                                                                                  \
    {                                                                                              \
        UINT32_MAX, UINT32_MAX                                                                     \
    }
#define NOTHING                                                                                    \
    {                                                                                              \
        0, 0                                                                                       \
    }

/* What is not read is sent no faster to one server than to another, however fast that takes it. */
#define UNREAD_PACE                                                                                \
    {                                                                                              \
        1000, 4000                                                                                 \
    }

static const struct kind kinds[] = {
    { "reset",
      12,
      HELLO_NONE,
      { 0, 200000 },
      { 1, 65536 },
      NOTHING,
      { 0, 100000 },
      { 0, 60 },
      END_RESET,
      ANY_STATE },
    { "half-close",
      8,
      HELLO_NONE,
      { 1, 300000 },
      { 1000, 65536 },
      NOTHING,
      READS_ALL,
      { 5, 200 },
      END_ANY,
      HALF_CLOSES },
    { "half-close, unread",
      6,
      HELLO_NONE,
      { 1, 3000000 },
      { 1000, 65536 },
      UNREAD_PACE,
      NOTHING,
      { 5, 300 },
      END_ANY,
      HALF_CLOSES },
    { "sized",
      8,
      HELLO_SIZED,
      { 64, 6400 },
      { 64, 640 },
      { 0, 2000 },
      READS_ALL,
      { 5, 100 },
      END_ANY,
      0 },
    { "sized, reset",
      10,
      HELLO_SIZED,
      { 64, 64000 },
      { 64, 6400 },
      NOTHING,
      { 0, 100000 },
      { 0, 40 },
      END_RESET,
      0 },
    { "sized, little read",
      8,
      HELLO_SIZED,
      { 64, 64000 },
      { 64, 6400 },
      NOTHING,
      { 0, 3000 },
      { 20, 400 },
      END_ANY,
      0 },
    { "sized, half-close",
      6,
      HELLO_SIZED,
      { 64, 64000 },
      { 64, 6400 },
      NOTHING,
      { 0, 3000 },
      { 5, 300 },
      END_ANY,
      HALF_CLOSES },
    { "flood, unread",
      5,
      HELLO_FLOOD,
      { 100000, 4000000 },
      { 16384, 65536 },
      UNREAD_PACE,
      NOTHING,
      { 100, 800 },
      END_ANY,
      0 },
    { "unread",
      6,
      HELLO_NONE,
      { 1000000, 8000000 },
      { 16384, 65536 },
      UNREAD_PACE,
      NOTHING,
      { 50, 600 },
      END_ANY,
      0 },
    { "idle", 20, HELLO_NONE, NOTHING, { 1, 1 }, NOTHING, READS_ALL, { 10, 3000 }, END_ANY, 0 },
    { "half hello",
      12,
      HELLO_HALF,
      NOTHING,
      { 1, 1200 },
      { 0, 2000 },
      READS_ALL,
      { 10, 1500 },
      END_ANY,
      0 },
    { "whole hello",
      4,
      HELLO_WHOLE,
      NOTHING,
      { 1, 1200 },
      { 0, 2000 },
      READS_ALL,
      { 5, 100 },
      END_ANY,
      0 },
    { "rubbish",
      8,
      HELLO_NONE,
      { 1, 20000 },
      { 1, 5000 },
      { 0, 1000 },
      { 0, 20000 },
      { 1, 100 },
      END_ANY,
      ANY_STATE },
    { "drip",
      10,
      HELLO_NONE,
      { 50, 300 },
      { 1, 1 },
      { 500, 5000 },
      READS_ALL,
      { 50, 1000 },
      END_ANY,
      0 },
    { "large",
      4,
      HELLO_NONE,
      { 65536, 2000000 },
      { 65536, 65536 },
      { 1000, 20000 },
      READS_ALL,
      { 50, 500 },
      END_ANY,
      0 },
    { "datagrams",
      6,
      HELLO_NONE,
      { 1, 60 },
      NOTHING,
      { 200, 5000 },
      { 0, 60 },
      { 5, 200 },
      END_ANY,
      DATAGRAMS },
    /* These only where asked for. */
    { "largest datagrams",
      8,
      HELLO_NONE,
      { 1, 60 },
      NOTHING,
      { 200, 2000 },
      { 0, 60 },
      { 5, 200 },
      END_ANY,
      DATAGRAMS | LARGEST | ON_DEMAND },
    { "vanish",
      60,
      HELLO_NONE,
      { 0, 200000 },
      { 1, 65536 },
      NOTHING,
      { 0, 100000 },
      { FOR_EVER_MS, FOR_EVER_MS },
      END_ANY,
      ANY_STATE | ON_DEMAND },
};

struct tally {
    uint64_t visits, unreachable, dropped; /* dropped: the server ended it */
};

struct visitor {
    const struct kind *kind;
    struct tally *tally;
    int fd; /* -1: not here */
    enum hello hello;
    enum body body;
    uint64_t ends_ns, next_ns;
    uint64_t sent, total, read_left; /* of datagrams: how many */
    uint32_t chunk, pause_us;
    uint32_t hello_bytes;
    bool resets, half_closes, waits; /* waits: for room to send */
    char hello_data[HELLO_BYTES];
};

struct churn {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    uint64_t random;
    uint64_t sent, received;
    unsigned count;
    struct tally tallies[COUNT_OF(kinds)];
    struct visitor visitors[VISITORS_MAX];
    struct pollfd polls[VISITORS_MAX + 1];
};

static struct churn churn;
static char noise[CHUNK_MAX + 4096], sink[CHUNK_MAX];

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

/* splitmix64, by Sebastiano Vigna, in the public domain. */
static uint64_t draw(void)
{
    uint64_t z = (churn.random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t draw_of(struct range range)
{
    return range.low + (uint32_t)(draw() % ((uint64_t)range.high - range.low + 1));
}

/* ---- what is sent ---- */

static void hello_write(struct visitor *visitor)
{
    const bool flood = visitor->hello == HELLO_FLOOD;
    static const unsigned responses[] = { 1, 64, 1000, 16384, 65536, 1048576 };
    const unsigned response = flood ? draw() % 2 + 1 : responses[draw() % COUNT_OF(responses)];
    char sizes[128] = "";

    memset(visitor->hello_data, 0, sizeof visitor->hello_data);
    if (visitor->hello >= HELLO_SIZED)
        (void)snprintf(sizes, sizeof sizes,
                       "request=%d\nresponse=%u\nrequest_seed=1\nresponse_seed=2\nresponse_at=3\n",
                       flood ? 1 : 64, response);
    (void)snprintf(visitor->hello_data, sizeof visitor->hello_data,
                   "\x9dpingpong hello 1\nanswers=%d\n%s", visitor->hello >= HELLO_SIZED, sizes);
}

static const char *body_of(const struct visitor *visitor)
{
    static char ping[CHUNK_MAX], http[CHUNK_MAX], tls[CHUNK_MAX];

    if (!ping[0]) {
        for (size_t i = 0; i < sizeof ping; i++)
            ping[i] = "PING\n"[i % 5];
        memcpy(http, noise, sizeof http);
        memcpy(http, "GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", 41);
        memcpy(tls, noise, sizeof tls);
        memcpy(tls, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    }
    switch (visitor->body) {
    case BODY_PING:
        return ping;
    case BODY_HTTP:
        return http;
    case BODY_TLS:
        return tls;
    case BODY_RANDOM:
        break;
    }
    return noise + draw() % 4096;
}

/* ---- datagrams ---- */

/* The header as in src/wire/datagram.h, with whatever kind and length is asked for. */
static size_t datagram_write(char *data, bool largest)
{
    const size_t bytes = largest            ? DATAGRAM_BYTES_MAX
                         : draw() % 16 == 0 ? draw() % DATAGRAM_BYTES_MAX
                                            : draw() % 1500;

    memcpy(data, noise + draw() % 4096, bytes);
    switch (draw() % 5) {
    case 0: /* rubbish */
        break;
    case 1:
        memcpy(data, "GET / HTTP/1.1\r\n\r\n", bytes < 18 ? bytes : 18);
        break;
    case 2:
        memcpy(data, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", bytes < 11 ? bytes : 11);
        break;
    default: /* a request, a reply, a hello, its reply, or none of these */
        memcpy(data, "pp\x9d\x01", bytes < 4 ? bytes : 4);
        if (bytes > 4)
            data[4] = (char)(draw() % 6);
        break;
    }
    return bytes;
}

static void visit_with_datagrams(struct visitor *visitor, uint64_t now)
{
    static char data[DATAGRAM_BYTES_MAX];
    ssize_t got;

    while (visitor->sent < visitor->total && now >= visitor->next_ns) {
        const size_t bytes = datagram_write(data, visitor->kind->flags & LARGEST);
        const ssize_t sent = send(visitor->fd, data, bytes, MSG_DONTWAIT);

        churn.sent += sent > 0 ? (uint64_t)sent : 0;
        visitor->sent++;
        visitor->next_ns = now + visitor->pause_us * UINT64_C(1000);
    }
    while (visitor->read_left > 0 &&
           (got = recv(visitor->fd, sink, sizeof sink, MSG_DONTWAIT)) >= 0) {
        churn.received += (uint64_t)got;
        visitor->read_left--;
    }
}

/* ---- a visit ---- */

static void leave(struct visitor *visitor, bool dropped)
{
    const struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (visitor->resets)
        (void)setsockopt(visitor->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(visitor->fd);
    visitor->fd = -1;
    visitor->tally->dropped += dropped;
}

static void draw_character(struct visitor *visitor)
{
    const struct kind *kind = visitor->kind;

    visitor->hello = kind->hello;
    visitor->total = draw_of(kind->send);
    visitor->chunk = draw_of(kind->chunk);
    visitor->pause_us = draw_of(kind->pause_us);
    visitor->read_left = draw_of(kind->read);
    visitor->resets = kind->ends == END_RESET || (kind->ends == END_ANY && draw() % 2);
    visitor->half_closes = kind->flags & HALF_CLOSES;
    visitor->body = BODY_PING;
    if (kind->flags & ANY_STATE) {
        visitor->hello = draw() % 2 ? HELLO_NONE : (enum hello)(draw() % (HELLO_FLOOD + 1));
        visitor->total = draw() % 4 ? visitor->total : 0;
        visitor->half_closes = draw() % 4 == 0;
        visitor->body = (enum body)(draw() % (BODY_TLS + 1));
    }
    visitor->hello_bytes = visitor->hello == HELLO_NONE ? 0
                           : visitor->hello == HELLO_HALF
                               ? (uint32_t)(draw() % (HELLO_BYTES - 1)) + 1
                               : HELLO_BYTES;
    if (visitor->hello == HELLO_HALF)
        visitor->total = 0;
    visitor->total += visitor->hello_bytes;
    hello_write(visitor);
}

/* Whoever could not come comes again a little later. */
static void come(struct visitor *visitor, uint64_t now)
{
    const bool datagrams = visitor->kind->flags & DATAGRAMS;
    const int type = (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const int fd = socket(churn.address.ss_family, type, 0);
    const int small = 4096;

    draw_character(visitor);
    visitor->sent = 0;
    visitor->waits = !datagrams;
    visitor->next_ns = now;
    visitor->ends_ns = now + draw_of(visitor->kind->life_ms) * NS_PER_MS;
    visitor->tally->visits++;
    if (fd >= 0 && draw() % 4 == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (fd < 0 || (connect(fd, (const void *)&churn.address, churn.address_bytes) < 0 &&
                   errno != EINPROGRESS)) {
        visitor->tally->unreachable++;
        visitor->next_ns = now + 10 * NS_PER_MS;
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    visitor->fd = fd;
}

static size_t piece_of(const struct visitor *visitor, const char **data)
{
    const uint64_t left = visitor->total - visitor->sent;
    uint64_t piece = visitor->chunk < left ? visitor->chunk : left;

    if (visitor->sent >= visitor->hello_bytes) {
        *data = body_of(visitor);
        return piece < CHUNK_MAX ? piece : CHUNK_MAX;
    }
    *data = visitor->hello_data + visitor->sent;
    if (piece > visitor->hello_bytes - visitor->sent)
        piece = visitor->hello_bytes - visitor->sent;
    return piece;
}

static bool is_due(const struct visitor *visitor, uint64_t now)
{
    return visitor->sent < visitor->total && now >= visitor->next_ns;
}

/* At most a few chunks at a time, so that the others have their turn. */
static void talk(struct visitor *visitor, uint64_t now)
{
    for (int i = 0; i < 4 && !visitor->waits && is_due(visitor, now); i++) {
        const char *data;
        const size_t bytes = piece_of(visitor, &data);
        const ssize_t sent = send(visitor->fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0) {
            visitor->waits = errno == EAGAIN;
            if (!visitor->waits)
                leave(visitor, true);
            return;
        }
        churn.sent += (uint64_t)sent;
        visitor->sent += (uint64_t)sent;
        visitor->next_ns = visitor->pause_us ? now + visitor->pause_us * UINT64_C(1000) : 0;
    }
    if (visitor->sent == visitor->total && visitor->half_closes && !visitor->waits) {
        (void)shutdown(visitor->fd, SHUT_WR);
        visitor->half_closes = false;
    }
}

static void listen_to(struct visitor *visitor)
{
    const size_t room = visitor->read_left < sizeof sink ? visitor->read_left : sizeof sink;
    const ssize_t got = recv(visitor->fd, sink, room, MSG_DONTWAIT);

    if (got > 0) {
        churn.received += (uint64_t)got;
        visitor->read_left -= visitor->read_left == UINT32_MAX ? 0 : (uint64_t)got;
    } else if (got == 0 || errno != EAGAIN) {
        leave(visitor, true);
    }
}

static void visit(struct visitor *visitor, short events, uint64_t now)
{
    if (visitor->fd < 0) {
        if (now >= visitor->next_ns)
            come(visitor, now);
        return;
    }
    if (now >= visitor->ends_ns) {
        leave(visitor, false);
        visitor->next_ns = now;
        return;
    }
    if (visitor->kind->flags & DATAGRAMS) {
        visit_with_datagrams(visitor, now);
        return;
    }
    if (events & (POLLERR | POLLNVAL)) {
        leave(visitor, true);
        visitor->next_ns = now + NS_PER_MS;
        return;
    }
    if (events & POLLOUT)
        visitor->waits = false;
    talk(visitor, now);
    if (visitor->fd >= 0 && events & POLLIN && visitor->read_left > 0)
        listen_to(visitor);
}

/* ---- all of them ---- */

static short interest_of(const struct visitor *visitor)
{
    short events = 0;

    if (visitor->read_left > 0)
        events |= POLLIN;
    if (visitor->waits)
        events |= POLLOUT;
    return events;
}

/* Looking at each visitor a thousand times a second paces the churn. */
static void wait_a_little(void)
{
    const struct timespec tick = { .tv_nsec = (long)NS_PER_MS };

    for (unsigned i = 0; i < churn.count; i++)
        churn.polls[i] = (struct pollfd){ .fd = churn.visitors[i].fd,
                                          .events = interest_of(&churn.visitors[i]) };
    churn.polls[churn.count] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    (void)nanosleep(&tick, NULL);
    (void)poll(churn.polls, churn.count + 1, 0);
}

static bool is_told_to_end(void)
{
    return churn.polls[churn.count].revents != 0;
}

static void run(void)
{
    for (;;) {
        uint64_t now;

        wait_a_little();
        if (is_told_to_end())
            return;
        now = now_ns();
        for (unsigned i = 0; i < churn.count; i++)
            visit(&churn.visitors[i], churn.polls[i].revents, now);
    }
}

static void report(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    printf("{\"sent\":%llu,\"received\":%llu,\"cpu_s\":%.3f,\"kinds\":{",
           (unsigned long long)churn.sent, (unsigned long long)churn.received,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    for (size_t i = 0, shown = 0; i < COUNT_OF(kinds); i++)
        if (churn.tallies[i].visits > 0)
            printf("%s\"%s\":[%llu,%llu,%llu]", shown++ > 0 ? "," : "", kinds[i].name,
                   (unsigned long long)churn.tallies[i].visits,
                   (unsigned long long)churn.tallies[i].unreachable,
                   (unsigned long long)churn.tallies[i].dropped);
    printf("}}\n");
}

/* ---- the command line ---- */

static void fail(const char *what)
{
    (void)fprintf(stderr, "churn: %s\n", what);
    exit(2);
}

static bool is_chosen(const struct kind *kind, const char *only)
{
    const size_t length = strlen(kind->name);

    if (!only)
        return !(kind->flags & ON_DEMAND);
    for (const char *at = only; (at = strstr(at, kind->name)); at++)
        if ((at == only || at[-1] == '+') && (at[length] == '+' || at[length] == '\0'))
            return true;
    return false;
}

static void populate(unsigned percent, const char *only)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const unsigned all = is_chosen(&kinds[i], only) ? kinds[i].population * percent / 100 : 0;

        for (unsigned k = 0; k < all; k++) {
            if (churn.count == VISITORS_MAX)
                fail("too many visitors");
            churn.visitors[churn.count++] =
                (struct visitor){ .kind = &kinds[i], .tally = &churn.tallies[i], .fd = -1 };
        }
    }
    if (churn.count == 0)
        fail("there is nobody to come");
}

static void address_set(const char *host, const char *port)
{
    struct sockaddr_in6 *in6 = (void *)&churn.address;
    struct sockaddr_in *in = (void *)&churn.address;

    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)atoi(port));
        churn.address_bytes = sizeof *in;
    } else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)atoi(port));
        churn.address_bytes = sizeof *in6;
    } else {
        fail("ADDRESS is a number");
    }
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    const char *only = NULL;
    unsigned percent = 100;

    if (argc < 3 || argc % 2 == 0)
        fail("usage: churn ADDRESS PORT [--seed N] [--scale PERCENT] [--only KIND+KIND...]");
    address_set(argv[1], argv[2]);
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            churn.random = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--scale") == 0)
            percent = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else
            fail("no such option");
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    populate(percent, only);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)draw();
    run();
    report();
    return 0;
}
