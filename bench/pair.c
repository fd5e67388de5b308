#include "pair.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

/* ---- command line ------------------------------------------------------------------------ */

static _Noreturn void usage(const char *text)
{
    errx(2,
         "\"%.80s\" cannot be: run --count=N | --time=NNNms [--connections=N] [--size=N] "
         "[--depth=N] "
         "[--cpus=C,.../S,... | --placement=none] [--udp | --host=unix:PATH], as of pingpong",
         text);
}

static uint64_t parse_whole(const char *text, uint64_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value == 0 || value > max)
        usage(text);
    return value;
}

static uint64_t parse_time(const char *text)
{
    unsigned long long ms;
    char rest;

    if (sscanf(text, "%llum%c", &ms, &rest) != 2 || rest != 's' || ms == 0 || ms > 3600000)
        usage(text);
    return ms * (NS_PER_S / 1000);
}

/* Numbers with commas between. Returns how many, and in *end where they end. */
static unsigned parse_list(const char *text, int cpus[PAIR_PAIRS_MAX], const char **end)
{
    for (unsigned count = 0; count < PAIR_PAIRS_MAX; text = *end + 1) {
        char *behind;
        const long cpu = strtol(text, &behind, 10);

        if (behind == text || cpu < 0 || cpu >= CPU_SETSIZE)
            usage(text);
        cpus[count++] = (int)cpu;
        *end = behind;
        if (*behind != ',')
            return count;
    }
    errx(2, "at most %d pairs", PAIR_PAIRS_MAX);
}

/* "C,.../S,...": a pair of threads for each of the client's. */
static void parse_cpus(const char *text, struct pair_options *options)
{
    const char *end;

    options->pairs = parse_list(text, options->client_cpus, &end);
    if (*end != '/' || parse_list(end + 1, options->server_cpus, &end) != options->pairs || *end)
        usage(text);
}

static void parse_option(int letter, struct pair_options *options)
{
    if (letter == 'c')
        options->connections = (unsigned)parse_whole(optarg, 1000000);
    else if (letter == 'A')
        parse_cpus(optarg, options);
    else if (letter == 'u')
        options->transport = PAIR_UDP;
    else if (letter == 'H' && strncmp(optarg, "unix:", 5) == 0)
        options->transport = PAIR_UNIX;
    else if (letter == 'm')
        options->size = (uint32_t)parse_whole(optarg, PAIR_SIZE_MAX);
    else if (letter == 'D')
        options->depth = (uint32_t)parse_whole(optarg, 65536);
    else if (letter == 'n')
        options->count = parse_whole(optarg, UINT64_MAX - 1);
    else if (letter == 't')
        options->duration_ns = parse_time(optarg);
    else if (letter != 'i')
        usage(optarg ? optarg : "an option");
}

struct pair_options pair_options_parse(int argc, char **argv)
{
    static const struct option table[] = {
        { "connections", required_argument, NULL, 'c' },
        { "cpus", required_argument, NULL, 'A' },
        { "udp", no_argument, NULL, 'u' },
        { "host", required_argument, NULL, 'H' },
        { "size", required_argument, NULL, 'm' },
        { "depth", required_argument, NULL, 'D' },
        { "count", required_argument, NULL, 'n' },
        { "time", required_argument, NULL, 't' },
        /* How pingpong waits, on what, and where it listens. Threads are as many as CPUs. */
        { "placement", required_argument, NULL, 'i' },
        { "threads", required_argument, NULL, 'i' },
        { "server-threads", required_argument, NULL, 'i' },
        { "wait", required_argument, NULL, 'i' },
        { "engine", required_argument, NULL, 'i' },
        { "server-engine", required_argument, NULL, 'i' },
        { "port", required_argument, NULL, 'i' },
        { "json", required_argument, NULL, 'i' },
        { "seed", required_argument, NULL, 'i' },
        { NULL, 0, NULL, 0 },
    };
    struct pair_options options = {
        .size = PAIR_PING_BYTES,
        .depth = 1,
        .pairs = 1,
        .connections = 1,
        .client_cpus = { PAIR_UNPINNED },
        .server_cpus = { PAIR_UNPINNED },
    };
    int letter;

    if (argc < 2 || strcmp(argv[1], "run") != 0)
        usage(argc < 2 ? "" : argv[1]);
    optind = 2;
    while ((letter = getopt_long(argc, argv, "", table, NULL)) != -1)
        parse_option(letter, &options);
    if (optind != argc || (options.count == 0) == (options.duration_ns == 0))
        usage(optind != argc ? argv[optind] : "without --count or --time");
    if (options.duration_ns)
        options.count = UINT64_MAX;
    if (options.count < options.connections)
        errx(2, "--count must give each connection at least one round trip");
    if (options.connections % options.pairs)
        errx(2, "--connections must be as many for each of the pairs");
    options.connections /= options.pairs;
    return options;
}

