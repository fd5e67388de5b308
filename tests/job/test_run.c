#include "job/run.h"

#include "base/clock.h"
#include "base/memory.h"
#include "job/interrupt.h"
#include "job/loops.h"
#include "listening.h"
#include "support.h"

#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define COUNT 500
#define FOREVER UINT64_C(1000000000000)
#define NONE (-1)

/* A server that is not ours and has all the time in the world: it reads and sends a piece each time
 * that the run shows its progress, and a whole message is many pieces. */
struct slow_peer {
    int listen_fd;
    pthread_t thread;
    sem_t ticks;
    size_t message_bytes;
    size_t read_bytes, write_bytes; /* the pieces; 0: all at once */
    unsigned pieces_left;           /* then it falls silent */
    atomic_bool over;
};

/* What the hooks saw, and what they are to do. */
struct fixture {
    struct pp_plan plan;
    struct pp_result result;
    struct pp_error err;
    int begins;
    int progresses;
    uint64_t last_done;
    bool measured_at_begin, addr_at_begin, engines_at_begin, done_went_back;
    int signal_in_begin, signal_in_progress; /* to raise; 0: none */
    int breaks_in_progress;                  /* the engine of this loop; NONE */
    int breaks_in_interval;                  /* the same */
    uint64_t received_in_intervals;
    struct slow_peer *peer; /* NULL: none */
};

struct combination {
    const char *client;
    const char *server;
};

static void on_begin(void *context, const struct pp_result *result)
{
    struct fixture *f = context;

    f->begins++;
    f->measured_at_begin = result->measured;
    f->addr_at_begin = result->addr.in.sin_port != 0;
    f->engines_at_begin = result->client.engine_name[0] && result->server.engine_name[0];
    if (f->signal_in_begin)
        (void)raise(f->signal_in_begin);
}

static void break_once(int *loop)
{
    if (*loop != NONE)
        break_engine((unsigned)*loop);
    *loop = NONE;
}

static void on_progress(void *context, uint64_t done, double share, uint64_t elapsed_ns)
{
    struct fixture *f = context;

    f->progresses++;
    f->done_went_back |= done < f->last_done || !(share >= 0 && share <= 1) || elapsed_ns == 0;
    f->last_done = done;
    if (f->signal_in_progress)
        (void)raise(f->signal_in_progress);
    break_once(&f->breaks_in_progress);
    if (f->peer)
        (void)sem_post(&f->peer->ticks);
}

static int on_interval(void *context, const struct pp_result_interval *interval)
{
    struct fixture *f = context;

    f->received_in_intervals += interval->counts.received;
    break_once(&f->breaks_in_interval);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    f->breaks_in_progress = NONE;
    f->breaks_in_interval = NONE;
    pp_plan_default(&f->plan, PP_JOB_RUN);
    f->plan.target.port = 0;
    f->plan.count = COUNT;
    f->plan.wait_auto = false;
    f->plan.placement_auto = false;
    f->plan.placement = PP_PLACEMENT_NONE;
    if (*state) {
        const struct combination *engines = *state;

        f->plan.client_engine = engines->client;
        f->plan.server_engine = engines->server;
    }
    *state = f;
    hang_guard_start();
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return hang_guard_stop() ? 0 : -1;
}

static int run(struct fixture *f)
{
    const struct pp_run_hooks hooks = {
        .on_begin = on_begin, .on_progress = on_progress, .on_interval = on_interval, .context = f
    };
    const int ret = pp_plan_decide(&f->plan, &f->err);

    return ret < 0 ? ret : pp_run(&f->plan, &hooks, &f->result, &f->err);
}

/* Skips the test where an engine that was asked for cannot be had. */
static void run_well(struct fixture *f)
{
    if (run(f) < 0 && f->err.kind == PP_ERROR_UNAVAILABLE)
        skip();
    if (f->err.code)
        fail_msg("%s", f->err.text);
}

/* What holds for every result, whole or not. */
static bool books_are_right(const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;

    return counts->sent == counts->received + counts->lost + counts->errors + result->in_flight &&
           result->rtt.total == counts->received &&
           result->partial == (counts->received < result->plan.count);
}

