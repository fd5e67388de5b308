/* Timers by the thousand: their order against a sorted list. All deadlines are long past, so that
 * nothing has to be waited for, and shared by several. */
#include "base/random.h"
#include "io/loop.h"
#include "io/timers.h"
#include "support.h"

#include <stdlib.h>

#define TIMERS 10000
#define DEADLINES 700
#define STEPS 100000

struct timed {
    struct pp_io_op op;
    struct crowd *crowd;
    uint64_t deadline_ns;
    uint32_t arming; /* how many there had been before this one's */
    bool armed;
    int32_t res;
    int calls;
};

struct crowd {
    struct timed timers[TIMERS];
    struct pp_random random;
    uint32_t armings;
    const struct timed *called[TIMERS]; /* in this order */
    size_t calls;
    const struct timed *sorted[TIMERS];
};

static struct crowd *crowd_new(struct fixture *f)
{
    struct crowd *crowd = test_new(f, sizeof *crowd);

    for (size_t i = 0; i < TIMERS; i++)
        crowd->timers[i].crowd = crowd;
    return crowd;
}

static enum pp_io_next on_timed(struct pp_io_op *op)
{
    struct timed *timed = container_of(op, struct timed, op);
    struct crowd *crowd = timed->crowd;

    timed->res = op->res;
    if (timed->calls++ == 0)
        crowd->called[crowd->calls++] = timed;
    return PP_IO_DISARM;
}

static struct timed *any_of(struct crowd *crowd)
{
    return &crowd->timers[pp_random_below(&crowd->random, TIMERS)];
}

static void loop_arm_all(struct pp_io_loop *loop, struct crowd *crowd, uint32_t deadlines)
{
    for (size_t i = 0; i < TIMERS; i++) {
        struct timed *timed = &crowd->timers[i];

        timed->arming = crowd->armings++;
        timed->deadline_ns = 1 + pp_random_below(&crowd->random, deadlines);
        timed->armed = true;
        pp_io_timer(loop, &timed->op, timed->deadline_ns, on_timed);
    }
}

static int compare(const void *a, const void *b)
{
    const struct timed *x = *(const struct timed *const *)a, *y = *(const struct timed *const *)b;

    if (x->deadline_ns != y->deadline_ns)
        return x->deadline_ns < y->deadline_ns ? -1 : 1;
    return x->arming < y->arming ? -1 : 1;
}

/* The armed ones, in the order that they should come in; returns how many. */
static size_t sort(struct crowd *crowd)
{
    size_t count = 0;

    for (size_t i = 0; i < TIMERS; i++)
        if (crowd->timers[i].armed)
            crowd->sorted[count++] = &crowd->timers[i];
    qsort((void *)crowd->sorted, count, sizeof *crowd->sorted, compare);
    return count;
}

/* ---- on a loop --------------------------------------------------------------------------- */

/* Cancels some at random. Those come first, in the order of cancelling; the others, then, in that
 * of deadline and arming. */
static void check_canceled(struct fixture *f, uint32_t deadlines)
{
    struct pp_io_loop *loop = test_loop(f);
    struct crowd *crowd = crowd_new(f);
    const struct timed **canceled = test_new(f, TIMERS * sizeof *canceled);
    size_t gone = 0, left;

    loop_arm_all(loop, crowd, deadlines);
    for (size_t i = 0; i < TIMERS / 2; i++) {
        struct timed *timed = any_of(crowd);

        if (timed->armed)
            canceled[gone++] = timed;
        timed->armed = false;
        pp_io_cancel(loop, &timed->op);
    }
    left = sort(crowd);
    test_run(loop);
    assert_int_equal(gone + left, TIMERS);
    assert_int_equal(crowd->calls, TIMERS);
    for (size_t i = 0; i < gone; i++)
        assert_ptr_equal(crowd->called[i], canceled[i]);
    for (size_t i = 0; i < left; i++)
        assert_ptr_equal(crowd->called[gone + i], crowd->sorted[i]);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(crowd->timers[i].calls, 1);
        assert_int_equal(crowd->timers[i].res, crowd->timers[i].armed ? 0 : -ECANCELED);
    }
}

