/* Connections: how they come about, and how they do not. */
#include "support.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- accept ------------------------------------------------------------------------------ */

static void check_accept(struct fixture *f, int family)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(family, 8, &addr);
    int far;

    pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
    test_poll(loop);
    assert_int_equal(probe->calls, 0);
    far = test_connect(&addr);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_true(probe->res >= 0);
    test_write(far, "ping", 4);
    test_read_text(probe->res, "ping");
}

static void accept_gives_the_connection_that_came(void **state)
{
    check_accept(*state, AF_INET);
}

static void accept_gives_the_connection_that_came_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_accept(*state, AF_INET6);
}

static void an_accepted_descriptor_is_nonblocking_and_closed_on_exec(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 8, &addr);

    (void)test_connect(&addr);
    pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
    test_run(loop);
    assert_true(fcntl(probe->res, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(probe->res, F_GETFD) & FD_CLOEXEC);
}

static void check_peer(struct fixture *f, int family)
{
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr, *peer = test_new(f, sizeof(*peer));
    struct test_probe *probe = test_probe(f);
    const int listen_fd = test_listen(family, 8, &addr);

    for (int i = 0; i < 4; i++) { /* some are there before they are asked for */
        const bool early = i % 2 > 0;
        const int before = early ? test_connect(&addr) : -1;
        struct pp_io_addr name;

        pp_io_accept_from(loop, &probe->op, listen_fd, peer, test_probe_once);
        test_poll(loop);
        name = test_name(early ? before : test_connect(&addr));
        test_run(loop);
        assert_true(probe->res >= 0);
        assert_int_equal(peer->len, name.len);
        assert_memory_equal(&peer->any, &name.any, name.len);
    }
}

static void accept_tells_where_the_client_comes_from(void **state)
{
    check_peer(*state, AF_INET);
    check_peer(*state, AF_UNIX);
}

static void accept_tells_where_the_client_comes_from_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_peer(*state, AF_INET6);
}

/* What the op was used for before does not matter. */
static void accept_asks_for_no_address_unless_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr, *peer = test_new(f, sizeof(*peer));
    struct test_probe *probe = test_probe(f);
    const int listen_fd = test_listen(AF_INET, 8, &addr);

    (void)test_connect(&addr);
    pp_io_accept_from(loop, &probe->op, listen_fd, peer, test_probe_once);
    test_run(loop);
    assert_true(probe->res >= 0 && peer->len > 0);
    peer->len = 0;
    (void)test_connect(&addr);
    pp_io_accept(loop, &probe->op, listen_fd, test_probe_once);
    test_run(loop);
    assert_true(probe->res >= 0);
    assert_int_equal(peer->len, 0);
}

#define CLIENTS 100

/* Accepts until it has wanted connections, and then stops asking. */
struct acceptor {
    struct pp_io_op op;
    int count, wanted;
    int32_t error;
    int fds[CLIENTS];
};

static enum pp_io_next on_accepted(struct pp_io_op *op)
{
    struct acceptor *acceptor = container_of(op, struct acceptor, op);

    if (op->res < 0) {
        acceptor->error = op->res;
        return PP_IO_DISARM;
    }
    acceptor->fds[acceptor->count++] = op->res;
    return acceptor->count < acceptor->wanted ? PP_IO_REARM : PP_IO_DISARM;
}

static struct acceptor *acceptor_start(struct fixture *f, struct pp_io_loop *loop, int listen_fd,
                                       int wanted)
{
    struct acceptor *acceptor = test_new(f, sizeof(*acceptor));

    acceptor->wanted = wanted;
    pp_io_accept(loop, &acceptor->op, listen_fd, on_accepted);
    return acceptor;
}

/* Each client says its number, which is the order of connecting, and so of accepting. */
static void connect_clients(const struct pp_io_addr *addr, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        const int fd = test_connect(addr);

        test_write(fd, &(unsigned char){ (unsigned char)i }, 1);
    }
}

static void assert_clients(const int *fds, int first, int count)
{
    for (int i = 0; i < count; i++) {
        unsigned char number;

        test_read(fds[i], &number, 1);
        assert_int_equal(number, first + i);
    }
}

