/* The commands run and client: the same, with a server of our own or with another one. */
#include "base/memory.h"
#include "cli/outputs.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "job/interrupt.h"
#include "job/run.h"
#include "report/figures.h"
#include "report/progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct measurement {
    struct pp_plan plan;
    struct pp_screen screen;
    struct pp_outputs outputs;
    struct pp_result result;
};

static void on_begin(void *context, const struct pp_result *result)
{
    struct measurement *measurement = context;
    const bool two = result->peer == PP_PEER_OURS &&
                     strcmp(result->client.engine_name, result->server.engine_name) != 0;

    if (result->refused_engine[0])
        (void)fprintf(stderr, "pingpong: %s; running on engine %s%s%s\n", result->refused_engine,
                      result->client.engine_name, two ? ", the server on " : "",
                      two ? result->server.engine_name : "");
    pp_outputs_begin(&measurement->outputs);
}

static void on_progress(void *context, uint64_t done, double share, uint64_t elapsed_ns)
{
    const struct measurement *measurement = context;

    const unsigned columns = pp_screen_bar_columns(&measurement->screen);

    if (columns)
        pp_progress_draw(stderr, columns, done, share, elapsed_ns);
}

static int on_interval(void *context, const struct pp_result_interval *interval)
{
    struct measurement *measurement = context;

    return pp_outputs_interval(&measurement->outputs, interval);
}

/* Who reads no text must be told all the same. */
static void warn_of_verdict(const struct pp_verdict *verdict)
{
    for (unsigned i = 0; i < verdict->count; i++)
        if (verdict->reasons[i].level > PP_VALID)
            (void)fprintf(stderr, "pingpong: %s: %s; %s\n",
                          pp_verdict_level_name(verdict->reasons[i].level),
                          verdict->reasons[i].text, pp_reason_cure(verdict->reasons[i].id));
}

static int check_gates(const struct pp_result *result, struct pp_error *err)
{
    unsigned failed = 0, first = 0;
    char text[PP_FIGURES_TEXT_BYTES], more[64] = "";

    for (unsigned i = result->plan.gate_count; i-- > 0;)
        if (result->gates[i].failed) {
            first = i;
            failed++;
        }
    if (failed == 0)
        return 0;
    if (failed > 1)
        (void)snprintf(more, sizeof more, ", and %u more of %u conditions", failed - 1,
                       result->plan.gate_count);
    return pp_error_set(err, PP_ERROR_GATE, -ERANGE, "--fail-if %s%s",
                        pp_figures_gate_text(text, result, first), more);
}

/* Who ends a run early asks for what there is so far, and not for a judgement of it. */
static int judge(const struct pp_result *result, struct pp_error *err)
{
    const enum pp_verdict_level level = result->verdict.level;

    if (result->signal)
        return 0;
    if (check_gates(result, err) < 0)
        return -ERANGE;
    if (result->plan.strict == PP_VALID || level < result->plan.strict)
        return 0;
    if (result->rate_missed)
        return pp_error_set(err, PP_ERROR_GATE, -ERANGE,
                            "the rate was not held, and --strict asks for it");
    return pp_error_set(
        err, PP_ERROR_GATE, -ERANGE, "the result is %s (%s), and --strict asks for a valid one",
        pp_verdict_level_name(level), pp_reason_name(result->verdict.reasons[0].id));
}

/* What was measured is written whatever went wrong then. */
static int write_result(struct measurement *measurement, const struct pp_error *error,
                        struct pp_error *err)
{
    int ret;

    if (!measurement->result.measured && !measurement->result.signal)
        return 0;
    ret = pp_outputs_end(&measurement->outputs, error, err);
    if (!pp_outputs_show_text(&measurement->outputs))
        warn_of_verdict(&measurement->result.verdict);
    return ret;
}

/* The run's own error counts before one of writing, and that before a gate. */
static int run_and_report(struct measurement *measurement, struct pp_error *err)
{
    const struct pp_run_hooks hooks = { .on_begin = on_begin,
                                        .on_progress = on_progress,
                                        .on_interval = on_interval,
                                        .context = measurement };
    struct pp_error error = { 0 };
    int ret, written;

    ret = pp_run(&measurement->plan, &hooks, &measurement->result, &error);
    if (measurement->screen.bar_columns)
        pp_progress_clear(stderr);
    pp_figures_judge(&measurement->result);
    if (ret == 0)
        ret = judge(&measurement->result, &error);
    written = write_result(measurement, &error, err);
    if (written < 0 && (ret == 0 || error.kind == PP_ERROR_GATE))
        return written;
    *err = error;
    return ret;
}

/* 0 with the result's signal set, and no outputs: it came while a pipe had no reader. */
static int open_outputs(struct measurement *measurement, const struct pp_cli *cli,
                        struct pp_error *err)
{
    const int ret = pp_outputs_open(&measurement->outputs, cli, &measurement->screen,
                                    &measurement->result, err);

    if (ret != -EINTR || !pp_interrupt_signal())
        return ret;
    measurement->result.signal = pp_interrupt_signal();
    return 0;
}

int pp_cli_measure(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct measurement *measurement = pp_memory_alloc(1, sizeof *measurement);
    int ret;

    if (!measurement)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a result");
    pp_interrupt_install();
    measurement->plan = cli->plan;
    measurement->screen = pp_screen_of(cli);
    ret = pp_plan_decide(&measurement->plan, err);
    if (ret == 0)
        ret = open_outputs(measurement, cli, err);
    if (ret == 0 && !measurement->result.signal) {
        ret = run_and_report(measurement, err);
        pp_outputs_close(&measurement->outputs);
    }
    *signal_out = measurement->result.signal;
    pp_memory_free(measurement);
    return ret;
}
