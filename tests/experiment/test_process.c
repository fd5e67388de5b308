/* Programs under their guard: what they print and how they end is known, and nothing that they
 * start outlives them, or this one. */
#include "experiment/process.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

/* Against hanging. */
#define PATIENCE_NS (60 * PP_NS_PER_S)
#define LOOK_NS (20 * PP_NS_PER_MS)

/* Of a shell: prints the number of a process in a session of its own, which lives on. */
#define LEAVES_ONE "setsid sleep 1000 >/dev/null & echo $!; "

static const struct pp_cpus any = { .count = 0 };

static uint64_t soon(uint64_t ns)
{
    return pp_clock_now_ns() + ns;
}

static struct pp_process start(const char *command)
{
    char shell[] = "/bin/sh", option[] = "-c", text[512];
    char *const argv[] = { shell, option, text, NULL };
    struct pp_process process;
    struct pp_error err = { 0 };

    (void)snprintf(text, sizeof text, "%s", command);
    assert_int_equal(pp_process_start(&process, argv, true, &any, &err), 0);
    return process;
}

/* What it prints first, which is less than fits. */
static const char *read_some(struct pp_process *process, char text[256])
{
    ssize_t bytes;

    assert_int_equal(pp_process_wait(process, soon(PATIENCE_NS)), 0);
    bytes = read(process->out, text, 255);
    assert_true(bytes >= 0);
    text[bytes] = '\0';
    return text;
}

static pid_t read_pid(struct pp_process *process)
{
    char text[256];
    const pid_t pid = (pid_t)strtol(read_some(process, text), NULL, 10);

    assert_true(pid > 1 && (kill(pid, 0) == 0 || kill(-pid, 0) == 0));
    return pid;
}

/* Whoever takes it in may take its time to wait for it. */
static void assert_is_gone(pid_t pid)
{
    char path[64], state = '?';
    const uint64_t until_ns = soon(PATIENCE_NS);

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    while (kill(pid, 0) == 0 && state != 'Z') {
        FILE *file = fopen(path, "r");

        assert_true(pp_clock_now_ns() < until_ns);
        if (file && fscanf(file, "%*d %*s %c", &state) != 1)
            state = '?';
        if (file)
            (void)fclose(file);
        (void)usleep(1000);
    }
}

static void end(struct pp_process *process, uint64_t grace_ns)
{
    pp_process_stop(process, grace_ns);
    pp_process_forget(process);
}

static void test_what_it_prints_is_read_and_how_it_ends_is_known(void **state)
{
    struct pp_process process = start("echo one; echo two >&2; exit 7");
    char text[256], line[PP_PROCESS_LINE_BYTES];

    (void)state;
    assert_string_equal(read_some(&process, text), "one\n");
    assert_true(pp_process_ends(&process, soon(PATIENCE_NS)));
    assert_true(WIFEXITED(process.status) && WEXITSTATUS(process.status) == 7);
    assert_string_equal(pp_process_last_line(&process, line), "two");
    end(&process, 0);
}

static void test_its_number_is_known_at_once(void **state)
{
    struct pp_process process = start("echo $$");
    char text[256];

    (void)state;
    assert_int_equal(strtol(read_some(&process, text), NULL, 10), process.pid);
    end(&process, 0);
}

static void test_a_signal_that_ended_it_is_known(void **state)
{
    struct pp_process process = start("kill -USR1 $$");

    (void)state;
    assert_true(pp_process_ends(&process, soon(PATIENCE_NS)));
    assert_true(WIFSIGNALED(process.status) && WTERMSIG(process.status) == SIGUSR1);
    end(&process, 0);
}

static void test_a_program_that_is_not_there_says_so(void **state)
{
    char path[] = "/nonexistent/program", line[PP_PROCESS_LINE_BYTES];
    char *const argv[] = { path, NULL };
    struct pp_process process;
    struct pp_error err = { 0 };

    (void)state;
    assert_int_equal(pp_process_start(&process, argv, false, &any, &err), 0);
    assert_true(pp_process_ends(&process, soon(PATIENCE_NS)));
    assert_int_equal(WEXITSTATUS(process.status), 127);
    assert_string_equal(pp_process_last_line(&process, line),
                        "cannot run /nonexistent/program: No such file or directory");
    end(&process, 0);
}

static void test_waiting_ends_when_the_time_is_over(void **state)
{
    struct pp_process process = start("sleep 1000");

    (void)state;
    assert_int_equal(pp_process_wait(&process, soon(LOOK_NS)), -ETIMEDOUT);
    assert_false(pp_process_ends(&process, soon(LOOK_NS)));
    end(&process, 0);
    assert_true(WIFSIGNALED(process.status) && WTERMSIG(process.status) == SIGKILL);
}

static void test_what_it_leaves_running_lives_until_it_is_stopped(void **state)
{
    struct pp_process process = start(LEAVES_ONE);
    const pid_t pid = read_pid(&process);

    (void)state;
    assert_true(pp_process_ends(&process, soon(PATIENCE_NS)));
    assert_int_equal(process.status, 0);
    assert_int_equal(kill(pid, 0), 0);
    end(&process, 0);
    assert_is_gone(pid);
}

