/* A pool: a fixed number of items of one size whose addresses never change. Not thread-safe: a pool
 * belongs to one thread. An item that was never taken takes up no real memory in a large pool. */
#ifndef PP_BASE_POOL_H
#define PP_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pp_pool {
    char *items;
    void *memory; /* the items, if the pool owns them */
    void *free;   /* items given back, last one first: the warmest in the cache */
    size_t item_bytes;
    uint32_t capacity;
    uint32_t used_once; /* items[0 .. used_once) were taken at least once */
    uint32_t in_use;
};

/* 0 or -ENOMEM. item_bytes must be a multiple of 8. */
int pp_pool_init(struct pp_pool *pool, uint32_t capacity, size_t item_bytes);

/* A pool over zeroed memory of the caller's, which must outlive it. */
void pp_pool_init_over(struct pp_pool *pool, void *items, uint32_t capacity, size_t item_bytes);

void pp_pool_fini(struct pp_pool *pool);

/* NULL when all are in use. Its first 8 bytes are whatever the pool left there; the rest is as it
 * was when it was given back, or zero. */
void *pp_pool_take(struct pp_pool *pool);
void pp_pool_give(struct pp_pool *pool, void *item);

/* The item at index, below pool->used_once; it may be free. */
static inline void *pp_pool_at(const struct pp_pool *pool, uint32_t index)
{
    return pool->items + (size_t)index * pool->item_bytes;
}

static inline bool pp_pool_owns(const struct pp_pool *pool, const void *item)
{
    const char *p = item;

    return p >= pool->items && p < pool->items + (size_t)pool->capacity * pool->item_bytes &&
           (size_t)(p - pool->items) % pool->item_bytes == 0;
}

#endif
