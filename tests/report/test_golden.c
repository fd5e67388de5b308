/* Two fixed results in every format, byte for byte as the files in tests/report/golden. To write
 * these anew, after a change that was meant: PP_GOLDEN_WRITE=1 build/release/tests/report/
 * test_report_golden, and look at the difference. What depends on the build alone, such as the
 * version, is masked; of a histogram in a log only the beginning is compared, as zlib may pack it
 * in several ways. */
#include "base/container.h"
#include "report/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define OUTPUT_BYTES 65536
#define INTERVALS 2
#define SAMPLES 1000 /* an interval */

struct golden {
    struct pp_result result;
    struct pp_result_interval intervals[INTERVALS];
    struct pp_error error;
};

typedef void filler(struct golden *golden);

struct golden_case {
    const char *file;
    filler *fill;
    const struct pp_report_format *format;
    struct pp_report_style style;
};

/* ---- what both results have in common ---- */

static void fill_machine(struct pp_machine *machine)
{
    *machine = (struct pp_machine){
        .host_name = "near",
        .os = "Debian GNU/Linux 12 (bookworm)",
        .kernel_release = "6.1.0-18-amd64",
        .kernel_version = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1",
        .architecture = "x86_64",
        .cpu_model = "AMD EPYC 7543 32-Core Processor",
        .cpus_online = 64,
        .cpus_allowed = "0-3,8",
        .governor = "performance",
        .scaling_driver = "acpi-cpufreq",
        .turbo = "off",
        .smt = "on",
        .mitigations = "spectre_v1: Mitigation: usercopy/swapgs barriers | spectre_v2: Mitigation: "
                       "Retpolines",
        .virtualisation = "kvm",
        .container = "docker",
        .cpu_limit = 2.5,
        .clocksource = "tsc",
        .memory_bytes = UINT64_C(67420000256),
        .load = 0.21,
        .open_files = 1048576,
        .locked_bytes = PP_MACHINE_UNLIMITED,
        .sysctls = { { .name = "net.core.somaxconn", .value = "4096" },
                     { .name = "net.ipv4.tcp_rmem", .value = "4096 131072 6291456" } },
    };
}

static void fill_plan(struct pp_plan *plan, enum pp_job job)
{
    pp_plan_default(plan, job);
    plan->depth = 1; /* what pp_plan_decide() would make of it, elsewhere */
    plan->wait = PP_IO_WAIT_YIELD;
    plan->spin_ns = 50000;
    plan->placement = PP_PLACEMENT_SAME;
    plan->client_cpus[0] = 3;
    plan->server_cpus[0] = 3;
}

static void name_engine(struct pp_result_side *side, const char *engine, const char *name)
{
    (void)snprintf(side->engine, sizeof side->engine, "%s", engine);
    (void)snprintf(side->engine_name, sizeof side->engine_name, "%s", name);
}

/* Its samples are first_ns, first_ns + step_ns, ... */
static void fill_hist(struct pp_hist *hist, uint64_t first_ns, uint64_t step_ns)
{
    pp_hist_reset(hist);
    for (uint64_t i = 0; i < SAMPLES; i++)
        pp_hist_record(hist, first_ns + i * step_ns);
}

static void fill_interval(struct golden *golden, unsigned at, uint64_t length_ns)
{
    struct pp_result_interval *interval = &golden->intervals[at];
    const bool open_loop = golden->result.plan.rate > 0;
    const struct pp_hist *main_hist = open_loop ? &interval->response : &interval->rtt;

    interval->number = at + 1;
    interval->last = at == INTERVALS - 1;
    interval->start_ns = at > 0 ? golden->intervals[at - 1].length_ns : 0;
    interval->length_ns = length_ns;
    pp_latency_of(&interval->rtt_latency, &interval->rtt, &golden->result.plan);
    pp_latency_of(&interval->response_latency, &interval->response, &golden->result.plan);
    pp_quantile_of(&interval->p50, main_hist, 0.5);
    pp_quantile_of(&interval->p99, main_hist, 0.99);
}

