#include "base/escape.h"

#include "base/assert.h"
#include "base/container.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The longest form of a byte, with a zero: "\x00". */
#define SHOWN_BYTES 5

struct letter {
    char letter;
    char byte;
};

/* Those that are written too come first. */
static const struct letter letters[] = {
    { 'r', '\r' }, { 'n', '\n' }, { 't', '\t' }, { '\\', '\\' }, { '"', '"' },   { 'a', '\a' },
    { 'b', '\b' }, { 'e', 27 },   { 'f', '\f' }, { 'v', '\v' },  { '\'', '\'' }, { '?', '?' },
};

#define WRITTEN 5

/* -1 if c is not a digit in that base, 8 or 16. */
static int digit_value(char c, int base)
{
    int value = -1;

    if (c >= '0' && c <= '9')
        value = c - '0';
    else if (c >= 'a' && c <= 'f')
        value = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
        value = c - 'A' + 10;
    return value < base ? value : -1;
}

/* Returns what stands behind up to digits_max digits, or NULL if there are none, or too much. */
static const char *decode_number(const char *text, int base, int digits_max, char *byte)
{
    int value = 0;
    int digits = 0;

    while (digits < digits_max && digit_value(text[digits], base) >= 0)
        value = value * base + digit_value(text[digits++], base);
    if (digits == 0 || value > UINT8_MAX)
        return NULL;
    *byte = (char)value;
    return text + digits;
}

/* text is what follows the backslash. Returns what stands behind the escape, or NULL. */
static const char *decode_escape(const char *text, char *byte)
{
    if (*text == 'x')
        return decode_number(text + 1, 16, 2, byte);
    for (size_t i = 0; i < COUNT_OF(letters); i++) {
        if (*text == letters[i].letter) {
            *byte = letters[i].byte;
            return text + 1;
        }
    }
    return decode_number(text, 8, 3, byte);
}

/* Reads on where it is full, as bad syntax is told first. */
int pp_escape_decode(const char *text, char *out, uint32_t capacity, uint32_t *bytes)
{
    uint64_t used = 0;

    while (*text) {
        char byte = *text++;

        if (byte == '\\')
            text = decode_escape(text, &byte);
        if (!text)
            return -EINVAL;
        if (used < capacity)
            out[used] = byte;
        used++;
    }
    if (used > capacity)
        return -E2BIG;
    *bytes = (uint32_t)used;
    return 0;
}

/* Returns the length. */
static uint32_t show(char out[SHOWN_BYTES], char byte)
{
    const char *format = byte >= ' ' && byte <= '~' ? "%c" : "\\x%02x";
    int value = (unsigned char)byte;

    for (size_t i = 0; i < WRITTEN; i++) {
        if (byte == letters[i].byte) {
            format = "\\%c";
            value = (unsigned char)letters[i].letter;
        }
    }
    return (uint32_t)snprintf(out, SHOWN_BYTES, format, value);
}

const char *pp_escape_encode(char *out, uint32_t capacity, const char *data, uint32_t bytes)
{
    uint32_t used = 0;
    uint32_t cut = 0; /* the last place that leaves room for the dots */

    pp_assert(capacity >= sizeof "...");
    for (uint32_t i = 0; i < bytes; i++) {
        char shown[SHOWN_BYTES];
        const uint32_t length = show(shown, data[i]);

        if (length >= capacity - used) {
            memcpy(out + cut, "...", sizeof "...");
            return out;
        }
        memcpy(out + used, shown, length);
        used += length;
        if (capacity - used >= sizeof "...")
            cut = used;
    }
    out[used] = '\0';
    return out;
}
