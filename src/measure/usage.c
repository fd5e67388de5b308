#include "measure/usage.h"

#include "base/clock.h"
#include "measure/file.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COMM_BYTES 32

static uint64_t timeval_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * PP_NS_PER_S + (uint64_t)time.tv_usec * PP_NS_PER_US;
}

static struct pp_usage usage_of(int whose)
{
    struct rusage usage;

    if (getrusage(whose, &usage) < 0)
        return (struct pp_usage){ .unknown = true };
    return (struct pp_usage){
        .user_ns = timeval_ns(usage.ru_utime),
        .system_ns = timeval_ns(usage.ru_stime),
        .context_switches = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw,
    };
}

struct pp_usage pp_usage_of_thread(void)
{
    return usage_of(RUSAGE_THREAD);
}

struct pp_usage pp_usage_of_process(void)
{
    return usage_of(RUSAGE_SELF);
}

struct pp_usage pp_usage_between(const struct pp_usage *earlier, const struct pp_usage *later)
{
    const uint64_t before_ns = earlier->user_ns + earlier->system_ns;
    const uint64_t after_ns = later->user_ns + later->system_ns;
    uint64_t user_ns;

    if (earlier->unknown || later->unknown || after_ns < before_ns ||
        later->context_switches < earlier->context_switches)
        return (struct pp_usage){ .unknown = true };
    user_ns = later->user_ns > earlier->user_ns ? later->user_ns - earlier->user_ns : 0;
    if (user_ns > after_ns - before_ns)
        user_ns = after_ns - before_ns;
    return (struct pp_usage){
        .user_ns = user_ns,
        .system_ns = after_ns - before_ns - user_ns,
        .context_switches = later->context_switches - earlier->context_switches,
    };
}

/* ---- io_uring's threads ---- */

/* What stands behind prefix in the name of a thread, such as 1234 in "iou-wrk-1234"; 0 if the name
 * is another. */
static long owner_of(const char *comm, const char *prefix)
{
    const size_t length = strlen(prefix);
    long owner = 0;

    if (strncmp(comm, prefix, length) != 0)
        return 0;
    for (const char *p = comm + length; isdigit((unsigned char)*p); p++)
        owner = owner * 10 + (*p - '0');
    return owner;
}

/* Whose submission queue a thread of that number polls; 0 if it is none that does. */
static long polls_for(long task)
{
    char path[PP_FILE_PATH_BYTES];
    char comm[COMM_BYTES];

    pp_file_path(path, "", "/proc/self/task/%ld/comm", task);
    return pp_file_line(path, comm, sizeof comm) ? owner_of(comm, "iou-sqp-") : 0;
}

/* "iou-wrk-1234" works for thread 1234, "iou-sqp-1234" looks for what it submits, and has workers
 * itself. */
static bool works_for(const char *comm, pid_t tid)
{
    const long worker_of = owner_of(comm, "iou-wrk-");
    const long poller_of = owner_of(comm, "iou-sqp-");

    if (tid == 0)
        return worker_of > 0 || poller_of > 0;
    return worker_of == tid || poller_of == tid || (worker_of > 0 && polls_for(worker_of) == tid);
}

/* Exact; 0 where the kernel does not keep it. */
static uint64_t schedstat_ns(const char *task)
{
    char path[PP_FILE_PATH_BYTES];
    char line[96];
    unsigned long long ns;

    pp_file_path(path, "", "/proc/self/task/%s/schedstat", task);
    return pp_file_line(path, line, sizeof line) && sscanf(line, "%llu", &ns) == 1 ? ns : 0;
}

/* To a clock tick. The first fields are a number, a name in parentheses that may hold anything, and
 * eleven more; see proc_pid_stat(5). */
static uint64_t stat_ns(const char *task)
{
    char path[PP_FILE_PATH_BYTES];
    char line[1024];
    const char *behind_name;
    unsigned long long user;
    unsigned long long system;

    pp_file_path(path, "", "/proc/self/task/%s/stat", task);
    if (!pp_file_line(path, line, sizeof line) || !(behind_name = strrchr(line, ')')))
        return 0;
    if (sscanf(behind_name + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &user,
               &system) != 2)
        return 0;
    return (user + system) * (PP_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t task_ns(const char *task)
{
    const uint64_t ns = schedstat_ns(task);

    return ns ? ns : stat_ns(task);
}

/* A thread that comes or goes meanwhile is missed or reads as nothing. */
uint64_t pp_usage_of_kernel_workers(pid_t tid)
{
    struct pp_file_names tasks;
    char path[PP_FILE_PATH_BYTES];
    char comm[COMM_BYTES];
    const char *task;
    uint64_t ns = 0;

    pp_file_names_open(&tasks, "/proc/self/task");
    while ((task = pp_file_names_next(&tasks))) {
        pp_file_path(path, "", "/proc/self/task/%s/comm", task);
        if (pp_file_line(path, comm, sizeof comm) && works_for(comm, tid))
            ns += task_ns(task);
    }
    pp_file_names_close(&tasks);
    return ns;
}

/* ---- interrupts ---- */

#define TRIES 8
#define PACKETS 256      /* take some 200 us */
#define HOLDS_SHARE 0.95 /* a third of the time of such packets is that of interrupts */

/* A UDP socket on loopback that sends to itself; -1: none can be had. */
static int open_to_itself(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof addr;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)&addr, length) == 0 &&
        getsockname(fd, (struct sockaddr *)&addr, &length) == 0 &&
        connect(fd, (const struct sockaddr *)&addr, length) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* The part of the time that counts as the thread's when it sends so many packets at once. Those
 * that find no room any more are work, too. */
static double held_share(int fd)
{
    char byte = 0;
    struct iovec part = { .iov_base = &byte, .iov_len = 1 };
    struct mmsghdr packets[PACKETS] = { 0 };
    uint64_t begun_ns, begun_cpu_ns, time_ns;

    for (unsigned i = 0; i < PACKETS; i++)
        packets[i].msg_hdr = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 };
    begun_ns = pp_clock_now_ns();
    begun_cpu_ns = pp_clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
    if (sendmmsg(fd, packets, PACKETS, 0) < PACKETS / 2)
        return 0;
    time_ns = pp_clock_now_ns() - begun_ns;
    return (double)(pp_clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begun_cpu_ns) / (double)time_ns;
}

/* Others may have the CPU in any try: the best one counts. */
bool pp_usage_holds_interrupts(void)
{
    const int fd = open_to_itself();
    double best = 0;

    if (fd < 0)
        return false;
    for (int i = 0; i < TRIES && best < HOLDS_SHARE; i++) {
        const double share = held_share(fd);

        best = share > best ? share : best;
    }
    (void)close(fd);
    return best >= HOLDS_SHARE;
}
