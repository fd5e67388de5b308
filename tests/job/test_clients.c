#include "job/clients.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"
#include "support.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include <sys/resource.h>

#define CONNECTIONS_MAX 16
#define SHORT_NS (20 * PP_NS_PER_MS)
#define NONE (-1)
#define BUSY_ROUNDS 100
#define HALT_NS (200 * PP_NS_PER_MS)

/* One connection of the server's side: an echo, until so many messages have come. */
struct peer {
    struct fixture *f;
    pthread_t thread;
    int fd;
    uint64_t bytes;
};

struct stage {
    uint64_t count;
    uint64_t time_ns;
};

struct fixture {
    const char *engine;
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
    struct peer peers[CONNECTIONS_MAX];
    unsigned peer_count;
    uint64_t close_after; /* bytes, on the first connection; 0: never */
    struct pp_hist rtt, response, late;

    struct stage stages[2];
    unsigned stage_count;
    unsigned begun;
    struct pp_counts outcomes[2];
    bool holds_back; /* begins nothing, and does not disconnect */
    bool interrupts; /* as soon as a phase has begun */
    int breaks;      /* at that time, the engine of this thread; NONE */
    int breaks_busy; /* the same, once each connection has made BUSY_ROUNDS round trips */
    bool interrupts_busy;
    bool halts_busy; /* at that time, all threads but the coordinator's stand still for a while */
    atomic_uint busy_peers;
    atomic_bool broke_busy; /* the engine of breaks_busy is no more */
    bool politely;
    int connected, finished, disconnected; /* calls */
    bool elsewhere;                        /* one of them came on another thread */
    pthread_t main_thread;
    struct pp_io_op tick_op;
};

/* ---- the server's side ---- */

static void stand_still(int number)
{
    (void)number;
    const struct timespec halt = { .tv_nsec = HALT_NS };

    (void)nanosleep(&halt, NULL);
}

static void halt_other_threads(void)
{
    struct sigaction action = { .sa_handler = stand_still, .sa_flags = SA_RESTART };
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;

    (void)sigaction(SIGUSR1, &action, NULL);
    while (tasks && (task = readdir(tasks))) {
        const long tid = strtol(task->d_name, NULL, 10);

        if (tid > 0 && tid != getpid() && tid != gettid())
            (void)syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
    }
    (void)closedir(tasks);
}

static void on_all_busy(struct fixture *f)
{
    if (f->halts_busy)
        halt_other_threads();
    if (f->breaks_busy != NONE) {
        break_engine((unsigned)f->breaks_busy);
        f->broke_busy = true;
    }
    if (f->interrupts_busy)
        pp_clients_interrupt(f->clients);
}

static void note_bytes(struct peer *peer, uint64_t bytes)
{
    const uint64_t enough = (BUSY_ROUNDS + 1) * UINT64_C(5); /* the last one may be under way */
    struct fixture *f = peer->f;
    const bool was_busy = peer->bytes >= enough;

    peer->bytes += bytes;
    if (!was_busy && peer->bytes >= enough &&
        atomic_fetch_add(&f->busy_peers, 1) + 1 == f->plan.connections)
        on_all_busy(f);
}

static void *peer_main(void *argument)
{
    struct peer *peer = argument;
    const bool closes = peer == &peer->f->peers[0] && peer->f->close_after > 0;
    char data[4096];
    ssize_t got;

    while ((got = recv(peer->fd, data, sizeof data, 0)) > 0) {
        note_bytes(peer, (uint64_t)got);
        if (closes && peer->bytes >= peer->f->close_after)
            break;
        (void)send(peer->fd, data, (size_t)got, MSG_NOSIGNAL);
    }
    (void)close(peer->fd);
    return NULL;
}

static void *acceptor_main(void *argument)
{
    struct fixture *f = argument;
    int fd;

    while ((fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = &f->peers[f->peer_count];

        *peer = (struct peer){ .f = f, .fd = fd };
        if (f->peer_count == CONNECTIONS_MAX ||
            pthread_create(&peer->thread, NULL, peer_main, peer) != 0)
            (void)close(fd);
        else
            f->peer_count++;
    }
    return NULL;
}

static void server_stop(struct fixture *f)
{
    if (!f->accepting)
        return;
    f->accepting = false;
    (void)shutdown(f->listen_fd, SHUT_RDWR);
    (void)pthread_join(f->acceptor, NULL);
    for (unsigned i = 0; i < f->peer_count; i++)
        (void)pthread_join(f->peers[i].thread, NULL);
}

static uint64_t bytes_at_peers(const struct fixture *f)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < f->peer_count; i++)
        bytes += f->peers[i].bytes;
    return bytes;
}

