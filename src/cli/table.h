/* The tables of commands and options (options.c). Private to src/cli. */
#ifndef PP_CLI_TABLE_H
#define PP_CLI_TABLE_H

#include "cli/options.h"

#include <stddef.h>

enum pp_cli_group {
    PP_CLI_LOAD,
    PP_CLI_TRANSPORT,
    PP_CLI_FOREIGN,
    PP_CLI_HOW,
    PP_CLI_RESULT,
    PP_CLI_OUTPUT,
    PP_CLI_GROUPS /* how many there are */
};

/* As it stands above its options (help.c). */
const char *pp_cli_group_title(enum pp_cli_group group);

/* A name that means something else for another job has a row for each meaning; whether it takes a
 * value is the same in all of them. */
struct pp_cli_option {
    char letter; /* 0: none */
    const char *name;
    const char *aliases; /* "this,that"; NULL: none */
    const char *value;   /* what the value is called, or "one|of|these"; NULL: takes none.
                            "[FILE.json]": may have one; the next word is taken for it if it ends so
                            or is "-". "[one|other]": the same, if it is one of these */
    enum pp_cli_group group;
    unsigned jobs;     /* that take it: a set */
    const char *takes; /* completes "--name takes ..." */
    const char *help;  /* may hold line breaks */
    /* value is NULL for an option that takes none, or may have one and has not. Negative: the value
     * is refused, with err set where there is more to say than what the option takes. */
    int (*apply)(struct pp_cli *cli, const char *value, struct pp_error *err);
};

extern const struct pp_cli_option pp_cli_options[];
extern const size_t pp_cli_option_count;

static inline bool pp_cli_value_is_optional(const struct pp_cli_option *option)
{
    return option->value && option->value[0] == '[';
}

struct pp_cli_command {
    const char *name;
    enum pp_cli_action action;
    enum pp_job job;   /* if the action is PP_CLI_JOB */
    const char *usage; /* the name, and what may follow */
    const char *help;  /* a line or two */
    const char *about; /* in its own help; NULL: has none */
};

extern const struct pp_cli_command pp_cli_commands[];
extern const size_t pp_cli_command_count;

/* NULL: there is none of that name. */
const struct pp_cli_command *pp_cli_command_find(const char *name);
const char *pp_cli_job_name(enum pp_job job);

#define PP_CLI_JOBS_TEXT_BYTES 32

/* "run and serve". Returns text. */
const char *pp_cli_jobs_format(unsigned jobs, char text[PP_CLI_JOBS_TEXT_BYTES]);

/* Whether an address that pp_target_parse() takes names a port. */
bool pp_cli_has_port(const char *address);

#endif
