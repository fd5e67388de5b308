/* From the parts to the whole: lists of words, numbers with their units, what a value is called,
 * what an option takes, what it does; and the titles of the groups. */
#include "cli/describe.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A default of up to so many units is told without its unit. */
#define BARE_MAX 60

void pp_cli_text_add(struct pp_cli_text *out, const char *format, ...)
{
    const size_t room = sizeof out->text - out->used;
    va_list args;
    int bytes;

    va_start(args, format);
    bytes = vsnprintf(out->text + out->used, room, format, args);
    va_end(args);
    if (bytes > 0)
        out->used += (size_t)bytes < room ? (size_t)bytes : room - 1;
}

/* ---- lists ---- */

const char *pp_cli_separator(size_t i, size_t count, const char *separator, const char *last)
{
    return i == 0 ? "" : i + 1 == count ? last : separator;
}

struct pp_cli_text pp_cli_jobs_text(unsigned jobs, const char *separator, const char *last)
{
    const unsigned count = (unsigned)__builtin_popcount(jobs);
    struct pp_cli_text out = { 0 };
    unsigned i = 0;

    for (unsigned job = 1; job && job <= jobs; job <<= 1)
        if (jobs & job) {
            pp_cli_text_add(&out, "%s%s", pp_cli_separator(i, count, separator, last),
                            pp_cli_command_of(job)->name);
            i++;
        }
    return out;
}

unsigned pp_cli_words(const struct pp_cli_option *option, const char *words[PP_CLI_WORDS_MAX])
{
    const char *engines[PP_IO_ENGINES_MAX];
    const char *const *from = option->words;
    unsigned count = 0;

    if (option->type == PP_CLI_ENGINE) {
        pp_io_engine_list(PP_PLAN_CONNECTIONS_MAX, engines);
        from = engines;
    }
    if (option->type == PP_CLI_ENGINE || option->automatic.bytes)
        words[count++] = "auto";
    for (; from && *from && count < PP_CLI_WORDS_MAX; from++)
        words[count++] = *from;
    return count;
}

/* "a, b or c"; of those that a time may follow with it on request. */
static void add_words(struct pp_cli_text *out, const struct pp_cli_option *option,
                      const char *separator, const char *last, bool with_times)
{
    const char *words[PP_CLI_WORDS_MAX];
    const unsigned count = pp_cli_words(option, words);
    const unsigned timed = option->automatic.bytes ? option->timed << 1 : option->timed;

    for (unsigned i = 0; i < count; i++)
        pp_cli_text_add(out, "%s%s%s", pp_cli_separator(i, count, separator, last), words[i],
                        with_times && timed >> i & 1 ? "[:MICROSECONDS]" : "");
}

/* ---- numbers ---- */

static const char *unit_name(const struct pp_cli_option *option, bool short_name)
{
    if (option->unit_ns == PP_NS_PER_S)
        return "seconds";
    return short_name ? "\u00b5s" : "microseconds";
}

/* With the largest of the units that makes it whole. */
static void add_time(struct pp_cli_text *out, uint64_t ns)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = { { 60 * PP_NS_PER_S, "m" },
                  { PP_NS_PER_S, "s" },
                  { PP_NS_PER_MS, "ms" },
                  { PP_NS_PER_US, "us" } };
    size_t i = 0;

    if (ns == PP_CLI_YEAR_NS || ns == PP_CLI_HOUR_NS) {
        pp_cli_text_add(out, ns == PP_CLI_YEAR_NS ? "a year" : "an hour");
        return;
    }
    while (i + 1 < COUNT_OF(units) && ns % units[i].ns != 0)
        i++;
    i += ns == units[0].ns; /* 60s */
    pp_cli_text_add(out, ns ? "%" PRIu64 "%s" : "%" PRIu64, ns / units[i].ns, units[i].name);
}

static void add_size(struct pp_cli_text *out, uint64_t bytes)
{
    static const char *const suffixes[] = { "", "KiB", "MiB", "GiB" };
    size_t i = 0;

    for (; i + 1 < COUNT_OF(suffixes) && bytes && bytes % 1024 == 0; i++)
        bytes /= 1024;
    pp_cli_text_add(out, "%" PRIu64 "%s", bytes, suffixes[i]);
}

static void add_number(struct pp_cli_text *out, const struct pp_cli_option *option, uint64_t number)
{
    char text[PP_FORMAT_BYTES];

    if (option->type == PP_CLI_TIME || option->timed)
        add_time(out, number);
    else if (option->type == PP_CLI_SIZE)
        add_size(out, number);
    else if (option->type == PP_CLI_PORT)
        pp_cli_text_add(out, "%" PRIu64, number);
    else
        pp_cli_text_add(out, "%s", pp_format_count(text, number));
}

static void add_decimal(struct pp_cli_text *out, double number)
{
    char text[PP_FORMAT_BYTES];

    if (number >= 1000)
        pp_cli_text_add(out, "%s", pp_format_count(text, (uint64_t)number));
    else
        pp_cli_text_add(out, "%.9g", number);
}

