/* Each file begins with what the tables say, a line for each option, and ends with the code that
 * makes use of that and knows no option by name: src/cli/completion.bash and so on. */
#include "cli/completion.h"

#include "base/container.h"
#include "cli/table.h"
#include "cli/value.h"

#include <ctype.h>
#include <string.h>

#define CLAUSE_BYTES 256
#define CLAUSE_MIN 16 /* "with --rate" says too little */

/* ---- what all shells need ---- */

/* In a shell's single quotes: one of them ends the text, and another begins behind it. A
 * backslash goes before each character of special. */
static void put_quoted(FILE *out, const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            (void)fputs("'\\'", out);
        else if (strchr(special, *text))
            (void)fputc('\\', out);
        (void)fputc(*text == '\n' ? ' ' : *text, out);
    }
}

/* The length of the help's first clause, which is what fits beside a name. */
static size_t clause_bytes(const char *help)
{
    bool quoted = false;
    int depth = 0;
    size_t at;

    for (at = 0; help[at]; at++) {
        depth += (help[at] == '(') - (help[at] == ')');
        quoted ^= help[at] == '"';
        if (at >= CLAUSE_MIN && strchr(";:.", help[at]) && isspace((unsigned char)help[at + 1]) &&
            depth == 0 && !quoted)
            break;
    }
    return at;
}

static void put_summary(FILE *out, const char *help, const char *special)
{
    char clause[CLAUSE_BYTES];

    (void)snprintf(clause, sizeof clause, "%.*s", (int)clause_bytes(help), help);
    put_quoted(out, clause, special);
}

static void put_jobs(FILE *out, unsigned jobs, const char *separator)
{
    const char *before = "";

    for (unsigned job = 0; jobs >> job; job++) {
        if (!(jobs >> job & 1))
            continue;
        (void)fprintf(out, "%s%s", before, pp_cli_job_name((enum pp_job)job));
        before = separator;
    }
}

/* "-c --connections" */
static void put_names(FILE *out, const struct pp_cli_option *option)
{
    if (option->letter)
        (void)fprintf(out, "-%c ", option->letter);
    (void)fprintf(out, "--%s", option->name);
}

/* The length of the alias at *at, which moves on to the next one; 0 at the end. */
static size_t next_alias(const char **at, const char **alias)
{
    size_t bytes;

    *alias = *at;
    if (!*at || !**at)
        return 0;
    bytes = strcspn(*at, ",");
    *at += bytes + ((*at)[bytes] == ',');
    return bytes;
}

static void put_aliases(FILE *out, const struct pp_cli_option *option)
{
    const char *at = option->aliases, *alias, *before = "";

    for (size_t bytes; (bytes = next_alias(&at, &alias)) > 0; before = " ")
        (void)fprintf(out, "%s--%.*s", before, (int)bytes, alias);
}

/* Whether an earlier row has the name: this one is another meaning of it. */
static bool is_repeated(const struct pp_cli_option *option)
{
    for (const struct pp_cli_option *other = pp_cli_options; other < option; other++)
        if (strcmp(other->name, option->name) == 0)
            return true;
    return false;
}

/* The options whose value may be the next argument. */
static void put_valued(FILE *out)
{
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        if (!option->value || pp_cli_value_of(option).optional || is_repeated(option))
            continue;
        (void)fputs(" ", out);
        put_names(out, option);
        (void)fputs(option->aliases ? " " : "", out);
        put_aliases(out, option);
    }
}

static void put_commands(FILE *out, const char *separator)
{
    for (size_t i = 0; i < pp_cli_command_count; i++)
        (void)fprintf(out, "%s%s", i > 0 ? separator : "", pp_cli_commands[i].name);
}

/* ---- bash ---- */

static const char bash_code[] =
#include "completion_bash.inc"
    ;

static void put_bash_value(FILE *out, const struct pp_cli_option *option)
{
    const struct pp_cli_value value = pp_cli_value_of(option);

    (void)fputs(value.optional ? "?" : "", out);
    switch (value.kind) {
    case PP_CLI_VALUE_NONE:
        return;
    case PP_CLI_VALUE_ANY:
        (void)fputs("any", out);
        return;
    case PP_CLI_VALUE_WORDS:
        (void)fprintf(out, "words %s", value.words);
        return;
    case PP_CLI_VALUE_FILE:
        (void)fputs("file", out);
        return;
    case PP_CLI_VALUE_ADDRESS:
        (void)fputs("address", out);
        return;
    }
}

