/* Closing: the descriptor is gone, its peer knows, and nothing of it haunts the next connection
 * that gets its number. */
#include "support.h"

#include <fcntl.h>

static void close_on_loop(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    struct test_probe *probe = test_probe(f);

    pp_io_close(loop, &probe->op, fd, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, 0);
    assert_false(test_fd_is_open(fd));
}

static void a_closed_descriptor_is_gone_and_its_peer_reads_the_end(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);

    close_on_loop(f, loop, pair.near);
    test_read_eof(pair.far);
}

/* An engine may make arrangements for a descriptor that is sent on often: they end with it. */
static void send_often(struct fixture *f, struct pp_io_loop *loop, const struct test_pair *pair)
{
    for (int i = 0; i < 200; i++) {
        struct test_probe *probe = test_probe(f);

        pp_io_send(loop, &probe->op, pair->near, "ping", 4, test_probe_once);
        test_run(loop);
        assert_int_equal(probe->res, 4);
        test_read_text(pair->far, "ping");
    }
}

static void after_many_sends_the_peer_reads_the_end_and_the_number_is_anothers(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (int i = 0; i < 3; i++) {
        const struct test_pair pair = test_pair(AF_INET);

        send_often(f, loop, &pair);
        close_on_loop(f, loop, pair.near);
        test_read_eof(pair.far);
        test_far_close(pair.far);
    }
}

static void closing_twice_completes_with_ebadf(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *again = test_probe(f);

    close_on_loop(f, loop, pair.near);
    pp_io_close(loop, &again->op, pair.near, test_probe_once);
    test_run(loop);
    assert_int_equal(again->res, -EBADF);
}

static void what_was_sent_before_arrives_before_the_end(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    const uint32_t bytes = 256 * 1024;
    char *data = test_new(f, bytes);
    struct test_probe *probe = test_probe(f);
    const struct test_sink *sink;

    test_pattern_fill(data, 0, bytes);
    pp_io_send(loop, &probe->op, pair.near, data, bytes, test_probe_once);
    test_run(loop);
    assert_true(probe->res > 0);
    close_on_loop(f, loop, pair.near);
    sink = test_sink(f, loop, pair.far);
    test_run(loop);
    test_sink_has(sink, (uint64_t)probe->res);
}

/* Whatever was done on a connection before, closing it is closing it. */
static void receive_once(struct fixture *f, struct pp_io_loop *loop, int fd, bool pooled,
                         const char *text)
{
    struct test_probe *probe = test_probe(f);

    if (pooled)
        pp_io_recv_pooled(loop, &probe->op, fd, test_probe_once);
    else
        pp_io_recv(loop, &probe->op, fd, probe->buf, sizeof(probe->buf), test_probe_once);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, strlen(text));
    assert_memory_equal(pooled ? probe->op.buf : probe->buf, text, strlen(text));
    if (pooled)
        pp_io_buffer_put(loop, probe->op.buf);
}

static void check_end_after_receives(struct fixture *f, bool pooled)
{
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);

    for (int i = 0; i < 3; i++) {
        test_write(pair.far, "ping", 4);
        receive_once(f, loop, pair.near, pooled, "ping");
    }
    test_poll(loop);
    close_on_loop(f, loop, pair.near);
    test_read_eof(pair.far); /* hangs, if something still holds the connection */
}

static void after_receives_the_peer_reads_the_end(void **state)
{
    check_end_after_receives(*state, false);
}

static void after_pooled_receives_the_peer_reads_the_end(void **state)
{
    check_end_after_receives(*state, true);
}

static void check_end_after_cancel(struct fixture *f, bool pooled)
{
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *probe = test_probe(f);

    if (pooled)
        pp_io_recv_pooled(loop, &probe->op, pair.near, test_probe_once);
    else
        pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf), test_probe_once);
    test_poll(loop);
    pp_io_cancel(loop, &probe->op);
    test_run(loop);
    assert_int_equal(probe->res, -ECANCELED);
    close_on_loop(f, loop, pair.near);
    test_read_eof(pair.far);
}

static void after_a_canceled_receive_the_peer_reads_the_end(void **state)
{
    check_end_after_cancel(*state, false);
}

static void after_a_canceled_pooled_receive_the_peer_reads_the_end(void **state)
{
    check_end_after_cancel(*state, true);
}