static void add_range(struct pp_cli_text *out, const struct pp_cli_option *option)
{
    const bool decimal = option->type == PP_CLI_RATE || option->type == PP_CLI_PERCENTILES;

    pp_cli_text_add(out, " from ");
    if (decimal)
        add_decimal(out, option->low);
    else
        add_number(out, option, option->min);
    pp_cli_text_add(out, " to ");
    if (decimal)
        add_decimal(out, option->high);
    else
        add_number(out, option, option->max);
}

/* text with value in the place of {}. */
static void add_with(struct pp_cli_text *out, const char *text, const char *value)
{
    const char *place = strstr(text, "{}");

    if (place)
        pp_cli_text_add(out, "%.*s%s%s", (int)(place - text), text, value, place + 2);
    else
        pp_cli_text_add(out, "%s", text);
}

/* ---- the value ---- */

/* What the value of a type is called, and what it is: of one with a range the beginning. */
static const struct {
    const char *value, *takes;
    bool ranges;
} types[] = {
    [PP_CLI_FLAG] = { "", "", false },
    [PP_CLI_ACTION] = { "", "", false },
    [PP_CLI_NUMBER] = { "N", "a whole number", true },
    [PP_CLI_PORT] = { "PORT", "a port", true },
    [PP_CLI_BYTE] = { "N", "a number from 0 to 255 or 0x0 to 0xff", false },
    [PP_CLI_SIZE] = { "SIZE", "a size", true },
    [PP_CLI_TIME] = { "TIME", "a time", true },
    [PP_CLI_RATE] = { "RATE", "a rate", true },
    [PP_CLI_PERCENTILES] = { "LIST", "up to " PP_CLI_TEXT_OF(PP_PLAN_QUANTILES_MAX) " percentiles",
                             true },
    [PP_CLI_CHOICE] = { "", "", false },
    [PP_CLI_ENGINE] = { "NAME", "", false },
    [PP_CLI_ADDRESS] = { "ADDRESS", "", false },
    [PP_CLI_FILE] = { "FILE", "the name of a file, or - for standard output", false },
    [PP_CLI_COMMAND] = { "COMMAND", "a command for the shell, in quotes", false },
    [PP_CLI_TEXT] = { "TEXT",
                      "text of 1 to {} bytes; \\n, \\r, \\t, \\0, \\\\ and \\xHH are what they are "
                      "in C",
                      false },
    [PP_CLI_NAME] = { "NAME", "", false },
    [PP_CLI_OTHER] = { "", "", false },
};

struct pp_cli_text pp_cli_value_text(const struct pp_cli_option *option)
{
    struct pp_cli_text out = { 0 };

    pp_cli_text_add(&out, "%s", option->value ? option->value : types[option->type].value);
    if (option->type == PP_CLI_CHOICE && !option->value)
        add_words(&out, option, "|", "|", false);
    if (option->format && option->optional)
        pp_cli_text_add(&out, "%s", option->format->suffix);
    return out;
}

/* ---- what it takes ---- */

/* Adds the names of an engine's features, or of those that have to be asked for. */
static void add_feature_names(struct pp_cli_text *out, const char *engine, bool opt_in,
                              const char *before)
{
    const char *names[PP_CLI_WORDS_MAX], *name;
    size_t count = 0;

    for (unsigned i = 0; count < COUNT_OF(names) && (name = pp_io_engine_feature(engine, i)); i++)
        if (pp_io_engine_is_opt_in(engine, i) == opt_in)
            names[count++] = name;
    for (size_t i = 0; i < count; i++)
        pp_cli_text_add(out, "%s%s", i == 0 ? before : i + 1 < count ? ", " : " or ", names[i]);
}

/* "io_uring:no-FEATURE", of each engine that has such. */
static void add_features(struct pp_cli_text *out, const char *separator, bool with_names)
{
    const char *engines[PP_IO_ENGINES_MAX];

    pp_io_engine_list(PP_PLAN_CONNECTIONS_MAX, engines);
    for (size_t i = 0; engines[i]; i++) {
        char before[64];

        if (!pp_io_engine_feature(engines[i], 0))
            continue;
        pp_cli_text_add(out, "%s%s:no-FEATURE", separator, engines[i]);
        if (!with_names)
            continue;
        add_feature_names(out, engines[i], false, " runs without ");
        (void)snprintf(before, sizeof before, ", and %.32s:FEATURE with ", engines[i]);
        add_feature_names(out, engines[i], true, before);
    }
}

struct pp_cli_text pp_cli_takes_text(const struct pp_cli_option *option)
{
    struct pp_cli_text out = { 0 };
    char text[PP_FORMAT_BYTES];

