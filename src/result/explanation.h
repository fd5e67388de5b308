/* Where a round trip's time goes, as plain data and pure functions: each part is a difference
 * between runs of the same round, one of which does a thing that the other does not. The parts of a
 * round add up to what the program took in it. */
#ifndef PP_RESULT_EXPLANATION_H
#define PP_RESULT_EXPLANATION_H

#include "measure/paired.h"
#include "result/comparison.h"

#include <stdbool.h>
#include <stddef.h>

/* What runs in each round. All but the program itself, twice, are round trips by
 * hand. */
enum pp_explained_run {
    PP_EXPLAINED_PROGRAM,    /* as it was asked for */
    PP_EXPLAINED_ALONE,      /* the program with one message at a time in place of its load */
    PP_EXPLAINED_CALLS,      /* as many system calls as a round trip has, which do nothing */
    PP_EXPLAINED_MEASURING,  /* by how much round trips that are measured take longer than others */
    PP_EXPLAINED_UNIX,       /* one thread with both ends of a Unix socket */
    PP_EXPLAINED_ONE,        /* the same over TCP or UDP, where that was asked for */
    PP_EXPLAINED_SAME_BLOCK, /* two threads that sleep, on one CPU */
    PP_EXPLAINED_SPLIT_SPIN, /* two that never do, on two */
    PP_EXPLAINED_AS_ASKED,   /* two that run and wait as the program's */
    PP_EXPLAINED_RUNS        /* how many there are */
};

/* What each is called, for people. */
extern const char *const pp_explained_titles[PP_EXPLAINED_RUNS];

/* In the order in which they are shown. */
enum pp_part {
    PP_PART_CALLS,     /* entering and leaving the kernel */
    PP_PART_SOCKETS,   /* what the kernel does there for a Unix socket */
    PP_PART_TCP,       /* and how much more for TCP */
    PP_PART_UDP,       /* or for UDP */
    PP_PART_SWITCHES,  /* from one thread to the other on a CPU */
    PP_PART_CROSSING,  /* to another CPU, less what both do at the same time */
    PP_PART_YIELDING,  /* where nobody needs the CPU that is given away */
    PP_PART_WAKING,    /* a CPU that has nothing else to do, and sleeps */
    PP_PART_SCHEDULER, /* all of these, where threads are not pinned */
    PP_PART_ENGINE,    /* the event loop and its engine, on both sides */
    PP_PART_MEASURING, /* the clock, the histogram, and the check of each byte */
    PP_PART_LOAD,      /* other messages under way, which are in each other's way */
    PP_PARTS           /* how many there are */
};

struct pp_part_about {
    const char *name;  /* in JSON and CSV: "system_calls" */
    const char *title; /* for people */
    const char *cure;  /* what saves it; NULL: nothing that is worth telling */
};

extern const struct pp_part_about pp_parts[PP_PARTS];

/* Where the two sides' threads run. */
enum pp_explained_place { PP_EXPLAINED_SAME, PP_EXPLAINED_SPLIT, PP_EXPLAINED_ANYWHERE };

enum pp_explained_transport {
    PP_EXPLAINED_OVER_TCP,
    PP_EXPLAINED_OVER_UDP,
    PP_EXPLAINED_OVER_UNIX
};

/* What the parts of a round trip follow from. */
struct pp_explained_setup {
    enum pp_explained_place place;
    enum pp_io_wait wait;
    enum pp_explained_transport transport;
    bool loaded; /* there are several messages under way, or threads */
};

/* Which runs it takes, and what each part is of them: the sum of the runs' times with these
 * weights. */
struct pp_explanation_design {
    bool needs[PP_EXPLAINED_RUNS];
    unsigned part_count;
    struct {
        enum pp_part part;
        int weights[PP_EXPLAINED_RUNS];
    } parts[PP_PARTS];
};

/* The weights of all parts together are 1 for the program and 0 for each other run. */
struct pp_explanation_design pp_explanation_design_of(const struct pp_explained_setup *setup);

#define PP_EXPLAINED_ROUNDS_LEAST 6 /* with fewer there is no interval */

/* Programs that are run instead: the same with another option each. */
#define PP_EXPLAINED_OTHERS_MAX 8

/* What would be saved. */
struct pp_advice {
    bool measured;         /* by one that was run instead, or else as much as the part takes */
    unsigned other;        /* which one */
    enum pp_part part;     /* which part: it has a cure */
    struct pp_shift saves; /* ns */
};

/* All in ns of the median RTT. */
struct pp_explanation {
    unsigned rounds; /* with all runs in them */
    struct pp_shift whole;
    unsigned part_count;
    struct {
        enum pp_part part;
        struct pp_shift shift;
    } parts[PP_PARTS];
    double sum; /* of the parts: apart from the whole by what the estimates of each are off */
    double runs[PP_EXPLAINED_RUNS]; /* medians; NAN: there is no such run */
    unsigned other_count;
    struct pp_shift others[PP_EXPLAINED_OTHERS_MAX]; /* how much longer than the program */
    unsigned advice_count;
    struct pp_advice advice[PP_EXPLAINED_OTHERS_MAX + PP_PARTS]; /* the best first */
    unsigned trials, invalid; /* of the program, and how many were INVALID */
};

/* Of the trials, in any order, candidate 0 is the program, those that follow it the others, and
 * then the runs that the design needs in their order. A round counts where none of these is
 * missing. 0 or -ENOMEM. */
int pp_explanation_of(const struct pp_explanation_design *design, unsigned others,
                      const struct pp_trial *trials, size_t count,
                      struct pp_explanation *explanation);

/* Which candidate that run is. The design needs it. */
unsigned pp_explained_candidate(const struct pp_explanation_design *design, unsigned others,
                                enum pp_explained_run run);

#endif
