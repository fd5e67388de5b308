/* Files that are whole or not there: what stands at the path now, files that are written to as
 * they are, such as pipes, and those that are replaced when the new one is whole. */
#include "base/outfile.h"

#include "base/clock.h"
#include "base/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* As the kernel does. */
#define LINKS_MAX 40

/* How often a pipe without a reader is asked whether it has one, which no event tells. */
#define PIPE_TRY_MS 10

#define TEMPORARY_TRIES 100

/* ---- what stands there now ---- */

/* Where a path leads. */
struct place {
    int folder;
    char name[NAME_MAX + 1];
    bool exists;
    bool via_proc; /* name is a link of /proc to what has no other name, such as a pipe */
    struct stat folder_status;
    struct stat status;
};

static bool is_ours(const struct stat *status)
{
    return status->st_uid == geteuid();
}

/* Whether somebody else may have put a file there that nobody but its owner can take away. */
static bool is_shared(const struct stat *folder)
{
    return (folder->st_mode & S_ISVTX) && (folder->st_mode & (S_IWGRP | S_IWOTH));
}

/* To the folder of path, which is seen from the folder where place is now. */
static int enter(struct place *place, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *own = slash ? slash + 1 : path;
    char folder[PATH_MAX];
    int fd;

    if (strlen(own) > NAME_MAX || (size_t)(own - path) >= sizeof folder)
        return -ENAMETOOLONG;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(own - path), path);
    fd = openat(place->folder, own == path ? "." : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (place->folder >= 0)
        (void)close(place->folder);
    place->folder = fd;
    (void)snprintf(place->name, sizeof place->name, "%s", own);
    return 0;
}

/* Only what is sure to be absent is. */
static int look(struct place *place)
{
    if (fstat(place->folder, &place->folder_status) < 0)
        return -errno;
    if (!place->name[0] || strcmp(place->name, ".") == 0 || strcmp(place->name, "..") == 0)
        return -EISDIR;
    place->exists = fstatat(place->folder, place->name, &place->status, AT_SYMLINK_NOFOLLOW) == 0;
    return place->exists || errno == ENOENT ? 0 : -errno;
}

/* A link of another user's may lead anywhere, later as well: in a folder that anybody may write to
 * it is not followed, whatever fs.protected_symlinks says, nor in a folder of that user's. Root's
 * are the system's; in a user namespace its files may belong to nobody, as "/" does. */
static bool is_trusted(const struct place *place)
{
    const uid_t owner = place->status.st_uid;
    struct stat root;

    return is_ours(&place->status) || owner == 0 ||
           (stat("/", &root) == 0 && owner == root.st_uid && owner == place->folder_status.st_uid &&
            !is_shared(&place->folder_status));
}

/* Whether it is something that a descriptor is for, and that has no name. What is a file has one,
 * and is replaced by it. */
static bool leads_past_names(struct place *place)
{
    struct statfs system;
    struct stat status;

    if (fstatfs(place->folder, &system) < 0 || system.f_type != PROC_SUPER_MAGIC ||
        fstatat(place->folder, place->name, &status, 0) < 0 || S_ISREG(status.st_mode) ||
        S_ISDIR(status.st_mode))
        return false;
    place->status = status;
    return true;
}

static int read_link(const struct place *place, char target[PATH_MAX])
{
    const ssize_t bytes = readlinkat(place->folder, place->name, target, PATH_MAX);

    if (bytes < 0 || bytes == PATH_MAX)
        return bytes < 0 ? -errno : -ENAMETOOLONG;
    target[bytes] = '\0';
    return 0;
}

/* Follows links, so that they go on being links; they have to lead somewhere. The folder is the
 * caller's to close, after errors as well. */
