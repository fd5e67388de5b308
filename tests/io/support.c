#include "support.h"

#include "aborts.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_SKIPPED 77
#define HANG_S 150
#define FIRST_FD 3 /* from here on, descriptors are the test's */

static const char *engine_spec;

struct test_block {
    struct test_block *next;
    max_align_t data[];
};

/* ---- programs and fixtures --------------------------------------------------------------- */

static void on_alarm(int number)
{
    static const char text[] = "this test hangs: nothing has ended it within 30 s\n";

    (void)number;
    _exit(write(STDERR_FILENO, text, sizeof(text) - 1) > 0 ? 1 : 2);
}

struct pp_io_options test_options(struct pp_io_options options)
{
    if (!options.engine)
        options.engine = engine_spec;
    if (options.connections == 0)
        options.connections = 16;
    if (options.buffers == 0)
        options.buffers = 16;
    if (options.buffer_bytes == 0)
        options.buffer_bytes = 1024;
    return options;
}

static void skip_unless_engine_opens(void)
{
    const struct pp_io_options options = test_options((struct pp_io_options){ 0 });
    struct pp_error err = { 0 };
    struct pp_io_loop *loop = NULL;
    const int ret = pp_io_loop_open(&loop, &options, &err);

    if (ret < 0) {
        (void)fprintf(stderr, "%s cannot be opened: %s (%s)\n", engine_spec, err.text,
                      strerror(-ret));
        exit(err.kind == PP_ERROR_UNAVAILABLE ? EXIT_SKIPPED : EXIT_FAILURE);
    }
    pp_io_loop_close(loop);
}

/* Calls visit for each open descriptor from first on, and returns how many there were. */
static int each_fd(int first, void (*visit)(int fd))
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    int count = 0;

    if (!dir)
        return -1;
    while ((entry = readdir(dir))) {
        const int fd = atoi(entry->d_name);

        if (entry->d_name[0] == '.' || fd == dirfd(dir) || fd < first)
            continue;
        count++;
        if (visit)
            visit(fd);
    }
    (void)closedir(dir);
    return count;
}

/* Without TIME_WAIT: a suite of thousands of connections would run out of ports. */
static void close_fd(int fd)
{
    pp_io_kernel.reset_on_close(fd);
    (void)close(fd);
}

void test_start(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s ENGINE\n", argv[0]);
        exit(EXIT_FAILURE);
    }
    engine_spec = argv[1];
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* says which test it was that hung */
    (void)each_fd(FIRST_FD, close_fd);      /* whatever was inherited */
    (void)signal(SIGALRM, on_alarm);
    (void)signal(SIGPIPE, SIG_DFL); /* the loop itself must keep it from coming */
    (void)alarm(HANG_S);
    skip_unless_engine_opens();
}

const char *test_engine(void)
{
    return engine_spec;
}

int test_fd_count(void)
{
    return each_fd(0, NULL);
}

int test_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    (void)alarm(HANG_S);
    *state = f;
    return 0;
}

/* First what could still use something else, last what is used by all. */
int test_teardown(void **state)
{
    struct fixture *f = *state;

    if (f->thread_count > 0 || f->workers)
        (void)each_fd(FIRST_FD, test_hang_up_now); /* ends the threads that wait for a peer */
    test_threads_join(f);
    test_workers_close(f);
    for (size_t i = 0; i < COUNT_OF(f->loops); i++)
        pp_io_loop_close(f->loops[i]);
    (void)each_fd(FIRST_FD, close_fd);
    while (f->blocks) {
        struct test_block *block = f->blocks;

        f->blocks = block->next;
        free(block);
    }
    free(f);
    return 0;
}

void *test_new(struct fixture *f, size_t bytes)
{
    struct test_block *block = calloc(1, sizeof(*block) + bytes);

    assert_non_null(block);
    block->next = f->blocks;
    f->blocks = block;
    return block->data;
}

static struct pp_io_loop **loop_slot(struct fixture *f, const struct pp_io_loop *loop)
{
    for (size_t i = 0; i < COUNT_OF(f->loops); i++)
        if (f->loops[i] == loop)
            return &f->loops[i];
    fail_msg("%s", loop ? "this loop is not the fixture's" : "too many loops in one test");
    return NULL;
}