static void check_whole(const struct fixture *f)
{
    const struct pp_result *result = &f->result;

    assert_true(books_are_right(result));
    assert_int_equal(result->counts.sent, f->plan.count);
    assert_int_equal(result->counts.received, f->plan.count);
    assert_int_equal(result->counts.errors, 0);
    assert_int_equal(result->in_flight, 0);
    assert_int_equal(result->counts.failed_connections, 0);
    assert_false(result->partial);
    assert_true(result->measured);
    assert_int_equal(result->signal, 0);
    assert_true(result->duration_ns > 0);
}

/* ---- whole runs ---- */

static void test_a_run_makes_the_round_trips_it_was_asked_for(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    check_whole(f);
}

static void test_many_connections_make_the_round_trips_together(void **state)
{
    struct fixture *f = *state;

    f->plan.connections = 50;
    run_well(f);
    check_whole(f);
}

static void test_more_connections_than_round_trips_are_no_trouble(void **state)
{
    struct fixture *f = *state;

    f->plan.connections = 20;
    f->plan.count = 3;
    run_well(f);
    check_whole(f);
}

static void test_one_round_trip_is_a_run(void **state)
{
    struct fixture *f = *state;

    f->plan.count = 1;
    run_well(f);
    check_whole(f);
}

static void test_a_run_that_spins_makes_its_round_trips(void **state)
{
    struct fixture *f = *state;

    f->plan.wait = PP_IO_WAIT_SPIN;
    f->plan.spin_ns = 50000;
    run_well(f);
    check_whole(f);
}

static void test_a_run_that_yields_makes_its_round_trips(void **state)
{
    struct fixture *f = *state;

    f->plan.wait = PP_IO_WAIT_YIELD;
    f->plan.spin_ns = 50000;
    f->plan.connections = 3;
    run_well(f);
    check_whole(f);
}

static void test_samples_lie_within_the_measured_span(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    assert_true(f->result.rtt.min_ns > 0);
    assert_true(f->result.rtt.min_ns <= f->result.rtt.max_ns);
    assert_true(f->result.rtt.max_ns <= f->result.duration_ns);
    assert_true(f->result.rtt.sum_ns <= f->result.duration_ns); /* one at a time */
}

static void test_both_sides_say_what_they_cost(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    assert_true(f->result.client.io.syscalls > 0);
    assert_true(f->result.server.io.syscalls > 0);
    assert_true(f->result.client.io.turns > 0);
    assert_true(f->result.server.io.turns > 0);
    assert_true(f->result.client.usage.user_ns + f->result.client.usage.system_ns <=
                2 * f->result.duration_ns);
}

static void test_the_result_names_the_engines_that_ran(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    assert_string_equal(f->result.client.engine_name, f->plan.client_engine);
    assert_string_equal(f->result.server.engine_name, f->plan.server_engine);
    assert_memory_equal(f->result.client.engine, f->plan.client_engine,
                        strlen(f->plan.client_engine));
    assert_string_equal(f->result.refused_engine, "");
}

static void test_auto_finds_an_engine_that_works(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    check_whole(f);
    assert_true(pp_io_engine_exists(f->result.client.engine_name));
    assert_true(pp_io_engine_exists(f->result.server.engine_name));
    assert_string_not_equal(f->result.client.engine_name, "auto");
}

static void test_the_result_carries_the_plan_and_the_host(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    assert_int_equal(f->result.plan.count, COUNT);
    assert_int_equal(f->result.plan.connections, 1);
    assert_string_not_equal(f->result.congestion_control, "");
}

static void test_port_0_becomes_a_real_port(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    assert_int_not_equal(ntohs(f->result.addr.in.sin_port), 0);
    assert_int_equal(f->result.plan.target.port, 0);
}

/* On an address that nobody else uses meanwhile, or another test could be given that port. */
static void test_runs_follow_one_another_on_one_port(void **state)
{
    struct fixture *f = *state;
    const unsigned own = (unsigned)getpid();

    (void)snprintf(f->plan.target.host, sizeof f->plan.target.host, "127.77.%u.%u", own >> 8 & 0xFF,
                   own & 0xFF);
    run_well(f);
    f->plan.target.port = ntohs(f->result.addr.in.sin_port);
    for (int i = 0; i < 3; i++) {
        memset(&f->result, 0, sizeof f->result);
        run_well(f);
        check_whole(f);
        assert_int_equal(ntohs(f->result.addr.in.sin_port), f->plan.target.port);
    }
}

