/* A table of columns that are the same in all forms: what each is called, and its cell of a point;
 * then the plot, and the forms. */
#include "report/sweep.h"

#include "base/format.h"
#include "report/csv_cell.h"
#include "report/line.h"
#include "report/text_parts.h"
#include "result/verdict.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define BAR_COLUMNS 30
#define BAR_COLUMNS_MIN 10
#define GAP 2

/* ---- columns ---- */

enum column { RATE, MEGABYTES, P50, P99, P999, CPU, VERDICT, COLUMNS };

static const struct {
    const char *head, *name; /* in CSV, where figures are in ns and bytes */
    unsigned spare;          /* where lines are short, the highest are left out first; 0: never */
} columns[COLUMNS] = {
    [RATE] = { "trips/s", "round_trips_per_s", 0 }, [MEGABYTES] = { "MB/s", "bytes_per_s", 3 },
    [P50] = { "p50 \u00b5s", "p50_ns", 1 },         [P99] = { "p99 \u00b5s", "p99_ns", 0 },
    [P999] = { "p99.9 \u00b5s", "p99_9_ns", 4 },    [CPU] = { "CPU \u00b5s", "cpu_ns", 2 },
    [VERDICT] = { "verdict", "verdict", 0 },
};

static const char *level_name(const struct pp_sweep_point *point)
{
    return point->missing == point->trials ? "missing" : pp_verdict_level_name(point->level);
}

static double figure(const struct pp_sweep_point *point, enum column column)
{
    switch (column) {
    case RATE:
        return point->figures[PP_METRIC_RATE];
    case MEGABYTES:
        return point->bytes_per_s;
    case P50:
        return point->figures[PP_METRIC_P50];
    case P99:
        return point->figures[PP_METRIC_P99];
    case P999:
        return point->p999_ns;
    case CPU:
        return point->figures[PP_METRIC_CPU];
    case VERDICT:
    case COLUMNS:
        break;
    }
    return NAN;
}

static const char *cell(char text[PP_FORMAT_BYTES], const struct pp_sweep_point *point,
                        enum column column)
{
    const double value = figure(point, column);

    if (column == VERDICT)
        return level_name(point);
    if (!isfinite(value)) {
        (void)snprintf(text, PP_FORMAT_BYTES, "n/a");
        return text;
    }
    if (column == RATE)
        return pp_format_decimal(text, value, value < 100 ? 2 : 0);
    if (column == MEGABYTES)
        return pp_format_decimal(text, value / 1e6, 2);
    return pp_format_us(text, value);
}

static const char *series_of(const struct pp_report_sweep *of, unsigned point,
                             char text[PP_FORMAT_BYTES])
{
    return pp_format_line(text, PP_FORMAT_BYTES, of->series[point]);
}

/* ---- knees ---- */

/* "p99 grows faster than the rate from 5,860/s on [5,700, 6,010], in 8 of 8 rounds." */
static void knee_words(char *out, size_t bytes, const struct pp_report_sweep *of, unsigned series)
{
    const struct pp_knee *knee = &of->knees[series];
    const struct pp_interval *interval = &knee->load.at95;
    char name[PP_FORMAT_BYTES], load[PP_FORMAT_BYTES], low[PP_FORMAT_BYTES], high[PP_FORMAT_BYTES];
    char range[2 * PP_FORMAT_BYTES + 8] = "";

    (void)series_of(of, series * (of->count / of->knee_count), name);
    if (knee->rounds == 0) {
        (void)snprintf(
            out, bytes,
            "knee: %s%sp99 is not known at enough points of any round; give each run more "
            "time (-t) or the ladder more steps (x1.3)",
            name, name[0] ? ": " : "");
        return;
    }
    if (knee->found * 2 <= knee->rounds) {
        (void)snprintf(out, bytes,
                       "knee: %s%sp99 nowhere begins to grow faster than the rate, in %u of %u "
                       "rounds; give the ladder a lower or a higher end, or small steps (x1.3)",
                       name, name[0] ? ": " : "", knee->rounds - knee->found, knee->rounds);
        return;
    }
    if (interval->low > 0 && isfinite(interval->high))
        (void)snprintf(range, sizeof range, " [%s, %s]", pp_format_decimal(low, interval->low, 0),
                       pp_format_decimal(high, interval->high, 0));
    (void)snprintf(out, bytes,
                   "knee: %s%sp99 grows faster than the rate from %s/s on%s, in %u of %u rounds",
                   name, name[0] ? ": " : "", pp_format_decimal(load, knee->load.ratio, 0), range,
                   knee->found, knee->rounds);
}

