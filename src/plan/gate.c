#include "plan/gate.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PERCENTILE_MIN 0.001
#define PERCENTILE_MAX 99.99999

static const struct {
    const char *text;
    enum pp_gate_op op;
} operators[] = {
    { "<=", PP_GATE_LESS_EQUAL }, { ">=", PP_GATE_MORE_EQUAL }, { "==", PP_GATE_EQUAL },
    { "!=", PP_GATE_NOT_EQUAL },  { "<", PP_GATE_LESS },        { ">", PP_GATE_MORE },
};

static int refuse(const char *text, const char *why, struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "--fail-if \"%.60s\": %s, as in 'p99>200us', 'rate<50k' or 'loss>0.1%%' "
                        "(in quotes: the shell takes < and > for itself)",
                        text, why);
}

double pp_gate_quantile(const char *name)
{
    double percentile;

    if (name[0] != 'p' ||
        pp_number_parse_rate(name + 1, PERCENTILE_MIN, PERCENTILE_MAX, &percentile) < 0)
        return 0;
    return percentile / 100;
}

bool pp_gate_is_time(const char *figure)
{
    static const char *const times[] = { "min", "mean", "max", "cpu" };
    const size_t length = strlen(figure);
    const char *dot = strchr(figure, '.');

    for (size_t i = 0; i < COUNT_OF(times); i++)
        if (strcmp(figure, times[i]) == 0)
            return true;
    for (; dot; dot = strchr(dot + 1, '.'))
        if (pp_gate_quantile(dot + 1) > 0)
            return true;
    return (figure[0] == 'p' && isdigit((unsigned char)figure[1])) ||
           (length > 3 && strcmp(figure + length - 3, "_ns") == 0) || strstr(figure, "_ns_");
}

static int read_time(struct pp_gate *gate, const char *text, struct pp_error *err)
{
    uint64_t ns;

    if (isdigit((unsigned char)text[strlen(text) - 1]) && strcmp(text, "0") != 0)
        return refuse(gate->text, "a time needs a unit", err);
    if (pp_number_parse_duration(text, 1, 0, UINT64_MAX / 2, &ns) < 0)
        return refuse(gate->text, "it takes a time", err);
    gate->limit = (double)ns;
    return 0;
}

static int read_number(struct pp_gate *gate, const char *text, struct pp_error *err)
{
    char *end;

    gate->limit = strtod(text, &end);
    if (end == text || end != text + strspn(text, "0123456789.")) /* no sign, no 0x, no inf */
        return refuse(gate->text, "it takes a number", err);
    if (*end && strchr("nums", *end))
        return refuse(gate->text, "no time that a result has is called that", err);
    if (*end == '%')
        gate->limit /= 100;
    else if (*end == 'k')
        gate->limit *= 1e3;
    else if (*end == 'M')
        gate->limit *= 1e6;
    else if (*end == 'G')
        gate->limit *= 1e9;
    else if (*end)
        return refuse(gate->text, "it takes a number", err);
    if (*end && end[1])
        return refuse(gate->text, "it takes a number", err);
    return 0;
}

/* The operator at text; its length in bytes, or 0. */
static size_t read_operator(struct pp_gate *gate, const char *text)
{
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        const size_t length = strlen(operators[i].text);

        if (strncmp(text, operators[i].text, length) != 0)
            continue;
        gate->op = operators[i].op;
        return length;
    }
    return 0;
}

/* Reads all up to the limit. Returns that, or NULL with *why set. */
static const char *read_figure(struct pp_gate *gate, const char *text, size_t bytes,
                               const char **why)
{
    size_t length = 0, used;

    *gate = (struct pp_gate){ .limit = 0 };
    *why = "it is too long";
    if (bytes >= sizeof gate->text)
        return NULL;
    for (size_t i = 0; i < bytes; i++)
        if (!isspace((unsigned char)text[i]))
            gate->text[length++] = text[i];
    used = strcspn(gate->text, "<>=!");
    memcpy(gate->figure, gate->text, used);
    length = read_operator(gate, gate->text + used);
    *why = used == 0 || length == 0 ? "it takes a figure, < or >, and a limit"
                                    : "a limit is missing";
    return used > 0 && length > 0 && gate->text[used + length] ? gate->text + used + length : NULL;
}

int pp_gate_parse(struct pp_gate *gate, const char *text, size_t bytes, struct pp_error *err)
{
    const char *why, *limit = read_figure(gate, text, bytes, &why);

    if (!limit)
        return refuse(gate->text[0] ? gate->text : text, why, err);
    return pp_gate_is_time(gate->figure) ? read_time(gate, limit, err)
                                         : read_number(gate, limit, err);
}

int pp_gate_parse_change(struct pp_gate *gate, const char *text, size_t bytes, struct pp_error *err)
{
    const char *why, *limit = read_figure(gate, text, bytes, &why);
    char *end;

    if (limit && gate->op != PP_GATE_EQUAL && gate->op != PP_GATE_NOT_EQUAL &&
        limit[strspn(limit, "+-0123456789.")] == '%') {
        gate->limit = strtod(limit, &end) / 100;
        if (end > limit && strcmp(end, "%") == 0 && gate->limit > -1)
            return 0;
        if (gate->limit <= -1)
            return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                                "--fail-if \"%.60s\": nothing falls by 100 %% or more, so that is "
                                "met never or always: give less",
                                gate->text);
    }
    return pp_error_set(
        err, PP_ERROR_USAGE, -EINVAL,
        "--fail-if \"%.60s\": it takes cpu, rate, p50 or p99, < or >, and a change "
        "in percent, as in 'rate<-3%%' or 'p99>+10%%' (in quotes: the shell takes < "
        "and > for itself)",
        gate->text[0] ? gate->text : text);
}

bool pp_gate_meets(const struct pp_gate *gate, double value)
{
    switch (gate->op) {
    case PP_GATE_LESS:
        return value < gate->limit;
    case PP_GATE_LESS_EQUAL:
        return value <= gate->limit;
    case PP_GATE_MORE:
        return value > gate->limit;
    case PP_GATE_MORE_EQUAL:
        return value >= gate->limit;
    case PP_GATE_EQUAL:
        return !(value < gate->limit) && !(value > gate->limit);
    case PP_GATE_NOT_EQUAL:
        break;
    }
    return value < gate->limit || value > gate->limit;
}
