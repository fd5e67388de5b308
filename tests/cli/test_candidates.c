/* Candidates of a comparison: what is run for each, what is the same for all, what is refused. */
#include "support.h"

#include "cli/candidates.h"
#include "cli/peers.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct settled {
    struct pp_cli cli;
    struct pp_cli_candidates candidates;
    struct pp_experiment experiment;
    struct pp_error err;
};

static struct settled settled;

static int settle(const struct line *line)
{
    settled = (struct settled){ .experiment = { .rounds = 8 } };
    if (parse(&settled.cli, line, &settled.err) < 0)
        return settled.err.code;
    settled.err = (struct pp_error){ 0 };
    return pp_cli_candidates_settle(
        &settled.candidates, &settled.cli, settled.cli.experiment.candidates,
        settled.cli.experiment.candidate_count, &settled.experiment, &settled.err);
}

static void done(void)
{
    pp_cli_candidates_fini(&settled.candidates);
}

static bool has(unsigned candidate, const char *arg)
{
    for (char *const *at = settled.experiment.candidates[candidate].spec.argv; *at; at++)
        if (strcmp(*at, arg) == 0)
            return true;
    return false;
}

/* The argument of the candidate's trials that begins so; "" if there is none. */
static const char *arg_of(unsigned candidate, const char *begin)
{
    for (char *const *at = settled.experiment.candidates[candidate].spec.argv; *at; at++)
        if (strncmp(*at, begin, strlen(begin)) == 0)
            return *at;
    return "";
}

static void check_settles(const struct line *line, unsigned count)
{
    if (settle(line) < 0)
        fail_msg("%s", settled.err.text);
    assert_int_equal(settled.experiment.count, count);
}

static void check_no_trial(const struct line *line, const char *says)
{
    assert_int_equal(settle(line), -EINVAL);
    assert_int_equal(settled.err.kind, PP_ERROR_USAGE);
    if (!strstr(settled.err.text, says))
        fail_msg("no \"%s\" in: %s", says, settled.err.text);
    done();
}

static void test_what_is_handed_on_reaches_every_candidate(void **state)
{
    (void)state;
    check_settles(LINE("compare", "epoll", "wait=block", "-c", "7", "--size=64", "-4"), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(has(i, "--connections=7"));
        assert_true(has(i, "--size=64"));
        assert_true(has(i, "--ipv4"));
        assert_true(has(i, "--port=0"));
        assert_true(has(i, "--json=-"));
        assert_string_equal(settled.experiment.candidates[i].spec.argv[1], "run");
    }
    assert_true(has(0, "--engine=epoll"));
    assert_string_equal(settled.experiment.candidates[0].name, "epoll");
    assert_string_equal(settled.experiment.candidates[1].name, "wait=block");
    done();
}

static void test_engine_wait_and_placement_are_the_baselines_where_they_are_not_asked_for(
    void **state)
{
    (void)state;
    check_settles(LINE("compare", "epoll", "size=100", "wait=block", "-c", "1"), 3);
    assert_string_equal(arg_of(0, "--wait="), "--wait=yield:50000ns");
    assert_string_equal(arg_of(1, "--wait="), "--wait=yield:50000ns");
    assert_string_equal(arg_of(2, "--wait="), "--wait=block");
    for (unsigned i = 1; i < 3; i++)
        assert_string_equal(arg_of(i, "--cpus="), arg_of(0, "--cpus="));
    assert_string_not_equal(arg_of(1, "--engine="), "");
    assert_string_not_equal(arg_of(1, "--engine="), "--engine=auto");
    assert_string_equal(arg_of(1, "--engine="), arg_of(2, "--engine="));
    done();
}

static void test_a_placement_that_is_asked_for_is_that_of_the_candidate(void **state)
{
    (void)state;
    check_settles(LINE("compare", "epoll", "placement=none", "--placement", "same"), 2);
    assert_string_not_equal(arg_of(0, "--cpus="), "");
    assert_string_equal(arg_of(0, "--placement"), "");
    assert_string_equal(arg_of(1, "--cpus="), "");
    assert_string_equal(arg_of(1, "--placement"), "--placement=none");
    done();
    check_settles(LINE("compare", "epoll", "A=0,0", "--placement", "none"), 2);
    assert_string_equal(arg_of(0, "--placement"), "--placement=none");
    assert_string_equal(arg_of(1, "--cpus="), "--cpus=0/0");
    assert_string_equal(arg_of(1, "-A"), "");
    done();
}

