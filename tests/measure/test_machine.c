#include "measure/machine.h"

#include "descriptors.h"
#include "tree.h"

#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#define CPU "/sys/devices/system/cpu/"
#define FLAW CPU "vulnerabilities/"

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

static struct pp_machine machine_of(const struct tree *tree)
{
    struct pp_machine machine;

    memset(&machine, 0xa5, sizeof machine); /* so that a value is seen to be written */
    pp_machine_read(&machine, tree->root);
    return machine;
}

static const char *sysctl_of(const struct pp_machine *machine, const char *name)
{
    for (size_t i = 0; i < PP_MACHINE_SYSCTLS; i++) {
        if (strcmp(machine->sysctls[i].name, name) == 0)
            return machine->sysctls[i].value;
    }
    fail_msg("there is no %s", name);
    return NULL;
}

static void test_an_empty_system_is_unknown_in_all_its_parts(void **state)
{
    const struct pp_machine m = machine_of(*state);

    assert_string_equal(m.host_name, "");
    assert_string_equal(m.os, "");
    assert_string_equal(m.kernel_release, "");
    assert_string_equal(m.kernel_version, "");
    assert_string_equal(m.architecture, "");
    assert_string_equal(m.cpu_model, "");
    assert_int_equal(m.cpus_online, 0);
    assert_string_equal(m.cpus_allowed, "");
    assert_string_equal(m.governor, "");
    assert_string_equal(m.scaling_driver, "");
    assert_string_equal(m.turbo, "");
    assert_string_equal(m.smt, "");
    assert_string_equal(m.mitigations, "");
    assert_false(m.mitigations_off);
    assert_string_equal(m.virtualisation, "");
    assert_string_equal(m.container, "");
    assert_true(m.cpu_limit == 0);
    assert_string_equal(m.clocksource, "");
    assert_true(m.memory_bytes == 0);
    assert_true(m.load < 0);
    for (size_t i = 0; i < PP_MACHINE_SYSCTLS; i++)
        assert_string_equal(m.sysctls[i].value, "");
}