struct pp_io_loop *test_loop_with(struct fixture *f, struct pp_io_options options)
{
    const struct pp_io_options filled = test_options(options);
    struct pp_io_loop **slot = loop_slot(f, NULL);
    struct pp_error err = { 0 };

    if (pp_io_loop_open(slot, &filled, &err) < 0)
        fail_msg("%s: %s", filled.engine, err.text);
    return *slot;
}

struct pp_io_loop *test_loop(struct fixture *f)
{
    return test_loop_with(f, (struct pp_io_options){ 0 });
}

void test_loop_close(struct fixture *f, struct pp_io_loop *loop)
{
    *loop_slot(f, loop) = NULL;
    pp_io_loop_close(loop);
}

struct pp_io_workers *test_workers(struct fixture *f, unsigned threads)
{
    struct pp_error err = { 0 };

    assert_null(f->workers);
    if (pp_io_workers_open(&f->workers, &pp_io_kernel, threads, &err) < 0)
        fail_msg("%s", err.text);
    return f->workers;
}

void test_workers_close(struct fixture *f)
{
    if (f->workers)
        pp_io_workers_close(f->workers);
    f->workers = NULL;
}

void test_thread(struct fixture *f, void *(*body)(void *), void *argument)
{
    assert_true(f->thread_count < TEST_THREADS_MAX);
    assert_int_equal(pthread_create(&f->threads[f->thread_count], NULL, body, argument), 0);
    f->thread_count++;
}

void test_threads_join(struct fixture *f)
{
    while (f->thread_count > 0)
        (void)pthread_join(f->threads[--f->thread_count], NULL);
}

void test_equal(const char *name, int64_t got, int64_t wanted)
{
    if (got != wanted)
        fail_msg("%s: %lld, not %lld", name, (long long)got, (long long)wanted);
}

bool test_aborts(void (*act)(struct fixture *f), struct fixture *f)
{
    const pid_t child = aborts_fork();

    if (child == 0) {
        act(f);
        _exit(0);
    }
    return aborts_wait(child);
}

/* ---- descriptors, and what comes over them ------------------------------------------------ */

bool test_fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Fibonacci hashing: neighbours differ, and nothing repeats for 4 GB. */
unsigned char test_pattern(uint64_t position)
{
    return (unsigned char)((position * UINT64_C(0x9E3779B1)) >> 24);
}

void test_pattern_fill(char *data, uint64_t position, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)test_pattern(position + i);
}

bool test_pattern_matches(const char *data, uint64_t position, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)data[i] != test_pattern(position + i))
            return false;
    return true;
}

/* ---- running ----------------------------------------------------------------------------- */

void test_run(struct pp_io_loop *loop)
{
    assert_int_equal(pp_io_loop_run(loop), 0);
}

void test_run_until(struct pp_io_loop *loop, const int *calls, int wanted)
{
    while (*calls < wanted)
        assert_int_equal(pp_io_loop_run_once(loop), 0);
}

void test_poll(struct pp_io_loop *loop)
{
    for (int i = 0; i < 4; i++)
        assert_int_equal(pp_io_loop_poll(loop), 0);
}

/* ---- things to run on a loop ------------------------------------------------------------- */

enum pp_io_next test_probe_once(struct pp_io_op *op)
{
    struct test_probe *probe = container_of(op, struct test_probe, op);

    probe->calls++;
    probe->res = op->res;
    return PP_IO_DISARM;
}

struct test_probe *test_probe(struct fixture *f)
{
    return test_new(f, sizeof(struct test_probe));
}

enum pp_io_next test_log_once(struct pp_io_op *op)
{
    struct test_logged *logged = container_of(op, struct test_logged, op);
    struct test_log *log = logged->log;

    logged->res = op->res;
    if (log->len < sizeof(log->text) - 1)
        log->text[log->len++] = (char)op->tag;
    return PP_IO_DISARM;
}

struct test_logged *test_logged(struct fixture *f, struct test_log *log, char tag)
{
    struct test_logged *logged = test_new(f, sizeof(*logged));

    logged->log = log;
    logged->op.tag = (uint8_t)tag;
    return logged;
}

static enum pp_io_next on_source_shut(struct pp_io_op *op)
{
    container_of(op, struct test_source, op)->done = true;
    return PP_IO_DISARM;
}

