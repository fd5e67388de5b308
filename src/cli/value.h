/* What the value of an option may be, told from what the table calls it and says that it takes.
 * Private to src/cli. */
#ifndef PP_CLI_VALUE_H
#define PP_CLI_VALUE_H

#include "cli/table.h"

enum pp_cli_value_kind {
    PP_CLI_VALUE_NONE,    /* it takes none */
    PP_CLI_VALUE_ANY,     /* what cannot be listed */
    PP_CLI_VALUE_WORDS,   /* one of a few */
    PP_CLI_VALUE_FILE,    /* a path */
    PP_CLI_VALUE_ADDRESS, /* a host, perhaps with a port, or unix:/path */
};

#define PP_CLI_WORDS_BYTES 128

struct pp_cli_value {
    enum pp_cli_value_kind kind;
    bool optional; /* "[FILE.json]": it may be left out, and seldom is the next argument */
    char name[64]; /* without such brackets */
    char words[PP_CLI_WORDS_BYTES]; /* with blanks between them */
};

struct pp_cli_value pp_cli_value_of(const struct pp_cli_option *option);

#endif