/* ---- the coordinator ---- */

static void begin(struct fixture *f)
{
    const struct stage *stage = &f->stages[f->begun++];

    pp_clients_start(f->clients, stage->count, stage->time_ns, f->begun == f->stage_count);
    if (f->interrupts)
        pp_clients_interrupt(f->clients);
    if (f->breaks != NONE)
        break_engine((unsigned)f->breaks);
}

static void note_thread(struct fixture *f)
{
    f->elsewhere |= !pthread_equal(pthread_self(), f->main_thread);
}

static void on_connected(void *owner)
{
    struct fixture *f = owner;

    note_thread(f);
    f->connected++;
    if (!f->holds_back)
        begin(f);
}

static void on_finished(void *owner)
{
    struct fixture *f = owner;

    note_thread(f);
    f->finished++;
    if (f->begun > 0)
        f->outcomes[f->begun - 1] = pp_clients_counts(f->clients);
    if (f->holds_back)
        return;
    if (f->begun < f->stage_count && !pp_clients_error(f->clients)->code)
        begin(f);
    else
        pp_clients_disconnect(f->clients, f->politely);
}

static void on_disconnected(void *owner)
{
    struct fixture *f = owner;

    note_thread(f);
    f->disconnected++;
    pp_clients_release(f->clients);
}

static int setup(void **state)
{
    struct fixture *f = pp_memory_alloc(1, sizeof *f);

    if (!f)
        return -1;
    f->engine = *state;
    f->listen_fd = -1;
    f->breaks = NONE;
    f->breaks_busy = NONE;
    f->politely = true;
    f->main_thread = pthread_self();
    pp_plan_default(&f->plan, PP_JOB_RUN);
    f->plan.client_engine = f->engine;
    f->plan.wait_auto = false;
    f->plan.wait = PP_IO_WAIT_BLOCK;
    f->plan.placement_auto = false;
    f->plan.placement = PP_PLACEMENT_NONE;
    *state = f;
    hang_guard_start();
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool in_time;

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

static void bind_server(struct fixture *f)
{
    f->addr = loopback();
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listen_fd >= 0);
    assert_int_equal(bind(f->listen_fd, &f->addr.any, f->addr.len), 0);
    assert_int_equal(getsockname(f->listen_fd, &f->addr.any, &f->addr.len), 0);
}

static void server_start(struct fixture *f)
{
    assert_int_equal(listen(f->listen_fd, 128), 0);
    assert_int_equal(pthread_create(&f->acceptor, NULL, acceptor_main, f), 0);
    f->accepting = true;
}

