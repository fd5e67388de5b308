/* What is said of a series: that it is steady where only chance is at work, also where each value
 * depends on those before, and that it is not where it changes. All are simulated, from fixed
 * seeds. */
#include "measure/course.h"

#include "base/container.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define PI 3.14159265358979323846
#define VALUES 40 /* of a run of 2 s */
#define RUNS 1000

/* ---- noise ---- */

static double exponential(struct pp_random *random)
{
    return -log(pp_random_unit(random));
}

static double normal(struct pp_random *random)
{
    return sqrt(2 * exponential(random)) * cos(2 * PI * pp_random_unit(random));
}

/* Around 1,000, with logarithms that spread by sd and each remember so much of the one before. */
static void noise(struct pp_random *random, double *values, unsigned count, double sd,
                  double memory)
{
    double z = normal(random);

    for (unsigned i = 0; i < count; i++) {
        values[i] = 1000 * exp(sd * z);
        z = memory * z + sqrt(1 - memory * memory) * normal(random);
    }
}

/* The end lies around the beginning with that sd. */
static void random_walk(struct pp_random *random, double *values, unsigned count, double sd)
{
    double z = 0;

    for (unsigned i = 0; i < count; i++) {
        values[i] = 1000 * exp(z);
        z += sd / sqrt(count) * normal(random);
    }
}

/* The mean latency of each slice, of a queue with random arrivals at this load; a slice has so many
 * service times, which are random, too. */
static void queue(struct pp_random *random, double *values, unsigned count, double load,
                  double slice)
{
    double work = 0, time = -10 / ((1 - load) * (1 - load)), sum = 0;
    unsigned answers = 0;

    for (unsigned i = 0; i < count;) {
        const double gap = exponential(random) / load;

        time += gap;
        work = fmax(work - gap, 0) + exponential(random);
        for (; i < count && time > slice * (i + 1); i++) {
            values[i] = answers ? sum / answers : 1;
            sum = answers = 0;
        }
        sum += time > 0 ? work : 0;
        answers += time > 0;
    }
}

/* ---- how often a course is seen ---- */

enum change { NONE, STEP, FLAP, RAMP };

struct scenario {
    enum change change;
    double factor; /* by which the figure changes */
    unsigned last; /* STEP: so many values; FLAP: so many at a time */
    double sd, memory;
    double least, most; /* share of the runs of which more is said than that they are steady */
};

static void apply(double *values, unsigned count, const struct scenario *s, unsigned phase)
{
    for (unsigned i = 0; i < count; i++) {
        const bool changed = s->change == STEP ? i >= count - s->last
                                               : s->change == FLAP && (i + phase) / s->last % 2;

        if (changed)
            values[i] *= s->factor;
        if (s->change == RAMP)
            values[i] *= pow(s->factor, (double)i / (count - 1));
    }
}

static bool is_unsteady(const double *values, unsigned count)
{
    return pp_course_of(values, count).shape > PP_COURSE_STEADY;
}

static void check_share(unsigned seen, double least, double most)
{
    const double share = (double)seen / RUNS;

    if (share < least || share > most)
        print_error("%.3f is not within %.3f to %.3f\n", share, least, most);
    assert_true(share >= least && share <= most);
}

static void check_scenarios(const struct scenario *scenarios, size_t count)
{
    double values[VALUES];

    for (size_t i = 0; i < count; i++) {
        struct pp_random random = { 1 + i };
        unsigned seen = 0;

        for (unsigned run = 0; run < RUNS; run++) {
            noise(&random, values, VALUES, scenarios[i].sd, scenarios[i].memory);
            apply(values, VALUES, &scenarios[i], pp_random_below(&random, 64));
            seen += is_unsteady(values, VALUES);
        }
        check_share(seen, scenarios[i].least, scenarios[i].most);
    }
}

static void test_noise_is_steady_whether_or_not_it_remembers(void **state)
{
    static const struct scenario scenarios[] = {
        { .sd = 0.05, .most = 0.002 },
        { .sd = 0.2, .most = 0.005 },
        { .sd = 0.3, .most = 0.005 },
        { .sd = 0.05, .memory = 0.8, .most = 0.002 },
        { .sd = 0.1, .memory = 0.8, .most = 0.01 },
        { .sd = 0.2, .memory = 0.8, .most = 0.045 },
    };

    (void)state;
    check_scenarios(scenarios, COUNT_OF(scenarios));
}

static void test_a_random_walk_of_a_tenth_is_steady(void **state)
{
    double values[VALUES];
    struct pp_random random = { 7 };
    unsigned seen = 0;

    (void)state;
    for (unsigned run = 0; run < RUNS; run++) {
        random_walk(&random, values, VALUES, 0.1);
        seen += is_unsteady(values, VALUES);
    }
    check_share(seen, 0, 0.01);
}

