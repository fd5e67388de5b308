/* Lists of CPUs as the kernel writes them: "0-3,8". */
#ifndef PP_MEASURE_CPULIST_H
#define PP_MEASURE_CPULIST_H

#include <stdbool.h>

struct pp_cpulist {
    const char *rest; /* begins as the text */
    unsigned next;    /* of the range that has begun; begins as 0 */
    unsigned left;    /* CPUs in that range; begins as 0 */
};

/* The next CPU; false, with *cpu left alone, at the end, or at what is no list. */
bool pp_cpulist_next(struct pp_cpulist *list, unsigned *cpu);

/* How many there are. */
unsigned pp_cpulist_count(const char *text);

#endif