/* ---- listeners --------------------------------------------------------------------------- */

static void on_a_closed_listener_nobody_can_connect_any_more(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *accepted = test_probe(f);
    struct test_probe *refused = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 8, &addr);

    (void)test_connect(&addr);
    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    test_run(loop);
    assert_true(accepted->res >= 0);
    close_on_loop(f, loop, listen_fd);
    pp_io_connect(loop, &refused->op, test_socket(AF_INET), &addr.any, addr.len, test_probe_once);
    test_run(loop);
    assert_int_equal(refused->res, -ECONNREFUSED);
}

/* The kernel, or the engine, may have accepted them already. */
static void clients_that_nobody_accepted_are_let_go_with_their_listener(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 8, &addr);
    const int open_before = test_fd_count();
    int clients[5];

    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = test_connect(&addr);
    pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
    test_run(loop);
    test_poll(loop);
    close_on_loop(f, loop, listen_fd);
    for (size_t i = 1; i < COUNT_OF(clients); i++) {
        assert_true(test_read_end(clients[i]) <= 0);
    }
    assert_int_equal(test_fd_count(), open_before - 1 + (int)COUNT_OF(clients) + 1);
}

/* ---- numbers that come again ------------------------------------------------------------- */

/* Gives a descriptor that no loop has seen yet this number, which is free or fd itself. */
static void give_number(int fd, int number)
{
    if (fd == number)
        return;
    assert_false(test_fd_is_open(number));
    test_renumber(fd, number);
}

/* A new connection whose near end has this number. */
static struct test_pair pair_with_number(int number)
{
    struct test_pair pair = test_pair(AF_INET);

    if (pair.far == number)
        pair.far = test_renumber(number, -1);
    give_number(pair.near, number);
    pair.near = number;
    return pair;
}

/* Leaves the old connection with bytes unread, and with whatever the engine keeps up for it. */
static void leave_in_mid_stream(struct fixture *f, struct pp_io_loop *loop,
                                const struct test_pair *pair, bool pooled)
{
    test_write(pair->far, "old", 3);
    receive_once(f, loop, pair->near, pooled, "old");
    test_write(pair->far, "old", 3);
    test_poll(loop);
    test_write(pair->far, "old", 3);
}

static void check_reuse(struct fixture *f, bool pooled_before, bool pooled_after)
{
    struct pp_io_loop *loop = test_loop(f);

    for (int i = 0; i < 30; i++) {
        const struct test_pair old = test_pair(AF_INET);
        struct test_pair new;

        leave_in_mid_stream(f, loop, &old, pooled_before);
        close_on_loop(f, loop, old.near);
        new = pair_with_number(old.near);
        test_write(new.far, "new!", 4);
        receive_once(f, loop, new.near, pooled_after, "new!");
        close_on_loop(f, loop, new.near);
        test_far_close(new.far);
        test_far_close(old.far);
    }
}

static void a_new_connection_with_an_old_number_reads_only_its_own_bytes(void **state)
{
    check_reuse(*state, false, false);
}

static void a_new_connection_with_an_old_number_reads_only_its_own_bytes_pooled(void **state)
{
    check_reuse(*state, true, true);
}

static void an_old_number_may_come_again_with_the_other_kind_of_receive(void **state)
{
    check_reuse(*state, true, false);
    check_reuse(*state, false, true);
}

static void the_end_of_an_old_connection_does_not_end_the_new_one(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (int i = 0; i < 30; i++) {
        const struct test_pair old = test_pair(AF_INET);
        struct test_probe *end = test_probe(f);
        struct test_probe *waiting = test_probe(f);
        struct test_pair new;

        pp_io_recv_pooled(loop, &end->op, old.near, test_probe_once);
        test_poll(loop);
        test_far_close(old.far);
        test_run(loop);
        assert_int_equal(end->res, 0);
        close_on_loop(f, loop, old.near);
        new = pair_with_number(old.near);
        pp_io_recv_pooled(loop, &waiting->op, new.near, test_probe_once);
        test_poll(loop);
        assert_int_equal(waiting->calls, 0);
        test_write(new.far, "new!", 4);
        test_run(loop);
        assert_int_equal(waiting->res, 4);
        pp_io_buffer_put(loop, waiting->op.buf);
        close_on_loop(f, loop, new.near);
        test_far_close(new.far);
    }
}

