/* What each CPU has done so far, as /proc/stat tells it. */
#ifndef PP_MEASURE_CPU_TICKS_H
#define PP_MEASURE_CPU_TICKS_H

#include "measure/file.h"

#include <stdbool.h>
#include <stdint.h>

/* The fields of proc_stat(5). What follows there are guests, which user and nice hold already. */
enum pp_cpu_field {
    PP_CPU_USER,
    PP_CPU_NICE,
    PP_CPU_SYSTEM,
    PP_CPU_IDLE,
    PP_CPU_IOWAIT,
    PP_CPU_IRQ,
    PP_CPU_SOFTIRQ,
    PP_CPU_STEAL,
    PP_CPU_FIELDS
};

struct pp_cpu_ticks {
    unsigned cpu;
    uint64_t ticks[PP_CPU_FIELDS]; /* of 1 / sysconf(_SC_CLK_TCK) s each */
};

/* Opens the list of them; pp_file_lines_close() ends it. */
void pp_cpu_ticks_open(struct pp_file_lines *lines, const char *root);

/* The next CPU, of those that are online; false after the last. */
bool pp_cpu_ticks_next(struct pp_file_lines *lines, struct pp_cpu_ticks *ticks);

#endif
