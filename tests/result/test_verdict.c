/* What makes a result doubtful: each reason by itself, from a result made by hand. */
#include "result/verdict.h"

#include "base/clock.h"
#include "base/memory.h"
#include "result/result.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

/* A second at 10,000 round trips/s over one connection, and nothing that could be said against
 * it. */
static int setup(void **state)
{
    struct pp_result *result = pp_memory_alloc(1, sizeof *result);

    if (!result)
        return -1;
    pp_plan_default(&result->plan, PP_JOB_RUN);
    result->measured = true;
    result->balanced = true;
    result->duration_ns = PP_NS_PER_S;
    result->counts.sent = result->counts.received = 10000;
    result->rtt_latency = (struct pp_latency){ .samples = 10000, .count = 1 };
    result->rtt_latency.quantiles[0] = (struct pp_quantile){ .q = 0.99, .supported = true };
    result->response_latency = result->rtt_latency;
    result->client_load.share = 0.5;
    result->disturbance.steal_known = true;
    result->disturbance.others_known = true;
    result->disturbance.frequency_known = true;
    result->waiting = (struct pp_waiting){ .known = true, .others_known = true };
    result->throttled.known = true;
    result->tcp.connections = 1;
    result->steadiness.course.shape = PP_COURSE_STEADY;
    result->steadiness.slices = 40;
    result->clock_reading_ns = 20;
    *state = result;
    return 0;
}

static int teardown(void **state)
{
    pp_memory_free(*state);
    return 0;
}

static struct pp_verdict judged(const struct pp_result *result)
{
    struct pp_verdict verdict = { .level = PP_INVALID, .count = PP_REASONS };

    pp_verdict_of(&verdict, result);
    return verdict;
}

static void check_valid(const struct pp_result *result)
{
    const struct pp_verdict verdict = judged(result);

    if (verdict.count)
        fail_msg("%s: %s", pp_reason_name(verdict.reasons[0].id), verdict.reasons[0].text);
    assert_int_equal(verdict.level, PP_VALID);
    assert_int_equal(verdict.unknowns, 0);
}

static void check_words(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("\"%s\" lacks \"%s\"", text, words);
}

/* There is this reason and no other. Its text holds words, which are its figures. */
static void check(const struct pp_result *result, enum pp_reason_id id, enum pp_verdict_level level,
                  const char *words)
{
    const struct pp_verdict verdict = judged(result);

    assert_int_equal(verdict.count, 1);
    assert_int_equal(verdict.level, level);
    assert_int_equal(verdict.reasons[0].level, level);
    assert_string_equal(pp_reason_name(verdict.reasons[0].id), pp_reason_name(id));
    check_words(verdict.reasons[0].text, words);
}

/* There is no reason, and this one is not judged. */
static void check_unknown(const struct pp_result *result, enum pp_reason_id id)
{
    const struct pp_verdict verdict = judged(result);

    assert_int_equal(verdict.level, PP_VALID);
    assert_int_equal(verdict.count, 0);
    assert_int_equal(verdict.unknowns, 1);
    assert_string_equal(pp_reason_name(verdict.unknown[0]), pp_reason_name(id));
}

static void test_a_quiet_run_is_valid(void **state)
{
    check_valid(*state);
}

/* ---- INVALID ---- */

static void test_books_that_do_not_balance_are_invalid(void **state)
{
    struct pp_result *result = *state;

    result->balanced = false;
    check(result, PP_REASON_ACCOUNTING, PP_INVALID, "in flight");
}

static void test_not_one_round_trip_is_invalid(void **state)
{
    struct pp_result *result = *state;

    result->counts.received = 0;
    result->rtt_latency = (struct pp_latency){ .count = 1 };
    check(result, PP_REASON_NOTHING, PP_INVALID, "not one round trip");
    result->in_flight = 1;
    result->counts.unanswered_ns = 5 * PP_NS_PER_S;
    check_words(judged(result).reasons[1].text, "for 5,000,000 \u00b5s; there was no answer");
    result->in_flight = 0;
    result->counts.unanswered_ns = 0;
    result->counts.received = 1;
    check_valid(result);
}