static void test_a_queue_at_its_load_is_steady(void **state)
{
    static const struct {
        double load, slice, most;
    } queues[] = {
        { 0.5, 100, 0.005 }, { 0.8, 100, 0.01 }, { 0.9, 100, 0.04 }, { 0.9, 500, 0.01 }
    };
    double values[VALUES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(queues); i++) {
        struct pp_random random = { 11 + i };
        unsigned seen = 0;

        for (unsigned run = 0; run < RUNS / 4; run++) {
            queue(&random, values, VALUES, queues[i].load, queues[i].slice);
            seen += is_unsteady(values, VALUES);
        }
        check_share(4 * seen, 0, queues[i].most);
    }
}

/* Some slices have one or two of the slow answers, some none: nothing changes. */
static void test_rare_slow_answers_are_steady(void **state)
{
    static const struct {
        double share, factor;
        unsigned slice;
    } tails[] = { { 0.005, 100, 100 }, { 0.01, 60, 50 }, { 0.05, 60, 20 }, { 0.001, 200, 500 } };
    double values[VALUES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        struct pp_random random = { 21 + i };
        unsigned seen = 0;

        for (unsigned run = 0; run < RUNS; run++) {
            for (unsigned at = 0; at < VALUES; at++) {
                values[at] = 0;
                for (unsigned answer = 0; answer < tails[i].slice; answer++)
                    values[at] += pp_random_unit(&random) < tails[i].share ? tails[i].factor : 1;
            }
            seen += is_unsteady(values, VALUES);
        }
        check_share(seen, 0, 0.05);
    }
}

static void test_a_step_in_the_last_quarter_is_seen(void **state)
{
    static const struct scenario scenarios[] = {
        { STEP, 0.5, 10, .sd = 0.05, .least = 0.995, .most = 1 },
        { STEP, 0.5, 10, .sd = 0.1, .least = 0.99, .most = 1 },
        { STEP, 0.5, 10, .sd = 0.1, .memory = 0.8, .least = 0.97, .most = 1 },
        { STEP, 0.5, 10, .sd = 0.2, .least = 0.7, .most = 1 },
        { STEP, 1.5, 10, .sd = 0.05, .least = 0.99, .most = 1 },
        { STEP, 9, 10, .sd = 0.3, .least = 0.99, .most = 1 },
        { STEP, 9, 10, .sd = 0.5, .least = 0.88, .most = 1 },
    };

    (void)state;
    check_scenarios(scenarios, COUNT_OF(scenarios));
}

static void test_to_and_fro_is_seen(void **state)
{
    static const struct scenario scenarios[] = {
        { FLAP, 0.5, 2, .sd = 0.05, .least = 0.99, .most = 1 },
        { FLAP, 0.5, 5, .sd = 0.1, .least = 0.99, .most = 1 },
        { FLAP, 0.5, 10, .sd = 0.1, .least = 0.99, .most = 1 },
        { FLAP, 1.5, 5, .sd = 0.05, .least = 0.99, .most = 1 },
        { FLAP, 9, 5, .sd = 0.3, .least = 0.99, .most = 1 },
    };

    (void)state;
    check_scenarios(scenarios, COUNT_OF(scenarios));
}

static void test_a_slow_rise_or_fall_is_seen(void **state)
{
    static const struct scenario scenarios[] = {
        { RAMP, 0.5, .sd = 0.05, .least = 0.99, .most = 1 },
        { RAMP, 4, .sd = 0.1, .least = 0.99, .most = 1 },
    };

    (void)state;
    check_scenarios(scenarios, COUNT_OF(scenarios));
}

/* ---- what it says ---- */

static void fill(double *values, unsigned begin, unsigned end, double value)
{
    for (unsigned i = begin; i < end; i++)
        values[i] = value + (i % 3); /* so that it is not exact */
}

static void check_near(double got, double want)
{
    assert_true(fabs(got - want) < want / 50);
}

static void test_a_step_is_told_with_its_place_and_both_means(void **state)
{
    double values[VALUES];
    struct pp_course course;

    (void)state;
    fill(values, 0, 30, 1000);
    fill(values, 30, VALUES, 500);
    course = pp_course_of(values, VALUES);
    assert_int_equal(course.shape, PP_COURSE_STEP);
    assert_int_equal(course.at, 30);
    check_near(course.from, 1000);
    check_near(course.to, 500);
}

static void test_two_levels_are_told_the_lower_one_first(void **state)
{
    double values[VALUES];
    struct pp_course course;

    (void)state;
    for (unsigned i = 0; i < VALUES; i += 4)
        fill(values, i, i + 4, i / 4 % 2 ? 300 : 1000);
    course = pp_course_of(values, VALUES);
    assert_int_equal(course.shape, PP_COURSE_LEVELS);
    check_near(course.from, 300);
    check_near(course.to, 1000);
}

