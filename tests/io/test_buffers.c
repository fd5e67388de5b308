/* Pooled receives: buffers are taken only for bytes that have come, none is lost, and neither is a
 * byte, however few buffers there are. */
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

#define BUFFERS 4
#define BUFFER_BYTES 64
#define STREAM_BYTES 65536

static struct pp_io_loop *small_loop(struct fixture *f)
{
    return test_loop_with(
        f, (struct pp_io_options){ .buffers = BUFFERS, .buffer_bytes = BUFFER_BYTES });
}

/* Receives the pattern and keeps the buffers, until it is told to give them back. */
struct keeper {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    uint64_t bytes;
    int calls, kept, limit; /* it stops asking when it has kept so many */
    bool wrong;
    int32_t end;
    char *bufs[2 * BUFFERS];
    int32_t sizes[2 * BUFFERS];
};

static enum pp_io_next on_kept(struct pp_io_op *op)
{
    struct keeper *k = container_of(op, struct keeper, op);

    k->calls++;
    if (op->res <= 0) {
        k->end = op->res;
        return PP_IO_DISARM;
    }
    k->wrong |= op->res > BUFFER_BYTES || !test_pattern_matches(op->buf, k->bytes, (size_t)op->res);
    k->bytes += (uint64_t)op->res;
    k->bufs[k->kept] = op->buf;
    k->sizes[k->kept] = op->res;
    return ++k->kept < k->limit ? PP_IO_REARM : PP_IO_DISARM;
}

static struct keeper *keeper_start(struct fixture *f, struct pp_io_loop *loop, int fd, int limit)
{
    struct keeper *k = test_new(f, sizeof(*k));

    k->loop = loop;
    k->limit = limit;
    k->end = 1;
    pp_io_recv_pooled(loop, &k->op, fd, on_kept);
    return k;
}

static void keeper_put_one(struct keeper *k)
{
    pp_io_buffer_put(k->loop, k->bufs[--k->kept]);
}

static void keeper_put_all(struct keeper *k)
{
    while (k->kept > 0)
        keeper_put_one(k);
}

static void write_pattern(int fd, uint64_t position, size_t bytes)
{
    char data[BUFFERS * BUFFER_BYTES * 2];

    assert_true(bytes <= sizeof(data));
    test_pattern_fill(data, position, bytes);
    test_write(fd, data, bytes);
}

/* ---- the buffers themselves -------------------------------------------------------------- */

static void a_pooled_receive_brings_what_has_come(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct keeper *k = keeper_start(f, loop, pair.near, 1);

    test_poll(loop);
    assert_int_equal(k->calls, 0);
    write_pattern(pair.far, 0, 10);
    test_run(loop);
    assert_int_equal(k->calls, 1);
    assert_int_equal(k->bytes, 10);
    assert_false(k->wrong);
    keeper_put_all(k);
}

static void all_buffers_can_be_out_at_once_and_do_not_overlap(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    struct keeper *keepers[BUFFERS];

    for (int i = 0; i < BUFFERS; i++) {
        const struct test_pair pair = test_pair(AF_INET);

        write_pattern(pair.far, 0, BUFFER_BYTES);
        keepers[i] = keeper_start(f, loop, pair.near, 1);
    }
    test_run(loop);
    for (int i = 0; i < BUFFERS; i++) {
        assert_int_equal(keepers[i]->bytes, BUFFER_BYTES);
        assert_true(test_pattern_matches(keepers[i]->bufs[0], 0, BUFFER_BYTES));
        for (int j = 0; j < i; j++)
            assert_true(labs(keepers[i]->bufs[0] - keepers[j]->bufs[0]) >= BUFFER_BYTES);
    }
}

static void the_number_of_buffers_is_rounded_up_to_a_power_of_two(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop_with(
        f, (struct pp_io_options){ .buffers = BUFFERS - 1, .buffer_bytes = BUFFER_BYTES });

    for (int i = 0; i < BUFFERS; i++) {
        const struct test_pair pair = test_pair(AF_INET);

        write_pattern(pair.far, 0, 1);
        (void)keeper_start(f, loop, pair.near, 1);
    }
    test_run(loop); /* hangs, if the fourth has to wait */
    assert_int_equal(pp_io_loop_stats(loop).starved, 0);
}