static void test_a_rate_that_was_not_held_is_invalid(void **state)
{
    struct pp_result *result = *state;

    result->plan.rate = 20000;
    check_valid(result);
    result->rate_missed = true;
    result->counts.sent = 1000;
    result->counts.behind_ns = 1234 * PP_NS_PER_S;
    check(result, PP_REASON_RATE_MISSED, PP_INVALID,
          "RATE NOT HELD: 20,000 messages/s were asked for; messages went out 1,234,000 \u00b5s "
          "late on average");
    result->counts.unsent = 2345;
    check(result, PP_REASON_RATE_MISSED, PP_INVALID,
          "RATE NOT HELD: 20,000 messages/s were asked for; messages went out 1,234,000 \u00b5s "
          "late on average, and 2,345 that were due not at all");
}

static void test_messages_that_failed_are_invalid(void **state)
{
    struct pp_result *result = *state;

    result->counts.errors = 3;
    check(result, PP_REASON_ERRORS, PP_INVALID, "messages failed: 3; connections broke: 0");
}

static void test_a_connection_that_broke_with_nothing_under_way_is_invalid(void **state)
{
    struct pp_result *result = *state;

    result->counts.failed_connections = 2;
    check(result, PP_REASON_ERRORS, PP_INVALID, "messages failed: 0; connections broke: 2");
}

static void test_a_wrong_answer_is_invalid(void **state)
{
    struct pp_result *result = *state;

    result->counts.wrong = true;
    check(result, PP_REASON_ERRORS, PP_INVALID, "an answer was wrong");
}

static void test_a_clock_that_went_backwards_is_invalid_and_no_other_error(void **state)
{
    struct pp_result *result = *state;

    result->counts.errors = result->counts.backwards = 4;
    check(result, PP_REASON_CLOCK, PP_INVALID, "4 times the clock went backwards");
    result->counts.errors = 5;
    assert_int_equal(judged(result).count, 2);
    check_words(judged(result).reasons[0].text, "messages failed: 1;");
}

static void test_a_machine_that_slept_is_invalid(void **state)
{
    struct pp_result *result = *state;

    result->disturbance.suspended_ns = 2500 * PP_NS_PER_MS;
    check(result, PP_REASON_CLOCK, PP_INVALID, "slept for 2.5 s");
}

/* ---- what had no answer at the end ---- */

/* The slowest answer took 3 ms, of 1 s; the oldest of those without one is older. */
static void leave_unanswered(struct pp_result *result, uint64_t count, uint64_t us)
{
    result->in_flight = count;
    result->counts.sent = result->counts.received + count;
    result->counts.worst_ns = 3 * PP_NS_PER_MS;
    result->counts.unanswered_ns = us * 1000;
}

static void test_what_waits_no_longer_than_answers_took_is_no_matter(void **state)
{
    struct pp_result *result = *state;

    for (int open_loop = 0; open_loop < 2; open_loop++) {
        result->plan.rate = open_loop ? 10000 : 0;
        leave_unanswered(result, 1000, 3000);
        check_valid(result);
    }
}

static void test_what_waits_for_less_than_a_millisecond_is_no_matter(void **state)
{
    struct pp_result *result = *state;

    result->plan.rate = 10000;
    leave_unanswered(result, 1000, 1000);
    result->counts.worst_ns = 20000;
    check_valid(result);
    leave_unanswered(result, 1000, 1001);
    result->counts.worst_ns = 20000;
    check(result, PP_REASON_UNANSWERED, PP_INVALID,
          "at the end: 1,000, the oldest for 1,001 \u00b5s");
}

static void test_what_waits_twice_as_long_as_any_answer_took_is_suspect(void **state)
{
    struct pp_result *result = *state;

    leave_unanswered(result, 1, 5999);
    check_valid(result);
    leave_unanswered(result, 1, 6000);
    check(result, PP_REASON_UNANSWERED, PP_SUSPECT,
          "messages unanswered at the end: 1, the oldest for 6,000 \u00b5s; the slowest answer "
          "took 3,000 \u00b5s");
}

static void test_what_waits_for_a_tenth_of_the_time_more_than_any_answer_took_is_invalid(
    void **state)
{
    struct pp_result *result = *state;

    leave_unanswered(result, 1, 103000);
    check(result, PP_REASON_UNANSWERED, PP_SUSPECT, "the oldest for 103,000 \u00b5s");
    leave_unanswered(result, 1, 103001);
    check(result, PP_REASON_UNANSWERED, PP_INVALID, "the oldest for 103,001 \u00b5s");
}

