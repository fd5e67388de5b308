/* The servers of a process: how they introduce themselves, opening them (sockets, loops, threads),
 * how they run and are asked what they cost, and their end. */
#include "job/servers.h"

#include "base/memory.h"
#include "measure/host.h"
#include "measure/usage.h"
#include "server/dgram_server.h"
#include "wire/pattern.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static_assert(PP_PLAN_THREADS_MAX <= PP_HELLO_THREADS_MAX, "a hello can say how many there are");

struct server_thread {
    struct pp_io_loop *loop;
    struct pp_server *streams;
    struct pp_dgram_server *datagrams;
    struct pp_loop_thread loop_thread;
    struct pp_sample before;
};

struct pp_servers {
    const struct pp_plan *plan;
    const struct pp_io_world *world;
    struct pp_io_addr addr;
    bool owns_path; /* a Unix socket was made, and is to be removed */
    struct pp_pattern pattern;
    struct pp_io_loop *reply_loop;
    struct pp_io_op *notice_op;
    unsigned count;
    struct server_thread threads[];
};

/* ---- what a hello is answered ---- */

static const char *wait_in_words(const struct pp_plan *plan, char *text, size_t bytes)
{
    if (plan->wait == PP_IO_WAIT_BLOCK || plan->spin_ns == PP_IO_SPIN_FOREVER)
        (void)snprintf(text, bytes, "%s", pp_wait_names[plan->wait]);
    else
        (void)snprintf(text, bytes, "%s, block after %llu \u00b5s", pp_wait_names[plan->wait],
                       (unsigned long long)plan->spin_ns / 1000);
    return text;
}

/* The CPU time is of the whole process: a server by itself has no other threads that count. */
static void introduce(void *owner, struct pp_hello_reply *reply)
{
    const struct pp_servers *servers = owner;
    const struct pp_servers_counts counts = pp_servers_counts(servers);
    const struct pp_usage usage = pp_usage_of_process();

    (void)snprintf(reply->version, sizeof reply->version, "%s", PP_VERSION);
    (void)snprintf(reply->engine, sizeof reply->engine, "%s", pp_servers_describe(servers));
    (void)wait_in_words(servers->plan, reply->wait, sizeof reply->wait);
    (void)gethostname(reply->host, sizeof reply->host - 1);
    pp_host_boot_id(reply->boot_id, sizeof reply->boot_id);
    reply->says_bytes = true;
    reply->bytes = counts.bytes + counts.streams.bytes;
    reply->connections = counts.streams.accepted - counts.streams.closed;
    reply->threads = servers->count;
    reply->user_ns = usage.user_ns;
    reply->system_ns = usage.system_ns;
    reply->context_switches = usage.context_switches;
    for (unsigned i = 0; i < servers->count; i++)
        reply->syscalls += pp_io_loop_stats(servers->threads[i].loop).syscalls;
}

static void on_notice(void *owner)
{
    const struct pp_servers *servers = owner;

    if (servers->notice_op)
        pp_io_wake(servers->reply_loop, servers->notice_op);
}

/* ---- opening ---- */

static bool serves_streams(const struct pp_plan *plan)
{
    return !plan->socket.dgram;
}

/* A server by itself answers on UDP too, unless it was told otherwise. */
static bool serves_datagrams(const struct pp_plan *plan)
{
    return plan->socket.dgram || (plan->job == PP_JOB_SERVE && !plan->target.path[0]);
}

/* The CPUs whose packets each thread serves; NULL: it is left to chance. In a run client thread i
 * talks to server thread i, wherever they run, if both are pinned; a server by itself takes what
 * arrives on its threads' CPUs. */
static const int *packet_cpus(const struct pp_plan *plan)
{
    const int *cpus = plan->job == PP_JOB_RUN ? plan->client_cpus : plan->server_cpus;

    if (plan->job == PP_JOB_RUN && plan->client_threads != plan->server_threads)
        return NULL;
    return cpus[0] == PP_CPU_ANY ? NULL : cpus;
}

static int open_sockets(struct pp_servers *servers, bool dgram, int *fds, struct pp_error *err)
{
    const struct pp_server_limits *limits = &servers->plan->server_limits;
    struct pp_io_socket_options socket = servers->plan->socket;
    int ret;

    socket.dgram = dgram;
    socket.mptcp = socket.mptcp && !dgram;
    if (dgram)
        socket.congestion[0] = '\0';
    ret = servers->world->listen(&servers->addr, &socket, packet_cpus(servers->plan),
                                 servers->count, fds, err);
    servers->owns_path = servers->owns_path || ret == 0;
    for (unsigned i = 0; i < servers->count && ret == 0 && !dgram; i++)
        if (servers->plan->job == PP_JOB_SERVE)
            servers->world->keepalive(fds[i], limits->keepalive_s, limits->unacked_s);
    return ret;
}

