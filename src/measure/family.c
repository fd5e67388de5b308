#include "measure/family.h"

#include "base/clock.h"
#include "measure/file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAMILY_MAX 1024

struct family {
    unsigned count;
    long pids[FAMILY_MAX];
};

/* What the kernel's books say of a process, in clock ticks. */
struct books {
    long parent;
    unsigned long long user, system;
    unsigned long long reaped_user, reaped_system; /* of children that have ended, and theirs */
};

/* The fields of /proc/PID/stat behind the name, which may hold anything: proc_pid_stat(5). */
static bool read_books(long pid, struct books *books)
{
    char path[PP_FILE_PATH_BYTES], line[1024];
    const char *behind_name;

    pp_file_path(path, "", "/proc/%ld/stat", pid);
    return pp_file_line(path, line, sizeof line) && (behind_name = strrchr(line, ')')) &&
           sscanf(behind_name + 1,
                  " %*c %ld %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %llu %llu",
                  &books->parent, &books->user, &books->system, &books->reaped_user,
                  &books->reaped_system) == 5;
}

static bool is_of(const struct family *family, long pid)
{
    for (unsigned i = 0; i < family->count; i++)
        if (family->pids[i] == pid)
            return true;
    return false;
}

/* All processes once: those whose parent is of the family. */
static bool add_children(struct family *family)
{
    const unsigned before = family->count;
    struct pp_file_names names;
    const char *name;

    pp_file_names_open(&names, "/proc");
    while ((name = pp_file_names_next(&names))) {
        const long pid = isdigit((unsigned char)name[0]) ? atol(name) : 0;
        struct books books;

        if (pid > 0 && family->count < FAMILY_MAX && !is_of(family, pid) &&
            read_books(pid, &books) && is_of(family, books.parent))
            family->pids[family->count++] = pid;
    }
    pp_file_names_close(&names);
    return family->count > before;
}

/* Of all its threads, voluntary and not. */
static uint64_t context_switches_of(long pid)
{
    char path[PP_FILE_PATH_BYTES];
    struct pp_file_names tasks;
    const char *task;
    uint64_t sum = 0;

    pp_file_path(path, "", "/proc/%ld/task", pid);
    pp_file_names_open(&tasks, path);
    while ((task = pp_file_names_next(&tasks))) {
        struct pp_file_lines lines;
        const char *line;
        unsigned long long count;

        pp_file_path(path, "", "/proc/%ld/task/%s/status", pid, task);
        pp_file_lines_open(&lines, path);
        while ((line = pp_file_lines_next(&lines)))
            if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1 ||
                sscanf(line, "nonvoluntary_ctxt_switches: %llu", &count) == 1)
                sum += count;
        pp_file_lines_close(&lines);
    }
    pp_file_names_close(&tasks);
    return sum;
}

/* The clock of a process has all of its time, and its books how that divides. */
static bool add_usage(struct pp_usage *sum, long pid)
{
    const uint64_t tick_ns = PP_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t all_ns, user_ns;
    struct books books;
    clockid_t clock;

    if (!read_books(pid, &books) || clock_getcpuclockid((pid_t)pid, &clock) != 0)
        return false;
    user_ns = all_ns = pp_clock_read_ns(clock);
    if (books.user + books.system > 0)
        user_ns =
            (uint64_t)((double)all_ns * (double)books.user / (double)(books.user + books.system));
    sum->user_ns += user_ns + books.reaped_user * tick_ns;
    sum->system_ns += all_ns - user_ns + books.reaped_system * tick_ns;
    sum->context_switches += context_switches_of(pid);
    return true;
}

static void gather(struct family *family, pid_t pid)
{
    family->count = 1;
    family->pids[0] = pid;
    while (add_children(family))
        ;
}

struct pp_usage pp_usage_of_family(pid_t pid)
{
    struct pp_usage sum = { 0 };
    struct family family;

    gather(&family, pid);
    sum.unknown = !add_usage(&sum, pid);
    for (unsigned i = 1; !sum.unknown && i < family.count; i++)
        (void)add_usage(&sum, family.pids[i]);
    return sum;
}

uint64_t pp_memory_of_family(pid_t pid)
{
    struct family family;
    uint64_t pages = 0;

    gather(&family, pid);
    for (unsigned i = 0; i < family.count; i++) {
        char path[PP_FILE_PATH_BYTES], line[128];
        unsigned long long resident;

        pp_file_path(path, "", "/proc/%ld/statm", family.pids[i]);
        if (pp_file_line(path, line, sizeof line) && sscanf(line, "%*s %llu", &resident) == 1)
            pages += resident;
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