static void test_two_engines_are_the_clients_and_the_servers(void **state)
{
    (void)state;
    check_settles(LINE("compare", "epoll", "io_uring:no-multishot/epoll"), 2);
    assert_string_equal(arg_of(1, "--engine="), "--engine=io_uring:no-multishot");
    assert_string_equal(arg_of(1, "--server-engine="), "--server-engine=epoll");
    done();
    check_no_trial(LINE("compare", "epoll", "epoll/nonsense"),
                   "\"epoll/nonsense\" is no candidate");
    check_no_trial(LINE("compare", "epoll", "/epoll"), "\"/epoll\" is no candidate");
}

static void test_a_matrix_is_each_engine_with_each(void **state)
{
    (void)state;
    check_settles(LINE("compare", "--matrix", "epoll", "io_uring"), 4);
    assert_string_equal(settled.experiment.candidates[0].name, "epoll/epoll");
    assert_string_equal(settled.experiment.candidates[1].name, "epoll/io_uring");
    assert_string_equal(settled.experiment.candidates[2].name, "io_uring/epoll");
    assert_string_equal(settled.experiment.candidates[3].name, "io_uring/io_uring");
    done();
    check_no_trial(LINE("compare", "--matrix", "epoll", "size=64"), "--matrix takes engines");
    check_no_trial(LINE("compare", "--matrix", "epoll"), "--matrix takes two engines or more");
    check_no_trial(LINE("compare", "--matrix", "--ablate", "epoll"), "give one of them");
}

static void test_an_ablation_leaves_out_one_feature_at_a_time(void **state)
{
    struct pp_io_engine_facts facts;

    (void)state;
    pp_io_engine_examine("io_uring", &facts);
    check_no_trial(LINE("compare", "--ablate", "epoll"), "no feature that could be left out");
    check_no_trial(LINE("compare", "--ablate", "io_uring:no-skip"), "leave out \":no-skip\"");
    check_no_trial(LINE("compare", "--ablate", "io_uring", "epoll"), "leave out epoll");
    check_no_trial(LINE("compare", "--ablate", "auto"), "by its name");
    if (facts.error.code) {
        print_message("no io_uring here: %s\n", facts.error.text);
        skip();
    }
    check_settles(LINE("compare", "--ablate", "io_uring"), facts.feature_count + 1);
    assert_string_equal(settled.experiment.candidates[0].name, "io_uring");
    assert_string_equal(settled.experiment.candidates[1].name, "io_uring:no-multishot");
    assert_string_equal(arg_of(1, "--engine="), "--engine=io_uring:no-multishot");
    done();
}

static void test_a_trial_is_a_second_unless_something_else_is_said(void **state)
{
    (void)state;
    check_settles(LINE("compare", "epoll", "count=5000"), 2);
    assert_true(has(0, "--time=1000000us"));
    assert_string_equal(arg_of(1, "--time="), "");
    done();
    check_settles(LINE("compare", "epoll", "wait=block", "-t", "3"), 2);
    assert_true(has(0, "--time=3"));
    assert_false(has(0, "--time=1000000us"));
    done();
}

static void test_a_budget_is_shared_among_all_runs(void **state)
{
    (void)state;
    check_settles(LINE("compare", "epoll", "wait=block", "--rounds=10", "--budget=33"), 2);
    /* 30 runs of 1.1 s, of which 60 ms go and the rest is a tenth of warm-up */
    assert_string_equal(arg_of(0, "--time="), "--time=945454us");
    done();
    check_no_trial(LINE("compare", "epoll", "wait=block", "--budget=1"), "too short for 36 runs");
    check_no_trial(LINE("compare", "epoll", "wait=block", "--budget=60", "-t1"), "--budget says");
}