static void print_bash(FILE *out)
{
    (void)fputs("# Completions of pingpong for bash, made from its tables.\n\n"
                "__pingpong_commands='",
                out);
    put_commands(out, " ");
    (void)fputs("'\n\n# COMMAND...|NAME...|OTHER NAME...|HOW ITS VALUE IS COMPLETED\n"
                "__pingpong_options='",
                out);
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        (void)fputs(i > 0 ? "\n" : "", out);
        put_jobs(out, option->jobs, " ");
        (void)fputc('|', out);
        put_names(out, option);
        (void)fputc('|', out);
        put_aliases(out, option);
        (void)fputc('|', out);
        put_bash_value(out, option);
    }
    (void)fprintf(out, "'\n\n%s", bash_code);
}

/* ---- zsh ---- */

static const char zsh_code[] =
#include "completion_zsh.inc"
    ;

/* ":WHAT:how", for _arguments. */
static void put_zsh_value(FILE *out, const struct pp_cli_option *option)
{
    const struct pp_cli_value value = pp_cli_value_of(option);

    if (value.kind == PP_CLI_VALUE_NONE)
        return;
    (void)fputs(value.optional ? "::" : ":", out);
    put_quoted(out, value.name, ":\\");
    switch (value.kind) {
    case PP_CLI_VALUE_NONE:
    case PP_CLI_VALUE_ANY:
        (void)fputs(": ", out);
        return;
    case PP_CLI_VALUE_WORDS:
        (void)fprintf(out, ":(%s)", value.words);
        return;
    case PP_CLI_VALUE_FILE:
        (void)fputs(":_files", out);
        return;
    case PP_CLI_VALUE_ADDRESS:
        (void)fputs(":_pingpong_addresses", out);
        return;
    }
}

/* One argument of _arguments. letter is 0 for a name, which then is the bytes at name; hidden is
 * known, but not offered. */
static void put_zsh_spec(FILE *out, const struct pp_cli_option *option, char letter,
                         const char *name, size_t bytes, bool hidden)
{
    const struct pp_cli_value value = pp_cli_value_of(option);

    (void)fputs(hidden ? " '!" : " '", out);
    if (option->letter && !hidden) {
        (void)fputc('(', out);
        put_names(out, option);
        (void)fputc(')', out);
    }
    if (letter)
        (void)fprintf(out, "-%c%s", letter, !option->value ? "" : value.optional ? "-" : "+");
    else
        (void)fprintf(out, "--%.*s%s", (int)bytes, name,
                      !option->value   ? ""
                      : value.optional ? "=-"
                                       : "=");
    (void)fputc('[', out);
    put_summary(out, option->help, "[]:\\");
    (void)fputc(']', out);
    put_zsh_value(out, option);
    (void)fputc('\'', out);
}

static void put_zsh_option(FILE *out, const struct pp_cli_option *option)
{
    const char *at = option->aliases, *alias;

    (void)fprintf(out, "    [[ $1 == (%s", is_repeated(option) ? "" : "|");
    put_jobs(out, option->jobs, "|");
    (void)fputs(") ]] && specs+=(", out);
    if (option->letter)
        put_zsh_spec(out, option, option->letter, NULL, 0, false);
    put_zsh_spec(out, option, 0, option->name, strlen(option->name), false);
    for (size_t bytes; (bytes = next_alias(&at, &alias)) > 0;)
        put_zsh_spec(out, option, 0, alias, bytes, true);
    (void)fputs(" )\n", out);
}

