/* The command engines: what this machine has to offer. */
#include "base/clock.h"
#include "base/memory.h"
#include "cli/outputs.h"
#include "cli/peers.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "experiment/floor.h"
#include "job/interrupt.h"
#include "report/capabilities.h"

#include <errno.h>
#include <stdio.h>

/* All of it takes a second. */
#define CALLS_NS (50 * PP_NS_PER_MS)
#define TRIPS_NS (180 * PP_NS_PER_MS)

static void look_at_engines(struct pp_capabilities *found)
{
    const char *names[PP_IO_ENGINES_MAX];

    pp_io_engine_list(PP_PLAN_CONNECTIONS_MAX, names);
    for (; names[found->engine_count]; found->engine_count++)
        pp_io_engine_examine(names[found->engine_count], &found->engines[found->engine_count]);
}

/* Those that a run would take: a pair of CPUs, or why there is none and one CPU. */
static void choose_cpus(struct pp_capabilities *found, struct pp_error *no_pair)
{
    struct pp_error error = { 0 };
    struct pp_plan plan;

    found->cpus[0] = found->cpus[1] = PP_CPU_ANY;
    pp_plan_default(&plan, PP_JOB_RUN);
    plan.placement = PP_PLACEMENT_SPLIT;
    plan.placement_auto = false;
    if (pp_plan_decide(&plan, no_pair) == 0) {
        found->cpus[0] = plan.client_cpus[0];
        found->cpus[1] = plan.server_cpus[0];
        return;
    }
    pp_plan_default(&plan, PP_JOB_RUN);
    plan.placement = PP_PLACEMENT_SAME;
    plan.placement_auto = false;
    if (pp_plan_decide(&plan, &error) == 0)
        found->cpus[0] = plan.client_cpus[0];
}

static void measure_floor(struct pp_capabilities *found, enum pp_floor_kind kind,
                          const struct pp_error *no_pair)
{
    static const enum pp_io_wait waits[PP_FLOOR_KINDS] = {
        [PP_FLOOR_ONE_THREAD] = PP_IO_WAIT_BLOCK, [PP_FLOOR_SAME_BLOCK] = PP_IO_WAIT_BLOCK,
        [PP_FLOOR_SAME_YIELD] = PP_IO_WAIT_YIELD, [PP_FLOOR_SPLIT_BLOCK] = PP_IO_WAIT_BLOCK,
        [PP_FLOOR_SPLIT_SPIN] = PP_IO_WAIT_SPIN,
    };
    const bool is_split = kind == PP_FLOOR_SPLIT_BLOCK || kind == PP_FLOOR_SPLIT_SPIN;
    const struct pp_floor_spec spec = { .transport = PP_FLOOR_TCP,
                                        .one_thread = kind == PP_FLOOR_ONE_THREAD,
                                        .wait = waits[kind],
                                        .look_ns = kind == PP_FLOOR_SAME_YIELD
                                                       ? PP_PLAN_LOOK_US * PP_NS_PER_US
                                                       : PP_IO_SPIN_FOREVER,
                                        .near_cpu = found->cpus[0],
                                        .far_cpu = found->cpus[is_split],
                                        .duration_ns = TRIPS_NS };
    struct pp_floor_found *of = &found->floors[kind];

    if (is_split && no_pair->code)
        of->error = *no_pair;
    else
        (void)pp_floor_measure(&spec, &of->floor, &of->error);
}

static void look(struct pp_capabilities *found)
{
    struct pp_error no_pair = { 0 };

    look_at_engines(found);
    found->peer_count = pp_cli_peers_list(found->peers);
    choose_cpus(found, &no_pair);
    found->call_ns = pp_floor_call_ns(CALLS_NS);
    found->clock_ns = (double)pp_clock_reading_cost_ns();
    for (unsigned i = 0; i < PP_FLOOR_KINDS && !pp_interrupt_signal(); i++)
        measure_floor(found, (enum pp_floor_kind)i, &no_pair);
}

static int write_output(void *context, struct pp_report *report, struct pp_error *err)
{
    const struct pp_capabilities *found = context;

    if (report->format == &pp_report_json)
        return pp_report_capabilities_json(report->out, found, err);
    pp_report_capabilities_text(report->out, &report->style, found);
    return 0;
}

/* What a signal leaves undone is not shown: there is nothing to wait for that is worth half. */
int pp_cli_engines(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct pp_capabilities *found = pp_memory_alloc(1, sizeof *found);
    const struct pp_screen screen = pp_screen_of(cli);
    struct pp_outputs outputs = { 0 };
    int ret;

    if (!found)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory to look at the engines");
    pp_interrupt_install();
    ret = pp_outputs_open(&outputs, cli, &screen, NULL, err);
    if (ret == 0) {
        look(found);
        *signal_out = pp_interrupt_signal();
    }
    if (ret == 0 && !*signal_out)
        ret = pp_outputs_write(&outputs, write_output, found, err);
    pp_outputs_close(&outputs);
    pp_memory_free(found);
    return ret;
}
