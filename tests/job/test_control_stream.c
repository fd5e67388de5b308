/* Asking a server over TCP who it is: it may answer in pieces, something else, or not at all. */
#include "client/control.h"

#include "base/memory.h"
#include "job/loops.h"
#include "listening.h"
#include "support.h"

/* A server on a thread of its own, for one connection. It asserts nothing: it ends when it is read
 * from no more. */
struct fixture {
    int listen_fd;
    pthread_t thread;
    bool serving;
    void (*script)(int fd);
    struct pp_io_addr addr;
    struct pp_io_loop *loop;
    struct pp_control control;
    int done; /* steps */
};

/* ---- the server ---- */

static bool read_hello(int fd, char data[PP_HELLO_BYTES])
{
    return recv(fd, data, PP_HELLO_BYTES, MSG_WAITALL) == PP_HELLO_BYTES;
}

static void write_reply(char data[PP_HELLO_BYTES], unsigned nth)
{
    const struct pp_hello_reply reply = {
        .version = "1", .engine = "e", .wait = "w", .host = "h", .threads = 1, .syscalls = nth
    };

    pp_hello_reply_write(&reply, data);
}

static void answer_in_pieces(int fd)
{
    static const size_t ends[] = { 1, 20, 700, PP_HELLO_BYTES };
    char data[PP_HELLO_BYTES];

    for (unsigned nth = 1; read_hello(fd, data); nth++) {
        size_t at = 0;

        write_reply(data, nth);
        for (size_t i = 0; i < COUNT_OF(ends); at = ends[i++]) {
            (void)send(fd, data + at, ends[i] - at, MSG_NOSIGNAL);
            usleep(1000);
        }
    }
}

static void echo(int fd)
{
    char data[PP_HELLO_BYTES];

    while (read_hello(fd, data))
        (void)send(fd, data, sizeof data, MSG_NOSIGNAL);
}

/* Not so much as a hello: whoever waits for the rest would wait for long. */
static void refuse_in_words(int fd)
{
    char data[PP_HELLO_BYTES];

    while (read_hello(fd, data))
        (void)send(fd, "400 what?\r\n", 11, MSG_NOSIGNAL);
}

static void hang_up(int fd)
{
    char data[PP_HELLO_BYTES];

    (void)read_hello(fd, data);
}

static void say_nothing(int fd)
{
    char data[PP_HELLO_BYTES];

    while (read_hello(fd, data))
        ;
}

static void *serve(void *context)
{
    struct fixture *f = context;
    const int fd = accept(f->listen_fd, NULL, NULL);

    if (fd < 0)
        return NULL;
    f->script(fd);
    (void)close(fd);
    return NULL;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct fixture *f = pp_memory_alloc(1, sizeof *f);

    if (!f || pp_loop_open_waiting(&f->loop, NULL) < 0)
        return -1;
    f->addr = loopback();
    f->listen_fd = listen_one(&f->addr, NULL, NULL);
    if (f->listen_fd < 0 || fcntl(f->listen_fd, F_SETFL, 0) < 0)
        return -1;
    *state = f;
    hang_guard_start();
    return 0;
}

/* The connection is closed by then, or the server would wait for ever. */
static int teardown(void **state)
{
    struct fixture *f = *state;

    pp_io_loop_close(f->loop);
    pp_control_close(&f->control);
    (void)shutdown(f->listen_fd, SHUT_RDWR);
    if (f->serving)
        (void)pthread_join(f->thread, NULL);
    (void)close(f->listen_fd);
    pp_memory_free(f);
    return hang_guard_stop() ? 0 : -1;
}

static void on_done(void *owner)
{
    ((struct fixture *)owner)->done++;
}

/* Until the step is over that is pending, if any is. */
static int run_step(struct fixture *f, bool pending)
{
    const int done = f->done + pending;

    while (f->done < done)
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    assert_int_equal(f->done, done);
    return f->control.code;
}

static bool begin(struct fixture *f)
{
    struct pp_plan plan;

    pp_plan_default(&plan, PP_JOB_CLIENT);
    pp_control_init(&f->control, f->loop, on_done, f);
    return pp_control_connect(&f->control, &plan, &f->addr, NULL, UINT64_MAX);
}

static void connect_to(struct fixture *f, void (*script)(int fd))
{
    f->script = script;
    f->serving = pthread_create(&f->thread, NULL, serve, f) == 0;
    assert_true(f->serving);
    assert_int_equal(run_step(f, begin(f)), 0);
}

static int ask(struct fixture *f)
{
    return run_step(f, pp_control_ask(&f->control, UINT64_MAX));
}

/* Nothing keeps the loop from ending, and nothing is left open. */
static void assert_closed(struct fixture *f)
{
    const int done = f->done;

    assert_int_equal(pp_io_loop_run(f->loop), 0);
    assert_int_equal(f->control.fd, -1);
    assert_int_equal(f->done, done);
}