/* The result's histograms from those of the intervals. */
static void fill_latencies(struct golden *golden)
{
    struct pp_result *result = &golden->result;

    pp_hist_reset(&result->rtt);
    pp_hist_reset(&result->response);
    pp_hist_reset(&result->late);
    for (unsigned i = 0; i < INTERVALS; i++) {
        pp_hist_merge(&result->rtt, &golden->intervals[i].rtt);
        pp_hist_merge(&result->response, &golden->intervals[i].response);
        if (result->plan.rate > 0)
            fill_hist(&result->late, 1000, 10 * (i + 1));
    }
    pp_latency_of(&result->rtt_latency, &result->rtt, &result->plan);
    pp_latency_of(&result->response_latency, &result->response, &result->plan);
    pp_latency_of(&result->late_latency, &result->late, &result->plan);
}

static void add_reason(struct pp_verdict *verdict, enum pp_reason_id id,
                       enum pp_verdict_level level, const char *text)
{
    struct pp_reason *reason = &verdict->reasons[verdict->count++];

    reason->id = id;
    reason->level = level;
    (void)snprintf(reason->text, sizeof reason->text, "%s", text);
    verdict->level = level > verdict->level ? level : verdict->level;
}

/* ---- a closed loop over TCP within this process, which went well ---- */

static void fill_closed_costs(struct pp_result *result)
{
    result->client.usage =
        (struct pp_usage){ .user_ns = 1000000, .system_ns = 7000000, .context_switches = 2000 };
    result->client.io = (struct pp_io_stats){ .syscalls = 4020, .turns = 2002, .guard_trips = 1 };
    result->server.usage =
        (struct pp_usage){ .user_ns = 900000, .system_ns = 6500000, .context_switches = 2001 };
    result->server.io = (struct pp_io_stats){ .syscalls = 4000, .turns = 2000, .starved = 3 };
    result->client_load = (struct pp_load){ .share = 0.31 };
    result->tcp = (struct pp_tcp_summary){ .connections = 2,
                                           .retransmits = 0,
                                           .min_rtt_ns = 5000,
                                           .mss_least = 32768,
                                           .mss_most = 32768,
                                           .congestion = "cubic" };
    result->spread =
        (struct pp_spread){ .connections = 2, .least = 990, .most = 1010, .with_p99 = 0 };
    result->jain = 0.9999;
}

static void fill_closed(struct golden *golden)
{
    struct pp_result *result = &golden->result;

    fill_plan(&result->plan, PP_JOB_RUN);
    result->plan.count = 2 * SAMPLES;
    result->plan.connections = 2;
    result->plan.interval_ns = 10000000;
    result->addr = (struct pp_io_addr){ .len = sizeof result->addr.in,
                                        .in = { .sin_family = AF_INET,
                                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                                .sin_port = htons(3131) } };
    (void)strcpy(result->congestion_control, "cubic");
    name_engine(&result->client, "epoll: edge-triggered", "epoll");
    name_engine(&result->server, "epoll: edge-triggered", "epoll");
    fill_machine(&result->machine);
    (void)strcpy(result->route.interface, "lo");
    (void)strcpy(result->route.source, "127.0.0.1");
    (void)strcpy(result->route.driver, "loopback");
    result->route.mtu = 65536;
    for (unsigned i = 0; i < INTERVALS; i++) {
        struct pp_result_interval *interval = &golden->intervals[i];

        fill_hist(&interval->rtt, 6000, 5 + 100 * i);
        pp_hist_reset(&interval->response);
        interval->counts = (struct pp_counts){ .sent = i == 0 ? SAMPLES + 2 : SAMPLES - 2,
                                               .received = SAMPLES };
        interval->in_flight = i == 0 ? 2 : 0;
        fill_interval(golden, i, 10000000 + i);
    }
    fill_latencies(golden);
    result->counts = (struct pp_counts){ .sent = 2 * SAMPLES,
                                         .received = 2 * SAMPLES,
                                         .first_ns = 5000,
                                         .last_ns = 20005000,
                                         .worst_ns = result->rtt.max_ns,
                                         .worst_at_ns = 12005000 };
    result->duration_ns = 20000000;
    result->balanced = true;
    result->measured = true;
    result->wall_start_ns = UINT64_C(1795547241653216244);
    result->clock_reading_ns = 21;
    fill_closed_costs(result);
    result->disturbance = (struct pp_disturbance){
        .steal_known = true, .frequency_known = true, .load_before = 0.21, .load_after = 0.25
    };
    result->stalls = (struct pp_stalls){ 1100000, 3, 0.25, true };
    result->hidden = (struct pp_hidden){ true, 11000, 650000, { 11000, 2500000, 25000000 } };
    result->verdict.unknowns = 2;
    result->verdict.unknown[0] = PP_REASON_STARVED;
    result->verdict.unknown[1] = PP_REASON_OTHERS_BUSY;
    result->waiting = (struct pp_waiting){ .known = true, .share = 0.4999 };
    add_reason(&result->verdict, PP_REASON_STALL_HIDDEN, PP_SUSPECT,
               "25 % of the time went into stalls, 3 of more than 1,100 \u00b5s: at an even pace "
               "p90 would be about 2,500 \u00b5s, not 93.9");
}

