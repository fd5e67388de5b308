/* What is counted while a phase goes on, on the clients' side and on the servers', as plain data. A
 * counter of messages stands in one list: it is a field, and is summed and subtracted with the
 * others. */
#ifndef PP_RESULT_COUNTS_H
#define PP_RESULT_COUNTS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* Of messages, from the beginning of the phase on. */
#define PP_COUNTS(COUNT)                                                                           \
    COUNT(sent)       /* = received + lost + errors + in flight, at all times */                   \
    COUNT(received)   /* whole, right, and before the phase ended */                               \
    COUNT(drained)    /* of those in flight when it ended: answered after all, and samples, too */ \
    COUNT(unsent)     /* open loop: due before the phase ended, and never sent */                  \
    COUNT(lost)       /* datagrams without an answer so far */                                     \
    COUNT(errors)     /* under way on a connection that failed */                                  \
    COUNT(late)       /* received ones that had been given up for lost */                          \
    COUNT(reordered)  /* received ones that came after the answer to a later message */            \
    COUNT(duplicates) /* datagrams that came again; never counted as received */                   \
    COUNT(strays)     /* datagrams that were no answer at all */                                   \
    COUNT(backwards)  /* of the errors: answers before their message was sent, by the clock */     \
    COUNT(bytes)      /* that came in the phase, whether they made up answers or not */            \
    COUNT(failed_connections)                                                                      \
    COUNT(behind_ns)  /* open loop: how late those sent went out, all together */                  \
    COUNT(delayed)    /* open loop: held back by the client itself, PP_DELAYED_MIN_NS or more */   \
    COUNT(delayed_ns) /* and for how long, all of them together */

struct pp_counts {
#define PP_COUNT(name) uint64_t name;
    PP_COUNTS(PP_COUNT)
#undef PP_COUNT
    bool wrong;        /* an answer was, which ended it all; its message is still in flight */
    uint64_t first_ns; /* the first send; in an open loop, the beginning of the schedule */
    uint64_t last_ns;  /* the last receive, the end of the time, or the moment of the interrupt */
    uint64_t lag_ns;   /* open loop: how far behind its schedule the phase ended */
    uint64_t unanswered_ns; /* how long the oldest of those without an answer had been waited for in
                               the end, counted as worst_ns */
    uint64_t worst_ns;      /* the longest round trip, counted as the result's main figures are */
    uint64_t worst_at_ns;   /* when it ended */
};

/* A client that is late by less, though a connection has room, is as quick as timers and schedulers
 * are. */
#define PP_DELAYED_MIN_NS PP_NS_PER_MS

/* A schedule was not kept if its messages went out late by more than this share of the time, on
 * average: one that falls behind all the time is twice as late in the end. */
#define PP_BEHIND_SHARE 0.05

/* Of nothing yet: what pp_counts_add() begins with. */
static inline struct pp_counts pp_counts_none(void)
{
    return (struct pp_counts){ .first_ns = UINT64_MAX };
}

/* Adds those of another client in the same phase. */
void pp_counts_add(struct pp_counts *sum, const struct pp_counts *counts);

/* What of to came after from, in the same phase. Its times are to's; lost is below zero, as an
 * int64_t, if more of those given up before came after all than were given up. */
struct pp_counts pp_counts_between(const struct pp_counts *from, const struct pp_counts *to);

/* Messages that were sent and of which nothing else has become. */
static inline uint64_t pp_counts_in_flight(const struct pp_counts *counts)
{
    return counts->sent - counts->received - counts->lost - counts->errors;
}

/* How evenly the connections of a phase were served. */
struct pp_spread {
    uint64_t connections;
    uint64_t least, most;    /* round trips of the slowest and of the fastest one */
    double sum, sum_squares; /* of the round trips of each */
    uint64_t with_p99;       /* connections that have samples enough for one */
    uint64_t p99_least_ns, p99_most_ns;
};

/* What the kernel says of the TCP connections of a phase, on the client's side. */
struct pp_tcp_summary {
    uint64_t connections; /* that could be asked */
    uint64_t fallbacks;   /* of those, plain TCP though Multipath TCP was asked for */
    uint64_t retransmits; /* segments sent again during the phase */
    uint64_t min_rtt_ns;  /* the least that the kernel has ever seen on one of them; 0: unknown */
    uint32_t mss_least, mss_most; /* bytes */
    char congestion[16];          /* of the first one */
};

/* Adds those of other connections of the same phase. */
void pp_spread_add(struct pp_spread *sum, const struct pp_spread *spread);
void pp_tcp_add(struct pp_tcp_summary *sum, const struct pp_tcp_summary *tcp);

/* How busy a client thread was in a phase. */
struct pp_load {
    double share;   /* of a CPU, 0 to 1 */
    bool unknown;   /* what it costs could not be read */
    bool saturated; /* it never had nothing to do: the measurement waited for it */
};

/* How long a client thread's loop did not turn in the measurement, though a timer of its own was
 * due: the program was stopped or swapped out, the machine paused, or others had its CPU. Only gaps
 * of PP_STOPPED_MIN_NS or more. */
#define PP_STOPPED_MIN_NS (50 * PP_NS_PER_MS)

struct pp_stopped {
    uint64_t sum_ns;     /* of the thread that stood still for longest */
    uint64_t longest_ns; /* of any of them, at once */
};

/* What a server for streams has done so far. */
struct pp_server_counts {
    uint64_t accepted;    /* connections */
    uint64_t idle;        /* closed because nothing came or went on them */
    uint64_t full;        /* times that there was no descriptor for the next connection */
    int full_code;        /* the negative errno of the last time */
    uint64_t turned_away; /* connections that were reset, because there was still none */
    uint64_t closed;      /* of those accepted */
    uint64_t bytes;       /* of echoes and answers that were sent */
};

/* All servers of a process together, so far. */
struct pp_servers_counts {
    struct pp_server_counts streams;
    uint64_t datagrams; /* answered */
    uint64_t bytes;     /* of these answers */
    uint64_t ignored;   /* datagrams that were not worth an answer */
};

#endif
