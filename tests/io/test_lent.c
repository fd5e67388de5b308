/* An engine may send without copying: what was sent is still under way when its operation is over
 * and its receive buffer is put back, and reaches a peer that reads late as it was. On engines that
 * copy this is no question, and holds, too. */
#include "support.h"

#define LARGE 8
#define LARGE_BYTES 65536
#define STREAM_BYTES (UINT64_C(2) << 20)
#define SEND_BUFFER_BYTES (4 << 20)

/* Each buffer is filled again before anybody reads. */
#define AGAIN_BYTES (UINT64_C(2) * LARGE * LARGE_BYTES)

#define TURNS_MAX 1000000

static struct pp_io_loop *large_loop(struct fixture *f)
{
    return test_loop_with(
        f, (struct pp_io_options){ .large_buffers = LARGE, .large_buffer_bytes = LARGE_BYTES });
}

/* ---- buffers ----------------------------------------------------------------------------- */

/* Passes on what comes, and puts each buffer back as soon as it is sent. */
struct relay {
    struct pp_io_op recv_op, send_op;
    struct pp_io_loop *loop;
    char *buf;
    int to;
    uint64_t bytes; /* passed on */
    int32_t error;
};

static enum pp_io_next on_relayed(struct pp_io_op *op);

static enum pp_io_next on_relay_received(struct pp_io_op *op)
{
    struct relay *relay = container_of(op, struct relay, recv_op);

    if (op->res <= 0) {
        relay->error = op->res;
        return PP_IO_DISARM;
    }
    relay->buf = op->buf;
    pp_io_send(relay->loop, &relay->send_op, relay->to, op->buf, (uint32_t)op->res, on_relayed);
    return PP_IO_DISARM;
}

static enum pp_io_next on_relayed(struct pp_io_op *op)
{
    struct relay *relay = container_of(op, struct relay, send_op);

    if (op->res < 0) {
        relay->error = op->res;
        return PP_IO_DISARM;
    }
    relay->bytes += (uint64_t)op->res;
    if (!pp_io_advance(op))
        return PP_IO_REARM;
    pp_io_buffer_put(relay->loop, relay->buf);
    pp_io_recv_pooled(relay->loop, &relay->recv_op, relay->recv_op.fd, on_relay_received);
    return PP_IO_DISARM;
}

static struct relay *relay_start(struct fixture *f, struct pp_io_loop *loop, int from, int to)
{
    struct relay *relay = test_new(f, sizeof *relay);

    relay->loop = loop;
    relay->to = to;
    relay->recv_op.large = true;
    pp_io_recv_pooled(loop, &relay->recv_op, from, on_relay_received);
    return relay;
}

/* What the test writes at one end, a relay passes on, and the test reads at the other. */
struct passage {
    struct pp_io_loop *loop;
    struct relay *relay;
    int in, out;
    char *data; /* all of it */
    uint64_t written, read;
};

static struct passage passage(struct fixture *f, struct test_pair from, struct test_pair to)
{
    struct pp_io_loop *loop = large_loop(f);
    struct passage passage = { .loop = loop,
                               .relay = relay_start(f, loop, from.near, to.near),
                               .in = from.far,
                               .out = to.far,
                               .data = test_new(f, STREAM_BYTES) };

    test_pattern_fill(passage.data, 0, STREAM_BYTES);
    test_set_nonblocking(from.far);
    test_set_nonblocking(to.far);
    return passage;
}

static void passage_write(struct passage *passage)
{
    const uint64_t rest = STREAM_BYTES - passage->written;
    const int32_t sent = rest > 0 ? test_send_now(passage->in, passage->data + passage->written,
                                                  rest < LARGE_BYTES ? rest : LARGE_BYTES)
                                  : 0;

    if (sent > 0)
        passage->written += (uint64_t)sent;
    test_poll(passage->loop);
}

static void passage_read(struct passage *passage)
{
    char data[16384];
    const int32_t got = test_receive_now(passage->out, data, sizeof data);

    if (got <= 0)
        return;
    assert_true(test_pattern_matches(data, passage->read, (size_t)got));
    passage->read += (uint64_t)got;
}

static void passage_finish(struct passage *passage)
{
    for (int i = 0; i < TURNS_MAX && passage->read < STREAM_BYTES; i++) {
        passage_write(passage);
        passage_read(passage);
    }
    assert_int_equal(passage->relay->error, 0);
    assert_int_equal(passage->read, STREAM_BYTES);
}

static void buffers_that_are_put_back_keep_what_is_under_way(void **state)
{
    const struct test_pair to = test_pair(AF_INET);
    struct passage whole = passage(*state, test_pair(AF_INET), to);

    test_grow_send_buffer(to.near, SEND_BUFFER_BYTES);
    for (int i = 0; i < TURNS_MAX && whole.relay->bytes < AGAIN_BYTES; i++)
        passage_write(&whole);
    assert_true(whole.relay->bytes >= AGAIN_BYTES);
    passage_finish(&whole);
}

static void sockets_that_have_to_copy_do(void **state)
{
    struct passage whole = passage(*state, test_pair(AF_INET), test_unix_pair(SOCK_STREAM));

    passage_finish(&whole);
}

/* ---- what is constant -------------------------------------------------------------------- */

/* Sends bytes from at on. What is not constant changes as soon as they are sent. */
static void check_constant(struct fixture *f, uint32_t constant, uint32_t at, uint32_t bytes)
{
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);
    char *data = test_new(f, STREAM_BYTES), *got = test_new(f, bytes);
    uint64_t read = 0;

    test_pattern_fill(data, 0, STREAM_BYTES);
    pp_io_loop_constant(loop, data, constant);
    test_grow_send_buffer(pair.near, SEND_BUFFER_BYTES);
    pp_io_send(loop, &probe->op, pair.near, data + at, bytes, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->res, bytes);
    memset(data + constant, '?', STREAM_BYTES - constant);
    test_set_nonblocking(pair.far);
    for (int i = 0; i < TURNS_MAX && read < bytes; i++) {
        const int32_t part = test_receive_now(pair.far, got + read, bytes - read);

        read += part > 0 ? (uint64_t)part : 0;
        test_poll(loop);
    }
    assert_int_equal(read, bytes);
    assert_true(test_pattern_matches(got, at, bytes));
}

static void what_is_constant_arrives_as_it_is(void **state)
{
    check_constant(*state, 1 << 20, 0, 1 << 20);
    check_constant(*state, 1 << 20, 12345, 100000);
}

static void what_reaches_beyond_what_is_constant_is_copied(void **state)
{
    check_constant(*state, 1 << 19, (1 << 19) - 1000, 200000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(buffers_that_are_put_back_keep_what_is_under_way),
        TEST(sockets_that_have_to_copy_do),
        TEST(what_is_constant_arrives_as_it_is),
        TEST(what_reaches_beyond_what_is_constant_is_copied),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
