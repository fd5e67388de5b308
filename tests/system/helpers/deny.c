/* deny ERRNO CALL[,CALL...] COMMAND...: runs COMMAND, for which these system calls fail with
 * ERRNO, a number. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int deny(scmp_filter_ctx filter, int error, char *calls)
{
    for (char *name = strtok(calls, ","); name; name = strtok(NULL, ",")) {
        const int call = seccomp_syscall_resolve_name(name);

        if (call == __NR_SCMP_ERROR ||
            seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)error), call, 0) < 0) {
            (void)fprintf(stderr, "deny: no system call %s\n", name);
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    scmp_filter_ctx filter;

    if (argc < 4) {
        (void)fprintf(stderr, "usage: deny ERRNO CALL[,CALL...] COMMAND...\n");
        return 125;
    }
    filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter || deny(filter, atoi(argv[1]), argv[2]) < 0 || seccomp_load(filter) < 0) {
        (void)fprintf(stderr, "deny: no filter\n");
        return 125;
    }
    seccomp_release(filter);
    (void)execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 126;
}
