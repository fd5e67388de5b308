#include "experiment/guard.h"

#include "measure/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the child's main function says where its program cannot be run. */
#define STATUS_NOT_RUN 127

/* Who cannot be killed, as a program of another user, is left after so many looks of 10 ms in which
 * no fewer are left. */
#define LOOKS 200
#define LOOK_NS 10000000

struct guard {
    pid_t leader; /* the program, and its group; not waited for before the end, so that no other
                     process gets its number */
    bool has_ended;
    bool asks; /* it has been told to */
    int told;
};

/* ---- the program ---- */

static void pin(const struct pp_cpus *cpus)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (unsigned i = 0; i < cpus->count; i++)
        CPU_SET((size_t)cpus->cpus[i], &set);
    if (cpus->count > 0)
        (void)sched_setaffinity(0, sizeof set, &set);
}

/* Standard error first, which is told of what goes wrong after it; then none is opened but in the
 * place of one that is closed, as there may be no more descriptors. */
static bool take_streams(const struct pp_guarded *guarded)
{
    (void)dup2(guarded->err_fd, STDERR_FILENO);
    (void)close_range(STDIN_FILENO, STDIN_FILENO, 0);
    return open("/dev/null", O_RDWR) == STDIN_FILENO &&
           dup2(guarded->out >= 0 ? guarded->out : STDIN_FILENO, STDOUT_FILENO) >= 0;
}

/* It goes when its guard does, and its signals are as at the start of a program. */
static _Noreturn void become(const struct pp_guarded *guarded)
{
    static const int reset[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGXFSZ };
    sigset_t none;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof reset / sizeof reset[0]; i++)
        (void)signal(reset[i], SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    pin(&guarded->cpus);
    if (take_streams(guarded))
        (void)execv(guarded->argv[0], guarded->argv);
    (void)dprintf(STDERR_FILENO, "cannot run %s: %s\n", guarded->argv[0], strerror(errno));
    _exit(STATUS_NOT_RUN);
}

/* ---- whoever is under it ---- */

/* Whether it lives. */
static bool visit(const struct guard *guard, pid_t pid, int signal)
{
    if (pid == guard->leader ? guard->has_ended : waitpid(pid, NULL, WNOHANG) == pid)
        return false;
    if (signal && getpgid(pid) != guard->leader)
        (void)kill(pid, signal);
    return true;
}

/* Its children, which are orphans of the program's, too: it takes them in. Of each that has ended
 * the rest is removed, and those outside the program's group get signal, unless that is 0. Returns
 * how many live; 0 as well where /proc does not name them. */
static unsigned visit_children(const struct guard *guard, int signal)
{
    struct pp_file_lines children;
    const char *number;
    unsigned count = 0;

    pp_file_words_open(&children, "/proc/thread-self/children");
    while ((number = pp_file_lines_next(&children)))
        count += visit(guard, (pid_t)strtol(number, NULL, 10), signal);
    pp_file_lines_close(&children);
    return count;
}

/* Nobody is to hear it twice. */
static void signal_all(const struct guard *guard, int signal)
{
    (void)kill(-guard->leader, signal);
    (void)visit_children(guard, signal);
}

static void note_end(struct guard *guard)
{
    siginfo_t info = { .si_pid = 0 };
    int status;

    if (guard->has_ended ||
        waitid(P_PID, (id_t)guard->leader, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0)
        return;
    guard->has_ended = true;
    status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0)
                                        : W_EXITCODE(0, info.si_status);
    (void)!write(guard->told, &status, sizeof status);
    if (guard->asks) /* whom it leaves behind */
        (void)visit_children(guard, SIGTERM);
}

/* The last thing: who would take the program in may be a container's first process, which waits for
 * nobody. */
static _Noreturn void leave(const struct guard *guard)
{
    (void)waitpid(guard->leader, NULL, WNOHANG);
    _exit(EXIT_SUCCESS);
}

/* Those of its group first, as they may have no time to start others. */
static _Noreturn void end_all(struct guard *guard)
{
    const struct timespec look = { .tv_nsec = LOOK_NS };
    unsigned least = UINT_MAX;

    for (unsigned looks = 0; looks < LOOKS; looks++) {
        unsigned left;

        signal_all(guard, SIGKILL);
        (void)kill(guard->leader, SIGKILL); /* before it has a group of its own */
        note_end(guard);
        left = visit_children(guard, 0);
        if (left == 0 && guard->has_ended)
            break;
        if (left < least) {
            least = left;
            looks = 0;
        }
        (void)nanosleep(&look, NULL);
    }
    leave(guard);
}

/* ---- the guard ---- */

/* Nothing of the program that forked it but where it tells. */
static void close_others(struct guard *guard)
{
    guard->told = dup2(guard->told, 0);
    (void)close_range(1, ~0U, 0);
}

_Noreturn void pp_guard(const struct pp_guarded *guarded, pid_t parent)
{
    struct guard guard = { .told = guarded->told };
    sigset_t all;

    (void)sigfillset(&all);
    (void)prctl(PR_SET_NAME, "pingpong-guard");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)setpgid(0, 0);
    guard.leader = fork();
    if (guard.leader == 0)
        become(guarded);
    if (guard.leader < 0)
        _exit(STATUS_NOT_RUN);
    (void)!write(guard.told, &guard.leader, sizeof guard.leader);
    close_others(&guard);
    (void)prctl(PR_SET_PDEATHSIG, PP_GUARD_END);
    if (getppid() != parent)
        end_all(&guard);
    while (1) {
        const int signal = sigwaitinfo(&all, NULL);

        note_end(&guard);
        if (signal == PP_GUARD_ASK) {
            guard.asks = true;
            signal_all(&guard, SIGTERM);
        } else if (signal == PP_GUARD_END) {
            end_all(&guard);
        } else if (visit_children(&guard, 0) == 0 && guard.has_ended) {
            leave(&guard);
        }
    }
}
