#include "bench/slices.h"

#include <stddef.h>

/* With fewer round trips in a slice, one more or less makes a difference. */
#define TRIPS_LEAST 4

void pp_slices_begin(struct pp_slices *slices)
{
    *slices = (struct pp_slices){ .every = 1 };
}

static void merge_pairs(struct pp_slices *slices)
{
    slices->count = (slices->count + 1) / 2;
    for (size_t i = 0; i < slices->count; i++)
        slices->marks[i] = slices->marks[2 * i];
    slices->every *= 2;
}

/* A thread that has not begun yet still has the count of the phase before. */
static bool has_gone_back(const struct pp_slices *slices, const struct pp_slices_mark *mark)
{
    const struct pp_slices_mark *last = slices->marks + slices->count;

    return slices->count > 0 &&
           (mark->trips < last[-1].trips || mark->latency_ns < last[-1].latency_ns);
}

void pp_slices_note(struct pp_slices *slices, const struct pp_slices_mark *mark)
{
    if (has_gone_back(slices, mark))
        pp_slices_begin(slices);
    if (slices->tick++ % slices->every != 0)
        return;
    if (slices->count == PP_COURSE_VALUES_MAX + 1)
        merge_pairs(slices);
    if ((slices->tick - 1) % slices->every == 0)
        slices->marks[slices->count++] = *mark;
}

static double rate_of(const struct pp_slices_mark *from, const struct pp_slices_mark *to)
{
    return (double)(to->trips - from->trips) * 1e9 / (double)(to->at_ns - from->at_ns);
}

static double latency_of(const struct pp_slices_mark *from, const struct pp_slices_mark *to)
{
    return (double)(to->latency_ns - from->latency_ns) / (double)(to->trips - from->trips);
}

/* Values, and when each of their slices begins. One without answers has no latency, one without
 * length nothing. */
static unsigned fill(const struct pp_slices *slices, bool of_latency, double *values,
                     uint64_t *begins_ns)
{
    unsigned count = 0;

    for (unsigned i = 0; i + 1 < slices->count; i++) {
        const struct pp_slices_mark *from = &slices->marks[i], *to = from + 1;

        if (to->at_ns == from->at_ns || (of_latency && to->trips == from->trips))
            continue;
        begins_ns[count] = from->at_ns;
        values[count++] = of_latency ? latency_of(from, to) : rate_of(from, to);
    }
    return count;
}

struct pp_steadiness pp_slices_steadiness(struct pp_slices *slices, bool of_latency,
                                          uint64_t start_ns)
{
    struct pp_steadiness steadiness = { .of_latency = of_latency };
    const struct pp_slices_mark *marks = slices->marks;
    uint64_t begins_ns[PP_COURSE_VALUES_MAX];
    double values[PP_COURSE_VALUES_MAX];
    unsigned count;

    while (slices->count > 2 && marks[slices->count - 1].trips - marks[0].trips <
                                    (uint64_t)TRIPS_LEAST * (slices->count - 1))
        merge_pairs(slices);
    if (slices->count < 2)
        return steadiness;
    count = fill(slices, of_latency, values, begins_ns);
    steadiness.slice_ns = (marks[slices->count - 1].at_ns - marks[0].at_ns) / (slices->count - 1);
    steadiness.course = pp_course_of(values, count);
    if (steadiness.course.shape == PP_COURSE_STEP)
        steadiness.at_ns = begins_ns[steadiness.course.at] - start_ns;
    return steadiness;
}
