#include "cli/run.h"

#include "base/memory.h"
#include "bench/interrupt.h"
#include "bench/run.h"
#include "report/progress.h"
#include "report/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Narrower than this, folding would do more harm than good, and a bar has no room. */
#define COLUMNS_MIN 40

struct screen {
    struct pp_text_style style;
    unsigned bar_columns; /* of the terminal that shows the bar; 0: no bar */
};

/* 0: not a terminal, or too narrow a one. */
static unsigned terminal_columns(int fd)
{
    struct winsize size;

    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) < 0)
        return 0;
    return size.ws_col >= COLUMNS_MIN ? size.ws_col : 0;
}

static bool terminal_can_erase(void)
{
    const char *term = getenv("TERM");

    return term && strcmp(term, "dumb") != 0;
}

static void on_begin(void *context, const struct pp_result *result)
{
    const struct screen *screen = context;

    if (result->refused_engine[0])
        (void)fprintf(stderr, "pingpong: %s; running on engine %s\n", result->refused_engine,
                      result->client.engine_name);
    pp_text_begin(stdout, &screen->style, result);
    (void)fflush(stdout);
}

static void on_progress(void *context, uint64_t done, uint64_t count, uint64_t elapsed_ns)
{
    const struct screen *screen = context;

    if (screen->bar_columns)
        pp_progress_draw(stderr, screen->bar_columns, done, count, elapsed_ns);
}

static void warn(const struct pp_plan *plan)
{
    if (plan->wait == PP_IO_WAIT_SPIN && plan->placement == PP_PLACEMENT_SAME)
        (void)fprintf(stderr, "pingpong: spinning on the CPU that the other side needs makes every "
                              "round trip wait for the scheduler; --wait yield does not\n");
}

static int run_with(const struct pp_cli *cli, struct screen *screen, struct pp_result *result,
                    struct pp_error *err)
{
    const struct pp_run_hooks hooks = { .on_begin = on_begin,
                                        .on_progress = on_progress,
                                        .context = screen };
    struct pp_plan plan = cli->plan;
    int ret = pp_plan_decide(&plan, err);

    if (ret < 0)
        return ret;
    warn(&plan);
    ret = pp_run(&plan, &hooks, result, err);
    if (screen->bar_columns)
        pp_progress_clear(stderr);
    if (result->measured)
        pp_text_end(stdout, &screen->style, result);
    return ret;
}

static int flush_output(struct pp_error *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return pp_error_set(err, PP_ERROR_RUN, errno ? -errno : -EIO,
                        "cannot write the result: %s; where standard output goes must be writable",
                        strerror(errno ? errno : EIO));
}

int pp_cli_run(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    struct screen screen = {
        .style = { .quiet = cli->quiet,
                   .verbose = cli->verbose,
                   .columns = terminal_columns(STDOUT_FILENO) },
        .bar_columns = !cli->quiet && terminal_can_erase() ? terminal_columns(STDERR_FILENO) : 0,
    };
    struct pp_result *result = pp_memory_alloc(1, sizeof *result);
    int ret, flushed;

    if (!result)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a result");
    pp_interrupt_install();
    ret = run_with(cli, &screen, result, err);
    flushed = flush_output(err);
    *signal_out = result->signal;
    pp_memory_free(result);
    return ret < 0 ? ret : flushed;
}
