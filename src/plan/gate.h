/* Conditions that a result must not meet: "p99>200us". */
#ifndef PP_PLAN_GATE_H
#define PP_PLAN_GATE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define PP_GATES_MAX 16
#define PP_GATE_TEXT_BYTES 96

enum pp_gate_op {
    PP_GATE_LESS,
    PP_GATE_LESS_EQUAL,
    PP_GATE_MORE,
    PP_GATE_MORE_EQUAL,
    PP_GATE_EQUAL,
    PP_GATE_NOT_EQUAL
};

struct pp_gate {
    char text[PP_GATE_TEXT_BYTES];   /* as it was typed */
    char figure[PP_GATE_TEXT_BYTES]; /* its name; what is behind one is not known here */
    enum pp_gate_op op;
    double limit; /* a time in ns, a share from 0 to 1, or a number */
};

/* What a result says to it. */
struct pp_gate_outcome {
    bool known; /* the figure; one that is not fails */
    double value;
    bool failed;
};

/* Reads the first bytes of text: a figure, <, <=, >, >=, == or !=, and a limit. A time has a unit
 * (ns, us, ms, s, m), a share may have %, a number k, M or G. 0, or -EINVAL with err set. */
int pp_gate_parse(struct pp_gate *gate, const char *text, size_t bytes, struct pp_error *err);

/* The same for how far a figure may change, in percent: "rate<-3%", "p99>+10%". The limit is a
 * share, -0.03 or 0.1, the operator <, <=, > or >=. */
int pp_gate_parse_change(struct pp_gate *gate, const char *text, size_t bytes,
                         struct pp_error *err);

/* Whether a figure of this name is a time in ns. */
bool pp_gate_is_time(const char *figure);

/* A percentile's name, "p99.9": its quantile, 0 to 1; 0 if it is none. */
double pp_gate_quantile(const char *name);

/* Whether value meets the condition. */
bool pp_gate_meets(const struct pp_gate *gate, double value);

#endif
