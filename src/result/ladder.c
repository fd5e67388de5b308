#include "result/ladder.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>

/* ---- where the slope passes 1 ---- */

/* How far from a step points are looked at, as a logarithm: a factor of 1.3 either way, over which
 * a queue's slope hardly bends, and noise counts less. */
#define WINDOW 0.26

/* Between the steps of a ladder of x1.3 lies so much: by as much the knee of a queue whose knee is
 * known is off without any noise. */
#define BETWEEN_STEPS 1.03

/* None at all has no logarithm. */
#define SLOPE_LEAST 0.05

/* Logarithms of loads and latencies of one round, and the slopes between neighbours. */
struct curve {
    unsigned count;
    double load[PP_LADDER_POINTS_MAX], latency[PP_LADDER_POINTS_MAX], slope[PP_LADDER_POINTS_MAX];
};

static void take_round(const struct pp_ladder *ladder, unsigned round, struct curve *curve)
{
    curve->count = 0;
    for (unsigned i = 0; i < ladder->points; i++)
        for (size_t j = 0; j < ladder->trial_count; j++) {
            const struct pp_trial *trial = &ladder->trials[j];
            const double ns = trial->figures[PP_METRIC_P99];

            if (trial->candidate != ladder->first + i || trial->round != round || trial->missing ||
                !(ns > 0))
                continue;
            curve->load[curve->count] = log(ladder->loads[i]);
            curve->latency[curve->count++] = log(ns);
            break;
        }
}

static double middle(const struct curve *curve, unsigned at)
{
    return (curve->load[at] + curve->load[at + 1]) / 2;
}

/* Of the line through all points that are near the middle of step at, two at least. */
static double slope_at(const struct curve *curve, unsigned at)
{
    const double from = fmin(middle(curve, at) - WINDOW, curve->load[at]);
    const double to = fmax(middle(curve, at) + WINDOW, curve->load[at + 1]);
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;

    for (unsigned i = 0; i < curve->count; i++) {
        const double load = curve->load[i] - middle(curve, at);

        if (curve->load[i] < from || curve->load[i] > to)
            continue;
        n++;
        x += load;
        y += curve->latency[i];
        xx += load * load;
        xy += load * curve->latency[i];
    }
    return (n * xy - x * y) / (n * xx - x * x);
}

/* Neighbours that fall have their mean, until none do; as many slopes as points, less one. */
static void fill_slopes(struct curve *curve)
{
    unsigned pools = 0, sizes[PP_LADDER_POINTS_MAX];

    for (unsigned i = 0; i + 1 < curve->count; i++) {
        curve->slope[pools] = slope_at(curve, i);
        sizes[pools++] = 1;
        for (; pools > 1 && curve->slope[pools - 2] > curve->slope[pools - 1]; pools--) {
            const unsigned into = pools - 2, both = sizes[into] + sizes[into + 1];

            curve->slope[into] =
                (curve->slope[into] * sizes[into] + curve->slope[into + 1] * sizes[into + 1]) /
                both;
            sizes[into] = both;
        }
    }
    for (unsigned at = curve->count - 1; pools-- > 0;)
        for (unsigned i = 0; i < sizes[pools]; i++)
            curve->slope[--at] = curve->slope[pools];
}

/* The logarithm of the load there, between the middles of two steps, over which slopes grow by
 * factors; NAN: it passes 1 nowhere, or before the first. */
static double knee_of(const struct curve *curve)
{
    for (unsigned i = 1; i + 1 < curve->count; i++) {
        const double below = log(fmax(curve->slope[i - 1], SLOPE_LEAST));
        const double above = log(curve->slope[i]);

        if (below < 0 && curve->slope[i] >= 1)
            return middle(curve, i - 1) -
                   (middle(curve, i) - middle(curve, i - 1)) * below / (above - below);
    }
    return NAN;
}

int pp_knee_of(const struct pp_ladder *ladder, struct pp_knee *knee)
{
    double knees[PP_ROUNDS_MAX];
    int ret;

    pp_assert(ladder->points <= PP_LADDER_POINTS_MAX);
    *knee = (struct pp_knee){ .rounds = 0 };
    for (unsigned round = 0; round < PP_ROUNDS_MAX; round++) {
        struct curve curve;

        take_round(ladder, round, &curve);
        if (curve.count < PP_KNEE_POINTS_LEAST)
            continue;
        fill_slopes(&curve);
        knee->rounds++;
        knees[knee->found] = knee_of(&curve);
        if (isfinite(knees[knee->found]))
            knee->found++;
    }
    ret = pp_paired_of(knees, knee->found, &knee->load);
    knee->load.at95.low /= BETWEEN_STEPS;
    knee->load.at95.high *= BETWEEN_STEPS;
    return ret;
}

/* ---- up to which rate a condition holds ---- */

#define NEAR 1.02 /* from the rate that holds to the one that fails */

static double within(const struct pp_slo_search *search, double rate)
{
    return fmin(fmax(rate, search->least), search->most);
}

struct pp_slo_search pp_slo_begin(double start, double factor, double least, double most)
{
    struct pp_slo_search search = {
        .least = least, .most = most, .factor = factor, .fails_at = INFINITY
    };

    search.rate = within(&search, start);
    return search;
}

static void end(struct pp_slo_search *search, double edge)
{
    search->is_over = true;
    search->edge = edge;
}

void pp_slo_note(struct pp_slo_search *search, bool holds)
{
    if (holds)
        search->holds_at = search->rate;
    else
        search->fails_at = search->rate;
    if (search->holds_at >= search->most) {
        end(search, search->most);
    } else if (search->fails_at <= search->least) {
        end(search, 0);
    } else if (search->fails_at <= search->holds_at * NEAR) {
        end(search, sqrt(search->holds_at * search->fails_at));
    } else if (search->holds_at > 0 && isfinite(search->fails_at)) {
        search->rate = sqrt(search->holds_at * search->fails_at);
    } else {
        search->rate = within(search, holds ? search->rate * search->factor
                                            : search->rate / search->factor);
        search->factor *= search->factor;
    }
}

int pp_slo_of(const double *edges, unsigned count, double most, struct pp_slo *slo)
{
    double *logs = pp_memory_alloc(count ? count : 1, sizeof *logs);
    unsigned inside = 0;
    int ret;

    *slo = (struct pp_slo){ .rounds = count };
    if (!logs)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        slo->never += !(edges[i] > 0);
        slo->most += edges[i] >= most;
        if (edges[i] > 0 && edges[i] < most)
            logs[inside++] = log(edges[i]);
    }
    ret = pp_paired_of(logs, inside, &slo->edge);
    pp_memory_free(logs);
    return ret;
}
