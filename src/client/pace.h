/* The schedule of an open loop: when each message ought to be sent, whatever became of those
 * before. */
#ifndef PP_CLIENT_PACE_H
#define PP_CLIENT_PACE_H

#include "base/random.h"
#include "plan/plan.h"

#include <stdint.h>

/* Who sends what of one schedule: message n has slot n mod slots, and slot s is of share s mod
 * shares. With a slot for each connection, a thread's share is as large as that of its connections,
 * and the threads take turns. share < shares <= slots. */
struct pp_pace_deal {
    uint32_t share, shares, slots;
};

struct pp_pace {
    enum pp_arrivals arrivals;
    struct pp_pace_deal deal;
    uint32_t slot;      /* of the next message */
    double interval_ns; /* fixed: of all messages; Poisson: of this share's, the mean */
    uint64_t interval_whole_ns;
    uint64_t interval_fraction; /* the rest of interval_ns, in 2^-64 ns */
    uint64_t start_ns;          /* fixed: when message 0 is due */
    uint64_t next_ns;           /* when the next message is due */
    uint64_t number;            /* of the next message, from 0; fixed: among those of all shares */
    double elapsed_ns;          /* Poisson: of next_ns, since start_ns */
    struct pp_random random;
};

/* One share of rate messages a second from start_ns on. Fixed: the shares' messages together are at
 * equal distances, and the first is due at once. Poisson: each share draws its own times from the
 * same seed; together they are a Poisson process of that rate. */
void pp_pace_begin(struct pp_pace *pace, enum pp_arrivals arrivals, double rate, uint64_t start_ns,
                   struct pp_pace_deal deal, uint64_t seed);

/* How many of the messages that are left are due before until_ns; counts no further than most. */
uint64_t pp_pace_due(const struct pp_pace *pace, uint64_t until_ns, uint64_t most);

/* Moves on to the next message. Fixed: next_ns is never off by more than 1 ns, also after 10^12. */
void pp_pace_step(struct pp_pace *pace);

#endif
