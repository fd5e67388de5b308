/* Bytes as people type and read them, with the escapes of C. */
#ifndef PP_BASE_ESCAPE_H
#define PP_BASE_ESCAPE_H

#include <stdint.h>

/* Turns \a \b \e \f \n \r \t \v \\ \' \" \?, \N to \NNN (octal) and \xH or \xHH of text into the
 * bytes that they mean, and leaves all else. Writes no zero at the end, as any byte may be part of
 * the result. 0; -EINVAL: an escape that is unknown, unfinished or above 255; -E2BIG: more than
 * capacity bytes. *bytes is left alone on an error. */
int pp_escape_decode(const char *text, char *out, uint32_t capacity, uint32_t *bytes);

/* The reverse, for showing: printable ASCII as it is, \r \n \t \\ \", any other byte as \xHH. Where
 * it does not fit into capacity, 4 at least, with the zero at its end, it is cut between two bytes
 * and "..." put behind. Returns out. */
const char *pp_escape_encode(char *out, uint32_t capacity, const char *data, uint32_t bytes);

#endif