static void rearm_accepts_every_connection_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, CLIENTS, &addr);
    struct acceptor *acceptor;

    connect_clients(&addr, 0, CLIENTS / 2);
    acceptor = acceptor_start(f, loop, listen_fd, CLIENTS);
    test_run_until(loop, &acceptor->count, CLIENTS / 2);
    assert_int_equal(acceptor->count, CLIENTS / 2);
    connect_clients(&addr, CLIENTS / 2, CLIENTS / 2);
    test_run(loop);
    assert_int_equal(acceptor->error, 0);
    assert_clients(acceptor->fds, 0, CLIENTS);
}

static void a_listener_left_alone_for_a_while_loses_no_connection(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, CLIENTS, &addr);
    struct acceptor *first = acceptor_start(f, loop, listen_fd, 3);
    struct acceptor *later;

    connect_clients(&addr, 0, 10);
    test_run(loop);
    assert_int_equal(first->count, 3);
    assert_clients(first->fds, 0, 3);
    memset(first, 0xA5, sizeof(*first)); /* its owner is gone */
    test_poll(loop);
    connect_clients(&addr, 10, 50);
    test_poll(loop);
    later = acceptor_start(f, loop, listen_fd, 57);
    test_run(loop);
    assert_int_equal(later->error, 0);
    assert_clients(later->fds, 3, 57);
}

static void accept_on_a_socket_that_does_not_listen_completes_with_einval(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);
    const struct test_pair pair = test_pair(AF_INET);

    test_write(pair.far, "ping", 4); /* an edge, for engines that wait for one before they try */
    pp_io_accept(loop, &probe->op, pair.near, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->res, -EINVAL);
}

/* Takes up every descriptor that the process may still open, and gives back the limit. */
static struct rlimit use_up_descriptors(void)
{
    struct rlimit old, small;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)test_fd_count() + 16;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    while (dup(STDERR_FILENO) >= 0)
        continue;
    return old;
}

static void without_a_free_descriptor_accept_completes_with_emfile_and_keeps_the_client(
    void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *refused = test_probe(f);
    struct test_probe *served = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 8, &addr);
    struct rlimit old;
    int ret = 0;

    connect_clients(&addr, 7, 1);
    old = use_up_descriptors();
    pp_io_accept(loop, &refused->op, listen_fd, test_probe_once);
    while (refused->calls == 0 && ret == 0)
        ret = pp_io_loop_run_once(loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(ret, 0);
    assert_int_equal(refused->res, -EMFILE);
    pp_io_accept(loop, &served->op, listen_fd, test_probe_once);
    test_run(loop);
    assert_true(served->res >= 0);
    assert_clients(&served->res, 7, 1);
}

/* Two CPUs that this program may use. */
static void find_cpus(int cpus[2])
{
    cpu_set_t set;
    int count = 0;

    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
        if (CPU_ISSET((size_t)cpu, &set))
            cpus[count++] = cpu;
    if (count < 2)
        skip();
}

static void connect_from_cpu(int cpu, const struct pp_io_addr *addr)
{
    cpu_set_t old, set;

    assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
    (void)test_connect(addr);
    assert_int_equal(sched_setaffinity(0, sizeof(old), &old), 0);
}

/* The loop that serves a socket of a group is told, and no other. */
static void a_loop_accepts_what_its_socket_gets(void **state)
{
    struct fixture *f = *state;
    struct pp_io_addr addr = test_loopback(AF_INET);
    struct pp_io_loop *loops[2];
    struct test_probe *probes[2];
    int cpus[2], fds[2];

    find_cpus(cpus);
    assert_int_equal(pp_io_kernel.listen(&addr, NULL, cpus, 2, fds, NULL), 0);
    for (int i = 0; i < 2; i++) {
        loops[i] = test_loop(f);
        probes[i] = test_probe(f);
        pp_io_accept(loops[i], &probes[i]->op, fds[i], test_probe_once);
        test_poll(loops[i]);
    }
    connect_from_cpu(cpus[1], &addr);
    test_run(loops[1]);
    assert_true(probes[1]->res >= 0);
    test_poll(loops[0]);
    assert_int_equal(probes[0]->calls, 0);
}

/* ---- connect ----------------------------------------------------------------------------- */

static void check_connect(struct fixture *f, int family)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(family, 8, &addr);
    const int fd = test_socket(family);
    int far;

    pp_io_connect(loop, &probe->op, fd, &addr.any, addr.len, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, 0);
    far = test_accept(listen_fd);
    test_write(fd, "ping", 4);
    test_read_text(far, "ping");
}

