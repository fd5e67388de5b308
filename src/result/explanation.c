/* What parts are called, which runs they are differences of, and what trials make of them: a shift
 * for each, and advice. */
#include "result/explanation.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* What would save less than this share of the whole is no advice. */
#define SAVES_LEAST 0.02

const struct pp_part_about pp_parts[PP_PARTS] = {
    [PP_PART_CALLS] = { "system_calls", "4 system calls", NULL },
    [PP_PART_SOCKETS] = { "sockets", "sockets", NULL },
    [PP_PART_TCP] = { "tcp", "TCP/IP", "a Unix socket in place of TCP (-H unix:PATH)" },
    [PP_PART_UDP] = { "udp", "UDP/IP", "a Unix socket in place of UDP (-H unix:PATH)" },
    [PP_PART_SWITCHES] = { "task_switches", "task switches", NULL },
    [PP_PART_CROSSING] = { "crossing", "crossing CPUs", NULL },
    [PP_PART_YIELDING] = { "yielding", "yielding", NULL },
    [PP_PART_WAKING] = { "waking", "waking an idle CPU",
                         "idle CPUs that do not sleep (cpupower idle-set -D 0, or idle=poll at "
                         "boot)" },
    [PP_PART_SCHEDULER] = { "scheduler", "two threads, not pinned", NULL },
    [PP_PART_ENGINE] = { "engine", "event loop, engine", NULL },
    [PP_PART_MEASURING] = { "measuring", "measuring", NULL },
    [PP_PART_LOAD] = { "load", "waiting for others", NULL },
};

const char *const pp_explained_titles[PP_EXPLAINED_RUNS] = {
    [PP_EXPLAINED_PROGRAM] = "the program",
    [PP_EXPLAINED_ALONE] = "the program, one message",
    [PP_EXPLAINED_CALLS] = "4 system calls in vain",
    [PP_EXPLAINED_MEASURING] = "measured or not, in turns",
    [PP_EXPLAINED_UNIX] = "one thread, Unix socket",
    [PP_EXPLAINED_ONE] = "one thread, as asked",
    [PP_EXPLAINED_SAME_BLOCK] = "two threads, one CPU",
    [PP_EXPLAINED_SPLIT_SPIN] = "two threads, spinning",
    [PP_EXPLAINED_AS_ASKED] = "two threads, as asked",
};

/* ---- the design ---- */

/* The part is that run. */
static void add_run(struct pp_explanation_design *design, enum pp_part part,
                    enum pp_explained_run run)
{
    pp_assert(design->part_count < PP_PARTS);
    design->parts[design->part_count].part = part;
    design->parts[design->part_count].weights[run] = 1;
    design->part_count++;
}

/* The last part is less by what stands in a part of its own. */
static void weigh(struct pp_explanation_design *design, enum pp_explained_run run, int weight)
{
    design->parts[design->part_count - 1].weights[run] += weight;
}

/* The part is by how much the one takes longer than the other. */
static void add(struct pp_explanation_design *design, enum pp_part part, enum pp_explained_run with,
                enum pp_explained_run without)
{
    add_run(design, part, with);
    weigh(design, without, -1);
}

/* From one thread to two, on a CPU each. */
static void add_split(struct pp_explanation_design *design, enum pp_io_wait wait,
                      enum pp_explained_run one)
{
    switch (wait) {
    case PP_IO_WAIT_SPIN:
        add(design, PP_PART_CROSSING, PP_EXPLAINED_AS_ASKED, one);
        break;
    case PP_IO_WAIT_YIELD:
        add(design, PP_PART_CROSSING, PP_EXPLAINED_SPLIT_SPIN, one);
        add(design, PP_PART_YIELDING, PP_EXPLAINED_AS_ASKED, PP_EXPLAINED_SPLIT_SPIN);
        break;
    case PP_IO_WAIT_BLOCK:
        add(design, PP_PART_SWITCHES, PP_EXPLAINED_SAME_BLOCK, one);
        add(design, PP_PART_CROSSING, PP_EXPLAINED_SPLIT_SPIN, one);
        add(design, PP_PART_WAKING, PP_EXPLAINED_AS_ASKED, PP_EXPLAINED_SPLIT_SPIN);
        weigh(design, PP_EXPLAINED_SAME_BLOCK, -1);
        weigh(design, one, 1);
        break;
    }
}

static void add_threads(struct pp_explanation_design *design,
                        const struct pp_explained_setup *setup, enum pp_explained_run one)
{
    switch (setup->place) {
    case PP_EXPLAINED_SAME:
        add(design, PP_PART_SWITCHES, PP_EXPLAINED_AS_ASKED, one);
        break;
    case PP_EXPLAINED_SPLIT:
        add_split(design, setup->wait, one);
        break;
    case PP_EXPLAINED_ANYWHERE:
        add(design, PP_PART_SCHEDULER, PP_EXPLAINED_AS_ASKED, one);
        break;
    }
}

