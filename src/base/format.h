/* Numbers as text for people. Each function fills text and returns it. */
#ifndef PP_BASE_FORMAT_H
#define PP_BASE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define PP_FORMAT_BYTES 48

/* 1234567 -> "1,234,567" */
const char *pp_format_count(char text[PP_FORMAT_BYTES], uint64_t value);

/* 1234567.891, 2 -> "1,234,567.89" */
const char *pp_format_decimal(char text[PP_FORMAT_BYTES], double value, unsigned decimals);

/* Nanoseconds as microseconds with three significant digits: 3412 -> "3.41", 412345 -> "412". */
const char *pp_format_us(char text[PP_FORMAT_BYTES], double ns);

/* A quantile as a percentile, with all digits it was typed with, up to 15: 0.99999 -> "99.999". */
const char *pp_format_percentile(char text[PP_FORMAT_BYTES], double q);

/* The first few bytes of data in hexadecimal digits: "50 49 4e 47". */
#define PP_FORMAT_HEX_BYTES (3 * 8 + 1)
const char *pp_format_hex(char text[PP_FORMAT_HEX_BYTES], const char *data, size_t bytes);

/* How many bytes the UTF-8 character at the beginning of text has, 1 to 4; 0 if there is none, but
 * some other byte. text must not be empty. */
size_t pp_format_character(const char *text);

/* Copies as much of text as fits into bytes, with what is no UTF-8 as question marks. */
const char *pp_format_utf8(char *out, size_t bytes, const char *text);

/* The same for a line that people read: control characters are question marks, too. */
const char *pp_format_line(char *out, size_t bytes, const char *text);

#endif
