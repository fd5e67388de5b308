/* What to run: all that the user asked for, and what was decided where "auto" was asked for. */
#ifndef PP_PLAN_PLAN_H
#define PP_PLAN_PLAN_H

#include "base/error.h"
#include "io/io.h"
#include "plan/gate.h"
#include "plan/limits.h"
#include "wire/sizes.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_PLAN_CONNECTIONS_MAX 100000
#define PP_PLAN_THREADS_MAX 256
#define PP_PLAN_DEPTH_MAX 65536
#define PP_PLAN_TEXT_MAX 4096
#define PP_PLAN_PORT 3131
#define PP_PLAN_RATE_MIN 1e-6
#define PP_PLAN_QUANTILES_MAX 16

/* For so long a thread looks again before it sleeps, if nobody says for how long. */
#define PP_PLAN_LOOK_US 50

/* Those that are shown where nobody asks for others: how many, and which. */
#define PP_PLAN_QUANTILES_COUNT 4
#define PP_PLAN_QUANTILES 0.5, 0.9, 0.99, 0.999

#define PP_CPU_ANY (-1)

/* Room for why an engine that is preferred could not be taken. */
#define PP_REFUSED_BYTES 400

enum pp_job {
    PP_JOB_RUN,    /* server and client in this process */
    PP_JOB_CLIENT, /* a client of a server somewhere else */
    PP_JOB_SERVE   /* a server, until a signal */
};

enum pp_arrivals {
    PP_ARRIVALS_FIXED,  /* the same time between any two */
    PP_ARRIVALS_POISSON /* exponentially distributed times: independent senders */
};

enum pp_placement {
    PP_PLACEMENT_SAME,  /* all threads on one CPU */
    PP_PLACEMENT_SPLIT, /* the clients' threads on some CPUs, the servers' on others */
    PP_PLACEMENT_PAIRS, /* client thread i and server thread i share CPU i */
    PP_PLACEMENT_NONE   /* wherever the kernel puts them */
};

enum pp_verify {
    PP_VERIFY_FULL, /* every byte */
    PP_VERIFY_LEN,  /* only how many there are; of a datagram, its header too */
    PP_VERIFY_OFF   /* the same, and one that is too long is no error */
};

/* How far a result can be believed. */
enum pp_verdict_level {
    PP_VALID,
    PP_SUSPECT, /* look twice before quoting it */
    PP_INVALID  /* it is not what was asked for */
};

/* How the end of an answer is known. */
enum pp_expect {
    PP_EXPECT_ECHO,  /* it is the request, or of the size that was asked for */
    PP_EXPECT_TEXT,  /* it is the text */
    PP_EXPECT_BYTES, /* it has so many bytes */
    PP_EXPECT_UNTIL  /* it ends with the text */
};

/* Where a server is, or is to be: a host and a port, or a path. */
struct pp_target {
    char host[254]; /* a name or an address, without brackets; "": all addresses of this machine,
                        or for a client this machine */
    char path[108]; /* of a Unix socket; "": none */
    uint16_t port;  /* 0: any free one */
    int family;     /* AF_UNSPEC, AF_INET or AF_INET6 */
};

struct pp_plan_text {
    uint32_t bytes;
    char text[PP_PLAN_TEXT_MAX];
};

struct pp_cpus {
    unsigned count; /* 0: none given */
    int cpus[PP_PLAN_THREADS_MAX];
};

/* Why pp_plan_decide() decided so, in words; NULL: it was told. */
struct pp_plan_why {
    const char *depth, *warmup, *placement, *wait;
};

struct pp_plan {
    enum pp_job job;
    struct pp_target target;
    struct pp_target source;            /* -B: host "" and port 0 mean none */
    struct pp_io_socket_options socket; /* socket.dgram: -u */

