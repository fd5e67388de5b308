#include "measure/host.h"

#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

#define NO_SUCH_CPU 1000000

/* A CPU number that is no core number of this machine, so that a value is seen to be written. */
static const struct pp_host_cpu untouched = { .cpu = -7, .core = -7, .running = 7 };

struct spinner {
    pthread_t thread;
    atomic_bool stop;
    int cpu;
};

static void pin_to(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    assert_int_equal(sched_setaffinity(0, sizeof set, &set), 0);
}

static void *spin(void *arg)
{
    struct spinner *spinner = arg;

    while (!atomic_load(&spinner->stop))
        ;
    return NULL;
}

static void spinner_start(struct spinner *spinner)
{
    pthread_attr_t attr;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)spinner->cpu, &set);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setaffinity_np(&attr, sizeof set, &set), 0);
    assert_int_equal(pthread_create(&spinner->thread, &attr, spin, spinner), 0);
    assert_int_equal(pthread_attr_destroy(&attr), 0);
}

static void spinner_stop(struct spinner *spinner)
{
    atomic_store(&spinner->stop, true);
    assert_int_equal(pthread_join(spinner->thread, NULL), 0);
}

/* The first line of a file; false if it is not there. */
static bool file_line(const char *path, char *line, int bytes)
{
    FILE *file = fopen(path, "r");
    bool got;

    if (!file)
        return false;
    got = fgets(line, bytes, file) != NULL;
    (void)fclose(file);
    if (got)
        line[strcspn(line, "\n")] = '\0';
    return got;
}

static bool siblings_line(int cpu, char *line, int bytes)
{
    char path[96];

    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                   cpu);
    return file_line(path, line, bytes);
}

/* From here until files_show(), nothing can be opened: as in a container without /proc and /sys. */
static struct rlimit files_hide(void)
{
    struct rlimit before;
    struct rlimit none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static void files_show(struct rlimit before)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_the_cpus_are_those_of_the_affinity_mask_in_rising_order(void **state)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);
    cpu_set_t set;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    assert_int_equal(count, CPU_COUNT(&set));
    for (unsigned i = 0; i < count; i++) {
        assert_true(CPU_ISSET((size_t)cpus[i].cpu, &set));
        assert_true(i == 0 || cpus[i - 1].cpu < cpus[i].cpu);
        assert_int_equal(cpus[i].running, 0);
    }
}

static void test_a_pinned_thread_has_the_one_cpu(void **state)
{
    struct pp_host_cpu all[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(all, PP_HOST_CPUS_MAX);
    struct pp_host_cpu one[2] = { untouched, untouched };
    cpu_set_t before;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    pin_to(all[count - 1].cpu);
    assert_int_equal(pp_host_cpus(one, 2), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(one[0].cpu, all[count - 1].cpu);
    assert_int_equal(one[0].core, all[count - 1].core);
    assert_int_equal(one[1].cpu, untouched.cpu);
}

static void test_no_more_cpus_are_written_than_there_is_room_for(void **state)
{
    struct pp_host_cpu all[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(all, PP_HOST_CPUS_MAX);
    struct pp_host_cpu some[PP_HOST_CPUS_MAX];

    (void)state;
    for (unsigned capacity = 1; capacity <= count; capacity++) {
        some[capacity - 1] = untouched;
        if (capacity < count)
            some[capacity] = untouched;
        assert_int_equal(pp_host_cpus(some, capacity), capacity);
        assert_int_equal(some[capacity - 1].cpu, all[capacity - 1].cpu);
        assert_true(capacity == count || some[capacity].cpu == untouched.cpu);
    }
}

static void test_cpus_have_the_same_core_if_the_kernel_calls_them_siblings(void **state)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);
    char a[256];
    char b[256];

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j <= i; j++) {
            if (!siblings_line(cpus[i].cpu, a, sizeof a) ||
                !siblings_line(cpus[j].cpu, b, sizeof b))
                skip();
            assert_int_equal(cpus[i].core == cpus[j].core, strcmp(a, b) == 0);
        }
    }
}

