#include "plan/plan.h"

#include "base/clock.h"
#include "base/container.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define SPELL_NS 50000
#define NO_SUCH_CPU 1000000

/* The CPUs that this process may use, given back after each test. */
struct fixture {
    cpu_set_t all;
    int cpus[2];
    int count; /* of those in cpus */
};

static int setup(void **state)
{
    static struct fixture f; /* one test at a time */

    f = (struct fixture){ 0 };
    if (sched_getaffinity(0, sizeof f.all, &f.all) < 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE && f.count < 2; cpu++)
        if (CPU_ISSET((size_t)cpu, &f.all))
            f.cpus[f.count++] = cpu;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    const struct fixture *f = *state;

    return sched_setaffinity(0, sizeof f->all, &f->all);
}

static void restrict_to(int cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

static void need_two_cpus(const struct fixture *f)
{
    if (f->count < 2)
        skip();
}

static void decide(struct pp_plan *plan)
{
    struct pp_error err = { 0 };

    if (pp_plan_decide(plan, &err) != 0)
        fail_msg("%s", err.text);
}

static struct pp_plan plan_of(enum pp_job job)
{
    struct pp_plan plan;

    pp_plan_default(&plan, job);
    return plan;
}

static struct pp_plan plan_on(int client_cpu, int server_cpu)
{
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    plan.client_cpus_given = (struct pp_cpus){ .count = 1, .cpus = { client_cpu } };
    plan.server_cpus_given = (struct pp_cpus){ .count = 1, .cpus = { server_cpu } };
    return plan;
}

static struct pp_plan plan_placed(enum pp_placement placement)
{
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    plan.placement_auto = false;
    plan.placement = placement;
    return plan;
}

static void plan_threads(struct pp_plan *plan, uint32_t client, uint32_t server)
{
    plan->client_threads = client;
    plan->server_threads = server;
    plan->connections = client;
}

/* ---- defaults ---- */

static void test_the_default_is_the_job_of_libxev(void **state)
{
    const struct pp_plan plan = plan_of(PP_JOB_RUN);

    (void)state;
    assert_string_equal(plan.target.host, "127.0.0.1");
    assert_int_equal(plan.target.port, 3131);
    assert_int_equal(plan.count, 500000);
    assert_int_equal(plan.time_ns, 0);
    assert_int_equal(plan.connections, 1);
    assert_int_equal(plan.client_threads, 1);
    assert_int_equal(plan.server_threads, 1);
    assert_true(plan.rate == 0);
    assert_int_equal(plan.send.bytes, 5);
    assert_memory_equal(plan.send.text, "PING\n", 5);
    assert_int_equal(plan.request.min, 5);
    assert_int_equal(plan.request.max, 5);
    assert_int_equal(plan.expect_how, PP_EXPECT_ECHO);
    assert_int_equal(plan.verify, PP_VERIFY_FULL);
}

static void test_the_default_leaves_the_rest_to_the_program(void **state)
{
    const struct pp_plan plan = plan_of(PP_JOB_RUN);

    (void)state;
    assert_string_equal(plan.client_engine, "auto");
    assert_string_equal(plan.server_engine, "auto");
    assert_true(plan.wait_auto);
    assert_true(plan.placement_auto);
    assert_int_equal(plan.depth, 0);
    assert_false(plan.warmup_given);
    assert_int_equal(plan.client_cpus_given.count, 0);
    assert_int_equal(plan.server_cpus_given.count, 0);
}

static void test_a_client_by_itself_runs_for_ten_seconds(void **state)
{
    const struct pp_plan plan = plan_of(PP_JOB_CLIENT);

    (void)state;
    assert_int_equal(plan.count, 0);
    assert_true(plan.time_ns == 10 * PP_NS_PER_S);
}

static void test_every_default_is_accepted(void **state)
{
    static const enum pp_job jobs[] = { PP_JOB_RUN, PP_JOB_CLIENT, PP_JOB_SERVE };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        struct pp_plan plan = plan_of(jobs[i]);
        struct pp_error err = { 0 };

        assert_int_equal(pp_plan_check(&plan, &err), 0);
        assert_int_equal(err.code, 0);
        decide(&plan);
    }
}

/* ---- contradictions ---- */

static void check_refusal(const struct pp_plan *plan, const char *words)
{
    struct pp_error err = { 0 };

    assert_int_equal(pp_plan_check(plan, &err), -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    assert_int_equal(err.code, -EINVAL);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" lacks \"%s\"", err.text, words);
}

static void check_accepted(const struct pp_plan *plan)
{
    struct pp_error err = { 0 };

    if (pp_plan_check(plan, &err) != 0)
        fail_msg("%s", err.text);
}

/* A default plan, changed by what follows, is refused in these words; or accepted. */
#define REFUSED(job, words, ...)                                                                   \
    do {                                                                                           \
        struct pp_plan plan = plan_of(job);                                                        \
        __VA_ARGS__;                                                                               \
        check_refusal(&plan, words);                                                               \
    } while (0)

#define ACCEPTED(job, ...)                                                                         \
    do {                                                                                           \
        struct pp_plan plan = plan_of(job);                                                        \
        __VA_ARGS__;                                                                               \
        check_accepted(&plan);                                                                     \
    } while (0)

#define UNIX (void)strcpy(plan.target.path, "/tmp/a.sock")
#define UDP plan.socket.dgram = true