/* ---- the claims ---- */

static void an_answer_may_come_in_pieces(void **state)
{
    struct fixture *f = *state;

    connect_to(f, answer_in_pieces);
    for (unsigned nth = 1; nth <= 3; nth++) {
        assert_int_equal(ask(f), 0);
        assert_int_equal(f->control.reply.syscalls, nth);
    }
    pp_control_leave(&f->control);
    assert_closed(f);
}

static void what_was_asked_ahead_is_the_answer_to_the_next_question(void **state)
{
    struct fixture *f = *state;

    connect_to(f, answer_in_pieces);
    pp_control_ask_ahead(&f->control);
    while (f->control.busy) /* it comes while nobody waits for it */
        assert_int_equal(pp_io_loop_run_once(f->loop), 0);
    assert_int_equal(f->done, 1);
    assert_false(pp_control_ask(&f->control, UINT64_MAX));
    assert_int_equal(f->control.code, 0);
    assert_int_equal(f->control.reply.syscalls, 1);
    pp_control_ask_ahead(&f->control);
    assert_int_equal(ask(f), 0);
    assert_int_equal(f->control.reply.syscalls, 2);
    pp_control_leave(&f->control);
    assert_closed(f);
}

static void check_is_no_pingpong(struct fixture *f, void (*script)(int fd))
{
    connect_to(f, script);
    assert_int_equal(ask(f), -EPROTO);
    assert_closed(f);
    assert_int_equal(ask(f), -ENOTCONN);
}

static void an_echo_is_no_answer(void **state)
{
    check_is_no_pingpong(*state, echo);
}

static void the_words_of_another_service_are_no_answer(void **state)
{
    check_is_no_pingpong(*state, refuse_in_words);
}

static void who_hangs_up_has_not_answered(void **state)
{
    check_is_no_pingpong(*state, hang_up);
}

static void nobody_waits_beyond_the_deadline(void **state)
{
    struct fixture *f = *state;

    connect_to(f, say_nothing);
    assert_int_equal(run_step(f, pp_control_ask(&f->control, pp_io_now_ns(f->loop) + PP_NS_PER_MS)),
                     -ETIMEDOUT);
    assert_closed(f);
}

static void nobody_waits_for_ever(void **state)
{
    struct fixture *f = *state;

    connect_to(f, say_nothing);
    assert_int_equal(ask(f), -ETIMEDOUT);
    assert_closed(f);
}

static void a_step_that_is_cancelled_is_over_at_once(void **state)
{
    struct fixture *f = *state;

    connect_to(f, say_nothing);
    assert_true(pp_control_ask(&f->control, UINT64_MAX));
    pp_control_cancel(&f->control);
    assert_int_equal(f->done, 2);
    assert_int_equal(f->control.code, -ECANCELED);
    pp_control_cancel(&f->control); /* nothing is under way any more */
    assert_closed(f);
}

static void who_leaves_hears_of_nothing_more(void **state)
{
    struct fixture *f = *state;

    connect_to(f, answer_in_pieces);
    assert_true(pp_control_ask(&f->control, UINT64_MAX));
    pp_control_leave(&f->control);
    assert_closed(f);
    assert_int_equal(f->done, 1);
}

static void a_server_that_is_not_there_is_told_by_its_code(void **state)
{
    struct fixture *f = *state;

    (void)close(f->listen_fd);
    f->listen_fd = -1;
    assert_int_equal(run_step(f, begin(f)), -ECONNREFUSED);
    assert_closed(f);
}

static void a_loop_that_breaks_down_leaves_no_connection_behind(void **state)
{
    struct fixture *f = *state;
    const int before = open_descriptors();

    connect_to(f, say_nothing);
    assert_true(pp_control_ask(&f->control, UINT64_MAX));
    assert_int_equal(pp_io_loop_poll(f->loop), 0);
    pp_io_loop_close(f->loop);
    f->loop = NULL;
    pp_control_close(&f->control);
    (void)pthread_join(f->thread, NULL);
    f->serving = false;
    assert_in_range(open_descriptors(), 0, before); /* the loop's are gone, too */
    assert_int_equal(f->done, 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_may_come_in_pieces),
        TEST(what_was_asked_ahead_is_the_answer_to_the_next_question),
        TEST(an_echo_is_no_answer),
        TEST(the_words_of_another_service_are_no_answer),
        TEST(who_hangs_up_has_not_answered),
        TEST(nobody_waits_beyond_the_deadline),
        TEST(nobody_waits_for_ever),
        TEST(a_step_that_is_cancelled_is_over_at_once),
        TEST(who_leaves_hears_of_nothing_more),
        TEST(a_server_that_is_not_there_is_told_by_its_code),
        TEST(a_loop_that_breaks_down_leaves_no_connection_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
