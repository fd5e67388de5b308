/* What a thread has cost so far. */
#ifndef PP_MEASURE_USAGE_H
#define PP_MEASURE_USAGE_H

#include <stdint.h>

struct pp_usage {
    uint64_t user_ns;
    uint64_t system_ns;
    uint64_t context_switches; /* voluntary and not */
};

/* Of the calling thread, since it began (getrusage(2), RUSAGE_THREAD). */
struct pp_usage pp_usage_of_thread(void);

/* What was used between two readings. */
struct pp_usage pp_usage_between(const struct pp_usage *earlier, const struct pp_usage *later);

#endif