/* Remembers every address it has seen. */
struct address_book {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int count, calls;
    char *seen[2 * BUFFERS];
};

static enum pp_io_next on_address(struct pp_io_op *op)
{
    struct address_book *book = container_of(op, struct address_book, op);
    int i = 0;

    book->calls++;
    if (op->res <= 0)
        return PP_IO_DISARM;
    while (i < book->count && book->seen[i] != op->buf)
        i++;
    if (i == book->count && book->count < 2 * BUFFERS)
        book->seen[book->count++] = op->buf;
    pp_io_buffer_put(book->loop, op->buf);
    return PP_IO_REARM;
}

static void the_same_few_buffers_come_again_and_again(void **state)
{
    struct fixture *f = *state;
    struct address_book *book = test_new(f, sizeof(*book));
    const struct test_pair pair = test_pair(AF_INET);

    book->loop = small_loop(f);
    pp_io_recv_pooled(book->loop, &book->op, pair.near, on_address);
    (void)test_source(f, book->loop, pair.far, STREAM_BYTES);
    test_run(book->loop);
    assert_true(book->calls > STREAM_BYTES / BUFFER_BYTES);
    assert_in_range(book->count, 1, BUFFERS);
}

static void a_buffer_that_is_out_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair kept = test_pair(AF_INET);
    const struct test_pair busy = test_pair(AF_INET);
    struct keeper *k = keeper_start(f, loop, kept.near, BUFFERS - 1);
    const struct test_sink *sink;

    write_pattern(kept.far, 0, (BUFFERS - 1) * BUFFER_BYTES);
    test_run(loop);
    sink = test_sink_pooled(f, loop, busy.near);
    (void)test_source(f, loop, busy.far, STREAM_BYTES);
    test_run(loop);
    test_sink_has(sink, STREAM_BYTES);
    for (int i = 0, at = 0; i < k->kept; at += k->sizes[i++])
        assert_true(test_pattern_matches(k->bufs[i], (uint64_t)at, (size_t)k->sizes[i]));
}

static void idle_receives_take_no_buffer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    struct keeper *last = NULL;
    struct test_pair pair;

    for (int i = 0; i < 25 * BUFFERS; i++) {
        pair = test_pair(AF_INET);
        last = keeper_start(f, loop, pair.near, BUFFERS);
    }
    test_poll(loop);
    write_pattern(pair.far, 0, BUFFERS * BUFFER_BYTES);
    test_run_until(loop, &last->calls, BUFFERS);
    assert_int_equal(last->bytes, BUFFERS * BUFFER_BYTES);
    assert_int_equal(pp_io_loop_stats(loop).starved, 0);
}

/* ---- streams ----------------------------------------------------------------------------- */

static void check_stream(struct fixture *f, int family)
{
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(family);
    const struct test_sink *sink = test_sink_pooled(f, loop, pair.near);

    (void)test_source(f, loop, pair.far, STREAM_BYTES);
    test_run(loop);
    test_sink_has(sink, STREAM_BYTES);
}

static void rearm_delivers_a_long_stream_in_order_through_few_buffers(void **state)
{
    check_stream(*state, AF_INET);
}

static void rearm_delivers_a_long_stream_in_order_through_few_buffers_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_stream(*state, AF_INET6);
}

static void many_streams_at_once_through_few_buffers_are_intact(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_sink *sinks[4 * BUFFERS];

    for (size_t i = 0; i < COUNT_OF(sinks); i++) {
        const struct test_pair pair = test_pair(AF_INET);

        sinks[i] = test_sink_pooled(f, loop, pair.near);
        (void)test_source(f, loop, pair.far, STREAM_BYTES / 4);
    }
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(sinks); i++)
        test_sink_has(sinks[i], STREAM_BYTES / 4);
}

