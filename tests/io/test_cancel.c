/* Cancelling: exactly one completion, with -ECANCELED or with the operation's own result, and no
 * byte lost. Starved receives are in test_buffers.c. */
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- operations that wait for something that does not come ------------------------------- */

/* Starts op so that it will not complete by itself. */
typedef void waiter(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op, pp_io_cb *cb);

static void wait_accept(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                        pp_io_cb *cb)
{
    struct pp_io_addr addr;

    (void)f;
    pp_io_accept(loop, op, test_listen(AF_INET, 1, &addr), cb);
}

/* A listener whose queue is full drops the request to connect, which is repeated after a second. */
static void wait_connect(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                         pp_io_cb *cb)
{
    struct pp_io_addr *addr = test_new(f, sizeof(*addr));

    (void)test_listen(AF_INET, 0, addr);
    (void)test_connect(addr);
    (void)test_connect_now(addr);
    pp_io_connect(loop, op, test_socket(AF_INET), &addr->any, addr->len, cb);
}

static void wait_recv(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op, pp_io_cb *cb)
{
    pp_io_recv(loop, op, test_pair(AF_INET).near, test_new(f, 16), 16, cb);
}

static void wait_recv_pooled(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                             pp_io_cb *cb)
{
    (void)f;
    pp_io_recv_pooled(loop, op, test_pair(AF_INET).near, cb);
}

static void wait_send(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op, pp_io_cb *cb)
{
    (void)f;
    pp_io_send(loop, op, test_full_socket(), "ping", 4, cb);
}

static void wait_timer(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                       pp_io_cb *cb)
{
    (void)f;
    pp_io_timer(loop, op, pp_clock_now_ns() + 3600 * PP_NS_PER_S, cb);
}

static void wait_wake(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op, pp_io_cb *cb)
{
    (void)f;
    pp_io_wake_wait(loop, op, cb);
}

static const struct {
    const char *name;
    waiter *start;
} waiters[] = {
    { "accept", wait_accept }, { "connect", wait_connect },
    { "recv", wait_recv },     { "recv pooled", wait_recv_pooled },
    { "send", wait_send },     { "timer", wait_timer },
    { "wake", wait_wake },
};

static void assert_canceled(const char *name, const struct test_probe *probe)
{
    test_equal(name, probe->calls, 1);
    test_equal(name, probe->res, -ECANCELED);
}

static void each_that_waits_completes_with_ecanceled(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        struct test_probe *probe = test_probe(f);

        waiters[i].start(f, loop, &probe->op, test_probe_once);
        test_poll(loop);
        test_equal(waiters[i].name, probe->calls, 0);
        pp_io_cancel(loop, &probe->op);
        test_equal(waiters[i].name, probe->calls, 0);
        test_run(loop);
        test_poll(loop);
        assert_canceled(waiters[i].name, probe);
    }
}

static void each_may_be_canceled_before_the_loop_runs(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        struct test_probe *probe = test_probe(f);

        waiters[i].start(f, loop, &probe->op, test_probe_once);
        pp_io_cancel(loop, &probe->op);
        test_run(loop);
        assert_canceled(waiters[i].name, probe);
    }
}

static void canceling_twice_completes_once(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        struct test_probe *probe = test_probe(f);

        waiters[i].start(f, loop, &probe->op, test_probe_once);
        test_poll(loop);
        pp_io_cancel(loop, &probe->op);
        pp_io_cancel(loop, &probe->op);
        test_run(loop);
        test_poll(loop);
        assert_canceled(waiters[i].name, probe);
    }
}

static void all_at_once_complete_all(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probes[20 * COUNT_OF(waiters)];

    for (size_t i = 0; i < COUNT_OF(probes); i++) {
        probes[i] = test_probe(f);
        waiters[i % COUNT_OF(waiters)].start(f, loop, &probes[i]->op, test_probe_once);
    }
    test_poll(loop);
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        pp_io_cancel(loop, &probes[i]->op);
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        assert_canceled(waiters[i % COUNT_OF(waiters)].name, probes[i]);
}

static void each_may_be_freed_in_the_callback_of_its_cancel(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        int *calls = test_new(f, sizeof(*calls));
        struct test_doomed *doomed = test_doomed(calls);

        waiters[i].start(f, loop, &doomed->op, test_doomed_once);
        test_poll(loop);
        pp_io_cancel(loop, &doomed->op);
        test_run(loop);
        test_poll(loop);
        test_equal(waiters[i].name, *calls, 1);
    }
}

/* Something that comes to an end cancels what waits beside it: the usual case. */
struct ending {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct pp_io_op *other;
};

static enum pp_io_next on_ending(struct pp_io_op *op)
{
    struct ending *ending = container_of(op, struct ending, op);

    pp_io_cancel(ending->loop, ending->other);
    return PP_IO_DISARM;
}

