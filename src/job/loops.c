/* Loops on the engine that fits, descriptors for them, and addresses by name. */
#include "job/loops.h"

#include "base/container.h"
#include "base/memory.h"
#include "job/interrupt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors for all that is not a connection: engines, pipes, libraries. */
#define SPARE_DESCRIPTORS 64
#define DESCRIPTORS_PER_THREAD 8

/* Small buffers take most messages; a connection whose messages fill them gets large ones. A server
 * by itself does not know how many will come. */
#define BUFFERS_MIN 256
#define BUFFERS_SERVE 2048
#define BUFFERS_MAX 8192
#define BUFFER_BYTES 256

/* Large enough for any datagram; only pages that are touched are real. A server's datagrams have
 * buffers of their own, so that streams cannot take all. */
#define LARGE_BUFFERS_MIN 16
#define LARGE_BUFFERS_MAX 256
#define LARGE_BUFFER_BYTES 65536
#define DATAGRAM_BUFFERS 256

/* ---- loops ---- */

static uint32_t within(uint32_t n, uint32_t min, uint32_t max)
{
    return n < min ? min : n > max ? max : n;
}

static struct pp_io_options options_of(const struct pp_plan *plan, unsigned shares)
{
    const bool serve = plan->job == PP_JOB_SERVE;
    const bool datagrams = serve || plan->socket.dgram;
    const uint32_t connections = serve ? BUFFERS_SERVE : (plan->connections + shares - 1) / shares;

    return (struct pp_io_options){
        .wait = plan->wait,
        .spin_ns = plan->spin_ns,
        .connections = connections,
        .buffers = serve ? BUFFERS_SERVE : within(2 * connections, BUFFERS_MIN, BUFFERS_MAX),
        .buffer_bytes = BUFFER_BYTES,
        .large_buffers = within(2 * connections, LARGE_BUFFERS_MIN, LARGE_BUFFERS_MAX),
        .large_buffer_bytes = LARGE_BUFFER_BYTES,
        .datagram_buffers = datagrams ? DATAGRAM_BUFFERS : 0,
        .datagram_bytes = LARGE_BUFFER_BYTES,
    };
}

/* All or none. */
static int open_all(struct pp_io_loop **loops, unsigned count, const struct pp_io_options *options,
                    struct pp_error *err)
{
    unsigned opened = 0;
    int ret = 0;

    while (ret == 0 && opened < count) {
        ret = pp_io_loop_open(&loops[opened], options, err);
        opened += ret == 0;
    }
    while (ret < 0 && opened > 0) {
        pp_io_loop_close(loops[--opened]);
        loops[opened] = NULL;
    }
    return ret;
}

/* On the engine with this name, or with "auto" on the first that works, of all. */
static int open_best(struct pp_io_loop **loops, unsigned count, struct pp_io_options options,
                     char refused[PP_REFUSED_BYTES], struct pp_error *err)
{
    const char *names[PP_IO_ENGINES_MAX];
    int ret = -ENOSYS;

    if (strcmp(options.engine, "auto") != 0)
        return open_all(loops, count, &options, err);
    pp_io_engine_list(options.connections, names);
    for (unsigned i = 0; names[i]; i++) {
        struct pp_error why = { 0 };

        options.engine = names[i];
        ret = open_all(loops, count, &options, &why);
        if (ret >= 0)
            return ret;
        if (i == 0)
            (void)snprintf(refused, PP_REFUSED_BYTES, "%s", why.text);
        if (!names[i + 1])
            (void)pp_error_set(err, why.kind, ret, "no engine works here: %s", why.text);
    }
    return ret;
}

int pp_loops_open(struct pp_io_loop **loops, unsigned count, const struct pp_plan *plan,
                  const char *engine, char refused[PP_REFUSED_BYTES], struct pp_error *err)
{
    struct pp_io_options options = options_of(plan, count);

    options.engine = engine;
    return open_best(loops, count, options, refused, err);
}

