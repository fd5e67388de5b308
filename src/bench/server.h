/* The echo server: whatever a client sends comes back, byte for byte, in the buffer that it arrived
 * in. It knows no messages, so anything that speaks TCP can talk to it. No error of one connection
 * touches another. */
#ifndef PP_BENCH_SERVER_H
#define PP_BENCH_SERVER_H

#include "base/error.h"
#include "io/io.h"

#include <stdint.h>

struct pp_server;

/* A server for at most connections clients at once, on the listening socket listen_fd, which it
 * takes over. It works while loop runs. buffers is how many receive buffers the loop has. */
int pp_server_open(struct pp_server **out, struct pp_io_loop *loop, int listen_fd,
                   uint32_t connections, uint32_t buffers, struct pp_error *err);

/* From any thread: stops accepting and closes every connection, so that the loop can end. */
void pp_server_stop(struct pp_server *server);

/* After the loop has ended. May be NULL. */
void pp_server_close(struct pp_server *server);

#endif
