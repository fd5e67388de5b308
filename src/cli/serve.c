/* The command serve. */
#include "job/serve.h"

#include "cli/screen.h"
#include "cli/table.h"
#include "job/interrupt.h"
#include "report/text.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Who cannot be told where it listens cannot use it. */
static int on_begin(void *context, const struct pp_plan *plan, const struct pp_serve_report *report,
                    struct pp_error *err)
{
    const struct pp_screen *screen = context;

    if (report->refused_engine[0])
        (void)fprintf(stderr, "pingpong: %s; running on engine %.*s\n", report->refused_engine,
                      (int)strcspn(report->engine, ":"), report->engine);
    pp_text_serve_begin(stdout, &screen->style, plan, report);
    return pp_screen_flush(err);
}

/* A line on standard error, unless that could make the server wait. */
static void on_notice(void *context, const struct pp_servers_counts *before,
                      const struct pp_servers_counts *now, const struct pp_io_addr *from)
{
    struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

    (void)context;
    if (poll(&out, 1, 0) > 0 && out.revents & POLLOUT)
        pp_text_serve_notice(stderr, &before->streams, &now->streams, from);
}

/* A signal is how a server is meant to end, once it serves. */
int pp_cli_serve(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct pp_screen screen = pp_screen_of(cli);
    const struct pp_serve_hooks hooks = { .context = &screen,
                                          .on_begin = on_begin,
                                          .on_notice = on_notice };
    struct pp_serve_report report = { 0 };
    struct pp_plan plan = cli->plan;
    int ret = pp_plan_decide(&plan, err);

    *signal_out = 0;
    if (ret < 0)
        return ret;
    pp_interrupt_install();
    ret = pp_serve(&plan, &hooks, &report, err);
    if (ret == -EINTR && pp_interrupt_signal()) {
        *signal_out = pp_interrupt_signal();
        return 0;
    }
    if (ret < 0)
        return ret;
    pp_text_serve_end(stdout, &screen.style, &report);
    return pp_screen_flush(err);
}