static void set_text(struct pp_plan_text *text, const char *value)
{
    text->bytes = (uint32_t)strlen(value);
    memcpy(text->text, value, text->bytes);
}

static void set_sizes(struct pp_plan *plan, uint32_t request, uint32_t response)
{
    plan->sizes_given = true;
    plan->request = pp_sizes_of(request);
    plan->response = pp_sizes_of(response);
    plan->answers = request != response;
}

static void test_what_only_tcp_has_is_refused_without_it(void **state)
{
    (void)state;
    for (enum pp_job job = PP_JOB_RUN; job <= PP_JOB_SERVE; job++) {
        REFUSED(job, "--mptcp is a kind of TCP", plan.socket.mptcp = true, UDP);
        REFUSED(job, "--mptcp is a kind of TCP", plan.socket.mptcp = true, UNIX);
        REFUSED(job, "--cc chooses", plan.socket.congestion[0] = 'r', UDP);
        REFUSED(job, "--cc chooses", plan.socket.congestion[0] = 'r', UNIX);
        REFUSED(job, "--nodelay is an option of TCP", plan.socket.nagle = true, UDP);
        REFUSED(job, "--nodelay is an option of TCP", plan.socket.nagle = true, UNIX);
        ACCEPTED(job, plan.socket.mptcp = true, plan.socket.nagle = true,
                 plan.socket.congestion[0] = 'r');
    }
}

static void test_what_only_networks_have_is_refused_for_a_unix_socket(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "--tos and --busy-poll", plan.socket.tos_given = true, UNIX);
    REFUSED(PP_JOB_RUN, "--tos and --busy-poll", plan.socket.busy_poll_given = true, UNIX);
    REFUSED(PP_JOB_RUN, "-4 and -6", plan.target.family = AF_INET, UNIX);
    REFUSED(PP_JOB_RUN, "-4 and -6", plan.target.family = AF_INET6, UNIX);
    REFUSED(PP_JOB_CLIENT, "--bind takes an address", plan.source.host[0] = '1', UNIX);
    REFUSED(PP_JOB_CLIENT, "--bind takes an address", plan.source.port = 5000, UNIX);
    ACCEPTED(PP_JOB_RUN, UNIX);
    ACCEPTED(PP_JOB_RUN, UNIX, UDP);
    ACCEPTED(PP_JOB_RUN, plan.socket.tos_given = true, plan.socket.busy_poll_given = true, UDP);
}

static void test_a_port_to_send_from_is_good_for_one_connection(void **state)
{
    (void)state;
    REFUSED(PP_JOB_CLIENT, "--bind with a port", plan.source.port = 5000, plan.connections = 2);
    ACCEPTED(PP_JOB_CLIENT, plan.source.port = 5000);
    ACCEPTED(PP_JOB_CLIENT, plan.source.host[0] = '1', plan.connections = 2);
}

static void test_what_only_streams_have_is_refused_for_datagrams(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "--crr connects", plan.crr = true, UDP);
    REFUSED(PP_JOB_CLIENT, "--send and --expect are for streams", plan.expect_how = PP_EXPECT_UNTIL,
            UDP);
    REFUSED(PP_JOB_CLIENT, "--send and --expect are for streams", set_text(&plan.send, "PONG"),
            UDP);
    ACCEPTED(PP_JOB_RUN, UDP);
}

static void test_sizes_that_no_datagram_can_have_are_refused(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "16 B is the least", set_sizes(&plan, 15, 15), UDP);
    REFUSED(PP_JOB_RUN, "16 B is the least", set_sizes(&plan, 100, 15), UDP);
    REFUSED(PP_JOB_RUN, "at most 65,507 B", set_sizes(&plan, 65508, 65508), UDP);
    REFUSED(PP_JOB_RUN, "may not be longer than its request", set_sizes(&plan, 100, 101), UDP);
    ACCEPTED(PP_JOB_RUN, set_sizes(&plan, 16, 16), UDP);
    ACCEPTED(PP_JOB_RUN, set_sizes(&plan, 65507, 65507), UDP);
    ACCEPTED(PP_JOB_RUN, set_sizes(&plan, 101, 100), UDP);
    ACCEPTED(PP_JOB_RUN, set_sizes(&plan, 65508, 1));
}

/* The least request, and the longest answer. */
static void test_of_distributions_the_worst_case_counts(void **state)
{
    struct pp_sizes from_10, from_50;
    struct pp_error err = { 0 };

    (void)state;
    assert_int_equal(pp_sizes_parse(&from_10, "uniform:10-99", &err), 0);
    assert_int_equal(pp_sizes_parse(&from_50, "uniform:50-99", &err), 0);
    REFUSED(PP_JOB_RUN, "16 B is the least", set_sizes(&plan, 1, 2), UDP, plan.request = from_10,
            plan.response = from_10);
    REFUSED(PP_JOB_RUN, "may not be longer", set_sizes(&plan, 99, 98), UDP, plan.request = from_50,
            plan.response = pp_sizes_of(51));
    ACCEPTED(PP_JOB_RUN, set_sizes(&plan, 99, 98), UDP, plan.request = from_50,
             plan.response = pp_sizes_of(50));
    ACCEPTED(PP_JOB_RUN, set_sizes(&plan, 99, 98), UDP, plan.request = plan.response = from_50,
             plan.answers = false);
}

