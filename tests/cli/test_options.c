#include "cli/options.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define S UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

/* ---- what a line does, and nothing else ---- */

#define SAME(field) assert_int_equal(got->field, want->field)

static void check_same_text(const struct pp_plan_text *got, const struct pp_plan_text *want)
{
    SAME(bytes);
    assert_memory_equal(got->text, want->text, want->bytes);
}

static void check_same_cpus(const struct pp_cpus *got, const struct pp_cpus *want)
{
    SAME(count);
    for (unsigned i = 0; i < want->count; i++)
        SAME(cpus[i]);
}

static void check_same_target(const struct pp_target *got, const struct pp_target *want)
{
    assert_string_equal(got->host, want->host);
    assert_string_equal(got->path, want->path);
    SAME(port);
    SAME(family);
}

static void check_same_socket(const struct pp_io_socket_options *got,
                              const struct pp_io_socket_options *want)
{
    SAME(dgram);
    SAME(mptcp);
    SAME(nagle);
    SAME(busy_poll_given);
    SAME(busy_poll_us);
    SAME(sndbuf);
    SAME(rcvbuf);
    SAME(tos_given);
    SAME(tos);
    assert_string_equal(got->congestion, want->congestion);
}

static void check_same_load(const struct pp_plan *got, const struct pp_plan *want)
{
    SAME(connections);
    SAME(client_threads);
    SAME(server_threads);
    SAME(depth);
    SAME(sizes_given);
    assert_true(pp_sizes_equal(&got->request, &want->request));
    assert_true(pp_sizes_equal(&got->response, &want->response));
    SAME(answers);
    check_same_text(&got->send, &want->send);
    check_same_text(&got->expect, &want->expect);
    SAME(expect_how);
    SAME(expect_bytes);
    SAME(verify);
    SAME(count);
    SAME(time_ns);
    SAME(warmup_given);
    SAME(warmup_count);
    SAME(warmup_ns);
    assert_true(got->rate == want->rate);
    SAME(arrivals);
    SAME(crr);
    SAME(think_ns);
    SAME(connect_timeout_ns);
    SAME(seed);
    SAME(hello);
    SAME(strict);
    SAME(interval_ns);
    SAME(quantiles_given);
    SAME(quantile_count);
    for (unsigned i = 0; i < want->quantile_count; i++)
        assert_true(got->quantiles[i] == want->quantiles[i]);
}

static void check_same_plan(const struct pp_plan *got, const struct pp_plan *want)
{
    SAME(job);
    check_same_target(&got->target, &want->target);
    check_same_target(&got->source, &want->source);
    check_same_socket(&got->socket, &want->socket);
    check_same_load(got, want);
    assert_string_equal(got->client_engine, want->client_engine);
    assert_string_equal(got->server_engine, want->server_engine);
    SAME(wait_auto);
    if (!want->wait_auto) {
        SAME(wait);
        SAME(spin_ns);
    }
    SAME(placement_auto);
    if (!want->placement_auto)
        SAME(placement);
    check_same_cpus(&got->client_cpus_given, &want->client_cpus_given);
    check_same_cpus(&got->server_cpus_given, &want->server_cpus_given);
}

/* line gives want, and nothing else has changed. */
static void check(const struct line *line, const struct pp_cli *want)
{
    const struct pp_cli *got = parsed(line);

    assert_string_equal(got->command->name, want->command->name);
    SAME(quiet);
    SAME(verbose);
    check_same_plan(&got->plan, &want->plan);
}

static struct pp_cli client_of(const char *host)
{
    struct pp_cli cli = defaults(PP_JOB_CLIENT);

    (void)strcpy(cli.plan.target.host, host);
    return cli;
}

/* ---- the load ---- */

static void test_without_options_it_is_the_main_job(void **state)
{
    const struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    check(LINE(NULL), &want);
    assert_int_equal(want.plan.count, 500000);
    assert_int_equal(want.plan.time_ns, 0);
    assert_string_equal(want.plan.target.host, "127.0.0.1");
    assert_int_equal(want.plan.target.port, 3131);
}

static void test_connections_sets_the_connections(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    check(LINE("-c", "1"), &want);
    want.plan.connections = 100000;
    check(LINE("-c", "100k"), &want);
    check(LINE("--connections=100000"), &want);
}

static void test_threads_sets_the_threads_of_the_client_or_of_the_server(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.connections = want.plan.client_threads = 256;
    check(LINE("-c", "256", "-T256"), &want);
    check(LINE("--connections=256", "--threads", "256"), &want);
    want = defaults(PP_JOB_RUN);
    want.plan.server_threads = 256;
    check(LINE("-S", "256"), &want);
    check(LINE("--server-threads=256"), &want);
}

static void test_depth_sets_the_depth(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.depth = 1;
    check(LINE("-D1"), &want);
    want.plan.depth = 65536;
    check(LINE("--depth", "65536"), &want);
}

static void test_size_sets_both_sizes(void **state)
{
    static const struct {
        const char *text;
        uint32_t bytes;
    } table[] = { { "1", 1 },
                  { "64", 64 },
                  { "1k", 1000 },
                  { "4KiB", 4096 },
                  { "64MiB", 67108864 },
                  { "1.5K", 1536 },
                  { "67108864", 67108864 } };
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.sizes_given = true;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        want.plan.request = want.plan.response = pp_sizes_of(table[i].bytes);
        check(LINE("-m", table[i].text), &want);
        check(LINE("--size", table[i].text), &want);
    }
}

