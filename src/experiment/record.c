/* What was run, what it came to by a comparison, a sweep, a search or an explanation, and the
 * document around. */
#include "experiment/record.h"

#include "result/verdict.h"

#include <errno.h>
#include <math.h>

#define FORMAT "pingpong-experiment"
#define FORMAT_VERSION 1

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* ---- arrays ---- */

/* Takes item over. */
static bool append(json_t *array, json_t *item)
{
    return json_array_append_new(array, item) == 0;
}

static json_t *finished(json_t *array, bool whole)
{
    if (whole)
        return array;
    json_decref(array);
    return NULL;
}

/* ---- what was run ---- */

static json_t *candidate_object(const struct pp_candidate *candidate)
{
    json_t *argv = json_array();
    bool whole = argv;

    for (char *const *arg = candidate->spec.argv; whole && arg && *arg; arg++)
        whole = append(argv, json_string(*arg));
    return json_pack("{s:s, s:o, s:o}", "name", candidate->name, "argv", finished(argv, whole),
                     "server", text_or_null(candidate->spec.server));
}

/* null: nobody has said. */
static json_t *command_array(const struct pp_experiment *experiment)
{
    json_t *array = experiment->command ? json_array() : json_null();
    bool whole = array;

    for (char *const *word = experiment->command; whole && word && *word; word++)
        whole = append(array, json_string(*word));
    return finished(array, whole);
}

/* When the first of the runs began, as that says; null: none does. */
static json_t *started(const struct pp_experiment *experiment)
{
    for (size_t i = 0; i < json_array_size(experiment->results); i++) {
        json_t *value = json_object_get(json_array_get(experiment->results, i), "started");

        if (json_is_string(value))
            return json_incref(value);
    }
    return json_null();
}

/* Of each candidate that is not the baseline, what its first result says otherwise. */
static json_t *differences_array(const struct pp_experiment *experiment)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 1; whole && i < experiment->count; i++) {
        json_t *list = pp_experiment_unlike(experiment, i);

        whole = append(array, json_pack("{s:s, s:o}", "name", experiment->candidates[i].name,
                                        "differences", list ? list : json_array()));
    }
    return finished(array, whole);
}

static json_t *candidates_array(const struct pp_experiment *experiment)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < experiment->count; i++)
        whole = append(array, candidate_object(&experiment->candidates[i]));
    return finished(array, whole);
}

static json_t *trials_array(const struct pp_experiment *experiment)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < experiment->trial_count; i++) {
        const struct pp_trial *trial = &experiment->trials[i];
        json_t *object = json_pack(
            "{s:i, s:i, s:b, s:b, s:b, s:O}", "candidate", (int)trial->candidate, "round",
            (int)trial->round, "twin", (int)trial->twin, "repeated", (int)trial->repeated,
            "missing", (int)trial->missing, "result", json_array_get(experiment->results, i));

        whole = append(array, object);
    }
    return finished(array, whole);
}

/* ---- what it came to ---- */

static json_t *interval_array(const struct pp_interval *interval)
{
    if (!(interval->low > 0) || !isfinite(interval->high))
        return json_null();
    return json_pack("[f, f]", interval->low, interval->high);
}

static json_t *effect_object(const struct pp_effect *effect, double floor)
{
    const struct pp_paired *paired = &effect->paired;

    return json_pack(
        "{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:s, s:i, s:o}", "median", number(effect->median),
        "pairs", (int)paired->n, "ratio", number(paired->n ? paired->ratio : NAN), "interval_95",
        interval_array(&paired->at95), "interval_90", interval_array(&paired->at90), "p",
        number(paired->n ? paired->p : NAN), "p_holm", number(paired->n ? effect->p_holm : NAN),
        "verdict", pp_difference_names[effect->difference], "rounds_needed",
        (int)effect->rounds_needed, "noise", number(floor));
}

static json_t *effects_object(const struct pp_effect effects[PP_METRICS],
                              const double floor[PP_METRICS])
{
    json_t *object = json_object();

    for (unsigned i = 0; i < PP_METRICS; i++)
        if (json_object_set_new(object, pp_metrics[i].name, effect_object(&effects[i], floor[i])) <
            0) {
            json_decref(object);
            return NULL;
        }
    return object;
}