static void knee_lines(FILE *out, unsigned columns_wide, const struct pp_report_sweep *of)
{
    char text[512];

    for (unsigned i = 0; i < of->knee_count; i++) {
        knee_words(text, sizeof text, of, i);
        pp_line_put(out, columns_wide, text);
    }
}

/* ---- text ---- */

static unsigned wider(unsigned width, const char *text)
{
    const unsigned used = pp_line_columns(text);

    return used > width ? used : width;
}

static void put_right(FILE *out, unsigned width, const char *text)
{
    const unsigned used = pp_line_columns(text);

    (void)fprintf(out, "%*s%s", (int)(width > used ? width - used : 0), "", text);
}

static void put_left(FILE *out, unsigned width, const char *text)
{
    const unsigned used = pp_line_columns(text);

    (void)fprintf(out, "%s%*s", text, (int)(width > used ? width - used : 0), "");
}

/* How wide the columns are, and whether series have letters, for want of room for their names. */
struct widths {
    unsigned series, axes[PP_SWEEP_AXES_MAX], cells[COLUMNS];
    bool has_letters;
};

static unsigned names_width(const struct pp_report_sweep *of, const struct widths *widths)
{
    unsigned width = of->has_series ? widths->series + GAP : 0;

    for (unsigned i = 0; i < of->axis_count; i++)
        width += widths->axes[i] + (i > 0 ? GAP : 0);
    return width;
}

/* Of the table, where what has more than so much to spare is left out. */
static unsigned table_width(const struct pp_report_sweep *of, const struct widths *widths,
                            unsigned spare)
{
    unsigned width = names_width(of, widths);

    for (unsigned i = 0; i < COLUMNS; i++)
        width += columns[i].spare <= spare ? widths->cells[i] + GAP : 0;
    return width;
}

/* What is beside a bar: names, what divides them from it, and the figure. */
static unsigned beside_width(const struct pp_report_sweep *of, const struct widths *widths,
                             enum column column)
{
    return names_width(of, widths) + 3 + widths->cells[column];
}

static bool has_room_for_names(const struct pp_report_style *style,
                               const struct pp_report_sweep *of, const struct widths *widths)
{
    return style->columns == 0 ||
           (table_width(of, widths, 0) <= style->columns &&
            beside_width(of, widths, RATE) + BAR_COLUMNS_MIN <= style->columns &&
            beside_width(of, widths, P99) + BAR_COLUMNS_MIN <= style->columns);
}

static struct widths widths_of(const struct pp_report_style *style,
                               const struct pp_report_sweep *of)
{
    struct widths widths = { .series = 0 };
    char text[PP_FORMAT_BYTES];

    for (unsigned i = 0; i < of->axis_count; i++)
        widths.axes[i] = wider(0, of->axes[i]);
    for (unsigned i = 0; i < COLUMNS; i++)
        widths.cells[i] = wider(0, columns[i].head);
    for (unsigned i = 0; i < of->count; i++) {
        widths.series = wider(widths.series, series_of(of, i, text));
        for (unsigned j = 0; j < of->axis_count; j++)
            widths.axes[j] = wider(widths.axes[j], of->values[i][j]);
        for (unsigned j = 0; j < COLUMNS; j++)
            widths.cells[j] = wider(widths.cells[j], cell(text, &of->points[i], (enum column)j));
    }
    widths.has_letters = of->has_series && !has_room_for_names(style, of, &widths);
    if (widths.has_letters)
        widths.series = 1;
    return widths;
}

static bool begins_series(const struct pp_report_sweep *of, unsigned point)
{
    return point == 0 || strcmp(of->series[point], of->series[point - 1]) != 0;
}

