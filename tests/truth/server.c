/* A server whose answers take times that are known: it echoes streams and answers datagrams on one
 * port, keeps each message for as long as its service says, and notes when it had read it and when
 * it began to answer. A round trip is never shorter than what lies between.
 *
 *     server SERVICE[:NUMBER,...] LOG [BYTES [SEED]]
 *
 * prints its port, and ends when its standard input does. Then the log holds a struct note for
 * each message, in the order in which they were answered. BYTES is the size of a message of a
 * stream (5). Times are in µs:
 *
 *     fixed:T            each takes T
 *     bimodal:T,LONG,P   LONG with the probability P, else T
 *     exponential:MEAN
 *     drifting:T,MORE    T at first, and MORE longer each second
 *     flapping:T,LONG,P  T for a time of P, then LONG for as long, and so on
 *     queue:T            one after the other, T each
 *     halving:T,S        the same, and twice T from S seconds after the first message on
 *     freezing:T,F,P     each takes T, and for F at the end of each P nothing happens
 *
 * Streams are answered in order. But for that, and in the last three, messages do not wait for each
 * other. IPv4 and loopback only. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOTES_MAX 4000000u
#define WAITING_MAX 200000u
#define BYTES_MAX 2048u
#define EVENTS 64
#define NS_PER_US 1000.0
#define NS_PER_S 1000000000ull
#define SPIN_NS 60000u /* waking up takes about so long */

/* In the machine's byte order. */
struct note {
    uint64_t read_ns, answered_ns; /* CLOCK_MONOTONIC */
    uint64_t number;               /* of a datagram; of a stream, how many came before it */
    uint64_t source;               /* which connection, or a datagram's port */
};

struct conn {
    int fd;
    uint64_t source, count;
    uint64_t last_due_ns;
    unsigned waiting;
    bool ended;
    size_t have; /* bytes of a message that is not whole */
    char data[BYTES_MAX];
};

struct message {
    uint64_t due_ns, order; /* order: among those that are due at the same time */
    struct note note;
    struct conn *conn; /* NULL: a datagram */
    struct sockaddr_in from;
    size_t bytes;
    char data[];
};

static struct {
    const char *name;
    double values[3];
    uint64_t begin_ns;     /* of the first message */
    uint64_t busy_till_ns; /* one after the other */
    uint64_t random;
} service;

static int epoll_fd, listen_fd, udp_fd;
static size_t message_bytes = 5;
static struct note *notes;
static size_t note_count;
static struct message *heap[WAITING_MAX];
static size_t heap_count;
static uint64_t order, sources;

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

/* ---- services -------------------------------------------------------------------------------- */

/* Within 0 and 1, neither included (Steele, Lea and Flood: SplitMix64). */
static double drawn(void)
{
    uint64_t bits = service.random += 0x9e3779b97f4a7c15;

    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    bits ^= bits >> 31;
    return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

static uint64_t fixed(uint64_t read_ns)
{
    return read_ns + (uint64_t)(service.values[0] * NS_PER_US);
}

static uint64_t bimodal(uint64_t read_ns)
{
    const bool slow = drawn() < service.values[2];

    return read_ns + (uint64_t)(service.values[slow ? 1 : 0] * NS_PER_US);
}

static uint64_t exponential(uint64_t read_ns)
{
    return read_ns + (uint64_t)(-log(drawn()) * service.values[0] * NS_PER_US);
}

static uint64_t drifting(uint64_t read_ns)
{
    const double seconds = (double)(read_ns - service.begin_ns) / (double)NS_PER_S;

    return read_ns + (uint64_t)((service.values[0] + service.values[1] * seconds) * NS_PER_US);
}

static uint64_t flapping(uint64_t read_ns)
{
    const uint64_t turn = (read_ns - service.begin_ns) / (uint64_t)(service.values[2] * NS_PER_US);

    return read_ns + (uint64_t)(service.values[turn % 2] * NS_PER_US);
}

static uint64_t queued(uint64_t read_ns, double us)
{
    const uint64_t begin_ns = read_ns > service.busy_till_ns ? read_ns : service.busy_till_ns;

    service.busy_till_ns = begin_ns + (uint64_t)(us * NS_PER_US);
    return service.busy_till_ns;
}

static uint64_t queue(uint64_t read_ns)
{
    return queued(read_ns, service.values[0]);
}

static uint64_t halving(uint64_t read_ns)
{
    const double seconds = (double)(read_ns - service.begin_ns) / (double)NS_PER_S;

    return queued(read_ns, service.values[0] * (seconds < service.values[1] ? 1 : 2));
}

/* What would end while nothing happens ends when it is over. */
static uint64_t freezing(uint64_t read_ns)
{
    const uint64_t period_ns = (uint64_t)(service.values[2] * NS_PER_US);
    const uint64_t moves_ns = period_ns - (uint64_t)(service.values[1] * NS_PER_US);
    const uint64_t due_ns = fixed(read_ns);
    const uint64_t at_ns = (due_ns - service.begin_ns) % period_ns;

    return at_ns < moves_ns ? due_ns : due_ns + period_ns - at_ns;
}

static const struct {
    const char *name;
    uint64_t (*due)(uint64_t read_ns); /* when a message is answered */
} services[] = {
    { "fixed", fixed },       { "bimodal", bimodal },   { "exponential", exponential },
    { "drifting", drifting }, { "flapping", flapping }, { "queue", queue },
    { "halving", halving },   { "freezing", freezing },
};

static uint64_t (*due_of)(uint64_t read_ns);

static void choose_service(char *text)
{
    char *values = strchr(text, ':');

    if (values)
        *values++ = '\0';
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(text, services[i].name) == 0)
            due_of = services[i].due;
    for (size_t i = 0; i < 3 && values && *values; i++, values += *values == ',')
        service.values[i] = strtod(values, &values);
    errno = EINVAL;
    must(due_of && (!values || !*values), text);
}

