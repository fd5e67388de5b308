/* Whether somebody has a port's sockets open, as far as /proc tells. */
#include "base/container.h"
#include "io/kernel/kernel.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKETS_MAX 64

struct sockets {
    unsigned count;
    unsigned long numbers[SOCKETS_MAX]; /* inodes */
};

/* ---- the port's sockets ---- */

/* A row of /proc/net/tcp or udp: "0: 0100007F:0C3B 00000000:0000 0A ...", the tenth is the inode;
 * 0A listens, 07 is bound. */
static void take_row(const char *row, unsigned port, struct sockets *sockets)
{
    unsigned has, state;
    unsigned long number;

    if (sscanf(row, " %*[^:]: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &has,
               &state, &number) == 3 &&
        has == port && (state == 0x0a || state == 0x07) && number > 0 &&
        sockets->count < SOCKETS_MAX)
        sockets->numbers[sockets->count++] = number;
}

static void read_table(const char *path, unsigned port, struct sockets *sockets)
{
    FILE *file = fopen(path, "re");
    char row[512];

    while (file && fgets(row, sizeof row, file))
        take_row(row, port, sockets);
    if (file)
        (void)fclose(file);
}

/* ---- who has one ---- */

static bool is_one(const char *link, const struct sockets *sockets)
{
    unsigned long number;

    if (sscanf(link, "socket:[%lu]", &number) != 1)
        return false;
    for (unsigned i = 0; i < sockets->count; i++)
        if (sockets->numbers[i] == number)
            return true;
    return false;
}

/* 1: the process has one; 0: it has none; -1: it may not be looked at. */
static int look_at(const char *pid, const struct sockets *sockets)
{
    char path[64];
    struct dirent *entry;
    DIR *files;
    int ret = 0;

    (void)snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    files = opendir(path);
    if (!files)
        return errno == ENOENT ? 0 : -1; /* it is gone */
    while (ret == 0 && (entry = readdir(files))) {
        char link[64];
        const ssize_t length = readlinkat(dirfd(files), entry->d_name, link, sizeof link - 1);

        if (length > 0) {
            link[length] = '\0';
            ret = is_one(link, sockets);
        }
    }
    (void)closedir(files);
    return ret;
}

enum pp_kernel_owner pp_kernel_owner_of(unsigned port, bool dgram)
{
    static const char *const tables[2][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
                                              { "/proc/net/udp", "/proc/net/udp6" } };
    enum pp_kernel_owner owner = PP_KERNEL_OWNER_GONE;
    struct sockets sockets = { .count = 0 };
    struct dirent *entry;
    DIR *processes;

    for (size_t i = 0; i < COUNT_OF(tables[0]); i++)
        read_table(tables[dgram][i], port, &sockets);
    processes = sockets.count > 0 ? opendir("/proc") : NULL;
    if (!processes)
        return PP_KERNEL_OWNER_UNKNOWN;
    while (owner != PP_KERNEL_OWNER_LIVES && (entry = readdir(processes))) {
        const int has = isdigit((unsigned char)entry->d_name[0]) ? look_at(entry->d_name, &sockets)
                                                                 : 0;

        if (has > 0)
            owner = PP_KERNEL_OWNER_LIVES;
        else if (has < 0)
            owner = PP_KERNEL_OWNER_UNKNOWN;
    }
    (void)closedir(processes);
    return owner;
}
