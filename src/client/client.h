/* A client on one loop: its connections keep messages under way, in a closed loop or by a schedule;
 * each answer that is whole and right is counted and timed. A measurement is made of phases, such
 * as warm-up and measurement; between them nothing is sent. What is under way when one begins is
 * its own, as if it had been sent in it. Several clients, each on a thread of its own, share
 * nothing but the budget of a phase. */
#ifndef PP_CLIENT_CLIENT_H
#define PP_CLIENT_CLIENT_H

#include "base/clock.h"
#include "base/error.h"
#include "io/io.h"
#include "measure/hist.h"
#include "plan/plan.h"
#include "result/counts.h"
#include "wire/pattern.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pp_client;

/* How messages travel: in a stream, with a connection for each, or as datagrams. */
struct pp_transport;
extern const struct pp_transport pp_transport_stream;
extern const struct pp_transport pp_transport_crr;
extern const struct pp_transport pp_transport_dgram;

struct pp_client_options {
    struct pp_io_loop *loop;
    const struct pp_transport *transport;
    const struct pp_plan *plan;      /* decided; must outlive the client, as all that follows */
    const struct pp_io_addr *addr;   /* of the server */
    const struct pp_io_addr *source; /* to send from; NULL: any */
    const struct pp_pattern *out;    /* what requests are made of */
    const struct pp_pattern *in;     /* what answers are made of; NULL: they are not looked at */
    uint32_t connections;
    uint32_t first;           /* number of the first connection, over all clients */
    unsigned share, shares;   /* which of how many clients this is */
    struct pp_hist *rtt;      /* takes the samples: from when a message was sent */
    struct pp_hist *response; /* the same, from when it ought to have been sent; open loop only */
    struct pp_hist *late;     /* how much later it was sent than it ought to be; open loop only */
    void *owner;              /* for the callbacks */

    void (*on_connected)(void *owner);    /* all connections stand: pp_client_start() may come */
    void (*on_draining)(void *owner);     /* the time is over, and answers have yet to come; may be
                                             NULL */
    void (*on_finished)(void *owner);     /* the phase is over: count, time, interrupt or error */
    void (*on_disconnected)(void *owner); /* pp_client_disconnect() is through */
};

/* How many messages may still be sent in a phase, by all clients together. They take from it in
 * portions, so that it is touched seldom. */
struct pp_budget {
    alignas(64) _Atomic uint64_t left;
    uint64_t portion;
};

struct pp_phase {
    struct pp_budget *budget;
    uint64_t start_ns; /* when it began, or will: the schedule of an open loop starts here */
    uint64_t time_ns;  /* no message is due so long after start_ns; 0: by the budget alone */
    bool last;         /* none follows: a connection that has done its part may end */
};

int pp_client_open(struct pp_client **out, const struct pp_client_options *options,
                   struct pp_error *err);

/* Begins to connect; greeting_ns of the time for that is what asking the server took. Every failure
 * ends in on_finished, with the error kept for pp_client_error(). */
void pp_client_connect(struct pp_client *client, uint64_t greeting_ns);

/* Between phases, and before the first: clears what is kept of each connection, and notes what the
 * kernel has counted so far. Takes time, which is why pp_client_start() leaves it out. */
void pp_client_prepare(struct pp_client *client);

/* Begins a phase, with all counts at zero and nothing in the histograms. After an error or an
 * interrupt there is none to begin: all stays as it was, and on_finished is called at once. */
void pp_client_start(struct pp_client *client, const struct pp_phase *phase);

/* Ends what is going on now, and calls on_finished. */
void pp_client_interrupt(struct pp_client *client);

/* Once finished: closes every connection, and then calls on_disconnected: the client has nothing
 * armed any more. Politely means to shut down first and to wait until the server has closed its
 * side; it may be followed by a call that does not wait. */
void pp_client_disconnect(struct pp_client *client, bool politely);

const struct pp_counts *pp_client_counts(const struct pp_client *client);

/* Messages of the phase that were under way when it ended, or are now. Counted by itself, not as
 * what the other counts leave over. */
uint64_t pp_client_in_flight(const struct pp_client *client);

/* From now on samples go here; the last two are for an open loop. The counts go on. */
void pp_client_record_into(struct pp_client *client, struct pp_hist *rtt, struct pp_hist *response,
                           struct pp_hist *late);

/* After a phase, while the connections stand: adds this client's to sum. */
void pp_client_spread_add(struct pp_client *client, struct pp_spread *sum);
void pp_client_tcp_add(const struct pp_client *client, struct pp_tcp_summary *sum);

/* From any thread: how many answers this phase has brought so far. */
uint64_t pp_client_received(const struct pp_client *client);

/* The sum of what these took, counted as the result's main figures are. On any thread. */
uint64_t pp_client_latency_ns(const struct pp_client *client);

/* From any thread: changes whenever something came, or a part of a message went out that did not go
 * out at once. */
uint64_t pp_client_moved(const struct pp_client *client);

/* Asks the kernel whether the other ends have taken in more since the last look, of what was handed
 * to it long ago: that counts as moved, too, unless something else has moved since then. A system
 * call for each TCP connection. */
void pp_client_look(struct pp_client *client);

/* What has come of an answer that is not whole. */
#define PP_CLIENT_CAME_BYTES 48u

struct pp_client_part {
    uint64_t bytes; /* of it, or, where of is 0, that have come in the phase; 0: none */
    uint32_t of;    /* how long it should be; 0: that is not known */
    char came[PP_CLIENT_CAME_BYTES]; /* the first bytes that have come since the beginning */
    uint32_t came_bytes;
};

/* Of the first connection that waits for the rest of one. */
struct pp_client_part pp_client_part(const struct pp_client *client);

/* What went wrong first; code 0: nothing. */
const struct pp_error *pp_client_error(const struct pp_client *client);

/* Asserts what always holds of owner, a client, between two callbacks: for pp_io_loop_check(). */
void pp_client_check(void *owner);

/* After the loop has ended. May be NULL. */
void pp_client_close(struct pp_client *client);

#endif
