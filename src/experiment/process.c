#include "experiment/process.h"

#include "base/clock.h"
#include "base/format.h"
#include "job/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is kept of standard error; who says more gets an error for it. */
#define KEPT_BYTES 65536

/* What the child's main function says where its program cannot be run. */
#define STATUS_NOT_RUN 127

/* ---- starting ---- */

/* A file in memory that is full at KEPT_BYTES. */
static int open_kept(void)
{
    const int fd = memfd_create("stderr", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (ftruncate(fd, KEPT_BYTES) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void pin(const struct pp_cpus *cpus)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (unsigned i = 0; i < cpus->count; i++)
        CPU_SET((size_t)cpus->cpus[i], &set);
    if (cpus->count > 0)
        (void)sched_setaffinity(0, sizeof set, &set);
}

/* In the child. It goes when its parent does, and its signals are as at the start of a program. */
static _Noreturn void become(char *const *argv, int out, int err_fd, const struct pp_cpus *cpus)
{
    static const int reset[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ };
    const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof reset / sizeof reset[0]; i++)
        (void)signal(reset[i], SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    pin(cpus);
    if (dup2(null_fd, STDIN_FILENO) >= 0 && dup2(out >= 0 ? out : null_fd, STDOUT_FILENO) >= 0 &&
        dup2(err_fd, STDERR_FILENO) >= 0)
        (void)execv(argv[0], argv);
    (void)dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(STATUS_NOT_RUN);
}

static int cannot_start(const char *name, int error, struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_RUN, -error, "cannot start %.160s: %s", name,
                        strerror(error));
}

int pp_process_start(struct pp_process *process, char *const *argv, bool reads_out,
                     const struct pp_cpus *cpus, struct pp_error *err)
{
    int out[2] = { -1, -1 };

    *process = (struct pp_process){ .pidfd = -1, .out = -1, .err_fd = open_kept() };
    if (process->err_fd < 0 || (reads_out && pipe2(out, O_CLOEXEC) < 0))
        return cannot_start(argv[0], errno, err);
    process->pid = fork();
    if (process->pid == 0)
        become(argv, out[1], process->err_fd, cpus);
    if (out[1] >= 0)
        (void)close(out[1]);
    process->out = out[0];
    if (process->pid > 0)
        process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (process->pidfd >= 0) {
        (void)setpgid(process->pid, process->pid); /* whoever comes first */
        return 0;
    }
    (void)cannot_start(argv[0], errno, err);
    pp_process_stop(process, 0);
    return err->code;
}

int pp_process_start_shell(struct pp_process *process, const char *command,
                           const struct pp_cpus *cpus, struct pp_error *err)
{
    char shell[] = "/bin/sh", option[] = "-c";
    char *const argv[] = { shell, option, (char *)(uintptr_t)command, NULL };

    return pp_process_start(process, argv, false, cpus, err);
}

/* ---- waiting ---- */

static struct timespec time_left(uint64_t deadline_ns)
{
    const uint64_t now_ns = pp_clock_now_ns();
    const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

    return (struct timespec){ .tv_sec = (time_t)(left_ns / PP_NS_PER_S),
                              .tv_nsec = (long)(left_ns % PP_NS_PER_S) };
}

/* Signals come only while it waits, so that none comes between looking and waiting. */
static int wait_once(struct pollfd fds[2], uint64_t deadline_ns)
{
    const struct timespec left = time_left(deadline_ns);
    sigset_t all, before;
    int ret = -1;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    if (!pp_interrupt_signal())
        ret = ppoll(fds, 2, &left, &before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return ret;
}

int pp_process_wait(struct pp_process *process, uint64_t deadline_ns)
{
    struct pollfd fds[] = { { .fd = process->out, .events = POLLIN },
                            { .fd = process->pidfd, .events = POLLIN } };
    int ret = -1;

    while (ret < 0 && !pp_interrupt_signal())
        ret = wait_once(fds, deadline_ns);
    if (ret < 0)
        return -EINTR;
    if (ret == 0)
        return -ETIMEDOUT;
    return fds[0].revents & POLLIN ? 0 : 1;
}

/* ---- ending ---- */

bool pp_process_has_ended(const struct pp_process *process, uint64_t deadline_ns)
{
    struct pollfd fd = { .fd = process->pidfd, .events = POLLIN };

    while (1) {
        const uint64_t now_ns = pp_clock_now_ns();
        const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        const int ret = poll(&fd, 1, (int)((left_ns + PP_NS_PER_MS - 1) / PP_NS_PER_MS));

        if (ret >= 0 || errno != EINTR)
            return ret > 0;
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* The group is killed before its leader is waited for: until then no other can have its number. */
void pp_process_stop(struct pp_process *process, uint64_t grace_ns)
{
    if (process->pid > 0) {
        if (grace_ns > 0 && !pp_process_has_ended(process, 0))
            (void)kill(-process->pid, SIGTERM);
        if (grace_ns > 0)
            (void)pp_process_has_ended(process, pp_clock_now_ns() + grace_ns);
        (void)kill(-process->pid, SIGKILL);
        (void)kill(process->pid, SIGKILL); /* before it has a group of its own */
        while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
            ;
    }
    process->pid = 0;
    close_fd(&process->pidfd);
    close_fd(&process->out);
}

void pp_process_forget(struct pp_process *process)
{
    close_fd(&process->err_fd);
}

/* ---- what it said ---- */

const char *pp_process_last_line(const struct pp_process *process, char line[PP_PROCESS_LINE_BYTES])
{
    char said[4096];
    const off_t end = process->err_fd >= 0 ? lseek(process->err_fd, 0, SEEK_CUR) : 0;
    const off_t from = end > (off_t)sizeof said - 1 ? end - ((off_t)sizeof said - 1) : 0;
    ssize_t bytes = end > 0 ? pread(process->err_fd, said, (size_t)(end - from), from) : 0;
    const char *last;

    while (bytes > 0 && strchr("\n\r ", said[bytes - 1]))
        bytes--;
    said[bytes > 0 ? bytes : 0] = '\0';
    last = strrchr(said, '\n');
    return pp_format_line(line, PP_PROCESS_LINE_BYTES, last ? last + 1 : said);
}