static void test_a_server_is_started_and_pingpong_is_its_client(void **state)
{
    const struct pp_candidate *candidates = settled.experiment.candidates;

    (void)state;
    check_settles(LINE("compare", "server:./old {port}", "depth=4 server:./new  -x {host}:{port}"),
                  2);
    assert_string_equal(candidates[0].spec.server, "./old {port}");
    assert_string_equal(candidates[1].spec.server, "./new  -x {host}:{port}");
    assert_string_equal(candidates[0].spec.argv[1], "client");
    assert_true(has(0, "{host}:{port}"));
    assert_true(has(0, "--server-pid={pid}"));
    assert_string_equal(arg_of(0, "--port="), "");
    assert_string_equal(arg_of(0, "--depth="), "");
    assert_true(has(1, "--depth=4"));
    done();
}

static void test_a_server_that_runs_already_is_at_its_address(void **state)
{
    (void)state;
    check_settles(LINE("compare", "at:127.0.0.1:7", "at:[::1]:8 engine=epoll"), 2);
    assert_true(has(0, "127.0.0.1:7"));
    assert_true(has(1, "[::1]:8"));
    assert_true(has(1, "--engine=epoll"));
    assert_string_equal(arg_of(1, "--server-engine"), "");
    done();
}

static void test_another_program_is_run_as_this_one_is(void **state)
{
    (void)state;
    check_settles(LINE("compare", "bin:/old/pingpong", "auto", "-c", "5"), 2);
    assert_string_equal(settled.experiment.candidates[0].spec.argv[0], "/old/pingpong");
    assert_string_not_equal(settled.experiment.candidates[1].spec.argv[0], "/old/pingpong");
    assert_true(has(0, "--connections=5"));
    done();
}

/* ---- peers, of which there is one here ---- */

static char folder[PATH_MAX], program[PATH_MAX];

static int make_peer(void **state)
{
    char own[PATH_MAX];
    FILE *file;

    (void)state;
    *strrchr((char *)(uintptr_t)pp_cli_own_path(own), '/') = '\0';
    if (snprintf(folder, sizeof folder, "%s/peers", own) >= PATH_MAX ||
        snprintf(program, sizeof program, "%s/pingpong-peer-other", folder) >= PATH_MAX)
        return -1;
    (void)mkdir(folder, 0755);
    file = fopen(program, "we");
    return file && fclose(file) == 0 ? chmod(program, 0755) : -1;
}

static int remove_peer(void **state)
{
    (void)state;
    (void)unlink(program);
    return rmdir(folder);
}

static void test_a_peer_is_its_program_with_what_was_decided_for_all(void **state)
{
    (void)state;
    check_settles(LINE("compare", "epoll", "other", "-c", "7", "--size=1k", "--wait=block"), 2);
    assert_string_equal(settled.experiment.candidates[1].name, "other");
    assert_string_equal(settled.experiment.candidates[1].spec.argv[0], program);
    assert_true(has(1, "--connections=7"));
    assert_true(has(1, "--size=1000"));
    assert_true(has(1, "--time=1000000000ns"));
    assert_true(has(1, "--warmup=100000000ns"));
    assert_string_equal(arg_of(1, "--wait"), "");
    assert_string_equal(arg_of(1, "--engine"), "");
    done();
    check_settles(LINE("compare", "other", "other size=9", "-n5k", "-w", "10"), 2);
    assert_true(has(0, "--count=5000"));
    assert_true(has(0, "--warmup=10"));
    assert_string_equal(arg_of(0, "--time"), "");
    assert_true(has(1, "--size=9"));
    done();
    check_settles(LINE("compare", "other", "epoll", "-A", "0,0"), 2);
    assert_string_equal(arg_of(0, "--cpus="), "--cpus=0,0");
    done();
}

static void test_what_a_peer_has_not_is_refused(void **state)
{
    (void)state;
    check_no_trial(LINE("compare", "epoll", "other", "-R", "5k"), "other: a peer has no --rate");
    check_no_trial(LINE("compare", "epoll", "other wait=spin"), "a peer has no --wait");
    check_no_trial(LINE("compare", "epoll", "other auto"), "a peer has no --engine");
    check_no_trial(LINE("compare", "epoll", "other crr"), "a peer has no --crr");
    check_no_trial(LINE("compare", "epoll", "other", "--cc", "cubic"), "a peer has no --cc");
    check_no_trial(LINE("compare", "epoll", "other at:127.0.0.1"), "a server of its own");
    check_no_trial(LINE("compare", "epoll", "other server:./x {port}"), "a server of its own");
    check_no_trial(LINE("compare", "epoll", "../peers/other"), "is no candidate");
}

