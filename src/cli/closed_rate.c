#include "cli/closed_rate.h"

#include "base/memory.h"
#include "cli/candidates.h"
#include "cli/meanwhile.h"

#include <errno.h>

struct closed {
    struct pp_cli_candidates candidates;
    struct pp_experiment experiment;
};

static int run(struct pp_experiment *experiment, const struct pp_screen *screen, double *rate,
               struct pp_error *err)
{
    int ret;

    experiment->rounds = 1;
    experiment->twins = false;
    experiment->keeps_invalid = true;
    ret = pp_cli_run_experiment(experiment, screen, NULL, NULL, err);
    if (ret == 0 && experiment->signal)
        ret = -EINTR;
    if (ret == 0)
        *rate = experiment->trials[0].figures[PP_METRIC_RATE];
    return ret;
}

int pp_cli_closed_rate(const struct pp_cli *cli, const struct pp_screen *screen,
                       const char *candidate, double *rate, struct pp_error *err)
{
    struct closed *closed = pp_memory_alloc(1, sizeof *closed);
    int ret;

    if (!closed)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a run");
    ret = pp_cli_candidates_settle(&closed->candidates, cli, &candidate, 1, &closed->experiment,
                                   err);
    if (ret == 0)
        ret = run(&closed->experiment, screen, rate, err);
    pp_experiment_fini(&closed->experiment);
    pp_cli_candidates_fini(&closed->candidates);
    pp_memory_free(closed);
    return ret;
}
