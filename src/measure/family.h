/* What a process of another program has cost so far, and those that it has started. */
#ifndef PP_MEASURE_FAMILY_H
#define PP_MEASURE_FAMILY_H

#include "measure/usage.h"

/* Of pid and its descendants that live now, with all their threads, to the nanosecond; how it
 * divides into user and system is as exact as the kernel's books for others, a clock tick. Children
 * that have been waited for are in their parent's books, to a tick and without context switches;
 * whoever has left the family otherwise is missing, so that a later reading may be less than an
 * earlier one. Unknown where there is no pid, or /proc does not show it. */
struct pp_usage pp_usage_of_family(pid_t pid);

/* How many bytes of memory they have now, resident; pages that two of them share count twice. 0:
 * not known. */
uint64_t pp_memory_of_family(pid_t pid);

#endif
