/* The kernel's world. */
#include "base/assert.h"
#include "io/kernel/kernel.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void close_fd(int fd)
{
    (void)close(fd);
}

static int wake_open(void)
{
    const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static void wake(int fd)
{
    const uint64_t one = 1;

    pp_assert(write(fd, &one, sizeof one) == sizeof one);
}

static void wake_taken(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

static int thread_start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    return -pthread_create(thread, NULL, body, argument);
}

static void thread_join(pthread_t thread)
{
    (void)pthread_join(thread, NULL);
}

const struct pp_io_world pp_io_kernel = {
    .socket = pp_kernel_socket,
    .listen = pp_kernel_listen,
    .unlisten = pp_kernel_unlisten,
    .close = close_fd,
    .reset_on_close = pp_kernel_reset_on_close,
    .keepalive = pp_kernel_keepalive,
    .is_self_connected = pp_kernel_is_self_connected,
    .tcp_info = pp_kernel_tcp_info,
    .speaks_mptcp = pp_kernel_speaks_mptcp,
    .has_ipv6 = pp_kernel_has_ipv6,
    .look_up = pp_kernel_look_up,
    .wake_open = wake_open,
    .wake = wake,
    .wake_taken = wake_taken,
    .thread_start = thread_start,
    .thread_join = thread_join,
    .thread_enter = pp_kernel_thread_enter,
};
