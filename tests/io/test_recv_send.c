/* Streams of bytes: receive, send, shutdown, and what a peer can do to them. */
#include "support.h"

#include <stdio.h>
#include <unistd.h>

#define MB (1024 * 1024)

/* ---- receive ----------------------------------------------------------------------------- */

static void check_recv(struct fixture *f, int family)
{
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(family);
    struct test_probe *probe = test_probe(f);

    test_write(pair.far, "ping", 4);
    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, 4);
    assert_string_equal(probe->buf, "ping");
}

static void recv_completes_with_what_has_come(void **state)
{
    check_recv(*state, AF_INET);
}

static void recv_completes_with_what_has_come_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_recv(*state, AF_INET6);
}

static void recv_waits_for_what_is_still_to_come(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_poll(loop);
    assert_int_equal(probe->calls, 0);
    assert_true(pp_io_is_armed(&probe->op));
    test_write(pair.far, "ping", 4);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_string_equal(probe->buf, "ping");
}

static void recv_takes_at_most_what_it_asked_for_and_leaves_the_rest(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *first = test_probe(f);
    struct test_probe *rest = test_probe(f);

    test_write(pair.far, "pingpong", 8);
    pp_io_recv(loop, &first->op, pair.near, first->buf, 4, test_probe_once);
    test_run(loop);
    pp_io_recv(loop, &rest->op, pair.near, rest->buf, sizeof(rest->buf), test_probe_once);
    test_run(loop);
    assert_string_equal(first->buf, "ping");
    assert_string_equal(rest->buf, "pong");
}

static void recv_completes_with_0_at_the_end_of_the_stream(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *data = test_probe(f);
    struct test_probe *end = test_probe(f);

    test_write(pair.far, "ping", 4);
    test_far_close(pair.far);
    pp_io_recv(loop, &data->op, pair.near, data->buf, sizeof(data->buf), test_probe_once);
    test_run(loop);
    pp_io_recv(loop, &end->op, pair.near, end->buf, sizeof(end->buf), test_probe_once);
    test_run(loop);
    assert_string_equal(data->buf, "ping");
    assert_int_equal(end->calls, 1);
    assert_int_equal(end->res, 0);
}

/* A request whose parts come one after the other: each part is written when the one before it has
 * been received. */
struct parts {
    struct pp_io_op op;
    int far;
    const char *rest; /* to be written, part_bytes at a time */
    size_t part_bytes;
    int calls;
    int32_t largest;
    char got[1024];
};

static void write_part(struct parts *parts)
{
    const size_t left = strlen(parts->rest);
    const size_t bytes = left < parts->part_bytes ? left : parts->part_bytes;

    test_write(parts->far, parts->rest, bytes);
    parts->rest += bytes;
}

static enum pp_io_next on_part(struct pp_io_op *op)
{
    struct parts *parts = container_of(op, struct parts, op);

    parts->calls++;
    if (op->res > parts->largest)
        parts->largest = op->res;
    if (*parts->rest)
        write_part(parts);
    return pp_io_advance(op) ? PP_IO_DISARM : PP_IO_REARM;
}

static struct parts *parts_run(struct fixture *f, const char *text, size_t part_bytes)
{
    struct parts *parts = test_new(f, sizeof(*parts));
    const struct test_pair pair = test_pair(AF_INET);
    struct pp_io_loop *loop = test_loop(f);

    parts->far = pair.far;
    parts->rest = text;
    parts->part_bytes = part_bytes;
    write_part(parts);
    pp_io_recv(loop, &parts->op, pair.near, parts->got, (uint32_t)strlen(text), on_part);
    test_run(loop);
    return parts;
}

static void rearm_after_a_short_read_asks_only_for_the_rest(void **state)
{
    const struct parts *parts = parts_run(*state, "ping", 2);

    assert_int_equal(parts->calls, 2);
    assert_int_equal(parts->largest, 2);
    assert_string_equal(parts->got, "ping");
}

static void a_peer_that_sends_one_byte_at_a_time_is_read_to_the_end(void **state)
{
    static const char text[] = "It is a truth universally acknowledged, that a single man in "
                               "possession of a good fortune, must be in want of a wife.";
    const struct parts *parts = parts_run(*state, text, 1);

    assert_int_equal(parts->calls, sizeof(text) - 1);
    assert_int_equal(parts->largest, 1);
    assert_string_equal(parts->got, text);
}

static enum pp_io_next on_same_again(struct pp_io_op *op)
{
    struct parts *parts = container_of(op, struct parts, op);

    parts->calls++;
    if (!*parts->rest)
        return PP_IO_DISARM;
    write_part(parts);
    return PP_IO_REARM;
}

