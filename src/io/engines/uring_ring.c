/* The ring: setting it up, and putting requests into it. */
#include "base/container.h"
#include "base/number.h"
#include "io/engines/uring.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQ_ENTRIES_MIN 256
#define SQ_ENTRIES_MAX 4096

/* ---- requests ---- */

/* This thread is the one that submits from now on. liburing 2.3 declares a function for it and does
 * not export it. */
int pp_uring_enable(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);

    if (st->ring_enabled)
        return 0;
    pp_io_count_syscall(loop);
    if (syscall(SYS_io_uring_register, st->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return -errno;
    st->ring_enabled = true;
    st->ring.flags &= ~IORING_SETUP_R_DISABLED;
    if (st->has[PP_URING_SQPOLL])
        pp_uring_poller_adopt(loop);
    return 0;
}

/* Hands the queue over, and waits for nothing. */
static int flush(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);
    int ret = pp_uring_enable(loop);

    if (ret < 0)
        return ret;
    pp_io_count_syscall(loop);
    ret = io_uring_submit(&st->ring);
    return ret < 0 && !pp_uring_is_passing(-ret) ? ret : 0;
}

/* A ring that takes nothing from a full queue, as old kernels with overflowed completions may, has
 * broken down: to ask again, in the middle of a turn, would change nothing. */
struct io_uring_sqe *pp_uring_sqe_flushed(struct pp_io_loop *loop)
{
    struct pp_uring *st = pp_uring_of(loop);
    struct io_uring_sqe *sqe = NULL;

    pp_assert(st->error <= 0);
    if (st->error == 0)
        st->error = flush(loop);
    if (st->error == 0 && st->has[PP_URING_SQPOLL])
        pp_uring_wait_for_room(loop);
    if (st->error == 0)
        sqe = io_uring_get_sqe(&st->ring);
    if (st->error == 0 && !sqe)
        st->error = -EBUSY;
    pp_assert(sqe || st->error < 0);
    return sqe ? sqe : &st->nowhere;
}

void pp_uring_cancel_data(struct pp_io_loop *loop, uint64_t user_data)
{
    struct io_uring_sqe *sqe = pp_uring_sqe(loop);

    pp_assert((user_data & PP_URING_TAG_MASK) != PP_URING_TAG_RING); /* many may be that */
    io_uring_prep_cancel64(sqe, user_data, 0);
    sqe->user_data = PP_URING_IGNORED;
}

void pp_uring_poll_first(struct pp_io_loop *loop, struct pp_io_op *op)
{
    struct io_uring_sqe *sqe = pp_uring_sqe(loop);

    pp_assert(op->state == PP_IO_ARMED);
    io_uring_prep_poll_add(sqe, op->fd, (unsigned)pp_io_waits_for(op));
    pp_uring_tag(sqe, op, PP_URING_TAG_POLLED);
}

void pp_uring_settle(struct pp_io_loop *loop, struct pp_io_op *op, int32_t res)
{
    if (!pp_io_settle(loop, op, res))
        pp_uring_poll_first(loop, op);
}

/* ---- registered descriptors ---- */

/* Listening sockets and pipes have numbers, too, and other threads their connections. */
#define FILES_SPARE 1024
#define FILES_EACH 4

void pp_uring_files_open(struct pp_io_loop *loop, const struct pp_io_options *options)
{
    struct pp_uring *st = pp_uring_of(loop);
    const uint64_t wanted = (uint64_t)FILES_EACH * options->connections + FILES_SPARE;
    const uint32_t files = wanted < loop->fds_max ? (uint32_t)wanted : loop->fds_max;

    st->files = io_uring_register_files_sparse(&st->ring, files) == 0 ? files : 0;
    st->has[PP_URING_FIXED] = st->files > 0;
}

/* To the file of descriptor to, -1: to none. */
static bool file_update(struct pp_io_loop *loop, int fd, int to)
{
    pp_assert(fd >= 0 && (uint32_t)fd < pp_uring_of(loop)->files);
    pp_io_count_syscall(loop);
    return io_uring_register_files_update(&pp_uring_of(loop)->ring, (unsigned)fd, &to, 1) == 1;
}

