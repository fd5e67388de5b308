/* The two classes of receive buffers: a stream that fills small ones goes over to large ones, in
 * mid stream and back again, and no byte is lost or out of place; neither class waits for the
 * other. */
#include "support.h"

#include <unistd.h>

#define SMALL 8
#define SMALL_BYTES 256
#define LARGE 4
#define LARGE_BYTES 65536
#define STREAM_BYTES (1024 * 1024)

static struct pp_io_loop *both_loop(struct fixture *f)
{
    return test_loop_with(f, (struct pp_io_options){ .buffers = SMALL,
                                                     .buffer_bytes = SMALL_BYTES,
                                                     .large_buffers = LARGE,
                                                     .large_buffer_bytes = LARGE_BYTES });
}

/* Receives the pattern. It keeps its buffers if it has a limit of them, and then stops. */
struct taker {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    uint64_t bytes;
    int calls, kept, limit;
    int32_t first, last, longest; /* results */
    int class_calls;              /* it changes its class after so many; 0: never */
    bool wrong, done;
    char *bufs[SMALL + LARGE];
};

static enum pp_io_next on_taken(struct pp_io_op *op);

/* The next receive, and now and then with buffers of the other class. */
static enum pp_io_next take_next(struct taker *t)
{
    if (t->class_calls == 0 || t->calls % t->class_calls != 0)
        return PP_IO_REARM;
    t->op.large = !t->op.large;
    pp_io_recv_pooled(t->loop, &t->op, t->op.fd, on_taken);
    return PP_IO_DISARM;
}

static enum pp_io_next on_taken(struct pp_io_op *op)
{
    struct taker *t = container_of(op, struct taker, op);

    t->last = op->res;
    if (t->calls++ == 0)
        t->first = op->res;
    if (op->res <= 0) {
        t->done = true;
        return PP_IO_DISARM;
    }
    if (op->res > t->longest)
        t->longest = op->res;
    t->wrong |= !test_pattern_matches(op->buf, t->bytes, (size_t)op->res);
    t->bytes += (uint64_t)op->res;
    if (t->limit == 0) {
        pp_io_buffer_put(t->loop, op->buf);
        return take_next(t);
    }
    t->bufs[t->kept++] = op->buf;
    return t->kept < t->limit ? PP_IO_REARM : PP_IO_DISARM;
}

static struct taker *taker_new(struct fixture *f, struct pp_io_loop *loop)
{
    struct taker *t = test_new(f, sizeof(*t));

    t->loop = loop;
    return t;
}

static void take(struct taker *t, int fd)
{
    pp_io_recv_pooled(t->loop, &t->op, fd, on_taken);
}

static struct taker *taker_start(struct fixture *f, struct pp_io_loop *loop, int fd, bool large)
{
    struct taker *t = taker_new(f, loop);

    t->op.large = large;
    take(t, fd);
    return t;
}

/* One that keeps what it gets, up to limit buffers. */
static struct taker *keeper_start(struct fixture *f, struct pp_io_loop *loop, int fd, bool large,
                                  int limit)
{
    struct taker *t = taker_new(f, loop);

    t->limit = limit;
    t->op.large = large;
    take(t, fd);
    return t;
}

static void put_all(struct taker *t)
{
    while (t->kept > 0)
        pp_io_buffer_put(t->loop, t->bufs[--t->kept]);
}

static void assert_whole(const struct taker *t, uint64_t bytes)
{
    assert_true(t->done);
    assert_int_equal(t->last, 0);
    assert_false(t->wrong);
    assert_int_equal(t->bytes, bytes);
}

static void write_pattern(struct fixture *f, int fd, uint64_t position, size_t bytes)
{
    char *data = test_new(f, bytes);

    test_pattern_fill(data, position, bytes);
    test_write(fd, data, bytes);
}

static struct test_pair nonblocking_pair(void)
{
    const struct test_pair pair = test_pair(AF_INET);

    return pair;
}

/* ---- going over -------------------------------------------------------------------------- */

static void a_long_stream_goes_over_to_large_buffers(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = nonblocking_pair();
    const struct taker *t = taker_start(f, loop, pair.near, false);

    (void)test_source(f, loop, pair.far, STREAM_BYTES);
    test_run(loop);
    assert_whole(t, STREAM_BYTES);
    assert_int_equal(t->first, SMALL_BYTES);
    assert_true(t->longest > SMALL_BYTES);
    assert_true(t->op.large);
}

