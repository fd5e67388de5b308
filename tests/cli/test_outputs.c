/* Options that ask for outputs: what they take, and where each output then goes. */
#include "support.h"

#include <math.h>
#include <stdio.h>

#define MS UINT64_C(1000000)

struct want {
    const struct pp_report_format *format;
    const char *path;
};

#define WANTS(...) ((const struct want[]){ __VA_ARGS__, { 0 } })
#define TEXT(path)                                                                                 \
    {                                                                                              \
        &pp_report_text, path                                                                      \
    }
#define JSON(path)                                                                                 \
    {                                                                                              \
        &pp_report_json, path                                                                      \
    }
#define STREAM(path)                                                                               \
    {                                                                                              \
        &pp_report_json_stream, path                                                               \
    }
#define CSV(path)                                                                                  \
    {                                                                                              \
        &pp_report_csv, path                                                                       \
    }
#define HLOG(path)                                                                                 \
    {                                                                                              \
        &pp_report_hlog, path                                                                      \
    }

static const struct pp_cli *check_outputs(const struct line *line, const struct want *wants)
{
    const struct pp_cli *cli = parsed(line);
    unsigned count = 0;

    for (; wants[count].format; count++) {
        if (count >= cli->output_count)
            fail_msg("%s: no %s", line->args[0], wants[count].format->name);
        assert_string_equal(cli->outputs[count].format->name, wants[count].format->name);
        assert_string_equal(cli->outputs[count].path, wants[count].path);
    }
    assert_int_equal(cli->output_count, count);
    return cli;
}

/* ---- where they go ---- */

static void test_text_goes_to_standard_output_if_nothing_is_asked_for(void **state)
{
    (void)state;
    check_outputs(LINE(NULL), WANTS(TEXT("-")));
    check_outputs(LINE("-q"), WANTS(TEXT("-")));
    check_outputs(LINE("client", "h"), WANTS(TEXT("-")));
}

static void test_a_format_without_a_file_takes_standard_output_from_the_text(void **state)
{
    (void)state;
    check_outputs(LINE("-J"), WANTS(JSON("-")));
    check_outputs(LINE("--json"), WANTS(JSON("-")));
    check_outputs(LINE("-J", "-"), WANTS(JSON("-")));
    check_outputs(LINE("-J-"), WANTS(JSON("-")));
    check_outputs(LINE("--json=-"), WANTS(JSON("-")));
    check_outputs(LINE("--json-stream"), WANTS(STREAM("-")));
    check_outputs(LINE("--csv"), WANTS(CSV("-")));
    check_outputs(LINE("--hlog", "-"), WANTS(HLOG("-")));
}

static void test_a_format_with_a_file_leaves_the_text_on_standard_output(void **state)
{
    (void)state;
    check_outputs(LINE("-J", "a.json"), WANTS(JSON("a.json"), TEXT("-")));
    check_outputs(LINE("-Ja.json"), WANTS(JSON("a.json"), TEXT("-")));
    check_outputs(LINE("--json", "a.json"), WANTS(JSON("a.json"), TEXT("-")));
    check_outputs(LINE("--json=a"), WANTS(JSON("a"), TEXT("-")));
    check_outputs(LINE("--csv", "a.csv"), WANTS(CSV("a.csv"), TEXT("-")));
    check_outputs(LINE("--json-stream", "a.jsonl"), WANTS(STREAM("a.jsonl"), TEXT("-")));
    check_outputs(LINE("--hlog", "a"), WANTS(HLOG("a"), TEXT("-")));
}

static void test_output_names_the_file_of_the_format_without_one(void **state)
{
    (void)state;
    check_outputs(LINE("-J", "-o", "a"), WANTS(JSON("a"), TEXT("-")));
    check_outputs(LINE("-o", "a", "-J"), WANTS(JSON("a"), TEXT("-")));
    check_outputs(LINE("--csv", "-o", "a", "-J", "b.json"),
                  WANTS(CSV("a"), JSON("b.json"), TEXT("-")));
    check_outputs(LINE("--csv", "-o", "-"), WANTS(CSV("-")));
}

static void test_output_is_for_the_text_where_no_format_needs_it(void **state)
{
    (void)state;
    check_outputs(LINE("-o", "a"), WANTS(TEXT("a")));
    check_outputs(LINE("-o", "-"), WANTS(TEXT("-")));
    check_outputs(LINE("-o", "a", "-J", "b.json"), WANTS(JSON("b.json"), TEXT("a")));
    check_outputs(LINE("-o", "a", "-J", "-"), WANTS(JSON("-"), TEXT("a")));
}

static void test_all_formats_can_be_had_at_once(void **state)
{
    (void)state;
    check_outputs(LINE("-J", "--csv=b", "--hlog=c", "--json-stream=d", "-o", "e"),
                  WANTS(JSON("e"), CSV("b"), HLOG("c"), STREAM("d"), TEXT("-")));
}

