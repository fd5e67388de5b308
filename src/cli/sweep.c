/* The command sweep: a candidate for each point of a ladder of loads, trials of all of them in
 * shuffled order, and a row for each. */
#include "base/assert.h"
#include "base/memory.h"
#include "cli/axis.h"
#include "cli/candidates.h"
#include "cli/closed_rate.h"
#include "cli/meanwhile.h"
#include "cli/outputs.h"
#include "cli/screen.h"
#include "cli/slo.h"
#include "cli/table.h"
#include "experiment/record.h"
#include "job/interrupt.h"
#include "report/sweep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POINTS_MAX PP_EXPERIMENT_CANDIDATES_MAX
#define TEXT_BYTES 1024

/* One point: its candidate as it would be typed, and the values of its axes. */
struct point {
    char text[TEXT_BYTES];
    char values[PP_CLI_AXES_MAX][PP_CLI_AXIS_TEXT_BYTES];
};

struct sweeping {
    const struct pp_cli *cli;
    struct pp_screen screen;
    struct pp_outputs outputs;
    struct pp_cli_axis axes[PP_CLI_AXES_MAX];
    struct pp_cli_candidates candidates;
    struct pp_experiment experiment;
    struct pp_sweep_point figures[POINTS_MAX];
    struct pp_knee knees[PP_CANDIDATES_MAX]; /* of each series */
    unsigned count;
    struct point *points;
    const char *texts[POINTS_MAX], *series[POINTS_MAX];
    const char *values[POINTS_MAX][PP_CLI_AXES_MAX];
};

/* ---- points ---- */

/* "connections=10 size=64 io_uring": options first, because what follows "server:" is a command. */
static int add_point(struct sweeping *sweeping, const char *series, const unsigned *steps,
                     struct pp_error *err)
{
    const struct pp_cli_experiment *asked = &sweeping->cli->experiment;
    const unsigned at = sweeping->count;
    struct point *point = &sweeping->points[at];
    size_t used = 0;

    pp_assert(asked->axis_count <= PP_CLI_AXES_MAX);
    if (at == POINTS_MAX)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "a sweep has %d points at most: take larger steps", POINTS_MAX);
    for (unsigned i = 0; i < asked->axis_count; i++) {
        const char *name = asked->axes[i].option->name;

        (void)pp_cli_axis_value(&sweeping->axes[i], steps[i], point->values[i]);
        sweeping->values[at][i] = point->values[i];
        used += (size_t)snprintf(point->text + used, TEXT_BYTES - used, "%s%s=%s", i > 0 ? " " : "",
                                 name, point->values[i]);
    }
    if ((size_t)snprintf(point->text + used, TEXT_BYTES - used, "%s%s", *series ? " " : "",
                         series) >= TEXT_BYTES - used)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL, "a candidate is too long: %.80s...",
                            series);
    sweeping->texts[at] = point->text;
    sweeping->series[at] = series;
    sweeping->count++;
    return 0;
}

/* All steps of the second axis for each of the first. */
static int add_series(struct sweeping *sweeping, const char *series, struct pp_error *err)
{
    const bool two = sweeping->cli->experiment.axis_count > 1;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < sweeping->axes[0].count; i++)
        for (unsigned j = 0; ret == 0 && j < (two ? sweeping->axes[1].count : 1); j++)
            ret = add_point(sweeping, series, (const unsigned[PP_CLI_AXES_MAX]){ i, j }, err);
    return ret;
}

static int add_points(struct sweeping *sweeping, struct pp_error *err)
{
    const struct pp_cli_experiment *asked = &sweeping->cli->experiment;
    int ret = 0;

    if (asked->candidate_count == 0)
        return add_series(sweeping, "", err);
    for (unsigned i = 0; ret == 0 && i < asked->candidate_count; i++)
        ret = add_series(sweeping, asked->candidates[i], err);
    return ret;
}

/* ---- axes ---- */

static int settle_axes(struct sweeping *sweeping, struct pp_error *err)
{
    const struct pp_cli_experiment *asked = &sweeping->cli->experiment;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < asked->axis_count; i++) {
        struct pp_cli_axis *axis = &sweeping->axes[i];
        double rate;

        ret = pp_cli_axis_parse(axis, asked->axes[i].option, asked->axes[i].value, err);
        if (ret < 0 || !axis->to_max)
            continue;
        ret = pp_cli_closed_rate(sweeping->cli, &sweeping->screen,
                                 asked->candidate_count ? asked->candidates[0] : "", &rate, err);
        if (ret == 0)
            ret = pp_cli_axis_end(axis, rate, err);
    }
    return ret;
}

/* ---- at the end ---- */

static unsigned series_count(const struct sweeping *sweeping)
{
    const unsigned candidates = sweeping->cli->experiment.candidate_count;

    return candidates ? candidates : 1;
}

