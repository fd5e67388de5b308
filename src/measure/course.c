#include "measure/course.h"

#include "base/assert.h"

#include <math.h>
#include <stdbool.h>

#define LINE_SHARE 0.80
#define LINE_FACTOR 1.40
#define STEP_CRITICAL 150
#define STEP_FACTOR 1.25
#define LEVELS_SHARE 0.82
#define LEVELS_FACTOR 1.40

/* Levels have a time of their own: values so far apart are correlated by more than so many times
 * what chance does. One rare slow answer in every second slice makes two groups, too, but these
 * come in any order. */
#define LEVELS_LAGS 8
#define LEVELS_CHANCE 3

/* The share of the values on either side of a step, and at either level: fewer are a stall. */
#define LEAST_SHARE 0.15

/* How far from the median a value counts, at most: one that stood still is one that stood out. */
#define OUTLIER_FACTOR 16

struct series {
    unsigned count;
    const double *values;
    double sorted[PP_COURSE_VALUES_MAX];
    double logs[PP_COURSE_VALUES_MAX];
    double sums[PP_COURSE_VALUES_MAX + 1]; /* of the first so many logs */
};

/* Shell sort with Ciura's gaps: qsort(3) may allocate. */
static void sort(double *values, unsigned count)
{
    static const unsigned gaps[] = { 23, 10, 4, 1 };

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

static double mean(const double *values, unsigned begin, unsigned end)
{
    double sum = 0;

    for (unsigned i = begin; i < end; i++)
        sum += values[i];
    return sum / (end - begin);
}

/* Whether one is so many times the other, and neither is nothing. */
static bool differ(double a, double b, double factor)
{
    return a > factor * b || b > factor * a;
}

static double log_within(double value, double median)
{
    return log(fmin(fmax(value, median / OUTLIER_FACTOR), median * OUTLIER_FACTOR));
}

/* False: there is nothing to take logarithms of. */
static bool series_fill(struct series *series, const double *values, unsigned count)
{
    double median;

    series->count = count;
    series->values = values;
    for (unsigned i = 0; i < count; i++)
        series->sorted[i] = values[i];
    sort(series->sorted, count);
    median = series->sorted[count / 2];
    series->sums[0] = 0;
    for (unsigned i = 0; median > 0 && i < count; i++) {
        series->logs[i] = log_within(values[i], median);
        series->sums[i + 1] = series->sums[i] + series->logs[i];
    }
    return median > 0;
}

static unsigned least_of(const struct series *series)
{
    return (unsigned)ceil(LEAST_SHARE * series->count);
}

/* ---- a line ---- */

/* What grows at an even pace is bent in logarithms: a line through it ends where nothing was. */
static double within_values(const struct series *series, double end)
{
    return fmin(fmax(end, series->sorted[0]), series->sorted[series->count - 1]);
}

static bool is_line(struct pp_course *course, const struct series *series)
{
    const double n = series->count, middle = series->sums[series->count] / n;
    double xx = 0, xy = 0, yy = 0, half;

    for (unsigned i = 0; i < series->count; i++) {
        const double x = i - (n - 1) / 2, y = series->logs[i] - middle;

        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    half = xy / xx * (n - 1) / 2;
    *course = (struct pp_course){ PP_COURSE_LINE, within_values(series, exp(middle - half)),
                                  within_values(series, exp(middle + half)), 0 };
    return xy * xy > LINE_SHARE * xx * yy &&
           differ(exp(middle - half), exp(middle + half), LINE_FACTOR);
}

/* ---- a step ---- */

/* How the sums of the values from begin to end run apart from a straight line, squared. */
static double wandering(const struct series *series, unsigned begin, unsigned end)
{
    const double slope = (series->sums[end] - series->sums[begin]) / (end - begin);
    double sum = 0;

    for (unsigned i = begin + 1; i < end; i++) {
        const double apart = series->sums[i] - series->sums[begin] - slope * (i - begin);

        sum += apart * apart;
    }
    return sum;
}

/* What lies between is normalised by how the values wander before and after, whatever they depend
 * on: no variance need be known. */
static double step_statistic(const struct series *series, unsigned at)
{
    const double n = series->count;
    const double apart = series->sums[at] - at / n * series->sums[series->count];
    const double noise = wandering(series, 0, at) + wandering(series, at, series->count);

    return apart * apart * n / (noise + 1e-12);
}

static bool is_step(struct pp_course *course, const struct series *series)
{
    const unsigned least = least_of(series);
    double most = 0;

    *course = (struct pp_course){ .shape = PP_COURSE_STEP };
    for (unsigned at = least; at <= series->count - least; at++) {
        const double statistic = step_statistic(series, at);

        if (statistic > most) {
            most = statistic;
            course->at = at;
        }
    }
    if (most <= STEP_CRITICAL)
        return false;
    course->from = mean(series->values, 0, course->at);
    course->to = mean(series->values, course->at, series->count);
    return differ(course->from, course->to, STEP_FACTOR);
}

/* ---- two levels ---- */

/* Whether those above limit are together, or at equal distances. */
static bool has_order(const struct series *series, double limit)
{
    const unsigned n = series->count;
    double share = 0;

    for (unsigned i = 0; i < n; i++)
        share += series->values[i] > limit ? 1.0 / n : 0;
    for (unsigned lag = 1; lag <= LEVELS_LAGS; lag++) {
        double products = 0;

        for (unsigned i = 0; i + lag < n; i++)
            products += ((series->values[i] > limit) - share) *
                        ((series->values[i + lag] > limit) - share);
        if (fabs(products) > LEVELS_CHANCE * sqrt(n - lag) * share * (1 - share))
            return true;
    }
    return false;
}

static bool is_levels(struct pp_course *course, const struct series *series)
{
    const unsigned least = least_of(series);
    const double n = series->count, median = series->sorted[series->count / 2];
    const double middle = series->sums[series->count] / n;
    double all = 0, below = 0, most = 0;
    unsigned split = 0;

    for (unsigned i = 0; i < series->count; i++) {
        const double y = log_within(series->sorted[i], median) - middle;
        const double k = i + 1;

        all += y * y;
        below += y;
        if (i + 1 >= least && i + 1 + least <= series->count &&
            below * below * n / (k * (n - k)) > most) {
            most = below * below * n / (k * (n - k));
            split = i + 1;
        }
    }
    if (split == 0 || most <= LEVELS_SHARE * all || !has_order(series, series->sorted[split - 1]))
        return false;
    *course = (struct pp_course){ PP_COURSE_LEVELS, mean(series->sorted, 0, split),
                                  mean(series->sorted, split, series->count), 0 };
    return differ(course->from, course->to, LEVELS_FACTOR);
}

struct pp_course pp_course_of(const double *values, unsigned count)
{
    struct series series;
    struct pp_course course;

    pp_assert(count <= PP_COURSE_VALUES_MAX);
    if (count < PP_COURSE_VALUES_MIN || !series_fill(&series, values, count))
        return (struct pp_course){ .shape = PP_COURSE_UNKNOWN };
    if (is_line(&course, &series) || is_step(&course, &series) || is_levels(&course, &series))
        return course;
    return (struct pp_course){ .shape = PP_COURSE_STEADY };
}

const char *pp_course_name(enum pp_course_shape shape)
{
    static const char *const names[] = {
        [PP_COURSE_UNKNOWN] = "unknown", [PP_COURSE_STEADY] = "steady", [PP_COURSE_STEP] = "step",
        [PP_COURSE_LEVELS] = "levels",   [PP_COURSE_LINE] = "line",
    };

    return names[shape];
}