/* ---- sockets ----------------------------------------------------------------------------- */

/* Both ends of a thousand connections are descriptors of this one process. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        err(1, "setrlimit");
}

/* A socket on a free port of 127.0.0.1, whose address is then in *addr. */
static int bind_to_loopback(int type, struct sockaddr_in *addr)
{
    socklen_t len = sizeof *addr;
    const int fd = socket(AF_INET, type, 0);

    *addr = (struct sockaddr_in){ .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || bind(fd, (struct sockaddr *)addr, len) ||
        getsockname(fd, (struct sockaddr *)addr, &len))
        err(1, "bind to 127.0.0.1");
    return fd;
}

static void connect_to(int fd, const struct sockaddr_in *addr)
{
    if (connect(fd, (const struct sockaddr *)addr, sizeof *addr))
        err(1, "connect");
}

/* Closing resets, so that thousands of connections a run leave no TIME_WAIT behind for the next. */
static void set_tcp_options(int fd)
{
    const int on = 1;
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset))
        err(1, "setsockopt");
}

static void connect_tcp(int *clients, int *servers, unsigned connections)
{
    struct sockaddr_in addr;
    const int listener = bind_to_loopback(SOCK_STREAM, &addr);

    if (listen(listener, SOMAXCONN))
        err(1, "listen");
    for (unsigned i = 0; i < connections; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (clients[i] < 0)
            err(1, "socket");
        connect_to(clients[i], &addr);
        servers[i] = accept(listener, NULL, NULL);
        if (servers[i] < 0)
            err(1, "accept");
        set_tcp_options(clients[i]);
        set_tcp_options(servers[i]);
    }
    close(listener);
}

/* Both sides are connected: neither looks at addresses with each message. */
static void connect_udp(int *clients, int *servers, unsigned connections)
{
    for (unsigned i = 0; i < connections; i++) {
        struct sockaddr_in client;
        struct sockaddr_in server;

        clients[i] = bind_to_loopback(SOCK_DGRAM, &client);
        servers[i] = bind_to_loopback(SOCK_DGRAM, &server);
        connect_to(clients[i], &server);
        connect_to(servers[i], &client);
    }
}

static void connect_unix(int *clients, int *servers, unsigned connections)
{
    for (unsigned i = 0; i < connections; i++) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
            err(1, "socketpair");
        clients[i] = ends[0];
        servers[i] = ends[1];
    }
}

static void connect_all(struct pair *pair)
{
    static void (*const ways[])(int *clients, int *servers, unsigned connections) = {
        [PAIR_TCP] = connect_tcp,
        [PAIR_UDP] = connect_udp,
        [PAIR_UNIX] = connect_unix,
    };
    const unsigned connections = pair->options->connections;

    pair->client_fds = calloc(connections, sizeof *pair->client_fds);
    pair->server_fds = calloc(connections, sizeof *pair->server_fds);
    if (!pair->client_fds || !pair->server_fds)
        err(1, "calloc");
    ways[pair->options->transport](pair->client_fds, pair->server_fds, connections);
}

void pair_send(int fd, const char *data, size_t len)
{
    if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        err(1, "send");
}

void pair_close_client(struct pair *pair)
{
    for (unsigned i = 0; i < pair->options->connections; i++) {
        if (pair->options->transport == PAIR_UDP)
            pair_send(pair->client_fds[i], "", 0);
        close(pair->client_fds[i]);
    }
}

void pair_close_server(struct pair *pair)
{
    for (unsigned i = 0; i < pair->options->connections; i++)
        close(pair->server_fds[i]);
}

/* ---- threads and time -------------------------------------------------------------------- */

uint64_t pair_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void pin_this_thread(int cpu)
{
    cpu_set_t set;

    if (cpu == PAIR_UNPINNED)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        err(1, "pin to cpu %d", cpu);
}

struct end_thread {
    pthread_t id;
    struct pair *pair;
    pair_end *end;
    int cpu;
};

static void *run_end(void *argument)
{
    const struct end_thread *thread = argument;

    pin_this_thread(thread->cpu);
    thread->end(thread->pair);
    return NULL;
}

struct timer_thread {
    pthread_t id;
    struct pair_gate *gate;
    struct timespec duration;
};