static void legend_lines(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_sweep *of)
{
    char letter = 'A';

    for (unsigned i = 0; i < of->count; i++)
        if (begins_series(of, i))
            pp_text_legend_line(out, style, letter++, of->series[i]);
}

/* The point's series as it stands in front of its values: its name, or its letter. */
static const char *label_of(const struct pp_report_sweep *of, const struct widths *widths,
                            unsigned point, char text[PP_FORMAT_BYTES])
{
    char letter = 'A';

    if (!widths->has_letters)
        return series_of(of, point, text);
    for (unsigned i = 1; i <= point; i++)
        letter = (char)(letter + begins_series(of, i));
    (void)snprintf(text, PP_FORMAT_BYTES, "%c", letter);
    return text;
}

/* What names the point, without the spaces after it. */
static void put_names(FILE *out, const struct pp_report_sweep *of, const struct widths *widths,
                      const char *series, const char *const *values)
{
    if (of->has_series)
        put_left(out, widths->series + GAP, series);
    for (unsigned i = 0; i < of->axis_count; i++)
        put_right(out, widths->axes[i] + (i > 0 ? GAP : 0), values[i]);
}

/* The greatest spare with which a line fits. */
static unsigned spare_that_fits(const struct pp_report_style *style,
                                const struct pp_report_sweep *of, const struct widths *widths)
{
    unsigned spare = COLUMNS;

    while (style->columns > 0 && spare > 0 && table_width(of, widths, spare) > style->columns)
        spare--;
    return spare;
}

static void table(FILE *out, const struct pp_report_style *style, const struct pp_report_sweep *of,
                  const struct widths *widths)
{
    const unsigned spare = spare_that_fits(style, of, widths);
    char text[PP_FORMAT_BYTES];

    put_names(out, of, widths, "", of->axes);
    for (unsigned i = 0; i < COLUMNS; i++)
        if (columns[i].spare <= spare)
            put_right(out, widths->cells[i] + GAP, columns[i].head);
    (void)fputc('\n', out);
    for (unsigned i = 0; i < of->count; i++) {
        put_names(out, of, widths, label_of(of, widths, i, text), of->values[i]);
        for (unsigned j = 0; j < COLUMNS; j++)
            if (columns[j].spare <= spare)
                put_right(out, widths->cells[j] + GAP, cell(text, &of->points[i], (enum column)j));
        (void)fputc('\n', out);
    }
}

static double greatest(const struct pp_report_sweep *of, enum column column)
{
    double most = 0;

    for (unsigned i = 0; i < of->count; i++)
        most = fmax(most,
                    isfinite(figure(&of->points[i], column)) ? figure(&of->points[i], column) : 0);
    return most;
}

static unsigned bar_width(const struct pp_report_style *style, unsigned beside)
{
    if (style->columns == 0 || style->columns >= beside + BAR_COLUMNS)
        return BAR_COLUMNS;
    return style->columns > beside + BAR_COLUMNS_MIN ? style->columns - beside : BAR_COLUMNS_MIN;
}

/* A bar for each point, the longest for the greatest figure. */
static void plot(FILE *out, const struct pp_report_style *style, const struct pp_report_sweep *of,
                 const struct widths *widths, enum column column)
{
    const unsigned bar = bar_width(style, beside_width(of, widths, column));
    const double most = greatest(of, column);
    char text[PP_FORMAT_BYTES];

    (void)fprintf(out, "\n%s\n", columns[column].head);
    for (unsigned i = 0; i < of->count; i++) {
        const double value = figure(&of->points[i], column);
        const int length = isfinite(value) && most > 0 ? (int)(value / most * bar + 0.5) : 0;

        put_names(out, of, widths, label_of(of, widths, i, text), of->values[i]);
        (void)fputs(" |", out);
        for (int j = 0; j < length; j++)
            (void)fputc('=', out);
        (void)fprintf(out, " %s\n", cell(text, &of->points[i], column));
    }
}

