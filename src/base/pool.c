#include "base/pool.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

void pp_pool_init_over(struct pp_pool *pool, void *items, uint32_t capacity, size_t item_bytes)
{
    pp_assert(capacity > 0 && item_bytes >= sizeof(void *) && item_bytes % sizeof(void *) == 0);
    *pool = (struct pp_pool){ .items = items, .capacity = capacity, .item_bytes = item_bytes };
}

int pp_pool_init(struct pp_pool *pool, uint32_t capacity, size_t item_bytes)
{
    void *memory = pp_memory_alloc(capacity, item_bytes);

    pp_pool_init_over(pool, memory, capacity, item_bytes);
    pool->memory = memory;
    return memory ? 0 : -ENOMEM;
}

void pp_pool_fini(struct pp_pool *pool)
{
    pp_memory_free(pool->memory);
    *pool = (struct pp_pool){ 0 };
}

void *pp_pool_take(struct pp_pool *pool)
{
    void *item = pool->free;

    if (item)
        memcpy(&pool->free, item, sizeof pool->free);
    else if (pool->used_once < pool->capacity)
        item = pp_pool_at(pool, pool->used_once++);
    else
        return NULL;
    pool->in_use++;
    return item;
}

void pp_pool_give(struct pp_pool *pool, void *item)
{
    pp_assert(pp_pool_owns(pool, item) && pool->in_use > 0);
    memcpy(item, &pool->free, sizeof pool->free);
    pool->free = item;
    pool->in_use--;
}
