/* Round trips by hand, on whatever CPUs there are. Nothing here says how fast they are. */
#include "experiment/floor.h"

#include "base/clock.h"
#include "base/container.h"
#include "measure/host.h"
#include "plan/plan.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h> /* needs the headers above */

#define DURATION_NS (5 * PP_NS_PER_MS)

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

static void measure(const struct pp_floor_spec *spec)
{
    struct pp_error err = { 0 };
    struct pp_floor floor;
    const unsigned files = open_files();

    assert_int_equal(pp_floor_measure(spec, &floor, &err), 0);
    assert_int_equal(err.code, 0);
    assert_true(floor.round_trips > 0);
    assert_true(floor.elapsed_ns >= spec->duration_ns);
    assert_true(floor.median_ns >= 0 && floor.median_ns <= (double)floor.elapsed_ns);
    assert_true(floor.median_ns > 0 || spec->ruler == PP_FLOOR_IN_TURNS);
    assert_int_equal(open_files(), files);
}

/* Spinning ends that share a CPU take a time slice for each message, so that has no test. */
static void test_it_goes_round_over_each_transport_and_with_each_wait(void **state)
{
    static const enum pp_floor_transport transports[] = { PP_FLOOR_TCP, PP_FLOOR_UDP, PP_FLOOR_UNIX,
                                                          PP_FLOOR_UNIX_DGRAM };
    static const enum pp_io_wait waits[] = { PP_IO_WAIT_BLOCK, PP_IO_WAIT_YIELD };

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(transports); i++)
        for (unsigned j = 0; j < COUNT_OF(waits); j++)
            measure(&(struct pp_floor_spec){ .transport = transports[i],
                                             .wait = waits[j],
                                             .near_cpu = PP_CPU_ANY,
                                             .far_cpu = PP_CPU_ANY,
                                             .duration_ns = DURATION_NS });
}

static void test_one_thread_plays_both_ends(void **state)
{
    (void)state;
    for (unsigned i = PP_FLOOR_TCP; i <= PP_FLOOR_UNIX_DGRAM; i++)
        measure(&(struct pp_floor_spec){ .transport = (enum pp_floor_transport)i,
                                         .one_thread = true,
                                         .near_cpu = PP_CPU_ANY,
                                         .far_cpu = PP_CPU_ANY,
                                         .duration_ns = DURATION_NS });
}

/* Each ruler's median is that of some round trips; messages of every size go round. */
static void test_each_ruler_and_size_goes_round(void **state)
{
    static const uint32_t sizes[] = { 1, 5, 1000, PP_FLOOR_BYTES_MAX };

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(sizes) * 3 * 4; i++)
        measure(&(struct pp_floor_spec){ .transport = (enum pp_floor_transport)(i % 4),
                                         .ruler = (enum pp_floor_ruler)(i / 4 % 3),
                                         .one_thread = i % 8 < 4,
                                         .near_cpu = PP_CPU_ANY,
                                         .far_cpu = PP_CPU_ANY,
                                         .bytes = sizes[i / 12],
                                         .duration_ns = DURATION_NS });
}

static void test_system_calls_alone_can_be_had(void **state)
{
    (void)state;
    measure(&(struct pp_floor_spec){ .transport = PP_FLOOR_NOTHING,
                                     .one_thread = true,
                                     .near_cpu = PP_CPU_ANY,
                                     .far_cpu = PP_CPU_ANY,
                                     .duration_ns = DURATION_NS });
}

static void test_two_cpus_can_spin(void **state)
{
    struct pp_host_cpu cpus[2];

    (void)state;
    if (pp_host_cpus(cpus, 2) < 2)
        skip();
    measure(&(struct pp_floor_spec){ .wait = PP_IO_WAIT_SPIN,
                                     .near_cpu = cpus[0].cpu,
                                     .far_cpu = cpus[1].cpu,
                                     .duration_ns = DURATION_NS });
}

/* Whichever end it is, the other one does not go on waiting. */
static void test_a_cpu_that_may_not_be_used_is_an_error(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const struct pp_floor_spec spec = { .one_thread = i == 2,
                                            .near_cpu = i == 0 ? PP_CPU_ANY : 1023,
                                            .far_cpu = i == 0 ? 1023 : PP_CPU_ANY,
                                            .duration_ns = DURATION_NS };
        struct pp_error err = { 0 };
        struct pp_floor floor;

        assert_int_equal(pp_floor_measure(&spec, &floor, &err), -EINVAL);
        assert_int_equal(err.kind, PP_ERROR_RUN);
    }
}

static void test_a_call_takes_some_time(void **state)
{
    (void)state;
    assert_true(pp_floor_call_ns(PP_NS_PER_MS) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_goes_round_over_each_transport_and_with_each_wait),
        cmocka_unit_test(test_one_thread_plays_both_ends),
        cmocka_unit_test(test_each_ruler_and_size_goes_round),
        cmocka_unit_test(test_system_calls_alone_can_be_had),
        cmocka_unit_test(test_two_cpus_can_spin),
        cmocka_unit_test(test_a_cpu_that_may_not_be_used_is_an_error),
        cmocka_unit_test(test_a_call_takes_some_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