/* A thread that sleeps costs the others nothing; a look at the clock each ping would. */
static void *run_timer(void *argument)
{
    struct timer_thread *timer = argument;

    pthread_barrier_wait(&timer->gate->ready);
    nanosleep(&timer->duration, NULL);
    atomic_store(&timer->gate->time_is_up, true);
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    errno = pthread_create(thread, NULL, run, argument);
    if (errno)
        err(1, "pthread_create");
}

static void start_end(struct end_thread *thread, struct pair *pair, pair_end *end, int cpu)
{
    *thread = (struct end_thread){ .pair = pair, .end = end, .cpu = cpu };
    start_thread(&thread->id, run_end, thread);
}

static void start_timer(struct timer_thread *timer, struct pair_gate *gate, uint64_t duration_ns)
{
    *timer = (struct timer_thread){
        .gate = gate,
        .duration = { .tv_sec = (time_t)(duration_ns / NS_PER_S),
                      .tv_nsec = (long)(duration_ns % NS_PER_S) },
    };
    start_thread(&timer->id, run_timer, timer);
}

void pair_server_ready(struct pair *pair)
{
    pthread_barrier_wait(&pair->gate->ready);
}

/* Of all threads. */
static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void pair_client_start(struct pair *pair)
{
    pthread_barrier_wait(&pair->gate->ready);
    pair->start_cpu_ns = cpu_ns();
    pair->start_ns = pair_now_ns();
}

void pair_client_stop(struct pair *pair)
{
    pair->end_ns = pair_now_ns();
    pair->end_cpu_ns = cpu_ns();
}

/* ---- the run ----------------------------------------------------------------------------- */

/* From the first start to the last end; the CPU time is that of both sides. */
static void print_result(const struct pair *pairs, unsigned count)
{
    struct pair all = { .start_ns = UINT64_MAX, .start_cpu_ns = UINT64_MAX };

    for (const struct pair *pair = pairs; pair < pairs + count; pair++) {
        all.received += pair->received;
        if (pair->start_ns < all.start_ns)
            all.start_ns = pair->start_ns;
        if (pair->start_cpu_ns < all.start_cpu_ns)
            all.start_cpu_ns = pair->start_cpu_ns;
        if (pair->end_ns > all.end_ns)
            all.end_ns = pair->end_ns;
        if (pair->end_cpu_ns > all.end_cpu_ns)
            all.end_cpu_ns = pair->end_cpu_ns;
    }
    printf("{\"format\": \"pingpong-result\", \"round_trips\": %llu, \"round_trips_per_s\": %.2f, "
           "\"costs\": {\"client\": {\"cpu_ns_per_round_trip\": %.2f}, "
           "\"server\": {\"cpu_ns_per_round_trip\": 0}}}\n",
           (unsigned long long)all.received,
           (double)all.received * (double)NS_PER_S / (double)(all.end_ns - all.start_ns),
           (double)(all.end_cpu_ns - all.start_cpu_ns) / (double)all.received);
}

/* The first pairs take what does not divide. */
static uint64_t count_of(const struct pair_options *options, unsigned i)
{
    if (options->count == UINT64_MAX)
        return UINT64_MAX;
    return options->count / options->pairs + (i < options->count % options->pairs);
}

void pair_run(const struct pair_options *options, pair_end *client, pair_end *server)
{
    const bool has_timer = options->duration_ns > 0;
    const unsigned threads = options->pairs * (server ? 2 : 1) + has_timer;
    struct pair pairs[PAIR_PAIRS_MAX];
    struct end_thread clients[PAIR_PAIRS_MAX];
    struct end_thread servers[PAIR_PAIRS_MAX];
    struct timer_thread timer;
    struct pair_gate gate = { .time_is_up = false };

    raise_descriptor_limit();
    errno = pthread_barrier_init(&gate.ready, NULL, threads);
    if (errno)
        err(1, "pthread_barrier_init");
    for (unsigned i = 0; i < options->pairs; i++) {
        pairs[i] =
            (struct pair){ .options = options, .gate = &gate, .count = count_of(options, i) };
        connect_all(&pairs[i]);
    }
    for (unsigned i = 0; i < options->pairs; i++) {
        if (server)
            start_end(&servers[i], &pairs[i], server, options->server_cpus[i]);
        start_end(&clients[i], &pairs[i], client, options->client_cpus[i]);
    }
    if (has_timer)
        start_timer(&timer, &gate, options->duration_ns);
    for (unsigned i = 0; i < options->pairs; i++) {
        pthread_join(clients[i].id, NULL);
        if (server)
            pthread_join(servers[i].id, NULL);
        free(pairs[i].client_fds);
        free(pairs[i].server_fds);
    }
    if (has_timer)
        pthread_join(timer.id, NULL);
    print_result(pairs, options->pairs);
    pthread_barrier_destroy(&gate.ready);
}