static void test_each_thread_needs_a_connection(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "--threads", plan.client_threads = 3, plan.server_threads = 3,
            plan.connections = 2);
    REFUSED(PP_JOB_CLIENT, "--threads", plan.client_threads = 2);
    ACCEPTED(PP_JOB_CLIENT, plan.client_threads = 3, plan.connections = 3);
    ACCEPTED(PP_JOB_RUN, plan.server_threads = 4);
}

static void test_messages_are_named_or_made_up_and_not_both(void **state)
{
    (void)state;
    REFUSED(PP_JOB_CLIENT, "give one or the other", set_sizes(&plan, 9, 9),
            set_text(&plan.send, "PONG"));
    REFUSED(PP_JOB_CLIENT, "give one or the other", set_sizes(&plan, 9, 9),
            plan.expect_how = PP_EXPECT_TEXT, set_text(&plan.expect, "PONG"));
    REFUSED(PP_JOB_CLIENT, "give one or the other", set_sizes(&plan, 9, 9),
            plan.expect_how = PP_EXPECT_BYTES, plan.expect_bytes = 9);
    ACCEPTED(PP_JOB_CLIENT, set_text(&plan.send, "PONG"), plan.expect_how = PP_EXPECT_BYTES,
             plan.expect_bytes = 9);
    ACCEPTED(PP_JOB_CLIENT, plan.expect_how = PP_EXPECT_TEXT, set_text(&plan.expect, "PONG"));
}

static void test_a_connection_for_each_round_trip_carries_one_message(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "--crr has one message", plan.crr = true, plan.depth = 2);
    REFUSED(PP_JOB_RUN, "--crr and responses of another size", plan.crr = true,
            set_sizes(&plan, 9, 10));
    ACCEPTED(PP_JOB_RUN, plan.crr = true, plan.depth = 1);
    ACCEPTED(PP_JOB_RUN, plan.crr = true, set_sizes(&plan, 9, 9));
    ACCEPTED(PP_JOB_RUN, plan.crr = true, plan.rate = 100);
}

static void test_who_sends_by_a_schedule_does_not_think(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "--think cannot", plan.rate = 100, plan.think_ns = 1);
    ACCEPTED(PP_JOB_RUN, plan.rate = 100);
    ACCEPTED(PP_JOB_RUN, plan.think_ns = 1);
}

static void test_what_is_said_of_a_rate_needs_one(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "--arrivals needs a --rate", plan.arrivals = PP_ARRIVALS_POISSON);
    ACCEPTED(PP_JOB_RUN, plan.arrivals = PP_ARRIVALS_POISSON, plan.rate = 1);
    ACCEPTED(PP_JOB_RUN, plan.strict = PP_INVALID);
}

static void test_a_warm_up_a_hundred_times_as_long_is_refused(void **state)
{
    (void)state;
    REFUSED(PP_JOB_CLIENT, "--warmup", plan.warmup_ns = 100 * plan.time_ns);
    ACCEPTED(PP_JOB_CLIENT, plan.warmup_ns = 100 * plan.time_ns - 1);
    ACCEPTED(PP_JOB_RUN, plan.warmup_ns = 3600 * PP_NS_PER_S);
}

static void test_pairs_need_partners_and_packets(void **state)
{
    (void)state;
    REFUSED(PP_JOB_RUN, "as many --server-threads as --threads", plan_threads(&plan, 2, 3),
            plan.placement_auto = false, plan.placement = PP_PLACEMENT_PAIRS);
    REFUSED(PP_JOB_RUN, "a Unix socket has none", plan_threads(&plan, 2, 2),
            plan.placement_auto = false, plan.placement = PP_PLACEMENT_PAIRS, UNIX);
    ACCEPTED(PP_JOB_RUN, plan_threads(&plan, 2, 2), plan.placement_auto = false,
             plan.placement = PP_PLACEMENT_PAIRS);
    ACCEPTED(PP_JOB_CLIENT, plan_threads(&plan, 2, 1), plan.placement_auto = false,
             plan.placement = PP_PLACEMENT_PAIRS);
    ACCEPTED(PP_JOB_RUN, plan_threads(&plan, 2, 3));
}

static void test_a_server_is_not_asked_about_the_load(void **state)
{
    (void)state;
    ACCEPTED(PP_JOB_SERVE, plan.client_threads = 4, plan.crr = true, UDP);
}

static void test_more_than_can_be_kept_track_of_is_refused(void **state)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);
    struct pp_plan datagrams = plan;
    struct pp_error err = { 0 };

    (void)state;
    plan.connections = 16384;
    plan.depth = 1024; /* 2 GiB of tables, at 128 B a message */
    decide(&plan);
    plan.depth = 1025;
    assert_int_equal(pp_plan_decide(&plan, &err), -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    assert_non_null(strstr(err.text, "--connections times --depth"));
    datagrams.socket.dgram = true;
    set_sizes(&datagrams, 65507, 65507);
    datagrams.connections = 1000;
    datagrams.depth = 32;
    decide(&datagrams);
    datagrams.depth = 33;
    assert_int_equal(pp_plan_decide(&datagrams, &err), -EINVAL);
}

/* ---- the load ---- */

static void check_depth(uint32_t connections, double rate, uint32_t given, uint32_t want)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

    plan.connections = connections;
    plan.rate = rate;
    plan.depth = given;
    decide(&plan);
    assert_int_equal(plan.depth, want);
}

static void test_a_closed_loop_has_one_message_under_way(void **state)
{
    (void)state;
    check_depth(1, 0, 0, 1);
    check_depth(10000, 0, 0, 1);
}