static void the_end_of_the_stream_comes_after_all_its_bytes(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const struct test_sink *sink;

    write_pattern(pair.far, 0, 2 * BUFFERS * BUFFER_BYTES);
    test_far_close(pair.far);
    sink = test_sink_pooled(f, loop, pair.near);
    test_run(loop);
    test_sink_has(sink, 2 * BUFFERS * BUFFER_BYTES);
}

static void the_end_of_the_stream_comes_again_when_asked_again(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);

    test_far_close(pair.far);
    for (int i = 0; i < 3; i++) {
        const struct keeper *k = keeper_start(f, loop, pair.near, 1);

        test_run(loop);
        assert_int_equal(k->calls, 1);
        assert_int_equal(k->end, 0);
    }
}

static void a_reset_ends_a_pooled_receive_with_econnreset(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const struct keeper *k = keeper_start(f, loop, pair.near, 1);

    test_poll(loop);
    test_reset(pair.far);
    test_run(loop);
    assert_int_equal(k->calls, 1);
    assert_int_equal(k->end, -ECONNRESET);
}

static void a_reset_while_nobody_asks_is_told_at_the_next_receive(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct keeper *k = keeper_start(f, loop, pair.near, 1);
    const struct keeper *next;

    write_pattern(pair.far, 0, 10);
    test_run(loop);
    keeper_put_all(k);
    test_poll(loop);
    test_reset(pair.far);
    test_poll(loop);
    next = keeper_start(f, loop, pair.near, 1);
    test_run(loop);
    assert_int_equal(next->end, -ECONNRESET);
}

/* One receive for each buffer, each in memory of its own, which is gone when its callback returns:
 * whatever the engine still has in its hands must not point there. */
struct passing {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    uint64_t *bytes;
    int32_t *res;
};

static enum pp_io_next on_passing(struct pp_io_op *op)
{
    struct passing *passing = container_of(op, struct passing, op);

    *passing->res = op->res;
    if (op->res > 0) {
        if (!test_pattern_matches(op->buf, *passing->bytes, (size_t)op->res))
            *passing->res = -EBADMSG;
        *passing->bytes += (uint64_t)op->res;
        pp_io_buffer_put(passing->loop, op->buf);
    }
    memset(passing, 0xA5, sizeof(*passing));
    free(passing);
    return PP_IO_DISARM;
}

static int32_t receive_in_passing(struct fixture *f, struct pp_io_loop *loop, int fd,
                                  uint64_t *bytes)
{
    struct passing *passing = calloc(1, sizeof(*passing));
    int32_t *res = test_new(f, sizeof(*res));

    assert_non_null(passing);
    *passing = (struct passing){ .loop = loop, .bytes = bytes, .res = res };
    pp_io_recv_pooled(loop, &passing->op, fd, on_passing);
    test_run(loop);
    return *res;
}

static void a_stream_left_and_taken_up_again_loses_no_byte(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    uint64_t *bytes = test_new(f, sizeof(*bytes));
    uint64_t written = 0;
    int32_t res;

    for (int round = 0; round < 100; round++) {
        write_pattern(pair.far, written, 200); /* no multiple of a buffer */
        written += 200;
        for (int i = 0; i < 2; i++)
            assert_true(receive_in_passing(f, loop, pair.near, bytes) > 0);
        test_poll(loop);
    }
    test_far_close(pair.far);
    do
        res = receive_in_passing(f, loop, pair.near, bytes);
    while (res > 0);
    assert_int_equal(res, 0);
    assert_int_equal(*bytes, written);
}

static void an_echo_sends_the_very_buffer_that_it_received(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    struct test_pinger *pingers[2 * BUFFERS];

    for (size_t i = 0; i < COUNT_OF(pingers); i++) {
        const struct test_pair pair = test_pair(AF_INET);

        (void)test_echo(f, loop, pair.far);
        pingers[i] = test_pinger(f, loop, pair.near, 500);
        test_pinger_start(pingers[i]);
    }
    for (size_t i = 0; i < COUNT_OF(pingers); i++)
        test_run_until(loop, &pingers[i]->rounds, 500);
    for (size_t i = 0; i < COUNT_OF(pingers); i++)
        test_pinger_is_well(pingers[i]);
}

