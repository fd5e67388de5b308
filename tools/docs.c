/* Prints what is installed beside the program: its manual pages, as scdoc reads them, and its
 * completions. It is built from the same tables as the program, and not installed itself. */
#include "cli/completion.h"
#include "cli/man.h"

#include <stdio.h>
#include <string.h>

static void list(void)
{
    char name[PP_CLI_MAN_NAME_BYTES];

    for (size_t i = 0; pp_cli_man_name(i, name); i++)
        (void)printf("man %s\n", name);
    for (size_t i = 0; pp_cli_completion_shell(i); i++)
        (void)printf("completion %s\n", pp_cli_completion_shell(i));
}

static bool print(const char *what, const char *name)
{
    if (strcmp(what, "man") == 0)
        return pp_cli_print_man(stdout, name);
    return strcmp(what, "completion") == 0 && pp_cli_print_completion(stdout, name);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        list();
    } else if (argc != 3 || !print(argv[1], argv[2])) {
        (void)fputs("usage: pingpong_docs list | man PAGE | completion SHELL\n", stderr);
        return 2;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