/* The usual life of a server: the number is used again in the very callback of the close. */
struct reuser {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct test_pair pair;
    int calls, wrong;
    char buf[8];
};

static enum pp_io_next on_reuser_received(struct pp_io_op *op);

static void reuser_receive(struct reuser *r, char digit)
{
    r->pair = test_pair(AF_INET);
    test_write(r->pair.far, &digit, 1);
    pp_io_recv_pooled(r->loop, &r->op, r->pair.near, on_reuser_received);
}

static enum pp_io_next on_reuser_closed(struct pp_io_op *op)
{
    struct reuser *r = container_of(op, struct reuser, op);

    r->wrong += op->res != 0;
    test_far_close(r->pair.far);
    if (r->calls < 100)
        reuser_receive(r, (char)('0' + r->calls % 10));
    return PP_IO_DISARM;
}

static enum pp_io_next on_reuser_received(struct pp_io_op *op)
{
    struct reuser *r = container_of(op, struct reuser, op);

    r->wrong += op->res != 1 || op->buf[0] != (char)('0' + r->calls % 10);
    r->calls++;
    if (op->res > 0)
        pp_io_buffer_put(r->loop, op->buf);
    pp_io_close(r->loop, op, r->pair.near, on_reuser_closed);
    return PP_IO_DISARM;
}

static void a_number_may_come_again_in_the_callback_of_its_close(void **state)
{
    struct fixture *f = *state;
    struct reuser *r = test_new(f, sizeof(*r));

    r->loop = test_loop(f);
    reuser_receive(r, '0');
    test_run(r->loop);
    assert_int_equal(r->calls, 100);
    assert_int_equal(r->wrong, 0);
}

static void a_listeners_number_may_come_again_as_a_connection(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (int i = 0; i < 30; i++) {
        struct pp_io_addr addr;
        const int listen_fd = test_listen(AF_INET, 8, &addr);
        struct test_probe *probe = test_probe(f);
        struct test_pair new;

        (void)test_connect(&addr);
        (void)test_connect(&addr);
        pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
        test_run(loop);
        assert_true(probe->res >= 0);
        close_on_loop(f, loop, listen_fd);
        new = pair_with_number(listen_fd);
        test_write(new.far, "new!", 4);
        receive_once(f, loop, new.near, true, "new!");
        close_on_loop(f, loop, new.near);
    }
}

static void a_connections_number_may_come_again_as_a_listener(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (int i = 0; i < 30; i++) {
        const struct test_pair old = test_pair(AF_INET);
        struct test_probe *probe = test_probe(f);
        struct pp_io_addr addr;

        leave_in_mid_stream(f, loop, &old, true);
        close_on_loop(f, loop, old.near);
        give_number(test_listen(AF_INET, 8, &addr), old.near);
        (void)test_connect(&addr);
        pp_io_accept(loop, &probe->op, old.near, test_probe_once);
        test_run(loop);
        assert_true(probe->res >= 0);
        assert_true(test_fd_is_open(probe->res));
        close_on_loop(f, loop, old.near);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_closed_descriptor_is_gone_and_its_peer_reads_the_end),
        TEST(after_many_sends_the_peer_reads_the_end_and_the_number_is_anothers),
        TEST(closing_twice_completes_with_ebadf),
        TEST(what_was_sent_before_arrives_before_the_end),
        TEST(after_receives_the_peer_reads_the_end),
        TEST(after_pooled_receives_the_peer_reads_the_end),
        TEST(after_a_canceled_receive_the_peer_reads_the_end),
        TEST(after_a_canceled_pooled_receive_the_peer_reads_the_end),
        TEST(on_a_closed_listener_nobody_can_connect_any_more),
        TEST(clients_that_nobody_accepted_are_let_go_with_their_listener),
        TEST(a_new_connection_with_an_old_number_reads_only_its_own_bytes),
        TEST(a_new_connection_with_an_old_number_reads_only_its_own_bytes_pooled),
        TEST(an_old_number_may_come_again_with_the_other_kind_of_receive),
        TEST(the_end_of_an_old_connection_does_not_end_the_new_one),
        TEST(a_number_may_come_again_in_the_callback_of_its_close),
        TEST(a_listeners_number_may_come_again_as_a_connection),
        TEST(a_connections_number_may_come_again_as_a_listener),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
