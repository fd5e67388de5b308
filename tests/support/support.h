/* What the tests of the workload share: each runs once for each engine, against peers that are
 * plain blocking sockets. Peers on threads of their own assert nothing, because cmocka's assertions
 * work on the main thread only: they note what they saw, for the test to assert. */
#ifndef PP_TESTS_SUPPORT_SUPPORT_H
#define PP_TESTS_SUPPORT_SUPPORT_H

#include "base/clock.h"
#include "base/container.h"
#include "engines.h"
#include "io/io.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

/* Far beyond what any test takes, also under a sanitizer and on a busy machine. */
#define HANG_S 120
#define KILL_S 5

/* Entries of a table of tests. The engine's name is the test's initial state. */
#define ON_ENGINE(engine, test)                                                                    \
    {                                                                                              \
        .name = #test "@" engine, .test_func = test, .setup_func = setup,                          \
        .teardown_func = teardown, .initial_state = engine,                                        \
    }
#define ON_EACH_ENGINE(test) EACH_ENGINE(ON_ENGINE, test)

/* ---- hanging ---- */

/* Whoever waits for a peer reads the end of its stream, and the test fails by what it asserts. The
 * next alarm, if it comes to that, ends the program. */
static inline void end_all_streams(int number)
{
    for (int fd = 3; fd < 1024; fd++)
        (void)shutdown(fd, SHUT_RDWR);
    (void)signal(number, SIG_DFL);
    (void)alarm(KILL_S);
}

static inline void hang_guard_start(void)
{
    (void)signal(SIGALRM, end_all_streams);
    (void)alarm(HANG_S);
}

/* Whether the test did not have to be helped to its end. */
static inline bool hang_guard_stop(void)
{
    bool in_time;

    (void)alarm(0);
    in_time = signal(SIGALRM, SIG_DFL) == end_all_streams;
    if (!in_time)
        print_error("it hung: nothing had ended it after %d s\n", HANG_S);
    return in_time;
}

/* When a test gives up to wait for what it drives itself: before the guard comes. */
static inline uint64_t give_up_ns(void)
{
    return pp_clock_now_ns() + HANG_S / 2 * PP_NS_PER_S;
}

/* ---- engines ---- */

/* Skips the test where the engine cannot be had here. */
static inline struct pp_io_loop *open_loop(const char *engine, uint32_t buffers,
                                           uint32_t buffer_bytes)
{
    const struct pp_io_options options = {
        .engine = engine, .connections = 16, .buffers = buffers, .buffer_bytes = buffer_bytes
    };
    struct pp_error err = { 0 };
    struct pp_io_loop *loop = NULL;

    if (pp_io_loop_open(&loop, &options, &err) < 0) {
        if (err.kind == PP_ERROR_UNAVAILABLE)
            skip();
        fail_msg("%s: %s", engine, err.text);
    }
    return loop;
}

static inline bool is_engine(int fd)
{
    char path[32], target[32] = "";

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof target - 1) > 0 &&
           (!strcmp(target, "anon_inode:[eventpoll]") || !strcmp(target, "anon_inode:[io_uring]"));
}

/* Something else takes the place of an engine's descriptor, so that its next system call fails for
 * good. They are counted from 0, in the order in which the loops were opened. */
static inline void break_engine(unsigned which)
{
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    for (int fd = 3; fd < 1024; fd++)
        if (is_engine(fd) && which-- == 0)
            (void)syscall(SYS_dup3, nothing, fd, O_CLOEXEC); /* unseen: it is no race of ours */
    (void)close(nothing);
}

/* ---- sockets ---- */

static inline void set_option(int fd, int level, int option, int value)
{
    assert_int_equal(setsockopt(fd, level, option, &value, sizeof value), 0);
}

static inline struct pp_io_addr loopback(void)
{
    return (struct pp_io_addr){
        .len = sizeof(struct sockaddr_in),
        .in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
    };
}

/* Closes fd so that the peer is reset. */
static inline void reset_connection(int fd)
{
    const struct linger now = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

static inline int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

#endif
