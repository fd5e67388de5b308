#include "result/sweep.h"

#include "base/assert.h"
#include "base/memory.h"
#include "measure/stat.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

/* Of that member of the candidate's trials, a double, where it is known. */
static double median(const struct pp_trial *trials, size_t count, unsigned candidate, size_t member,
                     double *scratch)
{
    unsigned known = 0;

    for (size_t i = 0; i < count; i++) {
        const double value = *(const double *)(const void *)((const char *)&trials[i] + member);

        if (trials[i].candidate == candidate && !trials[i].missing && isfinite(value))
            scratch[known++] = value;
    }
    return pp_stat_median(scratch, known);
}

static void fill_spread(const struct pp_trial *trials, size_t count, unsigned candidate,
                        struct pp_sweep_point *point)
{
    point->rate_least = INFINITY;
    point->rate_most = 0;
    point->level = PP_VALID;
    for (size_t i = 0; i < count; i++) {
        const double rate = trials[i].figures[PP_METRIC_RATE];

        if (trials[i].candidate != candidate)
            continue;
        point->trials++;
        point->missing += trials[i].missing;
        if (trials[i].missing)
            continue;
        point->level = trials[i].level > point->level ? trials[i].level : point->level;
        point->rate_least = fmin(point->rate_least, rate);
        point->rate_most = fmax(point->rate_most, rate);
    }
    if (point->missing == point->trials)
        point->level = PP_INVALID;
}

int pp_sweep_of(const struct pp_trial *trials, size_t count, struct pp_sweep_point *points,
                unsigned candidates)
{
    double *scratch = pp_memory_alloc(count ? count : 1, sizeof *scratch);

    if (!scratch)
        return -ENOMEM;
    for (unsigned i = 0; i < candidates; i++) {
        struct pp_sweep_point *point = &points[i];

        *point = (struct pp_sweep_point){ .trials = 0 };
        fill_spread(trials, count, i, point);
        for (unsigned j = 0; j < PP_METRICS; j++)
            point->figures[j] = median(
                trials, count, i, offsetof(struct pp_trial, figures) + j * sizeof(double), scratch);
        point->p999_ns = median(trials, count, i, offsetof(struct pp_trial, p999_ns), scratch);
        point->bytes_per_s = median(trials, count, i, offsetof(struct pp_trial, bytes_per_s),
                                    scratch);
    }
    pp_memory_free(scratch);
    return 0;
}
