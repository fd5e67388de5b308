/* The one clock: CLOCK_MONOTONIC in nanoseconds. It stands in the lowest layer because the event
 * loop's timers and the samples must be read off the same ruler. The time of day is for people. */
#ifndef PP_BASE_CLOCK_H
#define PP_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define PP_NS_PER_US UINT64_C(1000)
#define PP_NS_PER_MS UINT64_C(1000000)
#define PP_NS_PER_S UINT64_C(1000000000)

/* 0: there is no such clock here. */
static inline uint64_t pp_clock_read_ns(clockid_t clock)
{
    struct timespec now = { 0 };

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * PP_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* About 20 ns: the kernel answers from the vDSO, without a system call. */
static inline uint64_t pp_clock_now_ns(void)
{
    return pp_clock_read_ns(CLOCK_MONOTONIC);
}

/* The time of day, since 1970: it may be set back, and never measures anything. */
static inline uint64_t pp_clock_wall_ns(void)
{
    return pp_clock_read_ns(CLOCK_REALTIME);
}

/* The next after now_ns of the times that are period_ns apart, deadline_ns one of them. What was
 * missed, as when the process was stopped, is not made up for. */
static inline uint64_t pp_clock_next(uint64_t deadline_ns, uint64_t period_ns, uint64_t now_ns)
{
    const uint64_t missed = now_ns > deadline_ns ? (now_ns - deadline_ns) / period_ns : 0;

    return deadline_ns + (missed + 1) * period_ns;
}

/* What one reading costs: the median of a few batches, in less than a millisecond as long as a
 * reading takes less than 10 us. More than some 100 ns tells of a clock source that needs a system
 * call. */
uint64_t pp_clock_reading_cost_ns(void);

#endif