static void test_size_sets_the_size_of_a_response_that_is_no_echo(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.sizes_given = true;
    want.plan.request = want.plan.response = pp_sizes_of(64);
    check(LINE("-m", "64,64"), &want);
    want.plan.answers = true;
    want.plan.response = pp_sizes_of(1000);
    check(LINE("-m", "64,1k"), &want);
    want.plan.request = want.plan.response;
    want.plan.response = pp_sizes_of(1);
    check(LINE("--size=1k,1"), &want);
}

static void test_size_sets_a_distribution(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.sizes_given = true;
    assert_int_equal(pp_sizes_read(&want.plan.request, "64-1400"), 0);
    want.plan.response = want.plan.request;
    check(LINE("-m", "uniform:64-1400"), &want);
    want.plan.answers = true;
    want.plan.response = pp_sizes_of(5);
    check(LINE("-m", "uniform:64-1400,5"), &want);
    want.plan.response = want.plan.request;
    want.plan.request = pp_sizes_of(5);
    check(LINE("-m", "5,uniform:64-1.4k"), &want);
}

static void test_size_reads_a_distribution_from_a_file(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);
    char path[] = "/tmp/pp_test_options_XXXXXX";
    char value[sizeof "file:" + sizeof path];
    const int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "64 3\n9000\n", 10), 10);
    (void)close(fd);
    (void)snprintf(value, sizeof value, "file:%s", path);
    want.plan.sizes_given = true;
    assert_int_equal(pp_sizes_read(&want.plan.request, "64*3,9000*1"), 0);
    want.plan.response = want.plan.request;
    check(LINE("-m", value), &want);
    (void)unlink(path);
}

static void test_a_file_of_sizes_that_is_not_there_is_named(void **state)
{
    struct pp_error err;
    struct pp_cli cli;

    (void)state;
    assert_int_equal(parse(&cli, LINE("-m", "file:/no/such/file"), &err), -ENOENT);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    assert_string_equal(err.text, "cannot open /no/such/file: No such file or directory");
}

static void test_count_sets_the_round_trips(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.count = 1500000;
    check(LINE("-n", "1500000"), &want);
    check(LINE("-n1.5M"), &want);
    check(LINE("--count", "1500k"), &want);
    check(LINE("--count=1.5M"), &want);
    want.plan.count = 1;
    check(LINE("-n", "1"), &want);
    want.plan.count = UINT64_C(1000000000000);
    check(LINE("-n", "1000G"), &want);
}

static void test_time_sets_the_time(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } table[] = { { "10", 10 * S },       { "0.5", S / 2 },  { "1ms", MS },
                  { "500ms", S / 2 },     { "5m", 300 * S }, { "31536000", 31536000 * S },
                  { "1500us", 1500 * US } };
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.count = 0;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        want.plan.time_ns = table[i].ns;
        check(LINE("-t", table[i].text), &want);
        check(LINE("--time", table[i].text), &want);
    }
}

static void test_either_count_or_time_stops_a_job_unless_both_are_given(void **state)
{
    struct pp_cli client = defaults(PP_JOB_CLIENT);
    struct pp_cli run = defaults(PP_JOB_RUN);

    (void)state;
    assert_int_equal(client.plan.count, 0);
    assert_int_equal(client.plan.time_ns, 10 * S);
    check(LINE("127.0.0.1"), &client);
    client.plan.count = 7;
    client.plan.time_ns = 0;
    check(LINE("127.0.0.1", "-n7"), &client);
    client.plan.time_ns = 3 * S;
    check(LINE("127.0.0.1", "-n7", "-t3"), &client);
    run.plan.count = 0;
    run.plan.time_ns = 3 * S;
    check(LINE("-t3"), &run);
    run.plan.count = 7;
    check(LINE("-t3", "-n7"), &run);
}

static void test_warmup_is_a_time_or_a_count(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.warmup_given = true;
    check(LINE("-w0"), &want);
    check(LINE("-w", "5s", "-w0"), &want);
    want.plan.warmup_count = 10000;
    check(LINE("--warmup=10k"), &want);
    check(LINE("-w1s", "-w10k"), &want);
    want.plan.warmup_count = UINT64_C(1000000000000);
    check(LINE("-w1000G"), &want);
    want.plan.warmup_count = 0;
    want.plan.warmup_ns = S / 2;
    check(LINE("-w500ms"), &want);
    check(LINE("-w7", "-w0.5s"), &want);
    want.plan.warmup_ns = 120 * S;
    check(LINE("--warmup", "2m"), &want);
}

static void test_rate_opens_the_loop(void **state)
{
    static const struct {
        const char *text;
        double rate;
    } table[] = { { "1000", 1e3 }, { "50k", 5e4 },    { "1.5M", 1.5e6 },
                  { "0.5", 0.5 },  { "0.001", 1e-3 }, { "1G", 1e9 } };
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        want.plan.rate = table[i].rate;
        check(LINE("-R", table[i].text), &want);
        check(LINE("--rate", table[i].text), &want);
    }
}

static void test_arrivals_belong_to_a_rate_and_strict_to_any_load(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.rate = 100;
    check(LINE("-R100", "--arrivals=fixed"), &want);
    want.plan.arrivals = PP_ARRIVALS_POISSON;
    check(LINE("--arrivals", "poisson", "-R100"), &want);
    check_refused(LINE("--arrivals=poisson"), "--arrivals", "--rate");
    want = defaults(PP_JOB_RUN);
    want.plan.strict = PP_INVALID;
    check(LINE("--strict"), &want);
    check(LINE("--strict", "invalid"), &want);
    check(LINE("--strict=suspect", "--strict"), &want);
    want.plan.strict = PP_SUSPECT;
    check(LINE("--strict=suspect"), &want);
    check(LINE("--strict", "suspect"), &want);
    check_refused(LINE("--strict=valid"), "--strict", "invalid or suspect");
}

