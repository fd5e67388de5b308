/* sweep --slo: for each candidate a search that finds about where the condition begins to fail, and
 * then one a round, in turns, from somewhere near there; what they have come to. */
#include "cli/slo.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/axis.h"
#include "cli/candidates.h"
#include "cli/closed_rate.h"
#include "cli/outputs.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "experiment/record.h"
#include "job/interrupt.h"
#include "report/progress.h"
#include "report/slo.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A search takes six tries, and never more than these. */
#define TRIES_USUAL 6
#define TRIES_MAX 64

/* From the highest rate down to the least that is tried, if nobody says. */
#define RANGE 1000

/* The first search goes in large steps, and the others begin around what has been found. */
#define FACTOR_FIRST 2
#define FACTOR 1.1
#define JITTER 0.05

#define ARG_BYTES 48

/* A percentile has ten messages beyond it, or is not known; and one more, as arrivals differ. */
#define TAIL_MESSAGES 11
#define TIME_MAX_NS (60 * PP_NS_PER_S)

struct series {
    const char *name;
    double least, most;
    bool is_over;
    unsigned count; /* of edges; of the first search there is none, unless it is all there is */
    double edges[PP_ROUNDS_MAX];
    double first; /* what the first search has found */
};

struct searching {
    const struct pp_cli *cli;
    struct pp_cli with_rate;
    struct pp_screen screen;
    struct pp_outputs outputs;
    struct pp_cli_candidates candidates;
    struct pp_experiment experiment; /* its trials are the tries, round 0 of the first searches */
    struct pp_random random;
    struct pp_slo_try *tries; /* beside them */
    struct series series[PP_CANDIDATES_MAX];
    struct pp_slo found[PP_CANDIDATES_MAX];
    unsigned capacity;
    uint64_t started_ns;
    uint64_t usual_ns; /* how long a run is */
};

/* ---- candidates and rates ---- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static unsigned rounds_of(const struct searching *searching)
{
    return searching->cli->experiment.rounds;
}

/* Up to what a closed loop makes, unless -R LOW..HIGH says otherwise. */
static int settle_range(const struct searching *searching, struct series *series,
                        struct pp_error *err)
{
    const struct pp_cli_experiment *asked = &searching->cli->experiment;
    struct pp_cli_axis axis = { .to_max = true };
    int ret = asked->axis_count
                  ? pp_cli_axis_parse(&axis, asked->axes[0].option, asked->axes[0].value, err)
                  : 0;

    if (ret == 0 && !axis.to_max) {
        series->least = axis.values[0];
        series->most = axis.values[axis.count - 1];
        return 0;
    }
    if (ret == 0)
        ret = pp_cli_closed_rate(searching->cli, &searching->screen, series->name, &series->most,
                                 err);
    series->least = axis.low > 0 ? axis.low : series->most / RANGE;
    if (ret == 0 && !(series->most > series->least))
        return pp_error_set(err, PP_ERROR_RUN, -ERANGE,
                            "--rate: a closed loop makes no more than %.0f round trips/s here",
                            series->most);
    return ret;
}

/* What is handed on to all, and a rate that each try says anew. */
static int hand_rate_on(struct searching *searching, struct pp_error *err)
{
    struct pp_cli_experiment *own = &searching->with_rate.experiment;
    const struct pp_cli_option *option = pp_cli_options;

    searching->with_rate = *searching->cli;
    if (own->passed_count == PP_CLI_PASSED_MAX)
        return pp_error_set(err, PP_ERROR_USAGE, -E2BIG, "a trial has more than %d options",
                            PP_CLI_PASSED_MAX);
    while (option->type != PP_CLI_RATE)
        option++;
    own->passed[own->passed_count++] = (struct pp_cli_passed){ .option = option, .value = "1" };
    return 0;
}

