#include "job/messages.h"

/* The size of all messages; 0: there are several. With responses of another size, both ends have to
 * use the same pattern without knowing more of each other: that of size 1. */
static uint32_t size_of(const struct pp_plan *plan)
{
    if (plan->answers)
        return 1;
    return plan->request.min == plan->request.max ? plan->request.max : 0;
}

static const struct pp_pattern *compared_with(const struct pp_messages *messages,
                                              const struct pp_plan *plan)
{
    if (plan->verify != PP_VERIFY_FULL)
        return NULL;
    switch (plan->expect_how) {
    case PP_EXPECT_ECHO:
        return &messages->out;
    case PP_EXPECT_TEXT:
        return &messages->expected;
    case PP_EXPECT_BYTES:
    case PP_EXPECT_UNTIL:
        break;
    }
    return NULL;
}

int pp_messages_open(struct pp_messages *messages, const struct pp_plan *plan, struct pp_error *err)
{
    int ret;

    messages->in = compared_with(messages, plan);
    if (plan->send.bytes && !plan->socket.dgram)
        ret = pp_pattern_open(&messages->out, plan->send.text, plan->send.bytes, err);
    else
        ret = pp_pattern_open_random(&messages->out, size_of(plan), err);
    if (ret == 0 && plan->expect_how == PP_EXPECT_TEXT)
        ret = pp_pattern_open(&messages->expected, plan->expect.text, plan->expect.bytes, err);
    return ret;
}

void pp_messages_close(struct pp_messages *messages)
{
    pp_pattern_close(&messages->out);
    pp_pattern_close(&messages->expected);
}