static int write_output(void *context, struct pp_report *report, struct pp_error *err)
{
    const struct sweeping *sweeping = context;
    const struct pp_cli_experiment *asked = &sweeping->cli->experiment;
    const struct pp_experiment *experiment = &sweeping->experiment;
    struct pp_report_sweep of = { .plan = &sweeping->candidates.plan,
                                  .axis_count = asked->axis_count,
                                  .has_series = asked->candidate_count > 1,
                                  .count = sweeping->count,
                                  .points = sweeping->figures,
                                  .series = sweeping->series,
                                  .values = sweeping->values,
                                  .knees = sweeping->knees,
                                  .knee_count = asked->knee ? series_count(sweeping) : 0,
                                  .rounds = experiment->trial_count / sweeping->count,
                                  .seed = experiment->seed,
                                  .signal = experiment->signal };

    for (unsigned i = 0; i < asked->axis_count; i++)
        of.axes[i] = asked->axes[i].option->name;
    if (report->format == &pp_report_json)
        return pp_record_write_sweep(experiment, sweeping->figures, sweeping->knees, of.knee_count,
                                     report->out, err);
    if (report->format == &pp_report_csv)
        pp_report_sweep_csv(report->out, &of);
    else if (report->format == &pp_report_markdown)
        pp_report_sweep_markdown(report->out, &of);
    else
        pp_report_sweep_text(report->out, &report->style, &of);
    return 0;
}

/* ---- from the beginning ---- */

/* Of each series, in which the points of one axis follow each other. */
static int find_knees(struct sweeping *sweeping)
{
    const struct pp_experiment *experiment = &sweeping->experiment;
    const struct pp_cli_axis *axis = &sweeping->axes[0];
    struct pp_ladder ladder = { .trials = experiment->trials,
                                .trial_count = experiment->trial_count,
                                .points = axis->count,
                                .loads = axis->values };
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < series_count(sweeping); i++) {
        ladder.first = i * axis->count;
        ret = pp_knee_of(&ladder, &sweeping->knees[i]);
    }
    return ret;
}

static int work_out(struct sweeping *sweeping)
{
    const struct pp_experiment *experiment = &sweeping->experiment;
    const int ret = pp_sweep_of(experiment->trials, experiment->trial_count, sweeping->figures,
                                sweeping->count);

    return ret == 0 && sweeping->cli->experiment.knee ? find_knees(sweeping) : ret;
}

static int run(struct sweeping *sweeping, struct pp_error *err)
{
    struct pp_experiment *experiment = &sweeping->experiment;
    int ret = pp_cli_run_experiment(experiment, &sweeping->screen, NULL, NULL, err);

    if (ret == 0 && work_out(sweeping) < 0)
        ret = pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the sweep");
    return ret == 0 ? pp_outputs_write(&sweeping->outputs, write_output, sweeping, err) : ret;
}

static int settle(struct sweeping *sweeping, struct pp_error *err)
{
    int ret = settle_axes(sweeping, err);

    if (ret == 0)
        ret = add_points(sweeping, err);
    if (ret == 0)
        ret = pp_cli_candidates_settle(&sweeping->candidates, sweeping->cli, sweeping->texts,
                                       sweeping->count, &sweeping->experiment, err);
    return ret;
}

int pp_cli_sweep(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct sweeping *sweeping;
    int ret;

    if (cli->experiment.slo.text[0])
        return pp_cli_slo(cli, signal_out, err);
    sweeping = pp_memory_alloc(1, sizeof *sweeping);
    if (!sweeping || !(sweeping->points = pp_memory_alloc(POINTS_MAX, sizeof *sweeping->points))) {
        pp_memory_free(sweeping);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a sweep");
    }
    pp_interrupt_install();
    sweeping->cli = cli;
    sweeping->screen = pp_screen_of(cli);
    sweeping->experiment.rounds = cli->experiment.rounds;
    sweeping->experiment.keeps_invalid = true;
    sweeping->experiment.command = cli->words;
    sweeping->experiment.seed = pp_cli_experiment_seed(cli);
    ret = settle(sweeping, err);
    if (ret == 0)
        ret = pp_outputs_open(&sweeping->outputs, cli, &sweeping->screen, NULL, err);
    if (ret == 0)
        ret = run(sweeping, err);
    if (ret == -EINTR && pp_interrupt_signal()) {
        sweeping->experiment.signal = pp_interrupt_signal();
        ret = 0;
    }
    pp_outputs_close(&sweeping->outputs);
    *signal_out = sweeping->experiment.signal;
    pp_experiment_fini(&sweeping->experiment);
    pp_cli_candidates_fini(&sweeping->candidates);
    pp_memory_free(sweeping->points);
    pp_memory_free(sweeping);
    return ret;
}
