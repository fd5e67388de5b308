#include "cli/axis.h"

#include "base/clock.h"
#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where nobody says by how much it goes up. */
#define FACTOR_WIDE 10
#define FACTOR 2
#define WIDE 100 /* from the lowest to the highest */

/* Rates have decimals below this. */
#define RATE_WHOLE 1000

/* A number of an axis as text has at most so many bytes. */
#define NUMBER_BYTES 24

static int refuse(const struct pp_cli_option *option, const char *text, const char *why,
                  struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "--%s %.60s: %s; an axis is LOW..HIGH, LOW..HIGH:xFACTOR, LOW..HIGH:+STEP "
                        "or A,B,C, such as 1..1000:x10",
                        option->name, text, why);
}

/* In what the option counts; -EINVAL: it is none. */
static int parse_number(const struct pp_cli_option *option, const char *text, size_t bytes,
                        double *value)
{
    char number[NUMBER_BYTES];
    uint64_t whole = 0;
    int ret;

    if (bytes >= sizeof number)
        return -EINVAL;
    memcpy(number, text, bytes);
    number[bytes] = '\0';
    if (option->type == PP_CLI_RATE)
        return pp_number_parse_rate(number, option->low, option->high, value);
    if (option->type == PP_CLI_SIZE)
        ret = pp_number_parse_size(number, option->min, option->max, &whole);
    else if (option->type == PP_CLI_TIME)
        ret = pp_number_parse_duration(number, option->unit_ns, option->min, option->max, &whole);
    else
        ret = pp_number_parse_count(number, option->min, option->max, &whole);
    *value = (double)whole;
    return ret;
}

bool pp_cli_is_axis(const struct pp_cli_option *option, const char *text)
{
    const bool number = option->type == PP_CLI_NUMBER || option->type == PP_CLI_SIZE ||
                        option->type == PP_CLI_TIME || option->type == PP_CLI_RATE;

    /* A comma in a size is before the response's. */
    return number && text &&
           (strstr(text, "..") || (strchr(text, ',') && option->type != PP_CLI_SIZE));
}

/* Whole where the option is; what is no more than the one before it is left out. */
static int add_value(struct pp_cli_axis *axis, double value)
{
    if (axis->option->type != PP_CLI_RATE || value >= RATE_WHOLE)
        value = round(value);
    if (axis->count > 0 && value <= axis->values[axis->count - 1])
        return 0;
    if (axis->count == PP_CLI_AXIS_MAX)
        return -E2BIG;
    axis->values[axis->count++] = value;
    return 0;
}

/* From zero, where no factor leads anywhere, the second one is a whole unit. */
static double next_value(const struct pp_cli_axis *axis, double value)
{
    const double unit = axis->option->type == PP_CLI_TIME ? (double)axis->option->unit_ns : 1;

    if (axis->step > 0)
        return value + axis->step;
    return value > 0 ? value * axis->factor : unit;
}

/* The last step is high itself; one that would be hardly below it is left out. */
int pp_cli_axis_end(struct pp_cli_axis *axis, double high, struct pp_error *err)
{
    int ret = 0;

    axis->to_max = false;
    for (double value = axis->low; ret == 0 && value < high * 0.999;
         value = next_value(axis, value))
        ret = add_value(axis, value);
    if (ret == 0)
        ret = add_value(axis, high);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "--%s has more than %d steps: take larger ones, as :x2",
                            axis->option->name, PP_CLI_AXIS_MAX);
    return 0;
}

/* ":x10" or ":+5", if there is one. */
static int parse_steps(struct pp_cli_axis *axis, const char *text, double high)
{
    char *end;

    axis->factor = high >= WIDE * axis->low ? FACTOR_WIDE : FACTOR;
    if (!*text)
        return 0;
    if (text[1] == '+')
        return parse_number(axis->option, text + 2, strlen(text + 2), &axis->step);
    if (text[1] != 'x' || !strchr("0123456789.", text[2]))
        return -EINVAL;
    axis->factor = strtod(text + 2, &end);
    return *end || !(axis->factor > 1) ? -EINVAL : 0;
}

static int parse_range(struct pp_cli_axis *axis, const char *text, struct pp_error *err)
{
    const char *dots = strstr(text, ".."), *high_text = dots + 2;
    const size_t bytes = strcspn(high_text, ":");
    double high = INFINITY;

    axis->to_max = axis->option->type == PP_CLI_RATE && bytes == 3 &&
                   memcmp(high_text, "max", 3) == 0;
    if (parse_number(axis->option, text, (size_t)(dots - text), &axis->low) < 0)
        return refuse(axis->option, text, "the lowest value is none of this option", err);
    if (!axis->to_max && parse_number(axis->option, high_text, bytes, &high) < 0)
        return refuse(axis->option, text, "the highest value is none of this option", err);
    if (!(high > axis->low))
        return refuse(axis->option, text, "the highest value is not above the lowest", err);
    if (parse_steps(axis, high_text + bytes, high) < 0)
        return refuse(axis->option, text,
                      "after the colon there is x and a factor above 1, or + "
                      "and a step",
                      err);
    return axis->to_max ? 0 : pp_cli_axis_end(axis, high, err);
}

static int parse_list(struct pp_cli_axis *axis, const char *text, struct pp_error *err)
{
    for (const char *at = text;; at++) {
        const size_t bytes = strcspn(at, ",");
        const unsigned before = axis->count;
        double value;

        if (parse_number(axis->option, at, bytes, &value) < 0)
            return refuse(axis->option, text, "one of the values is none of this option", err);
        if (add_value(axis, value) < 0)
            return refuse(axis->option, text, "there are too many values", err);
        if (axis->count == before)
            return refuse(axis->option, text, "the values do not rise", err);
        at += bytes;
        if (!*at)
            return 0;
    }
}

int pp_cli_axis_parse(struct pp_cli_axis *axis, const struct pp_cli_option *option,
                      const char *text, struct pp_error *err)
{
    *axis = (struct pp_cli_axis){ .option = option };
    return strstr(text, "..") ? parse_range(axis, text, err) : parse_list(axis, text, err);
}

const char *pp_cli_axis_value(const struct pp_cli_axis *axis, unsigned step,
                              char text[PP_CLI_AXIS_TEXT_BYTES])
{
    const double value = axis->values[step];

    if (axis->option->type == PP_CLI_RATE)
        (void)snprintf(text, PP_CLI_AXIS_TEXT_BYTES, "%.10g", value);
    else
        (void)snprintf(text, PP_CLI_AXIS_TEXT_BYTES, "%" PRIu64 "%s", (uint64_t)value,
                       axis->option->type == PP_CLI_TIME ? "ns" : "");
    return text;
}
