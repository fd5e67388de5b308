#include "measure/usage.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h> /* needs the headers above */

#define BURN_NS (40 * PP_NS_PER_MS)

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * PP_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Uses CPU time, nearly all of it outside the kernel: the clock is a system call, so it is rare. */
static void burn(uint64_t cpu_ns)
{
    const uint64_t start_ns = thread_cpu_ns();

    while (thread_cpu_ns() - start_ns < cpu_ns) {
        for (volatile int i = 0; i < 100000; i++)
            ;
    }
}

static void *burn_in_thread(void *unused)
{
    burn(BURN_NS);
    return unused;
}

static void run_another_thread_that_burns(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, burn_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static struct pp_usage usage_since(const struct pp_usage *earlier)
{
    const struct pp_usage later = pp_usage_of_thread();

    return pp_usage_between(earlier, &later);
}

static uint64_t context_switches(const struct rusage *usage)
{
    return (uint64_t)(usage->ru_nvcsw + usage->ru_nivcsw);
}

static uint64_t cpu_ns_of(const struct rusage *usage)
{
    return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * PP_NS_PER_S +
           (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * PP_NS_PER_US;
}

static void test_what_was_used_between_two_readings_is_their_difference(void **state)
{
    const struct pp_usage earlier = { .user_ns = 5, .system_ns = 70, .context_switches = 900 };
    const struct pp_usage later = { .user_ns = 8, .system_ns = 75, .context_switches = 907 };
    const struct pp_usage used = pp_usage_between(&earlier, &later);

    (void)state;
    assert_int_equal(used.user_ns, 3);
    assert_int_equal(used.system_ns, 5);
    assert_int_equal(used.context_switches, 7);
}

static void test_a_reading_lies_between_two_of_the_kernel(void **state)
{
    struct rusage before;
    struct rusage after;
    struct pp_usage usage;

    (void)state;
    burn(PP_NS_PER_MS);
    assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
    usage = pp_usage_of_thread();
    assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
    assert_in_range(usage.user_ns + usage.system_ns, cpu_ns_of(&before), cpu_ns_of(&after));
    assert_in_range(usage.context_switches, context_switches(&before), context_switches(&after));
}

static void test_cpu_time_of_this_thread_is_counted_and_as_user_time(void **state)
{
    const struct pp_usage earlier = pp_usage_of_thread();
    struct pp_usage used;

    (void)state;
    burn(BURN_NS);
    used = usage_since(&earlier);
    /* The kernel cuts each time to whole microseconds. */
    assert_true(used.user_ns + used.system_ns >= BURN_NS - 2 * PP_NS_PER_US);
    assert_true(used.user_ns > used.system_ns);
}

static void test_cpu_time_of_another_thread_is_not_counted(void **state)
{
    const struct pp_usage earlier = pp_usage_of_thread();
    struct pp_usage used;

    (void)state;
    run_another_thread_that_burns();
    used = usage_since(&earlier);
    assert_true(used.user_ns + used.system_ns < BURN_NS / 2);
}

static void test_waiting_for_another_thread_is_a_context_switch(void **state)
{
    const struct pp_usage earlier = pp_usage_of_thread();

    (void)state;
    run_another_thread_that_burns();
    assert_true(usage_since(&earlier).context_switches > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_used_between_two_readings_is_their_difference),
        cmocka_unit_test(test_a_reading_lies_between_two_of_the_kernel),
        cmocka_unit_test(test_cpu_time_of_this_thread_is_counted_and_as_user_time),
        cmocka_unit_test(test_cpu_time_of_another_thread_is_not_counted),
        cmocka_unit_test(test_waiting_for_another_thread_is_a_context_switch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
