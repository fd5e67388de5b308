#include "result/comparison.h"

#include "base/memory.h"

#include <errno.h>
#include <math.h>

/* What is called a difference is one with this chance at most, whatever is looked at besides. */
#define SIGNIFICANT 0.05

const struct pp_metric_about pp_metrics[PP_METRICS] = {
    [PP_METRIC_CPU] = { "cpu", "CPU a round trip", "ns", false },
    [PP_METRIC_RATE] = { "rate", "Round trips/s", "", true },
    [PP_METRIC_P50] = { "p50", "RTT p50", "ns", false },
    [PP_METRIC_P99] = { "p99", "RTT p99", "ns", false },
};

const char *const pp_difference_names[] = {
    [PP_DIFFERENCE_UNKNOWN] = "unknown",    [PP_DIFFERENCE_BETTER] = "better",
    [PP_DIFFERENCE_WORSE] = "worse",        [PP_DIFFERENCE_SAME] = "same",
    [PP_DIFFERENCE_NOISE] = "within noise", [PP_DIFFERENCE_CANNOT_TELL] = "cannot tell"
};

/* The trial of a round; NULL: there is none with figures. */
static const struct pp_trial *find(const struct pp_trial *trials, size_t count, unsigned candidate,
                                   unsigned round, bool twin)
{
    for (size_t i = 0; i < count; i++)
        if (trials[i].candidate == candidate && trials[i].round == round && trials[i].twin == twin)
            return trials[i].missing ? NULL : &trials[i];
    return NULL;
}

static bool is_figure(double value)
{
    return isfinite(value) && value > 0;
}

static unsigned rounds_of(const struct pp_trial *trials, size_t count)
{
    unsigned rounds = 0;

    for (size_t i = 0; i < count; i++)
        if (trials[i].round >= rounds)
            rounds = trials[i].round + 1;
    return rounds;
}

/* ---- a metric of a candidate ---- */

/* scratch holds a value a round. */
static double median(const struct pp_trial *trials, size_t count, unsigned candidate,
                     enum pp_metric metric, double *scratch)
{
    unsigned known = 0;

    for (size_t i = 0; i < count; i++)
        if (trials[i].candidate == candidate && !trials[i].twin && !trials[i].missing &&
            is_figure(trials[i].figures[metric]))
            scratch[known++] = trials[i].figures[metric];
    return pp_stat_median(scratch, known);
}

static double median_memory(const struct pp_trial *trials, size_t count, unsigned candidate,
                            double *scratch)
{
    unsigned known = 0;

    for (size_t i = 0; i < count; i++)
        if (trials[i].candidate == candidate && !trials[i].twin && !trials[i].missing &&
            is_figure(trials[i].memory_bytes))
            scratch[known++] = trials[i].memory_bytes;
    return pp_stat_median(scratch, known);
}

/* Of those rounds that have both. */
static int pair(const struct pp_trial *trials, size_t count, unsigned rounds, unsigned candidate,
                bool twin, enum pp_metric metric, double *scratch, struct pp_paired *paired)
{
    unsigned n = 0;

    for (unsigned round = 0; round < rounds; round++) {
        const struct pp_trial *baseline = find(trials, count, 0, round, false);
        const struct pp_trial *other = find(trials, count, candidate, round, twin);

        if (baseline && other && is_figure(baseline->figures[metric]) &&
            is_figure(other->figures[metric]))
            scratch[n++] = log(other->figures[metric]) - log(baseline->figures[metric]);
    }
    return pp_paired_of(scratch, n, paired);
}

/* ---- verdicts ---- */

static bool holds(const struct pp_interval *interval, double value)
{
    return interval->low <= value && value <= interval->high;
}

/* A difference has to be sure, to be more than anybody should act upon, and to be more than what
 * the baseline shows to itself in the same minutes: by how much its second trials are off, and not
 * the whole interval of that, in which the noise that every interval has already would count
 * twice. */
static enum pp_difference judge(const struct pp_effect *effect, enum pp_metric metric, double floor)
{
    const struct pp_paired *paired = &effect->paired;
    const double off = fabs(paired->ratio - 1);
    const bool sure = !holds(&paired->at95, 1) && effect->p_holm <= SIGNIFICANT &&
                      off > PP_DIFFERENCE_LEAST;

    if (paired->n < PP_ROUNDS_LEAST)
        return PP_DIFFERENCE_UNKNOWN;
    if (sure && off > floor)
        return (paired->ratio > 1) == pp_metrics[metric].more_is_better ? PP_DIFFERENCE_BETTER
                                                                        : PP_DIFFERENCE_WORSE;
    if (sure)
        return PP_DIFFERENCE_NOISE;
    if (paired->at90.low > 1 - PP_DIFFERENCE_LEAST && paired->at90.high < 1 + PP_DIFFERENCE_LEAST)
        return PP_DIFFERENCE_SAME;
    return PP_DIFFERENCE_CANNOT_TELL;
}

