#include "measure/sketch.h"

#include "base/assert.h"
#include "measure/hist.h"

#include <assert.h>

static_assert((UINT64_C(15) << (PP_SKETCH_BUCKETS - 1) << PP_SKETCH_UNIT_BITS) > PP_HIST_HIGHEST_NS,
              "the highest value has a bucket");
static_assert((UINT64_C(15) << (PP_SKETCH_BUCKETS - 2) << PP_SKETCH_UNIT_BITS) < PP_HIST_HIGHEST_NS,
              "no doubling is there in vain");
static_assert(sizeof(struct pp_sketch) < 500, "one for each of many thousand connections");

/* Keeps each sample with a probability of one half, as near as whole numbers can: of an odd count
 * the half is rounded up as often as down. */
static void halve(struct pp_sketch *sketch, struct pp_random *random)
{
    for (uint32_t i = 0; i < PP_SKETCH_COUNTS; i++)
        if (sketch->counts[i])
            sketch->counts[i] = (uint16_t)((sketch->counts[i] + (pp_random_next(random) & 1)) / 2);
}

static void count(struct pp_sketch *sketch, struct pp_sketch_recent *recent,
                  struct pp_random *random, uint32_t index)
{
    if (sketch->counts[index] == UINT16_MAX) {
        halve(sketch, random);
        recent->halvings++;
        if (pp_random_next(random) & 1)
            return;
    }
    sketch->counts[index]++;
}

void pp_sketch_flush(struct pp_sketch *sketch, struct pp_sketch_recent *recent,
                     struct pp_random *random)
{
    pp_assert(recent->count <= PP_SKETCH_RECENT && recent->halvings < 64);
    for (unsigned i = 0; i < recent->count; i++)
        if (!recent->halvings || pp_random_next(random) >> (64 - recent->halvings) == 0)
            count(sketch, recent, random, recent->indexes[i]);
    recent->count = 0;
}

void pp_sketch_reset(struct pp_sketch *sketch, struct pp_sketch_recent *recent)
{
    *recent = (struct pp_sketch_recent){ .count = 0 };
    for (uint32_t i = 0; i < PP_SKETCH_COUNTS; i++)
        if (sketch->counts[i])
            sketch->counts[i] = 0;
}

uint64_t pp_sketch_total(const struct pp_sketch *sketch)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < PP_SKETCH_COUNTS; i++)
        total += sketch->counts[i];
    return total;
}

static uint64_t highest_ns(uint32_t index)
{
    const unsigned doublings = index < 2 * PP_SKETCH_HALF ? 0 : index / PP_SKETCH_HALF - 1;
    const uint64_t next = (uint64_t)(index - doublings * PP_SKETCH_HALF + 1) << doublings;

    return (next << PP_SKETCH_UNIT_BITS) - 1;
}

static uint32_t index_of_rank(const struct pp_sketch *sketch, uint64_t rank)
{
    uint64_t seen = 0;

    for (uint32_t i = 0;; i++) {
        pp_assert(i < PP_SKETCH_COUNTS);
        seen += sketch->counts[i];
        if (seen >= rank)
            return i;
    }
}

uint64_t pp_sketch_quantile_ns(const struct pp_sketch *sketch, double q, uint64_t max_ns)
{
    const uint64_t total = pp_sketch_total(sketch);
    uint32_t index;

    if (total == 0)
        return 0;
    index = index_of_rank(sketch, pp_hist_rank(total, q));
    if (index == pp_sketch_index(PP_HIST_HIGHEST_NS) || highest_ns(index) > max_ns)
        return max_ns;
    return highest_ns(index);
}
