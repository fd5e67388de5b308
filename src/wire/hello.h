/* How a client finds out whether the other side is pingpong: by a message of fixed length, the
 * first on a connection of its own, which any plain echo server would return unchanged. Its answer
 * says what runs there and what it has cost so far. On a connection that is to carry answers of
 * another size than the requests, the same message says what the sizes are; no message after it
 * carries a header.
 *
 * Both are PP_HELLO_BYTES long and padded with zeros, the last byte always, so that an answer is
 * never longer than its request: a line "\x9dpingpong hello 1" or "\x9dpingpong here 1", then lines
 * "name=value", the names as in the structs below, numbers in decimal, sizes as pp_sizes_format()
 * writes them. Of two lines with one name the last stands, and unknown names are skipped. All names
 * are needed, but "answers" alone where it is 0, "boot_id", and
 * "bytes" and "connections". */
#ifndef PP_WIRE_HELLO_H
#define PP_WIRE_HELLO_H

#include "wire/sizes.h"

#include <stdbool.h>
#include <stdint.h>

/* Fits into one packet, also as a datagram message. */
#define PP_HELLO_BYTES 1200u
#define PP_HELLO_THREADS_MAX 256

/* The beginning of a request, by which it is known; its first receive brings at least these. */
#define PP_HELLO_MAGIC "\x9dpingpong hello 1\n"

/* What a client asks for. */
struct pp_hello {
    bool answers; /* requests and answers differ in size, as follows */
    struct pp_sizes request, response;
    uint64_t request_seed, response_seed; /* of the sequences of sizes */
    uint32_t response_at;                 /* where in the random pattern the answers begin, below
                                             PP_PATTERN_RANDOM_PERIOD_MIN */
};

/* What a server says of itself. Texts are cut to these lengths, and what is neither printable ASCII
 * nor a micro sign is replaced by "?", on either side. The numbers
 * are of the whole process, since it began. */
struct pp_hello_reply {
    char version[32];
    char engine[160];            /* as pp_io_loop_describe() */
    char wait[64];               /* in words */
    char host[64];               /* its host name */
    char boot_id[40];            /* of its kernel's start; "": it does not say */
    uint32_t threads;            /* 1 to PP_HELLO_THREADS_MAX */
    uint64_t user_ns, system_ns; /* as the other counters, at most INT64_MAX */
    uint64_t context_switches;
    uint64_t syscalls;
    bool says_bytes;      /* what follows is known */
    uint64_t bytes;       /* of echoes and answers, to whomever */
    uint64_t connections; /* that are open now, the one that asks among them */
};

/* 0, or -E2BIG when the sizes have too many ranges. */
int pp_hello_write(const struct pp_hello *hello, char data[PP_HELLO_BYTES]);
void pp_hello_reply_write(const struct pp_hello_reply *reply, char data[PP_HELLO_BYTES]);

/* Whether data, the first bytes of a connection, begin as a hello does. */
bool pp_hello_begins(const char *data, uint32_t len);

/* Whether data, the first bytes of an answer, may become a reply when there is more of it. */
bool pp_hello_reply_may_begin(const char *data, uint32_t len);

/* 0, or -EINVAL when data is not a hello that makes sense: nothing in it is trusted. Then *hello
 * and *reply are left alone. */
int pp_hello_read(struct pp_hello *hello, const char data[PP_HELLO_BYTES]);
int pp_hello_reply_read(struct pp_hello_reply *reply, const char data[PP_HELLO_BYTES]);

/* Whether one server can have counted from the earlier reply to the later one within this time: no
 * counter goes back, as those of a server that has begun anew do, and none runs faster than its
 * threads can. */
bool pp_hello_reply_follows(const struct pp_hello_reply *earlier,
                            const struct pp_hello_reply *later, uint64_t elapsed_ns);

#endif
