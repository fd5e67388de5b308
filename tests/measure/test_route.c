#include "measure/route.h"

#include "descriptors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

static union address address_of(const char *text)
{
    union address address;

    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, text, &address.in.sin_addr) == 1) {
        address.any.sa_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &address.in6.sin6_addr), 1);
        address.any.sa_family = AF_INET6;
    }
    return address;
}

static int find(struct pp_route *route, const char *text)
{
    const union address address = address_of(text);

    memset(route, 0xa5, sizeof *route); /* so that a value is seen to be written */
    return pp_route_find(route, &address.any, sizeof address);
}

static void check_empty(const struct pp_route *route)
{
    static const struct pp_route empty;

    assert_memory_equal(route, &empty, sizeof empty);
}

static uint32_t mtu_of(const char *interface)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = { 0 };

    assert_true(fd >= 0);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    assert_int_equal(ioctl(fd, SIOCGIFMTU, &request), 0);
    assert_int_equal(close(fd), 0);
    return (uint32_t)request.ifr_mtu;
}

/* ---- a network of its own ---- */

static void file_write(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        skip();
    assert_int_equal(close(fd), 0);
}

/* Without being root, one must become it in a user namespace first. */
static void network_unshare(void)
{
    char map[32];

    if (unshare(CLONE_NEWNET) == 0)
        return;
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        skip();
    file_write("/proc/self/setgroups", "deny");
    file_write("/proc/self/uid_map", map);
}

/* Addresses that the kernel gives itself are there only after a while, and to be used only once
 * nobody has claimed them for longer: here are none but those that are usable at once. */
static void network_open(const char *commands)
{
    network_unshare();
    if (system("ip -V >/dev/null 2>&1") != 0 ||
        system("ip link add near mtu 1300 type veth peer name far 2>/dev/null") != 0)
        skip();
    assert_int_equal(system("set -e\n"
                            "ip link set lo up\n"
                            "ip link set far addrgenmode none\n"
                            "ip link set near addrgenmode none\n"
                            "ip link set far up\n"
                            "ip link set near up\n"
                            "ip addr add 10.1.0.1/24 dev near\n"
                            "ip addr add fd00:1::1/64 dev near nodad\n"
                            "ip addr add fe80::1/64 dev near nodad\n"
                            "ip addr add fe80::2/64 dev far nodad\n"),
                     0);
    assert_int_equal(system(commands), 0);
}

/* ---- tests ---- */

static void test_this_host_is_reached_over_the_loopback(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "::1", "::ffff:127.0.0.1" };

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct pp_route route;

        if (find(&route, hosts[i]) == -ENETUNREACH)
            continue; /* a system without IPv6 */
        assert_string_equal(route.interface, "lo");
        assert_string_equal(route.source, strstr(hosts[i], ".") ? "127.0.0.1" : "::1");
        assert_string_equal(route.gateway, "");
        assert_string_equal(route.driver, "loopback");
        assert_int_equal(route.mtu, mtu_of("lo"));
        assert_int_equal(route.speed_mbit, 0);
    }
}

static void test_an_address_that_is_none_of_the_internets_has_no_route(void **state)
{
    static const struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "x" };
    const union address v4 = address_of("127.0.0.1");
    const union address v6 = address_of("::1");
    struct pp_route route;

    (void)state;
    memset(&route, 0xa5, sizeof route);
    assert_int_equal(pp_route_find(&route, (const void *)&local, sizeof local), -EAFNOSUPPORT);
    check_empty(&route);
    assert_int_equal(pp_route_find(&route, &v4.any, sizeof v4.in - 1), -EAFNOSUPPORT);
    assert_int_equal(pp_route_find(&route, &v6.any, sizeof v6.in6 - 1), -EAFNOSUPPORT);
}

static void test_a_host_on_the_link_has_no_gateway(void **state)
{
    struct pp_route route;

    (void)state;
    network_open("true");
    assert_int_equal(find(&route, "10.1.0.7"), 0);
    assert_string_equal(route.interface, "near");
    assert_string_equal(route.source, "10.1.0.1");
    assert_string_equal(route.gateway, "");
    assert_string_equal(route.driver, "veth");
    assert_int_equal(route.mtu, 1300);
    assert_int_equal(find(&route, "fd00:1::7"), 0);
    assert_string_equal(route.interface, "near");
    assert_string_equal(route.source, "fd00:1::1");
    assert_string_equal(route.gateway, "");
    assert_int_equal(route.mtu, 1300);
}

