#include "cli/meanwhile.h"

#include "report/progress.h"

#include <stdio.h>

#define TALLY_BYTES 64

struct meanwhile {
    const struct pp_screen *screen;
    void (*tally)(void *context, char *text, size_t bytes);
    void *context;
};

static void on_progress(void *context, const struct pp_experiment *experiment, unsigned done,
                        unsigned of, uint64_t trial_ns)
{
    const struct meanwhile *meanwhile = context;
    const unsigned columns = pp_screen_bar_columns(meanwhile->screen);
    char text[TALLY_BYTES] = "";

    (void)experiment;
    if (!columns)
        return;
    if (meanwhile->tally)
        meanwhile->tally(meanwhile->context, text, sizeof text);
    pp_progress_trials(stderr, columns, done, of, (of - done) * trial_ns, text);
}

static void on_missing(void *context, const struct pp_experiment *experiment,
                       const struct pp_trial *trial, const char *why)
{
    const struct meanwhile *meanwhile = context;

    if (meanwhile->screen->bar_columns)
        pp_progress_clear(stderr);
    (void)fprintf(stderr, "pingpong: round %u: %s is left out: %s\n", trial->round + 1,
                  experiment->candidates[trial->candidate].name, why);
}

int pp_cli_run_experiment(struct pp_experiment *experiment, const struct pp_screen *screen,
                          void (*tally)(void *context, char *text, size_t bytes), void *context,
                          struct pp_error *err)
{
    struct meanwhile meanwhile = { .screen = screen, .tally = tally, .context = context };
    const struct pp_experiment_hooks hooks = { .on_progress = on_progress,
                                               .on_missing = on_missing,
                                               .context = &meanwhile };
    const int ret = pp_experiment_run(experiment, &hooks, err);

    if (screen->bar_columns)
        pp_progress_clear(stderr);
    return ret;
}
