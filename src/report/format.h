/* Numbers as text for people. Each function fills text and returns it. */
#ifndef PP_REPORT_FORMAT_H
#define PP_REPORT_FORMAT_H

#include <stdint.h>

#define PP_FORMAT_BYTES 48

/* 1234567 -> "1,234,567" */
const char *pp_format_count(char text[PP_FORMAT_BYTES], uint64_t value);

/* 1234567.891, 2 -> "1,234,567.89" */
const char *pp_format_decimal(char text[PP_FORMAT_BYTES], double value, unsigned decimals);

/* Nanoseconds as microseconds with three significant digits: 3412 -> "3.41", 412345 -> "412". */
const char *pp_format_us(char text[PP_FORMAT_BYTES], double ns);

#endif