/* One that was saved cannot be run, and what it says itself would be no try's rate. */
static int check_candidate(const struct pp_candidate *candidate, struct pp_error *err)
{
    unsigned rates = 0;

    if (candidate->saved)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "%.80s was saved, and --slo runs its candidates: leave it out",
                            candidate->name);
    for (char *const *arg = candidate->spec.argv; *arg; arg++)
        rates += begins(*arg, "--rate=") || begins(*arg, "-R");
    if (rates > 1)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "%.80s: --slo looks for the rate: leave it out of the candidate",
                            candidate->name);
    return 0;
}

static int settle(struct searching *searching, struct pp_error *err)
{
    const struct pp_cli_experiment *asked = &searching->cli->experiment;
    const unsigned count = asked->candidate_count ? asked->candidate_count : 1;
    const char *names[PP_CANDIDATES_MAX];
    int ret = hand_rate_on(searching, err);

    for (unsigned i = 0; ret == 0 && i < count; i++) {
        names[i] = asked->candidate_count ? asked->candidates[i] : "";
        searching->series[i].name = names[i];
        ret = settle_range(searching, &searching->series[i], err);
    }
    if (ret == 0)
        ret = pp_cli_candidates_settle(&searching->candidates, &searching->with_rate, names, count,
                                       &searching->experiment, err);
    for (unsigned i = 0; ret == 0 && i < count; i++)
        ret = check_candidate(&searching->experiment.candidates[i], err);
    return ret;
}

/* ---- a try ---- */

static void tell(const struct searching *searching)
{
    const struct pp_experiment *experiment = &searching->experiment;
    const unsigned done = experiment->trial_count;
    const unsigned of = experiment->count * TRIES_USUAL * (rounds_of(searching) + 2);
    const uint64_t spent_ns = pp_clock_now_ns() - searching->started_ns;

    const unsigned columns = pp_screen_bar_columns(&searching->screen);

    if (columns && done > 0)
        pp_progress_trials(stderr, columns, done, of > done ? of : done + 1,
                           of > done ? (of - done) * (spent_ns / done) : 0, "");
}

/* How long a run is: as long as others, or until enough messages have gone for the percentile. */
static uint64_t time_at(const struct searching *searching, double rate)
{
    const double quantile = pp_gate_quantile(searching->cli->experiment.slo.figure);
    const double messages = TAIL_MESSAGES / (1 - quantile);
    const uint64_t usual_ns = searching->usual_ns;
    const double least_ns = fmin(messages / rate * (double)PP_NS_PER_S, (double)TIME_MAX_NS);

    return least_ns > (double)usual_ns ? (uint64_t)least_ns : usual_ns;
}

static int run_at(const struct searching *searching, unsigned candidate, double rate,
                  json_t **result, struct pp_error *err)
{
    struct pp_trial_spec spec = searching->experiment.candidates[candidate].spec;
    const uint64_t time_ns = time_at(searching, rate);
    char *argv[PP_CLI_TRIAL_ARGS_MAX + 1] = { NULL }, rate_text[ARG_BYTES], time_text[ARG_BYTES];

    (void)snprintf(rate_text, sizeof rate_text, "--rate=%.10g", rate);
    (void)snprintf(time_text, sizeof time_text, "--time=%" PRIu64 "us", time_ns / PP_NS_PER_US);
    for (unsigned i = 0; spec.argv[i]; i++)
        argv[i] = begins(spec.argv[i], "--rate=")   ? rate_text
                  : begins(spec.argv[i], "--time=") ? time_text
                                                    : spec.argv[i];
    spec.argv = argv;
    spec.limit_ns += 2 * (time_ns - searching->usual_ns);
    return pp_trial_run(&spec, result, err);
}

/* A rate that is not held makes answers late, and these are in the percentile. */
static int judge(struct searching *searching, const json_t *result, struct pp_trial *trial,
                 struct pp_slo_try *one, struct pp_error *err)
{
    const struct pp_gate *slo = &searching->cli->experiment.slo;
    int ret = pp_trial_read(result, trial, err);

