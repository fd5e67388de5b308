/* The loop itself: its turns, its threads, its opening and closing, and what it says of itself. */
#include "support.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

/* ---- turns ------------------------------------------------------------------------------- */

static void run_returns_when_nothing_is_armed(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);

    test_run(loop);
    pp_io_timer(loop, &probe->op, 0, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    test_run(loop);
}

static void run_once_waits_for_something_to_complete(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);

    pp_io_timer(loop, &probe->op, pp_clock_now_ns() + 5 * PP_NS_PER_MS, test_probe_once);
    assert_int_equal(pp_io_loop_run_once(loop), 0);
    assert_int_equal(probe->calls, 1);
}

static enum pp_io_next on_endless(struct pp_io_op *op)
{
    container_of(op, struct test_probe, op)->calls++;
    return PP_IO_REARM;
}

static void run_once_is_one_turn_however_much_is_left_to_do(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);
    const uint64_t turns = pp_io_loop_stats(loop).turns;

    pp_io_timer(loop, &probe->op, 0, on_endless);
    for (int i = 1; i <= 10; i++) {
        assert_int_equal(pp_io_loop_run_once(loop), 0);
        assert_int_equal(probe->calls, i);
    }
    assert_int_equal(pp_io_loop_stats(loop).turns, turns + 10);
}

static void poll_does_not_wait(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    test_poll(loop); /* with nothing armed */
    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_poll(loop); /* with nothing to come */
    assert_int_equal(probe->calls, 0);
    test_write(pair.far, "ping", 4);
    while (probe->calls == 0)
        assert_int_equal(pp_io_loop_poll(loop), 0);
    assert_string_equal(probe->buf, "ping");
}

/* ---- threads ----------------------------------------------------------------------------- */

struct runner {
    struct pp_io_loop *loop;
    int ret;
};

static void *run_body(void *argument)
{
    struct runner *runner = argument;

    runner->ret = pp_io_loop_run(runner->loop);
    return NULL;
}

static void run_on_a_thread(struct fixture *f, struct pp_io_loop *loop)
{
    struct runner *runner = test_new(f, sizeof(*runner));

    *runner = (struct runner){ .loop = loop, .ret = 1 };
    test_thread(f, run_body, runner);
    test_threads_join(f);
    assert_int_equal(runner->ret, 0);
}

static void a_loop_may_run_on_another_thread_than_it_was_opened_on(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, 100);
    struct test_probe *timer = test_probe(f);

    pinger->on_end = test_pinger_shut;
    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + PP_NS_PER_MS, test_probe_once);
    run_on_a_thread(f, loop);
    test_pinger_is_well(pinger);
    assert_int_equal(timer->calls, 1);
}

/* More than any queue between the loop and the kernel holds. */
static void any_number_of_operations_may_be_started_before_it_runs_there(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probes[700];

    for (size_t i = 0; i < COUNT_OF(probes); i++) {
        const struct test_pair pair = test_pair(AF_INET);

        probes[i] = test_probe(f);
        pp_io_recv(loop, &probes[i]->op, pair.near, probes[i]->buf, 4, test_probe_once);
        test_write(pair.far, "ping", 4);
    }
    run_on_a_thread(f, loop);
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        assert_string_equal(probes[i]->buf, "ping");
}

static void two_loops_of_one_thread_take_turns(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *client = test_loop(f);
    struct pp_io_loop *server = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, client, pair.near, 200);

    (void)test_echo(f, server, pair.far);
    test_pinger_start(pinger);
    while (pinger->rounds < pinger->wanted && pinger->error == 0) {
        assert_int_equal(pp_io_loop_poll(client), 0);
        assert_int_equal(pp_io_loop_poll(server), 0);
    }
    test_pinger_is_well(pinger);
}

/* Opens a loop on that engine, if that can be had here. */
static struct pp_io_loop *try_loop(struct fixture *f, const char *engine)
{
    const struct pp_io_options options = { .engine = engine };
    struct pp_io_loop *loop = NULL;
    struct pp_error err = { 0 };