static void test_a_line_is_told_with_its_ends(void **state)
{
    double values[VALUES];
    struct pp_course course;

    (void)state;
    for (unsigned i = 0; i < VALUES; i++)
        values[i] = 800 * pow(0.25, (double)i / (VALUES - 1));
    course = pp_course_of(values, VALUES);
    assert_int_equal(course.shape, PP_COURSE_LINE);
    check_near(course.from, 800);
    check_near(course.to, 200);
}

/* As latencies do before a server that is slower than the schedule. */
static void test_a_line_ends_within_the_values(void **state)
{
    double values[VALUES];
    struct pp_course course;

    (void)state;
    for (unsigned i = 0; i < VALUES; i++)
        values[i] = 20 * (i + 1);
    course = pp_course_of(values, VALUES);
    assert_int_equal(course.shape, PP_COURSE_LINE);
    assert_true(course.from >= values[0] && course.to <= values[VALUES - 1]);
}

/* A stall is no course; how long it was does not matter. */
static void test_one_value_that_stands_out_is_no_course(void **state)
{
    static const double outliers[] = { 0, 1, 1e9 };
    double values[VALUES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(outliers); i++) {
        for (unsigned at = 0; at < VALUES; at++) {
            fill(values, 0, VALUES, 1000);
            values[at] = outliers[i];
            assert_int_equal(pp_course_of(values, VALUES).shape, PP_COURSE_STEADY);
        }
    }
}

static void test_equal_values_are_steady(void **state)
{
    double values[PP_COURSE_VALUES_MAX];

    (void)state;
    for (unsigned i = 0; i < PP_COURSE_VALUES_MAX; i++)
        values[i] = 0.7;
    for (unsigned count = PP_COURSE_VALUES_MIN; count <= PP_COURSE_VALUES_MAX; count++)
        assert_int_equal(pp_course_of(values, count).shape, PP_COURSE_STEADY);
}

static void test_of_too_few_values_and_of_none_above_0_nothing_is_known(void **state)
{
    double values[VALUES];

    (void)state;
    fill(values, 0, VALUES / 2, 10);
    fill(values, VALUES / 2, VALUES, 1000);
    for (unsigned count = 0; count < PP_COURSE_VALUES_MIN; count++)
        assert_int_equal(pp_course_of(values, count).shape, PP_COURSE_UNKNOWN);
    memset(values, 0, sizeof values);
    assert_int_equal(pp_course_of(values, VALUES).shape, PP_COURSE_UNKNOWN);
}

/* The rate of a server that dies in the midst falls to nothing, and not by more. */
static void test_a_fall_to_nothing_has_figures(void **state)
{
    double values[VALUES];
    struct pp_course course;

    (void)state;
    fill(values, 0, VALUES, 1000);
    for (unsigned i = 30; i < VALUES; i++)
        values[i] = 0;
    course = pp_course_of(values, VALUES);
    assert_int_equal(course.shape, PP_COURSE_STEP);
    check_near(course.from, 1000);
    assert_true(course.to == 0);
}

static void test_scale_does_not_matter(void **state)
{
    double values[VALUES], scaled[VALUES];
    struct pp_random random = { 99 };

    (void)state;
    for (unsigned run = 0; run < 200; run++) {
        noise(&random, values, VALUES, 0.3, 0.9);
        for (unsigned i = 0; i < VALUES; i++)
            scaled[i] = 1024 * values[i];
        assert_int_equal(pp_course_of(values, VALUES).shape, pp_course_of(scaled, VALUES).shape);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_is_steady_whether_or_not_it_remembers),
        cmocka_unit_test(test_a_random_walk_of_a_tenth_is_steady),
        cmocka_unit_test(test_a_queue_at_its_load_is_steady),
        cmocka_unit_test(test_rare_slow_answers_are_steady),
        cmocka_unit_test(test_a_step_in_the_last_quarter_is_seen),
        cmocka_unit_test(test_to_and_fro_is_seen),
        cmocka_unit_test(test_a_slow_rise_or_fall_is_seen),
        cmocka_unit_test(test_a_step_is_told_with_its_place_and_both_means),
        cmocka_unit_test(test_two_levels_are_told_the_lower_one_first),
        cmocka_unit_test(test_a_line_is_told_with_its_ends),
        cmocka_unit_test(test_a_line_ends_within_the_values),
        cmocka_unit_test(test_one_value_that_stands_out_is_no_course),
        cmocka_unit_test(test_equal_values_are_steady),
        cmocka_unit_test(test_of_too_few_values_and_of_none_above_0_nothing_is_known),
        cmocka_unit_test(test_a_fall_to_nothing_has_figures),
        cmocka_unit_test(test_scale_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