static void test_an_open_loop_has_room_for_many_messages(void **state)
{
    (void)state;
    check_depth(1, 1, 0, 1024);
    check_depth(64, 1, 0, 1024);
    check_depth(65, 1, 0, 1008);
    check_depth(1000, 1e6, 0, 65);
    check_depth(65536, 1, 0, 1);
    check_depth(PP_PLAN_CONNECTIONS_MAX, 1, 0, 1);
}

static void test_a_depth_that_was_asked_for_stays(void **state)
{
    (void)state;
    check_depth(1, 0, 7, 7);
    check_depth(1, 1000, 7, 7);
    check_depth(1000, 1000, 200, 200);
}

static void test_with_a_connection_for_each_round_trip_the_depth_is_one(void **state)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

    (void)state;
    plan.crr = true;
    plan.rate = 1000;
    decide(&plan);
    assert_int_equal(plan.depth, 1);
}

static void check_warm_up(uint64_t count, uint64_t time_ns, uint64_t want_ns)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

    plan.count = count;
    plan.time_ns = time_ns;
    decide(&plan);
    assert_true(plan.warmup_ns == want_ns);
    assert_int_equal(plan.warmup_count, 0);
}

static void test_a_tenth_of_the_time_is_warm_up_and_at_most_a_second(void **state)
{
    (void)state;
    check_warm_up(0, 10 * PP_NS_PER_S, PP_NS_PER_S);
    check_warm_up(0, 60 * PP_NS_PER_S, PP_NS_PER_S);
    check_warm_up(0, 2 * PP_NS_PER_S, 200 * PP_NS_PER_MS);
    check_warm_up(0, 10, 1);
}

static void test_a_count_has_no_warm_up(void **state)
{
    (void)state;
    check_warm_up(500000, 0, 0);
    check_warm_up(500000, 10 * PP_NS_PER_S, 0);
}

static void test_a_warm_up_that_was_asked_for_stays(void **state)
{
    struct pp_plan none = plan_placed(PP_PLACEMENT_NONE);
    struct pp_plan some;

    (void)state;
    none.count = 0;
    none.time_ns = 10 * PP_NS_PER_S;
    none.warmup_given = true;
    some = none;
    some.warmup_ns = 5 * PP_NS_PER_S;
    some.warmup_count = 3;
    decide(&none);
    decide(&some);
    assert_int_equal(none.warmup_ns, 0);
    assert_true(some.warmup_ns == 5 * PP_NS_PER_S);
    assert_int_equal(some.warmup_count, 3);
}

static void check_sizes(const struct pp_plan *plan, uint32_t request, uint32_t response)
{
    const struct pp_sizes requests = pp_sizes_of(request), responses = pp_sizes_of(response);

    assert_true(pp_sizes_equal(&plan->request, &requests));
    assert_true(pp_sizes_equal(&plan->response, &responses));
}

static void test_a_text_is_as_long_as_it_is(void **state)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

    (void)state;
    set_text(&plan.send, "PING PONG\r\n");
    decide(&plan);
    check_sizes(&plan, 11, 11);
    assert_int_equal(plan.send.bytes, 11);
}

static void test_the_answer_is_as_long_as_what_is_expected(void **state)
{
    struct pp_plan text = plan_placed(PP_PLACEMENT_NONE);
    struct pp_plan bytes = text, until = text;

    (void)state;
    text.expect_how = PP_EXPECT_TEXT;
    set_text(&text.expect, "+PONG\r\n");
    decide(&text);
    check_sizes(&text, 5, 7);
    bytes.expect_how = PP_EXPECT_BYTES;
    bytes.expect_bytes = 1000000;
    decide(&bytes);
    check_sizes(&bytes, 5, 1000000);
    until.expect_how = PP_EXPECT_UNTIL;
    set_text(&until.expect, "\n");
    decide(&until);
    assert_int_equal(until.request.max, 5);
}

static void test_sizes_take_the_place_of_the_text(void **state)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

    (void)state;
    set_sizes(&plan, 64, 1000);
    decide(&plan);
    check_sizes(&plan, 64, 1000);
    assert_int_equal(plan.send.bytes, 0);
}

static void test_a_datagram_is_its_header_by_default(void **state)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);
    struct pp_plan sized = plan;

    (void)state;
    plan.socket.dgram = sized.socket.dgram = true;
    decide(&plan);
    check_sizes(&plan, 16, 16);
    set_sizes(&sized, 500, 100);
    decide(&sized);
    check_sizes(&sized, 500, 100);
}

/* ---- waiting ---- */

static void test_few_connections_look_again_and_many_block(void **state)
{
    static const struct {
        uint32_t connections;
        enum pp_io_wait wait;
    } table[] = {
        { 1, PP_IO_WAIT_YIELD },     { 2, PP_IO_WAIT_YIELD },
        { 16, PP_IO_WAIT_YIELD },    { 17, PP_IO_WAIT_BLOCK },
        { 10000, PP_IO_WAIT_BLOCK }, { PP_PLAN_CONNECTIONS_MAX, PP_IO_WAIT_BLOCK },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

        plan.connections = table[i].connections;
        decide(&plan);
        assert_int_equal(plan.wait, table[i].wait);
        assert_int_equal(plan.spin_ns, SPELL_NS);
    }
}

