/* What the floors have in common. */
#ifndef PP_BENCH_FLOOR_H
#define PP_BENCH_FLOOR_H

#include "pair.h"

#include <errno.h>
#include <sys/types.h>

/* Several messages under way on one connection, or one that is larger than a socket takes at
 * once. */
void floor_stream_client(struct pair *pair);
void floor_stream_server(struct pair *pair);

/* Pings on many connections, on a ring. */
void floor_ring_client(struct pair *pair);
void floor_ring_server(struct pair *pair);

/* What recv() said when the peer is gone: it closed, or it reset the connection in closing. */
static inline bool floor_is_end(ssize_t got)
{
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

#endif
