#include "result/slices.h"

#include "base/number.h"

#include <stddef.h>

/* With fewer round trips in a slice, one more or less makes a difference. */
#define TRIPS_LEAST 4

/* What latencies that grow until the end do: see the header. */
#define GROWTH_SLICES_LEAST 8
#define GROWTH_OVERALL 1.5
#define GROWTH_A_QUARTER 1.15
#define GROWTH_OF_TIME 0.002

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

void pp_slices_end(struct pp_slices *slices, uint64_t end_ns)
{
    while (slices->count > 0 && slices->marks[slices->count - 1].at_ns > end_ns)
        slices->count--;
}

static double rate_of(const struct pp_slices_mark *from, const struct pp_slices_mark *to)
{
    return pp_number_per_s(to->trips - from->trips, to->at_ns - from->at_ns);
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

/* Joins slices until each has some round trips. */
static void join_thin(struct pp_slices *slices)
{
    const struct pp_slices_mark *marks = slices->marks;

    while (slices->count > 2 && marks[slices->count - 1].trips - marks[0].trips <
                                    (uint64_t)TRIPS_LEAST * (slices->count - 1))
        merge_pairs(slices);
}

static double mean_of(const double *values, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum / (double)count;
}

/* No value of the later quarter is below factor times any of the earlier one. */
static bool is_above(const double *later, const double *earlier, size_t count, double factor)
{
    double least = later[0], most = earlier[0];

    for (size_t i = 1; i < count; i++) {
        least = later[i] < least ? later[i] : least;
        most = earlier[i] > most ? earlier[i] : most;
    }
    return least >= factor * most;
}

struct pp_growth pp_slices_growth(struct pp_slices *slices, uint64_t duration_ns)
{
    struct pp_growth growth = { .until_end = false };
    uint64_t begins_ns[PP_COURSE_VALUES_MAX];
    double values[PP_COURSE_VALUES_MAX], second, third;
    size_t count, quarter;

    join_thin(slices);
    count = fill(slices, true, values, begins_ns);
    if (count < GROWTH_SLICES_LEAST)
        return growth;
    quarter = count / 4;
    growth.from_ns = mean_of(values, quarter);
    second = mean_of(values + quarter, quarter);
    third = mean_of(values + count - 2 * quarter, quarter);
    growth.to_ns = mean_of(values + count - quarter, quarter);
    growth.until_end = is_above(values + count - quarter, values, quarter, GROWTH_OVERALL) &&
                       third >= GROWTH_A_QUARTER * second &&
                       growth.to_ns >= GROWTH_A_QUARTER * third &&
                       growth.to_ns - growth.from_ns >= GROWTH_OF_TIME * (double)duration_ns;
    return growth;
}

struct pp_steadiness pp_slices_steadiness(struct pp_slices *slices, bool of_latency,
                                          uint64_t start_ns)
{
    struct pp_steadiness steadiness = { .of_latency = of_latency };
    const struct pp_slices_mark *marks = slices->marks;
    uint64_t begins_ns[PP_COURSE_VALUES_MAX];
    double values[PP_COURSE_VALUES_MAX];
    unsigned count;

    join_thin(slices);
    if (slices->count < 2)
        return steadiness;
    count = fill(slices, of_latency, values, begins_ns);
    steadiness.slices = count;
    steadiness.slice_ns = (marks[slices->count - 1].at_ns - marks[0].at_ns) / (slices->count - 1);
    steadiness.course = pp_course_of(values, count);
    if (steadiness.course.shape == PP_COURSE_STEP)
        steadiness.at_ns = begins_ns[steadiness.course.at] - start_ns;
    return steadiness;
}
