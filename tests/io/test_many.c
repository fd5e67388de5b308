/* Thousands of connections on one loop, and one that must not keep the others waiting. */
#include "support.h"

#include <sys/resource.h>
#include <unistd.h>

#define CONNECTIONS 2000

/* Both ends of each, and some for the loop and the rest. */
#define DESCRIPTORS (2 * CONNECTIONS + 100)

static bool raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < DESCRIPTORS)
        return false;
    if (limit.rlim_cur >= DESCRIPTORS)
        return true;
    limit.rlim_cur = DESCRIPTORS;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Accepts all clients and echoes to them. */
struct server {
    struct pp_io_op op;
    struct fixture *f;
    struct pp_io_loop *loop;
    int count;
    int32_t error;
    const struct test_echo *echoes[CONNECTIONS];
};

static enum pp_io_next on_accepted(struct pp_io_op *op)
{
    struct server *server = container_of(op, struct server, op);

    if (op->res < 0) {
        server->error = op->res;
        return PP_IO_DISARM;
    }
    server->echoes[server->count++] = test_echo(server->f, server->loop, op->res);
    return server->count < CONNECTIONS ? PP_IO_REARM : PP_IO_DISARM;
}

/* Connects, pings once, and parts. */
struct client {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct test_pinger *pinger;
    int32_t error;
    bool closed;
};

static enum pp_io_next on_client_closed(struct pp_io_op *op)
{
    container_of(op, struct client, op)->closed = op->res == 0;
    return PP_IO_DISARM;
}

static void close_client(struct test_pinger *pinger)
{
    struct client *client = pinger->owner;

    pp_io_close(client->loop, &client->op, pinger->fd, on_client_closed);
}

static enum pp_io_next on_connected(struct pp_io_op *op)
{
    struct client *client = container_of(op, struct client, op);

    client->error = op->res;
    if (op->res == 0)
        test_pinger_start(client->pinger);
    return PP_IO_DISARM;
}

static void client_start(struct fixture *f, struct pp_io_loop *loop, struct client *client,
                         const struct pp_io_addr *addr)
{
    const int fd = test_socket(AF_INET);

    client->loop = loop;
    client->pinger = test_pinger(f, loop, fd, 1);
    client->pinger->owner = client;
    client->pinger->on_end = close_client;
    pp_io_connect(loop, &client->op, fd, &addr->any, addr->len, on_connected);
}

static void two_thousand_connections_each_get_their_echo(void **state)
{
    struct fixture *f = *state;
    struct server *server = test_new(f, sizeof(*server));
    struct client *clients = test_new(f, CONNECTIONS * sizeof(*clients));
    struct pp_io_addr addr;
    int listen_fd;

    if (!raise_descriptor_limit())
        skip();
    listen_fd = test_listen(AF_INET, CONNECTIONS, &addr);
    *server = (struct server){ .f = f, .loop = test_loop(f) }; /* ready for far fewer */
    pp_io_accept(server->loop, &server->op, listen_fd, on_accepted);
    for (int i = 0; i < CONNECTIONS; i++)
        client_start(f, server->loop, &clients[i], &addr);
    test_run(server->loop);
    assert_int_equal(server->error, 0);
    assert_int_equal(server->count, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(clients[i].error, 0);
        test_pinger_is_well(clients[i].pinger);
        assert_true(clients[i].closed);
        assert_true(server->echoes[i]->closed);
    }
}

static void all_of_two_thousand_may_speak_at_once(void **state)
{
    struct fixture *f = *state;
    struct test_pinger *pingers[CONNECTIONS];
    struct pp_io_loop *loop;

    if (!raise_descriptor_limit())
        skip();
    loop = test_loop(f);
    for (int i = 0; i < CONNECTIONS; i++) {
        const struct test_pair pair = test_pair(AF_INET);

        (void)test_echo(f, loop, pair.far);
        pingers[i] = test_pinger(f, loop, pair.near, 10);
        test_pinger_start(pingers[i]);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        test_run_until(loop, &pingers[i]->rounds, 10);
        test_pinger_is_well(pingers[i]);
    }
}

static void two_thousand_armed_receives_can_be_canceled_at_once(void **state)
{
    struct fixture *f = *state;
    struct test_probe *probes[CONNECTIONS];
    struct pp_io_loop *loop;

    if (!raise_descriptor_limit())
        skip();
    loop = test_loop(f);
    for (int i = 0; i < CONNECTIONS; i++) {
        probes[i] = test_probe(f);
        pp_io_recv_pooled(loop, &probes[i]->op, test_pair(AF_INET).near, test_probe_once);
    }
    test_poll(loop);
    for (int i = 0; i < CONNECTIONS; i++)
        pp_io_cancel(loop, &probes[i]->op);
    test_run(loop);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(probes[i]->calls, 1);
        assert_int_equal(probes[i]->res, -ECANCELED);
    }
}

/* ---- fairness ---------------------------------------------------------------------------- */