    if (pp_io_loop_open(&loop,
                        &(struct pp_io_options){
                            .engine = engine, .connections = 1, .buffers = 1, .buffer_bytes = 64 },
                        &err) < 0)
        return NULL;
    pp_io_loop_close(loop);
    return test_loop_with(f, options);
}

static void check_exchange_with(struct fixture *f, const char *engine)
{
    struct pp_io_loop *client = test_loop(f);
    struct pp_io_loop *server = try_loop(f, engine);
    struct runner *runner = test_new(f, sizeof(*runner));
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, client, pair.near, 1000);
    const struct test_echo *echo;

    if (!server)
        return;
    echo = test_echo(f, server, pair.far);
    *runner = (struct runner){ .loop = server, .ret = 1 };
    test_thread(f, run_body, runner);
    pinger->on_end = test_pinger_shut;
    test_pinger_start(pinger);
    test_run(client);
    test_threads_join(f);
    assert_int_equal(runner->ret, 0);
    assert_true(echo->closed);
    test_pinger_is_well(pinger);
    test_loop_close(f, server);
    test_loop_close(f, client);
}

static void it_exchanges_data_with_every_engine_on_another_thread(void **state)
{
    const char *names[PP_IO_ENGINES_MAX];

    pp_io_engine_list(1, names);
    for (size_t i = 0; names[i]; i++)
        check_exchange_with(*state, names[i]);
}

/* ---- closing ----------------------------------------------------------------------------- */

static void closing_no_loop_does_nothing(void **state)
{
    (void)state;
    pp_io_loop_close(NULL);
}

static void a_closed_loop_leaves_no_descriptor_open(void **state)
{
    struct fixture *f = *state;
    const int before = test_fd_count();

    for (int i = 0; i < 20; i++) {
        struct pp_io_loop *loop = test_loop(f);
        struct test_probe *probe = test_probe(f);

        pp_io_timer(loop, &probe->op, pp_clock_now_ns() + 1, test_probe_once);
        test_run(loop);
        test_loop_close(f, loop);
    }
    assert_int_equal(test_fd_count(), before);
}

/* Connections that an engine accepted ahead of being asked. */
static void a_closed_loop_leaves_no_accepted_descriptor_open(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop;
    struct test_probe *probe = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 8, &addr);
    int before;

    for (int i = 0; i < 5; i++)
        (void)test_connect(&addr);
    before = test_fd_count();
    loop = test_loop(f);
    pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
    test_run(loop);
    test_poll(loop);
    test_loop_close(f, loop);
    assert_int_equal(test_fd_count(), before + 1);
}

static void operations_still_armed_are_dropped_uncalled(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct pp_io_addr addr;
    struct test_probe *probes[6];

    for (size_t i = 0; i < COUNT_OF(probes); i++)
        probes[i] = test_probe(f);
    pp_io_recv(loop, &probes[0]->op, pair.near, probes[0]->buf, 64, test_probe_once);
    pp_io_recv_pooled(loop, &probes[1]->op, test_pair(AF_INET).near, test_probe_once);
    pp_io_accept(loop, &probes[2]->op, test_listen(AF_INET, 1, &addr), test_probe_once);
    pp_io_timer(loop, &probes[3]->op, pp_clock_now_ns() + 3600 * PP_NS_PER_S, test_probe_once);
    pp_io_wake_wait(loop, &probes[4]->op, test_probe_once);
    test_poll(loop);
    pp_io_send(loop, &probes[5]->op, pair.near, "ping", 4, test_probe_once); /* never looked at */
    test_loop_close(f, loop);
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        assert_int_equal(probes[i]->calls, 0);
}

/* Its memory may be gone, and its bytes belong to whoever reads the descriptor next. */
static void a_dropped_receive_takes_no_bytes_that_come_later(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++) {
        struct pp_io_loop *loop = test_loop(f);
        const struct test_pair pair = test_pair(AF_INET);
        struct test_probe *probe = test_probe(f);

        if (i % 2 == 0)
            pp_io_recv(loop, &probe->op, pair.near, probe->buf, 64, test_probe_once);
        else
            pp_io_recv_pooled(loop, &probe->op, pair.near, test_probe_once);
        test_poll(loop);
        test_loop_close(f, loop);
        test_write(pair.far, "ping", 4);
        test_read_text(pair.near, "ping");
        assert_string_equal(probe->buf, "");
        test_far_close(pair.near);
        test_far_close(pair.far);
    }
}

