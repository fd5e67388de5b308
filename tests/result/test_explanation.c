/* Where a round trip's time goes, of made-up machines whose parts are known. */
#include "base/random.h"
#include "result/explanation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define ROUNDS 12
#define WAITS 3
#define PLACES 3
#define TRANSPORTS 3
#define OTHERS 2
#define EXPERIMENTS 200

/* What each thing takes on the machine, in ns. */
struct machine {
    double calls, sockets, tcp, udp, switching, crossing, yielding, waking, anywhere;
    double engine, measuring, load;
    double faster; /* by how much the second of the others is */
};

static const struct machine usual = { 400,  1800, 3100, 2100, 4200, 700, 350,
                                      9000, 5000, 900,  60,   7000, 2500 };

static const struct {
    enum pp_part part;
    size_t member;
} members[] = {
    { PP_PART_CALLS, offsetof(struct machine, calls) },
    { PP_PART_SOCKETS, offsetof(struct machine, sockets) },
    { PP_PART_TCP, offsetof(struct machine, tcp) },
    { PP_PART_UDP, offsetof(struct machine, udp) },
    { PP_PART_SWITCHES, offsetof(struct machine, switching) },
    { PP_PART_CROSSING, offsetof(struct machine, crossing) },
    { PP_PART_YIELDING, offsetof(struct machine, yielding) },
    { PP_PART_WAKING, offsetof(struct machine, waking) },
    { PP_PART_SCHEDULER, offsetof(struct machine, anywhere) },
    { PP_PART_ENGINE, offsetof(struct machine, engine) },
    { PP_PART_MEASURING, offsetof(struct machine, measuring) },
    { PP_PART_LOAD, offsetof(struct machine, load) },
};

static double planted(const struct machine *machine, enum pp_part part)
{
    assert_int_equal(members[part].part, part);
    return *(const double *)(const void *)((const char *)machine + members[part].member);
}

static struct pp_trial trials[ROUNDS * (1 + OTHERS + PP_EXPLAINED_RUNS)];
static size_t trial_count;
static struct pp_explanation explanation;

static double threads_ns(const struct machine *m, const struct pp_explained_setup *setup)
{
    switch (setup->place) {
    case PP_EXPLAINED_SAME:
        return m->switching;
    case PP_EXPLAINED_ANYWHERE:
        return m->anywhere;
    case PP_EXPLAINED_SPLIT:
        break;
    }
    switch (setup->wait) {
    case PP_IO_WAIT_SPIN:
        return m->crossing;
    case PP_IO_WAIT_YIELD:
        return m->crossing + m->yielding;
    case PP_IO_WAIT_BLOCK:
        break;
    }
    return m->crossing + m->switching + m->waking;
}

static double transport_ns(const struct machine *m, const struct pp_explained_setup *setup)
{
    switch (setup->transport) {
    case PP_EXPLAINED_OVER_TCP:
        return m->tcp;
    case PP_EXPLAINED_OVER_UDP:
        return m->udp;
    case PP_EXPLAINED_OVER_UNIX:
        break;
    }
    return 0;
}

/* How long that run takes there. */
static double run_ns(const struct machine *m, enum pp_explained_run run,
                     const struct pp_explained_setup *setup)
{
    const double socket = m->calls + m->sockets + m->measuring;
    const double one = socket + transport_ns(m, setup);
    const double alone = one + threads_ns(m, setup) + m->engine;

    switch (run) {
    case PP_EXPLAINED_CALLS:
        return m->calls;
    case PP_EXPLAINED_MEASURING:
        return m->measuring;
    case PP_EXPLAINED_UNIX:
        return socket;
    case PP_EXPLAINED_ONE:
        return one;
    case PP_EXPLAINED_SAME_BLOCK:
        return one + m->switching;
    case PP_EXPLAINED_SPLIT_SPIN:
        return one + m->crossing;
    case PP_EXPLAINED_AS_ASKED:
        return one + threads_ns(m, setup);
    case PP_EXPLAINED_ALONE:
        return alone;
    case PP_EXPLAINED_PROGRAM:
    case PP_EXPLAINED_RUNS:
        break;
    }
    return alone + (setup->loaded ? m->load : 0);
}

static void add_trial(unsigned candidate, unsigned round, double ns)
{
    trials[trial_count++] = (struct pp_trial){ .candidate = candidate,
                                               .round = round,
                                               .figures = { NAN, 1e9 / ns, ns, NAN } };
}

