/* What another process has cost: its children's time is in it, and nobody else's. */
#include "measure/family.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define MS PP_NS_PER_MS
#define WORK_NS (60 * MS)

/* Until the calling process has had so much CPU time. */
static void work(void)
{
    while (pp_clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) < WORK_NS)
        ;
}

struct child {
    pid_t pid;
    int ready; /* a byte can be read once it has worked */
};

/* It works, has a child of its own that works, if that is asked for, and waits for its end. */
static struct child start(bool with_grandchild)
{
    int ends[2], inner[2];
    struct child child;
    char byte = 0;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(inner), 0);
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        const pid_t parent = getpid();

        if (with_grandchild && fork() == 0) {
            work();
            (void)!write(inner[1], &byte, 1);
            while (getppid() == parent)
                (void)usleep(1000);
            _exit(0);
        }
        work();
        if (with_grandchild)
            (void)!read(inner[0], &byte, 1);
        (void)!write(ends[1], &byte, 1);
        while (1)
            (void)pause();
    }
    (void)close(ends[1]);
    (void)close(inner[0]);
    (void)close(inner[1]);
    child.ready = ends[0];
    return child;
}

/* The same, and waits for its child before it says that it has worked. */
static struct child start_with_child_that_ends(void)
{
    struct child child;
    int ends[2];
    char byte = 0;

    assert_int_equal(pipe(ends), 0);
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        const pid_t inner = fork();

        work();
        if (inner == 0)
            _exit(0);
        (void)waitpid(inner, NULL, 0);
        (void)!write(ends[1], &byte, 1);
        while (1)
            (void)pause();
    }
    (void)close(ends[1]);
    child.ready = ends[0];
    return child;
}

static void stop(const struct child *child)
{
    (void)kill(child->pid, SIGKILL);
    (void)waitpid(child->pid, NULL, 0);
    (void)close(child->ready);
}

static uint64_t cpu_ns(pid_t pid)
{
    const struct pp_usage usage = pp_usage_of_family(pid);

    assert_false(usage.unknown);
    return usage.user_ns + usage.system_ns;
}

static void test_the_time_of_another_process_is_its_own(void **state)
{
    const struct child child = start(false);
    uint64_t before;
    char byte;

    (void)state;
    assert_int_equal(read(child.ready, &byte, 1), 1);
    before = cpu_ns(child.pid);
    assert_true(before >= WORK_NS);
    for (uint64_t until = pp_clock_now_ns() + WORK_NS; pp_clock_now_ns() < until;)
        ; /* our own */
    assert_true(cpu_ns(child.pid) - before < WORK_NS / 2);
    stop(&child);
}

static void test_what_it_has_started_counts_with_it(void **state)
{
    const struct child child = start(true);
    char byte;

    (void)state;
    assert_int_equal(read(child.ready, &byte, 1), 1);
    assert_true(cpu_ns(child.pid) >= 2 * WORK_NS);
    stop(&child);
}

/* The kernel's books of others are in ticks. */
static void test_a_child_that_has_ended_still_counts(void **state)
{
    const struct child child = start_with_child_that_ends();
    char byte;

    (void)state;
    assert_int_equal(read(child.ready, &byte, 1), 1);
    assert_true(cpu_ns(child.pid) >= 2 * WORK_NS - 40 * MS);
    stop(&child);
}

static void test_memory_is_that_of_all(void **state)
{
    const struct child one = start(false), two = start(true);
    char byte;

    (void)state;
    assert_int_equal(read(one.ready, &byte, 1), 1);
    assert_int_equal(read(two.ready, &byte, 1), 1);
    assert_true(pp_memory_of_family(one.pid) > 65536);
    assert_true(pp_memory_of_family(two.pid) > 3 * pp_memory_of_family(one.pid) / 2);
    stop(&one);
    assert_int_equal(pp_memory_of_family(one.pid), 0);
    stop(&two);
}

static void test_a_process_that_is_gone_has_no_known_cost(void **state)
{
    const struct child child = start(false);

    (void)state;
    stop(&child);
    assert_true(pp_usage_of_family(child.pid).unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_time_of_another_process_is_its_own),
        cmocka_unit_test(test_what_it_has_started_counts_with_it),
        cmocka_unit_test(test_a_child_that_has_ended_still_counts),
        cmocka_unit_test(test_memory_is_that_of_all),
        cmocka_unit_test(test_a_process_that_is_gone_has_no_known_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
