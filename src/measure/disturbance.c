#include "measure/disturbance.h"

#include "base/clock.h"
#include "measure/cpu_ticks.h"
#include "measure/cpulist.h"
#include "measure/file.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FREQUENCIES_MAX 64
#define OTHERS_TICKS_MIN 100 /* a second of one CPU, mostly */
#define STEAL_TICKS_MIN 100  /* of each CPU */
#define CLOCK_TRIES 5
#define CLOCK_NOISE_NS ((int64_t)PP_NS_PER_MS)

struct cpu_set {
    const int *cpus; /* NULL: all */
    unsigned count;
};

struct mean {
    double sum;
    unsigned count;
};

static bool set_has(const struct cpu_set *set, int cpu)
{
    for (unsigned i = 0; set->cpus && i < set->count; i++) {
        if (set->cpus[i] == cpu)
            return true;
    }
    return !set->cpus;
}

static double mean_of(const struct mean *mean)
{
    return mean->count ? mean->sum / mean->count : 0;
}

static void mean_add(struct mean *mean, double value)
{
    mean->sum += value;
    mean->count++;
}

/* ---- time taken away ---- */

static void ticks_read(struct pp_disturbance_reading *reading, const struct cpu_set *set,
                       const char *root)
{
    struct pp_file_lines lines;
    struct pp_cpu_ticks cpu;

    pp_cpu_ticks_open(&lines, root);
    while (pp_cpu_ticks_next(&lines, &cpu)) {
        const uint64_t *t = cpu.ticks;

        if (!set_has(set, (int)cpu.cpu))
            continue;
        reading->cpus++;
        reading->steal_ticks += t[PP_CPU_STEAL];
        reading->busy_ticks += t[PP_CPU_USER] + t[PP_CPU_NICE] + t[PP_CPU_SYSTEM];
        reading->interrupt_ticks += t[PP_CPU_IRQ] + t[PP_CPU_SOFTIRQ];
        for (size_t i = 0; i < PP_CPU_FIELDS; i++)
            reading->total_ticks += t[i];
    }
    pp_file_lines_close(&lines);
}

/* ---- frequency ---- */

static void frequency_add(struct mean *mean, const char *root, unsigned cpu)
{
    char path[PP_FILE_PATH_BYTES];
    uint64_t khz;

    pp_file_path(path, root, "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_cur_freq", cpu);
    if (mean->count < FREQUENCIES_MAX && pp_file_number(path, &khz) && khz > 0)
        mean_add(mean, (double)khz / 1000);
}

static double mhz_by_cpufreq(const struct cpu_set *set, const char *root)
{
    char path[PP_FILE_PATH_BYTES];
    char online[1024];
    struct pp_cpulist list = { .rest = online };
    struct mean mean = { 0 };
    unsigned cpu;

    for (unsigned i = 0; set->cpus && i < set->count && i < FREQUENCIES_MAX; i++)
        frequency_add(&mean, root, (unsigned)set->cpus[i]);
    if (set->cpus)
        return mean_of(&mean);
    pp_file_path(path, root, "/sys/devices/system/cpu/online");
    (void)pp_file_line(path, online, sizeof online);
    for (unsigned i = 0; i < FREQUENCIES_MAX && pp_cpulist_next(&list, &cpu); i++)
        frequency_add(&mean, root, cpu);
    return mean_of(&mean);
}

/* "processor : 3" stands before the "cpu MHz : 2450.000" of that CPU. */
static double mhz_by_cpuinfo(const struct cpu_set *set, const char *root)
{
    struct pp_file_lines lines;
    char path[PP_FILE_PATH_BYTES];
    struct mean mean = { 0 };
    const char *line;
    int cpu = -1;
    double mhz;

    pp_file_lines_open(&lines, pp_file_path(path, root, "/proc/cpuinfo"));
    while ((line = pp_file_lines_next(&lines))) {
        if (sscanf(line, "cpu MHz : %lf", &mhz) == 1 && mhz > 0 && set_has(set, cpu))
            mean_add(&mean, mhz);
        else
            (void)sscanf(line, "processor : %d", &cpu);
    }
    pp_file_lines_close(&lines);
    return mean_of(&mean);
}

/* ---- clocks ---- */

/* How far a clock is ahead of CLOCK_MONOTONIC, which is read before and after it: the closest of a
 * few tries counts, as the thread may be interrupted in between. */