/* ---- when all buffers are out ------------------------------------------------------------ */

/* All buffers out, with more bytes to come: k waits for a buffer. */
static struct keeper *starve(struct fixture *f, struct pp_io_loop *loop,
                             const struct test_pair *pair)
{
    struct keeper *k = keeper_start(f, loop, pair->near, BUFFERS + 1);

    write_pattern(pair->far, 0, (BUFFERS + 1) * BUFFER_BYTES);
    test_run_until(loop, &k->calls, BUFFERS);
    test_poll(loop);
    assert_int_equal(k->kept, BUFFERS);
    assert_true(pp_io_is_armed(&k->op));
    return k;
}

static void a_receive_without_a_buffer_waits_until_one_is_put_back(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct keeper *k = starve(f, loop, &pair);

    assert_true(pp_io_loop_stats(loop).starved > 0);
    k->limit = BUFFERS;
    keeper_put_one(k);
    test_run(loop);
    assert_int_equal(k->calls, BUFFERS + 1);
    assert_int_equal(k->bytes, (BUFFERS + 1) * BUFFER_BYTES);
    assert_false(k->wrong);
}

static void many_that_wait_for_a_buffer_are_all_served_in_the_end(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct keeper *k = starve(f, loop, &pair);
    const struct test_sink *sinks[3 * BUFFERS];
    struct test_pair pairs[COUNT_OF(sinks)];

    for (size_t i = 0; i < COUNT_OF(sinks); i++) {
        pairs[i] = test_pair(AF_INET);
        write_pattern(pairs[i].far, 0, 3 * BUFFER_BYTES);
        test_far_close(pairs[i].far);
        sinks[i] = test_sink_pooled(f, loop, pairs[i].near);
    }
    test_poll(loop);
    for (size_t i = 0; i < COUNT_OF(sinks); i++)
        assert_int_equal(sinks[i]->bytes, 0);
    k->limit = BUFFERS - 1;
    keeper_put_one(k);
    keeper_put_one(k); /* one for k's last bytes, and one for all the others */
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(sinks); i++)
        test_sink_has(sinks[i], 3 * BUFFER_BYTES);
}

/* Puts all buffers of a keeper back from a callback, while the loop runs. */
struct giver {
    struct pp_io_op op;
    struct keeper *from;
};

static enum pp_io_next on_giving(struct pp_io_op *op)
{
    struct keeper *from = container_of(op, struct giver, op)->from;

    from->limit = 2 * BUFFERS;
    keeper_put_all(from);
    return PP_IO_DISARM;
}

static void a_buffer_put_back_in_a_callback_ends_the_wait_for_it(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct giver *giver = test_new(f, sizeof(*giver));

    giver->from = starve(f, loop, &pair);
    test_far_close(pair.far);
    pp_io_timer(loop, &giver->op, pp_clock_now_ns() + PP_NS_PER_MS, on_giving);
    test_run(loop);
    assert_int_equal(giver->from->end, 0);
    assert_int_equal(giver->from->bytes, (BUFFERS + 1) * BUFFER_BYTES);
    assert_false(giver->from->wrong);
}

static void the_end_of_the_stream_is_not_lost_while_waiting_for_a_buffer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair full = test_pair(AF_INET);
    const struct test_pair ended = test_pair(AF_INET);
    struct keeper *k = starve(f, loop, &full);
    const struct keeper *end = keeper_start(f, loop, ended.near, 1);

    test_poll(loop);
    test_far_close(ended.far);
    test_poll(loop);
    k->limit = BUFFERS + 1;
    keeper_put_one(k);
    keeper_put_one(k);
    test_run_until(loop, &end->calls, 1);
    assert_int_equal(end->end, 0);
}

