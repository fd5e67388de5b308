/* Peers that have ended their half of the connection and read nothing, late, or out of band. What
 * is owed to them waits in the loop's thread: no thread of the kernel's waits for it, it can be
 * cancelled, it costs nothing meanwhile, and it goes out when they read. */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/un.h>

#define CONNECTIONS 64
#define OWED_BYTES (256 * 1024)

/* More than any limit of the kernel's on how often one request is tried. */
#define URGENT_BYTES 300

static bool is_kernel_worker(const char *task)
{
    char path[300], name[32] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task);
    file = fopen(path, "re");
    if (!file) /* it has ended */
        return false;
    (void)fgets(name, sizeof(name), file);
    (void)fclose(file);
    return strncmp(name, "iou-wrk", 7) == 0;
}

/* How many threads the kernel has made to wait for us. One that has nothing to do any more stays
 * for seconds. */
static int kernel_workers(void)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += is_kernel_worker(entry->d_name);
    (void)closedir(dir);
    return count;
}

/* ---- connections whose peers do not read ------------------------------------------------- */

struct owing {
    struct pp_io_op op;
    int near, far;
    bool ending; /* cancelled: what it came to is all, and not the beginning */
    int calls;
    uint64_t sent;
    int32_t end; /* 0 when all is sent; 1 before; or the error */
};

static enum pp_io_next on_owed_sent(struct pp_io_op *op)
{
    struct owing *owing = container_of(op, struct owing, op);

    owing->calls++;
    if (op->res < 0) {
        owing->end = op->res;
        return PP_IO_DISARM;
    }
    owing->sent += (uint64_t)op->res;
    if (pp_io_advance(op))
        owing->end = 0;
    else if (owing->ending)
        owing->end = -ECANCELED;
    else
        return PP_IO_REARM;
    return PP_IO_DISARM;
}

static void cancel_all(struct pp_io_loop *loop, struct owing *all)
{
    for (int k = 0; k < CONNECTIONS; k++) {
        all[k].ending = true;
        pp_io_cancel(loop, &all[k].op);
    }
}

static void owing_open(struct owing *owing, int family)
{
    const struct test_pair pair = family == AF_UNIX ? test_unix_pair(SOCK_STREAM)
                                                    : test_pair(family);

    owing->near = pair.near;
    owing->far = pair.far;
    test_shrink_send_buffer(owing->near);
    owing->end = 1;
}

/* Loops that look and loops that sleep send in different ways, and so do few and many. */
static const struct {
    const char *name;
    int family;
    enum pp_io_wait wait;
    bool half_closed;
} cases[] = {
    { "TCP, block, half-closed", AF_INET, PP_IO_WAIT_BLOCK, true },
    { "TCP, spin, half-closed", AF_INET, PP_IO_WAIT_SPIN, true },
    { "TCP, block, open", AF_INET, PP_IO_WAIT_BLOCK, false },
    { "Unix, block, half-closed", AF_UNIX, PP_IO_WAIT_BLOCK, true },
    { "Unix, spin, half-closed", AF_UNIX, PP_IO_WAIT_SPIN, true },
    { "Unix, spin, open", AF_UNIX, PP_IO_WAIT_SPIN, false },
};

/* How many callbacks all of them have had. */
static int calls_of(const struct owing *all)
{
    int calls = 0;

    for (int i = 0; i < CONNECTIONS; i++)
        calls += all[i].calls;
    return calls;
}

static void run_for(struct fixture *f, struct pp_io_loop *loop, uint64_t ns)
{
    struct test_probe *probe = test_probe(f);

    pp_io_timer(loop, &probe->op, pp_clock_now_ns() + ns, test_probe_once);
    test_run_until(loop, &probe->calls, 1);
}

/* Each has sent some, and TCP, which moves bytes on by itself for a while, has come to rest. */
static void run_until_quiet(struct fixture *f, struct pp_io_loop *loop, const struct owing *all)
{
    int before;

    for (int k = 0; k < CONNECTIONS; k++)
        test_run_until(loop, &all[k].calls, 1);

    do {
        before = calls_of(all);
        run_for(f, loop, 5 * PP_NS_PER_MS);
    } while (calls_of(all) != before);
}

static struct pp_io_loop *owing_start(struct fixture *f, size_t i, struct owing *all)
{
    struct pp_io_loop *loop = test_loop_with(
        f, (struct pp_io_options){
               .wait = cases[i].wait, .spin_ns = 50 * PP_NS_PER_US, .connections = CONNECTIONS });
    char *data = test_new(f, OWED_BYTES);

    test_pattern_fill(data, 0, OWED_BYTES);
    for (int k = 0; k < CONNECTIONS; k++) {
        owing_open(&all[k], cases[i].family);
        if (cases[i].half_closed)
            test_far_shutdown(all[k].far);
        pp_io_send(loop, &all[k].op, all[k].near, data, OWED_BYTES, on_owed_sent);
    }
    run_until_quiet(f, loop, all);
    for (int k = 0; k < CONNECTIONS; k++)
        test_equal(cases[i].name, all[k].end, 1);
    return loop;
}