/* Each run is off by as much as noise, a share, says. */
static struct pp_explanation_design explain_noisy(const struct machine *m,
                                                  const struct pp_explained_setup *setup,
                                                  double noise, uint64_t seed)
{
    const struct pp_explanation_design design = pp_explanation_design_of(setup);
    struct pp_random random = { seed };

    trial_count = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const double program = run_ns(m, PP_EXPLAINED_PROGRAM, setup);

        for (unsigned i = 0; i < PP_EXPLAINED_RUNS; i++) {
            const enum pp_explained_run run = (enum pp_explained_run)i;
            const double off = 1 + noise * (2 * pp_random_unit(&random) - 1);

            if (design.needs[i])
                add_trial(pp_explained_candidate(&design, OTHERS, run), round,
                          run_ns(m, run, setup) * off);
        }
        add_trial(1, round, program + 10);
        add_trial(2, round, program - m->faster);
    }
    assert_int_equal(pp_explanation_of(&design, OTHERS, trials, trial_count, &explanation), 0);
    return design;
}

static struct pp_explanation_design explain(const struct machine *m,
                                            const struct pp_explained_setup *setup)
{
    return explain_noisy(m, setup, 0, 0);
}

#define SETUPS (PLACES * WAITS * TRANSPORTS * 2)

static struct pp_explained_setup setup_of(unsigned number)
{
    return (struct pp_explained_setup){
        .place = (enum pp_explained_place)(number % PLACES),
        .wait = (enum pp_io_wait)(number / PLACES % WAITS),
        .transport = (enum pp_explained_transport)(number / PLACES / WAITS % TRANSPORTS),
        .loaded = number >= SETUPS / 2,
    };
}

static const struct pp_explained_setup yielding = { PP_EXPLAINED_SAME, PP_IO_WAIT_YIELD,
                                                    PP_EXPLAINED_OVER_TCP, false };
static const struct pp_explained_setup spinning = { PP_EXPLAINED_SPLIT, PP_IO_WAIT_SPIN,
                                                    PP_EXPLAINED_OVER_UDP, false };
static const struct pp_explained_setup sleeping = { PP_EXPLAINED_SPLIT, PP_IO_WAIT_BLOCK,
                                                    PP_EXPLAINED_OVER_TCP, false };
static const struct pp_explained_setup loaded = { PP_EXPLAINED_SPLIT, PP_IO_WAIT_BLOCK,
                                                  PP_EXPLAINED_OVER_UNIX, true };

static void assert_near(double value, double wanted, double off)
{
    if (!(fabs(value - wanted) <= off))
        fail_msg("%.9g is not %.9g", value, wanted);
}

static const struct pp_shift *find(enum pp_part part)
{
    for (unsigned i = 0; i < explanation.part_count; i++)
        if (explanation.parts[i].part == part)
            return &explanation.parts[i].shift;
    return NULL;
}

/* ---- tests ---- */

static void test_the_parts_of_each_design_are_the_program_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SETUPS; i++) {
        const struct pp_explained_setup setup = setup_of(i);
        const struct pp_explanation_design design = pp_explanation_design_of(&setup);
        bool seen[PP_PARTS] = { false };

        for (unsigned j = 0; j < design.part_count; j++) {
            assert_false(seen[design.parts[j].part]);
            seen[design.parts[j].part] = true;
        }
        for (unsigned run = 0; run < PP_EXPLAINED_RUNS; run++) {
            int sum = 0;

            for (unsigned j = 0; j < design.part_count; j++)
                sum += design.parts[j].weights[run];
            assert_int_equal(sum, run == PP_EXPLAINED_PROGRAM);
        }
    }
}

static void test_each_part_is_found_again_and_they_add_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SETUPS; i++) {
        const struct pp_explained_setup setup = setup_of(i);

        (void)explain(&usual, &setup);
        assert_int_equal(explanation.rounds, ROUNDS);
        for (unsigned j = 0; j < explanation.part_count; j++)
            assert_near(explanation.parts[j].shift.estimate,
                        planted(&usual, explanation.parts[j].part), 1e-6);
        assert_near(explanation.sum, explanation.whole.estimate, 1e-6);
    }
}

static void test_which_parts_there_are_follows_from_how_it_runs(void **state)
{
    (void)state;
    (void)explain(&usual, &yielding);
    assert_non_null(find(PP_PART_SWITCHES));
    assert_null(find(PP_PART_CROSSING));
    assert_null(find(PP_PART_LOAD));
    (void)explain(&usual, &spinning);
    assert_null(find(PP_PART_SWITCHES));
    assert_non_null(find(PP_PART_CROSSING));
    assert_null(find(PP_PART_WAKING));
    assert_non_null(find(PP_PART_UDP));
    (void)explain(&usual, &sleeping);
    assert_non_null(find(PP_PART_SWITCHES));
    assert_non_null(find(PP_PART_WAKING));
    assert_non_null(find(PP_PART_TCP));
    (void)explain(&usual, &loaded);
    assert_null(find(PP_PART_TCP));
    assert_non_null(find(PP_PART_LOAD));
}

