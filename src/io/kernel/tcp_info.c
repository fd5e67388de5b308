/* What the kernel says of a TCP connection. By itself, because the kernel's own header, which has
 * the newer fields, and the C library's exclude each other. */
#include "base/clock.h"
#include "io/kernel/kernel.h"

#include <errno.h>
#include <linux/tcp.h>
#include <string.h>

/* An older kernel fills in less of it: the rest stays zero. */
int pp_kernel_tcp_info(int fd, struct pp_io_tcp_info *info)
{
    struct tcp_info kernel = { 0 };
    socklen_t len = sizeof kernel;
    socklen_t name_len = sizeof info->congestion - 1;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &kernel, &len) < 0)
        return -errno;
    *info = (struct pp_io_tcp_info){
        .retransmits = kernel.tcpi_total_retrans,
        .min_rtt_ns = kernel.tcpi_min_rtt == UINT32_MAX ? 0 : kernel.tcpi_min_rtt * PP_NS_PER_US,
        .mss = kernel.tcpi_snd_mss,
        .acked = kernel.tcpi_bytes_acked,
    };
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, info->congestion, &name_len) < 0)
        info->congestion[0] = '\0';
    return 0;
}

/* The kernel's headers have had these since Linux 5.16 only. */
#define LEVEL_MPTCP 284
#define OPTION_INFO 1
#define FLAGS_WORD 2
#define FLAG_FALLBACK 1u

bool pp_kernel_speaks_mptcp(int fd)
{
    uint32_t info[16] = { 0 };
    socklen_t len = sizeof info;

    return getsockopt(fd, LEVEL_MPTCP, OPTION_INFO, info, &len) == 0 &&
           !(info[FLAGS_WORD] & FLAG_FALLBACK);
}
