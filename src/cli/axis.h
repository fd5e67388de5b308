/* An axis of a sweep: "-c 1..1000:x10", "-R 1k..max:x1.5", "-D 1,4,16". Private to src/cli. */
#ifndef PP_CLI_AXIS_H
#define PP_CLI_AXIS_H

#include "cli/table.h"

#define PP_CLI_AXIS_MAX 64 /* steps */
#define PP_CLI_AXIS_TEXT_BYTES 32

struct pp_cli_axis {
    const struct pp_cli_option *option;
    unsigned count;
    double values[PP_CLI_AXIS_MAX]; /* rising, and no two the same; in what the option counts:
                                       bytes, ns, messages a second */

    /* What was typed, where the end is not known yet: "max". */
    bool to_max;
    double low, factor, step;
};

/* Whether a value of that option may be an axis: it is a number, and text has several in it. */
bool pp_cli_is_axis(const struct pp_cli_option *option, const char *text);

/* 0, or -EINVAL with err set. With "max" there are no values until pp_cli_axis_end(). */
int pp_cli_axis_parse(struct pp_cli_axis *axis, const struct pp_cli_option *option,
                      const char *text, struct pp_error *err);

/* Where "max" is: all steps below it, and it. */
int pp_cli_axis_end(struct pp_cli_axis *axis, double high, struct pp_error *err);

/* A step as the option takes it. */
const char *pp_cli_axis_value(const struct pp_cli_axis *axis, unsigned step,
                              char text[PP_CLI_AXIS_TEXT_BYTES]);

#endif