    add_with(&out, option->takes ? option->takes : types[option->type].takes,
             pp_format_count(text, option->max));
    if (option->type == PP_CLI_CHOICE || option->type == PP_CLI_ENGINE)
        add_words(&out, option, ", ", " or ", true);
    if (option->type == PP_CLI_ENGINE)
        add_features(&out, ", or ", false);
    if (option->timed)
        pp_cli_text_add(&out, ",");
    if (option->timed || types[option->type].ranges)
        add_range(&out, option);
    if (option->type == PP_CLI_RATE)
        pp_cli_text_add(&out, " messages a second");
    if (option->type == PP_CLI_TIME && option->field.bytes < sizeof option->max)
        pp_cli_text_add(&out, " in whole %s", unit_name(option, false));
    if (option->such_as) {
        pp_cli_text_add(&out, ", such as ");
        add_with(&out, option->such_as, unit_name(option, false));
    }
    return out;
}

/* ---- what it does ---- */

/* As it would be typed. */
static void add_default_number(struct pp_cli_text *out, const struct pp_cli_option *option,
                               uint64_t number)
{
    const bool bare = option->type == PP_CLI_TIME && number / option->unit_ns <= BARE_MAX;

    if (option->type == PP_CLI_TIME && !bare)
        add_time(out, number);
    else if (option->type == PP_CLI_NUMBER && number && number % 1000 == 0)
        pp_cli_text_add(out, "%" PRIu64 "k", number / 1000);
    else
        pp_cli_text_add(out, "%" PRIu64, bare ? number / option->unit_ns : number);
}

static void add_default_percentiles(struct pp_cli_text *out, const struct pp_plan *plan)
{
    char text[PP_FORMAT_BYTES];

    for (unsigned i = 0; i < plan->quantile_count; i++)
        pp_cli_text_add(out, "%s%s", i > 0 ? "," : "",
                        pp_format_percentile(text, plan->quantiles[i]));
}

/* Of the job that has the greatest one. */
static uint64_t default_number(struct pp_cli *cli, const struct pp_cli_option *option,
                               struct pp_cli_field field)
{
    uint64_t greatest = option->jobs & PP_CLI_EXPERIMENTS ? pp_cli_field_get(cli, field) : 0;

    for (enum pp_job job = PP_JOB_RUN; job <= PP_JOB_SERVE; job++) {
        uint64_t number;

        if (!(option->jobs >> job & 1))
            continue;
        pp_plan_default(&cli->plan, job);
        number = pp_cli_field_get(cli, field);
        greatest = number > greatest ? number : greatest;
    }
    return greatest;
}

static struct pp_cli_text default_text(const struct pp_cli_option *option)
{
    const struct pp_cli_field field = option->normal.bytes ? option->normal : option->field;
    struct pp_cli_text out = { 0 };
    struct pp_cli cli = { .experiment.rounds = PP_CLI_COMPARE_ROUNDS };
    const char *words[PP_CLI_WORDS_MAX];

    pp_plan_default(&cli.plan, PP_JOB_RUN);
    if (option->type == PP_CLI_PERCENTILES) {
        add_default_percentiles(&out, &cli.plan);
    } else if (option->type == PP_CLI_CHOICE) {
        (void)pp_cli_words(option, words);
        pp_cli_text_add(&out, "%s",
                        words[option->automatic.bytes ? 0 : pp_cli_field_get(&cli, field)]);
    } else if (option->type == PP_CLI_ENGINE) {
        pp_cli_text_add(&out, "%s", *(const char *const *)pp_cli_field_of(&cli, field));
    } else if (option->type == PP_CLI_ADDRESS) {
        pp_cli_text_add(&out, "%s", (const char *)pp_cli_field_of(&cli, field));
    } else {
        add_default_number(&out, option, default_number(&cli, option, field));
    }
    return out;
}

struct pp_cli_text pp_cli_help_text(const struct pp_cli_option *option)
{
    struct pp_cli_text out = { 0 };

    if (option->type == PP_CLI_ENGINE && strstr(option->help, "{}")) {
        struct pp_cli_text engines = { 0 };

        add_words(&engines, option, ", ", ", ", false);
        add_with(&out, option->help, engines.text + strlen("auto, "));
        add_features(&out, ". ", true);
    } else {
        add_with(&out, option->help, unit_name(option, true));
    }
    if (option->otherwise) {
        pp_cli_text_add(&out, " (");
        add_with(&out, option->otherwise,
                 strstr(option->otherwise, "{}") ? default_text(option).text : "");
        pp_cli_text_add(&out, ")");
    }
    return out;
}

/* ---- groups ---- */

const struct pp_cli_group_row pp_cli_groups[PP_CLI_GROUPS] = {
    [PP_CLI_LOAD] = { "The load", PP_CLI_RUN | PP_CLI_CLIENT },
    [PP_CLI_TRANSPORT] = { "Transport", PP_CLI_JOBS },
    [PP_CLI_FOREIGN] = { "Servers that are no pingpong", PP_CLI_CLIENT },
    [PP_CLI_HOW] = { "How it runs", PP_CLI_JOBS },
    [PP_CLI_TRIALS] = { "The trials", PP_CLI_EXPERIMENTS },
    [PP_CLI_RESULT] = { "The result", PP_CLI_RUN | PP_CLI_CLIENT },
    [PP_CLI_OUTPUT] = { "Output", PP_CLI_ALL },
};
