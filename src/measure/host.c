/* Facts about this machine, from /proc and /sys. A container may hide any of these files: what
 * cannot be read is left unknown and never stops a run. Nothing here allocates, so no stdio. */
#include "measure/host.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

struct line_reader {
    int fd;
    size_t begin;
    size_t end;
    char bytes[4096];
};

/* The first line of a file, without its end; false if it cannot be read or is empty. */
static bool first_line_read(const char *path, char *line, size_t bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0)
        return false;
    got = read(fd, line, bytes - 1);
    (void)close(fd);
    if (got <= 0)
        return false;
    line[got] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return line[0] != '\0';
}

/* -1 if it is unknown; some virtual machines say -1 themselves. */
static int topology_read(int cpu, const char *what)
{
    char path[96];
    char line[32];
    uint64_t id;

    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    if (!first_line_read(path, line, sizeof line))
        return -1;
    return pp_number_parse_count(line, 0, INT16_MAX, &id) == 0 ? (int)id : -1;
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

/* False at the end of the file, or when a line is longer than anything this file reads. */
static bool line_reader_fill(struct line_reader *reader)
{
    ssize_t got;

    memmove(reader->bytes, reader->bytes + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->begin = 0;
    if (reader->end == sizeof reader->bytes)
        return false;
    got = read(reader->fd, reader->bytes + reader->end, sizeof reader->bytes - reader->end);
    if (got <= 0)
        return false;
    reader->end += (size_t)got;
    return true;
}

/* The next line, without its end, valid until the next call; NULL after the last. */
static const char *line_reader_next(struct line_reader *reader)
{
    char *line;
    char *newline;

    for (;;) {
        line = reader->bytes + reader->begin;
        newline = memchr(line, '\n', reader->end - reader->begin);
        if (newline)
            break;
        if (!line_reader_fill(reader))
            return NULL;
    }
    *newline = '\0';
    reader->begin = (size_t)(newline + 1 - reader->bytes);
    return line;
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
    struct line_reader reader = { .fd = open("/proc/stat", O_RDONLY | O_CLOEXEC) };
    struct cpu_ticks ticks;
    const char *line;
    int cpu;

    memset(all, 0, count * sizeof *all);
    if (reader.fd < 0)
        return;
    /* The CPUs stand first, and far longer lines that nobody needs here come after them. */
    while ((line = line_reader_next(&reader)) && strncmp(line, "cpu", 3) == 0) {
        if (cpu_line_parse(line, &cpu, &ticks))
            ticks_store(all, cpus, count, cpu, ticks);
    }
    (void)close(reader.fd);
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

void pp_host_congestion_control(char *name, unsigned bytes)
{
    pp_assert(bytes > 1);
    if (!first_line_read("/proc/sys/net/ipv4/tcp_congestion_control", name, bytes))
        (void)snprintf(name, bytes, "unknown");
}