/* p99 is shown: it is not what it would be, if more than one of a hundred is missing. */
static void test_an_open_loop_in_which_more_are_missing_than_lie_beyond_is_invalid(void **state)
{
    struct pp_result *result = *state;

    result->plan.rate = 10000;
    result->counts.received = 9900;
    leave_unanswered(result, 99, 7000);
    check(result, PP_REASON_UNANSWERED, PP_SUSPECT, "at the end: 99,");
    leave_unanswered(result, 101, 7000);
    check(result, PP_REASON_UNANSWERED, PP_INVALID, "at the end: 101,");
    leave_unanswered(result, 101, 3001);
    check(result, PP_REASON_UNANSWERED, PP_INVALID, "at the end: 101,");
    result->plan.rate = 0; /* a closed loop does not send what would be missing */
    leave_unanswered(result, 101, 7000);
    check(result, PP_REASON_UNANSWERED, PP_SUSPECT, "at the end: 101,");
}

/* ---- SUSPECT ---- */

static void test_a_clock_that_takes_more_than_a_microsecond_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->clock_reading_ns = 1000;
    check_valid(result);
    result->clock_reading_ns = 1600;
    check(result, PP_REASON_CLOCK, PP_SUSPECT, "takes 1.60 \u00b5s");
}

static void test_an_end_before_the_time_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->partial = true;
    check(result, PP_REASON_PARTIAL, PP_SUSPECT, "before it was complete");
}

static void test_one_lost_message_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->counts.lost = 1;
    check(result, PP_REASON_LOSS, PP_SUSPECT, "1 of 10,001 messages were lost");
}

static void test_a_client_thread_that_was_the_bottleneck_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->client_load.share = 1; /* spinning, with time to spare */
    check_valid(result);
    result->client_load = (struct pp_load){ .share = 0.973, .saturated = true };
    check(result, PP_REASON_CLIENT_SATURATED, PP_SUSPECT, "busy for 97 %");
}

static void test_one_percentile_without_support_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->rtt_latency.count = 3;
    result->rtt_latency.quantiles[1] = (struct pp_quantile){ .q = 0.9, .supported = true };
    result->rtt_latency.quantiles[2] = (struct pp_quantile){ .q = 0.5, .supported = true };
    check_valid(result);
    result->rtt_latency.quantiles[1].supported = false;
    check_valid(result); /* nobody asked */
    result->plan.quantiles_given = true;
    check(result, PP_REASON_FEW_SAMPLES, PP_SUSPECT, "too few samples (10,000)");
}

/* In an open loop what counts is the time from the intended send. */
static void test_an_open_loop_is_judged_by_its_responses(void **state)
{
    struct pp_result *result = *state;

    result->plan.quantiles_given = true;
    result->response_latency.quantiles[0].supported = false;
    check_valid(result);
    result->plan.rate = 1000;
    check(result, PP_REASON_FEW_SAMPLES, PP_SUSPECT, "asked for");
    result->response_latency.quantiles[0].supported = true;
    result->rtt_latency.quantiles[0].supported = false;
    check_valid(result);
}

static void test_a_round_trip_of_more_than_a_minute_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->rtt_latency.saturated = 2;
    check(result, PP_REASON_OUT_OF_RANGE, PP_SUSPECT,
          "more than 60 s, which are not told apart: 2");
}

static void test_a_run_that_is_not_one_and_the_same_is_suspect(void **state)
{
    struct pp_result *result = *state;
    struct pp_steadiness *steadiness = &result->steadiness;

    steadiness->course = (struct pp_course){ .shape = PP_COURSE_STEADY };
    check_valid(result);
    steadiness->course = (struct pp_course){ PP_COURSE_STEP, 123456.7, 1000, 30 };
    steadiness->at_ns = 1500 * PP_NS_PER_MS;
    check(result, PP_REASON_UNSTEADY, PP_SUSPECT,
          "the rate went from 123,457 to 1,000 roundtrips/s about 1.5 s in");
    steadiness->course = (struct pp_course){ PP_COURSE_LEVELS, 500, 1000, 0 };
    check(result, PP_REASON_UNSTEADY, PP_SUSPECT,
          "the rate went to and fro between 500 and 1,000 roundtrips/s");
    steadiness->course = (struct pp_course){ PP_COURSE_LINE, 1000, 500, 0 };
    check(result, PP_REASON_UNSTEADY, PP_SUSPECT, "the rate fell from 1,000 to 500 roundtrips/s");
    steadiness->of_latency = true;
    steadiness->course = (struct pp_course){ PP_COURSE_LINE, 31400, 2000000, 0 };
    check(result, PP_REASON_UNSTEADY, PP_SUSPECT,
          "the mean latency rose from 31.4 to 2,000 \u00b5s");
}