#define FLOOD_BYTES 65536

/* More callbacks of the flood than this, while another has something to say, are unfair. */
#define FAIR_CALLS 4096

/* Sends and receives on one connection for ever. */
struct flood {
    struct pp_io_op send_op, recv_op;
    struct pp_io_loop *loop;
    bool pooled;
    int calls;
    bool over;
    char out[FLOOD_BYTES], in[FLOOD_BYTES];
};

static enum pp_io_next on_flood_sent(struct pp_io_op *op)
{
    struct flood *flood = container_of(op, struct flood, send_op);

    if (!flood->over && op->res > 0)
        pp_io_send(flood->loop, op, op->fd, flood->out, FLOOD_BYTES, on_flood_sent);
    return PP_IO_DISARM;
}

static enum pp_io_next on_flood_received(struct pp_io_op *op)
{
    struct flood *flood = container_of(op, struct flood, recv_op);

    flood->calls++;
    if (flood->pooled && op->res > 0)
        pp_io_buffer_put(flood->loop, op->buf);
    return flood->over || op->res <= 0 ? PP_IO_DISARM : PP_IO_REARM;
}

static struct flood *flood_start(struct fixture *f, struct pp_io_loop *loop, bool pooled)
{
    struct flood *flood = test_new(f, sizeof(*flood));
    const struct test_pair pair = test_pair(AF_INET);

    flood->loop = loop;
    flood->pooled = pooled;
    pp_io_send(loop, &flood->send_op, pair.far, flood->out, FLOOD_BYTES, on_flood_sent);
    if (pooled)
        pp_io_recv_pooled(loop, &flood->recv_op, pair.near, on_flood_received);
    else
        pp_io_recv(loop, &flood->recv_op, pair.near, flood->in, FLOOD_BYTES, on_flood_received);
    test_run_until(loop, &flood->calls, 100); /* in full swing */
    return flood;
}

static void flood_end(struct flood *flood)
{
    flood->over = true;
    pp_io_cancel(flood->loop, &flood->send_op);
    pp_io_cancel(flood->loop, &flood->recv_op);
    test_run(flood->loop);
}

/* Ten times somebody else has something to say, and is heard before long. */
static void check_that_a_message_gets_through(struct fixture *f, bool pooled)
{
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair quiet = test_pair(AF_INET);
    struct flood *flood = flood_start(f, loop, pooled);

    for (int i = 0; i < 10; i++) {
        struct test_probe *probe = test_probe(f);
        const int before = flood->calls;

        pp_io_recv(loop, &probe->op, quiet.near, probe->buf, 64, test_probe_once);
        assert_int_equal(pp_io_loop_run_once(loop), 0);
        test_write(quiet.far, "ping", 4);
        test_run_until(loop, &probe->calls, 1);
        assert_string_equal(probe->buf, "ping");
        assert_in_range(flood->calls - before, 0, FAIR_CALLS);
    }
    flood_end(flood);
}

static void a_flood_does_not_stop_anothers_message(void **state)
{
    check_that_a_message_gets_through(*state, false);
}

static void a_flood_through_pooled_buffers_does_not_stop_anothers_message(void **state)
{
    check_that_a_message_gets_through(*state, true);
}

static void a_flood_does_not_stop_an_accept(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 16, &addr);
    struct flood *flood = flood_start(f, loop, true);

    for (int i = 0; i < 10; i++) {
        struct test_probe *probe = test_probe(f);
        const int before = flood->calls;

        pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
        assert_int_equal(pp_io_loop_run_once(loop), 0);
        (void)test_connect(&addr);
        test_run_until(loop, &probe->calls, 1);
        assert_true(probe->res >= 0);
        assert_in_range(flood->calls - before, 0, FAIR_CALLS);
    }
    flood_end(flood);
}

static void a_flood_does_not_stop_a_timer_or_a_wake(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct flood *flood = flood_start(f, loop, false);
    struct test_probe *timer = test_probe(f);
    struct test_probe *wake = test_probe(f);
    int before;

    pp_io_timer(loop, &timer->op, pp_clock_now_ns() + PP_NS_PER_MS, test_probe_once);
    test_run_until(loop, &timer->calls, 1);
    before = flood->calls;
    pp_io_wake_wait(loop, &wake->op, test_probe_once);
    pp_io_wake(loop, &wake->op);
    test_run_until(loop, &wake->calls, 1);
    assert_in_range(flood->calls - before, 0, FAIR_CALLS);
    flood_end(flood);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(two_thousand_connections_each_get_their_echo),
        TEST(all_of_two_thousand_may_speak_at_once),
        TEST(two_thousand_armed_receives_can_be_canceled_at_once),
        TEST(a_flood_does_not_stop_anothers_message),
        TEST(a_flood_through_pooled_buffers_does_not_stop_anothers_message),
        TEST(a_flood_does_not_stop_an_accept),
        TEST(a_flood_does_not_stop_a_timer_or_a_wake),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