static void short_messages_stay_in_small_buffers(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct taker *t = taker_start(f, loop, pair.near, false);

    for (int i = 0; i < 100; i++) {
        write_pattern(f, pair.far, t->bytes, SMALL_BYTES - 1);
        test_run_until(loop, &t->calls, i + 1);
    }
    assert_false(t->wrong);
    assert_false(t->op.large);
}

static void an_operation_may_be_large_from_the_start(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const struct taker *t;

    write_pattern(f, pair.far, 0, 10000);
    t = taker_start(f, loop, pair.near, true);
    test_run_until(loop, &t->calls, 1);
    assert_int_equal(t->first, 10000);
    assert_false(t->wrong);
}

static void an_operation_stays_large_over_rearm(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const struct taker *t = taker_start(f, loop, pair.near, false);

    write_pattern(f, pair.far, 0, SMALL_BYTES);
    test_run_until(loop, &t->calls, 1);
    for (int i = 0; i < 10; i++) {
        test_poll(loop); /* the receive waits in a large buffer now */
        write_pattern(f, pair.far, t->bytes, i % 2 == 0 ? 1 : 10000);
        test_run_until(loop, &t->calls, i + 2);
        assert_int_equal(t->last, i % 2 == 0 ? 1 : 10000);
    }
    assert_false(t->wrong);
}

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    (void)op;
    return PP_IO_DISARM;
}

static void a_lazy_send_does_not_make_the_next_receive_large(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct taker *t = taker_new(f, loop);
    struct test_probe *timer = test_probe(f);

    t->limit = 1;
    pp_io_send(loop, &t->op, pair.near, "ping", 4, on_sent);
    t->op.lazy = true;
    pp_io_timer(loop, &timer->op, 0, test_probe_once);
    test_run(loop);
    assert_false(pp_io_is_armed(&t->op));
    write_pattern(f, pair.far, 0, 10000);
    take(t, pair.near);
    test_run(loop);
    assert_int_equal(t->last, SMALL_BYTES);
}

static void without_large_buffers_small_ones_serve_all(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop =
        test_loop_with(f, (struct pp_io_options){ .buffers = SMALL, .buffer_bytes = SMALL_BYTES });
    const struct test_pair pair = nonblocking_pair();
    const struct taker *t = taker_start(f, loop, pair.near, true);

    (void)test_source(f, loop, pair.far, STREAM_BYTES);
    test_run(loop);
    assert_whole(t, STREAM_BYTES);
    assert_int_equal(t->longest, SMALL_BYTES);
    assert_int_equal(pp_io_loop_buffers(loop), SMALL);
}

static void the_loop_has_as_many_buffers_as_both_classes(void **state)
{
    assert_int_equal(pp_io_loop_buffers(both_loop(*state)), SMALL + LARGE);
}

/* ---- changing in mid-stream -------------------------------------------------------------- */

/* Both ends send and receive at once, and change their class after each class_calls receives. */
static void check_changing(struct fixture *f, int class_calls)
{
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = nonblocking_pair();
    struct taker *takers[] = { taker_new(f, loop), taker_new(f, loop) };

    takers[0]->class_calls = class_calls;
    takers[1]->class_calls = class_calls;
    take(takers[0], pair.near);
    take(takers[1], pair.far);
    (void)test_source(f, loop, pair.far, STREAM_BYTES);
    (void)test_source(f, loop, pair.near, STREAM_BYTES);
    test_run(loop);
    assert_whole(takers[0], STREAM_BYTES);
    assert_whole(takers[1], STREAM_BYTES);
}

static void two_way_traffic_is_intact_while_both_ends_go_over(void **state)
{
    check_changing(*state, 0);
}

static void two_way_traffic_is_intact_when_each_receive_changes_class(void **state)
{
    check_changing(*state, 1);
}

static void two_way_traffic_is_intact_when_some_receives_change_class(void **state)
{
    check_changing(*state, 7);
}

/* An engine that receives ahead has small buffers in its hands when the owner asks for large. */
static void what_was_received_before_a_change_comes_before_what_comes_after(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct taker *t = taker_new(f, loop);
    uint64_t written = 0;

    for (int i = 0; i < 100; i++) {
        const size_t bytes = i % 3 == 0 ? 10 * SMALL_BYTES : 100;

        write_pattern(f, pair.far, written, bytes);
        written += bytes;
        t->limit = 1; /* one receive, and then it leaves the stream alone for some turns */
        t->op.large = i % 2 == 1;
        take(t, pair.near);
        test_run(loop);
        put_all(t);
        test_poll(loop);
    }
    t->limit = 0;
    test_far_close(pair.far);
    take(t, pair.near);
    test_run(loop);
    assert_whole(t, written);
}