static void after_a_loop_is_closed_closing_its_connections_tells_their_peers(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    pp_io_recv_pooled(loop, &probe->op, pair.near, test_probe_once);
    test_poll(loop);
    test_loop_close(f, loop);
    test_far_close(pair.near);
    test_read_eof(pair.far);
}

/* ---- what it says of itself -------------------------------------------------------------- */

static size_t name_len(const char *spec)
{
    return strcspn(spec, ":");
}

static void describe_begins_with_the_engines_name(void **state)
{
    struct fixture *f = *state;
    const char *text = pp_io_loop_describe(test_loop(f));
    const size_t len = name_len(test_engine());

    assert_memory_equal(text, test_engine(), len);
    assert_true(text[len] == ':' || text[len] == '\0');
}

/* "io_uring:no-multishot" grants no "multishot". */
static void describe_grants_no_feature_that_was_switched_off(void **state)
{
    struct fixture *f = *state;
    const char *text = pp_io_loop_describe(test_loop(f));
    char spec[128];
    char *rest = spec;
    const char *feature;

    (void)snprintf(spec, sizeof(spec), "%s", test_engine());
    (void)strsep(&rest, ":");
    while ((feature = strsep(&rest, ","))) {
        char granted[64];

        (void)snprintf(granted, sizeof(granted), " %s", feature + strlen("no-"));
        assert_null(strstr(text, granted));
    }
}

static void a_turn_that_reaches_the_kernel_counts_its_system_calls(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    uint64_t before = pp_io_loop_stats(loop).syscalls;

    for (int i = 0; i < 10; i++) {
        struct test_probe *probe = test_probe(f);

        test_write(pair.far, "ping", 4);
        pp_io_recv(loop, &probe->op, pair.near, probe->buf, 64, test_probe_once);
        test_run(loop);
        assert_true(pp_io_loop_stats(loop).syscalls > before);
        before = pp_io_loop_stats(loop).syscalls;
    }
}

/* ---- names ------------------------------------------------------------------------------- */

static bool list_has(const char *const *names, const char *spec)
{
    for (; *names; names++)
        if (strlen(*names) == name_len(spec) && memcmp(*names, spec, name_len(spec)) == 0)
            return true;
    return false;
}

static void the_list_of_engines_has_it_for_few_connections_and_for_many(void **state)
{
    const char *few[PP_IO_ENGINES_MAX];
    const char *many[PP_IO_ENGINES_MAX];
    size_t count = 0;

    (void)state;
    pp_io_engine_list(1, few);
    pp_io_engine_list(10000, many);
    assert_true(list_has(few, test_engine()));
    assert_true(list_has(many, test_engine()));
    for (; few[count]; count++) {
        assert_true(pp_io_engine_exists(few[count]));
        assert_true(list_has(many, few[count]));
        assert_false(list_has(few + count + 1, few[count])); /* none comes twice */
    }
    assert_null(many[count]);
}

static void check_refused(const char *spec, const char *named)
{
    const struct pp_io_options options = {
        .engine = spec, .connections = 1, .buffers = 1, .buffer_bytes = 64
    };
    struct pp_io_loop *loop = NULL;
    struct pp_error err = { 0 };

    if (pp_io_engine_exists(spec))
        fail_msg("\"%s\" is said to exist", spec);
    if (pp_io_loop_open(&loop, &options, &err) >= 0)
        fail_msg("\"%s\" was opened", spec);
    assert_null(loop);
    assert_true(err.code < 0);
    assert_int_not_equal(err.kind, PP_ERROR_UNAVAILABLE); /* nothing would make it available */
    if (!strstr(err.text, named))
        fail_msg("\"%s\" is refused with \"%s\", which does not say \"%s\"", spec, err.text, named);
}

static void an_unknown_engine_is_refused_by_name(void **state)
{
    (void)state;
    check_refused("no-such-engine", "no-such-engine");
    check_refused("epol", "epol");
    check_refused("epolll", "epolll");
    check_refused("", "engine");
}

