/* The arguments one after the other: words, and options with their values. Private to src/cli. */
#ifndef PP_CLI_ARGS_H
#define PP_CLI_ARGS_H

#include "cli/table.h"

struct pp_cli_args {
    int argc;
    char **argv;
    unsigned jobs;                         /* whose meaning an option has that has several: a set */
    int at;                                /* the next argument */
    const char *letters;                   /* what is left of one such as "-qv" */
    bool words_only;                       /* "--" has been seen */
    unsigned words;                        /* so far */
    const struct pp_cli_option *condition; /* one that takes several, once seen */
};

enum pp_cli_arg_kind {
    PP_CLI_ARG_WORD,
    PP_CLI_ARG_OPTION,
    PP_CLI_ARG_UNKNOWN,  /* there is no such option */
    PP_CLI_ARG_AMBIGUOUS /* a shortened name that several options have */
};

struct pp_cli_arg {
    enum pp_cli_arg_kind kind;
    const struct pp_cli_option *option;
    char letter;      /* what an option was called by; 0: name */
    const char *name; /* a word, or a name without "--" */
    size_t name_bytes;
    const char *value; /* NULL: none was given. An unknown option's may be the next argument. */
};

struct pp_cli_args pp_cli_args_begin(int argc, char **argv, unsigned jobs);

/* False at the end. */
bool pp_cli_args_next(struct pp_cli_args *args, struct pp_cli_arg *arg);

/* Whether the option has a name or an alias that begins with these bytes. */
bool pp_cli_option_begins(const struct pp_cli_option *option, const char *name, size_t bytes);

#endif
