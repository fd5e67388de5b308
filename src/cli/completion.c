/* Each file begins with what the tables say, a line for each option, and ends with the code that
 * makes use of that and knows no option by name: src/cli/completion.bash and so on. Of the commands
 * it knows client, which is what an address alone means. */
#include "cli/completion.h"

#include "base/container.h"
#include "cli/describe.h"

#include <ctype.h>
#include <string.h>

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
        (void)fputc(*text, out);
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

static void put_summary(FILE *out, const struct pp_cli_option *option, const char *special)
{
    struct pp_cli_text help = pp_cli_help_text(option);

    help.text[clause_bytes(help.text)] = '\0';
    put_quoted(out, help.text, special);
}

/* "-c --connections" */
static void put_names(FILE *out, const struct pp_cli_option *option)
{
    if (option->letter)
        (void)fprintf(out, "-%c ", option->letter);
    (void)fprintf(out, "--%s", option->name);
}

static void put_aliases(FILE *out, const struct pp_cli_option *option)
{
    for (const char *const *alias = option->aliases; *alias; alias++)
        (void)fprintf(out, "%s--%s", alias == option->aliases ? "" : " ", *alias);
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

        if (!pp_cli_takes_value(option) || option->optional || is_repeated(option))
            continue;
        (void)fputs(" ", out);
        put_names(out, option);
        (void)fputs(option->aliases[0] ? " " : "", out);
        put_aliases(out, option);
    }
}

#define ANY_OPERAND (~0U)
#define OF(operand) (1U << (operand))

/* The names of the commands that have one of these operands: a set. */
static void put_commands(FILE *out, const char *before, unsigned operands, const char *after)
{
    (void)fputs(before, out);
    for (size_t i = 0, count = 0; i < pp_cli_command_count; i++)
        if (OF(pp_cli_commands[i].operand) & operands)
            (void)fprintf(out, "%s%s", count++ > 0 ? " " : "", pp_cli_commands[i].name);
    (void)fputs(after, out);
}

/* How a value is completed. */
enum kind {
    NONE,    /* there is none */
    ANY,     /* not at all */
    WORDS,   /* one of a few */
    FILES,   /* a path */
    ADDRESS, /* a host, perhaps with a port, or unix:/path */
};

static enum kind kind_of(const struct pp_cli_option *option)
{
    const char *words[PP_CLI_WORDS_MAX];

    if (!pp_cli_takes_value(option))
        return NONE;
    if (option->type == PP_CLI_FILE || option->type == PP_CLI_ADDRESS)
        return option->type == PP_CLI_FILE ? FILES : ADDRESS;
    return pp_cli_words(option, words) ? WORDS : ANY;
}

/* How a shell completes the value, by its kind; what it says of words ends with end. */
static void put_kind(FILE *out, const struct pp_cli_option *option,
                     const char *const how[ADDRESS + 1], const char *end)
{
    const char *words[PP_CLI_WORDS_MAX];
    const unsigned count = pp_cli_words(option, words);
    const enum kind kind = kind_of(option);

    (void)fputs(how[kind], out);
    for (unsigned i = 0; i < count; i++)
        (void)fprintf(out, "%s%s", i > 0 ? " " : "", words[i]);
    (void)fputs(kind == WORDS ? end : "", out);
}

/* ---- bash ---- */

static const char bash_code[] =
#include "completion_bash.inc"
    ;

static void print_bash(FILE *out)
{
    static const char *const how[] = {
        [NONE] = "", [ANY] = "any", [WORDS] = "words ", [FILES] = "file", [ADDRESS] = "address"
    };

    (void)fputs("# Completions of pingpong for bash, made from its tables.\n\n", out);
    put_commands(out, "__pingpong_commands='", ANY_OPERAND, "'\n");
    put_commands(out, "__pingpong_addressed='", OF(PP_CLI_AN_ADDRESS), "'\n");
    put_commands(out, "__pingpong_asking='", OF(PP_CLI_A_COMMAND), "'\n\n");
    (void)fputs("# COMMAND...|NAME...|OTHER NAME...|HOW ITS VALUE IS COMPLETED\n"
                "__pingpong_options='",
                out);
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        (void)fputs(i > 0 ? "\n" : "", out);
        (void)fputs(pp_cli_jobs_text(pp_cli_takers(option), " ", " ").text, out);
        (void)fputc('|', out);
        put_names(out, option);
        (void)fputc('|', out);
        put_aliases(out, option);
        (void)fputc('|', out);
        (void)fputs(option->optional ? "?" : "", out);
        put_kind(out, option, how, "");
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
    static const char *const how[] = { [NONE] = "",
                                       [ANY] = ": ",
                                       [WORDS] = ":(",
                                       [FILES] = ":_files",
                                       [ADDRESS] = ":_pingpong_addresses" };

    if (!pp_cli_takes_value(option))
        return;
    (void)fputs(option->optional ? "::" : ":", out);
    put_quoted(out, pp_cli_value_text(option).text, ":\\");
    put_kind(out, option, how, ")");
}