static void test_crr_and_think_change_what_follows_a_pong(void **state)
{
    struct pp_cli crr = defaults(PP_JOB_RUN);
    struct pp_cli think = defaults(PP_JOB_RUN);

    (void)state;
    crr.plan.crr = true;
    check(LINE("--crr"), &crr);
    check(LINE("--think=0"), &think);
    think.plan.think_ns = 100 * US;
    check(LINE("--think", "100"), &think);
    think.plan.think_ns = 60 * S;
    check(LINE("--think=60s"), &think);
    think.plan.think_ns = 250;
    check(LINE("--think=250ns"), &think);
}

static void test_verify_sets_what_is_checked(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    check(LINE("--verify=full"), &want);
    want.plan.verify = PP_VERIFY_LEN;
    check(LINE("--verify", "len"), &want);
    want.plan.verify = PP_VERIFY_OFF;
    check(LINE("--verify=off"), &want);
}

static void test_seed_sets_the_seed(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.seed = 0;
    check(LINE("--seed=0"), &want);
    want.plan.seed = INT64_MAX;
    check(LINE("--seed", "9223372036854775807"), &want);
    check_refused(LINE("--seed", "9223372036854775808"), "--seed", "to 9,223,372,036,854,775,807");
}

static void test_connect_timeout_sets_the_patience(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.connect_timeout_ns = MS;
    check(LINE("--connect-timeout=1ms"), &want);
    want.plan.connect_timeout_ns = 7 * S;
    check(LINE("--connect-timeout", "7"), &want);
    want.plan.connect_timeout_ns = 3600 * S;
    check(LINE("--connect-timeout=60m"), &want);
}

/* ---- transport ---- */

static void test_host_and_port_say_where_the_server_is(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.target.port = 0;
    check(LINE("-p", "0"), &want);
    want.plan.target.port = 65535;
    check(LINE("-p65535"), &want);
    check(LINE("--port=65535"), &want);
    (void)strcpy(want.plan.target.host, "::1");
    check(LINE("--host=::1", "-p65535"), &want);
    check(LINE("-p65535", "-H", "[::1]"), &want);
    want.plan.target.port = 3131;
    check(LINE("--host", "::1"), &want);
    (void)strcpy(want.plan.target.host, "a-name.example");
    check(LINE("-Ha-name.example"), &want);
}

static void test_a_host_may_be_a_unix_socket(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.target = (struct pp_target){ .path = "/run/pp" };
    check(LINE("-Hunix:/run/pp"), &want);
    want.plan.socket.dgram = true;
    check(LINE("-u", "--host", "unix:/run/pp"), &want);
}

static void test_udp_and_mptcp_choose_the_transport(void **state)
{
    struct pp_cli udp = defaults(PP_JOB_RUN);
    struct pp_cli mptcp = defaults(PP_JOB_RUN);

    (void)state;
    udp.plan.socket.dgram = true;
    check(LINE("-u"), &udp);
    check(LINE("--udp"), &udp);
    mptcp.plan.socket.mptcp = true;
    check(LINE("--mptcp"), &mptcp);
}

static void test_ipv4_and_ipv6_choose_the_family(void **state)
{
    struct pp_cli four = defaults(PP_JOB_RUN);
    struct pp_cli six = defaults(PP_JOB_RUN);

    (void)state;
    four.plan.target.family = AF_INET;
    check(LINE("-4"), &four);
    check(LINE("--ipv4"), &four);
    six.plan.target.family = AF_INET6;
    (void)strcpy(six.plan.target.host, "::1");
    check(LINE("-6"), &six);
    check(LINE("--ipv6"), &six);
    (void)strcpy(six.plan.target.host, "localhost");
    check(LINE("-6", "-H", "localhost"), &six);
}

static void test_bind_sets_the_address_to_come_from(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    (void)strcpy(want.plan.source.host, "10.0.0.1");
    check(LINE("-B", "10.0.0.1"), &want);
    want.plan.source.port = 5000;
    check(LINE("--bind=10.0.0.1:5000"), &want);
    (void)strcpy(want.plan.source.host, "::1");
    check(LINE("--bind", "[::1]:5000"), &want);
    want.plan.source.port = 0;
    check(LINE("-B::1"), &want);
}

static void test_socket_options_are_set(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.socket.busy_poll_given = true;
    check(LINE("--nodelay=on", "--busy-poll=0"), &want);
    (void)strcpy(want.plan.socket.congestion, "bbr");
    want.plan.socket.nagle = true;
    want.plan.socket.busy_poll_us = 50;
    want.plan.socket.sndbuf = 64000;
    want.plan.socket.rcvbuf = 65536;
    want.plan.socket.tos = 0xb8;
    want.plan.socket.tos_given = true;
    check(LINE("--cc=bbr", "--nodelay=off", "--busy-poll=50", "--sndbuf=64k", "--rcvbuf=64KiB",
               "--tos=0xb8"),
          &want);
    check(LINE("--tos", "184", "--rcvbuf", "65536", "--sndbuf", "64000B", "--busy-poll", "50us",
               "--nodelay", "off", "--cc", "bbr"),
          &want);
}

