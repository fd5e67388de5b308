/* A relay of datagrams between one client and a server, which does to them what it is told to, and
 * notes what it did to which.
 *
 *     relay SERVER_PORT LEDGER SEED DEED:PROBABILITY[:MS]...
 *
 * prints its port, and ends when its standard input does. Then the ledger has a line for each
 * datagram that went out, in the order in which they did, and for each that did not:
 *
 *     NUMBER DIRECTION DEED CAME_NS WENT_NS
 *
 * DIRECTION is > towards the server and < back; WENT_NS is 0 for what was dropped. A deed happens
 * to a message with that probability. Which do follows from the seed and the number alone;
 * of several, the first named happens.
 *
 *     lose    the request is dropped        forget  the answer is dropped
 *     ask     the request goes twice        double  the answer goes twice
 *     hold    the answer is held back for MS
 *     pass    the answer goes after the next one, or MS later if there is none
 *     cut     the answer loses its last byte
 *     damage  a bit of the answer's last byte is turned over
 *
 * IPv4 and loopback only. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX 65536
#define HELD_MAX 65536
#define DEEDS_MAX 8
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define HEADER_BYTES 16

enum deed { NOTHING, LOSE, FORGET, ASK, DOUBLE, HOLD, PASS, CUT, DAMAGE, DEEDS };

static const char *const names[DEEDS] = { "-",    "lose", "forget", "ask",   "double",
                                          "hold", "pass", "cut",    "damage" };

struct rule {
    enum deed deed;
    double probability;
    uint64_t hold_ns;
};

/* An answer that waits. */
struct held {
    enum deed deed;
    uint64_t number, came_ns, due_ns;
    size_t bytes;
    char *data;
};

static struct rule rules[DEEDS_MAX];
static unsigned rule_count;
static uint64_t seed;
static struct held held[HELD_MAX];
static size_t held_count;
static int near_fd, far_fd; /* near: the client's side */
static struct sockaddr_in client;
static FILE *ledger;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(2);
}

