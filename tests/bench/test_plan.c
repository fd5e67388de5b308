#include "bench/plan.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
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

static struct pp_plan plan_on(int client_cpu, int server_cpu)
{
    struct pp_plan plan = pp_plan_default();

    plan.cpus_given = true;
    plan.client_cpu = client_cpu;
    plan.server_cpu = server_cpu;
    return plan;
}

static struct pp_plan plan_placed(enum pp_placement placement)
{
    struct pp_plan plan = pp_plan_default();

    plan.placement_auto = false;
    plan.placement = placement;
    return plan;
}

static void test_the_default_is_the_job_of_libxev(void **state)
{
    const struct pp_plan plan = pp_plan_default();

    (void)state;
    assert_string_equal(plan.host, "127.0.0.1");
    assert_int_equal(plan.port, 3131);
    assert_int_equal(plan.count, 500000);
    assert_int_equal(plan.connections, 1);
    assert_int_equal(plan.wire.bytes, 5);
    assert_memory_equal(plan.wire.message, "PING\n", 5);
}

static void test_the_default_leaves_the_rest_to_the_program(void **state)
{
    const struct pp_plan plan = pp_plan_default();

    (void)state;
    assert_string_equal(plan.client_engine, "auto");
    assert_string_equal(plan.server_engine, "auto");
    assert_true(plan.wait_auto);
    assert_true(plan.placement_auto);
    assert_false(plan.cpus_given);
    assert_int_equal(plan.client_cpu, PP_CPU_ANY);
    assert_int_equal(plan.server_cpu, PP_CPU_ANY);
}

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

static void test_a_wait_that_was_asked_for_stays(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = plan_on(f->cpus[0], f->cpus[0]);

    plan.wait_auto = false;
    plan.wait = PP_IO_WAIT_SPIN;
    plan.spin_ns = PP_IO_SPIN_FOREVER;
    plan.connections = 1000;
    decide(&plan);
    assert_int_equal(plan.wait, PP_IO_WAIT_SPIN);
    assert_true(plan.spin_ns == PP_IO_SPIN_FOREVER);
    assert_false(plan.wait_auto);
}

static void test_given_cpus_are_taken_and_the_placement_follows(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan same = plan_on(f->cpus[0], f->cpus[0]);
    struct pp_plan split = plan_on(f->cpus[1], f->cpus[0]);

    same.placement = PP_PLACEMENT_SPLIT;
    decide(&same);
    assert_int_equal(same.placement, PP_PLACEMENT_SAME);
    assert_int_equal(same.client_cpu, f->cpus[0]);
    assert_int_equal(same.server_cpu, f->cpus[0]);
    need_two_cpus(f);
    decide(&split);
    assert_int_equal(split.placement, PP_PLACEMENT_SPLIT);
    assert_int_equal(split.client_cpu, f->cpus[1]);
    assert_int_equal(split.server_cpu, f->cpus[0]);
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

static void test_with_one_cpu_both_sides_are_placed_on_it(void **state)
{
    const struct fixture *f = *state;
    const int cpu = f->cpus[f->count - 1];
    struct pp_plan one = pp_plan_default();
    struct pp_plan many = pp_plan_default();

    restrict_to(cpu);
    many.connections = 16;
    decide(&one);
    decide(&many);
    assert_int_equal(one.placement, PP_PLACEMENT_SAME);
    assert_int_equal(one.client_cpu, cpu);
    assert_int_equal(one.server_cpu, cpu);
    assert_int_equal(one.wait, PP_IO_WAIT_YIELD);
    assert_int_equal(many.placement, PP_PLACEMENT_SAME);
    assert_int_equal(many.client_cpu, cpu);
    assert_int_equal(many.server_cpu, cpu);
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
    struct pp_plan plan = pp_plan_default();

    decide(&plan);
    assert_int_equal(plan.placement, PP_PLACEMENT_SAME);
    assert_int_equal(plan.client_cpu, plan.server_cpu);
    assert_true(plan.client_cpu >= 0 && CPU_ISSET((size_t)plan.client_cpu, &f->all));
}

/* Which of the two depends on who else is busy here. */
static void test_several_connections_get_cpus_that_fit_their_placement(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan plan = pp_plan_default();

    plan.connections = 8;
    decide(&plan);
    assert_true(plan.placement == PP_PLACEMENT_SAME || plan.placement == PP_PLACEMENT_SPLIT);
    assert_int_equal(plan.client_cpu != plan.server_cpu, plan.placement == PP_PLACEMENT_SPLIT);
    assert_int_equal(plan.wait,
                     plan.placement == PP_PLACEMENT_SPLIT ? PP_IO_WAIT_SPIN : PP_IO_WAIT_YIELD);
    assert_true(plan.client_cpu >= 0 && CPU_ISSET((size_t)plan.client_cpu, &f->all));
    assert_true(plan.server_cpu >= 0 && CPU_ISSET((size_t)plan.server_cpu, &f->all));
}

static void test_placements_that_were_asked_for_are_kept(void **state)
{
    const struct fixture *f = *state;
    struct pp_plan same = plan_placed(PP_PLACEMENT_SAME);
    struct pp_plan split = plan_placed(PP_PLACEMENT_SPLIT);

    same.connections = 16; /* which by itself would ask for two */
    decide(&same);
    assert_int_equal(same.placement, PP_PLACEMENT_SAME);
    assert_int_equal(same.client_cpu, same.server_cpu);
    need_two_cpus(f);
    decide(&split);
    assert_int_equal(split.placement, PP_PLACEMENT_SPLIT);
    assert_int_not_equal(split.client_cpu, split.server_cpu);
    assert_int_equal(split.wait, PP_IO_WAIT_SPIN);
}

static void test_placement_none_pins_nothing(void **state)
{
    struct pp_plan plan = plan_placed(PP_PLACEMENT_NONE);

    (void)state;
    decide(&plan);
    assert_int_equal(plan.placement, PP_PLACEMENT_NONE);
    assert_int_equal(plan.client_cpu, PP_CPU_ANY);
    assert_int_equal(plan.server_cpu, PP_CPU_ANY);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_default_is_the_job_of_libxev),
        TEST(test_the_default_leaves_the_rest_to_the_program),
        TEST(test_few_connections_look_again_and_many_block),
        TEST(test_on_a_cpu_each_few_connections_spin_and_many_block),
        TEST(test_on_one_cpu_nobody_spins_while_the_other_needs_it),
        TEST(test_a_wait_that_was_asked_for_stays),
        TEST(test_given_cpus_are_taken_and_the_placement_follows),
        TEST(test_a_cpu_that_may_not_be_used_is_refused_by_its_number),
        TEST(test_a_cpu_outside_the_affinity_is_refused),
        TEST(test_with_one_cpu_both_sides_are_placed_on_it),
        TEST(test_split_with_one_cpu_is_an_error),
        TEST(test_one_connection_is_placed_on_one_cpu),
        TEST(test_several_connections_get_cpus_that_fit_their_placement),
        TEST(test_placements_that_were_asked_for_are_kept),
        TEST(test_placement_none_pins_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
