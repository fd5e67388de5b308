#include "measure/usage.h"

#include "base/clock.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* needs the headers above */

#define BURN_NS (40 * PP_NS_PER_MS)

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * PP_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Uses CPU time, nearly all of it outside the kernel: the clock is a system call, so it is rare. */
static void burn(uint64_t cpu_ns)
{
    const uint64_t start_ns = thread_cpu_ns();

    while (thread_cpu_ns() - start_ns < cpu_ns) {
        for (volatile int i = 0; i < 100000; i++)
            ;
    }
}

static void *burn_in_thread(void *unused)
{
    burn(BURN_NS);
    return unused;
}

static void *do_nothing(void *unused)
{
    return unused;
}

static void run_another_thread_that_does_nothing(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void run_another_thread_that_burns(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, burn_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static struct pp_usage usage_since(const struct pp_usage *earlier)
{
    const struct pp_usage later = pp_usage_of_thread();

    return pp_usage_between(earlier, &later);
}

static uint64_t context_switches(const struct rusage *usage)
{
    return (uint64_t)(usage->ru_nvcsw + usage->ru_nivcsw);
}

static uint64_t cpu_ns_of(const struct rusage *usage)
{
    return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * PP_NS_PER_S +
           (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * PP_NS_PER_US;
}

static void test_what_was_used_between_two_readings_is_their_difference(void **state)
{
    const struct pp_usage earlier = { .user_ns = 5, .system_ns = 70, .context_switches = 900 };
    const struct pp_usage later = { .user_ns = 8, .system_ns = 75, .context_switches = 907 };
    const struct pp_usage used = pp_usage_between(&earlier, &later);

    (void)state;
    assert_int_equal(used.user_ns, 3);
    assert_int_equal(used.system_ns, 5);
    assert_int_equal(used.context_switches, 7);
}

static void test_what_is_less_than_before_is_not_known(void **state)
{
    const struct pp_usage earlier = { .user_ns = 50, .system_ns = 70, .context_switches = 9 };
    const struct pp_usage less = { .user_ns = 60, .system_ns = 59, .context_switches = 10 };
    const struct pp_usage fewer = { .user_ns = 60, .system_ns = 80, .context_switches = 8 };

    (void)state;
    assert_true(pp_usage_between(&earlier, &less).unknown);
    assert_true(pp_usage_between(&earlier, &fewer).unknown);
}

static void test_one_part_of_a_time_may_step_back(void **state)
{
    const struct pp_usage earlier = { .user_ns = 50, .system_ns = 70 };
    const struct pp_usage more_system = { .user_ns = 45, .system_ns = 90 };
    const struct pp_usage more_user = { .user_ns = 90, .system_ns = 45 };
    struct pp_usage used = pp_usage_between(&earlier, &more_system);

    (void)state;
    assert_int_equal(used.user_ns, 0);
    assert_int_equal(used.system_ns, 15);
    used = pp_usage_between(&earlier, &more_user);
    assert_int_equal(used.user_ns, 15);
    assert_int_equal(used.system_ns, 0);
}

static void test_a_reading_lies_between_two_of_the_kernel(void **state)
{
    struct rusage before;
    struct rusage after;
    struct pp_usage usage;

    (void)state;
    burn(PP_NS_PER_MS);
    assert_int_equal(getrusage(RUSAGE_THREAD, &before), 0);
    usage = pp_usage_of_thread();
    assert_int_equal(getrusage(RUSAGE_THREAD, &after), 0);
    assert_in_range(usage.user_ns + usage.system_ns, cpu_ns_of(&before), cpu_ns_of(&after));
    assert_in_range(usage.context_switches, context_switches(&before), context_switches(&after));
}

static void test_cpu_time_of_this_thread_is_counted_and_as_user_time(void **state)
{
    const struct pp_usage earlier = pp_usage_of_thread();
    struct pp_usage used;

    (void)state;
    burn(BURN_NS);
    used = usage_since(&earlier);
    /* The kernel cuts each time to whole microseconds. */
    assert_true(used.user_ns + used.system_ns >= BURN_NS - 2 * PP_NS_PER_US);
    assert_true(used.user_ns > used.system_ns);
}

static void test_cpu_time_of_another_thread_is_not_counted(void **state)
{
    const struct pp_usage earlier = pp_usage_of_thread();
    struct pp_usage used;

    (void)state;
    run_another_thread_that_burns();
    used = usage_since(&earlier);
    assert_true(used.user_ns + used.system_ns < BURN_NS / 2);
}

static void test_waiting_for_another_thread_is_a_context_switch(void **state)
{
    const struct pp_usage earlier = pp_usage_of_thread();

    (void)state;
    run_another_thread_that_burns();
    assert_true(usage_since(&earlier).context_switches > 0);
}

/* ---- io_uring's threads ---- */

/* The bare minimum of an io_uring: one request at a time, by system calls alone. */
struct ring {
    int fd;
    int zero_fd; /* /dev/zero: to read it is all work and no waiting */
    struct io_uring_params params;
    char *rings;
    struct io_uring_sqe *sqes;
};

#define READ_BYTES (1U << 20)
#define RING_BYTES 65536

/* False if the kernel refuses. */
static bool ring_open(struct ring *ring, unsigned flags)
{
    *ring = (struct ring){ .params = { .flags = flags, .sq_thread_idle = 1000 } };
    ring->fd = (int)syscall(SYS_io_uring_setup, 4, &ring->params);
    if (ring->fd < 0)
        return false;
    assert_true(ring->params.features & IORING_FEAT_SINGLE_MMAP);
    ring->rings = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       ring->fd, IORING_OFF_SQ_RING);
    ring->sqes = mmap(NULL, ring->params.sq_entries * sizeof *ring->sqes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
    assert_true(ring->rings != MAP_FAILED && ring->sqes != MAP_FAILED);
    ring->zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_true(ring->zero_fd >= 0);
    return true;
}

static void ring_close(struct ring *ring)
{
    assert_int_equal(munmap(ring->rings, RING_BYTES), 0);
    assert_int_equal(munmap(ring->sqes, ring->params.sq_entries * sizeof *ring->sqes), 0);
    assert_int_equal(close(ring->zero_fd), 0);
    assert_int_equal(close(ring->fd), 0);
}

static unsigned *ring_word(const struct ring *ring, unsigned offset)
{
    return (void *)(ring->rings + offset);
}

/* Reads up to READ_BYTES into buffer and waits until that is done. */
static void ring_read(struct ring *ring, char *buffer, unsigned sqe_flags)
{
    unsigned *sq_tail = ring_word(ring, ring->params.sq_off.tail);
    unsigned *cq_head = ring_word(ring, ring->params.cq_off.head);
    const unsigned index = *sq_tail & (ring->params.sq_entries - 1);
    const unsigned completion = *cq_head & (ring->params.cq_entries - 1);
    const struct io_uring_cqe *cqes = (const void *)(ring->rings + ring->params.cq_off.cqes);
    unsigned flags = IORING_ENTER_GETEVENTS;

    ring->sqes[index] = (struct io_uring_sqe){ .opcode = IORING_OP_READ,
                                               .flags = (uint8_t)sqe_flags,
                                               .fd = ring->zero_fd,
                                               .addr = (uintptr_t)buffer,
                                               .len = READ_BYTES };
    ring_word(ring, ring->params.sq_off.array)[index] = index;
    __atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(ring_word(ring, ring->params.sq_off.flags), __ATOMIC_SEQ_CST) &
        IORING_SQ_NEED_WAKEUP)
        flags |= IORING_ENTER_SQ_WAKEUP;
    assert_true(syscall(SYS_io_uring_enter, ring->fd, 1, 1, flags, NULL, 0) >= 0);
    assert_int_not_equal(
        __atomic_load_n(ring_word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE), *cq_head);
    assert_in_range(cqes[completion].res, 1, READ_BYTES);
    __atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
}

static void ring_burn(struct ring *ring, unsigned reads, unsigned sqe_flags)
{
    char *buffer = malloc(READ_BYTES);

    assert_non_null(buffer);
    for (unsigned i = 0; i < reads; i++)
        ring_read(ring, buffer, sqe_flags);
    free(buffer);
}

static uint64_t process_cpu_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * PP_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* In a container the names of the kernel's threads hold numbers from outside. */
static void skip_in_a_pid_namespace(void)
{
    char link[64] = "";

    if (readlink("/proc/self/ns/pid", link, sizeof link - 1) < 0 ||
        strcmp(link, "pid:[4026531836]") != 0)
        skip();
}

static pid_t thread_id(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static void test_without_io_uring_no_kernel_worker_has_cost_anything(void **state)
{
    (void)state;
    burn(PP_NS_PER_MS);
    assert_true(pp_usage_of_kernel_workers(0) == 0);
    assert_true(pp_usage_of_kernel_workers(thread_id()) == 0);
}

/* The process's own clock counts them, and the thread's does not: what is between is theirs. */
static void test_kernel_workers_cost_what_the_process_does_beyond_its_threads(void **state)
{
    struct ring ring;
    uint64_t process_ns;
    uint64_t thread_ns;
    uint64_t workers_ns;

    (void)state;
    if (!ring_open(&ring, 0))
        skip();
    process_ns = process_cpu_ns();
    thread_ns = thread_cpu_ns();
    workers_ns = pp_usage_of_kernel_workers(0);
    ring_burn(&ring, 300, IOSQE_ASYNC);
    workers_ns = pp_usage_of_kernel_workers(0) - workers_ns;
    thread_ns = thread_cpu_ns() - thread_ns;
    process_ns = process_cpu_ns() - process_ns;
    ring_close(&ring);
    assert_true(workers_ns > 0);
    assert_true(workers_ns >= (process_ns - thread_ns) / 2);
    assert_true(workers_ns <= (process_ns - thread_ns) * 3 / 2);
}

/* A thread with a ring of its own, and so without workers in the beginning. */
struct side {
    pthread_t thread;
    unsigned ring_flags;
    unsigned sqe_flags;
    unsigned reads;
    bool refused;
    uint64_t all_ns;
    uint64_t workers_ns;
};

/* It may not have had a CPU yet. */
static void wait_for_the_poller(void)
{
    for (int i = 0; i < 5000 && pp_usage_of_kernel_workers(thread_id()) == 0; i++)
        burn(PP_NS_PER_MS);
}

static void *side_run(void *arg)
{
    struct side *side = arg;
    struct ring ring;

    side->refused = !ring_open(&ring, side->ring_flags);
    if (side->refused)
        return NULL;
    ring_burn(&ring, side->reads, side->sqe_flags);
    if (side->ring_flags & IORING_SETUP_SQPOLL)
        wait_for_the_poller();
    side->all_ns = pp_usage_of_kernel_workers(0);
    side->workers_ns = pp_usage_of_kernel_workers(thread_id());
    ring_close(&ring);
    return NULL;
}

static void side_start(struct side *side)
{
    assert_int_equal(pthread_create(&side->thread, NULL, side_run, side), 0);
}

static void side_join(struct side *side)
{
    assert_int_equal(pthread_join(side->thread, NULL), 0);
}

/* Threads that come and go meanwhile do no harm, and what another thread's workers do counts for
 * that one alone. */
static void test_each_thread_has_the_workers_of_its_own_ring(void **state)
{
    struct side with = { .reads = 50, .sqe_flags = IOSQE_ASYNC };
    struct side without = { .reads = 50 };

    (void)state;
    skip_in_a_pid_namespace();
    side_start(&with);
    side_start(&without);
    for (int i = 0; i < 100; i++) {
        run_another_thread_that_does_nothing();
        (void)pp_usage_of_kernel_workers(0);
    }
    side_join(&with);
    side_join(&without);
    if (with.refused || without.refused)
        skip();
    assert_true(with.workers_ns > 0);
    assert_true(without.workers_ns == 0);
}

/* What there is beyond those of the thread was there before, but for what threads take to end. */
static void test_the_workers_of_a_submission_poller_are_those_of_its_thread(void **state)
{
    const uint64_t before_ns = pp_usage_of_kernel_workers(0);
    struct side side = { .reads = 200,
                         .sqe_flags = IOSQE_ASYNC,
                         .ring_flags = IORING_SETUP_SQPOLL };

    (void)state;
    skip_in_a_pid_namespace();
    side_start(&side);
    side_join(&side);
    if (side.refused)
        skip();
    assert_true(side.workers_ns > 0);
    assert_true(side.all_ns <= before_ns + side.workers_ns + PP_NS_PER_MS);
}

/* It costs something by looking alone. */
static void test_a_submission_poller_is_a_kernel_worker(void **state)
{
    struct side side = { .reads = 0, .ring_flags = IORING_SETUP_SQPOLL };

    (void)state;
    skip_in_a_pid_namespace();
    side_start(&side);
    side_join(&side);
    if (side.refused)
        skip();
    assert_true(side.workers_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_used_between_two_readings_is_their_difference),
        cmocka_unit_test(test_what_is_less_than_before_is_not_known),
        cmocka_unit_test(test_one_part_of_a_time_may_step_back),
        cmocka_unit_test(test_a_reading_lies_between_two_of_the_kernel),
        cmocka_unit_test(test_cpu_time_of_this_thread_is_counted_and_as_user_time),
        cmocka_unit_test(test_cpu_time_of_another_thread_is_not_counted),
        cmocka_unit_test(test_waiting_for_another_thread_is_a_context_switch),
        cmocka_unit_test(test_without_io_uring_no_kernel_worker_has_cost_anything),
        cmocka_unit_test(test_kernel_workers_cost_what_the_process_does_beyond_its_threads),
        cmocka_unit_test(test_each_thread_has_the_workers_of_its_own_ring),
        cmocka_unit_test(test_the_workers_of_a_submission_poller_are_those_of_its_thread),
        cmocka_unit_test(test_a_submission_poller_is_a_kernel_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
