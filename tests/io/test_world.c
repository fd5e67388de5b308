/* A loop goes through the world that it was opened in: its time, its wakes, its descriptors. */
#include "support.h"

#include <unistd.h>

/* The hooks get nothing to keep this in. Each test begins with it zeroed. */
static struct {
    uint64_t now_ns;
    int opened, closed, wakes, taken, entered, looked_up;
} seen;

static uint64_t standing_now_ns(void)
{
    return seen.now_ns;
}

static int noted_wake_open(void)
{
    seen.opened++;
    return pp_io_kernel.wake_open();
}

static void noted_close(int fd)
{
    seen.closed++;
    pp_io_kernel.close(fd);
}

static void noted_wake(int fd)
{
    seen.wakes++;
    pp_io_kernel.wake(fd);
}

static void noted_wake_taken(int fd)
{
    seen.taken++;
    pp_io_kernel.wake_taken(fd);
}

static void noted_thread_enter(struct pp_io_loop *loop)
{
    seen.entered++;
    pp_io_kernel.thread_enter(loop);
}

/* There is one host in this world. */
static int look_up_one(const char *host, int family, struct pp_io_addr *addr, const char **why)
{
    seen.looked_up++;
    if (strcmp(host, "one") != 0) {
        *why = "it is another";
        return -ENXIO;
    }
    (void)family;
    *addr = (struct pp_io_addr){ .len = sizeof addr->in, .in.sin_family = AF_INET };
    return 0;
}

/* The kernel's, as far as it is not noted or made up. It must outlive the loops. */
static const struct pp_io_world *world_new(struct fixture *f)
{
    struct pp_io_world *world = test_new(f, sizeof *world);

    memset(&seen, 0, sizeof seen);
    *world = pp_io_kernel;
    world->now_ns = standing_now_ns;
    world->close = noted_close;
    world->wake_open = noted_wake_open;
    world->wake = noted_wake;
    world->wake_taken = noted_wake_taken;
    world->thread_enter = noted_thread_enter;
    world->look_up = look_up_one;
    return world;
}

static struct pp_io_loop *loop_in(struct fixture *f, const struct pp_io_world *world)
{
    return test_loop_with(f, (struct pp_io_options){ .world = world });
}

static void a_loop_is_in_the_kernels_world_unless_it_is_told_otherwise(void **state)
{
    struct fixture *f = *state;
    const struct pp_io_world *world = world_new(f);

    assert_ptr_equal(pp_io_world_of(test_loop(f)), &pp_io_kernel);
    assert_ptr_equal(pp_io_world_of(loop_in(f, world)), world);
}

static void timers_are_due_by_the_clock_of_the_world(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = loop_in(f, world_new(f));
    struct test_probe *soon = test_new(f, sizeof *soon), *late = test_new(f, sizeof *late);

    seen.now_ns = 1000;
    assert_int_equal(pp_io_now_ns(loop), 1000);
    pp_io_timer(loop, &soon->op, 2000, test_probe_once);
    pp_io_timer(loop, &late->op, 3000, test_probe_once);
    test_poll(loop);
    assert_int_equal(soon->calls, 0);
    seen.now_ns = 2000;
    test_poll(loop);
    assert_int_equal(soon->calls, 1);
    assert_int_equal(late->calls, 0);
    seen.now_ns = 3000;
    test_poll(loop);
    assert_int_equal(late->calls, 1);
    assert_int_equal(soon->calls, 1);
}

static void wakes_go_through_the_world(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = loop_in(f, world_new(f));
    struct test_probe *probe = test_new(f, sizeof *probe);

    assert_int_equal(seen.opened, 1);
    pp_io_wake_wait(loop, &probe->op, test_probe_once);
    pp_io_wake(loop, &probe->op);
    assert_int_equal(seen.wakes, 1);
    test_run(loop);
    assert_int_equal(probe->calls, 1);
    assert_int_equal(seen.entered, 1);
    test_poll(loop);
    assert_int_equal(seen.taken, 1);
    test_loop_close(f, loop);
    assert_int_equal(seen.closed, 1);
}

struct lookup {
    struct pp_io_resolve resolve;
    int32_t res;
};

static enum pp_io_next on_looked_up(struct pp_io_op *op)
{
    container_of(op, struct lookup, resolve.job.op)->res = op->res;
    return PP_IO_DISARM;
}

static struct lookup *look_up(struct fixture *f, struct pp_io_loop *loop, const char *host)
{
    struct lookup *lookup = test_new(f, sizeof *lookup);

    pp_io_resolve_start(f->workers, loop, &lookup->resolve, host, 7, on_looked_up);
    test_run(loop);
    return lookup;
}

static void names_are_those_of_the_world(void **state)
{
    struct fixture *f = *state;
    struct pp_io_loop *loop = loop_in(f, world_new(f));
    struct lookup *lookup;

    (void)test_workers(f, 1);
    lookup = look_up(f, loop, "one");
    assert_int_equal(lookup->res, 0);
    assert_int_equal(ntohs(lookup->resolve.addr.in.sin_port), 7);
    lookup = look_up(f, loop, "localhost");
    assert_int_equal(lookup->res, -ENXIO);
    assert_string_equal(lookup->resolve.why, "it is another");
    assert_int_equal(seen.looked_up, 2);
    test_workers_close(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_loop_is_in_the_kernels_world_unless_it_is_told_otherwise),
        TEST(timers_are_due_by_the_clock_of_the_world),
        TEST(wakes_go_through_the_world),
        TEST(names_are_those_of_the_world),
    };

    test_start(argc, argv);
    return TEST_RUN(tests);
}
