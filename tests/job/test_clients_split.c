/* Samples that are taken away while they are still coming in: each is taken once, with the counts
 * of that moment. */
#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "job/clients.h"
#include "support.h"

#include <stdatomic.h>

#define CONNECTIONS_MAX 16
#define FEW_SPLITS 5
#define ECHOES_AT_ONCE 20 /* of a connection */

struct fixture;

struct echo {
    struct fixture *fixture;
    pthread_t thread;
    int fd;
};

struct fixture {
    struct pp_plan plan;
    struct pp_pattern pattern;
    struct pp_io_loop *loops[PP_PLAN_THREADS_MAX];
    struct pp_io_loop *loop; /* the coordinator's */
    pthread_t first;         /* the first client thread, where it runs */
    bool has_first;
    struct pp_clients *clients;
    struct pp_io_addr addr;
    int listen_fd;
    pthread_t acceptor;
    bool accepting;
    struct echo echoes[CONNECTIONS_MAX];
    unsigned echo_count;
    uint64_t count;

    struct pp_io_workers *taker; /* NULL: the coordinator takes */
    struct pp_io_job job;
    bool takes_late; /* one split, and its samples only when the phase is over */
    bool finished;
    unsigned splits;
    atomic_uint takes;
    unsigned takes_awaited; /* echoes stop short of the end until there were so many */
    unsigned mismatches;    /* samples taken so far are not the answers counted by then */
    struct pp_counts counts;
    struct pp_hist rtt, response, late;   /* what one take has brought */
    struct pp_hist all_rtt, all_response; /* all of them */
};

/* ---- the server's side ---- */

/* However slow the takers are on a busy machine, the phase does not end before they were there. The
 * first echoes do not wait: there is something to take. */
static void await_takes(const struct fixture *f, size_t come)
{
    while (come > ECHOES_AT_ONCE * f->plan.send.bytes && atomic_load(&f->takes) < f->takes_awaited)
        (void)usleep(100);
}

static void *echo_main(void *argument)
{
    const struct echo *echo = argument;
    size_t come = 0;
    char data[4096];
    ssize_t got;

    while ((got = recv(echo->fd, data, sizeof data, 0)) > 0) {
        come += (size_t)got; /* on a busy machine several messages at once */
        await_takes(echo->fixture, come);
        (void)send(echo->fd, data, (size_t)got, MSG_NOSIGNAL);
    }
    (void)close(echo->fd);
    return NULL;
}

static void *acceptor_main(void *argument)
{
    struct fixture *f = argument;
    int fd;

    while ((fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct echo *echo = &f->echoes[f->echo_count];

        echo->fixture = f;
        echo->fd = fd;
        if (f->echo_count == CONNECTIONS_MAX ||
            pthread_create(&echo->thread, NULL, echo_main, echo) != 0)
            (void)close(fd);
        else
            f->echo_count++;
    }
    return NULL;
}

static void server_start(struct fixture *f)
{
    f->addr = loopback();
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listen_fd >= 0);
    assert_int_equal(bind(f->listen_fd, &f->addr.any, f->addr.len), 0);
    assert_int_equal(getsockname(f->listen_fd, &f->addr.any, &f->addr.len), 0);
    assert_int_equal(listen(f->listen_fd, 128), 0);
    assert_int_equal(pthread_create(&f->acceptor, NULL, acceptor_main, f), 0);
    f->accepting = true;
}

static void server_stop(struct fixture *f)
{
    if (!f->accepting)
        return;
    f->accepting = false;
    (void)shutdown(f->listen_fd, SHUT_RDWR);
    (void)pthread_join(f->acceptor, NULL);
    for (unsigned i = 0; i < f->echo_count; i++)
        (void)pthread_join(f->echoes[i].thread, NULL);
}

/* ---- taking ---- */

static void take(struct fixture *f, bool over)
{
    f->counts = pp_clients_take(f->clients, over, &f->rtt, &f->response, &f->late);
    pp_hist_merge(&f->all_rtt, &f->rtt);
    pp_hist_merge(&f->all_response, &f->response);
    f->takes++;
    f->mismatches += f->all_rtt.total != f->counts.received + f->counts.drained;
    f->mismatches += f->all_response.total != (f->plan.rate > 0 ? f->all_rtt.total : 0);
}