static uint64_t now_ns(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/* ---- what happens to whom -------------------------------------------------------------------- */

/* Within 0 and 1 (Steele, Lea and Flood: SplitMix64, a draw for each rule of each message). */
static double drawn(uint64_t number, unsigned rule)
{
    uint64_t bits = seed * 0xd1342543de82ef95 +
                    (number * DEEDS_MAX + rule + 1) * 0x9e3779b97f4a7c15;

    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    bits ^= bits >> 31;
    return (double)(bits >> 11) * 0x1p-53;
}

static const struct rule *rule_of(uint64_t number)
{
    static const struct rule none = { .deed = NOTHING };

    for (unsigned i = 0; i < rule_count; i++)
        if (drawn(number, i) < rules[i].probability)
            return &rules[i];
    return &none;
}

static void add_rule(char *text)
{
    struct rule *rule = &rules[rule_count++];
    char *value = strchr(text, ':');

    errno = EINVAL;
    must(rule_count <= DEEDS_MAX && value, text);
    *value++ = '\0';
    for (enum deed deed = LOSE; deed < DEEDS; deed++)
        if (strcmp(text, names[deed]) == 0)
            rule->deed = deed;
    rule->probability = strtod(value, &value);
    if (*value == ':')
        rule->hold_ns = (uint64_t)(strtod(value + 1, &value) * (double)NS_PER_MS);
    errno = EINVAL;
    must(rule->deed != NOTHING && !*value, text);
}

static void note(uint64_t number, char direction, enum deed deed, uint64_t came_ns, bool went)
{
    must(fprintf(ledger, "%llu %c %s %llu %llu\n", (unsigned long long)number, direction,
                 names[deed], (unsigned long long)came_ns,
                 (unsigned long long)(went ? now_ns() : 0)) > 0,
         "LEDGER");
}

/* ---- towards the server ---------------------------------------------------------------------- */

static uint64_t number_of(const char *data, size_t bytes)
{
    uint64_t number = 0;

    if (bytes >= HEADER_BYTES)
        memcpy(&number, data + 8, sizeof number);
    return be64toh(number);
}

static void requests(void)
{
    char data[BYTES_MAX];
    socklen_t len = sizeof client;
    ssize_t got;

    while ((got = recvfrom(near_fd, data, sizeof data, MSG_DONTWAIT, (void *)&client, &len)) >= 0) {
        const uint64_t came_ns = now_ns(), number = number_of(data, (size_t)got);
        const enum deed deed = rule_of(number)->deed;

        if (deed != LOSE)
            (void)send(far_fd, data, (size_t)got, 0);
        note(number, '>', deed, came_ns, deed != LOSE);
        if (deed == ASK) {
            (void)send(far_fd, data, (size_t)got, 0);
            note(number, '>', deed, came_ns, true);
        }
    }
}

/* ---- back ------------------------------------------------------------------------------------ */

static void give(const char *data, size_t bytes, uint64_t number, enum deed deed, uint64_t came_ns)
{
    (void)sendto(near_fd, data, bytes, 0, (void *)&client, sizeof client);
    note(number, '<', deed, came_ns, true);
}

/* Those that are due, and those that were to be passed, once one has passed them. */
static void give_held(uint64_t at_ns, bool passed)
{
    size_t kept = 0;

    for (size_t i = 0; i < held_count; i++) {
        const struct held *one = &held[i];

        if (one->due_ns <= at_ns || (passed && one->deed == PASS)) {
            give(one->data, one->bytes, one->number, one->deed, one->came_ns);
            free(one->data);
        } else {
            held[kept++] = *one;
        }
    }
    held_count = kept;
}

static void hold(const char *data, size_t bytes, uint64_t number, const struct rule *rule,
                 uint64_t came_ns)
{
    struct held *one = &held[held_count++];

    errno = ENOBUFS;
    must(held_count <= HELD_MAX, "answers");
    *one = (struct held){ rule->deed, number, came_ns, came_ns + rule->hold_ns, bytes, NULL };
    one->data = malloc(bytes);
    must(one->data, "malloc");
    memcpy(one->data, data, bytes);
}

static void answer(char *data, size_t bytes, uint64_t came_ns)
{
    const uint64_t number = number_of(data, bytes);
    const struct rule *rule = rule_of(number);

    if (rule->deed == FORGET) {
        note(number, '<', rule->deed, came_ns, false);
        return;
    }
    if (rule->deed == HOLD || rule->deed == PASS) {
        hold(data, bytes, number, rule, came_ns);
        return;
    }
    if (rule->deed == DAMAGE)
        data[bytes - 1] ^= 1;
    give(data, bytes - (rule->deed == CUT), number, rule->deed, came_ns);
    if (rule->deed == DOUBLE)
        give(data, bytes, number, rule->deed, came_ns);
    give_held(0, true);
}

static void answers(void)
{
    char data[BYTES_MAX];
    ssize_t got;

    while ((got = recv(far_fd, data, sizeof data, MSG_DONTWAIT)) > 0)
        answer(data, (size_t)got, now_ns());
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int socket_at(uint16_t *port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), large = 4 << 20;
    socklen_t len = sizeof addr;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    must(bind(fd, (void *)&addr, len) == 0, "bind");
    must(getsockname(fd, (void *)&addr, &len) == 0, "getsockname");
    *port = ntohs(addr.sin_port);
    return fd;
}

static uint64_t next_due_ns(void)
{
    uint64_t due_ns = UINT64_MAX;

    for (size_t i = 0; i < held_count; i++)
        if (held[i].due_ns < due_ns)
            due_ns = held[i].due_ns;
    return due_ns;
}

static void run(void)
{
    struct pollfd fds[] = { { near_fd, POLLIN, 0 }, { far_fd, POLLIN, 0 }, { 0, POLLIN, 0 } };

    while (!(fds[2].revents)) {
        const uint64_t due_ns = next_due_ns(), at_ns = now_ns();
        const uint64_t left_ns = due_ns > at_ns ? due_ns - at_ns : 0;
        const struct timespec wait = { .tv_sec = (time_t)(left_ns / NS_PER_S),
                                       .tv_nsec = (long)(left_ns % NS_PER_S) };

        must(ppoll(fds, 3, held_count > 0 ? &wait : NULL, NULL) >= 0 || errno == EINTR, "ppoll");
        answers();
        requests();
        give_held(now_ns(), false);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in server = { .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    uint16_t near_port = 0, far_port = 0;

    errno = EINVAL;
    must(argc > 4, "usage: relay SERVER_PORT LEDGER SEED DEED:PROBABILITY[:MS]...");
    server.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    ledger = fopen(argv[2], "w");
    must(ledger, argv[2]);
    seed = strtoull(argv[3], NULL, 10);
    for (int i = 4; i < argc; i++)
        add_rule(argv[i]);
    near_fd = socket_at(&near_port);
    far_fd = socket_at(&far_port);
    must(connect(far_fd, (void *)&server, sizeof server) == 0, "connect");
    printf("%u\n", near_port);
    (void)fflush(stdout);
    run();
    must(fclose(ledger) == 0, "LEDGER");
    return 0;
}
