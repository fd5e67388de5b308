#include "measure/paired.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- the distribution of signed ranks ---- */

/* The sum of the ranks 1 to n with a plus is anything from 0 to n(n+1)/2; chances[w] is P(W+ = w).
 * Each rank has a plus with even odds, so that a rank i more makes of c[s] the mean of c[s] and
 * c[s - i]: done in probabilities, nothing overflows however many pairs there are. */
static void fill_chances(double *chances, unsigned n)
{
    unsigned most = 0;

    chances[0] = 1;
    for (unsigned i = 1; i <= n; i++) {
        for (unsigned s = most + 1; s <= most + i; s++)
            chances[s] = 0;
        most += i;
        for (unsigned s = most + 1; s-- > 0;)
            chances[s] = (chances[s] + (s >= i ? chances[s - i] : 0)) / 2;
    }
}

static unsigned averages_of(unsigned n)
{
    return n * (n + 1) / 2;
}

static double sum_up_to(const double *chances, unsigned n, unsigned w)
{
    const unsigned most = averages_of(n);
    double sum = 0;

    for (unsigned s = 0; s <= w && s <= most; s++)
        sum += chances[s];
    return sum < 1 ? sum : 1;
}

double pp_paired_chance(unsigned n, unsigned w)
{
    double *chances = pp_memory_alloc(averages_of(n) + 1, sizeof *chances);
    double chance = NAN;

    if (chances) {
        fill_chances(chances, n);
        chance = sum_up_to(chances, n, w);
    }
    pp_memory_free(chances);
    return chance;
}

/* ---- an estimate and its intervals ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The Walsh averages: of each two, and of each with itself. Sorted. */
static void fill_averages(double *averages, const double *logs, unsigned n)
{
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++)
        for (unsigned j = i; j < n; j++)
            averages[count++] = (logs[i] + logs[j]) / 2;
    qsort(averages, count, sizeof averages[0], compare_doubles);
}

static double median_of(const double *sorted, unsigned count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* From the k-th lowest to the k-th highest average, k the greatest with P(W+ <= k - 1) <= tail. */
static struct pp_interval interval(const double *averages, const double *chances, unsigned n,
                                   double tail)
{
    const unsigned count = averages_of(n);
    double sum = 0;
    unsigned k = 0;

    while (k < count && sum + chances[k] <= tail)
        sum += chances[k++];
    if (k == 0)
        return (struct pp_interval){ -INFINITY, INFINITY };
    return (struct pp_interval){ averages[k - 1], averages[count - k] };
}

static struct pp_interval exp_of(struct pp_interval interval)
{
    return (struct pp_interval){ exp(interval.low), exp(interval.high) };
}

/* W+ is the number of Walsh averages above zero; one that is zero, as a pair without a difference
 * makes, is half of one, and of what is between two sums the less extreme one counts. */
static double two_sided(const double *averages, const double *chances, unsigned n)
{
    const unsigned count = averages_of(n);
    unsigned above = 0, below = 0, less;
    double p;

    for (unsigned i = 0; i < count; i++) {
        above += averages[i] > 0;
        below += averages[i] < 0;
    }
    less = (above < below ? above : below) + (count - above - below + 1) / 2;
    p = 2 * sum_up_to(chances, n, less);
    return p < 1 ? p : 1;
}

int pp_paired_of(const double *logs, unsigned n, struct pp_paired *paired)
{
    const unsigned count = averages_of(n);
    double *averages, *chances;
    int ret = 0;

    pp_assert(n <= PP_PAIRED_MAX);
    *paired = (struct pp_paired){
        .n = n, .ratio = NAN, .at95 = { 0, INFINITY }, .at90 = { 0, INFINITY }, .p = 1
    };
    if (n == 0)
        return 0;
    averages = pp_memory_alloc(count, sizeof *averages);
    chances = pp_memory_alloc(count + 1, sizeof *chances);
    if (averages && chances) {
        fill_averages(averages, logs, n);
        fill_chances(chances, n);
        paired->ratio = exp(median_of(averages, count));
        paired->at95 = exp_of(interval(averages, chances, n, 0.025));
        paired->at90 = exp_of(interval(averages, chances, n, 0.05));
        paired->p = two_sided(averages, chances, n);
    } else {
        ret = -ENOMEM;
    }
    pp_memory_free(averages);
    pp_memory_free(chances);
    return ret;
}

int pp_shift_of(const double *values, unsigned n, struct pp_shift *shift)
{
    const unsigned count = averages_of(n);
    double *averages = pp_memory_alloc(count + 1, sizeof *averages);
    double *chances = pp_memory_alloc(count + 1, sizeof *chances);
    const int ret = averages && chances ? 0 : -ENOMEM;

    pp_assert(n <= PP_PAIRED_MAX);
    *shift = (struct pp_shift){ .n = n, .estimate = NAN, .at95 = { -INFINITY, INFINITY } };
    if (ret == 0 && n > 0) {
        fill_averages(averages, values, n);
        fill_chances(chances, n);
        shift->estimate = median_of(averages, count);
        shift->at95 = interval(averages, chances, n, 0.025);
    }
    pp_memory_free(averages);
    pp_memory_free(chances);
    return ret;
}

unsigned pp_paired_rounds_needed(const struct pp_paired *paired, double least)
{
    double half, needed;

    if (!(paired->at95.low > 0) || !isfinite(paired->at95.high))
        return 0;
    half = (log(paired->at95.high) - log(paired->at95.low)) / 2 / log1p(least);
    needed = ceil(paired->n * half * half);
    if (needed > 1e6)
        return 1000000;
    return needed > paired->n ? (unsigned)needed : paired->n;
}

/* ---- many tests ---- */

struct ranked {
    double p;
    unsigned at;
};

static int compare_ranked(const void *a, const void *b)
{
    return compare_doubles(&((const struct ranked *)a)->p, &((const struct ranked *)b)->p);
}

/* The least of them counts as often as there are tests, the next once less, and none is below one
 * before it. */
void pp_paired_holm(double *p, unsigned count)
{
    struct ranked ranked[PP_PAIRED_TESTS_MAX];
    double least = 0;

    pp_assert(count <= PP_PAIRED_TESTS_MAX);
    for (unsigned i = 0; i < count; i++)
        ranked[i] = (struct ranked){ p[i], i };
    qsort(ranked, count, sizeof ranked[0], compare_ranked);
    for (unsigned i = 0; i < count; i++) {
        const double corrected = ranked[i].p * (count - i);

        least = corrected > least ? corrected : least;
        p[ranked[i].at] = least < 1 ? least : 1;
    }
}
