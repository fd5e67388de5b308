/* A latency histogram with the geometry of HdrHistogram: 3 significant digits, from 1 ns to 60 s.
 * Values up to 2,047 have a bucket each; above, each doubling has 1,024 equal buckets, so a value
 * read back is never off by more than 1 part in 1,000. Values above the range are counted as
 * saturated and stand in the highest bucket; they are never wrapped.
 * Source: http://hdrhistogram.org, "HdrHistogram: a high dynamic range histogram" (G. Tene). */
#ifndef PP_MEASURE_HIST_H
#define PP_MEASURE_HIST_H

#include <stdbool.h>
#include <stdint.h>

#define PP_HIST_HIGHEST_NS UINT64_C(60000000000)

#define PP_HIST_SUB_BUCKETS 2048u /* the power of two above 2 * 10^3 */
#define PP_HIST_HALF (PP_HIST_SUB_BUCKETS / 2)
#define PP_HIST_BUCKETS 26u /* doublings until 60 s fits: 2047 << 25 > 6 * 10^10 */
#define PP_HIST_COUNTS ((PP_HIST_BUCKETS + 1) * PP_HIST_HALF)

struct pp_hist {
    uint64_t total;     /* samples, saturated ones included */
    uint64_t saturated; /* samples above PP_HIST_HIGHEST_NS */
    uint64_t sum_ns;    /* exact, of the samples themselves; merging stops at UINT64_MAX */
    uint64_t min_ns;    /* exact; UINT64_MAX without samples */
    uint64_t max_ns;    /* exact */
    uint64_t counts[PP_HIST_COUNTS];
};

/* The index of value_ns's bucket; value_ns must not be above PP_HIST_HIGHEST_NS. */
static inline uint32_t pp_hist_index(uint64_t value_ns)
{
    const unsigned doublings =
        (unsigned)(63 - __builtin_clzll(value_ns | (PP_HIST_SUB_BUCKETS - 1))) - 10u;

    return doublings * PP_HIST_HALF + (uint32_t)(value_ns >> doublings);
}

/* An empty histogram. */
void pp_hist_reset(struct pp_hist *hist);

/* One sample. About 2 ns; never allocates. */
static inline void pp_hist_record(struct pp_hist *hist, uint64_t value_ns)
{
    const uint64_t kept_ns = value_ns <= PP_HIST_HIGHEST_NS ? value_ns : PP_HIST_HIGHEST_NS;

    hist->total++;
    hist->saturated += kept_ns != value_ns;
    hist->sum_ns += value_ns;
    if (value_ns < hist->min_ns)
        hist->min_ns = value_ns;
    if (value_ns > hist->max_ns)
        hist->max_ns = value_ns;
    hist->counts[pp_hist_index(kept_ns)]++;
}

/* Adds all of from to into. */
void pp_hist_merge(struct pp_hist *into, const struct pp_hist *from);

/* Adds all of from to into, and beside it the samples that a closed loop has left out: while it
 * waited for an answer it sent nothing, though a message was due every expected_ns. A sample v also
 * counts as v - expected_ns, v - 2 * expected_ns and so on, down to expected_ns itself. That is
 * HdrHistogram's copyCorrectedForCoordinatedOmission(); as there, v is the highest value of the
 * sample's bucket, but here never above the exact maximum or the range. 0 corrects nothing. into is
 * not from. For after the run: for each bucket that holds samples, it takes as many steps as there
 * are buckets below, at most. */
void pp_hist_correct(struct pp_hist *into, const struct pp_hist *from, uint64_t expected_ns);

/* The arithmetic mean in nanoseconds; 0 without samples. */
double pp_hist_mean_ns(const struct pp_hist *hist);

/* The highest and lowest value that share index's bucket. */
uint64_t pp_hist_lowest_ns(uint32_t index);
uint64_t pp_hist_highest_ns(uint32_t index);

/* What lies above the bucket of limit_ns: how many samples, and their sum, which is the exact one
 * of all less the middles of the buckets up to there. */
struct pp_hist_tail {
    uint64_t samples;
    double sum_ns;
};

struct pp_hist_tail pp_hist_above(const struct pp_hist *hist, uint64_t limit_ns);

/* The value at or below which a share q (0 < q <= 1) of the samples lies, as HdrHistogram defines
 * it: the highest value of the bucket that holds sample number ceil(q * total). Never above the
 * exact maximum, and that itself where the sample is saturated: no more is known of those. 0
 * without samples. */
uint64_t pp_hist_quantile_ns(const struct pp_hist *hist, double q);

/* Whether enough samples lie beyond q to print it: total * (1 - q) >= 10. */
bool pp_hist_supports(const struct pp_hist *hist, double q);

/* Both for any histogram that has total samples: which sample, from 1 on, the quantile q is, and
 * whether enough lie beyond it. */
uint64_t pp_hist_rank(uint64_t total, double q);
bool pp_hist_total_supports(uint64_t total, double q);

#endif
