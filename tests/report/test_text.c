#include "report/text.h"

#include "bench/plan.h"
#include "measure/hist.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define TEXT_BYTES 8192
#define WIDTH 80

static const struct pp_text_style plain = { 0 };
static const struct pp_text_style quiet = { .quiet = true };
static const struct pp_text_style verbose = { .verbose = true };
static const struct pp_text_style narrow = { .columns = WIDTH };

static int setup(void **state)
{
    static struct pp_result result; /* too large for the stack; one test at a time */

    memset(&result, 0, sizeof result);
    pp_hist_reset(&result.rtt);
    pp_hist_reset(&result.response);
    pp_plan_default(&result.plan, PP_JOB_RUN);
    result.plan.depth = 1; /* as pp_plan_decide() makes it */
    *state = &result;
    return 0;
}

/* What is known before the measurement. */
static struct pp_result *begun(void **state)
{
    struct pp_result *result = *state;

    result->plan.placement = PP_PLACEMENT_SAME;
    result->plan.client_cpus[0] = 1;
    result->plan.server_cpus[0] = 1;
    result->plan.wait = PP_IO_WAIT_YIELD;
    result->plan.spin_ns = 50000;
    result->addr.len = sizeof result->addr.in;
    result->addr.in.sin_family = AF_INET;
    result->addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result->addr.in.sin_port = htons(3131);
    (void)strcpy(result->client.engine, "epoll: edge-triggered");
    (void)strcpy(result->client.engine_name, "epoll");
    (void)strcpy(result->server.engine, "epoll: edge-triggered");
    (void)strcpy(result->server.engine_name, "epoll");
    (void)strcpy(result->congestion_control, "cubic");
    return result;
}

/* 1,999 round trips of 1 to 1,999 us: enough for p99, not for p99.9. */
static struct pp_result *measured(void **state)
{
    struct pp_result *result = begun(state);

    for (uint64_t us = 1; us <= 1999; us++)
        pp_hist_record(&result->rtt, us * 1000);
    result->plan.count = 1999;
    result->counts.sent = 1999;
    result->counts.received = 1999;
    result->duration_ns = 2000000000;
    result->measured = true;
    result->client.usage =
        (struct pp_usage){ .user_ns = 1999000, .system_ns = 1999000, .context_switches = 1999 };
    result->server.usage =
        (struct pp_usage){ .user_ns = 999500, .system_ns = 29985000, .context_switches = 1 };
    result->client.io = (struct pp_io_stats){ .syscalls = 4000, .turns = 1999, .guard_trips = 3 };
    result->server.io = (struct pp_io_stats){ .syscalls = 3996, .starved = 12, .overflows = 1 };
    return result;
}

typedef void writer(FILE *out, const struct pp_text_style *style, const struct pp_result *result);

static void written(char got[TEXT_BYTES], writer *write, const struct pp_text_style *style,
                    const struct pp_result *result)
{
    FILE *out = fmemopen(got, TEXT_BYTES, "w");

    assert_non_null(out);
    got[0] = '\0';
    write(out, style, result);
    assert_int_equal(fclose(out), 0);
}

static void check_begin(const struct pp_text_style *style, const struct pp_result *result,
                        const char *want)
{
    char got[TEXT_BYTES];

    written(got, pp_text_begin, style, result);
    assert_string_equal(got, want);
}

static void check_end(const struct pp_text_style *style, const struct pp_result *result,
                      const char *want)
{
    char got[TEXT_BYTES];

    written(got, pp_text_end, style, result);
    assert_string_equal(got, want);
}

static void check_has(writer *write, const struct pp_text_style *style,
                      const struct pp_result *result, const char *want)
{
    char got[TEXT_BYTES];

    written(got, write, style, result);
    if (!strstr(got, want))
        fail_msg("\"%s\" is not in\n%s", want, got);
}

