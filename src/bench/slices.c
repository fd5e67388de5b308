#include "bench/slices.h"

#include <stddef.h>

/* The test for a trend says little with fewer. */
#define SLICES_MIN 10

void pp_slices_begin(struct pp_slices *slices)
{
    *slices = (struct pp_slices){ .count = 1, .every = 1 };
}

static void merge_pairs(struct pp_slices *slices)
{
    slices->count = (slices->count + 1) / 2;
    for (size_t i = 0; i < slices->count; i++)
        slices->totals[i] = slices->totals[2 * i];
    slices->every *= 2;
}

void pp_slices_note(struct pp_slices *slices, uint64_t total)
{
    if (++slices->tick % slices->every != 0)
        return;
    if (slices->count == PP_TREND_VALUES_MAX + 1)
        merge_pairs(slices);
    if (slices->tick % slices->every == 0)
        slices->totals[slices->count++] = total;
}

struct pp_trend pp_slices_trend(const struct pp_slices *slices)
{
    double rates[PP_TREND_VALUES_MAX];

    if (slices->count <= SLICES_MIN)
        return (struct pp_trend){ 0 };
    for (unsigned i = 0; i + 1 < slices->count; i++)
        rates[i] = (double)(slices->totals[i + 1] - slices->totals[i]);
    return pp_stat_trend(rates, slices->count - 1);
}
