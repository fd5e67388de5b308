/* What is written of an experiment is read back as it was, and what a file cannot have been written
 * as is refused by name. */
#include "experiment/record.h"
#include "experiment/saved.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

#define CANDIDATES 2
#define ROUNDS 8
#define TRIALS (ROUNDS * (CANDIDATES + 1))
#define MISSING 4 /* the number of a trial */

/* The name of a file of this test. */
static char path[64];

static int set_up(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/pingpong-record-XXXXXX");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static FILE *opened(void)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    return file;
}

static void write_text(const char *text)
{
    FILE *file = opened();

    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- an experiment ----------------------------------------------------------------------- */

static json_t *result_of(unsigned i)
{
    return json_pack("{s:s, s:f, s:s, s:{s:s}}", "format", "pingpong-result", "round_trips_per_s",
                     1000.0 + i, "started", "2030-01-02T03:04:05Z", "host", "kernel",
                     i % 3 == 1 ? "other" : "same");
}

/* Each round has the baseline, the other, and the baseline again. */
static void fill(struct pp_experiment *experiment, char *const *command)
{
    static char program[] = "pingpong", argument[] = "--engine=epoll";
    static char *const argv[] = { program, argument, NULL };

    *experiment = (struct pp_experiment){
        .count = CANDIDATES, .rounds = ROUNDS, .twins = true, .seed = 77, .command = command
    };
    experiment->candidates[0] = (struct pp_candidate){ .name = "epoll", .spec = { .argv = argv } };
    experiment->candidates[1] = (struct pp_candidate){ .name = "mine",
                                                       .spec = { .server = "serve {port}" } };
    experiment->trials = pp_memory_alloc(TRIALS, sizeof *experiment->trials);
    experiment->results = json_array();
    for (unsigned i = 0; i < TRIALS; i++) {
        struct pp_trial *trial = &experiment->trials[i];
        json_t *result = i == MISSING ? json_null() : result_of(i);
        struct pp_error err;

        if (i != MISSING)
            assert_int_equal(pp_trial_read(result, trial, &err), 0);
        trial->candidate = i % 3 == 1;
        trial->round = i / 3;
        trial->twin = i % 3 == 2;
        trial->repeated = i % 2;
        trial->missing = i == MISSING;
        assert_int_equal(json_array_append_new(experiment->results, result), 0);
        experiment->trial_count++;
    }
}

static void write_comparison(struct pp_experiment *experiment)
{
    struct pp_comparison comparison;
    struct pp_error err = { 0 };
    FILE *file = opened();

    assert_int_equal(
        pp_comparison_of(experiment->trials, experiment->trial_count, CANDIDATES, &comparison), 0);
    assert_int_equal(pp_record_write(experiment, &comparison, file, &err), 0);
    assert_int_equal(fclose(file), 0);
}

static void check_trials(const struct pp_saved *saved, const struct pp_experiment *experiment)
{
    assert_int_equal(saved->trial_count, TRIALS);
    assert_int_equal(saved->rounds, ROUNDS);
    assert_int_equal(saved->seed, 77);
    assert_true(json_equal(saved->results, experiment->results));
    for (unsigned i = 0; i < TRIALS; i++) {
        const struct pp_trial *was = &experiment->trials[i], *is = &saved->trials[i];

        assert_int_equal(is->candidate, was->candidate);
        assert_int_equal(is->round, was->round);
        assert_int_equal(is->twin, was->twin);
        assert_int_equal(is->repeated, was->repeated);
        assert_int_equal(is->missing, was->missing);
        assert_ptr_equal(pp_saved_trial(saved, was->candidate, was->round, was->twin), is);
        if (!was->missing)
            assert_true(is->figures[PP_METRIC_RATE] == was->figures[PP_METRIC_RATE]);
    }
    assert_null(pp_saved_trial(saved, 1, 0, true));
}

static void test_what_is_written_is_read_back(void **state)
{
    static char word[] = "compare", other[] = "epoll";
    char *const command[] = { word, other, NULL };
    struct pp_experiment experiment;
    struct pp_saved saved;
    struct pp_error err = { 0 };

    (void)state;
    fill(&experiment, command);
    write_comparison(&experiment);
    assert_int_equal(pp_saved_read(path, &saved, &err), 0);
    check_trials(&saved, &experiment);
    assert_int_equal(saved.count, CANDIDATES);
    assert_string_equal(saved.names[0], "epoll");
    assert_string_equal(saved.names[1], "mine");
    assert_int_equal(json_array_size(pp_saved_command(&saved)), 2);
    assert_int_equal(json_array_size(pp_saved_argv(&saved, 0)), 2);
    assert_int_equal(json_array_size(pp_saved_argv(&saved, 1)), 0);
    pp_saved_fini(&saved);
    pp_experiment_fini(&experiment);
}

static const json_t *item(const json_t *whole, const char *key, unsigned i)
{
    return json_array_get(json_object_get(whole, key), i);
}

static void test_what_it_came_to_stands_beside(void **state)
{
    struct pp_experiment experiment;
    struct pp_saved saved;
    struct pp_error err = { 0 };
    const json_t *mine;

    (void)state;
    fill(&experiment, NULL);
    experiment.signal = 15;
    write_comparison(&experiment);
    assert_int_equal(pp_saved_read(path, &saved, &err), 0);
    assert_true(json_is_null(pp_saved_command(&saved)));
    assert_int_equal(json_integer_value(json_object_get(saved.whole, "signal")), 15);
    assert_int_equal(json_integer_value(json_object_get(saved.whole, "rounds")), ROUNDS);
    assert_string_equal(json_string_value(json_object_get(saved.whole, "started")),
                        "2030-01-02T03:04:05Z");
    assert_string_equal(
        json_string_value(json_object_get(item(saved.whole, "candidates", 1), "server")),
        "serve {port}");
    mine = item(saved.whole, "comparison", 1);
    assert_int_equal(json_integer_value(json_object_get(mine, "trials")), ROUNDS);
    assert_int_equal(json_integer_value(json_object_get(mine, "missing")), 1);
    assert_int_equal(
        json_array_size(json_object_get(item(saved.whole, "environments", 0), "differences")), 1);
    pp_saved_fini(&saved);
    pp_experiment_fini(&experiment);
}

static void test_points_are_written_with_what_is_not_known_as_null(void **state)
{
    struct pp_sweep_point points[CANDIDATES] = {
        { .trials = 3, .missing = 1, .level = PP_SUSPECT, .bytes_per_s = NAN, .p999_ns = 5 },
    };
    const struct pp_knee knee = { .rounds = 8, .found = 0 };
    struct pp_experiment experiment;
    struct pp_saved saved;
    struct pp_error err = { 0 };
    const json_t *point;
    FILE *file = opened();

    (void)state;
    fill(&experiment, NULL);
    assert_int_equal(pp_record_write_sweep(&experiment, points, &knee, 1, file, &err), 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pp_saved_read(path, &saved, &err), 0);
    check_trials(&saved, &experiment);
    point = item(saved.whole, "points", 0);
    assert_string_equal(json_string_value(json_object_get(point, "verdict")), "SUSPECT");
    assert_true(json_is_null(json_object_get(point, "bytes_per_s")));
    assert_true(json_real_value(json_object_get(point, "p99_9_ns")) == 5);
    assert_true(json_is_null(json_object_get(item(saved.whole, "knees", 0), "load")));
    pp_saved_fini(&saved);
    pp_experiment_fini(&experiment);
}

static double real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_real(value));
    return json_real_value(value);
}