static void test_socket_options_go_up_to_their_bounds(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    (void)strcpy(want.plan.socket.congestion, "fifteen-letters");
    want.plan.socket.busy_poll_given = true;
    want.plan.socket.busy_poll_us = 1000000;
    want.plan.socket.sndbuf = 1U << 30;
    want.plan.socket.rcvbuf = 1;
    want.plan.socket.tos = 0xff;
    want.plan.socket.tos_given = true;
    check(
        LINE("--cc=fifteen-letters", "--busy-poll=1s", "--sndbuf=1GiB", "--rcvbuf=1", "--tos=0xFF"),
        &want);
    want.plan.socket.tos = 0;
    check(LINE("--cc=fifteen-letters", "--busy-poll=1s", "--sndbuf=1GiB", "--rcvbuf=1", "--tos=0"),
          &want);
}

/* ---- foreign servers ---- */

static struct pp_plan_text text_of(const char *text)
{
    struct pp_plan_text of = { .bytes = (uint32_t)strlen(text) };

    memcpy(of.text, text, of.bytes);
    return of;
}

static void test_send_and_expect_are_read_as_c_would(void **state)
{
    struct pp_cli want = client_of("x");

    (void)state;
    want.plan.send = text_of("PING\r\n");
    check(LINE("x", "--send", "PING\\r\\n"), &want);
    want.plan.expect = text_of("+PO\xffNG\\\t\n");
    want.plan.expect_how = PP_EXPECT_TEXT;
    check(LINE("x", "--send=PING\\r\\n", "--expect=+PO\\xffNG\\\\\\t\\n"), &want);
    want.plan.send = (struct pp_plan_text){ .bytes = 3, .text = "a\0b" };
    check(LINE("x", "--send=a\\0b", "--expect=+PO\\xffNG\\\\\\t\\n"), &want);
}

static void test_the_end_of_a_response_is_known_by_its_length_or_by_a_text(void **state)
{
    struct pp_cli bytes = client_of("x");
    struct pp_cli until = client_of("x");

    (void)state;
    bytes.plan.expect_how = PP_EXPECT_BYTES;
    bytes.plan.expect_bytes = 1000;
    check(LINE("x", "--expect-bytes=1k"), &bytes);
    bytes.plan.expect_bytes = 67108864;
    check(LINE("x", "--expect-bytes", "64MiB"), &bytes);
    until.plan.expect_how = PP_EXPECT_UNTIL;
    until.plan.expect = text_of("\r\n");
    check(LINE("x", "--expect-until", "\\r\\n"), &until);
}

static void test_no_hello_asks_nothing(void **state)
{
    struct pp_cli want = client_of("x");

    (void)state;
    want.plan.hello = false;
    check(LINE("x", "--no-hello"), &want);
}

static void test_a_text_may_have_4096_bytes_and_no_more(void **state)
{
    struct pp_cli want = client_of("x");
    char text[PP_PLAN_TEXT_MAX + 2];

    (void)state;
    memset(text, 'a', sizeof text);
    text[PP_PLAN_TEXT_MAX + 1] = '\0';
    check_refused(LINE("x", "--send", text), "at most 4,096 bytes", "aaaa...\"");
    check_refused(LINE("x", "--expect", text), "at most 4,096 bytes", "aaaa...\"");
    check_refused(LINE("x", "--expect-until", text), "at most 4,096 bytes", "aaaa...\"");
    text[PP_PLAN_TEXT_MAX] = '\0';
    want.plan.send = (struct pp_plan_text){ .bytes = PP_PLAN_TEXT_MAX };
    memcpy(want.plan.send.text, text, PP_PLAN_TEXT_MAX);
    check(LINE("x", "--send", text), &want);
}

/* ---- how it runs ---- */

static void test_engine_sets_both_sides(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    check(LINE("--engine=auto"), &want);
    want.plan.client_engine = "epoll";
    want.plan.server_engine = "epoll";
    check(LINE("--engine=epoll"), &want);
    want.plan.client_engine = "io_uring:no-multishot,no-defer";
    want.plan.server_engine = "io_uring:no-multishot,no-defer";
    check(LINE("--engine", "io_uring:no-multishot,no-defer"), &want);
}

static void test_server_engine_sets_the_server_whatever_comes_first(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.server_engine = "epoll";
    check(LINE("--server-engine=epoll"), &want);
    want.plan.client_engine = "io_uring";
    check(LINE("--server-engine=epoll", "--engine=io_uring"), &want);
    check(LINE("--engine=io_uring", "--server-engine=epoll"), &want);
    want.plan.server_engine = "auto";
    check(LINE("--server-engine=auto", "--engine=io_uring"), &want);
}

static void test_wait_sets_how_to_wait(void **state)
{
    static const struct {
        const char *how;
        enum pp_io_wait wait;
        uint64_t spin_ns;
    } table[] = {
        { "block", PP_IO_WAIT_BLOCK, 0 },
        { "spin", PP_IO_WAIT_SPIN, PP_IO_SPIN_FOREVER },
        { "spin:20", PP_IO_WAIT_SPIN, 20000 },
        { "spin:1", PP_IO_WAIT_SPIN, 1000 },
        { "spin:1.5", PP_IO_WAIT_SPIN, 1500 },
        { "spin:3ms", PP_IO_WAIT_SPIN, 3000000 },
        { "spin:60s", PP_IO_WAIT_SPIN, UINT64_C(60000000000) },
        { "yield", PP_IO_WAIT_YIELD, 50000 },
        { "yield:7", PP_IO_WAIT_YIELD, 7000 },
        { "yield:2us", PP_IO_WAIT_YIELD, 2000 },
    };
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    check(LINE("--wait=auto"), &want);
    want.plan.wait_auto = false;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        want.plan.wait = table[i].wait;
        want.plan.spin_ns = table[i].spin_ns;
        check(LINE("--wait", table[i].how), &want);
    }
}

