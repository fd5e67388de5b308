/* What the machine is enclosed in: a virtual machine, a container, a control group with a limit,
 * and what that limit has done. */
#include "measure/enclosure.h"

#include "base/container.h"

#include "measure/file.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

struct naming {
    const char *text;
    const char *name;
};

static void name_set(char *name, size_t capacity, const char *value)
{
    (void)snprintf(name, capacity, "%s", value);
}

static bool exists(const char *root, const char *path)
{
    char full[PP_FILE_PATH_BYTES];

    return access(pp_file_path(full, root, "%s", path), F_OK) == 0;
}

/* ---- the virtual machine ---- */

/* What stands at the beginning of the firmware's names for the machine. A maker of real machines is
 * not in here, nor are clouds that also rent those out. */
static const struct naming firmware[] = {
    { "KVM", "kvm" },
    { "OpenStack", "kvm" },
    { "Google Compute Engine", "kvm" },
    { "Droplet", "kvm" },
    { "Alibaba Cloud ECS", "kvm" },
    { "RHEV Hypervisor", "kvm" },
    { "QEMU", "qemu" },
    { "Standard PC (", "qemu" },
    { "VMware", "vmware" },
    { "VMW", "vmware" },
    { "VirtualBox", "virtualbox" },
    { "innotek GmbH", "virtualbox" },
    { "Virtual Machine", "hyper-v" },
    { "Xen", "xen" },
    { "HVM domU", "xen" },
    { "Parallels", "parallels" },
    { "BHYVE", "bhyve" },
    { "Bochs", "bochs" },
    { "Apple Virtualization", "apple" },
};

/* The name for the entry that value begins with; NULL if there is none. */
static const char *naming_find(const struct naming *namings, size_t count, const char *value)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(value, namings[i].text, strlen(namings[i].text)) == 0)
            return namings[i].name;
    }
    return NULL;
}

#if defined(__x86_64__) || defined(__i386__)

#define CPUID_HYPERVISOR (1U << 31) /* of ECX of leaf 1 */
#define LEAF_HYPERVISOR 0x40000000U
#define LEAF_BEHIND_HYPER_V 0x40000100U /* KVM and Xen stand here if they also act as Hyper-V */

static const struct naming signatures[] = {
    { "KVMKVMKVM", "kvm" },
    { "Linux KVM Hv", "kvm" },
    { "Microsoft Hv", "hyper-v" },
    { "VMwareVMware", "vmware" },
    { "XenVMMXenVMM", "xen" },
    { "TCGTCGTCGTCG", "qemu" },
    { "VBoxVBoxVBox", "virtualbox" },
    { " lrpepyh vr", "parallels" },
    { "prl hyperv", "parallels" },
    { "bhyve bhyve ", "bhyve" },
    { "ACRNACRNACRN", "acrn" },
    { "QNXQVMBSQG", "qnx" },
    { "SRESRESRESRE", "lockheed martin" },
    { "Jailhouse", "jailhouse" },
};

static void signature_read(char signature[13], unsigned leaf)
{
    unsigned eax;
    unsigned words[3];

    __cpuid(leaf, eax, words[0], words[1], words[2]);
    (void)eax;
    memcpy(signature, words, sizeof words);
    signature[sizeof words] = '\0';
}

/* False if no hypervisor shows itself. */
static bool cpu_names_hypervisor(char *name, size_t capacity)
{
    char signature[13];
    const char *known;
    unsigned eax;
    unsigned ebx;
    unsigned ecx;
    unsigned edx;

    __cpuid(1, eax, ebx, ecx, edx);
    if (!(ecx & CPUID_HYPERVISOR))
        return false;
    signature_read(signature, LEAF_BEHIND_HYPER_V);
    known = naming_find(signatures, COUNT_OF(signatures), signature);
    if (!known) {
        signature_read(signature, LEAF_HYPERVISOR);
        known = naming_find(signatures, COUNT_OF(signatures), signature);
    }
    for (char *c = signature; *c; c++)
        *c = *c > ' ' && *c <= '~' ? *c : '?';
    name_set(name, capacity, known ? known : signature);
    return name[0] != '\0';
}

static const bool cpu_can_tell = true;

#else

static bool cpu_names_hypervisor(char *name, size_t capacity)
{
    (void)name;
    (void)capacity;
    return false;
}

