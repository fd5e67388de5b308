#include "server/talk.h"

#include "base/assert.h"
#include "base/container.h"

#include <errno.h>
#include <string.h>

static void flush(struct pp_talk *talk);

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    struct pp_talk *talk = container_of(op, struct pp_talk, op);

    if (op->res >= 0 && !pp_io_advance(op) && !talk->broken)
        return PP_IO_REARM;
    if (op->res >= 0)
        flush(talk);
    talk->on_sent(talk, op->res);
    return PP_IO_DISARM;
}

static void flush(struct pp_talk *talk)
{
    const struct pp_pattern *pattern = talk->options->pattern;
    const uint32_t piece = talk->unsent < PP_PATTERN_PIECE ? (uint32_t)talk->unsent
                                                           : PP_PATTERN_PIECE;

    pp_assert(talk->answers || talk->unsent == 0);
    if (piece == 0 || talk->broken || pp_io_is_armed(&talk->op))
        return;
    talk->unsent -= piece;
    pp_io_send(talk->options->loop, &talk->op, talk->fd, pattern->bytes + talk->response_at, piece,
               on_sent);
    talk->response_at = pp_pattern_after(pattern, talk->response_at, piece);
}

static void agree(struct pp_talk *talk)
{
    const struct pp_hello *hello = &talk->hello;

    talk->answers = hello->answers;
    if (!hello->answers)
        return;
    talk->request_sizes.state = hello->request_seed;
    talk->response_sizes.state = hello->response_seed;
    talk->response_at = hello->response_at % talk->options->pattern->period;
    talk->request_left = pp_sizes_next(&hello->request, &talk->request_sizes);
}

static bool take_hello(struct pp_talk *talk)
{
    struct pp_hello_reply reply = { 0 };

    pp_assert(talk->have == PP_HELLO_BYTES && !talk->broken);
    if (pp_hello_read(&talk->hello, talk->data) < 0)
        return false;
    agree(talk);
    talk->options->introduce(talk->options->owner, &reply);
    pp_hello_reply_write(&reply, talk->data);
    talk->have = 0;
    pp_io_send(talk->options->loop, &talk->op, talk->fd, talk->data, PP_HELLO_BYTES, on_sent);
    return true;
}

/* How much of data was part of a hello; 0: it comes out of turn, or makes no sense. */
static uint32_t take_hello_part(struct pp_talk *talk, const char *data, uint32_t len)
{
    const uint32_t missing = PP_HELLO_BYTES - talk->have;
    const uint32_t part = len < missing ? len : missing;

    pp_assert(data && talk->have < PP_HELLO_BYTES);
    if (pp_io_is_armed(&talk->op)) /* who asks again before the answer has gone out */
        return 0;
    memcpy(talk->data + talk->have, data, part);
    talk->have += part;
    return talk->have < PP_HELLO_BYTES || take_hello(talk) ? part : 0;
}

static uint32_t take_request_part(struct pp_talk *talk, uint32_t len)
{
    const uint32_t part = len < talk->request_left ? len : talk->request_left;

    pp_assert(talk->request_left > 0);
    talk->request_left -= part;
    if (talk->request_left == 0) {
        talk->unsent += pp_sizes_next(&talk->hello.response, &talk->response_sizes);
        talk->request_left = pp_sizes_next(&talk->hello.request, &talk->request_sizes);
    }
    return part;
}

int64_t pp_talk_take(struct pp_talk *talk, const char *data, uint32_t len)
{
    uint32_t used = 0;

    for (unsigned parts = 0; used < len && parts < PP_TALK_REQUESTS_MAX; parts++) {
        const uint32_t part = talk->answers ? take_request_part(talk, len - used)
                                            : take_hello_part(talk, data + used, len - used);

        if (part == 0)
            return -EPROTO;
        used += part;
    }
    pp_assert(used <= len);
    flush(talk);
    return used;
}

bool pp_talk_is_quiet(const struct pp_talk *talk)
{
    return talk->unsent == 0 && !pp_io_is_armed(&talk->op);
}

void pp_talk_break(struct pp_talk *talk)
{
    talk->broken = true;
    talk->unsent = 0;
    pp_io_cancel(talk->options->loop, &talk->op);
}

void pp_talk_begin(struct pp_talk *talk, const struct pp_server_options *options, int fd)
{
    pp_assert(options->loop);
    talk->op = (struct pp_io_op){ 0 };
    talk->options = options;
    talk->fd = fd;
    talk->broken = false;
    talk->answers = false;
    talk->have = 0;
    talk->unsent = 0;
}