static void test_a_name_is_looked_up(void **state)
{
    struct fixture *f = *state;

    (void)strcpy(f->plan.target.host, "localhost");
    run_well(f);
    check_whole(f);
}

static void test_ipv6_works_where_there_is_any(void **state)
{
    struct fixture *f = *state;

    (void)strcpy(f->plan.target.host, "::1");
    if (run(f) < 0 && (f->err.code == -EADDRNOTAVAIL || f->err.code == -EAFNOSUPPORT))
        skip();
    assert_int_equal(f->err.code, 0);
    check_whole(f);
    assert_int_equal(f->result.addr.any.sa_family, AF_INET6);
}

/* ---- around the run ---- */

static void test_on_begin_is_called_once_when_all_stands_and_nothing_is_measured(void **state)
{
    struct fixture *f = *state;

    run_well(f);
    assert_int_equal(f->begins, 1);
    assert_false(f->measured_at_begin);
    assert_true(f->addr_at_begin);
    assert_true(f->engines_at_begin);
    assert_false(f->done_went_back);
}

static void test_memory_can_be_had_again_after_a_run(void **state)
{
    struct fixture *f = *state;
    void *memory;

    run_well(f);
    memory = pp_memory_alloc(1, 1); /* ends the program while memory is sealed */
    assert_non_null(memory);
    pp_memory_free(memory);
}

static void test_a_run_leaves_no_descriptor_open(void **state)
{
    struct fixture *f = *state;
    const int before = open_descriptors();

    f->plan.connections = 10;
    run_well(f);
    assert_int_equal(open_descriptors(), before);
}

/* ---- runs that fail ---- */

static void check_failed(struct fixture *f, int code, enum pp_error_kind kind, const char *words)
{
    const int before = open_descriptors();

    assert_int_equal(run(f), code);
    assert_int_equal(f->err.code, code);
    assert_int_equal(f->err.kind, kind);
    if (!strstr(f->err.text, words))
        fail_msg("\"%s\" lacks \"%s\"", f->err.text, words);
    assert_false(f->result.measured);
    assert_int_equal(f->result.counts.received, 0);
    assert_int_equal(f->begins, 0);
    assert_int_equal(open_descriptors(), before);
}

static void test_a_port_in_use_is_an_error_with_advice(void **state)
{
    struct fixture *f = *state;
    struct pp_io_addr addr = loopback();
    struct pp_error err = { 0 };
    const int fd = listen_one(&addr, NULL, &err);

    assert_true(fd >= 0);
    f->plan.target.port = ntohs(addr.in.sin_port);
    check_failed(f, -EADDRINUSE, PP_ERROR_RUN, "another program has it: pick another with -p");
    (void)close(fd);
}

static void test_an_address_of_another_machine_is_an_error_with_advice(void **state)
{
    struct fixture *f = *state;

    (void)strcpy(f->plan.target.host, "192.0.2.1"); /* RFC 5737: nobody's */
    check_failed(f, -EADDRNOTAVAIL, PP_ERROR_RUN, "this machine has no such address");
}

static void test_an_engine_that_does_not_exist_is_an_error(void **state)
{
    struct fixture *f = *state;

    f->plan.client_engine = "steam";
    check_failed(f, -EINVAL, PP_ERROR_USAGE, "there is no engine \"steam\"");
}

static void test_a_server_engine_that_does_not_exist_is_an_error(void **state)
{
    struct fixture *f = *state;

    f->plan.server_engine = "steam";
    check_failed(f, -EINVAL, PP_ERROR_USAGE, "there is no engine \"steam\"");
}

/* ---- in a process of its own, because of what it does to it ---- */

