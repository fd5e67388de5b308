#include "cli/describe.h"

#include <string.h>

#define COLUMNS 80
#define HELP_COLUMN 26
#define GAP 2 /* at least, between an option and its help */
#define COMMAND_COLUMN 29
#define EXAMPLE_COLUMN 39

/* How many columns the next word of text takes, with its bytes set. */
static int word_columns(const char *text, int *bytes)
{
    int columns = 0;

    for (*bytes = 0; text[*bytes] && text[*bytes] != ' '; ++*bytes)
        columns += (text[*bytes] & 0xc0) != 0x80; /* a character of UTF-8 begins */
    return columns;
}

/* Prints text from the column on, on every line; used columns of the first one are printed. */
static void print_wrapped(FILE *out, const char *text, int column, int used)
{
    if (used > 0 && used + GAP > column) {
        (void)fputc('\n', out);
        used = 0;
    }
    used += fprintf(out, "%*s", column - used, "");
    while (*text) {
        int bytes;
        const int columns = word_columns(text, &bytes);

        if (used > column && used + 1 + columns > COLUMNS)
            used = fprintf(out, "\n%*s", column, "") - 1;
        used += columns + (used > column);
        (void)fprintf(out, "%s%.*s", used - columns > column ? " " : "", bytes, text);
        text += bytes;
        text += *text == ' ';
    }
    (void)fputc('\n', out);
}

/* Whether others of its group are for other commands. That explain takes but some is no news. */
static bool is_special(const struct pp_cli_option *option)
{
    return (option->jobs ^ pp_cli_groups[option->group].jobs) & ~PP_CLI_EXPLAIN;
}

static void print_alone(FILE *out, unsigned jobs)
{
    struct pp_cli_text text = { 0 };

    pp_cli_text_add(&text, "for %s alone", pp_cli_jobs_text(jobs, ", ", " and ").text);
    print_wrapped(out, text.text, HELP_COLUMN, 0);
}

static void print_option(FILE *out, const struct pp_cli_option *option, unsigned jobs)
{
    const struct pp_cli_text value = pp_cli_value_text(option);
    const char *before = "also --";
    int used = 0;

    if (option->letter)
        used = fprintf(out, "  -%c, --%s", option->letter, option->name);
    else
        used = fprintf(out, "      --%s", option->name);
    if (value.used)
        used += fprintf(out, option->optional ? "[=%s]" : "=%s", value.text);
    print_wrapped(out, pp_cli_help_text(option).text, HELP_COLUMN, used);
    for (const char *const *alias = option->aliases; *alias; alias++, before = ", --")
        (void)fprintf(out, "%*s%s%s%s", alias == option->aliases ? HELP_COLUMN : 0, "", before,
                      *alias, alias[1] ? "" : "\n");
    if (jobs == PP_CLI_ALL && is_special(option))
        print_alone(out, option->jobs);
}

static void print_title(FILE *out, enum pp_cli_group group, unsigned jobs)
{
    const unsigned of_group = pp_cli_groups[group].jobs;

    (void)fprintf(out, "\n%s", pp_cli_groups[group].title);
    if (jobs == PP_CLI_ALL && (of_group & PP_CLI_JOBS) != PP_CLI_JOBS)
        (void)fprintf(out, " (%s)", pp_cli_jobs_text(of_group, ", ", " and ").text);
    (void)fputs(":\n", out);
}

/* The rows of a group stand together. */
static void print_options(FILE *out, unsigned jobs)
{
    enum pp_cli_group group = PP_CLI_GROUPS;

    for (size_t i = 0; i < pp_cli_option_count; i++) {
        if (!(pp_cli_options[i].jobs & jobs))
            continue;
        if (pp_cli_options[i].group != group)
            print_title(out, pp_cli_options[i].group, jobs);
        group = pp_cli_options[i].group;
        print_option(out, &pp_cli_options[i], jobs);
    }
}

static void print_all(FILE *out)
{
    (void)fputs("usage: pingpong [COMMAND] [ADDRESS] [OPTION]...\n\n"
                "Measures network round trips: how many per second, how long each takes, and\n"
                "what each costs. A client sends \"PING\\n\", waits for the echo, checks every\n"
                "byte, and sends the next.\n\n",
                out);
    for (size_t i = 0; i < pp_cli_command_count; i++)
        print_wrapped(out, pp_cli_commands[i].help, COMMAND_COLUMN,
                      fprintf(out, "  pingpong %s", pp_cli_commands[i].usage));
    (void)fputs("\nExamples:\n", out);
    for (const struct pp_cli_example *example = pp_cli_examples; example->line; example++)
        print_wrapped(out, example->what, EXAMPLE_COLUMN, fprintf(out, "  %s", example->line));
}

static void print_one(FILE *out, unsigned jobs)
{
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        if (pp_cli_commands[i].jobs != jobs)
            continue;
        (void)fprintf(out, "usage: pingpong %s [OPTION]...\n\n", pp_cli_commands[i].usage);
        print_wrapped(out, pp_cli_commands[i].about, 0, 0);
    }
}

static void print_statuses(FILE *out, unsigned jobs)
{
    (void)fputs("\nExit status:\n", out);
    for (size_t i = 0; i < pp_cli_status_count; i++) {
        struct pp_cli_text text = { 0 };

        if (!pp_cli_has_status(i, jobs))
            continue;
        pp_cli_text_add(&text, "%s %s", pp_cli_statuses[i].codes, pp_cli_statuses[i].help);
        print_wrapped(out, text.text, 2, 0);
    }
}

void pp_cli_print_help(FILE *out, unsigned jobs)
{
    if (jobs == PP_CLI_ALL)
        print_all(out);
    else
        print_one(out, jobs);
    if (jobs != PP_CLI_RUN && jobs != PP_CLI_EXPLAIN && jobs != PP_CLI_ENGINES) {
        (void)fputc('\n', out);
        print_wrapped(out, PP_CLI_ADDRESS_IS PP_CLI_PORT_IS, 0, 0);
    }
    print_options(out, jobs);
    print_statuses(out, jobs);
}