static void rearm_without_advance_repeats_the_whole_request(void **state)
{
    struct fixture *f = *state;
    struct parts *parts = test_new(f, sizeof(*parts));
    const struct test_pair pair = test_pair(AF_INET);
    struct pp_io_loop *loop = test_loop(f);

    parts->far = pair.far;
    parts->rest = "pingpong";
    parts->part_bytes = 4;
    write_part(parts);
    pp_io_recv(loop, &parts->op, pair.near, parts->got, sizeof(parts->got), on_same_again);
    test_run(loop);
    assert_int_equal(parts->calls, 2);
    assert_string_equal(parts->got, "pong");
}

/* One operation that goes to and fro between receive and send. */
struct one_op {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int fd;
    int rounds;
    char buf[4];
};

static enum pp_io_next on_one_op_received(struct pp_io_op *op);

static enum pp_io_next on_one_op_sent(struct pp_io_op *op)
{
    struct one_op *one = container_of(op, struct one_op, op);

    one->rounds++;
    pp_io_recv(one->loop, op, one->fd, one->buf, sizeof(one->buf), on_one_op_received);
    return PP_IO_DISARM;
}

static enum pp_io_next on_one_op_received(struct pp_io_op *op)
{
    struct one_op *one = container_of(op, struct one_op, op);

    if (op->res == sizeof(one->buf))
        pp_io_send(one->loop, op, one->fd, one->buf, sizeof(one->buf), on_one_op_sent);
    return PP_IO_DISARM;
}

static void one_op_serves_receive_and_send_in_turn(void **state)
{
    struct fixture *f = *state;
    const struct test_pair pair = test_pair(AF_INET);
    struct one_op *one = test_new(f, sizeof(*one));

    one->loop = test_loop(f);
    one->fd = pair.near;
    pp_io_recv(one->loop, &one->op, one->fd, one->buf, sizeof(one->buf), on_one_op_received);
    for (int i = 0; i < 100; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%04d", i);
        test_write(pair.far, text, 4);
        test_run_until(one->loop, &one->rounds, i + 1);
        test_read_text(pair.far, text);
    }
    test_far_close(pair.far);
    test_run(one->loop);
    assert_int_equal(one->rounds, 100);
}

/* ---- send -------------------------------------------------------------------------------- */

static void check_send(struct fixture *f, int family)
{
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(family);
    struct test_probe *probe = test_probe(f);

    pp_io_send(loop, &probe->op, pair.near, "ping", 4, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, 4);
    test_read_text(pair.far, "ping");
}

static void send_reaches_the_peer(void **state)
{
    check_send(*state, AF_INET);
}

static void send_reaches_the_peer_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_send(*state, AF_INET6);
}

static void rearm_after_a_short_write_sends_every_byte_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const struct test_source *source;
    const struct test_sink *sink;

    test_shrink_send_buffer(pair.near);
    source = test_source(f, loop, pair.near, MB);
    sink = test_sink(f, loop, pair.far);
    test_run(loop);
    assert_int_equal(source->error, 0);
    assert_true(source->calls > 1); /* or no write was short, and nothing is proved */
    test_sink_has(sink, MB);
}

static void megabytes_in_both_directions_at_once_arrive_intact(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const struct test_source *sources[2];
    const struct test_sink *sinks[2];

    sources[0] = test_source(f, loop, pair.near, 8 * MB);
    sources[1] = test_source(f, loop, pair.far, 8 * MB);
    sinks[0] = test_sink(f, loop, pair.near);
    sinks[1] = test_sink(f, loop, pair.far);
    test_run(loop);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sources[i]->error, 0);
        test_sink_has(sinks[i], 8 * MB);
    }
}

static void a_send_completes_before_the_echo_it_caused(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_log *log = test_new(f, sizeof(*log));
    struct test_logged *ping = test_logged(f, log, 's');
    struct test_logged *pong = test_logged(f, log, 'r');

    pp_io_recv(loop, &pong->op, pair.near, pong->buf, sizeof(pong->buf), test_log_once);
    pp_io_send(loop, &ping->op, pair.near, "ping", 4, test_log_once);
    assert_int_equal(pp_io_loop_poll(loop), 0);
    test_read_text(pair.far, "ping");
    test_write(pair.far, "pong", 4);
    test_run(loop);
    assert_string_equal(log->text, "sr");
}

static void every_send_of_a_long_ping_pong_completes_before_its_echo(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_pinger *pinger = test_pinger(f, loop, pair.near, 2000);

    test_echo_thread(f, pair.far);
    test_pinger_start(pinger);
    test_run(loop);
    test_pinger_is_well(pinger);
}