static int64_t clock_offset_ns(clockid_t clock)
{
    int64_t closest_ns = INT64_MAX;
    int64_t offset_ns = 0;

    for (int i = 0; i < CLOCK_TRIES; i++) {
        const int64_t before_ns = (int64_t)pp_clock_now_ns();
        const int64_t time_ns = (int64_t)pp_clock_read_ns(clock);
        const int64_t apart_ns = (int64_t)pp_clock_now_ns() - before_ns;

        if (apart_ns < closest_ns) {
            closest_ns = apart_ns;
            offset_ns = time_ns - (before_ns + apart_ns / 2);
        }
    }
    return offset_ns;
}

/* ---- the reading and the difference ---- */

static double load_read(const char *root)
{
    char path[PP_FILE_PATH_BYTES];
    char line[64];
    double load;

    (void)pp_file_line(pp_file_path(path, root, "/proc/loadavg"), line, sizeof line);
    return sscanf(line, "%lf", &load) == 1 ? load : -1;
}

void pp_disturbance_read(struct pp_disturbance_reading *reading, const int *cpus, unsigned count,
                         const char *root)
{
    const struct cpu_set set = { .cpus = cpus, .count = count };

    *reading = (struct pp_disturbance_reading){
        .mhz = mhz_by_cpufreq(&set, root),
        .boot_offset_ns = clock_offset_ns(CLOCK_BOOTTIME),
        .wall_offset_ns = clock_offset_ns(CLOCK_REALTIME),
        .load = load_read(root),
        .own_ns = pp_clock_read_ns(CLOCK_PROCESS_CPUTIME_ID),
        .tick_ns = PP_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK),
    };
    if (reading->mhz == 0)
        reading->mhz = mhz_by_cpuinfo(&set, root);
    ticks_read(reading, &set, root);
}

/* Each CPU's counter goes on by whole ticks, so that a difference is up to one of them wrong: of
 * fewer ticks that would be more than a hundredth. They may step back a little, and those of a CPU
 * that went offline are missing later. */
static void steal_between(struct pp_disturbance *d, const struct pp_disturbance_reading *earlier,
                          const struct pp_disturbance_reading *later)
{
    double share;

    if (earlier->total_ticks == 0 || later->total_ticks <= earlier->total_ticks ||
        later->total_ticks - earlier->total_ticks < STEAL_TICKS_MIN * (uint64_t)later->cpus)
        return;
    d->steal_known = true;
    if (later->steal_ticks <= earlier->steal_ticks)
        return;
    share = (double)(later->steal_ticks - earlier->steal_ticks) /
            (double)(later->total_ticks - earlier->total_ticks);
    d->steal_share = fmin(share, 1);
}

/* Where the work of interrupts is counted as our time, too, but is not among what was busy, it is
 * at least so much. */
static void others_between(struct pp_disturbance *d, const struct pp_disturbance_reading *earlier,
                           const struct pp_disturbance_reading *later)
{
    const double total = (double)later->total_ticks - (double)earlier->total_ticks;
    const double busy = (double)later->busy_ticks - (double)earlier->busy_ticks;
    const double own_ns = (double)later->own_ns - (double)earlier->own_ns;

    if (earlier->total_ticks == 0 || later->tick_ns == 0 || total < OTHERS_TICKS_MIN)
        return;
    d->others_known = true;
    d->others_share = fmin(fmax((busy - own_ns / (double)later->tick_ns) / total, 0), 1);
}

static int64_t without_noise(int64_t ns)
{
    return llabs(ns) < CLOCK_NOISE_NS ? 0 : ns;
}

/* The wall clock goes on in sleep, which is no step. */
struct pp_disturbance pp_disturbance_between(const struct pp_disturbance_reading *earlier,
                                             const struct pp_disturbance_reading *later)
{
    const int64_t slept_ns = later->boot_offset_ns - earlier->boot_offset_ns;
    const int64_t stepped_ns = later->wall_offset_ns - earlier->wall_offset_ns - slept_ns;
    struct pp_disturbance d = {
        .suspended_ns = slept_ns > 0 ? (uint64_t)without_noise(slept_ns) : 0,
        .wall_step_ns = without_noise(stepped_ns),
        .load_before = earlier->load,
        .load_after = later->load,
    };

    steal_between(&d, earlier, later);
    others_between(&d, earlier, later);
    d.frequency_known = earlier->mhz > 0 && later->mhz > 0;
    if (d.frequency_known)
        d.frequency_change = fabs(later->mhz - earlier->mhz) / earlier->mhz;
    return d;
}
