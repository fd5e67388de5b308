/* The course of a measurement: how fast a few slices of it were, and how slow their answers. */
#ifndef PP_RESULT_SLICES_H
#define PP_RESULT_SLICES_H

#include "measure/course.h"

#include <stdbool.h>
#include <stdint.h>

/* How far all clients have come. */
struct pp_slices_mark {
    uint64_t at_ns;
    uint64_t trips;      /* round trips so far */
    uint64_t latency_ns; /* the sum of what they took, as the main figures count it */
};

struct pp_slices {
    unsigned count; /* of marks: a slice lies between two */
    unsigned every; /* this many ticks make a slice */
    unsigned tick;
    struct pp_slices_mark marks[PP_COURSE_VALUES_MAX + 1];
};

/* Whether a run was one and the same from its beginning to its end. */
struct pp_steadiness {
    bool of_latency;         /* the mean latency was looked at, and not the rate */
    struct pp_course course; /* of round trips/s, or of ns */
    uint64_t at_ns;          /* when the course's step was */
    uint64_t slice_ns;       /* the mean length of a slice; 0: there is none */
    unsigned slices;         /* that had some round trips each */
};

void pp_slices_begin(struct pp_slices *slices);

/* To be called at about equal distances; what came before the first call does not count, nor what
 * came before one at which there is less than there was. When there are too many slices, two become
 * one. */
void pp_slices_note(struct pp_slices *slices, const struct pp_slices_mark *mark);

/* What came after end_ns belongs to no slice: answers to what was given up are waited for. */
void pp_slices_end(struct pp_slices *slices, uint64_t end_ns);

/* Latencies of an open loop that grow from beginning to end: what is due piles up before a server,
 * or a client, that is slower than the schedule. */
struct pp_growth {
    bool until_end;
    double from_ns, to_ns; /* the means of the first and the last quarter */
};

/* Latencies have grown until the end if in the last quarter of the run none of the slices' means is
 * below 1.5 times all of the first quarter's, each quarter from the second on is above the one
 * before it by 15 %, and all that makes at least a five hundredth of duration_ns. A queue that is
 * stable comes back to where it was (docs/METHOD.md has what simulation says of both). */
struct pp_growth pp_slices_growth(struct pp_slices *slices, uint64_t duration_ns);

/* Of the mean latency, or of the rate. In a closed loop either says the same (Little's law: the
 * rate is the messages under way, divided by the mean latency); the schedule of an open loop holds
 * its rate, whatever becomes of latencies. Slices are joined until they have some round trips each;
 * if that leaves too few, the course is unknown. at_ns is since start_ns. */
struct pp_steadiness pp_slices_steadiness(struct pp_slices *slices, bool of_latency,
                                          uint64_t start_ns);

#endif