/* From a Unix socket to what was asked for; the run of one thread that has it. */
static enum pp_explained_run add_transport(struct pp_explanation_design *design,
                                           enum pp_explained_transport transport)
{
    switch (transport) {
    case PP_EXPLAINED_OVER_TCP:
        add(design, PP_PART_TCP, PP_EXPLAINED_ONE, PP_EXPLAINED_UNIX);
        return PP_EXPLAINED_ONE;
    case PP_EXPLAINED_OVER_UDP:
        add(design, PP_PART_UDP, PP_EXPLAINED_ONE, PP_EXPLAINED_UNIX);
        return PP_EXPLAINED_ONE;
    case PP_EXPLAINED_OVER_UNIX:
        break;
    }
    return PP_EXPLAINED_UNIX;
}

struct pp_explanation_design pp_explanation_design_of(const struct pp_explained_setup *setup)
{
    const enum pp_explained_run alone = setup->loaded ? PP_EXPLAINED_ALONE : PP_EXPLAINED_PROGRAM;
    struct pp_explanation_design design = { .part_count = 0 };

    add_run(&design, PP_PART_CALLS, PP_EXPLAINED_CALLS);
    add(&design, PP_PART_SOCKETS, PP_EXPLAINED_UNIX, PP_EXPLAINED_CALLS);
    weigh(&design, PP_EXPLAINED_MEASURING, -1);
    add_threads(&design, setup, add_transport(&design, setup->transport));
    add(&design, PP_PART_ENGINE, alone, PP_EXPLAINED_AS_ASKED);
    add_run(&design, PP_PART_MEASURING, PP_EXPLAINED_MEASURING);
    if (setup->loaded)
        add(&design, PP_PART_LOAD, PP_EXPLAINED_PROGRAM, PP_EXPLAINED_ALONE);
    for (unsigned i = 0; i < design.part_count; i++)
        for (unsigned j = 0; j < PP_EXPLAINED_RUNS; j++)
            design.needs[j] |= design.parts[i].weights[j] != 0;
    return design;
}

unsigned pp_explained_candidate(const struct pp_explanation_design *design, unsigned others,
                                enum pp_explained_run run)
{
    unsigned candidate = others;

    pp_assert(design->needs[run]);
    if (run == PP_EXPLAINED_PROGRAM)
        return 0;
    for (unsigned i = PP_EXPLAINED_PROGRAM + 1; i <= run; i++)
        candidate += design->needs[i];
    return candidate;
}

/* ---- rounds ---- */

/* What was measured, a round after the other. */
struct rounds {
    unsigned count;
    double (*runs)[PP_EXPLAINED_RUNS];
    double (*others)[PP_EXPLAINED_OTHERS_MAX];
    double *scratch;
};

static int open_rounds(struct rounds *rounds)
{
    rounds->count = 0;
    rounds->runs = pp_memory_alloc(PP_ROUNDS_MAX, sizeof *rounds->runs);
    rounds->others = pp_memory_alloc(PP_ROUNDS_MAX, sizeof *rounds->others);
    rounds->scratch = pp_memory_alloc(PP_ROUNDS_MAX, sizeof *rounds->scratch);
    return rounds->runs && rounds->others && rounds->scratch ? 0 : -ENOMEM;
}

static void close_rounds(struct rounds *rounds)
{
    pp_memory_free(rounds->runs);
    pp_memory_free(rounds->others);
    pp_memory_free(rounds->scratch);
}

/* Of that round's trial of the candidate; NAN: there is none. */
static double p50_of(const struct pp_trial *trials, size_t count, unsigned round,
                     unsigned candidate)
{
    for (size_t i = 0; i < count; i++)
        if (trials[i].round == round && trials[i].candidate == candidate)
            return trials[i].missing ? NAN : trials[i].figures[PP_METRIC_P50];
    return NAN;
}

/* If none of its runs is missing. */
static void take_round(struct rounds *rounds, const struct pp_explanation_design *design,
                       unsigned others, const struct pp_trial *trials, size_t count, unsigned round)
{
    double *runs = rounds->runs[rounds->count];
    bool whole = true;

    for (unsigned i = 0; i < PP_EXPLAINED_RUNS; i++)
        if (design->needs[i]) {
            const unsigned candidate = pp_explained_candidate(design, others,
                                                              (enum pp_explained_run)i);

            runs[i] = p50_of(trials, count, round, candidate);
            whole &= isfinite(runs[i]) != 0;
        }
    for (unsigned i = 0; i < others; i++)
        rounds->others[rounds->count][i] = p50_of(trials, count, round, 1 + i);
    rounds->count += whole;
}

/* ---- shifts ---- */

