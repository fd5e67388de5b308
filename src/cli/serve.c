/* The job serve. */
#include "bench/serve.h"

#include "bench/interrupt.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "report/text.h"

#include <string.h>

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

/* A signal is how a server is meant to end. */
int pp_cli_serve(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct pp_screen screen = pp_screen_of(cli);
    struct pp_serve_report report = { 0 };
    struct pp_plan plan = cli->plan;
    int ret = pp_plan_decide(&plan, err);

    *signal_out = 0;
    if (ret < 0)
        return ret;
    pp_interrupt_install();
    ret = pp_serve(&plan, on_begin, &screen, &report, err);
    if (ret < 0)
        return ret;
    pp_text_serve_end(stdout, &screen.style, &report);
    return pp_screen_flush(err);
}
