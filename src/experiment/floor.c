/* A pair of sockets, what goes over it in each way to wait, what is written down of it, the threads
 * that are its ends, and single calls. */
#include "experiment/floor.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "measure/hist.h"
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

#define BYTES_USUAL 5

/* Round trips before anything is counted, and between two looks at the clock. */
#define TRIPS_WARMUP 64
#define TRIPS_PER_LOOK 8

#define CALLS_PER_TRIP 4 /* two ends send and receive */
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
    char got[PP_FLOOR_BYTES_MAX];
};

struct pair {
    struct end near, far;
    uint32_t bytes; /* of a message */
    char message[PP_FLOOR_BYTES_MAX];
    bool ruled;              /* the next round trip is measured as the program does it */
    uint64_t last_ns;        /* when the one before it was over */
    struct pp_hist each;     /* those that were measured so */
    struct pp_hist looks[2]; /* from one look at the clock to the next, by whether they were */
};

/* ---- sockets ---- */

static int set_nodelay(int fd)
{
    const int on = 1;

    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct sockaddr_in loopback(void)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int tcp_pair(int fds[2])
{
    struct sockaddr_in addr = loopback();
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

/* Each is bound to a port of its own and connected to that of the other. */
static int udp_pair(int fds[2])
{
    struct sockaddr_in addrs[2] = { loopback(), loopback() };

    for (unsigned i = 0; i < 2; i++) {
        struct sockaddr *addr = (struct sockaddr *)&addrs[i];
        socklen_t length = sizeof addrs[i];

        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || bind(fds[i], addr, length) < 0 || getsockname(fds[i], addr, &length) < 0)
            return -errno;
    }
    for (unsigned i = 0; i < 2; i++)
        if (connect(fds[i], (struct sockaddr *)&addrs[1 - i], sizeof addrs[0]) < 0)
            return -errno;
    return 0;
}

static int unix_pair(int type, int fds[2])
{
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
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
    switch (transport) {
    case PP_FLOOR_TCP:
        return tcp_pair(fds);
    case PP_FLOOR_UDP:
        return udp_pair(fds);
    case PP_FLOOR_UNIX:
        return unix_pair(SOCK_STREAM, fds);
    case PP_FLOOR_UNIX_DGRAM:
        return unix_pair(SOCK_DGRAM, fds);
    case PP_FLOOR_NOTHING:
        break;
    }
    return 0;
}

/* ---- messages ---- */

/* The clock is read only where the first look has found nothing. */
static ssize_t receive_looking(const struct end *end, char *buf, size_t bytes)
{
    const bool yields = end->spec->wait == PP_IO_WAIT_YIELD;
    uint64_t since_ns = 0;

    for (;;) {
        ssize_t got;

        if (yields)
            (void)sched_yield();
        got = recv(end->fd, buf, bytes, MSG_DONTWAIT);
        if (got >= 0 || errno != EAGAIN)
            return got;
        if (end->spec->look_ns == PP_IO_SPIN_FOREVER)
            continue;
        if (!since_ns)
            since_ns = pp_clock_now_ns();
        else if (pp_clock_now_ns() - since_ns > end->spec->look_ns)
            return recv(end->fd, buf, bytes, 0);
    }
}

static ssize_t receive_some(const struct end *end, char *buf, size_t bytes)
{
    switch (end->spec->wait) {
    case PP_IO_WAIT_BLOCK:
        return recv(end->fd, buf, bytes, 0);
    case PP_IO_WAIT_SPIN:
    case PP_IO_WAIT_YIELD:
        break;
    }
    return receive_looking(end, buf, bytes);
}

/* A whole message. -EPIPE once the sockets are shut down. */
static int receive(struct end *end, uint32_t bytes)
{
    for (uint32_t used = 0; used < bytes;) {
        const ssize_t got = receive_some(end, end->got + used, bytes - used);

        if (got <= 0)
            return got == 0 ? -EPIPE : -errno;
        used += (uint32_t)got;
    }
    return 0;
}

/* The sockets block, so that it goes out whole. */
static int transmit(const struct end *end, const char *message, uint32_t bytes)
{
    return send(end->fd, message, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 : -EPIPE;
}

static int pass_on(struct end *end, uint32_t bytes)
{
    const int ret = receive(end, bytes);

    return ret == 0 ? transmit(end, end->got, bytes) : ret;
}

static void call_in_vain(void)
{
    for (unsigned i = 0; i < CALLS_PER_TRIP; i++)
        (void)syscall(SYS_getppid);
}

/* ---- round trips ---- */

/* What the program does to an answer. */
static int rule(struct pair *pair)
{
    const uint64_t now_ns = pp_clock_now_ns();

    pp_hist_record(&pair->each, now_ns - pair->last_ns);
    pair->last_ns = now_ns;
    return memcmp(pair->near.got, pair->message, pair->bytes) == 0 ? 0 : -EBADMSG;
}

static int make_trip(struct pair *pair)
{
    const struct pp_floor_spec *spec = pair->near.spec;
    int ret;

    if (spec->transport == PP_FLOOR_NOTHING) {
        call_in_vain();
        return 0;
    }
    ret = transmit(&pair->near, pair->message, pair->bytes);
    if (ret == 0 && spec->one_thread)
        ret = pass_on(&pair->far, pair->bytes);
    if (ret == 0)
        ret = receive(&pair->near, pair->bytes);
    return ret == 0 && pair->ruled ? rule(pair) : ret;
}

/* 0, or a negative errno: so many in a row. */
static int make_trips(struct pair *pair, unsigned count)
{
    int ret = 0;

    for (unsigned i = 0; i < count && ret == 0; i++)
        ret = make_trip(pair);
    return ret;
}

/* From one look at the clock to the next, which is told. */
static uint64_t make_some_trips(struct pair *pair, uint64_t now_ns)
{
    const enum pp_floor_ruler ruler = pair->near.spec->ruler;
    uint64_t next_ns;

    pair->ruled = ruler == PP_FLOOR_EACH || (ruler == PP_FLOOR_IN_TURNS && !pair->ruled);
    pair->last_ns = now_ns;
    pair->near.error = make_trips(pair, TRIPS_PER_LOOK);
    pair->near.trips += TRIPS_PER_LOOK;
    if (ruler == PP_FLOOR_EACH)
        return pair->last_ns;
    next_ns = pp_clock_now_ns();
    pp_hist_record(&pair->looks[pair->ruled], next_ns - now_ns);
    return next_ns;
}

static void measure_trips(struct pair *pair)
{
    struct end *end = &pair->near;
    struct pp_usage before, after;
    uint64_t start_ns, now_ns;

    end->error = make_trips(pair, TRIPS_WARMUP);
    pp_hist_reset(&pair->each);
    pp_hist_reset(&pair->looks[0]);
    pp_hist_reset(&pair->looks[1]);
    before = pp_usage_of_thread();
    start_ns = now_ns = pp_clock_now_ns();
    while (end->error == 0 && now_ns - start_ns < end->spec->duration_ns)
        now_ns = make_some_trips(pair, now_ns);
    after = pp_usage_of_thread();
    end->elapsed_ns = now_ns - start_ns;
    end->usage = pp_usage_between(&before, &after);
}

static double median_ns(const struct pair *pair)
{
    const double bare_ns = (double)pp_hist_quantile_ns(&pair->looks[0], 0.5) / TRIPS_PER_LOOK;
    const double ruled_ns = (double)pp_hist_quantile_ns(&pair->looks[1], 0.5) / TRIPS_PER_LOOK;

    switch (pair->near.spec->ruler) {
    case PP_FLOOR_BARE:
        return bare_ns;
    case PP_FLOOR_IN_TURNS:
        return ruled_ns > bare_ns ? ruled_ns - bare_ns : 0;
    case PP_FLOOR_EACH:
        break;
    }
    return (double)pp_hist_quantile_ns(&pair->each, 0.5);
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

static void enter(struct end *end)
{
    if (end->spec->ruler != PP_FLOOR_BARE)
        (void)pp_io_leave_rseq();
    end->error = pin(end->cpu);
}

/* Datagrams do not tell the other end that there are no more: both sockets are shut down. */
static void hang_up(const struct pair *pair)
{
    (void)shutdown(pair->near.fd, SHUT_RDWR);
    (void)shutdown(pair->far.fd, SHUT_RDWR);
}

static void *near_main(void *argument)
{
    struct pair *pair = argument;

    enter(&pair->near);
    if (pair->near.error == 0)
        measure_trips(pair);
    hang_up(pair);
    return NULL;
}

/* Until the other one has gone. */
static void *far_main(void *argument)
{
    struct pair *pair = argument;
    struct end *end = &pair->far;
    struct pp_usage before, after;

    enter(end);
    for (unsigned i = 0; i < TRIPS_WARMUP && end->error == 0; i++)
        end->error = pass_on(end, pair->bytes);
    before = pp_usage_of_thread();
    while (end->error == 0)
        end->error = pass_on(end, pair->bytes);
    after = pp_usage_of_thread();
    end->usage = pp_usage_between(&before, &after);
    if (end->error == -EPIPE || end->error == -ECONNRESET)
        end->error = 0;
    hang_up(pair);
    return NULL;
}

/* ---- pairs ---- */

static int run_pair(struct pair *pair)
{
    const bool two = !pair->near.spec->one_thread;
    int ret = two ? pthread_create(&pair->far.thread, NULL, far_main, pair) : 0;

    if (ret)
        return -ret;
    ret = pthread_create(&pair->near.thread, NULL, near_main, pair);
    if (ret)
        hang_up(pair);
    else
        (void)pthread_join(pair->near.thread, NULL);
    if (two)
        (void)pthread_join(pair->far.thread, NULL);
    return -ret;
}

static int measure_pair(struct pair *pair, const struct pp_floor_spec *spec)
{
    int fds[2];
    int ret = open_pair(spec->transport, fds);

    pair->near = (struct end){ .spec = spec, .cpu = spec->near_cpu, .fd = fds[0] };
    pair->far = (struct end){ .spec = spec, .cpu = spec->far_cpu, .fd = fds[1] };
    pair->bytes = spec->bytes ? spec->bytes : BYTES_USUAL;
    memset(pair->message, 'P', pair->bytes);
    if (ret == 0)
        ret = run_pair(pair);
    close_pair(fds);
    if (ret == 0)
        ret = pair->far.error ? pair->far.error : pair->near.error;
    return ret;
}

int pp_floor_measure(const struct pp_floor_spec *spec, struct pp_floor *out, struct pp_error *err)
{
    struct pair *pair = pp_memory_alloc(1, sizeof *pair);
    const struct pp_usage *near, *far;
    int ret = pair ? 0 : -ENOMEM;

    pp_assert(spec->duration_ns > 0 && spec->bytes <= PP_FLOOR_BYTES_MAX);
    pp_assert(spec->one_thread || spec->transport != PP_FLOOR_NOTHING);
    if (ret == 0)
        ret = measure_pair(pair, spec);
    if (ret < 0) {
        pp_memory_free(pair);
        return pp_error_set(err, PP_ERROR_RUN, ret, "round trips by hand do not work here: %s",
                            strerror(-ret));
    }
    pp_assert(pair->near.trips > 0 && pair->near.elapsed_ns > 0);
    near = &pair->near.usage;
    far = &pair->far.usage;
    *out = (struct pp_floor){ .round_trips = pair->near.trips,
                              .elapsed_ns = pair->near.elapsed_ns,
                              .median_ns = median_ns(pair),
                              .cpu_unknown = near->unknown || far->unknown };
    if (!out->cpu_unknown)
        out->cpu_ns = near->user_ns + near->system_ns + far->user_ns + far->system_ns;
    pp_memory_free(pair);
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
