#include "cli/closed_rate.h"

#include "base/memory.h"
#include "cli/candidates.h"

#include <errno.h>

struct closed {
    struct pp_cli_candidates candidates;
    struct pp_experiment experiment;
};

int pp_cli_closed_rate(const struct pp_cli *cli, const char *candidate, double *rate,
                       struct pp_error *err)
{
    struct closed *closed = pp_memory_alloc(1, sizeof *closed);
    struct pp_trial trial = { .candidate = 0 };
    json_t *result = NULL;
    int ret;

    if (!closed)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a run");
    ret = pp_cli_candidates_settle(&closed->candidates, cli, &candidate, 1, &closed->experiment,
                                   err);
    if (ret == 0)
        ret = pp_trial_run(&closed->experiment.candidates[0].spec, &result, err);
    if (ret == 0)
        ret = pp_trial_read(result, &trial, err);
    json_decref(result);
    pp_cli_candidates_fini(&closed->candidates);
    pp_memory_free(closed);
    *rate = trial.figures[PP_METRIC_RATE];
    return ret;
}
