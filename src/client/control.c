#include "client/control.h"

#include "base/assert.h"
#include "base/container.h"

#include <errno.h>
#include <string.h>

#define PATIENCE_NS (500 * PP_NS_PER_MS)

/* A datagram may be lost on its way. */
#define TRIES 3

void pp_control_init(struct pp_control *control, struct pp_io_loop *loop,
                     void (*on_done)(void *owner), void *owner)
{
    *control = (struct pp_control){
        .loop = loop, .on_done = on_done, .owner = owner, .world = pp_io_world_of(loop), .fd = -1
    };
}

/* ---- the end of a step ---- */

static enum pp_io_next on_closed(struct pp_io_op *op)
{
    (void)op;
    return PP_IO_DISARM;
}

static enum pp_io_next close_if_quiet(struct pp_control *control)
{
    if (control->fd >= 0 && !pp_io_is_armed(&control->send_op) &&
        !pp_io_is_armed(&control->recv_op)) {
        pp_io_close(control->loop, &control->recv_op, control->fd, on_closed);
        control->fd = -1;
    }
    return PP_IO_DISARM;
}

static void drop(struct pp_control *control)
{
    pp_assert(!control->waits);
    control->closing = true;
    pp_io_cancel(control->loop, &control->send_op);
    pp_io_cancel(control->loop, &control->recv_op);
    (void)close_if_quiet(control);
}

static enum pp_io_next finish(struct pp_control *control, int code)
{
    const bool waits = control->waits;

    pp_assert(control->busy);
    control->code = code;
    control->busy = control->waits = false;
    pp_io_cancel(control->loop, &control->timer_op);
    if (code < 0)
        drop(control);
    if (waits)
        control->on_done(control->owner);
    return PP_IO_DISARM;
}

static enum pp_io_next answered(struct pp_control *control, const char *data)
{
    return finish(control, pp_hello_reply_read(&control->reply, data) < 0 ? -EPROTO : 0);
}

/* ---- asking ---- */

static enum pp_io_next on_part(struct pp_io_op *op)
{
    struct pp_control *control = container_of(op, struct pp_control, recv_op);

    pp_assert(!control->dgram && control->fd >= 0);
    if (control->closing)
        return close_if_quiet(control);
    if (op->res <= 0) /* the end: it has hung up on what it did not understand */
        return finish(control, op->res == 0 ? -EPROTO : op->res);
    if (!pp_hello_reply_may_begin(control->in,
                                  (uint32_t)(op->buf - control->in) + (uint32_t)op->res))
        return finish(control, -EPROTO); /* an echo, or another service's error */
    return pp_io_advance(op) ? answered(control, control->in) : PP_IO_REARM;
}

static enum pp_io_next on_sent(struct pp_io_op *op)
{
    struct pp_control *control = container_of(op, struct pp_control, send_op);

    if (control->closing)
        return close_if_quiet(control);
    if (op->res < 0)
        return finish(control, op->res);
    if (!pp_io_advance(op))
        return PP_IO_REARM;
    if (!control->dgram)
        pp_io_recv(control->loop, &control->recv_op, control->fd, control->in, PP_HELLO_BYTES,
                   on_part);
    return PP_IO_DISARM;
}

/* A reply that comes late or twice may still be there when the next question is asked: only those
 * to numbers from first on are for this one. */
static enum pp_io_next on_datagram(struct pp_io_op *op)
{
    struct pp_control *control = container_of(op, struct pp_control, recv_op);
    struct pp_datagram header;

    pp_assert(control->dgram && control->fd >= 0);
    if (control->closing)
        return close_if_quiet(control);
    if (op->res < 0)
        return finish(control, op->res);
    if (op->res != PP_CONTROL_MESSAGE_BYTES ||
        !pp_datagram_read(&header, control->in, (uint32_t)op->res) ||
        header.kind != PP_DATAGRAM_HELLO_REPLY)
        return finish(control, -EPROTO);
    if (header.number < control->first || header.number > control->number)
        return PP_IO_REARM;
    return answered(control, control->in + PP_DATAGRAM_HEADER_BYTES);
}

/* One that has not gone out yet is as good as another. */
static void send_datagram(struct pp_control *control)
{
    struct pp_datagram header = { .kind = PP_DATAGRAM_HELLO,
                                  .reply_bytes = PP_CONTROL_MESSAGE_BYTES };

    pp_assert(control->dgram && control->busy);
    if (pp_io_is_armed(&control->send_op))
        return;
    header.number = ++control->number;
    pp_datagram_write(&header, control->out);
    pp_io_send(control->loop, &control->send_op, control->fd, control->out,
               PP_CONTROL_MESSAGE_BYTES, on_sent);
}

