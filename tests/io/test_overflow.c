/* More completions at once than the kernel's queue of them holds, and a kernel that takes nothing
 * any more. An engine wanted such a queue has less to show here, and the same to promise. */
#include "io/engine.h"
#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The smallest completion queue has 1,024 entries. */
#define BURST 3000

/* Operations that are started in one callback and all complete at once: receives at the end of a
 * stream. Then it does what the test wants to happen behind them, with no look at the kernel in
 * between. */
struct burst {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int fd;
    struct test_probe *receives;
    void (*then)(struct burst *burst);
    struct test_probe *send, *receive, *waiting_send, *waiting_receive;
    int send_fd, far;
};

static enum pp_io_next on_burst(struct pp_io_op *op)
{
    struct burst *burst = container_of(op, struct burst, op);

    for (int i = 0; i < BURST; i++) {
        struct test_probe *probe = &burst->receives[i];

        pp_io_recv(burst->loop, &probe->op, burst->fd, probe->buf, sizeof(probe->buf),
                   test_probe_once);
    }
    if (burst->then)
        burst->then(burst);
    return PP_IO_DISARM;
}

static struct burst *burst_new(struct fixture *f, void (*then)(struct burst *burst))
{
    struct burst *burst = test_new(f, sizeof(*burst));
    const struct test_pair pair = test_pair(AF_INET);

    test_far_close(pair.far);
    burst->loop = test_loop(f);
    burst->fd = pair.near;
    burst->receives = test_new(f, BURST * sizeof(burst->receives[0]));
    burst->then = then;
    burst->send = test_probe(f);
    burst->receive = test_probe(f);
    burst->waiting_send = test_probe(f);
    burst->waiting_receive = test_probe(f);
    return burst;
}

static struct burst *burst_start(struct fixture *f, void (*then)(struct burst *burst))
{
    struct burst *burst = burst_new(f, then);

    pp_io_timer(burst->loop, &burst->op, 0, on_burst);
    return burst;
}

static void check_receives(const struct burst *burst)
{
    for (int i = 0; i < BURST; i++) {
        test_equal("calls", burst->receives[i].calls, 1);
        test_equal("result", burst->receives[i].res, 0);
    }
}

static bool can_overflow(void)
{
    uint32_t wanted;

    return pp_io_engine_find(test_engine(), &wanted, NULL)->can_overflow;
}

static void an_overflow_is_counted_and_loses_nothing(void **state)
{
    const struct burst *burst = burst_start(*state, NULL);

    assert_int_equal(pp_io_loop_stats(burst->loop).overflows, 0);
    test_run(burst->loop);
    check_receives(burst);
    assert_int_equal(pp_io_loop_stats(burst->loop).overflows > 0, can_overflow());
}

static void send_in_vain(struct burst *burst)
{
    pp_io_send(burst->loop, &burst->send->op, burst->send_fd, "ping", 4, test_probe_once);
}

static void send_in_vain_and_lazily(struct burst *burst)
{
    send_in_vain(burst);
    burst->send->op.lazy = true;
}

/* That it failed is told by a completion that the queue has no room for yet. */
static void check_failed_send(struct fixture *f, void (*then)(struct burst *burst))
{
    struct burst *burst = burst_start(f, then);

    burst->send_fd = test_pair(AF_INET).near;
    test_far_shutdown(burst->send_fd);
    test_run(burst->loop);
    check_receives(burst);
    assert_int_equal(burst->send->calls, 1);
    assert_int_equal(burst->send->res, -EPIPE);
}

static void a_send_that_fails_in_an_overflow_has_failed(void **state)
{
    check_failed_send(*state, send_in_vain);
}

static void a_lazy_send_that_fails_in_an_overflow_has_failed(void **state)
{
    check_failed_send(*state, send_in_vain_and_lazily);
}

