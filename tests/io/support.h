/* What the tests of the event loop share. Each test program runs once per engine: its only argument
 * is the engine's spec ("io_uring:no-multishot"). It exits with 77 where that cannot be opened.
 *
 * A test owns nothing. Loops, workers, threads, descriptors and memory belong to its fixture, which
 * takes them down in the right order even where a failed assertion has left the test half-way.
 *
 * The helpers that run on a loop or on a thread assert nothing, because cmocka's assertions work on
 * the main thread only: they note what went wrong, for the test to assert. */
#ifndef PP_TESTS_IO_SUPPORT_H
#define PP_TESTS_IO_SUPPORT_H

#include "base/clock.h"
#include "base/container.h"
#include "io/io.h"
#include "sockets.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define TEST_LOOPS_MAX 8
#define TEST_THREADS_MAX 8

struct test_block;

struct fixture {
    struct pp_io_loop *loops[TEST_LOOPS_MAX];
    pthread_t threads[TEST_THREADS_MAX];
    unsigned thread_count;
    struct pp_io_workers *workers;
    struct test_block *blocks;
};

/* ---- programs and fixtures --------------------------------------------------------------- */

/* The first line of each main(): reads the engine's spec, and exits when it cannot be opened. */
void test_start(int argc, char **argv);
const char *test_engine(void);

int test_setup(void **state);
int test_teardown(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)
#define TEST_RUN(tests) cmocka_run_group_tests_name(test_engine(), tests, NULL, NULL)

/* Zeroed memory that lives until the loops are closed. */
void *test_new(struct fixture *f, size_t bytes);

/* A small loop on the engine under test. */
struct pp_io_loop *test_loop(struct fixture *f);

/* The same with those options that are not zero. */
struct pp_io_loop *test_loop_with(struct fixture *f, struct pp_io_options options);

/* What a small loop is opened with, where options say nothing else. */
struct pp_io_options test_options(struct pp_io_options options);

/* For a test that closes it itself, before the fixture would. */
void test_loop_close(struct fixture *f, struct pp_io_loop *loop);

struct pp_io_workers *test_workers(struct fixture *f, unsigned threads);
void test_workers_close(struct fixture *f);

void test_thread(struct fixture *f, void *(*body)(void *), void *argument);
void test_threads_join(struct fixture *f);

/* Fails with name in the message: for tests that go through a table. */
void test_equal(const char *name, int64_t got, int64_t wanted);

/* Whether act ends a process of its own with SIGABRT: a broken promise of the owner's. */
bool test_aborts(void (*act)(struct fixture *f), struct fixture *f);

/* ---- descriptors, and what comes over them ------------------------------------------------ */

bool test_fd_is_open(int fd);
int test_fd_count(void);

/* The byte at a position of the stream that sources send and sinks check. */
unsigned char test_pattern(uint64_t position);
void test_pattern_fill(char *data, uint64_t position, size_t bytes);
bool test_pattern_matches(const char *data, uint64_t position, size_t bytes);

/* ---- running ----------------------------------------------------------------------------- */

void test_run(struct pp_io_loop *loop);
void test_run_until(struct pp_io_loop *loop, const int *calls, int wanted);

/* Some turns without waiting: what is submitted gets to the kernel, what is ready completes. */
void test_poll(struct pp_io_loop *loop);

/* ---- things to run on a loop ------------------------------------------------------------- */

/* An operation that notes its result and is done. */
struct test_probe {
    struct pp_io_op op;
    int calls;
    int32_t res; /* of the last call */
    char buf[64];
};

enum pp_io_next test_probe_once(struct pp_io_op *op);

/* Closes fd through loop, and runs the loop until nothing is armed. */
void test_close(struct fixture *f, struct pp_io_loop *loop, int fd);
struct test_probe *test_probe(struct fixture *f);

/* Operations that write their tag into one log, for the order of callbacks. */
struct test_log {
    char text[1024];
    size_t len;
};

struct test_logged {
    struct pp_io_op op;
    struct test_log *log;
    int32_t res;
    char buf[64];
};

enum pp_io_next test_log_once(struct pp_io_op *op);
struct test_logged *test_logged(struct fixture *f, struct test_log *log, char tag);

/* Sends bytes of the pattern and then the end of the stream. */
struct test_source {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int calls; /* of its send */
    bool done;
    int32_t error;
};

struct test_source *test_source(struct fixture *f, struct pp_io_loop *loop, int fd, uint32_t bytes);

/* Receives the pattern until the end of the stream. */
struct test_sink {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int calls;
    uint64_t bytes;
    bool wrong; /* a byte was not the pattern's */
    bool done;
    int32_t end; /* 0, or the error that ended it */
    char buf[4096];
};

struct test_sink *test_sink(struct fixture *f, struct pp_io_loop *loop, int fd);
struct test_sink *test_sink_pooled(struct fixture *f, struct pp_io_loop *loop, int fd);
void test_sink_has(const struct test_sink *sink, uint64_t bytes);

/* Echoes what comes, from the buffer it came in, and closes fd at the end of the stream. */
struct test_echo {
    struct pp_io_op op;
    struct pp_io_loop *loop;
    int fd;
    char *buf;
    bool closed;
};

struct test_echo *test_echo(struct fixture *f, struct pp_io_loop *loop, int fd);

/* The same on a loop and a thread of its own. */
void test_echo_thread(struct fixture *f, int fd);

#define TEST_PING_BYTES 16

/* Sends a message, waits for its echo, checks it, and sends the next one. */
struct test_pinger {
    struct pp_io_op send_op, recv_op, shut_op;
    struct pp_io_loop *loop;
    int fd;
    int rounds, wanted;
    bool lazy;
    int32_t error; /* the first, -EBADMSG for a wrong echo */
    int early;     /* echoes that came before the completion of their send */
    void (*on_end)(struct test_pinger *pinger); /* may be NULL */
    void *owner;
    char sent[TEST_PING_BYTES], got[TEST_PING_BYTES];
};

struct test_pinger *test_pinger(struct fixture *f, struct pp_io_loop *loop, int fd, int rounds);
void test_pinger_start(struct test_pinger *pinger);

/* For on_end: nothing more will come, says its loop to the peer. */
void test_pinger_shut(struct test_pinger *pinger);

/* Asserts that all its rounds were as they should be. */
void test_pinger_is_well(const struct test_pinger *pinger);

/* An operation whose memory is scribbled over and freed in its callback: whatever still touches it
 * is caught. */
struct test_doomed {
    struct pp_io_op op;
    int *calls; /* counts the callback; outlives it */
};

struct test_doomed *test_doomed(int *calls);
enum pp_io_next test_doomed_once(struct pp_io_op *op);

#endif