/* ---- an open loop over UDP to another pingpong, which a signal ended ---- */

static void fill_peer(struct pp_result *result)
{
    result->peer = PP_PEER_PINGPONG;
    result->peer_says = (struct pp_hello_reply){ .version = "9.8.7",
                                                 .engine = "io_uring: multishot",
                                                 .wait = "block",
                                                 .host = "=far()",
                                                 .threads = 4 };
    result->peer_costs_known = true;
    name_engine(&result->client, "epoll: edge-triggered", "epoll");
    name_engine(&result->server, result->peer_says.engine, "io_uring");
    (void)strcpy(result->refused_engine,
                 "io_uring is switched off (kernel.io_uring_disabled is 2)");
    result->addr = (struct pp_io_addr){
        .len = sizeof result->addr.in,
        .in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000207), .sin_port = htons(7) }
    };
    (void)strcpy(result->plan.target.host, "far.example");
    result->plan.target.port = 7;
    (void)strcpy(result->route.interface, "eth0");
    (void)strcpy(result->route.source, "198.51.100.9");
    (void)strcpy(result->route.gateway, "198.51.100.1");
    result->route.mtu = 1500;
    result->route.speed_mbit = 10000;
}

static void fill_open_plan(struct pp_plan *plan)
{
    fill_plan(plan, PP_JOB_CLIENT);
    plan->socket.dgram = true;
    plan->rate = 50000;
    plan->arrivals = PP_ARRIVALS_POISSON;
    plan->depth = 1024;
    plan->time_ns = UINT64_C(10000000000);
    plan->interval_ns = 20000000;
    plan->placement = PP_PLACEMENT_NONE;
    plan->client_cpus[0] = PP_CPU_ANY;
}

/* The second interval takes back two of the losses of the first. */
static void fill_open_counts(struct golden *golden)
{
    struct pp_result *result = &golden->result;

    golden->intervals[0].counts =
        (struct pp_counts){ .sent = 1010, .received = SAMPLES, .lost = 6 };
    golden->intervals[0].in_flight = 4;
    golden->intervals[1].counts = (struct pp_counts){ .sent = 1001,
                                                      .received = SAMPLES - 5,
                                                      .lost = (uint64_t)-2,
                                                      .drained = 5,
                                                      .late = 2,
                                                      .reordered = 3,
                                                      .duplicates = 1 };
    golden->intervals[1].in_flight = 12;
    result->counts = (struct pp_counts){ .sent = 2011,
                                         .received = 2 * SAMPLES - 5,
                                         .lost = 4,
                                         .late = 2,
                                         .reordered = 3,
                                         .duplicates = 1,
                                         .lag_ns = 12300000,
                                         .drained = 5,
                                         .unsent = 1,
                                         .delayed = 2,
                                         .delayed_ns = 3000000,
                                         .unanswered_ns = 2100000,
                                         .last_ns = 40000000,
                                         .worst_ns = result->response.max_ns,
                                         .worst_at_ns = 33000000 };
    result->in_flight = 12;
    result->loss = 4.0 / 2004;
    result->loss_interval = pp_stat_proportion(4, 2004);
    result->spread = (struct pp_spread){ .connections = 1,
                                         .least = 2 * SAMPLES,
                                         .most = 2 * SAMPLES,
                                         .with_p99 = 1,
                                         .p99_least_ns = 61000,
                                         .p99_most_ns = 61000 };
    result->jain = 1;
}

