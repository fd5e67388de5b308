#include "plan/plan.h"

#include "base/clock.h"
#include "base/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static void decide(struct pp_plan *plan)
{
    struct pp_error err = { 0 };

    if (pp_plan_decide(plan, &err) < 0)
        fail_msg("%s", err.text);
}

static struct pp_plan plan_of(enum pp_job job)
{
    struct pp_plan plan;

    pp_plan_default(&plan, job);
    return plan;
}

static void check_why(const char *why, const char *word)
{
    assert_non_null(why);
    if (!strstr(why, word))
        fail_msg("\"%s\" lacks \"%s\"", why, word);
}

/* Everything is left open in round 0; bit i of the round says whether thing number i is given. */
static struct pp_plan plan_of_round(enum pp_job job, uint32_t threads, unsigned round)
{
    struct pp_plan plan = plan_of(job);

    plan.client_threads = plan.server_threads = threads;
    plan.connections = threads * 2;
    if (round & 1)
        plan.depth = 3;
    if (round & 2)
        plan.warmup_given = true;
    if (round & 4)
        plan.wait_auto = false;
    if (round & 8) {
        plan.placement_auto = false;
        plan.placement = PP_PLACEMENT_NONE;
    }
    if (round & 16)
        plan.rate = 1000;
    return plan;
}

static void test_whatever_is_decided_has_a_reason_and_what_was_told_has_none(void **state)
{
    (void)state;
    for (enum pp_job job = PP_JOB_RUN; job <= PP_JOB_SERVE; job++)
        for (uint32_t threads = 1; threads <= 2; threads++)
            for (unsigned round = 0; round < 32; round++) {
                struct pp_plan plan = plan_of_round(job, threads, round);

                decide(&plan);
                assert_int_equal(plan.why.depth == NULL, (round & 1) != 0);
                assert_int_equal(plan.why.warmup == NULL, (round & 2) != 0);
                assert_int_equal(plan.why.wait == NULL, (round & 4) != 0);
                assert_int_equal(plan.why.placement == NULL, (round & 8) != 0);
            }
}

static void test_the_depth_follows_from_what_messages_wait_for(void **state)
{
    struct pp_plan closed = plan_of(PP_JOB_RUN);
    struct pp_plan open = plan_of(PP_JOB_RUN);
    struct pp_plan crr = plan_of(PP_JOB_RUN);

    (void)state;
    decide(&closed);
    assert_int_equal(closed.depth, 1);
    check_why(closed.why.depth, "waits for the answer");
    open.rate = 10;
    decide(&open);
    assert_true(open.depth > 1);
    check_why(open.why.depth, "do not wait");
    crr.crr = true;
    crr.rate = 10;
    decide(&crr);
    assert_int_equal(crr.depth, 1);
    check_why(crr.why.depth, "connection for each");
}

static void test_a_count_has_no_warmup_and_a_time_has_a_tenth_of_it(void **state)
{
    struct pp_plan count = plan_of(PP_JOB_RUN);
    struct pp_plan time = plan_of(PP_JOB_CLIENT);

    (void)state;
    decide(&count);
    assert_int_equal(count.warmup_ns, 0);
    check_why(count.why.warmup, "count");
    time.time_ns = 2 * PP_NS_PER_S;
    decide(&time);
    assert_int_equal(time.warmup_ns, PP_NS_PER_S / 5);
    check_why(time.why.warmup, "a tenth");
}

static void test_the_reason_for_waiting_is_that_of_how_it_waits(void **state)
{
    static const struct {
        enum pp_io_wait wait;
        const char *why;
    } table[] = { { PP_IO_WAIT_BLOCK, "so many connections" },
                  { PP_IO_WAIT_SPIN, "one of its own" },
                  { PP_IO_WAIT_YIELD, "the other side" } };

    (void)state;
    for (uint32_t connections = 1; connections <= 128; connections *= 2) {
        struct pp_plan plan = plan_of(PP_JOB_RUN);
        bool found = false;

        plan.connections = connections;
        decide(&plan);
        for (size_t i = 0; i < COUNT_OF(table); i++)
            if (plan.wait == table[i].wait) {
                check_why(plan.why.wait, table[i].why);
                found = true;
            }
        assert_true(found);
        assert_true(connections < 128 || plan.wait == PP_IO_WAIT_BLOCK);
    }
}

static void test_the_reason_for_a_placement_is_that_of_where_the_threads_are(void **state)
{
    struct pp_plan named = plan_of(PP_JOB_CLIENT);
    struct pp_plan pairs = plan_of(PP_JOB_RUN);
    struct pp_plan uneven = plan_of(PP_JOB_RUN);
    struct pp_plan one = plan_of(PP_JOB_RUN);
    struct pp_plan side = plan_of(PP_JOB_SERVE);

    (void)state;
    decide(&one);
    assert_int_equal(one.placement, PP_PLACEMENT_SAME);
    assert_non_null(one.why.placement);
    named.client_cpus_given = (struct pp_cpus){ .count = 1, .cpus = { one.client_cpus[0] } };
    decide(&named);
    check_why(named.why.placement, "named");
    pairs.connections = pairs.client_threads = pairs.server_threads = 2;
    decide(&pairs);
    assert_int_equal(pairs.placement, PP_PLACEMENT_PAIRS);
    check_why(pairs.why.placement, "shares a CPU");
    uneven.connections = uneven.client_threads = 2;
    decide(&uneven);
    assert_int_equal(uneven.placement, PP_PLACEMENT_NONE);
    check_why(uneven.why.placement, "not known");
    decide(&side);
    assert_int_equal(side.placement, PP_PLACEMENT_NONE);
    check_why(side.why.placement, "the kernel's to place");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whatever_is_decided_has_a_reason_and_what_was_told_has_none),
        cmocka_unit_test(test_the_depth_follows_from_what_messages_wait_for),
        cmocka_unit_test(test_a_count_has_no_warmup_and_a_time_has_a_tenth_of_it),
        cmocka_unit_test(test_the_reason_for_waiting_is_that_of_how_it_waits),
        cmocka_unit_test(test_the_reason_for_a_placement_is_that_of_where_the_threads_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
