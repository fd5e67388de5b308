/* Facts about this machine that a result must carry. */
#ifndef PP_MEASURE_HOST_H
#define PP_MEASURE_HOST_H

#include <stdint.h>

#define PP_HOST_CPUS_MAX 1024

/* One CPU this process may run on. */
struct pp_host_cpu {
    int cpu;     /* its number */
    int core;    /* CPUs with the same core share its execution units; its own number if unknown */
    double busy; /* share of the last sample that others used it, 0 to 1; 0 if unknown */
};

/* The CPUs this thread may run on (sched_getaffinity(2)), in rising order. Returns how many, at
 * most capacity; at least 1. */
unsigned pp_host_cpus(struct pp_host_cpu *cpus, unsigned capacity);

/* Fills in busy from two readings of /proc/stat sample_ms apart. Sleeps that long. */
void pp_host_sample_busy(struct pp_host_cpu *cpus, unsigned count, unsigned sample_ms);

/* What tells this start of this kernel from all others, in namespaces and containers, too; "" if it
 * cannot be read. */
void pp_host_boot_id(char *id, unsigned bytes);

/* The TCP congestion control of new sockets, such as "cubic"; "unknown" if it cannot be read. */
void pp_host_congestion_control(char *name, unsigned bytes);

#endif