void pp_uring_file_register(struct pp_io_loop *loop, int fd)
{
    struct pp_uring *st = pp_uring_of(loop);
    const bool fits = (uint32_t)fd < st->files;

    st->slots[fd].sends = fits && file_update(loop, fd, fd) ? PP_URING_SENDS_FIXED
                                                            : PP_URING_SENDS_PLAIN;
}

/* The ring would keep the file open otherwise. */
void pp_uring_file_forget(struct pp_io_loop *loop, int fd)
{
    if (pp_uring_of(loop)->slots[fd].sends == PP_URING_SENDS_FIXED)
        (void)file_update(loop, fd, -1);
}

/* ---- what has to be asked for ---- */

/* What the kernel has had since 6.9, 6.10 and 6.12, and liburing 2.3 does not know. */
#define FEAT_RECVSEND_BUNDLE (1u << 14)
#define FEAT_MIN_TIMEOUT (1u << 15)
#define REGISTER_NAPI 27

/* How long a wait polls the network device, before it sleeps. */
#define NAPI_US 50

struct napi {
    uint32_t busy_poll_us;
    uint8_t prefer_busy_poll;
    uint8_t zero[11];
};

static bool napi_register(struct pp_uring *st)
{
    struct napi napi = { .busy_poll_us = NAPI_US, .prefer_busy_poll = true };

    static_assert(sizeof napi == 16, "as the kernel knows it");
    return syscall(SYS_io_uring_register, st->ring.ring_fd, REGISTER_NAPI, &napi, 1) == 0;
}

int pp_uring_ask(struct pp_uring *st, uint32_t wanted, struct pp_error *err)
{
    static const char *const lacks[PP_URING_FEATURES] = {
        [PP_URING_SQPOLL] = "io_uring:sqpoll: this kernel polls no submission queue",
        [PP_URING_MIN_WAIT] = "io_uring:min-wait: this kernel has no least time to wait, as Linux "
                              "6.12 has",
        [PP_URING_NAPI] = "io_uring:napi: this kernel polls no network device for a ring, as Linux "
                          "6.9 does",
        [PP_URING_BUNDLE] = "io_uring:bundle: this kernel fills one buffer a receive; Linux 6.10 "
                            "fills several",
        [PP_URING_SEND_ZC] = "io_uring:send-zc: this kernel copies what is sent; Linux 6.0 can do "
                             "without",
    };

    if (wanted >> PP_URING_NAPI & 1)
        st->has[PP_URING_NAPI] = napi_register(st);
    for (unsigned i = 0; i < PP_URING_FEATURES; i++)
        if (lacks[i] && wanted >> i & 1 && !st->has[i])
            return pp_error_set(err, PP_ERROR_UNAVAILABLE, -EOPNOTSUPP, "%s", lacks[i]);
    return 0;
}

/* ---- setting up ---- */

static int sysctl_disabled(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int value = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%d", &value) != 1)
        value = 0;
    (void)fclose(file);
    return value;
}

/* Says why the kernel pp_uring_refused, and what to do. */
int pp_uring_refused(struct pp_error *err, int ret)
{
    struct rlimit lock = { 0 };

    pp_assert(ret < 0);
    if (ret == -EPERM && sysctl_disabled() > 0)
        return pp_error_set(
            err, PP_ERROR_UNAVAILABLE, ret,
            "io_uring is switched off (EPERM): sysctl kernel.io_uring_disabled "
            "is %d%s; set it to 0",
            sysctl_disabled(),
            sysctl_disabled() == 1 ? ", which leaves it to root and to kernel.io_uring_group" : "");
    if (ret == -EPERM || ret == -EACCES)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                            "io_uring is not permitted (%s): a seccomp profile forbids it, as "
                            "containers do; run with one that allows io_uring_setup, "
                            "io_uring_enter and io_uring_register",
                            ret == -EPERM ? "EPERM" : "EACCES");
    if (ret == -ENOSYS)
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                            "io_uring is missing (ENOSYS): the kernel is older than 5.11, or a "
                            "seccomp profile hides it");
    if (ret == -ENOMEM) {
        (void)getrlimit(RLIMIT_MEMLOCK, &lock);
        return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret,
                            "io_uring got no memory (ENOMEM): the limit on locked memory is %llu "
                            "KiB; raise it with ulimit -l",
                            (unsigned long long)lock.rlim_cur / 1024);
    }
    return pp_error_set(err, PP_ERROR_UNAVAILABLE, ret, "io_uring cannot run here: %s",
                        strerror(-ret));
}

