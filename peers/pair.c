/* The first part reads the command line, the second makes sockets and threads, the third checks
 * pongs and times them, the last adds it all up and prints it. */
#include "pair.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

#define CONNECTIONS_MAX 100000
#define COUNT_MAX 1e12
#define TIME_MAX 31536000e9
#define CPU_MAX 1023

#define STATUS_USAGE 2
#define STATUS_WRONG_ECHO 5

/* ---- the command line ---- */

static _Noreturn void usage(const char *text, const char *why)
{
    errx(STATUS_USAGE,
         "\"%.80s\" %s: give -c CONNECTIONS, -n COUNT, -t TIME, -w TIME|COUNT, -m SIZE or -A C,S, "
         "as to pingpong",
         text, why);
}

struct unit {
    const char *name;
    double scale;
};

static const struct unit numbers[] = { { "", 1 }, { "k", 1e3 }, { "M", 1e6 }, { NULL, 0 } };
static const struct unit times[] = { { "", 1e9 }, { "s", 1e9 },  { "ms", 1e6 }, { "us", 1e3 },
                                     { "ns", 1 }, { "m", 60e9 }, { NULL, 0 } };

/* False: text is no number with one of the units, or is not within 0 and max. */
static bool parse(const char *text, const struct unit *units, double max, uint64_t *out)
{
    char *end;
    const double value = strtod(text, &end);

    while (units->name && strcmp(units->name, end) != 0)
        units++;
    if (end == text || !units->name || !(value >= 0 && value * units->scale <= max))
        return false;
    *out = (uint64_t)(value * units->scale);
    return true;
}

static uint64_t parse_or_end(const char *text, const struct unit *units, double max)
{
    uint64_t value;

    if (!parse(text, units, max, &value) || value == 0)
        usage(text, "is no number, or one that cannot be");
    return value;
}

static void parse_warmup(struct pair *pair, const char *text)
{
    if (!parse(text, numbers, COUNT_MAX, &pair->warmup_count) &&
        !parse(text, times, TIME_MAX, &pair->warmup_ns))
        usage(text, "is neither a time with its unit nor a number of round trips");
}

static void parse_cpus(struct pair *pair, const char *text)
{
    int *cpus = pair->cpus;
    char between, rest;

    if (sscanf(text, "%d%c%d%c", &cpus[PAIR_CLIENT], &between, &cpus[PAIR_SERVER], &rest) != 3 ||
        (between != ',' && between != '/') || cpus[PAIR_CLIENT] < 0 || cpus[PAIR_SERVER] < 0 ||
        cpus[PAIR_CLIENT] > CPU_MAX || cpus[PAIR_SERVER] > CPU_MAX)
        usage(text, "is not the client's CPU and the server's");
}

/* -J says nothing: it prints JSON in any case. */
static void parse_option(struct pair *pair, int letter, const struct pair_peer *peer)
{
    if (letter == 'c')
        pair->connections = (unsigned)parse_or_end(optarg, numbers, CONNECTIONS_MAX);
    else if (letter == 'n')
        pair->count = parse_or_end(optarg, numbers, COUNT_MAX);
    else if (letter == 't')
        pair->time_ns = parse_or_end(optarg, times, TIME_MAX);
    else if (letter == 'w')
        parse_warmup(pair, optarg);
    else if (letter == 'm')
        pair->size = (uint32_t)parse_or_end(optarg, numbers, peer->size_max);
    else if (letter == 'A')
        parse_cpus(pair, optarg);
}

static void parse_options(struct pair *pair, int argc, char **argv, const struct pair_peer *peer)
{
    static const struct option table[] = {
        { "connections", required_argument, NULL, 'c' }, { "count", required_argument, NULL, 'n' },
        { "time", required_argument, NULL, 't' },        { "warmup", required_argument, NULL, 'w' },
        { "size", required_argument, NULL, 'm' },        { "cpus", required_argument, NULL, 'A' },
        { "json", optional_argument, NULL, 'J' },        { NULL, 0, NULL, 0 },
    };
    int letter;

    opterr = 0;
    while ((letter = getopt_long(argc, argv, "c:n:t:w:m:A:J", table, NULL)) != -1)
        if (letter == '?')
            usage(argv[optind - 1], "is no option of a peer");
        else
            parse_option(pair, letter, peer);
    if (optind < argc)
        usage(argv[optind], "is no option");
    if (!pair->count && !pair->time_ns)
        pair->count = 500000;
}

/* ---- sockets and threads ---- */

void *pair_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (!memory)
        err(1, "no memory");
    return memory;
}

