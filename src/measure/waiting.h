/* How long threads had to wait for a CPU, and whether others had it meanwhile. */
#ifndef PP_MEASURE_WAITING_H
#define PP_MEASURE_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#define PP_WAITING_CPUS_MAX 1024

/* What the scheduler says of one thread (/proc/thread-self/schedstat). */
struct pp_runqueue {
    bool known;
    uint64_t ran_ns;    /* on a CPU */
    uint64_t waited_ns; /* ready to run, and not on a CPU */
    uint64_t turns;     /* how many times it was given one */
};

/* Of the calling thread, since it began. root as in file.h. */
struct pp_runqueue pp_runqueue_of_thread(const char *root);

/* What came between two readings; unknown if either is. */
struct pp_runqueue pp_runqueue_between(const struct pp_runqueue *earlier,
                                       const struct pp_runqueue *later);

/* What the CPUs and this process have done so far. */
struct pp_cpu_times {
    uint64_t own_ns;                       /* CPU time of this process, on any CPU */
    uint64_t tick_ns;                      /* how exact free_ns is */
    uint64_t free_ns[PP_WAITING_CPUS_MAX]; /* of each: time in which no program had it, as it was
                                              idle, for interrupts, or taken by the hypervisor; 0
                                              of one that is unknown */
};

void pp_cpu_times_read(struct pp_cpu_times *times, const char *root);

/* A thread in the measured span. */
struct pp_waiter {
    struct pp_runqueue queue;
    uint64_t time_ns; /* how long that span was */
    int cpu;          /* the one that it is pinned to; negative: it may use all that are allowed */
};

/* The share of the time that a thread waited, 0 to 1. */
struct pp_waiting {
    bool known;
    double share; /* of the thread that waited longest, for whatever reason */
    bool others_known;
    double others_share; /* of the one that waited longest for others, at least */
    unsigned others_who; /* which thread that was */
    uint64_t each_ns;    /* how long it waited each time, on average */
};

/* Of threads, count of them, of this process. allowed: the CPUs that those may use which are not
 * pinned ("0-3,8"). explained_ns: time for which a thread may have waited for a known reason, such
 * as a quota, or a server in another process that is part of the measurement.
 *
 * While a thread waits for a CPU, that CPU is had by our own threads, or by others, or by nobody:
 * then the thread is just waking up. So of its waiting what is more than all CPU time that our
 * other threads had where it may run, and more than those CPUs were free (of that, 200 us at most
 * for each time that it was given one), was the others'. It is a bound, and holds without any
 * assumption of how a scheduler deals out time: there may have been more. */
struct pp_waiting pp_waiting_of(const struct pp_waiter *threads, unsigned count,
                                const struct pp_cpu_times *before, const struct pp_cpu_times *after,
                                const char *allowed, uint64_t explained_ns);

#endif