static void thousands_come_in_order_whichever_are_canceled(void **state)
{
    check_canceled(*state, DEADLINES);
}

static void thousands_with_one_deadline_come_in_the_order_of_arming(void **state)
{
    check_canceled(*state, 1);
}

/* ---- without one ------------------------------------------------------------------------- */

static void arm(struct pp_io_timers *timers, struct timed *timed, uint64_t deadline_ns)
{
    timed->arming = timed->crowd->armings++;
    timed->deadline_ns = timed->op.deadline_ns = deadline_ns;
    timed->armed = true;
    pp_io_timers_add(timers, &timed->op);
}

static void disarm(struct pp_io_timers *timers, struct timed *timed)
{
    timed->armed = false;
    pp_io_timers_remove(timers, &timed->op);
}

/* Takes the soonest, again and again. */
static void assert_sorted(struct pp_io_timers *timers, struct crowd *crowd)
{
    const size_t count = sort(crowd);

    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(timers->soonest, &crowd->sorted[i]->op);
        pp_io_timers_remove(timers, timers->soonest);
    }
    assert_null(timers->soonest);
    assert_null(timers->root);
}

static void those_that_come_and_go_at_random_stay_in_order(void **state)
{
    struct crowd *crowd = crowd_new(*state);
    struct pp_io_timers timers = { 0 };

    for (int i = 0; i < STEPS; i++) {
        struct timed *timed = any_of(crowd);

        if (timed->armed)
            disarm(&timers, timed);
        else
            arm(&timers, timed, pp_random_below(&crowd->random, DEADLINES));
        if (i % 1000 == 0)
            assert_ptr_equal(timers.soonest, sort(crowd) > 0 ? &crowd->sorted[0]->op : NULL);
    }
    assert_sorted(&timers, crowd);
}

static void the_order_of_arming_lasts_when_the_numbers_are_used_up(void **state)
{
    struct crowd *crowd = crowd_new(*state);
    struct pp_io_timers timers = { 0 };

    arm(&timers, &crowd->timers[0], 3);
    timers.numbered = UINT32_MAX - TIMERS / 2;
    for (size_t i = 1; i < TIMERS; i++)
        arm(&timers, &crowd->timers[i], 1 + pp_random_below(&crowd->random, 3));
    assert_in_range(timers.numbered, TIMERS / 2, TIMERS);
    for (size_t i = 0; i < TIMERS; i += 3)
        disarm(&timers, &crowd->timers[i]);
    assert_sorted(&timers, crowd);
}

static int depth_of(const struct timed *timed, const struct pp_io_timers *timers)
{
    const struct pp_io_op *at = timers->root;
    int depth = 0;

    for (; at != &timed->op; depth++)
        at = at->deadline_ns > timed->deadline_ns ? at->sooner : at->later;
    return depth;
}

/* Each of them, however they came: log2 is 13.3, a list would be thousands deep. */
static void none_is_far_from_the_root(void **state)
{
    struct crowd *crowd = crowd_new(*state);

    for (int descending = 0; descending <= 1; descending++) {
        struct pp_io_timers timers = { 0 };

        for (uint64_t i = 0; i < TIMERS; i++)
            arm(&timers, &crowd->timers[i], descending ? TIMERS - i : i);
        for (size_t i = 0; i < TIMERS; i++)
            assert_in_range(depth_of(&crowd->timers[i], &timers), 0, 80);
    }
}

static void one_that_was_removed_has_no_descriptor(void **state)
{
    struct crowd *crowd = crowd_new(*state);
    struct pp_io_timers timers = { 0 };

    for (size_t i = 0; i < 10; i++)
        arm(&timers, &crowd->timers[i], i);
    for (size_t i = 0; i < 10; i++) {
        disarm(&timers, &crowd->timers[i]);
        assert_int_equal(crowd->timers[i].op.fd, -1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(thousands_come_in_order_whichever_are_canceled),
        TEST(thousands_with_one_deadline_come_in_the_order_of_arming),
        TEST(those_that_come_and_go_at_random_stay_in_order),
        TEST(the_order_of_arming_lasts_when_the_numbers_are_used_up),
        TEST(none_is_far_from_the_root),
        TEST(one_that_was_removed_has_no_descriptor),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
