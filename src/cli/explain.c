/* The command explain: the program as it was asked for, the same with another option each, and
 * round trips by hand that do a part of what it does, all in turns. */
#include "base/container.h"
#include "base/memory.h"
#include "cli/candidates.h"
#include "cli/meanwhile.h"
#include "cli/outputs.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "experiment/record.h"
#include "job/interrupt.h"
#include "measure/host.h"
#include "report/explanation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Round trips by hand are less at the mercy of others than a whole program: they take this share of
 * its time, and no more than this. */
#define BY_HAND_SHARE 3
#define BY_HAND_MAX_NS (500 * PP_NS_PER_MS)

#define OTHER_BYTES 80

/* The program with other options: as a candidate, "wait=block", and as they are typed. */
struct other {
    char text[OTHER_BYTES], shown[OTHER_BYTES + 8];
};

struct explaining {
    const struct pp_cli *cli;
    struct pp_screen screen;
    struct pp_outputs outputs;
    struct pp_cli_candidates candidates;
    struct pp_experiment experiment;
    struct pp_explanation_design design;
    struct pp_floor_spec floors[PP_EXPLAINED_RUNS];
    unsigned other_count;
    struct other others[PP_EXPLAINED_OTHERS_MAX];
    char alone[OTHER_BYTES]; /* the program with one message, as a candidate */
    struct pp_explanation explanation;
};

/* ---- the program with other options ---- */

static void add_other(struct explaining *explaining, const char *first, const char *then)
{
    struct other *other = &explaining->others[explaining->other_count];

    if (explaining->other_count == PP_EXPLAINED_OTHERS_MAX)
        return;
    explaining->other_count++;
    (void)snprintf(other->text, sizeof other->text, "%s%s%s", first, *then ? " " : "", then);
    (void)snprintf(other->shown, sizeof other->shown, "--%s%s%s", first, *then ? " --" : "", then);
}

static enum pp_explained_place place_of(const struct pp_plan *plan)
{
    if (plan->client_cpus[0] == PP_CPU_ANY)
        return PP_EXPLAINED_ANYWHERE;
    return plan->client_cpus[0] == plan->server_cpus[0] ? PP_EXPLAINED_SAME : PP_EXPLAINED_SPLIT;
}

static bool is_loaded(const struct pp_plan *plan)
{
    return plan->connections > 1 || plan->depth > 1 || plan->client_threads > 1 ||
           plan->server_threads > 1;
}

static enum pp_explained_transport transport_of(const struct pp_plan *plan)
{
    if (plan->target.path[0])
        return PP_EXPLAINED_OVER_UNIX;
    return plan->socket.dgram ? PP_EXPLAINED_OVER_UDP : PP_EXPLAINED_OVER_TCP;
}

static struct pp_explained_setup setup_of(const struct pp_plan *plan)
{
    return (struct pp_explained_setup){ .place = place_of(plan),
                                        .wait = plan->wait,
                                        .transport = transport_of(plan),
                                        .loaded = is_loaded(plan) };
}

static bool has_two_cpus(void)
{
    struct pp_host_cpu cpus[2];

    return pp_host_cpus(cpus, 2) > 1;
}

static void add_other_place(struct explaining *explaining, enum pp_explained_place place)
{
    if (place != PP_EXPLAINED_SAME)
        add_other(explaining, "placement=same", "wait=auto");
    if (place != PP_EXPLAINED_SPLIT && has_two_cpus())
        add_other(explaining, "placement=split", "wait=auto");
}

/* Two that never sleep need a CPU each. */
static void add_other_waits(struct explaining *explaining, enum pp_explained_place place,
                            enum pp_io_wait wait)
{
    if (wait != PP_IO_WAIT_BLOCK)
        add_other(explaining, "wait=block", "");
    if (wait != PP_IO_WAIT_YIELD && place != PP_EXPLAINED_SPLIT)
        add_other(explaining, "wait=yield", "");
    if (wait != PP_IO_WAIT_SPIN && place == PP_EXPLAINED_SPLIT)
        add_other(explaining, "wait=spin", "");
}

static void add_other_engines(struct explaining *explaining, const char *engine)
{
    const char *names[PP_IO_ENGINES_MAX];

    pp_io_engine_list(1, names);
    for (unsigned i = 0; names[i]; i++) {
        const size_t length = strlen(names[i]);
        struct pp_io_engine_facts facts;
        char text[OTHER_BYTES];

        if (strncmp(engine, names[i], length) == 0 && strchr(":", engine[length]))
            continue;
        pp_io_engine_examine(names[i], &facts);
        (void)snprintf(text, sizeof text, "engine=%s", names[i]);
        if (!facts.error.code)
            add_other(explaining, text, "");
    }
}

