/* What is said of an option, made from its row. Private to src/cli. */
#ifndef PP_CLI_DESCRIBE_H
#define PP_CLI_DESCRIBE_H

#include "cli/table.h"

/* More than anything here takes; what does not fit is cut off. */
#define PP_CLI_TEXT_BYTES 512

struct pp_cli_text {
    size_t used;
    char text[PP_CLI_TEXT_BYTES];
};

void pp_cli_text_add(struct pp_cli_text *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What stands between number i of count things and the one before it. */
const char *pp_cli_separator(size_t i, size_t count, const char *separator, const char *last);

/* What its value is called: "N", "fixed|poisson"; "" if it takes none. */
struct pp_cli_text pp_cli_value_text(const struct pp_cli_option *option);

/* Completes "--name takes ...". */
struct pp_cli_text pp_cli_takes_text(const struct pp_cli_option *option);

/* What it does, and what applies without it. */
struct pp_cli_text pp_cli_help_text(const struct pp_cli_option *option);

/* Fills in all the words that it takes, if it is to be one of a few. Returns how many there are. */
#define PP_CLI_WORDS_MAX 12
unsigned pp_cli_words(const struct pp_cli_option *option, const char *words[PP_CLI_WORDS_MAX]);

/* The names of the jobs, as "run, client and serve" with the separators ", " and " and ". */
struct pp_cli_text pp_cli_jobs_text(unsigned jobs, const char *separator, const char *last);

struct pp_cli_group_row {
    const char *title; /* stands above its options */
    unsigned jobs;     /* that most of them are for */
};

extern const struct pp_cli_group_row pp_cli_groups[PP_CLI_GROUPS];

#endif