static const bool cpu_can_tell = false;

#endif

/* *readable says whether the firmware names the machine at all. */
static const char *firmware_names_hypervisor(const char *root, bool *readable)
{
    static const char *const files[] = { "product_name", "sys_vendor", "board_vendor",
                                         "bios_vendor" };
    char path[PP_FILE_PATH_BYTES];
    char line[64];
    const char *name;

    *readable = false;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        pp_file_path(path, root, "/sys/class/dmi/id/%s", files[i]);
        if (!pp_file_line(path, line, sizeof line))
            continue;
        *readable = true;
        name = naming_find(firmware, COUNT_OF(firmware), line);
        if (name)
            return name;
    }
    return NULL;
}

/* Machines that describe themselves by a device tree instead: "linux,kvm". */
static const char *device_tree_names_hypervisor(const char *root)
{
    static const struct naming compatibles[] = { { "linux,kvm", "kvm" },
                                                 { "xen", "xen" },
                                                 { "vmware", "vmware" } };
    char path[PP_FILE_PATH_BYTES];
    char line[64];

    pp_file_path(path, root, "/proc/device-tree/hypervisor/compatible");
    if (!pp_file_line(path, line, sizeof line))
        return NULL;
    return naming_find(compatibles, COUNT_OF(compatibles), line);
}

/* "xen" in guests that run under Xen without seeing it in the CPU. */
static bool kernel_names_hypervisor(char *name, size_t capacity, const char *root)
{
    char path[PP_FILE_PATH_BYTES];

    return pp_file_line(pp_file_path(path, root, "/sys/hypervisor/type"), name, capacity);
}

void pp_enclosure_virtualisation(char *name, size_t capacity, const char *root)
{
    const bool ask_cpu = root[0] == '\0';
    bool firmware_readable;
    const char *found;

    if (kernel_names_hypervisor(name, capacity, root))
        return;
    if (ask_cpu && cpu_names_hypervisor(name, capacity))
        return;
    found = firmware_names_hypervisor(root, &firmware_readable);
    if (!found)
        found = device_tree_names_hypervisor(root);
    if (!found)
        found = firmware_readable || (ask_cpu && cpu_can_tell) ? "none" : "";
    name_set(name, capacity, found);
}

/* ---- the container ---- */

/* The value of a variable in a block of NAME=VALUE, each with a zero behind; NULL without one. */
static const char *variable_find(const char *block, size_t bytes, const char *name)
{
    const size_t length = strlen(name);

    for (const char *p = block; p < block + bytes; p += strlen(p) + 1) {
        if (strncmp(p, name, length) == 0 && p[length] == '=')
            return p + length + 1;
    }
    return NULL;
}

/* "container=lxc" is what managers put into the environment of a container's first process, which
 * only root may read. */
static bool first_process_names_container(char *name, size_t capacity, const char *root)
{
    char path[PP_FILE_PATH_BYTES];
    char block[8192];
    const size_t bytes = pp_file_bytes(pp_file_path(path, root, "/proc/1/environ"), block,
                                       sizeof block);
    const char *value = variable_find(block, bytes, "container");

    if (!value || value[0] == '\0')
        return false;
    name_set(name, capacity, value);
    return true;
}

/* Where these are written they hold a name: by systemd inside, by the manager outside. */
static bool file_names_container(char *name, size_t capacity, const char *root)
{
    char path[PP_FILE_PATH_BYTES];

    return pp_file_line(pp_file_path(path, root, "/run/host/container-manager"), name, capacity) ||
           pp_file_line(pp_file_path(path, root, "/run/systemd/container"), name, capacity);
}

/* The path of a control group often tells who made it, unless the group has a namespace of its
 * own. */
static const char *group_names_container(const char *root)
{
    static const char *const files[] = { "/proc/1/cgroup", "/proc/self/cgroup" };
    static const struct naming parts[] = {
        { "/kubepods", "kubernetes" }, { "/libpod-", "podman" }, { "/docker/", "docker" },
        { "/docker-", "docker" },      { "/lxc/", "lxc" },       { "/lxc.payload", "lxc" },
    };
    char path[PP_FILE_PATH_BYTES];
    char text[4096];

    for (size_t i = 0; i < COUNT_OF(files); i++) {
        (void)pp_file_bytes(pp_file_path(path, root, "%s", files[i]), text, sizeof text);
        for (size_t j = 0; j < COUNT_OF(parts); j++) {
            if (strstr(text, parts[j].text))
                return parts[j].name;
        }
    }
    return NULL;
}

