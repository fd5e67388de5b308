/* Work that blocks, and looking up names with it. */
#include "support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

struct task {
    struct pp_io_job job;
    pthread_t asked_on, worked_on, called_on;
    int answer;
    int worked, calls;
    int32_t res;
};

static int work_and_note(struct pp_io_job *job)
{
    struct task *task = container_of(job, struct task, job);

    task->worked++;
    task->worked_on = pthread_self();
    return task->answer;
}

static struct task *task_of(struct pp_io_op *op)
{
    return container_of(container_of(op, struct pp_io_job, op), struct task, job);
}

static enum pp_io_next on_task(struct pp_io_op *op)
{
    struct task *task = task_of(op);

    task->calls++;
    task->res = op->res;
    task->called_on = pthread_self();
    return PP_IO_DISARM;
}

static struct task *task_start(struct fixture *f, struct pp_io_workers *workers,
                               struct pp_io_loop *loop, int answer)
{
    struct task *task = test_new(f, sizeof(*task));

    task->answer = answer;
    task->asked_on = pthread_self();
    pp_io_work_start(workers, loop, &task->job, work_and_note, on_task);
    return task;
}

static void assert_answered(const struct task *task)
{
    assert_int_equal(task->worked, 1);
    assert_int_equal(task->calls, 1);
    assert_int_equal(task->res, task->answer);
}

/* ---- jobs -------------------------------------------------------------------------------- */

static void a_job_works_on_another_thread_and_completes_on_the_loop(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct task *task = task_start(f, test_workers(f, 1), loop, 42);

    assert_int_equal(task->calls, 0);
    test_run(loop);
    assert_answered(task);
    assert_false(pthread_equal(task->worked_on, task->asked_on));
    assert_true(pthread_equal(task->called_on, task->asked_on));
}

static void a_negative_result_arrives_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct task *task = task_start(f, test_workers(f, 1), loop, -ENOENT);

    test_run(loop);
    assert_answered(task);
}

static void check_many(struct fixture *f, unsigned threads)
{
    struct pp_io_workers *workers = test_workers(f, threads);
    struct pp_io_loop *loop = test_loop(f);
    struct task *tasks[1000];

    for (size_t i = 0; i < COUNT_OF(tasks); i++)
        tasks[i] = task_start(f, workers, loop, (int)i);
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(tasks); i++)
        assert_answered(tasks[i]);
}

static void many_jobs_on_one_thread_all_complete(void **state)
{
    check_many(*state, 1);
}

static void many_jobs_on_many_threads_all_complete(void **state)
{
    check_many(*state, 6);
}

static void each_loop_gets_the_jobs_that_it_asked_for(void **state)
{
    struct fixture *f = *state;
    struct pp_io_workers *workers = test_workers(f, 3);
    struct pp_io_loop *loops[2] = { test_loop(f), test_loop(f) };
    struct task *tasks[2][100];

    for (size_t i = 0; i < COUNT_OF(tasks[0]); i++)
        for (size_t j = 0; j < COUNT_OF(loops); j++)
            tasks[j][i] = task_start(f, workers, loops[j], (int)(i * 2 + j));
    test_run(loops[0]);
    for (size_t i = 0; i < COUNT_OF(tasks[0]); i++) {
        assert_answered(tasks[0][i]);
        assert_int_equal(tasks[1][i]->calls, 0); /* its loop has not run yet */
    }
    test_run(loops[1]);
    for (size_t i = 0; i < COUNT_OF(tasks[1]); i++)
        assert_answered(tasks[1][i]);
}

struct chain {
    struct pp_io_job job;
    struct pp_io_workers *workers;
    struct pp_io_loop *loop;
    int worked, calls;
};

static int chain_work(struct pp_io_job *job)
{
    return ++container_of(job, struct chain, job)->worked;
}

static enum pp_io_next on_chain(struct pp_io_op *op)
{
    struct chain *chain = container_of(container_of(op, struct pp_io_job, op), struct chain, job);

    if (op->res != ++chain->calls)
        chain->calls = -1;
    else if (chain->calls < 200)
        pp_io_work_start(chain->workers, chain->loop, &chain->job, chain_work, on_chain);
    return PP_IO_DISARM;
}

static void a_job_may_be_started_anew_in_its_callback(void **state)
{
    struct fixture *f = *state;
    struct chain *chain = test_new(f, sizeof(*chain));

    chain->workers = test_workers(f, 2);
    chain->loop = test_loop(f);
    pp_io_work_start(chain->workers, chain->loop, &chain->job, chain_work, on_chain);
    test_run(chain->loop);
    assert_int_equal(chain->calls, 200);
}

struct doomed {
    struct pp_io_job job;
    int *calls;
};

static int work_nothing(struct pp_io_job *job)
{
    (void)job;
    return 0;
}

static enum pp_io_next on_doomed(struct pp_io_op *op)
{
    struct doomed *doomed = container_of(container_of(op, struct pp_io_job, op), struct doomed,
                                         job);

    ++*doomed->calls;
    memset(doomed, 0xA5, sizeof(*doomed));
    free(doomed);
    return PP_IO_DISARM;
}

static void a_job_may_be_freed_in_its_callback(void **state)
{
    struct fixture *f = *state;
    struct pp_io_workers *workers = test_workers(f, 4);
    struct pp_io_loop *loop = test_loop(f);
    int *calls = test_new(f, sizeof(*calls));

    for (int i = 0; i < 500; i++) {
        struct doomed *doomed = calloc(1, sizeof(*doomed));

        assert_non_null(doomed);
        doomed->calls = calls;
        pp_io_work_start(workers, loop, &doomed->job, work_nothing, on_doomed);
    }
    test_run(loop);
    assert_int_equal(*calls, 500);
}