static void test_more_than_a_hundredth_of_the_time_taken_away_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->disturbance.steal_share = 0.0099;
    check_valid(result);
    result->disturbance.steal_share = 0.023;
    check(result, PP_REASON_STEAL, PP_SUSPECT, "took away 2.3 %");
    result->disturbance.steal_known = false;
    check_unknown(result, PP_REASON_STEAL);
}

static void test_more_than_a_tenth_of_the_time_for_other_programs_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->disturbance.others_share = 0.099;
    check_valid(result);
    result->disturbance.others_share = 0.42;
    check(result, PP_REASON_OTHERS_BUSY, PP_SUSPECT, "other programs had 42 %");
    result->disturbance.others_known = false;
    check_unknown(result, PP_REASON_OTHERS_BUSY);
}

static void test_a_server_on_the_same_machine_is_not_held_against_its_client(void **state)
{
    struct pp_result *result = *state;

    result->disturbance.others_share = 0.42;
    result->plan.job = PP_JOB_CLIENT;
    result->peer = PP_PEER_UNKNOWN;
    (void)strcpy(result->route.interface, "lo");
    check_unknown(result, PP_REASON_OTHERS_BUSY);
    (void)strcpy(result->route.interface, "eth0");
    check(result, PP_REASON_OTHERS_BUSY, PP_SUSPECT, "other programs had 42 %");
    (void)strcpy(result->plan.target.path, "/run/echo.sock");
    check_unknown(result, PP_REASON_OTHERS_BUSY);
}

static void test_a_frequency_that_changed_by_more_than_a_tenth_is_suspect(void **state)
{
    struct pp_result *result = *state;

    result->disturbance.frequency_change = 0.099;
    check_valid(result);
    result->disturbance.frequency_change = 0.2;
    check(result, PP_REASON_FREQUENCY, PP_SUSPECT, "20 % different");
}

/* ---- stalls ---- */

static void test_stalls_that_a_closed_loop_hides_are_suspect(void **state)
{
    struct pp_result *result = *state;

    result->rtt_latency.count = 2;
    result->rtt_latency.quantiles[0] = (struct pp_quantile){ 0.999, true, 67400 };
    result->rtt_latency.quantiles[1] = (struct pp_quantile){ 0.9999, true, 70000 };
    result->stalls = (struct pp_stalls){ 3100000, 1234, 0.756, true };
    result->hidden = (struct pp_hidden){ .interval_ns = 31000,
                                         .corrected_ns = { 45 * PP_NS_PER_MS, PP_NS_PER_S } };
    check_valid(result);
    result->hidden.matters = true;
    check(result, PP_REASON_STALL_HIDDEN, PP_SUSPECT,
          "76 % of the time went into stalls, 1,234 of more than 3,100 \u00b5s: at an even pace "
          "p99.9 would be about 45,000 \u00b5s, not 67.4");
    result->hidden.corrected_ns[0] = result->hidden.corrected_ns[1] = 70000;
    check(result, PP_REASON_STALL_HIDDEN, PP_SUSPECT, "1,234 of more than 3,100 \u00b5s");
}

static void test_segments_sent_again_are_suspect_from_one_in_a_thousand_on(void **state)
{
    struct pp_result *result = *state;

    result->counts.received = 20000;
    result->tcp.retransmits = 20;
    check_valid(result);
    result->tcp.retransmits = 21;
    check(result, PP_REASON_RETRANSMITS, PP_SUSPECT,
          "TCP sent 21 segments again, in 20,000 round trips");
}

/* ---- several ---- */

static void test_the_level_is_that_of_the_worst_reason(void **state)
{
    struct pp_result *result = *state;

    result->hidden.matters = true;
    result->partial = true;
    assert_int_equal(judged(result).level, PP_SUSPECT);
    result->counts.failed_connections = 1;
    assert_int_equal(judged(result).level, PP_INVALID);
    assert_int_equal(judged(result).count, 3);
}