static void test_the_system_is_what_its_files_say(void **state)
{
    struct pp_machine m;

    tree_write(*state, "/proc/sys/kernel/hostname", "loki\n");
    tree_write(*state, "/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
    tree_write(*state, "/proc/sys/kernel/version", "#1 SMP Debian 6.1.76-1\n");
    tree_write(*state, "/proc/sys/kernel/arch", "x86_64\n");
    tree_write(*state, "/proc/meminfo", "MemTotal:       16384256 kB\nMemFree:  12 kB\n");
    tree_write(*state, "/proc/loadavg", "0.52 0.41 0.30 1/123 4567\n");
    tree_write(*state, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
               "hpet\n");
    m = machine_of(*state);
    assert_string_equal(m.host_name, "loki");
    assert_string_equal(m.kernel_release, "6.1.0-18-amd64");
    assert_string_equal(m.kernel_version, "#1 SMP Debian 6.1.76-1");
    assert_string_equal(m.architecture, "x86_64");
    assert_true(m.memory_bytes == UINT64_C(16384256) * 1024);
    assert_true(m.load == 0.52);
    assert_string_equal(m.clocksource, "hpet");
}

static void test_the_os_has_its_pretty_name_without_the_shells_quotes(void **state)
{
    static const char *const cases[][2] = {
        { "NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
          "Debian GNU/Linux 12 (bookworm)" },
        { "PRETTY_NAME='Alpine Linux v3.19'\n", "Alpine Linux v3.19" },
        { "PRETTY_NAME=Void\n", "Void" },
        { "PRETTY_NAME=\"a \\\"b\\\" \\$c\"\n", "a \"b\" $c" },
        { "PRETTY_NAME=\"\"\n", "" },
        { "PRETTY_NAME=\"unfinished\\", "" }, /* a line without an end is no line */
        { "PRETTY_NAME_OLD=\"x\"\n", "" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tree_write(*state, "/etc/os-release", cases[i][0]);
        assert_string_equal(machine_of(*state).os, cases[i][1]);
    }
}

static void test_the_os_is_looked_up_in_both_places(void **state)
{
    tree_write(*state, "/usr/lib/os-release", "PRETTY_NAME=\"second\"\n");
    assert_string_equal(machine_of(*state).os, "second");
    tree_write(*state, "/etc/os-release", "PRETTY_NAME=\"first\"\n");
    assert_string_equal(machine_of(*state).os, "first");
}

static void test_the_cpu_has_a_name_on_each_architecture(void **state)
{
    static const char *const cases[][2] = {
        { "processor\t: 0\ncpu family\t: 6\nmodel name\t: Intel(R)  Xeon(R) CPU  @ 2.50GHz\n",
          "Intel(R) Xeon(R) CPU @ 2.50GHz" },
        { "processor\t: 0\ncpu\t\t: POWER9 (architected), altivec supported\n",
          "POWER9 (architected), altivec supported" },
        { "processor : 0\nCPU implementer : 0x41\nCPU part\t: 0xd0c\n",
          "implementer 0x41, part 0xd0c" },
        { "processor : 0\nCPU implementer : 0x41\n", "" },
        { "processor\t: 0\nuarch\t\t: sifive,u74-mc\n", "sifive,u74-mc" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tree_write(*state, "/proc/cpuinfo", cases[i][0]);
        assert_string_equal(machine_of(*state).cpu_model, cases[i][1]);
    }
}

static void test_the_cpus_are_those_online_and_those_allowed(void **state)
{
    struct pp_machine m;

    tree_write(*state, CPU "online", "0-3,8-15\n");
    tree_write(*state, "/proc/self/status",
               "Name:\tx\nCpus_allowed:\tf09\nCpus_allowed_list:\t0,3,8-11\n");
    m = machine_of(*state);
    assert_int_equal(m.cpus_online, 12);
    assert_string_equal(m.cpus_allowed, "0,3,8-11");
}

static void test_a_governor_is_that_of_the_allowed_cpus_alone(void **state)
{
    tree_write(*state, "/proc/self/status", "Cpus_allowed_list:\t1-2\n");
    tree_write(*state, CPU "cpu0/cpufreq/scaling_governor", "powersave\n");
    tree_write(*state, CPU "cpu1/cpufreq/scaling_governor", "performance\n");
    tree_write(*state, CPU "cpu2/cpufreq/scaling_governor", "performance\n");
    tree_write(*state, CPU "cpu1/cpufreq/scaling_driver", "intel_pstate\n");
    assert_string_equal(machine_of(*state).governor, "performance");
    assert_string_equal(machine_of(*state).scaling_driver, "intel_pstate");
    tree_write(*state, CPU "cpu2/cpufreq/scaling_governor", "schedutil\n");
    assert_string_equal(machine_of(*state).governor, "mixed");
}

static void test_turbo_is_read_from_whichever_driver_there_is(void **state)
{
    tree_write(*state, "/proc/self/status", "Cpus_allowed_list:\t2\n");
    tree_write(*state, CPU "cpu2/cpufreq/boost", "1\n");
    assert_string_equal(machine_of(*state).turbo, "on");
    tree_write(*state, CPU "cpufreq/boost", "0\n");
    assert_string_equal(machine_of(*state).turbo, "off");
    tree_write(*state, CPU "intel_pstate/no_turbo", "0\n");
    assert_string_equal(machine_of(*state).turbo, "on");
    tree_write(*state, CPU "intel_pstate/no_turbo", "1\n");
    assert_string_equal(machine_of(*state).turbo, "off");
    tree_write(*state, CPU "intel_pstate/no_turbo", "?\n");
    assert_string_equal(machine_of(*state).turbo, "off");
}

static void test_smt_is_on_or_off(void **state)
{
    tree_write(*state, CPU "smt/active", "1\n");
    assert_string_equal(machine_of(*state).smt, "on");
    tree_write(*state, CPU "smt/active", "0\n");
    assert_string_equal(machine_of(*state).smt, "off");
}

static void test_flaws_stand_in_order_and_those_the_cpu_lacks_do_not(void **state)
{
    tree_write(*state, FLAW "spectre_v2", "Mitigation: Retpolines; IBPB: conditional\n");
    tree_write(*state, FLAW "meltdown", "Mitigation: PTI\n");
    tree_write(*state, FLAW "l1tf", "Not affected\n");
    tree_write(*state, FLAW "mds", "Vulnerable\n");
    assert_string_equal(machine_of(*state).mitigations,
                        "mds: Vulnerable | meltdown: Mitigation: PTI | "
                        "spectre_v2: Mitigation: Retpolines; IBPB: conditional");
}

static void test_flaws_that_do_not_fit_are_told_of(void **state)
{
    struct pp_machine m;
    char path[64];
    char text[201];
    size_t length;

    memset(text, 'x', 200);
    text[200] = '\0';
    for (int i = 0; i < 20; i++) {
        (void)snprintf(path, sizeof path, FLAW "flaw%02d", i);
        tree_write(*state, path, text);
    }
    m = machine_of(*state);
    length = strnlen(m.mitigations, sizeof m.mitigations);
    assert_true(length < sizeof m.mitigations);
    assert_true(length > sizeof m.mitigations - 250);
    assert_string_equal(m.mitigations + length - 7, "x | ...");
}

static void test_more_flaws_than_there_is_room_to_list_are_no_harm(void **state)
{
    char path[64];

    for (int i = 0; i < 200; i++) {
        (void)snprintf(path, sizeof path, FLAW "flaw%03d", i);
        tree_write(*state, path, i < 100 ? "Not affected\n" : "Vulnerable\n");
    }
    (void)machine_of(*state);
}

static void test_mitigations_are_off_if_the_command_line_says_so_last(void **state)
{
    static const struct {
        const char *line;
        bool off;
    } cases[] = {
        { "quiet mitigations=off ro\n", true },
        { "mitigations=off", true },
        { "mitigations=auto,nosmt\n", false },
        { "mitigations=off,l1tf mitigations=auto\n", false },
        { "mitigations=auto mitigations=off,l1tf\n", true },
        { "xmitigations=off\n", false },
        { "mitigations=office\n", false },
        { "\n", false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tree_write(*state, "/proc/cmdline", cases[i].line);
        assert_int_equal(machine_of(*state).mitigations_off, cases[i].off);
    }
}

static void test_sysctls_have_their_values_with_single_spaces(void **state)
{
    struct pp_machine m;

    tree_write(*state, "/proc/sys/net/core/somaxconn", "4096\n");
    tree_write(*state, "/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
    tree_write(*state, "/proc/sys/kernel/io_uring_disabled", "2\n");
    m = machine_of(*state);
    assert_string_equal(sysctl_of(&m, "net.core.somaxconn"), "4096");
    assert_string_equal(sysctl_of(&m, "net.ipv4.tcp_rmem"), "4096 131072 6291456");
    assert_string_equal(sysctl_of(&m, "kernel.io_uring_disabled"), "2");
    assert_string_equal(sysctl_of(&m, "net.ipv4.tcp_wmem"), "");
}

static void test_texts_that_are_too_long_are_cut_and_stay_strings(void **state)
{
    static char text[20000];
    struct pp_machine m;

    memset(text, 'y', sizeof text - 1);
    tree_write(*state, "/proc/sys/kernel/hostname", text);
    tree_write(*state, "/proc/sys/net/core/somaxconn", text);
    tree_write(*state, "/proc/self/status", text);
    tree_write(*state, "/proc/cpuinfo", text);
    tree_write(*state, "/proc/cmdline", text);
    m = machine_of(*state);
    assert_int_equal(strnlen(m.host_name, sizeof m.host_name), sizeof m.host_name - 1);
    assert_int_equal(strlen(sysctl_of(&m, "net.core.somaxconn")), 63);
    assert_string_equal(m.cpus_allowed, "");
    assert_string_equal(m.cpu_model, "");
}

static void test_a_root_whose_path_is_too_long_reads_nothing(void **state)
{
    static char root[5000];
    struct pp_machine m;

    (void)state;
    memset(root, '/', sizeof root - 1);
    pp_machine_read(&m, root);
    assert_string_equal(m.host_name, "");
    assert_string_equal(m.clocksource, "");
}

/* Against what the system's own functions say. */
static void test_this_machine_is_the_one_the_kernel_describes(void **state)
{
    struct pp_machine m;
    struct utsname system;
    struct sysinfo info;
    struct rlimit files;

    (void)state;
    memset(&m, 0xa5, sizeof m);
    pp_machine_read(&m, "");
    assert_int_equal(uname(&system), 0);
    assert_string_equal(m.host_name, system.nodename);
    assert_string_equal(m.kernel_release, system.release);
    assert_string_equal(m.kernel_version, system.version);
    assert_string_equal(m.architecture, system.machine);
    if (m.memory_bytes && sysinfo(&info) == 0)
        assert_true(m.memory_bytes / 1024 == (uint64_t)info.totalram * info.mem_unit / 1024);
    if (m.cpus_online)
        assert_int_equal(m.cpus_online, sysconf(_SC_NPROCESSORS_ONLN));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur != RLIM_INFINITY)
        assert_true(m.open_files == files.rlim_cur);
}

static void test_limits_are_those_in_force_now(void **state)
{
    struct rlimit before;
    struct rlimit less;
    struct pp_machine m;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    less = (struct rlimit){ .rlim_cur = 77, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
    pp_machine_read(&m, "");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(m.open_files == 77);
}

static void test_reading_leaves_no_descriptor_open(void **state)
{
    const unsigned before = open_descriptors();
    struct pp_machine m;

    pp_machine_read(&m, "");
    (void)machine_of(*state);
    assert_int_equal(open_descriptors(), before);
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_an_empty_system_is_unknown_in_all_its_parts),
        TREE_TEST(test_the_system_is_what_its_files_say),
        TREE_TEST(test_the_os_has_its_pretty_name_without_the_shells_quotes),
        TREE_TEST(test_the_os_is_looked_up_in_both_places),
        TREE_TEST(test_the_cpu_has_a_name_on_each_architecture),
        TREE_TEST(test_the_cpus_are_those_online_and_those_allowed),
        TREE_TEST(test_a_governor_is_that_of_the_allowed_cpus_alone),
        TREE_TEST(test_turbo_is_read_from_whichever_driver_there_is),
        TREE_TEST(test_smt_is_on_or_off),
        TREE_TEST(test_flaws_stand_in_order_and_those_the_cpu_lacks_do_not),
        TREE_TEST(test_flaws_that_do_not_fit_are_told_of),
        TREE_TEST(test_more_flaws_than_there_is_room_to_list_are_no_harm),
        TREE_TEST(test_mitigations_are_off_if_the_command_line_says_so_last),
        TREE_TEST(test_sysctls_have_their_values_with_single_spaces),
        TREE_TEST(test_texts_that_are_too_long_are_cut_and_stay_strings),
        TREE_TEST(test_a_root_whose_path_is_too_long_reads_nothing),
        TREE_TEST(test_this_machine_is_the_one_the_kernel_describes),
        TREE_TEST(test_limits_are_those_in_force_now),
        TREE_TEST(test_reading_leaves_no_descriptor_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