static void cancel_those_that_wait(struct burst *burst)
{
    pp_io_cancel(burst->loop, &burst->receive->op);
    pp_io_cancel(burst->loop, &burst->waiting_send->op);
    pp_io_cancel(burst->loop, &burst->waiting_receive->op);
}

static void what_is_canceled_in_an_overflow_completes(void **state)
{
    struct fixture *f = *state;
    struct burst *burst = burst_start(f, cancel_those_that_wait);
    const struct test_pair pair = test_pair(AF_INET);

    pp_io_recv_pooled(burst->loop, &burst->receive->op, test_pair(AF_INET).near, test_probe_once);
    pp_io_send(burst->loop, &burst->waiting_send->op, test_full_socket(), "ping", 4,
               test_probe_once);
    pp_io_recv(burst->loop, &burst->waiting_receive->op, pair.near, burst->waiting_receive->buf, 4,
               test_probe_once);
    test_run(burst->loop);
    check_receives(burst);
    assert_int_equal(burst->receive->res, -ECANCELED);
    assert_int_equal(burst->waiting_send->res, -ECANCELED);
    assert_int_equal(burst->waiting_receive->res, -ECANCELED);
}

#define STREAM_BYTES 20000

static void write_and_end(struct burst *burst)
{
    char data[STREAM_BYTES];

    test_pattern_fill(data, 0, sizeof(data));
    test_write(burst->far, data, sizeof(data));
    test_far_shutdown(burst->far);
}

static void what_is_received_in_an_overflow_is_whole(void **state)
{
    struct fixture *f = *state;
    struct burst *burst = burst_start(f, write_and_end);
    const struct test_pair pair = test_pair(AF_INET);
    const struct test_sink *sink = test_sink_pooled(f, burst->loop, pair.near);

    burst->far = pair.far;
    test_run(burst->loop);
    check_receives(burst);
    test_sink_has(sink, STREAM_BYTES);
}

/* ---- a kernel that takes nothing any more ------------------------------------------------ */

#define REFUSE(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), refusal

/* From here on the kernel refuses this process whatever an engine polls by. False where that cannot
 * be had. */
static bool break_kernel(int error)
{
    const struct sock_filter refusal = BPF_STMT(BPF_RET | BPF_K,
                                                SECCOMP_RET_ERRNO | (uint32_t)error);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_epoll_wait /* newer architectures have none of these two */
        REFUSE(epoll_wait),
        REFUSE(poll),
#endif
        REFUSE(epoll_pwait),
        REFUSE(ppoll),
        REFUSE(io_uring_enter),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { .len = COUNT_OF(code), .filter = code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* More requests than a queue of these holds, with nobody to take them. */
static int break_down_in_a_burst(struct fixture *f, int error)
{
    struct burst *burst = burst_new(f, NULL);

    (void)alarm(20); /* a child inherits none */
    test_poll(burst->loop);
    if (!break_kernel(error))
        return 77;
    (void)on_burst(&burst->op);
    return pp_io_loop_run(burst->loop) == -error ? 0 : 1;
}

static void check_broken_down(struct fixture *f, int error)
{
    int status;
    const pid_t child = fork();

    if (child == 0)
        _exit(break_down_in_a_burst(f, error));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_loop_whose_engine_breaks_down_in_a_burst_ends(void **state)
{
    check_broken_down(*state, EIO);
}

/* Busy is what a kernel says that wants to be rid of completions first, and may be so for ever. */
static void a_loop_whose_kernel_is_busy_in_a_burst_ends(void **state)
{
    check_broken_down(*state, EBUSY);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_overflow_is_counted_and_loses_nothing),
        TEST(a_send_that_fails_in_an_overflow_has_failed),
        TEST(a_lazy_send_that_fails_in_an_overflow_has_failed),
        TEST(what_is_canceled_in_an_overflow_completes),
        TEST(what_is_received_in_an_overflow_is_whole),
        TEST(a_loop_whose_engine_breaks_down_in_a_burst_ends),
        TEST(a_loop_whose_kernel_is_busy_in_a_burst_ends),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
