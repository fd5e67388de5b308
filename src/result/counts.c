#include "result/counts.h"

void pp_counts_add(struct pp_counts *sum, const struct pp_counts *counts)
{
#define PP_COUNT(name) sum->name += counts->name;
    PP_COUNTS(PP_COUNT)
#undef PP_COUNT
    sum->wrong |= counts->wrong;
    if (counts->first_ns < sum->first_ns)
        sum->first_ns = counts->first_ns;
    if (counts->last_ns > sum->last_ns)
        sum->last_ns = counts->last_ns;
    if (counts->lag_ns > sum->lag_ns)
        sum->lag_ns = counts->lag_ns;
    if (counts->unanswered_ns > sum->unanswered_ns)
        sum->unanswered_ns = counts->unanswered_ns;
    if (counts->worst_ns >= sum->worst_ns) {
        sum->worst_ns = counts->worst_ns;
        sum->worst_at_ns = counts->worst_at_ns;
    }
}

struct pp_counts pp_counts_between(const struct pp_counts *from, const struct pp_counts *to)
{
    struct pp_counts between = *to;

#define PP_COUNT(name) between.name -= from->name;
    PP_COUNTS(PP_COUNT)
#undef PP_COUNT
    return between;
}
