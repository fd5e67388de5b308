/* A connection of its own on which a server is asked who it is and what it has cost: before and
 * after what is measured, never meanwhile, with calls that block for half a second at most, not
 * beyond a deadline, and not after a signal has come. One that came before does not end them.
 * Only to ask ahead blocks never. */
#ifndef PP_JOB_CONTROL_H
#define PP_JOB_CONTROL_H

#include "plan/plan.h"
#include "wire/hello.h"

#include <stdbool.h>
#include <stdint.h>

struct pp_control {
    int fd; /* -1: there is none */
    bool dgram;
    bool asked;      /* ahead, and the reply was not taken yet */
    uint64_t number; /* of the last datagram that asked */
};

/* Connects. Whether the server is pingpong is not known yet. 0, or a negative errno without a text:
 * the real connections will meet the same error, and say it. Deadlines are by the monotonic clock;
 * UINT64_MAX: none. */
int pp_control_open(struct pp_control *control, const struct pp_plan *plan,
                    const struct pp_io_addr *addr, const struct pp_io_addr *source,
                    uint64_t deadline_ns);

/* Asks, and leaves it to the next pp_control_ask() to wait for the reply: it says what was so about
 * now, however late it is looked at. Does not block; an error is for that call, too. */
void pp_control_ask_ahead(struct pp_control *control);

/* 0 with reply filled in, which was written after this call began, or since it was asked ahead;
 * -EPROTO: the server is something else than pingpong; or another negative errno, and reply is left
 * alone. After an error the connection is closed. */
int pp_control_ask(struct pp_control *control, struct pp_hello_reply *reply, uint64_t deadline_ns);

void pp_control_close(struct pp_control *control);

#endif