    if (ret == 0)
        ret = pp_trial_percentile(result, pp_gate_quantile(slo->figure) * 100, &one->value_ns, err);
    if (ret == 0 && isnan(one->value_ns))
        return pp_error_set(err, PP_ERROR_RUN, -ERANGE,
                            "%.40s is not known of the few messages of a run at %.0f/s: give -R a "
                            "higher LOW..HIGH",
                            slo->figure, one->rate);
    one->holds = pp_gate_meets(slo, one->value_ns);
    return ret;
}

/* What went wrong once may have been an accident. */
static int try_once(struct searching *searching, unsigned candidate, unsigned round, double rate,
                    bool *holds, struct pp_error *err)
{
    struct pp_experiment *experiment = &searching->experiment;
    struct pp_slo_try *one = &searching->tries[experiment->trial_count];
    struct pp_trial *trial = &experiment->trials[experiment->trial_count];
    struct pp_error why = { 0 };
    json_t *result = NULL;
    int ret = -EIO;

    *trial = (struct pp_trial){ .candidate = candidate, .round = round };
    *one = (struct pp_slo_try){ .rate = rate };
    for (unsigned i = 0; i < 2 && ret < 0 && ret != -EINTR; i++) {
        ret = run_at(searching, candidate, rate, &result, &why);
        if (ret == 0)
            ret = judge(searching, result, trial, one, &why);
        if (ret < 0)
            json_decref(result);
    }
    if (ret == -EINTR)
        return ret;
    if (ret < 0)
        return pp_error_set(err, why.kind, why.code, "%.80s%s%.220s",
                            searching->series[candidate].name,
                            searching->series[candidate].name[0] ? ": " : "", why.text);
    *holds = one->holds;
    if (json_array_append_new(experiment->results, result) < 0)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the results");
    experiment->trial_count++;
    tell(searching);
    return 0;
}

/* ---- searches ---- */

static int search(struct searching *searching, unsigned candidate, unsigned round, double start,
                  double factor, double *edge, struct pp_error *err)
{
    const struct series *series = &searching->series[candidate];
    struct pp_slo_search at = pp_slo_begin(start, factor, series->least, series->most);
    int ret = 0;

    for (unsigned i = 0; ret == 0 && !at.is_over && i < TRIES_MAX; i++) {
        bool holds = false;

        ret = try_once(searching, candidate, round, at.rate, &holds, err);
        if (ret == 0)
            pp_slo_note(&at, holds);
    }
    *edge = at.edge;
    return ret;
}

/* Where it never fails, or always, more searches would find the same. */
static int search_first(struct searching *searching, unsigned candidate, struct pp_error *err)
{
    struct series *series = &searching->series[candidate];
    const int ret = search(searching, candidate, 0, series->most / 4, FACTOR_FIRST, &series->first,
                           err);

    series->is_over = !(series->first > 0) || series->first >= series->most;
    if (ret == 0 && series->is_over)
        series->edges[series->count++] = series->first;
    return ret;
}

static int search_again(struct searching *searching, unsigned candidate, unsigned round,
                        struct pp_error *err)
{
    struct series *series = &searching->series[candidate];
    const double off = JITTER * (2 * pp_random_unit(&searching->random) - 1);
    double middle = series->first;
    struct pp_slo so_far;
    int ret;

    if (pp_slo_of(series->edges, series->count, series->most, &so_far) == 0 && so_far.edge.n > 0)
        middle = so_far.edge.ratio;
    ret = search(searching, candidate, round, middle * (1 + off), FACTOR,
                 &series->edges[series->count], err);
    series->count += ret == 0;
    return ret;
}

/* In each round one candidate after the other, beginning with another one each time. */
static int search_all(struct searching *searching, struct pp_error *err)
{
    const unsigned count = searching->experiment.count;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < count; i++)
        ret = search_first(searching, i, err);
    for (unsigned round = 1; ret == 0 && round <= rounds_of(searching); round++) {
        const unsigned begin = pp_random_below(&searching->random, count);

        for (unsigned i = 0; ret == 0 && i < count; i++)
            if (!searching->series[(begin + i) % count].is_over)
                ret = search_again(searching, (begin + i) % count, round, err);
    }
    if (ret != -EINTR)
        return ret;
    searching->experiment.signal = pp_interrupt_signal();
    return 0;
}

