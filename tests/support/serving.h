/* What the tests of servers share: a loop on a thread of its own, and what a server under test says
 * of itself. */
#ifndef PP_TESTS_SUPPORT_SERVING_H
#define PP_TESTS_SUPPORT_SERVING_H

#include "support.h"
#include "wire/hello.h"

/* ---- a loop on a thread ---- */

struct loop_thread {
    struct pp_io_loop *loop;
    pthread_t thread;
    bool running;
    int result; /* once joined */
};

static inline void *loop_thread_main(void *argument)
{
    struct loop_thread *t = argument;

    t->result = pp_io_loop_run(t->loop);
    return NULL;
}

static inline void loop_thread_start(struct loop_thread *t, struct pp_io_loop *loop)
{
    t->loop = loop;
    assert_int_equal(pthread_create(&t->thread, NULL, loop_thread_main, t), 0);
    t->running = true;
}

/* What runs on the loop must be ending. */
static inline void loop_thread_join(struct loop_thread *t)
{
    (void)pthread_join(t->thread, NULL);
    t->running = false;
}

/* ---- sockets ---- */

/* A Unix one for a server, whose address is no file. */
static inline int unnamed_socket(int type, struct pp_io_addr *addr)
{
    const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    *addr = (struct pp_io_addr){ .len = sizeof addr->un, .un.sun_family = AF_UNIX };
    assert_int_equal(bind(fd, &addr->any, sizeof addr->un.sun_family), 0);
    assert_int_equal(getsockname(fd, &addr->any, &addr->len), 0);
    return fd;
}

/* ---- hellos ---- */

/* A server's answers are numbered, in place of its system calls. */
static inline void introduce(void *owner, struct pp_hello_reply *reply)
{
    atomic_uint *introductions = owner;

    *reply = (struct pp_hello_reply){ .version = "1.2.3",
                                      .engine = "steam: two pistons",
                                      .wait = "patiently",
                                      .host = "b.example",
                                      .threads = 3,
                                      .user_ns = 4,
                                      .system_ns = 5,
                                      .context_switches = 6 };
    reply->syscalls = atomic_fetch_add(introductions, 1) + 1;
}

/* data is the answer to the nth hello that the server was sent. */
static inline void is_introduction(const char data[PP_HELLO_BYTES], uint64_t nth)
{
    struct pp_hello_reply reply;

    assert_int_equal(pp_hello_reply_read(&reply, data), 0);
    assert_string_equal(reply.version, "1.2.3");
    assert_string_equal(reply.engine, "steam: two pistons");
    assert_string_equal(reply.wait, "patiently");
    assert_string_equal(reply.host, "b.example");
    assert_int_equal(reply.threads, 3);
    assert_int_equal(reply.user_ns, 4);
    assert_int_equal(reply.system_ns, 5);
    assert_int_equal(reply.context_switches, 6);
    assert_int_equal(reply.syscalls, nth);
}

static inline void write_question(char data[PP_HELLO_BYTES])
{
    const struct pp_hello hello = { 0 };

    assert_int_equal(pp_hello_write(&hello, data), 0);
}

#endif
