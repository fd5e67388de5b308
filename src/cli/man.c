/* The source of the manual pages: in scdoc, where * and _ begin and end bold and underlined text,
 * a tab indents, "++" ends a line, and \ takes away what the next character means. */
#include "cli/man.h"

#include "cli/describe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- text ---- */

static void put_character(FILE *out, char c)
{
    if (strchr("*_\\+`", c))
        (void)fputc('\\', out);
    (void)fputc(c, out);
}

/* What would begin something else at the start of a paragraph. A full stop is put behind an empty
 * bold text, because it means something to roff, too, which a backslash does not change. */
static void put_start(FILE *out, char c)
{
    if (c == '.')
        (void)fputs("**", out);
    else if (strchr("#-[]|;", c))
        (void)fputc('\\', out);
}

/* Whether text begins with the name of an option. */
static bool is_option(const char *text)
{
    return strncmp(text, "--", 2) == 0 && islower((unsigned char)text[2]);
}

static const char *put_option_name(FILE *out, const char *text)
{
    const size_t bytes = 2 + strspn(text + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");

    (void)fprintf(out, "*%.*s*", (int)bytes, text);
    return text + bytes;
}

/* Text of the tables as a part of a paragraph, or at its start: the options that it names are
 * bold. */
static void put_text(FILE *out, const char *text, bool start)
{
    if (start && *text && !is_option(text))
        put_start(out, *text);
    while (*text) {
        if (is_option(text)) {
            text = put_option_name(out, text);
            continue;
        }
        put_character(out, *text);
        text++;
    }
}

static bool is_placeholder(char c)
{
    return isupper((unsigned char)c) || isdigit((unsigned char)c);
}

static bool is_word(char c)
{
    return islower((unsigned char)c) || c == '-';
}

/* "[client] ADDRESS": what stands for something else is underlined, and what is typed as it stands
 * is bold, where text is nothing but such. */
static void put_marked(FILE *out, const char *text, bool is_typed)
{
    while (*text) {
        const bool typed = is_typed && is_word(*text);
        bool (*const same)(char) = typed ? is_word : is_placeholder;
        const char mark = typed ? '*' : '_';

        if (!typed && !isupper((unsigned char)*text)) {
            put_character(out, *text++);
            continue;
        }
        (void)fputc(mark, out);
        while (*text && same(*text))
            (void)fputc(*text++, out);
        (void)fputc(mark, out);
    }
}

/* ---- options ---- */

static void put_option(FILE *out, const struct pp_cli_option *option)
{
    const struct pp_cli_text value = pp_cli_value_text(option);
    const char *before = " ++\nAlso ";

    if (option->letter)
        (void)fprintf(out, "*-%c*, ", option->letter);
    (void)fprintf(out, "*--%s*", option->name);
    if (value.used) {
        (void)fputs(option->optional ? "[=" : "=", out);
        put_marked(out, value.text, true);
        (void)fputs(option->optional ? "]" : "", out);
    }
    (void)fputs("\n\t", out);
    put_text(out, pp_cli_help_text(option).text, true);
    if (value.used) {
        (void)fputs(" ++\nTakes ", out);
        put_text(out, pp_cli_takes_text(option).text, false);
    }
    for (const char *const *alias = option->aliases; *alias; alias++, before = ", ")
        (void)fprintf(out, "%s*--%s*", before, *alias);
    (void)fputs("\n\n", out);
}

static void put_options(FILE *out, unsigned jobs)
{
    enum pp_cli_group group = PP_CLI_GROUPS;

    (void)fputs("# OPTIONS\n\n"
                "What applies where an option is left out stands in parentheses. A value may also "
                "be the next argument (*--port 7*, *-p 7*, *-p7*), unless it is optional, and a "
                "name may be shortened as long as it is clear.\n\n",
                out);
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        if (!(pp_cli_options[i].jobs & jobs))
            continue;
        if (pp_cli_options[i].group != group)
            (void)fprintf(out, "## %s\n\n", pp_cli_groups[pp_cli_options[i].group].title);
        group = pp_cli_options[i].group;
        put_option(out, &pp_cli_options[i]);
    }
}

/* ---- what several pages have ---- */

/* The parts of scdoc's own are written as such here. */
static void put_examples(FILE *out, const struct pp_cli_example *examples)
{
    (void)fputs("# EXAMPLES\n\n", out);
    for (; examples->line; examples++) {
        (void)fputc(toupper((unsigned char)*examples->what), out);
        put_text(out, examples->what + 1, false);
        (void)fputs(":\n\n```\n", out);
        for (const char *at = examples->line; *at; at++)
            (void)fprintf(out, *at == '\\' ? "\\%c" : "%c", *at);
        (void)fputs("\n```\n\n", out);
    }
}

static void put_addresses(FILE *out)
{
    (void)fputs("# ADDRESSES\n\nAn ", out);
    put_marked(out, PP_CLI_ADDRESS_IS PP_CLI_PORT_IS, false);
    (void)fputs("\n\n", out);
}

static void put_exit_status(FILE *out, unsigned jobs)
{
    const char *before = "";

    (void)fputs("# EXIT STATUS\n\n", out);
    for (size_t i = 0; i < pp_cli_status_count; i++) {
        if (!pp_cli_has_status(i, jobs))
            continue;
        (void)fprintf(out, "%s*%s*: ", before, pp_cli_statuses[i].codes);
        put_text(out, pp_cli_statuses[i].help, false);
        if (pp_cli_statuses[i].more)
            put_text(out, pp_cli_statuses[i].more, false);
        before = " ++\n";
    }
    (void)fputs("\n\n", out);
}

