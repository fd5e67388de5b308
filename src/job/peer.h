/* A server elsewhere: who it is, and what it has cost, as it says itself. */
#ifndef PP_JOB_PEER_H
#define PP_JOB_PEER_H

#include "job/control.h"
#include "result/result.h"

#include <stdbool.h>
#include <stdint.h>

struct pp_peer_talk {
    struct pp_control control;
    bool greeted; /* a connection was made for the hello alone */
    struct pp_hello_reply before;
    uint64_t asked_ns; /* for before */
};

/* Before any other use; nothing is open then. */
static inline void pp_peer_begin(struct pp_peer_talk *talk)
{
    *talk = (struct pp_peer_talk){ .control.fd = -1 };
}

/* Asks the server at result->addr who it is, for half of the time that connecting may take at most,
 * from source unless that is NULL. Fills in result->peer and peer_says. Whatever goes wrong here,
 * the connections will tell. */
void pp_peer_meet(struct pp_peer_talk *talk, struct pp_result *result,
                  const struct pp_io_addr *source);

/* Right before what is measured: asks with a call that blocks, as nothing else is going on. One
 * that does not answer once is not asked again: its connection is closed, and its costs stay
 * unknown. */
void pp_peer_ask_before(struct pp_peer_talk *talk, struct pp_result *result);

/* When the time is over and answers have yet to come; does not block. */
void pp_peer_ask_ahead(struct pp_peer_talk *talk, const struct pp_result *result);

/* When all is over: takes what the server says now, or said when it was asked ahead, and fills in
 * its costs and how much of them is ours, of whose messages counts are. */
void pp_peer_ask_after(struct pp_peer_talk *talk, struct pp_result *result,
                       const struct pp_counts *counts);

void pp_peer_end(struct pp_peer_talk *talk);

#endif
