/* A thread that runs a loop, on a CPU of its own or wherever the kernel likes. */
#ifndef PP_JOB_LOOP_THREAD_H
#define PP_JOB_LOOP_THREAD_H

#include "base/error.h"
#include "io/io.h"
#include "measure/usage.h"
#include "measure/waiting.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* What a thread and its loop have cost so far. */
struct pp_sample {
    uint64_t at_ns; /* when it was taken */
    struct pp_usage usage;
    struct pp_runqueue queue;
    uint64_t kernel_worker_ns; /* CPU time of the threads that io_uring runs for it */
    struct pp_io_stats io;
};

/* Of the calling thread, which runs loop. */
struct pp_sample pp_sample_now(const struct pp_io_loop *loop);

/* Adds to sum what was spent between two readings. */
void pp_sample_add(struct pp_sample *sum, const struct pp_sample *before,
                   const struct pp_sample *after);

/* How the thread, pinned to cpu or to none (PP_CPU_ANY), waited between two readings. */
struct pp_waiter pp_sample_waiter(const struct pp_sample *before, const struct pp_sample *after,
                                  int cpu);

/* Embed it; it must not move while the thread runs. */
struct pp_loop_thread {
    struct pp_io_loop *loop;
    int cpu;
    bool started;
    pthread_t handle;
    struct pp_io_op sample_op;
    atomic_bool stopping;
    atomic_bool ended; /* the loop has returned result */
    int result;
    struct pp_sample last; /* what it had all cost by then */
    atomic_bool sampled;   /* since it was last asked: sample is filled in */
    struct pp_sample sample;
    struct pp_io_loop *reply_loop;
    struct pp_io_op *reply_op;
};

/* For what follows: reply_op, on reply_loop, is woken after each sample and when the loop has
 * ended. cpu is PP_CPU_ANY for a thread that is not pinned. */
void pp_loop_thread_prepare(struct pp_loop_thread *thread, struct pp_io_loop *loop, int cpu,
                            struct pp_io_loop *reply_loop, struct pp_io_op *reply_op);

/* Starts a thread that runs the loop until nothing is armed there. */
int pp_loop_thread_start(struct pp_loop_thread *thread, struct pp_error *err);

/* The same on the calling thread, which is pinned from then on. It cannot be asked for samples. */
void pp_loop_thread_run(struct pp_loop_thread *thread);

/* Asks the thread to fill in thread->sample; thread->sampled tells when. */
void pp_loop_thread_sample(struct pp_loop_thread *thread);

/* Waits for the thread, if one was started, whose other operations must be ending. What the loop
 * returned. */
int pp_loop_thread_join(struct pp_loop_thread *thread);

/* Pins the calling thread. 0 or a negative errno. */
int pp_loop_thread_pin(int cpu);

#endif
