#include "bench/pace.h"

#include "base/assert.h"

#include <math.h>
#include <stddef.h>

#define NS_PER_S 1e9

__extension__ typedef unsigned __int128 wide;

/* From the number alone: nothing adds up that was rounded. A double would not do, as it holds less
 * than four months of nanoseconds. */
static uint64_t fixed_elapsed_ns(const struct pp_pace *pace)
{
    const wide fractions = (wide)pace->number * pace->interval_fraction;
    const wide half = (wide)1 << 63;

    return pace->number * pace->interval_whole_ns + (uint64_t)((fractions + half) >> 64);
}

static void set_next(struct pp_pace *pace)
{
    uint64_t elapsed_ns;

    if (pace->arrivals == PP_ARRIVALS_POISSON) {
        pace->elapsed_ns -= log(pp_random_unit(&pace->random)) * pace->interval_ns;
        elapsed_ns = (uint64_t)pace->elapsed_ns;
    } else {
        elapsed_ns = fixed_elapsed_ns(pace);
    }
    pace->next_ns = pace->start_ns + elapsed_ns;
}

void pp_pace_begin(struct pp_pace *pace, enum pp_arrivals arrivals, double rate, uint64_t start_ns,
                   unsigned share, unsigned shares, uint64_t seed)
{
    long double interval_ns;
    uint64_t whole_ns;

    pp_assert(rate >= PP_PACE_RATE_MIN && share < shares);
    interval_ns = (long double)NS_PER_S / rate;
    whole_ns = (uint64_t)interval_ns;
    *pace = (struct pp_pace){
        .arrivals = arrivals,
        .interval_ns = NS_PER_S / rate,
        .interval_whole_ns = whole_ns,
        .interval_fraction = (uint64_t)((interval_ns - (long double)whole_ns) * 0x1p64L),
        .start_ns = start_ns,
        .random = { .state = seed },
    };
    if (arrivals == PP_ARRIVALS_FIXED)
        pace->start_ns += (uint64_t)llrintl(interval_ns * share / shares);
    else
        pace->random.state = pp_random_next(&pace->random) + share;
    set_next(pace);
}

void pp_pace_step(struct pp_pace *pace)
{
    pace->number++;
    set_next(pace);
}
