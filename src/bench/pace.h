/* The schedule of an open loop: when each message ought to be sent, whatever became of those
 * before. */
#ifndef PP_BENCH_PACE_H
#define PP_BENCH_PACE_H

#include "base/random.h"

#include <stdint.h>

#define PP_PACE_RATE_MIN 1e-6

enum pp_arrivals {
    PP_ARRIVALS_FIXED,  /* the same time between any two */
    PP_ARRIVALS_POISSON /* exponentially distributed times: independent senders */
};

struct pp_pace {
    enum pp_arrivals arrivals;
    double interval_ns; /* the mean */
    uint64_t interval_whole_ns;
    uint64_t interval_fraction; /* the rest of interval_ns, in 2^-64 ns */
    uint64_t start_ns;          /* fixed: when message 0 is due */
    uint64_t next_ns;           /* when the next message is due */
    uint64_t number;            /* of the next message, from 0 */
    double elapsed_ns;          /* Poisson: of next_ns, since start_ns */
    struct pp_random random;
};

/* rate messages a second from start_ns on. Fixed: the first is due at once; share/shares of an
 * interval is added, so that several threads' messages do not coincide. Poisson: the first is due
 * after a random time, and each share draws other times from the same seed. rate is that of one
 * share. */
void pp_pace_begin(struct pp_pace *pace, enum pp_arrivals arrivals, double rate, uint64_t start_ns,
                   unsigned share, unsigned shares, uint64_t seed);

/* Moves on to the next message. Fixed: next_ns is never off by more than 1 ns, also after 10^12. */
void pp_pace_step(struct pp_pace *pace);

#endif
