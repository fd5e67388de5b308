/* Conditions that a comparison must not meet: "rate<-3%". */
#ifndef PP_RESULT_CHANGE_H
#define PP_RESULT_CHANGE_H

#include "plan/gate.h"
#include "result/comparison.h"

/* What the trials say to a condition. */
enum pp_change {
    PP_CHANGE_NO,          /* surely not: all of the 95 % interval is on the right side */
    PP_CHANGE_CANNOT_TELL, /* the interval has the limit in it, or there is none */
    PP_CHANGE_SURELY       /* it is met */
};

/* The metric that the gate's figure names. 0, or -EINVAL with err set: there is none. */
int pp_change_check(const struct pp_gate *gate, struct pp_error *err);

/* gate is one that pp_change_check() took. Of candidate, not the baseline. */
enum pp_change pp_change_of(const struct pp_gate *gate, const struct pp_comparison *comparison,
                            unsigned candidate);

/* The effect that gate is about. */
const struct pp_effect *pp_change_effect(const struct pp_gate *gate,
                                         const struct pp_comparison *comparison,
                                         unsigned candidate);

#endif