int pp_loop_open_waiting(struct pp_io_loop **out, struct pp_error *err)
{
    const struct pp_io_options options = { .engine = "auto",
                                           .wait = PP_IO_WAIT_BLOCK,
                                           .connections = 1,
                                           .buffers = 1,
                                           .buffer_bytes = 64 };
    char refused[PP_REFUSED_BYTES];

    return open_best(out, 1, options, refused, err);
}

int pp_loop_broken(const struct pp_io_loop *loop, int code, struct pp_error *err)
{
    const char *engine = pp_io_loop_describe(loop);

    return pp_error_set(err, PP_ERROR_UNAVAILABLE, code, "engine %.*s broke down: %s",
                        (int)strcspn(engine, ":"), engine, strerror(-code));
}

/* ---- descriptors ---- */

static uint64_t descriptors_needed(const struct pp_plan *plan)
{
    const uint64_t threads = plan->client_threads + plan->server_threads;
    const uint64_t ends = plan->job == PP_JOB_RUN ? 2 : plan->job == PP_JOB_CLIENT ? 1 : 0;

    return ends * plan->connections + threads * DESCRIPTORS_PER_THREAD + SPARE_DESCRIPTORS;
}

static int too_few_descriptors(const struct pp_plan *plan, uint64_t needed, uint64_t limit,
                               struct pp_error *err)
{
    const bool one = plan->connections == 1;

    if (plan->job == PP_JOB_SERVE)
        return pp_error_set(err, PP_ERROR_RUN, -EMFILE,
                            "a server needs %" PRIu64 " descriptors and one for each client, and "
                            "the limit is %" PRIu64 ": raise it (ulimit -Hn)",
                            needed, limit);
    return pp_error_set(err, PP_ERROR_RUN, -EMFILE,
                        "%u connection%s %" PRIu64 " descriptors%s, and the limit is %" PRIu64
                        ": raise it (ulimit -Hn)%s",
                        plan->connections, one ? " needs" : "s need", needed,
                        plan->job == PP_JOB_RUN ? ", both ends counted" : "", limit,
                        one ? "" : " or ask for fewer with -c");
}

int pp_descriptors_raise(const struct pp_plan *plan, struct pp_error *err)
{
    const uint64_t needed = descriptors_needed(plan);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return pp_error_set(err, PP_ERROR_RUN, -errno, "cannot read the limit on descriptors: %s",
                            strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < needed)
        return too_few_descriptors(plan, needed, limit.rlim_cur, err);
    return (int)(limit.rlim_cur < PP_IO_FDS_MAX ? limit.rlim_cur : PP_IO_FDS_MAX);
}

/* ---- addresses ---- */

static struct pp_io_addr in_addr_of(uint16_t port)
{
    return (struct pp_io_addr){ .len = sizeof(struct sockaddr_in),
                                .in = { .sin_family = AF_INET, .sin_port = htons(port) } };
}

static struct pp_io_addr in6_addr_of(uint16_t port)
{
    return (struct pp_io_addr){ .len = sizeof(struct sockaddr_in6),
                                .in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) } };
}

static bool parse_numeric(const struct pp_target *target, struct pp_io_addr *addr)
{
    *addr = in_addr_of(target->port);
    if (target->family != AF_INET6 && inet_pton(AF_INET, target->host, &addr->in.sin_addr) == 1)
        return true;
    *addr = in6_addr_of(target->port);
    return target->family != AF_INET &&
           inet_pton(AF_INET6, target->host, &addr->in6.sin6_addr) == 1;
}

/* All addresses of this machine: "::" stands for those of IPv4 too, where there is IPv6 at all. */
static void any_address(const struct pp_io_world *world, const struct pp_target *target,
                        struct pp_io_addr *addr)
{
    if (target->family == AF_INET || !world->has_ipv6())
        *addr = in_addr_of(target->port);
    else
        *addr = in6_addr_of(target->port);
}

