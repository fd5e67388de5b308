/* What is typed for an option, read as its row says. */
#include "cli/table.h"

#include "base/assert.h"
#include "base/escape.h"
#include "base/format.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- fields ---- */

uint64_t pp_cli_field_get(struct pp_cli *cli, struct pp_cli_field field)
{
    const void *at = pp_cli_field_of(cli, field);

    switch (field.bytes) {
    case sizeof(uint8_t):
        return *(const uint8_t *)at;
    case sizeof(uint16_t):
        return *(const uint16_t *)at;
    case sizeof(uint32_t):
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

/* An integer that fits into the field. */
static void put(struct pp_cli *cli, struct pp_cli_field field, uint64_t value)
{
    void *at = pp_cli_field_of(cli, field);

    switch (field.bytes) {
    case sizeof(uint8_t):
        *(uint8_t *)at = (uint8_t)value;
        break;
    case sizeof(uint16_t):
        *(uint16_t *)at = (uint16_t)value;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)at = (uint32_t)value;
        break;
    default:
        *(uint64_t *)at = value;
    }
    pp_assert(pp_cli_field_get(cli, field) == value);
}

static void put_pointer(struct pp_cli *cli, struct pp_cli_field field, const char *value)
{
    *(const char **)pp_cli_field_of(cli, field) = value;
}

/* ---- numbers ---- */

/* "0xb8", as such a byte is written everywhere, or "184". */
static int parse_byte(const char *text, uint64_t *value)
{
    const size_t digits = strlen(text) - 2;

    if (strncmp(text, "0x", 2) != 0)
        return pp_number_parse_count(text, 0, UINT8_MAX, value);
    if (digits < 1 || digits > 2 || strspn(text + 2, "0123456789abcdefABCDEF") != digits)
        return -EINVAL;
    *value = strtoul(text + 2, NULL, 16);
    return 0;
}

/* A field of 32 bits counts in whole units. */
static int parse_time(const struct pp_cli_option *option, const char *text, uint64_t *value)
{
    const int ret = pp_number_parse_duration(text, option->unit_ns, option->min, option->max,
                                             value);

    if (ret < 0 || option->field.bytes == sizeof *value)
        return ret;
    if (*value % option->unit_ns != 0)
        return -EINVAL;
    *value /= option->unit_ns;
    return 0;
}

static int parse_choice(struct pp_cli *cli, const struct pp_cli_option *option, const char *text,
                        uint64_t *value)
{
    const bool automatic = option->automatic.bytes && strcmp(text, "auto") == 0;

    if (option->automatic.bytes)
        put(cli, option->automatic, automatic);
    for (*value = 0; !automatic && option->words[*value]; ++*value)
        if (strcmp(text, option->words[*value]) == 0)
            return 0;
    *value = 0;
    return automatic ? 0 : -EINVAL;
}

static int parse_integer(struct pp_cli *cli, const struct pp_cli_option *option, const char *text,
                         uint64_t *value)
{
    if (option->type == PP_CLI_BYTE)
        return parse_byte(text, value);
    if (option->type == PP_CLI_SIZE)
        return pp_number_parse_size(text, option->min, option->max, value);
    if (option->type == PP_CLI_TIME)
        return parse_time(option, text, value);
    if (option->type == PP_CLI_CHOICE)
        return parse_choice(cli, option, text, value);
    return pp_number_parse_count(text, option->min, option->max, value);
}

/* ---- percentiles ---- */

/* Of two columns with one name, programs would find only one. */
static bool has_percentile(const struct pp_plan *plan, unsigned count, double q)
{
    char wanted[PP_FORMAT_BYTES], text[PP_FORMAT_BYTES];

    (void)pp_format_percentile(wanted, q);
    for (unsigned i = 0; i < count; i++)
        if (strcmp(pp_format_percentile(text, plan->quantiles[i]), wanted) == 0)
            return true;
    return false;
}

/* "50,99,99.99" */
static int take_percentiles(struct pp_cli *cli, const struct pp_cli_option *option,
                            const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    unsigned count = 0;

    for (const char *text = value;; text++) {
        const size_t bytes = strcspn(text, ",");
        char one[32];
        double percentile;

        if (bytes >= sizeof one || count == PP_PLAN_QUANTILES_MAX)
            return -EINVAL;
        memcpy(one, text, bytes);
        one[bytes] = '\0';
        if (pp_number_parse_rate(one, option->low, option->high, &percentile) < 0)
            return -EINVAL;
        if (has_percentile(plan, count, percentile / 100))
            return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                                "--percentiles has %s twice: name each percentile once", one);
        plan->quantiles[count++] = percentile / 100;
        text += bytes;
        if (!*text)
            break;
    }
    plan->quantile_count = count;
    return 0;
}

