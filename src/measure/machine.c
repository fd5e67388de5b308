/* What the machine is: text as firmware writes it, the system, its CPUs, and the flaws that the
 * kernel works around in them. */
#include "measure/machine.h"

#include "base/assert.h"
#include "base/container.h"
#include "measure/cpulist.h"
#include "measure/enclosure.h"
#include "measure/file.h"

#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define FLAWS_MAX 64
#define SEPARATOR " | "
#define CUT "..."

/* What a round trip's time or a test with many connections depends on. */
static const char *const sysctl_names[] = {
    "net.core.somaxconn",
    "net.core.rmem_max",
    "net.core.wmem_max",
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.default_qdisc",
    "net.core.netdev_max_backlog",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_autocorking",
    "net.ipv4.tcp_slow_start_after_idle",
    "kernel.io_uring_disabled",
    "kernel.sched_autogroup_enabled",
};

static_assert(COUNT_OF(sysctl_names) == PP_MACHINE_SYSCTLS, "one value for each name");

/* ---- text ---- */

static void text_set(char *text, size_t capacity, const char *value)
{
    (void)snprintf(text, capacity, "%s", value);
}

/* Blanks at both ends go, and those between become one space. */
static void blanks_squeeze(char *text)
{
    char *out = text;

    for (const char *p = text; *p; p++) {
        if (!isspace((unsigned char)*p))
            *out++ = *p;
        else if (out > text && out[-1] != ' ')
            *out++ = ' ';
    }
    out -= out > text && out[-1] == ' ';
    *out = '\0';
}

static void file_text(char *text, size_t capacity, const char *root, const char *path)
{
    char full[PP_FILE_PATH_BYTES];

    (void)pp_file_line(pp_file_path(full, root, "%s", path), text, capacity);
    blanks_squeeze(text);
}

/* The value behind a key at the beginning of a line, "model name\t: AMD EPYC", without the blanks
 * around it; NULL if the line has another key. */
static char *value_of(char *line, const char *key, char separator)
{
    const size_t length = strlen(key);
    char *p = line + length;

    if (strncmp(line, key, length) != 0)
        return NULL;
    p += strspn(p, " \t");
    if (*p++ != separator)
        return NULL;
    blanks_squeeze(p);
    return p;
}

/* The first such value in a file; false, with an empty text, if it has none. */
static bool keyed_text(char *text, size_t capacity, const char *root, const char *path,
                       const char *key, char separator)
{
    struct pp_file_lines lines;
    char full[PP_FILE_PATH_BYTES];
    const char *value = NULL;
    char *line;

    text[0] = '\0';
    pp_file_lines_open(&lines, pp_file_path(full, root, "%s", path));
    while (!value && (line = pp_file_lines_next(&lines)))
        value = value_of(line, key, separator);
    if (value)
        text_set(text, capacity, value);
    pp_file_lines_close(&lines);
    return text[0] != '\0';
}

/* ---- the system ---- */

/* A shell's word, as os-release(5) allows: quotes around it go, and so do backslashes. */
static void unquote(char *text)
{
    const char quote = text[0];
    char *out = text;

    if (quote != '"' && quote != '\'')
        return;
    for (const char *p = text + 1; *p && *p != quote; p++) {
        p += quote == '"' && *p == '\\' && p[1] != '\0';
        *out++ = *p;
    }
    *out = '\0';
}

static void os_read(struct pp_machine *m, const char *root)
{
    if (!keyed_text(m->os, sizeof m->os, root, "/etc/os-release", "PRETTY_NAME", '='))
        (void)keyed_text(m->os, sizeof m->os, root, "/usr/lib/os-release", "PRETTY_NAME", '=');
    unquote(m->os);
}

static void kernel_read(struct pp_machine *m, const char *root)
{
    struct utsname system;

    file_text(m->boot_id, sizeof m->boot_id, root, "/proc/sys/kernel/random/boot_id");
    if (root[0] == '\0' && uname(&system) == 0) {
        text_set(m->host_name, sizeof m->host_name, system.nodename);
        text_set(m->kernel_release, sizeof m->kernel_release, system.release);
        text_set(m->kernel_version, sizeof m->kernel_version, system.version);
        text_set(m->architecture, sizeof m->architecture, system.machine);
        return;
    }
    file_text(m->host_name, sizeof m->host_name, root, "/proc/sys/kernel/hostname");
    file_text(m->kernel_release, sizeof m->kernel_release, root, "/proc/sys/kernel/osrelease");
    file_text(m->kernel_version, sizeof m->kernel_version, root, "/proc/sys/kernel/version");
    file_text(m->architecture, sizeof m->architecture, root, "/proc/sys/kernel/arch");
}