static void test_placement_sets_the_placement(void **state)
{
    static const struct {
        const char *how;
        enum pp_placement placement;
    } table[] = {
        { "same", PP_PLACEMENT_SAME },
        { "split", PP_PLACEMENT_SPLIT },
        { "pairs", PP_PLACEMENT_PAIRS },
        { "none", PP_PLACEMENT_NONE },
    };
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    check(LINE("--placement=auto"), &want);
    want.plan.placement_auto = false;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        want.plan.placement = table[i].placement;
        check(LINE("--placement", table[i].how), &want);
    }
}

static void test_cpus_of_a_run_are_a_pair_or_two_lists(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.client_cpus_given = (struct pp_cpus){ .count = 1, .cpus = { 0 } };
    want.plan.server_cpus_given = (struct pp_cpus){ .count = 1, .cpus = { 1023 } };
    check(LINE("-A", "0,1023"), &want);
    check(LINE("--cpus=0/1023"), &want);
    want.plan.client_cpus_given = (struct pp_cpus){ .count = 3, .cpus = { 0, 2, 3 } };
    want.plan.server_cpus_given = (struct pp_cpus){ .count = 4, .cpus = { 4, 5, 6, 4 } };
    check(LINE("-A0,2-3/4-6,4"), &want);
}

static void test_cpus_of_one_side_are_a_list(void **state)
{
    const struct pp_cpus cpus = { .count = 3, .cpus = { 0, 2, 3 } };
    struct pp_cli client = client_of("x");
    struct pp_cli serve = defaults(PP_JOB_SERVE);

    (void)state;
    client.plan.client_cpus_given = cpus;
    check(LINE("x", "-A", "0,2-3"), &client);
    check(LINE("--cpus=0,2-3", "client", "x"), &client);
    serve.plan.server_cpus_given = cpus;
    check(LINE("-A0,2-3", "serve"), &serve);
    check_refused(LINE("x", "-A0/1"), "--cpus takes CPU numbers", "not \"0/1\"");
    check_refused(LINE("-A0"), "--cpus takes two CPU numbers", "not \"0\"");
}

static void test_as_many_cpus_can_be_named_as_there_can_be_threads(void **state)
{
    struct pp_cli want = client_of("x");

    (void)state;
    want.plan.client_cpus_given.count = 256;
    for (int i = 0; i < 256; i++)
        want.plan.client_cpus_given.cpus[i] = i;
    check(LINE("x", "-A0-255"), &want);
    check_refused(LINE("x", "-A0-256"), "--cpus takes ", "not \"0-256\"");
    check_refused(LINE("x", "-A0-255,0"), "--cpus takes ", "not \"0-255,0\"");
}

/* ---- output ---- */

static void test_quiet_and_verbose_are_set_alone(void **state)
{
    struct pp_cli quiet = defaults(PP_JOB_RUN);
    struct pp_cli verbose = defaults(PP_JOB_RUN);

    (void)state;
    quiet.quiet = true;
    verbose.verbose = true;
    check(LINE("-q"), &quiet);
    check(LINE("--quiet"), &quiet);
    check(LINE("-v"), &verbose);
    check(LINE("--verbose"), &verbose);
}

static void test_help_and_version_ask_for_themselves(void **state)
{
    struct pp_cli help = defaults(PP_JOB_RUN);
    struct pp_cli version = defaults(PP_JOB_RUN);

    (void)state;
    help.command = pp_cli_command_find("help");
    version.command = pp_cli_command_find("version");
    check(LINE("-h"), &help);
    check(LINE("--help"), &help);
    check(LINE("-V"), &version);
    check(LINE("--version"), &version);
    check(LINE("version"), &version);
    check(LINE("-h", "-V"), &help);
    check(LINE("--help", "--nonsense", "--count=x"), &help); /* what follows is not looked at */
}

/* ---- by other names ---- */

static void test_each_alias_does_what_its_option_does(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.connections = 3;
    check(LINE("--flows=3"), &want);
    check(LINE("--parallel", "3"), &want);
    want = defaults(PP_JOB_RUN);
    want.plan.count = 0;
    want.plan.time_ns = 2 * S;
    check(LINE("--duration", "2"), &want);
    want = defaults(PP_JOB_RUN);
    want.plan.warmup_given = true;
    want.plan.warmup_ns = S;
    check(LINE("--omit=1s"), &want);
    want = defaults(PP_JOB_RUN);
    want.plan.rate = 9;
    check(LINE("--mps=9"), &want);
    check(LINE("--qps", "9"), &want);
}

static void test_every_alias_of_the_table_is_refused_by_the_name_of_its_option(void **state)
{
    unsigned aliases = 0;

    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        char wrong[64], takes[64];

        (void)snprintf(takes, sizeof takes, "--%s takes ", pp_cli_options[i].name);
        for (const char *const *alias = pp_cli_options[i].aliases; *alias; alias++) {
            (void)snprintf(wrong, sizeof wrong, "--%s=?", *alias);
            check_refused(LINE(wrong), takes, "not \"?\"");
            aliases++;
        }
    }
    assert_true(aliases >= 6);
}

/* ---- several options ---- */

static void test_options_are_set_together(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    want.plan.count = 10;
    want.plan.connections = 2;
    want.plan.target.port = 7;
    want.verbose = true;
    check(LINE("-vn10", "-c", "2", "--port=7"), &want);
    check(LINE("--port", "7", "-c2", "--count=10", "--verbose"), &want);
}

