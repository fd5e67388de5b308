/* A program that runs beside this one, in a process group of its own. Whatever it starts is of that
 * group, and ends with it; and all of it ends when this program does. Private to src/experiment. */
#ifndef PP_EXPERIMENT_PROCESS_H
#define PP_EXPERIMENT_PROCESS_H

#include "base/error.h"
#include "plan/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PP_PROCESS_LINE_BYTES 240

/* Zero it. */
struct pp_process {
    pid_t pid;  /* and of its group; 0: none runs */
    int pidfd;  /* readable once it has ended */
    int out;    /* what it prints, if that is asked for, else -1 */
    int err_fd; /* a file with what it said on standard error, as much as fits */
    int status; /* once it has ended: as waitpid() has it */
};

/* Starts argv[0], a path, with nothing on its standard input. cpus of count 0 are any. 0, or a
 * negative errno with err set. */
int pp_process_start(struct pp_process *process, char *const *argv, bool reads_out,
                     const struct pp_cpus *cpus, struct pp_error *err);

/* The same for a command of the shell. */
int pp_process_start_shell(struct pp_process *process, const char *command,
                           const struct pp_cpus *cpus, struct pp_error *err);

/* Waits until it has ended, or something can be read from its output, or deadline_ns of the
 * monotonic clock. 1: it has ended, or its output has; 0: there is something to read; -ETIMEDOUT;
 * -EINTR: a signal came (pp_interrupt_signal()). */
int pp_process_wait(struct pp_process *process, uint64_t deadline_ns);

/* Whether it has, or does until deadline_ns. */
bool pp_process_has_ended(const struct pp_process *process, uint64_t deadline_ns);

/* Asks it to end, and after grace_ns makes it, with all that it has started. Gives everything back;
 * status is that of its end. */
void pp_process_stop(struct pp_process *process, uint64_t grace_ns);

/* The last line that it said on standard error, before it is stopped or after; "" if none. */
const char *pp_process_last_line(const struct pp_process *process,
                                 char line[PP_PROCESS_LINE_BYTES]);

/* Gives back what was kept of its standard error. */
void pp_process_forget(struct pp_process *process);

#endif