/* Each cause in turn is made twice as large: its part alone follows. */
static void test_a_part_moves_with_its_cause_and_no_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PP_PARTS * SETUPS; i++) {
        const struct pp_explained_setup setup = setup_of(i / PP_PARTS);
        const unsigned cause = i % PP_PARTS;
        struct machine changed = usual;

        *(double *)(void *)((char *)&changed + members[cause].member) *= 2;
        (void)explain(&changed, &setup);
        for (unsigned j = 0; j < explanation.part_count; j++) {
            const enum pp_part part = explanation.parts[j].part;

            assert_near(explanation.parts[j].shift.estimate,
                        planted(&usual, part) * (part == cause ? 2 : 1), 1e-6);
        }
    }
}

/* In 95 % of experiments; here are few. And the whole is the sum of its parts, within that of its
 * interval. */
static void test_intervals_hold_the_truth_where_runs_are_noisy(void **state)
{
    unsigned held[PP_PARTS] = { 0 }, added_up = 0;

    (void)state;
    for (unsigned seed = 0; seed < EXPERIMENTS; seed++) {
        const struct pp_interval *whole = &explanation.whole.at95;

        (void)explain_noisy(&usual, &sleeping, 0.02, seed);
        for (unsigned i = 0; i < explanation.part_count; i++) {
            const struct pp_shift *shift = &explanation.parts[i].shift;
            const double truth = planted(&usual, explanation.parts[i].part);

            held[i] += shift->at95.low <= truth && truth <= shift->at95.high;
        }
        added_up += whole->low <= explanation.sum && explanation.sum <= whole->high;
    }
    for (unsigned i = 0; i < explanation.part_count; i++)
        if (held[i] < EXPERIMENTS * 0.9)
            fail_msg("%s: held %u times", pp_parts[explanation.parts[i].part].name, held[i]);
    assert_true(added_up > EXPERIMENTS * 0.9);
}

static void test_a_round_with_a_run_that_is_missing_does_not_count(void **state)
{
    struct pp_explanation_design design;

    (void)state;
    design = explain(&usual, &yielding);
    for (size_t i = 0; i < trial_count; i++) {
        struct pp_trial *trial = &trials[i];

        trial->missing = (trial->round == 3 && trial->candidate == OTHERS + 2) ||
                         (trial->round == 5 && trial->candidate == 2);
        if (trial->round == 4 && trial->candidate == 0)
            trial->level = PP_INVALID;
    }
    assert_int_equal(pp_explanation_of(&design, OTHERS, trials, trial_count, &explanation), 0);
    assert_int_equal(explanation.rounds, ROUNDS - 1);
    assert_int_equal(explanation.others[0].n, ROUNDS - 1);
    assert_int_equal(explanation.others[1].n, ROUNDS - 2);
    assert_int_equal(explanation.trials, ROUNDS * (1 + OTHERS));
    assert_int_equal(explanation.invalid, 1);
}

static void test_without_a_round_nothing_is_known(void **state)
{
    const struct pp_explanation_design design = pp_explanation_design_of(&yielding);

    (void)state;
    assert_int_equal(pp_explanation_of(&design, OTHERS, trials, 0, &explanation), 0);
    assert_int_equal(explanation.rounds, 0);
    assert_true(isnan(explanation.whole.estimate) && isnan(explanation.sum));
    assert_int_equal(explanation.advice_count, 0);
}

static void test_advice_is_what_surely_saves_most_and_then_less(void **state)
{
    struct machine slow = usual;

    (void)state;
    (void)explain(&usual, &sleeping);
    assert_int_equal(explanation.advice_count, 3);
    assert_int_equal(explanation.advice[0].part, PP_PART_WAKING);
    assert_int_equal(explanation.advice[1].part, PP_PART_TCP);
    assert_true(explanation.advice[2].measured);
    assert_int_equal(explanation.advice[2].other, 1);
    assert_near(explanation.advice[2].saves.estimate, usual.faster, 1e-6);
    (void)explain(&usual, &loaded); /* of which no part by itself is known to be saved */
    assert_int_equal(explanation.advice_count, 1);
    assert_true(explanation.advice[0].measured);
    slow.faster = -5; /* and the first of the others is 10 ns slower: nothing is saved */
    slow.tcp = 20;    /* of some 10,000 */
    (void)explain(&slow, &yielding);
    assert_int_equal(explanation.advice_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parts_of_each_design_are_the_program_and_nothing_else),
        cmocka_unit_test(test_each_part_is_found_again_and_they_add_up),
        cmocka_unit_test(test_which_parts_there_are_follows_from_how_it_runs),
        cmocka_unit_test(test_a_part_moves_with_its_cause_and_no_other),
        cmocka_unit_test(test_intervals_hold_the_truth_where_runs_are_noisy),
        cmocka_unit_test(test_a_round_with_a_run_that_is_missing_does_not_count),
        cmocka_unit_test(test_without_a_round_nothing_is_known),
        cmocka_unit_test(test_advice_is_what_surely_saves_most_and_then_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
