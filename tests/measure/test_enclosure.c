#include "measure/enclosure.h"

#include "tree.h"

#include <math.h>

static int setup(void **state)
{
    static struct tree tree;

    tree_open(&tree);
    *state = &tree;
    return 0;
}

static int teardown(void **state)
{
    tree_close(*state);
    return 0;
}

static void check_virtualisation(const struct tree *tree, const char *want)
{
    char name[32] = "?";

    pp_enclosure_virtualisation(name, sizeof name, tree->root);
    assert_string_equal(name, want);
}

static void check_container(const struct tree *tree, const char *want)
{
    char name[32] = "?";

    pp_enclosure_container(name, sizeof name, tree->root);
    assert_string_equal(name, want);
}

static void check_limit(const struct tree *tree, double want)
{
    const double got = pp_enclosure_cpu_limit(tree->root);

    if (!(fabs(got - want) < 1e-9))
        fail_msg("%g is not %g", got, want);
}

/* ---- the virtual machine ---- */

static void test_the_firmware_tells_a_virtual_machine_from_a_real_one(void **state)
{
    static const char *const cases[][3] = {
        { "Standard PC (Q35 + ICH9, 2009)", "QEMU", "qemu" },
        { "VMware Virtual Platform", "VMware, Inc.", "vmware" },
        { "Virtual Machine", "Microsoft Corporation", "hyper-v" },
        { "Surface Laptop 4", "Microsoft Corporation", "none" },
        { "Google Compute Engine", "Google", "kvm" },
        { "HVM domU", "Xen", "xen" },
        { "VirtualBox", "innotek GmbH", "virtualbox" },
        { "PowerEdge R750", "Dell Inc.", "none" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tree_write(*state, "/sys/class/dmi/id/product_name", cases[i][0]);
        tree_write(*state, "/sys/class/dmi/id/sys_vendor", cases[i][1]);
        check_virtualisation(*state, cases[i][2]);
    }
}

static void test_a_hypervisor_in_the_device_tree_is_found(void **state)
{
    tree_write_bytes(*state, "/proc/device-tree/hypervisor/compatible", "linux,kvm", 10);
    check_virtualisation(*state, "kvm");
}

static void test_the_kernel_knows_that_it_runs_under_xen(void **state)
{
    tree_write(*state, "/sys/hypervisor/type", "xen\n");
    tree_write(*state, "/sys/class/dmi/id/sys_vendor", "Dell Inc.\n");
    check_virtualisation(*state, "xen");
}

static void test_without_any_sign_the_virtualisation_is_unknown(void **state)
{
    check_virtualisation(*state, "");
}

/* /proc/cpuinfo has the flag from the same bit of the CPU, by way of the kernel. */
static void test_this_machine_is_virtual_if_its_cpu_has_the_flag(void **state)
{
    char line[8192];
    char name[32];
    FILE *file = fopen("/proc/cpuinfo", "r");
    const char *flags = NULL;

    (void)state;
    if (!file)
        skip();
    while (!flags && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5) == 0)
            flags = line;
    }
    (void)fclose(file);
    if (!flags)
        skip();
    pp_enclosure_virtualisation(name, sizeof name, "");
    if (strstr(flags, " hypervisor"))
        assert_true(name[0] != '\0' && strcmp(name, "none") != 0);
}

/* ---- the container ---- */

static void test_each_kind_of_container_is_known_by_what_it_leaves(void **state)
{
    check_container(*state, "");
    tree_write_bytes(*state, "/proc/1/environ", "PATH=/bin\0container=lxc\0", 24);
    check_container(*state, "lxc");
    tree_write(*state, "/run/systemd/container", "systemd-nspawn\n");
    check_container(*state, "systemd-nspawn");
    tree_write(*state, "/run/host/container-manager", "toolbox\n");
    check_container(*state, "toolbox");
    tree_write(*state, "/.dockerenv", "");
    check_container(*state, "docker");
    tree_write(*state, "/run/.containerenv", "");
    check_container(*state, "podman");
    tree_write(*state, "/run/secrets/kubernetes.io/token", "x");
    check_container(*state, "kubernetes");
}

static void test_the_environment_must_name_the_very_variable(void **state)
{
    tree_write_bytes(*state, "/proc/1/environ", "xcontainer=lxc\0container_x=lxc\0", 31);
    check_container(*state, "");
    tree_write_bytes(*state, "/proc/1/environ", "container=\0A=b", 13);
    check_container(*state, "");
    tree_write_bytes(*state, "/proc/1/environ", "container=oci", 13);
    check_container(*state, "oci");
}

