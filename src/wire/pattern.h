/* What messages are made of: a stream of bytes that repeats itself after a period. Messages are cut
 * from it one after the other, so any place in a stream tells which byte must stand there: a byte
 * that was lost, repeated, shifted or sent by somebody else shows. */
#ifndef PP_WIRE_PATTERN_H
#define PP_WIRE_PATTERN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No random pattern has a shorter period. */
#define PP_PATTERN_RANDOM_PERIOD_MIN UINT32_C(65519)

/* So many bytes can be had in one piece, from any place. */
#define PP_PATTERN_PIECE (UINT32_C(256) << 10)

struct pp_pattern {
    char *bytes; /* period + PP_PATTERN_PIECE of them */
    uint32_t period;
};

/* A text of 1 to 65,536 bytes, over and over. 0 or -ENOMEM with err set. */
int pp_pattern_open(struct pp_pattern *pattern, const char *text, uint32_t bytes,
                    struct pp_error *err);

/* Bytes drawn at random (always the same ones) with a period, a prime near 65,536, that does not
 * divide size: a message of size bytes never looks like the one before it. size is 0 for messages
 * of several sizes. The same size gives the same pattern on any machine. */
int pp_pattern_open_random(struct pp_pattern *pattern, uint32_t size, struct pp_error *err);

/* After the last use. Does nothing to a zeroed one. */
void pp_pattern_close(struct pp_pattern *pattern);

/* How many of bytes there are. */
static inline size_t pp_pattern_bytes(const struct pp_pattern *pattern)
{
    return (size_t)pattern->period + PP_PATTERN_PIECE;
}

/* The place n bytes after at; at is below period. */
static inline uint32_t pp_pattern_after(const struct pp_pattern *pattern, uint32_t at, uint32_t n)
{
    const uint64_t sum = (uint64_t)at + n;

    if (sum < pattern->period)
        return (uint32_t)sum;
    return (uint32_t)(sum < 2 * (uint64_t)pattern->period ? sum - pattern->period
                                                          : sum % pattern->period);
}

/* Checks len bytes, at most PP_PATTERN_PIECE, against the pattern from at on. The number of bytes
 * that are right: len, or the place of the first wrong one. */
uint32_t pp_pattern_match(const struct pp_pattern *pattern, uint32_t at, const char *data,
                          uint32_t len);

/* Looks for a text in a stream that comes in pieces. *seen is how much of it the stream ends with
 * so far, 0 to begin with. Returns how many bytes of data belong to the message that it ends, or 0
 * when it is not complete within data; *seen is moved on, and is 0 again after a find. */
uint32_t pp_pattern_find(const char *text, uint32_t bytes, uint32_t *seen, const char *data,
                         uint32_t len);

#endif
