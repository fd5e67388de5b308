#include "bench/run.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "bench/client.h"
#include "bench/interrupt.h"
#include "bench/server.h"
#include "bench/worker.h"
#include "measure/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define TICK_NS (100 * PP_NS_PER_MS)

/* So many ticks without a single round trip, and the run is given up: 10 s. */
#define STALLED_TICKS 100

/* How long the server may take to close its side: it has nothing else to do. */
#define LINGER_NS (2 * PP_NS_PER_S)

/* Descriptors for all that is not a connection: engines, pipes, libraries. */
#define SPARE_DESCRIPTORS 64

#define BUFFERS_MIN 256
#define BUFFERS_MAX 8192
#define BUFFER_BYTES 256

struct run {
    const struct pp_plan *plan;
    const struct pp_run_hooks *hooks;
    struct pp_result *result;
    uint32_t descriptors; /* the limit of this process */

    struct pp_io_loop *client_loop, *server_loop;
    struct pp_client *client;
    struct pp_server *server;
    struct pp_worker worker;

    struct pp_io_op reply_op; /* the worker has something to say */
    struct pp_io_op interrupt_op;
    struct pp_io_op tick_op;
    struct pp_io_op linger_op;
    uint64_t ticked_received;
    unsigned quiet_ticks;

    bool finished; /* the measurement is over */
    bool over;     /* and everything is being closed */
    struct pp_sample client_before, server_before;
};

/* ---- before the run ---- */

static int check_descriptors(struct run *run, struct pp_error *err)
{
    const uint64_t needed = 2 * (uint64_t)run->plan->connections + SPARE_DESCRIPTORS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return pp_error_set(err, PP_ERROR_RUN, -errno, "cannot read the limit on descriptors: %s",
                            strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < needed)
        return pp_error_set(
            err, PP_ERROR_RUN, -EMFILE,
            "%u connections need %llu descriptors, both ends counted, and the limit "
            "is %llu: raise it (ulimit -Hn) or ask for fewer with -c",
            run->plan->connections, (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
    run->descriptors = limit.rlim_cur < PP_IO_FDS_MAX ? (uint32_t)limit.rlim_cur : PP_IO_FDS_MAX;
    return 0;
}

static enum pp_io_next on_resolved(struct pp_io_op *op)
{
    (void)op;
    return PP_IO_DISARM;
}

static bool parse_numeric(const struct pp_plan *plan, struct pp_io_addr *addr)
{
    *addr = (struct pp_io_addr){ .len = sizeof addr->in };
    if (inet_pton(AF_INET, plan->host, &addr->in.sin_addr) == 1) {
        addr->in.sin_family = AF_INET;
        addr->in.sin_port = htons(plan->port);
        return true;
    }
    *addr = (struct pp_io_addr){ .len = sizeof addr->in6 };
    if (inet_pton(AF_INET6, plan->host, &addr->in6.sin6_addr) == 1) {
        addr->in6.sin6_family = AF_INET6;
        addr->in6.sin6_port = htons(plan->port);
        return true;
    }
    return false;
}

static int resolve(struct run *run, struct pp_error *err)
{
    const struct pp_plan *plan = run->plan;
    struct pp_io_resolve resolve = { 0 };
    struct pp_io_workers *workers = NULL;
    int ret;

    if (parse_numeric(plan, &run->result->addr))
        return 0;
    ret = pp_io_workers_open(&workers, 1, err);
    if (ret < 0)
        return ret;
    pp_io_resolve_start(workers, run->client_loop, &resolve, plan->host, plan->port, on_resolved);
    ret = pp_io_loop_run(run->client_loop);
    pp_io_workers_close(workers);
    if (ret == 0)
        ret = resolve.job.result;
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "cannot resolve host \"%s\": %s", plan->host,
                            resolve.why);
    run->result->addr = resolve.addr;
    return 0;
}

/* Opens a loop on the engine asked for, or on the best one that works here. */
static int open_loop(struct run *run, const char *engine, struct pp_io_loop **out,
                     struct pp_error *err)
{
    const struct pp_plan *plan = run->plan;
    const uint32_t buffers = 2 * plan->connections;
    struct pp_io_options options = {
        .engine = engine,
        .wait = plan->wait,
        .spin_ns = plan->spin_ns,
        .connections = plan->connections,
        .buffers = buffers < BUFFERS_MIN   ? BUFFERS_MIN
                   : buffers > BUFFERS_MAX ? BUFFERS_MAX
                                           : buffers,
        .buffer_bytes = BUFFER_BYTES,
    };
    const char *names[PP_IO_ENGINES_MAX];
    int ret = -ENOSYS;

    if (strcmp(engine, "auto") != 0)
        return pp_io_loop_open(out, &options, err);
    pp_io_engine_list(plan->connections, names);
    for (unsigned i = 0; names[i]; i++) {
        struct pp_error why = { 0 };

        options.engine = names[i];
        ret = pp_io_loop_open(out, &options, &why);
        if (ret >= 0)
            return ret;
        if (i == 0)
            (void)snprintf(run->result->refused_engine, sizeof run->result->refused_engine, "%s",
                           why.text);
        if (!names[i + 1])
            (void)pp_error_set(err, why.kind, ret, "no engine works here: %s", why.text);
    }
    return ret;
}

/* ---- during the run ---- */

static const struct pp_client_counts *counts_of(const struct run *run)
{
    return pp_client_counts(run->client);
}

static enum pp_io_next on_lingered(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, linger_op);

    if (op->res == 0)
        pp_client_disconnect(run->client, false);
    return PP_IO_DISARM;
}

