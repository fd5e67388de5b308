/* Preloaded: the C library misbehaves as the environment says. The main thread is the client's, any
 * other the server's. Calls are counted from 1, over all connections.
 *
 * SHIM_FLIP=K:B             byte B of the server's K-th send goes out damaged
 * SHIM_EXTRA=K:C            after the server's K-th send, in the same segment, follows a byte C
 * SHIM_EXTRA_LATE=K:C       the same, in a segment of its own
 * SHIM_RESET=K              the client's K-th receive that brings something is ECONNRESET
 * SHIM_SEND_RESET=K         the client's K-th send is ECONNRESET
 * SHIM_REFUSE=K             the client's K-th connect is ECONNREFUSED
 * SHIM_ACCEPT=N:ERRNO       the first N accepts fail with ERRNO
 * SHIM_SHORT=1              every send moves one byte, whatever was asked for
 * SHIM_ALLOCATION=K         the K-th allocation gets nothing; K = 0: they are only counted
 * SHIM_JSON_ALLOCATION=K    the K-th one of the JSON library gets nothing
 * SHIM_RESOLVER=FILE        looking up a name makes FILE, and never comes to an end
 * SHIM_LIMIT=N              the limits on descriptors, soft and hard, are N
 * SHIM_REPORT=FILE          at the end, FILE says what descriptors and threads are left */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static bool is_server(void)
{
    return gettid() != getpid();
}

/* The two numbers of SHIM_name; false if it is not set. */
static bool setting(const char *name, long *first, long *second)
{
    const char *text = getenv(name);
    char *rest;

    if (!text)
        return false;
    *first = strtol(text, &rest, 10);
    *second = *rest == ':' ? strtol(rest + 1, NULL, 10) : 0;
    return true;
}

static bool is_now(const char *name, long count, long *second)
{
    long first;

    return setting(name, &first, second) && first == count;
}

/* A question to the kernel itself. */
static bool is_netlink(int fd)
{
    int domain = 0;
    socklen_t len = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_NETLINK;
}

static ssize_t server_send(int fd, const char *buf, size_t len, int flags, long count)
{
    char copy[4096];
    long what;
    ssize_t ret;

    if (len + 1 > sizeof copy)
        return REAL(send)(fd, buf, len, flags);
    memcpy(copy, buf, len);
    if (is_now("SHIM_FLIP", count, &what) && (size_t)what <= len)
        copy[what - 1] ^= 0x01;
    if (is_now("SHIM_EXTRA", count, &what)) {
        copy[len] = (char)what;
        ret = REAL(send)(fd, copy, len + 1, flags);
        return ret > (ssize_t)len ? (ssize_t)len : ret;
    }
    ret = REAL(send)(fd, copy, getenv("SHIM_SHORT") ? 1 : len, flags);
    if (ret > 0 && is_now("SHIM_EXTRA_LATE", count, &what)) {
        copy[0] = (char)what;
        (void)REAL(send)(fd, copy, 1, flags);
    }
    return ret;
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    static atomic_long server_sends, client_sends;
    long unused;

    if (is_netlink(fd))
        return REAL(send)(fd, buf, len, flags);
    if (is_server())
        return server_send(fd, buf, len, flags, atomic_fetch_add(&server_sends, 1) + 1);
    if (is_now("SHIM_SEND_RESET", atomic_fetch_add(&client_sends, 1) + 1, &unused)) {
        errno = ECONNRESET;
        return -1;
    }
    return REAL(send)(fd, buf, getenv("SHIM_SHORT") ? 1 : len, flags);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    static atomic_long client_receives;
    const ssize_t ret = REAL(recv)(fd, buf, len, flags);
    long unused;

    if (!is_server() && ret > 0 && !is_netlink(fd) &&
        is_now("SHIM_RESET", atomic_fetch_add(&client_receives, 1) + 1, &unused)) {
        errno = ECONNRESET;
        return -1;
    }
    return ret;
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    static atomic_long connects;
    long unused;

    if (addr->sa_family == AF_INET &&
        is_now("SHIM_REFUSE", atomic_fetch_add(&connects, 1) + 1, &unused)) {
        errno = ECONNREFUSED;
        return -1;
    }
    return REAL(connect)(fd, addr, len);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    static atomic_long accepts;
    long times, error;

    if (setting("SHIM_ACCEPT", &times, &error) && atomic_fetch_add(&accepts, 1) < times) {
        errno = (int)error;
        return -1;
    }
    return REAL(accept4)(fd, addr, len, flags);
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    long value, unused;

    if (resource == RLIMIT_NOFILE && setting("SHIM_LIMIT", &value, &unused)) {
        *limit = (struct rlimit){ .rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value };
        return 0;
    }
    return REAL(getrlimit)(resource, limit);
}

static atomic_long allocations;

static bool is_refused(void)
{
    long unused;

    if (!getenv("SHIM_ALLOCATION") ||
        !is_now("SHIM_ALLOCATION", atomic_fetch_add(&allocations, 1) + 1, &unused))
        return false;
    errno = ENOMEM;
    return true;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return is_refused() ? NULL : REAL(aligned_alloc)(alignment, bytes);
}

/* Who asks is told by where the answer goes. This one has no name that dlsym() would find without
 * asking for memory itself. */
extern void *__libc_malloc(size_t bytes);

void *malloc(size_t bytes)
{
    static atomic_long count;
    long unused;
    Dl_info caller;

    if (getenv("SHIM_JSON_ALLOCATION") && dladdr(__builtin_return_address(0), &caller) &&
        strstr(caller.dli_fname, "jansson") &&
        is_now("SHIM_JSON_ALLOCATION", atomic_fetch_add(&count, 1) + 1, &unused))
        return NULL;
    return __libc_malloc(bytes);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
    const char *path = getenv("SHIM_RESOLVER");

    if (!path)
        return REAL(getaddrinfo)(host, service, hints, list);
    (void)close(open(path, O_CREAT | O_WRONLY, 0600));
    while (true)
        (void)pause();
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
    return is_refused() ? MAP_FAILED : REAL(mmap)(addr, len, prot, flags, fd, offset);
}

/* ---- what is left at the end ---- */

static int entries(const char *path, FILE *out)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    int count = 0;

    while (dir && (entry = readdir(dir))) {
        char name[300], target[300];
        const int number = atoi(entry->d_name);
        ssize_t len;

        if (entry->d_name[0] == '.' || (out && (number <= 2 || number == dirfd(dir))))
            continue;
        count++;
        if (!out)
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        len = readlink(name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        (void)fprintf(out, "descriptor %s %s\n", entry->d_name, target);
    }
    if (dir)
        (void)closedir(dir);
    return count;
}

__attribute__((destructor)) static void report(void)
{
    const struct timespec pause = { .tv_nsec = 2000000 };
    const char *path = getenv("SHIM_REPORT");
    char text[8192];
    FILE *out;
    int threads = 1;

    if (!path)
        return;
    out = fmemopen(text, sizeof text, "w");
    (void)entries("/proc/self/fd", out);
    /* A thread that was joined may stay in the list for a moment. */
    for (int i = 0; i < 1000 && (threads = entries("/proc/self/task", NULL)) > 1; i++)
        (void)nanosleep(&pause, NULL);
    (void)fprintf(out, "threads %d\n", threads);
    if (getenv("SHIM_ALLOCATION"))
        (void)fprintf(out, "allocations %ld\n", atomic_load(&allocations));
    (void)fclose(out);
    out = fopen(path, "w");
    if (out) {
        (void)fputs(text, out);
        (void)fclose(out);
    }
}
