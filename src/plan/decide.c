/* What was left open: how deep, for how long at first, where the threads run and how they wait. */
#include "plan/plan.h"

#include "base/assert.h"
#include "base/clock.h"
#include "measure/host.h"
#include "wire/datagram.h"

#include <errno.h>
#include <string.h>

/* Up to so many connections, looking again beats sleeping. Above, there is nearly always something
 * to do, and the two are level. */
#define LOOK_CONNECTIONS_MAX 16

/* An open loop must not wait for answers, so each connection may have many messages under way; all
 * together, so many that their table still fits into the cache of most machines. */
#define OPEN_DEPTH_MAX 1024
#define OPEN_UNDER_WAY_MAX 65536

/* By default a tenth of the time, and no more than this. */
#define WARMUP_MAX_NS PP_NS_PER_S

#define DATAGRAM_BYTES_DEFAULT PP_DATAGRAM_HEADER_BYTES

/* The tables of messages under way and datagrams' buffers must fit into this. */
#define TABLES_BYTES_MAX (UINT64_C(2) << 30)

static bool is_unix(const struct pp_plan *plan)
{
    return plan->target.path[0];
}

static int refuse(struct pp_error *err, const char *text)
{
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL, "%s", text);
}

/* ---- the load ---- */

static void decide_depth(struct pp_plan *plan)
{
    const uint32_t share = OPEN_UNDER_WAY_MAX / plan->connections;

    if (plan->depth)
        return;
    plan->depth = 1;
    plan->why.depth = "each message waits for the answer to the one before";
    if (plan->crr) {
        plan->why.depth = "a connection for each round trip has one message";
    } else if (plan->rate > 0) {
        plan->depth = share < 1 ? 1 : share < OPEN_DEPTH_MAX ? share : OPEN_DEPTH_MAX;
        plan->why.depth = "messages that are due do not wait for answers";
    }
}

uint64_t pp_plan_warmup_ns(uint64_t time_ns)
{
    const uint64_t share_ns = time_ns / 10;

    return share_ns < WARMUP_MAX_NS ? share_ns : WARMUP_MAX_NS;
}

static void decide_warmup(struct pp_plan *plan)
{
    if (plan->warmup_given)
        return;
    if (plan->count) {
        plan->why.warmup = "every round trip of a count belongs to it";
        return;
    }
    plan->warmup_ns = pp_plan_warmup_ns(plan->time_ns);
    plan->why.warmup = "a tenth of the time, and a second at most";
}

/* How long an answer is. One that ends with a text may have any length, and none is looked at. */
static struct pp_sizes answer_to_text(const struct pp_plan *plan)
{
    switch (plan->expect_how) {
    case PP_EXPECT_TEXT:
        return pp_sizes_of(plan->expect.bytes);
    case PP_EXPECT_BYTES:
        return pp_sizes_of((uint32_t)plan->expect_bytes);
    case PP_EXPECT_ECHO:
    case PP_EXPECT_UNTIL:
        break;
    }
    return pp_sizes_of(plan->send.bytes);
}

static void decide_text(struct pp_plan *plan)
{
    plan->request = pp_sizes_of(plan->send.bytes);
    plan->response = answer_to_text(plan);
}

static void decide_load(struct pp_plan *plan)
{
    if (plan->socket.dgram && !plan->sizes_given)
        plan->request = plan->response = pp_sizes_of(DATAGRAM_BYTES_DEFAULT);
    if (plan->sizes_given)
        plan->send.bytes = 0;
    else if (!plan->socket.dgram)
        decide_text(plan);
    decide_depth(plan);
    decide_warmup(plan);
}

static int check_tables(const struct pp_plan *plan, struct pp_error *err)
{
    const uint64_t under_way = (uint64_t)plan->connections * plan->depth;
    const uint64_t message = plan->socket.dgram ? plan->request.max : 0;

    if (under_way * (128 + message) <= TABLES_BYTES_MAX)
        return 0;
    return refuse(err, "--connections times --depth is more than this program keeps track of: give "
                       "less of one of them");
}

/* ---- waiting and placing ---- */

/* On a CPU of its own a thread has nobody to give it to; elsewhere the other side may need it. How
 * many will come, a server by itself does not know. */
