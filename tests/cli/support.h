/* What the tests of the command line share: a line as somebody types it, and what becomes of it. */
#ifndef PP_TESTS_CLI_SUPPORT_H
#define PP_TESTS_CLI_SUPPORT_H

#include "base/container.h"
#include "cli/describe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define ARGS_MAX 12

/* The arguments after the program's name, then NULL. */
struct line {
    const char *args[ARGS_MAX];
};

#define LINE(...) (&(struct line){ { __VA_ARGS__ } })

/* Fills in argv, and returns how many there are. */
static inline int line_argv(const struct line *line, char *argv[ARGS_MAX + 2])
{
    static char name[] = "pingpong";
    int argc = 1;

    argv[0] = name;
    for (; argc <= ARGS_MAX && line->args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)line->args[argc - 1];
    argv[argc] = NULL;
    return argc;
}

static inline int parse(struct pp_cli *cli, const struct line *line, struct pp_error *err)
{
    char *argv[ARGS_MAX + 2];
    const int argc = line_argv(line, argv);

    *err = (struct pp_error){ 0 };
    memset(cli, 0xa5, sizeof *cli);
    return pp_cli_parse(cli, argc, argv, err);
}

/* What parses must parse to. */
static inline const struct pp_cli *parsed(const struct line *line)
{
    static struct pp_cli cli;
    struct pp_error err;

    if (parse(&cli, line, &err) != 0)
        fail_msg("%s: %s", line->args[0] ? line->args[0] : "nothing", err.text);
    assert_int_equal(err.code, 0);
    return &cli;
}

static inline struct pp_cli defaults(enum pp_job job)
{
    struct pp_cli cli = { .help_jobs = PP_CLI_ALL, .command = pp_cli_command_of(1U << job) };

    pp_plan_default(&cli.plan, job);
    return cli;
}

/* What is said of a line that makes no sense. */
static inline const char *refusal(const struct line *line)
{
    static struct pp_error err;
    struct pp_cli cli;

    if (parse(&cli, line, &err) != -EINVAL)
        fail_msg("%s %s is not refused", line->args[0], line->args[1] ? line->args[1] : "");
    assert_int_equal(err.code, -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    if (strchr(err.text, '\n'))
        fail_msg("more than a line: %s", err.text);
    return err.text;
}

/* Its text has both words in it. */
static inline void check_refused(const struct line *line, const char *word, const char *other)
{
    const char *text = refusal(line);

    if (!strstr(text, word) || !strstr(text, other))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", text, word, other);
}

#endif
