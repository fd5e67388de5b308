/* The figures of a result that another process printed: what is there is taken, what is missing is
 * not known, and what cannot be is refused by name. tests/system has real trials. */
#include "experiment/trial.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define FORMAT "\"format\": \"pingpong-result\""
#define SMALLEST "{" FORMAT ", \"round_trips_per_s\": 1000}"

#define RTT                                                                                        \
    "\"rtt\": {\"percentiles\": [{\"percentile\": 50, \"ns\": 10}, {\"percentile\": 99, "          \
    "\"ns\": 20}, {\"percentile\": 99.9, \"ns\": null}]}"

/* With another value of one key beside. */
#define WITH(rest) "{" FORMAT ", \"round_trips_per_s\": 1000, " rest "}"

static int read_text(const char *text, struct pp_trial *trial, struct pp_error *err)
{
    json_t *result = json_loads(text, JSON_DECODE_ANY, NULL);
    int ret;

    assert_non_null(result);
    ret = pp_trial_read(result, trial, err);
    json_decref(result);
    return ret;
}

static struct pp_trial taken(const char *text)
{
    struct pp_trial trial = { .candidate = 3, .round = 4, .twin = true };
    struct pp_error err = { 0 };

    assert_int_equal(read_text(text, &trial, &err), 0);
    return trial;
}

static void check_refused(const char *text, const char *says)
{
    struct pp_trial trial = { 0 };
    struct pp_error err = { 0 };

    assert_int_equal(read_text(text, &trial, &err), -EBADMSG);
    assert_non_null(strstr(err.text, says));
}

static void test_what_is_missing_is_not_known(void **state)
{
    const struct pp_trial trial = taken(SMALLEST);

    (void)state;
    assert_true(trial.figures[PP_METRIC_RATE] == 1000);
    assert_true(isnan(trial.figures[PP_METRIC_P50]) && isnan(trial.figures[PP_METRIC_P99]));
    assert_true(isnan(trial.figures[PP_METRIC_CPU]) && isnan(trial.p999_ns));
    assert_true(isnan(trial.bytes_per_s) && isnan(trial.memory_bytes));
    assert_int_equal(trial.level, PP_VALID);
    assert_string_equal(trial.reason, "");
}

static void test_its_place_is_left_alone(void **state)
{
    const struct pp_trial trial = taken(SMALLEST);

    (void)state;
    assert_int_equal(trial.candidate, 3);
    assert_int_equal(trial.round, 4);
    assert_true(trial.twin);
}

static void test_percentiles_are_found_by_their_number(void **state)
{
    const struct pp_trial trial = taken(WITH(RTT));

    (void)state;
    assert_true(trial.figures[PP_METRIC_P50] == 10 && trial.figures[PP_METRIC_P99] == 20);
    assert_true(isnan(trial.p999_ns));
}

static void test_in_an_open_loop_latency_is_that_of_the_response(void **state)
{
    const struct pp_trial trial =
        taken(WITH(RTT ", \"response\": {\"percentiles\": [{\"percentile\": 50, \"ns\": 77}]}"));

    (void)state;
    assert_true(trial.figures[PP_METRIC_P50] == 77 && isnan(trial.figures[PP_METRIC_P99]));
}

static void test_the_cost_is_that_of_both_sides_or_unknown(void **state)
{
    const struct pp_trial both = taken(WITH("\"costs\": {\"client\": {\"cpu_ns_per_round_trip\": 3}"
                                            ", \"server\": {\"cpu_ns_per_round_trip\": 4}, "
                                            "\"server_memory_bytes\": 5}"));
    const struct pp_trial one = taken(WITH("\"costs\": {\"client\": {\"cpu_ns_per_round_trip\": 3}"
                                           ", \"server\": {\"cpu_ns_per_round_trip\": null}}"));

    (void)state;
    assert_true(both.figures[PP_METRIC_CPU] == 7 && both.memory_bytes == 5);
    assert_true(isnan(one.figures[PP_METRIC_CPU]));
}

static void test_bytes_are_those_of_requests_and_responses(void **state)
{
    const struct pp_trial trial =
        taken(WITH("\"options\": {\"load\": {\"request\": {\"mean_bytes\": 100}, \"response\": "
                   "{\"mean_bytes\": 24}}}"));

    (void)state;
    assert_true(trial.bytes_per_s == 124000);
}

static void test_the_verdict_comes_with_its_first_reason(void **state)
{
    const struct pp_trial trial =
        taken(WITH("\"verdict\": {\"level\": \"SUSPECT\", \"reasons\": [{\"id\": \"unsteady\", "
                   "\"text\": \"it was\"}, {\"id\": \"steal\"}]}"));

    (void)state;
    assert_int_equal(trial.level, PP_SUSPECT);
    assert_string_equal(trial.reason, "unsteady");
    assert_int_equal(taken(WITH("\"verdict\": {\"level\": \"INVALID\"}")).level, PP_INVALID);
    assert_int_equal(taken(WITH("\"verdict\": null")).level, PP_VALID);
}

