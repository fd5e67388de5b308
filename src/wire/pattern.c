#include "wire/pattern.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/random.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define TEXT_MAX 65536u
#define SEED UINT64_C(0x70696e67706f6e67)

/* Primes. Their product needs 48 bits, so no size but 0 is divisible by all of them. */
static const uint32_t periods[] = { 65521, 65519, 65537 };

_Static_assert(PP_PATTERN_RANDOM_PERIOD_MIN == 65519, "the least of them");

static int allocate(struct pp_pattern *pattern, uint32_t period, struct pp_error *err)
{
    char *bytes = pp_memory_alloc((size_t)period + PP_PATTERN_PIECE, 1);

    if (!bytes)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM,
                            "not enough memory for what messages are made of");
    *pattern = (struct pp_pattern){ .bytes = bytes, .period = period };
    return 0;
}

/* What is there is copied behind itself, which doubles it each time. */
static void repeat(const struct pp_pattern *pattern)
{
    const size_t all = pp_pattern_bytes(pattern);

    for (size_t done = pattern->period; done < all; done *= 2)
        memcpy(pattern->bytes + done, pattern->bytes, done < all - done ? done : all - done);
}

int pp_pattern_open(struct pp_pattern *pattern, const char *text, uint32_t bytes,
                    struct pp_error *err)
{
    int ret;

    pp_assert(bytes >= 1 && bytes <= TEXT_MAX);
    ret = allocate(pattern, bytes, err);
    if (ret < 0)
        return ret;
    memcpy(pattern->bytes, text, bytes);
    repeat(pattern);
    return 0;
}

static uint32_t period_for(uint32_t size)
{
    size_t i = 0;

    while (i + 1 < sizeof periods / sizeof *periods && size % periods[i] == 0)
        i++;
    return periods[i];
}

/* Byte by byte, so that it is the same on machines of either byte order. */
int pp_pattern_open_random(struct pp_pattern *pattern, uint32_t size, struct pp_error *err)
{
    struct pp_random random = { .state = SEED };
    const int ret = allocate(pattern, period_for(size), err);

    if (ret < 0)
        return ret;
    for (uint32_t i = 0; i < pattern->period; i++)
        pattern->bytes[i] = (char)(pp_random_next(&random) >> 56);
    repeat(pattern);
    return 0;
}

void pp_pattern_close(struct pp_pattern *pattern)
{
    pp_memory_free(pattern->bytes);
    *pattern = (struct pp_pattern){ 0 };
}

static uint32_t first_difference(const char *a, const char *b, uint32_t len)
{
    uint32_t i = 0;

    while (i < len && a[i] == b[i])
        i++;
    return i;
}

uint32_t pp_pattern_match(const struct pp_pattern *pattern, uint32_t at, const char *data,
                          uint32_t len)
{
    pp_assert(at < pattern->period && len <= PP_PATTERN_PIECE);
    if (memcmp(pattern->bytes + at, data, len) == 0)
        return len;
    return first_difference(pattern->bytes + at, data, len);
}

/* The stream ended with seen bytes of text, and then came c: how many bytes of text does it end
 * with now? The candidates are tried from the longest one on. Each that fails makes the result one
 * less, and a byte makes it one more at most: over a stream, at most two are tried a byte. */
static uint32_t seen_after(const char *text, uint32_t seen, char c)
{
    for (uint32_t lost = 0; lost <= seen; lost++) {
        const uint32_t kept = seen - lost;

        if (text[kept] == c && memcmp(text, text + lost, kept) == 0)
            return kept + 1;
    }
    return 0;
}

uint32_t pp_pattern_find(const char *text, uint32_t bytes, uint32_t *seen, const char *data,
                         uint32_t len)
{
    const char *at = data;
    const char *const end = data + len;

    pp_assert(*seen < bytes);
    while (at < end) {
        if (*seen == 0)
            at = memchr(at, text[0], (size_t)(end - at));
        if (!at)
            return 0;
        *seen = seen_after(text, *seen, *at);
        at++;
        if (*seen == bytes) {
            *seen = 0;
            return (uint32_t)(at - data);
        }
    }
    return 0;
}