/* ---- from the beginning ---- */

static int write_output(void *context, struct pp_report *report, struct pp_error *err)
{
    struct searching *searching = context;
    const struct pp_experiment *experiment = &searching->experiment;
    struct pp_plan plan = searching->candidates.plan;
    struct pp_report_slo of = { .plan = &plan,
                                .slo = &searching->cli->experiment.slo,
                                .count = experiment->count,
                                .found = searching->found,
                                .trials = experiment->trials,
                                .tries = searching->tries,
                                .trial_count = experiment->trial_count,
                                .seed = experiment->seed,
                                .signal = experiment->signal };

    plan.rate = searching->found[0].edge.n > 0 ? searching->found[0].edge.ratio
                                               : searching->series[0].most;
    for (unsigned i = 0; i < experiment->count; i++) {
        of.names[i] = searching->series[i].name;
        of.most[i] = searching->series[i].most;
        of.least[i] = searching->series[i].least;
    }
    if (report->format == &pp_report_json)
        return pp_record_write_slo(experiment, of.slo->text, searching->found, report->out, err);
    if (report->format == &pp_report_csv)
        pp_report_slo_csv(report->out, &of);
    else if (report->format == &pp_report_markdown)
        pp_report_slo_markdown(report->out, &of);
    else
        pp_report_slo_text(report->out, &report->style, &of);
    return 0;
}

static int open_tries(struct searching *searching, struct pp_error *err)
{
    struct pp_experiment *experiment = &searching->experiment;
    const size_t most = (size_t)experiment->count * TRIES_MAX * (rounds_of(searching) + 1);

    experiment->trials = pp_memory_alloc(most, sizeof *experiment->trials);
    searching->tries = pp_memory_alloc(most, sizeof *searching->tries);
    experiment->results = json_array();
    if (!experiment->trials || !searching->tries || !experiment->results)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the results");
    return 0;
}

static int run(struct searching *searching, struct pp_error *err)
{
    int ret = open_tries(searching, err);

    searching->started_ns = pp_clock_now_ns();
    if (ret == 0)
        ret = search_all(searching, err);
    if (searching->screen.bar_columns)
        pp_progress_clear(stderr);
    for (unsigned i = 0; ret == 0 && i < searching->experiment.count; i++) {
        const struct series *series = &searching->series[i];

        if (pp_slo_of(series->edges, series->count, series->most, &searching->found[i]) < 0)
            ret = pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the searches");
    }
    return ret == 0 ? pp_outputs_write(&searching->outputs, write_output, searching, err) : ret;
}

int pp_cli_slo(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct searching *searching = pp_memory_alloc(1, sizeof *searching);
    int ret;

    if (!searching)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a search");
    pp_interrupt_install();
    searching->cli = cli;
    searching->screen = pp_screen_of(cli);
    searching->experiment.command = cli->words;
    searching->experiment.seed = pp_cli_experiment_seed(cli);
    searching->experiment.rounds = cli->experiment.rounds;
    searching->usual_ns = cli->given.time ? cli->plan.time_ns : cli->experiment.trial_ns;
    searching->random.state = searching->experiment.seed;
    ret = settle(searching, err);
    if (ret == 0)
        ret = pp_outputs_open(&searching->outputs, cli, &searching->screen, NULL, err);
    if (ret == 0)
        ret = run(searching, err);
    if (ret == -EINTR && pp_interrupt_signal()) {
        searching->experiment.signal = pp_interrupt_signal();
        ret = 0;
    }
    pp_outputs_close(&searching->outputs);
    *signal_out = searching->experiment.signal;
    pp_experiment_fini(&searching->experiment);
    pp_cli_candidates_fini(&searching->candidates);
    pp_memory_free(searching->tries);
    pp_memory_free(searching);
    return ret;
}
