/* Handing the queue over to the kernel, and waiting for what completes; and the two ways of it that
 * have to be asked for: a thread of the kernel's that polls the queue, and waits that would rather
 * have several completions than one.
 *
 * The polling thread ("sqpoll") takes requests from the queue as they come, so that none needs a
 * system call, but for waking it once it has slept. It takes note of failures before it moves the
 * head of the queue, so that once the head is seen to have passed a send, its failure is seen, too.
 *
 * With "min-wait" a wait goes on for a while, until as many have completed as the last time. */
#include "io/engines/uring.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIN_WAIT_US 50

/* Of a queue that is not taken: looks in between which the processor is left to others. */
#define LOOKS_MAX 10000

static bool has_to_be_woken(struct io_uring *ring)
{
    io_uring_smp_mb(); /* the tail was written before */
    return IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_NEED_WAKEUP;
}

/* ---- waiting for several ---- */

/* Without a limit the kernel would end the wait after the least time, though nothing has come. */
#define LIMIT_S 1000

/* liburing 2.3 does not know the third. */
struct wait_for {
    uint64_t signals;
    uint32_t signals_bytes;
    uint32_t least_us;
    uint64_t limit;
};

static int wait_for_some(struct pp_uring *st)
{
    const struct __kernel_timespec limit = { .tv_sec = LIMIT_S };
    const struct wait_for wait_for = { .least_us = MIN_WAIT_US,
                                       .limit = (uint64_t)(uintptr_t)&limit };
    struct io_uring_sq *sq = &st->ring.sq;
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    const unsigned tail = sq->sqe_tail;

    pp_assert(st->has[PP_URING_MIN_WAIT]);
    sq->sqe_head = tail;
    io_uring_smp_store_release(sq->ktail, tail);
    if (st->has[PP_URING_SQPOLL] && has_to_be_woken(&st->ring))
        flags |= IORING_ENTER_SQ_WAKEUP;
    if (syscall(SYS_io_uring_enter, st->ring.ring_fd, tail - *sq->khead,
                st->batch > 1 ? st->batch : 1, flags, &wait_for, sizeof wait_for) < 0)
        return errno == ETIME ? 0 : -errno;
    return 0;
}

/* ---- entering the kernel ---- */

int pp_uring_look(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);

    if (!st->has[PP_URING_SQPOLL]) {
        pp_io_count_syscall(loop);
        return io_uring_submit_and_get_events(&st->ring);
    }
    if (has_to_be_woken(&st->ring) || io_uring_cq_has_overflow(&st->ring))
        pp_io_count_syscall(loop);
    return io_uring_submit(&st->ring);
}

int pp_uring_wait(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);

    pp_io_count_syscall(loop);
    if (st->has[PP_URING_MIN_WAIT])
        return wait_for_some(st);
    return io_uring_submit_and_wait(&st->ring, 1);
}

/* ---- the polling thread ---- */

#define POLLER_LABEL "SqThread:"

void pp_uring_wait_for_room(struct pp_io_loop *loop)
{
    struct io_uring *ring = &pp_uring_of(loop)->ring;

    for (unsigned i = 0; i < LOOKS_MAX && io_uring_sq_space_left(ring) == 0; i++) {
        pp_io_count_syscall(loop);
        (void)io_uring_sqring_wait(ring);
    }
}

/* Reads the beginning of a file, or writes one. False: it cannot be. */
static bool read_file(struct pp_io_loop *loop, const char *path, char *text, size_t bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    pp_io_count_syscall(loop);
    if (fd < 0)
        return false;
    got = read(fd, text, bytes - 1);
    (void)close(fd);
    pp_io_count_syscall(loop);
    pp_io_count_syscall(loop);
    text[got > 0 ? got : 0] = 0;
    return got > 0;
}

static void write_file(struct pp_io_loop *loop, const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    pp_io_count_syscall(loop);
    if (fd < 0)
        return;
    (void)!write(fd, text, strlen(text));
    (void)close(fd);
    pp_io_count_syscall(loop);
    pp_io_count_syscall(loop);
}

/* Its name says for whom it works, and thus whose its CPU time is: until now for the thread that
 * opened the loop, which is not always the one that runs it. What the kernel says of the ring has
 * its number. */
void pp_uring_poller_adopt(struct pp_io_loop *loop)
{
    const int ring_fd = pp_uring_of(loop)->ring.ring_fd;
    char path[64], text[1024], name[32];
    const char *poller;

    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", ring_fd);
    if (!read_file(loop, path, text, sizeof text) || !(poller = strstr(text, POLLER_LABEL)))
        return;
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/comm",
                   strtol(poller + strlen(POLLER_LABEL), NULL, 10));
    pp_io_count_syscall(loop);
    (void)snprintf(name, sizeof name, "iou-sqp-%d", (int)gettid());
    write_file(loop, path, name);
}

/* What it has not taken yet may point to memory, and a receive that goes on by itself has buffers,
 * which it loses. */
void pp_uring_poller_end(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);

    pp_assert(st->has[PP_URING_SQPOLL]);
    for (unsigned i = 0; i < LOOKS_MAX && st->ring_enabled && io_uring_sq_ready(&st->ring) > 0;
         i++) {
        (void)io_uring_submit(&st->ring);
        (void)sched_yield();
    }
    for (unsigned i = 0; i < PP_IO_CLASSES; i++)
        if (st->buf_rings[i])
            (void)io_uring_unregister_buf_ring(&st->ring, (int)i);
}
