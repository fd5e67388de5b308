/* What holds for every kind of operation alike. */
#include "io/sender.h"
#include "support.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Starts op so that it will complete well, with what it needs for that. */
typedef void starter(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op, pp_io_cb *cb);

static void start_accept(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                         pp_io_cb *cb)
{
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 1, &addr);

    (void)f;
    (void)test_connect(&addr);
    pp_io_accept(loop, op, listen_fd, cb);
}

static void start_connect(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                          pp_io_cb *cb)
{
    struct pp_io_addr *addr = test_new(f, sizeof(*addr));

    (void)test_listen(AF_INET, 1, addr);
    pp_io_connect(loop, op, test_socket(AF_INET), &addr->any, addr->len, cb);
}

static void start_recv(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                       pp_io_cb *cb)
{
    const struct test_pair pair = test_pair(AF_INET);

    test_write(pair.far, "ping", 4);
    pp_io_recv(loop, op, pair.near, test_new(f, 16), 16, cb);
}

static void start_recv_pooled(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                              pp_io_cb *cb)
{
    const struct test_pair pair = test_pair(AF_INET);

    (void)f;
    test_write(pair.far, "ping", 4);
    pp_io_recv_pooled(loop, op, pair.near, cb);
}

static void start_send(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                       pp_io_cb *cb)
{
    (void)f;
    pp_io_send(loop, op, test_pair(AF_INET).near, "ping", 4, cb);
}

static void start_shutdown(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                           pp_io_cb *cb)
{
    (void)f;
    pp_io_shutdown(loop, op, test_pair(AF_INET).near, cb);
}

static void start_close(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                        pp_io_cb *cb)
{
    (void)f;
    pp_io_close(loop, op, test_pair(AF_INET).near, cb);
}

static void start_timer(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                        pp_io_cb *cb)
{
    (void)f;
    pp_io_timer(loop, op, pp_clock_now_ns(), cb);
}

static void start_wake(struct fixture *f, struct pp_io_loop *loop, struct pp_io_op *op,
                       pp_io_cb *cb)
{
    (void)f;
    pp_io_wake_wait(loop, op, cb);
    pp_io_wake(loop, op);
}

#define ANY_FD (-1) /* res is a new descriptor */

static const struct {
    const char *name;
    starter *start;
    int32_t res;
} kinds[] = {
    { "accept", start_accept, ANY_FD }, { "connect", start_connect, 0 },
    { "recv", start_recv, 4 },          { "recv pooled", start_recv_pooled, 4 },
    { "send", start_send, 4 },          { "shutdown", start_shutdown, 0 },
    { "close", start_close, 0 },        { "timer", start_timer, 0 },
    { "wake", start_wake, 0 },
};

static void check_res(const char *name, int32_t res, int32_t wanted)
{
    test_equal(name, wanted == ANY_FD ? (test_fd_is_open(res) ? ANY_FD : res) : res, wanted);
}

static void each_completes_once_with_its_result(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct test_probe *probe = test_probe(f);

        kinds[i].start(f, loop, &probe->op, test_probe_once);
        test_run(loop);
        test_poll(loop);
        test_equal(kinds[i].name, probe->calls, 1);
        check_res(kinds[i].name, probe->res, kinds[i].res);
    }
}

static void none_calls_back_before_the_loop_runs(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probes[COUNT_OF(kinds)];

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        probes[i] = test_probe(f);
        kinds[i].start(f, loop, &probes[i]->op, test_probe_once);
        assert_true(pp_io_is_armed(&probes[i]->op));
    }
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        test_equal(kinds[i].name, probes[i]->calls, 0);
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        test_equal(kinds[i].name, probes[i]->calls, 1);
}

/* ---- in the callback --------------------------------------------------------------------- */

struct idle_check {
    struct pp_io_op op;
    int calls, armed;
};

static enum pp_io_next on_idle_check(struct pp_io_op *op)
{
    struct idle_check *check = container_of(op, struct idle_check, op);

    check->calls++;
    check->armed += pp_io_is_armed(op);
    return PP_IO_DISARM;
}

static void each_is_idle_in_its_callback_and_after_it(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct idle_check *check = test_new(f, sizeof(*check));

        kinds[i].start(f, loop, &check->op, on_idle_check);
        test_run(loop);
        test_equal(kinds[i].name, check->calls, 1);
        test_equal(kinds[i].name, check->armed, 0);
        assert_false(pp_io_is_armed(&check->op));
    }
}

