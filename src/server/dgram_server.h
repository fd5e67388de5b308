/* The echo server of one thread, for datagrams: a request (wire/datagram.h) comes back as a reply
 * to wherever it came from, never longer than it was; a hello is told who answers. Everything else
 * is dropped, replies above all: two servers that are made to write to each other fall silent. */
#ifndef PP_SERVER_DGRAM_SERVER_H
#define PP_SERVER_DGRAM_SERVER_H

#include "base/error.h"
#include "server/server.h"

#include <stdint.h>

struct pp_dgram_server;

/* It works while the loop runs. options->listen_fd is a bound datagram socket here. */
int pp_dgram_server_open(struct pp_dgram_server **out, const struct pp_server_options *options,
                         struct pp_error *err);

/* From any thread: ends what is under way, so that the loop can end. */
void pp_dgram_server_stop(struct pp_dgram_server *server);

/* From any thread: how many datagrams were answered, and how many were not worth an answer. */
uint64_t pp_dgram_server_answered(const struct pp_dgram_server *server);
uint64_t pp_dgram_server_bytes(const struct pp_dgram_server *server); /* of the answers */
uint64_t pp_dgram_server_ignored(const struct pp_dgram_server *server);

/* After the loop has ended. May be NULL. */
void pp_dgram_server_close(struct pp_dgram_server *server);

#endif