static void test_peers_are_listed(void **state)
{
    char names[PP_PEERS_MAX][PP_PEER_BYTES];

    (void)state;
    assert_int_equal(pp_cli_peers_list(names), 1);
    assert_string_equal(names[0], "other");
}

static void test_letters_and_flags_are_options_too(void **state)
{
    (void)state;
    check_settles(LINE("compare", "c=1", "c=3 crr"), 2);
    assert_true(has(0, "-c1"));
    assert_true(has(1, "-c3"));
    assert_true(has(1, "--crr"));
    done();
}

static void test_what_is_no_candidate_is_refused_with_what_would_be(void **state)
{
    (void)state;
    check_no_trial(LINE("compare", "epoll", "nonsense"), "\"nonsense\" is no candidate");
    check_no_trial(LINE("compare", "epoll", "server:"), "is no candidate");
    check_no_trial(LINE("compare", "epoll", "server:./echo {host}"), "has no {port}");
    check_no_trial(LINE("compare", "epoll", "epoll auto"), "\"auto\" comes second");
    check_no_trial(LINE("compare", "epoll", "epoll epoll/epoll"), "comes second");
    check_no_trial(LINE("compare", "epoll", "at:127.0.0.1:7 at:127.0.0.1:8"), "comes second");
    check_no_trial(LINE("compare", "epoll", "bin:/x bin:/y"), "\"bin:/y\" comes second");
    check_no_trial(LINE("compare", "epoll", "at:"), "is no candidate");
    check_no_trial(LINE("compare", "epoll", "connectoins=4"), "did you mean --connections?");
    check_no_trial(LINE("compare", "epoll", "wait=sleep"), "wait=sleep: --wait takes");
    check_no_trial(LINE("compare", "epoll", "epoll"), "stands there twice");
    check_no_trial(LINE("compare", "bin:/x at:127.0.0.1", "epoll"), "give one of bin: and at:");
    check_no_trial(LINE("compare", "epoll"), "two candidates or more");
    check_no_trial(LINE("compare", "epoll", "wait=block", "--rounds=7"), "--rounds takes");
    check_no_trial(LINE("compare", "epoll", "wait=block", "-i1"),
                   "--interval is for run and client");
    check_no_trial(LINE("compare", "epoll", "expect=x"), "--expect is for client");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_handed_on_reaches_every_candidate),
        cmocka_unit_test(
            test_engine_wait_and_placement_are_the_baselines_where_they_are_not_asked_for),
        cmocka_unit_test(test_a_placement_that_is_asked_for_is_that_of_the_candidate),
        cmocka_unit_test(test_two_engines_are_the_clients_and_the_servers),
        cmocka_unit_test(test_a_matrix_is_each_engine_with_each),
        cmocka_unit_test(test_an_ablation_leaves_out_one_feature_at_a_time),
        cmocka_unit_test(test_a_trial_is_a_second_unless_something_else_is_said),
        cmocka_unit_test(test_a_budget_is_shared_among_all_runs),
        cmocka_unit_test(test_a_server_is_started_and_pingpong_is_its_client),
        cmocka_unit_test(test_a_server_that_runs_already_is_at_its_address),
        cmocka_unit_test(test_another_program_is_run_as_this_one_is),
        cmocka_unit_test(test_a_peer_is_its_program_with_what_was_decided_for_all),
        cmocka_unit_test(test_what_a_peer_has_not_is_refused),
        cmocka_unit_test(test_peers_are_listed),
        cmocka_unit_test(test_letters_and_flags_are_options_too),
        cmocka_unit_test(test_what_is_no_candidate_is_refused_with_what_would_be),
    };

    return cmocka_run_group_tests(tests, make_peer, remove_peer);
}