/* One argument of _arguments, such as "--connections" or an alias of it: that is known, but not
 * offered. */
static void put_zsh_spec(FILE *out, const struct pp_cli_option *option, const char *dashes,
                         const char *name, bool is_alias)
{
    const bool is_letter = !dashes[1];

    (void)fputs(is_alias ? " '!" : " '", out);
    if (option->letter && !is_alias) {
        (void)fputc('(', out);
        put_names(out, option);
        (void)fputc(')', out);
    }
    (void)fprintf(out, "%s%s", dashes, name);
    if (pp_cli_takes_value(option) && is_letter)
        (void)fputs(option->optional ? "-" : "+", out);
    else if (pp_cli_takes_value(option))
        (void)fputs(option->optional ? "=-" : "=", out);
    (void)fputc('[', out);
    put_summary(out, option, "[]:\\");
    (void)fputc(']', out);
    put_zsh_value(out, option);
    (void)fputc('\'', out);
}

static void put_zsh_option(FILE *out, const struct pp_cli_option *option)
{
    (void)fprintf(out, "    [[ $1 == (%s%s) ]] && specs+=(", is_repeated(option) ? "" : "|",
                  pp_cli_jobs_text(pp_cli_takers(option), "|", "|").text);
    if (option->letter)
        put_zsh_spec(out, option, "-", (const char[]){ option->letter, '\0' }, false);
    put_zsh_spec(out, option, "--", option->name, false);
    for (const char *const *alias = option->aliases; *alias; alias++)
        put_zsh_spec(out, option, "--", *alias, true);
    (void)fputs(" )\n", out);
}

static void print_zsh(FILE *out)
{
    (void)fputs("#compdef pingpong\n"
                "# Completions of pingpong for zsh, made from its tables.\n\n",
                out);
    put_commands(out, "typeset -ga _pingpong_command_names=( ", ANY_OPERAND, " )\n");
    put_commands(out, "typeset -ga _pingpong_addressed=( ", OF(PP_CLI_AN_ADDRESS), " )\n");
    put_commands(out, "typeset -ga _pingpong_asking=( ", OF(PP_CLI_A_COMMAND), " )\n\n");
    (void)fputs("_pingpong_commands()\n{\n    local -a commands=(\n", out);
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
    static const char *const how[] = { [NONE] = "",
                                       [ANY] = " -x",
                                       [WORDS] = " -x -a '",
                                       [FILES] = " -rF",
                                       [ADDRESS] = " -x -a '(__pingpong_addresses)'" };
    static const char *const how_optional[] = { [NONE] = "",
                                                [ANY] = "",
                                                [WORDS] = " -a '",
                                                [FILES] = " -a '(__pingpong_paths)'",
                                                [ADDRESS] = " -a '(__pingpong_addresses)'" };

    put_kind(out, option, option->optional ? how_optional : how, "'");
}

static void put_fish_condition(FILE *out, const struct pp_cli_option *option)
{
    (void)fprintf(out, "complete -c pingpong -n '__pingpong_for%s %s'",
                  is_repeated(option) ? "" : " none",
                  pp_cli_jobs_text(pp_cli_takers(option), " ", " ").text);
}

static void put_fish_option(FILE *out, const struct pp_cli_option *option)
{
    put_fish_condition(out, option);
    if (option->letter)
        (void)fprintf(out, " -s %c", option->letter);
    (void)fprintf(out, " -l %s", option->name);
    put_fish_value(out, option);
    (void)fputs(" -d '", out);
    put_summary(out, option, "\\");
    (void)fputs("'\n", out);
    for (const char *const *alias = option->aliases; *alias; alias++) {
        put_fish_condition(out, option);
        (void)fprintf(out, " -l %s", *alias);
        put_fish_value(out, option);
        (void)fprintf(out, " -d 'the same as --%s'\n", option->name);
    }
}

static void print_fish(FILE *out)
{
    (void)fputs("# Completions of pingpong for fish, made from its tables.\n\n", out);
    put_commands(out, "set -g __pingpong_commands ", ANY_OPERAND, "\n");
    put_commands(out, "set -g __pingpong_addressed ", OF(PP_CLI_AN_ADDRESS), "\n");
    put_commands(out, "set -g __pingpong_asking ", OF(PP_CLI_A_COMMAND), "\n\n");
    (void)fputs("# Those whose value may be the next word.\nset -g __pingpong_valued", out);
    put_valued(out);
    (void)fprintf(out, "\n\n%s", fish_code);
    for (size_t i = 0; i < pp_cli_command_count; i++) {
        (void)fprintf(
            out, "complete -c pingpong -n \"__pingpong_for none $__pingpong_asking\" -a %s -d '",
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
