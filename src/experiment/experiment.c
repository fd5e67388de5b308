#include "experiment/experiment.h"

#include "base/memory.h"

void pp_experiment_fini(struct pp_experiment *experiment)
{
    json_decref(experiment->results);
    experiment->results = NULL;
    pp_memory_free(experiment->trials);
    experiment->trials = NULL;
    experiment->trial_count = 0;
}
