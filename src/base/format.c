#include "base/format.h"

#include <float.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Puts a comma before each group of three digits of the whole part. */
static void group(char text[PP_FORMAT_BYTES])
{
    const size_t whole = strcspn(text, ".");

    for (size_t from_point = 3; from_point < whole; from_point += 3) {
        char *at = text + whole - from_point;

        memmove(at + 1, at, strlen(at) + 1);
        *at = ',';
    }
}

const char *pp_format_count(char text[PP_FORMAT_BYTES], uint64_t value)
{
    (void)snprintf(text, PP_FORMAT_BYTES, "%" PRIu64, value);
    group(text);
    return text;
}

const char *pp_format_decimal(char text[PP_FORMAT_BYTES], double value, unsigned decimals)
{
    /* Half the buffer is left for the commas. */
    (void)snprintf(text, PP_FORMAT_BYTES / 2, "%.*f", (int)decimals, value);
    group(text);
    return text;
}

const char *pp_format_us(char text[PP_FORMAT_BYTES], double ns)
{
    const double us = ns / 1000;

    return pp_format_decimal(text, us, us < 9.995 ? 2 : us < 99.95 ? 1 : 0);
}

/* More digits than these may come of the multiplication. */
const char *pp_format_percentile(char text[PP_FORMAT_BYTES], double q)
{
    (void)snprintf(text, PP_FORMAT_BYTES, "%.*g", DBL_DIG, q * 100);
    return text;
}

const char *pp_format_hex(char text[PP_FORMAT_HEX_BYTES], const char *data, size_t bytes)
{
    text[0] = '\0';
    for (size_t i = 0; i < bytes && 3 * i + 1 < PP_FORMAT_HEX_BYTES; i++)
        (void)snprintf(text + strlen(text), 4, i ? " %02x" : "%02x", (unsigned char)data[i]);
    return text;
}

/* ---- characters ---- */

/* How many bytes a character has that begins so, and the least code that needs as many; 0: none. */
static size_t bytes_after(unsigned char first, uint32_t *code, uint32_t *least)
{
    static const uint32_t leasts[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const size_t bytes = first < 0x80             ? 1
                         : (first & 0xe0) == 0xc0 ? 2
                         : (first & 0xf0) == 0xe0 ? 3
                         : (first & 0xf8) == 0xf0 ? 4
                                                  : 0;

    *code = bytes > 1 ? first & (0x7fu >> bytes) : first;
    *least = leasts[bytes];
    return bytes;
}

/* RFC 3629: no longer than need be, no surrogate, and nothing beyond U+10FFFF. */
size_t pp_format_character(const char *text)
{
    uint32_t code, least;
    const size_t bytes = bytes_after((unsigned char)text[0], &code, &least);

    for (size_t i = 1; i < bytes; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return bytes;
}

static bool is_control(unsigned char c)
{
    return c < ' ' || c == 127;
}

static void copy(char *out, size_t bytes, const char *text, bool keep_controls)
{
    size_t used = 0;

    while (*text) {
        const size_t length = pp_format_character(text);
        const bool keep = length > 0 && (keep_controls || !is_control((unsigned char)*text));

        if (used + (keep ? length : 1) >= bytes)
            break;
        if (keep)
            memcpy(out + used, text, length);
        else
            out[used] = '?';
        used += keep ? length : 1;
        text += length > 0 ? length : 1;
    }
    out[used] = '\0';
}

const char *pp_format_utf8(char *out, size_t bytes, const char *text)
{
    copy(out, bytes, text, true);
    return out;
}

const char *pp_format_line(char *out, size_t bytes, const char *text)
{
    copy(out, bytes, text, false);
    return out;
}
