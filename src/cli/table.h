/* The rows of the command line: its commands (commands.c) and its options (options.c). All that is
 * said of an option is made from its row (describe.c). Private to src/cli. */
#ifndef PP_CLI_TABLE_H
#define PP_CLI_TABLE_H

#include "base/clock.h"
#include "cli/options.h"

#include <stddef.h>

#define PP_CLI_TEXT_OF_(number) #number
#define PP_CLI_TEXT_OF(number) PP_CLI_TEXT_OF_(number)

/* There are no suffixes for these. */
#define PP_CLI_HOUR_NS (3600 * PP_NS_PER_S)
#define PP_CLI_YEAR_NS (31536000 * PP_NS_PER_S)

/* ---- options ---- */

enum pp_cli_group {
    PP_CLI_LOAD,
    PP_CLI_TRANSPORT,
    PP_CLI_FOREIGN,
    PP_CLI_HOW,
    PP_CLI_TRIALS,
    PP_CLI_RESULT,
    PP_CLI_OUTPUT,
    PP_CLI_GROUPS /* how many there are */
};

/* What an option takes, and what its field is. */
enum pp_cli_type {
    PP_CLI_FLAG,        /* no value: an integer becomes max */
    PP_CLI_ACTION,      /* no value: the command of the same name is run instead */
    PP_CLI_NUMBER,      /* an integer, from min to max */
    PP_CLI_PORT,        /* the same */
    PP_CLI_BYTE,        /* the same, in hexadecimal digits, too */
    PP_CLI_SIZE,        /* the same, in bytes */
    PP_CLI_TIME,        /* the same, in ns; one of 32 bits holds whole units */
    PP_CLI_RATE,        /* a double, from low to high: so many a second */
    PP_CLI_PERCENTILES, /* of plan.quantiles, each from low to high */
    PP_CLI_CHOICE,      /* an integer: the number of one of the words */
    PP_CLI_ENGINE,      /* a const char *, as typed: an engine's name, or "auto" */
    PP_CLI_ADDRESS,     /* the same: a name or an address */
    PP_CLI_FILE,        /* the same: a path; where the row has a format, of an output instead */
    PP_CLI_COMMAND,     /* the same: a command for the shell */
    PP_CLI_TEXT,        /* struct pp_plan_text */
    PP_CLI_NAME,        /* an array of char */
    PP_CLI_OTHER        /* what apply() makes of it */
};

/* A member of struct pp_cli. bytes is 0: there is none. */
struct pp_cli_field {
    size_t offset, bytes;
};

#define PP_CLI_ALIASES_MAX 2

/* A name that means something else for another job has a row for each meaning; whether it takes a
 * value is the same in all of them. {} in a text stands for what the text's comment says. */
struct pp_cli_option {
    char letter; /* 0: none */
    const char *name;
    enum pp_cli_group group;
    unsigned jobs;                               /* that take it: a set */
    const char *aliases[PP_CLI_ALIASES_MAX + 1]; /* then NULL */

    enum pp_cli_type type;
    struct pp_cli_field field;
    struct pp_cli_field given; /* a bool that becomes true */
    union {
        struct {
            uint64_t min, max;
        };
        struct {
            double low, high;
        };
    };
    uint64_t unit_ns;              /* of times: of a number alone */
    const char *const *words;      /* of choices, then NULL */
    struct pp_cli_field automatic; /* of choices: a bool that "auto" sets, a word of its own */
    unsigned timed;                /* of choices: the set of those that ":TIME" may follow */
    bool has_port, has_path;       /* of addresses: may it? */
    const struct pp_report_format *format;

    /* For what its type does not take care of. value is NULL where one that is optional was left
     * out. Negative: it is refused, with err set if more is to be said than what it takes. */
    int (*apply)(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                 struct pp_error *err);

    bool repeats; /* words with < or > that come after it are values of it, too */

    /* The value may be left out. The next argument is taken for it if it is one of the words, "-",
     * or ends as files of the format do. */
    bool optional;

