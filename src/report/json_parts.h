/* Inside this layer: the parts of a result as JSON values. Each is the caller's, or NULL where
 * there is no memory; NULL in any part makes the whole NULL, as json_pack() does it. */
#ifndef PP_REPORT_JSON_PARTS_H
#define PP_REPORT_JSON_PARTS_H

#include "result/result.h"

#include <jansson.h>

/* A text; null where it is empty. What is no UTF-8 becomes question marks. */
json_t *pp_json_text(const char *text);

/* Nanoseconds, or null where known is false. */
json_t *pp_json_ns(uint64_t ns, bool known);

json_t *pp_json_options(const struct pp_plan *plan);
json_t *pp_json_host(const struct pp_result *result);
json_t *pp_json_route(const struct pp_result *result);
json_t *pp_json_disturbance(const struct pp_result *result);
json_t *pp_json_latency(const struct pp_latency *latency);
json_t *pp_json_verdict(const struct pp_verdict *verdict);

/* All of a result that is measured: what figures are looked up in by name. */
json_t *pp_json_figures(const struct pp_result *result);
json_t *pp_json_counts(const struct pp_counts *counts, uint64_t in_flight);

#endif
