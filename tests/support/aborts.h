/* Whether something ends the process with SIGABRT, found out in a child. */
#ifndef PP_TESTS_SUPPORT_ABORTS_H
#define PP_TESTS_SUPPORT_ABORTS_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

/* As fork(): in the child, which is to end itself if it does not abort, 0. */
static inline pid_t aborts_fork(void)
{
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        (void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        (void)alarm(20); /* a child inherits none */
        (void)signal(SIGABRT, SIG_DFL);
    }
    return child;
}

/* Waits for the child, and tells how it ended. */
static inline bool aborts_wait(pid_t child)
{
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