/* A question to the system's resolver, which may block for as long as it likes. */
struct question {
    struct pp_io_resolve resolve;
    struct pp_io_op interrupt_op;
    struct pp_io_loop *loop; /* its own: one that has run on this thread may not run on another */
    struct pp_io_workers *workers;
    bool answered;
    char host[sizeof((struct pp_target *)0)->host];
};

static enum pp_io_next on_resolved(struct pp_io_op *op)
{
    struct question *question = container_of(op, struct question, resolve.job.op);

    question->answered = op->res != -ECANCELED;
    pp_io_cancel(question->loop, &question->interrupt_op);
    return PP_IO_DISARM;
}

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct question *question = container_of(op, struct question, interrupt_op);

    if (op->res == 0)
        pp_io_cancel(question->loop, &question->resolve.job.op);
    return PP_IO_DISARM;
}

static void close_question(struct question *question)
{
    pp_io_workers_close(question->workers);
    pp_io_loop_close(question->loop);
    pp_memory_free(question);
}

static int open_question(struct question **out, const struct pp_target *target,
                         struct pp_error *err)
{
    struct question *question = pp_memory_alloc(1, sizeof *question);
    int ret;

    if (!question)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory to resolve a host with");
    question->resolve.family = target->family;
    (void)snprintf(question->host, sizeof question->host, "%s", target->host);
    ret = pp_loop_open_waiting(&question->loop, err);
    if (ret == 0)
        ret = pp_io_workers_open(&question->workers, pp_io_world_of(question->loop), 1, err);
    if (ret < 0)
        close_question(question);
    else
        *out = question;
    return ret;
}

/* 0 when there is an answer. After a signal nobody waits for one any more: what the resolver still
 * uses stays until the end of the process. */
static int ask(struct question *question, uint16_t port)
{
    int ret;

    pp_io_wake_wait(question->loop, &question->interrupt_op, on_interrupt);
    pp_io_resolve_start(question->workers, question->loop, &question->resolve, question->host, port,
                        on_resolved);
    pp_interrupt_attach(question->loop, &question->interrupt_op);
    ret = pp_io_loop_run(question->loop);
    pp_interrupt_attach(NULL, NULL);
    if (question->answered)
        return 0;
    pp_io_workers_abandon(question->workers);
    return ret < 0 ? ret : -EINTR;
}

static int resolve(struct pp_io_addr *addr, const struct pp_target *target, struct pp_error *err)
{
    struct question *question = NULL;
    int ret = open_question(&question, target, err);

    if (!question)
        return ret;
    ret = ask(question, target->port);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "cannot resolve host \"%s\": %s", target->host,
                            strerror(-ret));
    ret = question->resolve.job.result;
    if (ret < 0)
        (void)pp_error_set(
            err, PP_ERROR_RUN, ret,
            "cannot resolve host \"%s\": %s; is it spelt right, and does this machine ask the "
            "right name server?",
            target->host, question->resolve.why);
    *addr = question->resolve.addr;
    close_question(question);
    return ret;
}

int pp_address_find(const struct pp_io_world *world, struct pp_io_addr *addr,
                    const struct pp_target *target, bool server, struct pp_error *err)
{
    struct pp_target local = *target;
    struct pp_io_addr found;

    if (target->path[0]) {
        if (pp_io_addr_unix(addr, target->path) < 0)
            return pp_error_set(err, PP_ERROR_USAGE, -ENAMETOOLONG,
                                "unix:%s is too long for the path of a socket (107 B)",
                                target->path);
        return 0;
    }
    if (!target->host[0] && server) {
        any_address(world, target, addr);
        return 0;
    }
    if (!target->host[0])
        (void)snprintf(local.host, sizeof local.host, "%s",
                       target->family == AF_INET6 ? "::1" : "127.0.0.1");
    if (!parse_numeric(&local, &found))
        return resolve(addr, &local, err);
    *addr = found;
    return 0;
}