static void test_when_all_that_it_started_has_ended_it_is_known(void **state)
{
    struct pp_process process = start("exec >/dev/null; sleep 0.05 &");

    (void)state;
    assert_true(pp_process_ends(&process, soon(PATIENCE_NS)));
    pp_process_close_out(&process);
    assert_int_equal(pp_process_wait(&process, soon(PATIENCE_NS)), 1);
    end(&process, 0);
}

static void test_it_is_asked_to_end_before_it_is_made_to(void **state)
{
    struct pp_process process =
        start("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    char text[256];

    (void)state;
    (void)read_some(&process, text);
    end(&process, PATIENCE_NS);
    assert_true(WIFEXITED(process.status) && WEXITSTATUS(process.status) == 3);
}

static void test_one_that_does_not_listen_is_made_to_end(void **state)
{
    struct pp_process process = start("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    char text[256];

    (void)state;
    (void)read_some(&process, text);
    end(&process, LOOK_NS);
    assert_true(WIFSIGNALED(process.status) && WTERMSIG(process.status) == SIGKILL);
}

/* The kernel names more of them than are read at a time. */
static void test_of_many_that_it_leaves_running_none_is_forgotten(void **state)
{
    struct pp_process process = start(
        "setsid sh -c 'for i in $(seq 1600); do sleep 1000 >&- & done; "
        "echo $$'");
    const pid_t group = read_pid(&process);
    const uint64_t until_ns = soon(PATIENCE_NS);

    (void)state;
    assert_int_equal(kill(-group, 0), 0);
    end(&process, 0);
    while (kill(-group, 0) == 0) {
        assert_true(pp_clock_now_ns() < until_ns);
        (void)usleep(1000);
    }
}

static void test_nothing_outlives_the_program_that_started_it(void **state)
{
    int ends[2];
    pid_t runner, pid = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    runner = fork();
    if (runner == 0) {
        struct pp_process process = start(LEAVES_ONE "sleep 1000");

        pid = read_pid(&process);
        (void)!write(ends[1], &pid, sizeof pid);
        while (1)
            (void)pause();
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &pid, sizeof pid), sizeof pid);
    (void)close(ends[0]);
    (void)kill(runner, SIGKILL);
    (void)waitpid(runner, NULL, 0);
    assert_is_gone(pid);
}

static void test_a_guard_that_is_killed_takes_its_program_along(void **state)
{
    struct pp_process process = start("echo $$; exec sleep 1000");
    const pid_t pid = read_pid(&process);

    (void)state;
    (void)kill(process.guard, SIGKILL);
    assert_is_gone(pid);
    end(&process, PATIENCE_NS);
    assert_true(WIFSIGNALED(process.status) && WTERMSIG(process.status) == SIGKILL);
}

static void test_a_guard_that_is_killed_leaves_none_of_its_program_s_group(void **state)
{
    struct pp_process process = start("sleep 1000 >/dev/null & echo $!; wait");
    const pid_t pid = read_pid(&process);

    (void)state;
    (void)kill(process.guard, SIGKILL);
    end(&process, PATIENCE_NS);
    assert_is_gone(pid);
}

/* Orphans would come to this program. */
static void test_it_is_nobody_else_s_to_wait_for(void **state)
{
    struct pp_process by_itself, killed;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    by_itself = start("exit 0");
    assert_true(pp_process_ends(&by_itself, soon(PATIENCE_NS)));
    end(&by_itself, 0);
    killed = start("exec sleep 1000");
    end(&killed, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* As many as starting takes: a file, and both ends of two pipes. */
static void test_it_starts_where_no_descriptor_is_left_for_it(void **state)
{
    struct rlimit before, tight;
    const int next = dup(STDIN_FILENO);
    struct pp_process process;
    char text[256];

    (void)state;
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)next + 5;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    process = start("echo one");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_string_equal(read_some(&process, text), "one\n");
    end(&process, PATIENCE_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_prints_is_read_and_how_it_ends_is_known),
        cmocka_unit_test(test_its_number_is_known_at_once),
        cmocka_unit_test(test_a_signal_that_ended_it_is_known),
        cmocka_unit_test(test_a_program_that_is_not_there_says_so),
        cmocka_unit_test(test_waiting_ends_when_the_time_is_over),
        cmocka_unit_test(test_what_it_leaves_running_lives_until_it_is_stopped),
        cmocka_unit_test(test_when_all_that_it_started_has_ended_it_is_known),
        cmocka_unit_test(test_it_is_asked_to_end_before_it_is_made_to),
        cmocka_unit_test(test_one_that_does_not_listen_is_made_to_end),
        cmocka_unit_test(test_of_many_that_it_leaves_running_none_is_forgotten),
        cmocka_unit_test(test_nothing_outlives_the_program_that_started_it),
        cmocka_unit_test(test_a_guard_that_is_killed_takes_its_program_along),
        cmocka_unit_test(test_a_guard_that_is_killed_leaves_none_of_its_program_s_group),
        cmocka_unit_test(test_it_is_nobody_else_s_to_wait_for),
        cmocka_unit_test(test_it_starts_where_no_descriptor_is_left_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