    /* Texts: */
    const char *value;     /* what it is called; NULL: as its type says */
    const char *takes;     /* completes "--name takes ..."; NULL: as its type says. {}: max */
    const char *such_as;   /* goes on with ", such as ..."; NULL: nothing. {}: the unit */
    const char *help;      /* {}: the unit */
    const char *otherwise; /* what applies without it; NULL: nothing is said. {}: the default */
    struct pp_cli_field normal; /* what has the default, if it is not the field */
};

extern const struct pp_cli_option pp_cli_options[];
extern const size_t pp_cli_option_count;

static inline bool pp_cli_takes_value(const struct pp_cli_option *option)
{
    return option->type > PP_CLI_ACTION;
}

/* Whether it says how a run is to be, and not what becomes of its result: an experiment of any load
 * takes it for its runs. */
static inline bool pp_cli_is_of_runs(const struct pp_cli_option *option)
{
    return option->group <= PP_CLI_HOW && (option->jobs & (PP_CLI_RUN | PP_CLI_CLIENT));
}

/* Those that take it: a set. */
static inline unsigned pp_cli_takers(const struct pp_cli_option *option)
{
    return option->jobs | (pp_cli_is_of_runs(option) ? PP_CLI_ANY_LOAD : 0);
}

/* Does what the option says. value is NULL if there is none: see apply(). */
int pp_cli_option_apply(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                        struct pp_error *err);

static inline void *pp_cli_field_of(struct pp_cli *cli, struct pp_cli_field field)
{
    return (char *)cli + field.offset;
}

/* The integer in the field. */
uint64_t pp_cli_field_get(struct pp_cli *cli, struct pp_cli_field field);

/* Whether an address that pp_target_parse() takes names a port. */
bool pp_cli_has_port(const char *address);

/* ---- commands ---- */

struct pp_cli_example {
    const char *line;
    const char *what; /* it is for */
};

/* What may follow the name of a command. */
enum pp_cli_operand { PP_CLI_NOTHING, PP_CLI_AN_ADDRESS, PP_CLI_A_COMMAND, PP_CLI_CANDIDATES };

struct pp_cli_command {
    const char *name;
    enum pp_cli_operand operand;
    const char *usage; /* the name, and what may follow */
    const char *help;  /* a line or two */

    /* 0, or a negative errno with err set. *signal_out is the signal that ended it early, or 0. */
    int (*run)(const struct pp_cli *cli, int *signal_out, struct pp_error *err);

    /* Of one that does a job, and has a help and a page of its own: */
    unsigned jobs; /* a set with that job; empty: it does none */
    const char *about;
    const struct pp_cli_example *examples; /* then one without a line */
};

extern const struct pp_cli_command pp_cli_commands[];
extern const size_t pp_cli_command_count;

/* What commands do, as their run(). */
int pp_cli_measure(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_serve(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_compare(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_explain(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_engines(const struct pp_cli *cli, int *signal_out, struct pp_error *err);
int pp_cli_sweep(const struct pp_cli *cli, int *signal_out, struct pp_error *err);

/* NULL: there is none of that name, or for that job, a set of one. */
const struct pp_cli_command *pp_cli_command_find(const char *name);
const struct pp_cli_command *pp_cli_command_of(unsigned job);

/* What is said of the program as a whole. */
extern const struct pp_cli_example pp_cli_examples[]; /* then one without a line */

#define PP_CLI_ADDRESS_IS "ADDRESS is HOST, HOST:PORT, :PORT, [IPV6]:PORT or unix:/path"
#define PP_CLI_PORT_IS "; the port is " PP_CLI_TEXT_OF(PP_PLAN_PORT) " where none is given."

/* How a program ends: in the help, and in the manual. */
struct pp_cli_status {
    const char *codes, *help;
    const char *more; /* that the manual says; NULL: nothing */
    unsigned jobs;    /* that end so: a set */
};

extern const struct pp_cli_status pp_cli_statuses[];
extern const size_t pp_cli_status_count;

/* Whether what is about these jobs has that one: about all, what is so for a measurement. */
static inline bool pp_cli_has_status(size_t number, unsigned jobs)
{
    return pp_cli_statuses[number].jobs & (jobs == PP_CLI_ALL ? PP_CLI_RUN : jobs);
}

#endif