static void each_may_be_freed_in_its_callback(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        int *calls = test_new(f, sizeof(*calls));
        struct test_doomed *doomed = test_doomed(calls);

        kinds[i].start(f, loop, &doomed->op, test_doomed_once);
        test_run(loop);
        test_poll(loop);
        test_equal(kinds[i].name, *calls, 1);
    }
}

struct twice {
    struct pp_io_op op;
    struct fixture *f;
    struct pp_io_loop *loop;
    starter *second;
    int calls;
    int32_t res[2];
};

static enum pp_io_next on_twice(struct pp_io_op *op)
{
    struct twice *twice = container_of(op, struct twice, op);

    if (twice->calls < 2)
        twice->res[twice->calls] = op->res;
    if (op->kind == PP_IO_RECV_POOLED && op->res > 0)
        pp_io_buffer_put(twice->loop, op->buf);
    if (++twice->calls == 1)
        twice->second(twice->f, twice->loop, op, on_twice);
    return PP_IO_DISARM;
}

static void check_second_start(struct fixture *f, struct pp_io_loop *loop, size_t i, size_t j)
{
    struct twice *twice = test_new(f, sizeof(*twice));
    char name[64];

    (void)snprintf(name, sizeof(name), "%s, then %s", kinds[i].name, kinds[j].name);
    *twice = (struct twice){ .f = f, .loop = loop, .second = kinds[j].start };
    kinds[i].start(f, loop, &twice->op, on_twice);
    test_run(loop);
    test_equal(name, twice->calls, 2);
    check_res(name, twice->res[0], kinds[i].res);
    check_res(name, twice->res[1], kinds[j].res);
}

static void each_may_be_started_anew_as_any_kind_in_its_callback(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        for (size_t j = 0; j < COUNT_OF(kinds); j++)
            check_second_start(f, loop, i, j);
}

/* What fails at once is the strongest temptation to call back at once. */
struct nest {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int depth, deepest, calls;
    char byte;
};

static enum pp_io_next on_nested(struct pp_io_op *op)
{
    struct nest *nest = container_of(op, struct nest, op);

    nest->calls++;
    if (++nest->depth > nest->deepest)
        nest->deepest = nest->depth;
    if (nest->calls < 100)
        pp_io_recv(nest->loop, op, -1, &nest->byte, 1, on_nested);
    nest->depth--;
    return PP_IO_DISARM;
}

static void no_callback_runs_inside_another(void **state)
{
    struct fixture *f = *state;
    struct nest *nest = test_new(f, sizeof(*nest));

    nest->loop = test_loop(f);
    pp_io_recv(nest->loop, &nest->op, -1, &nest->byte, 1, on_nested);
    test_run(nest->loop);
    assert_int_equal(nest->calls, 100);
    assert_int_equal(nest->deepest, 1);
}

/* ---- bad descriptors --------------------------------------------------------------------- */

static void start_on_fd(struct pp_io_loop *loop, struct test_probe *probe, enum pp_io_kind kind,
                        int fd, const struct pp_io_addr *addr)
{
    static alignas(struct pp_io_sender) char datagram[PP_IO_SENDER_BYTES + 4];
    struct pp_io_op *op = &probe->op;

    switch (kind) {
    case PP_IO_ACCEPT:
        pp_io_accept(loop, op, fd, test_probe_once);
        break;
    case PP_IO_CONNECT:
        pp_io_connect(loop, op, fd, &addr->any, addr->len, test_probe_once);
        break;
    case PP_IO_RECV:
        pp_io_recv(loop, op, fd, probe->buf, sizeof(probe->buf), test_probe_once);
        break;
    case PP_IO_RECV_POOLED:
        pp_io_recv_pooled(loop, op, fd, test_probe_once);
        break;
    case PP_IO_RECV_FROM:
        pp_io_recv_from(loop, op, fd, test_probe_once);
        break;
    case PP_IO_SEND:
        pp_io_send(loop, op, fd, "ping", 4, test_probe_once);
        break;
    case PP_IO_SEND_BACK:
        pp_io_send_back(loop, op, fd, datagram + PP_IO_SENDER_BYTES, 4, test_probe_once);
        break;
    case PP_IO_SHUTDOWN:
        pp_io_shutdown(loop, op, fd, test_probe_once);
        break;
    case PP_IO_CLOSE:
        pp_io_close(loop, op, fd, test_probe_once);
        break;
    case PP_IO_TIMER:
    case PP_IO_WAKE:
    case PP_IO_WATCH:
        fail_msg("kind %d has no descriptor", (int)kind);
    }
}