static void each_may_be_canceled_in_the_callback_of_another(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        struct test_probe *probe = test_probe(f);
        struct ending *ending = test_new(f, sizeof(*ending));

        *ending = (struct ending){ .loop = loop, .other = &probe->op };
        waiters[i].start(f, loop, &probe->op, test_probe_once);
        pp_io_timer(loop, &ending->op, pp_clock_now_ns() + PP_NS_PER_MS, on_ending);
        test_run(loop);
        assert_canceled(waiters[i].name, probe);
    }
}

/* ---- operations that do not wait --------------------------------------------------------- */

static void canceling_an_idle_op_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *never = test_probe(f);
    struct test_probe *before = test_probe(f);

    pp_io_cancel(loop, &never->op);
    pp_io_timer(loop, &before->op, 0, test_probe_once);
    test_run(loop);
    pp_io_cancel(loop, &before->op);
    test_poll(loop);
    test_run(loop);
    assert_int_equal(never->calls, 0);
    assert_false(pp_io_is_armed(&never->op));
    assert_int_equal(before->calls, 1);
    assert_int_equal(before->res, 0);
    assert_false(pp_io_is_armed(&before->op));
}

static enum pp_io_next on_cancel_self(struct pp_io_op *op)
{
    struct ending *ending = container_of(op, struct ending, op);

    pp_io_cancel(ending->loop, op);
    return PP_IO_DISARM;
}

static void canceling_an_op_in_its_own_callback_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct ending *ending = test_new(f, sizeof(*ending));

    ending->loop = test_loop(f);
    pp_io_timer(ending->loop, &ending->op, 0, on_cancel_self);
    test_run(ending->loop);
    assert_false(pp_io_is_armed(&ending->op));
}

#define RIVALS 8

/* Each that completes cancels all the others. */
struct rival {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct rival *all;
    int calls;
    bool was_done; /* when it was cancelled */
    int32_t res;
    char buf[4];
};

static enum pp_io_next on_rival(struct pp_io_op *op)
{
    struct rival *rival = container_of(op, struct rival, op);

    rival->calls++;
    rival->res = op->res;
    for (int i = 0; i < RIVALS; i++) {
        if (rival->all[i].op.state == PP_IO_DONE)
            rival->all[i].was_done = true;
        pp_io_cancel(rival->loop, &rival->all[i].op);
    }
    return PP_IO_DISARM;
}

static void an_op_that_is_done_keeps_its_own_result(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct rival *all = test_new(f, RIVALS * sizeof(*all));
    struct test_pair pairs[RIVALS];

    for (int i = 0; i < RIVALS; i++) {
        pairs[i] = test_pair(AF_INET);
        test_write(pairs[i].far, "ping", 4);
        all[i] = (struct rival){ .loop = loop, .all = all };
        pp_io_recv(loop, &all[i].op, pairs[i].near, all[i].buf, 4, on_rival);
    }
    test_run(loop);
    for (int i = 0; i < RIVALS; i++) {
        assert_int_equal(all[i].calls, 1);
        if (all[i].was_done)
            assert_int_equal(all[i].res, 4);
        if (all[i].res == 4)
            assert_memory_equal(all[i].buf, "ping", 4);
        else
            test_read_text(pairs[i].near, "ping"); /* what it did not take is still there */
    }
}

/* ---- nothing is lost --------------------------------------------------------------------- */

#define ROUNDS 300

/* Receives one after the other, most of them cancelled while bytes are on their way. */
struct interrupted {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    bool pooled;
    int fd;
    int calls;
    uint64_t bytes;
    bool wrong;
    int32_t error; /* other than -ECANCELED */
    char buf[16];
};

static enum pp_io_next on_interrupted(struct pp_io_op *op)
{
    struct interrupted *t = container_of(op, struct interrupted, op);
    const char *data = t->pooled ? op->buf : t->buf;

    t->calls++;
    if (op->res <= 0) {
        if (op->res != -ECANCELED)
            t->error = op->res == 0 ? -EPIPE : op->res;
        return PP_IO_DISARM;
    }
    t->wrong |= !test_pattern_matches(data, t->bytes, (size_t)op->res);
    t->bytes += (uint64_t)op->res;
    if (t->pooled)
        pp_io_buffer_put(t->loop, op->buf);
    return PP_IO_DISARM;
}

static void interrupted_start(struct interrupted *t)
{
    if (t->pooled)
        pp_io_recv_pooled(t->loop, &t->op, t->fd, on_interrupted);
    else
        pp_io_recv(t->loop, &t->op, t->fd, t->buf, sizeof(t->buf), on_interrupted);
}

/* The bytes come before the start, between start and cancel with or without a look at the kernel,
 * or after the cancel. */