/* Kubernetes stands first because it shows beside the runtime that it uses. */
void pp_enclosure_container(char *name, size_t capacity, const char *root)
{
    const char *group = group_names_container(root);

    name[0] = '\0';
    if (exists(root, "/run/secrets/kubernetes.io") ||
        exists(root, "/var/run/secrets/kubernetes.io"))
        name_set(name, capacity, "kubernetes");
    else if (group)
        name_set(name, capacity, group);
    else if (exists(root, "/run/.containerenv"))
        name_set(name, capacity, "podman");
    else if (exists(root, "/.dockerenv"))
        name_set(name, capacity, "docker");
    else if (!file_names_container(name, capacity, root))
        (void)first_process_names_container(name, capacity, root);
}

/* ---- the control group ---- */

struct group {
    bool v2;
    char mount[PP_FILE_PATH_BYTES];
    char path[PP_FILE_PATH_BYTES]; /* behind mount; "" is the mount itself */
};

static bool has_controller(const char *controllers, const char *name)
{
    const size_t length = strlen(name);

    for (const char *p = controllers; *p; p += strcspn(p, ","), p += *p == ',') {
        if (strcspn(p, ",") == length && strncmp(p, name, length) == 0)
            return true;
    }
    return false;
}

/* What stands behind the path at which a group is mounted: all, if it is not below that. */
static const char *behind(const char *path, const char *mounted)
{
    const size_t length = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);

    return strncmp(path, mounted, length) == 0 && (path[length] == '/' || !path[length])
               ? path + length
               : path;
}

/* "31 23 0:28 /what /where options - cgroup2 cgroup2 rw" or "... - cgroup cgroup rw,cpu,cpuacct" of
 * proc_pid_mountinfo(5). */
static bool is_mount_of(const struct group *group, const char *line)
{
    const char *behind_options = strstr(line, " - ");
    char type[32], options[256];

    if (!behind_options || sscanf(behind_options, " - %31s %*s %255s", type, options) != 2)
        return false;
    if (group->v2)
        return strcmp(type, "cgroup2") == 0;
    return strcmp(type, "cgroup") == 0 && has_controller(options, "cpu");
}

/* Where it is mounted usually, if that cannot be read. */
static void group_mount_find(struct group *group, const char *root, const char *path)
{
    struct pp_file_lines lines;
    char file[PP_FILE_PATH_BYTES];
    char what[256] = "/", where[256];
    const char *line;

    (void)snprintf(where, sizeof where, "/sys/fs/cgroup%s", group->v2 ? "" : "/cpu");
    pp_file_lines_open(&lines, pp_file_path(file, root, "/proc/self/mountinfo"));
    while ((line = pp_file_lines_next(&lines)) && !is_mount_of(group, line))
        continue;
    if (line)
        (void)sscanf(line, "%*s %*s %*s %255s %255s", what, where);
    pp_file_lines_close(&lines);
    (void)snprintf(group->mount, sizeof group->mount, "%s", where);
    (void)snprintf(group->path, sizeof group->path, "%s", behind(path, what));
    if (strcmp(group->path, "/") == 0)
        group->path[0] = '\0';
}

/* Of a line "0::/group" (version 2) or "3:cpu,cpuacct:/group" (version 1). */
static bool group_by_line(struct group *group, const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!path)
        return false;
    *path++ = '\0';
    controllers++;
    group->v2 = controllers[0] == '\0';
    if (!group->v2 && !has_controller(controllers, "cpu"))
        return false;
    group_mount_find(group, root, path);
    return true;
}

/* The group around, up to what is mounted. A container may see its path as from outside, of which
 * it has only the end: then there is nothing at the start. */
static bool group_around(struct group *group)
{
    char *slash = strrchr(group->path, '/');

    if (slash)
        *slash = '\0';
    return slash != NULL;
}

static const char *group_file(char path[PP_FILE_PATH_BYTES], const char *root,
                              const struct group *group, const char *name)
{
    return pp_file_path(path, root, "%s%s/%s", group->mount, group->path, name);
}

