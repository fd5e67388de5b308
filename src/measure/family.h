/* What a process of another program has cost so far, and those that it has started. */
#ifndef PP_MEASURE_FAMILY_H
#define PP_MEASURE_FAMILY_H

#include "measure/usage.h"

/* Of pid and its descendants that live now, with all their threads, to the nanosecond; how it
 * divides into user and system is as exact as the kernel's books for others, a clock tick. What has
 * ended meanwhile is missing. Unknown where there is no pid, or /proc does not show it. */
struct pp_usage pp_usage_of_family(pid_t pid);

#endif