static void on_disconnected(void *owner)
{
    struct run *run = owner;

    pp_io_cancel(run->client_loop, &run->linger_op);
}

static void close_everything(struct run *run)
{
    const bool server_lives = !atomic_load(&run->worker.ended);

    run->over = true;
    pp_io_cancel(run->client_loop, &run->reply_op);
    pp_io_cancel(run->client_loop, &run->interrupt_op);
    pp_io_cancel(run->client_loop, &run->tick_op);
    pp_io_timer(run->client_loop, &run->linger_op, pp_clock_now_ns() + LINGER_NS, on_lingered);
    pp_client_disconnect(run->client, server_lives);
}

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, interrupt_op);

    if (op->res == 0)
        pp_client_interrupt(run->client);
    return PP_IO_DISARM;
}

static enum pp_io_next on_tick(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, tick_op);
    const struct pp_client_counts *counts = counts_of(run);

    if (run->over)
        return PP_IO_DISARM;
    if (run->result->measured && !run->finished)
        run->hooks->on_progress(run->hooks->context, counts->received, run->plan->count,
                                pp_clock_now_ns() - counts->first_ns);
    run->quiet_ticks = counts->received == run->ticked_received ? run->quiet_ticks + 1 : 0;
    run->ticked_received = counts->received;
    if (run->quiet_ticks == STALLED_TICKS)
        pp_client_fail(run->client, PP_ERROR_RUN, -ETIMEDOUT,
                       "no round trip was completed for 10 s; is something on the way dropping "
                       "packets?");
    op->deadline_ns += TICK_NS;
    return PP_IO_REARM;
}

static void measure_begin(struct run *run)
{
    run->hooks->on_begin(run->hooks->context, run->result);
    run->result->measured = true;
    run->server_before = run->worker.sample;
    run->client_before = pp_sample_now(run->client_loop);
    pp_memory_seal(true);
    pp_client_start(run->client);
}

static void side_fill(struct pp_result_side *side, const struct pp_sample *before,
                      const struct pp_sample *after)
{
    side->usage = pp_usage_between(&before->usage, &after->usage);
    side->io = pp_io_stats_between(&before->io, &after->io);
}

/* The server's thread has sampled itself, or ended before its time. */
static enum pp_io_next on_reply(struct pp_io_op *op)
{
    struct run *run = container_of(op, struct run, reply_op);

    if (run->over)
        return PP_IO_DISARM;
    if (atomic_load(&run->worker.ended) && !run->finished) {
        pp_client_fail(run->client, PP_ERROR_RUN, -EIO, "the server's event loop broke down");
        return PP_IO_REARM;
    }
    if (!run->finished) {
        measure_begin(run);
        return PP_IO_REARM;
    }
    if (run->result->measured)
        side_fill(&run->result->server, &run->server_before, &run->worker.sample);
    close_everything(run);
    return PP_IO_DISARM;
}

static void on_connected(void *owner)
{
    pp_worker_sample(&((struct run *)owner)->worker);
}

static void on_finished(void *owner)
{
    struct run *run = owner;
    const struct pp_sample after = pp_sample_now(run->client_loop);

    pp_memory_seal(false);
    run->finished = true;
    if (run->result->measured)
        side_fill(&run->result->client, &run->client_before, &after);
    if (atomic_load(&run->worker.ended))
        pp_io_wake(run->client_loop, &run->reply_op);
    else
        pp_worker_sample(&run->worker);
}

