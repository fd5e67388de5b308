#include "bench/serve.h"

#include "base/container.h"
#include "bench/interrupt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The calling thread only waits, on a loop of its own: for a signal, or for a server thread that
 * has ended before its time. */
struct serve {
    struct pp_io_loop *loop;
    struct pp_servers *servers;
    struct pp_io_op interrupt_op;
    struct pp_io_op reply_op;
};

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct serve *serve = container_of(op, struct serve, interrupt_op);

    pp_io_cancel(serve->loop, &serve->reply_op);
    return PP_IO_DISARM;
}

static enum pp_io_next on_reply(struct pp_io_op *op)
{
    struct serve *serve = container_of(op, struct serve, reply_op);

    if (op->res == 0 && !pp_servers_ended(serve->servers))
        return PP_IO_REARM;
    pp_io_cancel(serve->loop, &serve->interrupt_op);
    return PP_IO_DISARM;
}

static int serve_until_signal(struct serve *serve, struct pp_error *err)
{
    int ret;

    pp_io_wake_wait(serve->loop, &serve->interrupt_op, on_interrupt);
    pp_io_wake_wait(serve->loop, &serve->reply_op, on_reply);
    ret = pp_servers_start(serve->servers, serve->loop, &serve->reply_op, err);
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

int pp_serve(const struct pp_plan *plan, pp_serve_begin *on_begin, void *context,
             struct pp_serve_report *report, struct pp_error *err)
{
    struct serve serve = { 0 };
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
        ret = on_begin(context, plan, report, err);
        if (ret == 0)
            ret = serve_until_signal(&serve, err);
        server_ret = pp_servers_stop(serve.servers);
        report->counts = pp_servers_counts(serve.servers);
        report->signal = pp_interrupt_signal();
    }
    pp_servers_close(serve.servers);
    pp_io_loop_close(serve.loop);
    if (server_ret < 0)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, server_ret, "the engine broke down: %s",
                            strerror(-server_ret));
    return ret;
}
