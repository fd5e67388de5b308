#include "cli/variants.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define refuse(err, ...) pp_error_set(err, PP_ERROR_USAGE, -EINVAL, __VA_ARGS__)

static int add(struct pp_cli_experiment *experiment, struct pp_error *err, const char *before,
               const char *between, const char *after)
{
    const unsigned at = experiment->candidate_count;

    if (at == PP_CANDIDATES_MAX)
        return refuse(err, "that makes more than %d candidates: name fewer engines",
                      PP_CANDIDATES_MAX);
    if (snprintf(experiment->made[at], PP_CLI_MADE_BYTES, "%s%s%s", before, between, after) >=
        PP_CLI_MADE_BYTES)
        return refuse(err, "the name of an engine is too long: %.80s", before);
    experiment->candidates[at] = experiment->made[at];
    experiment->candidate_count++;
    return 0;
}

/* ---- each against each ---- */

#define NAMES_MAX (PP_CANDIDATES_MAX + PP_IO_ENGINES_MAX)

/* Those that run here, unless they were named. */
static int name_engines(const struct pp_cli_experiment *experiment, const char *names[NAMES_MAX],
                        unsigned *count, struct pp_error *err)
{
    const char *all[PP_IO_ENGINES_MAX];

    for (unsigned i = 0; i < experiment->candidate_count; i++) {
        if (!pp_io_engine_exists(experiment->candidates[i]))
            return refuse(err, "--matrix takes engines, and \"%.80s\" is none",
                          experiment->candidates[i]);
        names[(*count)++] = experiment->candidates[i];
    }
    if (*count > 0)
        return 0;
    pp_io_engine_list(1, all);
    for (unsigned i = 0; all[i]; i++) {
        struct pp_io_engine_facts facts;

        pp_io_engine_examine(all[i], &facts);
        if (!facts.error.code)
            names[(*count)++] = all[i];
    }
    return 0;
}

static int make_matrix(struct pp_cli_experiment *experiment, struct pp_error *err)
{
    const char *names[NAMES_MAX];
    unsigned count = 0;
    int ret = name_engines(experiment, names, &count, err);

    if (ret == 0 && count < 2)
        return refuse(err, "--matrix takes two engines or more, and here is one: \"pingpong "
                           "engines\" says which run here");
    experiment->candidate_count = 0;
    for (unsigned i = 0; ret == 0 && i < count; i++)
        for (unsigned j = 0; ret == 0 && j < count; j++)
            ret = add(experiment, err, names[i], "/", names[j]);
    experiment->matrix_engines = count;
    return ret;
}

/* ---- one feature at a time ---- */

/* What is granted is taken away, and what has to be asked for is asked for. */
static int make_ablation(struct pp_cli_experiment *experiment, struct pp_error *err)
{
    const char *name = experiment->ablate;
    struct pp_io_engine_facts facts;
    int ret;

    if (experiment->candidate_count > 0)
        return refuse(err, "--ablate makes the candidates: leave out %.80s",
                      experiment->candidates[0]);
    if (strcmp(name, "auto") == 0)
        return refuse(err, "--ablate takes an engine by its name, such as io_uring");
    if (strchr(name, ':'))
        return refuse(err, "--ablate takes an engine with all its features: leave out \"%.80s\"",
                      strchr(name, ':'));
    pp_io_engine_examine(name, &facts);
    if (facts.error.code)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, facts.error.code, "%.250s",
                            facts.error.text);
    ret = add(experiment, err, name, "", "");
    for (unsigned i = 0; ret == 0 && i < facts.feature_count; i++) {
        const struct pp_io_feature_facts *feature = &facts.features[i];

        if (feature->granted)
            ret = add(experiment, err, name, feature->opt_in ? ":" : ":no-", feature->name);
    }
    if (ret == 0 && experiment->candidate_count < 2)
        return refuse(err, "--ablate: %.80s has no feature that could be left out", name);
    return ret;
}

int pp_cli_variants_make(struct pp_cli_experiment *experiment, struct pp_error *err)
{
    if (experiment->matrix && experiment->ablate)
        return refuse(err, "--matrix and --ablate make other candidates each: give one of them");
    if (experiment->matrix)
        return make_matrix(experiment, err);
    return experiment->ablate ? make_ablation(experiment, err) : 0;
}