static int run_client(struct run *run, struct pp_error *err)
{
    int ret;

    (void)pp_worker_pin(run->plan->client_cpu); /* the plan has checked that it may be used */
    pp_io_wake_wait(run->client_loop, &run->interrupt_op, on_interrupt);
    pp_io_timer(run->client_loop, &run->tick_op, pp_clock_now_ns() + TICK_NS, on_tick);
    pp_interrupt_attach(run->client_loop, &run->interrupt_op);
    pp_client_connect(run->client);
    ret = pp_io_loop_run(run->client_loop);
    pp_interrupt_attach(NULL, NULL);
    pp_memory_seal(false);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret, "engine %s broke down: %s",
                            run->result->client.engine_name, strerror(-ret));
    return 0;
}

/* ---- after the run ---- */

static void fill_result(struct run *run)
{
    const struct pp_client_counts *counts = counts_of(run);
    struct pp_result *result = run->result;

    result->sent = counts->sent;
    result->received = counts->received;
    result->errors = counts->errors;
    result->in_flight = counts->sent - counts->received - counts->errors;
    result->failed_connections = counts->failed_connections;
    result->duration_ns = result->measured ? counts->last_ns - counts->first_ns : 0;
    result->partial = counts->received < run->plan->count;
    result->signal = pp_interrupt_signal();
}

static int client_result(struct run *run, struct pp_error *err)
{
    const struct pp_error *error = pp_client_error(run->client);

    if (!error->code)
        return 0;
    return pp_error_set(err, error->kind, error->code, "%s", error->text);
}

static void name_engine(struct pp_result_side *side, const struct pp_io_loop *loop)
{
    (void)snprintf(side->engine, sizeof side->engine, "%s", pp_io_loop_describe(loop));
    (void)snprintf(side->engine_name, sizeof side->engine_name, "%.*s",
                   (int)strcspn(side->engine, ":"), side->engine);
}

/* ---- the run ---- */

static int measure(struct run *run, struct pp_error *err)
{
    struct pp_client_options options = {
        .loop = run->client_loop,
        .addr = &run->result->addr,
        .connections = run->plan->connections,
        .count = run->plan->count,
        .wire = run->plan->wire,
        .rtt = &run->result->rtt,
        .owner = run,
        .on_connected = on_connected,
        .on_finished = on_finished,
        .on_disconnected = on_disconnected,
    };
    int server_ret;
    int ret = pp_client_open(&run->client, &options, err);

    if (ret < 0)
        return ret;
    pp_io_wake_wait(run->client_loop, &run->reply_op, on_reply);
    ret = pp_worker_start(&run->worker, run->server_loop, run->plan->server_cpu, run->client_loop,
                          &run->reply_op, err);
    if (ret < 0)
        return ret;
    ret = run_client(run, err);
    pp_server_stop(run->server);
    server_ret = pp_worker_join(&run->worker);
    fill_result(run);
    if (server_ret < 0)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, server_ret, "engine %s broke down: %s",
                            run->result->server.engine_name, strerror(-server_ret));
    return ret < 0 ? ret : client_result(run, err);
}

static int open_server(struct run *run, struct pp_error *err)
{
    int listen_fd;
    int ret = open_loop(run, run->plan->server_engine, &run->server_loop, err);

    if (ret < 0)
        return ret;
    name_engine(&run->result->server, run->server_loop);
    listen_fd = pp_io_listen(&run->result->addr, err);
    if (listen_fd < 0)
        return listen_fd;
    return pp_server_open(&run->server, run->server_loop, listen_fd, run->descriptors,
                          pp_io_loop_buffers(run->server_loop), err);
}

static int open_and_measure(struct run *run, struct pp_error *err)
{
    int ret = check_descriptors(run, err);

    if (ret < 0)
        return ret;
    ret = open_loop(run, run->plan->client_engine, &run->client_loop, err);
    if (ret < 0)
        return ret;
    name_engine(&run->result->client, run->client_loop);
    ret = resolve(run, err);
    if (ret < 0)
        return ret;
    ret = open_server(run, err);
    if (ret < 0)
        return ret;
    return measure(run, err);
}

int pp_run(const struct pp_plan *plan, const struct pp_run_hooks *hooks, struct pp_result *result,
           struct pp_error *err)
{
    struct run run = { .plan = plan, .hooks = hooks, .result = result };
    int ret;

    result->plan = *plan;
    pp_hist_reset(&result->rtt);
    pp_host_congestion_control(result->congestion_control, PP_CONGESTION_CONTROL_BYTES);
    ret = open_and_measure(&run, err);
    pp_client_close(run.client);
    pp_io_loop_close(run.client_loop);
    pp_io_loop_close(run.server_loop);
    pp_server_close(run.server);
    return ret;
}