static void test_a_client_that_stood_still_is_suspect_or_invalid(void **state)
{
    struct pp_result *result = *state;

    result->stopped.sum_ns = result->stopped.longest_ns = result->duration_ns / 100;
    check_valid(result);
    result->stopped.sum_ns = 300 * PP_NS_PER_MS;
    result->stopped.longest_ns = 200 * PP_NS_PER_MS;
    result->duration_ns = 3 * PP_NS_PER_S;
    check(result, PP_REASON_STOPPED, PP_SUSPECT, "for 300 ms, 200 ms at once");
    result->stopped.sum_ns = 749 * PP_NS_PER_MS;
    check(result, PP_REASON_STOPPED, PP_SUSPECT, "for 749 ms");
    result->stopped.sum_ns = 750 * PP_NS_PER_MS;
    check(result, PP_REASON_STOPPED, PP_INVALID, "for 750 ms");
}

static void test_a_short_run_is_not_invalid_for_one_turn_of_others(void **state)
{
    struct pp_result *result = *state;

    result->duration_ns = 10 * PP_NS_PER_MS;
    result->waiting.others_share = 0.9;
    check(result, PP_REASON_STARVED, PP_SUSPECT, "for 90 % of the time");
    result->duration_ns = 500 * PP_NS_PER_MS;
    check(result, PP_REASON_STARVED, PP_INVALID, "for 90 % of the time");
}

static void test_what_a_quota_has_taken_is_suspect_or_invalid(void **state)
{
    struct pp_result *result = *state;

    result->throttled = (struct pp_throttled){ .known = true, .times = 3, .sum_ns = 10000000 };
    check_valid(result);
    result->throttled.sum_ns = 110 * PP_NS_PER_MS;
    check(result, PP_REASON_THROTTLED, PP_SUSPECT, "used up 3 times: threads waited for 11 %");
    result->throttled.sum_ns = 5 * PP_NS_PER_S; /* of several CPUs */
    check(result, PP_REASON_THROTTLED, PP_INVALID, "waited for 100 %");
}

static void test_who_is_throttled_also_stands_still_which_is_no_other_reason(void **state)
{
    struct pp_result *result = *state;

    result->stopped.sum_ns = result->stopped.longest_ns = 90 * PP_NS_PER_MS;
    result->throttled = (struct pp_throttled){ .known = true, .times = 1, .sum_ns = 85000000 };
    check(result, PP_REASON_THROTTLED, PP_SUSPECT, "");
    result->throttled.sum_ns = 9 * PP_NS_PER_MS;
    check(result, PP_REASON_STOPPED, PP_SUSPECT, "");
}

static void test_a_thread_that_waits_for_others_is_suspect_or_invalid(void **state)
{
    struct pp_result *result = *state;

    result->waiting = (struct pp_waiting){ .known = true, .others_known = true, .share = 0.9 };
    result->waiting.others_share = 0.05;
    check_valid(result);
    result->waiting.others_share = 0.12;
    check(result, PP_REASON_STARVED, PP_SUSPECT,
          "other programs had the CPU of a client thread, which waited for it for 12 %");
    result->waiting.others_share = 0.25;
    result->waits_of_server = true;
    check(result, PP_REASON_STARVED, PP_INVALID, "of a server thread, which waited");
    result->waiting.others_known = false;
    check_unknown(result, PP_REASON_STARVED);
}

/* It may be the server that the client waited for, which is part of what is measured. */
static void test_waiting_that_may_be_for_the_server_is_suspect_at_most(void **state)
{
    struct pp_result *result = *state;

    result->waiting.others_share = 0.9;
    result->waits_for_server = true;
    check(result, PP_REASON_STARVED, PP_SUSPECT,
          "other programs, or the server, had the CPU of a client thread, which waited for it for "
          "90 %");
}

static void test_latencies_that_grow_until_the_end_are_invalid(void **state)
{
    struct pp_result *result = *state;

    result->plan.rate = 5500;
    result->growth = (struct pp_growth){ .from_ns = 46e6, .to_ns = 410e6 };
    check_valid(result);
    result->growth.until_end = true;
    check(result, PP_REASON_NOT_KEPT_UP, PP_INVALID,
          "5,500 messages/s were not kept up with: the mean latency grew from 46,000 to 410,000");
}