static void test_of_a_format_given_twice_the_last_one_holds(void **state)
{
    (void)state;
    check_outputs(LINE("-J", "a.json", "--json=b"), WANTS(JSON("b"), TEXT("-")));
    check_outputs(LINE("-J", "a.json", "-J"), WANTS(JSON("-")));
}

/* ---- values that may be left out ---- */

static void test_a_word_that_does_not_end_as_the_file_would_is_no_value(void **state)
{
    const struct pp_cli *cli;

    (void)state;
    cli = check_outputs(LINE("client", "-J", "10.0.0.2"), WANTS(JSON("-")));
    assert_string_equal(cli->plan.target.host, "10.0.0.2");
    cli = check_outputs(LINE("-J", "10.0.0.2"), WANTS(JSON("-")));
    assert_int_equal(cli->plan.job, PP_JOB_CLIENT);
    cli = check_outputs(LINE("client", "--csv", "unix:/a.json"), WANTS(CSV("-")));
    assert_string_equal(cli->plan.target.path, "/a.json");
    check_outputs(LINE("client", "--csv", "h", "--json", "a.json"),
                  WANTS(CSV("-"), JSON("a.json")));
    check_refused(LINE("client", "h", "--json", "a.csv"), "ADDRESS", "a.csv");
}

static void test_what_looks_like_an_option_is_no_value(void **state)
{
    const struct pp_cli *cli;

    (void)state;
    cli = check_outputs(LINE("-J", "-q"), WANTS(JSON("-")));
    assert_true(cli->quiet);
    check_outputs(LINE("--csv", "--json=x"), WANTS(CSV("-"), JSON("x")));
    check_refused(LINE("-J", "-a.json"), "-a", "option");
}

static void test_a_suffix_alone_is_no_name(void **state)
{
    (void)state;
    check_refused(LINE("client", "h", "-J", ".json"), "ADDRESS", ".json");
    check_outputs(LINE("--json=.json"), WANTS(JSON(".json"), TEXT("-")));
}

static void test_letters_may_follow_one_whose_value_is_left_out(void **state)
{
    const struct pp_cli *cli;

    (void)state;
    cli = check_outputs(LINE("-Jq"), WANTS(JSON("-")));
    assert_true(cli->quiet);
    cli = check_outputs(LINE("-Jun5"), WANTS(JSON("-")));
    assert_true(cli->plan.socket.dgram);
    assert_int_equal(cli->plan.count, 5);
    cli = check_outputs(LINE("-qJ", "a.json"), WANTS(JSON("a.json"), TEXT("-")));
    assert_true(cli->quiet);
}

static void test_an_empty_name_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("--json="), "--json", "name of a file");
    check_refused(LINE("--json-stream="), "--json-stream", "name of a file");
    check_refused(LINE("--csv="), "--csv", "name of a file");
    check_refused(LINE("--hlog="), "--hlog", "name of a file");
    check_refused(LINE("-o", ""), "--output", "name of a file");
}

static void test_a_log_and_an_output_need_a_name(void **state)
{
    (void)state;
    check_refused(LINE("--hlog"), "--hlog", "none was given");
    check_refused(LINE("-o"), "--output", "none was given");
}

static void test_a_shortened_name_of_two_formats_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("--js"), "--json", "--json-stream");
    check_outputs(LINE("--json"), WANTS(JSON("-")));
    check_outputs(LINE("--json-"), WANTS(STREAM("-")));
}

/* ---- two in one place ---- */

static void test_two_outputs_in_one_place_are_refused_by_their_names(void **state)
{
    (void)state;
    check_refused(LINE("-J", "--csv"), "--json and --csv", "--csv=FILE");
    check_refused(LINE("-J", "--csv", "-o", "a"), "--json and --csv", "--csv=FILE");
    check_refused(LINE("-J", "-", "--csv=-"), "--json and --csv", "standard output");
    check_refused(LINE("--csv", "--hlog=-"), "--csv and --hlog", "standard output");
    check_refused(LINE("--json=a", "--csv=a"), "--json and --csv", "to a:");
    check_refused(LINE("--json=a", "-o", "a"), "--json and --output", "to a:");
}

static void test_a_server_has_no_outputs(void **state)
{
    static const char *const typed[] = { "-J",   "--json-stream", "--csv",           "--hlog=a",
                                         "-o=a", "-i1",           "--percentiles=50" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(typed); i++)
        check_refused(LINE("serve", typed[i]), "is for run", "not for serve");
}

/* ---- intervals ---- */