static void an_unknown_feature_is_refused_by_name(void **state)
{
    static const char *const features[] = { "no-such-feature", "nonsense", "no-" };
    char spec[128];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(features); i++) {
        (void)snprintf(spec, sizeof(spec), "%.*s:%s", (int)name_len(test_engine()), test_engine(),
                       features[i]);
        check_refused(spec, features[i]);
    }
}

#ifdef RSEQ_SIG

/* Registers the calling thread for restartable sequences, as the C library does it. */
static int register_for_rseq(void)
{
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

    return syscall(SYS_rseq, area, 32, 0, RSEQ_SIG) < 0 ? -errno : 0;
}

struct registrations {
    struct pp_io_loop *loop;
    int before, after;
};

static void *register_around_a_run(void *argument)
{
    struct registrations *r = argument;

    r->before = register_for_rseq(); /* a thread inherits from its creator whether it is already */
    if (pp_io_loop_run(r->loop) == 0)
        r->after = register_for_rseq();
    return NULL;
}

static void running_takes_the_thread_out_of_restartable_sequences(void **state)
{
    struct registrations *r = test_new(*state, sizeof *r);

    if (__rseq_size == 0)
        skip();
    r->loop = test_loop(*state);
    r->after = -1;
    test_thread(*state, register_around_a_run, r);
    test_threads_join(*state);
    assert_true(r->before == 0 || r->before == -EBUSY);
    assert_int_equal(r->after, 0);
}
#else
static void running_takes_the_thread_out_of_restartable_sequences(void **state)
{
    (void)state;
    skip();
}
#endif

static void its_own_spec_exists(void **state)
{
    (void)state;
    assert_true(pp_io_engine_exists(test_engine()));
}

/* ---- fairness ---------------------------------------------------------------------------- */

#define BUSY 5

/* How often each of the busy may call back before somebody else is heard: a few times, not as often
 * as it likes. */
#define PATIENCE 40

/* Sends a byte, and the next one, each of which is gone at once. The first callback makes something
 * happen that only the kernel knows of. */
struct busy {
    struct pp_io_op op;
    struct crowd *crowd;
    int fd;
};

struct crowd {
    struct pp_io_loop *loop;
    struct busy busy[BUSY];
    struct test_probe *received, *accepted;
    int far;
    struct pp_io_addr addr;
    int calls, calls_until_received, calls_until_accepted;
};

static enum pp_io_next on_busy(struct pp_io_op *op)
{
    struct busy *busy = container_of(op, struct busy, op);
    struct crowd *crowd = busy->crowd;

    if (crowd->calls++ == 0) {
        (void)test_send_now(crowd->far, "!", 1);
        (void)test_connect(&crowd->addr);
    }
    if (crowd->received->calls == 0)
        crowd->calls_until_received = crowd->calls;
    if (crowd->accepted->calls == 0)
        crowd->calls_until_accepted = crowd->calls;
    if (crowd->calls < 4000)
        pp_io_send(crowd->loop, op, busy->fd, "?", 1, on_busy);
    return PP_IO_DISARM;
}

static void check_that_the_busy_keep_nobody_waiting(struct fixture *f, enum pp_io_wait wait)
{
    struct crowd *crowd = test_new(f, sizeof(*crowd));
    struct pp_io_loop *loop = test_loop_with(
        f,
        (struct pp_io_options){ .wait = wait, .spin_ns = PP_NS_PER_MS, .engine = test_engine() });
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *idle = test_probe(f);

    *crowd = (struct crowd){
        .loop = loop, .received = test_probe(f), .accepted = test_probe(f), .far = pair.far
    };
    pp_io_recv(loop, &idle->op, test_pair(AF_INET).near, idle->buf, 1, test_probe_once);
    pp_io_recv(loop, &crowd->received->op, pair.near, crowd->received->buf, 1, test_probe_once);
    pp_io_accept(loop, &crowd->accepted->op, test_listen(AF_INET, 4, &crowd->addr),
                 test_probe_once);
    test_poll(loop);
    for (int i = 0; i < BUSY; i++) {
        crowd->busy[i] = (struct busy){ .crowd = crowd, .fd = test_pair(AF_INET).near };
        pp_io_send(loop, &crowd->busy[i].op, crowd->busy[i].fd, "?", 1, on_busy);
    }
    test_run_until(loop, &crowd->calls, 4000);
    test_run_until(loop, &crowd->received->calls, 1);
    test_run_until(loop, &crowd->accepted->calls, 1);
    pp_io_cancel(loop, &idle->op);
    test_run(loop);
    assert_in_range(crowd->calls_until_received, 1, BUSY * PATIENCE);
    assert_in_range(crowd->calls_until_accepted, 1, BUSY * PATIENCE);
}

