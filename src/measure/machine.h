/* The host as a result must carry it, so that somebody else can judge the numbers and repeat them.
 * What cannot be read stays unknown and never stops a run. */
#ifndef PP_MEASURE_MACHINE_H
#define PP_MEASURE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define PP_MACHINE_SYSCTLS 18
#define PP_MACHINE_UNLIMITED UINT64_MAX

struct pp_machine_sysctl {
    const char *name; /* "net.core.somaxconn"; static */
    char value[64];   /* blanks between its parts are single spaces; "" if unknown */
};

/* A text is "" where nothing is known, unless it says otherwise. */
struct pp_machine {
    char host_name[65];
    char boot_id[40];         /* as pp_host_boot_id() */
    char os[128];             /* "Debian GNU/Linux 12 (bookworm)" */
    char kernel_release[65];  /* "6.1.0-18-amd64" */
    char kernel_version[128]; /* "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1" */
    char architecture[65];    /* "x86_64" */
    char cpu_model[128];      /* "AMD EPYC 7543 32-Core Processor" */
    unsigned cpus_online;     /* 0 if unknown */
    char cpus_allowed[256];   /* of the process's first thread: "0-3,8" */
    char governor[32];        /* of the CPUs allowed: "performance"; "mixed" if they differ */
    char scaling_driver[32];  /* of the first of them: "intel_pstate" */
    char turbo[4];            /* "on" or "off" */
    char smt[4];              /* "on" or "off": does a core run several threads */
    /* What the kernel says of the flaws that this CPU has: "meltdown: Mitigation: PTI | mds: ...".
     * Where it does not fit, "..." stands for the rest. */
    char mitigations[2048];
    bool mitigations_off;    /* the kernel was started with mitigations=off */
    char virtualisation[32]; /* "kvm", "hyper-v", "vmware", "xen", "qemu" ...; "none" */
    char container[32];      /* "docker", "podman", "kubernetes" ...; "" if in none that we know */
    double cpu_limit;        /* of the control group, in CPUs; 0 if there is none */
    char clocksource[32];    /* "tsc" */
    uint64_t memory_bytes;   /* 0 if unknown */
    double load;             /* runnable tasks, averaged over the last minute; below 0 if unknown */
    uint64_t open_files;     /* the soft limit; PP_MACHINE_UNLIMITED */
    uint64_t locked_bytes;   /* the soft limit; PP_MACHINE_UNLIMITED */
    struct pp_machine_sysctl sysctls[PP_MACHINE_SYSCTLS];
};

/* Reads all of it anew. To be called before the process's first thread is pinned, as cpus_allowed
 * and what follows from it would be those of one CPU. root is "", or in tests a directory with what
 * stands in for /proc, /sys, /etc, /run and /.dockerenv; the limits are always those of this
 * process. */
void pp_machine_read(struct pp_machine *machine, const char *root);

#endif
