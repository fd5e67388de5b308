/* Whether two results come from the same kind of machine, and what differs between where they were
 * measured. */
#ifndef PP_EXPERIMENT_UNLIKE_H
#define PP_EXPERIMENT_UNLIKE_H

#include <jansson.h>
#include <stdbool.h>

/* What the results of two runs say of their host and their build, key by key: an array of objects
 * with "key" ("host.kernel"), "baseline" and "other"; empty where all is the same, and of what
 * changes by itself (the load, what a clock reading costs) nothing is said. The caller's to
 * json_decref(); NULL: there is no memory. */
json_t *pp_unlike_list(const json_t *baseline, const json_t *other);

/* The first difference in such a list that makes the hosts unlike, so that no difference of figures
 * can be told from theirs: the CPU, how many there are, the architecture, the kernel, what it runs
 * on. NULL: there is none. */
const json_t *pp_unlike_hosts(const json_t *list);

#endif
