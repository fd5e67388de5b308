/* A process between this program and another one that it runs, which sees to it that whatever the
 * other has started ends with this program, however that ends: a child in the background, one with
 * a session of its own, and what a killed program has left. Private to src/experiment. */
#ifndef PP_EXPERIMENT_GUARD_H
#define PP_EXPERIMENT_GUARD_H

#include "plan/plan.h"

#include <signal.h>
#include <sys/types.h>

/* What a guard is told: to ask all under it to end, which is SIGTERM, or to end them, and then
 * itself. The second comes by itself once the program that forked it is no more. */
#define PP_GUARD_ASK (SIGRTMIN + 1)
#define PP_GUARD_END (SIGRTMIN + 2)

struct pp_guarded {
    char *const *argv;   /* argv[0] is a path */
    int out, err_fd;     /* its standard output, -1 for none, and standard error */
    int told;            /* a pipe: takes the program's number, and when it ends an int, as
                            waitpid() has it */
    struct pp_cpus cpus; /* of count 0: any */
};

/* The life of a process that was forked by parent with all signals blocked. It runs the program,
 * says on told how that has ended, and ends when all that the program has started has, too. */
_Noreturn void pp_guard(const struct pp_guarded *guarded, pid_t parent);

#endif
