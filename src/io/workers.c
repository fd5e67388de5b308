/* The thread pool: a list of jobs, and threads that take the next one. A finished job wakes the
 * loop that asked, so its callback runs there like any other. Looking up a name is such a job. */
#include "base/assert.h"
#include "base/container.h"
#include "base/memory.h"
#include "io/io.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

struct pp_io_workers {
    const struct pp_io_world *world;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pp_io_job *first, *last; /* jobs that no thread has taken yet */
    bool closing;
    unsigned thread_count;
    pthread_t threads[];
};

static struct pp_io_job *next_job(struct pp_io_workers *workers)
{
    struct pp_io_job *job;

    (void)pthread_mutex_lock(&workers->lock);
    while (!workers->first && !workers->closing)
        (void)pthread_cond_wait(&workers->changed, &workers->lock);
    job = workers->first;
    pp_assert(job || workers->closing);
    if (job)
        workers->first = job->next;
    (void)pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *loop_thread_main(void *argument)
{
    struct pp_io_workers *workers = argument;
    struct pp_io_job *job;

    while ((job = next_job(workers))) {
        job->result = job->work(job);
        pp_io_wake(job->loop, &job->op);
    }
    return NULL;
}

static enum pp_io_next on_job_done(struct pp_io_op *op)
{
    struct pp_io_job *job = (struct pp_io_job *)op;

    static_assert(offsetof(struct pp_io_job, op) == 0, "it is its first member");
    if (op->res == 0)
        op->res = job->result;
    return job->cb(op);
}

void pp_io_work_start(struct pp_io_workers *workers, struct pp_io_loop *loop, struct pp_io_job *job,
                      pp_io_work *work, pp_io_cb *cb)
{
    pp_assert(work && cb);
    job->work = work;
    job->cb = cb;
    job->loop = loop;
    job->next = NULL;
    pp_io_wake_wait(loop, &job->op, on_job_done);
    (void)pthread_mutex_lock(&workers->lock);
    if (workers->first)
        workers->last->next = job;
    else
        workers->first = job;
    workers->last = job;
    (void)pthread_cond_signal(&workers->changed);
    (void)pthread_mutex_unlock(&workers->lock);
}

void pp_io_workers_close(struct pp_io_workers *workers)
{
    if (!workers)
        return;
    (void)pthread_mutex_lock(&workers->lock);
    pp_assert(!workers->closing);
    workers->closing = true;
    (void)pthread_cond_broadcast(&workers->changed);
    (void)pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->thread_count; i++)
        workers->world->thread_join(workers->threads[i]);
    (void)pthread_cond_destroy(&workers->changed);
    (void)pthread_mutex_destroy(&workers->lock);
    pp_memory_free(workers);
}

void pp_io_workers_abandon(struct pp_io_workers *workers)
{
    for (unsigned i = 0; i < workers->thread_count; i++)
        (void)pthread_detach(workers->threads[i]);
}

/* It takes no signal: whoever waits for one is another thread. 0 or a negative errno. */
static int start_thread(pthread_t *thread, struct pp_io_workers *workers)
{
    sigset_t all, before;
    int ret;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    ret = workers->world->thread_start(thread, loop_thread_main, workers);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret;
}

int pp_io_workers_open(struct pp_io_workers **out, const struct pp_io_world *world,
                       unsigned threads, struct pp_error *err)
{
    struct pp_io_workers *workers;

    pp_assert(threads > 0);
    workers = pp_memory_alloc(1, sizeof *workers + threads * sizeof workers->threads[0]);
    if (!workers)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u worker threads", threads);
    workers->world = world;
    (void)pthread_mutex_init(&workers->lock, NULL);
    (void)pthread_cond_init(&workers->changed, NULL);
    for (unsigned i = 0; i < threads; i++) {
        const int ret = start_thread(&workers->threads[i], workers);

        if (ret < 0) {
            pp_io_workers_close(workers);
            return pp_error_set(err, PP_ERROR_RUN, ret, "cannot start a worker thread: %s",
                                strerror(-ret));
        }
        workers->thread_count++;
    }
    *out = workers;
    return 0;
}

/* ---- names ---- */

static int look_up(struct pp_io_job *job)
{
    struct pp_io_resolve *resolve = container_of(job, struct pp_io_resolve, job);
    struct pp_io_addr *addr = &resolve->addr;
    const int ret = pp_io_world_of(job->loop)->look_up(resolve->host, resolve->family, addr,
                                                       &resolve->why);

    if (ret < 0)
        return ret;
    if (addr->any.sa_family == AF_INET6)
        addr->in6.sin6_port = htons(resolve->port);
    else
        addr->in.sin_port = htons(resolve->port);
    return 0;
}

void pp_io_resolve_start(struct pp_io_workers *workers, struct pp_io_loop *loop,
                         struct pp_io_resolve *resolve, const char *host, uint16_t port,
                         pp_io_cb *cb)
{
    resolve->host = host;
    resolve->port = port;
    resolve->why = "";
    pp_io_work_start(workers, loop, &resolve->job, look_up, cb);
}