static int find(struct place *place, const char *path, const char **why)
{
    char target[PATH_MAX];

    for (unsigned links = 0; links <= LINKS_MAX; links++) {
        int ret = enter(place, links > 0 ? target : path);

        if (ret == 0)
            ret = look(place);
        if (ret < 0)
            return ret;
        if (!place->exists)
            return links > 0 ? -ENOENT : 0;
        if (!S_ISLNK(place->status.st_mode))
            return 0;
        if (!is_trusted(place)) {
            *why = "it is a link that another user made; name the file that it leads to";
            return -EACCES;
        }
        place->via_proc = leads_past_names(place);
        if (place->via_proc)
            return 0;
        ret = read_link(place, target);
        if (ret < 0)
            return ret;
    }
    return -ELOOP;
}

/* ---- what is written to as it is ---- */

static const char strange[] =
    "it belongs to another user, in a folder where others may make files, too; name another one";

/* A descriptor that blocks, as writing wants it, got without blocking: whoever waits for the reader
 * of a pipe can be told to stop. */
static int open_at_once(const struct place *place, int flags)
{
    const int fd = openat(place->folder, place->name,
                          O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | flags);

    if (fd < 0)
        return -errno;
    (void)fcntl(fd, F_SETFL, 0);
    return fd;
}

static int open_pipe(const struct place *place, int flags, int (*is_stopped)(void))
{
    int fd = open_at_once(place, flags);

    while (fd == -ENXIO && S_ISFIFO(place->status.st_mode)) {
        if (is_stopped())
            return -EINTR;
        (void)poll(NULL, 0, PIPE_TRY_MS);
        fd = open_at_once(place, flags);
    }
    return fd;
}

/* Somebody else could read from a pipe of theirs what was meant for a file, as fs.protected_fifos
 * has it. And a file that has come in place of it meanwhile would be written over. */
static int open_in_place(const struct place *place, const char **why, int (*is_stopped)(void))
{
    struct stat status;
    int fd;

    if (!place->via_proc && !is_ours(&place->status) && is_shared(&place->folder_status) &&
        place->status.st_uid != place->folder_status.st_uid) {
        *why = strange;
        return -EACCES;
    }
    fd = open_pipe(place, place->via_proc ? 0 : O_NOFOLLOW, is_stopped);
    if (fd < 0)
        return fd;
    if (fstat(fd, &status) == 0 && status.st_dev == place->status.st_dev &&
        status.st_ino == place->status.st_ino)
        return fd;
    (void)close(fd);
    return -ESTALE;
}

/* ---- what is replaced ---- */

/* What is protected from being written is so from being replaced, too. In a sticky folder that is
 * for the owner to do, and what another user has put there before us is a trap. */
static int check_replaceable(const struct place *place, const char **why)
{
    if (!place->exists)
        return 0;
    if ((place->folder_status.st_mode & S_ISVTX) && !is_ours(&place->status)) {
        *why = strange;
        return -EACCES;
    }
    return faccessat(place->folder, place->name, W_OK, 0) < 0 ? -errno : 0;
}

/* A name beside the final one that nobody has yet, probably. */
static void make_temporary_name(const struct pp_outfile *file, char name[NAME_MAX + 1])
{
    uint64_t number = 0;

    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = pp_clock_now_ns();
    (void)snprintf(name, NAME_MAX + 1, "%.*s.%06x", NAME_MAX - 7, file->name,
                   (unsigned)(number & 0xffffff));
}