static void connect_connects(void **state)
{
    check_connect(*state, AF_INET);
}

static void connect_connects_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_connect(*state, AF_INET6);
}

static void check_refused(struct fixture *f, int family)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *probe = test_probe(f);
    struct pp_io_addr addr;

    (void)test_bound(family, SOCK_STREAM, &addr); /* nobody else is there, and nobody answers */
    pp_io_connect(loop, &probe->op, test_socket(family), &addr.any, addr.len, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, -ECONNREFUSED);
}

static void a_refused_connect_completes_with_econnrefused(void **state)
{
    check_refused(*state, AF_INET);
}

static void a_refused_connect_completes_with_econnrefused_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_refused(*state, AF_INET6);
}

/* ---- where there is no room -------------------------------------------------------------- */

#define CROWD 20

/* A Unix socket that one connection waits at already, and that has room for no more: no event says
 * when it has. */
struct full {
    struct pp_io_addr addr;
    int listen_fd;
};

static struct full full_listener(void)
{
    struct full full;

    full.listen_fd = test_listen(AF_UNIX, 0, &full.addr);
    (void)test_connect(&full.addr);
    return full;
}

static struct test_probe *start_connect(struct fixture *f, struct pp_io_loop *loop,
                                        const struct full *full)
{
    struct test_probe *probe = test_probe(f);

    pp_io_connect(loop, &probe->op, test_socket(AF_UNIX), &full->addr.any, full->addr.len,
                  test_probe_once);
    return probe;
}

static void a_connect_to_a_full_unix_socket_waits_for_room(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct full full = full_listener();
    const struct test_probe *probe = start_connect(f, loop, &full);

    test_poll(loop);
    assert_int_equal(probe->calls, 0);
    (void)test_accept(full.listen_fd);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, 0);
    test_write(probe->op.fd, "ping", 4);
    test_read_text(test_accept(full.listen_fd), "ping");
}

static void a_crowd_gets_through_a_full_unix_socket(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct full full = full_listener();
    const struct test_probe *probes[CROWD];
    const struct acceptor *acceptor;

    for (size_t i = 0; i < CROWD; i++)
        probes[i] = start_connect(f, loop, &full);
    test_poll(loop);
    acceptor = acceptor_start(f, loop, full.listen_fd, CROWD + 1);
    test_run(loop);
    assert_int_equal(acceptor->count, CROWD + 1);
    for (size_t i = 0; i < CROWD; i++)
        assert_int_equal(probes[i]->res, 0);
}

static void a_connect_that_waits_for_room_can_be_canceled(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct full full = full_listener();
    struct test_probe *probes[] = { start_connect(f, loop, &full), start_connect(f, loop, &full) };

    test_poll(loop);
    for (size_t i = 0; i < COUNT_OF(probes); i++)
        pp_io_cancel(loop, &probes[i]->op);
    test_run(loop);
    for (size_t i = 0; i < COUNT_OF(probes); i++) {
        assert_int_equal(probes[i]->calls, 1);
        assert_int_equal(probes[i]->res, -ECANCELED);
    }
}

static void a_connect_that_waits_for_room_is_refused_when_the_server_ends(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct full full = full_listener();
    const struct test_probe *probe = start_connect(f, loop, &full);

    test_poll(loop);
    test_far_close(full.listen_fd);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(probe->res, -ECONNREFUSED);
}

/* A try each millisecond is fine, and as many as there can be is not. */
static void a_loop_whose_connect_waits_for_room_sleeps(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct full full = full_listener();
    const uint64_t start_ns = pp_clock_now_ns();
    struct test_probe *timer = test_probe(f);
    const struct test_probe *probe = start_connect(f, loop, &full);

    pp_io_timer(loop, &timer->op, start_ns + 20 * PP_NS_PER_MS, test_probe_once);
    test_run_until(loop, &timer->calls, 1);
    assert_int_equal(probe->calls, 0);
    assert_in_range(pp_io_loop_stats(loop).syscalls, 1,
                    20 + 10 * (pp_clock_now_ns() - start_ns) / PP_NS_PER_MS);
}

/* ---- both -------------------------------------------------------------------------------- */

