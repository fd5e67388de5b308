/* Completions for shells, made from the tables. */
#ifndef PP_CLI_COMPLETION_H
#define PP_CLI_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The shell with this number, such as "bash"; NULL behind the last one. */
const char *pp_cli_completion_shell(size_t number);

/* Writes the file that the shell reads. False: there is none for such a shell. */
bool pp_cli_print_completion(FILE *out, const char *shell);

#endif
