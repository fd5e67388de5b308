/* What trials say of candidates, as plain data and pure functions: each against the first one, the
 * baseline. A trial is one run in a process of its own; in each round every candidate has one, and
 * the baseline two, whose difference is the noise floor. */
#ifndef PP_RESULT_COMPARISON_H
#define PP_RESULT_COMPARISON_H

#include "measure/paired.h"
#include "plan/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PP_CANDIDATES_MAX 16
#define PP_ROUNDS_MAX PP_PAIRED_MAX
#define PP_ROUNDS_LEAST 8 /* with fewer, nothing can be told over four metrics */

/* In the order in which they are shown: the sharpest first. */
enum pp_metric { PP_METRIC_CPU, PP_METRIC_RATE, PP_METRIC_P50, PP_METRIC_P99, PP_METRICS };

struct pp_metric_about {
    const char *name; /* in JSON, in CSV and for a gate: "cpu", "rate", "p50", "p99" */
    const char *title, *unit;
    bool more_is_better;
};

extern const struct pp_metric_about pp_metrics[PP_METRICS];

#define PP_TRIAL_REASON_BYTES 24

struct pp_trial {
    unsigned candidate;          /* 0: the baseline */
    unsigned round;              /* from 0 */
    bool twin;                   /* the baseline's second one in this round */
    bool repeated;               /* its first try failed, or was INVALID: this is the second */
    bool missing;                /* it failed, or was INVALID twice: there are no figures */
    double figures[PP_METRICS];  /* CPU ns a round trip on both sides; round trips/s; ns; ns. NAN:
                                   not known */
    double p999_ns, bytes_per_s; /* of both directions; NAN: not known */
    double memory_bytes;         /* of the server's processes; NAN: not known */
    enum pp_verdict_level level;
    char reason[PP_TRIAL_REASON_BYTES]; /* the first one's id, such as "unsteady"; "": none */
};

/* At least 2 % apart, so that nobody acts on what does not matter. */
#define PP_DIFFERENCE_LEAST 0.02

enum pp_difference {
    PP_DIFFERENCE_UNKNOWN, /* there is no figure, or too few rounds */
    PP_DIFFERENCE_BETTER,
    PP_DIFFERENCE_WORSE,
    PP_DIFFERENCE_SAME,       /* its 90 % interval lies within 2 % */
    PP_DIFFERENCE_NOISE,      /* sure, but the baseline differs from itself by as much */
    PP_DIFFERENCE_CANNOT_TELL /* the rounds were too few for this noise: rounds_needed */
};

/* In JSON and CSV: "within noise". */
extern const char *const pp_difference_names[];

struct pp_effect {
    double median;           /* of the candidate's trials; NAN: not known */
    struct pp_paired paired; /* against the baseline's first trial of the same round */
    double p_holm;           /* paired.p, corrected for all candidates and metrics */
    enum pp_difference difference;
    unsigned rounds_needed;
};

struct pp_candidate_tally {
    unsigned trials, missing, suspect;
    double memory_bytes; /* the median; NAN: not known */
    const char *reason;  /* of the last one that was SUSPECT; as long as the trials */
};

struct pp_comparison {
    unsigned candidates, rounds;                             /* those begun, too */
    struct pp_effect effects[PP_CANDIDATES_MAX][PP_METRICS]; /* [0]: medians alone */
    struct pp_effect twin[PP_METRICS];                       /* the baseline against itself */
    double floor[PP_METRICS]; /* how far a ratio may be from 1 by noise alone: 0.013 is 1.3 % */
    struct pp_candidate_tally tallies[PP_CANDIDATES_MAX];
};

/* The trials may stand in any order. 0; -ENOMEM; -EINVAL if they are of no comparison: of more
 * candidates or rounds, or two of one place. */
int pp_comparison_of(const struct pp_trial *trials, size_t count, unsigned candidates,
                     struct pp_comparison *comparison);

#endif
