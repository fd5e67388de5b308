#include "pair.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

/* ---- command line ------------------------------------------------------------------------ */

static _Noreturn void usage(const char *program)
{
    errx(2,
         "usage: %s [MODE] [--connections N] [--cpus A,B] [--count N | --seconds S]; "
         "a CPU of -1 is unpinned",
         program);
}

static uint64_t parse_whole(const char *text, const char *program)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value == 0)
        usage(program);
    return value;
}

static uint64_t parse_seconds(const char *text, const char *program)
{
    char *end;
    const double seconds = strtod(text, &end);

    if (end == text || *end || !(seconds > 0 && seconds <= 3600))
        usage(program);
    return (uint64_t)(seconds * (double)NS_PER_S);
}

static void parse_cpus(const char *text, struct pair_options *options, const char *program)
{
    char rest;

    if (sscanf(text, "%d,%d%c", &options->client_cpu, &options->server_cpu, &rest) != 2)
        usage(program);
}

struct pair_options pair_options_parse(int argc, char **argv, int first)
{
    static const struct option table[] = {
        { "connections", required_argument, NULL, 'c' },
        { "cpus", required_argument, NULL, 'A' },
        { "count", required_argument, NULL, 'n' },
        { "seconds", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    struct pair_options options = {
        .connections = 1,
        .client_cpu = PAIR_UNPINNED,
        .server_cpu = PAIR_UNPINNED,
    };
    int letter;

    optind = first;
    while ((letter = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (letter == 'c')
            options.connections = (unsigned)parse_whole(optarg, argv[0]);
        else if (letter == 'A')
            parse_cpus(optarg, &options, argv[0]);
        else if (letter == 'n')
            options.count = parse_whole(optarg, argv[0]);
        else if (letter == 's')
            options.duration_ns = parse_seconds(optarg, argv[0]);
        else
            usage(argv[0]);
    }
    if (optind != argc || (options.count == 0) == (options.duration_ns == 0))
        usage(argv[0]);
    if (options.duration_ns)
        options.count = UINT64_MAX;
    if (options.count < options.connections)
        errx(2, "--count must give each connection at least one round trip");
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

static int listen_on_loopback(struct sockaddr_in *addr)
{
    socklen_t len = sizeof *addr;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    *addr = (struct sockaddr_in){ .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || bind(fd, (struct sockaddr *)addr, len) || listen(fd, SOMAXCONN) ||
        getsockname(fd, (struct sockaddr *)addr, &len))
        err(1, "listen on 127.0.0.1");
    return fd;
}

/* Closing resets, so that thousands of connections a run leave no TIME_WAIT behind for the next. */
static void set_options(int fd)
{
    const int on = 1;
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset))
        err(1, "setsockopt");
}

static void connect_all(struct pair *pair)
{
    const unsigned connections = pair->options.connections;
    struct sockaddr_in addr;
    const int listener = listen_on_loopback(&addr);

    pair->client_fds = calloc(connections, sizeof *pair->client_fds);
    pair->server_fds = calloc(connections, sizeof *pair->server_fds);
    if (!pair->client_fds || !pair->server_fds)
        err(1, "calloc");
    for (unsigned i = 0; i < connections; i++) {
        const int client = socket(AF_INET, SOCK_STREAM, 0);

        if (client < 0 || connect(client, (const struct sockaddr *)&addr, sizeof addr))
            err(1, "connect");
        pair->client_fds[i] = client;
        pair->server_fds[i] = accept(listener, NULL, NULL);
        if (pair->server_fds[i] < 0)
            err(1, "accept");
        set_options(client);
        set_options(pair->server_fds[i]);
    }
    close(listener);
}

void pair_send_ping(int fd)
{
    if (send(fd, PAIR_PING, PAIR_PING_BYTES, MSG_NOSIGNAL) != (ssize_t)PAIR_PING_BYTES)
        err(1, "send");
}

void pair_close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
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

struct server_start {
    struct pair *pair;
    pair_end *server;
};

static void *server_thread(void *argument)
{
    const struct server_start *start = argument;

    pin_this_thread(start->pair->options.server_cpu);
    start->server(start->pair);
    return NULL;
}

/* A thread that sleeps costs the two others nothing; a look at the clock each ping would. */
static void *timer_thread(void *argument)
{
    struct pair *pair = argument;
    const struct timespec duration = {
        .tv_sec = (time_t)(pair->options.duration_ns / NS_PER_S),
        .tv_nsec = (long)(pair->options.duration_ns % NS_PER_S),
    };

    pthread_barrier_wait(&pair->ready);
    nanosleep(&duration, NULL);
    atomic_store(&pair->time_is_up, true);
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    errno = pthread_create(thread, NULL, run, argument);
    if (errno)
        err(1, "pthread_create");
}

void pair_server_ready(struct pair *pair)
{
    pthread_barrier_wait(&pair->ready);
}

void pair_client_start(struct pair *pair)
{
    pthread_barrier_wait(&pair->ready);
    pair->start_ns = pair_now_ns();
}

void pair_client_stop(struct pair *pair)
{
    pair->end_ns = pair_now_ns();
}

static void print_result(const struct pair *pair)
{
    const double seconds = (double)(pair->end_ns - pair->start_ns) / (double)NS_PER_S;

    printf("{\"roundtrips_per_s\": %.2f, \"count\": %llu, \"seconds\": %.9f}\n",
           (double)pair->received / seconds, (unsigned long long)pair->received, seconds);
}

void pair_run(const struct pair_options *options, pair_end *client, pair_end *server)
{
    struct pair pair = { .options = *options, .has_server = server != NULL };
    const bool has_timer = options->duration_ns > 0;
    struct server_start start = { .pair = &pair, .server = server };
    pthread_t server_id;
    pthread_t timer_id;

    raise_descriptor_limit();
    connect_all(&pair);
    errno = pthread_barrier_init(&pair.ready, NULL, 1U + pair.has_server + has_timer);
    if (errno)
        err(1, "pthread_barrier_init");
    if (pair.has_server)
        start_thread(&server_id, server_thread, &start);
    if (has_timer)
        start_thread(&timer_id, timer_thread, &pair);
    pin_this_thread(options->client_cpu);
    client(&pair);
    if (pair.has_server)
        pthread_join(server_id, NULL);
    if (has_timer)
        pthread_join(timer_id, NULL);
    print_result(&pair);
    pthread_barrier_destroy(&pair.ready);
    free(pair.client_fds);
    free(pair.server_fds);
}
