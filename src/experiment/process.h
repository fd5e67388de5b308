/* A program that runs beside this one, under a guard: whatever it starts ends with it, and all of
 * it ends when this program does. Private to src/experiment. */
#ifndef PP_EXPERIMENT_PROCESS_H
#define PP_EXPERIMENT_PROCESS_H

#include "base/error.h"
#include "plan/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PP_PROCESS_LINE_BYTES 240

struct pp_process {
    pid_t guard; /* under which it runs; 0: none does */
    pid_t pid;   /* its own */
    int told;    /* a pipe: readable once it has ended, closed once all that it started has, too */
    int out;     /* what it prints, if that is asked for, else -1; reading never waits */
    int err_fd;  /* a file with what it said on standard error, as much as fits */
    bool ended;
    int status; /* of its end: as waitpid() has it */
};

/* One that may be stopped and forgotten, though it was never started. */
#define PP_PROCESS_NONE ((struct pp_process){ .told = -1, .out = -1, .err_fd = -1 })

/* Starts argv[0], a path, with nothing on its standard input. cpus of count 0 are any. 0, or a
 * negative errno with err set. */
int pp_process_start(struct pp_process *process, char *const *argv, bool reads_out,
                     const struct pp_cpus *cpus, struct pp_error *err);

/* The same for a command of the shell. */
int pp_process_start_shell(struct pp_process *process, const char *command,
                           const struct pp_cpus *cpus, struct pp_error *err);

/* Waits until it has ended, or something can be read from its output, or that has come to its end,
 * or until deadline_ns of the monotonic clock. 0: there is something to read; 1: it has ended, and
 * where that was known before, so has all that it has started; -ETIMEDOUT; -EINTR: a signal came
 * (pp_interrupt_signal()). */
int pp_process_wait(struct pp_process *process, uint64_t deadline_ns);

/* No more of its output is of interest, or there is none. */
void pp_process_close_out(struct pp_process *process);

/* Whether it has ended, or does until deadline_ns, whatever signals come. */
bool pp_process_ends(struct pp_process *process, uint64_t deadline_ns);

/* Asks it and all that it has started to end, with SIGTERM, unless grace_ns is 0, and makes them
 * after that. Gives everything back; status is that of its end. */
void pp_process_stop(struct pp_process *process, uint64_t grace_ns);

/* The last line that it said on standard error, before it is stopped or after; "" if none. */
const char *pp_process_last_line(const struct pp_process *process,
                                 char line[PP_PROCESS_LINE_BYTES]);

/* Gives back what was kept of its standard error. */
void pp_process_forget(struct pp_process *process);

#endif
