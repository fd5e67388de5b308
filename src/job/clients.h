/* The client threads: each with a loop and a share of the connections of its own, and nothing but
 * these on it. Whoever coordinates the run has a loop and a thread apart; while that runs, all that
 * is said here happens there. */
#ifndef PP_JOB_CLIENTS_H
#define PP_JOB_CLIENTS_H

#include "base/clock.h"
#include "client/client.h"
#include "job/loops.h"
#include "job/loop_thread.h"

struct pp_clients;

struct pp_clients_options {
    struct pp_io_loop *loop;         /* the coordinator's */
    struct pp_io_loop **loops;       /* one a client thread: they become the clients' own, and NULL
                                        here */
    const struct pp_plan *plan;      /* must outlive the clients, as all that follows */
    const struct pp_io_addr *addr;   /* of the server */
    const struct pp_io_addr *source; /* to send from; NULL: any */
    const struct pp_pattern *out;
    const struct pp_pattern *in; /* NULL: answers are not looked at */
    bool splits;                 /* pp_clients_split() will be called */
    void *owner;                 /* for the callbacks */

    void (*on_connected)(void *owner);    /* all of them */
    void (*on_draining)(void *owner);     /* the time is over for all, and some still wait: what was
                                             spent by now can be read; may be NULL */
    void (*on_finished)(void *owner);     /* the phase is over for all of them */
    void (*on_split)(void *owner);        /* what came before is there: pp_clients_take() */
    void (*on_disconnected)(void *owner); /* all of them */
};

/* Starts all threads but the first. After an error the coordinator's loop is good for nothing but
 * to be closed. */
int pp_clients_open(struct pp_clients **out, const struct pp_clients_options *options,
                    struct pp_error *err);

/* As the functions of the same name in client.h, for all clients. When one of them fails, the
 * others are interrupted. One whose loop breaks down has failed, and come as far as it can: nobody
 * waits for it. */
void pp_clients_connect(struct pp_clients *clients, uint64_t greeting_ns);
void pp_clients_start(struct pp_clients *clients, uint64_t count, uint64_t time_ns, bool last);
void pp_clients_interrupt(struct pp_clients *clients);
void pp_clients_disconnect(struct pp_clients *clients, bool politely);

/* In the midst of a phase: from now on samples go elsewhere, and what there was until now can be
 * taken once on_split is called, which is before the next call. */
void pp_clients_split(struct pp_clients *clients);
bool pp_clients_splitting(const struct pp_clients *clients); /* on_split is still to come */

/* After on_split and before the next split, on any thread; or with over set when the clients are
 * joined. Moves the samples from before the split, or all that are left, to rtt and, in an open
 * loop, to response and late, which it clears first. Returns the counts since the phase began, as
 * they stood then. */
struct pp_counts pp_clients_take(struct pp_clients *clients, bool over, struct pp_hist *rtt,
                                 struct pp_hist *response, struct pp_hist *late);

/* How many answers the phase has brought so far. */
uint64_t pp_clients_received(const struct pp_clients *clients);

/* What they took together; as the clients go on meanwhile, it may be that of a few more or less. */
uint64_t pp_clients_latency_ns(const struct pp_clients *clients);

/* Changes whenever one of them has moved a byte: see pp_client_moved(). */
uint64_t pp_clients_moved(const struct pp_clients *clients);

/* As pp_client_look(), for all clients; soon after, pp_clients_moved() tells. */
void pp_clients_look(struct pp_clients *clients);

/* Once disconnected: lets the loops end. */
void pp_clients_release(struct pp_clients *clients);

/* The coordinator's loop has broken down with code: ends the phase where it is, and lets the other
 * loops end without waiting for anything. No callback comes any more. */
void pp_clients_abandon(struct pp_clients *clients, int code);

/* The first thread is the calling one, until all is over: returns when its loop has ended. */
void pp_clients_run(struct pp_clients *clients);

/* After the coordinator's loop has ended. 0, or what the first loop that broke down returned. */
int pp_clients_join(struct pp_clients *clients);

/* After a phase. The sums of all clients. */
struct pp_counts pp_clients_counts(const struct pp_clients *clients);
uint64_t pp_clients_in_flight(const struct pp_clients *clients);

/* By the end of the phase's time, or soon after; what a long drain costs is not in it. */
struct pp_sample pp_clients_spent(const struct pp_clients *clients);

/* As it was at the end of the last phase. */
struct pp_spread pp_clients_spread(const struct pp_clients *clients);
struct pp_tcp_summary pp_clients_tcp(const struct pp_clients *clients);

/* Of the busiest client thread. */
struct pp_load pp_clients_load(const struct pp_clients *clients);

/* How each thread waited for a CPU in the phase; waiters has room for all. Returns how many. */
unsigned pp_clients_waiters(const struct pp_clients *clients, struct pp_waiter *waiters);

/* After the last phase. */
struct pp_stopped pp_clients_stopped(const struct pp_clients *clients);

/* As pp_client_part(), once the threads are joined or the phase is over; of the first thread to
 * which anything has come. */
struct pp_client_part pp_clients_part(const struct pp_clients *clients);

/* What went wrong first; code 0: nothing. */
const struct pp_error *pp_clients_error(const struct pp_clients *clients);

/* Asserts what always holds between two callbacks on the coordinator's loop. */
void pp_clients_check(const struct pp_clients *clients);

/* After the coordinator's loop has run empty or, if it broke down, after it was closed: what it had
 * under way is in here. May be NULL. */
void pp_clients_close(struct pp_clients *clients);

#endif
