#include "cli/more.h"

#include "cli/table.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* ---- what was asked for ---- */

static int take_words(struct pp_cli_more *more, const char *path, struct pp_error *err)
{
    const json_t *command = pp_saved_command(&more->saved);
    const size_t count = json_array_size(command);
    static char name[] = "pingpong";

    if (count == 0 || count > PP_CLI_MORE_WORDS_MAX)
        return pp_error_set(
            err, PP_ERROR_RUN, -EBADMSG,
            "%.120s does not say what it was asked for with, so that nothing can go "
            "on with it",
            path);
    more->words[0] = name;
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(command, i));

        if (!word)
            return pp_error_set(err, PP_ERROR_RUN, -EBADMSG,
                                "%.120s: its \"command\" is no list of words", path);
        more->words[i + 1] = (char *)(uintptr_t)word; /* which nobody writes to */
    }
    return 0;
}

static int parse(struct pp_cli_more *more, const struct pp_cli *cli, struct pp_error *err)
{
    const char *path = cli->experiment.more;
    struct pp_error why = { 0 };
    int count = 0;

    while (more->words[count])
        count++;
    if (pp_cli_parse(&more->cli, count, more->words, &why) < 0)
        return pp_error_set(err, why.kind, why.code, "%.80s: its command: %.200s", path, why.text);
    if (more->cli.command != cli->command || more->cli.experiment.more)
        return pp_error_set(err, PP_ERROR_RUN, -EBADMSG, "%.120s: its command is no comparison",
                            path);
    return 0;
}

int pp_cli_more_begin(struct pp_cli_more *more, const struct pp_cli *cli, struct pp_error *err)
{
    int ret = pp_saved_read(cli->experiment.more, &more->saved, err);

    more->path = cli->experiment.more;
    if (ret == 0)
        ret = take_words(more, cli->experiment.more, err);
    if (ret == 0)
        ret = parse(more, cli, err);
    if (ret < 0)
        return ret;
    more->cli.quiet = cli->quiet;
    more->cli.verbose = cli->verbose;
    more->cli.output_count = cli->output_count;
    memcpy(more->cli.outputs, cli->outputs, sizeof more->cli.outputs);
    more->cli.plan.gate_count = cli->plan.gate_count;
    memcpy(more->cli.plan.gates, cli->plan.gates, sizeof more->cli.plan.gates);
    more->cli.experiment.rounds = cli->experiment.rounds;
    more->cli.experiment.unlike |= cli->experiment.unlike;
    return 0;
}

/* ---- what was found out ---- */

/* As then, with what was decided then: but for the program's path, which may have moved. */
static int take_argv(struct pp_cli_more *more, unsigned candidate, struct pp_candidate *out,
                     struct pp_error *err)
{
    const json_t *saved = pp_saved_argv(&more->saved, candidate);
    const size_t count = json_array_size(saved);
    struct pp_cli_more_argv *argv = &more->argv[candidate];

    if (count == 0 || count > PP_CLI_TRIAL_ARGS_MAX)
        return pp_error_set(err, PP_ERROR_RUN, -EBADMSG, "%.80s: \"argv\" is no list of words",
                            out->name);
    argv->words[0] = out->spec.argv[0];
    for (size_t i = 1; i < count; i++) {
        const char *word = json_string_value(json_array_get(saved, i));

        if (!word)
            return pp_error_set(err, PP_ERROR_RUN, -EBADMSG, "%.80s: \"argv\" is no list of words",
                                out->name);
        argv->words[i] = (char *)(uintptr_t)word;
    }
    out->spec.argv = argv->words;
    return 0;
}

/* The number of the candidate of that name; count: there is none. */
static unsigned find(const struct pp_experiment *experiment, const char *name)
{
    unsigned i = 0;

    while (i < experiment->count && strcmp(experiment->candidates[i].name, name) != 0)
        i++;
    return i;
}

int pp_cli_more_resume(struct pp_cli_more *more, struct pp_experiment *experiment,
                       struct pp_error *err)
{
    const struct pp_saved *saved = &more->saved;
    unsigned order[PP_EXPERIMENT_CANDIDATES_MAX];
    struct pp_error why = { 0 };
    bool is_same = saved->count == experiment->count;

    for (unsigned i = 0; is_same && i < saved->count; i++) {
        order[i] = find(experiment, saved->names[i]);
        is_same = order[i] < experiment->count;
        for (unsigned j = 0; j < i; j++)
            is_same = is_same && order[j] != order[i];
    }
    if (!is_same)
        return pp_error_set(err, PP_ERROR_RUN, -ESTALE,
                            "its command asks for other candidates here than then");
    pp_experiment_reorder(experiment, order);
    for (unsigned i = 0; i < saved->count; i++) {
        struct pp_candidate *candidate = &experiment->candidates[i];
        const int ret = candidate->saved ? 0 : take_argv(more, i, candidate, err);

        if (ret < 0)
            return ret;
    }
    if (pp_experiment_resume(experiment, saved, &why) < 0)
        return pp_error_set(err, why.kind, why.code, "%.120s: %.200s", more->path, why.text);
    return 0;
}

void pp_cli_more_fini(struct pp_cli_more *more)
{
    pp_saved_fini(&more->saved);
}
