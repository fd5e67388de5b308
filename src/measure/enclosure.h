/* What this system runs inside of: a virtual machine, a container, a control group. root stands in
 * front of every path, as in machine.h. */
#ifndef PP_MEASURE_ENCLOSURE_H
#define PP_MEASURE_ENCLOSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The hypervisor: "kvm", "hyper-v", "vmware", "xen", "qemu" (without KVM), "virtualbox" and others;
 * one that is unknown by its own name for itself; "none" on a real machine; "" if it cannot be
 * told. The CPU itself is asked only if root is "". */
void pp_enclosure_virtualisation(char *name, size_t capacity, const char *root);

/* "kubernetes", "docker", "podman", "lxc", "systemd-nspawn", or another name that a container's
 * manager left for those inside; "" if nothing tells of one. */
void pp_enclosure_container(char *name, size_t capacity, const char *root);

/* How often, and for how long, the CPU quotas of this process's control group and of those around
 * it have kept threads from running; from the group itself outwards. */
#define PP_THROTTLING_GROUPS_MAX 16

struct pp_throttling {
    unsigned groups; /* that have such counters; 0: nothing is known */
    struct {
        uint64_t times;
        uint64_t sum_ns; /* over all CPUs */
    } group[PP_THROTTLING_GROUPS_MAX];
};

void pp_enclosure_throttling(struct pp_throttling *throttling, const char *root);

/* Between two readings, of the group for which it was longest. */
struct pp_throttled {
    bool known;
    uint64_t times;
    uint64_t sum_ns;
};

struct pp_throttled pp_throttled_between(const struct pp_throttling *earlier,
                                         const struct pp_throttling *later);

/* How many CPUs' time this process's control group may use, the least that it or any group around
 * it is allowed; 0 if there is no limit. */
double pp_enclosure_cpu_limit(const char *root);

#endif
