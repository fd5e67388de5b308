#include "job/worker.h"

#include "base/container.h"
#include "plan/plan.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

struct pp_sample pp_sample_now(const struct pp_io_loop *loop)
{
    return (struct pp_sample){ .at_ns = pp_io_now_ns(loop),
                               .usage = pp_usage_of_thread(),
                               .queue = pp_runqueue_of_thread(""),
                               .kernel_worker_ns = pp_usage_of_kernel_workers(gettid()),
                               .io = pp_io_loop_stats(loop) };
}

void pp_sample_add(struct pp_sample *sum, const struct pp_sample *before,
                   const struct pp_sample *after)
{
    const struct pp_usage usage = pp_usage_between(&before->usage, &after->usage);
    const struct pp_io_stats io = pp_io_stats_between(&before->io, &after->io);

    sum->usage.unknown |= usage.unknown;
    sum->usage.user_ns += usage.user_ns;
    sum->usage.system_ns += usage.system_ns;
    if (after->kernel_worker_ns > before->kernel_worker_ns)
        sum->usage.system_ns += after->kernel_worker_ns - before->kernel_worker_ns;
    sum->usage.context_switches += usage.context_switches;
    sum->io.syscalls += io.syscalls;
    sum->io.turns += io.turns;
    sum->io.starved += io.starved;
    sum->io.overflows += io.overflows;
    sum->io.guard_trips += io.guard_trips;
    sum->io.idle_looks += io.idle_looks;
}

struct pp_waiter pp_sample_waiter(const struct pp_sample *before, const struct pp_sample *after,
                                  int cpu)
{
    return (struct pp_waiter){ .queue = pp_runqueue_between(&before->queue, &after->queue),
                               .time_ns = after->at_ns - before->at_ns,
                               .cpu = cpu };
}

int pp_worker_pin(int cpu)
{
    cpu_set_t set;

    if (cpu == PP_CPU_ANY)
        return 0;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static enum pp_io_next on_sample(struct pp_io_op *op)
{
    struct pp_worker *worker = container_of(op, struct pp_worker, sample_op);

    if (atomic_load(&worker->stopping))
        return PP_IO_DISARM;
    worker->sample = pp_sample_now(worker->loop);
    atomic_store(&worker->sampled, true);
    pp_io_wake(worker->reply_loop, worker->reply_op);
    return PP_IO_REARM;
}

void pp_worker_prepare(struct pp_worker *worker, struct pp_io_loop *loop, int cpu,
                       struct pp_io_loop *reply_loop, struct pp_io_op *reply_op)
{
    *worker = (struct pp_worker){
        .loop = loop, .cpu = cpu, .reply_loop = reply_loop, .reply_op = reply_op
    };
}

void pp_worker_run(struct pp_worker *worker)
{
    (void)pp_worker_pin(worker->cpu); /* the plan has checked that this CPU may be used */
    worker->result = pp_io_loop_run(worker->loop);
    worker->last = pp_sample_now(worker->loop);
    atomic_store(&worker->ended, true);
    if (!atomic_load(&worker->stopping))
        pp_io_wake(worker->reply_loop, worker->reply_op);
}

static void *worker_main(void *worker)
{
    pp_worker_run(worker);
    return NULL;
}

int pp_worker_start(struct pp_worker *worker, struct pp_error *err)
{
    int ret;

    pp_io_wake_wait(worker->loop, &worker->sample_op, on_sample);
    ret = pp_io_world_of(worker->loop)->thread_start(&worker->thread, worker_main, worker);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "cannot start a thread: %s", strerror(-ret));
    worker->started = true;
    return 0;
}

void pp_worker_sample(struct pp_worker *worker)
{
    atomic_store(&worker->sampled, false);
    pp_io_wake(worker->loop, &worker->sample_op);
}

int pp_worker_join(struct pp_worker *worker)
{
    atomic_store(&worker->stopping, true);
    if (worker->started) {
        pp_io_wake(worker->loop, &worker->sample_op);
        pp_io_world_of(worker->loop)->thread_join(worker->thread);
        worker->started = false;
    }
    return worker->result;
}
