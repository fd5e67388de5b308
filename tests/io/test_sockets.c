/* Sockets and addresses, with the loop that serves them. */
#include "support.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

static struct pp_io_addr loopback(uint16_t port)
{
    return (struct pp_io_addr){ .len = sizeof(struct sockaddr_in),
                                .in = { .sin_family = AF_INET,
                                        .sin_port = htons(port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
}

static struct pp_io_addr loopback6(uint16_t port)
{
    return (struct pp_io_addr){ .len = sizeof(struct sockaddr_in6),
                                .in6 = { .sin6_family = AF_INET6,
                                         .sin6_port = htons(port),
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT } };
}

static void an_address_is_written_as_people_read_it(void **state)
{
    char text[PP_IO_ADDR_TEXT_BYTES];
    struct pp_io_addr widest = loopback6(65535);
    const struct pp_io_addr v4 = loopback(3131);
    const struct pp_io_addr v6 = loopback6(3131);

    (void)state;
    assert_ptr_equal(pp_io_addr_format(&v4, text), text);
    assert_string_equal(text, "127.0.0.1:3131");
    assert_string_equal(pp_io_addr_format(&v6, text), "[::1]:3131");
    memset(&widest.in6.sin6_addr, 0xFE, sizeof(widest.in6.sin6_addr));
    assert_string_equal(pp_io_addr_format(&widest, text),
                        "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:65535");
}

static int listen_on(struct pp_io_addr *addr)
{
    struct pp_error err = { 0 };
    const int fd = pp_io_listen(addr, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

static int socket_for(const struct pp_io_addr *addr)
{
    struct pp_error err = { 0 };
    const int fd = pp_io_socket(addr, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

/* Accepts and connects on the loop, and says "ping". */
static void check_listen_and_connect(struct fixture *f, struct pp_io_addr addr)
{
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *accepted = test_probe(f);
    struct test_probe *connected = test_probe(f);
    const int listen_fd = listen_on(&addr);
    const int fd = socket_for(&addr);

    assert_int_not_equal(addr.in.sin_port, 0); /* the same place for both families */
    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    pp_io_connect(loop, &connected->op, fd, &addr.any, addr.len, test_probe_once);
    test_run(loop);
    assert_int_equal(connected->res, 0);
    assert_true(accepted->res >= 0);
    test_write(fd, "ping", 4);
    test_read_text(accepted->res, "ping");
}

static void port_0_is_filled_in_and_can_be_connected_to(void **state)
{
    check_listen_and_connect(*state, loopback(0));
}

static void port_0_is_filled_in_and_can_be_connected_to_over_ipv6(void **state)
{
    test_needs_ipv6();
    check_listen_and_connect(*state, loopback6(0));
}

static int option_of(int fd, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void assert_flags(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(option_of(fd, IPPROTO_TCP, TCP_NODELAY));
}

static void both_ends_of_a_connection_are_nonblocking_and_without_nagle_delay(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct test_probe *accepted = test_probe(f);
    struct pp_io_addr addr = loopback(0);
    const int listen_fd = listen_on(&addr);
    const int fd = socket_for(&addr);

    assert_true(connect(fd, &addr.any, addr.len) == 0 || errno == EINPROGRESS);
    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    test_run(loop);
    assert_flags(fd);
    assert_flags(accepted->res);
    assert_true(fcntl(listen_fd, F_GETFD) & FD_CLOEXEC);
}

static void a_port_in_use_is_refused_by_its_number(void **state)
{
    struct pp_io_addr addr = loopback(0);
    struct pp_error err = { 0 };
    char port[16];

    (void)state;
    (void)listen_on(&addr);
    assert_int_equal(pp_io_listen(&addr, &err), -EADDRINUSE);
    assert_int_equal(err.code, -EADDRINUSE);
    (void)snprintf(port, sizeof(port), "%d", ntohs(addr.in.sin_port));
    assert_non_null(strstr(err.text, port));
}

/* RFC 5737: nobody has 192.0.2.1. */
static void a_foreign_address_is_refused_by_its_name(void **state)
{
    struct pp_io_addr addr = loopback(0);
    struct pp_error err = { 0 };
    const int before = test_fd_count();

    (void)state;
    addr.in.sin_addr.s_addr = htonl(0xC0000201);
    assert_int_equal(pp_io_listen(&addr, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "192.0.2.1"));
    assert_int_equal(test_fd_count(), before);
}

static void errors_are_fine_without_anywhere_to_put_the_text(void **state)
{
    struct pp_io_addr addr = loopback(0);

    (void)state;
    (void)listen_on(&addr);
    assert_int_equal(pp_io_listen(&addr, NULL), -EADDRINUSE);
}

/* The server ends its connections first, so that they linger in TIME_WAIT on its port. */
static void a_port_can_be_listened_on_again_at_once(void **state)
{
    struct pp_io_addr addr = loopback(0);
    int listen_fd = listen_on(&addr);
    const int client = test_connect(&addr);
    const int served = accept(listen_fd, NULL, NULL);

    (void)state;
    assert_true(served >= 0);
    assert_int_equal(close(served), 0);
    test_read_eof(client);
    assert_int_equal(close(client), 0);
    assert_int_equal(close(listen_fd), 0);
    listen_fd = listen_on(&addr);
    assert_true(listen_fd >= 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_written_as_people_read_it),
        TEST(port_0_is_filled_in_and_can_be_connected_to),
        TEST(port_0_is_filled_in_and_can_be_connected_to_over_ipv6),
        TEST(both_ends_of_a_connection_are_nonblocking_and_without_nagle_delay),
        TEST(a_port_in_use_is_refused_by_its_number),
        TEST(a_foreign_address_is_refused_by_its_name),
        TEST(errors_are_fine_without_anywhere_to_put_the_text),
        TEST(a_port_can_be_listened_on_again_at_once),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