static void decide_wait(struct pp_plan *plan)
{
    const uint32_t threads = plan->client_threads;

    if (!plan->wait_auto)
        return;
    plan->spin_ns = PP_PLAN_LOOK_US * PP_NS_PER_US;
    if (plan->job != PP_JOB_SERVE && plan->connections > LOOK_CONNECTIONS_MAX * threads) {
        plan->wait = PP_IO_WAIT_BLOCK;
        plan->why.wait = "with so many connections there is nearly always something to do";
    } else if (plan->job == PP_JOB_RUN && plan->placement == PP_PLACEMENT_SPLIT) {
        plan->wait = PP_IO_WAIT_SPIN;
        plan->why.wait = "nobody else needs the CPU of a thread that has one of its own";
    } else {
        plan->wait = PP_IO_WAIT_YIELD;
        plan->why.wait = "the other side may need the CPU";
    }
}

static bool is_better(const struct pp_host_cpu *cpu, const struct pp_host_cpu *best,
                      const struct pp_host_cpu *other)
{
    if (cpu->running != best->running)
        return cpu->running < best->running;
    return other && best->core == other->core && cpu->core != other->core;
}

/* Brings the idlest CPU of cpus[from .. count) to the place from; among equals one on another core
 * than the one before it, and the lowest number. */
static void bring_idlest(struct pp_host_cpu *cpus, unsigned count, unsigned from)
{
    const struct pp_host_cpu *before = from ? &cpus[from - 1] : NULL;
    unsigned best = from;
    struct pp_host_cpu cpu;

    for (unsigned i = from + 1; i < count; i++)
        if (is_better(&cpus[i], &cpus[best], before))
            best = i;
    cpu = cpus[best];
    memmove(&cpus[from + 1], &cpus[from], (best - from) * sizeof cpus[0]);
    cpus[from] = cpu;
}

/* One connection is a strict alternation: on one CPU no wake-up crosses to another. Several can
 * keep two CPUs busy. Who else is busy here decides which CPUs, and never how many: the same
 * command is the same measurement. */
static enum pp_placement choose_placement(const struct pp_plan *plan, unsigned cpus,
                                          const char **why)
{
    const bool spins = !plan->wait_auto && plan->wait == PP_IO_WAIT_SPIN;
    const bool alternates = plan->connections == 1 && plan->depth == 1 && !(plan->rate > 0);
    const bool one_each = plan->client_threads == 1 && plan->server_threads == 1;

    if (plan->job != PP_JOB_RUN) {
        *why = one_each ? "one thread is the kernel's to place" : "each thread has a CPU";
        return one_each ? PP_PLACEMENT_NONE : PP_PLACEMENT_SPLIT;
    }
    if (!one_each && plan->client_threads == plan->server_threads && !spins && !is_unix(plan)) {
        *why = "each client thread shares a CPU with the server thread that answers it";
        return PP_PLACEMENT_PAIRS;
    }
    if (spins && cpus > 1) {
        *why = "threads that never sleep need CPUs of their own";
        return PP_PLACEMENT_SPLIT;
    }
    if (!one_each) {
        *why = "which thread answers which is not known before";
        return PP_PLACEMENT_NONE;
    }
    if (alternates || cpus == 1) {
        *why = cpus == 1 ? "there is one CPU" : "only one side at a time has something to do";
        return PP_PLACEMENT_SAME;
    }
    *why = "several messages under way keep two CPUs busy";
    return PP_PLACEMENT_SPLIT;
}

static void deal(int *cpus, unsigned threads, const struct pp_host_cpu *from, unsigned count)
{
    pp_assert(count > 0); /* this process runs on one at least */
    for (unsigned i = 0; i < threads; i++)
        cpus[i] = from[i % count].cpu;
}

/* The threads of both sides, dealt out over the idlest CPUs first. */
static void deal_split(struct pp_plan *plan, const struct pp_host_cpu *cpus, unsigned count)
{
    unsigned half = plan->client_threads;

    if (plan->job != PP_JOB_RUN) {
        deal(plan->client_cpus, plan->client_threads, cpus, count);
        deal(plan->server_cpus, plan->server_threads, cpus, count);
        return;
    }
    if (half + plan->server_threads > count)
        half = count / 2;
    deal(plan->client_cpus, plan->client_threads, cpus, half);
    deal(plan->server_cpus, plan->server_threads, cpus + half, count - half);
}

