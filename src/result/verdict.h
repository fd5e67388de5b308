/* Whether a result can be believed: VALID, or not, with reasons from a closed list. */
#ifndef PP_RESULT_VERDICT_H
#define PP_RESULT_VERDICT_H

#include "plan/plan.h"

struct pp_result;

/* In the order in which they are shown. */
enum pp_reason_id {
    PP_REASON_ACCOUNTING,
    PP_REASON_NOTHING,
    PP_REASON_RATE_MISSED,
    PP_REASON_NOT_KEPT_UP,
    PP_REASON_ERRORS,
    PP_REASON_UNANSWERED,
    PP_REASON_CLOCK,
    PP_REASON_STOPPED,
    PP_REASON_THROTTLED,
    PP_REASON_STARVED,
    PP_REASON_PARTIAL,
    PP_REASON_LOSS,
    PP_REASON_SHORT,
    PP_REASON_CLIENT_SATURATED,
    PP_REASON_FEW_SAMPLES,
    PP_REASON_OUT_OF_RANGE,
    PP_REASON_UNSTEADY,
    PP_REASON_SENT_LATE,
    PP_REASON_OTHERS_BUSY,
    PP_REASON_STEAL,
    PP_REASON_FREQUENCY,
    PP_REASON_STALL_HIDDEN,
    PP_REASON_RETRANSMITS,
    PP_REASONS /* how many there are */
};

struct pp_reason {
    enum pp_reason_id id;
    enum pp_verdict_level level; /* PP_VALID: worth knowing, and no fault */
    char text[200];              /* what was seen, with its figures */
};

struct pp_verdict {
    enum pp_verdict_level level; /* the highest of the reasons' */
    unsigned count;
    struct pp_reason reasons[PP_REASONS];
    unsigned
        unknowns; /* what could not be read, and so not judged: no fault, and not fine either */
    enum pp_reason_id unknown[PP_REASONS];
};

/* Of a result that is complete but for its verdict. */
void pp_verdict_of(struct pp_verdict *verdict, const struct pp_result *result);

const char *pp_verdict_level_name(enum pp_verdict_level level); /* "SUSPECT" */
const char *pp_reason_name(enum pp_reason_id id);               /* "client_saturated" */
const char *pp_reason_cure(enum pp_reason_id id);               /* what to do about it */

#endif
