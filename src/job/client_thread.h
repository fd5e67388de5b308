/* A client's thread, seen from both sides: the coordinator tells it what to do, and it tells how
 * far it has come, by bits that travel as wakes of the other's loop. Nothing else is shared while
 * a phase goes on. */
#ifndef PP_JOB_CLIENT_THREAD_H
#define PP_JOB_CLIENT_THREAD_H

#include "client/client.h"
#include "job/loop_thread.h"

#include <stdatomic.h>
#include <stdbool.h>

/* What the coordinator tells a thread; several may be told at once, and are done in this order. */
enum pp_command {
    PP_COMMAND_CONNECT = 1,
    PP_COMMAND_START = 2,
    PP_COMMAND_SPLIT = 4,
    PP_COMMAND_LOOK = 8,
    PP_COMMAND_INTERRUPT = 16,
    PP_COMMAND_LEAVE = 32,
    PP_COMMAND_DROP = 64,
    PP_COMMAND_END = 128
};

/* What a thread tells the coordinator, and how far it has come as far as that knows. */
enum pp_event {
    PP_EVENT_CONNECTED = 1,
    PP_EVENT_DRAINING = 2,
    PP_EVENT_FINISHED = 4, /* known from how many phases have ended */
    PP_EVENT_DISCONNECTED = 8,
    PP_EVENT_SPLIT = 16,
    PP_EVENT_BROKEN = 32 /* its loop; nothing more comes of it */
};

/* Where samples go, one after the other: one is filled while another is taken. */
#define PP_RECORDINGS 2

struct pp_recording {
    struct pp_hist rtt, response, late;
};

struct pp_client_thread {
    struct pp_io_loop *loop; /* its own */
    struct pp_client *client;
    struct pp_loop_thread loop_thread;
    uint64_t greeting_ns;           /* as in pp_client_connect() */
    const struct pp_phase *phase;   /* the one to start next, or that goes on; all threads' */
    struct pp_io_loop *coordinator; /* its loop, and what is woken there */
    struct pp_io_op *event_op;
    bool scheduled; /* an open loop */

    struct pp_io_op command_op;
    struct pp_io_op tick_op; /* armed while it measures */
    atomic_uint commands;
    atomic_uint events;
    unsigned begun;    /* phases, that of connecting included */
    atomic_uint ended; /* how many had begun when the last one was over */
    bool ticking;      /* the measurement goes on */
    bool last;         /* none follows the one that began last */
    bool drains;       /* what was spent by the phase is in after already */
    unsigned known;    /* events, to the coordinator */

    struct pp_sample before, after; /* of the phase that ended last, as what follows */
    struct pp_spread spread;
    struct pp_tcp_summary tcp;
    struct pp_error error;                          /* the client's, as it stood then */
    struct pp_stopped stopped;                      /* of the last phase */
    struct pp_recording *recordings[PP_RECORDINGS]; /* only the first, if nothing is ever split */
    unsigned recording;                             /* that is being filled */
    struct pp_counts counts; /* as they stood at the last split, and nowhere else */
};

/* What all threads share with the coordinator. */
struct pp_client_thread_options {
    const struct pp_phase *phase;
    struct pp_io_loop *coordinator;
    struct pp_io_op *event_op;
    bool splits; /* PP_COMMAND_SPLIT will come */
    int cpu;     /* to pin it to, or PP_CPU_ANY */
};

/* client names everything but where samples go, the owner and the callbacks. The loop, which is the
 * thread's from now on, waits for commands. After an error close it. */
int pp_client_thread_open(struct pp_client_thread *thread,
                          const struct pp_client_thread_options *options,
                          const struct pp_client_options *client, struct pp_error *err);

/* On the coordinator's thread. */
void pp_client_thread_command(struct pp_client_thread *thread, enum pp_command what);

/* The begun-th phase, that of connecting included, is over: what came of it can be read. */
static inline bool pp_client_thread_has_ended(const struct pp_client_thread *thread, unsigned begun)
{
    return atomic_load(&thread->ended) == begun;
}

/* On the coordinator's thread, when the loop has broken down and the thread is no more: does what
 * is left to be done at the end of a phase. */
void pp_client_thread_finish_broken(struct pp_client_thread *thread);

/* Moves samples to these, of which the last two are for an open loop: those from before the last
 * split or, if the thread has been joined, all. */
void pp_client_thread_take(struct pp_client_thread *thread, bool joined, struct pp_hist *rtt,
                           struct pp_hist *response, struct pp_hist *late);

/* How busy it was in the phase. */
struct pp_load pp_client_thread_load(const struct pp_client_thread *thread);

/* When the thread has been joined; one that is all zeros is closed already. */
void pp_client_thread_close(struct pp_client_thread *thread);

#endif
