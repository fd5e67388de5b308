/* A server elsewhere: who it is, and what it has cost, as it says itself. */
#ifndef PP_JOB_PEER_H
#define PP_JOB_PEER_H

#include "client/control.h"
#include "result/result.h"

#include <stdbool.h>
#include <stdint.h>

/* What is being found out. */
enum pp_peer_step { PP_PEER_CONNECT, PP_PEER_MEET, PP_PEER_BEFORE, PP_PEER_AFTER };

/* Embed it; it must not move. */
struct pp_peer_talk {
    struct pp_result *result;
    void *owner;
    void (*on_done)(void *owner);

    /* its own */
    struct pp_control control;
    enum pp_peer_step step;
    uint64_t deadline_ns; /* for meeting */
    int signal;           /* that had come when the step began */
    bool greeted;         /* a connection was made for the hello alone */
    struct pp_hello_reply before;
    uint64_t asked_ns;             /* for before */
    struct pp_usage family_before; /* of plan.server_pid */
};

/* Before any other use. All happens on loop; result->plan and addr must stand by the first step. */
void pp_peer_begin(struct pp_peer_talk *talk, struct pp_io_loop *loop, struct pp_result *result,
                   void (*on_done)(void *owner), void *owner);

/* These return whether there is something to wait for: on_done then comes when it is over. Whatever
 * goes wrong here, the connections will tell. One that does not answer once is not asked again: its
 * connection is closed, and its costs stay unknown. */

/* Asks the server at result->addr who it is, for half of the time that connecting may take at most,
 * from source unless that is NULL. Fills in result->peer and peer_says. */
bool pp_peer_meet(struct pp_peer_talk *talk, const struct pp_io_addr *source);

/* Right before what is measured. */
bool pp_peer_ask_before(struct pp_peer_talk *talk);

/* When all is over: takes what the server says now, or said when it was asked ahead, and fills in
 * its costs. */
bool pp_peer_ask_after(struct pp_peer_talk *talk);

/* Once result->counts stand: how much of its costs is ours. */
void pp_peer_share(struct pp_peer_talk *talk);

/* When the time is over and answers have yet to come. */
void pp_peer_ask_ahead(struct pp_peer_talk *talk);

/* A signal has come: ends a step that began before it. After one, what the server has to say still
 * belongs to the result. */
void pp_peer_interrupt(struct pp_peer_talk *talk);

/* on_done does not come any more, and the connection is closed while the loop runs on. */
void pp_peer_leave(struct pp_peer_talk *talk);

/* Once the loop is closed. */
void pp_peer_end(struct pp_peer_talk *talk);

#endif
