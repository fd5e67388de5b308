#include "measure/cpu_ticks.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void pp_cpu_ticks_open(struct pp_file_lines *lines, const char *root)
{
    char path[PP_FILE_PATH_BYTES];

    pp_file_lines_open(lines, pp_file_path(path, root, "/proc/stat"));
}

/* "cpu3 user nice system idle ..."; the line before the first one is the sum of all, those that
 * were since taken offline included. */
static bool parse(struct pp_cpu_ticks *ticks, const char *line)
{
    uint64_t *t = ticks->ticks;

    return isdigit((unsigned char)line[3]) &&
           sscanf(line + 3,
                  "%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                  " %" SCNu64 " %" SCNu64,
                  &ticks->cpu, &t[PP_CPU_USER], &t[PP_CPU_NICE], &t[PP_CPU_SYSTEM], &t[PP_CPU_IDLE],
                  &t[PP_CPU_IOWAIT], &t[PP_CPU_IRQ], &t[PP_CPU_SOFTIRQ],
                  &t[PP_CPU_STEAL]) == 1 + PP_CPU_FIELDS;
}

bool pp_cpu_ticks_next(struct pp_file_lines *lines, struct pp_cpu_ticks *ticks)
{
    const char *line;

    while ((line = pp_file_lines_next(lines)) && strncmp(line, "cpu", 3) == 0)
        if (parse(ticks, line))
            return true;
    return false;
}