/* Both ends of a thousand connections are descriptors of this one process. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "setrlimit");
}

/* Closing resets, so that thousands of connections leave no TIME_WAIT behind for the next run. */
static int open_socket(void)
{
    const int on = 1;
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
        err(1, "socket");
    return fd;
}

static void open_listener(struct pair *pair)
{
    const struct sockaddr_in addr = { .sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    pair->listener = open_socket();
    if (bind(pair->listener, (const struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(pair->listener, SOMAXCONN) < 0)
        err(1, "listen on 127.0.0.1");
}

int pair_connect(struct pair_conn *conn, struct pair *pair)
{
    struct sockaddr_in addr;
    socklen_t bytes = sizeof addr;
    const int fd = open_socket();

    *conn = (struct pair_conn){ .pair = pair };
    if (getsockname(pair->listener, (struct sockaddr *)&addr, &bytes) < 0 ||
        connect(fd, (const struct sockaddr *)&addr, bytes) < 0)
        err(1, "connect");
    return fd;
}

static void pin(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        err(1, "run on CPU %d", cpu);
}

struct start {
    struct pair *pair;
    enum pair_side side;
    void (*run)(void *argument);
    void *argument;
};

static void *run_thread(void *argument)
{
    const struct start start = *(struct start *)argument;
    struct pair *pair = start.pair;
    struct pair_clocks *clocks = &pair->clocks[start.side];

    free(argument);
    pin(pair->cpus[start.side]);
    pthread_mutex_lock(&pair->lock);
    pthread_getcpuclockid(pthread_self(), &clocks->clocks[clocks->count++]);
    pthread_mutex_unlock(&pair->lock);
    start.run(start.argument);
    return NULL;
}

pthread_t pair_spawn(struct pair *pair, enum pair_side side, void (*run)(void *argument),
                     void *argument)
{
    struct start *start = pair_alloc(1, sizeof *start);
    pthread_t thread;

    *start = (struct start){ .pair = pair, .side = side, .run = run, .argument = argument };
    errno = pthread_create(&thread, NULL, run_thread, start);
    if (errno)
        err(1, "start a thread");
    return thread;
}

/* ---- round trips ---- */

/* Log-linear, as HdrHistogram: 512 buckets for each power of two, so that a value is known to one
 * part in a thousand. */
#define BUCKET_BITS 9
#define SAMPLE_MAX ((UINT64_C(1) << 41) - 1) /* 37 minutes */
#define BUCKETS ((41 - BUCKET_BITS + 1) << BUCKET_BITS)

struct pair_samples {
    struct pair_samples *next;
    uint64_t count, sum_ns, max_ns;
    uint32_t counts[BUCKETS];
};

static unsigned bucket_of(uint64_t ns)
{
    const int top = 63 - __builtin_clzll(ns | 1);
    const unsigned shift = top > BUCKET_BITS ? (unsigned)(top - BUCKET_BITS) : 0;

    return (shift << BUCKET_BITS) + (unsigned)(ns >> shift);
}

/* The middle of what belongs there. */
static double value_of(unsigned bucket)
{
    const unsigned shift = bucket >> BUCKET_BITS ? (bucket >> BUCKET_BITS) - 1 : 0;
    const uint64_t low = (uint64_t)(bucket - (shift << BUCKET_BITS)) << shift;

    return (double)low + (double)((UINT64_C(1) << shift) - 1) / 2;
}

static void record(struct pair_samples *samples, uint64_t ns)
{
    samples->count++;
    samples->sum_ns += ns;
    if (ns > samples->max_ns)
        samples->max_ns = ns;
    samples->counts[bucket_of(ns < SAMPLE_MAX ? ns : SAMPLE_MAX)]++;
}

/* Those of this thread, which has one run in its life. */
static struct pair_samples *samples_of(struct pair *pair)
{
    static _Thread_local struct pair_samples *own;

    if (own)
        return own;
    own = pair_alloc(1, sizeof *own);
    pthread_mutex_lock(&pair->lock);
    own->next = pair->samples;
    pair->samples = own;
    pthread_mutex_unlock(&pair->lock);
    return own;
}

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now = { 0 };

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_ns(const struct pair_clocks *clocks)
{
    uint64_t sum_ns = 0;

    for (unsigned i = 0; i < clocks->count; i++)
        sum_ns += read_ns(clocks->clocks[i]);
    return sum_ns;
}

/* From one phase to the next, for whoever is first to find that it is time. */
static void enter(struct pair *pair, enum pair_phase phase, uint64_t now_ns)
{
    pthread_mutex_lock(&pair->lock);
    if (atomic_load(&pair->phase) < phase) {
        for (int side = 0; side < PAIR_SIDES; side++) {
            struct pair_clocks *clocks = &pair->clocks[side];

            if (phase == PAIR_MEASURED)
                clocks->begin_ns = cpu_ns(clocks);
            else
                clocks->spent_ns = cpu_ns(clocks) - clocks->begin_ns;
        }
        *(phase == PAIR_MEASURED ? &pair->begin_ns : &pair->end_ns) = now_ns;
        atomic_store(&pair->phase, phase);
    }
    pthread_mutex_unlock(&pair->lock);
}

bool pair_accepted(struct pair *pair)
{
    if (++pair->accepted < pair->connections)
        return false;
    pthread_barrier_wait(&pair->ready);
    return true;
}

void pair_start(struct pair *pair)
{
    pthread_barrier_wait(&pair->ready);
    pair->start_ns = read_ns(CLOCK_MONOTONIC);
    if (!pair->warmup_ns && !pair->warmup_count)
        enter(pair, PAIR_MEASURED, pair->start_ns);
}

/* As many places in the pattern as there are; no size is a multiple of it. */
#define PLACES 251

static void make_pattern(struct pair *pair)
{
    const size_t bytes = pair->size + PLACES;
    uint32_t state = 1;

    pair->pattern = pair_alloc(1, bytes);
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525 + 1013904223;
        pair->pattern[i] = (char)(state >> 24);
    }
}

/* Each begins elsewhere, so that an answer to another ping shows. */
static void next_ping(struct pair_conn *conn)
{
    conn->got = 0;
    conn->ping = conn->pair->pattern + ++conn->number % PLACES;
}

char *pair_first(struct pair_conn *conn)
{
    conn->samples = samples_of(conn->pair);
    next_ping(conn);
    conn->sent_ns = read_ns(CLOCK_MONOTONIC);
    return conn->ping;
}

static void check_bytes(const struct pair_conn *conn, const char *bytes, size_t len)
{
    const char *expected = conn->ping + conn->got;
    size_t at = 0;

    if (conn->got + len > conn->pair->size)
        errx(STATUS_WRONG_ECHO, "an answer has more than its %u B: the server is no echo server",
             conn->pair->size);
    if (memcmp(bytes, expected, len) == 0)
        return;
    while (bytes[at] == expected[at])
        at++;
    errx(STATUS_WRONG_ECHO,
         "byte %zu of an answer is 0x%02x and not 0x%02x: the server is no echo server",
         conn->got + at, (unsigned char)bytes[at], (unsigned char)expected[at]);
}

/* Whether to go on. What comes while it is over was under way, and does not count. Nobody closes
 * before: the clocks of threads that have ended cannot be read. */
static bool count_pong(struct pair_conn *conn, uint64_t now_ns)
{
    struct pair *pair = conn->pair;
    const enum pair_phase phase = atomic_load(&pair->phase);

    if (phase == PAIR_OVER)
        return false;
    if (phase == PAIR_WARM_UP) {
        const uint64_t warm = atomic_fetch_add(&pair->warmed_up, 1) + 1;

        if (warm >= pair->warmup_count && now_ns >= pair->start_ns + pair->warmup_ns)
            enter(pair, PAIR_MEASURED, now_ns);
        return true;
    }
    const uint64_t received = atomic_fetch_add(&pair->received, 1) + 1;

    if (!pair->count || received <= pair->count)
        record(conn->samples, now_ns - conn->sent_ns);
    if ((pair->count && received >= pair->count) ||
        (pair->time_ns && now_ns >= pair->begin_ns + pair->time_ns))
        enter(pair, PAIR_OVER, now_ns);
    return atomic_load(&pair->phase) != PAIR_OVER;
}

enum pair_next pair_take(struct pair_conn *conn, const char *bytes, size_t len)
{
    const uint64_t now_ns = read_ns(CLOCK_MONOTONIC);

    check_bytes(conn, bytes, len);
    conn->got += (uint32_t)len;
    if (conn->got < conn->pair->size)
        return PAIR_WAIT;
    if (!count_pong(conn, now_ns))
        return PAIR_CLOSE;
    next_ping(conn);
    conn->sent_ns = now_ns; /* one reading a message: the next is sent at once */
    return PAIR_SEND;
}

/* ---- the result ---- */

/* All of them, in the place of the first. */
static const struct pair_samples *add_up(struct pair_samples *all)
{
    for (const struct pair_samples *each = all->next; each; each = each->next) {
        all->count += each->count;
        all->sum_ns += each->sum_ns;
        if (each->max_ns > all->max_ns)
            all->max_ns = each->max_ns;
        for (unsigned i = 0; i < BUCKETS; i++)
            all->counts[i] += each->counts[i];
    }
    return all;
}

/* One that fewer than ten samples lie beyond is not known. */
static void print_percentile(const struct pair_samples *all, double percentile, const char *after)
{
    const uint64_t rank = (uint64_t)((double)all->count * percentile / 100);
    uint64_t below = 0;
    unsigned i = 0;

    printf("{\"percentile\": %g, \"ns\": ", percentile);
    if (all->count < rank + 10) {
        printf("null}%s", after);
        return;
    }
    while (i < BUCKETS - 1 && (below += all->counts[i]) <= rank)
        i++;
    printf("%.0f}%s", value_of(i), after);
}

static void print_load(const struct pair *pair)
{
    printf("  \"options\": {\"command\": \"run\", \"load\": {\"connections\": %u, \"depth\": 1, "
           "\"request\": {\"mean_bytes\": %u}, \"response\": {\"mean_bytes\": %u}, "
           "\"count\": %" PRIu64 ", \"time_ns\": %" PRIu64 ", \"warmup_count\": %" PRIu64
           ", \"warmup_ns\": %" PRIu64 ", \"verify\": \"full\"}},\n",
           pair->connections, pair->size, pair->size, pair->count, pair->time_ns,
           pair->warmup_count, pair->warmup_ns);
}

static void print_result(const struct pair *pair, const struct pair_peer *peer)
{
    const struct pair_samples *all = add_up(pair->samples);
    const double count = (double)all->count;
    const uint64_t ns = pair->end_ns - pair->begin_ns;

    printf("{\n  \"format\": \"pingpong-result\",\n  \"format_version\": 2,\n"
           "  \"peer\": \"%s\",\n  \"client_engine\": \"%s%s%s\",\n",
           peer->name, peer->name, peer->version[0] ? " " : "", peer->version);
    print_load(pair);
    printf("  \"round_trips\": %" PRIu64 ",\n  \"duration_ns\": %" PRIu64 ",\n"
           "  \"round_trips_per_s\": %.3f,\n",
           all->count, ns, count / (double)ns * (double)NS_PER_S);
    printf("  \"rtt\": {\"samples\": %" PRIu64 ", \"mean_ns\": %.0f, \"max_ns\": %" PRIu64
           ", \"percentiles\": [",
           all->count, (double)all->sum_ns / count, all->max_ns);
    print_percentile(all, 50, ", ");
    print_percentile(all, 90, ", ");
    print_percentile(all, 99, ", ");
    print_percentile(all, 99.9, "]},\n");
    printf("  \"costs\": {\"client\": {\"cpu_ns_per_round_trip\": %.1f}, "
           "\"server\": {\"cpu_ns_per_round_trip\": %.1f}}\n}\n",
           (double)pair->clocks[PAIR_CLIENT].spent_ns / count,
           (double)pair->clocks[PAIR_SERVER].spent_ns / count);
    if (fflush(stdout) == EOF)
        err(1, "write the result");
}

/* ---- the run ---- */

struct end {
    struct pair *pair;
    void (*live)(struct pair *pair);
};

static void run_end(void *argument)
{
    const struct end *end = argument;

    end->live(end->pair);
}

static void open_pair(struct pair *pair)
{
    raise_descriptor_limit();
    make_pattern(pair);
    open_listener(pair);
    for (int side = 0; side < PAIR_SIDES; side++)
        pair->clocks[side].clocks = pair_alloc(pair->connections + 1,
                                               sizeof *pair->clocks[side].clocks);
    errno = pthread_barrier_init(&pair->ready, NULL, 2);
    if (errno)
        err(1, "pthread_barrier_init");
}

static void close_pair(struct pair *pair)
{
    while (pair->samples) {
        struct pair_samples *next = pair->samples->next;

        free(pair->samples);
        pair->samples = next;
    }
    for (int side = 0; side < PAIR_SIDES; side++)
        free(pair->clocks[side].clocks);
    free(pair->pattern);
    pthread_barrier_destroy(&pair->ready);
}

int pair_main(int argc, char **argv, const struct pair_peer *peer)
{
    struct pair pair = {
        .connections = 1, .size = 5, .cpus = { -1, -1 }, .lock = PTHREAD_MUTEX_INITIALIZER
    };
    struct end server = { &pair, peer->serve }, client = { &pair, peer->connect };
    pthread_t threads[2];

    parse_options(&pair, argc, argv, peer);
    open_pair(&pair);
    threads[0] = pair_spawn(&pair, PAIR_SERVER, run_end, &server);
    threads[1] = pair_spawn(&pair, PAIR_CLIENT, run_end, &client);
    pthread_join(threads[1], NULL);
    pthread_join(threads[0], NULL);
    print_result(&pair, peer);
    close_pair(&pair);
    return 0;
}