static void check_lacks(writer *write, const struct pp_text_style *style,
                        const struct pp_result *result, const char *unwanted)
{
    char got[TEXT_BYTES];

    written(got, write, style, result);
    if (strstr(got, unwanted))
        fail_msg("\"%s\" is in\n%s", unwanted, got);
}

/* A field of the head's second line, with what stands before and after it. */
static void check_field(const struct pp_result *result, const char *field)
{
    char want[256];

    (void)snprintf(want, sizeof want, " \u00b7 %s \u00b7 ", field);
    check_has(pp_text_begin, &plain, result, want);
}

/* ---- the head ---- */

static void test_the_head_says_what_is_measured_and_how(void **state)
{
    check_begin(&plain, begun(state),
                "pingpong " PP_VERSION " \u00b7 TCP 127.0.0.1:3131 \u00b7 1 connection \u00b7 5 B "
                "\u00b7 depth 1\n"
                "engine epoll (auto) \u00b7 wait auto: yield, block after 50 \u00b5s \u00b7 "
                "placement auto: same core (cpu 1) \u00b7 congestion control cubic\n");
}

static void test_the_head_is_folded_between_fields(void **state)
{
    check_begin(&narrow, begun(state),
                "pingpong " PP_VERSION " \u00b7 TCP 127.0.0.1:3131 \u00b7 1 connection \u00b7 5 B "
                "\u00b7 depth 1\n"
                "engine epoll (auto) \u00b7 wait auto: yield, block after 50 \u00b5s\n"
                "  placement auto: same core (cpu 1) \u00b7 congestion control cubic\n");
}

static void test_width_is_counted_in_columns_and_not_in_bytes(void **state)
{
    struct pp_result *result = begun(state);
    struct pp_text_style style = { .columns = 0 };
    char got[TEXT_BYTES];
    char *second;

    /* Exactly the columns of the second line's first three fields, then one fewer. */
    written(got, pp_text_begin, &style, result);
    second = strchr(got, '\n') + 1;
    *strstr(second, " \u00b7 congestion") = '\0';
    style.columns = 0;
    for (const char *at = second; *at; at++)
        style.columns += ((unsigned char)*at & 0xc0) != 0x80;
    assert_true(style.columns < strlen(second));
    check_has(pp_text_begin, &style, result, "(cpu 1)\n  congestion control cubic\n");
    style.columns--;
    check_has(pp_text_begin, &style, result, "50 \u00b5s\n  placement");
}

static void test_the_verbose_head_adds_what_the_engines_were_granted(void **state)
{
    struct pp_result *result = begun(state);

    (void)strcpy(result->server.engine, "io_uring: multishot");
    (void)strcpy(result->server.engine_name, "io_uring");
    check_has(pp_text_begin, &verbose, result,
              " cubic\nclient epoll: edge-triggered\nserver io_uring: multishot\n");
    check_lacks(pp_text_begin, &plain, result, "multishot");
}

static void test_the_quiet_head_is_empty(void **state)
{
    check_begin(&quiet, begun(state), "");
}

static void test_the_head_says_why_an_engine_was_not_used(void **state)
{
    struct pp_result *result = begun(state);

    (void)strcpy(result->refused_engine, "io_uring is switched off");
    check_has(pp_text_begin, &plain, result, " cubic\nnot used: io_uring is switched off\n");
}

static void test_many_connections_are_counted_in_the_plural(void **state)
{
    struct pp_result *result = begun(state);

    result->plan.connections = 10000;
    check_has(pp_text_begin, &plain, result, " \u00b7 10,000 connections \u00b7 5 B ");
}

static void test_an_ipv6_address_stands_in_brackets(void **state)
{
    struct pp_result *result = begun(state);

    result->addr = (struct pp_io_addr){ .len = sizeof result->addr.in6,
                                        .in6 = { .sin6_family = AF_INET6,
                                                 .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                                                 .sin6_port = htons(7) } };
    check_has(pp_text_begin, &plain, result, " \u00b7 TCP [::1]:7 \u00b7 ");
}