static void test_an_interval_is_a_time_from_10_ms_to_an_hour(void **state)
{
    (void)state;
    assert_int_equal(parsed(LINE("-i", "1"))->plan.interval_ns, 1000 * MS);
    assert_int_equal(parsed(LINE("-i0.25"))->plan.interval_ns, 250 * MS);
    assert_int_equal(parsed(LINE("--interval=10ms"))->plan.interval_ns, 10 * MS);
    assert_int_equal(parsed(LINE("--interval", "3600"))->plan.interval_ns, 3600 * 1000 * MS);
    check_refused(LINE("-i", "9ms"), "--interval", "10ms to an hour");
    check_refused(LINE("-i", "3601"), "--interval", "10ms to an hour");
    check_refused(LINE("-i", "0"), "--interval", "10ms to an hour");
    check_refused(LINE("-i", "soon"), "--interval", "\"soon\"");
    check_refused(LINE("-i"), "--interval", "none was given");
}

static void test_intervals_are_shown_where_they_were_asked_for(void **state)
{
    (void)state;
    assert_true(parsed(LINE("-i", "1"))->intervals);
    assert_true(parsed(LINE("-J", "-i", "1"))->intervals);
    assert_false(parsed(LINE("-J"))->intervals);
    assert_int_equal(parsed(LINE("-J"))->plan.interval_ns, 0);
}

static void test_what_is_made_of_intervals_has_one_a_second_by_itself(void **state)
{
    static const char *const typed[] = { "--json-stream", "--hlog=a" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(typed); i++) {
        assert_int_equal(parsed(LINE(typed[i]))->plan.interval_ns, 1000 * MS);
        assert_false(parsed(LINE(typed[i]))->intervals);
        assert_int_equal(parsed(LINE("-i", "50ms", typed[i]))->plan.interval_ns, 50 * MS);
        assert_true(parsed(LINE(typed[i], "-i", "50ms"))->intervals);
    }
}

/* ---- percentiles ---- */

static void check_percentiles(const char *typed, const double *percentiles, unsigned count)
{
    const struct pp_plan *plan = &parsed(LINE("--percentiles", typed))->plan;

    assert_int_equal(plan->quantile_count, count);
    for (unsigned i = 0; i < count; i++)
        assert_true(fabs(plan->quantiles[i] * 100 - percentiles[i]) < 1e-9);
}

static void test_percentiles_are_taken_in_the_order_they_were_typed(void **state)
{
    static const double all[] = { 99.99999, 50, 0.001, 99.99998 };

    (void)state;
    check_percentiles("50", (const double[]){ 50 }, 1);
    check_percentiles("99.99999,50,0.001,99.99998", all, COUNT_OF(all));
    check_percentiles("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
                      (const double[]){ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
                      16);
}

static void test_percentiles_that_make_no_sense_are_refused(void **state)
{
    static const char *const typed[] = {
        "",    ",",     "50,",    ",50", "50,,99", "0",
        "100", "-1",    "0.0001", "p50", "50 99",  "50;99",
        "nan", "99.9%", "1e1",    "inf", "0x10",   "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(typed); i++)
        check_refused(LINE("--percentiles", typed[i]), "--percentiles", "0.001 to 99.99999");
}

static void test_a_percentile_given_twice_is_refused_by_its_name(void **state)
{
    (void)state;
    check_refused(LINE("--percentiles", "50,50"), "--percentiles", "50 twice");
    check_refused(LINE("--percentiles", "50,99,99.0"), "--percentiles", "99.0 twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_goes_to_standard_output_if_nothing_is_asked_for),
        cmocka_unit_test(test_a_format_without_a_file_takes_standard_output_from_the_text),
        cmocka_unit_test(test_a_format_with_a_file_leaves_the_text_on_standard_output),
        cmocka_unit_test(test_output_names_the_file_of_the_format_without_one),
        cmocka_unit_test(test_output_is_for_the_text_where_no_format_needs_it),
        cmocka_unit_test(test_all_formats_can_be_had_at_once),
        cmocka_unit_test(test_of_a_format_given_twice_the_last_one_holds),
        cmocka_unit_test(test_a_word_that_does_not_end_as_the_file_would_is_no_value),
        cmocka_unit_test(test_what_looks_like_an_option_is_no_value),
        cmocka_unit_test(test_a_suffix_alone_is_no_name),
        cmocka_unit_test(test_letters_may_follow_one_whose_value_is_left_out),
        cmocka_unit_test(test_an_empty_name_is_refused),
        cmocka_unit_test(test_a_log_and_an_output_need_a_name),
        cmocka_unit_test(test_a_shortened_name_of_two_formats_is_refused),
        cmocka_unit_test(test_two_outputs_in_one_place_are_refused_by_their_names),
        cmocka_unit_test(test_a_server_has_no_outputs),
        cmocka_unit_test(test_an_interval_is_a_time_from_10_ms_to_an_hour),
        cmocka_unit_test(test_intervals_are_shown_where_they_were_asked_for),
        cmocka_unit_test(test_what_is_made_of_intervals_has_one_a_second_by_itself),
        cmocka_unit_test(test_percentiles_are_taken_in_the_order_they_were_typed),
        cmocka_unit_test(test_percentiles_that_make_no_sense_are_refused),
        cmocka_unit_test(test_a_percentile_given_twice_is_refused_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
