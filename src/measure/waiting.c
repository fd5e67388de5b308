#include "measure/waiting.h"

#include "base/clock.h"
#include "measure/cpu_ticks.h"
#include "measure/cpulist.h"
#include "measure/file.h"

#include <stdio.h>
#include <unistd.h>

/* To leave the deepest sleep takes a CPU less than this, a virtual one included. */
#define WAKE_UP_NS (200 * PP_NS_PER_US)

/* ---- one thread ---- */

/* "ran waited turns", in ns; see proc_pid_schedstat(5). A kernel that does not count says 0. */
struct pp_runqueue pp_runqueue_of_thread(const char *root)
{
    char path[PP_FILE_PATH_BYTES];
    char line[96];
    unsigned long long ran, waited, turns;

    pp_file_path(path, root, "/proc/thread-self/schedstat");
    if (!pp_file_line(path, line, sizeof line) ||
        sscanf(line, "%llu %llu %llu", &ran, &waited, &turns) != 3 || turns == 0)
        return (struct pp_runqueue){ 0 };
    return (
        struct pp_runqueue){ .known = true, .ran_ns = ran, .waited_ns = waited, .turns = turns };
}

struct pp_runqueue pp_runqueue_between(const struct pp_runqueue *earlier,
                                       const struct pp_runqueue *later)
{
    if (!earlier->known || !later->known)
        return (struct pp_runqueue){ 0 };
    return (struct pp_runqueue){ .known = true,
                                 .ran_ns = later->ran_ns - earlier->ran_ns,
                                 .waited_ns = later->waited_ns - earlier->waited_ns,
                                 .turns = later->turns - earlier->turns };
}

/* ---- the CPUs ---- */

void pp_cpu_times_read(struct pp_cpu_times *times, const char *root)
{
    struct pp_file_lines lines;
    struct pp_cpu_ticks cpu;

    *times = (struct pp_cpu_times){ .tick_ns = PP_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK),
                                    .own_ns = pp_clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) };
    pp_cpu_ticks_open(&lines, root);
    while (pp_cpu_ticks_next(&lines, &cpu))
        if (cpu.cpu < PP_WAITING_CPUS_MAX)
            times->free_ns[cpu.cpu] = (cpu.ticks[PP_CPU_IDLE] + cpu.ticks[PP_CPU_IOWAIT] +
                                       cpu.ticks[PP_CPU_IRQ] + cpu.ticks[PP_CPU_SOFTIRQ] +
                                       cpu.ticks[PP_CPU_STEAL]) *
                                      times->tick_ns;
    pp_file_lines_close(&lines);
}

/* ---- whose time it was ---- */

static uint64_t less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

/* UINT64_MAX: unknown, as of one that is not listed. One that was taken offline has stepped back,
 * and counts for nothing. A counter goes on by whole ticks. */
static uint64_t free_on(const struct pp_cpu_times *before, const struct pp_cpu_times *after,
                        unsigned cpu)
{
    if (cpu >= PP_WAITING_CPUS_MAX || after->free_ns[cpu] == 0)
        return UINT64_MAX;
    return less(after->free_ns[cpu], before->free_ns[cpu]) + after->tick_ns;
}

static uint64_t free_between(const struct pp_cpu_times *before, const struct pp_cpu_times *after,
                             const struct pp_waiter *thread, const char *allowed)
{
    struct pp_cpulist list = { .rest = allowed };
    uint64_t sum_ns = 0;
    unsigned cpu;

    if (thread->cpu >= 0)
        return free_on(before, after, (unsigned)thread->cpu);
    while (sum_ns < UINT64_MAX && pp_cpulist_next(&list, &cpu)) {
        const uint64_t free_ns = free_on(before, after, cpu);

        sum_ns = free_ns < UINT64_MAX ? sum_ns + free_ns : UINT64_MAX;
    }
    return sum_ns ? sum_ns : UINT64_MAX;
}

/* What our own threads had where this one may run, at most: all of this process but itself, and but
 * those that are pinned elsewhere. */
static uint64_t own_between(const struct pp_waiter *threads, unsigned count,
                            const struct pp_waiter *thread, uint64_t own_ns)
{
    uint64_t elsewhere_ns = 0;

    for (unsigned i = 0; i < count; i++) {
        const struct pp_waiter *other = &threads[i];

        if (other == thread || (thread->cpu >= 0 && other->cpu >= 0 && other->cpu != thread->cpu))
            elsewhere_ns += other->queue.ran_ns;
    }
    return less(own_ns, elsewhere_ns);
}

static uint64_t waking_between(const struct pp_waiter *thread, uint64_t free_ns)
{
    const uint64_t most_ns = thread->queue.turns * WAKE_UP_NS;

    return free_ns < most_ns ? free_ns : most_ns;
}

static double share_of(uint64_t part_ns, uint64_t whole_ns)
{
    const double share = whole_ns ? (double)part_ns / (double)whole_ns : 0;

    return share < 1 ? share : 1;
}

struct pp_waiting pp_waiting_of(const struct pp_waiter *threads, unsigned count,
                                const struct pp_cpu_times *before, const struct pp_cpu_times *after,
                                const char *allowed, uint64_t explained_ns)
{
    struct pp_waiting waiting = { .known = count > 0, .others_known = count > 0 };

    for (unsigned i = 0; i < count; i++) {
        const struct pp_waiter *thread = &threads[i];
        const uint64_t own_ns = own_between(threads, count, thread,
                                            less(after->own_ns, before->own_ns));
        const uint64_t waking_ns = waking_between(thread,
                                                  free_between(before, after, thread, allowed));
        const uint64_t others_ns = less(less(less(thread->queue.waited_ns, own_ns), waking_ns),
                                        explained_ns);
        const double share = share_of(thread->queue.waited_ns, thread->time_ns);
        const double others_share = share_of(others_ns, thread->time_ns);

        if (!thread->queue.known)
            return (struct pp_waiting){ 0 };
        if (share > waiting.share)
            waiting.share = share;
        if (others_share > waiting.others_share) {
            waiting.others_share = others_share;
            waiting.others_who = i;
            waiting.each_ns = thread->queue.waited_ns /
                              (thread->queue.turns ? thread->queue.turns : 1);
        }
    }
    return waiting;
}
