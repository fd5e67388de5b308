/* Knees of curves whose slopes are known, and searches for rates that are. */
#include "base/container.h"
#include "base/random.h"
#include "result/ladder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define POINTS 16
#define ROUNDS 10

static struct pp_trial trials[POINTS * ROUNDS];
static double loads[POINTS];
static struct pp_ladder ladder = {
    .trials = trials, .trial_count = COUNT_OF(trials), .points = POINTS, .loads = loads
};

static double normal(struct pp_random *random)
{
    return sqrt(-2 * log(pp_random_unit(random))) *
           cos(2 * 3.141592653589793 * pp_random_unit(random));
}

/* The mean time in a queue with one server, Poisson arrivals and fixed service of 1 (Pollaczek and
 * Khinchine): its slope passes 1 where load is 2 - sqrt 2. */
static double queue(double load)
{
    return 1 + load / (2 * (1 - load));
}

static double line(double load)
{
    return pow(load, 0.8);
}

static double steep(double load)
{
    return pow(load, 1.2);
}

static void climb(double (*latency)(double), double noise)
{
    struct pp_random random = { .state = 11 };
    unsigned count = 0;

    for (unsigned i = 0; i < POINTS; i++)
        loads[i] = 0.15 * pow(0.97 / 0.15, i / (POINTS - 1.0));
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < POINTS; i++)
            trials[count++] = (struct pp_trial){
                .candidate = i,
                .round = round,
                .figures[PP_METRIC_P99] = 1e6 * latency(loads[i]) * exp(noise * normal(&random)),
            };
}

static struct pp_knee find(void)
{
    struct pp_knee knee;

    assert_int_equal(pp_knee_of(&ladder, &knee), 0);
    return knee;
}

static void test_the_knee_of_a_queue_is_where_theory_has_it(void **state)
{
    const double truth = 2 - sqrt(2);
    struct pp_knee knee;

    (void)state;
    climb(queue, 0);
    knee = find();
    assert_int_equal(knee.found, ROUNDS);
    assert_true(fabs(knee.load.ratio / truth - 1) < 0.03);
    climb(queue, 0.05);
    knee = find();
    assert_true(fabs(knee.load.ratio / truth - 1) < 0.05);
    assert_true(knee.load.at95.low < truth && truth < knee.load.at95.high);
    assert_true(knee.load.at95.high < 1.3 * knee.load.at95.low);
}

static void test_what_grows_less_or_more_than_the_load_everywhere_has_no_knee(void **state)
{
    (void)state;
    climb(line, 0);
    assert_int_equal(find().found, 0);
    climb(steep, 0);
    assert_int_equal(find().found, 0);
    assert_int_equal(find().rounds, ROUNDS);
}

static void test_what_is_missing_leaves_a_gap_and_no_more(void **state)
{
    (void)state;
    climb(queue, 0);
    for (unsigned i = 0; i < POINTS * ROUNDS; i += 7)
        trials[i].missing = true;
    trials[1].figures[PP_METRIC_P99] = NAN;
    assert_int_equal(find().found, ROUNDS);
    assert_true(fabs(find().load.ratio / (2 - sqrt(2)) - 1) < 0.05);
    for (unsigned i = 0; i < POINTS * ROUNDS; i++)
        trials[i].missing = i % POINTS >= PP_KNEE_POINTS_LEAST - 1;
    assert_int_equal(find().rounds, 0);
    assert_int_equal(find().found, 0);
}

static void test_other_series_are_not_looked_at(void **state)
{
    struct pp_ladder other = ladder;

    (void)state;
    climb(queue, 0);
    for (unsigned i = 0; i < POINTS * ROUNDS; i++)
        trials[i].candidate += POINTS;
    assert_int_equal(find().rounds, 0);
    other.first = POINTS;
    assert_int_equal(pp_knee_of(&other, &(struct pp_knee){ 0 }), 0);
}

/* ---- searches ---- */

/* How many tries it takes to find the edge, whether it holds at a rate being as sharp as that. */
static unsigned search(double start, double truth, double least, double most, double *edge)
{
    struct pp_slo_search at = pp_slo_begin(start, 1.1, least, most);
    unsigned tries = 0;

    for (; !at.is_over; tries++) {
        assert_true(at.rate >= least && at.rate <= most);
        assert_true(tries < 100);
        pp_slo_note(&at, at.rate <= truth);
    }
    *edge = at.edge;
    return tries;
}

static void test_a_search_ends_at_the_edge_wherever_it_begins(void **state)
{
    static const double starts[] = { 1, 10, 900, 1000, 1100, 50000, 1e6, 1e9 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        double edge;
        const unsigned tries = search(starts[i], 1000, 1, 1e6, &edge);

        assert_true(fabs(edge / 1000 - 1) < 0.02);
        assert_true(tries <= (starts[i] > 500 && starts[i] < 2000 ? 7 : 24));
    }
}

static void test_a_search_knows_the_ends_of_its_range(void **state)
{
    double edge;

    (void)state;
    (void)search(1000, 0.5, 1, 1e6, &edge);
    assert_true(edge == 0);
    (void)search(1000, 1e9, 1, 1e6, &edge);
    assert_true(edge == 1e6);
    assert_int_equal(search(5, 7, 5, 5, &edge), 1);
    assert_true(edge == 5);
}

/* A latency that is off by a tenth each time, at an edge where it grows three times as fast as the
 * rate. */
static void test_the_interval_of_many_searches_holds_the_edge(void **state)
{
    struct pp_random random = { .state = 5 };
    unsigned inside = 0, close = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        double edges[12];
        struct pp_slo slo;

        for (unsigned j = 0; j < COUNT_OF(edges); j++) {
            struct pp_slo_search at = pp_slo_begin(900 + 200 * pp_random_unit(&random), 1.1, 1,
                                                   1e6);

            while (!at.is_over)
                pp_slo_note(&at, pow(at.rate / 1000, 3) * exp(0.1 * normal(&random)) < 1);
            edges[j] = at.edge;
        }
        assert_int_equal(pp_slo_of(edges, COUNT_OF(edges), 1e6, &slo), 0);
        assert_int_equal(slo.never + slo.most, 0);
        inside += slo.edge.at95.low <= 1000 && 1000 <= slo.edge.at95.high;
        close += fabs(slo.edge.ratio / 1000 - 1) < 0.05;
    }
    assert_in_range(inside, 180, 199);
    assert_int_equal(close, 200);
}

static void test_ends_of_the_range_are_counted_and_no_edges(void **state)
{
    static const double edges[] = { 0, 100, 100, 100, 500 };
    struct pp_slo slo;

    (void)state;
    assert_int_equal(pp_slo_of(edges, COUNT_OF(edges), 500, &slo), 0);
    assert_int_equal(slo.rounds, 5);
    assert_int_equal(slo.never, 1);
    assert_int_equal(slo.most, 1);
    assert_true(fabs(slo.edge.ratio - 100) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_knee_of_a_queue_is_where_theory_has_it),
        cmocka_unit_test(test_what_grows_less_or_more_than_the_load_everywhere_has_no_knee),
        cmocka_unit_test(test_what_is_missing_leaves_a_gap_and_no_more),
        cmocka_unit_test(test_other_series_are_not_looked_at),
        cmocka_unit_test(test_a_search_ends_at_the_edge_wherever_it_begins),
        cmocka_unit_test(test_a_search_knows_the_ends_of_its_range),
        cmocka_unit_test(test_the_interval_of_many_searches_holds_the_edge),
        cmocka_unit_test(test_ends_of_the_range_are_counted_and_no_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
