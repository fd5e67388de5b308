/* A treap: a tree that is sorted by deadline and number, and whose parents have a higher rank than
 * their children, where a rank is as good as random, so that it is as flat as one that grew in a
 * random order. An operation has room for two links and 32 bits while it waits for a time: too few
 * for a heap that any of its nodes can be taken out of, which wants to know their parents; here
 * they are found from the root. */
#include "io/timers.h"

#include "base/assert.h"

/* The bits of its address, mixed so that neighbours have nothing in common. */
static uint64_t rank(const struct pp_io_op *op)
{
    uint64_t bits = (uint64_t)(uintptr_t)op;

    bits = (bits ^ bits >> 33) * UINT64_C(0xff51afd7ed558ccd);
    bits = (bits ^ bits >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return bits ^ bits >> 33;
}

static bool comes_before(const struct pp_io_op *a, const struct pp_io_op *b)
{
    return a->deadline_ns < b->deadline_ns ||
           (a->deadline_ns == b->deadline_ns && a->number < b->number);
}

/* Numbers them anew, from first on, in their order; returns the next number. */
static uint32_t renumber(struct pp_io_op *op, uint32_t first)
{
    for (; op; op = op->later) {
        first = renumber(op->sooner, first);
        pp_assert(first < UINT32_MAX);
        op->number = first++;
    }
    return first;
}

/* Parts the tree at *from into those that come before op and those that come after it. */
static void split(struct pp_io_op *from, struct pp_io_op *op)
{
    struct pp_io_op **before = &op->sooner, **after = &op->later;

    while (from) {
        pp_assert(from != op);
        if (comes_before(from, op)) {
            *before = from;
            before = &from->later;
            from = from->later;
        } else {
            *after = from;
            after = &from->sooner;
            from = from->sooner;
        }
    }
    *before = *after = NULL;
}

/* All of the one come before all of the other. */
static void join(struct pp_io_op **at, struct pp_io_op *before, struct pp_io_op *after)
{
    while (before && after) {
        pp_assert(comes_before(before, after));
        if (rank(before) > rank(after)) {
            *at = before;
            at = &before->later;
            before = before->later;
        } else {
            *at = after;
            at = &after->sooner;
            after = after->sooner;
        }
    }
    *at = before ? before : after;
}

void pp_io_timers_add(struct pp_io_timers *timers, struct pp_io_op *op)
{
    struct pp_io_op **at = &timers->root;

    pp_assert(!timers->root == !timers->soonest);
    if (!timers->root)
        timers->numbered = 0;
    else if (timers->numbered == UINT32_MAX)
        timers->numbered = renumber(timers->root, 0);
    op->number = timers->numbered++;
    if (!timers->soonest || op->deadline_ns < timers->soonest->deadline_ns)
        timers->soonest = op;
    while (*at && rank(*at) > rank(op))
        at = comes_before(op, *at) ? &(*at)->sooner : &(*at)->later;
    split(*at, op);
    *at = op;
}

void pp_io_timers_remove(struct pp_io_timers *timers, struct pp_io_op *op)
{
    struct pp_io_op **at = &timers->root;

    pp_assert(timers->soonest && !comes_before(op, timers->soonest));
    while (*at != op)
        at = comes_before(op, *at) ? &(*at)->sooner : &(*at)->later;
    join(at, op->sooner, op->later);
    op->fd = -1;
    if (timers->soonest != op)
        return;
    timers->soonest = timers->root;
    while (timers->soonest && timers->soonest->sooner)
        timers->soonest = timers->soonest->sooner;
}
