#include "client/pace.h"

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
    pp_assert(pace->start_ns + elapsed_ns >= pace->next_ns); /* a schedule never goes back */
    pace->next_ns = pace->start_ns + elapsed_ns;
}

static uint32_t slots_of(const struct pp_pace_deal *deal)
{
    return deal->slots / deal->shares + (deal->share < deal->slots % deal->shares);
}

void pp_pace_begin(struct pp_pace *pace, enum pp_arrivals arrivals, double rate, uint64_t start_ns,
                   struct pp_pace_deal deal, uint64_t seed)
{
    const long double interval_ns = (long double)NS_PER_S / rate;
    const uint64_t whole_ns = (uint64_t)interval_ns;

    pp_assert(rate >= PP_PLAN_RATE_MIN && deal.share < deal.shares && deal.shares <= deal.slots);
    *pace = (struct pp_pace){
        .arrivals = arrivals,
        .deal = deal,
        .slot = deal.share,
        .interval_ns = NS_PER_S / rate,
        .interval_whole_ns = whole_ns,
        .interval_fraction = (uint64_t)((interval_ns - (long double)whole_ns) * 0x1p64L),
        .start_ns = start_ns,
        .random = { .state = seed },
    };
    if (arrivals == PP_ARRIVALS_FIXED) {
        pace->number = deal.share;
    } else {
        pace->interval_ns *= (double)deal.slots / slots_of(&deal);
        pace->random.state = pp_random_next(&pace->random) + deal.share;
    }
    set_next(pace);
}

void pp_pace_step(struct pp_pace *pace)
{
    const struct pp_pace_deal *deal = &pace->deal;
    uint32_t further = 1;

    if (pace->arrivals == PP_ARRIVALS_FIXED) {
        const uint32_t left = deal->slots - pace->slot;

        further = left > deal->shares ? deal->shares : left + deal->share;
        pace->slot = left > deal->shares ? pace->slot + further : deal->share;
    }
    pp_assert(further > 0 && pace->slot < deal->slots);
    pace->number += further;
    set_next(pace);
}

uint64_t pp_pace_due(const struct pp_pace *pace, uint64_t until_ns, uint64_t most)
{
    struct pp_pace ahead = *pace;
    uint64_t due = 0;

    for (; due < most && ahead.next_ns < until_ns; due++)
        pp_pace_step(&ahead);
    return due;
}
