/* stats.syscalls is what the kernel counts: a child runs a workload under ptrace(2), and its system
 * calls between two marks are counted from outside. */
#include "support.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#define SANITIZED 0 /* else the sanitizer's own system calls would be counted too */
#endif

#define ROUNDS 200

/* What stands for a mark, because nothing else calls it. */
#define MARK SYS_getppid

static void *shared_new(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    return memory;
}

struct count {
    uint64_t told;   /* by the loop, written by the child */
    uint64_t traced; /* by the kernel */
    bool finished;   /* the child came to its end */
};

static bool traces(enum __ptrace_request request, pid_t pid)
{
    return ptrace(request, pid, NULL, NULL) == 0;
}

/* Stops at the next system call's beginning or end. False when the child is gone. */
static bool next_stop(pid_t child, struct __ptrace_syscall_info *info)
{
    int status;

    if (!traces(PTRACE_SYSCALL, child) || waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status))
        return false;
    memset(info, 0, sizeof(*info));
    (void)ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(*info), info);
    return true;
}

static uint64_t count_between_marks(pid_t child)
{
    struct __ptrace_syscall_info info;
    uint64_t count = 0;
    int marks = 0;

    while (next_stop(child, &info)) {
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
            continue;
        if (info.entry.nr == MARK)
            marks++;
        else if (marks == 1 && info.entry.nr != SYS_clock_gettime) /* where there is no vDSO */
            count++;
    }
    return count;
}