/* ---- what waits ------------------------------------------------------------------------------ */

static bool is_before(const struct message *a, const struct message *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_push(struct message *message)
{
    size_t at = heap_count++;

    errno = ENOBUFS;
    must(heap_count <= WAITING_MAX, "messages");
    for (; at > 0 && is_before(message, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = message;
}

static struct message *heap_pop(void)
{
    struct message *first = heap[0];
    struct message *last = heap[--heap_count];
    size_t at = 0;

    for (size_t child = 1; child < heap_count; child = 2 * at + 1) {
        if (child + 1 < heap_count && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static struct message *wait_for(uint64_t read_ns, const void *data, size_t bytes)
{
    struct message *message = malloc(sizeof *message + bytes);

    must(message, "malloc");
    if (service.begin_ns == 0)
        service.begin_ns = read_ns;
    *message = (struct message){ .due_ns = due_of(read_ns), .order = order++, .bytes = bytes };
    message->note.read_ns = read_ns;
    memcpy(message->data, data, bytes);
    return message;
}

static void note(const struct note *of)
{
    if (note_count < NOTES_MAX)
        notes[note_count++] = *of;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void watch(int fd, void *owner)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = owner };

    must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void accept_one(void)
{
    const int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    const int on = 1;
    struct conn *conn = fd < 0 ? NULL : calloc(1, sizeof *conn);

    if (!conn)
        return;
    conn->fd = fd;
    conn->source = ++sources;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(fd, conn);
}

static void conn_release(struct conn *conn)
{
    if (!conn->ended || conn->waiting > 0)
        return;
    (void)close(conn->fd);
    free(conn);
}

static void conn_read(struct conn *conn)
{
    const ssize_t got = recv(conn->fd, conn->data + conn->have, BYTES_MAX - conn->have,
                             MSG_DONTWAIT);
    const uint64_t read_ns = now_ns();
    size_t at = 0;

    if (got <= 0) {
        if (got < 0 && errno == EAGAIN)
            return;
        conn->ended = true;
        (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
        conn_release(conn);
        return;
    }
    conn->have += (size_t)got;
    for (; conn->have - at >= message_bytes; at += message_bytes) {
        struct message *message = wait_for(read_ns, conn->data + at, message_bytes);

        if (message->due_ns < conn->last_due_ns)
            message->due_ns = conn->last_due_ns;
        conn->last_due_ns = message->due_ns;
        message->conn = conn;
        message->note.source = conn->source;
        message->note.number = conn->count++;
        conn->waiting++;
        heap_push(message);
    }
    conn->have -= at;
    memmove(conn->data, conn->data + at, conn->have);
}

/* ---- datagrams ------------------------------------------------------------------------------- */

/* A request's fifth byte is 0, and its reply is the same with a 1; then come three bytes that are
 * of no interest here, and the number. */
static void datagrams_read(void)
{
    char data[BYTES_MAX];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    ssize_t got;

    while ((got = recvfrom(udp_fd, data, sizeof data, MSG_DONTWAIT, (void *)&from, &len)) >= 0) {
        const uint64_t read_ns = now_ns();
        struct message *message;

        if (got < 16 || memcmp(data, "pp\x9d\x01", 5) != 0)
            continue;
        data[4] = 1;
        message = wait_for(read_ns, data, (size_t)got);
        memcpy(&message->note.number, data + 8, 8);
        message->note.number = be64toh(message->note.number);
        message->note.source = ntohs(from.sin_port);
        message->from = from;
        heap_push(message);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void answer(struct message *message)
{
    struct conn *conn = message->conn;

    message->note.answered_ns = now_ns();
    if (conn) {
        (void)send(conn->fd, message->data, message->bytes, MSG_NOSIGNAL);
        conn->waiting--;
        conn_release(conn);
    } else {
        (void)sendto(udp_fd, message->data, message->bytes, 0, (void *)&message->from,
                     sizeof message->from);
    }
    note(&message->note);
    free(message);
}

/* Sleeps until something comes, or shortly before the next answer is due. */
static int wait_for_events(struct epoll_event events[EVENTS])
{
    const uint64_t due_ns = heap_count > 0 ? heap[0]->due_ns : UINT64_MAX;
    const uint64_t at_ns = now_ns();
    const uint64_t left_ns = due_ns > at_ns + SPIN_NS ? due_ns - at_ns - SPIN_NS : 0;
    const struct timespec wait = { .tv_sec = (time_t)(left_ns / NS_PER_S),
                                   .tv_nsec = (long)(left_ns % NS_PER_S) };

    struct pollfd any = { .fd = epoll_fd, .events = POLLIN };

    if (ppoll(&any, 1, heap_count > 0 ? &wait : NULL, NULL) < 0) /* in ns, unlike epoll_wait() */
        return -1;
    return epoll_wait(epoll_fd, events, EVENTS, 0);
}

/* False: it is to end. */
static bool serve(const struct epoll_event *event)
{
    if (event->data.ptr == &listen_fd)
        accept_one();
    else if (event->data.ptr == &udp_fd)
        datagrams_read();
    else if (event->data.ptr)
        conn_read(event->data.ptr);
    return event->data.ptr != NULL;
}

static void run(void)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        const int count = wait_for_events(events);

        must(count >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < count; i++)
            if (!serve(&events[i]))
                return;
        while (heap_count > 0 && heap[0]->due_ns <= now_ns())
            answer(heap_pop());
    }
}

/* Any port that is free for both. */
static bool bind_both(struct sockaddr_in *addr)
{
    socklen_t len = sizeof *addr;

    *addr = (struct sockaddr_in){ .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(bind(listen_fd, (void *)addr, len) == 0 && listen(listen_fd, 4096) == 0, "listen");
    must(getsockname(listen_fd, (void *)addr, &len) == 0, "getsockname");
    udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(udp_fd, (void *)addr, len) == 0)
        return true;
    (void)close(listen_fd);
    (void)close(udp_fd);
    return false;
}

static void open_port(void)
{
    const int large = 4 << 20;
    struct sockaddr_in addr;
    int tries = 100;

    while (!bind_both(&addr))
        must(--tries > 0, "bind");
    (void)setsockopt(udp_fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    watch(listen_fd, &listen_fd);
    watch(udp_fd, &udp_fd);
    watch(STDIN_FILENO, NULL);
    printf("%u\n", ntohs(addr.sin_port));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    FILE *log = argc > 2 ? fopen(argv[2], "wb") : NULL;

    must(log, "usage: server SERVICE[:NUMBER,...] LOG [BYTES [SEED]]");
    choose_service(argv[1]);
    if (argc > 3)
        message_bytes = strtoul(argv[3], NULL, 10);
    must(message_bytes > 0 && message_bytes <= BYTES_MAX, "BYTES");
    service.random = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
    notes = calloc(NOTES_MAX, sizeof *notes); /* taken as it is written to */
    must(notes, "calloc");
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    open_port();
    run();
    must(fwrite(notes, sizeof *notes, note_count, log) == note_count && fclose(log) == 0, "LOG");
    return 0;
}
