/* What goes over the wire: one message, again and again, and its exact echo. */
#ifndef PP_BENCH_WIRE_H
#define PP_BENCH_WIRE_H

#include <stdint.h>

struct pp_wire {
    const char *message;
    uint32_t bytes;
};

/* Checks len bytes of a stream of echoes, which may hold part of a message or several. *at is how
 * far into a message the stream is, and is moved on. Returns how many messages ended, or -EBADMSG:
 * then *at is the place in the message, and *wrong the place in data, of the first wrong byte. */
int pp_wire_check(const struct pp_wire *wire, uint32_t *at, const char *data, uint32_t len,
                  uint32_t *wrong);

#endif