static struct pp_server_options server_options(struct pp_servers *servers, unsigned i, int fd,
                                               uint32_t descriptors)
{
    return (struct pp_server_options){
        .loop = servers->threads[i].loop,
        .listen_fd = fd,
        .connections = descriptors,
        .pattern = &servers->pattern,
        .limits = servers->plan->server_limits,
        .on_notice = on_notice,
        .introduce = introduce,
        .owner = servers,
    };
}

/* Each takes over its descriptor, also when it fails; the rest are closed here. */
static int serve_on(struct pp_servers *servers, bool dgram, const int *fds, uint32_t descriptors,
                    struct pp_error *err)
{
    int ret = 0;

    for (unsigned i = 0; i < servers->count; i++) {
        struct server_thread *thread = &servers->threads[i];
        const struct pp_server_options options = server_options(servers, i, fds[i], descriptors);

        if (ret < 0)
            servers->world->close(fds[i]);
        else if (dgram)
            ret = pp_dgram_server_open(&thread->datagrams, &options, err);
        else
            ret = pp_server_open(&thread->streams, &options, err);
    }
    return ret;
}

static int open_kind(struct pp_servers *servers, bool dgram, uint32_t descriptors,
                     struct pp_error *err)
{
    int fds[PP_PLAN_THREADS_MAX];
    const int ret = open_sockets(servers, dgram, fds, err);

    return ret < 0 ? ret : serve_on(servers, dgram, fds, descriptors, err);
}

static int open_all(struct pp_servers *servers, uint32_t descriptors,
                    char refused[PP_REFUSED_BYTES], struct pp_error *err)
{
    const struct pp_plan *plan = servers->plan;
    struct pp_io_loop *loops[PP_PLAN_THREADS_MAX] = { NULL };
    int ret = pp_pattern_open_random(&servers->pattern, 1, err);

    if (ret == 0)
        ret = pp_loops_open(loops, servers->count, plan, plan->server_engine, refused, err);
    for (unsigned i = 0; i < servers->count; i++)
        servers->threads[i].loop = loops[i];
    if (ret == 0)
        servers->world = pp_io_world_of(loops[0]);
    if (ret == 0)
        ret = pp_address_find(servers->world, &servers->addr, &plan->target, true, err);
    if (ret == 0 && serves_streams(plan))
        ret = open_kind(servers, false, descriptors, err);
    if (ret == 0 && serves_datagrams(plan))
        ret = open_kind(servers, true, descriptors, err);
    return ret;
}

int pp_servers_open(struct pp_servers **out, const struct pp_plan *plan, uint32_t descriptors,
                    char refused[PP_REFUSED_BYTES], struct pp_error *err)
{
    struct pp_servers *servers =
        pp_memory_alloc(1, sizeof *servers + plan->server_threads * sizeof servers->threads[0]);
    int ret;

    if (!servers)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u server threads",
                            plan->server_threads);
    servers->plan = plan;
    servers->count = plan->server_threads;
    ret = open_all(servers, descriptors, refused, err);
    if (ret < 0) {
        pp_servers_close(servers);
        return ret;
    }
    *out = servers;
    return 0;
}

const struct pp_io_addr *pp_servers_addr(const struct pp_servers *servers)
{
    return &servers->addr;
}

const char *pp_servers_describe(const struct pp_servers *servers)
{
    return pp_io_loop_describe(servers->threads[0].loop);
}

/* ---- running ---- */

