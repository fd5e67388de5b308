/* Numbers: as people type them, where every function reads the whole of text or refuses it, and
 * leaves *out alone when it refuses; and sums that are made in several places. */
#ifndef PP_BASE_NUMBER_H
#define PP_BASE_NUMBER_H

#include <stdint.h>

/* A whole number with an optional decimal part and an optional suffix k, M or G (powers of 1,000):
 * "500000", "500k", "1.5M". Whole after the suffix is applied, so "1.5" is refused.
 * 0; -EINVAL: not such a number; -ERANGE: below min or above max. */
int pp_number_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* A number of bytes: a number as above with B, k or kB, M or MB, G or GB (powers of 1,000), or K or
 * KiB, MiB, GiB (powers of 1,024): "64", "1k", "4KiB", "1.5MiB". Same errors. */
int pp_number_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* A duration in nanoseconds: a number as above with the unit ns, us or µs, ms, s or m; without a
 * unit it is in units of bare_unit_ns. Fractions of a nanosecond are refused. Same errors. */
int pp_number_parse_duration(const char *text, uint64_t bare_unit_ns, uint64_t min_ns,
                             uint64_t max_ns, uint64_t *out_ns);

/* So many a second: a decimal above 0 with an optional suffix k, M or G: "50k", "1.5M", "0.5". At
 * most 19 decimal places are read, not counting zeros at the end. Same errors. */
int pp_number_parse_rate(const char *text, double min, double max, double *out);

/* The least power of two that is not less than n: 1 for 0. n is 2^63 at most. */
static inline uint64_t pp_number_power_of_two(uint64_t n)
{
    return n <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(n - 1));
}

/* How many a second, where there were count in ns nanoseconds; 0 in no time at all. */
static inline double pp_number_per_s(uint64_t count, uint64_t ns)
{
    return ns ? (double)count * 1e9 / (double)ns : 0;
}

#endif
