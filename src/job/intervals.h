/* What is told of a measurement while it goes on: at each interval's end the clients' samples go
 * elsewhere, and a thread of its own makes a part of the result of those before. */
#ifndef PP_JOB_INTERVALS_H
#define PP_JOB_INTERVALS_H

#include "base/error.h"
#include "job/clients.h"
#include "result/result.h"

#include <stdbool.h>
#include <stdint.h>

/* A part is there. On a thread of its own, or at the end. 0, or a negative errno: nobody listens
 * any more, and the measurement ends. */
typedef int pp_intervals_tell(void *context, const struct pp_result_interval *interval);

/* Embed it; it must not move. */
struct pp_intervals {
    struct pp_result *result;
    pp_intervals_tell *tell;
    void *context;
    struct pp_clients *clients;
    struct pp_io_loop *loop;
    uint64_t started_ns;
    bool going_on; /* the measurement */
    bool unheard;  /* nobody listens any more */
    struct pp_io_op timer_op;
    struct pp_io_workers *writer; /* what is below is its own while a job of it runs */
    struct pp_io_job job;
    struct pp_result_interval *interval; /* NULL: nobody wants them */
    struct pp_counts counted;            /* up to the end of the last interval */
    uint64_t split_ns;                   /* when the current interval ends */
};

/* For a plan that asks for intervals, and somebody who is to be told. All until
 * pp_intervals_finish() is called on loop. After an error all can be closed. */
int pp_intervals_open(struct pp_intervals *intervals, struct pp_io_loop *loop,
                      struct pp_result *result, pp_intervals_tell *tell, void *context,
                      struct pp_error *err);

/* Whether there are any. */
bool pp_intervals_wanted(const struct pp_intervals *intervals);

/* The measurement has begun at started_ns. */
void pp_intervals_begin(struct pp_intervals *intervals, struct pp_clients *clients,
                        uint64_t started_ns);

/* The clients have split: what came before can be taken. */
void pp_intervals_split(struct pp_intervals *intervals);

/* The measurement is over: what comes now goes into the last interval. */
void pp_intervals_end(struct pp_intervals *intervals);

/* Once the clients are joined: all samples that are left go into the result, with those that stand
 * there, as the last interval, if one is wanted and anything has come since the one before. */
void pp_intervals_finish(struct pp_intervals *intervals);

/* Waits for what is being written. */
void pp_intervals_close(struct pp_intervals *intervals);

#endif