static void a_canceled_wait_for_a_buffer_loses_no_byte(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct keeper *k = starve(f, loop, &pair);
    uint64_t *bytes = test_new(f, sizeof(*bytes));

    pp_io_cancel(loop, &k->op);
    test_run(loop);
    assert_int_equal(k->end, -ECANCELED);
    assert_int_equal(k->kept, BUFFERS);
    keeper_put_all(k);
    *bytes = k->bytes;
    assert_true(receive_in_passing(f, loop, pair.near, bytes) > 0);
    assert_int_equal(*bytes, (BUFFERS + 1) * BUFFER_BYTES);
}

/* The engine has found no buffer, and the loop has not heard of it, when the owner cancels. */
static void a_cancel_in_the_moment_of_starving_is_no_other_error(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair full = test_pair(AF_INET);
    const struct test_pair pair = test_pair(AF_INET);
    struct keeper *k = keeper_start(f, loop, full.near, BUFFERS);
    struct keeper *canceled = keeper_start(f, loop, pair.near, 1);
    const struct keeper *again;

    test_poll(loop);
    write_pattern(full.far, 0, BUFFERS * BUFFER_BYTES);
    test_run_until(loop, &k->calls, BUFFERS);
    write_pattern(pair.far, 0, 10);
    pp_io_cancel(loop, &canceled->op);
    test_run(loop);
    assert_int_equal(canceled->calls, 1);
    assert_int_equal(canceled->end, -ECANCELED);
    keeper_put_all(k);
    again = keeper_start(f, loop, pair.near, 1);
    test_run(loop);
    assert_int_equal(again->bytes, 10);
}

/* A connection whose owner has stopped asking, while its peer goes on. */
static void a_stream_that_nobody_reads_leaves_the_buffers_to_others(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);
    const struct test_pair unread = test_pair(AF_INET);
    const struct test_pair other = test_pair(AF_INET);
    struct keeper *k = keeper_start(f, loop, unread.near, 1);
    struct keeper *o;

    write_pattern(unread.far, 0, BUFFER_BYTES);
    test_run(loop);
    keeper_put_all(k);
    for (uint64_t i = 1; i < 20; i++) {
        write_pattern(unread.far, i * BUFFER_BYTES, BUFFER_BYTES);
        test_poll(loop);
    }
    o = keeper_start(f, loop, other.near, 1);
    write_pattern(other.far, 0, 10);
    test_run(loop); /* hangs, if the unread stream has all the buffers */
    assert_int_equal(o->bytes, 10);
}

/* ---- nothing leaks ----------------------------------------------------------------------- */

static void assert_no_buffer_is_missing(struct fixture *f, struct pp_io_loop *loop)
{
    for (int i = 0; i < BUFFERS; i++) {
        const struct test_pair pair = test_pair(AF_INET);

        write_pattern(pair.far, 0, 1);
        (void)keeper_start(f, loop, pair.near, 1);
    }
    test_run(loop); /* hangs, if one is missing */
}

static void closing_in_mid_stream_loses_no_buffer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);

    for (int i = 0; i < 10 * BUFFERS; i++) {
        const struct test_pair pair = test_pair(AF_INET);
        struct keeper *k = keeper_start(f, loop, pair.near, 1);

        write_pattern(pair.far, 0, (i % 3 == 0 ? 1 : 3) * BUFFER_BYTES);
        test_run(loop);
        if (i % 2 == 0)
            test_poll(loop);
        keeper_put_all(k);
        if (i % 3 == 0) /* comes too late for anybody */
            write_pattern(pair.far, 0, 3 * BUFFER_BYTES);
        test_close(f, loop, pair.near);
    }
    assert_no_buffer_is_missing(f, loop);
}

static void closing_after_a_cancel_loses_no_buffer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);

    for (int i = 0; i < 10 * BUFFERS; i++) {
        const struct test_pair pair = test_pair(AF_INET);
        struct keeper *k = keeper_start(f, loop, pair.near, 2 * BUFFERS);

        if (i % 2 == 0)
            test_poll(loop);
        write_pattern(pair.far, 0, 3 * BUFFER_BYTES);
        if (i % 3 == 0)
            test_poll(loop);
        k->limit = 0; /* whatever it still brings is the last */
        pp_io_cancel(loop, &k->op);
        test_run(loop);
        keeper_put_all(k);
        test_close(f, loop, pair.near);
    }
    assert_no_buffer_is_missing(f, loop);
}

