/* What others did to this host during a run: CPUs taken away by the hypervisor, other clock
 * frequencies, sleep, and steps of the wall clock. */
#ifndef PP_MEASURE_DISTURBANCE_H
#define PP_MEASURE_DISTURBANCE_H

#include <stdbool.h>
#include <stdint.h>

struct pp_disturbance_reading {
    unsigned cpus;            /* that could be read */
    uint64_t steal_ticks;     /* time in which the hypervisor ran something else */
    uint64_t total_ticks;     /* all time of these CPUs since boot; 0 if unknown */
    uint64_t busy_ticks;      /* of these, time that programs had, interrupts left out */
    uint64_t interrupt_ticks; /* and time that interrupts had, the kernel's network stack in them */
    uint64_t own_ns;          /* CPU time of this process, on any CPU */
    uint64_t tick_ns;         /* how long a tick is */
    double mhz;               /* the mean frequency of these CPUs; 0 if unknown */
    int64_t boot_offset_ns;   /* CLOCK_BOOTTIME, which counts sleep, less CLOCK_MONOTONIC */
    int64_t wall_offset_ns;   /* CLOCK_REALTIME less CLOCK_MONOTONIC */
    double load; /* runnable tasks, averaged over the last minute; below 0 if unknown */
};

struct pp_disturbance {
    double steal_share;  /* of the time of these CPUs, 0 to 1; 0 if unknown */
    bool steal_known;    /* false also where too little time has passed to tell by ticks */
    double others_share; /* of the time of these CPUs that other programs had, 0 to 1; at least */
    bool others_known;   /* false also where too little time has passed to tell by ticks */
    double frequency_change; /* |after - before| / before; 0 if unknown */
    bool frequency_known;
    uint64_t suspended_ns; /* how long the host slept */
    int64_t wall_step_ns;  /* by how much the wall clock was set forward; < 0: back */
    double load_before;    /* as in the readings */
    double load_after;
};

/* Reads what the files and clocks say now. cpus are those that the run uses, count of them; NULL
 * means all that are online. Takes a few file reads for each CPU, up to 64 of them. root is "", or
 * in tests a directory with what stands in for /proc and /sys. */
void pp_disturbance_read(struct pp_disturbance_reading *reading, const int *cpus, unsigned count,
                         const char *root);

/* What happened between two readings of the same CPUs. A sleep or a step of less than a millisecond
 * counts as none: the clocks are read one after the other. */
struct pp_disturbance pp_disturbance_between(const struct pp_disturbance_reading *earlier,
                                             const struct pp_disturbance_reading *later);

#endif
