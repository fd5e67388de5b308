#include "job/loop_thread.h"

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

int pp_loop_thread_pin(int cpu)
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
    struct pp_loop_thread *thread = container_of(op, struct pp_loop_thread, sample_op);

    if (atomic_load(&thread->stopping))
        return PP_IO_DISARM;
    thread->sample = pp_sample_now(thread->loop);
    atomic_store(&thread->sampled, true);
    pp_io_wake(thread->reply_loop, thread->reply_op);
    return PP_IO_REARM;
}

void pp_loop_thread_prepare(struct pp_loop_thread *thread, struct pp_io_loop *loop, int cpu,
                            struct pp_io_loop *reply_loop, struct pp_io_op *reply_op)
{
    *thread = (struct pp_loop_thread){
        .loop = loop, .cpu = cpu, .reply_loop = reply_loop, .reply_op = reply_op
    };
}

void pp_loop_thread_run(struct pp_loop_thread *thread)
{
    (void)pp_loop_thread_pin(thread->cpu); /* the plan has checked that this CPU may be used */
    thread->result = pp_io_loop_run(thread->loop);
    thread->last = pp_sample_now(thread->loop);
    atomic_store(&thread->ended, true);
    if (!atomic_load(&thread->stopping))
        pp_io_wake(thread->reply_loop, thread->reply_op);
}

static void *loop_thread_main(void *thread)
{
    pp_loop_thread_run(thread);
    return NULL;
}

int pp_loop_thread_start(struct pp_loop_thread *thread, struct pp_error *err)
{
    int ret;

    pp_io_wake_wait(thread->loop, &thread->sample_op, on_sample);
    ret = pp_io_world_of(thread->loop)->thread_start(&thread->handle, loop_thread_main, thread);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "cannot start a thread: %s", strerror(-ret));
    thread->started = true;
    return 0;
}

void pp_loop_thread_sample(struct pp_loop_thread *thread)
{
    atomic_store(&thread->sampled, false);
    pp_io_wake(thread->loop, &thread->sample_op);
}

int pp_loop_thread_join(struct pp_loop_thread *thread)
{
    atomic_store(&thread->stopping, true);
    if (thread->started) {
        pp_io_wake(thread->loop, &thread->sample_op);
        pp_io_world_of(thread->loop)->thread_join(thread->handle);
        thread->started = false;
    }
    return thread->result;
}