/* ---- text ---- */

static int take_text(struct pp_plan_text *text, const char *value, struct pp_error *err)
{
    char most[PP_FORMAT_BYTES];
    const int ret = *value ? pp_escape_decode(value, text->text, sizeof text->text, &text->bytes)
                           : -EINVAL;

    if (ret != -E2BIG)
        return ret;
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "the text to send or expect has at most %s bytes, not \"%.40s...\"",
                        pp_format_count(most, sizeof text->text), value);
}

static int take_name(struct pp_cli *cli, struct pp_cli_field field, const char *value)
{
    const size_t bytes = strlen(value);

    if (bytes == 0 || bytes >= field.bytes)
        return -EINVAL;
    for (size_t i = 0; i < bytes; i++)
        if (!isgraph((unsigned char)value[i]))
            return -EINVAL;
    memcpy(pp_cli_field_of(cli, field), value, bytes + 1);
    return 0;
}

bool pp_cli_has_port(const char *address)
{
    struct pp_target target = { 0 };
    size_t bytes;

    if (pp_target_parse(&target, address) < 0 || target.path[0])
        return false;
    bytes = strlen(target.host);
    return strlen(address) > bytes + (*address == '[' ? 2 : 0);
}

/* It is read at the end, when it is known what else was given. */
static int take_address(struct pp_cli *cli, const struct pp_cli_option *option, const char *value)
{
    struct pp_target target = { 0 };

    if (pp_target_parse(&target, value) < 0 || (target.path[0] && !option->has_path) ||
        (pp_cli_has_port(value) && !option->has_port))
        return -EINVAL;
    put_pointer(cli, option->field, value);
    return 0;
}

/* The same format twice means the last one. path is NULL where none was given. */
static void take_output(struct pp_cli *cli, const struct pp_report_format *format, const char *path)
{
    unsigned i = 0;

    while (i < cli->output_count && cli->outputs[i].format != format)
        i++;
    if (i == cli->output_count)
        cli->output_count++;
    cli->outputs[i] = (struct pp_cli_output){ .format = format, .path = path };
}

static int take_file(struct pp_cli *cli, const struct pp_cli_option *option, const char *value)
{
    if (value && !*value)
        return -EINVAL;
    if (option->format)
        take_output(cli, option->format, value);
    else
        put_pointer(cli, option->field, value);
    return 0;
}

static int take_engine(struct pp_cli *cli, const struct pp_cli_option *option, const char *value)
{
    if (strcmp(value, "auto") != 0 && !pp_io_engine_exists(value))
        return -EINVAL;
    put_pointer(cli, option->field, value);
    return 0;
}

/* ---- any ---- */

static int take(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                struct pp_error *err)
{
    uint64_t integer = option->max;
    int ret = 0;

    switch (option->type) {
    case PP_CLI_ACTION:
        cli->command = pp_cli_command_find(option->name);
        return 0;
    case PP_CLI_NUMBER:
    case PP_CLI_PORT:
    case PP_CLI_BYTE:
    case PP_CLI_SIZE:
    case PP_CLI_TIME:
    case PP_CLI_CHOICE:
        ret = parse_integer(cli, option, value, &integer);
        break;
    case PP_CLI_FLAG:
        break;
    case PP_CLI_RATE:
        return pp_number_parse_rate(value, option->low, option->high,
                                    pp_cli_field_of(cli, option->field));
    case PP_CLI_PERCENTILES:
        return take_percentiles(cli, option, value, err);
    case PP_CLI_ENGINE:
        return take_engine(cli, option, value);
    case PP_CLI_ADDRESS:
        return take_address(cli, option, value);
    case PP_CLI_COMMAND:
        if (!*value)
            return -EINVAL;
        put_pointer(cli, option->field, value);
        return 0;
    case PP_CLI_FILE:
        return take_file(cli, option, value);
    case PP_CLI_TEXT:
        return take_text(pp_cli_field_of(cli, option->field), value, err);
    case PP_CLI_NAME:
        return take_name(cli, option->field, value);
    case PP_CLI_OTHER:
        break;
    }
    if (ret == 0)
        put(cli, option->field, integer);
    return ret;
}

int pp_cli_option_apply(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                        struct pp_error *err)
{
    const int ret = option->apply ? option->apply(cli, option, value, err)
                                  : take(cli, option, value, err);

    if (ret == 0 && option->given.bytes)
        put(cli, option->given, true);
    return ret;
}
