/* How long runs may be within a budget, then each command of experiments. */
#include "cli/experiments.h"

#include "base/clock.h"
#include "cli/axis.h"
#include "cli/table.h"
#include "cli/variants.h"
#include "experiment/floor.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define usage_error(err, ...) pp_error_set(err, PP_ERROR_USAGE, -EINVAL, __VA_ARGS__)

/* Beside what it measures, a trial takes a while to come and go, and warms up for a tenth. */
#define TRIAL_OVERHEAD_NS (60 * PP_NS_PER_MS)
#define TRIAL_LEAST_NS (200 * PP_NS_PER_MS)

static int settle_budget(struct pp_cli *cli, uint64_t trials, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;
    const uint64_t least_ns = trials * (TRIAL_LEAST_NS * 11 / 10 + TRIAL_OVERHEAD_NS);

    if (!experiment->budget_ns)
        return 0;
    if (cli->given.count || cli->given.time)
        return usage_error(err, "--budget says how long each run is, so --time and --count cannot: "
                                "give one of them");
    if (experiment->budget_ns < least_ns)
        return usage_error(err,
                           "--budget is too short for %" PRIu64 " runs: give it %" PRIu64
                           "s or more, or fewer --rounds",
                           trials, (least_ns + PP_NS_PER_S - 1) / PP_NS_PER_S);
    experiment->trial_ns = (experiment->budget_ns / trials - TRIAL_OVERHEAD_NS) * 10 / 11;
    return 0;
}

/* ---- compare ---- */

/* All is as it was said then, but how many rounds there are to be and what becomes of it. */
static int settle_more(struct pp_cli *cli, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;

    if (experiment->candidate_count > 0)
        return usage_error(err, "--more goes on with the candidates of %.80s: leave out %.80s",
                           experiment->more, experiment->candidates[0]);
    if (experiment->passed_count > 0)
        return usage_error(err, "--more goes on with the options of %.80s: leave out --%s",
                           experiment->more, experiment->passed[0].option->name);
    if (experiment->budget_ns || experiment->before || experiment->after)
        return usage_error(err,
                           "--more goes on with the runs of %.80s: leave out --budget, "
                           "--before and --after",
                           experiment->more);
    if (!cli->given.rounds)
        experiment->rounds = PP_CLI_COMPARE_ROUNDS;
    return 0;
}

/* Of the baseline there is one more in each round. */
static int settle_compare(struct pp_cli *cli, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;
    const int ret = pp_cli_variants_make(experiment, err);

    if (ret < 0)
        return ret;
    if (experiment->more)
        return settle_more(cli, err);
    if (experiment->candidate_count < 2)
        return usage_error(err, "compare takes two candidates or more, such as epoll and io_uring: "
                                "pingpong compare epoll io_uring");
    if (!cli->given.rounds)
        experiment->rounds = PP_CLI_COMPARE_ROUNDS;
    if (experiment->rounds < PP_ROUNDS_LEAST)
        return usage_error(err, "--rounds takes %d to %d: with fewer nothing can be told",
                           PP_ROUNDS_LEAST, PP_ROUNDS_MAX);
    return settle_budget(cli, (uint64_t)experiment->rounds * (experiment->candidate_count + 1),
                         err);
}

/* ---- sweep ---- */

/* Where the end of an axis is not known yet, it has some ten steps. */
#define STEPS_TO_MAX 10

static bool is_rate(const struct pp_cli_passed *axis)
{
    return axis->option->type == PP_CLI_RATE;
}

/* A search takes some six runs; there is one before those that count. */
#define RUNS_A_SEARCH 6

static int settle_search(struct pp_cli *cli, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;
    const uint64_t candidates = experiment->candidate_count ? experiment->candidate_count : 1;

    if (experiment->knee)
        return usage_error(err, "--slo and --knee are looked for in ways of their own: give one");
    if (experiment->axis_count > 1 ||
        (experiment->axis_count == 1 && !is_rate(&experiment->axes[0])))
        return usage_error(err, "--slo looks for a rate: no other option may have several values");
    for (unsigned i = 0; i < experiment->passed_count; i++)
        if (is_rate(&experiment->passed[i]))
            return usage_error(err, "--slo looks for the rate: leave out --rate, or say between "
                                    "which, as in -R 1k..50k");
    if (cli->given.count)
        return usage_error(err, "--slo runs for as long as its percentile needs, so --count cannot "
                                "say when a run is over: leave it out");
    experiment->rounds = experiment->rounds ? experiment->rounds : PP_CLI_SEARCH_ROUNDS;
    return settle_budget(cli, (experiment->rounds + 2) * candidates * RUNS_A_SEARCH, err);
}

static int settle_sweep(struct pp_cli *cli, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;
    uint64_t points = experiment->candidate_count ? experiment->candidate_count : 1;

    if (experiment->slo.text[0])
        return settle_search(cli, err);
    if (experiment->axis_count == 0)
        return usage_error(err, "sweep takes an option with several values, such as "
                                "-c 1..1000:x10, -m 1..64KiB or -R 1k..max:x1.5");
    if (experiment->knee && (experiment->axis_count != 1 || !is_rate(&experiment->axes[0])))
        return usage_error(err, "--knee is one of rates alone, such as -R 1k..max:x1.3");
    if (!experiment->rounds)
        experiment->rounds = experiment->knee ? PP_CLI_SEARCH_ROUNDS : PP_CLI_SWEEP_ROUNDS;
    for (unsigned i = 0; i < experiment->axis_count; i++) {
        struct pp_cli_axis axis;

        (void)pp_cli_axis_parse(&axis, experiment->axes[i].option, experiment->axes[i].value, err);
        points *= axis.to_max ? STEPS_TO_MAX : axis.count;
    }
    return settle_budget(cli, experiment->rounds * points, err);
}

/* ---- explain ---- */

/* A run by hand is shorter than one of the program, so that a round takes about as long as so many
 * of these. */
#define RUNS_OF_EXPLAIN 6

/* What round trips by hand can be like, too. */
static int check_explained(const struct pp_plan *plan, struct pp_error *err)
{
    const struct pp_target *target = &plan->target;

    if (plan->answers || plan->request.min != plan->request.max ||
        plan->request.max > PP_FLOOR_BYTES_MAX)
        return usage_error(err,
                           "explain takes messages of one size, up to 16KiB, that come back as "
                           "they are, such as -m 64");
    if (!target->path[0] && strncmp(target->host, "127.", 4) != 0 &&
        strcmp(target->host, "localhost") != 0)
        return usage_error(err,
                           "explain is about this machine: its --host is 127.0.0.1 or unix:/path, "
                           "not %.80s",
                           target->host[0] ? target->host : "all addresses");
    return 0;
}

static int settle_explain(struct pp_cli *cli, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;
    const int ret = check_explained(&cli->plan, err);

    if (ret < 0)
        return ret;
    experiment->rounds = experiment->rounds ? experiment->rounds : PP_CLI_EXPLAIN_ROUNDS;
    experiment->trial_ns = PP_CLI_EXPLAIN_TRIAL_NS;
    return settle_budget(cli, (uint64_t)experiment->rounds * RUNS_OF_EXPLAIN, err);
}

int pp_cli_experiment_settle(struct pp_cli *cli, struct pp_error *err)
{
    if (cli->command->jobs & PP_CLI_EXPLAIN)
        return settle_explain(cli, err);
    return cli->command->jobs & PP_CLI_SWEEP ? settle_sweep(cli, err) : settle_compare(cli, err);
}
