/* The client: one ping under way on each connection; each whole and correct pong is counted, timed,
 * and answered with the next ping, until the count is reached. */
#ifndef PP_BENCH_CLIENT_H
#define PP_BENCH_CLIENT_H

#include "base/error.h"
#include "bench/wire.h"
#include "io/io.h"
#include "measure/hist.h"

#include <stdbool.h>
#include <stdint.h>

struct pp_client;

struct pp_client_options {
    struct pp_io_loop *loop;
    const struct pp_io_addr *addr; /* of the server; must outlive the client */
    uint32_t connections;
    uint64_t count; /* round trips in all */
    struct pp_wire wire;
    struct pp_hist *rtt; /* takes the samples */
    void *owner;         /* for the callbacks */

    void (*on_connected)(void *owner); /* all connections stand: pp_client_start() may come */
    void (*on_finished)(void *owner);  /* the measurement is over, by count, interrupt or error */
    void (*on_disconnected)(void *owner); /* pp_client_disconnect() is through */
};

/* sent = received + errors + in flight, at all times. */
struct pp_client_counts {
    uint64_t sent;
    uint64_t received;
    uint64_t errors; /* under way on a connection that failed */
    uint32_t failed_connections;
    uint64_t first_ns; /* the first send */
    uint64_t last_ns;  /* the last receive, or the moment of the interrupt */
};

int pp_client_open(struct pp_client **out, const struct pp_client_options *options,
                   struct pp_error *err);

/* Begins to connect. Every failure ends in on_finished, with the error kept for
 * pp_client_error(). */
void pp_client_connect(struct pp_client *client);

/* The first pings. */
void pp_client_start(struct pp_client *client);

/* Ends the measurement now, if it still runs, and calls on_finished. */
void pp_client_interrupt(struct pp_client *client);

/* The same, because of an error that is not the client's own. */
void pp_client_fail(struct pp_client *client, enum pp_error_kind kind, int code, const char *text);

/* Once finished: closes every connection, and then calls on_disconnected: the client has nothing
 * armed any more. Politely means to shut down first and to wait until the server has closed its
 * side; it may be followed by a call that does not wait. */
void pp_client_disconnect(struct pp_client *client, bool politely);

const struct pp_client_counts *pp_client_counts(const struct pp_client *client);

/* What went wrong first; code 0: nothing. */
const struct pp_error *pp_client_error(const struct pp_client *client);

/* After the loop has ended. May be NULL. */
void pp_client_close(struct pp_client *client);

#endif