static int link_as(const struct pp_outfile *file, int fd, const char *name)
{
    char open_file[64];

    (void)snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, open_file, file->folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* A file without a name: whatever happens to the program, nothing stays behind. It is given one by
 * way of /proc. */
static int open_nameless(const struct pp_outfile *file, mode_t mode)
{
    const int fd = openat(file->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
    char open_file[64];

    if (fd < 0)
        return -errno;
    (void)snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", fd);
    if (access(open_file, F_OK) == 0)
        return fd;
    (void)close(fd);
    return -ENOENT;
}

/* Where files without names cannot be had. */
static int open_named(struct pp_outfile *file, mode_t mode)
{
    int fd = -1;

    for (unsigned i = 0; i < TEMPORARY_TRIES; i++) {
        struct stat status;

        make_temporary_name(file, file->temporary);
        fd = openat(file->folder, file->temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
        if (fd >= 0) {
            if (fstat(fd, &status) == 0)
                pp_leftover_note(file->folder, file->temporary, &status);
            return fd;
        }
        if (errno != EEXIST)
            break;
    }
    file->temporary[0] = '\0';
    return -errno;
}

/* A file of ours keeps its mode, for the same people: where its group cannot be had, the mode gives
 * nothing to another. */
static void keep_mode(int fd, const struct stat *old)
{
    mode_t mode = old->st_mode & 0777;
    struct stat status;

    if (fstat(fd, &status) == 0 && status.st_gid != old->st_gid &&
        fchown(fd, (uid_t)-1, old->st_gid) < 0)
        mode &= ~(mode_t)070;
    (void)fchmod(fd, mode);
}

/* A new file has the mode that open(2) gives it. */
static int open_new(struct pp_outfile *file, const struct place *place, const char **why)
{
    const bool keeps = place->exists && is_ours(&place->status);
    const mode_t mode = keeps ? 0600 : 0666;
    int fd = check_replaceable(place, why);

    if (fd < 0)
        return fd;
    file->folder = place->folder;
    file->exists = place->exists;
    (void)snprintf(file->name, sizeof file->name, "%s", place->name);
    fd = open_nameless(file, mode);
    if (fd < 0)
        fd = open_named(file, mode);
    if (fd >= 0 && keeps)
        keep_mode(fd, &place->status);
    return fd;
}

/* ---- the whole ---- */

int pp_outfile_open(struct pp_outfile *file, const char *path, int (*is_stopped)(void))
{
    struct place place = { .folder = AT_FDCWD };
    int ret;

    *file = (struct pp_outfile){ .folder = -1 };
    ret = find(&place, path, &file->why);
    if (ret == 0 && (!place.exists || S_ISREG(place.status.st_mode)))
        ret = open_new(file, &place, &file->why);
    else if (ret == 0)
        ret = open_in_place(&place, &file->why, is_stopped);
    if (file->folder < 0 && place.folder >= 0)
        (void)close(place.folder);
    return ret;
}

FILE *pp_outfile_stream(int fd)
{
    FILE *stream = fdopen(fd, "w");

    if (!stream)
        (void)close(fd);
    return stream;
}

bool pp_outfile_are_same(const struct pp_outfile *a, const struct pp_outfile *b)
{
    struct stat of_a, of_b;

    return a->folder >= 0 && b->folder >= 0 && strcmp(a->name, b->name) == 0 &&
           fstat(a->folder, &of_a) == 0 && fstat(b->folder, &of_b) == 0 &&
           of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

static int rename_to_final(struct pp_outfile *file)
{
    if (renameat(file->folder, file->temporary, file->folder, file->name) < 0)
        return -errno;
    pp_leftover_forget(file->folder, file->temporary);
    file->temporary[0] = '\0';
    return 0;
}

/* A name can be given to a file, or replace another's, but not both at once: in between no signal
 * may come. */
static int replace(struct pp_outfile *file, int fd)
{
    sigset_t all, before;
    int ret = -EEXIST;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    for (unsigned i = 0; i < TEMPORARY_TRIES && ret == -EEXIST; i++) {
        make_temporary_name(file, file->temporary);
        ret = link_as(file, fd, file->temporary);
    }
    if (ret < 0)
        file->temporary[0] = '\0';
    else
        ret = rename_to_final(file);
    if (file->temporary[0])
        (void)unlinkat(file->folder, file->temporary, 0);
    file->temporary[0] = '\0';
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret;
}

int pp_outfile_commit(struct pp_outfile *file, int fd)
{
    int ret;

    if (file->folder < 0)
        return 0;
    if (file->temporary[0])
        return rename_to_final(file);
    ret = file->exists ? -EEXIST : link_as(file, fd, file->name);
    return ret == -EEXIST ? replace(file, fd) : ret;
}

void pp_outfile_close(struct pp_outfile *file)
{
    if (file->folder < 0)
        return;
    if (file->temporary[0])
        pp_leftover_remove(file->folder, file->temporary);
    (void)close(file->folder);
    file->folder = -1;
}
