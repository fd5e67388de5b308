/* The command compare: trials of all candidates in turns, a line of progress meanwhile, and what
 * they come to. */
#include "base/format.h"
#include "base/memory.h"
#include "cli/candidates.h"
#include "cli/meanwhile.h"
#include "cli/more.h"
#include "cli/outputs.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "experiment/record.h"
#include "experiment/saved.h"
#include "job/interrupt.h"
#include "report/comparison.h"
#include "result/change.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIFFERENCES_BYTES 512

struct comparing {
    const struct pp_cli *cli;
    struct pp_cli_more more; /* where that is gone on with: cli is its */
    char differences[PP_CANDIDATES_MAX][DIFFERENCES_BYTES];
    struct pp_screen screen;
    struct pp_outputs outputs;
    struct pp_cli_candidates candidates;
    struct pp_experiment experiment;
    struct pp_comparison comparison;
};

/* ---- meanwhile ---- */

/* The last candidate that can be told apart so far; the rate is what people ask for. */
static void tally(void *context, char *text, size_t bytes)
{
    struct comparing *comparing = context;
    const struct pp_experiment *experiment = &comparing->experiment;
    struct pp_comparison *so_far = &comparing->comparison;
    double ratio;

    text[0] = '\0';
    if (pp_comparison_of(experiment->trials, experiment->trial_count, experiment->count, so_far) <
        0)
        return;
    ratio = so_far->effects[1][PP_METRIC_RATE].paired.ratio;
    if (isfinite(ratio))
        (void)snprintf(text, bytes, "%.24s %+.1f %%", experiment->candidates[1].name,
                       (ratio - 1) * 100);
}

/* ---- at the end ---- */

static int write_output(void *context, struct pp_report *report, struct pp_error *err)
{
    const struct comparing *comparing = context;
    const struct pp_experiment *experiment = &comparing->experiment;
    struct pp_report_comparison of = { .comparison = &comparing->comparison,
                                       .trials = experiment->trials,
                                       .trial_count = experiment->trial_count,
                                       .seed = experiment->seed,
                                       .matrix = comparing->cli->experiment.matrix_engines,
                                       .signal = experiment->signal };

    for (unsigned i = 0; i < experiment->count; i++) {
        of.names[i] = experiment->candidates[i].name;
        of.saved[i] = experiment->candidates[i].saved;
        of.differences[i] = comparing->differences[i];
        if (!of.saved[i])
            of.plan = &comparing->candidates.plan;
    }
    if (report->format == &pp_report_json)
        return pp_record_write(experiment, &comparing->comparison, report->out, err);
    if (report->format == &pp_report_csv)
        pp_report_comparison_csv(report->out, &of);
    else if (report->format == &pp_report_markdown)
        pp_report_comparison_markdown(report->out, &of);
    else
        pp_report_comparison_text(report->out, &report->style, &of);
    return 0;
}

/* The first condition that is surely met fails it; what cannot be told is said. */
static int check_gates(const struct comparing *comparing, struct pp_error *err)
{
    const struct pp_experiment *experiment = &comparing->experiment;
    const struct pp_plan *plan = &comparing->cli->plan;

    for (unsigned i = 0; i < plan->gate_count; i++)
        for (unsigned j = 1; j < experiment->count; j++) {
            const struct pp_gate *gate = &plan->gates[i];
            const struct pp_effect *effect = pp_change_effect(gate, &comparing->comparison, j);
            const enum pp_change change = pp_change_of(gate, &comparing->comparison, j);
            const double low = (effect->paired.at95.low - 1) * 100;
            const double high = (effect->paired.at95.high - 1) * 100;

            if (change == PP_CHANGE_SURELY)
                return pp_error_set(err, PP_ERROR_GATE, -ERANGE,
                                    "--fail-if %.60s: %.80s changed by %+.1f %% [%+.1f, %+.1f]",
                                    gate->text, experiment->candidates[j].name,
                                    (effect->paired.ratio - 1) * 100, low, high);
            if (change == PP_CHANGE_CANNOT_TELL)
                (void)fprintf(stderr,
                              "pingpong: --fail-if %s: whether %s has changed so much cannot be "
                              "told; more --rounds would tell\n",
                              gate->text, experiment->candidates[j].name);
        }
    return 0;
}

/* A value of JSON for people. */
static const char *value_text(const json_t *value, char *text, size_t bytes)
{
    char dumped[256];
    const size_t length = json_is_string(value) ? 0
                                                : json_dumpb(value, dumped, sizeof dumped - 1,
                                                             JSON_ENCODE_ANY | JSON_COMPACT);

    dumped[length < sizeof dumped ? length : 0] = '\0';
    return pp_format_line(text, bytes,
                          json_is_string(value) ? json_string_value(value)
                          : json_is_null(value) ? "n/a"
                                                : dumped);
}

