/* Numbers as people type them, in integers alone: what is typed is what is taken, to the last
 * digit. strtod() and its relatives would let through signs, blanks, "1e999", "0x10" and "inf". */
#include "base/number.h"

#include "base/assert.h"
#include "base/container.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* 10^19 is the largest power of ten in 64 bits. A fraction of n digits, the last not 0, comes out
 * whole only if its unit is divisible by 2^n or 5^n: a minute, 60 * 10^9 ns, allows 11. */
#define PLACES_MAX 19

__extension__ typedef unsigned __int128 wide;

/* The number whole + fraction / scale, as typed. */
struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale; /* a power of ten */
    bool too_large; /* the whole part does not fit; kept apart, as bad syntax is told first */
};

struct suffix {
    const char *text;
    uint64_t factor;
};

static const struct suffix count_suffixes[] = {
    { "", 1 },
    { "k", 1000 },
    { "M", 1000000 },
    { "G", 1000000000 },
};

/* As for counts, but that K and those with an i are powers of 1,024. */
static const struct suffix size_suffixes[] = {
    { "", 1 },
    { "B", 1 },
    { "k", 1000 },
    { "kB", 1000 },
    { "M", 1000000 },
    { "MB", 1000000 },
    { "G", 1000000000 },
    { "GB", 1000000000 },
    { "K", UINT64_C(1) << 10 },
    { "KiB", UINT64_C(1) << 10 },
    { "MiB", UINT64_C(1) << 20 },
    { "GiB", UINT64_C(1) << 30 },
};

static const struct suffix duration_suffixes[] = {
    { "ns", 1 },
    { "us", 1000 },
    { "\xc2\xb5s", 1000 }, /* U+00B5 MICRO SIGN, what keyboards type */
    { "\xce\xbcs", 1000 }, /* U+03BC GREEK SMALL LETTER MU, what Unicode prefers */
    { "ms", 1000000 },
    { "s", 1000000000 },
    { "m", UINT64_C(60000000000) },
};

static size_t digits_length(const char *text)
{
    size_t length = 0;

    while (isdigit((unsigned char)text[length]))
        length++;
    return length;
}

/* False if the digits do not fit. */
static bool digits_value(const char *digits, size_t length, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (__builtin_mul_overflow(*value, UINT64_C(10), value) ||
            __builtin_add_overflow(*value, (uint64_t)(digits[i] - '0'), value))
            return false;
    }
    return true;
}

/* Trailing zeros say nothing, so any number of them is fine. */
static bool fraction_read(struct decimal *number, const char *digits, size_t length)
{
    while (length > 0 && digits[length - 1] == '0')
        length--;
    if (length > PLACES_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        number->scale *= 10;
    return digits_value(digits, length, &number->fraction);
}

/* Returns what stands behind the number, or NULL if text does not begin with one. */
static const char *decimal_read(struct decimal *number, const char *text)
{
    size_t length = digits_length(text);

    *number = (struct decimal){ .scale = 1 };
    if (length == 0)
        return NULL;
    number->too_large = !digits_value(text, length, &number->whole);
    text += length;
    if (*text != '.')
        return text;
    text++;
    length = digits_length(text);
    if (length == 0 || !fraction_read(number, text, length))
        return NULL;
    return text + length;
}

/* 0 if there is no such suffix. */
static uint64_t suffix_factor(const struct suffix *suffixes, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(suffixes[i].text, text) == 0)
            return suffixes[i].factor;
    }
    return 0;
}

/* number * factor, which has to come out whole and between min and max. */
static int decimal_scale(const struct decimal *number, uint64_t factor, uint64_t min, uint64_t max,
                         uint64_t *out)
{
    const wide part = (wide)number->fraction * factor;
    const wide value = (wide)number->whole * factor + part / number->scale;

    if (part % number->scale != 0)
        return -EINVAL;
    if (number->too_large || value < min || value > max)
        return -ERANGE;
    *out = (uint64_t)value;
    return 0;
}

static int parse(const struct suffix *suffixes, size_t count, const char *text, uint64_t min,
                 uint64_t max, uint64_t *out)
{
    struct decimal number;
    const char *rest = decimal_read(&number, text);
    uint64_t factor;

    pp_assert(min <= max);
    if (!rest)
        return -EINVAL;
    factor = suffix_factor(suffixes, count, rest);
    if (factor == 0)
        return -EINVAL;
    return decimal_scale(&number, factor, min, max, out);
}

int pp_number_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    return parse(count_suffixes, COUNT_OF(count_suffixes), text, min, max, out);
}

int pp_number_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    return parse(size_suffixes, COUNT_OF(size_suffixes), text, min, max, out);
}

int pp_number_parse_duration(const char *text, uint64_t bare_unit_ns, uint64_t min_ns,
                             uint64_t max_ns, uint64_t *out_ns)
{
    struct decimal number;
    const char *rest = decimal_read(&number, text);
    uint64_t factor = bare_unit_ns;

    pp_assert(bare_unit_ns > 0 && min_ns <= max_ns);
    if (!rest)
        return -EINVAL;
    if (*rest)
        factor = suffix_factor(duration_suffixes, COUNT_OF(duration_suffixes), rest);
    if (factor == 0)
        return -EINVAL;
    return decimal_scale(&number, factor, min_ns, max_ns, out_ns);
}

/* Exact where it is whole and up to 2^53, else off by two units in the last place at most. */
static double decimal_rate(const struct decimal *number, uint64_t factor)
{
    const wide part = (wide)number->fraction * factor;
    const wide whole = (wide)number->whole * factor + part / number->scale;

    return (double)whole + (double)(uint64_t)(part % number->scale) / (double)number->scale;
}

int pp_number_parse_rate(const char *text, double min, double max, double *out)
{
    struct decimal number;
    const char *rest = decimal_read(&number, text);
    uint64_t factor;
    double rate;

    pp_assert(min <= max);
    if (!rest)
        return -EINVAL;
    factor = suffix_factor(count_suffixes, COUNT_OF(count_suffixes), rest);
    if (factor == 0)
        return -EINVAL;
    rate = decimal_rate(&number, factor);
    if (number.too_large || rate <= 0 || rate < min || rate > max)
        return -ERANGE;
    *out = rate;
    return 0;
}