static void fill_open(struct golden *golden)
{
    struct pp_result *result = &golden->result;

    fill_open_plan(&result->plan);
    fill_peer(result);
    fill_machine(&result->machine);
    result->machine.container[0] = '\0';
    result->machine.load = -1;
    for (unsigned i = 0; i < INTERVALS; i++) {
        fill_hist(&golden->intervals[i].rtt, 21000, 40 + i);
        fill_hist(&golden->intervals[i].response, 25000, 50000 * (i + 1));
        fill_interval(golden, i, 20000000);
    }
    fill_latencies(golden);
    fill_open_counts(golden);
    result->duration_ns = 40000000;
    result->balanced = true;
    result->measured = true;
    result->partial = true;
    result->rate_missed = true;
    result->signal = SIGINT;
    result->wall_start_ns = UINT64_C(1795547241005000000);
    result->clock_reading_ns = 1200;
    result->client.usage = (struct pp_usage){ .user_ns = 9000000, .system_ns = 30000000 };
    result->client.io = (struct pp_io_stats){ .syscalls = 6000 };
    result->server.usage = (struct pp_usage){ .user_ns = 1, .system_ns = 2000000 };
    result->client_load = (struct pp_load){ .share = 0.99, .saturated = true };
    result->disturbance = (struct pp_disturbance){ .frequency_known = true,
                                                   .frequency_change = 0.25,
                                                   .wall_step_ns = -2000000,
                                                   .load_before = -1,
                                                   .load_after = -1 };
    result->steadiness = (struct pp_steadiness){
        .of_latency = true,
        .course = { .shape = PP_COURSE_STEP, .from = 41000.5, .to = 98000, .at = 30 },
        .at_ns = 30000000,
        .slice_ns = 1000000,
    };
    add_reason(&result->verdict, PP_REASON_RATE_MISSED, PP_INVALID,
               "RATE NOT HELD: 50,000 messages/s were asked for, and at the end the schedule was "
               "12,300 \u00b5s behind");
    add_reason(&result->verdict, PP_REASON_LOSS, PP_SUSPECT,
               "4 of 2004 messages were lost: latencies are of those answered");
    (void)pp_error_set(&golden->error, PP_ERROR_RUN, -EIO, "a \"line\" about what went wrong");
}

/* ---- what is written ---- */

static void write_output(const struct golden_case *wanted, struct golden *golden,
                         char text[OUTPUT_BYTES])
{
    const struct pp_report_format *format = wanted->format;
    struct pp_report report = { .format = format, .style = wanted->style };
    struct pp_error err = { 0 };

    report.out = fmemopen(text, OUTPUT_BYTES, "w");
    assert_non_null(report.out);
    assert_int_equal(format->open(&report, &err), 0);
    format->begin(&report, &golden->result);
    for (unsigned i = 0; i < INTERVALS; i++)
        format->interval(&report, &golden->result, &golden->intervals[i]);
    assert_int_equal(format->end(&report, &golden->result, &golden->error, &err), 0);
    format->close(&report);
    assert_int_equal(fclose(report.out), 0);
}

/* Behind these, up to the character, stands what depends on the build. */
static const struct mask {
    const char *before;
    char end;
} masks[] = {
    { "\"compiler\": \"", '"' }, { "\"compiler\":\"", '"' }, { "\"flags\": \"", '"' },
    { "\"flags\":\"", '"' },     { "HISTFAAA", '\n' },       { "built by ", '\n' },
};

static size_t masked_at(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(masks); i++) {
        const size_t bytes = strlen(masks[i].before);

        if (strncmp(text, masks[i].before, bytes) == 0)
            return bytes;
    }
    return 0;
}

static char mask_end(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(masks); i++)
        if (strncmp(text, masks[i].before, strlen(masks[i].before)) == 0)
            return masks[i].end;
    return '\0';
}

static void mask(char out[OUTPUT_BYTES], const char *text)
{
    size_t used = 0;

    while (*text) {
        const size_t kept = masked_at(text);
        const bool version = strncmp(text, PP_VERSION, strlen(PP_VERSION)) == 0;

        assert_true(used + kept + 16 < OUTPUT_BYTES);
        if (version) {
            used += (size_t)sprintf(out + used, "VERSION");
            text += strlen(PP_VERSION);
        } else if (kept > 0) {
            const char end = mask_end(text);

            used += (size_t)sprintf(out + used, "%.*sMASKED", (int)kept, text);
            text = strchr(text + kept, end);
            while (text && end == '\n' && strncmp(text, "\n  ", 3) == 0) /* folded */
                text = strchr(text + 1, end);
            assert_non_null(text);
        } else {
            out[used++] = *text++;
        }
    }
    out[used] = '\0';
}