static void test_a_host_elsewhere_is_reached_by_a_gateway(void **state)
{
    struct pp_route route;

    (void)state;
    network_open("set -e\n"
                 "ip route add default via 10.1.0.254\n"
                 "ip -6 route add default via fd00:1::fe\n");
    assert_int_equal(find(&route, "192.0.2.9"), 0);
    assert_string_equal(route.interface, "near");
    assert_string_equal(route.source, "10.1.0.1");
    assert_string_equal(route.gateway, "10.1.0.254");
    assert_int_equal(find(&route, "::ffff:192.0.2.9"), 0);
    assert_string_equal(route.gateway, "10.1.0.254");
    assert_int_equal(find(&route, "2001:db8::9"), 0);
    assert_string_equal(route.source, "fd00:1::1");
    assert_string_equal(route.gateway, "fd00:1::fe");
}

static void test_a_gateway_may_speak_the_other_protocol(void **state)
{
    struct pp_route route;

    (void)state;
    network_open("true");
    if (system("ip route add 10.7.0.0/16 via inet6 fd00:1::fe dev near 2>/dev/null") != 0)
        skip();
    assert_int_equal(find(&route, "10.7.0.1"), 0);
    assert_string_equal(route.source, "10.1.0.1");
    assert_string_equal(route.gateway, "fd00:1::fe");
}

static void test_the_mtu_is_that_of_the_route_if_it_has_one(void **state)
{
    struct pp_route route;

    (void)state;
    network_open("ip route add 10.9.0.0/16 via 10.1.0.254 mtu 1000");
    assert_int_equal(find(&route, "10.9.0.1"), 0);
    assert_int_equal(route.mtu, 1000);
    assert_int_equal(find(&route, "10.1.0.7"), 0);
    assert_int_equal(route.mtu, 1300);
}

static void test_a_host_that_cannot_be_reached_has_no_route(void **state)
{
    struct pp_route route;

    (void)state;
    network_open("ip route add unreachable 10.8.0.0/16");
    assert_int_equal(find(&route, "10.8.0.1"), -EHOSTUNREACH);
    check_empty(&route);
    assert_int_equal(find(&route, "192.0.2.9"), -ENETUNREACH);
    check_empty(&route);
    assert_true(find(&route, "2001:db8::9") < 0);
    check_empty(&route);
}

static void test_a_link_local_address_goes_by_the_interface_it_names(void **state)
{
    union address address = address_of("fe80::7");
    struct pp_route route;

    (void)state;
    network_open("true");
    address.in6.sin6_scope_id = if_nametoindex("far");
    assert_int_equal(pp_route_find(&route, &address.any, sizeof address.in6), 0);
    assert_string_equal(route.interface, "far");
    address.in6.sin6_scope_id = if_nametoindex("near");
    assert_int_equal(pp_route_find(&route, &address.any, sizeof address.in6), 0);
    assert_string_equal(route.interface, "near");
}

static void test_an_interface_without_a_cable_has_no_speed(void **state)
{
    struct pp_route route;

    (void)state;
    network_open("true");
    if (system("for type in bridge dummy ifb; do ip link add idle type $type && break; done "
               "2>/dev/null;"
               " ip link set idle up 2>/dev/null && ip addr add 10.2.0.1/24 dev idle") != 0)
        skip();
    assert_int_equal(find(&route, "10.2.0.7"), 0);
    assert_string_equal(route.interface, "idle");
    assert_int_equal(route.speed_mbit, 0);
}

static void test_asking_leaves_no_descriptor_open(void **state)
{
    const unsigned before = open_descriptors();
    struct pp_route route;

    (void)state;
    (void)find(&route, "127.0.0.1");
    (void)find(&route, "2001:db8::9");
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    /* From the first that opens one, the process stays in a network of its own. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_this_host_is_reached_over_the_loopback),
        cmocka_unit_test(test_an_address_that_is_none_of_the_internets_has_no_route),
        cmocka_unit_test(test_asking_leaves_no_descriptor_open),
        cmocka_unit_test(test_a_host_on_the_link_has_no_gateway),
        cmocka_unit_test(test_a_host_elsewhere_is_reached_by_a_gateway),
        cmocka_unit_test(test_a_gateway_may_speak_the_other_protocol),
        cmocka_unit_test(test_the_mtu_is_that_of_the_route_if_it_has_one),
        cmocka_unit_test(test_a_host_that_cannot_be_reached_has_no_route),
        cmocka_unit_test(test_a_link_local_address_goes_by_the_interface_it_names),
        cmocka_unit_test(test_an_interface_without_a_cable_has_no_speed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
