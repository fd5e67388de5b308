/* A measurement in which nothing moves any more, and what is to be said of answers that never
 * came. */
#ifndef PP_JOB_SILENCE_H
#define PP_JOB_SILENCE_H

#include "job/clients.h"
#include "plan/plan.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_SILENCE_TEXT_BYTES 256

struct pp_silence {
    const struct pp_io_loop *loop; /* of whoever watches */
    const struct pp_plan *plan;
    struct pp_clients *clients;
    uint64_t moved;    /* pp_clients_moved(), when it was looked at last */
    uint64_t moved_ns; /* when something was seen to have moved */
    uint64_t quiet_ns; /* for how long nothing has */
};

/* To be called each period_ns; may_last: nothing else would end what goes on. Returns true once it
 * has been silent for so long that it is to be given up: a part of a large message that comes or
 * goes is enough, and if none is seen for a while, the kernel is asked what it has still sent. */
bool pp_silence_watch(struct pp_silence *silence, bool may_last, uint64_t period_ns);

/* Why what has come until then is no answer, for a sentence that says that there was none. Returns
 * text. */
const char *pp_silence_came(const struct pp_silence *silence, uint64_t until_ns,
                            char text[PP_SILENCE_TEXT_BYTES]);

/* The sentence about one that was given up, once the clients are joined. */
void pp_silence_explain(const struct pp_silence *silence, char *text, size_t bytes);

#endif
