/* A histogram for one connection of many thousands, in less than 500 B: 8 equal buckets a doubling,
 * from 1,024 ns to 60 s; below, buckets are 64 ns wide, and what is above is in the last one.
 * Samples are kept for a while beside what else a message touches, and go on to the buckets several
 * at once: so a message seldom touches these.
 *
 * Once a bucket is full each sample, of those so far and those to come, stays with a probability of
 * one half, and so on: what is left is drawn by chance from all, and still more than 32,767. */
#ifndef PP_MEASURE_SKETCH_H
#define PP_MEASURE_SKETCH_H

#include "base/random.h"
#include "measure/hist.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_SKETCH_UNIT_BITS 6u
#define PP_SKETCH_HALF 8u
#define PP_SKETCH_BUCKETS 27u /* doublings until 60 s fits: 64 * 15 << 26 > 6 * 10^10 */
#define PP_SKETCH_COUNTS ((PP_SKETCH_BUCKETS + 1) * PP_SKETCH_HALF)

/* All zeros: empty. */
struct pp_sketch {
    uint16_t counts[PP_SKETCH_COUNTS];
};

#define PP_SKETCH_RECENT 6u

/* The samples that have not gone on yet. All zeros: none. */
struct pp_sketch_recent {
    uint16_t indexes[PP_SKETCH_RECENT]; /* of their buckets */
    uint8_t count;
    uint8_t halvings; /* a sample stays with a probability of 1 in 2^halvings */
};

/* The index of value_ns's bucket; value_ns must not be above PP_HIST_HIGHEST_NS. */
static inline uint32_t pp_sketch_index(uint64_t value_ns)
{
    const uint64_t units = value_ns >> PP_SKETCH_UNIT_BITS;
    const unsigned doublings = (unsigned)(63 - __builtin_clzll(units | (2 * PP_SKETCH_HALF - 1))) -
                               3u;

    return doublings * PP_SKETCH_HALF + (uint32_t)(units >> doublings);
}

/* Hands on the recent samples, of which there are none then. random draws those that stay. */
void pp_sketch_flush(struct pp_sketch *sketch, struct pp_sketch_recent *recent,
                     struct pp_random *random);

/* One sample. A few ns; never allocates. */
static inline void pp_sketch_record(struct pp_sketch *sketch, struct pp_sketch_recent *recent,
                                    struct pp_random *random, uint64_t value_ns)
{
    recent->indexes[recent->count++] =
        (uint16_t)pp_sketch_index(value_ns <= PP_HIST_HIGHEST_NS ? value_ns : PP_HIST_HIGHEST_NS);
    if (recent->count == PP_SKETCH_RECENT)
        pp_sketch_flush(sketch, recent, random);
}

/* Empties both. Memory that was never touched stays so. */
void pp_sketch_reset(struct pp_sketch *sketch, struct pp_sketch_recent *recent);

/* How many samples it was given, of which those are left that stayed. Recent ones do not count, nor
 * do they in what follows. */
uint64_t pp_sketch_total(const struct pp_sketch *sketch);

/* The value at or below which a share q (0 < q <= 1) of the samples lies: the highest one of the
 * bucket that holds sample number ceil(q * total), never above max_ns, the longest of all: at least
 * that sample, and above it by less than 1/8 of it, or by less than 64 ns, whichever is more. In
 * the last bucket it is max_ns. 0 without samples. */
uint64_t pp_sketch_quantile_ns(const struct pp_sketch *sketch, double q, uint64_t max_ns);

#endif
