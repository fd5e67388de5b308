/* The jobs run and client: the same, with a server of our own or with another one. */
#include "base/memory.h"
#include "bench/interrupt.h"
#include "bench/run.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "report/progress.h"
#include "report/text.h"

#include <errno.h>

static void on_begin(void *context, const struct pp_result *result)
{
    const struct pp_screen *screen = context;

    if (result->refused_engine[0])
        (void)fprintf(stderr, "pingpong: %s; running on engine %s\n", result->refused_engine,
                      result->client.engine_name);
    pp_text_begin(stdout, &screen->style, result);
    (void)fflush(stdout);
}

static void on_progress(void *context, uint64_t done, double share, uint64_t elapsed_ns)
{
    const struct pp_screen *screen = context;

    if (screen->bar_columns)
        pp_progress_draw(stderr, screen->bar_columns, done, share, elapsed_ns);
}

static void warn(const struct pp_plan *plan)
{
    if (plan->wait == PP_IO_WAIT_SPIN && plan->placement == PP_PLACEMENT_SAME)
        (void)fprintf(stderr, "pingpong: spinning on the CPU that the other side needs makes every "
                              "round trip wait for the scheduler; --wait yield does not\n");
}

static int judge(const struct pp_result *result, struct pp_error *err)
{
    if (!result->plan.strict || !result->rate_missed)
        return 0;
    return pp_error_set(err, PP_ERROR_GATE, -ERANGE,
                        "the rate was not held, and --strict asks for it");
}

static int measure(struct pp_plan *plan, struct pp_screen *screen, struct pp_result *result,
                   struct pp_error *err)
{
    const struct pp_run_hooks hooks = { .on_begin = on_begin,
                                        .on_progress = on_progress,
                                        .context = screen };
    int ret = pp_plan_decide(plan, err);

    if (ret < 0)
        return ret;
    warn(plan);
    ret = pp_run(plan, &hooks, result, err);
    if (screen->bar_columns)
        pp_progress_clear(stderr);
    if (result->measured || result->signal)
        pp_text_end(stdout, &screen->style, result);
    return ret < 0 ? ret : judge(result, err);
}

int pp_cli_run(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct pp_screen screen = pp_screen_of(cli);
    struct pp_result *result = pp_memory_alloc(1, sizeof *result);
    struct pp_plan plan = cli->plan;
    int ret, flushed;

    if (!result)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a result");
    pp_interrupt_install();
    ret = measure(&plan, &screen, result, err);
    flushed = pp_screen_flush(err);
    *signal_out = result->signal;
    pp_memory_free(result);
    return ret < 0 ? ret : flushed;
}

int pp_cli_client(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    return pp_cli_run(cli, signal_out, err);
}
