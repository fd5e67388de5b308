/* All memory of the program comes from here, before the measurement starts. While memory is sealed
 * an allocation is a broken promise and ends the program: that is how "nothing is allocated while
 * measuring" is kept true. */
#ifndef PP_BASE_MEMORY_H
#define PP_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* count zeroed items of size bytes, aligned to a cache line; NULL when there is no memory.
 * The caller owns them and gives them back with pp_memory_free(). Large areas take up real memory
 * only where they are touched. */
void *pp_memory_alloc(size_t count, size_t size);
void pp_memory_free(void *memory);

/* Process-wide; threads may be running. */
void pp_memory_seal(bool sealed);

#endif
