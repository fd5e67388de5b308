/* Sizes of messages: one size, or a distribution that sizes are drawn from. The same seed gives the
 * same sequence on both ends of a connection. */
#ifndef PP_WIRE_SIZES_H
#define PP_WIRE_SIZES_H

#include "base/error.h"
#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_SIZES_BYTES_MAX (UINT32_C(64) << 20)
#define PP_SIZES_RANGES_MAX 64
#define PP_SIZES_TEXT_BYTES 1792 /* enough for any */

/* Sizes from low to high, all as likely as each other. */
struct pp_sizes_range {
    uint32_t low, high;
    uint32_t weight_to; /* the weights of the ranges up to and including this one, summed up */
};

struct pp_sizes {
    uint32_t count;
    uint32_t min, max; /* of all ranges */
    struct pp_sizes_range ranges[PP_SIZES_RANGES_MAX];
};

struct pp_sizes pp_sizes_of(uint32_t bytes);

/* "64", "1k" (1,000), "4KiB" (4,096), "uniform:64-1400" or "file:PATH": a line "SIZE [WEIGHT]" or
 * "LOW-HIGH [WEIGHT]" each, # begins a comment, WEIGHT is a whole number above 0, 1 when left out.
 * Every size is 1 B to 64 MiB. 0; -EINVAL or -ERANGE: text is not such a thing, and err is
 * untouched; any other: the file is at fault, and err says how (kind PP_ERROR_USAGE). */
int pp_sizes_parse(struct pp_sizes *sizes, const char *text, struct pp_error *err);

/* What both programs and people can read: "64", "64-1400", or several ranges with their weights
 * as "64-1400*3,9000*1". Returns text. */
const char *pp_sizes_format(const struct pp_sizes *sizes, char text[PP_SIZES_TEXT_BYTES]);

/* Reads what pp_sizes_format() wrote, on another machine perhaps: 0, or -EINVAL for anything that
 * it would not have written. */
int pp_sizes_read(struct pp_sizes *sizes, const char *text);

bool pp_sizes_equal(const struct pp_sizes *a, const struct pp_sizes *b);

/* Draws from several ranges, or from one with more than one size. */
uint32_t pp_sizes_draw(const struct pp_sizes *sizes, struct pp_random *random);

/* The next size. Free of cost where there is only one. */
static inline uint32_t pp_sizes_next(const struct pp_sizes *sizes, struct pp_random *random)
{
    return sizes->min == sizes->max ? sizes->min : pp_sizes_draw(sizes, random);
}

/* The mean of the distribution, in bytes. */
double pp_sizes_mean(const struct pp_sizes *sizes);

#endif