static int place(struct pp_plan *plan, struct pp_error *err)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);

    pp_host_look_who_runs(cpus, count);
    for (unsigned i = 0; i < count; i++)
        bring_idlest(cpus, count, i);
    if (plan->placement_auto)
        plan->placement = choose_placement(plan, count, &plan->why.placement);
    switch (plan->placement) {
    case PP_PLACEMENT_NONE:
        break;
    case PP_PLACEMENT_SAME:
        deal(plan->client_cpus, plan->client_threads, cpus, 1);
        deal(plan->server_cpus, plan->server_threads, cpus, 1);
        break;
    case PP_PLACEMENT_PAIRS:
        deal(plan->client_cpus, plan->client_threads, cpus, count);
        deal(plan->server_cpus, plan->server_threads, cpus, count);
        break;
    case PP_PLACEMENT_SPLIT:
        if (count < 2 && plan->job == PP_JOB_RUN)
            return pp_error_set(err, PP_ERROR_RUN, -EINVAL,
                                "--placement split needs two CPUs, and this process may use only "
                                "one");
        deal_split(plan, cpus, count);
        break;
    }
    return 0;
}

static bool may_use(const struct pp_host_cpu *cpus, unsigned count, int cpu)
{
    for (unsigned i = 0; i < count; i++)
        if (cpus[i].cpu == cpu)
            return true;
    return false;
}

/* The CPUs that the user named for one side. */
static int take_cpus(int *out, unsigned threads, const struct pp_cpus *given, struct pp_error *err)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);

    for (unsigned i = 0; i < given->count; i++)
        if (!may_use(cpus, count, given->cpus[i]))
            return pp_error_set(
                err, PP_ERROR_USAGE, -EINVAL,
                "--cpus: this process may not use CPU %d (it may use %u, from %d to %d)",
                given->cpus[i], count, cpus[0].cpu, cpus[count - 1].cpu);
    for (unsigned i = 0; i < threads && given->count; i++)
        out[i] = given->cpus[i % given->count];
    return 0;
}

static int decide_cpus_given(struct pp_plan *plan, struct pp_error *err)
{
    int ret = take_cpus(plan->client_cpus, plan->client_threads, &plan->client_cpus_given, err);

    if (ret == 0)
        ret = take_cpus(plan->server_cpus, plan->server_threads, &plan->server_cpus_given, err);
    plan->placement = PP_PLACEMENT_SPLIT;
    plan->why.placement = "it follows from the CPUs that were named";
    if (plan->job == PP_JOB_RUN && plan->client_threads == plan->server_threads &&
        memcmp(plan->client_cpus, plan->server_cpus,
               plan->client_threads * sizeof plan->client_cpus[0]) == 0)
        plan->placement = plan->client_threads == 1 ? PP_PLACEMENT_SAME : PP_PLACEMENT_PAIRS;
    return ret;
}

static int decide_placement(struct pp_plan *plan, struct pp_error *err)
{
    for (unsigned i = 0; i < PP_PLAN_THREADS_MAX; i++)
        plan->client_cpus[i] = plan->server_cpus[i] = PP_CPU_ANY;
    if (plan->client_cpus_given.count || plan->server_cpus_given.count)
        return decide_cpus_given(plan, err);
    if (!plan->placement_auto && plan->placement == PP_PLACEMENT_NONE)
        return 0;
    return place(plan, err);
}

/* Of two threads that never sleep on one CPU, each keeps the other from what it waits for: round
 * trips would take what the scheduler makes of that. Threads that may run anywhere share a CPU if
 * there are more of them than CPUs. */
static int check_spinners(const struct pp_plan *plan, struct pp_error *err)
{
    const unsigned clients = plan->job == PP_JOB_SERVE ? 0 : plan->client_threads;
    const unsigned servers = plan->job == PP_JOB_CLIENT ? 0 : plan->server_threads;
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned room = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);
    int used[2 * PP_PLAN_THREADS_MAX];
    bool shared = clients + servers > room;

    if (plan->wait != PP_IO_WAIT_SPIN || plan->spin_ns != PP_IO_SPIN_FOREVER)
        return 0;
    for (unsigned i = 0; i < clients + servers; i++) {
        used[i] = i < clients ? plan->client_cpus[i] : plan->server_cpus[i - clients];
        for (unsigned j = 0; j < i; j++)
            shared |= used[i] != PP_CPU_ANY && used[i] == used[j];
    }
    if (!shared)
        return 0;
    return refuse(err,
                  "--wait spin: two threads that never sleep would share a CPU, where each keeps "
                  "the other from its work: --placement split and no more threads than CPUs, or "
                  "--wait yield");
}

int pp_plan_decide(struct pp_plan *plan, struct pp_error *err)
{
    int ret;

    decide_load(plan);
    ret = check_tables(plan, err);
    if (ret == 0)
        ret = decide_placement(plan, err);
    if (ret < 0)
        return ret;
    decide_wait(plan);
    return check_spinners(plan, err);
}