static void owing_close(struct fixture *f, struct pp_io_loop *loop, const struct owing *all)
{
    for (int k = 0; k < CONNECTIONS; k++) {
        test_close(f, loop, all[k].near);
        test_far_close(all[k].far);
    }
    test_loop_close(f, loop);
}

static void no_kernel_thread_waits_for_peers_that_do_not_read(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct owing *all = test_new(f, CONNECTIONS * sizeof(*all));
        struct pp_io_loop *loop = owing_start(f, i, all);

        test_equal(cases[i].name, kernel_workers(), 0);
        cancel_all(loop, all);
        test_run(loop);
        owing_close(f, loop, all);
    }
}

static void what_is_owed_to_peers_that_do_not_read_can_be_canceled(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct owing *all = test_new(f, CONNECTIONS * sizeof(*all));
        struct pp_io_loop *loop = owing_start(f, i, all);
        struct test_probe *limit = test_probe(f);

        cancel_all(loop, all);
        pp_io_timer(loop, &limit->op, pp_clock_now_ns() + 20 * PP_NS_PER_S, test_probe_once);
        for (int k = 0; k < CONNECTIONS; k++)
            while (pp_io_is_armed(&all[k].op) && limit->calls == 0)
                assert_int_equal(pp_io_loop_run_once(loop), 0);
        test_equal(cases[i].name, limit->calls, 0);
        for (int k = 0; k < CONNECTIONS; k++)
            test_equal(cases[i].name, all[k].end, -ECANCELED);
        pp_io_cancel(loop, &limit->op);
        test_run(loop);
        owing_close(f, loop, all);
    }
}

/* In 100 ms: what TCP itself does now and then, such as asking for room, and not a try for each
 * connection and millisecond. */
#define QUIET_SYSCALLS (20 * CONNECTIONS)

static void peers_that_do_not_read_cost_nothing(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct owing *all = test_new(f, CONNECTIONS * sizeof(*all));
        struct pp_io_loop *loop = owing_start(f, i, all);
        struct pp_io_stats before, after;

        if (cases[i].wait == PP_IO_WAIT_BLOCK) {
            before = pp_io_loop_stats(loop);
            run_for(f, loop, 100 * PP_NS_PER_MS);
            after = pp_io_loop_stats(loop);
            if (after.syscalls - before.syscalls > QUIET_SYSCALLS)
                test_equal(cases[i].name, (int64_t)(after.syscalls - before.syscalls), 0);
        }
        cancel_all(loop, all);
        test_run(loop);
        owing_close(f, loop, all);
    }
}

static void *read_all(void *argument)
{
    struct owing *all = argument;
    static char data[4096];

    for (int k = 0; k < CONNECTIONS; k++) {
        uint64_t got = 0;

        while (got < OWED_BYTES) {
            const int32_t part = test_receive_late(all[k].far, data, sizeof(data));

            if (part <= 0 || !test_pattern_matches(data, got, (size_t)part))
                return &all[k];
            got += (uint64_t)part;
        }
    }
    return NULL;
}

static void peers_that_read_late_get_everything(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct owing *all = test_new(f, CONNECTIONS * sizeof(*all));
        struct pp_io_loop *loop = owing_start(f, i, all);
        pthread_t reader;
        void *wrong;

        assert_int_equal(pthread_create(&reader, NULL, read_all, all), 0);
        test_run(loop);
        assert_int_equal(pthread_join(reader, &wrong), 0);
        assert_null(wrong);
        for (int k = 0; k < CONNECTIONS; k++) {
            test_equal(cases[i].name, all[k].end, 0);
            test_equal(cases[i].name, (int64_t)all[k].sent, OWED_BYTES);
        }
        owing_close(f, loop, all);
    }
}

/* Cancelled and peer at once: whichever comes first, the send completes once and the loop ends. */
static void canceling_while_peers_begin_to_read_completes_once(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct owing *all = test_new(f, CONNECTIONS * sizeof(*all));
        struct pp_io_loop *loop = owing_start(f, i, all);
        static char data[OWED_BYTES];

        for (int k = 0; k < CONNECTIONS; k++) {
            (void)test_receive_now(all[k].far, data, sizeof(data));
            if (k % 2 == 0)
                assert_int_equal(pp_io_loop_poll(loop), 0);
            pp_io_cancel(loop, &all[k].op);
        }
        test_run_until(loop, &all[CONNECTIONS - 1].calls, 1);
        for (int k = 0; k < CONNECTIONS; k++)
            while (pp_io_is_armed(&all[k].op)) {
                pp_io_cancel(loop, &all[k].op); /* it went on with the rest */
                assert_int_equal(pp_io_loop_run_once(loop), 0);
            }
        owing_close(f, loop, all);
    }
}