/* The name of the engine that the program runs on. */
static const char *engine_of(const struct explaining *explaining)
{
    const char *asked = explaining->candidates.plan.client_engine;

    return strcmp(asked, "auto") == 0 ? explaining->candidates.engine : asked;
}

static void add_others(struct explaining *explaining)
{
    const struct pp_plan *plan = &explaining->candidates.plan;
    const enum pp_explained_place place = place_of(plan);

    add_other_place(explaining, place);
    add_other_waits(explaining, place, plan->wait);
    add_other_engines(explaining, engine_of(explaining));
}

/* ---- round trips by hand ---- */

static uint64_t by_hand_ns(const struct pp_cli *cli)
{
    const uint64_t trial_ns = cli->given.time ? cli->plan.time_ns : cli->experiment.trial_ns;
    const uint64_t share_ns = trial_ns / BY_HAND_SHARE;

    return share_ns < BY_HAND_MAX_NS ? share_ns : BY_HAND_MAX_NS;
}

/* The socket that is the cheapest of its kind. */
static enum pp_floor_transport unix_of(const struct pp_plan *plan)
{
    return plan->target.path[0] && plan->socket.dgram ? PP_FLOOR_UNIX_DGRAM : PP_FLOOR_UNIX;
}

static enum pp_floor_transport floor_transport_of(const struct pp_plan *plan)
{
    if (plan->target.path[0])
        return unix_of(plan);
    return plan->socket.dgram ? PP_FLOOR_UDP : PP_FLOOR_TCP;
}

static struct pp_floor_spec floor_of(const struct explaining *explaining, enum pp_explained_run run)
{
    const struct pp_plan *plan = &explaining->candidates.plan;
    struct pp_floor_spec spec = { .transport = floor_transport_of(plan),
                                  .ruler = PP_FLOOR_EACH,
                                  .one_thread = run >= PP_EXPLAINED_CALLS &&
                                                run <= PP_EXPLAINED_ONE,
                                  .wait = plan->wait,
                                  .look_ns = plan->spin_ns,
                                  .near_cpu = plan->client_cpus[0],
                                  .far_cpu = plan->server_cpus[0],
                                  .bytes = plan->request.min,
                                  .duration_ns = by_hand_ns(explaining->cli) };

    switch (run) {
    case PP_EXPLAINED_CALLS:
        spec.transport = PP_FLOOR_NOTHING;
        spec.ruler = PP_FLOOR_BARE;
        break;
    case PP_EXPLAINED_MEASURING:
        spec.transport = unix_of(plan);
        spec.ruler = PP_FLOOR_IN_TURNS;
        break;
    case PP_EXPLAINED_UNIX:
        spec.transport = unix_of(plan);
        break;
    case PP_EXPLAINED_SAME_BLOCK:
        spec.far_cpu = spec.near_cpu;
        spec.wait = PP_IO_WAIT_BLOCK;
        break;
    case PP_EXPLAINED_SPLIT_SPIN:
        spec.wait = PP_IO_WAIT_SPIN;
        spec.look_ns = PP_IO_SPIN_FOREVER;
        break;
    case PP_EXPLAINED_PROGRAM:
    case PP_EXPLAINED_ALONE:
    case PP_EXPLAINED_ONE:
    case PP_EXPLAINED_AS_ASKED:
    case PP_EXPLAINED_RUNS:
        break;
    }
    return spec;
}

static void add_floors(struct explaining *explaining)
{
    struct pp_experiment *experiment = &explaining->experiment;
    const struct pp_explained_setup setup = setup_of(&explaining->candidates.plan);

    explaining->design = pp_explanation_design_of(&setup);
    for (unsigned i = PP_EXPLAINED_CALLS; i < PP_EXPLAINED_RUNS; i++) {
        const enum pp_explained_run run = (enum pp_explained_run)i;

        if (!explaining->design.needs[run])
            continue;
        explaining->floors[run] = floor_of(explaining, run);
        experiment->candidates[experiment->count++] = (struct pp_candidate){
            .name = pp_explained_titles[run], .spec.floor = &explaining->floors[run]
        };
    }
}

/* ---- what is run ---- */

/* As a candidate: a client's and a server's thread where the first of each are. */
static void write_alone(char text[OTHER_BYTES], const struct pp_plan *plan)
{
    const char *one = "connections=1 depth=1 threads=1 server-threads=1";

    if (plan->client_cpus[0] == PP_CPU_ANY)
        (void)snprintf(text, OTHER_BYTES, "%s placement=none", one);
    else
        (void)snprintf(text, OTHER_BYTES, "%s cpus=%d,%d", one, plan->client_cpus[0],
                       plan->server_cpus[0]);
}

