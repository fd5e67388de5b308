#include "report/text.h"

#include "measure/hist.h"
#include "plan/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define TEXT_BYTES 8192
#define WIDTH 80

static const struct pp_report_style plain = { 0 };
static const struct pp_report_style quiet = { .quiet = true };
static const struct pp_report_style verbose = { .verbose = true };
static const struct pp_report_style narrow = { .columns = WIDTH };

static struct pp_result_interval some_interval; /* too large for the stack, too */

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
    (void)strcpy(result->machine.kernel_release, "6.1.0");
    (void)strcpy(result->machine.cpu_model, "Some CPU");
    (void)strcpy(result->machine.virtualisation, "kvm");
    result->machine.cpus_online = 4;
    result->machine.load = 0.5;
    return result;
}

static void summarise(struct pp_result *result)
{
    pp_latency_of(&result->rtt_latency, &result->rtt, &result->plan);
}

/* 1,999 round trips of 1 to 1,999 us: enough for p99, not for p99.9. */
static struct pp_result *measured(void **state)
{
    struct pp_result *result = begun(state);

    for (uint64_t us = 1; us <= 1999; us++)
        pp_hist_record(&result->rtt, us * 1000);
    summarise(result);
    result->plan.count = 1999;
    result->counts.sent = 1999;
    result->counts.received = 1999;
    result->counts.first_ns = 5000000000;
    result->counts.worst_at_ns = 6500000000;
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

typedef void writer(FILE *out, const struct pp_report_style *style, const struct pp_result *result);

static void written(char got[TEXT_BYTES], writer *write, const struct pp_report_style *style,
                    const struct pp_result *result)
{
    FILE *out = fmemopen(got, TEXT_BYTES, "w");

    assert_non_null(out);
    got[0] = '\0';
    write(out, style, result);
    assert_int_equal(fclose(out), 0);
}

static void check_begin(const struct pp_report_style *style, const struct pp_result *result,
                        const char *want)
{
    char got[TEXT_BYTES];

    written(got, pp_text_begin, style, result);
    assert_string_equal(got, want);
}

static void check_end(const struct pp_report_style *style, const struct pp_result *result,
                      const char *want)
{
    char got[TEXT_BYTES];

    written(got, pp_text_end, style, result);
    assert_string_equal(got, want);
}

static void check_has(writer *write, const struct pp_report_style *style,
                      const struct pp_result *result, const char *want)
{
    char got[TEXT_BYTES];

    written(got, write, style, result);
    if (!strstr(got, want))
        fail_msg("\"%s\" is not in\n%s", want, got);
}

static void check_lacks(writer *write, const struct pp_report_style *style,
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

#define HOST "host Linux 6.1.0 \u00b7 Some CPU \u00b7 4 CPUs \u00b7 kvm \u00b7 load 0.50\n"

static void test_the_head_says_what_is_measured_and_how(void **state)
{
    check_begin(&plain, begun(state),
                "pingpong " PP_VERSION " \u00b7 TCP 127.0.0.1:3131 \u00b7 1 connection \u00b7 5 B "
                "\u00b7 depth 1\n"
                "engine epoll (auto) \u00b7 wait auto: yield, block after 50 \u00b5s \u00b7 "
                "placement auto: same core (cpu 1) \u00b7 congestion control cubic\n" HOST);
}

static void test_the_head_is_folded_between_fields(void **state)
{
    check_begin(&narrow, begun(state),
                "pingpong " PP_VERSION " \u00b7 TCP 127.0.0.1:3131 \u00b7 1 connection \u00b7 5 B "
                "\u00b7 depth 1\n"
                "engine epoll (auto) \u00b7 wait auto: yield, block after 50 \u00b5s\n"
                "  placement auto: same core (cpu 1) \u00b7 congestion control cubic\n" HOST);
}

static void test_width_is_counted_in_columns_and_not_in_bytes(void **state)
{
    struct pp_result *result = begun(state);
    struct pp_report_style style = { .columns = 0 };
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
    check_has(pp_text_begin, &plain, result, HOST "not used: io_uring is switched off\n");
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

#define RTT                                                                                        \
    "RTT \u00b5s   min   mean    p50    p90    p99  p99.9    max\n"                                \
    "        1.00  1,000  1,000  1,800  1,980    n/a  1,999\n"                                     \
    "  max 1.50 s after the start\n"

/* CPU: (1999 + 1999) us / 1999 and (999.5 + 29985) us / 1999. */
#define COST                                                                                       \
    "cost a round trip  CPU \u00b5s  user  system  system calls  context switches\n"               \
    "  client             2.00  1.00    1.00          2.00              1.00\n"                    \
    "  server             15.5  0.50    15.0          2.00              0.00\n"

static void test_a_whole_result_says_count_rate_time_rtt_and_cost(void **state)
{
    check_end(&plain, measured(state),
              "\n1,999 round trips, every byte checked \u00b7 VALID\n" RATE_AND_TIME "\n" RTT COST);
}

static struct pp_result *of_another_server(void **state)
{
    struct pp_result *result = measured(state);

    result->peer = PP_PEER_PINGPONG;
    return result;
}

static void test_a_server_that_did_not_answer_again_has_no_costs_and_a_reason(void **state)
{
    struct pp_result *result = of_another_server(state);

    check_has(pp_text_end, &plain, result,
              "  server              n/a   n/a     n/a           n/a               n/a\n"
              "  server n/a: it did not answer again, has begun anew, or says what cannot be\n");
    check_lacks(pp_text_end, &verbose, result, "server  CPU");
}

static void test_a_server_that_answered_both_times_has_its_costs(void **state)
{
    struct pp_result *result = of_another_server(state);

    result->peer_costs_known = true;
    check_has(pp_text_end, &plain, result, RTT COST);
    check_has(pp_text_end, &verbose, result,
              "server  CPU 0 ms user + 29 ms system \u00b7 3,996 system calls\n");
    check_lacks(pp_text_end, &verbose, result, "server n/a");
}

static void test_a_plain_echo_has_no_costs_and_needs_no_reason(void **state)
{
    struct pp_result *result = of_another_server(state);

    result->peer = PP_PEER_UNKNOWN;
    check_has(pp_text_end, &plain, result, "  server              n/a   n/a ");
    check_lacks(pp_text_end, &plain, result, "server n/a");
}

static struct pp_result *suspected(void **state)
{
    struct pp_result *result = measured(state);

    result->verdict.level = PP_SUSPECT;
    result->verdict.count = 2;
    result->verdict.reasons[0] =
        (struct pp_reason){ .id = PP_REASON_UNSTEADY, .level = PP_SUSPECT, .text = "it fell" };
    result->verdict.reasons[1] =
        (struct pp_reason){ .id = PP_REASON_STALL_HIDDEN, .level = PP_VALID, .text = "it hides" };
    return result;
}

static void test_a_reason_stands_before_the_rate_with_its_cure(void **state)
{
    check_has(pp_text_end, &plain, suspected(state),
              " \u00b7 SUSPECT\nSUSPECT: it fell \u2192 a longer warm-up (-w), and nothing else on "
              "the machine\n" RATE_AND_TIME);
}

static void test_a_note_stands_below_the_latencies_and_is_no_fault(void **state)
{
    check_has(pp_text_end, &plain, suspected(state),
              "after the start\nnote: it hides \u2192 an open loop (-R) shows them; see what "
              "stands still\ncost");
    check_lacks(pp_text_end, &quiet, suspected(state), "it hides");
}

static void test_only_what_makes_a_result_invalid_is_said_when_quiet(void **state)
{
    struct pp_result *result = suspected(state);

    check_end(&quiet, result, RATE_AND_TIME);
    result->verdict.reasons[0].level = PP_INVALID;
    check_end(&quiet, result,
              "INVALID: it fell \u2192 a longer warm-up (-w), and nothing else on the "
              "machine\n" RATE_AND_TIME);
}

static void test_colours_come_and_go_with_the_style(void **state)
{
    const struct pp_report_style coloured = { .colour = true };

    check_has(pp_text_end, &coloured, suspected(state), "\033[33mSUSPECT\033[0m\n");
    check_lacks(pp_text_end, &plain, suspected(state), "\033");
    suspected(state)->verdict.level = PP_VALID;
    check_has(pp_text_end, &coloured, *state, "\033[32mVALID\033[0m\n");
}

static void test_an_open_loop_has_a_row_for_each_of_its_latencies(void **state)
{
    struct pp_result *result = measured(state);

    result->plan.rate = 1000;
    pp_hist_record(&result->response, 5000000);
    pp_latency_of(&result->response_latency, &result->response, &result->plan);
    check_has(pp_text_end, &plain, result,
              "  from intended send  5,000  5,000    n/a    n/a    n/a    n/a  5,000\n"
              "  from actual send     1.00  1,000  1,000  1,800  1,980    n/a  1,999\n");
}

static void test_several_connections_are_compared(void **state)
{
    struct pp_result *result = measured(state);

    check_lacks(pp_text_end, &plain, result, "connections");
    result->spread = (struct pp_spread){ .connections = 2,
                                         .least = 500,
                                         .most = 1499,
                                         .with_p99 = 1,
                                         .p99_least_ns = 2000,
                                         .p99_most_ns = 2000 };
    result->jain = 0.8;
    check_has(pp_text_end, &plain, result,
              "connections  slowest 250.0/s \u00b7 fastest 749.5/s \u00b7 Jain's index 0.800 "
              "\u00b7 p99 from 2.00 to 2.00 \u00b5s\n");
}

static void test_what_the_kernel_says_of_tcp_is_there_where_it_is_known(void **state)
{
    struct pp_result *result = measured(state);

    check_lacks(pp_text_end, &plain, result, "TCP  ");
    result->tcp = (struct pp_tcp_summary){ .connections = 1,
                                           .retransmits = 1234,
                                           .min_rtt_ns = 7000,
                                           .mss_least = 1448,
                                           .mss_most = 1448,
                                           .congestion = "reno" };
    check_has(pp_text_end, &plain, result,
              "TCP  retransmits 1,234 \u00b7 least RTT seen by the kernel 7.00 \u00b5s \u00b7 MSS "
              "1,448 B \u00b7 reno\n");
    result->tcp.fallbacks = 1;
    check_has(pp_text_end, &plain, result,
              "\u00b7 1 of 1 connections fell back from MPTCP to TCP\n");
}

/* As a writer. */
static void write_first_interval(FILE *out, const struct pp_report_style *style,
                                 const struct pp_result *result)
{
    struct pp_result_interval *interval = &some_interval;

    *interval = (struct pp_result_interval){ .number = 1, .length_ns = 500000000 };
    interval->counts.received = 1000;
    interval->counts.errors = 2;
    interval->p50 = (struct pp_quantile){ .supported = true, .ns = 20000 };
    interval->rtt_latency = (struct pp_latency){ .samples = 1000, .max_ns = 1234567 };
    pp_text_interval(out, style, result, interval);
}

static void test_an_interval_is_a_line_below_its_heads(void **state)
{
    char got[TEXT_BYTES];

    written(got, write_first_interval, &plain, begun(state));
    assert_string_equal(
        got, "        seconds     roundtrips/s     p50 \u00b5s     p99 \u00b5s     max "
             "\u00b5s   errors\n"
             "   0.00-   0.50          2,000.0       20.0        n/a      1,235        2\n");
}

static void test_an_interval_is_folded_as_its_heads_are(void **state)
{
    const struct pp_report_style very_narrow = { .columns = 60 };
    char got[TEXT_BYTES];

    written(got, write_first_interval, &very_narrow, begun(state));
    assert_string_equal(got, "        seconds     roundtrips/s     p50 \u00b5s     p99 \u00b5s\n"
                             "      max \u00b5s   errors\n"
                             "   0.00-   0.50          2,000.0       20.0        n/a\n"
                             "       1,235        2\n");
}

static void test_quiet_is_the_rate_and_the_time(void **state)
{
    check_end(&quiet, measured(state), RATE_AND_TIME);
}

static void test_verbose_is_all_there_is(void **state)
{
    struct pp_result *result = measured(state);

    check_end(&verbose, result,
              "\n1,999 round trips, every byte checked \u00b7 VALID\n" RATE_AND_TIME "\n" RTT COST
              "client  CPU 1 ms user + 1 ms system \u00b7 1,999 turns \u00b7 4,000 system calls "
              "\u00b7 0 waits for a buffer \u00b7 0 queue overflows \u00b7 3 yield guard trips\n"
              "server  CPU 0 ms user + 29 ms system \u00b7 0 turns \u00b7 3,996 system calls "
              "\u00b7 12 waits for a buffer \u00b7 1 queue overflows \u00b7 0 yield guard trips\n"
              "meanwhile  busiest client thread 0 % \u00b7 load average 0.00 to 0.00 \u00b7 rate "
              "unknown \u00b7 a clock reading 0 ns\n"
              "sent 1999 = received 1999 + lost 0 + errors 0 + in flight 0\n");
}

static void test_a_table_too_wide_goes_on_below(void **state)
{
    const struct pp_report_style very_narrow = { .columns = 40 };

    check_has(pp_text_end, &very_narrow, measured(state),
              "RTT \u00b5s   min   mean    p50    p90    p99\n"
              "        1.00  1,000  1,000  1,800  1,980\n"
              "RTT \u00b5s  p99.9    max\n"
              "          n/a  1,999\n");
}

static void test_one_round_trip_is_singular(void **state)
{
    struct pp_result *result = begun(state);

    result->plan.count = 1;
    result->counts.received = 1;
    check_has(pp_text_end, &plain, result, "1 round trip, every byte checked \u00b7 VALID\n");
}

static void test_a_partial_result_says_so_first_even_when_quiet(void **state)
{
    struct pp_result *result = measured(state);

    result->plan.count = 500000;
    result->partial = true;
    check_end(&quiet, result,
              "PARTIAL: 1,999 of 500,000 round trips, every byte checked\n" RATE_AND_TIME);
    check_has(pp_text_end, &plain, result,
              "PARTIAL: 1,999 of 500,000 round trips, every byte checked \u00b7 "
              "VALID\n" RATE_AND_TIME "\nRTT");
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
    summarise(result);
    check_has(pp_text_end, &plain, result, "  1.00  1.00  n/a  n/a  n/a    n/a  1.00\n");
    pp_hist_record(&result->rtt, 1000);
    summarise(result);
    check_has(pp_text_end, &plain, result, "  1.00  1.00  1.00  n/a  n/a    n/a  1.00\n");
    for (int i = 20; i < 10000; i++)
        pp_hist_record(&result->rtt, 1000);
    summarise(result);
    check_has(pp_text_end, &plain, result, "  1.00  1.00  1.00  1.00  1.00   1.00  1.00\n");
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
              "\nPARTIAL: 0 of 500,000 round trips, every byte checked \u00b7 VALID\n"
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

static void check_lines_fit(writer *write, const struct pp_report_style *style,
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
        check_lines_fit(write, &(struct pp_report_style){ .columns = columns }, result);
        check_lines_fit(write, &(struct pp_report_style){ .columns = columns, .verbose = true },
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

static void test_no_line_of_the_verbose_head_is_wider_than_the_terminal(void **state)
{
    struct pp_result *result = begun(state);

    (void)strcpy(result->client.engine, "io_uring: multishot, buffer ring, deferred task work, "
                                        "skipped completions, fixed files");
    (void)strcpy(result->server.engine, result->client.engine);
    (void)strcpy(result->machine.os, "Some Distribution of GNU/Linux with a name that is long, "
                                     "and no end of it");
    check_lines_fit_all_widths(pp_text_begin, result);
}

static void test_no_line_of_the_figures_is_wider_than_the_terminal(void **state)
{
    check_lines_fit_all_widths(pp_text_end, measured(state));
}

/* Figures with all their digits, a gate with the longest of names, and a sentence. */
static void test_no_line_of_large_figures_is_wider_than_the_terminal(void **state)
{
    struct pp_result *result = of_another_server(state);

    result->peer_costs_known = true;
    result->server_share = 0.5;
    result->server_others = 3;
    result->counts.sent = 9876543210987654;
    result->counts.received = 9876543210987000;
    result->counts.lost = 654;
    result->client.io.syscalls = 9876543210987654;
    result->plan.gate_count = 1;
    (void)strcpy(result->plan.gates[0].text,
                 "costs.client.context_switches_per_round_trip > 1234567.89");
    check_lines_fit_all_widths(pp_text_end, result);
}

static void test_no_line_of_an_interval_is_wider_than_the_terminal(void **state)
{
    check_lines_fit_all_widths(write_first_interval, begun(state));
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

/* ---- a server by itself ---- */

static void check_notice_from(struct pp_server_counts before, struct pp_server_counts now,
                              const struct pp_io_addr *from, const char *line)
{
    char got[TEXT_BYTES] = "";
    FILE *out = fmemopen(got, sizeof got, "w");

    assert_non_null(out);
    pp_text_serve_notice(out, &before, &now, from);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(got, line);
}

static void check_notice(struct pp_server_counts before, struct pp_server_counts now,
                         const char *line)
{
    check_notice_from(before, now, NULL, line);
}

static void test_a_notice_says_where_one_of_them_came_from(void **state)
{
    const struct pp_server_counts before = { .turned_away = 7 };
    struct pp_io_addr from = { .len = sizeof from.in,
                               .in = { .sin_family = AF_INET,
                                       .sin_port = htons(5000),
                                       .sin_addr.s_addr = htonl(0x0a000005) } };

    (void)state;
    check_notice_from(before, (struct pp_server_counts){ .turned_away = 8 }, &from,
                      "pingpong: 1 connection turned away, from 10.0.0.5:5000\n");
    check_notice_from(before, (struct pp_server_counts){ .turned_away = 9 }, &from,
                      "pingpong: 2 connections turned away, one from 10.0.0.5:5000\n");
    from.any.sa_family = AF_UNIX;
    check_notice_from(before, (struct pp_server_counts){ .turned_away = 9 }, &from,
                      "pingpong: 2 connections turned away\n");
}

static void test_a_notice_says_what_happened_since_the_last_one(void **state)
{
    const struct pp_server_counts before = { .idle = 5, .full = 6, .turned_away = 7 };

    (void)state;
    check_notice(before, (struct pp_server_counts){ .idle = 6, .full = 6, .turned_away = 7 },
                 "pingpong: 1 idle connection closed\n");
    check_notice(before, (struct pp_server_counts){ .idle = 7, .full = 6, .turned_away = 1007 },
                 "pingpong: 1,000 connections turned away \u00b7 2 idle connections closed\n");
    check_notice(before, (struct pp_server_counts){ .idle = 7, .full = 9, .turned_away = 7 },
                 "pingpong: no descriptor for another connection: it waits; raise the limit "
                 "(ulimit -n) or close idle ones (--idle-timeout) \u00b7 2 idle connections "
                 "closed\n");
    check_notice(
        before,
        (struct pp_server_counts){ .idle = 5, .full = 7, .full_code = -ENFILE, .turned_away = 7 },
        "pingpong: no descriptor for another connection: it waits; raise the machine's "
        "limit (fs.file-max) or close idle ones (--idle-timeout)\n");
    check_notice(
        before,
        (struct pp_server_counts){ .idle = 5, .full = 7, .full_code = -ENOMEM, .turned_away = 7 },
        "pingpong: no memory for another connection: it waits; give it more or close idle "
        "ones (--idle-timeout)\n");
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
        TEST(test_a_server_that_did_not_answer_again_has_no_costs_and_a_reason),
        TEST(test_a_server_that_answered_both_times_has_its_costs),
        TEST(test_a_plain_echo_has_no_costs_and_needs_no_reason),
        TEST(test_quiet_is_the_rate_and_the_time),
        TEST(test_verbose_is_all_there_is),
        TEST(test_a_reason_stands_before_the_rate_with_its_cure),
        TEST(test_a_note_stands_below_the_latencies_and_is_no_fault),
        TEST(test_only_what_makes_a_result_invalid_is_said_when_quiet),
        TEST(test_colours_come_and_go_with_the_style),
        TEST(test_an_open_loop_has_a_row_for_each_of_its_latencies),
        TEST(test_several_connections_are_compared),
        TEST(test_what_the_kernel_says_of_tcp_is_there_where_it_is_known),
        TEST(test_an_interval_is_a_line_below_its_heads),
        TEST(test_an_interval_is_folded_as_its_heads_are),
        TEST(test_a_table_too_wide_goes_on_below),
        TEST(test_one_round_trip_is_singular),
        TEST(test_a_partial_result_says_so_first_even_when_quiet),
        TEST(test_an_interrupted_result_says_so),
        TEST(test_the_books_of_a_partial_result_are_printed_whole),
        TEST(test_a_quantile_is_a_number_only_with_ten_samples_beyond_it),
        TEST(test_without_samples_there_is_no_rtt_and_no_cost),
        TEST(test_the_rate_of_no_time_at_all_is_zero),
        TEST(test_large_rates_have_commas),
        TEST(test_no_line_of_the_head_is_wider_than_the_terminal),
        TEST(test_no_line_of_the_verbose_head_is_wider_than_the_terminal),
        TEST(test_no_line_of_the_figures_is_wider_than_the_terminal),
        TEST(test_no_line_of_large_figures_is_wider_than_the_terminal),
        TEST(test_no_line_of_an_interval_is_wider_than_the_terminal),
        TEST(test_why_an_engine_was_not_used_is_folded_between_words),
        TEST(test_a_notice_says_where_one_of_them_came_from),
        TEST(test_a_notice_says_what_happened_since_the_last_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
