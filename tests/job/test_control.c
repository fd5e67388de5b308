/* Asking a server over UDP what it has cost: a reply says what was so when it was written, and may
 * come late, twice, or not at all. */
#include "job/peer.h"

#include "base/memory.h"
#include "job/interrupt.h"
#include "job/loops.h"
#include "support.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define MESSAGE_BYTES PP_CONTROL_MESSAGE_BYTES
#define QUESTIONS_MAX 16

/* A server on a thread of its own. Of its replies, that to question n (from 1) says n * 100 system
 * calls. */
struct fixture {
    int fd;
    pthread_t thread;
    struct pp_io_loop *loop;
    struct pp_control control;
    struct pp_io_addr addr;
    bool done;
    struct pp_result result; /* for those that go through a struct pp_peer_talk */
    struct pp_peer_talk talk;
    struct pp_io_op interrupt_op;
    void (*script)(struct fixture *f, unsigned nth);
    struct sockaddr_in from;
    char questions[QUESTIONS_MAX][MESSAGE_BYTES];
    _Atomic unsigned asked;
};

/* ---- the server ---- */

static void answer_with(struct fixture *f, unsigned nth, size_t bytes)
{
    const struct pp_hello_reply reply = { .version = "1",
                                          .engine = "e",
                                          .wait = "w",
                                          .host = "h",
                                          .threads = 1,
                                          .syscalls = UINT64_C(100) * nth };
    char message[MESSAGE_BYTES + 1] = { 0 };

    memcpy(message, f->questions[nth - 1], MESSAGE_BYTES);
    pp_datagram_turn(message, PP_DATAGRAM_HELLO_REPLY);
    pp_hello_reply_write(&reply, message + PP_DATAGRAM_HEADER_BYTES);
    (void)sendto(f->fd, message, bytes, 0, (struct sockaddr *)&f->from, sizeof f->from);
}

static void answer(struct fixture *f, unsigned nth)
{
    answer_with(f, nth, MESSAGE_BYTES);
}

/* Until a datagram that is no question. */
static void *serve(void *context)
{
    struct fixture *f = context;

    for (unsigned nth = 1; nth <= QUESTIONS_MAX; nth++) {
        socklen_t len = sizeof f->from;

        if (recvfrom(f->fd, f->questions[nth - 1], MESSAGE_BYTES, 0, (struct sockaddr *)&f->from,
                     &len) != MESSAGE_BYTES)
            break;
        atomic_store(&f->asked, nth);
        f->script(f, nth);
    }
    return NULL;
}

static struct pp_io_addr addr_of(int fd)
{
    struct pp_io_addr addr = { .len = sizeof addr.in };

    assert_int_equal(getsockname(fd, &addr.any, &addr.len), 0);
    return addr;
}

static int setup(void **state)
{
    struct fixture *f = pp_memory_alloc(1, sizeof *f);
    const struct pp_io_addr any_port = loopback();

    if (!f || pp_loop_open_waiting(&f->loop, NULL) < 0)
        return -1;
    f->fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(f->fd, &any_port.any, any_port.len) < 0)
        return -1;
    *state = f;
    hang_guard_start();
    return 0;
}

/* The server was the child's. */
static int teardown_here(void **state)
{
    struct fixture *f = *state;

    pp_io_loop_close(f->loop);
    (void)close(f->fd);
    pp_memory_free(f);
    return hang_guard_stop() ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_addr addr = addr_of(f->fd);

    (void)sendto(f->fd, "", 0, 0, &addr.any, addr.len);
    (void)pthread_join(f->thread, NULL);
    pp_io_loop_close(f->loop);
    pp_control_close(&f->control);
    (void)close(f->fd);
    pp_memory_free(f);
    return hang_guard_stop() ? 0 : -1;
}

static void on_done(void *owner)
{
    struct fixture *f = owner;

    f->done = true;
}

/* Until the step is over that is pending, if any is. */
static void run_step(struct fixture *f, bool pending)
{
    f->done = !pending;
    while (!f->done)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
}

static void serve_with(struct fixture *f, struct pp_plan *plan,
                       void (*script)(struct fixture *f, unsigned nth))
{
    f->addr = addr_of(f->fd);
    pp_plan_default(plan, PP_JOB_CLIENT);
    plan->socket.dgram = true;
    f->script = script;
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void open_control(struct fixture *f, void (*script)(struct fixture *f, unsigned nth))
{
    struct pp_plan plan;

    serve_with(f, &plan, script);
    pp_control_init(&f->control, f->loop, on_done, f);
    run_step(f, pp_control_connect(&f->control, &plan, &f->addr, NULL, UINT64_MAX));
    assert_int_equal(f->control.code, 0);
}

static int ask_until(struct fixture *f, uint64_t deadline_ns)
{
    run_step(f, pp_control_ask(&f->control, deadline_ns));
    return f->control.code;
}

/* After an error: nothing keeps the loop from ending. */
static void run_until_closed(struct fixture *f)
{
    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(f->control.fd, -1);
}

/* Which question was answered. */
static unsigned ask(struct fixture *f)
{
    assert_int_equal(ask_until(f, UINT64_MAX), 0);
    return (unsigned)f->control.reply.syscalls / 100;
}

/* ---- the claims ---- */

static void answer_twice(struct fixture *f, unsigned nth)
{
    answer(f, nth);
    answer(f, nth);
}

static void a_reply_that_came_twice_is_not_the_answer_to_the_next_question(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer_twice);
    for (int i = 0; i < 3; i++) {
        const unsigned asked_before = atomic_load(&f->asked);

        assert_true(ask(f) > asked_before);
    }
}