/* "host.kernel 6.1.0, not 6.18.4; ...", as much as fits. */
static void name_differences(struct comparing *comparing, unsigned candidate)
{
    json_t *list = pp_experiment_unlike(&comparing->experiment, candidate);
    char *text = comparing->differences[candidate];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(list) && used < DIFFERENCES_BYTES; i++) {
        const json_t *one = json_array_get(list, i);
        char was[81], is[81];

        used += (size_t)snprintf(text + used, DIFFERENCES_BYTES - used, "%s%s %s, not %s",
                                 i > 0 ? "; " : "", json_string_value(json_object_get(one, "key")),
                                 value_text(json_object_get(one, "other"), is, sizeof is),
                                 value_text(json_object_get(one, "baseline"), was, sizeof was));
    }
    json_decref(list);
}

static int compare(struct comparing *comparing)
{
    const struct pp_experiment *experiment = &comparing->experiment;

    return pp_comparison_of(experiment->trials, experiment->trial_count, experiment->count,
                            &comparing->comparison);
}

/* How much the rate changes, either way; what is not known comes last. */
static double weight(const struct pp_comparison *comparison, unsigned candidate)
{
    const double ratio = comparison->effects[candidate][PP_METRIC_RATE].paired.ratio;

    return isfinite(ratio) ? fabs(log(ratio)) : -1;
}

/* What matters most stands first, after the baseline. */
static int rank(struct comparing *comparing)
{
    const struct pp_comparison *comparison = &comparing->comparison;
    unsigned order[PP_CANDIDATES_MAX] = { 0 };

    for (unsigned i = 1; i < comparison->candidates; i++) {
        unsigned at = i;

        for (; at > 1 && weight(comparison, order[at - 1]) < weight(comparison, i); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    pp_experiment_reorder(&comparing->experiment, order);
    return compare(comparing);
}

static int report(struct comparing *comparing, struct pp_error *err)
{
    const struct pp_experiment *experiment = &comparing->experiment;
    struct pp_error error = { 0 };
    int ret = compare(comparing);

    if (ret == 0 && comparing->cli->experiment.ablate)
        ret = rank(comparing);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "%s",
                            ret == -ENOMEM ? "no memory for the comparison"
                                           : "these are no trials of a comparison");
    for (unsigned i = 1; i < experiment->count; i++)
        name_differences(comparing, i);
    if (!experiment->signal)
        ret = check_gates(comparing, &error);
    if (pp_outputs_write(&comparing->outputs, write_output, comparing, err) < 0)
        return -EIO;
    *err = error;
    return ret;
}

/* ---- from the beginning ---- */

static int run(struct comparing *comparing, struct pp_error *err)
{
    int ret = pp_cli_run_experiment(&comparing->experiment, &comparing->screen, tally, comparing,
                                    err);

    return ret == 0 ? report(comparing, err) : ret;
}

/* There are no more rounds than were saved; where nothing is run, all of these. */
static void count_rounds(struct pp_experiment *experiment)
{
    unsigned saved = 0, least = PP_ROUNDS_MAX;

    for (unsigned i = 0; i < experiment->count; i++)
        if (experiment->candidates[i].saved) {
            saved++;
            if (experiment->candidates[i].saved->rounds < least)
                least = experiment->candidates[i].saved->rounds;
        }
    if (saved == experiment->count || experiment->rounds > least)
        experiment->rounds = least;
}

static int settle(struct comparing *comparing, struct pp_error *err)
{
    struct pp_experiment *experiment = &comparing->experiment;
    const struct pp_cli *cli = comparing->cli;
    int ret = 0;

    if (cli->experiment.more) {
        ret = pp_cli_more_begin(&comparing->more, cli, err);
        comparing->cli = &comparing->more.cli;
    }
    experiment->rounds = cli->experiment.rounds;
    experiment->twins = true;
    experiment->unlike = comparing->cli->experiment.unlike;
    experiment->command = cli->experiment.more ? comparing->more.words + 1 : cli->words;
    experiment->seed = pp_cli_experiment_seed(cli);
    if (ret == 0)
        ret = pp_cli_candidates_settle(&comparing->candidates, comparing->cli,
                                       comparing->cli->experiment.candidates,
                                       comparing->cli->experiment.candidate_count, experiment, err);
    if (ret == 0 && cli->experiment.more)
        return pp_cli_more_resume(&comparing->more, experiment, err);
    count_rounds(experiment);
    return ret;
}

int pp_cli_compare(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct comparing *comparing = pp_memory_alloc(1, sizeof *comparing);
    int ret;

    if (!comparing)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a comparison");
    pp_interrupt_install();
    comparing->cli = cli;
    comparing->screen = pp_screen_of(cli);
    ret = settle(comparing, err);
    if (ret == 0)
        ret = pp_outputs_open(&comparing->outputs, comparing->cli, &comparing->screen, NULL, err);
    if (ret == 0)
        ret = run(comparing, err);
    pp_outputs_close(&comparing->outputs);
    *signal_out = comparing->experiment.signal;
    pp_experiment_fini(&comparing->experiment);
    pp_cli_candidates_fini(&comparing->candidates);
    pp_cli_more_fini(&comparing->more);
    pp_memory_free(comparing);
    return ret;
}