static unsigned power_of_two_between(uint32_t n, unsigned min, unsigned max)
{
    const uint64_t size = pp_number_power_of_two(n);

    pp_assert(size >= n && min <= max);
    return size < min ? min : size > max ? max : (unsigned)size;
}

/* How long a polling thread without work looks for some, before it sleeps and has to be woken. */
#define POLLER_IDLE_MS 2

/* Each step asks for less. Where a thread polls the queue, it does the task work, too. */
int pp_uring_set_up(struct pp_uring *st, const struct pp_io_options *options, uint32_t wanted)
{
    static const unsigned steps[] = {
        IORING_SETUP_SQPOLL | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
            IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        0,
    };
    const unsigned sq_entries = power_of_two_between(options->connections, SQ_ENTRIES_MIN,
                                                     SQ_ENTRIES_MAX);
    const bool polls = wanted >> PP_URING_SQPOLL & 1;
    const size_t end = polls ? 1 : COUNT_OF(steps);
    int ret = -EINVAL;

    for (size_t i = polls                          ? 0
                    : wanted >> PP_URING_DEFER & 1 ? 1
                                                   : 2;
         i < end && ret == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = steps[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = sq_entries * 4,
            .sq_thread_idle = POLLER_IDLE_MS,
        };

        ret = io_uring_queue_init_params(sq_entries, &st->ring, &params);
        st->has[PP_URING_DEFER] = params.flags & IORING_SETUP_DEFER_TASKRUN;
        st->has[PP_URING_SKIP] = params.features & IORING_FEAT_CQE_SKIP;
        st->has[PP_URING_SQPOLL] = params.flags & IORING_SETUP_SQPOLL;
        st->has[PP_URING_MIN_WAIT] = params.features & FEAT_MIN_TIMEOUT;
        st->has[PP_URING_BUNDLE] = params.features & FEAT_RECVSEND_BUNDLE;
        st->ring_enabled = !(params.flags & IORING_SETUP_R_DISABLED);
    }
    return ret;
}

/* As many as the kernel takes: a request has eight bits to name itself. */
#define PROBED_OPS 256

/* The kernel that brought shutdown (5.11) has all that there is no plain form for. The one that
 * brought zero-copy send (6.0) brought multishot receive, and the one that brought
 * zero-copy sendmsg (6.1) sends to an address, which no probe shows. */
int pp_uring_probe(struct pp_uring *st)
{
    alignas(struct io_uring_probe) char
        memory[sizeof(struct io_uring_probe) + PROBED_OPS * sizeof(struct io_uring_probe_op)] = "";
    struct io_uring_probe *probe = (struct io_uring_probe *)(void *)memory;
    const int ret = io_uring_register_probe(&st->ring, probe, PROBED_OPS);

    if (ret < 0)
        return ret;
    st->has[PP_URING_MULTISHOT] = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);
    st->has[PP_URING_SEND_ZC] = st->has[PP_URING_MULTISHOT];
    st->sends_to = io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC);
    if (!io_uring_opcode_supported(probe, IORING_OP_SHUTDOWN))
        return -ENOSYS;
    /* May enter be called at all? A ring that is not enabled yet answers EBADFD. liburing would
     * leave the call out, as there is nothing to submit. */
    if (syscall(SYS_io_uring_enter, st->ring.ring_fd, 0, 0, 0, NULL, 0) < 0 && errno != EBADFD &&
        !pp_uring_is_passing(errno))
        return -errno;
    return 0;
}