static void a_change_that_is_canceled_loses_no_byte(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct taker *t = taker_new(f, loop);
    uint64_t written = 0;

    for (int i = 0; i < 50; i++) {
        t->op.large = i % 2 == 1;
        take(t, pair.near);
        if (i % 3 == 0)
            test_poll(loop);
        write_pattern(f, pair.far, written, 1000);
        written += 1000;
        if (i % 4 == 0)
            test_poll(loop);
        pp_io_cancel(loop, &t->op);
        t->limit = t->kept + 1; /* whatever it still brings is the last */
        test_run(loop);
        put_all(t);
    }
    t->limit = 0;
    test_far_close(pair.far);
    take(t, pair.near);
    test_run(loop);
    assert_whole(t, written);
}

/* ---- when one class is out --------------------------------------------------------------- */

/* All buffers of a class are out. Returns who has them. */
static struct taker *take_out(struct fixture *f, struct pp_io_loop *loop, bool large)
{
    const int count = large ? LARGE : SMALL;
    struct taker *t = taker_new(f, loop);

    t->limit = SMALL + LARGE;
    for (int i = 0; i < count; i++) {
        const struct test_pair pair = test_pair(AF_INET);

        t->op.large = large;
        t->bytes = 0;
        write_pattern(f, pair.far, 0, 10);
        take(t, pair.near);
        test_run_until(loop, &t->calls, i + 1);
        pp_io_cancel(loop, &t->op);
        test_run(loop);
        t->calls = i + 1; /* without that of the cancellation */
    }
    assert_int_equal(t->kept, count);
    return t;
}

/* One receive waits for a class that is out, while the other class serves a conversation of many
 * rounds: each takes so many turns as it would alone. */
static void check_starving(struct fixture *f, bool large)
{
    struct pp_io_loop *loop = both_loop(f);
    struct taker *out = take_out(f, loop, large);
    const struct test_pair waiting = test_pair(AF_INET);
    const struct test_pair busy = test_pair(AF_INET);
    struct taker *hungry;
    struct taker *fed;
    struct pp_io_stats before;
    struct pp_io_stats spent;

    write_pattern(f, waiting.far, 0, 10);
    hungry = keeper_start(f, loop, waiting.near, large, 1);
    fed = taker_start(f, loop, busy.near, !large);
    test_poll(loop);
    assert_int_equal(hungry->calls, 0);
    assert_true(pp_io_loop_has_starved(loop));
    before = pp_io_loop_stats(loop);
    for (int i = 0; i < 100; i++) {
        write_pattern(f, busy.far, fed->bytes, 10);
        test_run_until(loop, &fed->calls, i + 1);
    }
    spent = pp_io_loop_stats(loop);
    spent = pp_io_stats_between(&before, &spent);
    assert_in_range(spent.syscalls, 1, 500);
    assert_in_range(spent.turns, 100, 300);
    assert_int_equal(spent.starved, 0);
    assert_int_equal(hungry->calls, 0);
    put_all(out);
    test_run_until(loop, &hungry->calls, 1);
    assert_int_equal(hungry->last, 10);
    assert_false(pp_io_loop_has_starved(loop));
}

static void who_waits_for_a_large_buffer_rests_while_small_ones_are_free(void **state)
{
    check_starving(*state, true);
}

static void who_waits_for_a_small_buffer_rests_while_large_ones_are_free(void **state)
{
    check_starving(*state, false);
}

static void a_loop_in_want_of_large_buffers_sleeps(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *timer = test_probe(f);
    const struct taker *hungry;
    struct pp_io_stats before;
    struct pp_io_stats spent;

    (void)take_out(f, loop, true);
    write_pattern(f, pair.far, 0, 10);
    hungry = keeper_start(f, loop, pair.near, true, 1);
    test_poll(loop);
    before = pp_io_loop_stats(loop);
    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + 20 * PP_NS_PER_MS, test_probe_once);
    test_run_until(loop, &timer->calls, 1);
    spent = pp_io_loop_stats(loop);
    spent = pp_io_stats_between(&before, &spent);
    assert_in_range(spent.turns, 1, 5);
    assert_int_equal(hungry->calls, 0);
}

