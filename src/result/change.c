#include "result/change.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

static int metric_of(const char *name)
{
    for (int i = 0; i < PP_METRICS; i++)
        if (strcmp(pp_metrics[i].name, name) == 0)
            return i;
    return -1;
}

int pp_change_check(const struct pp_gate *gate, struct pp_error *err)
{
    if (metric_of(gate->figure) >= 0)
        return 0;
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "--fail-if %.60s: what is compared is cpu, rate, p50 and p99", gate->text);
}

const struct pp_effect *pp_change_effect(const struct pp_gate *gate,
                                         const struct pp_comparison *comparison, unsigned candidate)
{
    const int metric = metric_of(gate->figure);

    pp_assert(metric >= 0 && candidate > 0 && candidate < comparison->candidates);
    return &comparison->effects[candidate][metric];
}

/* With the whole interval on one side of the limit it is sure; at the limit itself nothing is. */
enum pp_change pp_change_of(const struct pp_gate *gate, const struct pp_comparison *comparison,
                            unsigned candidate)
{
    const struct pp_effect *effect = pp_change_effect(gate, comparison, candidate);
    const bool less = gate->op == PP_GATE_LESS || gate->op == PP_GATE_LESS_EQUAL;
    const double low = effect->paired.at95.low - 1, high = effect->paired.at95.high - 1;

    if (effect->difference == PP_DIFFERENCE_UNKNOWN)
        return PP_CHANGE_CANNOT_TELL;
    if (less ? high < gate->limit : low > gate->limit)
        return PP_CHANGE_SURELY;
    return (less ? low > gate->limit : high < gate->limit) ? PP_CHANGE_NO : PP_CHANGE_CANNOT_TELL;
}
