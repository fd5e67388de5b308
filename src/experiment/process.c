#include "experiment/process.h"

#include "base/clock.h"
#include "base/format.h"
#include "experiment/guard.h"
#include "job/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is kept of standard error; who says more gets an error for it. */
#define KEPT_BYTES 65536

/* Its guard ends all that it guards in two seconds, or is ended itself. */
#define GUARD_NS (4 * PP_NS_PER_S)

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

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static int cannot_start(const char *name, int error, struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_RUN, -error, "cannot start %.160s: %s", name,
                        strerror(error));
}

/* In a signal's way there is nothing: the guard is forked with all of them blocked. */
static void fork_guard(struct pp_process *process, const struct pp_guarded *guarded)
{
    const pid_t parent = getpid();
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    process->guard = fork();
    if (process->guard == 0)
        pp_guard(guarded, parent);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

int pp_process_start(struct pp_process *process, char *const *argv, bool reads_out,
                     const struct pp_cpus *cpus, struct pp_error *err)
{
    int told[2] = { -1, -1 }, out[2] = { -1, -1 }, error = 0;

    *process = (struct pp_process){ .out = -1, .told = -1, .err_fd = open_kept() };
    if (process->err_fd >= 0 && pipe2(told, O_CLOEXEC) == 0 &&
        (!reads_out || pipe2(out, O_CLOEXEC) == 0))
        fork_guard(process, &(struct pp_guarded){ .argv = argv,
                                                  .out = out[1],
                                                  .err_fd = process->err_fd,
                                                  .told = told[1],
                                                  .cpus = *cpus });
    if (process->guard <= 0)
        error = errno;
    process->out = out[0];
    process->told = told[0];
    close_fd(&out[1]);
    close_fd(&told[1]);
    if (!error &&
        read(process->told, &process->pid, sizeof process->pid) != (ssize_t)sizeof process->pid)
        error = EAGAIN; /* its guard could not fork */
    if (!error && (out[0] < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) == 0))
        return 0;
    (void)cannot_start(argv[0], error ? error : errno, err);
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

/* What its guard has told, if it has; one that was ended itself has told nothing. */
static void note_status(struct pp_process *process)
{
    if (process->ended)
        return;
    if (read(process->told, &process->status, sizeof process->status) !=
        (ssize_t)sizeof process->status)
        process->status = SIGKILL;
    process->ended = true;
}

int pp_process_wait(struct pp_process *process, uint64_t deadline_ns)
{
    struct pollfd fds[] = { { .fd = process->out, .events = POLLIN },
                            { .fd = process->told,
                              .events = (short)(process->ended ? 0 : POLLIN) } };
    int ret = -1;

    while (ret < 0 && !pp_interrupt_signal())
        ret = wait_once(fds, deadline_ns);
    if (ret < 0)
        return -EINTR;
    if (ret == 0)
        return -ETIMEDOUT;
    if (fds[0].revents)
        return 0;
    note_status(process);
    return 1;
}

void pp_process_close_out(struct pp_process *process)
{
    close_fd(&process->out);
}

/* ---- ending ---- */

/* Whether anything comes to the guard's pipe until deadline_ns, whatever signals come: with events
 * of 0, its end. */
static bool comes(const struct pp_process *process, short events, uint64_t deadline_ns)
{
    struct pollfd fd = { .fd = process->told, .events = events };
    int ret;

    do {
        const struct timespec left = time_left(deadline_ns);

        ret = ppoll(&fd, 1, &left, NULL);
    } while (ret < 0 && errno == EINTR);
    return ret > 0;
}

bool pp_process_ends(struct pp_process *process, uint64_t deadline_ns)
{
    if (!process->ended && comes(process, POLLIN, deadline_ns))
        note_status(process);
    return process->ended;
}

static bool guard_ends(const struct pp_process *process, uint64_t deadline_ns)
{
    return comes(process, 0, deadline_ns);
}

/* One that was killed took its program along, and of what that had started it leaves the group. */
static void reap_guard(const struct pp_process *process)
{
    int status = 0;

    while (waitpid(process->guard, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status) && process->pid > 0)
        (void)kill(-process->pid, SIGKILL);
}

void pp_process_stop(struct pp_process *process, uint64_t grace_ns)
{
    if (process->guard > 0) {
        if (grace_ns > 0) {
            (void)kill(process->guard, PP_GUARD_ASK);
            (void)guard_ends(process, pp_clock_now_ns() + grace_ns);
        }
        (void)kill(process->guard, PP_GUARD_END);
        if (!guard_ends(process, pp_clock_now_ns() + GUARD_NS))
            (void)kill(process->guard, SIGKILL);
        reap_guard(process);
        note_status(process);
    }
    process->guard = 0;
    close_fd(&process->told);
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
