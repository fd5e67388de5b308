#include "measure/stat.h"

#include "base/assert.h"

#include <math.h>

#define PAIRS_MAX (PP_TREND_VALUES_MAX * (PP_TREND_VALUES_MAX - 1) / 2)
#define Z_95 1.959963984540054 /* the normal distribution's 97.5th percentile */

struct pp_interval pp_stat_proportion(uint64_t hits, uint64_t n)
{
    const double count = (double)n;
    const double share = n ? (double)hits / count : 0;
    const double scale = 1 + Z_95 * Z_95 / count;
    const double middle = (share + Z_95 * Z_95 / (2 * count)) / scale;
    const double half =
        Z_95 * sqrt(share * (1 - share) / count + Z_95 * Z_95 / (4 * count * count)) / scale;

    if (n == 0)
        return (struct pp_interval){ 0, 1 };
    return (struct pp_interval){ hits == 0 ? 0 : middle - half, hits == n ? 1 : middle + half };
}

/* ---- trend ---- */

/* Shell sort with Ciura's gaps: qsort(3) may allocate. */
static void sort(double *values, unsigned count)
{
    static const unsigned gaps[] = { 701, 301, 132, 57, 23, 10, 4, 1 };

    for (unsigned g = 0; g < sizeof gaps / sizeof *gaps; g++) {
        for (unsigned i = gaps[g]; i < count; i++) {
            const double value = values[i];
            unsigned j = i;

            for (; j >= gaps[g] && values[j - gaps[g]] > value; j -= gaps[g])
                values[j] = values[j - gaps[g]];
            values[j] = value;
        }
    }
}

static double median_of_sorted(const double *sorted, unsigned count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* How many pairs rise less how many fall. */
static double pairs_rising(const double *values, unsigned count)
{
    int rising = 0;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = i + 1; j < count; j++)
            rising += (values[j] > values[i]) - (values[j] < values[i]);
    }
    return rising;
}

/* Of pairs_rising() for values in random order, of which some are equal. */
static double variance_of_sorted(const double *sorted, unsigned count)
{
    const double n = count;
    double sum = n * (n - 1) * (2 * n + 5);

    for (unsigned i = 0; i < count;) {
        unsigned ties = 1;

        while (i + ties < count && sorted[i + ties] == sorted[i])
            ties++;
        sum -= (double)ties * (ties - 1.0) * (2.0 * ties + 5);
        i += ties;
    }
    return sum / 18;
}

/* One is taken off because the number of pairs is whole, and the normal distribution is not. */
static double mann_kendall_z(double rising, double variance)
{
    if (rising == 0 || variance <= 0)
        return 0;
    return (rising > 0 ? rising - 1 : rising + 1) / sqrt(variance);
}

static double theil_sen_slope(const double *values, unsigned count)
{
    double slopes[PAIRS_MAX];
    unsigned pairs = 0;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = i + 1; j < count; j++)
            slopes[pairs++] = (values[j] - values[i]) / (j - i);
    }
    sort(slopes, pairs);
    return median_of_sorted(slopes, pairs);
}

static double within(double value, double min, double max)
{
    return value < min ? min : value > max ? max : value;
}

/* From one end to the other of the line with this slope through the middle of the values. Where
 * they lie on a curve, the ends of a line may lie beyond all of them, and even below 0. */
static double change_along(double slope, const double *sorted, unsigned count)
{
    const double half = slope * (count - 1) / 2;
    const double middle = median_of_sorted(sorted, count);
    const double begin = within(middle - half, sorted[0], sorted[count - 1]);
    const double end = within(middle + half, sorted[0], sorted[count - 1]);

    if (begin > 0)
        return within(end / begin - 1, -1, PP_TREND_CHANGE_MAX);
    return end > 0 ? PP_TREND_CHANGE_MAX : 0;
}

struct pp_trend pp_stat_trend(const double *values, unsigned count)
{
    double sorted[PP_TREND_VALUES_MAX];
    struct pp_trend trend;

    pp_assert(count <= PP_TREND_VALUES_MAX);
    if (count < 3)
        return (struct pp_trend){ 0 };
    for (unsigned i = 0; i < count; i++)
        sorted[i] = values[i];
    sort(sorted, count);
    trend.z = mann_kendall_z(pairs_rising(values, count), variance_of_sorted(sorted, count));
    trend.slope = theil_sen_slope(values, count);
    trend.change = change_along(trend.slope, sorted, count);
    return trend;
}

double pp_stat_jain(uint64_t n, double sum, double sum_of_squares)
{
    return n > 0 && sum_of_squares > 0 ? sum * sum / ((double)n * sum_of_squares) : 1;
}
