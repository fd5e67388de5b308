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

void pp_hist_reset(struct pp_hist *hist)
{
    memset(hist, 0, sizeof *hist);
    hist->min_ns = UINT64_MAX;
}

void pp_hist_merge(struct pp_hist *into, const struct pp_hist *from)
{
    into->total += from->total;
    into->saturated += from->saturated;
    into->sum_ns += from->sum_ns;
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

/* ceil(q * total). A q such as 0.07 is stored a hair above what was meant, and 0.07 * 100 comes out
 * above 7: taking that hair off first, as HdrHistogram does, gives sample 7 and not 8. */
static uint64_t quantile_rank(uint64_t total, double q)
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
    uint64_t highest_ns;

    pp_assert(q > 0 && q <= 1);
    if (hist->total == 0)
        return 0;
    highest_ns = pp_hist_highest_ns(index_of_rank(hist, quantile_rank(hist->total, q)));
    return highest_ns < hist->max_ns ? highest_ns : hist->max_ns;
}

/* Asked of whole samples, because 1 - 0.9999 in floating point would ask for 100,001 of them. */
bool pp_hist_supports(const struct pp_hist *hist, double q)
{
    pp_assert(q > 0 && q <= 1);
    return hist->total - quantile_rank(hist->total, q) >= 10;
}
