#include "base/memory.h"

#include "base/assert.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/* Every area starts on a cache line and is preceded by one that holds its size. */
#define HEADER_BYTES 64

/* From here on pages come straight from the kernel: zero already, and untouched until used. */
#define MAP_FROM_BYTES ((size_t)128 * 1024)

static atomic_bool memory_sealed;

void *pp_memory_alloc(size_t count, size_t size)
{
    size_t bytes;
    char *area;

    pp_assert(!atomic_load(&memory_sealed));
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, HEADER_BYTES + HEADER_BYTES - 1, &bytes))
        return NULL;
    bytes &= ~(size_t)(HEADER_BYTES - 1);
    if (bytes >= MAP_FROM_BYTES) {
        area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
            return NULL;
    } else {
        area = aligned_alloc(HEADER_BYTES, bytes);
        if (!area)
            return NULL;
        memset(area, 0, bytes);
    }
    memcpy(area, &bytes, sizeof bytes);
    return area + HEADER_BYTES;
}

void pp_memory_free(void *memory)
{
    char *area;
    size_t bytes;

    if (!memory)
        return;
    area = (char *)memory - HEADER_BYTES;
    memcpy(&bytes, area, sizeof bytes);
    if (bytes >= MAP_FROM_BYTES)
        pp_assert(munmap(area, bytes) == 0);
    else
        free(area);
}

void pp_memory_seal(bool sealed)
{
    atomic_store(&memory_sealed, sealed);
}
