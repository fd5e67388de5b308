/* One socket to listen on, for tests that need no group. */
#ifndef PP_TESTS_SUPPORT_LISTENING_H
#define PP_TESTS_SUPPORT_LISTENING_H

#include "io/io.h"

/* As the kernel's world listens: the descriptor, or a negative errno with err set. */
static inline int listen_one(struct pp_io_addr *addr, const struct pp_io_socket_options *options,
                             struct pp_error *err)
{
    int fd;
    const int ret = pp_io_kernel.listen(addr, options, NULL, 1, &fd, err);

    return ret < 0 ? ret : fd;
}

#endif