static int take_elsewhere(struct pp_io_job *job)
{
    take(container_of(job, struct fixture, job), false);
    return 0;
}

static void split_again(struct fixture *f)
{
    if (f->finished)
        return;
    f->splits++;
    pp_clients_split(f->clients);
}

static enum pp_io_next on_taken(struct pp_io_op *op)
{
    split_again(container_of(op, struct fixture, job.op));
    return PP_IO_DISARM;
}

static void on_split(void *owner)
{
    struct fixture *f = owner;

    if (f->takes_late)
        return;
    if (f->taker) {
        pp_io_work_start(f->taker, f->loop, &f->job, take_elsewhere, on_taken);
        return;
    }
    take(f, false);
    split_again(f);
}

/* ---- the coordinator ---- */

static void on_connected(void *owner)
{
    struct fixture *f = owner;

    pp_clients_start(f->clients, f->count, 0, true);
    split_again(f);
}

static void on_finished(void *owner)
{
    struct fixture *f = owner;

    f->finished = true;
    if (f->takes_late)
        take(f, false);
    pp_clients_disconnect(f->clients, true);
}

static void on_disconnected(void *owner)
{
    pp_clients_release(((struct fixture *)owner)->clients);
}

static int setup(void **state)
{
    struct fixture *f = pp_memory_alloc(1, sizeof *f);

    if (!f)
        return -1;
    pp_plan_default(&f->plan, PP_JOB_RUN);
    f->plan.client_engine = *state;
    f->plan.wait_auto = false;
    f->plan.wait = PP_IO_WAIT_BLOCK;
    f->plan.placement_auto = false;
    f->plan.placement = PP_PLACEMENT_NONE;
    f->listen_fd = -1;
    pp_hist_reset(&f->all_rtt);
    pp_hist_reset(&f->all_response);
    *state = f;
    hang_guard_start();
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool in_time;

    pp_io_workers_close(f->taker);
    pp_clients_close(f->clients);
    server_stop(f);
    in_time = hang_guard_stop();
    pp_io_loop_close(f->loop);
    for (unsigned i = 0; i < PP_PLAN_THREADS_MAX; i++)
        pp_io_loop_close(f->loops[i]);
    if (f->listen_fd >= 0)
        (void)close(f->listen_fd);
    pp_pattern_close(&f->pattern);
    pp_memory_free(f);
    return in_time ? 0 : -1;
}