/* Closes its descriptor as soon as it has been canceled. */
struct closer {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct test_probe *closed;
};

static enum pp_io_next on_closer(struct pp_io_op *op)
{
    struct closer *closer = container_of(op, struct closer, op);

    if (op->res > 0)
        pp_io_buffer_put(closer->loop, op->buf);
    pp_io_close(closer->loop, &closer->closed->op, op->fd, test_probe_once);
    return PP_IO_DISARM;
}

static void what_comes_for_a_closed_descriptor_loses_no_buffer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);

    for (int i = 0; i < 10 * BUFFERS; i++) {
        const struct test_pair pair = test_pair(AF_INET);
        struct closer *closer = test_new(f, sizeof *closer);

        closer->loop = loop;
        closer->closed = test_probe(f);
        pp_io_recv_pooled(loop, &closer->op, pair.near, on_closer);
        test_poll(loop);
        write_pattern(pair.far, 0, (BUFFERS - 1) * BUFFER_BYTES + 1);
        pp_io_cancel(loop, &closer->op);
        test_run(loop);
        assert_int_equal(closer->closed->calls, 1);
    }
    assert_no_buffer_is_missing(f, loop);
}

static void resets_and_ends_lose_no_buffer(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = small_loop(f);

    for (int i = 0; i < 10 * BUFFERS; i++) {
        const struct test_pair pair = test_pair(AF_INET);
        const struct test_sink *sink = test_sink_pooled(f, loop, pair.near);

        test_poll(loop);
        if (i % 2 == 0)
            test_reset(pair.far);
        else
            test_far_close(pair.far);
        test_run(loop);
        assert_int_equal(sink->end, i % 2 == 0 ? -ECONNRESET : 0);
        test_close(f, loop, pair.near);
    }
    assert_no_buffer_is_missing(f, loop);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pooled_receive_brings_what_has_come),
        TEST(all_buffers_can_be_out_at_once_and_do_not_overlap),
        TEST(the_number_of_buffers_is_rounded_up_to_a_power_of_two),
        TEST(the_same_few_buffers_come_again_and_again),
        TEST(a_buffer_that_is_out_is_left_alone),
        TEST(idle_receives_take_no_buffer),
        TEST(rearm_delivers_a_long_stream_in_order_through_few_buffers),
        TEST(rearm_delivers_a_long_stream_in_order_through_few_buffers_over_ipv6),
        TEST(many_streams_at_once_through_few_buffers_are_intact),
        TEST(the_end_of_the_stream_comes_after_all_its_bytes),
        TEST(the_end_of_the_stream_comes_again_when_asked_again),
        TEST(a_reset_ends_a_pooled_receive_with_econnreset),
        TEST(a_reset_while_nobody_asks_is_told_at_the_next_receive),
        TEST(a_stream_left_and_taken_up_again_loses_no_byte),
        TEST(an_echo_sends_the_very_buffer_that_it_received),
        TEST(a_receive_without_a_buffer_waits_until_one_is_put_back),
        TEST(many_that_wait_for_a_buffer_are_all_served_in_the_end),
        TEST(a_buffer_put_back_in_a_callback_ends_the_wait_for_it),
        TEST(the_end_of_the_stream_is_not_lost_while_waiting_for_a_buffer),
        TEST(a_canceled_wait_for_a_buffer_loses_no_byte),
        TEST(a_cancel_in_the_moment_of_starving_is_no_other_error),
        TEST(a_stream_that_nobody_reads_leaves_the_buffers_to_others),
        TEST(closing_in_mid_stream_loses_no_buffer),
        TEST(closing_after_a_cancel_loses_no_buffer),
        TEST(what_comes_for_a_closed_descriptor_loses_no_buffer),
        TEST(resets_and_ends_lose_no_buffer),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