static void test_the_last_of_two_holds(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    check(LINE("--wait=spin", "--wait=auto", "--placement=none", "--placement=auto"), &want);
    want.plan.count = 2;
    want.plan.target.port = 4;
    check(LINE("-n1", "-p3", "-n2", "-p4"), &want);
}

static void test_one_parse_leaves_nothing_to_the_next(void **state)
{
    const struct pp_cli want = defaults(PP_JOB_RUN);

    (void)state;
    (void)parsed(LINE("serve", ":7", "--server-engine=epoll", "-q", "-A0", "-u", "-6"));
    check(LINE(NULL), &want);
}

/* ---- refusals ---- */

static const struct {
    const char *option;
    const char *name;
    const char *values[24];
} refused[] = {
    { "-c",
      "--connections takes ",
      { "0", "-1", "", "many:", "100001", "1.5", "1e3", "4294967297" } },
    { "-T", "--threads takes ", { "0", "-1", "", "x", "257", "1.5", "4294967297" } },
    { "-S", "--server-threads takes ", { "0", "-1", "", "x", "257", "1.5" } },
    { "-D", "--depth takes ", { "0", "-1", "", "x", "65537", "1.5" } },
    { "-m",
      "--size takes ",
      { "0",
        "-1",
        "",
        "x",
        "1.5",
        "64MiB,",
        ",",
        ",5",
        "67108865",
        "65MiB",
        "1,2,3",
        "1,x",
        "x,1",
        "uniform:",
        "uniform:5",
        "uniform:5-",
        "uniform:-5",
        "uniform:6-5",
        "uniform:0-5",
        "uniform:1-65MiB",
        "file:" } },
    { "-n",
      "--count takes ",
      { "0",
        "-1",
        "+1",
        "",
        "x",
        "1.5",
        "1e3",
        "0x10",
        "nan",
        "10kk",
        "10K",
        ".5k",
        "1,000",
        " 5",
        "5 ",
        "1000.001G",
        "1001G",
        "1000000000001",
        "18446744073709551616",
        "18446744073709551617",
        "99999999999999999999",
        "99999999999999999999G" } },
    { "-t",
      "--time takes ",
      { "0", "-1", "", "x", "1h", "0.0001", "999us", "31536001", "1e3", "5 s", "inf" } },
    { "-w",
      "--warmup takes ",
      { "-1", "", "x", "1h", "1.5", "0.5", "31536001s", "1000000000001", "1001G" } },
    { "-R", "--rate takes ", { "0", "-1", "", "x", "0.0009", "1.1G", "1e3", "nan", "inf" } },
    { "--arrivals", "--arrivals takes ", { "", "x", "Fixed", "fixed,poisson" } },
    { "--think", "--think takes ", { "-1", "", "x", "61s", "60.001s" } },
    { "--verify", "--verify takes ", { "", "x", "Full", "on", "0" } },
    { "--seed",
      "--seed takes ",
      { "-1", "", "x", "1.5", "9223372036854775808", "18446744073709551616" } },
    { "--connect-timeout", "--connect-timeout takes ", { "0", "-1", "", "x", "999us", "61m" } },
    { "-p", "--port takes ", { "65536", "-1", "", "http", "3131x", "0x10", "1.5", "4294967296" } },
    { "-H", "--host takes ", { "", "x:1", "[::1]:1", "[::1", "a:b:c", "unix:" } },
    { "-B", "--bind takes ", { "", "unix:/x", "x:99999", "[::1" } },
    { "--cc", "--cc takes ", { "", "a cc", "more-than-fifteen" } },
    { "--nodelay", "--nodelay takes ", { "", "1", "On", "yes" } },
    { "--busy-poll", "--busy-poll takes ", { "-1", "", "x", "1ns", "1.5", "1.001s", "2s" } },
    { "--sndbuf", "--sndbuf takes ", { "0", "-1", "", "x", "1.1GiB", "2G" } },
    { "--rcvbuf", "--rcvbuf takes ", { "0", "-1", "", "x", "1.1GiB", "2G" } },
    { "--tos",
      "--tos takes ",
      { "256", "-1", "", "x", "0x", "0x100", "0xg0", "0x0g", "0Xb8", "b8", "1.5" } },
    { "--engine",
      "--engine takes ",
      { "", "steam", "epol", "epollx", "EPOLL", "epoll:no-multishot", "io_uring:multishot",
        "io_uring:no-steam", "io_uring:no-", "auto:no-defer", "AUTO" } },
    { "--server-engine", "--server-engine takes ", { "", "steam", "epoll,io_uring" } },
    { "--wait",
      "--wait takes ",
      { "", "sleep", "spin:", "spin:0", "spin:-1", "spin:x", "spin:0.9", "spin:999ns", "spin:61s",
        "spin:20:", "spinn", "spi", "yield:", "yield:0", "block:", "block:5", "auto:5", ":5",
        "Spin" } },
    { "--placement", "--placement takes ", { "", "both", "Same", "samesame", "0,1" } },
    { "--cpus",
      "--cpus takes ",
      { "",
        "0",
        "0,",
        ",0",
        ",",
        "0,1,2",
        "0;1",
        "-1,0",
        "0,-1",
        "x,0",
        "0,x",
        "1024,0",
        "0,1024",
        "0, 1",
        "0/",
        "/0",
        "0/1/2",
        "1-0/0",
        "0-/0",
        "0/0-1024",
        "0/99999999999",
        "0,99999999999" } },
};

static void test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        for (size_t j = 0; j < COUNT_OF(refused[i].values) && refused[i].values[j]; j++) {
            char quoted[64];

            (void)snprintf(quoted, sizeof quoted, "not \"%s\"", refused[i].values[j]);
            check_refused(LINE(refused[i].option, refused[i].values[j]), refused[i].name, quoted);
        }
    }
}

