#include "measure/cpulist.h"

#include <ctype.h>

#define CPU_MAX 1000000

/* False if there is no number, or none that can be a CPU. */
static bool number_read(const char **text, unsigned *number)
{
    const char *p = *text;

    *number = 0;
    for (; isdigit((unsigned char)*p) && *number <= CPU_MAX; p++)
        *number = *number * 10 + (unsigned)(*p - '0');
    if (p == *text || *number > CPU_MAX)
        return false;
    *text = p;
    return true;
}

static bool range_read(struct pp_cpulist *list)
{
    const char *p = list->rest;
    unsigned first;
    unsigned last;

    p += *p == ',';
    if (!number_read(&p, &first))
        return false;
    last = first;
    if (*p == '-' && (p++, !number_read(&p, &last)))
        return false;
    if (last < first)
        return false;
    *list = (struct pp_cpulist){ .rest = p, .next = first, .left = last - first + 1 };
    return true;
}

bool pp_cpulist_next(struct pp_cpulist *list, unsigned *cpu)
{
    if (list->left == 0 && !range_read(list))
        return false;
    list->left--;
    *cpu = list->next++;
    return true;
}

unsigned pp_cpulist_count(const char *text)
{
    struct pp_cpulist list = { .rest = text };
    unsigned count = 0;
    unsigned cpu;

    while (pp_cpulist_next(&list, &cpu))
        count++;
    return count;
}