static void head_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_sweep *of)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };

    pp_line_field(&line, "pingpong %s", PP_VERSION);
    pp_line_field(&line, "%s", pp_text_transport_name(of->plan));
    pp_line_field(&line, "sweep of %s%s%s", of->axes[0], of->axis_count > 1 ? " and " : "",
                  of->axis_count > 1 ? of->axes[1] : "");
    pp_line_end(&line);
    pp_line_field(&line, "first point");
    pp_text_load_fields(&line, of->plan);
    pp_line_end(&line);
    pp_text_wait_field(&line, of->plan);
    pp_text_placement_field(&line, of->plan);
    pp_line_end(&line);
    pp_line_field(&line, "%u point%s, medians of %u run%s each", of->count,
                  pp_text_plural(of->count), of->rounds, pp_text_plural(of->rounds));
    pp_line_field(&line, "in shuffled order (--seed %" PRIu64 ")", of->seed);
    pp_line_end(&line);
    if (!of->signal)
        return;
    line.separator = " ";
    pp_line_words(&line, "PARTIAL: interrupted; what is here are the rounds that were whole");
    pp_line_end(&line);
}

void pp_report_sweep_text(FILE *out, const struct pp_report_style *style,
                          const struct pp_report_sweep *of)
{
    const struct widths widths = widths_of(style, of);

    if (!style->quiet)
        head_lines(out, style, of);
    if (widths.has_letters)
        legend_lines(out, style, of);
    if (!style->quiet)
        (void)fputc('\n', out);
    table(out, style, of, &widths);
    if (!style->quiet) {
        plot(out, style, of, &widths, RATE);
        plot(out, style, of, &widths, P99);
    }
    if (of->knee_count > 0)
        (void)fputc('\n', out);
    knee_lines(out, style->columns, of);
}

/* ---- Markdown ---- */

void pp_report_sweep_markdown(FILE *out, const struct pp_report_sweep *of)
{
    char text[PP_FORMAT_BYTES];
    unsigned count = of->axis_count + COLUMNS;

    if (of->has_series)
        (void)fputs("| ", out);
    for (unsigned i = 0; i < of->axis_count; i++)
        (void)fprintf(out, "| %s ", of->axes[i]);
    for (unsigned i = 0; i < COLUMNS; i++)
        (void)fprintf(out, "| %s ", columns[i].head);
    (void)fputs("|\n", out);
    for (count += of->has_series; count > 0; count--)
        (void)fputs("|---", out);
    (void)fputs("|\n", out);
    for (unsigned i = 0; i < of->count; i++) {
        if (of->has_series)
            (void)fprintf(out, "| `%s` ", series_of(of, i, text));
        for (unsigned j = 0; j < of->axis_count; j++)
            (void)fprintf(out, "| %s ", of->values[i][j]);
        for (unsigned j = 0; j < COLUMNS; j++)
            (void)fprintf(out, "| %s ", cell(text, &of->points[i], (enum column)j));
        (void)fputs("|\n", out);
    }
    if (of->knee_count > 0)
        (void)fputc('\n', out);
    knee_lines(out, 0, of);
}

/* ---- CSV ---- */

static void csv_row(FILE *out, const struct pp_report_sweep *of, unsigned at)
{
    const struct pp_sweep_point *point = &of->points[at];

    pp_csv_text(out, of->series[at]);
    for (unsigned i = 0; i < of->axis_count; i++)
        (void)fprintf(out, ",%s", of->values[at][i]);
    for (unsigned i = 0; i < VERDICT; i++)
        pp_csv_number(out, figure(point, (enum column)i));
    (void)fprintf(out, ",%s,%u,%u\n", level_name(point), point->trials, point->missing);
}

void pp_report_sweep_csv(FILE *out, const struct pp_report_sweep *of)
{
    (void)fputs("candidate", out);
    for (unsigned i = 0; i < of->axis_count; i++)
        (void)fprintf(out, ",%s", of->axes[i]);
    for (unsigned i = 0; i < COLUMNS; i++)
        (void)fprintf(out, ",%s", columns[i].name);
    (void)fputs(",trials,missing\n", out);
    for (unsigned i = 0; i < of->count; i++)
        csv_row(out, of, i);
}
