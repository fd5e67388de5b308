/* Engines, peers and the floor: as text, and as JSON. */
#include "report/capabilities.h"

#include "base/format.h"
#include "base/number.h"
#include "report/json_parts.h"
#include "report/line.h"
#include "report/table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define FORMAT "pingpong-engines"
#define FORMAT_VERSION 1

/* ---- text: engines ---- */

enum state { GRANTED, TO_BE_ASKED_FOR, MISSING };

static enum state state_of(const struct pp_io_feature_facts *feature)
{
    return !feature->granted ? MISSING : feature->opt_in ? TO_BE_ASKED_FOR : GRANTED;
}

/* The names of those features, a field of the line; nothing where there are none. */
static void names_field(struct pp_line *line, const struct pp_io_engine_facts *engine,
                        enum state state, const char *before)
{
    char names[256];
    size_t used = 0;

    for (unsigned i = 0; i < engine->feature_count && used < sizeof names; i++)
        if (state_of(&engine->features[i]) == state)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                                     engine->features[i].name);
    if (used)
        pp_line_field(line, "%s%s", before, names);
}

/* A text of many words, a little to the right. */
static void words_line(FILE *out, const struct pp_report_style *style, const char *before,
                       const char *text)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };

    pp_line_field(&line, "%s", before);
    pp_line_words(&line, text);
    pp_line_end(&line);
}

static void engine_lines(FILE *out, const struct pp_report_style *style,
                         const struct pp_io_engine_facts *engine)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    char before[64];

    pp_line_field(&line, "engine %s", engine->name);
    pp_line_field(&line, engine->error.code ? "cannot run here" : "runs here");
    if (!engine->error.code) {
        names_field(&line, engine, GRANTED, "with ");
        (void)snprintf(before, sizeof before, "as %s:FEATURE with ", engine->name);
        names_field(&line, engine, TO_BE_ASKED_FOR, before);
        names_field(&line, engine, MISSING, "not with ");
    }
    pp_line_end(&line);
    if (engine->error.code)
        words_line(out, style, " ", engine->error.text);
    for (unsigned i = 0; i < engine->feature_count; i++)
        if (engine->features[i].why[0])
            words_line(out, style, " ", engine->features[i].why);
}

/* ---- text: peers ---- */

static void peer_line(FILE *out, const struct pp_report_style *style,
                      const struct pp_capabilities *found)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };

    if (found->peer_count == 0)
        return;
    pp_line_field(&line, "peers for compare");
    for (unsigned i = 0; i < found->peer_count; i++)
        pp_line_field(&line, "%s", found->peers[i]);
    pp_line_end(&line);
}

/* ---- text: the floor ---- */

static const char *const labels[PP_FLOOR_KINDS] = {
    [PP_FLOOR_ONE_THREAD] = "one thread, both ends", [PP_FLOOR_SAME_BLOCK] = "same CPU, blocking",
    [PP_FLOOR_SAME_YIELD] = "same CPU, yielding",    [PP_FLOOR_SPLIT_BLOCK] = "two CPUs, blocking",
    [PP_FLOOR_SPLIT_SPIN] = "two CPUs, spinning",
};

static double cpu_ns_each(const struct pp_floor *floor)
{
    return (double)floor->cpu_ns / (double)floor->round_trips;
}

static void floor_table(FILE *out, const struct pp_report_style *style,
                        const struct pp_capabilities *found)
{
    struct pp_table table = { .title = "by hand, TCP", .rows = PP_FLOOR_KINDS };
    const unsigned rate = pp_table_head(&table, "roundtrips/s");
    const unsigned each = pp_table_head(&table, "\u00b5s each");
    const unsigned cpu = pp_table_head(&table, "CPU \u00b5s each");

    for (unsigned i = 0; i < PP_FLOOR_KINDS; i++) {
        const struct pp_floor *floor = &found->floors[i].floor;
        char(*cells)[PP_FORMAT_BYTES] = table.cells[i];

        table.labels[i] = labels[i];
        (void)snprintf(cells[rate], PP_FORMAT_BYTES, "n/a");
        (void)snprintf(cells[each], PP_FORMAT_BYTES, "n/a");
        (void)snprintf(cells[cpu], PP_FORMAT_BYTES, "n/a");
        if (found->floors[i].error.code)
            continue;
        (void)pp_format_decimal(cells[rate], pp_number_per_s(floor->round_trips, floor->elapsed_ns),
                                0);
        (void)pp_format_us(cells[each], (double)floor->elapsed_ns / (double)floor->round_trips);
        if (!floor->cpu_unknown)
            (void)pp_format_us(cells[cpu], cpu_ns_each(floor));
    }
    pp_table_write(&table, out, style->columns);
}

/* Each reason once. */
static void floor_reasons(FILE *out, const struct pp_report_style *style,
                          const struct pp_capabilities *found)
{
    const char *last = "";

    for (unsigned i = 0; i < PP_FLOOR_KINDS; i++) {
        const struct pp_error *error = &found->floors[i].error;

        if (!error->code || strcmp(error->text, last) == 0)
            continue;
        words_line(out, style, "n/a:", error->text);
        last = error->text;
    }
}