/* ---- ends and resets --------------------------------------------------------------------- */

static void after_shutdown_the_peer_reads_the_end_of_the_stream(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *shut = test_probe(f);
    struct test_probe *last = test_probe(f);

    pp_io_shutdown(loop, &shut->op, pair.near, test_probe_once);
    test_run(loop);
    assert_int_equal(shut->res, 0);
    test_read_eof(pair.far);
    test_write(pair.far, "last", 4); /* the other direction is still open */
    pp_io_recv(loop, &last->op, pair.near, last->buf, sizeof(last->buf), test_probe_once);
    test_run(loop);
    assert_string_equal(last->buf, "last");
}

static void after_the_peers_half_close_a_send_still_reaches_it(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *end = test_probe(f);
    struct test_probe *answer = test_probe(f);

    pp_io_recv(loop, &end->op, pair.near, end->buf, sizeof(end->buf), test_probe_once);
    test_poll(loop);
    test_far_shutdown(pair.far);
    test_run(loop);
    assert_int_equal(end->res, 0);
    pp_io_send(loop, &answer->op, pair.near, "pong", 4, test_probe_once);
    test_run(loop);
    assert_int_equal(answer->res, 4);
    test_read_text(pair.far, "pong");
}

static void a_receive_that_waits_while_the_peer_resets_ends_with_econnreset(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_poll(loop);
    test_reset(pair.far);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, -ECONNRESET);
}

static void a_receive_that_starts_after_a_reset_ends_with_econnreset(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    test_reset(pair.far);
    pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_run(loop);
    assert_int_equal(probe->res, -ECONNRESET);
}

static void assert_broken(int32_t res)
{
    assert_true(res == -EPIPE || res == -ECONNRESET);
}

/* SIGPIPE has its default action in these tests, so that one would end the program. */
static void a_reset_during_a_send_is_an_error_and_no_signal(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_source *source;
    struct test_probe *next = test_probe(f);

    test_shrink_send_buffer(pair.near);
    source = test_source(f, loop, pair.near, 4 * MB);
    test_run_until(loop, &source->calls, 1);
    test_poll(loop);
    assert_false(source->done);
    test_reset(pair.far);
    test_run(loop);
    assert_true(source->done);
    assert_broken(source->error);
    pp_io_send(loop, &next->op, pair.near, "ping", 4, test_probe_once);
    test_run(loop);
    assert_broken(next->res);
}

static void a_reset_of_one_connection_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair reset = test_pair(AF_INET);
    const struct test_pair well = test_pair(AF_INET);
    struct test_probe *reset_probe = test_probe(f);
    struct test_pinger *pinger = test_pinger(f, loop, well.near, 100);

    pp_io_recv(loop, &reset_probe->op, reset.near, reset_probe->buf, 1, test_probe_once);
    test_poll(loop);
    test_echo_thread(f, well.far);
    test_pinger_start(pinger);
    test_reset(reset.far);
    test_run(loop);
    assert_int_equal(reset_probe->res, -ECONNRESET);
    test_pinger_is_well(pinger);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(recv_completes_with_what_has_come),
        TEST(recv_completes_with_what_has_come_over_ipv6),
        TEST(recv_waits_for_what_is_still_to_come),
        TEST(recv_takes_at_most_what_it_asked_for_and_leaves_the_rest),
        TEST(recv_completes_with_0_at_the_end_of_the_stream),
        TEST(rearm_after_a_short_read_asks_only_for_the_rest),
        TEST(a_peer_that_sends_one_byte_at_a_time_is_read_to_the_end),
        TEST(rearm_without_advance_repeats_the_whole_request),
        TEST(one_op_serves_receive_and_send_in_turn),
        TEST(send_reaches_the_peer),
        TEST(send_reaches_the_peer_over_ipv6),
        TEST(rearm_after_a_short_write_sends_every_byte_once_and_in_order),
        TEST(megabytes_in_both_directions_at_once_arrive_intact),
        TEST(a_send_completes_before_the_echo_it_caused),
        TEST(every_send_of_a_long_ping_pong_completes_before_its_echo),
        TEST(after_shutdown_the_peer_reads_the_end_of_the_stream),
        TEST(after_the_peers_half_close_a_send_still_reaches_it),
        TEST(a_receive_that_waits_while_the_peer_resets_ends_with_econnreset),
        TEST(a_receive_that_starts_after_a_reset_ends_with_econnreset),
        TEST(a_reset_during_a_send_is_an_error_and_no_signal),
        TEST(a_reset_of_one_connection_leaves_the_others_alone),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
