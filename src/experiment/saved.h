/* An experiment that was written to a file, read back and checked: to be reported again, gone on
 * with, or compared with. */
#ifndef PP_EXPERIMENT_SAVED_H
#define PP_EXPERIMENT_SAVED_H

#include "experiment/experiment.h"

struct pp_saved {
    json_t *whole; /* the document; texts are its own */
    unsigned count;
    const char *names[PP_EXPERIMENT_CANDIDATES_MAX]; /* of its candidates */
    unsigned rounds;
    uint64_t seed;
    unsigned trial_count;
    struct pp_trial *trials;
    json_t *results; /* an array: of each trial, null where it is missing */
};

/* Reads what pp_record_write() has written, of a comparison or a sweep, or a single result, which
 * is one round of one candidate. 0, or a negative errno with err set, which names path: it cannot
 * be read, is no such document, or says what cannot be. Give it back with pp_saved_fini() whatever
 * came of it. */
int pp_saved_read(const char *path, struct pp_saved *saved, struct pp_error *err);

/* What it was asked for with, as words of a command line, an array of texts; NULL: it does not
 * say. */
const json_t *pp_saved_command(const struct pp_saved *saved);

/* The arguments of a candidate's trials, an array of texts; NULL: it has none. */
const json_t *pp_saved_argv(const struct pp_saved *saved, unsigned candidate);

/* The trial of that place; NULL: there is none. */
const struct pp_trial *pp_saved_trial(const struct pp_saved *saved, unsigned candidate,
                                      unsigned round, bool twin);

void pp_saved_fini(struct pp_saved *saved);

#endif