static void a_canceled_wait_for_a_large_buffer_loses_no_byte(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct taker *out = take_out(f, loop, true);
    struct taker *hungry;

    write_pattern(f, pair.far, 0, 1000);
    hungry = keeper_start(f, loop, pair.near, true, 1);
    test_poll(loop);
    pp_io_cancel(loop, &hungry->op);
    test_run(loop);
    assert_int_equal(hungry->last, -ECANCELED);
    put_all(out);
    take(hungry, pair.near);
    test_run(loop);
    assert_int_equal(hungry->last, 1000);
    assert_false(hungry->wrong);
}

static void many_streams_at_once_through_few_buffers_are_intact(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);
    const struct taker *takers[3 * LARGE];

    for (size_t i = 0; i < COUNT_OF(takers); i++) {
        const struct test_pair pair = nonblocking_pair();

        takers[i] = taker_start(f, loop, pair.near, i % 3 == 0);
        (void)test_source(f, loop, pair.far, STREAM_BYTES / 4);
    }
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(takers); i++)
        assert_whole(takers[i], STREAM_BYTES / 4);
}

/* ---- none is lost ------------------------------------------------------------------------ */

static void closing_in_mid_stream_loses_no_buffer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);

    for (int i = 0; i < 10 * (SMALL + LARGE); i++) {
        const struct test_pair pair = test_pair(AF_INET);
        struct taker *t = keeper_start(f, loop, pair.near, i % 4 == 0, 1);

        write_pattern(f, pair.far, 0, 10 * SMALL_BYTES);
        test_run(loop);
        put_all(t);
        if (i % 2 == 0) { /* a change is under way */
            t->op.large = !t->op.large;
            take(t, pair.near);
            write_pattern(f, pair.far, 10 * SMALL_BYTES, 10);
            test_run(loop);
            put_all(t);
        }
        if (i % 3 == 0)
            test_poll(loop);
        test_close(f, loop, pair.near);
    }
    put_all(take_out(f, loop, true)); /* hangs, if one is missing */
    put_all(take_out(f, loop, false));
}

static void no_class_can_be_had_by_a_stream_that_nobody_reads(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = both_loop(f);

    for (int large = 0; large < 2; large++) {
        const struct test_pair lazy = test_pair(AF_INET);
        const struct test_pair busy = nonblocking_pair();
        struct taker *t = keeper_start(f, loop, lazy.near, large, 1);
        const struct taker *other;

        for (int i = 0; i < 20; i++) {
            write_pattern(f, lazy.far, (uint64_t)i * 4 * SMALL_BYTES, (size_t)4 * SMALL_BYTES);
            test_poll(loop);
        }
        put_all(t);
        other = taker_start(f, loop, busy.near, large);
        (void)test_source(f, loop, busy.far, STREAM_BYTES);
        while (!other->done)
            assert_int_equal(pp_io_loop_run_once(loop), 0);
        assert_whole(other, STREAM_BYTES);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_long_stream_goes_over_to_large_buffers),
        TEST(short_messages_stay_in_small_buffers),
        TEST(an_operation_may_be_large_from_the_start),
        TEST(an_operation_stays_large_over_rearm),
        TEST(a_lazy_send_does_not_make_the_next_receive_large),
        TEST(without_large_buffers_small_ones_serve_all),
        TEST(the_loop_has_as_many_buffers_as_both_classes),
        TEST(two_way_traffic_is_intact_while_both_ends_go_over),
        TEST(two_way_traffic_is_intact_when_each_receive_changes_class),
        TEST(two_way_traffic_is_intact_when_some_receives_change_class),
        TEST(what_was_received_before_a_change_comes_before_what_comes_after),
        TEST(a_change_that_is_canceled_loses_no_byte),
        TEST(who_waits_for_a_large_buffer_rests_while_small_ones_are_free),
        TEST(who_waits_for_a_small_buffer_rests_while_large_ones_are_free),
        TEST(a_loop_in_want_of_large_buffers_sleeps),
        TEST(a_canceled_wait_for_a_large_buffer_loses_no_byte),
        TEST(many_streams_at_once_through_few_buffers_are_intact),
        TEST(closing_in_mid_stream_loses_no_buffer),
        TEST(no_class_can_be_had_by_a_stream_that_nobody_reads),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