/* ---- its limit ---- */

/* Version 2 keeps both numbers in one file: "150000 100000", or "max 100000". */
static double limit_v2(const char *root, const struct group *group)
{
    char path[PP_FILE_PATH_BYTES];
    char line[64];
    double quota;
    double period;

    if (!pp_file_line(group_file(path, root, group, "cpu.max"), line, sizeof line) ||
        sscanf(line, "%lf %lf", &quota, &period) != 2)
        return 0;
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* No limit is a quota of -1, which is no number here. */
static double limit_v1(const char *root, const struct group *group)
{
    char path[PP_FILE_PATH_BYTES];
    uint64_t quota;
    uint64_t period;

    if (!pp_file_number(group_file(path, root, group, "cpu.cfs_quota_us"), &quota) ||
        !pp_file_number(group_file(path, root, group, "cpu.cfs_period_us"), &period) || period == 0)
        return 0;
    return (double)quota / (double)period;
}

/* The least of a group's limit and of those around it. */
static double limit_of(const char *root, struct group *group)
{
    double least = 0;

    do {
        const double limit = group->v2 ? limit_v2(root, group) : limit_v1(root, group);

        if (limit > 0 && (least == 0 || limit < least))
            least = limit;
    } while (group_around(group));
    return least;
}

double pp_enclosure_cpu_limit(const char *root)
{
    struct pp_file_lines lines;
    char path[PP_FILE_PATH_BYTES];
    struct group group;
    double limit = 0;
    char *line;

    pp_file_lines_open(&lines, pp_file_path(path, root, "/proc/self/cgroup"));
    while (limit == 0 && (line = pp_file_lines_next(&lines)))
        limit = group_by_line(&group, root, line) ? limit_of(root, &group) : 0;
    pp_file_lines_close(&lines);
    return limit;
}

/* ---- what the limit has done ---- */

/* Version 1 counts nanoseconds, version 2 microseconds. */
static bool throttling_of(const char *root, const struct group *group, uint64_t *times,
                          uint64_t *sum_ns)
{
    char path[PP_FILE_PATH_BYTES];
    struct pp_file_lines lines;
    unsigned long long number;
    const char *line;
    bool has_times = false, has_sum = false;

    pp_file_lines_open(&lines, group_file(path, root, group, "cpu.stat"));
    while ((line = pp_file_lines_next(&lines))) {
        if (sscanf(line, "nr_throttled %llu", &number) == 1) {
            *times = number;
            has_times = true;
        } else if (sscanf(line, group->v2 ? "throttled_usec %llu" : "throttled_time %llu",
                          &number) == 1) {
            *sum_ns = number * (group->v2 ? 1000 : 1);
            has_sum = true;
        }
    }
    pp_file_lines_close(&lines);
    return has_times && has_sum;
}

static void throttling_add(struct pp_throttling *throttling, const char *root, struct group *group)
{
    do {
        const unsigned i = throttling->groups;

        if (i < PP_THROTTLING_GROUPS_MAX &&
            throttling_of(root, group, &throttling->group[i].times, &throttling->group[i].sum_ns))
            throttling->groups++;
    } while (group_around(group));
}

void pp_enclosure_throttling(struct pp_throttling *throttling, const char *root)
{
    struct pp_file_lines lines;
    char path[PP_FILE_PATH_BYTES];
    struct group group;
    char *line;

    throttling->groups = 0;
    pp_file_lines_open(&lines, pp_file_path(path, root, "/proc/self/cgroup"));
    while ((line = pp_file_lines_next(&lines)))
        if (group_by_line(&group, root, line))
            throttling_add(throttling, root, &group);
    pp_file_lines_close(&lines);
}

struct pp_throttled pp_throttled_between(const struct pp_throttling *earlier,
                                         const struct pp_throttling *later)
{
    struct pp_throttled most = { .known = earlier->groups > 0 && earlier->groups == later->groups };

    for (unsigned i = 0; most.known && i < later->groups; i++) {
        const uint64_t sum_ns = later->group[i].sum_ns - earlier->group[i].sum_ns;

        if (later->group[i].sum_ns < earlier->group[i].sum_ns || sum_ns <= most.sum_ns)
            continue;
        most.sum_ns = sum_ns;
        most.times = later->group[i].times - earlier->group[i].times;
    }
    return most;
}
