/* A connection of its own on which a server is asked who it is and what it has cost, as operations
 * on a loop: before and after what is measured, never meanwhile. Each step takes half a second at
 * most, and not beyond a deadline, by the loop's clock; UINT64_MAX: none. */
#ifndef PP_CLIENT_CONTROL_H
#define PP_CLIENT_CONTROL_H

#include "plan/plan.h"
#include "wire/datagram.h"
#include "wire/hello.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_CONTROL_MESSAGE_BYTES (PP_DATAGRAM_HEADER_BYTES + PP_HELLO_BYTES)

/* Embed it; it must not move. */
struct pp_control {
    struct pp_io_loop *loop;
    void *owner;
    void (*on_done)(void *owner); /* the step is over that was under way: code says how */
    int code;                     /* 0, or a negative errno, after which the connection is closed */
    struct pp_hello_reply reply;  /* to the last question, with code 0 */

    /* its own */
    const struct pp_io_world *world;
    int fd; /* -1: there is none */
    bool dgram;
    bool closing; /* as soon as nothing is under way */
    bool busy;    /* a step is under way, asked ahead or not */
    bool waits;   /* for it: on_done is still to come */
    bool ahead;   /* the last question was asked so, and nobody has waited for the reply yet */
    unsigned tries;
    uint64_t limit_ns, deadline_ns; /* of this try, of all */
    uint64_t first, number;         /* of the datagrams that ask: the question's first, the last */
    struct pp_io_op send_op;        /* connect, then send */
    struct pp_io_op recv_op;        /* receive, then close */
    struct pp_io_op timer_op;
    char out[PP_CONTROL_MESSAGE_BYTES];
    char in[PP_CONTROL_MESSAGE_BYTES + 1]; /* a datagram that is longer is seen to be */
};

/* Before any other use; nothing is open then. */
void pp_control_init(struct pp_control *control, struct pp_io_loop *loop,
                     void (*on_done)(void *owner), void *owner);

/* These begin a step. False: it is over already, and on_done will not come. */

/* Connects to addr, which must stay valid until then, from source unless that is NULL. Whether the
 * server is pingpong is not known yet. There is no text to an error: the real connections will meet
 * the same one, and say it. */
bool pp_control_connect(struct pp_control *control, const struct pp_plan *plan,
                        const struct pp_io_addr *addr, const struct pp_io_addr *source,
                        uint64_t deadline_ns);

/* Asks. With code 0 there is a reply, which was written after this call began, or since it was
 * asked ahead; -EPROTO: the server is something else than pingpong. */
bool pp_control_ask(struct pp_control *control, uint64_t deadline_ns);

/* Asks, and leaves it to the next pp_control_ask() to wait for the reply: it says what was so about
 * now, however late it is looked at. An error is for that call, too. */
void pp_control_ask_ahead(struct pp_control *control);

/* The step that is waited for, if any, ends with -ECANCELED. */
void pp_control_cancel(struct pp_control *control);

/* The connection is closed, and on_done does not come any more; the loop may have to run for it. */
void pp_control_leave(struct pp_control *control);

/* Once the loop is closed. */
void pp_control_close(struct pp_control *control);

#endif
