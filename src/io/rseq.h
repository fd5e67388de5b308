/* Restartable sequences (rseq(2)), for which the C library registers each thread. Private to
 * src/io. */
#ifndef PP_IO_RSEQ_H
#define PP_IO_RSEQ_H

struct pp_io_loop;

/* Takes the calling thread, which is about to run loop, out of them: after each task switch the
 * kernel writes to the memory of a thread that is registered, which is 2 to 3 % of a round trip on
 * one core. Nothing here uses them, and sched_getcpu(3) goes on without. Where the thread is not
 * registered, or the kernel keeps it, nothing changes. */
void pp_io_rseq_leave(struct pp_io_loop *loop);

#endif