static void floor_lines(FILE *out, const struct pp_report_style *style,
                        const struct pp_capabilities *found)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    (void)fputc('\n', out);
    floor_table(out, style, found);
    floor_reasons(out, style, found);
    pp_line_field(&line, "a system call %s ns", pp_format_decimal(text, found->call_ns, 0));
    pp_line_field(&line, "a clock reading %s ns", pp_format_decimal(text, found->clock_ns, 0));
    if (found->cpus[0] != PP_CPU_ANY && found->cpus[1] != PP_CPU_ANY)
        pp_line_field(&line, "CPUs %d and %d", found->cpus[0], found->cpus[1]);
    else if (found->cpus[0] != PP_CPU_ANY)
        pp_line_field(&line, "CPU %d", found->cpus[0]);
    pp_line_end(&line);
}

void pp_report_capabilities_text(FILE *out, const struct pp_report_style *style,
                                 const struct pp_capabilities *found)
{
    for (unsigned i = 0; i < found->engine_count; i++)
        engine_lines(out, style, &found->engines[i]);
    peer_line(out, style, found);
    floor_lines(out, style, found);
}

/* ---- JSON ---- */

static const char *const names[PP_FLOOR_KINDS] = {
    [PP_FLOOR_ONE_THREAD] = "one_thread",     [PP_FLOOR_SAME_BLOCK] = "same_cpu_block",
    [PP_FLOOR_SAME_YIELD] = "same_cpu_yield", [PP_FLOOR_SPLIT_BLOCK] = "two_cpus_block",
    [PP_FLOOR_SPLIT_SPIN] = "two_cpus_spin",
};

/* Takes value over. False without memory. */
static bool append(json_t *array, json_t *value)
{
    return json_array_append_new(array, value) == 0;
}

static json_t *finished(json_t *array, bool whole)
{
    if (whole)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *features(const struct pp_io_engine_facts *engine)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < engine->feature_count; i++) {
        const struct pp_io_feature_facts *feature = &engine->features[i];

        whole = append(array, json_pack("{s:s, s:b, s:b, s:o}", "name", feature->name, "opt_in",
                                        (int)feature->opt_in, "granted", (int)feature->granted,
                                        "why", pp_json_text(feature->why)));
    }
    return finished(array, whole);
}

/* "EPERM" */
static json_t *error_name(const struct pp_error *error)
{
    return error->code ? pp_json_text(strerrorname_np(-error->code)) : json_null();
}

static json_t *engines(const struct pp_capabilities *found)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < found->engine_count; i++) {
        const struct pp_io_engine_facts *engine = &found->engines[i];

        whole = append(
            array, json_pack("{s:s, s:b, s:o, s:o, s:o, s:o}", "name", engine->name, "available",
                             engine->error.code == 0, "errno", error_name(&engine->error), "why",
                             pp_json_text(engine->error.text), "description",
                             pp_json_text(engine->description), "features", features(engine)));
    }
    return finished(array, whole);
}

static json_t *peers(const struct pp_capabilities *found)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < found->peer_count; i++)
        whole = append(array, json_pack("{s:s}", "name", found->peers[i]));
    return finished(array, whole);
}

static json_t *floor_object(const struct pp_floor_found *found, const char *name)
{
    const struct pp_floor *floor = &found->floor;
    const bool known = found->error.code == 0;

    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o}", "name", name, "why", pp_json_text(found->error.text),
        "round_trips", known ? json_integer((json_int_t)floor->round_trips) : json_null(),
        "duration_ns", pp_json_ns(floor->elapsed_ns, known), "round_trips_per_s",
        known ? json_real(pp_number_per_s(floor->round_trips, floor->elapsed_ns)) : json_null(),
        "cpu_ns_per_round_trip",
        known && !floor->cpu_unknown ? json_real(cpu_ns_each(floor)) : json_null());
}

static json_t *floors(const struct pp_capabilities *found)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < PP_FLOOR_KINDS; i++)
        whole = append(array, floor_object(&found->floors[i], names[i]));
    return finished(array, whole);
}

static json_t *cpus(const struct pp_capabilities *found)
{
    json_t *array = json_array();
    bool whole = array;

    for (unsigned i = 0; whole && i < 2; i++)
        if (found->cpus[i] != PP_CPU_ANY)
            whole = append(array, json_integer(found->cpus[i]));
    return finished(array, whole);
}

int pp_report_capabilities_json(FILE *out, const struct pp_capabilities *found,
                                struct pp_error *err)
{
    json_t *object = json_pack(
        "{s:s, s:i, s:s, s:o, s:o, s:{s:s, s:f, s:f, s:o, s:o}}", "format", FORMAT,
        "format_version", FORMAT_VERSION, "pingpong", PP_VERSION, "engines", engines(found),
        "peers", peers(found), "floor", "transport", "tcp", "system_call_ns", found->call_ns,
        "clock_reading_ns", found->clock_ns, "cpus", cpus(found), "loops", floors(found));
    const int ret = object ? json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : -1;

    json_decref(object);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the engines as JSON");
    (void)fputc('\n', out);
    return 0;
}