static void interrupted_round(struct interrupted *t, int far, int round)
{
    char data[7];

    test_pattern_fill(data, (uint64_t)round * sizeof(data), sizeof(data));
    if (round % 4 == 0)
        test_write(far, data, sizeof(data));
    interrupted_start(t);
    if (round % 3 != 0)
        test_poll(t->loop);
    if (round % 4 == 1 || round % 4 == 2)
        test_write(far, data, sizeof(data));
    if (round % 4 == 2)
        assert_int_equal(pp_io_loop_poll(t->loop), 0);
    pp_io_cancel(t->loop, &t->op);
    if (round % 4 == 3)
        test_write(far, data, sizeof(data));
    test_run_until(t->loop, &t->calls, round + 1);
    assert_int_equal(t->calls, round + 1);
}

static void check_that_nothing_is_lost(struct fixture *f, bool pooled)
{
    struct interrupted *t = test_new(f, sizeof(*t));
    const struct test_pair pair = test_pair(AF_INET);

    *t = (struct interrupted){ .loop = test_loop(f), .pooled = pooled, .fd = pair.near };
    for (int round = 0; round < ROUNDS; round++)
        interrupted_round(t, pair.far, round);
    while (t->bytes < ROUNDS * 7 && t->error == 0) {
        interrupted_start(t);
        test_run(t->loop);
    }
    assert_int_equal(t->error, 0);
    assert_false(t->wrong);
    assert_int_equal(t->bytes, ROUNDS * 7);
    test_far_close(pair.far);
    interrupted_start(t);
    test_run(t->loop);
    assert_int_equal(t->error, -EPIPE); /* the end of the stream, and no byte twice */
}

static void cancel_and_restart_of_a_receive_loses_no_byte(void **state)
{
    check_that_nothing_is_lost(*state, false);
}

static void cancel_and_restart_of_a_pooled_receive_loses_no_byte(void **state)
{
    check_that_nothing_is_lost(*state, true);
}

/* The sum of what the sends said is what the peer reads. */
static void a_canceled_send_says_how_much_went_out(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const uint32_t len = 4 * 1024 * 1024;
    char *data = test_new(f, len);
    const struct test_pair pair = test_pair(AF_INET);
    const struct test_sink *sink;
    uint64_t sent = 0;

    test_pattern_fill(data, 0, len);
    test_shrink_send_buffer(pair.near);
    for (int i = 0; i < 8; i++) {
        struct test_probe *probe = test_probe(f);

        pp_io_send(loop, &probe->op, pair.near, data + sent, (uint32_t)(len - sent),
                   test_probe_once);
        if (i % 2 == 0)
            test_poll(loop);
        pp_io_cancel(loop, &probe->op);
        test_run(loop);
        assert_int_equal(probe->calls, 1);
        if (probe->res > 0)
            sent += (uint64_t)probe->res;
        else
            assert_int_equal(probe->res, -ECANCELED);
    }
    test_far_shutdown(pair.near);
    sink = test_sink(f, loop, pair.far);
    test_run(loop);
    test_sink_has(sink, sent);
}

static void a_canceled_accept_loses_no_connection(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 64, &addr);
    int accepted = 0;

    for (int i = 0; i < 40; i++) {
        struct test_probe *probe = test_probe(f);

        pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
        if (i % 3 != 0)
            test_poll(loop);
        (void)test_connect(&addr);
        pp_io_cancel(loop, &probe->op);
        test_run(loop);
        accepted += probe->res >= 0;
        assert_true(probe->res >= 0 || probe->res == -ECANCELED);
    }
    while (accepted < 40) { /* hangs, if one is lost */
        struct test_probe *probe = test_probe(f);

        pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
        test_run(loop);
        assert_true(probe->res >= 0);
        accepted++;
    }
}

/* A descriptor whose operations were cancelled is as good as before. */
static void after_a_cancel_the_connection_goes_on(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, 100);

    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_poll(loop);
    pp_io_cancel(loop, &probe->op);
    test_run(loop);
    assert_int_equal(probe->res, -ECANCELED);
    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    test_run(loop);
    test_pinger_is_well(pinger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_that_waits_completes_with_ecanceled),
        TEST(each_may_be_canceled_before_the_loop_runs),
        TEST(canceling_twice_completes_once),
        TEST(all_at_once_complete_all),
        TEST(each_may_be_freed_in_the_callback_of_its_cancel),
        TEST(each_may_be_canceled_in_the_callback_of_another),
        TEST(canceling_an_idle_op_does_nothing),
        TEST(canceling_an_op_in_its_own_callback_does_nothing),
        TEST(an_op_that_is_done_keeps_its_own_result),
        TEST(cancel_and_restart_of_a_receive_loses_no_byte),
        TEST(cancel_and_restart_of_a_pooled_receive_loses_no_byte),
        TEST(a_canceled_send_says_how_much_went_out),
        TEST(a_canceled_accept_loses_no_connection),
        TEST(after_a_cancel_the_connection_goes_on),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