static const struct {
    const char *name;
    enum pp_io_kind kind;
} fd_kinds[] = {
    { "accept", PP_IO_ACCEPT },       { "connect", PP_IO_CONNECT },
    { "recv", PP_IO_RECV },           { "recv pooled", PP_IO_RECV_POOLED },
    { "recv from", PP_IO_RECV_FROM }, { "send", PP_IO_SEND },
    { "send back", PP_IO_SEND_BACK }, { "shutdown", PP_IO_SHUTDOWN },
    { "close", PP_IO_CLOSE },
};

/* All kinds but the last, which is close. */
#define SOCKET_KINDS (COUNT_OF(fd_kinds) - 1)

static void check_that_all_fail(struct fixture *f, int fd, size_t kind_count, int32_t wanted)
{
    struct pp_io_loop *loop =
        test_loop_with(f, (struct pp_io_options){ .datagram_buffers = 1, .datagram_bytes = 1024 });
    struct pp_io_addr addr;

    (void)test_listen(AF_INET, 1, &addr);
    for (size_t i = 0; i < kind_count; i++) {
        struct test_probe *probe = test_probe(f);

        start_on_fd(loop, probe, fd_kinds[i].kind, fd, &addr);
        test_equal(fd_kinds[i].name, probe->calls, 0);
        test_run(loop);
        test_equal(fd_kinds[i].name, probe->calls, 1);
        test_equal(fd_kinds[i].name, probe->res, wanted);
    }
    test_loop_close(f, loop);
}

static void a_negative_descriptor_completes_with_ebadf(void **state)
{
    check_that_all_fail(*state, -1, COUNT_OF(fd_kinds), -EBADF);
}

static void a_descriptor_beyond_any_limit_completes_with_ebadf(void **state)
{
    check_that_all_fail(*state, 1000000000, COUNT_OF(fd_kinds), -EBADF);
    check_that_all_fail(*state, INT_MAX, COUNT_OF(fd_kinds), -EBADF);
}

static void a_closed_descriptor_completes_with_ebadf(void **state)
{
    /* High enough that the loop and its listeners get other numbers. */
    check_that_all_fail(*state, 200, COUNT_OF(fd_kinds), -EBADF);
}

static void a_descriptor_that_is_no_socket_completes_with_enotsock(void **state)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(close(fds[1]), 0); /* an edge, for engines that wait for one before they try */
    check_that_all_fail(*state, fds[0], SOCKET_KINDS, -ENOTSOCK);
}

static void a_socket_without_a_connection_completes_with_enotconn(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const int fd = test_socket(AF_INET);
    struct test_probe *recv_probe = test_probe(f);
    struct test_probe *shutdown_probe = test_probe(f);

    pp_io_recv(loop, &recv_probe->op, fd, recv_probe->buf, 1, test_probe_once);
    pp_io_shutdown(loop, &shutdown_probe->op, fd, test_probe_once);
    test_run(loop);
    assert_int_equal(recv_probe->res, -ENOTCONN);
    assert_int_equal(shutdown_probe->res, -ENOTCONN);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(each_completes_once_with_its_result),
        TEST(none_calls_back_before_the_loop_runs),
        TEST(each_is_idle_in_its_callback_and_after_it),
        TEST(each_may_be_freed_in_its_callback),
        TEST(each_may_be_started_anew_as_any_kind_in_its_callback),
        TEST(no_callback_runs_inside_another),
        TEST(a_negative_descriptor_completes_with_ebadf),
        TEST(a_descriptor_beyond_any_limit_completes_with_ebadf),
        TEST(a_closed_descriptor_completes_with_ebadf),
        TEST(a_descriptor_that_is_no_socket_completes_with_enotsock),
        TEST(a_socket_without_a_connection_completes_with_enotconn),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