static void test_a_reason_is_one_short_line(void **state)
{
    const struct pp_trial trial =
        taken(WITH("\"verdict\": {\"level\": \"SUSPECT\", \"reasons\": [{\"id\": \"a\\nb\\u001bc "
                   "0123456789 0123456789 0123456789\"}]}"));

    (void)state;
    assert_null(strpbrk(trial.reason, "\n\033"));
    assert_true(strlen(trial.reason) < PP_TRIAL_REASON_BYTES);
}

static void test_what_is_no_result_is_refused(void **state)
{
    (void)state;
    check_refused("{}", "\"format\" is not");
    check_refused("[]", "\"format\" is not");
    check_refused("7", "\"format\" is not");
    check_refused("{\"format\": \"other\", \"round_trips_per_s\": 1}", "\"format\" is not");
    check_refused("{" FORMAT "}", "\"round_trips_per_s\" is no rate");
}

static void test_what_cannot_be_is_refused(void **state)
{
    (void)state;
    check_refused("{" FORMAT ", \"round_trips_per_s\": null}", "\"round_trips_per_s\" is no rate");
    check_refused("{" FORMAT ", \"round_trips_per_s\": -1}", "\"round_trips_per_s\" is no rate");
    check_refused("{" FORMAT ", \"round_trips_per_s\": \"9\"}", "\"round_trips_per_s\" is no rate");
    check_refused(WITH("\"rtt\": {\"percentiles\": [{\"percentile\": \"x\"}]}"), "are none");
    check_refused(WITH("\"rtt\": {\"percentiles\": [{\"percentile\": 99, \"ns\": -5}]}"),
                  "are none");
    check_refused(WITH("\"rtt\": {\"percentiles\": [{\"percentile\": 99.9, \"ns\": []}]}"),
                  "are none");
    check_refused(WITH("\"costs\": {\"client\": {\"cpu_ns_per_round_trip\": \"3\"}}"),
                  "\"costs\" are none");
    check_refused(WITH("\"costs\": {\"server_memory_bytes\": -1}"), "\"costs\" are none");
    check_refused(WITH("\"options\": {\"load\": {\"request\": {\"mean_bytes\": true}}}"),
                  "\"load\" is none");
    check_refused(WITH("\"verdict\": {\"level\": \"FINE\"}"), "\"verdict\" is none");
    check_refused(WITH("\"verdict\": 7"), "\"verdict\" is none");
}

static void test_any_percentile_can_be_asked_for(void **state)
{
    json_t *result = json_loads(WITH(RTT), 0, NULL);
    json_t *odd = json_loads(
        WITH("\"rtt\": {\"percentiles\": [{\"percentile\": 90, \"ns\": \"\"}]}"), 0, NULL);
    struct pp_error err = { 0 };
    double ns;

    (void)state;
    assert_int_equal(pp_trial_percentile(result, 99, &ns, &err), 0);
    assert_true(ns == 20);
    assert_int_equal(pp_trial_percentile(result, 90, &ns, &err), 0);
    assert_true(isnan(ns));
    assert_int_equal(pp_trial_percentile(odd, 90, &ns, &err), -EBADMSG);
    json_decref(odd);
    json_decref(result);
}

static void test_a_reason_that_is_not_given_is_a_question_mark(void **state)
{
    json_t *silent = json_loads(SMALLEST, 0, NULL);
    json_t *says = json_loads(WITH("\"verdict\": {\"reasons\": [{\"text\": \"why\"}]}"), 0, NULL);

    (void)state;
    assert_string_equal(pp_trial_reason(silent), "?");
    assert_string_equal(pp_trial_reason(says), "why");
    json_decref(says);
    json_decref(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_missing_is_not_known),
        cmocka_unit_test(test_its_place_is_left_alone),
        cmocka_unit_test(test_percentiles_are_found_by_their_number),
        cmocka_unit_test(test_in_an_open_loop_latency_is_that_of_the_response),
        cmocka_unit_test(test_the_cost_is_that_of_both_sides_or_unknown),
        cmocka_unit_test(test_bytes_are_those_of_requests_and_responses),
        cmocka_unit_test(test_the_verdict_comes_with_its_first_reason),
        cmocka_unit_test(test_a_reason_is_one_short_line),
        cmocka_unit_test(test_what_is_no_result_is_refused),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_any_percentile_can_be_asked_for),
        cmocka_unit_test(test_a_reason_that_is_not_given_is_a_question_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