static void begin_question(struct pp_control *control)
{
    const struct pp_hello hello = { 0 };

    pp_assert(!control->busy);
    control->busy = true;
    control->first = control->number + 1;
    if (control->dgram) {
        (void)pp_hello_write(&hello, control->out + PP_DATAGRAM_HEADER_BYTES);
        send_datagram(control);
        pp_io_recv(control->loop, &control->recv_op, control->fd, control->in, sizeof control->in,
                   on_datagram);
    } else {
        (void)pp_hello_write(&hello, control->out);
        pp_io_send(control->loop, &control->send_op, control->fd, control->out, PP_HELLO_BYTES,
                   on_sent);
    }
}

/* ---- waiting ---- */

static uint64_t limit_of_try(const struct pp_control *control, uint64_t patience_ns)
{
    const uint64_t end_ns = pp_io_now_ns(control->loop) + patience_ns;

    return end_ns < control->deadline_ns ? end_ns : control->deadline_ns;
}

/* It may come for an earlier wait, or be cancelled for its end, when the next one has begun. */
static enum pp_io_next on_time(struct pp_io_op *op)
{
    struct pp_control *control = container_of(op, struct pp_control, timer_op);
    uint64_t now_ns;

    if (!control->waits)
        return PP_IO_DISARM;
    now_ns = pp_io_now_ns(control->loop);
    if (now_ns >= control->limit_ns) {
        if (--control->tries == 0 || now_ns >= control->deadline_ns)
            return finish(control, -ETIMEDOUT);
        send_datagram(control);
        control->limit_ns = limit_of_try(control, PATIENCE_NS / TRIES);
    }
    op->deadline_ns = control->limit_ns;
    return PP_IO_REARM;
}

static void wait_for(struct pp_control *control, unsigned tries, uint64_t deadline_ns)
{
    pp_assert(control->busy && !control->waits && tries > 0);
    control->waits = true;
    control->tries = tries;
    control->deadline_ns = deadline_ns;
    control->limit_ns = limit_of_try(control, PATIENCE_NS / tries);
    if (!pp_io_is_armed(&control->timer_op))
        pp_io_timer(control->loop, &control->timer_op, control->limit_ns, on_time);
}

/* ---- the steps ---- */

static enum pp_io_next on_control_connected(struct pp_io_op *op)
{
    struct pp_control *control = container_of(op, struct pp_control, send_op);

    if (control->closing)
        return close_if_quiet(control);
    return finish(control, op->res);
}

bool pp_control_connect(struct pp_control *control, const struct pp_plan *plan,
                        const struct pp_io_addr *addr, const struct pp_io_addr *source,
                        uint64_t deadline_ns)
{
    pp_assert(control->fd < 0);
    control->dgram = plan->socket.dgram;
    control->fd = control->world->socket(addr, &plan->socket, source, NULL);
    control->code = control->fd;
    if (control->fd < 0)
        return false;
    control->busy = true;
    pp_io_connect(control->loop, &control->send_op, control->fd, &addr->any, addr->len,
                  on_control_connected);
    wait_for(control, 1, deadline_ns);
    return true;
}

static bool is_open(const struct pp_control *control)
{
    return control->fd >= 0 && !control->closing;
}

void pp_control_ask_ahead(struct pp_control *control)
{
    if (!is_open(control))
        return;
    begin_question(control);
    control->ahead = true;
}

bool pp_control_ask(struct pp_control *control, uint64_t deadline_ns)
{
    const bool ahead = control->ahead;

    control->ahead = false;
    if (!is_open(control)) {
        control->code = -ENOTCONN;
        return false;
    }
    if (!ahead)
        begin_question(control);
    if (control->busy)
        wait_for(control, control->dgram ? TRIES : 1, deadline_ns);
    return control->busy;
}

void pp_control_cancel(struct pp_control *control)
{
    if (control->waits)
        (void)finish(control, -ECANCELED);
}

void pp_control_leave(struct pp_control *control)
{
    control->busy = control->waits = false;
    pp_io_cancel(control->loop, &control->timer_op);
    drop(control);
}

void pp_control_close(struct pp_control *control)
{
    if (control->fd >= 0) /* the loop broke down */
        control->world->close(control->fd);
    control->fd = -1;
}