/* Status 0 if act finds that all is well, or else the line on which it gave up. */
static int status_of_child(int (*act)(struct fixture *), struct fixture *f)
{
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(HANG_S);
        _exit(act(f));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Says what is not so on standard error. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                  \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

#define EXIT_SKIPPED 77

static void check_in_child(int (*act)(struct fixture *), struct fixture *f)
{
    const int status = status_of_child(act, f);

    if (status == EXIT_SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static int interrupted_run(struct fixture *f)
{
    const int number = f->signal_in_begin ? f->signal_in_begin : f->signal_in_progress;

    pp_interrupt_install();
    if (run(f) < 0) {
        EXPECT(f->err.kind == PP_ERROR_UNAVAILABLE);
        return EXIT_SKIPPED;
    }
    EXPECT(f->err.code == 0);
    EXPECT(f->begins == 1);
    EXPECT(f->result.signal == number);
    EXPECT(f->result.measured || f->signal_in_begin); /* it may come before the first message */
    EXPECT(f->result.partial);
    EXPECT(f->result.counts.errors == 0);
    EXPECT(f->result.in_flight <= f->plan.connections);
    EXPECT(books_are_right(&f->result));
    return 0;
}

static void test_an_interrupt_at_the_beginning_gives_a_partial_result(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->plan.connections = 3;
    f->signal_in_begin = SIGINT;
    check_in_child(interrupted_run, f);
}

static int interrupted_on_the_way(struct fixture *f)
{
    const int status = interrupted_run(f);

    EXPECT(status || f->progresses >= 1);
    EXPECT(status || f->result.counts.received >= f->last_done);
    EXPECT(status || !f->done_went_back);
    return status;
}

static void test_an_interrupt_on_the_way_gives_a_partial_result(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->signal_in_progress = SIGTERM;
    check_in_child(interrupted_on_the_way, f);
}

static int interrupted_before(struct fixture *f)
{
    pp_interrupt_install();
    (void)raise(SIGINT);
    if (run(f) < 0 && f->err.kind == PP_ERROR_UNAVAILABLE)
        return EXIT_SKIPPED;
    EXPECT(f->err.code == 0);
    EXPECT(f->result.signal == SIGINT);
    EXPECT(f->result.partial);
    EXPECT(books_are_right(&f->result));
    return 0;
}

static void test_an_interrupt_before_the_run_ends_it_early(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    check_in_child(interrupted_before, f);
}

static int too_few_descriptors(struct fixture *f)
{
    const struct rlimit limit = { .rlim_cur = 100, .rlim_max = 100 };

    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    EXPECT(run(f) == -EMFILE);
    EXPECT(f->err.kind == PP_ERROR_RUN);
    EXPECT(strstr(f->err.text, "50 connections need 180 descriptors"));
    EXPECT(strstr(f->err.text, "the limit is 100"));
    EXPECT(!f->result.measured);
    return 0;
}

static void test_too_low_a_limit_on_descriptors_is_found_before_the_run(void **state)
{
    struct fixture *f = *state;

    f->plan.connections = 50;
    check_in_child(too_few_descriptors, f);
}

static int too_few_descriptors_for_one(struct fixture *f)
{
    const struct rlimit limit = { .rlim_cur = 20, .rlim_max = 20 };
    struct pp_error err = { 0 };

    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    f->plan.connections = 1;
    EXPECT(pp_descriptors_raise(&f->plan, &err) == -EMFILE);
    EXPECT(strstr(err.text, "1 connection needs ") && !strstr(err.text, "-c"));
    err = (struct pp_error){ 0 };
    f->plan.job = PP_JOB_SERVE;
    EXPECT(pp_descriptors_raise(&f->plan, &err) == -EMFILE);
    EXPECT(strstr(err.text, "a server needs ") && !strstr(err.text, "-c"));
    return 0;
}

static void test_what_has_no_fewer_connections_is_not_told_to_ask_for_fewer(void **state)
{
    check_in_child(too_few_descriptors_for_one, *state);
}

static int low_soft_limit(struct fixture *f)
{
    struct rlimit limit;

    EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 32;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    EXPECT(run(f) == 0);
    EXPECT(f->result.counts.received == f->plan.count);
    return 0;
}

static void test_a_low_soft_limit_on_descriptors_is_raised(void **state)
{
    struct fixture *f = *state;

    f->plan.connections = 50;
    check_in_child(low_soft_limit, f);
}

/* ---- slow servers ---- */

static bool slow_peer_may_go_on(struct slow_peer *peer)
{
    while (sem_wait(&peer->ticks) < 0)
        ;
    if (peer->pieces_left > 0)
        peer->pieces_left--;
    return peer->pieces_left > 0 && !atomic_load(&peer->over);
}

/* A part of the message that is being read, or sent back. */
static ssize_t slow_peer_move(int fd, char *data, size_t bytes, bool reads)
{
    return reads ? recv(fd, data, bytes, MSG_WAITALL) : send(fd, data, bytes, MSG_NOSIGNAL);
}

/* One whole message, in pieces of so many bytes, or as it goes where they are 0. */
static bool slow_peer_pass(struct slow_peer *peer, int fd, size_t piece_bytes, bool reads)
{
    static char data[32 << 10];

    for (size_t left = peer->message_bytes; left > 0;) {
        const size_t most = piece_bytes ? piece_bytes : sizeof data;
        ssize_t moved;

        if (piece_bytes && !slow_peer_may_go_on(peer))
            return false;
        moved = slow_peer_move(fd, data, left < most ? left : most, reads);
        if (moved <= 0)
            return false;
        left -= (size_t)moved;
    }
    return true;
}

/* Echoes one message: nobody checks the bytes. */
static void *slow_peer_main(void *argument)
{
    struct slow_peer *peer = argument;
    const int fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return NULL;
    if (slow_peer_pass(peer, fd, peer->read_bytes, true) &&
        slow_peer_pass(peer, fd, peer->write_bytes, false))
        (void)shutdown(fd, SHUT_WR);
    while (!atomic_load(&peer->over))
        (void)sem_wait(&peer->ticks);
    (void)close(fd);
    return NULL;
}

static void slow_peer_open(struct slow_peer *peer, struct fixture *f)
{
    struct pp_io_addr addr = loopback();

    peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listen_fd >= 0);
    set_option(peer->listen_fd, SOL_SOCKET, SO_RCVBUF, 32 << 10);
    assert_int_equal(bind(peer->listen_fd, &addr.any, addr.len), 0);
    assert_int_equal(getsockname(peer->listen_fd, &addr.any, &addr.len), 0);
    assert_int_equal(listen(peer->listen_fd, 1), 0);
    assert_int_equal(sem_init(&peer->ticks, 0, 0), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, slow_peer_main, peer), 0);
    f->plan.job = PP_JOB_CLIENT;
    f->plan.hello = false;
    f->plan.target.port = ntohs(addr.in.sin_port);
    f->plan.sizes_given = true;
    f->plan.send.bytes = 0;
    f->plan.request = f->plan.response = pp_sizes_of((uint32_t)peer->message_bytes);
    f->plan.verify = PP_VERIFY_LEN;
    f->plan.socket.sndbuf = 8192;
    f->plan.count = 1;
    f->plan.silence_ns = PP_NS_PER_S;
    f->plan.warmup_given = true;
    f->peer = peer;
}

static void slow_peer_close(struct slow_peer *peer)
{
    (void)shutdown(peer->listen_fd, SHUT_RDWR);
    atomic_store(&peer->over, true);
    (void)sem_post(&peer->ticks);
    (void)pthread_join(peer->thread, NULL);
    (void)close(peer->listen_fd);
    (void)sem_destroy(&peer->ticks);
}

/* Progress is shown ten times a second: each of these takes twice as long as a silence may. */
#define PIECES 20

static void test_an_answer_that_comes_byte_by_byte_is_no_silence(void **state)
{
    struct fixture *f = *state;
    struct slow_peer peer = { .message_bytes = PIECES, .write_bytes = 1, .pieces_left = UINT_MAX };

    slow_peer_open(&peer, f);
    run_well(f);
    slow_peer_close(&peer);
    check_whole(f);
    assert_true(f->progresses >= PIECES);
}

static void test_a_message_that_goes_out_piece_by_piece_is_no_silence(void **state)
{
    struct fixture *f = *state;
    struct slow_peer peer = { .message_bytes = PIECES * (32 << 10),
                              .read_bytes = 32 << 10,
                              .pieces_left = UINT_MAX };

    slow_peer_open(&peer, f);
    run_well(f);
    slow_peer_close(&peer);
    check_whole(f);
    assert_true(f->progresses >= PIECES);
}

static void check_silence(struct fixture *f, struct slow_peer *peer)
{
    slow_peer_open(peer, f);
    assert_int_equal(run(f), -ETIMEDOUT);
    slow_peer_close(peer);
    assert_non_null(strstr(f->err.text, "no round trip was completed for 1 s, nor any part"));
    assert_int_equal(f->result.in_flight, 1);
}

static void test_an_answer_of_which_no_more_comes_is_a_silence(void **state)
{
    check_silence(
        *state, &(struct slow_peer){ .message_bytes = PIECES, .write_bytes = 1, .pieces_left = 2 });
}

/* What the kernel says at the first look is no progress since. How often progress is shown does not
 * depend on how fast the machine is: ten times while the silence lasts, and a little more where the
 * request is acknowledged after the first look. */
static void test_a_silence_lasts_no_longer_than_it_may(void **state)
{
    struct fixture *f = *state;

    check_silence(f, &(struct slow_peer){ .message_bytes = PIECES, .write_bytes = 1 });
    assert_in_range(f->progresses, 10, 13);
}

static void test_a_message_of_which_no_more_goes_out_is_a_silence(void **state)
{
    check_silence(*state, &(struct slow_peer){ .message_bytes = PIECES * (32 << 10),
                                               .read_bytes = 32 << 10,
                                               .pieces_left = 2 });
}

/* ---- engines that break down ---- */

/* The clients' loops are opened before the server's. */
enum {
    CLIENT_LOOP,
    SECOND_CLIENT_LOOP,
    COORDINATORS_LOOP_OF_ONE_CLIENT = 1,
    SERVER_LOOP_OF_ONE_CLIENT
};

/* Skips the test where an engine cannot be had. */
static void check_broken_run(struct fixture *f, unsigned threads, const char *engine)
{
    const struct pp_result *result = &f->result;

    f->plan.client_threads = threads;
    f->plan.connections = 4;
    assert_true(run(f) < 0);
    if (f->begins == 0)
        skip();
    assert_int_equal(f->err.kind, PP_ERROR_UNAVAILABLE);
    assert_non_null(strstr(f->err.text, "broke down"));
    assert_non_null(strstr(f->err.text, engine));
    assert_int_equal(strncmp(f->err.text, "engine ", 7), 0);
    assert_non_null(strstr(f->err.text, strerror(-f->err.code)));
    assert_true(result->measured);
    assert_true(result->partial);
    assert_true(result->balanced);
    assert_true(result->counts.received + result->counts.drained >= f->last_done);
    assert_int_equal(result->rtt.total, result->counts.received + result->counts.drained);
    assert_true(result->client.io.syscalls > 0 || result->counts.received == 0);
}

static void test_when_the_engine_breaks_down_what_was_measured_is_kept(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->breaks_in_progress = CLIENT_LOOP;
    check_broken_run(f, 1, f->plan.client_engine);
}

static void test_a_run_by_time_is_partial_when_its_engine_breaks_down(void **state)
{
    struct fixture *f = *state;

    f->plan.count = 0;
    f->plan.time_ns = 3600 * PP_NS_PER_S;
    f->breaks_in_progress = CLIENT_LOOP;
    check_broken_run(f, 1, f->plan.client_engine);
}

static void test_when_the_first_threads_engine_breaks_down_the_second_ends_too(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->breaks_in_progress = CLIENT_LOOP;
    check_broken_run(f, 2, f->plan.client_engine);
}

static void test_when_the_second_threads_engine_breaks_down_the_first_ends_too(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->breaks_in_progress = SECOND_CLIENT_LOOP;
    check_broken_run(f, 2, f->plan.client_engine);
}

static void test_when_the_coordinators_engine_breaks_down_the_clients_end(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->breaks_in_progress = COORDINATORS_LOOP_OF_ONE_CLIENT;
    check_broken_run(f, 1, "epoll");
}

static void test_when_the_servers_engine_breaks_down_its_own_error_is_told(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->breaks_in_progress = SERVER_LOOP_OF_ONE_CLIENT;
    check_broken_run(f, 1, f->plan.server_engine);
}

/* It breaks down while one of them is being written, which takes as long as it takes. */
static void test_the_intervals_before_a_breakdown_hold_all_that_was_measured(void **state)
{
    struct fixture *f = *state;

    f->plan.count = FOREVER;
    f->plan.interval_ns = PP_NS_PER_MS;
    f->breaks_in_interval = CLIENT_LOOP;
    check_broken_run(f, 2, f->plan.client_engine);
    assert_int_equal(f->received_in_intervals, f->result.counts.received);
}

/* A row of the table of tests; the engines are its initial state, NULL leaves them to the plan. */
#define TEST_NAMED(text, test, engines)                                                            \
    {                                                                                              \
        .name = (text), .test_func = (test), .setup_func = setup, .teardown_func = teardown,       \
        .initial_state = (engines),                                                                \
    }
#define TEST(test) TEST_NAMED(#test, test, NULL)
#define TEST_WITH(number, test) TEST_NAMED(#test "@" #number, test, &combinations[number])
#define TEST_ALL(test)                                                                             \
    TEST_WITH(0, test), TEST_WITH(1, test), TEST_WITH(2, test), TEST_WITH(3, test)

int main(void)
{
    static struct combination combinations[] = {
        { "epoll", "epoll" },
        { "io_uring", "io_uring" },
        { "epoll", "io_uring" },
        { "io_uring", "epoll" },
    };
    const struct CMUnitTest tests[] = {
        TEST_ALL(test_a_run_makes_the_round_trips_it_was_asked_for),
        TEST_ALL(test_many_connections_make_the_round_trips_together),
        TEST_ALL(test_more_connections_than_round_trips_are_no_trouble),
        TEST_ALL(test_one_round_trip_is_a_run),
        TEST_ALL(test_a_run_that_spins_makes_its_round_trips),
        TEST_ALL(test_a_run_that_yields_makes_its_round_trips),
        TEST_ALL(test_samples_lie_within_the_measured_span),
        TEST_ALL(test_both_sides_say_what_they_cost),
        TEST_ALL(test_the_result_names_the_engines_that_ran),
        TEST(test_auto_finds_an_engine_that_works),
        TEST(test_the_result_carries_the_plan_and_the_host),
        TEST(test_port_0_becomes_a_real_port),
        TEST(test_runs_follow_one_another_on_one_port),
        TEST(test_a_name_is_looked_up),
        TEST(test_ipv6_works_where_there_is_any),
        TEST(test_on_begin_is_called_once_when_all_stands_and_nothing_is_measured),
        TEST_ALL(test_memory_can_be_had_again_after_a_run),
        TEST_ALL(test_a_run_leaves_no_descriptor_open),
        TEST(test_a_port_in_use_is_an_error_with_advice),
        TEST(test_an_address_of_another_machine_is_an_error_with_advice),
        TEST(test_an_engine_that_does_not_exist_is_an_error),
        TEST(test_a_server_engine_that_does_not_exist_is_an_error),
        TEST_ALL(test_an_interrupt_at_the_beginning_gives_a_partial_result),
        TEST_ALL(test_an_interrupt_on_the_way_gives_a_partial_result),
        TEST_ALL(test_an_interrupt_before_the_run_ends_it_early),
        TEST_WITH(0, test_an_answer_that_comes_byte_by_byte_is_no_silence),
        TEST_WITH(1, test_an_answer_that_comes_byte_by_byte_is_no_silence),
        TEST_WITH(0, test_a_message_that_goes_out_piece_by_piece_is_no_silence),
        TEST_WITH(1, test_a_message_that_goes_out_piece_by_piece_is_no_silence),
        TEST_WITH(0, test_an_answer_of_which_no_more_comes_is_a_silence),
        TEST_WITH(0, test_a_silence_lasts_no_longer_than_it_may),
        TEST_WITH(0, test_a_message_of_which_no_more_goes_out_is_a_silence),
        TEST_WITH(1, test_a_message_of_which_no_more_goes_out_is_a_silence),
        TEST_ALL(test_when_the_engine_breaks_down_what_was_measured_is_kept),
        TEST_ALL(test_when_the_coordinators_engine_breaks_down_the_clients_end),
        TEST_ALL(test_when_the_servers_engine_breaks_down_its_own_error_is_told),
        TEST_ALL(test_a_run_by_time_is_partial_when_its_engine_breaks_down),
        TEST_ALL(test_when_the_first_threads_engine_breaks_down_the_second_ends_too),
        TEST_ALL(test_when_the_second_threads_engine_breaks_down_the_first_ends_too),
        TEST_ALL(test_the_intervals_before_a_breakdown_hold_all_that_was_measured),
        TEST(test_too_low_a_limit_on_descriptors_is_found_before_the_run),
        TEST(test_what_has_no_fewer_connections_is_not_told_to_ask_for_fewer),
        TEST(test_a_low_soft_limit_on_descriptors_is_raised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