static json_t *comparison_array(const struct pp_experiment *experiment,
                                const struct pp_comparison *comparison)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < comparison->candidates; i++) {
        const struct pp_candidate_tally *tally = &comparison->tallies[i];
        json_t *object = json_pack("{s:s, s:i, s:i, s:i, s:o, s:o}", "name",
                                   experiment->candidates[i].name, "trials", (int)tally->trials,
                                   "missing", (int)tally->missing, "suspect", (int)tally->suspect,
                                   "server_memory_bytes", number(tally->memory_bytes), "metrics",
                                   effects_object(comparison->effects[i], comparison->floor));

        whole = append(array, object);
    }
    return finished(array, whole);
}

static json_t *point_object(const struct pp_candidate *candidate,
                            const struct pp_sweep_point *point)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", candidate->name,
                     "trials", (int)point->trials, "missing", (int)point->missing, "verdict",
                     pp_verdict_level_name(point->level), "round_trips_per_s",
                     number(point->figures[PP_METRIC_RATE]), "bytes_per_s",
                     number(point->bytes_per_s), "p50_ns", number(point->figures[PP_METRIC_P50]),
                     "p99_ns", number(point->figures[PP_METRIC_P99]), "p99_9_ns",
                     number(point->p999_ns), "cpu_ns", number(point->figures[PP_METRIC_CPU]));
}

static json_t *points_array(const struct pp_experiment *experiment,
                            const struct pp_sweep_point *points)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < experiment->count; i++)
        whole = append(array, point_object(&experiment->candidates[i], &points[i]));
    return finished(array, whole);
}

static json_t *knees_array(const struct pp_knee *knees, unsigned count)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < count; i++) {
        const struct pp_paired *load = &knees[i].load;
        json_t *object = json_pack("{s:o, s:o, s:i, s:i}", "load",
                                   number(load->n ? load->ratio : NAN), "interval_95",
                                   interval_array(&load->at95), "rounds", (int)knees[i].rounds,
                                   "found", (int)knees[i].found);

        whole = append(array, object);
    }
    return finished(array, whole);
}

static json_t *slo_array(const struct pp_experiment *experiment, const struct pp_slo *found)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < experiment->count; i++) {
        const struct pp_paired *edge = &found[i].edge;
        json_t *object = json_pack(
            "{s:s, s:o, s:o, s:i, s:i, s:i}", "name", experiment->candidates[i].name, "rate",
            number(edge->n ? edge->ratio : NAN), "interval_95", interval_array(&edge->at95),
            "searches", (int)found[i].rounds, "held_at_no_rate", (int)found[i].never,
            "held_at_the_highest", (int)found[i].most);

        whole = append(array, object);
    }
    return finished(array, whole);
}

/* ---- where the time goes ---- */

static json_t *shift_interval(const struct pp_shift *shift)
{
    if (!isfinite(shift->at95.low) || !isfinite(shift->at95.high))
        return json_null();
    return json_pack("[f, f]", shift->at95.low, shift->at95.high);
}

static json_t *shift_object(const char *what, const char *name, const char *figure,
                            const struct pp_shift *shift)
{
    return json_pack("{s:s, s:o, s:o, s:i}", what, name, figure, number(shift->estimate),
                     "interval_95", shift_interval(shift), "rounds", (int)shift->n);
}

static json_t *parts_array(const struct pp_explanation *explanation)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < explanation->part_count; i++)
        whole = append(array, shift_object("name", pp_parts[explanation->parts[i].part].name, "ns",
                                           &explanation->parts[i].shift));
    return finished(array, whole);
}

static json_t *others_array(const struct pp_experiment *experiment,
                            const struct pp_explanation *explanation)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < explanation->other_count; i++)
        whole = append(array, shift_object("options", experiment->candidates[1 + i].name,
                                           "change_ns", &explanation->others[i]));
    return finished(array, whole);
}