/* Skips the test where the engine cannot be had. */
static void open_coordinator(struct fixture *f)
{
    char refused[PP_REFUSED_BYTES];
    struct pp_error err = { 0 };

    if (pp_plan_check(&f->plan, &err) < 0 || pp_plan_decide(&f->plan, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pp_pattern_open(&f->pattern, f->plan.send.text, f->plan.send.bytes, &err), 0);
    if (pp_loops_open(f->loops, f->plan.client_threads, &f->plan, f->engine, refused, &err) < 0) {
        if (err.kind == PP_ERROR_UNAVAILABLE)
            skip();
        fail_msg("%s", err.text);
    }
    assert_int_equal(pp_loop_open_waiting(&f->loop, &err), 0);
    bind_server(f);
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

static int open_clients(struct fixture *f, struct pp_error *err)
{
    const struct pp_clients_options options = {
        .loop = f->loop,
        .loops = f->loops,
        .plan = &f->plan,
        .addr = &f->addr,
        .out = &f->pattern,
        .in = &f->pattern,
        .owner = f,
        .on_connected = on_connected,
        .on_finished = on_finished,
        .on_disconnected = on_disconnected,
    };

    const int ret = pp_clients_open(&f->clients, &options, err);

    if (ret == 0)
        first_start(f);
    return ret;
}

static void prepare(struct fixture *f, unsigned threads, uint32_t connections)
{
    struct pp_error err = { 0 };

    f->plan.client_threads = threads;
    f->plan.connections = connections;
    open_coordinator(f);
    server_start(f);
    if (open_clients(f, &err) < 0)
        fail_msg("%s", err.text);
}

static void add_stage(struct fixture *f, struct stage stage)
{
    f->stages[f->stage_count++] = stage;
}

static void run(struct fixture *f)
{
    pp_clients_connect(f->clients, 0);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(join(f), 0);
    server_stop(f);
    assert_int_equal(f->disconnected, 1);
    assert_false(f->elsewhere);
    (void)pp_clients_take(f->clients, true, &f->rtt, &f->response, &f->late);
}

static void check_books(const struct fixture *f, uint64_t in_flight)
{
    const struct pp_counts counts = pp_clients_counts(f->clients);

    assert_int_equal(counts.sent, counts.received + counts.lost + counts.errors + in_flight);
    assert_int_equal(f->rtt.total, counts.received + counts.drained);
    assert_int_equal(f->response.total, f->plan.rate > 0 ? counts.received + counts.drained : 0);
    assert_int_equal(pp_clients_received(f->clients), counts.received);
    assert_true(counts.first_ns <= counts.last_ns);
}

static void check_whole(const struct fixture *f, uint64_t count)
{
    const struct pp_counts counts = pp_clients_counts(f->clients);

    if (pp_clients_error(f->clients)->code)
        fail_msg("%s", pp_clients_error(f->clients)->text);
    assert_int_equal(counts.sent, count);
    assert_int_equal(counts.received, count);
    assert_int_equal(f->connected, 1);
    assert_int_equal(f->finished, f->stage_count);
    check_books(f, 0);
}

static void check_count(struct fixture *f, unsigned threads, uint32_t connections, uint64_t count)
{
    prepare(f, threads, connections);
    add_stage(f, (struct stage){ .count = count });
    run(f);
    assert_int_equal(f->peer_count, connections);
    assert_int_equal(bytes_at_peers(f), count * 5);
    check_whole(f, count);
}

/* ---- the shared budget ---- */

static void test_one_thread_makes_the_exact_count(void **state)
{
    check_count(*state, 1, 3, 1000);
}

static void test_several_threads_share_the_exact_count(void **state)
{
    check_count(*state, 3, 8, 5000);
}

static void test_a_count_that_does_not_divide_is_exact(void **state)
{
    check_count(*state, 4, 5, 4999);
}

static void test_a_count_below_the_number_of_threads_is_exact(void **state)
{
    check_count(*state, 4, 4, 2);
}

static void test_with_a_depth_the_count_over_threads_is_exact(void **state)
{
    ((struct fixture *)*state)->plan.depth = 16;
    check_count(*state, 2, 6, 5000);
}

/* The phase ends when each has had it. */
static void test_each_connection_of_each_thread_has_its_share(void **state)
{
    struct fixture *f = *state;

    f->interrupts_busy = true;
    prepare(f, 3, 7);
    add_stage(f, (struct stage){ .count = UINT64_C(1000000000000) });
    run(f);
    assert_int_equal(f->peer_count, 7);
    for (unsigned i = 0; i < 7; i++)
        assert_true(f->peers[i].bytes >= BUSY_ROUNDS * 5);
}

/* ---- phases ---- */

static void test_a_measurement_on_several_threads_counts_nothing_of_its_warm_up(void **state)
{
    struct fixture *f = *state;

    prepare(f, 3, 6);
    add_stage(f, (struct stage){ .count = 1000 });
    add_stage(f, (struct stage){ .count = 2000 });
    run(f);
    assert_int_equal(f->outcomes[0].received, 1000);
    assert_true(f->outcomes[0].last_ns <= f->outcomes[1].first_ns);
    assert_int_equal(bytes_at_peers(f), 3000 * 5);
    check_whole(f, 2000);
}

static void test_a_warm_up_by_time_ends_for_all_threads_before_the_measurement(void **state)
{
    struct fixture *f = *state;

    prepare(f, 2, 4);
    add_stage(f, (struct stage){ .time_ns = SHORT_NS });
    add_stage(f, (struct stage){ .count = 500 });
    run(f);
    assert_int_equal(bytes_at_peers(f), (f->outcomes[0].sent + 500) * 5);
    check_whole(f, 500);
}

static void test_what_the_threads_have_spent_is_of_the_last_phase_alone(void **state)
{
    struct fixture *f = *state;
    struct pp_sample spent;

    prepare(f, 2, 2);
    add_stage(f, (struct stage){ .count = 2000 });
    add_stage(f, (struct stage){ .count = 2 });
    run(f);
    spent = pp_clients_spent(f->clients);
    assert_in_range(spent.io.syscalls, 1, 1000);
    check_whole(f, 2);
}

static void test_what_comes_after_a_phase_is_not_among_what_it_has_cost(void **state)
{
    struct fixture *f = *state;
    struct pp_sample spent;

    f->holds_back = true;
    prepare(f, 2, 2);
    pp_clients_connect(f->clients, 0);
    while (f->connected == 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    pp_clients_start(f->clients, 100, 0, true);
    while (f->finished == 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    spent = pp_clients_spent(f->clients);
    pp_clients_interrupt(f->clients);
    pp_clients_disconnect(f->clients, true);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(join(f), 0);
    assert_int_equal(f->finished, 1);
    assert_int_equal(pp_clients_spent(f->clients).io.turns, spent.io.turns);
    assert_int_equal(pp_clients_spent(f->clients).io.syscalls, spent.io.syscalls);
}

static void test_a_rate_is_that_of_all_threads_together(void **state)
{
    struct fixture *f = *state;
    struct pp_counts counts;

    f->plan.rate = 2000;
    prepare(f, 2, 3);
    add_stage(f, (struct stage){ .time_ns = 50 * PP_NS_PER_MS });
    run(f);
    counts = pp_clients_counts(f->clients);
    assert_true(counts.sent <= 102); /* each thread may round its share up */
    assert_true(counts.sent >= 98 || counts.lag_ns > 0);
    check_books(f, counts.sent - counts.received);
}

static void test_a_rate_on_several_threads_makes_the_exact_count(void **state)
{
    ((struct fixture *)*state)->plan.rate = 20000;
    check_count(*state, 3, 4, 400);
}

/* ---- ends before the time ---- */

static void test_an_interrupt_ends_the_phase_on_all_threads(void **state)
{
    struct fixture *f = *state;
    struct pp_counts counts;

    f->interrupts = true;
    prepare(f, 3, 6);
    add_stage(f, (struct stage){ .count = UINT64_C(1000000000000) });
    run(f);
    counts = pp_clients_counts(f->clients);
    assert_int_equal(f->finished, 1);
    assert_int_equal(pp_clients_error(f->clients)->code, 0);
    check_books(f, counts.sent - counts.received);
}

/* Who then begins a phase waits for its end as for any other's. */
static void test_a_phase_that_begins_after_an_interrupt_ends_at_once(void **state)
{
    struct fixture *f = *state;

    f->holds_back = true;
    prepare(f, 2, 4);
    pp_clients_connect(f->clients, 0);
    while (f->connected == 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    pp_clients_interrupt(f->clients);
    while (f->finished == 0)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    pp_clients_start(f->clients, 1000, 0, true);
    while (f->finished == 1)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    assert_int_equal(pp_clients_counts(f->clients).sent, 0);
    pp_clients_disconnect(f->clients, true);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(join(f), 0);
    assert_int_equal(f->disconnected, 1);
}

/* Its own thread goes on without it, where that has others; here each has one. */
static void test_when_one_thread_fails_the_others_end_too(void **state)
{
    struct fixture *f = *state;
    struct pp_counts counts;

    f->close_after = 500;
    prepare(f, 3, 3);
    add_stage(f, (struct stage){ .count = UINT64_C(1000000000000) });
    run(f);
    assert_int_equal(pp_clients_error(f->clients)->code, -ENODATA);
    assert_int_equal(f->finished, 1);
    counts = pp_clients_counts(f->clients);
    assert_int_equal(counts.failed_connections, 1);
    assert_int_equal(counts.errors, 1);
    check_books(f, counts.sent - counts.received - 1);
}

static void test_a_refused_connection_of_any_thread_ends_the_run(void **state)
{
    struct fixture *f = *state;
    struct pp_error err = { 0 };

    f->plan.client_threads = 3;
    f->plan.connections = 6;
    open_coordinator(f); /* the port is bound, and nobody listens */
    assert_int_equal(open_clients(f, &err), 0);
    run(f);
    assert_int_equal(f->connected, 0);
    assert_int_equal(f->finished, 1);
    assert_int_equal(pp_clients_error(f->clients)->code, -ECONNREFUSED);
    assert_int_equal(pp_clients_counts(f->clients).sent, 0);
}

static void check_broken(struct fixture *f, const char *engine)
{
    const struct pp_counts counts = pp_clients_counts(f->clients);
    const struct pp_error *error = pp_clients_error(f->clients);

    assert_true(error->code < 0);
    assert_int_equal(error->kind, PP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->text, engine));
    assert_non_null(strstr(error->text, "broke down"));
    (void)pp_clients_take(f->clients, true, &f->rtt, &f->response, &f->late);
    check_books(f, counts.sent - counts.received);
    assert_int_equal(pp_clients_in_flight(f->clients), counts.sent - counts.received);
}

/* What was spent is counted from where each thread began to where it ended: a difference that were
 * taken of anything else would have no such bounds. */
static void check_spent(const struct fixture *f, uint64_t turns_least)
{
    assert_in_range(pp_clients_spent(f->clients).io.turns, turns_least, UINT32_MAX);
}

static void run_until_broken(struct fixture *f)
{
    prepare(f, 3, 3);
    add_stage(f, (struct stage){ .count = UINT64_C(1000000000000) });
    pp_clients_connect(f->clients, 0);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_true(join(f) < 0);
    assert_int_equal(f->connected, 1);
    assert_int_equal(f->finished, 1);
    assert_int_equal(f->disconnected, 1);
    assert_false(f->elsewhere);
    check_broken(f, f->engine);
}

static void test_when_the_engine_of_one_thread_breaks_down_the_others_end_too(void **state)
{
    struct fixture *f = *state;

    f->breaks_busy = 1;
    run_until_broken(f);
    check_spent(f, 3 * BUSY_ROUNDS);
}

/* Whether any thread has come to its first turn by then is up to the scheduler. */
static void test_an_engine_that_breaks_down_as_a_phase_begins_ends_it(void **state)
{
    struct fixture *f = *state;

    f->breaks = 1;
    run_until_broken(f);
    check_spent(f, 0);
}

static void test_an_engine_that_breaks_down_while_connecting_ends_the_run(void **state)
{
    struct fixture *f = *state;

    prepare(f, 3, 3);
    break_engine(2);
    pp_clients_connect(f->clients, 0);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_true(join(f) < 0);
    assert_int_equal(f->connected, 0);
    assert_int_equal(f->finished, 1);
    assert_int_equal(f->disconnected, 1);
    check_broken(f, f->engine);
}

/* Its next system call is soon. */
static enum pp_io_next on_tick(struct pp_io_op *op)
{
    op->deadline_ns = pp_clock_now_ns() + PP_NS_PER_MS;
    return op->res < 0 ? PP_IO_DISARM : PP_IO_REARM;
}

static void check_without_coordinator(struct fixture *f, unsigned threads)
{
    int ret;

    f->breaks_busy = (int)threads; /* opened behind theirs */
    prepare(f, threads, threads);
    pp_io_timer(f->loop, &f->tick_op, 0, on_tick);
    add_stage(f, (struct stage){ .count = UINT64_C(1000000000000) });
    pp_clients_connect(f->clients, 0);
    ret = pp_io_loop_run(f->loop);
    assert_true(ret < 0);
    while (!f->broke_busy) /* what it has put there is about to be closed */
        (void)sched_yield();
    pp_clients_abandon(f->clients, ret);
    assert_int_equal(join(f), 0);
    assert_int_equal(f->finished, 0);
    assert_int_equal(f->disconnected, 0);
    check_spent(f, threads * BUSY_ROUNDS);
    check_broken(f, "epoll");
    pp_io_loop_close(f->loop);
    f->loop = NULL;
}

static void test_when_the_coordinators_engine_breaks_down_all_can_be_closed(void **state)
{
    check_without_coordinator(*state, 1);
}

static void test_when_the_coordinators_engine_breaks_down_the_other_threads_end(void **state)
{
    check_without_coordinator(*state, 3);
}

/* A timer of its own is due within 25 ms, and late by all the rest. */
static void test_a_thread_that_stands_still_is_noticed_whichever_it_is(void **state)
{
    struct fixture *f = *state;
    struct pp_stopped stopped;

    f->halts_busy = f->interrupts_busy = true;
    prepare(f, 2, 2);
    add_stage(f, (struct stage){ .count = UINT64_C(1000000000000) });
    run(f);
    stopped = pp_clients_stopped(f->clients);
    assert_in_range(stopped.longest_ns, PP_STOPPED_MIN_NS, UINT64_MAX);
    assert_in_range(stopped.sum_ns, PP_STOPPED_MIN_NS, UINT64_MAX);
}

static void test_to_disconnect_at_once_waits_for_nobody(void **state)
{
    struct fixture *f = *state;

    f->politely = false;
    check_count(f, 2, 4, 100);
}

static void test_clients_that_were_opened_and_closed_leave_nothing_behind(void **state)
{
    struct fixture *f = *state;
    const int before = open_descriptors();
    struct pp_error err = { 0 };

    f->plan.client_threads = 3;
    f->plan.connections = 3;
    open_coordinator(f);
    assert_int_equal(open_clients(f, &err), 0);
    pp_clients_release(f->clients);
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(join(f), 0);
    pp_clients_close(f->clients);
    f->clients = NULL;
    pp_io_loop_close(f->loop);
    f->loop = NULL;
    assert_int_equal(open_descriptors(), before + 1); /* the listener's */
}

static void test_threads_whose_engine_cannot_be_had_are_an_error(void **state)
{
    struct fixture *f = *state;
    char refused[PP_REFUSED_BYTES];
    struct pp_error err = { 0 };
    const int before = open_descriptors();

    assert_true(pp_loops_open(f->loops, 3, &f->plan, "no such engine", refused, &err) < 0);
    assert_true(err.code < 0);
    assert_null(f->loops[0]);
    assert_int_equal(open_descriptors(), before);
}

/* There are descriptors for some. */
static void test_where_one_loop_cannot_be_had_none_is(void **state)
{
    struct fixture *f = *state;
    const int before = open_descriptors();
    char refused[PP_REFUSED_BYTES];
    struct pp_error err = { 0 };
    struct rlimit limit, low;
    int each;

    if (pp_loops_open(f->loops, 1, &f->plan, f->engine, refused, &err) < 0)
        skip();
    each = open_descriptors() - before;
    pp_io_loop_close(f->loops[0]);
    f->loops[0] = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)(before + 3 * each);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_true(pp_loops_open(f->loops, 16, &f->plan, f->engine, refused, &err) < 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (unsigned i = 0; i < 16; i++)
        assert_null(f->loops[i]);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH_ENGINE(test_one_thread_makes_the_exact_count),
        ON_EACH_ENGINE(test_several_threads_share_the_exact_count),
        ON_EACH_ENGINE(test_a_count_that_does_not_divide_is_exact),
        ON_EACH_ENGINE(test_a_count_below_the_number_of_threads_is_exact),
        ON_EACH_ENGINE(test_with_a_depth_the_count_over_threads_is_exact),
        ON_EACH_ENGINE(test_each_connection_of_each_thread_has_its_share),
        ON_EACH_ENGINE(test_a_measurement_on_several_threads_counts_nothing_of_its_warm_up),
        ON_EACH_ENGINE(test_a_warm_up_by_time_ends_for_all_threads_before_the_measurement),
        ON_EACH_ENGINE(test_what_the_threads_have_spent_is_of_the_last_phase_alone),
        ON_EACH_ENGINE(test_what_comes_after_a_phase_is_not_among_what_it_has_cost),
        ON_EACH_ENGINE(test_a_rate_is_that_of_all_threads_together),
        ON_EACH_ENGINE(test_a_rate_on_several_threads_makes_the_exact_count),
        ON_EACH_ENGINE(test_an_interrupt_ends_the_phase_on_all_threads),
        ON_EACH_ENGINE(test_a_phase_that_begins_after_an_interrupt_ends_at_once),
        ON_EACH_ENGINE(test_when_one_thread_fails_the_others_end_too),
        ON_EACH_ENGINE(test_a_refused_connection_of_any_thread_ends_the_run),
        ON_EACH_ENGINE(test_when_the_engine_of_one_thread_breaks_down_the_others_end_too),
        ON_EACH_ENGINE(test_an_engine_that_breaks_down_as_a_phase_begins_ends_it),
        ON_EACH_ENGINE(test_an_engine_that_breaks_down_while_connecting_ends_the_run),
        ON_EACH_ENGINE(test_when_the_coordinators_engine_breaks_down_all_can_be_closed),
        ON_EACH_ENGINE(test_when_the_coordinators_engine_breaks_down_the_other_threads_end),
        ON_EACH_ENGINE(test_a_thread_that_stands_still_is_noticed_whichever_it_is),
        ON_EACH_ENGINE(test_to_disconnect_at_once_waits_for_nobody),
        ON_EACH_ENGINE(test_clients_that_were_opened_and_closed_leave_nothing_behind),
        ON_EACH_ENGINE(test_threads_whose_engine_cannot_be_had_are_an_error),
        ON_EACH_ENGINE(test_where_one_loop_cannot_be_had_none_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