static void closing_waits_for_the_jobs_that_were_started(void **state)
{
    struct fixture *f = *state;
    struct pp_io_workers *workers = test_workers(f, 2);
    struct pp_io_loop *loop = test_loop(f);
    struct task *tasks[200];

    for (size_t i = 0; i < COUNT_OF(tasks); i++)
        tasks[i] = task_start(f, workers, loop, (int)i);
    test_workers_close(f);
    for (size_t i = 0; i < COUNT_OF(tasks); i++)
        assert_int_equal(tasks[i]->worked, 1);
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(tasks); i++)
        assert_answered(tasks[i]);
}

/* A job that blocks until the loop, which must go on meanwhile, has done its rounds. */
struct blocked {
    struct pp_io_job job;
    int fd, calls;
    int32_t res;
};

static int block_on_fd(struct pp_io_job *job)
{
    struct pollfd gate = { .fd = container_of(job, struct blocked, job)->fd, .events = POLLIN };

    return poll(&gate, 1, -1);
}

static enum pp_io_next on_blocked(struct pp_io_op *op)
{
    struct blocked *b = container_of(container_of(op, struct pp_io_job, op), struct blocked, job);

    b->calls++;
    b->res = op->res;
    return PP_IO_DISARM;
}

static void unblock(struct test_pinger *pinger)
{
    const int *fd = pinger->owner;

    (void)test_send_now(*fd, "!", 1);
}

static void a_job_that_blocks_does_not_block_the_loop(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_pair *gate = test_new(f, sizeof(*gate));
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, 200);
    struct blocked *blocked = test_new(f, sizeof(*blocked));

    *gate = test_pair(AF_INET);
    blocked->fd = gate->far;
    pp_io_work_start(test_workers(f, 1), loop, &blocked->job, block_on_fd, on_blocked);
    test_echo_thread(f, pair.far);
    pinger->on_end = unblock;
    pinger->owner = &gate->near;
    test_pinger_start(pinger);
    test_run(loop);
    test_pinger_is_well(pinger);
    assert_int_equal(blocked->calls, 1);
    assert_int_equal(blocked->res, 1);
}

/* ---- names ------------------------------------------------------------------------------- */

struct lookup {
    struct pp_io_resolve resolve;
    int calls;
    int32_t res;
};

static enum pp_io_next on_lookup(struct pp_io_op *op)
{
    struct pp_io_job *job = container_of(op, struct pp_io_job, op);
    struct lookup *lookup = container_of(container_of(job, struct pp_io_resolve, job),
                                         struct lookup, resolve);

    lookup->calls++;
    lookup->res = op->res;
    return PP_IO_DISARM;
}

static const struct lookup *look_up(struct fixture *f, const char *host, uint16_t port)
{
    struct pp_io_loop *loop = test_loop(f);
    struct lookup *lookup = test_new(f, sizeof(*lookup));

    pp_io_resolve_start(test_workers(f, 1), loop, &lookup->resolve, host, port, on_lookup);
    assert_int_equal(lookup->calls, 0);
    test_run(loop);
    assert_int_equal(lookup->calls, 1);
    return lookup;
}

static void assert_address(const struct lookup *lookup, const char *wanted)
{
    char text[PP_IO_ADDR_TEXT_BYTES];

    assert_int_equal(lookup->res, 0);
    assert_string_equal(pp_io_addr_format(&lookup->resolve.addr, text), wanted);
}

static void a_numeric_host_is_its_own_address(void **state)
{
    assert_address(look_up(*state, "192.0.2.7", 3131), "192.0.2.7:3131");
}

static void a_numeric_ipv6_host_is_its_own_address(void **state)
{
    const struct lookup *lookup = look_up(*state, "::1", 65535);

    assert_address(lookup, "[::1]:65535");
    assert_int_equal(lookup->resolve.addr.len, sizeof(struct sockaddr_in6));
}

static void localhost_is_on_the_loopback(void **state)
{
    const struct lookup *lookup = look_up(*state, "localhost", 80);
    char text[PP_IO_ADDR_TEXT_BYTES];

    assert_int_equal(lookup->res, 0);
    (void)pp_io_addr_format(&lookup->resolve.addr, text);
    if (lookup->resolve.addr.any.sa_family == AF_INET)
        assert_memory_equal(text, "127.", 4);
    else
        assert_string_equal(text, "[::1]:80");
}

/* RFC 6761: .invalid never exists. */
static void an_unknown_host_is_an_error_with_a_reason(void **state)
{
    const struct lookup *lookup = look_up(*state, "no-such-host.invalid", 80);

    assert_true(lookup->res < 0);
    assert_non_null(lookup->resolve.why);
    assert_true(strlen(lookup->resolve.why) > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_works_on_another_thread_and_completes_on_the_loop),
        TEST(a_negative_result_arrives_as_it_is),
        TEST(many_jobs_on_one_thread_all_complete),
        TEST(many_jobs_on_many_threads_all_complete),
        TEST(each_loop_gets_the_jobs_that_it_asked_for),
        TEST(a_job_may_be_started_anew_in_its_callback),
        TEST(a_job_may_be_freed_in_its_callback),
        TEST(closing_waits_for_the_jobs_that_were_started),
        TEST(a_job_that_blocks_does_not_block_the_loop),
        TEST(a_numeric_host_is_its_own_address),
        TEST(a_numeric_ipv6_host_is_its_own_address),
        TEST(localhost_is_on_the_loopback),
        TEST(an_unknown_host_is_an_error_with_a_reason),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
