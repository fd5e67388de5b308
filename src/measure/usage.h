/* What a thread has cost so far. */
#ifndef PP_MEASURE_USAGE_H
#define PP_MEASURE_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pp_usage {
    uint64_t user_ns;
    uint64_t system_ns;
    uint64_t context_switches; /* voluntary and not */
    bool unknown;              /* it could not be read, and all else is 0 */
};

/* Of the calling thread, since it began (getrusage(2), RUSAGE_THREAD). Unknown where a filter for
 * system calls refuses that. */
struct pp_usage pp_usage_of_thread(void);

/* The same of all threads of the process, those that have ended among them. */
struct pp_usage pp_usage_of_process(void);

/* What was used between two readings; unknown if either is, or the later one is less: of others'
 * processes, some may be gone. How a time divides into user and system is an estimate of the
 * kernel, of which one part may step back; the whole does not. */
struct pp_usage pp_usage_between(const struct pp_usage *earlier, const struct pp_usage *later);

/* Whether a thread's CPU time holds that of interrupts which come while it runs, such as packets
 * that it sends to itself: so it is unless the kernel counts these apart
 * (CONFIG_IRQ_TIME_ACCOUNTING). Finds out by sending some, which takes up to two milliseconds. */
bool pp_usage_holds_interrupts(void);

/* CPU time in ns, to be counted as system time, of the threads that the kernel runs inside this
 * process on behalf of thread tid's io_uring: workers and submission pollers that live now. tid 0
 * means those of all threads. It is no part of pp_usage_of_thread(), and may step back, as a worker
 * that ends takes its time with it; workers end after some 5 idle seconds.
 * The kernel names the owner by its number outside all PID namespaces: in a container that is not
 * tid, and only 0 finds anything. */
uint64_t pp_usage_of_kernel_workers(pid_t tid);

#endif
