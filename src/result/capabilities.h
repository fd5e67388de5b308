/* What a machine has to offer, as plain data: engines and their features, peers, and how fast round
 * trips are that no event loop makes. */
#ifndef PP_RESULT_CAPABILITIES_H
#define PP_RESULT_CAPABILITIES_H

#include "io/io.h"

/* What a hand-written loop has come to: experiment/floor.h. */
struct pp_floor {
    uint64_t round_trips;
    uint64_t elapsed_ns;
    double median_ns; /* of a round trip, as its ruler says */
    uint64_t cpu_ns;  /* of both ends */
    bool cpu_unknown; /* and then 0 */
};

/* Of two ends over TCP; the kind says where they run and how they wait. */
enum pp_floor_kind {
    PP_FLOOR_ONE_THREAD, /* plays both ends: nobody has to be woken */
    PP_FLOOR_SAME_BLOCK, /* two threads on one CPU */
    PP_FLOOR_SAME_YIELD,
    PP_FLOOR_SPLIT_BLOCK, /* on two */
    PP_FLOOR_SPLIT_SPIN,
    PP_FLOOR_KINDS /* how many there are */
};

struct pp_floor_found {
    struct pp_floor floor;
    struct pp_error error; /* why there is none, with code 0 if there is one */
};

/* The same echo on other libraries: cli/peers.h. */
#define PP_PEERS_MAX 32
#define PP_PEER_BYTES 32 /* of a name */

struct pp_capabilities {
    unsigned engine_count;
    struct pp_io_engine_facts engines[PP_IO_ENGINES_MAX];
    unsigned peer_count;
    char peers[PP_PEERS_MAX][PP_PEER_BYTES];
    double call_ns, clock_ns; /* of a system call that does nothing; of reading the clock */
    int cpus[2];              /* where the ends ran: the first has all that run on one CPU */
    struct pp_floor_found floors[PP_FLOOR_KINDS];
};

#endif