static void test_a_value_for_another_server_that_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *option;
        const char *values[8];
    } table[] = {
        { "--send", { "", "\\", "\\q", "\\x", "\\xg0", "a\\" } },
        { "--expect", { "", "\\q" } },
        { "--expect-until", { "", "\\q" } },
        { "--expect-bytes", { "", "0", "-1", "x", "1.5", "65MiB", "4294967297" } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        for (size_t j = 0; j < COUNT_OF(table[i].values) && table[i].values[j]; j++) {
            char quoted[64], takes[64];

            (void)snprintf(quoted, sizeof quoted, "not \"%s\"", table[i].values[j]);
            (void)snprintf(takes, sizeof takes, "%s takes ", table[i].option);
            check_refused(LINE("x", table[i].option, table[i].values[j]), takes, quoted);
        }
    }
}

/* A job that has the option. */
static const char *job_of(const struct pp_cli_option *option)
{
    return pp_cli_command_of(option->jobs & -option->jobs)->name;
}

static void test_a_missing_value_is_refused_by_the_name_of_its_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];
        char name[64], takes[64], letter[] = { '-', 'v', option->letter, '\0' };

        if (!pp_cli_takes_value(option) || option->optional)
            continue;
        (void)snprintf(name, sizeof name, "--%s", option->name);
        (void)snprintf(takes, sizeof takes, "--%s takes ", option->name);
        check_refused(LINE(job_of(option), name), takes, "none was given");
        if (option->letter)
            check_refused(LINE(job_of(option), letter), takes, "none was given");
    }
}

static void test_a_value_for_an_option_that_takes_none_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];
        char given[64];

        if (pp_cli_takes_value(option))
            continue;
        (void)snprintf(given, sizeof given, "--%s=yes", option->name);
        check_refused(LINE(job_of(option), given), "takes no value: ", given);
    }
}

static void test_a_host_longer_than_any_name_is_refused(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);
    char name[255];

    (void)state;
    memset(name, 'a', sizeof name);
    name[254] = '\0';
    check_refused(LINE("--host", name), "--host takes ", "not \"aaaa");
    name[253] = '\0';
    (void)strcpy(want.plan.target.host, name);
    check(LINE("--host", name), &want);
}

static void test_a_path_longer_than_any_socket_is_refused(void **state)
{
    struct pp_cli want = defaults(PP_JOB_RUN);
    char path[sizeof "unix:" + sizeof want.plan.target.path];

    (void)state;
    memset(path, 'a', sizeof path);
    memcpy(path, "unix:/", 6);
    path[5 + sizeof want.plan.target.path] = '\0';
    check_refused(LINE("--host", path), "at most 107 bytes", "has 108: /aaaa");
    check_refused(LINE(path), "at most 107 bytes", "has 108: /aaaa");
    check_refused(LINE("serve", path), "at most 107 bytes", "has 108: /aaaa");
    path[4 + sizeof want.plan.target.path] = '\0';
    want.plan.target = (struct pp_target){ 0 };
    (void)strcpy(want.plan.target.path, path + 5);
    check(LINE("--host", path), &want);
}

static void test_options_that_exclude_each_other_are_refused(void **state)
{
    (void)state;
    check_refused(LINE("-q", "-v"), "--quiet", "--verbose");
    check_refused(LINE("-4", "-6"), "--ipv4", "--ipv6");
    check_refused(LINE("--cpus=0,0", "--placement=same"), "--cpus", "--placement");
    check_refused(LINE("--placement=none", "--cpus=0,0"), "--cpus", "--placement");
    check_refused(LINE("x", "--expect=a", "--expect-bytes=1"), "--expect", "--expect-bytes");
    check_refused(LINE("x", "--expect=a", "--expect-until=b"), "--expect", "--expect-until");
    check_refused(LINE("x", "--expect-bytes=1", "--expect-until=b"), "--expect-bytes",
                  "--expect-until");
}

static void test_what_contradicts_itself_is_refused_with_a_line_that_says_why(void **state)
{
    (void)state;
    check_refused(LINE("-T2"), "--threads", "--connections");
    check_refused(LINE("-u", "--crr"), "--crr", "--udp");
    check_refused(LINE("-u", "--mptcp"), "--mptcp", "TCP");
    check_refused(LINE("-u", "--cc=bbr"), "--cc", "not TCP");
    check_refused(LINE("-u", "--nodelay=off"), "--nodelay", "not TCP");
    check_refused(LINE("-u", "-m8"), "--size", "16 B");
    check_refused(LINE("-u", "-m65508"), "--size", "65,507 B");
    check_refused(LINE("-u", "-m64,65"), "--size", "response");
    check_refused(LINE("x", "-u", "--send=x"), "--send", "--udp");
    check_refused(LINE("x", "-u", "--expect=x"), "--expect", "--udp");
    check_refused(LINE("x", "-m5", "--send=x"), "--size", "--send");
    check_refused(LINE("x", "-m5", "--expect=x"), "--size", "--expect");
    check_refused(LINE("--crr", "-m5,6"), "--crr", "--size");
    check_refused(LINE("--crr", "-D2"), "--crr", "--depth");
    check_refused(LINE("-R5", "--think=1"), "--rate", "--think");
    check_refused(LINE("-t1", "-w101s"), "--warmup", "a hundred times");
    check_refused(LINE("-B:5", "-c2"), "--bind", "one connection");
    check_refused(LINE("--placement=pairs", "-c2", "-T2"), "--placement pairs", "--server-threads");
}