static void those_whose_operations_complete_at_once_keep_nobody_waiting(void **state)
{
    check_that_the_busy_keep_nobody_waiting(*state, PP_IO_WAIT_BLOCK);
    check_that_the_busy_keep_nobody_waiting(*state, PP_IO_WAIT_SPIN);
}

/* ---- little memory ----------------------------------------------------------------------- */

/* The kernel takes its time to give back what a user's rings have locked: each try has its own. */
#define NOBODY 60000
#define LOOPS_SHORT_OF_MEMORY 4
#define LIMITS_TO_BYTES (256 * 1024)
#define LIMITS_STEP_BYTES (4 * 1024)

/* Where not all can be opened: whether those that could are of one kind, as its exit status. */
static void open_with_little_memory(rlim_t limit_bytes)
{
    const struct rlimit limit = { limit_bytes, limit_bytes };
    const struct pp_io_options options = {
        .engine = test_engine(), .connections = 64, .buffers = 64, .buffer_bytes = 16 << 10
    };
    struct pp_io_loop *loops[LOOPS_SHORT_OF_MEMORY];
    bool alike = true;

    if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
        setuid(NOBODY + (uid_t)(limit_bytes / LIMITS_STEP_BYTES)) < 0)
        _exit(2);
    for (int i = 0; i < LOOPS_SHORT_OF_MEMORY; i++) {
        if (pp_io_loop_open(&loops[i], &options, NULL) < 0)
            break;
        alike = alike && strcmp(pp_io_loop_describe(loops[i]), pp_io_loop_describe(loops[0])) == 0;
    }
    _exit(alike ? 0 : 1);
}

static void loops_that_were_opened_with_little_memory_are_of_one_kind(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* nobody else may become a user whose limit counts */
    for (rlim_t limit = 0; limit <= LIMITS_TO_BYTES; limit += LIMITS_STEP_BYTES) {
        const pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0)
            open_with_little_memory(limit);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 2)
            skip();
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(run_returns_when_nothing_is_armed),
        TEST(run_once_waits_for_something_to_complete),
        TEST(run_once_is_one_turn_however_much_is_left_to_do),
        TEST(poll_does_not_wait),
        TEST(a_loop_may_run_on_another_thread_than_it_was_opened_on),
        TEST(any_number_of_operations_may_be_started_before_it_runs_there),
        TEST(two_loops_of_one_thread_take_turns),
        TEST(it_exchanges_data_with_every_engine_on_another_thread),
        TEST(closing_no_loop_does_nothing),
        TEST(a_closed_loop_leaves_no_descriptor_open),
        TEST(a_closed_loop_leaves_no_accepted_descriptor_open),
        TEST(operations_still_armed_are_dropped_uncalled),
        TEST(a_dropped_receive_takes_no_bytes_that_come_later),
        TEST(after_a_loop_is_closed_closing_its_connections_tells_their_peers),
        TEST(describe_begins_with_the_engines_name),
        TEST(describe_grants_no_feature_that_was_switched_off),
        TEST(a_turn_that_reaches_the_kernel_counts_its_system_calls),
        TEST(the_list_of_engines_has_it_for_few_connections_and_for_many),
        TEST(an_unknown_engine_is_refused_by_name),
        TEST(an_unknown_feature_is_refused_by_name),
        TEST(running_takes_the_thread_out_of_restartable_sequences),
        TEST(its_own_spec_exists),
        TEST(those_whose_operations_complete_at_once_keep_nobody_waiting),
        TEST(loops_that_were_opened_with_little_memory_are_of_one_kind),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