static void test_each_thread_counts_its_own_connections(void **state)
{
    struct pp_plan few = plan_placed(PP_PLACEMENT_NONE);
    struct pp_plan many = few;

    (void)state;
    few.client_threads = many.client_threads = 2;
    few.connections = 32;
    many.connections = 33;
    decide(&few);
    decide(&many);
    assert_int_equal(few.wait, PP_IO_WAIT_YIELD);
    assert_int_equal(many.wait, PP_IO_WAIT_BLOCK);
}

static void test_a_server_that_knows_no_number_looks_again(void **state)
{
    struct pp_plan plan = plan_of(PP_JOB_SERVE);

    (void)state;
    plan.connections = 1000; /* which says nothing of a server */
    decide(&plan);
    assert_int_equal(plan.wait, PP_IO_WAIT_YIELD);
}

/* Whoever else is on that machine, it may be the server. */
static void test_a_client_by_itself_gives_its_cpu_away(void **state)
{
    struct pp_plan plan = plan_of(PP_JOB_CLIENT);

    (void)state;
    plan_threads(&plan, 2, 1);
    decide(&plan);
    assert_int_equal(plan.wait, PP_IO_WAIT_YIELD);
}

static void test_on_a_cpu_each_few_connections_spin_and_many_block(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan few = plan_on(f->cpus[0], f->cpus[1]);
    struct pp_plan many = few;

    need_two_cpus(f);
    few.connections = 16;
    decide(&few);
    assert_int_equal(few.wait, PP_IO_WAIT_SPIN);
    assert_int_equal(few.spin_ns, SPELL_NS);
    many.connections = 17;
    decide(&many);
    assert_int_equal(many.wait, PP_IO_WAIT_BLOCK);
}

static void test_on_one_cpu_nobody_spins_while_the_other_needs_it(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_on(f->cpus[0], f->cpus[0]);

    decide(&plan);
    assert_int_equal(plan.wait, PP_IO_WAIT_YIELD);
}

static struct pp_plan spinning_on(int client_cpu, int server_cpu)
{
    struct pp_plan plan = plan_on(client_cpu, server_cpu);

    plan.wait_auto = false;
    plan.wait = PP_IO_WAIT_SPIN;
    plan.spin_ns = PP_IO_SPIN_FOREVER;
    return plan;
}

