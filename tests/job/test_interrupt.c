#include "job/interrupt.h"

#include "base/container.h"
#include "base/leftover.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

#define HANG_S 60

/* Signals are for a whole process, so each test acts in one of its own, which returns 0 from act
 * if all it found was as it should be. */
static int status_of(int (*act)(void))
{
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        (void)alarm(HANG_S);
        _exit(act());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void check_well(int (*act)(void))
{
    const int status = status_of(act);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void check_ended_by(int number, int (*act)(void))
{
    const int status = status_of(act);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                  \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

struct waiter {
    struct pp_io_loop *loop;
    struct pp_io_op op;
    int calls;
};

static enum pp_io_next on_woken(struct pp_io_op *op)
{
    container_of(op, struct waiter, op)->calls++;
    return PP_IO_DISARM;
}

static int wait_for_signal(struct waiter *waiter)
{
    const struct pp_io_options options = {
        .engine = "epoll", .connections = 1, .buffers = 1, .buffer_bytes = 64
    };

    EXPECT(pp_io_loop_open(&waiter->loop, &options, NULL) == 0);
    pp_io_wake_wait(waiter->loop, &waiter->op, on_woken);
    pp_interrupt_install();
    return 0;
}

static int first_wakes(int number)
{
    struct waiter waiter = { 0 };

    EXPECT(wait_for_signal(&waiter) == 0);
    EXPECT(pp_interrupt_signal() == 0);
    pp_interrupt_attach(waiter.loop, &waiter.op);
    EXPECT(pp_io_loop_poll(waiter.loop) == 0);
    EXPECT(waiter.calls == 0); /* not without a signal */
    (void)raise(number);
    EXPECT(waiter.calls == 0); /* not from the handler */
    EXPECT(pp_io_loop_run(waiter.loop) == 0);
    EXPECT(waiter.calls == 1);
    EXPECT(pp_interrupt_signal() == number);
    return 0;
}

static int sigint_wakes(void)
{
    return first_wakes(SIGINT);
}

static int sigterm_wakes(void)
{
    return first_wakes(SIGTERM);
}

static int sighup_wakes(void)
{
    return first_wakes(SIGHUP);
}

static int sigquit_wakes(void)
{
    return first_wakes(SIGQUIT);
}

static int ignored_stays_ignored(void)
{
    static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)signal(numbers[i], SIG_IGN);
    pp_interrupt_install();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)raise(numbers[i]);
    EXPECT(pp_interrupt_signal() == 0);
    return 0;
}

#define LEFTOVER "/tmp/pp_test_interrupt_leftover"

static int second_with_a_leftover(void)
{
    const int fd = open(LEFTOVER, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    struct stat status;

    EXPECT(fd >= 0 && fstat(fd, &status) == 0);
    pp_leftover_note(AT_FDCWD, LEFTOVER, &status);
    pp_interrupt_install();
    (void)raise(SIGHUP);
    EXPECT(access(LEFTOVER, F_OK) == 0);
    (void)raise(SIGQUIT);
    return 0;
}

static int second_ends(int first, int second)
{
    struct waiter waiter = { 0 };

    EXPECT(wait_for_signal(&waiter) == 0);
    pp_interrupt_attach(waiter.loop, &waiter.op);
    (void)raise(first);
    EXPECT(pp_interrupt_signal() == first);
    (void)raise(second);
    return 0;
}

static int sigint_twice(void)
{
    return second_ends(SIGINT, SIGINT);
}

static int sigterm_twice(void)
{
    return second_ends(SIGTERM, SIGTERM);
}

static int sigint_then_sigterm(void)
{
    return second_ends(SIGINT, SIGTERM);
}

static int sigterm_then_sigint(void)
{
    return second_ends(SIGTERM, SIGINT);
}

static int signal_before_attach(void)
{
    struct waiter waiter = { 0 };

    EXPECT(wait_for_signal(&waiter) == 0);
    (void)raise(SIGINT);
    pp_interrupt_attach(waiter.loop, &waiter.op);
    EXPECT(waiter.calls == 0);
    EXPECT(pp_io_loop_run(waiter.loop) == 0);
    EXPECT(waiter.calls == 1);
    return 0;
}

static int signal_after_detach(void)
{
    struct waiter waiter = { 0 };

    EXPECT(wait_for_signal(&waiter) == 0);
    pp_interrupt_attach(waiter.loop, &waiter.op);
    pp_interrupt_attach(NULL, NULL);
    pp_io_loop_close(waiter.loop); /* whoever still used it would be found out */
    (void)raise(SIGINT);
    EXPECT(waiter.calls == 0);
    EXPECT(pp_interrupt_signal() == SIGINT);
    return 0;
}

static int closed_pipe(void)
{
    int fds[2];

    EXPECT(pipe(fds) == 0);
    pp_interrupt_install();
    (void)close(fds[0]);
    EXPECT(write(fds[1], "x", 1) < 0);
    return 0;
}

static void test_the_first_signal_wakes_the_operation(void **state)
{
    (void)state;
    check_well(sigint_wakes);
    check_well(sigterm_wakes);
    check_well(sighup_wakes);
    check_well(sigquit_wakes);
}

static void test_a_signal_that_was_ignored_at_first_stays_so(void **state)
{
    (void)state;
    check_well(ignored_stays_ignored);
}

static void test_the_second_signal_removes_what_the_program_would_leave_behind(void **state)
{
    (void)state;
    (void)unlink(LEFTOVER);
    check_ended_by(SIGQUIT, second_with_a_leftover);
    assert_int_equal(access(LEFTOVER, F_OK), -1);
}

static void test_the_second_signal_ends_the_process(void **state)
{
    (void)state;
    check_ended_by(SIGINT, sigint_twice);
    check_ended_by(SIGTERM, sigterm_twice);
    check_ended_by(SIGTERM, sigint_then_sigterm);
    check_ended_by(SIGINT, sigterm_then_sigint);
}

static void test_a_signal_that_came_before_wakes_the_operation_too(void **state)
{
    (void)state;
    check_well(signal_before_attach);
}

static void test_after_detaching_a_signal_is_only_noted(void **state)
{
    (void)state;
    check_well(signal_after_detach);
}

static void test_a_closed_pipe_is_an_error_of_the_write(void **state)
{
    (void)state;
    check_well(closed_pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_signal_wakes_the_operation),
        cmocka_unit_test(test_the_second_signal_ends_the_process),
        cmocka_unit_test(test_a_signal_that_came_before_wakes_the_operation_too),
        cmocka_unit_test(test_after_detaching_a_signal_is_only_noted),
        cmocka_unit_test(test_a_closed_pipe_is_an_error_of_the_write),
        cmocka_unit_test(test_a_signal_that_was_ignored_at_first_stays_so),
        cmocka_unit_test(test_the_second_signal_removes_what_the_program_would_leave_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