static void print_zsh(FILE *out)
{
    (void)fputs("#compdef pingpong\n"
                "# Completions of pingpong for zsh, made from its tables.\n\n"
                "typeset -ga _pingpong_command_names=( ",
                out);
    put_commands(out, " ");
    (void)fputs(" )\n\n_pingpong_commands()\n{\n    local -a commands=(\n", out);
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        (void)fprintf(out, "        '%s:", pp_cli_commands[i].name);
        put_quoted(out, pp_cli_commands[i].help, ":\\");
        (void)fputs("'\n", out);
    }
    (void)fputs("    )\n\n    _describe command commands\n}\n\n"
                "# Those whose value may be the next word.\n"
                "typeset -ga _pingpong_valued=(",
                out);
    put_valued(out);
    (void)fputs(" )\n\n# Adds the options of the command $1 to specs; without one, all.\n"
                "_pingpong_options()\n{\n",
                out);
    for (size_t i = 0; i < pp_cli_option_count; i++)
        put_zsh_option(out, &pp_cli_options[i]);
    (void)fprintf(out, "}\n\n%s", zsh_code);
}

/* ---- fish ---- */

static const char fish_code[] =
#include "completion_fish.inc"
    ;

/* -x is a value that is no file, -r one that may be. An optional one is neither, but what -a offers
 * fits behind "--name=". */
static void put_fish_value(FILE *out, const struct pp_cli_option *option)
{
    const struct pp_cli_value value = pp_cli_value_of(option);

    if (value.kind != PP_CLI_VALUE_NONE && !value.optional)
        (void)fputs(value.kind == PP_CLI_VALUE_FILE ? " -rF" : " -x", out);
    switch (value.kind) {
    case PP_CLI_VALUE_NONE:
    case PP_CLI_VALUE_ANY:
        return;
    case PP_CLI_VALUE_WORDS:
        (void)fprintf(out, " -a '%s'", value.words);
        return;
    case PP_CLI_VALUE_FILE:
        (void)fputs(value.optional ? " -a '(__pingpong_paths)'" : "", out);
        return;
    case PP_CLI_VALUE_ADDRESS:
        (void)fputs(" -a '(__pingpong_addresses)'", out);
        return;
    }
}

static void put_fish_condition(FILE *out, const struct pp_cli_option *option)
{
    (void)fprintf(out, "complete -c pingpong -n '__pingpong_for%s ",
                  is_repeated(option) ? "" : " none");
    put_jobs(out, option->jobs, " ");
    (void)fputc('\'', out);
}

static void put_fish_option(FILE *out, const struct pp_cli_option *option)
{
    const char *at = option->aliases, *alias;

    put_fish_condition(out, option);
    if (option->letter)
        (void)fprintf(out, " -s %c", option->letter);
    (void)fprintf(out, " -l %s", option->name);
    put_fish_value(out, option);
    (void)fputs(" -d '", out);
    put_summary(out, option->help, "\\");
    (void)fputs("'\n", out);
    for (size_t bytes; (bytes = next_alias(&at, &alias)) > 0;) {
        put_fish_condition(out, option);
        (void)fprintf(out, " -l %.*s", (int)bytes, alias);
        put_fish_value(out, option);
        (void)fprintf(out, " -d 'the same as --%s'\n", option->name);
    }
}

static void print_fish(FILE *out)
{
    (void)fputs("# Completions of pingpong for fish, made from its tables.\n\n"
                "set -g __pingpong_commands ",
                out);
    put_commands(out, " ");
    (void)fputs("\n\n# Those whose value may be the next word.\nset -g __pingpong_valued", out);
    put_valued(out);
    (void)fprintf(out, "\n\n%s", fish_code);
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        (void)fprintf(out, "complete -c pingpong -n '__pingpong_for none help' -a %s -d '",
                      pp_cli_commands[i].name);
        put_quoted(out, pp_cli_commands[i].help, "\\");
        (void)fputs("'\n", out);
    }
    for (size_t i = 0; i < pp_cli_option_count; i++)
        put_fish_option(out, &pp_cli_options[i]);
}

/* ---- shells ---- */

static const struct {
    const char *name;
    void (*print)(FILE *out);
} shells[] = {
    { "bash", print_bash },
    { "zsh", print_zsh },
    { "fish", print_fish },
};

const char *pp_cli_completion_shell(size_t number)
{
    return number < COUNT_OF(shells) ? shells[number].name : NULL;
}

bool pp_cli_print_completion(FILE *out, const char *shell)
{
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        if (strcmp(shells[i].name, shell) != 0)
            continue;
        shells[i].print(out);
        return true;
    }
    return false;
}