static void test_highest_rates_are_written_and_one_that_is_not_known_is_null(void **state)
{
    const struct pp_slo found[CANDIDATES] = {
        { .rounds = 6, .edge = { .n = 6, .ratio = 1500, .at95 = { .low = 1400, .high = 1600 } } },
        { .rounds = 6, .never = 4, .most = 2 },
    };
    struct pp_experiment experiment;
    struct pp_saved saved;
    struct pp_error err = { 0 };
    const json_t *other;
    FILE *file = opened();

    (void)state;
    fill(&experiment, NULL);
    assert_int_equal(pp_record_write_slo(&experiment, "p99<1ms", found, file, &err), 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pp_saved_read(path, &saved, &err), 0);
    check_trials(&saved, &experiment);
    assert_string_equal(json_string_value(json_object_get(saved.whole, "condition")), "p99<1ms");
    assert_true(real(item(saved.whole, "highest_rates", 0), "rate") == 1500);
    other = item(saved.whole, "highest_rates", 1);
    assert_string_equal(json_string_value(json_object_get(other, "name")), "mine");
    assert_true(json_is_null(json_object_get(other, "rate")));
    assert_int_equal(json_integer_value(json_object_get(other, "held_at_no_rate")), 4);
    assert_int_equal(json_integer_value(json_object_get(other, "held_at_the_highest")), 2);
    pp_saved_fini(&saved);
    pp_experiment_fini(&experiment);
}

static void test_an_explanation_is_written_with_its_parts_and_what_would_save_them(void **state)
{
    const struct pp_explanation explanation = {
        .rounds = ROUNDS,
        .whole = { .n = ROUNDS, .estimate = 13, .at95 = { .low = 12, .high = 14 } },
        .part_count = 1,
        .parts = { { PP_PART_TCP, { .n = ROUNDS, .estimate = 5 } } },
        .sum = 12.5,
        .other_count = 1,
        .others = { { .n = ROUNDS, .estimate = -4 } },
        .advice_count = 2,
        .advice = { { .measured = true, .saves = { .estimate = 4 } },
                    { .part = PP_PART_TCP, .saves = { .estimate = 5 } } },
    };
    struct pp_experiment experiment;
    struct pp_saved saved;
    struct pp_error err = { 0 };
    const json_t *said;
    FILE *file = opened();

    (void)state;
    fill(&experiment, NULL);
    assert_int_equal(pp_record_write_explanation(&experiment, &explanation, file, &err), 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pp_saved_read(path, &saved, &err), 0);
    check_trials(&saved, &experiment);
    said = json_object_get(saved.whole, "explanation");
    assert_true(real(said, "round_trip_ns") == 13 && real(said, "sum_ns") == 12.5);
    assert_true(real(item(said, "parts", 0), "ns") == 5);
    assert_true(real(item(said, "instead", 0), "change_ns") == -4);
    assert_string_equal(json_string_value(json_object_get(item(said, "instead", 0), "options")),
                        "mine");
    assert_string_equal(json_string_value(json_object_get(item(said, "advice", 0), "what")),
                        "mine");
    assert_true(json_is_null(json_object_get(item(said, "advice", 0), "part")));
    assert_string_equal(json_string_value(json_object_get(item(said, "advice", 1), "part")),
                        pp_parts[PP_PART_TCP].name);
    pp_saved_fini(&saved);
    pp_experiment_fini(&experiment);
}

