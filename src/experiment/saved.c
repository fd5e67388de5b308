#include "experiment/saved.h"

#include "base/format.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FORMAT "pingpong-experiment"
#define FORMAT_VERSION 1

static int refuse(const char *path, const char *what, struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_RUN, -EBADMSG, "%.120s: %.200s", path, what);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* A whole number from 0 to most. */
static bool take_whole(const json_t *value, uint64_t most, uint64_t *number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return true;
}

/* ---- the document ---- */

/* One that a reader could wait for is none. */
static FILE *open_regular(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat facts;
    FILE *file;

    if (fd < 0)
        return NULL;
    file = fdopen(fd, "r");
    if (!file || fstat(fd, &facts) < 0 || S_ISREG(facts.st_mode))
        return file;
    (void)fclose(file);
    errno = S_ISDIR(facts.st_mode) ? EISDIR : ESPIPE;
    return NULL;
}

static int load(const char *path, struct pp_saved *saved, struct pp_error *err)
{
    json_error_t why = { .text = "" };
    FILE *file = open_regular(path);
    char shown[161];

    if (!file)
        return pp_error_set(err, PP_ERROR_RUN, -errno, "cannot read %.120s: %s", path,
                            errno == ESPIPE ? "it is no regular file" : strerror(errno));
    saved->whole = json_loadf(file, JSON_REJECT_DUPLICATES, &why);
    (void)fclose(file);
    return saved->whole ? 0 : refuse(path, pp_format_line(shown, sizeof shown, why.text), err);
}

static int take_names(const char *path, struct pp_saved *saved, struct pp_error *err)
{
    const json_t *candidates = json_object_get(saved->whole, "candidates");

    saved->count = (unsigned)json_array_size(candidates);
    if (json_array_size(candidates) == 0 ||
        json_array_size(candidates) > PP_EXPERIMENT_CANDIDATES_MAX)
        return refuse(path, "\"candidates\" is no list of candidates", err);
    for (unsigned i = 0; i < saved->count; i++) {
        const json_t *name = json_object_get(json_array_get(candidates, i), "name");

        if (!json_is_string(name))
            return refuse(path, "a candidate has no \"name\"", err);
        saved->names[i] = json_string_value(name);
    }
    return 0;
}

/* ---- trials ---- */

static int take_trial(const char *path, const json_t *object, struct pp_saved *saved,
                      struct pp_error *err)
{
    struct pp_trial *trial = &saved->trials[saved->trial_count];
    json_t *result = json_object_get(object, "result");
    uint64_t candidate, round;
    struct pp_error why = { 0 };

    if (!take_whole(json_object_get(object, "candidate"), saved->count - 1, &candidate) ||
        !take_whole(json_object_get(object, "round"), PP_ROUNDS_MAX - 1, &round))
        return refuse(path, "a trial has no \"candidate\" and \"round\" of this experiment", err);
    trial->candidate = (unsigned)candidate;
    trial->round = (unsigned)round;
    trial->twin = json_is_true(json_object_get(object, "twin"));
    trial->repeated = json_is_true(json_object_get(object, "repeated"));
    trial->missing = !json_is_object(result);
    if (!trial->missing && pp_trial_read(result, trial, &why) < 0)
        return refuse(path, why.text, err);
    if (pp_saved_trial(saved, trial->candidate, trial->round, trial->twin))
        return refuse(path, "two trials are of the same candidate and round", err);
    if (json_array_append(saved->results, trial->missing ? json_null() : result) < 0)
        return refuse(path, "there is no memory for its results", err);
    saved->trial_count++;
    if (trial->round >= saved->rounds)
        saved->rounds = trial->round + 1;
    return 0;
}

static int open_trials(const char *path, size_t count, struct pp_saved *saved, struct pp_error *err)
{
    saved->trials = pp_memory_alloc(count, sizeof *saved->trials);
    saved->results = json_array();
    return saved->trials && saved->results ? 0
                                           : refuse(path, "there is no memory for its trials", err);
}

static int take_experiment(const char *path, struct pp_saved *saved, struct pp_error *err)
{
    const json_t *trials = json_object_get(saved->whole, "trials");
    int ret = take_names(path, saved, err);

    if (ret == 0 && (json_array_size(trials) == 0 ||
                     !take_whole(json_object_get(saved->whole, "seed"), INT64_MAX, &saved->seed)))
        return refuse(path, "it has no \"trials\" and \"seed\"", err);
    if (ret == 0)
        ret = open_trials(path, json_array_size(trials), saved, err);
    for (size_t i = 0; ret == 0 && i < json_array_size(trials); i++)
        ret = take_trial(path, json_array_get(trials, i), saved, err);
    return ret;
}

static int take_result(const char *path, struct pp_saved *saved, struct pp_error *err)
{
    struct pp_error why = { 0 };
    int ret = open_trials(path, 1, saved, err);

    if (ret == 0 && pp_trial_read(saved->whole, &saved->trials[0], &why) < 0)
        return refuse(path, why.text, err);
    if (ret == 0 && json_array_append(saved->results, saved->whole) < 0)
        return refuse(path, "there is no memory for its results", err);
    saved->names[0] = "";
    saved->count = saved->rounds = saved->trial_count = 1;
    return ret;
}

int pp_saved_read(const char *path, struct pp_saved *saved, struct pp_error *err)
{
    uint64_t version;
    int ret;

    *saved = (struct pp_saved){ .whole = NULL };
    ret = load(path, saved, err);
    if (ret < 0)
        return ret;
    if (strcmp(text_of(saved->whole, "format"), "pingpong-result") == 0)
        return take_result(path, saved, err);
    if (strcmp(text_of(saved->whole, "format"), FORMAT) != 0)
        return refuse(path,
                      "its \"format\" is neither \"pingpong-experiment\" nor "
                      "\"pingpong-result\"",
                      err);
    if (!take_whole(json_object_get(saved->whole, "format_version"), FORMAT_VERSION, &version))
        return refuse(path, "its \"format_version\" is newer than this pingpong: take a newer one",
                      err);
    return take_experiment(path, saved, err);
}

/* ---- what it says ---- */

const json_t *pp_saved_command(const struct pp_saved *saved)
{
    return json_object_get(saved->whole, "command");
}

const json_t *pp_saved_argv(const struct pp_saved *saved, unsigned candidate)
{
    return json_object_get(json_array_get(json_object_get(saved->whole, "candidates"), candidate),
                           "argv");
}

const struct pp_trial *pp_saved_trial(const struct pp_saved *saved, unsigned candidate,
                                      unsigned round, bool twin)
{
    for (unsigned i = 0; i < saved->trial_count; i++) {
        const struct pp_trial *trial = &saved->trials[i];

        if (trial->candidate == candidate && trial->round == round && trial->twin == twin)
            return trial;
    }
    return NULL;
}

void pp_saved_fini(struct pp_saved *saved)
{
    pp_memory_free(saved->trials);
    json_decref(saved->results);
    json_decref(saved->whole);
    *saved = (struct pp_saved){ .whole = NULL };
}
