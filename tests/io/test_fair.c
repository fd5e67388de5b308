/* Fairness: no peer keeps the others waiting, whether it has much to say or a lot of little. */
#include "support.h"

#define LARGE_BYTES 65536
#define PIECES 6
#define CHATTER_BYTES 1000

/* A receive that is always ready. After its first callback it makes other ready, and from then on
 * it counts until that has been called. */
struct busy {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int calls, limit;
    const struct test_probe *other;
    int other_fd;
    int waited; /* callbacks that the other one had to wait for */
    char byte;
};

static bool note_call(struct busy *busy)
{
    if (busy->calls++ == 0 && busy->other_fd >= 0)
        (void)test_send_now(busy->other_fd, "x", 1);
    if (busy->other && busy->other->calls == 0)
        busy->waited++;
    return busy->calls < busy->limit;
}

static enum pp_io_next on_piece(struct pp_io_op *op)
{
    struct busy *busy = container_of(op, struct busy, op);

    if (op->res <= 0)
        return PP_IO_DISARM;
    pp_io_buffer_put(busy->loop, op->buf);
    return note_call(busy) ? PP_IO_REARM : PP_IO_DISARM;
}

static enum pp_io_next on_byte(struct pp_io_op *op)
{
    struct busy *busy = container_of(op, struct busy, op);

    if (op->res <= 0 || !note_call(busy))
        return PP_IO_DISARM;
    pp_io_recv(busy->loop, op, op->fd, &busy->byte, 1, on_byte);
    return PP_IO_DISARM;
}

static struct pp_io_loop *fair_loop(struct fixture *f)
{
    return test_loop_with(f, (struct pp_io_options){ .buffers = 8,
                                                     .buffer_bytes = 256,
                                                     .large_buffers = 2 * PIECES,
                                                     .large_buffer_bytes = LARGE_BYTES });
}

static struct busy *busy_new(struct fixture *f, struct pp_io_loop *loop, int limit)
{
    struct busy *busy = test_new(f, sizeof *busy);

    busy->loop = loop;
    busy->limit = limit;
    busy->other_fd = -1;
    return busy;
}

/* A connection on which many large pieces wait to be received. */
static struct busy *large_talker(struct fixture *f, struct pp_io_loop *loop)
{
    static const char data[LARGE_BYTES];
    const struct test_pair pair = test_unix_pair(SOCK_STREAM);
    struct busy *busy = busy_new(f, loop, PIECES);

    test_grow_send_buffer(pair.far, 4 * PIECES * LARGE_BYTES);
    for (int i = 0; i < PIECES; i++)
        if (test_send_now(pair.far, data, sizeof data) != sizeof data)
            skip(); /* only root may have so much under way */
    busy->op.large = true;
    pp_io_recv_pooled(loop, &busy->op, pair.near, on_piece);
    return busy;
}

/* One on which many single bytes do. */
static struct busy *chatterer(struct fixture *f, struct pp_io_loop *loop)
{
    static const char data[CHATTER_BYTES];
    struct busy *busy = busy_new(f, loop, CHATTER_BYTES);
    const struct test_pair pair = test_pair(AF_INET);

    test_write(pair.far, data, sizeof data);
    pp_io_recv(loop, &busy->op, pair.near, &busy->byte, 1, on_byte);
    return busy;
}

/* One with a message that comes while busy is at work. */
static void wait_beside(struct fixture *f, struct busy *busy)
{
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *other = test_probe(f);

    busy->other = other;
    busy->other_fd = pair.far;
    pp_io_recv(busy->loop, &other->op, pair.near, other->buf, 1, test_probe_once);
}

/* There was one before, so that large ones are known not to be alone. */
static void a_message_comes_between_the_pieces_of_a_large_one(void **state)
{
    struct fixture *f = *state;
    struct busy *large = large_talker(f, fair_loop(f));
    struct test_probe *before = test_probe(f);
    const struct test_pair pair = test_pair(AF_INET);

    test_write(pair.far, "x", 1);
    pp_io_recv(large->loop, &before->op, pair.near, before->buf, 1, test_probe_once);
    wait_beside(f, large);
    test_run(large->loop);
    assert_int_equal(large->calls, PIECES);
    assert_in_range(large->waited, 1, 3);
}

static void a_message_comes_between_those_of_a_peer_that_is_always_ready(void **state)
{
    struct fixture *f = *state;
    struct busy *chatter = chatterer(f, fair_loop(f));

    wait_beside(f, chatter);
    test_run(chatter->loop);
    assert_int_equal(chatter->calls, CHATTER_BYTES);
    assert_in_range(chatter->waited, 1, 100);
}

static void large_messages_go_on_beside_small_ones(void **state)
{
    struct fixture *f = *state;
    struct busy *large = large_talker(f, fair_loop(f));
    struct busy *chatter = chatterer(f, large->loop);

    test_run_until(large->loop, &large->calls, PIECES);
    assert_in_range(chatter->calls, 1, CHATTER_BYTES / 2);
    test_run(large->loop);
    assert_int_equal(chatter->calls, CHATTER_BYTES);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_comes_between_the_pieces_of_a_large_one),
        TEST(a_message_comes_between_those_of_a_peer_that_is_always_ready),
        TEST(large_messages_go_on_beside_small_ones),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
