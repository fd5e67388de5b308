#include "client/ledger.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

struct entry {
    const struct conn *conn; /* NULL: free */
    uint64_t number;
    struct trip trip;
    uint32_t next; /* in its chain */
};

/* Entries are used in turn, so that the next one is the oldest; those of one hash are in a chain.
 * A chain's first entry is kept as its place plus one, so that zeroed memory is empty. */
struct pp_ledger {
    struct entry *entries;
    uint32_t *chains;
    uint32_t mask;
    uint32_t turn;
    uint64_t used; /* entries, ever; as long as it is 0, there is nothing to look for */
};

static uint32_t *chain_of(const struct pp_ledger *ledger, const struct conn *c, uint64_t number)
{
    const uint64_t key = (number ^ (uint64_t)(uintptr_t)c) * 0x9e3779b97f4a7c15u;

    return &ledger->chains[(key >> 32) & ledger->mask];
}

struct pp_ledger *pp_ledger_open(uint32_t capacity)
{
    struct pp_ledger *ledger = pp_memory_alloc(1, sizeof *ledger);
    uint32_t size = 1;

    while (size < capacity)
        size *= 2;
    if (!ledger)
        return NULL;
    ledger->mask = size - 1;
    ledger->entries = pp_memory_alloc(size, sizeof *ledger->entries);
    ledger->chains = pp_memory_alloc(size, sizeof *ledger->chains);
    if (!ledger->entries || !ledger->chains) {
        pp_ledger_close(ledger);
        return NULL;
    }
    return ledger;
}

void pp_ledger_close(struct pp_ledger *ledger)
{
    if (!ledger)
        return;
    pp_memory_free(ledger->entries);
    pp_memory_free(ledger->chains);
    pp_memory_free(ledger);
}

/* Takes entry number at out of its chain. */
static void unlink_entry(struct pp_ledger *ledger, uint32_t at)
{
    struct entry *entry = &ledger->entries[at];
    uint32_t *link = chain_of(ledger, entry->conn, entry->number);

    pp_assert(at <= ledger->mask && entry->conn);
    while (*link != at + 1) {
        pp_assert(*link > 0); /* it is in its chain */
        link = &ledger->entries[*link - 1].next;
    }
    *link = entry->next;
    entry->conn = NULL;
}

void pp_ledger_clear(struct pp_ledger *ledger)
{
    const uint64_t size = (uint64_t)ledger->mask + 1;

    for (uint64_t i = 0; i < (ledger->used < size ? ledger->used : size); i++)
        if (ledger->entries[i].conn)
            unlink_entry(ledger, (uint32_t)i);
    ledger->turn = 0;
    ledger->used = 0;
}

void pp_ledger_add(struct pp_ledger *ledger, const struct conn *c, uint64_t number,
                   const struct trip *trip)
{
    const uint32_t at = ledger->turn;
    struct entry *entry = &ledger->entries[at];
    uint32_t *chain = chain_of(ledger, c, number);

    pp_assert(c && trip->state == TRIP_OVERDUE);
    if (entry->conn)
        unlink_entry(ledger, at);
    *entry = (struct entry){ .conn = c, .number = number, .trip = *trip, .next = *chain };
    *chain = at + 1;
    ledger->turn = (at + 1) & ledger->mask;
    ledger->used++;
}

bool pp_ledger_take(struct pp_ledger *ledger, const struct conn *c, uint64_t number,
                    struct trip *trip)
{
    uint32_t next = ledger->used > 0 ? *chain_of(ledger, c, number) : 0;

    for (; next > 0; next = ledger->entries[next - 1].next) {
        const struct entry *entry = &ledger->entries[next - 1];

        pp_assert(entry->conn && next - 1 <= ledger->mask);
        if (entry->conn != c || entry->number != number)
            continue;
        *trip = entry->trip;
        unlink_entry(ledger, next - 1);
        return true;
    }
    return false;
}
