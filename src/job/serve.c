#include "job/serve.h"

#include "base/clock.h"
#include "base/container.h"
#include "job/interrupt.h"
#include "job/servers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Between two notices, at least. */
#define NOTICE_NS PP_NS_PER_S

/* The calling thread only waits, on a loop of its own: for a signal, for a server thread that has
 * ended before its time, or for something that is worth a notice. */
struct serve {
    const struct pp_serve_hooks *hooks;
    struct pp_io_loop *loop;
    struct pp_servers *servers;
    struct pp_io_op interrupt_op;
    struct pp_io_op reply_op;
    struct pp_io_op notice_op;
    struct pp_io_op pause_op; /* after a notice */
    struct pp_servers_counts noticed;
};

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct serve *serve = container_of(op, struct serve, interrupt_op);

    pp_io_cancel(serve->loop, &serve->reply_op);
    pp_io_cancel(serve->loop, &serve->pause_op);
    pp_io_cancel(serve->loop, &serve->notice_op);
    return PP_IO_DISARM;
}

static bool has_news(const struct pp_servers_counts *before, const struct pp_servers_counts *now)
{
    return now->streams.idle != before->streams.idle || now->streams.full != before->streams.full ||
           now->streams.turned_away != before->streams.turned_away;
}

static enum pp_io_next on_pause_over(struct pp_io_op *op);

static void tell(struct serve *serve)
{
    const struct pp_servers_counts now = pp_servers_counts(serve->servers);
    struct pp_io_addr from;

    if (!has_news(&serve->noticed, &now))
        return;
    serve->hooks->on_notice(serve->hooks->context, &serve->noticed, &now,
                            pp_servers_turned_away_from(serve->servers, &from) ? &from : NULL);
    serve->noticed = now;
    pp_io_timer(serve->loop, &serve->pause_op, pp_io_now_ns(serve->loop) + NOTICE_NS,
                on_pause_over);
}

/* What happened during a pause is told at its end. */
static enum pp_io_next on_pause_over(struct pp_io_op *op)
{
    if (op->res == 0)
        tell(container_of(op, struct serve, pause_op));
    return PP_IO_DISARM;
}

static enum pp_io_next on_notice(struct pp_io_op *op)
{
    struct serve *serve = container_of(op, struct serve, notice_op);

    if (op->res < 0)
        return PP_IO_DISARM;
    if (!pp_io_is_armed(&serve->pause_op))
        tell(serve);
    return PP_IO_REARM;
}

static enum pp_io_next on_reply(struct pp_io_op *op)
{
    struct serve *serve = container_of(op, struct serve, reply_op);

    if (op->res == 0 && !pp_servers_ended(serve->servers))
        return PP_IO_REARM;
    pp_io_cancel(serve->loop, &serve->interrupt_op);
    pp_io_cancel(serve->loop, &serve->pause_op);
    pp_io_cancel(serve->loop, &serve->notice_op);
    return PP_IO_DISARM;
}

static int serve_until_signal(struct serve *serve, struct pp_error *err)
{
    int ret;

    pp_io_wake_wait(serve->loop, &serve->interrupt_op, on_interrupt);
    pp_io_wake_wait(serve->loop, &serve->reply_op, on_reply);
    pp_io_wake_wait(serve->loop, &serve->notice_op, on_notice);
    ret = pp_servers_start(serve->servers, serve->loop, &serve->reply_op, &serve->notice_op, err);
    if (ret < 0)
        return ret;
    pp_interrupt_attach(serve->loop, &serve->interrupt_op);
    ret = pp_io_loop_run(serve->loop);
    pp_interrupt_attach(NULL, NULL);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret, "the event loop broke down: %s",
                            strerror(-ret));
    return 0;
}

int pp_serve(const struct pp_plan *plan, const struct pp_serve_hooks *hooks,
             struct pp_serve_report *report, struct pp_error *err)
{
    struct serve serve = { .hooks = hooks };
    const int descriptors = pp_descriptors_raise(plan, err);
    int ret = descriptors < 0 ? descriptors : pp_loop_open_waiting(&serve.loop, err);
    int server_ret = 0;

    if (ret == 0)
        ret = pp_servers_open(&serve.servers, plan, (uint32_t)descriptors, report->refused_engine,
                              err);
    if (ret == 0) {
        report->addr = *pp_servers_addr(serve.servers);
        (void)snprintf(report->engine, sizeof report->engine, "%s",
                       pp_servers_describe(serve.servers));
        ret = hooks->on_begin(hooks->context, plan, report, err);
        if (ret == 0)
            ret = serve_until_signal(&serve, err);
        server_ret = pp_servers_stop(serve.servers);
        report->counts = pp_servers_counts(serve.servers);
        report->signal = pp_interrupt_signal();
    }
    pp_servers_close(serve.servers);
    pp_io_loop_close(serve.loop);
    if (server_ret < 0)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, server_ret, "engine %.*s broke down: %s",
                            (int)strcspn(report->engine, ":"), report->engine,
                            strerror(-server_ret));
    return ret;
}
