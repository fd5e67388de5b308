/* What an owner of operations and buffers has promised. Whoever breaks it is told at once, and not
 * by what goes wrong later: the program ends. */
#include "support.h"

static enum pp_io_next rearm_once(struct pp_io_op *op)
{
    struct test_probe *probe = container_of(op, struct test_probe, op);

    return probe->calls++ == 0 ? PP_IO_REARM : PP_IO_DISARM;
}

static void start_twice(struct fixture *f)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);

    pp_io_timer(loop, &probe->op, UINT64_MAX - 1, test_probe_once);
    pp_io_timer(loop, &probe->op, UINT64_MAX - 1, test_probe_once);
}

static void start_what_has_completed(struct fixture *f)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);

    pp_io_recv_pooled(loop, &probe->op, -1, test_probe_once);
    pp_io_recv_pooled(loop, &probe->op, -1, test_probe_once);
}

static void start_what_is_being_canceled(struct fixture *f)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);

    pp_io_recv_pooled(loop, &probe->op, test_pair(AF_INET).near, test_probe_once);
    test_poll(loop);
    pp_io_cancel(loop, &probe->op);
    pp_io_recv_pooled(loop, &probe->op, test_pair(AF_INET).near, test_probe_once);
}

static void an_operation_is_started_only_when_it_is_idle(void **state)
{
    assert_true(test_aborts(start_twice, *state));
    assert_true(test_aborts(start_what_has_completed, *state));
    assert_true(test_aborts(start_what_is_being_canceled, *state));
}

struct restart {
    struct pp_io_op op;
    struct pp_io_loop *loop;
};

static enum pp_io_next restart_and_rearm(struct pp_io_op *op)
{
    pp_io_timer(container_of(op, struct restart, op)->loop, op, UINT64_MAX - 1, restart_and_rearm);
    return PP_IO_REARM;
}

static void start_anew_and_rearm(struct fixture *f)
{
    struct restart *restart = test_new(f, sizeof *restart);

    restart->loop = test_loop(f);
    pp_io_timer(restart->loop, &restart->op, 0, restart_and_rearm);
    test_run(restart->loop);
}

static void rearm_with_nothing_left(struct fixture *f)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);

    pp_io_send(loop, &probe->op, test_pair(AF_INET).near, "", 0, rearm_once);
    test_run(loop);
}

static void a_callback_rearms_what_it_has_not_started_and_is_not_done_with(void **state)
{
    assert_true(test_aborts(start_anew_and_rearm, *state));
    assert_true(test_aborts(rearm_with_nothing_left, *state));
}

static void count_in_more_than_was_asked_for(struct fixture *f)
{
    struct test_probe *probe = test_probe(f);

    probe->op.len = 4;
    probe->op.res = 5;
    (void)pp_io_advance(&probe->op);
}

static void no_more_is_counted_in_than_was_asked_for(void **state)
{
    assert_true(test_aborts(count_in_more_than_was_asked_for, *state));
}

/* A buffer of loop's that holds something. */
static char *filled_buffer(struct fixture *f, struct pp_io_loop *loop)
{
    struct test_probe *probe = test_probe(f);
    const struct test_pair pair = test_pair(AF_INET);

    test_write(pair.far, "ping", 4);
    pp_io_recv_pooled(loop, &probe->op, pair.near, test_probe_once);
    test_run_until(loop, &probe->calls, 1);
    return probe->op.buf;
}

static void put_twice(struct fixture *f)
{
    struct pp_io_loop *loop = test_loop(f);
    char *buf = filled_buffer(f, loop);

    pp_io_buffer_put(loop, buf);
    pp_io_buffer_put(loop, buf);
}

static void put_what_is_in_the_middle_of_one(struct fixture *f)
{
    struct pp_io_loop *loop = test_loop(f);

    pp_io_buffer_put(loop, filled_buffer(f, loop) + 8);
}

static void put_what_is_another_loops(struct fixture *f)
{
    pp_io_buffer_put(test_loop(f), filled_buffer(f, test_loop(f)));
}

static void a_buffer_goes_back_once_and_whole_and_to_its_loop(void **state)
{
    assert_true(test_aborts(put_twice, *state));
    assert_true(test_aborts(put_what_is_in_the_middle_of_one, *state));
    assert_true(test_aborts(put_what_is_another_loops, *state));
}

static void receive_from_without_buffers(struct fixture *f)
{
    pp_io_recv_from(test_loop(f), &test_probe(f)->op, 0, test_probe_once);
}

static void a_loop_without_buffers_for_datagrams_receives_none(void **state)
{
    assert_true(test_aborts(receive_from_without_buffers, *state));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_operation_is_started_only_when_it_is_idle),
        TEST(a_callback_rearms_what_it_has_not_started_and_is_not_done_with),
        TEST(no_more_is_counted_in_than_was_asked_for),
        TEST(a_buffer_goes_back_once_and_whole_and_to_its_loop),
        TEST(a_loop_without_buffers_for_datagrams_receives_none),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
