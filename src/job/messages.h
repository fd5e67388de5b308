/* What the messages of a run are made of. */
#ifndef PP_JOB_MESSAGES_H
#define PP_JOB_MESSAGES_H

#include "base/error.h"
#include "plan/plan.h"
#include "wire/pattern.h"

struct pp_messages {
    struct pp_pattern out;       /* what is sent */
    struct pp_pattern expected;  /* what is to come back, where that is a text of its own */
    const struct pp_pattern *in; /* what answers are compared with; NULL: they are not looked at */
};

/* It must not move from now on; close it after an error, too. */
int pp_messages_open(struct pp_messages *messages, const struct pp_plan *plan,
                     struct pp_error *err);

/* One that is all zeros is closed already. */
void pp_messages_close(struct pp_messages *messages);

#endif