/* ---- the files, beside this one: tests run in the folder of their source ---- */

static FILE *open_golden(const char *name, const char *mode)
{
    char path[256];

    (void)snprintf(path, sizeof path, "golden/%s", name);
    return fopen(path, mode);
}

static void write_golden(const char *name, const char *text)
{
    FILE *file = open_golden(name, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void read_golden(const char *name, char text[OUTPUT_BYTES])
{
    FILE *file = open_golden(name, "r");

    if (!file)
        fail_msg("there is no golden/%s; PP_GOLDEN_WRITE=1 writes it", name);
    text[fread(text, 1, OUTPUT_BYTES - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
}

/* The first line that is not as it was. */
static void check_same(const char *name, const char *got, const char *want)
{
    unsigned line = 1;

    if (strcmp(got, want) == 0)
        return;
    while (strcspn(got, "\n") == strcspn(want, "\n") &&
           memcmp(got, want, strcspn(got, "\n") + 1) == 0) {
        got += strcspn(got, "\n") + 1;
        want += strcspn(want, "\n") + 1;
        line++;
    }
    fail_msg("golden/%s:%u: \"%.*s\" instead of \"%.*s\"", name, line, (int)strcspn(got, "\n"), got,
             (int)strcspn(want, "\n"), want);
}

static void test_output(void **state)
{
    static struct golden golden; /* too large for the stack; one test at a time */
    static char text[OUTPUT_BYTES], got[OUTPUT_BYTES], want[OUTPUT_BYTES];
    const struct golden_case *wanted = *state;

    memset(&golden, 0, sizeof golden);
    wanted->fill(&golden);
    write_output(wanted, &golden, text);
    mask(got, text);
    if (getenv("PP_GOLDEN_WRITE"))
        write_golden(wanted->file, got);
    read_golden(wanted->file, want);
    check_same(wanted->file, got, want);
}

static const struct golden_case cases[] = {
    { "closed.txt", fill_closed, &pp_report_text, { 0 } },
    { "closed-80.txt", fill_closed, &pp_report_text, { .columns = 80 } },
    { "closed-40.txt", fill_closed, &pp_report_text, { .columns = 40 } },
    { "closed-verbose.txt", fill_closed, &pp_report_text, { .verbose = true } },
    { "closed-colour.txt", fill_closed, &pp_report_text, { .colour = true, .columns = 80 } },
    { "closed-quiet.txt", fill_closed, &pp_report_text, { .quiet = true, .intervals = true } },
    { "closed-intervals.txt", fill_closed, &pp_report_text, { .intervals = true } },
    { "closed.json", fill_closed, &pp_report_json, { 0 } },
    { "closed.csv", fill_closed, &pp_report_csv, { 0 } },
    { "closed.jsonl", fill_closed, &pp_report_json_stream, { 0 } },
    { "closed.hlog", fill_closed, &pp_report_hlog, { 0 } },
    { "open.txt", fill_open, &pp_report_text, { 0 } },
    { "open-80.txt", fill_open, &pp_report_text, { .columns = 80, .verbose = true } },
    { "open-colour.txt", fill_open, &pp_report_text, { .colour = true, .columns = 80 } },
    { "open-quiet.txt", fill_open, &pp_report_text, { .quiet = true } },
    { "open-intervals.txt", fill_open, &pp_report_text, { .intervals = true } },
    { "open.json", fill_open, &pp_report_json, { .intervals = true } },
    { "open.csv", fill_open, &pp_report_csv, { .intervals = true } },
    { "open.jsonl", fill_open, &pp_report_json_stream, { .intervals = true } },
    { "open.hlog", fill_open, &pp_report_hlog, { 0 } },
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(cases)];
    char names[COUNT_OF(cases)][64];

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)snprintf(names[i], sizeof names[i], "what is written is golden/%s", cases[i].file);
        tests[i] = (struct CMUnitTest){ .name = names[i],
                                        .test_func = test_output,
                                        .initial_state = (void *)(uintptr_t)&cases[i] };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