static void test_what_the_client_itself_has_delayed_is_judged_by_its_part_of_the_latencies(
    void **state)
{
    struct pp_result *result = *state;

    result->plan.rate = 1000;
    result->counts.sent = 1000;
    result->response.sum_ns = PP_NS_PER_S;
    result->counts.delayed = 1;
    result->counts.delayed_ns = PP_NS_PER_S / 11;
    check_valid(result);
    result->counts.delayed_ns = PP_NS_PER_S / 5;
    check(result, PP_REASON_SENT_LATE, PP_SUSPECT, "late by more than 1 ms: that is 20 % of all");
    result->counts.delayed_ns = PP_NS_PER_S / 2;
    check(result, PP_REASON_SENT_LATE, PP_INVALID, "1 of 1,000 messages");
    result->counts.sent = 1001; /* p99.9 would not show it */
    check_valid(result);
}

/* As over UDP: each was 2 ms late and has a latency of 4 ms, if it has one. */
static void test_what_was_delayed_and_lost_is_no_part_of_the_others_latencies(void **state)
{
    struct pp_result *result = *state;

    result->plan.rate = 1000;
    result->counts.sent = 1000;
    result->counts.received = 400;
    result->response.total = 400;
    result->response.sum_ns = 400 * 4 * PP_NS_PER_MS;
    result->counts.delayed = 1000;
    result->counts.delayed_ns = 1000 * 2 * PP_NS_PER_MS;
    check(result, PP_REASON_SENT_LATE, PP_INVALID, "that is 50 % of all");
    result->counts.delayed_ns *= 10;
    check(result, PP_REASON_SENT_LATE, PP_INVALID, "that is 100 % of all");
}

static void test_what_the_drain_has_answered_is_not_unanswered(void **state)
{
    struct pp_result *result = *state;

    leave_unanswered(result, 100, 7000000);
    result->counts.drained = 99;
    check(result, PP_REASON_UNANSWERED, PP_INVALID, "messages unanswered at the end: 1, the");
}

static void test_less_than_a_second_is_short_unless_a_count_was_asked_for(void **state)
{
    struct pp_result *result = *state;

    result->duration_ns = 300 * PP_NS_PER_MS;
    check_valid(result);
    result->plan.time_ns = 300 * PP_NS_PER_MS;
    check(result, PP_REASON_SHORT, PP_SUSPECT, "0.30 s are too short");
    result->plan.time_ns = PP_NS_PER_S;
    result->duration_ns = PP_NS_PER_S -
                          20 * PP_NS_PER_US; /* the first message is not sent at once */
    check_valid(result);
}

static void test_what_a_count_has_ended_in_time_is_not_short(void **state)
{
    struct pp_result *result = *state;

    result->plan.time_ns = PP_NS_PER_S;
    result->plan.count = result->counts.sent;
    result->duration_ns = 300 * PP_NS_PER_MS;
    check_valid(result);
    result->plan.count++;
    check(result, PP_REASON_SHORT, PP_SUSPECT, "0.30 s are too short");
}

static void test_fewer_than_ten_slices_are_short(void **state)
{
    struct pp_result *result = *state;

    result->plan.time_ns = result->duration_ns = 3 * PP_NS_PER_S;
    result->steadiness.slices = 10;
    check_valid(result);
    result->steadiness.slices = 9;
    result->counts.sent = result->counts.received = 36;
    check(result, PP_REASON_SHORT, PP_SUSPECT, "with 36 round trips nobody can tell");
}

/* ---- unknown ---- */

static void test_a_thread_whose_waiting_is_unknown_is_not_judged(void **state)
{
    struct pp_result *result = *state;

    result->waiting = (struct pp_waiting){ .known = true, .others_share = 1 };
    check_unknown(result, PP_REASON_STARVED);
}

static void test_a_quota_that_is_unknown_is_not_judged(void **state)
{
    struct pp_result *result = *state;

    result->throttled = (struct pp_throttled){ .sum_ns = PP_NS_PER_S };
    check_unknown(result, PP_REASON_THROTTLED);
}

static void test_a_load_that_is_unknown_is_not_judged(void **state)
{
    struct pp_result *result = *state;

    result->client_load = (struct pp_load){ .unknown = true, .saturated = true };
    check_unknown(result, PP_REASON_CLIENT_SATURATED);
}

static void test_a_course_that_is_unknown_is_not_judged(void **state)
{
    struct pp_result *result = *state;

    result->steadiness.course.shape = PP_COURSE_UNKNOWN;
    check_unknown(result, PP_REASON_UNSTEADY);
}

static void test_a_frequency_that_is_unknown_is_not_judged(void **state)
{
    struct pp_result *result = *state;

    result->disturbance.frequency_known = false;
    result->disturbance.frequency_change = 1;
    check_unknown(result, PP_REASON_FREQUENCY);
}