static void test_the_engine_is_auto_only_where_it_was_left_open(void **state)
{
    struct pp_result *result = begun(state);

    result->plan.client_engine = "epoll";
    result->plan.server_engine = "epoll";
    check_has(pp_text_begin, &plain, result, "\nengine epoll \u00b7 wait");
    result->plan.server_engine = "auto";
    check_has(pp_text_begin, &plain, result, "\nengine epoll, server epoll (auto) \u00b7 wait");
    result->plan.client_engine = "auto";
    result->plan.server_engine = "io_uring";
    (void)strcpy(result->server.engine_name, "io_uring");
    check_has(pp_text_begin, &plain, result, "\nengine epoll (auto), server io_uring \u00b7 wait");
}

static void test_each_way_to_wait_has_its_words(void **state)
{
    struct pp_result *result = begun(state);
    struct pp_plan *plan = &result->plan;

    plan->wait = PP_IO_WAIT_BLOCK;
    check_field(result, "wait auto: block");
    plan->wait = PP_IO_WAIT_SPIN;
    check_field(result, "wait auto: spin, block after 50 \u00b5s");
    plan->wait_auto = false;
    check_field(result, "wait spin, block after 50 \u00b5s");
    plan->spin_ns = PP_IO_SPIN_FOREVER;
    check_field(result, "wait spin, never block");
    plan->wait = PP_IO_WAIT_YIELD;
    plan->spin_ns = 1500000;
    check_field(result, "wait yield, block after 1,500 \u00b5s");
    plan->wait = PP_IO_WAIT_BLOCK;
    check_field(result, "wait block");
}

static void test_each_placement_has_its_words(void **state)
{
    struct pp_result *result = begun(state);
    struct pp_plan *plan = &result->plan;

    check_field(result, "placement auto: same core (cpu 1)");
    plan->client_cpus_given.count = 1;
    check_field(result, "placement same core (cpu 1)");
    plan->placement = PP_PLACEMENT_SPLIT;
    plan->server_cpus[0] = 12;
    check_field(result, "placement split (cpu 1, server 12)");
    plan->client_cpus_given.count = 0;
    check_field(result, "placement auto: split (cpu 1, server 12)");
    plan->placement_auto = false;
    check_field(result, "placement split (cpu 1, server 12)");
    plan->placement = PP_PLACEMENT_NONE;
    check_field(result, "placement none");
}

/* ---- the figures ---- */

#define RATE_AND_TIME                                                                              \
    "999.50 roundtrips/s\n"                                                                        \
    "2.00 seconds total\n"

#define RTT_UNTIL_P99_9                                                                            \
    "RTT \u00b5s  min 1.00  mean 1,000  p50 1,000  p90 1,800  p99 1,980  p99.9 n/a"

/* CPU: (1999 + 1999) us / 1999 and (999.5 + 29985) us / 1999. */
#define COST "cost a round trip  CPU 2.00 \u00b5s client + 15.5 \u00b5s server"

static void test_a_whole_result_says_count_rate_time_rtt_and_cost(void **state)
{
    check_end(&plain, measured(state),
              "1,999 round trips, every byte checked\n" RATE_AND_TIME RTT_UNTIL_P99_9
              "  max 1,999\n" COST " \u00b7 4.00 system calls \u00b7 1.00 context switches\n");
}

static void test_quiet_is_the_rate_and_the_time(void **state)
{
    check_end(&quiet, measured(state), RATE_AND_TIME);
}