/* All that is run beside the program as it was asked for; how many that are. */
static unsigned list_programs(struct explaining *explaining,
                              const char *texts[PP_EXPLAINED_OTHERS_MAX + 1])
{
    const struct pp_plan *plan = &explaining->candidates.plan;
    unsigned count = 0;

    add_others(explaining);
    for (; count < explaining->other_count; count++)
        texts[count] = explaining->others[count].text;
    if (is_loaded(plan)) {
        write_alone(explaining->alone, plan);
        texts[count++] = explaining->alone;
    }
    return count;
}

static void name_programs(struct explaining *explaining)
{
    struct pp_candidate *candidates = explaining->experiment.candidates;

    candidates[0].name = pp_explained_titles[PP_EXPLAINED_PROGRAM];
    for (unsigned i = 0; i < explaining->other_count; i++)
        candidates[1 + i].name = explaining->others[i].shown;
    if (is_loaded(&explaining->candidates.plan))
        candidates[1 + explaining->other_count].name = pp_explained_titles[PP_EXPLAINED_ALONE];
}

/* What was decided for the program says what else there is to run, and holds for all of it. */
static int settle(struct explaining *explaining, struct pp_error *err)
{
    const char *const program = "", *texts[PP_EXPLAINED_OTHERS_MAX + 1];
    struct pp_experiment *experiment = &explaining->experiment;
    struct pp_cli_candidates *candidates = &explaining->candidates;
    int ret = pp_cli_candidates_settle(candidates, explaining->cli, &program, 1, experiment, err);

    if (ret == 0)
        ret = pp_cli_candidates_settle(candidates, explaining->cli, texts,
                                       list_programs(explaining, texts), experiment, err);
    if (ret < 0)
        return ret;
    name_programs(explaining);
    add_floors(explaining);
    return 0;
}

/* ---- at the end ---- */

static int write_output(void *context, struct pp_report *report, struct pp_error *err)
{
    const struct explaining *explaining = context;
    const struct pp_experiment *experiment = &explaining->experiment;
    const char *others[PP_EXPLAINED_OTHERS_MAX], *names[PP_EXPLAINED_OTHERS_MAX];
    const struct pp_report_explanation of = { .explanation = &explaining->explanation,
                                              .others = others,
                                              .names = names,
                                              .plan = &explaining->candidates.plan,
                                              .engine = engine_of(explaining),
                                              .runs = experiment->count,
                                              .seed = experiment->seed,
                                              .signal = experiment->signal };

    for (unsigned i = 0; i < explaining->other_count; i++) {
        others[i] = explaining->others[i].shown;
        names[i] = explaining->others[i].text;
    }
    if (report->format == &pp_report_json)
        return pp_record_write_explanation(experiment, &explaining->explanation, report->out, err);
    if (report->format == &pp_report_csv)
        pp_report_explanation_csv(report->out, &of);
    else if (report->format == &pp_report_markdown)
        pp_report_explanation_markdown(report->out, &of);
    else
        pp_report_explanation_text(report->out, &report->style, &of);
    return 0;
}

static int run(struct explaining *explaining, struct pp_error *err)
{
    struct pp_experiment *experiment = &explaining->experiment;
    int ret = pp_cli_run_experiment(experiment, &explaining->screen, NULL, NULL, err);

    if (ret < 0)
        return ret;
    if (pp_explanation_of(&explaining->design, explaining->other_count, experiment->trials,
                          experiment->trial_count, &explaining->explanation) < 0)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the explanation");
    return pp_outputs_write(&explaining->outputs, write_output, explaining, err);
}

int pp_cli_explain(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct explaining *explaining = pp_memory_alloc(1, sizeof *explaining);
    int ret;

    if (!explaining)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for an explanation");
    pp_interrupt_install();
    explaining->cli = cli;
    explaining->screen = pp_screen_of(cli);
    explaining->experiment.rounds = cli->experiment.rounds;
    explaining->experiment.keeps_invalid = true;
    explaining->experiment.command = cli->words;
    explaining->experiment.seed = pp_cli_experiment_seed(cli);
    ret = settle(explaining, err);
    if (ret == 0)
        ret = pp_outputs_open(&explaining->outputs, cli, &explaining->screen, NULL, err);
    if (ret == 0)
        ret = run(explaining, err);
    pp_outputs_close(&explaining->outputs);
    *signal_out = explaining->experiment.signal;
    pp_experiment_fini(&explaining->experiment);
    pp_cli_candidates_fini(&explaining->candidates);
    pp_memory_free(explaining);
    return ret;
}