static void test_segments_sent_again_are_unknown_where_no_connection_is_left_to_ask(void **state)
{
    struct pp_result *result = *state;

    result->tcp.connections = 0;
    check_unknown(result, PP_REASON_RETRANSMITS);
    result->plan.socket.dgram = true;
    check_valid(result);
}

/* All that can be wrong at once is wrong. */
static void spoil(struct pp_result *result)
{
    result->plan.rate = 1000;
    result->plan.quantiles_given = true;
    result->rate_missed = true;
    result->growth.until_end = true;
    result->response.sum_ns = 10 * PP_NS_PER_S;
    result->balanced = false;
    result->counts = (struct pp_counts){ .sent = 9,
                                         .errors = 1,
                                         .lost = 1,
                                         .delayed = 9,
                                         .delayed_ns = 2 * PP_NS_PER_S,
                                         .unanswered_ns = PP_NS_PER_S };
    result->partial = true;
    result->client_load.saturated = true;
    result->response_latency.saturated = 1;
    result->response_latency.quantiles[0].supported = false;
    result->disturbance.suspended_ns = PP_NS_PER_S;
    result->stopped.sum_ns = result->stopped.longest_ns = 10 * PP_NS_PER_S;
    result->throttled.sum_ns = PP_NS_PER_S;
    result->waiting.others_share = 1;
    result->plan.time_ns = 3 * PP_NS_PER_S;
    result->steadiness.slices = 9;
    result->disturbance.others_share = 1;
    result->disturbance.steal_share = 1;
    result->disturbance.frequency_change = 1;
    result->steadiness.course.shape = PP_COURSE_LEVELS;
    result->hidden.matters = true;
    result->tcp.retransmits = UINT64_MAX;
}

static void test_all_reasons_fit_once_each_and_in_their_order(void **state)
{
    struct pp_result *result = *state;
    struct pp_verdict verdict;

    spoil(result);
    verdict = judged(result);
    assert_int_equal(verdict.count, PP_REASONS);
    for (unsigned i = 0; i < PP_REASONS; i++)
        assert_int_equal(verdict.reasons[i].id, i);
}

/* Who shows only the first one shows what decides. */
static void test_a_worse_reason_never_stands_behind_a_lesser_one(void **state)
{
    struct pp_result *result = *state;
    struct pp_verdict verdict;

    spoil(result);
    verdict = judged(result);
    for (unsigned i = 1; i < verdict.count; i++)
        assert_true(verdict.reasons[i].level <= verdict.reasons[i - 1].level);
    result->counts.unanswered_ns = 2 * PP_NS_PER_MS; /* less, and before one that is as bad */
    verdict = judged(result);
    for (unsigned i = 1; i < verdict.count; i++)
        assert_true(verdict.reasons[i].level <= verdict.reasons[i - 1].level);
    assert_int_equal(verdict.count, PP_REASONS);
}

static void test_the_largest_figures_fit_into_the_texts(void **state)
{
    struct pp_result *result = *state;
    struct pp_verdict verdict;

    spoil(result);
    result->counts.lost = result->counts.received = UINT64_MAX / 2;
    result->counts.errors = result->counts.lag_ns = UINT64_MAX;
    result->in_flight = result->counts.unanswered_ns = UINT64_MAX;
    result->counts.failed_connections = UINT32_MAX;
    result->response_latency.samples = result->response_latency.saturated = UINT64_MAX;
    result->stalls.longer_than_ns = result->stalls.trips = UINT64_MAX;
    result->hidden.corrected_ns[0] = UINT64_MAX;
    result->rtt_latency.quantiles[0].ns = UINT64_MAX / 2;
    result->rtt_latency.quantiles[0].supported = true;
    verdict = judged(result);
    for (unsigned i = 0; i < verdict.count; i++)
        assert_true(strlen(verdict.reasons[i].text) < sizeof verdict.reasons[i].text - 1);
}

/* ---- names ---- */

static void test_each_reason_has_a_name_of_its_own_and_a_cure(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PP_REASONS; i++) {
        const char *name = pp_reason_name(i);

        assert_non_null(name);
        assert_true(strlen(name) > 0 && strlen(pp_reason_cure(i)) > 0);
        for (const char *c = name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(name, pp_reason_name(k));
    }
}

