/* Which socket of a group gets a connection or a datagram. A client on the loopback that is pinned
 * to a CPU is one whose packets arrive on that CPU. */
#include "io/support.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_SKIPPED 77
#define ROUNDS 32

/* Two CPUs that this program may use. */
static int cpu_a, cpu_b;

static void find_cpus(void)
{
    cpu_set_t set;
    int found[2] = { 0 };
    int count = 0;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
            if (CPU_ISSET((size_t)cpu, &set))
                found[count++] = cpu;
    if (count < 2) {
        (void)fprintf(stderr, "this program may use one CPU only: there is nothing to steer\n");
        exit(EXIT_SKIPPED);
    }
    cpu_a = found[0];
    cpu_b = found[1];
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

struct group {
    struct pp_io_addr addr;
    bool dgram;
    int fds[2];
};

static struct group group_of(int family, bool dgram, const int cpus[2])
{
    const struct pp_io_socket_options options = { .dgram = dgram };
    struct group group = { .addr = test_loopback(family), .dgram = dgram };
    struct pp_error err = { 0 };

    if (pp_io_kernel.listen(&group.addr, &options, cpus, 2, group.fds, &err) < 0)
        fail_msg("%s", err.text);
    return group;
}

/* One of several that share their port. */
static int client_at(const struct group *group, struct pp_io_addr *addr)
{
    const int type = group->dgram ? SOCK_DGRAM : SOCK_STREAM;
    const int fd = socket(group->addr.any.sa_family, type | SOCK_CLOEXEC, 0);
    const int on = 1;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, &addr->any, addr->len), 0);
    assert_int_equal(getsockname(fd, &addr->any, &addr->len), 0);
    return fd;
}

/* Closing a client resets its connection: thousands of TIME_WAITs would use up the ports. */
static int send_one(const struct group *group, struct pp_io_addr *from)
{
    const int fd = client_at(group, from);

    assert_int_equal(connect(fd, &group->addr.any, group->addr.len), 0);
    if (group->dgram)
        test_write(fd, "!", 1);
    return fd;
}

static void take_one(const struct group *group, int fd)
{
    char byte;

    if (group->dgram) {
        assert_int_equal(recv(fd, &byte, 1, 0), 1);
        return;
    }
    fd = accept(fd, NULL, NULL);
    assert_true(fd >= 0);
    test_reset(fd);
}

/* Sends one from the CPU that the program is pinned to, and returns which socket has got it. */
static int arrival_from(const struct group *group, struct pp_io_addr *from)
{
    struct pollfd polls[2] = { { .fd = group->fds[0], .events = POLLIN },
                               { .fd = group->fds[1], .events = POLLIN } };
    const int client = send_one(group, from);
    int which;

    assert_int_equal(poll(polls, 2, -1), 1); /* it is on one of them, and not on both */
    which = polls[0].revents ? 0 : 1;
    take_one(group, group->fds[which]);
    test_reset(client);
    return which;
}

/* The same from any port. */
static int arrival(const struct group *group)
{
    struct pp_io_addr from = test_loopback(group->addr.any.sa_family);

    return arrival_from(group, &from);
}

static void check_arrivals(const struct group *group, int cpu, int wanted)
{
    pin(cpu);
    for (int i = 0; i < ROUNDS; i++)
        test_equal("the socket", arrival(group), wanted);
}

static void check_by_cpu(int family, bool dgram)
{
    const struct group straight = group_of(family, dgram, (const int[]){ cpu_a, cpu_b });
    const struct group crossed = group_of(family, dgram, (const int[]){ cpu_b, cpu_a });

    check_arrivals(&straight, cpu_a, 0);
    check_arrivals(&straight, cpu_b, 1);
    check_arrivals(&crossed, cpu_a, 1);
    check_arrivals(&crossed, cpu_b, 0);
}

static void a_connection_goes_to_the_socket_of_its_cpu(void **state)
{
    (void)state;
    check_by_cpu(AF_INET, false);
}

static void a_connection_goes_to_the_socket_of_its_cpu_over_ipv6(void **state)
{
    (void)state;
    test_needs_ipv6();
    check_by_cpu(AF_INET6, false);
}

static void a_datagram_goes_to_the_socket_of_its_cpu(void **state)
{
    (void)state;
    check_by_cpu(AF_INET, true);
}

static void a_datagram_goes_to_the_socket_of_its_cpu_over_ipv6(void **state)
{
    (void)state;
    test_needs_ipv6();
    check_by_cpu(AF_INET6, true);
}

/* The first socket at a port keeps it from others until the end of the test. */
static void check_same_ports(const struct group *group)
{
    struct pp_io_addr from = test_loopback(group->addr.any.sa_family);
    int wanted;

    (void)client_at(group, &from);
    wanted = arrival_from(group, &from);
    for (int i = 0; i < ROUNDS; i++) {
        pin(i % 2 == 0 ? cpu_b : cpu_a);
        test_equal("the socket", arrival_from(group, &from), wanted);
    }
}

static void without_a_list_of_cpus_the_same_two_ports_meet_the_same_socket(void **state)
{
    (void)state;
    for (int dgram = 0; dgram < 2; dgram++) {
        const struct group group = group_of(AF_INET, dgram, NULL);

        for (int i = 0; i < 4; i++)
            check_same_ports(&group);
    }
}

/* That all come to one of them is a chance of 1 in 2^127. */
static void check_shared(const struct group *group)
{
    int got[2] = { 0 };

    pin(cpu_a);
    for (int i = 0; i < 4 * ROUNDS; i++)
        got[arrival(group)]++;
    assert_true(got[0] > 0);
    assert_true(got[1] > 0);
}

static void without_a_list_of_cpus_all_share_what_arrives_on_one(void **state)
{
    (void)state;
    for (int dgram = 0; dgram < 2; dgram++) {
        const struct group group = group_of(AF_INET, dgram, NULL);

        check_shared(&group);
    }
}

static void a_cpu_without_a_socket_is_served_by_its_remainder(void **state)
{
    (void)state;
    for (int dgram = 0; dgram < 2; dgram++) {
        const struct group group = group_of(AF_INET, dgram, (const int[]){ cpu_a, -1 });

        check_arrivals(&group, cpu_a, 0);
        check_arrivals(&group, cpu_b, cpu_b % 2);
    }
}

static void sockets_of_one_cpu_share_what_arrives_on_it(void **state)
{
    (void)state;
    for (int dgram = 0; dgram < 2; dgram++) {
        const struct group group = group_of(AF_INET, dgram, (const int[]){ cpu_a, cpu_a });

        check_shared(&group);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_goes_to_the_socket_of_its_cpu),
        TEST(a_connection_goes_to_the_socket_of_its_cpu_over_ipv6),
        TEST(a_datagram_goes_to_the_socket_of_its_cpu),
        TEST(a_datagram_goes_to_the_socket_of_its_cpu_over_ipv6),
        TEST(without_a_list_of_cpus_the_same_two_ports_meet_the_same_socket),
        TEST(without_a_list_of_cpus_all_share_what_arrives_on_one),
        TEST(a_cpu_without_a_socket_is_served_by_its_remainder),
        TEST(sockets_of_one_cpu_share_what_arrives_on_it),
    };

    test_start(argc, argv);
    find_cpus();
    return TEST_RUN(tests);
}