/* ---- what is no such file ---------------------------------------------------------------- */

static void check_refused(const char *says)
{
    struct pp_saved saved;
    struct pp_error err = { 0 };

    assert_true(pp_saved_read(path, &saved, &err) < 0);
    assert_non_null(strstr(err.text, says));
    assert_non_null(strstr(err.text, path));
    pp_saved_fini(&saved);
}

static void test_a_single_result_is_one_round_of_one(void **state)
{
    struct pp_saved saved;
    struct pp_error err = { 0 };

    (void)state;
    write_text("{\"format\": \"pingpong-result\", \"round_trips_per_s\": 9}");
    assert_int_equal(pp_saved_read(path, &saved, &err), 0);
    assert_int_equal(saved.count, 1);
    assert_int_equal(saved.rounds, 1);
    assert_true(pp_saved_trial(&saved, 0, 0, false)->figures[PP_METRIC_RATE] == 9);
    pp_saved_fini(&saved);
}

#define SEEDLESS "{\"format\": \"pingpong-experiment\", \"format_version\": 1, "
#define HEAD SEEDLESS "\"seed\": 1, "
#define ONE "\"candidates\": [{\"name\": \"a\"}], "
#define TRIAL "{\"candidate\": 0, \"round\": 0, \"result\": null}"

static void test_what_cannot_have_been_written_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "'[' or '{' expected" },
        { "{\"format\": \"a\", \"format\": \"b\"}", "duplicate" },
        { "[]", "\"format\" is neither" },
        { "{\"format\": \"pingpong-experiment\", \"format_version\": 9}", "newer" },
        { "{\"format\": \"pingpong-experiment\"}", "newer" },
        { "{\"format\": \"pingpong-result\"}", "no rate" },
        { HEAD "\"candidates\": []}", "no list of candidates" },
        { HEAD "\"candidates\": [{\"name\": 7}]}", "no \"name\"" },
        { HEAD ONE "\"trials\": []}", "no \"trials\"" },
        { HEAD ONE "\"trials\": 7}", "no \"trials\"" },
        { SEEDLESS ONE "\"trials\": [" TRIAL "]}", "and \"seed\"" },
        { SEEDLESS "\"seed\": -1, " ONE "\"trials\": [" TRIAL "]}", "and \"seed\"" },
        { HEAD ONE "\"trials\": [7]}", "of this experiment" },
        { HEAD ONE "\"trials\": [{\"candidate\": 1, \"round\": 0}]}", "of this experiment" },
        { HEAD ONE "\"trials\": [{\"candidate\": 0, \"round\": -1}]}", "of this experiment" },
        { HEAD ONE "\"trials\": [{\"candidate\": 0, \"round\": 1e3}]}", "of this experiment" },
        { HEAD ONE "\"trials\": [" TRIAL ", " TRIAL "]}", "two trials are of the same" },
        { HEAD ONE "\"trials\": [{\"candidate\": 0, \"round\": 0, \"result\": {}}]}",
          "\"format\" is not" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(cases[i].text);
        check_refused(cases[i].says);
    }
}

static void test_what_cannot_be_read_is_named(void **state)
{
    char kept[sizeof path];

    (void)state;
    memcpy(kept, path, sizeof kept);
    (void)snprintf(path, sizeof path, "/tmp");
    check_refused("Is a directory");
    (void)snprintf(path, sizeof path, "/dev/zero");
    check_refused("no regular file");
    (void)snprintf(path, sizeof path, "/nonexistent");
    check_refused("No such file");
    memcpy(path, kept, sizeof kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_what_it_came_to_stands_beside),
        cmocka_unit_test(test_points_are_written_with_what_is_not_known_as_null),
        cmocka_unit_test(test_highest_rates_are_written_and_one_that_is_not_known_is_null),
        cmocka_unit_test(test_an_explanation_is_written_with_its_parts_and_what_would_save_them),
        cmocka_unit_test(test_a_single_result_is_one_round_of_one),
        cmocka_unit_test(test_what_cannot_have_been_written_is_refused),
        cmocka_unit_test(test_what_cannot_be_read_is_named),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