static int part_of(struct rounds *rounds, const int *weights, struct pp_shift *shift)
{
    for (unsigned i = 0; i < rounds->count; i++) {
        rounds->scratch[i] = 0;
        for (unsigned j = 0; j < PP_EXPLAINED_RUNS; j++)
            if (weights[j] != 0)
                rounds->scratch[i] += weights[j] * rounds->runs[i][j];
    }
    return pp_shift_of(rounds->scratch, rounds->count, shift);
}

static int other_of(struct rounds *rounds, unsigned other, struct pp_shift *shift)
{
    unsigned known = 0;

    for (unsigned i = 0; i < rounds->count; i++) {
        const double longer = rounds->others[i][other] - rounds->runs[i][PP_EXPLAINED_PROGRAM];

        if (isfinite(longer))
            rounds->scratch[known++] = longer;
    }
    return pp_shift_of(rounds->scratch, known, shift);
}

static double median_of_run(struct rounds *rounds, unsigned run)
{
    for (unsigned i = 0; i < rounds->count; i++)
        rounds->scratch[i] = rounds->runs[i][run];
    return pp_stat_median(rounds->scratch, rounds->count);
}

static int fill_shifts(struct pp_explanation *out, const struct pp_explanation_design *design,
                       struct rounds *rounds)
{
    static const int program[PP_EXPLAINED_RUNS] = { [PP_EXPLAINED_PROGRAM] = 1 };
    int ret = part_of(rounds, program, &out->whole);

    out->rounds = rounds->count;
    out->part_count = design->part_count;
    for (unsigned i = 0; ret == 0 && i < design->part_count; i++) {
        out->parts[i].part = design->parts[i].part;
        ret = part_of(rounds, design->parts[i].weights, &out->parts[i].shift);
        out->sum += out->parts[i].shift.estimate;
    }
    for (unsigned i = 0; ret == 0 && i < out->other_count; i++)
        ret = other_of(rounds, i, &out->others[i]);
    for (unsigned i = 0; i < PP_EXPLAINED_RUNS; i++)
        out->runs[i] = design->needs[i] ? median_of_run(rounds, i) : NAN;
    return ret;
}

/* ---- advice ---- */

static struct pp_shift negated(const struct pp_shift *shift)
{
    return (struct pp_shift){ .n = shift->n,
                              .estimate = -shift->estimate,
                              .at95 = { -shift->at95.high, -shift->at95.low } };
}

/* If it is sure and worth it. */
static void advise(struct pp_explanation *out, struct pp_advice advice)
{
    if (advice.saves.at95.low > 0 && advice.saves.estimate >= SAVES_LEAST * out->whole.estimate)
        out->advice[out->advice_count++] = advice;
}

static int compare_advice(const void *a, const void *b)
{
    const struct pp_advice *x = a, *y = b;

    return (x->saves.estimate < y->saves.estimate) - (x->saves.estimate > y->saves.estimate);
}

/* What a part would save is known of one message at a time: under load others take its place. */
static void fill_advice(struct pp_explanation *out, bool loaded)
{
    for (unsigned i = 0; i < out->other_count; i++)
        advise(out, (struct pp_advice){
                        .measured = true, .other = i, .saves = negated(&out->others[i]) });
    for (unsigned i = 0; !loaded && i < out->part_count; i++)
        if (pp_parts[out->parts[i].part].cure)
            advise(out,
                   (struct pp_advice){ .part = out->parts[i].part, .saves = out->parts[i].shift });
    qsort(out->advice, out->advice_count, sizeof out->advice[0], compare_advice);
}

/* ---- all of it ---- */

static void count_trials(struct pp_explanation *out, const struct pp_trial *trials, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const bool is_program = trials[i].candidate <= out->other_count;

        out->trials += is_program;
        out->invalid += is_program && trials[i].level == PP_INVALID;
    }
}

int pp_explanation_of(const struct pp_explanation_design *design, unsigned others,
                      const struct pp_trial *trials, size_t count,
                      struct pp_explanation *explanation)
{
    struct rounds rounds;
    unsigned last = 0;
    int ret = open_rounds(&rounds);

    pp_assert(others <= PP_EXPLAINED_OTHERS_MAX);
    *explanation = (struct pp_explanation){ .other_count = others };
    for (size_t i = 0; i < count; i++)
        last = trials[i].round > last ? trials[i].round : last;
    pp_assert(last < PP_ROUNDS_MAX);
    for (unsigned i = 0; ret == 0 && count > 0 && i <= last; i++)
        take_round(&rounds, design, others, trials, count, i);
    if (ret == 0)
        ret = fill_shifts(explanation, design, &rounds);
    if (ret == 0)
        fill_advice(explanation, design->needs[PP_EXPLAINED_ALONE]);
    count_trials(explanation, trials, count);
    close_rounds(&rounds);
    return ret;
}
