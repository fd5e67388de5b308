#include "cli/args.h"

#include <string.h>

/* How a name fits an option: more is better. */
enum fit {
    FIT_NONE,
    FIT_BEGINS_ELSEWHERE, /* the beginning of an option of other jobs */
    FIT_BEGINS,
    FIT_EXACT
};

static enum fit fit_of_word(const char *word, size_t word_bytes, const char *name, size_t bytes)
{
    if (bytes > word_bytes || memcmp(word, name, bytes) != 0)
        return FIT_NONE;
    return bytes == word_bytes ? FIT_EXACT : FIT_BEGINS;
}

static enum fit fit_of(const struct pp_cli_option *option, const char *name, size_t bytes)
{
    enum fit best = fit_of_word(option->name, strlen(option->name), name, bytes);

    for (const char *const *alias = option->aliases; *alias; alias++) {
        const enum fit fit = fit_of_word(*alias, strlen(*alias), name, bytes);

        best = fit > best ? fit : best;
    }
    return best;
}

bool pp_cli_option_begins(const struct pp_cli_option *option, const char *name, size_t bytes)
{
    return fit_of(option, name, bytes) != FIT_NONE;
}

/* The meaning that an option has for these jobs; where it has none there, its first one. */
static const struct pp_cli_option *meaning(const struct pp_cli_option *option, unsigned jobs)
{
    const struct pp_cli_option *first = NULL;

    for (size_t i = 0; i < pp_cli_option_count; i++) {
        if (strcmp(pp_cli_options[i].name, option->name) != 0)
            continue;
        if (pp_cli_takers(&pp_cli_options[i]) & jobs)
            return &pp_cli_options[i];
        first = first ? first : &pp_cli_options[i];
    }
    return first;
}

static const struct pp_cli_option *find_letter(char letter, unsigned jobs)
{
    for (size_t i = 0; i < pp_cli_option_count; i++)
        if (pp_cli_options[i].letter == letter)
            return meaning(&pp_cli_options[i], jobs);
    return NULL;
}

static enum fit fit_for(unsigned jobs, const struct pp_cli_option *option, const char *name,
                        size_t bytes)
{
    const enum fit fit = fit_of(option, name, bytes);

    return fit == FIT_BEGINS && !(pp_cli_takers(option) & jobs) ? FIT_BEGINS_ELSEWHERE : fit;
}

/* Fills in kind and option. */
static void find_name(struct pp_cli_arg *arg, unsigned jobs)
{
    enum fit best = FIT_NONE;

    arg->kind = PP_CLI_ARG_UNKNOWN;
    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = meaning(&pp_cli_options[i], jobs);
        const enum fit fit = fit_for(jobs, option, arg->name, arg->name_bytes);

        if (fit == FIT_NONE || fit < best || option == arg->option)
            continue;
        arg->kind = fit == best ? PP_CLI_ARG_AMBIGUOUS : PP_CLI_ARG_OPTION;
        arg->option = option;
        best = fit;
    }
}

/* Whether text is meant to be the value that option may have: what is meant for something else,
 * such as an address, must not be swallowed. */
static bool is_optional_value(const struct pp_cli_option *option, const char *text)
{
    const char *suffix = option->format ? option->format->suffix : "";
    const size_t suffix_bytes = strlen(suffix), bytes = strlen(text);

    for (const char *const *word = option->words; word && *word; word++)
        if (strcmp(*word, text) == 0)
            return true;
    return option->format &&
           (strcmp(text, "-") == 0 || (bytes > suffix_bytes && text[0] != '-' &&
                                       strcmp(text + bytes - suffix_bytes, suffix) == 0));
}

static const char *next_value(struct pp_cli_args *args)
{
    return args->at < args->argc ? args->argv[args->at++] : NULL;
}

static const char *value_of(struct pp_cli_args *args, const struct pp_cli_option *option)
{
    if (option->optional &&
        (args->at == args->argc || !is_optional_value(option, args->argv[args->at])))
        return NULL;
    return next_value(args);
}

/* What follows an unknown option is its value perhaps, and so not taken. */
static const char *guess_value(const struct pp_cli_args *args)
{
    return args->at < args->argc && args->argv[args->at][0] != '-' ? args->argv[args->at] : NULL;
}

static void read_letter(struct pp_cli_args *args, struct pp_cli_arg *arg)
{
    const char letter = *args->letters++;
    const struct pp_cli_option *option = find_letter(letter, args->jobs);

    *arg = (struct pp_cli_arg){ .option = option, .letter = letter };
    arg->kind = option ? PP_CLI_ARG_OPTION : PP_CLI_ARG_UNKNOWN;
    if (option && (!pp_cli_takes_value(option) || (option->optional && *args->letters &&
                                                   !is_optional_value(option, args->letters))))
        return;
    if (*args->letters)
        arg->value = args->letters;
    else
        arg->value = option ? value_of(args, option) : guess_value(args);
    args->letters = NULL;
}

static void read_name(struct pp_cli_args *args, struct pp_cli_arg *arg, const char *text)
{
    *arg = (struct pp_cli_arg){ .name = text, .name_bytes = strcspn(text, "=") };
    find_name(arg, args->jobs);
    if (arg->kind == PP_CLI_ARG_OPTION && arg->option->repeats)
        args->condition = arg->option;
    if (text[arg->name_bytes])
        arg->value = text + arg->name_bytes + 1;
    else if (!arg->option)
        arg->value = guess_value(args);
    else if (pp_cli_takes_value(arg->option))
        arg->value = value_of(args, arg->option);
}

/* What follows a condition and has such a sign in it is another one, and no address. */
static bool read_condition(struct pp_cli_args *args, struct pp_cli_arg *arg, const char *text)
{
    if (!args->condition || !strpbrk(text, "<>"))
        return false;
    *arg = (struct pp_cli_arg){
        .kind = PP_CLI_ARG_OPTION, .option = args->condition, .name = text, .value = text
    };
    return true;
}

static void read_word(struct pp_cli_args *args, struct pp_cli_arg *arg, const char *text)
{
    if (read_condition(args, arg, text))
        return;
    args->words++;
    *arg = (struct pp_cli_arg){ .kind = PP_CLI_ARG_WORD, .name = text, .name_bytes = strlen(text) };
}

struct pp_cli_args pp_cli_args_begin(int argc, char **argv, unsigned jobs)
{
    return (struct pp_cli_args){ .argc = argc, .argv = argv, .jobs = jobs, .at = 1 };
}

bool pp_cli_args_next(struct pp_cli_args *args, struct pp_cli_arg *arg)
{
    const char *text;

    if (args->letters && *args->letters) {
        read_letter(args, arg);
        return true;
    }
    if (!args->words_only && args->at < args->argc && strcmp(args->argv[args->at], "--") == 0) {
        args->words_only = true;
        args->at++;
    }
    text = next_value(args);
    if (!text)
        return false;
    if (args->words_only || text[0] != '-' || !text[1]) {
        read_word(args, arg, text);
    } else if (text[1] == '-') {
        read_name(args, arg, text + 2);
    } else {
        args->letters = text + 1;
        read_letter(args, arg);
    }
    return true;
}
