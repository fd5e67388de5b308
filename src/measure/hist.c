/* What is asked of a histogram once the samples are in; recording is inline in hist.h. */
#include "measure/hist.h"

#include "base/assert.h"

#include <assert.h>
#include <float.h>
#include <string.h>

static_assert((UINT64_C(2047) << (PP_HIST_BUCKETS - 1)) > PP_HIST_HIGHEST_NS,
              "the highest value has a bucket");
static_assert((UINT64_C(2047) << (PP_HIST_BUCKETS - 2)) < PP_HIST_HIGHEST_NS,
              "no doubling is there in vain");

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t sum_until_full(uint64_t sum, unsigned __int128 more)
{
    return more > UINT64_MAX - sum ? UINT64_MAX : sum + (uint64_t)more;
}

void pp_hist_reset(struct pp_hist *hist)
{
    memset(hist, 0, sizeof *hist);
    hist->min_ns = UINT64_MAX;
}

void pp_hist_merge(struct pp_hist *into, const struct pp_hist *from)
{
    into->total += from->total;
    into->saturated += from->saturated;
    into->sum_ns = sum_until_full(into->sum_ns, from->sum_ns);
    if (from->min_ns < into->min_ns)
        into->min_ns = from->min_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
    for (uint32_t i = 0; i < PP_HIST_COUNTS; i++)
        into->counts[i] += from->counts[i];
}

double pp_hist_mean_ns(const struct pp_hist *hist)
{
    return hist->total ? (double)hist->sum_ns / (double)hist->total : 0;
}

/* The bucket is 2^doublings wide. */
static unsigned index_doublings(uint32_t index)
{
    pp_assert(index < PP_HIST_COUNTS);
    return index < PP_HIST_SUB_BUCKETS ? 0 : index / PP_HIST_HALF - 1;
}

uint64_t pp_hist_lowest_ns(uint32_t index)
{
    const unsigned doublings = index_doublings(index);

    return (uint64_t)(index - doublings * PP_HIST_HALF) << doublings;
}

uint64_t pp_hist_highest_ns(uint32_t index)
{
    return pp_hist_lowest_ns(index) + (UINT64_C(1) << index_doublings(index)) - 1;
}

struct pp_hist_tail pp_hist_above(const struct pp_hist *hist, uint64_t limit_ns)
{
    const uint32_t last = pp_hist_index(least(limit_ns, PP_HIST_HIGHEST_NS));
    struct pp_hist_tail tail = { .samples = hist->total, .sum_ns = (double)hist->sum_ns };

    for (uint32_t i = 0; i <= last; i++) {
        tail.samples -= hist->counts[i];
        tail.sum_ns -= (double)hist->counts[i] *
                       (double)(pp_hist_lowest_ns(i) + pp_hist_highest_ns(i)) / 2;
    }
    if (tail.samples == 0 || tail.sum_ns < 0)
        tail.sum_ns = 0;
    return tail;
}

/* ---- correction ---- */

/* The sum of so many values, step_ns apart, of which last_ns is the highest. Of 6 * 10^10 values up
 * to 6 * 10^10 ns it leaves 56 bits of room for how many there are of each. */
static unsigned __int128 sum_of_series(uint64_t last_ns, uint64_t step_ns, uint64_t values)
{
    const uint64_t first_ns = last_ns - step_ns * (values - 1);

    return (unsigned __int128)(first_ns + last_ns) * values / 2;
}

/* What count samples of value_ns have kept from being taken. All that falls into one bucket is
 * added at once: one by one there may be millions of them. */
static void add_left_out(struct pp_hist *into, uint64_t value_ns, uint64_t count, uint64_t step_ns)
{
    const uint64_t all = value_ns / step_ns - 1;
    uint64_t left = all;

    if (all == 0)
        return;
    into->total += count * all;
    into->min_ns = least(into->min_ns, value_ns - step_ns * all);
    into->sum_ns = sum_until_full(into->sum_ns,
                                  sum_of_series(value_ns - step_ns, step_ns, all) * count);
    while (left > 0) {
        const uint64_t next_ns = value_ns - step_ns * (all - left + 1);
        const uint32_t index = pp_hist_index(next_ns);
        const uint64_t times = least((next_ns - pp_hist_lowest_ns(index)) / step_ns + 1, left);

        into->counts[index] += count * times;
        left -= times;
    }
}

void pp_hist_correct(struct pp_hist *into, const struct pp_hist *from, uint64_t expected_ns)
{
    const uint64_t top_ns = least(from->max_ns, PP_HIST_HIGHEST_NS);

    pp_assert(into != from);
    pp_hist_merge(into, from);
    if (expected_ns == 0 || expected_ns > top_ns)
        return;
    for (uint32_t i = pp_hist_index(expected_ns); i <= pp_hist_index(top_ns); i++) {
        const uint64_t value_ns = least(pp_hist_highest_ns(i), top_ns);

        if (from->counts[i] > 0)
            add_left_out(into, value_ns, from->counts[i], expected_ns);
    }
}

/* ---- quantiles ---- */

/* ceil(q * total). A q such as 0.07 is stored a hair above what was meant, and 0.07 * 100 comes out
 * above 7: taking that hair off first, as HdrHistogram does, gives sample 7 and not 8. */
uint64_t pp_hist_rank(uint64_t total, double q)
{
    const double exact = q * (1 - DBL_EPSILON) * (double)total;
    const uint64_t below = (uint64_t)exact;

    return below + ((double)below < exact);
}

static uint32_t index_of_rank(const struct pp_hist *hist, uint64_t rank)
{
    uint64_t seen = 0;

    for (uint32_t i = 0;; i++) {
        pp_assert(i < PP_HIST_COUNTS);
        seen += hist->counts[i];
        if (seen >= rank)
            return i;
    }
}

uint64_t pp_hist_quantile_ns(const struct pp_hist *hist, double q)
{
    uint64_t rank;

    pp_assert(q > 0 && q <= 1);
    if (hist->total == 0)
        return 0;
    rank = pp_hist_rank(hist->total, q);
    if (rank > hist->total - hist->saturated)
        return hist->max_ns;
    return least(pp_hist_highest_ns(index_of_rank(hist, rank)), hist->max_ns);
}

/* Asked of whole samples, because 1 - 0.9999 in floating point would ask for 100,001 of them. */
bool pp_hist_total_supports(uint64_t total, double q)
{
    pp_assert(q > 0 && q <= 1);
    return total - pp_hist_rank(total, q) >= 10;
}

bool pp_hist_supports(const struct pp_hist *hist, double q)
{
    return pp_hist_total_supports(hist->total, q);
}
