/* What somebody who mistyped a word may have meant. Private to src/cli. */
#ifndef PP_CLI_SUGGEST_H
#define PP_CLI_SUGGEST_H

#include <limits.h>
#include <stddef.h>

/* How many letters must be added, taken away, changed or swapped with the next one to turn one
 * word into the other; UINT_MAX: they are longer than words are. */
unsigned pp_cli_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

/* The nearest of the candidates that were offered. */
struct pp_cli_nearest {
    const char *typed;
    size_t typed_bytes;
    unsigned distance; /* from typed to name */
    const char *name;  /* NULL: none is near enough */
};

/* Only candidates within max are near enough. */
struct pp_cli_nearest pp_cli_nearest_begin(const char *typed, size_t bytes, unsigned max);

/* How much may be wrong in a word of so many letters. */
unsigned pp_cli_nearest_max(size_t bytes);

void pp_cli_nearest_offer(struct pp_cli_nearest *nearest, const char *name);

#endif