/* As with an RTT in which a second question goes out. */
static void answer_when_asked_again(struct fixture *f, unsigned nth)
{
    if (nth == 2)
        answer(f, 1);
    if (nth >= 2)
        answer(f, nth);
}

static void a_late_reply_to_a_try_counts_for_its_question_and_for_no_other(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer_when_asked_again);
    assert_int_equal(ask(f), 1);
    assert_true(ask(f) > 2);
}

static void answer_the_first_alone(struct fixture *f, unsigned nth)
{
    if (nth == 1)
        answer_twice(f, 1);
    else
        answer(f, 1);
}

static void old_replies_alone_are_no_answer_however_many_come(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer_the_first_alone);
    assert_int_equal(ask(f), 1);
    assert_int_equal(ask_until(f, UINT64_MAX), -ETIMEDOUT);
    assert_int_equal(ask_until(f, UINT64_MAX), -ENOTCONN);
    run_until_closed(f);
}

static void what_is_asked_ahead_is_answered_as_of_then(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer);
    pp_control_ask_ahead(&f->control);
    while (atomic_load(&f->asked) < 1)
        usleep(1000);
    assert_int_equal(ask(f), 1);
    assert_int_equal(ask(f), 2);
}

static void answer_all_but_the_first(struct fixture *f, unsigned nth)
{
    if (nth > 1)
        answer(f, nth);
}

static void what_is_asked_ahead_and_not_answered_is_asked_again(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer_all_but_the_first);
    pp_control_ask_ahead(&f->control);
    assert_true(ask(f) > 1);
}

static void answer_a_byte_too_long(struct fixture *f, unsigned nth)
{
    answer_with(f, nth, MESSAGE_BYTES + 1);
}

static void answer_a_byte_too_short(struct fixture *f, unsigned nth)
{
    answer_with(f, nth, MESSAGE_BYTES - 1);
}

static void a_reply_of_another_length_is_not_pingpongs(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer_a_byte_too_long);
    assert_int_equal(ask_until(f, UINT64_MAX), -EPROTO);
}

static void a_reply_that_is_cut_short_is_not_pingpongs(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer_a_byte_too_short);
    assert_int_equal(ask_until(f, UINT64_MAX), -EPROTO);
}

/* Its own patience would be long enough for a second question, which would be answered. */
static void no_question_is_asked_again_once_the_deadline_is_over(void **state)
{
    struct fixture *f = *state;

    open_control(f, answer_when_asked_again);
    assert_int_equal(ask_until(f, pp_io_now_ns(f->loop)), -ETIMEDOUT);
    run_until_closed(f);
    assert_int_equal(f->control.number, 1);
}

/* By then the question is out, and the wait for its answer begins or has begun. */
static void send_a_signal(struct fixture *f, unsigned nth)
{
    (void)f;
    if (nth == 1)
        (void)kill(getpid(), SIGTERM);
}

static void answer_always(struct fixture *f, unsigned nth)
{
    answer(f, nth);
}

/* In a process of its own, as signals are for all of it. */
static void check_child(void (*act)(struct fixture *f), struct fixture *f)
{
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pp_interrupt_install();
        act(f);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void end(bool well)
{
    if (!well)
        _exit(1);
}

static enum pp_io_next on_interrupt(struct pp_io_op *op)
{
    struct fixture *f = container_of(op, struct fixture, interrupt_op);

    pp_peer_interrupt(&f->talk);
    return PP_IO_DISARM;
}

/* As a run does. */
static void begin_talk(struct fixture *f, void (*script)(struct fixture *f, unsigned nth))
{
    serve_with(f, &f->result.plan, script);
    f->result.addr = f->addr;
    pp_peer_begin(&f->talk, f->loop, &f->result, on_done, f);
    pp_io_wake_wait(f->loop, &f->interrupt_op, on_interrupt);
    pp_interrupt_attach(f->loop, &f->interrupt_op);
    run_step(f, pp_peer_meet(&f->talk, NULL));
}

static void ask_until_the_signal(struct fixture *f)
{
    begin_talk(f, send_a_signal);
    end(f->talk.control.code == -ECANCELED && f->result.peer == PP_PEER_UNKNOWN);
}

static void ask_after_the_signal(struct fixture *f)
{
    begin_talk(f, answer_always);
    end(f->result.peer == PP_PEER_PINGPONG);
    (void)raise(SIGTERM);
    run_step(f, pp_peer_ask_before(&f->talk));
    end(f->talk.control.code == 0);
    run_step(f, pp_peer_ask_after(&f->talk));
    end(f->talk.control.code == 0 && f->result.peer_says.syscalls > f->talk.before.syscalls);
}

static void a_signal_ends_the_wait_for_an_answer(void **state)
{
    check_child(ask_until_the_signal, *state);
}

static void after_a_signal_the_server_can_still_be_asked(void **state)
{
    check_child(ask_after_the_signal, *state);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define TEST_IN_CHILD(test) cmocka_unit_test_setup_teardown(test, setup, teardown_here)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_asked_ahead_is_answered_as_of_then),
        TEST(what_is_asked_ahead_and_not_answered_is_asked_again),
        TEST(a_reply_that_came_twice_is_not_the_answer_to_the_next_question),
        TEST(a_late_reply_to_a_try_counts_for_its_question_and_for_no_other),
        TEST(old_replies_alone_are_no_answer_however_many_come),
        TEST(a_reply_of_another_length_is_not_pingpongs),
        TEST(a_reply_that_is_cut_short_is_not_pingpongs),
        TEST(no_question_is_asked_again_once_the_deadline_is_over),
        TEST_IN_CHILD(a_signal_ends_the_wait_for_an_answer),
        TEST_IN_CHILD(after_a_signal_the_server_can_still_be_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