int pp_servers_start(struct pp_servers *servers, struct pp_io_loop *reply_loop,
                     struct pp_io_op *reply_op, struct pp_io_op *notice_op, struct pp_error *err)
{
    servers->reply_loop = reply_loop;
    servers->notice_op = notice_op;
    for (unsigned i = 0; i < servers->count; i++) {
        struct server_thread *thread = &servers->threads[i];
        int ret;

        pp_loop_thread_prepare(&thread->loop_thread, thread->loop, servers->plan->server_cpus[i],
                               reply_loop, reply_op);
        ret = pp_loop_thread_start(&thread->loop_thread, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

void pp_servers_sample(struct pp_servers *servers)
{
    for (unsigned i = 0; i < servers->count; i++)
        pp_loop_thread_sample(&servers->threads[i].loop_thread);
}

bool pp_servers_sampled(const struct pp_servers *servers)
{
    for (unsigned i = 0; i < servers->count; i++)
        if (!atomic_load(&servers->threads[i].loop_thread.sampled))
            return false;
    return true;
}

void pp_servers_begin(struct pp_servers *servers)
{
    for (unsigned i = 0; i < servers->count; i++)
        servers->threads[i].before = servers->threads[i].loop_thread.sample;
}

struct pp_sample pp_servers_spent(const struct pp_servers *servers)
{
    struct pp_sample sum = { 0 };

    for (unsigned i = 0; i < servers->count; i++)
        pp_sample_add(&sum, &servers->threads[i].before, &servers->threads[i].loop_thread.sample);
    return sum;
}

unsigned pp_servers_waiters(const struct pp_servers *servers, struct pp_waiter *waiters)
{
    for (unsigned i = 0; i < servers->count; i++)
        waiters[i] = pp_sample_waiter(&servers->threads[i].before,
                                      &servers->threads[i].loop_thread.sample,
                                      servers->plan->server_cpus[i]);
    return servers->count;
}

bool pp_servers_ended(const struct pp_servers *servers)
{
    for (unsigned i = 0; i < servers->count; i++)
        if (atomic_load(&servers->threads[i].loop_thread.ended))
            return true;
    return false;
}

bool pp_servers_turned_away_from(const struct pp_servers *servers, struct pp_io_addr *from)
{
    for (unsigned i = 0; i < servers->count; i++)
        if (servers->threads[i].streams &&
            pp_server_turned_away_from(servers->threads[i].streams, from))
            return true;
    return false;
}

static void streams_add(struct pp_server_counts *sum, struct pp_server_counts counts)
{
    sum->accepted += counts.accepted;
    sum->idle += counts.idle;
    sum->full += counts.full;
    if (counts.full_code)
        sum->full_code = counts.full_code;
    sum->turned_away += counts.turned_away;
    sum->closed += counts.closed;
    sum->bytes += counts.bytes;
}

int pp_servers_broken(const struct pp_servers *servers, struct pp_error *err)
{
    for (unsigned i = 0; i < servers->count; i++) {
        const struct server_thread *thread = &servers->threads[i];

        if (atomic_load(&thread->loop_thread.ended))
            return pp_loop_broken(
                thread->loop, thread->loop_thread.result < 0 ? thread->loop_thread.result : -EIO,
                err);
    }
    return 0;
}

struct pp_servers_counts pp_servers_counts(const struct pp_servers *servers)
{
    struct pp_servers_counts counts = { 0 };

    for (unsigned i = 0; i < servers->count; i++) {
        const struct server_thread *thread = &servers->threads[i];

        if (thread->streams)
            streams_add(&counts.streams, pp_server_counts(thread->streams));
        if (!thread->datagrams)
            continue;
        counts.datagrams += pp_dgram_server_answered(thread->datagrams);
        counts.bytes += pp_dgram_server_bytes(thread->datagrams);
        counts.ignored += pp_dgram_server_ignored(thread->datagrams);
    }
    return counts;
}

/* ---- the end ---- */

static int thread_stop(struct server_thread *thread)
{
    if (thread->streams)
        pp_server_stop(thread->streams);
    if (thread->datagrams)
        pp_dgram_server_stop(thread->datagrams);
    return pp_loop_thread_join(&thread->loop_thread);
}

/* While the sockets are still open: afterwards the file might be that of another server. */
static void remove_path(struct pp_servers *servers)
{
    if (servers->owns_path)
        servers->world->unlisten(&servers->addr);
    servers->owns_path = false;
}

int pp_servers_stop(struct pp_servers *servers)
{
    int first = 0;

    remove_path(servers);
    for (unsigned i = 0; i < servers->count; i++) {
        const int ret = servers->threads[i].loop_thread.started ? thread_stop(&servers->threads[i])
                                                                : 0;

        if (first == 0)
            first = ret;
    }
    return first;
}

void pp_servers_close(struct pp_servers *servers)
{
    if (!servers)
        return;
    remove_path(servers);
    for (unsigned i = 0; i < servers->count; i++) {
        pp_io_loop_close(servers->threads[i].loop);
        pp_server_close(servers->threads[i].streams);
        pp_dgram_server_close(servers->threads[i].datagrams);
    }
    pp_pattern_close(&servers->pattern);
    pp_memory_free(servers);
}
