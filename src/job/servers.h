/* The server threads: each with a loop of its own, and a share of the connections. */
#ifndef PP_JOB_SERVERS_H
#define PP_JOB_SERVERS_H

#include "job/loops.h"
#include "job/loop_thread.h"
#include "plan/plan.h"
#include "server/server.h"

struct pp_servers;

/* Opens loops and sockets: on the plan's target for streams or for datagrams, and in a plan that
 * only serves a host and port, for both. plan must outlive the servers. refused is filled in as by
 * pp_loops_open(). */
int pp_servers_open(struct pp_servers **out, const struct pp_plan *plan, uint32_t descriptors,
                    char refused[PP_REFUSED_BYTES], struct pp_error *err);

/* Where they listen. */
const struct pp_io_addr *pp_servers_addr(const struct pp_servers *servers);

/* As pp_io_loop_describe(): all run on the same engine. */
const char *pp_servers_describe(const struct pp_servers *servers);

/* Starts the threads. reply_op, on reply_loop, is woken as pp_loop_thread_prepare() says, and
 * notice_op, if it is not NULL, when counts change that whoever runs the servers may want to know
 * of. */
int pp_servers_start(struct pp_servers *servers, struct pp_io_loop *reply_loop,
                     struct pp_io_op *reply_op, struct pp_io_op *notice_op, struct pp_error *err);

/* Asks all threads for what they have cost so far. */
void pp_servers_sample(struct pp_servers *servers);

/* Whether all have said it. */
bool pp_servers_sampled(const struct pp_servers *servers);

/* Takes the samples as the beginning of what is to be measured; or adds up what has been spent
 * since then. */
void pp_servers_begin(struct pp_servers *servers);
struct pp_sample pp_servers_spent(const struct pp_servers *servers);

/* How each thread waited for a CPU meanwhile; waiters has room for all. Returns how many. */
unsigned pp_servers_waiters(const struct pp_servers *servers, struct pp_waiter *waiters);

/* Whether a thread has ended before its time: its engine broke down. */
bool pp_servers_ended(const struct pp_servers *servers);

/* Then: the error of a thread that has, which is returned; 0 if none has. */
int pp_servers_broken(const struct pp_servers *servers, struct pp_error *err);

/* So far, from any thread. */
struct pp_servers_counts pp_servers_counts(const struct pp_servers *servers);

/* Where one of those came from that were turned away since this was last asked; false: it is not
 * known of any. From one thread at a time. */
bool pp_servers_turned_away_from(const struct pp_servers *servers, struct pp_io_addr *from);

/* Ends the threads that were started, and waits for them. 0 or a negative errno: what the first
 * loop that broke down returned. */
int pp_servers_stop(struct pp_servers *servers);

/* May be NULL. */
void pp_servers_close(struct pp_servers *servers);

#endif
