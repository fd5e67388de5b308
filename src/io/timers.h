/* Timers that are armed, by deadline; equal ones in the order of arming. Adding, removing and
 * taking the soonest cost O(log n), whatever n is, and allocate nothing. Private to src/io. */
#ifndef PP_IO_TIMERS_H
#define PP_IO_TIMERS_H

#include "io/io.h"

struct pp_io_timers {
    struct pp_io_op *root;
    struct pp_io_op *soonest; /* NULL: there are none */
    uint32_t numbered;        /* how many, since there was last none */
};

void pp_io_timers_add(struct pp_io_timers *timers, struct pp_io_op *op);

/* op must be among them. It then has no descriptor again, as a timer should. */
void pp_io_timers_remove(struct pp_io_timers *timers, struct pp_io_op *op);

#endif
