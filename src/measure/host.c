/* Facts about this machine, from /proc and /sys. A container may hide any of these files: what
 * cannot be read is left unknown and never stops a run. Nothing here allocates, so no stdio. */
#include "measure/host.h"

#include "base/assert.h"
#include "base/clock.h"
#include "measure/file.h"

#include <ctype.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel refuses a mask smaller than its own; it can be built for 8,192 CPUs at most. */
#define MASK_CPUS 8192

struct cpu_mask {
    cpu_set_t sets[MASK_CPUS / CPU_SETSIZE];
};

/* Looking who runs takes no longer, and at no more processes than that, the latest first. */
#define LOOK_NS (5 * PP_NS_PER_MS)
#define PROCESSES_MAX 4096

/* Of a line of /proc/PID/task/TID/stat behind its name: the thread's state is the first field, and
 * this one the CPU that it ran on last. See proc_pid_stat(5). */
#define FIELD_CPU 37

/* -1 if it is unknown; some virtual machines say -1 themselves. */
static int topology_read(int cpu, const char *what)
{
    char path[PP_FILE_PATH_BYTES];
    uint64_t id;

    pp_file_path(path, "", "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    return pp_file_number(path, &id) && id <= INT16_MAX ? (int)id : -1;
}

/* Core numbers begin anew in each package. */
static int core_of(int cpu)
{
    const int package = topology_read(cpu, "physical_package_id");
    const int core = topology_read(cpu, "core_id");

    return (package < 0 || core < 0) ? cpu : (package << 16 | core);
}

static bool mask_has(const struct cpu_mask *mask, int cpu)
{
    return CPU_ISSET_S((size_t)cpu, sizeof *mask, mask->sets);
}

unsigned pp_host_cpus(struct pp_host_cpu *cpus, unsigned capacity)
{
    struct cpu_mask mask = { 0 };
    unsigned count = 0;

    pp_assert(capacity > 0);
    if (sched_getaffinity(0, sizeof mask, mask.sets) != 0) {
        const int cpu = sched_getcpu();

        CPU_SET_S(cpu < 0 ? 0 : (size_t)cpu, sizeof mask, mask.sets);
    }
    for (int cpu = 0; cpu < MASK_CPUS && count < capacity; cpu++) {
        if (mask_has(&mask, cpu))
            cpus[count++] = (struct pp_host_cpu){ .cpu = cpu, .core = core_of(cpu) };
    }
    return count;
}

/* How many threads of this machine run or want to, this one among them; 0: it is not known. */
static unsigned runnable(void)
{
    char line[64];
    unsigned count;

    if (!pp_file_line("/proc/loadavg", line, sizeof line) ||
        sscanf(line, "%*s %*s %*s %u/", &count) != 1)
        return 0;
    return count;
}

/* The CPU that a thread runs on, or waits for; -1: it does neither. */
static int cpu_of_thread(const char *pid, const char *tid)
{
    char path[PP_FILE_PATH_BYTES], line[512];
    const char *field;

    if (!pp_file_line(pp_file_path(path, "", "/proc/%s/task/%s/stat", pid, tid), line, sizeof line))
        return -1;
    field = strrchr(line, ')');
    if (!field || strncmp(field, ") R ", 4) != 0)
        return -1;
    for (int i = 0; field && i < FIELD_CPU; i++)
        field = strchr(field + 1, ' ');
    return field ? (int)strtol(field + 1, NULL, 10) : -1;
}

static void note_running(struct pp_host_cpu *cpus, unsigned count, int cpu)
{
    for (unsigned i = 0; i < count; i++)
        cpus[i].running += cpus[i].cpu == cpu;
}

/* Returns how many there were. */
static unsigned look_at_process(struct pp_host_cpu *cpus, unsigned count, long process)
{
    char path[PP_FILE_PATH_BYTES], pid[24];
    struct pp_file_names threads;
    const char *tid;
    unsigned found = 0;

    (void)snprintf(pid, sizeof pid, "%ld", process);
    pp_file_names_open(&threads, pp_file_path(path, "", "/proc/%s/task", pid));
    while ((tid = pp_file_names_next(&threads))) {
        const int cpu = strtol(tid, NULL, 10) == gettid() ? -1 : cpu_of_thread(pid, tid);

        found += cpu >= 0;
        note_running(cpus, count, cpu);
    }
    pp_file_names_close(&threads);
    return found;
}

void pp_host_look_who_runs(struct pp_host_cpu *cpus, unsigned count)
{
    const uint64_t deadline_ns = pp_clock_now_ns() + LOOK_NS;
    unsigned others = runnable(), known = 0;
    struct pp_file_names names;
    long pids[PROCESSES_MAX];
    const char *name;

    for (unsigned i = 0; i < count; i++)
        cpus[i].running = 0;
    if (others <= 1)
        return;
    others--;
    pp_file_names_open(&names, "/proc");
    while ((name = pp_file_names_next(&names)))
        if (isdigit((unsigned char)name[0]))
            pids[known++ % PROCESSES_MAX] = strtol(name, NULL, 10);
    pp_file_names_close(&names);
    for (unsigned i = 0; i < known && i < PROCESSES_MAX && pp_clock_now_ns() < deadline_ns; i++) {
        const unsigned found = look_at_process(cpus, count, pids[(known - 1 - i) % PROCESSES_MAX]);

        if (found >= others)
            break;
        others -= found;
    }
}

void pp_host_boot_id(char *id, unsigned bytes)
{
    pp_assert(bytes > 0);
    if (!pp_file_line("/proc/sys/kernel/random/boot_id", id, bytes))
        id[0] = '\0';
}

void pp_host_congestion_control(char *name, unsigned bytes)
{
    pp_assert(bytes > 1);
    if (!pp_file_line("/proc/sys/net/ipv4/tcp_congestion_control", name, bytes))
        (void)snprintf(name, bytes, "unknown");
}
