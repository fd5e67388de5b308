#include "cli/screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Narrower than this, folding would do more harm than good, and a bar has no room. */
#define COLUMNS_MIN 40

/* 0: not a terminal, or too narrow a one. */
static unsigned terminal_columns(int fd)
{
    struct winsize size;

    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) < 0)
        return 0;
    return size.ws_col >= COLUMNS_MIN ? size.ws_col : 0;
}

static bool terminal_has_codes(void)
{
    const char *term = getenv("TERM");

    return term && strcmp(term, "dumb") != 0;
}

/* https://no-color.org: any value but an empty one says no. */
static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && terminal_has_codes() && !(no && *no);
}

static bool streams_to_stdout(const struct pp_cli *cli)
{
    for (unsigned i = 0; i < cli->output_count; i++) {
        const struct pp_report_format *format = cli->outputs[i].format;

        if (strcmp(cli->outputs[i].path, "-") == 0 && format->streams &&
            (format->wants_intervals || cli->intervals))
            return true;
    }
    return false;
}

/* Lines that come by themselves would tear a bar apart, and where a pipe leads nobody knows. */
static bool wants_bar(const struct pp_cli *cli)
{
    return !cli->quiet && !streams_to_stdout(cli) && terminal_has_codes();
}

struct pp_screen pp_screen_of(const struct pp_cli *cli)
{
    return (struct pp_screen){
        .style = { .quiet = cli->quiet,
                   .verbose = cli->verbose,
                   .colour = wants_colour(),
                   .columns = pp_screen_columns() },
        .bar_columns = wants_bar(cli) ? terminal_columns(STDERR_FILENO) : 0,
    };
}

unsigned pp_screen_columns(void)
{
    return terminal_columns(STDOUT_FILENO);
}

unsigned pp_screen_bar_columns(const struct pp_screen *screen)
{
    return screen->bar_columns ? terminal_columns(STDERR_FILENO) : 0;
}

int pp_screen_flush(struct pp_error *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return pp_error_set(err, PP_ERROR_RUN, errno ? -errno : -EIO,
                        "cannot write the result: %s; where standard output goes must be writable",
                        strerror(errno ? errno : EIO));
}
