#include "server/acceptor.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"

/* How long no connection is accepted after descriptors or memory ran out: asking again at once
 * would only spin. */
#define PAUSE_NS (50 * PP_NS_PER_MS)

static enum pp_io_next on_accepted(struct pp_io_op *op);

/* Any descriptor will do. For this one there need be no file, only room. */
static int reserve_open(const struct pp_acceptor *acceptor)
{
    return acceptor->world->wake_open();
}

static enum pp_io_next on_listener_closed(struct pp_io_op *op)
{
    (void)op;
    return PP_IO_DISARM;
}

static enum pp_io_next close_listener(struct pp_acceptor *acceptor)
{
    pp_assert(acceptor->stopping && acceptor->listen_fd >= 0);
    pp_io_close(acceptor->loop, &acceptor->op, acceptor->listen_fd, on_listener_closed);
    acceptor->listen_fd = -1;
    return PP_IO_DISARM;
}

/* Parts with the reserve once newcomers have waited for long. */
static void give_reserve(struct pp_acceptor *acceptor, uint64_t now_ns)
{
    if (acceptor->reserve_fd < 0 || now_ns - acceptor->full_since_ns < acceptor->patience_ns)
        return;
    acceptor->world->close(acceptor->reserve_fd);
    acceptor->reserve_fd = -1;
}

/* Who may be turned away is asked for its address, and nobody else. */
static void accept_next(struct pp_acceptor *acceptor)
{
    if (acceptor->reserve_fd < 0)
        pp_io_accept_from(acceptor->loop, &acceptor->op, acceptor->listen_fd, &acceptor->from,
                          on_accepted);
    else
        pp_io_accept(acceptor->loop, &acceptor->op, acceptor->listen_fd, on_accepted);
}

static enum pp_io_next on_paused(struct pp_io_op *op)
{
    struct pp_acceptor *acceptor = container_of(op, struct pp_acceptor, op);

    if (acceptor->stopping)
        return close_listener(acceptor);
    give_reserve(acceptor, pp_io_now_ns(acceptor->loop));
    accept_next(acceptor);
    return PP_IO_DISARM;
}

static enum pp_io_next pause_accepting(struct pp_acceptor *acceptor, int code)
{
    const uint64_t now_ns = pp_io_now_ns(acceptor->loop);

    pp_assert(code < 0 && !acceptor->stopping);
    if (acceptor->full_since_ns == 0)
        acceptor->full_since_ns = now_ns;
    acceptor->on_full(acceptor->owner, code);
    pp_io_timer(acceptor->loop, &acceptor->op, now_ns + PAUSE_NS, on_paused);
    return PP_IO_DISARM;
}

/* fd came in place of the reserve. If there is another descriptor again it is a connection like any
 * other; if not, it is reset, and the next one in the queue is taken at once. */
static void take_for_reserve(struct pp_acceptor *acceptor, int fd)
{
    pp_assert(acceptor->reserve_fd < 0 && fd >= 0);
    acceptor->reserve_fd = reserve_open(acceptor);
    if (acceptor->reserve_fd >= 0) {
        acceptor->full_since_ns = 0;
        acceptor->on_connection(acceptor->owner, fd);
        return;
    }
    acceptor->world->reset_on_close(fd);
    acceptor->world->close(fd);
    acceptor->on_turned_away(acceptor->owner, &acceptor->from);
}

static enum pp_io_next on_accepted(struct pp_io_op *op)
{
    struct pp_acceptor *acceptor = container_of(op, struct pp_acceptor, op);

    if (acceptor->stopping) {
        if (op->res >= 0)
            acceptor->world->close(op->res);
        return close_listener(acceptor);
    }
    pp_assert(acceptor->listen_fd >= 0);
    if (op->res < 0)
        return pause_accepting(acceptor, op->res);
    if (acceptor->reserve_fd < 0) {
        take_for_reserve(acceptor, op->res);
        accept_next(acceptor);
        return PP_IO_DISARM;
    }
    acceptor->full_since_ns = 0;
    acceptor->on_connection(acceptor->owner, op->res);
    return PP_IO_REARM;
}

void pp_acceptor_start(struct pp_acceptor *acceptor)
{
    acceptor->op = (struct pp_io_op){ 0 };
    acceptor->world = pp_io_world_of(acceptor->loop);
    acceptor->reserve_fd = reserve_open(acceptor);
    acceptor->full_since_ns = 0;
    acceptor->stopping = false;
    accept_next(acceptor);
}

void pp_acceptor_stop(struct pp_acceptor *acceptor)
{
    pp_assert(!acceptor->stopping);
    acceptor->stopping = true;
    pp_io_cancel(acceptor->loop, &acceptor->op);
}

void pp_acceptor_close(struct pp_acceptor *acceptor)
{
    if (acceptor->listen_fd >= 0) /* the loop never ran, or broke down */
        acceptor->world->close(acceptor->listen_fd);
    acceptor->listen_fd = -1;
    if (acceptor->reserve_fd >= 0)
        acceptor->world->close(acceptor->reserve_fd);
    acceptor->reserve_fd = -1;
}
