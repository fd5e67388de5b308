/* Facts about this machine, from /proc and /sys. A container may hide any of these files: what
 * cannot be read is left unknown and never stops a run. Nothing here allocates, so no stdio. */
#include "measure/host.h"

#include "base/assert.h"
#include "base/clock.h"
#include "measure/file.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The kernel refuses a mask smaller than its own; it can be built for 8,192 CPUs at most. */
#define MASK_CPUS 8192

struct cpu_mask {
    cpu_set_t sets[MASK_CPUS / CPU_SETSIZE];
};

/* In clock ticks since boot. */
struct cpu_ticks {
    uint64_t busy;
    uint64_t total;
};

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

/* Reads "cpu3 user nice system idle iowait irq softirq steal ...", see proc_stat(5); false for any
 * other line. What follows are guests, which user and nice hold already. */
static bool cpu_line_parse(const char *line, int *cpu, struct cpu_ticks *ticks)
{
    unsigned long long t[8];

    if (strncmp(line, "cpu", 3) != 0 || !isdigit((unsigned char)line[3]))
        return false;
    if (sscanf(line + 3, "%d %llu %llu %llu %llu %llu %llu %llu %llu", cpu, &t[0], &t[1], &t[2],
               &t[3], &t[4], &t[5], &t[6], &t[7]) != 9)
        return false;
    ticks->busy = t[0] + t[1] + t[2] + t[5] + t[6] + t[7];
    ticks->total = ticks->busy + t[3] + t[4];
    return true;
}

static void ticks_store(struct cpu_ticks *all, const struct pp_host_cpu *cpus, unsigned count,
                        int cpu, struct cpu_ticks ticks)
{
    for (unsigned i = 0; i < count; i++) {
        if (cpus[i].cpu == cpu)
            all[i] = ticks;
    }
}

/* A CPU that the file does not name has no ticks. */
static void ticks_read(struct cpu_ticks *all, const struct pp_host_cpu *cpus, unsigned count)
{
    struct pp_file_lines lines;
    struct cpu_ticks ticks;
    const char *line;
    int cpu;

    memset(all, 0, count * sizeof *all);
    pp_file_lines_open(&lines, "/proc/stat");
    /* The CPUs stand first, and far longer lines that nobody needs here come after them. */
    while ((line = pp_file_lines_next(&lines)) && strncmp(line, "cpu", 3) == 0) {
        if (cpu_line_parse(line, &cpu, &ticks))
            ticks_store(all, cpus, count, cpu, ticks);
    }
    pp_file_lines_close(&lines);
}

/* No ticks earlier means unknown. The other guards are there because the kernel's counters of idle
 * and waiting time may step back a little. */
static double busy_between(struct cpu_ticks earlier, struct cpu_ticks later)
{
    if (earlier.total == 0 || later.total <= earlier.total || later.busy <= earlier.busy)
        return 0;
    if (later.busy - earlier.busy >= later.total - earlier.total)
        return 1;
    return (double)(later.busy - earlier.busy) / (double)(later.total - earlier.total);
}

static void sleep_ms(unsigned ms)
{
    const uint64_t until_ns = pp_clock_now_ns() + ms * PP_NS_PER_MS;
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / PP_NS_PER_S),
        .tv_nsec = (long)(until_ns % PP_NS_PER_S),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

void pp_host_sample_busy(struct pp_host_cpu *cpus, unsigned count, unsigned sample_ms)
{
    struct cpu_ticks earlier[PP_HOST_CPUS_MAX];
    struct cpu_ticks later[PP_HOST_CPUS_MAX];

    pp_assert(count <= PP_HOST_CPUS_MAX);
    ticks_read(earlier, cpus, count);
    sleep_ms(sample_ms);
    ticks_read(later, cpus, count);
    for (unsigned i = 0; i < count; i++)
        cpus[i].busy = busy_between(earlier[i], later[i]);
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
