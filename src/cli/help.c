#include "cli/options.h"
#include "cli/table.h"

#include <string.h>

#define HELP_COLUMN 26
#define GAP 2 /* at least, between an option and its help */
#define COMMAND_COLUMN 29

static const struct {
    const char *title;
    unsigned jobs; /* that most of its options are for */
} groups[] = {
    [PP_CLI_LOAD] = { "The load", PP_CLI_RUN | PP_CLI_CLIENT },
    [PP_CLI_TRANSPORT] = { "Transport", PP_CLI_ALL },
    [PP_CLI_FOREIGN] = { "Servers that are no pingpong", PP_CLI_CLIENT },
    [PP_CLI_HOW] = { "How it runs", PP_CLI_ALL },
    [PP_CLI_RESULT] = { "The result", PP_CLI_RUN | PP_CLI_CLIENT },
    [PP_CLI_OUTPUT] = { "Output", PP_CLI_ALL },
};

const char *pp_cli_group_title(enum pp_cli_group group)
{
    return groups[group].title;
}

/* Prints text from the column on, on every line; used columns of the first one are printed. */
static void print_indented(FILE *out, const char *text, int column, int used)
{
    if (used + GAP > column) {
        (void)fputc('\n', out);
        used = 0;
    }
    while (*text) {
        const size_t bytes = strcspn(text, "\n");

        (void)fprintf(out, "%*s%.*s\n", column - used, "", (int)bytes, text);
        text += bytes + (text[bytes] == '\n');
        used = 0;
    }
}

static void print_aliases(FILE *out, const char *aliases)
{
    (void)fprintf(out, "%*salso ", HELP_COLUMN, "");
    while (*aliases) {
        const size_t bytes = strcspn(aliases, ",");

        (void)fprintf(out, "--%.*s%s", (int)bytes, aliases, aliases[bytes] ? ", " : "\n");
        aliases += bytes + (aliases[bytes] == ',');
    }
}

static void print_option(FILE *out, const struct pp_cli_option *option, unsigned jobs)
{
    char text[PP_CLI_JOBS_TEXT_BYTES];
    int used = 0;

    if (option->letter)
        used = fprintf(out, "  -%c, --%s", option->letter, option->name);
    else
        used = fprintf(out, "      --%s", option->name);
    if (pp_cli_value_is_optional(option))
        used += fprintf(out, "[=%s", option->value + 1);
    else if (option->value)
        used += fprintf(out, "=%s", option->value);
    print_indented(out, option->help, HELP_COLUMN, used);
    if (option->aliases)
        print_aliases(out, option->aliases);
    if (jobs == PP_CLI_ALL && option->jobs != groups[option->group].jobs)
        (void)fprintf(out, "%*sfor %s alone\n", HELP_COLUMN, "",
                      pp_cli_jobs_format(option->jobs, text));
}

static void print_title(FILE *out, enum pp_cli_group group, unsigned jobs)
{
    char text[PP_CLI_JOBS_TEXT_BYTES];

    (void)fprintf(out, "\n%s", groups[group].title);
    if (jobs == PP_CLI_ALL && groups[group].jobs != PP_CLI_ALL)
        (void)fprintf(out, " (%s)", pp_cli_jobs_format(groups[group].jobs, text));
    (void)fputs(":\n", out);
}

static void print_options(FILE *out, unsigned jobs)
{
    for (enum pp_cli_group group = 0; group < PP_CLI_GROUPS; group++) {
        bool titled = false;

        for (size_t i = 0; i < pp_cli_option_count; i++) {
            if (pp_cli_options[i].group != group || !(pp_cli_options[i].jobs & jobs))
                continue;
            if (!titled)
                print_title(out, group, jobs);
            titled = true;
            print_option(out, &pp_cli_options[i], jobs);
        }
    }
}

static void print_commands(FILE *out)
{
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        const struct pp_cli_command *command = &pp_cli_commands[i];
        const int used = fprintf(out, "  pingpong %s", command->usage);

        print_indented(out, command->help, COMMAND_COLUMN, used);
    }
}

static void print_all(FILE *out)
{
    (void)fputs("usage: pingpong [COMMAND] [ADDRESS] [OPTION]...\n\n"
                "Measures network round trips: how many per second, how long each takes, and\n"
                "what each costs. A client sends \"PING\\n\", waits for the echo, checks every\n"
                "byte, and sends the next.\n\n",
                out);
    print_commands(out);
    (void)fputs("\nExamples:\n"
                "  pingpong                             500,000 round trips on this machine\n"
                "  pingpong serve :3131                 a server for other machines\n"
                "  pingpong 10.0.0.2 -c 100 -t 30s      100 connections to it for 30 seconds\n"
                "  pingpong client 10.0.0.2 -R 50k -m 64,1k\n"
                "                                       50,000 requests of 64 B a second, each\n"
                "                                       answered with 1,000 B\n"
                "  pingpong client cache:6379 --send 'PING\\r\\n' --expect '+PONG\\r\\n'\n"
                "                                       another program's server\n",
                out);
}

static void print_one(FILE *out, unsigned jobs)
{
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        const struct pp_cli_command *command = &pp_cli_commands[i];

        if (command->action != PP_CLI_JOB || jobs != 1U << command->job)
            continue;
        (void)fprintf(out, "usage: pingpong %s [OPTION]...\n\n%s\n", command->usage,
                      command->about);
    }
}

void pp_cli_print_help(FILE *out, unsigned jobs)
{
    if (jobs == PP_CLI_ALL)
        print_all(out);
    else
        print_one(out, jobs);
    if (jobs != PP_CLI_RUN)
        (void)fputs("\nADDRESS is HOST, HOST:PORT, :PORT, [IPV6]:PORT or unix:/path; the port is\n"
                    "3131 where none is given.\n",
                    out);
    print_options(out, jobs);
    (void)fprintf(out,
                  "\nExit status:\n"
                  "  0 ok, 1 the run failed, 2 usage, 3 with --strict an INVALID result, with\n"
                  "  --strict=suspect a SUSPECT one, too, or one that meets a condition of\n"
                  "  --fail-if,\n"
                  "  4 an engine or a feature cannot be had here, 5 a wrong answer,\n"
                  "  129, 130, 131 or 143 interrupted (%s)\n",
                  jobs == PP_CLI_SERVE ? "before it listens; later it ends with 0"
                                       : "what was measured is printed");
}
