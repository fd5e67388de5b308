/* A pair of sockets, what goes over it in each way to wait, the threads that are its ends, and
 * single calls. */
#include "experiment/floor.h"

#include "base/assert.h"
#include "base/clock.h"
#include "measure/usage.h"
#include "plan/plan.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MESSAGE "PING\n"
#define MESSAGE_BYTES (sizeof MESSAGE - 1)

#define YIELD_FOR_NS (50 * PP_NS_PER_US)

/* Round trips before anything is counted, and between two looks at the clock. */
#define TRIPS_WARMUP 64
#define TRIPS_PER_LOOK 8

#define CALLS_PER_SAMPLE 256

/* One thread of a pair. */
struct end {
    const struct pp_floor_spec *spec;
    int fd;
    int cpu;
    pthread_t thread;
    uint64_t trips; /* that were counted */
    uint64_t elapsed_ns;
    struct pp_usage usage;
    int error; /* a negative errno */
};

/* ---- sockets ---- */

static int set_nodelay(int fd)
{
    const int on = 1;

    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int tcp_pair(int fds[2])
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr *any = (struct sockaddr *)&addr;
    socklen_t length = sizeof addr;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ret = 0;

    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[1] = -1;
    if (listener < 0 || fds[0] < 0 || bind(listener, any, length) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, any, &length) < 0 || connect(fds[0], any, length) < 0)
        ret = -errno;
    if (ret == 0)
        fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (ret == 0 && (fds[1] < 0 || set_nodelay(fds[0]) < 0 || set_nodelay(fds[1]) < 0))
        ret = -errno;
    if (listener >= 0)
        (void)close(listener);
    return ret;
}