static void test_a_control_group_tells_its_maker(void **state)
{
    static const char *const cases[][2] = {
        { "0::/docker/0123abcd\n", "docker" },
        { "0::/system.slice/docker-0123abcd.scope\n", "docker" },
        { "0::/machine.slice/libpod-0123abcd.scope\n", "podman" },
        { "0::/kubepods.slice/kubepods-burstable.slice/cri-1.scope\n", "kubernetes" },
        { "1:name=systemd:/lxc/web\n0::/\n", "lxc" },
        { "0::/lxc.payload.web\n", "lxc" },
        { "0::/system.slice/docker.service\n", "" }, /* the daemon, outside */
        { "0::/user.slice/user-1000.slice\n", "" },
        { "0::/\n", "" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tree_write(*state, "/proc/self/cgroup", cases[i][0]);
        check_container(*state, cases[i][1]);
    }
}

/* ---- the limit of the control group ---- */

static void test_a_limit_is_the_quota_in_cpus(void **state)
{
    tree_write(*state, "/proc/self/cgroup", "0::/a\n");
    check_limit(*state, 0);
    tree_write(*state, "/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    check_limit(*state, 1.5);
    tree_write(*state, "/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    check_limit(*state, 0);
    tree_write(*state, "/sys/fs/cgroup/a/cpu.max", "150000 0\n");
    check_limit(*state, 0);
}

static void test_the_tightest_group_around_counts(void **state)
{
    tree_write(*state, "/proc/self/cgroup", "0::/a/b/c\n");
    tree_write(*state, "/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
    tree_write(*state, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    tree_write(*state, "/sys/fs/cgroup/a/cpu.max", "50000 200000\n");
    check_limit(*state, 0.25);
}

static void test_a_container_with_a_path_from_outside_finds_its_limit(void **state)
{
    tree_write(*state, "/proc/self/cgroup", "0::/system.slice/docker-1.scope\n");
    tree_write(*state, "/sys/fs/cgroup/cpu.max", "200000 100000\n");
    check_limit(*state, 2);
}

static void test_version_1_keeps_the_limit_with_the_cpu_controller(void **state)
{
    tree_write(*state, "/proc/self/cgroup",
               "5:cpuset:/x\n4:memory:/x\n3:cpuacct,cpu:/x\n1:name=systemd:/x\n0::/x\n");
    tree_write(*state, "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    tree_write(*state, "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n");
    check_limit(*state, 0);
    tree_write(*state, "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "250000\n");
    check_limit(*state, 2.5);
    tree_write(*state, "/proc/self/cgroup", "5:cpuset:/x\n3:cpuacct:/x\n");
    check_limit(*state, 0);
}

static void test_lines_that_are_none_have_no_limit(void **state)
{
    tree_write(*state, "/proc/self/cgroup", "\n0\n0:\n:::\n0::\n");
    check_limit(*state, 0);
}

static void test_a_group_is_found_where_it_is_mounted(void **state)
{
    tree_write(*state, "/proc/self/cgroup", "4:cpu,cpuacct:/docker/1/x\n0::/docker/1\n");
    tree_write(*state, "/proc/self/mountinfo",
               "22 1 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
               "32 31 0:29 /docker/1 /other/mem rw - cgroup cgroup rw,memory\n"
               "33 31 0:30 /docker/1 /other/cpu rw master:2 - cgroup cgroup rw,cpu,cpuacct\n");
    tree_write(*state, "/other/cpu/x/cpu.cfs_period_us", "100000\n");
    tree_write(*state, "/other/cpu/x/cpu.cfs_quota_us", "50000\n");
    check_limit(*state, 0.5);
    tree_write(*state, "/proc/self/cgroup", "0::/\n");
    tree_write(*state, "/proc/self/mountinfo", "31 1 0:29 / /unified rw - cgroup2 cgroup2 rw\n");
    tree_write(*state, "/unified/cpu.max", "30000 100000\n");
    check_limit(*state, 0.3);
    tree_write(*state, "/proc/self/mountinfo", "31 1 0:29 / /sys rw - sysfs sysfs rw\n");
    check_limit(*state, 0);
    tree_write(*state, "/sys/fs/cgroup/cpu.max", "20000 100000\n");
    check_limit(*state, 0.2);
}

/* ---- what the limit has done ---- */

static struct pp_throttling throttling_of(const struct tree *tree)
{
    struct pp_throttling throttling;

    pp_enclosure_throttling(&throttling, tree->root);
    return throttling;
}

static void check_throttled(const struct tree *tree, const struct pp_throttling *before,
                            uint64_t times, uint64_t sum_ns)
{
    const struct pp_throttling after = throttling_of(tree);
    const struct pp_throttled throttled = pp_throttled_between(before, &after);

    assert_true(throttled.known);
    assert_int_equal(throttled.times, times);
    assert_int_equal(throttled.sum_ns, sum_ns);
}

static void test_the_group_that_was_throttled_for_longest_counts(void **state)
{
    struct pp_throttling before;

    tree_write(*state, "/proc/self/cgroup", "0::/a/b\n");
    tree_write(*state, "/sys/fs/cgroup/a/b/cpu.stat",
               "usage_usec 9\nnr_periods 70\nnr_throttled 5\nthrottled_usec 1000\n");
    tree_write(*state, "/sys/fs/cgroup/a/cpu.stat", "nr_throttled 50\nthrottled_usec 100000\n");
    tree_write(*state, "/sys/fs/cgroup/cpu.stat", "usage_usec 9\nuser_usec 8\n");
    before = throttling_of(*state);
    assert_int_equal(before.groups, 2);
    check_throttled(*state, &before, 0, 0);
    tree_write(*state, "/sys/fs/cgroup/a/b/cpu.stat", "nr_throttled 7\nthrottled_usec 1300\n");
    check_throttled(*state, &before, 2, 300000);
    tree_write(*state, "/sys/fs/cgroup/a/cpu.stat", "nr_throttled 51\nthrottled_usec 100400\n");
    check_throttled(*state, &before, 1, 400000);
}

static void test_version_1_counts_throttling_in_nanoseconds(void **state)
{
    struct pp_throttling before;

    tree_write(*state, "/proc/self/cgroup", "2:cpuacct:/x\n1:cpu:/x\n0::/x\n");
    tree_write(*state, "/sys/fs/cgroup/cpu/x/cpu.stat",
               "nr_periods 4\nnr_throttled 3\nthrottled_time 5000\n");
    before = throttling_of(*state);
    tree_write(*state, "/sys/fs/cgroup/cpu/x/cpu.stat",
               "nr_periods 9\nnr_throttled 7\nthrottled_time 5300\n");
    check_throttled(*state, &before, 4, 300);
}

static void test_without_counters_nothing_is_known_of_throttling(void **state)
{
    const struct pp_throttling none = throttling_of(*state);
    struct pp_throttling some;

    assert_false(pp_throttled_between(&none, &none).known);
    tree_write(*state, "/proc/self/cgroup", "0::/a\n");
    tree_write(*state, "/sys/fs/cgroup/a/cpu.stat", "nr_throttled 7\nthrottled_usec 1300\n");
    some = throttling_of(*state);
    assert_false(pp_throttled_between(&none, &some).known); /* moved to another group meanwhile */
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_the_firmware_tells_a_virtual_machine_from_a_real_one),
        TREE_TEST(test_a_hypervisor_in_the_device_tree_is_found),
        TREE_TEST(test_the_kernel_knows_that_it_runs_under_xen),
        TREE_TEST(test_without_any_sign_the_virtualisation_is_unknown),
        TREE_TEST(test_this_machine_is_virtual_if_its_cpu_has_the_flag),
        TREE_TEST(test_each_kind_of_container_is_known_by_what_it_leaves),
        TREE_TEST(test_the_environment_must_name_the_very_variable),
        TREE_TEST(test_a_control_group_tells_its_maker),
        TREE_TEST(test_a_limit_is_the_quota_in_cpus),
        TREE_TEST(test_the_tightest_group_around_counts),
        TREE_TEST(test_a_container_with_a_path_from_outside_finds_its_limit),
        TREE_TEST(test_version_1_keeps_the_limit_with_the_cpu_controller),
        TREE_TEST(test_lines_that_are_none_have_no_limit),
        TREE_TEST(test_a_group_is_found_where_it_is_mounted),
        TREE_TEST(test_the_group_that_was_throttled_for_longest_counts),
        TREE_TEST(test_version_1_counts_throttling_in_nanoseconds),
        TREE_TEST(test_without_counters_nothing_is_known_of_throttling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