    /* the load */
    uint32_t connections;
    uint32_t client_threads, server_threads;
    uint32_t depth; /* 0: not given; pp_plan_decide() fills it in */
    bool sizes_given;
    struct pp_sizes request, response;
    bool answers;                     /* responses have sizes of their own: they are no echoes */
    struct pp_plan_text send, expect; /* what to send; bytes 0: nothing of the kind was given */
    enum pp_expect expect_how;
    uint64_t expect_bytes;
    enum pp_verify verify;
    uint64_t count;   /* round trips in all; 0: as many as time_ns allows */
    uint64_t time_ns; /* 0: as long as count takes; with both, what comes first */
    bool warmup_given;
    uint64_t warmup_count;
    uint64_t warmup_ns;
    double rate; /* messages/s over all connections; 0: a closed loop */
    enum pp_arrivals arrivals;
    bool crr; /* connect, request, response, close for each round trip */
    uint64_t think_ns;
    uint64_t connect_timeout_ns;
    uint64_t silence_ns; /* without a limit of time a silence this long ends it; not an option */
    uint64_t seed;
    bool hello;                   /* ask the server who it is */
    uint32_t server_pid;          /* of this machine, whose costs are read; 0: not known */
    enum pp_verdict_level strict; /* a result of this level is a failure; PP_VALID: none is */
    unsigned gate_count;          /* conditions that make a result a failure */
    struct pp_gate gates[PP_GATES_MAX];
    uint64_t interval_ns; /* how often to report meanwhile; 0: never */
    bool quantiles_given; /* they were asked for */
    unsigned quantile_count;
    double quantiles[PP_PLAN_QUANTILES_MAX]; /* of the latencies, to report: 0 to 1 */

    struct pp_server_limits server_limits;

    /* how it runs */
    const char *client_engine; /* "auto", or as pp_io_options.engine */
    const char *server_engine;
    bool wait_auto; /* wait and spin_ns are decided by pp_plan_decide() */
    enum pp_io_wait wait;
    uint64_t spin_ns;
    bool placement_auto;                                 /* placement is decided too */
    struct pp_cpus client_cpus_given, server_cpus_given; /* placement follows from them */
    enum pp_placement placement;
    int client_cpus[PP_PLAN_THREADS_MAX]; /* of each thread: PP_CPU_ANY is not pinned */
    int server_cpus[PP_PLAN_THREADS_MAX];

    struct pp_plan_why why;
};

/* What the choices are called: on the command line, in results and in a hello; then NULL. */
#define PP_PLACEMENTS 4
#define PP_VERIFIES 3
#define PP_ARRIVALS 2
#define PP_WAITS 3
extern const char *const pp_placement_names[PP_PLACEMENTS + 1];
extern const char *const pp_verify_names[PP_VERIFIES + 1];
extern const char *const pp_arrivals_names[PP_ARRIVALS + 1];
extern const char *const pp_wait_names[PP_WAITS + 1];

/* The main job: 500,000 round trips of "PING\n" over one connection to 127.0.0.1:3131. */
void pp_plan_default(struct pp_plan *plan, enum pp_job job);

/* Refuses what contradicts itself or cannot be, with a usage error that says why. */
int pp_plan_check(const struct pp_plan *plan, struct pp_error *err);

/* Fills in what was left to the program, from the machine and its load right now, with the reasons,
 * and checks that the CPUs named may be used. Takes some milliseconds, and where nobody else runs
 * none. */
int pp_plan_decide(struct pp_plan *plan, struct pp_error *err);

/* How long a warm-up before time_ns of measuring is where nobody asks for another. */
uint64_t pp_plan_warmup_ns(uint64_t time_ns);

/* "HOST", "HOST:PORT", ":PORT", "1.2.3.4:5", "::1", "[::1]:PORT" or "unix:/path"; without a port,
 * PP_PLAN_PORT. 0 or -EINVAL, or -ENAMETOOLONG: the path does not fit the address of a Unix socket;
 * family is left alone. */
int pp_target_parse(struct pp_target *target, const char *text);

#define PP_TARGET_TEXT_BYTES 280
const char *pp_target_format(const struct pp_target *target, char text[PP_TARGET_TEXT_BYTES]);

#endif
