/* SIGHUP, SIGINT, SIGQUIT and SIGTERM, but for those that the program was started to ignore: the
 * first asks the run to end early and report, the second removes what pp_leftover_note() has noted
 * and ends the program at once. SIGPIPE and SIGXFSZ are ignored: a closed pipe or a file that grows
 * too large is an error of the write. */
#ifndef PP_JOB_INTERRUPT_H
#define PP_JOB_INTERRUPT_H

#include "io/io.h"

/* For the whole process. */
void pp_interrupt_install(void);

/* From now on a signal wakes op on loop; one that came before wakes it too. NULL, NULL: no more. */
void pp_interrupt_attach(struct pp_io_loop *loop, struct pp_io_op *op);

/* The first signal that came; 0: none. */
int pp_interrupt_signal(void);

#endif