static void memory_read(struct pp_machine *m, const char *root)
{
    char text[32];
    unsigned long long kib;

    if (keyed_text(text, sizeof text, root, "/proc/meminfo", "MemTotal", ':') &&
        sscanf(text, "%llu kB", &kib) == 1)
        m->memory_bytes = kib * 1024;
}

static void load_read(struct pp_machine *m, const char *root)
{
    char text[64];

    file_text(text, sizeof text, root, "/proc/loadavg");
    if (sscanf(text, "%lf", &m->load) != 1)
        m->load = -1;
}

static uint64_t limit_of(int resource)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return PP_MACHINE_UNLIMITED;
    return limit.rlim_cur;
}

static void sysctls_read(struct pp_machine *m, const char *root)
{
    char path[PP_FILE_PATH_BYTES];

    for (size_t i = 0; i < PP_MACHINE_SYSCTLS; i++) {
        struct pp_machine_sysctl *sysctl = &m->sysctls[i];
        const size_t begin = strlen(root) + strlen("/proc/sys/");

        sysctl->name = sysctl_names[i];
        pp_file_path(path, root, "/proc/sys/%s", sysctl->name);
        for (size_t j = begin; j < sizeof path && path[j]; j++)
            path[j] = (char)(path[j] == '.' ? '/' : path[j]);
        file_text(sysctl->value, sizeof sysctl->value, "", path);
    }
}

/* ---- the CPUs ---- */

/* ARM has numbers instead of a name. */
static void cpu_part_read(struct pp_machine *m, const char *root)
{
    char implementer[16];
    char part[16];

    if (keyed_text(implementer, sizeof implementer, root, "/proc/cpuinfo", "CPU implementer",
                   ':') &&
        keyed_text(part, sizeof part, root, "/proc/cpuinfo", "CPU part", ':'))
        (void)snprintf(m->cpu_model, sizeof m->cpu_model, "implementer %s, part %s", implementer,
                       part);
}

/* The key's name differs between architectures. */
static void cpu_model_read(struct pp_machine *m, const char *root)
{
    static const char *const keys[] = { "model name", "Model Name", "cpu model", "cpu", "uarch" };

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (keyed_text(m->cpu_model, sizeof m->cpu_model, root, "/proc/cpuinfo", keys[i], ':'))
            return;
    }
    cpu_part_read(m, root);
}

static void cpus_read(struct pp_machine *m, const char *root)
{
    char online[1024];

    file_text(online, sizeof online, root, "/sys/devices/system/cpu/online");
    m->cpus_online = pp_cpulist_count(online);
    (void)keyed_text(m->cpus_allowed, sizeof m->cpus_allowed, root, "/proc/self/status",
                     "Cpus_allowed_list", ':');
}

static void cpu_text(char *text, size_t capacity, const char *root, unsigned cpu, const char *what)
{
    char path[PP_FILE_PATH_BYTES];

    file_text(text, capacity, "",
              pp_file_path(path, root, "/sys/devices/system/cpu/cpu%u/cpufreq/%s", cpu, what));
}

static void governor_read(struct pp_machine *m, const char *root)
{
    struct pp_cpulist list = { .rest = m->cpus_allowed };
    char governor[sizeof m->governor];
    unsigned cpu;

    while (pp_cpulist_next(&list, &cpu)) {
        cpu_text(governor, sizeof governor, root, cpu, "scaling_governor");
        if (governor[0] == '\0')
            continue;
        if (m->governor[0] == '\0')
            text_set(m->governor, sizeof m->governor, governor);
        else if (strcmp(m->governor, governor) != 0)
            text_set(m->governor, sizeof m->governor, "mixed");
    }
}

/* A file that says 0 or 1; false if it says neither. */
static bool switch_read(char text[4], const char *root, const char *path, char on)
{
    char line[8];

    file_text(line, sizeof line, root, path);
    if (strcmp(line, "0") != 0 && strcmp(line, "1") != 0)
        return false;
    text_set(text, 4, line[0] == on ? "on" : "off");
    return true;
}

/* The drivers of Intel's CPUs say it the other way round; some say it for each CPU. */
static void turbo_read(struct pp_machine *m, const char *root, unsigned cpu)
{
    char path[PP_FILE_PATH_BYTES];

    if (switch_read(m->turbo, root, "/sys/devices/system/cpu/intel_pstate/no_turbo", '0') ||
        switch_read(m->turbo, root, "/sys/devices/system/cpu/cpufreq/boost", '1'))
        return;
    pp_file_path(path, root, "/sys/devices/system/cpu/cpu%u/cpufreq/boost", cpu);
    (void)switch_read(m->turbo, "", path, '1');
}