static enum pp_io_next on_source_sent(struct pp_io_op *op)
{
    struct test_source *source = container_of(op, struct test_source, op);

    source->calls++;
    if (op->res < 0) {
        source->error = op->res;
        source->done = true;
        return PP_IO_DISARM;
    }
    if (!pp_io_advance(op))
        return PP_IO_REARM;
    pp_io_shutdown(source->loop, op, op->fd, on_source_shut);
    return PP_IO_DISARM;
}

struct test_source *test_source(struct fixture *f, struct pp_io_loop *loop, int fd, uint32_t bytes)
{
    struct test_source *source = test_new(f, sizeof(*source));
    char *data = test_new(f, bytes);

    source->loop = loop;
    test_pattern_fill(data, 0, bytes);
    pp_io_send(loop, &source->op, fd, data, bytes, on_source_sent);
    return source;
}

/* False at the end of the stream. */
static bool sink_take(struct test_sink *sink, const char *data)
{
    const int32_t res = sink->op.res;

    sink->calls++;
    if (res <= 0) {
        sink->done = true;
        sink->end = res;
        return false;
    }
    if (!test_pattern_matches(data, sink->bytes, (size_t)res))
        sink->wrong = true;
    sink->bytes += (uint64_t)res;
    return true;
}

static enum pp_io_next on_sunk(struct pp_io_op *op)
{
    struct test_sink *sink = container_of(op, struct test_sink, op);

    if (sink_take(sink, sink->buf))
        pp_io_recv(sink->loop, op, op->fd, sink->buf, sizeof(sink->buf), on_sunk);
    return PP_IO_DISARM;
}

static enum pp_io_next on_sunk_pooled(struct pp_io_op *op)
{
    struct test_sink *sink = container_of(op, struct test_sink, op);

    if (!sink_take(sink, op->buf))
        return PP_IO_DISARM;
    pp_io_buffer_put(sink->loop, op->buf);
    return PP_IO_REARM;
}

static struct test_sink *sink_new(struct fixture *f, struct pp_io_loop *loop)
{
    struct test_sink *sink = test_new(f, sizeof(*sink));

    sink->loop = loop;
    return sink;
}

struct test_sink *test_sink(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    struct test_sink *sink = sink_new(f, loop);

    pp_io_recv(loop, &sink->op, fd, sink->buf, sizeof(sink->buf), on_sunk);
    return sink;
}

struct test_sink *test_sink_pooled(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    struct test_sink *sink = sink_new(f, loop);

    pp_io_recv_pooled(loop, &sink->op, fd, on_sunk_pooled);
    return sink;
}

void test_sink_has(const struct test_sink *sink, uint64_t bytes)
{
    assert_true(sink->done);
    assert_int_equal(sink->end, 0);
    assert_false(sink->wrong);
    assert_int_equal(sink->bytes, bytes);
}

static enum pp_io_next on_echo_received(struct pp_io_op *op);

static enum pp_io_next on_echo_closed(struct pp_io_op *op)
{
    container_of(op, struct test_echo, op)->closed = op->res == 0;
    return PP_IO_DISARM;
}

static enum pp_io_next on_echo_sent(struct pp_io_op *op)
{
    struct test_echo *echo = container_of(op, struct test_echo, op);
    const bool failed = op->res < 0;

    if (!failed && !pp_io_advance(op))
        return PP_IO_REARM;
    pp_io_buffer_put(echo->loop, echo->buf);
    if (failed)
        pp_io_close(echo->loop, op, echo->fd, on_echo_closed);
    else
        pp_io_recv_pooled(echo->loop, op, echo->fd, on_echo_received);
    return PP_IO_DISARM;
}

static enum pp_io_next on_echo_received(struct pp_io_op *op)
{
    struct test_echo *echo = container_of(op, struct test_echo, op);

    if (op->res <= 0) {
        pp_io_close(echo->loop, op, echo->fd, on_echo_closed);
        return PP_IO_DISARM;
    }
    echo->buf = op->buf;
    pp_io_send(echo->loop, op, echo->fd, echo->buf, (uint32_t)op->res, on_echo_sent);
    return PP_IO_DISARM;
}

struct test_echo *test_echo(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    struct test_echo *echo = test_new(f, sizeof(*echo));

    echo->loop = loop;
    echo->fd = fd;
    pp_io_recv_pooled(loop, &echo->op, fd, on_echo_received);
    return echo;
}