static void put_head(FILE *out, const char *name, const char *what)
{
    (void)fprintf(out,
                  "%s(1) \"pingpong %s\" \"User commands\"\n\n"
                  "# NAME\n\n%s - %s\n\n"
                  "# SYNOPSIS\n\n",
                  name, PP_VERSION, name, what);
}

static void put_see_also(FILE *out, const char *name)
{
    char other[PP_CLI_MAN_NAME_BYTES];
    const char *separator = "";

    (void)fputs("# SEE ALSO\n\n", out);
    for (size_t i = 0; pp_cli_man_name(i, other); i++) {
        if (strcmp(other, name) == 0)
            continue;
        (void)fprintf(out, "%s*%s*(1)", separator, other);
        separator = ", ";
    }
    (void)fputs("\n", out);
}

/* ---- the page of a command ---- */

static void put_command_page(FILE *out, const struct pp_cli_command *command, const char *name)
{
    put_head(out, name, command->help);
    (void)fputs("*pingpong* ", out);
    put_marked(out, command->usage, true);
    (void)fputs(" [_OPTION_]...\n\n# DESCRIPTION\n\n", out);
    put_text(out, command->about, true);
    (void)fputs("\n\n", out);
    if (command->operand == PP_CLI_AN_ADDRESS)
        put_addresses(out);
    put_options(out, command->jobs);
    put_exit_status(out, command->jobs);
    put_examples(out, command->examples);
    put_see_also(out, name);
}

/* ---- the page of the program ---- */

static void put_commands(FILE *out)
{
    (void)fputs("# COMMANDS\n\n", out);
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        const struct pp_cli_command *command = &pp_cli_commands[i];

        (void)fputs("*pingpong* ", out);
        put_marked(out, command->usage, true);
        (void)fputs("\n\t", out);
        put_text(out, command->help, true);
        if (command->jobs)
            (void)fprintf(out, ": *pingpong-%s*(1)", command->name);
        (void)fputs("\n\n", out);
    }
}

static void put_description(FILE *out)
{
    (void)fputs(
        "*pingpong* [_COMMAND_] [_ADDRESS_] [_OPTION_]...\n\n"
        "# DESCRIPTION\n\n"
        "*pingpong* measures network round trips: how many per second a host, a path or an "
        "async-I/O engine does, how long each takes, and what each costs; over TCP, UDP and Unix "
        "sockets, one message or thousands at a time, within one machine or between two, and "
        "against servers that it has never heard of.\n\n"
        "A client sends a message, \"PING\" and a line feed unless told otherwise, waits for the "
        "echo, checks every byte, and sends the next. Only the round trips are timed, not "
        "connecting or closing. A round-trip time (RTT) is always the full round trip, and a "
        "percentile is printed where at least ten samples lie beyond it.\n\n"
        "The first word that is no option decides what is done; where it is no command, it is the "
        "_ADDRESS_ of a server, and without any the command is *run*.\n\n",
        out);
}

static void put_surroundings(FILE *out)
{
    (void)fputs(
        "# ENVIRONMENT\n\n"
        "*TERM*\n"
        "\tWhere it is not set or \"dumb\", a terminal is shown no progress and no colours.\n\n"
        "*NO\\_COLOR*\n"
        "\tWhere it is set and not empty, there are no colours.\n\n"
        "# FILES\n\n"
        "_/proc/sys/kernel/io\\_uring\\_disabled_\n"
        "\tWhere it says so, io\\_uring is refused: the engine *auto* then runs on epoll and says "
        "why.\n\n"
        "_/proc/sys/net/ipv4/tcp\\_available\\_congestion\\_control_\n"
        "\tWhat *--cc* may name.\n\n"
        "_/proc/stat_, _/sys/devices/system/cpu_\n"
        "\tRead to place the threads.\n\n",
        out);
}

static void put_program_page(FILE *out, const char *name)
{
    put_head(out, name, "network round-trip benchmark");
    put_description(out);
    put_commands(out);
    put_addresses(out);
    put_exit_status(out, PP_CLI_ALL);
    put_surroundings(out);
    put_examples(out, pp_cli_examples);
    put_see_also(out, name);
}

/* ---- pages ---- */

/* Of the page with this number but for the first, which is the program's. */
static const struct pp_cli_command *command_of(size_t number)
{
    for (size_t i = 0; i < pp_cli_command_count; i++)
        if (pp_cli_commands[i].jobs && --number == 0)
            return &pp_cli_commands[i];
    return NULL;
}

const char *pp_cli_man_name(size_t number, char name[PP_CLI_MAN_NAME_BYTES])
{
    const struct pp_cli_command *command = number > 0 ? command_of(number) : NULL;

    if (number > 0 && !command)
        return NULL;
    (void)snprintf(name, PP_CLI_MAN_NAME_BYTES, "pingpong%s%s", command ? "-" : "",
                   command ? command->name : "");
    return name;
}

bool pp_cli_print_man(FILE *out, const char *name)
{
    char text[PP_CLI_MAN_NAME_BYTES];

    for (size_t i = 0; pp_cli_man_name(i, text); i++) {
        if (strcmp(text, name) != 0)
            continue;
        if (i == 0)
            put_program_page(out, name);
        else
            put_command_page(out, command_of(i), name);
        return true;
    }
    return false;
}