static void a_loop_accepts_and_connects_over_a_unix_socket(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *accepted = test_probe(f);
    struct test_probe *connected = test_probe(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_UNIX, 8, &addr);
    const int fd = test_socket(AF_UNIX);

    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    pp_io_connect(loop, &connected->op, fd, &addr.any, addr.len, test_probe_once);
    test_run(loop);
    assert_int_equal(connected->res, 0);
    assert_true(accepted->res >= 0);
    test_write(fd, "ping", 4);
    test_read_text(accepted->res, "ping");
}

/* Client and server on one loop: connect, and then talk from the callback on. */
struct dialler {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct test_pinger *pinger;
    int32_t error;
};

static enum pp_io_next on_dialled(struct pp_io_op *op)
{
    struct dialler *dialler = container_of(op, struct dialler, op);

    dialler->error = op->res;
    if (op->res == 0)
        test_pinger_start(dialler->pinger);
    return PP_IO_DISARM;
}

struct greeter {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    struct fixture *f;
    struct test_echo *echo;
};

static enum pp_io_next on_greeted(struct pp_io_op *op)
{
    struct greeter *greeter = container_of(op, struct greeter, op);

    if (op->res >= 0)
        greeter->echo = test_echo(greeter->f, greeter->loop, op->res);
    return PP_IO_DISARM;
}

static void client_and_server_of_one_loop_connect_talk_and_part(void **state)
{
    struct fixture *f = *state;
    struct greeter *greeter = test_new(f, sizeof(*greeter));
    struct dialler *dialler = test_new(f, sizeof(*dialler));
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 8, &addr);
    const int fd = test_socket(AF_INET);

    *greeter = (struct greeter){ .loop = loop, .f = f };
    *dialler = (struct dialler){ .loop = loop, .pinger = test_pinger(f, loop, fd, 100) };
    dialler->pinger->on_end = test_pinger_shut;
    pp_io_accept(loop, &greeter->op, listen_fd, on_greeted);
    pp_io_connect(loop, &dialler->op, fd, &addr.any, addr.len, on_dialled);
    test_run(loop);
    assert_int_equal(dialler->error, 0);
    test_pinger_is_well(dialler->pinger);
    assert_true(greeter->echo->closed);
}

/* TCP says so itself. Of a UDP socket the kernel says EAGAIN, and no event ever tells when to try
 * again. */
static void connecting_without_a_free_port_fails(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const int types[] = { SOCK_STREAM, SOCK_DGRAM };

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct pp_io_addr addr;
        const int fd = test_without_port(types[i], &addr);
        struct test_probe *probe = test_probe(f);

        pp_io_connect(loop, &probe->op, fd, &addr.any, addr.len, test_probe_once);
        test_run(loop);
        assert_int_equal(probe->calls, 1);
        assert_int_equal(probe->res, -EADDRNOTAVAIL);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(accept_gives_the_connection_that_came),
        TEST(accept_gives_the_connection_that_came_over_ipv6),
        TEST(accept_tells_where_the_client_comes_from),
        TEST(accept_tells_where_the_client_comes_from_over_ipv6),
        TEST(accept_asks_for_no_address_unless_it_is_told_to),
        TEST(an_accepted_descriptor_is_nonblocking_and_closed_on_exec),
        TEST(rearm_accepts_every_connection_once_and_in_order),
        TEST(a_listener_left_alone_for_a_while_loses_no_connection),
        TEST(accept_on_a_socket_that_does_not_listen_completes_with_einval),
        TEST(without_a_free_descriptor_accept_completes_with_emfile_and_keeps_the_client),
        TEST(a_loop_accepts_what_its_socket_gets),
        TEST(connect_connects),
        TEST(connect_connects_over_ipv6),
        TEST(a_refused_connect_completes_with_econnrefused),
        TEST(a_refused_connect_completes_with_econnrefused_over_ipv6),
        TEST(a_connect_to_a_full_unix_socket_waits_for_room),
        TEST(a_crowd_gets_through_a_full_unix_socket),
        TEST(a_connect_that_waits_for_room_can_be_canceled),
        TEST(a_connect_that_waits_for_room_is_refused_when_the_server_ends),
        TEST(a_loop_whose_connect_waits_for_room_sleeps),
        TEST(a_loop_accepts_and_connects_over_a_unix_socket),
        TEST(client_and_server_of_one_loop_connect_talk_and_part),
        TEST(connecting_without_a_free_port_fails),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
