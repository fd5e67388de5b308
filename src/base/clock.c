#include "base/clock.h"

#define BATCHES 15
#define BATCH_READINGS 16
#define ALL_NS (PP_NS_PER_MS / 2)

/* Insertion: what was smaller stands before it. */
static void insert_sorted(uint64_t *sorted, unsigned count, uint64_t value)
{
    for (; count > 0 && sorted[count - 1] > value; count--)
        sorted[count] = sorted[count - 1];
    sorted[count] = value;
}

/* The median, as a batch in which the thread was interrupted says nothing. */
uint64_t pp_clock_reading_cost_ns(void)
{
    const uint64_t start_ns = pp_clock_now_ns();
    uint64_t before_ns = start_ns;
    uint64_t costs_ns[BATCHES];
    unsigned count = 0;

    while (count < BATCHES && before_ns - start_ns < ALL_NS) {
        uint64_t now_ns = before_ns;

        for (int i = 0; i < BATCH_READINGS; i++)
            now_ns = pp_clock_now_ns();
        insert_sorted(costs_ns, count++, (now_ns - before_ns) / BATCH_READINGS);
        before_ns = now_ns;
    }
    return costs_ns[count / 2];
}