static void *echo_body(void *argument)
{
    (void)pp_io_loop_run(argument);
    return NULL;
}

void test_echo_thread(struct fixture *f, int fd)
{
    struct pp_io_loop *loop = test_loop(f);

    (void)test_echo(f, loop, fd);
    test_thread(f, echo_body, loop);
}

static void pinger_round(struct test_pinger *pinger);

static void pinger_fail(struct test_pinger *pinger, int32_t error)
{
    if (pinger->error == 0)
        pinger->error = error;
}

static enum pp_io_next on_ping_sent(struct pp_io_op *op)
{
    struct test_pinger *pinger = container_of(op, struct test_pinger, send_op);

    if (op->res < 0) {
        pinger_fail(pinger, op->res);
        return PP_IO_DISARM;
    }
    return pp_io_advance(op) ? PP_IO_DISARM : PP_IO_REARM;
}

static enum pp_io_next on_pong(struct pp_io_op *op)
{
    struct test_pinger *pinger = container_of(op, struct test_pinger, recv_op);

    if (op->res <= 0) {
        pinger_fail(pinger, op->res < 0 ? op->res : -EPIPE);
        return PP_IO_DISARM;
    }
    if (!pp_io_advance(op))
        return PP_IO_REARM;
    if (memcmp(pinger->sent, pinger->got, sizeof(pinger->sent)) != 0)
        pinger_fail(pinger, -EBADMSG);
    if (pp_io_is_armed(&pinger->send_op)) {
        pinger->early++;
        pinger_fail(pinger, -EBUSY);
    }
    pinger->rounds++;
    if (pinger->rounds < pinger->wanted && pinger->error == 0)
        pinger_round(pinger);
    else if (pinger->on_end)
        pinger->on_end(pinger);
    return PP_IO_DISARM;
}

/* The receive is armed first, as a client that wants to lose no time does it. */
static void pinger_round(struct test_pinger *pinger)
{
    test_pattern_fill(pinger->sent, (uint64_t)pinger->rounds * TEST_PING_BYTES, TEST_PING_BYTES);
    pp_io_recv(pinger->loop, &pinger->recv_op, pinger->fd, pinger->got, TEST_PING_BYTES, on_pong);
    pp_io_send(pinger->loop, &pinger->send_op, pinger->fd, pinger->sent, TEST_PING_BYTES,
               on_ping_sent);
    pinger->send_op.lazy = pinger->lazy;
}

struct test_pinger *test_pinger(struct fixture *f, struct pp_io_loop *loop, int fd, int rounds)
{
    struct test_pinger *pinger = test_new(f, sizeof(*pinger));

    pinger->loop = loop;
    pinger->fd = fd;
    pinger->wanted = rounds;
    return pinger;
}

void test_pinger_start(struct test_pinger *pinger)
{
    pinger_round(pinger);
}

static enum pp_io_next on_pinger_shut(struct pp_io_op *op)
{
    if (op->res < 0)
        pinger_fail(container_of(op, struct test_pinger, shut_op), op->res);
    return PP_IO_DISARM;
}

void test_pinger_shut(struct test_pinger *pinger)
{
    pp_io_shutdown(pinger->loop, &pinger->shut_op, pinger->fd, on_pinger_shut);
}

void test_pinger_is_well(const struct test_pinger *pinger)
{
    assert_int_equal(pinger->early, 0);
    assert_int_equal(pinger->error, 0);
    assert_int_equal(pinger->rounds, pinger->wanted);
}

struct test_doomed *test_doomed(int *calls)
{
    struct test_doomed *doomed = calloc(1, sizeof(*doomed));

    assert_non_null(doomed);
    doomed->calls = calls;
    return doomed;
}

enum pp_io_next test_doomed_once(struct pp_io_op *op)
{
    struct test_doomed *doomed = container_of(op, struct test_doomed, op);

    ++*doomed->calls;
    memset(doomed, 0xA5, sizeof(*doomed));
    free(doomed);
    return PP_IO_DISARM;
}

void test_close(struct fixture *f, struct pp_io_loop *loop, int fd)
{
    struct test_probe *probe = test_probe(f);

    pp_io_close(loop, &probe->op, fd, test_probe_once);
    test_run(loop);
    assert_int_equal(probe->res, 0);
}
