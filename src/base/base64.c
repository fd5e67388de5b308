#include "base/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Four digits for 1 to 3 bytes; those that would hold no bit of them become '='. */
static void encode_group(char text[4], const uint8_t *bytes, size_t count)
{
    uint32_t bits = (uint32_t)bytes[0] << 16;

    if (count > 1)
        bits |= (uint32_t)bytes[1] << 8;
    if (count > 2)
        bits |= bytes[2];
    for (unsigned i = 0; i < 4; i++)
        text[i] = i <= count ? digits[bits >> (18 - 6 * i) & 63] : '=';
}

size_t pp_base64_encode(char *text, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    size_t length = 0;

    for (size_t i = 0; i < count; i += 3, length += 4)
        encode_group(text + length, from + i, count - i < 3 ? count - i : 3);
    text[length] = '\0';
    return length;
}
