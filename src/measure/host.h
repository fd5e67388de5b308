/* Facts about this machine that a result must carry. */
#ifndef PP_MEASURE_HOST_H
#define PP_MEASURE_HOST_H

#include <stdint.h>

#define PP_HOST_CPUS_MAX 1024

/* One CPU this process may run on. */
struct pp_host_cpu {
    int cpu;  /* its number */
    int core; /* CPUs with the same core share its execution units; its own number if unknown */
    unsigned running; /* other threads that ran on it, or waited to, at the last look */
};

/* The CPUs this thread may run on (sched_getaffinity(2)), in rising order. Returns how many, at
 * most capacity; at least 1. */
unsigned pp_host_cpus(struct pp_host_cpu *cpus, unsigned capacity);

/* Fills in running. Where /proc shows little, or many run, some may be missed: it takes 5 ms at
 * most, and microseconds where nobody else runs at all. */
void pp_host_look_who_runs(struct pp_host_cpu *cpus, unsigned count);

/* What tells this start of this kernel from all others, in namespaces and containers, too; "" if it
 * cannot be read. */
void pp_host_boot_id(char *id, unsigned bytes);

/* The TCP congestion control of new sockets, such as "cubic"; "unknown" if it cannot be read. */
void pp_host_congestion_control(char *name, unsigned bytes);

#endif