static void close_pair(const int fds[2])
{
    for (unsigned i = 0; i < 2; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

static int open_pair(enum pp_floor_transport transport, int fds[2])
{
    fds[0] = fds[1] = -1;
    if (transport == PP_FLOOR_TCP)
        return tcp_pair(fds);
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

/* ---- messages ---- */

/* The clock is read only where the first look has found nothing. */
static ssize_t receive_looking(int fd, char *buf, bool yields)
{
    uint64_t deadline_ns = 0;

    for (;;) {
        ssize_t got;

        if (yields)
            (void)sched_yield();
        got = recv(fd, buf, MESSAGE_BYTES, MSG_DONTWAIT);
        if (got >= 0 || errno != EAGAIN)
            return got;
        if (!yields)
            continue;
        if (!deadline_ns)
            deadline_ns = pp_clock_now_ns() + YIELD_FOR_NS;
        else if (pp_clock_now_ns() > deadline_ns)
            return recv(fd, buf, MESSAGE_BYTES, 0);
    }
}

static ssize_t receive(int fd, char *buf, enum pp_io_wait wait)
{
    switch (wait) {
    case PP_IO_WAIT_BLOCK:
        return recv(fd, buf, MESSAGE_BYTES, 0);
    case PP_IO_WAIT_SPIN:
    case PP_IO_WAIT_YIELD:
        break;
    }
    return receive_looking(fd, buf, wait == PP_IO_WAIT_YIELD);
}

/* So few bytes go out whole and come in whole. -EPIPE at the end of the stream. */
static int pass_on(int fd, enum pp_io_wait wait)
{
    char buf[MESSAGE_BYTES];
    const ssize_t got = receive(fd, buf, wait);

    if (got <= 0)
        return got == 0 ? -EPIPE : -errno;
    return send(fd, buf, (size_t)got, MSG_NOSIGNAL) == got ? 0 : -EPIPE;
}

static int ask(int fd, enum pp_io_wait wait)
{
    char buf[MESSAGE_BYTES];
    ssize_t got;

    if (send(fd, MESSAGE, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES)
        return -EPIPE;
    got = receive(fd, buf, wait);
    return got == MESSAGE_BYTES ? 0 : got < 0 ? -errno : -EPIPE;
}

static int ask_alone(const int fds[2])
{
    char buf[MESSAGE_BYTES];

    if (send(fds[0], MESSAGE, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES ||
        pass_on(fds[1], PP_IO_WAIT_BLOCK) < 0 ||
        recv(fds[0], buf, MESSAGE_BYTES, 0) != MESSAGE_BYTES)
        return -EPIPE;
    return 0;
}

/* ---- ends ---- */

static int pin(int cpu)
{
    cpu_set_t set;

    if (cpu == PP_CPU_ANY)
        return 0;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* far is -1 where another thread plays that end. */
static void make_trips(struct end *end, int far)
{
    const int fds[2] = { end->fd, far };
    const enum pp_io_wait wait = end->spec->wait;
    struct pp_usage before, after;
    uint64_t start_ns, now_ns;

    for (unsigned i = 0; i < TRIPS_WARMUP && end->error == 0; i++)
        end->error = far >= 0 ? ask_alone(fds) : ask(end->fd, wait);
    before = pp_usage_of_thread();
    start_ns = now_ns = pp_clock_now_ns();
    while (end->error == 0 && now_ns - start_ns < end->spec->duration_ns) {
        for (unsigned i = 0; i < TRIPS_PER_LOOK && end->error == 0; i++)
            end->error = far >= 0 ? ask_alone(fds) : ask(end->fd, wait);
        end->trips += TRIPS_PER_LOOK;
        now_ns = pp_clock_now_ns();
    }
    after = pp_usage_of_thread();
    end->elapsed_ns = now_ns - start_ns;
    end->usage = pp_usage_between(&before, &after);
}

static void *near_main(void *argument)
{
    struct end *end = argument;

    end->error = pin(end->cpu);
    if (end->error == 0)
        make_trips(end, -1);
    (void)shutdown(end->fd, SHUT_RDWR);
    return NULL;
}

/* Until the other one has gone. */
static void *far_main(void *argument)
{
    struct end *end = argument;
    const enum pp_io_wait wait = end->spec->wait;
    struct pp_usage before, after;

    end->error = pin(end->cpu);
    for (unsigned i = 0; i < TRIPS_WARMUP && end->error == 0; i++)
        end->error = pass_on(end->fd, wait);
    before = pp_usage_of_thread();
    while (end->error == 0)
        end->error = pass_on(end->fd, wait);
    after = pp_usage_of_thread();
    end->usage = pp_usage_between(&before, &after);
    if (end->error == -EPIPE || end->error == -ECONNRESET)
        end->error = 0;
    (void)shutdown(end->fd, SHUT_RDWR);
    return NULL;
}

static void *both_main(void *argument)
{
    struct end *ends = argument;

    ends[0].error = pin(ends[0].cpu);
    if (ends[0].error == 0)
        make_trips(&ends[0], ends[1].fd);
    return NULL;
}

/* ---- pairs ---- */

static int run_alone(struct end ends[2])
{
    const int ret = pthread_create(&ends[0].thread, NULL, both_main, ends);

    if (ret == 0)
        (void)pthread_join(ends[0].thread, NULL);
    return -ret;
}

static int run_both(struct end ends[2])
{
    int ret = pthread_create(&ends[1].thread, NULL, far_main, &ends[1]);

    if (ret)
        return -ret;
    ret = pthread_create(&ends[0].thread, NULL, near_main, &ends[0]);
    if (ret)
        (void)shutdown(ends[1].fd, SHUT_RDWR);
    else
        (void)pthread_join(ends[0].thread, NULL);
    (void)pthread_join(ends[1].thread, NULL);
    return -ret;
}

int pp_floor_measure(const struct pp_floor_spec *spec, struct pp_floor *out, struct pp_error *err)
{
    struct end ends[2] = { { .spec = spec, .cpu = spec->near_cpu },
                           { .spec = spec, .cpu = spec->far_cpu } };
    int fds[2];
    int ret = open_pair(spec->transport, fds);

    pp_assert(spec->duration_ns > 0);
    ends[0].fd = fds[0];
    ends[1].fd = fds[1];
    if (ret == 0)
        ret = spec->one_thread ? run_alone(ends) : run_both(ends);
    close_pair(fds);
    for (unsigned i = 2; i-- > 0 && ret == 0;)
        ret = ends[i].error;
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, ret, "round trips by hand do not work here: %s",
                            strerror(-ret));
    pp_assert(ends[0].trips > 0 && ends[0].elapsed_ns > 0);
    *out = (struct pp_floor){ .round_trips = ends[0].trips,
                              .elapsed_ns = ends[0].elapsed_ns,
                              .cpu_unknown = ends[0].usage.unknown || ends[1].usage.unknown };
    for (unsigned i = 0; i < 2 && !out->cpu_unknown; i++)
        out->cpu_ns += ends[i].usage.user_ns + ends[i].usage.system_ns;
    return 0;
}

/* ---- single calls ---- */

double pp_floor_call_ns(uint64_t duration_ns)
{
    const uint64_t end_ns = pp_clock_now_ns() + duration_ns;
    uint64_t least_ns = UINT64_MAX, start_ns, now_ns;

    do {
        start_ns = pp_clock_now_ns();
        for (unsigned i = 0; i < CALLS_PER_SAMPLE; i++)
            (void)syscall(SYS_getppid);
        now_ns = pp_clock_now_ns();
        if (now_ns - start_ns < least_ns)
            least_ns = now_ns - start_ns;
    } while (now_ns < end_ns);
    return (double)least_ns / CALLS_PER_SAMPLE;
}
