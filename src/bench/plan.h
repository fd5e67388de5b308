/* What to run: all that the user asked for, and what was decided where "auto" was asked for. */
#ifndef PP_BENCH_PLAN_H
#define PP_BENCH_PLAN_H

#include "base/error.h"
#include "bench/wire.h"
#include "io/io.h"

#include <stdbool.h>
#include <stdint.h>

#define PP_PLAN_CONNECTIONS_MAX 100000

enum pp_placement {
    PP_PLACEMENT_SAME,  /* client and server thread on one CPU */
    PP_PLACEMENT_SPLIT, /* a CPU each */
    PP_PLACEMENT_NONE   /* wherever the kernel puts them */
};

#define PP_CPU_ANY (-1)

struct pp_plan {
    const char *host;
    uint16_t port;  /* 0: any free one */
    uint64_t count; /* round trips in all */
    uint32_t connections;
    struct pp_wire wire;
    const char *client_engine; /* "auto", or as pp_io_options.engine */
    const char *server_engine;

    bool wait_auto; /* wait and spin_ns are decided by pp_plan_decide() */
    enum pp_io_wait wait;
    uint64_t spin_ns;

    bool placement_auto; /* placement is decided too */
    bool cpus_given;     /* the CPUs were named by the user, and placement follows from them */
    enum pp_placement placement;
    int client_cpu; /* PP_CPU_ANY: not pinned */
    int server_cpu;
};

/* The main job: 500,000 round trips of "PING\n" over one connection to 127.0.0.1:3131. */
struct pp_plan pp_plan_default(void);

/* Fills in what was left to the program, from the machine and its load right now, and checks that
 * the CPUs named may be used. Takes about 50 ms when the placement is open. */
int pp_plan_decide(struct pp_plan *plan, struct pp_error *err);

#endif