static void test_without_topology_a_core_is_its_cpu(void **state)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const struct rlimit limit = files_hide();
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);

    (void)state;
    files_show(limit);
    assert_true(count >= 1);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(cpus[i].core, cpus[i].cpu);
}

/* Among many others it may not come about in one look. */
static void test_a_thread_that_spins_is_seen_on_its_cpu(void **state)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);
    struct spinner spinner = { .cpu = cpus[count - 1].cpu };
    unsigned seen = 0;

    (void)state;
    spinner_start(&spinner);
    for (int i = 0; i < 10000 && seen == 0; i++) {
        pp_host_look_who_runs(cpus, count);
        seen = cpus[count - 1].running;
        (void)usleep(1000);
    }
    spinner_stop(&spinner);
    assert_true(seen > 0);
}

static void test_who_looks_is_not_among_those_who_run(void **state)
{
    struct pp_host_cpu cpus[PP_HOST_CPUS_MAX];
    const unsigned count = pp_host_cpus(cpus, PP_HOST_CPUS_MAX);
    unsigned least = UINT32_MAX;

    (void)state;
    for (int i = 0; i < 100 && least > 0; i++) {
        unsigned sum = 0;

        pp_host_look_who_runs(cpus, count);
        for (unsigned k = 0; k < count; k++)
            sum += cpus[k].running;
        least = sum < least ? sum : least;
    }
    if (least > 0)
        skip(); /* somebody else runs all the time */
}

static void test_a_cpu_the_kernel_does_not_name_is_not_busy(void **state)
{
    struct pp_host_cpu cpu = { .cpu = NO_SUCH_CPU, .core = NO_SUCH_CPU, .running = 5 };

    (void)state;
    pp_host_look_who_runs(&cpu, 1);
    assert_int_equal(cpu.running, 0);
}

static void test_without_proc_nobody_runs(void **state)
{
    struct pp_host_cpu cpu = { .running = 5 };
    const struct rlimit limit = files_hide();

    (void)state;
    pp_host_look_who_runs(&cpu, 1);
    files_show(limit);
    assert_int_equal(cpu.running, 0);
}

static void test_the_congestion_control_is_the_one_the_kernel_names(void **state)
{
    char want[64];
    char name[64] = "?";

    (void)state;
    if (!file_line("/proc/sys/net/ipv4/tcp_congestion_control", want, sizeof want))
        skip();
    pp_host_congestion_control(name, sizeof name);
    assert_string_equal(name, want);
}

static void test_without_proc_the_congestion_control_is_unknown(void **state)
{
    const struct rlimit limit = files_hide();
    char name[16] = "?";

    (void)state;
    pp_host_congestion_control(name, sizeof name);
    files_show(limit);
    assert_string_equal(name, "unknown");
}

static void test_a_name_that_is_too_long_is_cut_and_stays_a_string(void **state)
{
    char name[] = "????";

    (void)state;
    pp_host_congestion_control(name, 3);
    assert_int_equal(strlen(name), 2);
    assert_memory_equal(name + 3, "?", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cpus_are_those_of_the_affinity_mask_in_rising_order),
        cmocka_unit_test(test_a_pinned_thread_has_the_one_cpu),
        cmocka_unit_test(test_no_more_cpus_are_written_than_there_is_room_for),
        cmocka_unit_test(test_cpus_have_the_same_core_if_the_kernel_calls_them_siblings),
        cmocka_unit_test(test_without_topology_a_core_is_its_cpu),
        cmocka_unit_test(test_a_thread_that_spins_is_seen_on_its_cpu),
        cmocka_unit_test(test_who_looks_is_not_among_those_who_run),
        cmocka_unit_test(test_a_cpu_the_kernel_does_not_name_is_not_busy),
        cmocka_unit_test(test_without_proc_nobody_runs),
        cmocka_unit_test(test_the_congestion_control_is_the_one_the_kernel_names),
        cmocka_unit_test(test_without_proc_the_congestion_control_is_unknown),
        cmocka_unit_test(test_a_name_that_is_too_long_is_cut_and_stays_a_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
