/* Random numbers that a seed repeats: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014,
 * doi 10.1145/2660193.2660195). Not for secrets. */
#ifndef PP_BASE_RANDOM_H
#define PP_BASE_RANDOM_H

#include <stdint.h>

struct pp_random {
    uint64_t state; /* the seed, to begin with */
};

/* 64 bits, all as likely as each other. About 1 ns. */
static inline uint64_t pp_random_next(struct pp_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 to bound - 1; by multiplication (Lemire, doi 10.1145/3230636), off by less than
 * bound / 2^32. */
static inline uint32_t pp_random_below(struct pp_random *random, uint32_t bound)
{
    return (uint32_t)((pp_random_next(random) >> 32) * bound >> 32);
}

/* Above 0, up to 1. */
static inline double pp_random_unit(struct pp_random *random)
{
    return (double)((pp_random_next(random) >> 11) + 1) * 0x1p-53;
}

#endif