static void test_verbose_is_all_there_is(void **state)
{
    struct pp_result *result = measured(state);

    check_end(&verbose, result,
              "1,999 round trips, every byte checked\n" RATE_AND_TIME RTT_UNTIL_P99_9
              "  p99.99 n/a  max 1,999\n" COST
              " \u00b7 4.00 system calls \u00b7 1.00 context switches\n"
              "client  CPU 1 ms user + 1 ms system \u00b7 1,999 turns \u00b7 4,000 system calls "
              "\u00b7 0 waits for a buffer \u00b7 0 queue overflows \u00b7 3 yield guard trips\n"
              "server  CPU 0 ms user + 29 ms system \u00b7 0 turns \u00b7 3,996 system calls "
              "\u00b7 12 waits for a buffer \u00b7 1 queue overflows \u00b7 0 yield guard trips\n"
              "sent 1999 = received 1999 + lost 0 + errors 0 + in flight 0\n");
}

static void test_the_figures_are_folded_between_fields(void **state)
{
    check_has(pp_text_end, &narrow, measured(state),
              "\n" RTT_UNTIL_P99_9 "\n  max 1,999\n" COST
              " \u00b7 4.00 system calls\n  1.00 context switches\n");
}

static void test_one_round_trip_is_singular(void **state)
{
    struct pp_result *result = begun(state);

    result->plan.count = 1;
    result->counts.received = 1;
    check_has(pp_text_end, &plain, result, "1 round trip, every byte checked\n");
}

static void test_a_partial_result_says_so_first_even_when_quiet(void **state)
{
    struct pp_result *result = measured(state);

    result->plan.count = 500000;
    result->partial = true;
    check_end(&quiet, result,
              "PARTIAL: 1,999 of 500,000 round trips, every byte checked\n" RATE_AND_TIME);
    check_has(pp_text_end, &plain, result,
              "PARTIAL: 1,999 of 500,000 round trips, every byte checked\n" RATE_AND_TIME "RTT");
}

static void test_an_interrupted_result_says_so(void **state)
{
    struct pp_result *result = measured(state);

    result->plan.count = 500000;
    result->partial = true;
    result->signal = 2;
    check_end(&quiet, result,
              "PARTIAL: 1,999 of 500,000 round trips, every byte checked; "
              "interrupted\n" RATE_AND_TIME);
}

static void test_the_books_of_a_partial_result_are_printed_whole(void **state)
{
    struct pp_result *result = measured(state);

    result->partial = true;
    result->counts.sent = 2010;
    result->counts.errors = 4;
    result->in_flight = 7;
    check_has(pp_text_end, &verbose, result,
              "\nsent 2010 = received 1999 + lost 0 + errors 4 + in flight 7\n");
}

static void test_a_quantile_is_a_number_only_with_ten_samples_beyond_it(void **state)
{
    struct pp_result *result = begun(state);

    for (int i = 0; i < 19; i++)
        pp_hist_record(&result->rtt, 1000);
    check_has(pp_text_end, &plain, result, "  p50 n/a  p90 n/a  p99 n/a  p99.9 n/a  max 1.00\n");
    pp_hist_record(&result->rtt, 1000);
    check_has(pp_text_end, &plain, result, "  p50 1.00  p90 n/a  p99 n/a  p99.9 n/a  max 1.00\n");
    for (int i = 20; i < 100000; i++)
        pp_hist_record(&result->rtt, 1000);
    check_has(pp_text_end, &verbose, result,
              "  p50 1.00  p90 1.00  p99 1.00  p99.9 1.00  p99.99 1.00  max 1.00\n");
}

static void test_without_samples_there_is_no_rtt_and_no_cost(void **state)
{
    struct pp_result *result = begun(state);

    result->plan.count = 500000;
    result->partial = true;
    result->counts.sent = 1;
    result->in_flight = 1;
    result->duration_ns = 1234000000;
    check_end(&plain, result,
              "PARTIAL: 0 of 500,000 round trips, every byte checked\n"
              "0.00 roundtrips/s\n"
              "1.23 seconds total\n");
}

static void test_the_rate_of_no_time_at_all_is_zero(void **state)
{
    struct pp_result *result = measured(state);

    result->duration_ns = 0;
    check_end(&quiet, result, "0.00 roundtrips/s\n0.00 seconds total\n");
}

