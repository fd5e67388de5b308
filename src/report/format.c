#include "report/format.h"

#include <inttypes.h>
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
