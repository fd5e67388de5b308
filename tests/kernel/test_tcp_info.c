/* What the kernel says of a TCP connection. */
#include "io/support.h"

#include <netinet/tcp.h>
#include <unistd.h>

static void a_connection_has_the_mss_and_the_congestion_control_of_its_socket(void **state)
{
    const struct test_pair pair = test_pair(AF_INET);
    struct pp_io_tcp_info info;
    char congestion[sizeof info.congestion] = "";
    socklen_t len = sizeof congestion - 1;
    int mss = 0;
    socklen_t mss_len = sizeof mss;

    (void)state;
    assert_int_equal(pp_io_kernel.tcp_info(pair.near, &info), 0);
    assert_int_equal(getsockopt(pair.near, IPPROTO_TCP, TCP_MAXSEG, &mss, &mss_len), 0);
    assert_int_equal(getsockopt(pair.near, IPPROTO_TCP, TCP_CONGESTION, congestion, &len), 0);
    assert_true(mss > 0);
    assert_int_equal(info.mss, mss);
    assert_string_equal(info.congestion, congestion);
}

static void both_ends_know_the_least_rtt_once_bytes_were_acknowledged(void **state)
{
    const struct test_pair pair = test_pair(AF_INET);
    struct pp_io_tcp_info near, far;

    (void)state;
    for (int i = 0; i < 10; i++) {
        test_write(pair.far, "ping", 4);
        while (recv(pair.near, &(char[4]){ 0 }, 4, 0) < 0)
            ;
        test_write(pair.near, "pong", 4);
        test_read_text(pair.far, "pong");
    }
    assert_int_equal(pp_io_kernel.tcp_info(pair.near, &near), 0);
    assert_int_equal(pp_io_kernel.tcp_info(pair.far, &far), 0);
    assert_in_range(near.min_rtt_ns, 1, 10 * PP_NS_PER_S);
    assert_in_range(far.min_rtt_ns, 1, 10 * PP_NS_PER_S);
    assert_true(near.min_rtt_ns % PP_NS_PER_US == 0);
}

static void what_was_acknowledged_is_counted_in_bytes(void **state)
{
    const struct test_pair pair = test_pair(AF_INET);
    struct pp_io_tcp_info info;
    uint64_t before;

    (void)state;
    assert_int_equal(pp_io_kernel.tcp_info(pair.near, &info), 0);
    before = info.acked; /* the handshake may count */
    test_write(pair.near, "ping", 4);
    test_read_text(pair.far, "ping");
    while (info.acked < before + 4)
        assert_int_equal(pp_io_kernel.tcp_info(pair.near, &info), 0);
    assert_int_equal(info.acked, before + 4);
}

static void nothing_is_sent_again_over_the_loopback(void **state)
{
    const struct test_pair pair = test_pair(AF_INET);
    struct pp_io_tcp_info info = { .retransmits = 7 };

    (void)state;
    test_write(pair.near, "ping", 4);
    test_read_text(pair.far, "ping");
    assert_int_equal(pp_io_kernel.tcp_info(pair.near, &info), 0);
    assert_int_equal(info.retransmits, 0);
}

static void what_is_no_tcp_socket_is_an_error(void **state)
{
    struct pp_io_tcp_info info = { .mss = 7 };
    struct pp_io_addr addr;
    const int udp = test_bound(AF_INET, SOCK_DGRAM, &addr);
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(pp_io_kernel.tcp_info(udp, &info) < 0);
    assert_true(pp_io_kernel.tcp_info(fds[0], &info) < 0);
    assert_int_equal(pp_io_kernel.tcp_info(-1, &info), -EBADF);
    assert_int_equal(info.mss, 7); /* untouched */
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_has_the_mss_and_the_congestion_control_of_its_socket),
        TEST(both_ends_know_the_least_rtt_once_bytes_were_acknowledged),
        TEST(what_was_acknowledged_is_counted_in_bytes),
        TEST(nothing_is_sent_again_over_the_loopback),
        TEST(what_is_no_tcp_socket_is_an_error),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