/* ---- the other operations ---------------------------------------------------------------- */

/* Urgent bytes wake a receive and are not for it. */
static void urgent_bytes_make_no_kernel_thread(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);

    for (int pooled = 0; pooled < 2; pooled++) {
        const struct test_pair pair = test_pair(AF_INET);
        struct test_probe *probe = test_probe(f);

        if (pooled)
            pp_io_recv_pooled(loop, &probe->op, pair.near, test_probe_once);
        else
            pp_io_recv(loop, &probe->op, pair.near, probe->buf, sizeof(probe->buf),
                       test_probe_once);
        for (int i = 0; i < URGENT_BYTES && probe->calls == 0; i++) {
            assert_int_equal(test_send_urgent_now(pair.far), 1);
            run_for(f, loop, PP_NS_PER_MS / 4);
        }
        assert_int_equal(kernel_workers(), 0);
        pp_io_cancel(loop, &probe->op);
        test_run(loop);
        assert_int_equal(probe->calls, 1);
        if (pooled && probe->res > 0)
            pp_io_buffer_put(loop, probe->op.buf);
        test_close(f, loop, pair.near);
    }
}

/* A listener of a Unix socket whose queue is full says so at once, and never when it is not. */
static void a_full_queue_makes_no_kernel_thread(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr;
    struct test_probe *waiting = test_probe(f);

    (void)test_listen(AF_UNIX, 0, &addr);
    for (;;) {
        struct test_probe *probe = test_probe(f);

        pp_io_connect(loop, &probe->op, test_socket(AF_UNIX), &addr.any, addr.len, test_probe_once);
        run_for(f, loop, 5 * PP_NS_PER_MS);
        if (probe->calls == 0) {
            pp_io_cancel(loop, &probe->op);
            break;
        }
        assert_int_equal(probe->res, 0);
    }
    pp_io_connect(loop, &waiting->op, test_socket(AF_UNIX), &addr.any, addr.len, test_probe_once);
    run_for(f, loop, 5 * PP_NS_PER_MS);
    assert_int_equal(kernel_workers(), 0);
    pp_io_cancel(loop, &waiting->op);
    test_run(loop);
    assert_int_equal(waiting->res, -ECANCELED);
}

static void a_life_of_a_connection_makes_no_kernel_thread(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    struct pp_io_addr addr;
    const int listen_fd = test_listen(AF_INET, 4, &addr);
    const int fd = test_socket(AF_INET);
    struct test_probe *accepted = test_probe(f);
    struct test_probe *connected = test_probe(f);
    struct test_probe *received = test_probe(f);
    struct test_probe *sent = test_probe(f);
    struct test_probe *ended = test_probe(f);

    pp_io_accept(loop, &accepted->op, listen_fd, test_probe_once);
    pp_io_connect(loop, &connected->op, fd, &addr.any, addr.len, test_probe_once);
    test_run(loop);
    assert_int_equal(connected->res, 0);
    assert_true(accepted->res >= 0);
    pp_io_recv(loop, &received->op, accepted->res, received->buf, 4, test_probe_once);
    pp_io_send(loop, &sent->op, fd, "ping", 4, test_probe_once);
    test_run(loop);
    assert_int_equal(received->res, 4);
    pp_io_shutdown(loop, &ended->op, fd, test_probe_once);
    pp_io_recv(loop, &received->op, accepted->res, received->buf, 4, test_probe_once);
    test_run(loop);
    assert_int_equal(ended->res, 0);
    assert_int_equal(received->res, 0);
    test_close(f, loop, fd);
    test_close(f, loop, accepted->res);
    test_close(f, loop, listen_fd);
    assert_int_equal(kernel_workers(), 0);
}

/* What was asked for before the end goes out before it. */
static void an_end_comes_after_a_send_that_was_started_before_it(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = test_loop(f);
    const struct test_pair pair = test_pair(AF_INET);
    struct test_probe *sent = test_probe(f);
    struct test_probe *ended = test_probe(f);

    pp_io_send(loop, &sent->op, pair.near, "ping", 4, test_probe_once);
    pp_io_shutdown(loop, &ended->op, pair.near, test_probe_once);
    test_run(loop);
    assert_int_equal(sent->res, 4);
    assert_int_equal(ended->res, 0);
    test_read_text(pair.far, "ping");
    test_read_eof(pair.far);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(no_kernel_thread_waits_for_peers_that_do_not_read),
        TEST(what_is_owed_to_peers_that_do_not_read_can_be_canceled),
        TEST(peers_that_do_not_read_cost_nothing),
        TEST(peers_that_read_late_get_everything),
        TEST(canceling_while_peers_begin_to_read_completes_once),
        TEST(urgent_bytes_make_no_kernel_thread),
        TEST(a_full_queue_makes_no_kernel_thread),
        TEST(a_life_of_a_connection_makes_no_kernel_thread),
        TEST(an_end_comes_after_a_send_that_was_started_before_it),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