/* False where a sandbox forbids to trace. */
static bool trace_begin(pid_t child)
{
    int status;

    return waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
           ptrace(PTRACE_SETOPTIONS, child, NULL,
                  (void *)(uintptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0;
}

/* What is measured: prepare makes the sockets and the like, and run does what only the loop
 * does. */
struct workload {
    void *(*prepare)(struct fixture *f, struct pp_io_loop *loop);
    void (*run)(struct pp_io_loop *loop, void *context);
};

static void child_run(struct fixture *f, struct pp_io_options options,
                      const struct workload *workload, struct count *count)
{
    struct pp_io_loop *loop = test_loop_with(f, options);
    void *context = workload->prepare(f, loop);
    uint64_t before;

    assert_true(traces(PTRACE_TRACEME, 0));
    (void)raise(SIGSTOP);
    before = pp_io_loop_stats(loop).syscalls;
    (void)syscall(MARK);
    workload->run(loop, context);
    (void)syscall(MARK);
    count->told = pp_io_loop_stats(loop).syscalls - before;
    count->finished = true;
}

static void check_count(struct fixture *f, struct pp_io_options options,
                        const struct workload *workload)
{
    struct count *count = shared_new(sizeof(*count));
    pid_t child;

    if (SANITIZED)
        skip();
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        child_run(f, options, workload, count);
        _exit(0);
    }
    if (!trace_begin(child))
        skip();
    count->traced = count_between_marks(child);
    assert_true(count->finished);
    assert_true(count->told > 0);
    assert_int_equal(count->told, count->traced);
}

/* ---- the workloads ----------------------------------------------------------------------- */

/* Client and server on the loop. */
static void *prepare_ping_pong(struct fixture *f, struct pp_io_loop *loop)
{
    const struct test_pair pair = test_pair(AF_INET);

    (void)test_echo(f, loop, pair.far);
    return test_pinger(f, loop, pair.near, ROUNDS);
}

static void run_ping_pong(struct pp_io_loop *loop, void *context)
{
    struct test_pinger *pinger = context;

    test_pinger_start(pinger);
    test_run_until(loop, &pinger->rounds, ROUNDS);
}

static const struct workload ping_pong = { prepare_ping_pong, run_ping_pong };

/* A megabyte in short writes through few buffers. */
struct transfer {
    struct test_pair pair;
    struct test_sink *sink;
    struct pp_io_op op;
    char *data;
};

#define TRANSFER_BYTES (1024 * 1024)

static void *prepare_transfer(struct fixture *f, struct pp_io_loop *loop)
{
    struct transfer *t = test_new(f, sizeof(*t));

    t->pair = test_pair(AF_INET);
    t->data = test_new(f, TRANSFER_BYTES);
    test_pattern_fill(t->data, 0, TRANSFER_BYTES);
    test_shrink_send_buffer(t->pair.near);
    t->sink = test_sink_pooled(f, loop, t->pair.far);
    return t;
}

static enum pp_io_next on_transfer_sent(struct pp_io_op *op)
{
    return op->res < 0 || pp_io_advance(op) ? PP_IO_DISARM : PP_IO_REARM;
}

static void run_transfer(struct pp_io_loop *loop, void *context)
{
    struct transfer *t = context;

    pp_io_send(loop, &t->op, t->pair.near, t->data, TRANSFER_BYTES, on_transfer_sent);
    while (t->sink->bytes < TRANSFER_BYTES)
        assert_int_equal(pp_io_loop_run_once(loop), 0);
}

static const struct workload transfer = { prepare_transfer, run_transfer };

/* Connections that come and go. */
struct arrivals {
    struct pp_io_addr addr;
    int listen_fd;
    int fds[50];
};

static void *prepare_arrivals(struct fixture *f, struct pp_io_loop *loop)
{
    struct arrivals *a = test_new(f, sizeof(*a));

    (void)loop;
    a->listen_fd = test_listen(AF_INET, 64, &a->addr);
    for (size_t i = 0; i < COUNT_OF(a->fds); i++)
        a->fds[i] = test_socket(AF_INET);
    return a;
}

static void run_arrivals(struct pp_io_loop *loop, void *context)
{
    const struct arrivals *a = context;

    for (size_t i = 0; i < COUNT_OF(a->fds); i++) {
        struct test_probe accepted = { 0 };
        struct test_probe connected = { 0 };
        struct test_probe closed[2] = { 0 };

        pp_io_accept(loop, &accepted.op, a->listen_fd, test_probe_once);
        pp_io_connect(loop, &connected.op, a->fds[i], &a->addr.any, a->addr.len, test_probe_once);
        test_run(loop);
        pp_io_close(loop, &closed[0].op, a->fds[i], test_probe_once);
        pp_io_close(loop, &closed[1].op, accepted.res, test_probe_once);
        test_run(loop);
    }
}

static const struct workload arrivals = { prepare_arrivals, run_arrivals };

static void *prepare_nothing(struct fixture *f, struct pp_io_loop *loop)
{
    (void)loop;
    return f;
}

static void run_timers(struct pp_io_loop *loop, void *context)
{
    (void)context;
    for (uint64_t i = 0; i < 50; i++) {
        struct test_probe near = { 0 };
        struct test_probe far = { 0 };

        pp_io_timer(loop, &far.op, pp_clock_now_ns() + i * 200 * PP_NS_PER_US, test_probe_once);
        pp_io_timer(loop, &near.op, pp_clock_now_ns() + i * 100 * PP_NS_PER_US, test_probe_once);
        test_run(loop);
    }
}

static const struct workload timers = { prepare_nothing, run_timers };

/* Wakes by a thread that is not traced, and that is told of them without a system call. */
struct calls {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    atomic_int answered;
};

static enum pp_io_next on_called(struct pp_io_op *op)
{
    struct calls *calls = container_of(op, struct calls, op);

    return atomic_fetch_add(&calls->answered, 1) + 1 < ROUNDS ? PP_IO_REARM : PP_IO_DISARM;
}

static void *call_again_and_again(void *argument)
{
    struct calls *calls = argument;

    for (int i = 0; i < ROUNDS; i++) {
        while (atomic_load(&calls->answered) < i)
            (void)sched_yield();
        pp_io_wake(calls->loop, &calls->op);
    }
    return NULL;
}

static void *prepare_wakes(struct fixture *f, struct pp_io_loop *loop)
{
    struct calls *calls = test_new(f, sizeof(*calls));

    calls->loop = loop;
    atomic_init(&calls->answered, -1);
    pp_io_wake_wait(loop, &calls->op, on_called);
    test_thread(f, call_again_and_again, calls);
    return calls;
}

static void run_wakes(struct pp_io_loop *loop, void *context)
{
    struct calls *calls = context;

    atomic_store(&calls->answered, 0);
    test_run(loop);
}

static const struct workload wakes = { prepare_wakes, run_wakes };

/* ---- the tests --------------------------------------------------------------------------- */

static const struct pp_io_options blocking = { .wait = PP_IO_WAIT_BLOCK };
static const struct pp_io_options spinning = { .wait = PP_IO_WAIT_SPIN,
                                               .spin_ns = 50 * PP_NS_PER_US };
static const struct pp_io_options yielding = { .wait = PP_IO_WAIT_YIELD,
                                               .spin_ns = 50 * PP_NS_PER_US };
static const struct pp_io_options few_buffers = { .buffers = 2, .buffer_bytes = 256 };

static void each_system_call_of_a_ping_pong_is_counted(void **state)
{
    check_count(*state, blocking, &ping_pong);
}

static void each_system_call_of_a_ping_pong_is_counted_while_spinning(void **state)
{
    check_count(*state, spinning, &ping_pong);
}

static void each_system_call_of_a_ping_pong_is_counted_while_yielding(void **state)
{
    check_count(*state, yielding, &ping_pong);
}

static void each_system_call_of_a_transfer_is_counted(void **state)
{
    check_count(*state, few_buffers, &transfer);
}

static void each_system_call_of_connections_that_come_and_go_is_counted(void **state)
{
    check_count(*state, blocking, &arrivals);
}

static void each_system_call_of_timers_is_counted(void **state)
{
    check_count(*state, blocking, &timers);
}

static void each_system_call_of_being_woken_is_counted(void **state)
{
    check_count(*state, blocking, &wakes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_system_call_of_a_ping_pong_is_counted),
        TEST(each_system_call_of_a_ping_pong_is_counted_while_spinning),
        TEST(each_system_call_of_a_ping_pong_is_counted_while_yielding),
        TEST(each_system_call_of_a_transfer_is_counted),
        TEST(each_system_call_of_connections_that_come_and_go_is_counted),
        TEST(each_system_call_of_timers_is_counted),
        TEST(each_system_call_of_being_woken_is_counted),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