static void test_the_levels_are_named(void **state)
{
    (void)state;
    assert_string_equal(pp_verdict_level_name(PP_VALID), "VALID");
    assert_string_equal(pp_verdict_level_name(PP_SUSPECT), "SUSPECT");
    assert_string_equal(pp_verdict_level_name(PP_INVALID), "INVALID");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_quiet_run_is_valid),
        TEST(test_books_that_do_not_balance_are_invalid),
        TEST(test_not_one_round_trip_is_invalid),
        TEST(test_a_rate_that_was_not_held_is_invalid),
        TEST(test_messages_that_failed_are_invalid),
        TEST(test_a_connection_that_broke_with_nothing_under_way_is_invalid),
        TEST(test_a_wrong_answer_is_invalid),
        TEST(test_a_clock_that_went_backwards_is_invalid_and_no_other_error),
        TEST(test_a_machine_that_slept_is_invalid),
        TEST(test_what_waits_no_longer_than_answers_took_is_no_matter),
        TEST(test_what_waits_for_less_than_a_millisecond_is_no_matter),
        TEST(test_what_waits_twice_as_long_as_any_answer_took_is_suspect),
        TEST(test_what_waits_for_a_tenth_of_the_time_more_than_any_answer_took_is_invalid),
        TEST(test_an_open_loop_in_which_more_are_missing_than_lie_beyond_is_invalid),
        TEST(test_a_clock_that_takes_more_than_a_microsecond_is_suspect),
        TEST(test_an_end_before_the_time_is_suspect),
        TEST(test_one_lost_message_is_suspect),
        TEST(test_a_client_thread_that_was_the_bottleneck_is_suspect),
        TEST(test_one_percentile_without_support_is_suspect),
        TEST(test_an_open_loop_is_judged_by_its_responses),
        TEST(test_a_round_trip_of_more_than_a_minute_is_suspect),
        TEST(test_a_run_that_is_not_one_and_the_same_is_suspect),
        TEST(test_more_than_a_hundredth_of_the_time_taken_away_is_suspect),
        TEST(test_more_than_a_tenth_of_the_time_for_other_programs_is_suspect),
        TEST(test_a_server_on_the_same_machine_is_not_held_against_its_client),
        TEST(test_a_frequency_that_changed_by_more_than_a_tenth_is_suspect),
        TEST(test_stalls_that_a_closed_loop_hides_are_suspect),
        TEST(test_segments_sent_again_are_suspect_from_one_in_a_thousand_on),
        TEST(test_the_level_is_that_of_the_worst_reason),
        TEST(test_a_client_that_stood_still_is_suspect_or_invalid),
        TEST(test_a_short_run_is_not_invalid_for_one_turn_of_others),
        TEST(test_what_a_quota_has_taken_is_suspect_or_invalid),
        TEST(test_less_than_a_second_is_short_unless_a_count_was_asked_for),
        TEST(test_what_a_count_has_ended_in_time_is_not_short),
        TEST(test_fewer_than_ten_slices_are_short),
        TEST(test_a_thread_whose_waiting_is_unknown_is_not_judged),
        TEST(test_a_quota_that_is_unknown_is_not_judged),
        TEST(test_a_load_that_is_unknown_is_not_judged),
        TEST(test_a_course_that_is_unknown_is_not_judged),
        TEST(test_a_frequency_that_is_unknown_is_not_judged),
        TEST(test_segments_sent_again_are_unknown_where_no_connection_is_left_to_ask),
        TEST(test_who_is_throttled_also_stands_still_which_is_no_other_reason),
        TEST(test_a_thread_that_waits_for_others_is_suspect_or_invalid),
        TEST(test_waiting_that_may_be_for_the_server_is_suspect_at_most),
        TEST(test_latencies_that_grow_until_the_end_are_invalid),
        TEST(test_what_the_client_itself_has_delayed_is_judged_by_its_part_of_the_latencies),
        TEST(test_what_was_delayed_and_lost_is_no_part_of_the_others_latencies),
        TEST(test_what_the_drain_has_answered_is_not_unanswered),
        TEST(test_all_reasons_fit_once_each_and_in_their_order),
        TEST(test_a_worse_reason_never_stands_behind_a_lesser_one),
        TEST(test_the_largest_figures_fit_into_the_texts),
        TEST(test_each_reason_has_a_name_of_its_own_and_a_cure),
        TEST(test_the_levels_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
