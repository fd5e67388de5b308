#include "experiment/peers.h"

#include "base/container.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From the program's folder. */
static const char *const folders[] = { "peers", "../libexec/pingpong/peers" };

#define FOLDERS COUNT_OF(folders)
#define PEERS_MAX 32

const char *pp_own_path(char *path, size_t bytes)
{
    const ssize_t length = readlink("/proc/self/exe", path, bytes - 1);

    path[length > 0 && (size_t)length < bytes - 1 ? length : 0] = '\0';
    return path;
}

/* "" where it would not fit. */
static const char *folder_path(unsigned number, char *path, size_t bytes)
{
    char own[PATH_MAX];
    const char *slash = strrchr(pp_own_path(own, sizeof own), '/');

    if (!slash ||
        snprintf(path, bytes, "%.*s/%s", (int)(slash - own), own, folders[number]) >= (int)bytes)
        path[0] = '\0';
    return path;
}

static bool is_peer(const char *folder, const char *name, char *path, size_t bytes)
{
    struct stat status;

    return folder[0] && name[0] != '.' && !strchr(name, '/') &&
           snprintf(path, bytes, "%s/%s", folder, name) < (int)bytes && stat(path, &status) == 0 &&
           S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

bool pp_peer_find(const char *name, char *path, size_t bytes)
{
    char folder[PATH_MAX];

    for (unsigned i = 0; i < FOLDERS; i++)
        if (is_peer(folder_path(i, folder, sizeof folder), name, path, bytes))
            return true;
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Of one that stands in both folders, the first is run, and there is one name. */
static unsigned add_names(char (*names)[NAME_MAX + 1], unsigned count, const char *folder)
{
    DIR *dir = folder[0] ? opendir(folder) : NULL;
    char path[PATH_MAX];
    unsigned same;

    for (struct dirent *entry; dir && count < PEERS_MAX && (entry = readdir(dir));) {
        if (!is_peer(folder, entry->d_name, path, sizeof path))
            continue;
        for (same = 0; same < count && strcmp(names[same], entry->d_name) != 0; same++)
            ;
        if (same == count)
            (void)snprintf(names[count++], sizeof names[0], "%s", entry->d_name);
    }
    if (dir)
        (void)closedir(dir);
    return count;
}

void pp_peer_each(void (*each)(void *context, const char *name), void *context)
{
    char names[PEERS_MAX][NAME_MAX + 1], folder[PATH_MAX];
    unsigned count = 0;

    for (unsigned i = 0; i < FOLDERS; i++)
        count = add_names(names, count, folder_path(i, folder, sizeof folder));
    qsort(names, count, sizeof names[0], compare_names);
    for (unsigned i = 0; i < count; i++)
        each(context, names[i]);
}