static json_t *advice_array(const struct pp_experiment *experiment,
                            const struct pp_explanation *explanation)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < explanation->advice_count; i++) {
        const struct pp_advice *advice = &explanation->advice[i];
        const char *what = advice->measured ? experiment->candidates[1 + advice->other].name
                                            : pp_parts[advice->part].cure;
        json_t *object = shift_object("what", what, "saves_ns", &advice->saves);

        whole = object && json_object_set_new(object, "part",
                                              advice->measured
                                                  ? json_null()
                                                  : json_string(pp_parts[advice->part].name)) == 0;
        whole = append(array, object) && whole;
    }
    return finished(array, whole);
}

static json_t *explanation_object(const struct pp_experiment *experiment,
                                  const struct pp_explanation *explanation)
{
    return json_pack(
        "{s:o, s:o, s:i, s:o, s:o, s:o, s:o}", "round_trip_ns", number(explanation->whole.estimate),
        "interval_95", shift_interval(&explanation->whole), "rounds", (int)explanation->rounds,
        "parts", parts_array(explanation), "sum_ns", number(explanation->sum), "instead",
        others_array(experiment, explanation), "advice", advice_array(experiment, explanation));
}

/* ---- all of it ---- */

/* Takes summary over, and adds what was run. */
static int write_with_trials(const struct pp_experiment *experiment, unsigned rounds,
                             json_t *summary, FILE *out, struct pp_error *err)
{
    json_t *whole = json_pack(
        "{s:s, s:i, s:s, s:o, s:o, s:I, s:i, s:o, s:o, s:o}", "format", FORMAT, "format_version",
        FORMAT_VERSION, "pingpong", PP_VERSION, "command", command_array(experiment), "started",
        started(experiment), "seed", (json_int_t)experiment->seed, "rounds", (int)rounds, "signal",
        experiment->signal ? json_integer(experiment->signal) : json_null(), "candidates",
        candidates_array(experiment), "trials", trials_array(experiment));
    int ret = summary && whole && json_object_update_missing(whole, summary) == 0 ? 0 : -1;

    if (ret == 0)
        ret = json_dumpf(whole, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(summary);
    json_decref(whole);
    if (ret < 0 && !ferror(out)) /* of which its owner hears */
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the experiment as JSON");
    (void)fputc('\n', out);
    return 0;
}

static unsigned whole_rounds(const struct pp_experiment *experiment)
{
    return experiment->trial_count / (experiment->count + experiment->twins);
}

int pp_record_write(const struct pp_experiment *experiment, const struct pp_comparison *comparison,
                    FILE *out, struct pp_error *err)
{
    return write_with_trials(
        experiment, whole_rounds(experiment),
        json_pack("{s:o, s:o, s:o}", "comparison", comparison_array(experiment, comparison),
                  "baseline_against_itself", effects_object(comparison->twin, comparison->floor),
                  "environments", differences_array(experiment)),
        out, err);
}

int pp_record_write_sweep(const struct pp_experiment *experiment,
                          const struct pp_sweep_point *points, const struct pp_knee *knees,
                          unsigned knee_count, FILE *out, struct pp_error *err)
{
    return write_with_trials(experiment, whole_rounds(experiment),
                             json_pack("{s:o, s:o}", "points", points_array(experiment, points),
                                       "knees",
                                       knee_count ? knees_array(knees, knee_count) : json_null()),
                             out, err);
}

int pp_record_write_slo(const struct pp_experiment *experiment, const char *condition,
                        const struct pp_slo *found, FILE *out, struct pp_error *err)
{
    return write_with_trials(experiment, experiment->rounds,
                             json_pack("{s:s, s:o}", "condition", condition, "highest_rates",
                                       slo_array(experiment, found)),
                             out, err);
}

int pp_record_write_explanation(const struct pp_experiment *experiment,
                                const struct pp_explanation *explanation, FILE *out,
                                struct pp_error *err)
{
    return write_with_trials(
        experiment, whole_rounds(experiment),
        json_pack("{s:o}", "explanation", explanation_object(experiment, explanation)), out, err);
}