static void frequency_read(struct pp_machine *m, const char *root)
{
    struct pp_cpulist list = { .rest = m->cpus_allowed };
    unsigned first = 0;

    (void)pp_cpulist_next(&list, &first);
    governor_read(m, root);
    cpu_text(m->scaling_driver, sizeof m->scaling_driver, root, first, "scaling_driver");
    turbo_read(m, root, first);
}

/* ---- the flaws of the CPUs ---- */

struct flaws {
    unsigned count;
    char names[FLAWS_MAX][32];
};

/* In alphabetical order, so that the same system gives the same text. */
static void flaw_insert(struct flaws *flaws, const char *name)
{
    unsigned i = flaws->count;

    if (flaws->count == FLAWS_MAX)
        return;
    for (; i > 0 && strcmp(flaws->names[i - 1], name) > 0; i--)
        memcpy(flaws->names[i], flaws->names[i - 1], sizeof flaws->names[i]);
    text_set(flaws->names[i], sizeof flaws->names[i], name);
    flaws->count++;
}

static void flaws_list(struct flaws *flaws, const char *root)
{
    struct pp_file_names names;
    char path[PP_FILE_PATH_BYTES];
    const char *name;

    flaws->count = 0;
    pp_file_names_open(&names, pp_file_path(path, root, "/sys/devices/system/cpu/vulnerabilities"));
    while ((name = pp_file_names_next(&names)))
        flaw_insert(flaws, name);
    pp_file_names_close(&names);
}

/* False if it does not fit: room is kept for saying so. */
static bool flaw_append(char *text, size_t capacity, const char *name, const char *state)
{
    const size_t begin = strlen(text);
    const char *separator = begin ? SEPARATOR : "";
    const size_t bytes = strlen(separator) + strlen(name) + strlen(": ") + strlen(state);

    if (begin + bytes + strlen(SEPARATOR CUT) >= capacity) {
        (void)snprintf(text + begin, capacity - begin, "%s%s", separator, CUT);
        return false;
    }
    (void)snprintf(text + begin, capacity - begin, "%s%s: %s", separator, name, state);
    return true;
}

static void mitigations_read(struct pp_machine *m, const char *root)
{
    struct flaws flaws;
    char path[PP_FILE_PATH_BYTES];
    char state[256];

    flaws_list(&flaws, root);
    for (unsigned i = 0; i < flaws.count; i++) {
        pp_file_path(path, root, "/sys/devices/system/cpu/vulnerabilities/%s", flaws.names[i]);
        file_text(state, sizeof state, "", path);
        if (state[0] == '\0' || strcmp(state, "Not affected") == 0)
            continue;
        if (!flaw_append(m->mitigations, sizeof m->mitigations, flaws.names[i], state))
            return;
    }
}

/* The last word that sets them counts; what follows a comma are exceptions for single flaws. */
static void mitigations_off_read(struct pp_machine *m, const char *root)
{
    static const char key[] = "mitigations=";
    char path[PP_FILE_PATH_BYTES];
    char line[4096];

    (void)pp_file_line(pp_file_path(path, root, "/proc/cmdline"), line, sizeof line);
    for (const char *p = line; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        if (strncmp(p, key, strlen(key)) == 0)
            m->mitigations_off = strcspn(p + strlen(key), " ,") == 3 &&
                                 strncmp(p + strlen(key), "off", 3) == 0;
    }
}

void pp_machine_read(struct pp_machine *machine, const char *root)
{
    memset(machine, 0, sizeof *machine);
    kernel_read(machine, root);
    os_read(machine, root);
    cpu_model_read(machine, root);
    cpus_read(machine, root);
    frequency_read(machine, root);
    (void)switch_read(machine->smt, root, "/sys/devices/system/cpu/smt/active", '1');
    mitigations_read(machine, root);
    mitigations_off_read(machine, root);
    pp_enclosure_virtualisation(machine->virtualisation, sizeof machine->virtualisation, root);
    pp_enclosure_container(machine->container, sizeof machine->container, root);
    machine->cpu_limit = pp_enclosure_cpu_limit(root);
    file_text(machine->clocksource, sizeof machine->clocksource, root,
              "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    memory_read(machine, root);
    load_read(machine, root);
    machine->open_files = limit_of(RLIMIT_NOFILE);
    machine->locked_bytes = limit_of(RLIMIT_MEMLOCK);
    sysctls_read(machine, root);
}