static void test_large_rates_have_commas(void **state)
{
    struct pp_result *result = begun(state);

    result->counts.received = 500000;
    result->duration_ns = 2500000000;
    check_end(&quiet, result, "200,000.00 roundtrips/s\n2.50 seconds total\n");
}

/* ---- folding ---- */

static void check_lines_fit(writer *write, const struct pp_text_style *style,
                            const struct pp_result *result)
{
    char got[TEXT_BYTES];
    unsigned columns = 0;

    written(got, write, style, result);
    for (const char *at = got; *at; at++) {
        columns = *at == '\n' ? 0 : columns + (((unsigned char)*at & 0xc0) != 0x80);
        if (columns > style->columns)
            fail_msg("a line is wider than %u columns:\n%s", style->columns, got);
    }
}

/* From the width of the longest field on. */
static void check_lines_fit_all_widths(writer *write, const struct pp_result *result)
{
    for (unsigned columns = 60; columns <= 140; columns++) {
        check_lines_fit(write, &(struct pp_text_style){ .columns = columns }, result);
        check_lines_fit(write, &(struct pp_text_style){ .columns = columns, .verbose = true },
                        result);
    }
}

static void test_no_line_of_the_head_is_wider_than_the_terminal(void **state)
{
    struct pp_result *result = begun(state);

    result->plan.connections = 100000;
    (void)strcpy(result->server.engine_name, "io_uring");
    check_lines_fit_all_widths(pp_text_begin, result);
}

static void test_no_line_of_the_figures_is_wider_than_the_terminal(void **state)
{
    check_lines_fit_all_widths(pp_text_end, measured(state));
}

static void test_why_an_engine_was_not_used_is_folded_between_words(void **state)
{
    struct pp_result *result = begun(state);

    (void)strcpy(result->refused_engine,
                 "io_uring is not permitted (EPERM): a seccomp profile forbids it, as containers "
                 "do; run with one that allows io_uring_setup, io_uring_enter and "
                 "io_uring_register");
    check_lines_fit_all_widths(pp_text_begin, result);
    check_has(pp_text_begin, &narrow, result,
              "\nnot used: io_uring is not permitted (EPERM): a seccomp profile forbids it, as\n"
              "  containers do; run");
}

#define TEST(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_head_says_what_is_measured_and_how),
        TEST(test_the_head_is_folded_between_fields),
        TEST(test_width_is_counted_in_columns_and_not_in_bytes),
        TEST(test_the_verbose_head_adds_what_the_engines_were_granted),
        TEST(test_the_quiet_head_is_empty),
        TEST(test_the_head_says_why_an_engine_was_not_used),
        TEST(test_many_connections_are_counted_in_the_plural),
        TEST(test_an_ipv6_address_stands_in_brackets),
        TEST(test_the_engine_is_auto_only_where_it_was_left_open),
        TEST(test_each_way_to_wait_has_its_words),
        TEST(test_each_placement_has_its_words),
        TEST(test_a_whole_result_says_count_rate_time_rtt_and_cost),
        TEST(test_quiet_is_the_rate_and_the_time),
        TEST(test_verbose_is_all_there_is),
        TEST(test_the_figures_are_folded_between_fields),
        TEST(test_one_round_trip_is_singular),
        TEST(test_a_partial_result_says_so_first_even_when_quiet),
        TEST(test_an_interrupted_result_says_so),
        TEST(test_the_books_of_a_partial_result_are_printed_whole),
        TEST(test_a_quantile_is_a_number_only_with_ten_samples_beyond_it),
        TEST(test_without_samples_there_is_no_rtt_and_no_cost),
        TEST(test_the_rate_of_no_time_at_all_is_zero),
        TEST(test_large_rates_have_commas),
        TEST(test_no_line_of_the_head_is_wider_than_the_terminal),
        TEST(test_no_line_of_the_figures_is_wider_than_the_terminal),
        TEST(test_why_an_engine_was_not_used_is_folded_between_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