/* Skips the test where the engine cannot be had. */
static void open_coordinator(struct fixture *f)
{
    char refused[PP_REFUSED_BYTES];
    struct pp_error err = { 0 };

    if (pp_plan_check(&f->plan, &err) < 0 || pp_plan_decide(&f->plan, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pp_pattern_open(&f->pattern, f->plan.send.text, f->plan.send.bytes, &err), 0);
    assert_int_equal(pp_loop_open_waiting(&f->loop, &err), 0);
    if (pp_loops_open(f->loops, f->plan.client_threads, &f->plan, f->plan.client_engine, refused,
                      &err) == 0)
        return;
    if (err.kind == PP_ERROR_UNAVAILABLE)
        skip();
    fail_msg("%s", err.text);
}

static void *first_main(void *argument)
{
    pp_clients_run(((struct fixture *)argument)->clients);
    return NULL;
}

static void first_start(struct fixture *f)
{
    assert_int_equal(pthread_create(&f->first, NULL, first_main, f), 0);
    f->has_first = true;
}

/* 0, or what broke down. */
static int join(struct fixture *f)
{
    if (f->has_first)
        (void)pthread_join(f->first, NULL);
    f->has_first = false;
    return pp_clients_join(f->clients);
}

static void open_clients(struct fixture *f, bool splits)
{
    const struct pp_clients_options options = {
        .loop = f->loop,
        .loops = f->loops,
        .plan = &f->plan,
        .addr = &f->addr,
        .out = &f->pattern,
        .in = &f->pattern,
        .splits = splits,
        .owner = f,
        .on_connected = on_connected,
        .on_finished = on_finished,
        .on_split = on_split,
        .on_disconnected = on_disconnected,
    };
    struct pp_error err = { 0 };

    if (pp_clients_open(&f->clients, &options, &err) < 0)
        fail_msg("%s", err.text);
    first_start(f);
}

static void prepare(struct fixture *f, unsigned threads, uint32_t connections, uint64_t count)
{
    f->plan.client_threads = threads;
    f->plan.connections = connections;
    f->count = count;
    f->takes_awaited = f->takes_late ? 0 : FEW_SPLITS;
    open_coordinator(f);
    server_start(f);
    open_clients(f, true);
}

static void take_on_a_thread_of_its_own(struct fixture *f)
{
    struct pp_error err = { 0 };

    assert_int_equal(pp_io_workers_open(&f->taker, &pp_io_kernel, 1, &err), 0);
}

static void run(struct fixture *f)
{
    pp_clients_connect(f->clients, 0);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(join(f), 0);
    server_stop(f);
    if (pp_clients_error(f->clients)->code)
        fail_msg("%s", pp_clients_error(f->clients)->text);
    assert_false(pp_clients_splitting(f->clients));
}

/* With what is left, each sample was taken once. */
static void check_whole(struct fixture *f)
{
    take(f, true);
    assert_int_equal(f->mismatches, 0);
    assert_int_equal(f->counts.sent, f->count);
    assert_int_equal(f->counts.received, f->count);
    assert_int_equal(f->all_rtt.total, f->count);
    take(f, true);
    assert_int_equal(f->rtt.total, 0);
    assert_int_equal(f->response.total, 0);
}

/* ---- the tests ---- */

static void test_every_sample_of_one_thread_is_taken_once(void **state)
{
    struct fixture *f = *state;

    prepare(f, 1, 3, 300);
    run(f);
    assert_true(f->splits >= FEW_SPLITS);
    check_whole(f);
}

static void test_every_sample_of_several_threads_is_taken_once(void **state)
{
    struct fixture *f = *state;

    prepare(f, 3, 8, 5000);
    run(f);
    assert_true(f->splits >= FEW_SPLITS);
    check_whole(f);
}

static void test_samples_may_be_taken_on_a_thread_of_their_own(void **state)
{
    struct fixture *f = *state;

    prepare(f, 3, 8, 10000);
    take_on_a_thread_of_its_own(f);
    run(f);
    assert_true(f->takes >= FEW_SPLITS);
    check_whole(f);
}

static void test_both_latencies_of_an_open_loop_are_taken(void **state)
{
    struct fixture *f = *state;

    f->plan.rate = 20000;
    prepare(f, 2, 4, 2000);
    take_on_a_thread_of_its_own(f);
    run(f);
    assert_true(f->takes >= FEW_SPLITS);
    check_whole(f);
    assert_int_equal(f->all_response.total, 2000);
}

/* Whatever came behind it does not show. */
static void test_what_was_split_can_still_be_taken_when_the_phase_is_over(void **state)
{
    struct fixture *f = *state;

    f->takes_late = true;
    prepare(f, 3, 6, 3000);
    run(f);
    assert_int_equal(f->splits, 1);
    assert_int_equal(f->takes, 1);
    assert_int_equal(f->rtt.total, f->counts.received);
    assert_true(f->counts.received < f->count);
    check_whole(f);
}

static void test_without_a_split_all_is_there_at_the_end(void **state)
{
    struct fixture *f = *state;

    f->plan.client_threads = 2;
    f->plan.connections = 4;
    f->count = 1000;
    f->finished = true; /* it splits nothing */
    open_coordinator(f);
    server_start(f);
    open_clients(f, false);
    run(f);
    assert_int_equal(f->splits, 0);
    check_whole(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_every_sample_of_one_thread_is_taken_once),
        ON_EACH_ENGINE(test_every_sample_of_several_threads_is_taken_once),
        ON_EACH_ENGINE(test_samples_may_be_taken_on_a_thread_of_their_own),
        ON_EACH_ENGINE(test_both_latencies_of_an_open_loop_are_taken),
        ON_EACH_ENGINE(test_what_was_split_can_still_be_taken_when_the_phase_is_over),
        ON_EACH_ENGINE(test_without_a_split_all_is_there_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