static void test_what_a_unix_socket_does_not_have_is_refused(void **state)
{
    (void)state;
    check_refused(LINE("unix:/x", "-4"), "-4", "Unix socket");
    check_refused(LINE("unix:/x", "-B", "10.0.0.1"), "--bind", "Unix socket");
    check_refused(LINE("unix:/x", "--tos=0"), "--tos", "Unix socket");
    check_refused(LINE("unix:/x", "--busy-poll=50"), "--busy-poll", "Unix socket");
    check_refused(LINE("unix:/x", "--cc=bbr"), "--cc", "not TCP");
    check_refused(LINE("unix:/x", "--mptcp"), "--mptcp", "TCP");
    check_refused(LINE("unix:/x", "--nodelay=off"), "--nodelay", "not TCP");
    check_refused(LINE("unix:/x", "--placement=pairs"), "--placement pairs", "Unix socket");
    check_refused(LINE("unix:/x", "-p5"), "unix:/x", "--port");
}

static void test_a_very_long_value_is_cut_in_the_error(void **state)
{
    char value[2000];
    const char *text;

    (void)state;
    memset(value, '9', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    text = refusal(LINE("-n", value));
    assert_non_null(strstr(text, "--count takes "));
    assert_true(strlen(text) < sizeof(((struct pp_error *)NULL)->text) - 1); /* with its end */
    assert_int_equal(text[strlen(text) - 1], '"');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_options_it_is_the_main_job),
        cmocka_unit_test(test_connections_sets_the_connections),
        cmocka_unit_test(test_threads_sets_the_threads_of_the_client_or_of_the_server),
        cmocka_unit_test(test_depth_sets_the_depth),
        cmocka_unit_test(test_size_sets_both_sizes),
        cmocka_unit_test(test_size_sets_the_size_of_a_response_that_is_no_echo),
        cmocka_unit_test(test_size_sets_a_distribution),
        cmocka_unit_test(test_size_reads_a_distribution_from_a_file),
        cmocka_unit_test(test_a_file_of_sizes_that_is_not_there_is_named),
        cmocka_unit_test(test_count_sets_the_round_trips),
        cmocka_unit_test(test_time_sets_the_time),
        cmocka_unit_test(test_either_count_or_time_stops_a_job_unless_both_are_given),
        cmocka_unit_test(test_warmup_is_a_time_or_a_count),
        cmocka_unit_test(test_rate_opens_the_loop),
        cmocka_unit_test(test_arrivals_belong_to_a_rate_and_strict_to_any_load),
        cmocka_unit_test(test_crr_and_think_change_what_follows_a_pong),
        cmocka_unit_test(test_verify_sets_what_is_checked),
        cmocka_unit_test(test_seed_sets_the_seed),
        cmocka_unit_test(test_connect_timeout_sets_the_patience),
        cmocka_unit_test(test_host_and_port_say_where_the_server_is),
        cmocka_unit_test(test_a_host_may_be_a_unix_socket),
        cmocka_unit_test(test_udp_and_mptcp_choose_the_transport),
        cmocka_unit_test(test_ipv4_and_ipv6_choose_the_family),
        cmocka_unit_test(test_bind_sets_the_address_to_come_from),
        cmocka_unit_test(test_socket_options_are_set),
        cmocka_unit_test(test_socket_options_go_up_to_their_bounds),
        cmocka_unit_test(test_send_and_expect_are_read_as_c_would),
        cmocka_unit_test(test_the_end_of_a_response_is_known_by_its_length_or_by_a_text),
        cmocka_unit_test(test_no_hello_asks_nothing),
        cmocka_unit_test(test_a_text_may_have_4096_bytes_and_no_more),
        cmocka_unit_test(test_engine_sets_both_sides),
        cmocka_unit_test(test_server_engine_sets_the_server_whatever_comes_first),
        cmocka_unit_test(test_wait_sets_how_to_wait),
        cmocka_unit_test(test_placement_sets_the_placement),
        cmocka_unit_test(test_cpus_of_a_run_are_a_pair_or_two_lists),
        cmocka_unit_test(test_cpus_of_one_side_are_a_list),
        cmocka_unit_test(test_as_many_cpus_can_be_named_as_there_can_be_threads),
        cmocka_unit_test(test_quiet_and_verbose_are_set_alone),
        cmocka_unit_test(test_help_and_version_ask_for_themselves),
        cmocka_unit_test(test_each_alias_does_what_its_option_does),
        cmocka_unit_test(test_every_alias_of_the_table_is_refused_by_the_name_of_its_option),
        cmocka_unit_test(test_options_are_set_together),
        cmocka_unit_test(test_the_last_of_two_holds),
        cmocka_unit_test(test_one_parse_leaves_nothing_to_the_next),
        cmocka_unit_test(test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_option),
        cmocka_unit_test(test_a_value_for_another_server_that_makes_no_sense_is_refused),
        cmocka_unit_test(test_a_missing_value_is_refused_by_the_name_of_its_option),
        cmocka_unit_test(test_a_value_for_an_option_that_takes_none_is_refused),
        cmocka_unit_test(test_a_host_longer_than_any_name_is_refused),
        cmocka_unit_test(test_a_path_longer_than_any_socket_is_refused),
        cmocka_unit_test(test_options_that_exclude_each_other_are_refused),
        cmocka_unit_test(test_what_contradicts_itself_is_refused_with_a_line_that_says_why),
        cmocka_unit_test(test_what_a_unix_socket_does_not_have_is_refused),
        cmocka_unit_test(test_a_very_long_value_is_cut_in_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
