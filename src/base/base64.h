/* Bytes as base64 (RFC 4648, section 4): padded, in one line. */
#ifndef PP_BASE_BASE64_H
#define PP_BASE_BASE64_H

#include <stddef.h>

/* The characters that count bytes become, the NUL that ends them included. */
#define PP_BASE64_BYTES(count) (((count) + 2) / 3 * 4 + 1)

/* Fills text, which has room for PP_BASE64_BYTES(count), and returns its length without the NUL.
 * text and bytes must not overlap. */
size_t pp_base64_encode(char *text, const void *bytes, size_t count);

#endif