static void check_spinners_refused(struct pp_plan *plan)
{
    struct pp_error err = { 0 };

    assert_int_equal(pp_plan_decide(plan, &err), -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    assert_non_null(strstr(err.text, "--wait spin"));
}

static void test_threads_that_spin_for_ever_do_not_share_a_cpu(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan same = spinning_on(f->cpus[0], f->cpus[0]);
    struct pp_plan patient = same, many = same, client = same;

    check_spinners_refused(&same);
    patient.spin_ns = 20 * PP_NS_PER_US; /* it sleeps then */
    decide(&patient);
    many.client_cpus_given.count = many.server_cpus_given.count = 0;
    many.placement_auto = false;
    many.placement = PP_PLACEMENT_NONE;
    many.client_threads = many.connections = PP_PLAN_THREADS_MAX; /* more than CPUs here */
    check_spinners_refused(&many);
    client.job = PP_JOB_CLIENT; /* the other side is elsewhere */
    decide(&client);
}

static void test_a_wait_that_was_asked_for_stays(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = spinning_on(f->cpus[0], f->cpus[1]);

    need_two_cpus(f);
    plan.connections = 1000;
    decide(&plan);
    assert_int_equal(plan.wait, PP_IO_WAIT_SPIN);
    assert_true(plan.spin_ns == PP_IO_SPIN_FOREVER);
    assert_false(plan.wait_auto);
}

/* ---- CPUs that were named ---- */

static void test_given_cpus_are_taken_and_the_placement_follows(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan same = plan_on(f->cpus[0], f->cpus[0]);
    struct pp_plan split = plan_on(f->cpus[1], f->cpus[0]);

    same.placement = PP_PLACEMENT_SPLIT;
    decide(&same);
    assert_int_equal(same.placement, PP_PLACEMENT_SAME);
    assert_int_equal(same.client_cpus[0], f->cpus[0]);
    assert_int_equal(same.server_cpus[0], f->cpus[0]);
    need_two_cpus(f);
    decide(&split);
    assert_int_equal(split.placement, PP_PLACEMENT_SPLIT);
    assert_int_equal(split.client_cpus[0], f->cpus[1]);
    assert_int_equal(split.server_cpus[0], f->cpus[0]);
}

static void test_given_cpus_are_dealt_out_in_their_order(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    need_two_cpus(f);
    plan_threads(&plan, 3, 2);
    plan.client_cpus_given = (struct pp_cpus){ .count = 2, .cpus = { f->cpus[1], f->cpus[0] } };
    plan.server_cpus_given = (struct pp_cpus){ .count = 1, .cpus = { f->cpus[0] } };
    decide(&plan);
    assert_int_equal(plan.client_cpus[0], f->cpus[1]);
    assert_int_equal(plan.client_cpus[1], f->cpus[0]);
    assert_int_equal(plan.client_cpus[2], f->cpus[1]);
    assert_int_equal(plan.client_cpus[3], PP_CPU_ANY);
    assert_int_equal(plan.server_cpus[0], f->cpus[0]);
    assert_int_equal(plan.server_cpus[1], f->cpus[0]);
    assert_int_equal(plan.server_cpus[2], PP_CPU_ANY);
    assert_int_equal(plan.placement, PP_PLACEMENT_SPLIT);
}

static void test_the_same_cpus_for_both_sides_are_pairs(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    need_two_cpus(f);
    plan_threads(&plan, 2, 2);
    plan.client_cpus_given = (struct pp_cpus){ .count = 2, .cpus = { f->cpus[0], f->cpus[1] } };
    plan.server_cpus_given = plan.client_cpus_given;
    decide(&plan);
    assert_int_equal(plan.placement, PP_PLACEMENT_PAIRS);
}

static void test_cpus_of_one_side_leave_the_other_where_it_is(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    plan.client_cpus_given = (struct pp_cpus){ .count = 1, .cpus = { f->cpus[0] } };
    decide(&plan);
    assert_int_equal(plan.client_cpus[0], f->cpus[0]);
    assert_int_equal(plan.server_cpus[0], PP_CPU_ANY);
}

static void check_refused(int client_cpu, int server_cpu, const char *named)
{
    struct pp_plan plan = plan_on(client_cpu, server_cpu);
    struct pp_error err = { 0 };

    assert_int_equal(pp_plan_decide(&plan, &err), -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    assert_int_equal(err.code, -EINVAL);
    if (!strstr(err.text, "--cpus") || !strstr(err.text, named))
        fail_msg("\"%s\" does not name --cpus and \"%s\"", err.text, named);
}

static void test_a_cpu_that_may_not_be_used_is_refused_by_its_number(void **state)
{
    const struct fixture *f = *state;

    check_refused(NO_SUCH_CPU, f->cpus[0], "CPU 1000000 ");
    check_refused(f->cpus[0], NO_SUCH_CPU, "CPU 1000000 ");
    check_refused(NO_SUCH_CPU, NO_SUCH_CPU, "CPU 1000000 ");
}

/* More were named than there are threads, and it would not be used. */
static void test_every_cpu_that_was_named_must_be_one_that_may_be_used(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_on(f->cpus[0], f->cpus[0]);
    struct pp_error err = { 0 };

    plan.client_cpus_given.cpus[plan.client_cpus_given.count++] = NO_SUCH_CPU;
    assert_int_equal(pp_plan_decide(&plan, &err), -EINVAL);
    assert_non_null(strstr(err.text, "CPU 1000000 "));
}

static void test_a_cpu_outside_the_affinity_is_refused(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_on(f->cpus[1], f->cpus[1]);
    char named[32];

    need_two_cpus(f);
    (void)snprintf(named, sizeof named, "CPU %d ", f->cpus[1]);
    decide(&plan);
    restrict_to(f->cpus[0]);
    check_refused(f->cpus[0], f->cpus[1], named);
    check_refused(f->cpus[1], f->cpus[0], named);
}

/* ---- placement ---- */

static void check_placed(const struct pp_plan *plan, enum pp_placement placement, int client_cpu,
                         int server_cpu)
{
    assert_int_equal(plan->placement, placement);
    for (uint32_t i = 0; i < plan->client_threads; i++)
        assert_int_equal(plan->client_cpus[i], client_cpu);
    for (uint32_t i = 0; i < plan->server_threads; i++)
        assert_int_equal(plan->server_cpus[i], server_cpu);
}

static bool may_use(const struct fixture *f, int cpu)
{
    return cpu >= 0 && CPU_ISSET((size_t)cpu, &f->all);
}

static void test_with_one_cpu_both_sides_are_placed_on_it(void **state)
{
    const struct fixture *f = *state;
    const int cpu = f->cpus[f->count - 1];
    struct pp_plan one = plan_of(PP_JOB_RUN);
    struct pp_plan many = one, deep = one, open = one;

    restrict_to(cpu);
    many.connections = 16;
    deep.depth = 8;
    open.rate = 1000;
    decide(&one);
    decide(&many);
    decide(&deep);
    decide(&open);
    check_placed(&one, PP_PLACEMENT_SAME, cpu, cpu);
    check_placed(&many, PP_PLACEMENT_SAME, cpu, cpu);
    check_placed(&deep, PP_PLACEMENT_SAME, cpu, cpu);
    check_placed(&open, PP_PLACEMENT_SAME, cpu, cpu);
    assert_int_equal(one.wait, PP_IO_WAIT_YIELD);
    assert_int_equal(many.wait, PP_IO_WAIT_YIELD);
}

static void test_split_with_one_cpu_is_an_error(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_placed(PP_PLACEMENT_SPLIT);
    struct pp_error err = { 0 };

    restrict_to(f->cpus[0]);
    assert_int_equal(pp_plan_decide(&plan, &err), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_non_null(strstr(err.text, "--placement split needs two CPUs"));
}

static void test_one_connection_is_placed_on_one_cpu(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    decide(&plan);
    assert_int_equal(plan.placement, PP_PLACEMENT_SAME);
    assert_int_equal(plan.client_cpus[0], plan.server_cpus[0]);
    assert_true(may_use(f, plan.client_cpus[0]));
    assert_int_equal(plan.client_cpus[1], PP_CPU_ANY);
}

/* Whoever else is busy here. */
static void check_split_if_it_can_be(const struct fixture *f, struct pp_plan *plan)
{
    const bool split = f->count > 1;

    decide(plan);
    assert_int_equal(plan->placement, split ? PP_PLACEMENT_SPLIT : PP_PLACEMENT_SAME);
    assert_int_equal(plan->client_cpus[0] != plan->server_cpus[0], split);
    assert_true(may_use(f, plan->client_cpus[0]));
    assert_true(may_use(f, plan->server_cpus[0]));
    if (plan->wait_auto)
        assert_int_equal(plan->wait, split ? PP_IO_WAIT_SPIN : PP_IO_WAIT_YIELD);
}

static void test_several_messages_at_once_get_cpus_that_fit_their_placement(void **state)
{
    struct pp_plan several = plan_of(PP_JOB_RUN);
    struct pp_plan deep = several, open = several, spinning = several;

    several.connections = 8;
    deep.depth = 8;
    open.rate = 1000;
    spinning.wait_auto = false;
    spinning.wait = PP_IO_WAIT_SPIN;
    check_split_if_it_can_be(*state, &several);
    check_split_if_it_can_be(*state, &deep);
    check_split_if_it_can_be(*state, &open);
    check_split_if_it_can_be(*state, &spinning);
}

static void test_placements_that_were_asked_for_are_kept(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan same = plan_placed(PP_PLACEMENT_SAME);
    struct pp_plan split = plan_placed(PP_PLACEMENT_SPLIT);

    same.connections = 16; /* which by itself would ask for two */
    decide(&same);
    assert_int_equal(same.placement, PP_PLACEMENT_SAME);
    assert_int_equal(same.client_cpus[0], same.server_cpus[0]);
    need_two_cpus(f);
    decide(&split);
    assert_int_equal(split.placement, PP_PLACEMENT_SPLIT);
    assert_int_not_equal(split.client_cpus[0], split.server_cpus[0]);
    assert_int_equal(split.wait, PP_IO_WAIT_SPIN);
}

static void test_placement_none_pins_nothing(void **state)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

    (void)state;
    plan_threads(&plan, 3, 2);
    decide(&plan);
    check_placed(&plan, PP_PLACEMENT_NONE, PP_CPU_ANY, PP_CPU_ANY);
}

/* ---- placement of several threads ---- */

static void test_as_many_threads_on_both_sides_are_pairs(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    plan_threads(&plan, 2, 2);
    decide(&plan);
    assert_int_equal(plan.placement, PP_PLACEMENT_PAIRS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(plan.client_cpus[i], plan.server_cpus[i]);
        assert_true(may_use(f, plan.client_cpus[i]));
    }
    need_two_cpus(f);
    assert_int_not_equal(plan.client_cpus[0], plan.client_cpus[1]);
}

static void test_more_pairs_than_cpus_share_them(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_of(PP_JOB_RUN);

    restrict_to(f->cpus[0]);
    plan_threads(&plan, 3, 3);
    decide(&plan);
    check_placed(&plan, PP_PLACEMENT_PAIRS, f->cpus[0], f->cpus[0]);
    assert_int_equal(plan.client_cpus[3], PP_CPU_ANY);
    assert_int_equal(plan.server_cpus[3], PP_CPU_ANY);
}

static void test_threads_that_are_no_pairs_are_left_to_the_kernel(void **state)
{
    struct pp_plan more_clients = plan_of(PP_JOB_RUN);
    struct pp_plan more_servers = more_clients, local = more_clients;

    (void)state;
    plan_threads(&more_clients, 2, 1);
    plan_threads(&more_servers, 1, 2);
    plan_threads(&local, 2, 2);
    (void)strcpy(local.target.path, "/tmp/a.sock"); /* nothing steers its packets */
    decide(&more_clients);
    decide(&more_servers);
    decide(&local);
    check_placed(&more_clients, PP_PLACEMENT_NONE, PP_CPU_ANY, PP_CPU_ANY);
    check_placed(&more_servers, PP_PLACEMENT_NONE, PP_CPU_ANY, PP_CPU_ANY);
    check_placed(&local, PP_PLACEMENT_NONE, PP_CPU_ANY, PP_CPU_ANY);
}

static void test_one_side_with_one_thread_is_left_to_the_kernel(void **state)
{
    struct pp_plan client = plan_of(PP_JOB_CLIENT);
    struct pp_plan server = plan_of(PP_JOB_SERVE);

    (void)state;
    decide(&client);
    decide(&server);
    check_placed(&client, PP_PLACEMENT_NONE, PP_CPU_ANY, PP_CPU_ANY);
    check_placed(&server, PP_PLACEMENT_NONE, PP_CPU_ANY, PP_CPU_ANY);
}

static void test_one_side_with_several_threads_gets_a_cpu_for_each(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan client = plan_of(PP_JOB_CLIENT);
    struct pp_plan server = plan_of(PP_JOB_SERVE);

    plan_threads(&client, 2, 1);
    plan_threads(&server, 1, 2);
    decide(&client);
    decide(&server);
    assert_int_equal(client.placement, PP_PLACEMENT_SPLIT);
    assert_int_equal(server.placement, PP_PLACEMENT_SPLIT);
    for (int i = 0; i < 2; i++) {
        assert_true(may_use(f, client.client_cpus[i]));
        assert_true(may_use(f, server.server_cpus[i]));
    }
    need_two_cpus(f);
    assert_int_not_equal(client.client_cpus[0], client.client_cpus[1]);
    assert_int_not_equal(server.server_cpus[0], server.server_cpus[1]);
}

static bool shares_a_cpu(const struct pp_plan *plan)
{
    for (uint32_t i = 0; i < plan->client_threads; i++)
        for (uint32_t j = 0; j < plan->server_threads; j++)
            if (plan->client_cpus[i] == plan->server_cpus[j])
                return true;
    return false;
}

static void test_split_never_puts_a_client_where_a_server_is(void **state)
{
    static const uint32_t threads[][2] = { { 1, 1 }, { 3, 1 }, { 1, 3 }, { 2, 2 }, { 40, 50 } };
    const struct fixture *f = *state;

    need_two_cpus(f);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        struct pp_plan plan = plan_placed(PP_PLACEMENT_SPLIT);

        plan_threads(&plan, threads[i][0], threads[i][1]);
        decide(&plan);
        assert_int_equal(plan.placement, PP_PLACEMENT_SPLIT);
        assert_false(shares_a_cpu(&plan));
        for (uint32_t k = 0; k < plan.client_threads; k++)
            assert_true(may_use(f, plan.client_cpus[k]));
        for (uint32_t k = 0; k < plan.server_threads; k++)
            assert_true(may_use(f, plan.server_cpus[k]));
    }
}

static void test_the_same_cpu_is_the_same_for_all_threads(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_placed(PP_PLACEMENT_SAME);

    plan_threads(&plan, 2, 3);
    decide(&plan);
    assert_true(may_use(f, plan.client_cpus[0]));
    check_placed(&plan, PP_PLACEMENT_SAME, plan.client_cpus[0], plan.client_cpus[0]);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static const struct CMUnitTest tests[] = {
    TEST(test_the_default_is_the_job_of_libxev),
    TEST(test_the_default_leaves_the_rest_to_the_program),
    TEST(test_a_client_by_itself_runs_for_ten_seconds),
    TEST(test_every_default_is_accepted),
    TEST(test_what_only_tcp_has_is_refused_without_it),
    TEST(test_what_only_networks_have_is_refused_for_a_unix_socket),
    TEST(test_a_port_to_send_from_is_good_for_one_connection),
    TEST(test_what_only_streams_have_is_refused_for_datagrams),
    TEST(test_sizes_that_no_datagram_can_have_are_refused),
    TEST(test_of_distributions_the_worst_case_counts),
    TEST(test_each_thread_needs_a_connection),
    TEST(test_messages_are_named_or_made_up_and_not_both),
    TEST(test_a_connection_for_each_round_trip_carries_one_message),
    TEST(test_who_sends_by_a_schedule_does_not_think),
    TEST(test_what_is_said_of_a_rate_needs_one),
    TEST(test_a_warm_up_a_hundred_times_as_long_is_refused),
    TEST(test_pairs_need_partners_and_packets),
    TEST(test_a_server_is_not_asked_about_the_load),
    TEST(test_more_than_can_be_kept_track_of_is_refused),
    TEST(test_a_closed_loop_has_one_message_under_way),
    TEST(test_an_open_loop_has_room_for_many_messages),
    TEST(test_a_depth_that_was_asked_for_stays),
    TEST(test_with_a_connection_for_each_round_trip_the_depth_is_one),
    TEST(test_a_tenth_of_the_time_is_warm_up_and_at_most_a_second),
    TEST(test_a_count_has_no_warm_up),
    TEST(test_a_warm_up_that_was_asked_for_stays),
    TEST(test_a_text_is_as_long_as_it_is),
    TEST(test_the_answer_is_as_long_as_what_is_expected),
    TEST(test_sizes_take_the_place_of_the_text),
    TEST(test_a_datagram_is_its_header_by_default),
    TEST(test_few_connections_look_again_and_many_block),
    TEST(test_each_thread_counts_its_own_connections),
    TEST(test_a_server_that_knows_no_number_looks_again),
    TEST(test_a_client_by_itself_gives_its_cpu_away),
    TEST(test_on_a_cpu_each_few_connections_spin_and_many_block),
    TEST(test_on_one_cpu_nobody_spins_while_the_other_needs_it),
    TEST(test_threads_that_spin_for_ever_do_not_share_a_cpu),
    TEST(test_a_wait_that_was_asked_for_stays),
    TEST(test_given_cpus_are_taken_and_the_placement_follows),
    TEST(test_given_cpus_are_dealt_out_in_their_order),
    TEST(test_the_same_cpus_for_both_sides_are_pairs),
    TEST(test_cpus_of_one_side_leave_the_other_where_it_is),
    TEST(test_a_cpu_that_may_not_be_used_is_refused_by_its_number),
    TEST(test_every_cpu_that_was_named_must_be_one_that_may_be_used),
    TEST(test_a_cpu_outside_the_affinity_is_refused),
    TEST(test_with_one_cpu_both_sides_are_placed_on_it),
    TEST(test_split_with_one_cpu_is_an_error),
    TEST(test_one_connection_is_placed_on_one_cpu),
    TEST(test_several_messages_at_once_get_cpus_that_fit_their_placement),
    TEST(test_placements_that_were_asked_for_are_kept),
    TEST(test_placement_none_pins_nothing),
    TEST(test_as_many_threads_on_both_sides_are_pairs),
    TEST(test_more_pairs_than_cpus_share_them),
    TEST(test_threads_that_are_no_pairs_are_left_to_the_kernel),
    TEST(test_one_side_with_one_thread_is_left_to_the_kernel),
    TEST(test_one_side_with_several_threads_gets_a_cpu_for_each),
    TEST(test_split_never_puts_a_client_where_a_server_is),
    TEST(test_the_same_cpu_is_the_same_for_all_threads),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
