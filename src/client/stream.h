/* Messages in a stream, and what those have in common with connections for one message each. */
#ifndef PP_CLIENT_STREAM_H
#define PP_CLIENT_STREAM_H

#include "client/conn.h"

/* Takes in bytes of answers, and returns how many answers they ended; negative: it is all over. */
int pp_stream_take(struct conn *c, const char *data, uint32_t len, uint64_t now_ns);
void pp_stream_send(struct conn *c, uint64_t now_ns, uint64_t intended_ns);
void pp_stream_flush(struct conn *c);

#endif
