/* From the command line to the exit status. */
#include "base/error.h"
#include "cli/options.h"
#include "cli/table.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int status_of(const struct pp_error *err)
{
    switch (err->kind) {
    case PP_ERROR_RUN:
        return 1;
    case PP_ERROR_USAGE:
        return 2;
    case PP_ERROR_GATE:
        return 3;
    case PP_ERROR_UNAVAILABLE:
        return 4;
    case PP_ERROR_WRONG_ECHO:
        return 5;
    }
    return 1;
}

/* A closed standard stream would lend its number to the next socket, which would then be printed
 * to. What stands in for it can only be read, or only written: using it is the error it should
 * be. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDONLY | O_CLOEXEC); /* it gets the lowest number */
}

int main(int argc, char **argv)
{
    struct pp_error err = { 0 };
    struct pp_cli cli;
    int ret, signal_number = 0;

    hold_standard_streams();
    ret = pp_cli_parse(&cli, argc, argv, &err);
    if (ret == 0)
        ret = cli.command->run(&cli, &signal_number, &err);
    if (ret >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
        ret = pp_error_set(&err, PP_ERROR_RUN, -1, "cannot write to standard output");
    if (ret < 0)
        (void)fprintf(stderr, "pingpong: %s\n", err.text);
    exit(ret < 0 ? status_of(&err) : signal_number ? 128 + signal_number : 0);
}
