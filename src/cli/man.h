/* The manual pages, made from the tables. */
#ifndef PP_CLI_MAN_H
#define PP_CLI_MAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define PP_CLI_MAN_NAME_BYTES 32

/* The name of the page with this number, such as "pingpong-run"; NULL behind the last one. All are
 * of section 1. Returns name. */
const char *pp_cli_man_name(size_t number, char name[PP_CLI_MAN_NAME_BYTES]);

/* Writes the page as scdoc reads it. False: there is no page of that name. */
bool pp_cli_print_man(FILE *out, const char *name);

#endif