/* Of all metrics that are known of all candidates, as one family. Returns how many. */
static unsigned correct(struct pp_comparison *comparison)
{
    double p[PP_CANDIDATES_MAX * PP_METRICS];
    unsigned count = 0, at = 0;

    for (unsigned i = 1; i < comparison->candidates; i++)
        for (unsigned j = 0; j < PP_METRICS; j++)
            if (comparison->effects[i][j].paired.n > 0)
                p[count++] = comparison->effects[i][j].paired.p;
    pp_paired_holm(p, count);
    for (unsigned i = 1; i < comparison->candidates; i++)
        for (unsigned j = 0; j < PP_METRICS; j++)
            comparison->effects[i][j].p_holm = comparison->effects[i][j].paired.n > 0 ? p[at++] : 1;
    return count;
}

/* So many rounds it takes at least for anything to be sure where so many tests are made: of n pairs
 * that all point one way, p is 2 / 2^n. */
static unsigned rounds_for(unsigned tests)
{
    unsigned rounds = 1;

    while (ldexp(2, -(int)rounds) * tests > SIGNIFICANT)
        rounds++;
    return rounds;
}

/* What is clear but for the number of tests takes hardly more rounds. */
static unsigned rounds_needed(const struct pp_effect *effect, unsigned tests)
{
    const unsigned least = rounds_for(tests), n = effect->paired.n;

    if (!holds(&effect->paired.at95, 1) && fabs(effect->paired.ratio - 1) > PP_DIFFERENCE_LEAST)
        return least > n ? least : n + 1;
    return pp_paired_rounds_needed(&effect->paired, PP_DIFFERENCE_LEAST);
}

static void judge_all(struct pp_comparison *comparison, unsigned tests)
{
    for (unsigned i = 1; i < comparison->candidates; i++)
        for (unsigned j = 0; j < PP_METRICS; j++) {
            struct pp_effect *effect = &comparison->effects[i][j];

            effect->difference = judge(effect, (enum pp_metric)j, comparison->floor[j]);
            effect->rounds_needed = rounds_needed(effect, tests);
        }
}

/* ---- all of it ---- */

/* No two trials may stand in one place. */
static bool are_trials(const struct pp_trial *trials, size_t count, unsigned candidates)
{
    bool taken[PP_CANDIDATES_MAX + 1][PP_ROUNDS_MAX] = { { false } };

    for (size_t i = 0; i < count; i++) {
        const struct pp_trial *trial = &trials[i];
        const unsigned place = trial->twin ? PP_CANDIDATES_MAX : trial->candidate;

        if (trial->candidate >= candidates || trial->round >= PP_ROUNDS_MAX ||
            (trial->twin && trial->candidate != 0) || taken[place][trial->round])
            return false;
        taken[place][trial->round] = true;
    }
    return true;
}

static void tally(const struct pp_trial *trials, size_t count, struct pp_comparison *comparison)
{
    for (size_t i = 0; i < count; i++) {
        struct pp_candidate_tally *tally = &comparison->tallies[trials[i].candidate];

        tally->trials++;
        tally->missing += trials[i].missing;
        tally->suspect += !trials[i].missing && trials[i].level == PP_SUSPECT;
        if (!trials[i].missing && trials[i].level == PP_SUSPECT)
            tally->reason = trials[i].reason;
    }
}

static int fill_metric(const struct pp_trial *trials, size_t count, unsigned metric,
                       struct pp_comparison *comparison, double *scratch)
{
    struct pp_effect *twin = &comparison->twin[metric];
    int ret = pair(trials, count, comparison->rounds, 0, true, (enum pp_metric)metric, scratch,
                   &twin->paired);

    twin->p_holm = twin->paired.p;
    comparison->floor[metric] = twin->paired.n > 0 ? fabs(twin->paired.ratio - 1) : 0;
    for (unsigned i = 0; ret == 0 && i < comparison->candidates; i++) {
        struct pp_effect *effect = &comparison->effects[i][metric];

        effect->median = median(trials, count, i, (enum pp_metric)metric, scratch);
        if (i > 0)
            ret = pair(trials, count, comparison->rounds, i, false, (enum pp_metric)metric, scratch,
                       &effect->paired);
    }
    return ret;
}

int pp_comparison_of(const struct pp_trial *trials, size_t count, unsigned candidates,
                     struct pp_comparison *comparison)
{
    double *scratch;
    int ret;

    if (candidates > PP_CANDIDATES_MAX || !are_trials(trials, count, candidates))
        return -EINVAL;
    scratch = pp_memory_alloc(PP_ROUNDS_MAX, sizeof *scratch);
    ret = scratch ? 0 : -ENOMEM;
    *comparison = (struct pp_comparison){ .candidates = candidates,
                                          .rounds = rounds_of(trials, count) };
    tally(trials, count, comparison);
    for (unsigned i = 0; ret == 0 && i < candidates; i++)
        comparison->tallies[i].memory_bytes = median_memory(trials, count, i, scratch);
    for (unsigned metric = 0; ret == 0 && metric < PP_METRICS; metric++)
        ret = fill_metric(trials, count, metric, comparison, scratch);
    pp_memory_free(scratch);
    if (ret < 0)
        return ret;
    judge_all(comparison, correct(comparison));
    return 0;
}
