/* Figures first, then the tables and the bar, the sentences, and the three forms that these are put
 * together to. */
#include "report/explanation.h"

#include "base/format.h"
#include "report/csv_cell.h"
#include "report/line.h"
#include "report/table.h"
#include "report/text_parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define BOLD "\033[1m"
#define PLAIN "\033[0m"

#define BAR_COLUMNS 56
#define WIDE_COLUMNS 80

/* ---- figures ---- */

/* All figures have as many decimals, so that they can be added up by eye. */
static unsigned decimals_of(const struct pp_report_explanation *of)
{
    const double ns = of->explanation->whole.estimate;

    return ns >= 999500 ? 0 : ns >= 99950 ? 1 : 2;
}

/* In microseconds; "n/a" where it is not known. */
static const char *us(char text[PP_FORMAT_BYTES], double ns, unsigned decimals)
{
    const double least = 0.5 * pow(10, -(double)decimals);
    const double value = ns / 1000;

    if (!isfinite(value)) {
        (void)snprintf(text, PP_FORMAT_BYTES, "n/a");
        return text;
    }
    return pp_format_decimal(text, fabs(value) < least ? 0 : value, decimals);
}

static bool has_interval(const struct pp_shift *shift)
{
    return isfinite(shift->at95.low) && isfinite(shift->at95.high);
}

/* A change: "+0.42". */
static const char *signed_us(char text[PP_FORMAT_BYTES], double ns, unsigned decimals)
{
    char value[PP_FORMAT_BYTES];

    (void)us(value, ns, decimals);
    (void)snprintf(text, PP_FORMAT_BYTES, "%s%.40s", ns > 0 && isfinite(ns) ? "+" : "", value);
    return text;
}

typedef const char *print_us(char text[PP_FORMAT_BYTES], double ns, unsigned decimals);

/* "0.42 .. 0.44"; nothing where there is none. */
static void interval_text(char text[PP_FORMAT_BYTES], const struct pp_shift *shift,
                          unsigned decimals, print_us *print)
{
    char low[PP_FORMAT_BYTES], high[PP_FORMAT_BYTES];

    text[0] = '\0';
    if (has_interval(shift))
        (void)snprintf(text, PP_FORMAT_BYTES, "%.20s .. %.20s",
                       print(low, shift->at95.low, decimals),
                       print(high, shift->at95.high, decimals));
}

/* Of the whole, in percent; NAN where it is not known. */
static double share_of(const struct pp_report_explanation *of, double ns)
{
    return ns / of->explanation->whole.estimate * 100;
}

static const char *verdict(const struct pp_shift *longer)
{
    if (!has_interval(longer))
        return longer->n > 0 ? "too few rounds" : "n/a";
    return longer->at95.high < 0 ? "faster" : longer->at95.low > 0 ? "slower" : "cannot tell";
}

/* What a row of a part begins with, and what it is in the bar. */
static char letter_of(unsigned part)
{
    return (char)('a' + (char)part);
}

/* ---- the parts ---- */

static void part_cells(char (*cells)[PP_FORMAT_BYTES], const struct pp_report_explanation *of,
                       const struct pp_shift *shift)
{
    const double share = share_of(of, shift->estimate);

    (void)us(cells[0], shift->estimate, decimals_of(of));
    interval_text(cells[1], shift, decimals_of(of), us);
    if (isfinite(share))
        (void)snprintf(cells[2], PP_FORMAT_BYTES, "%.0f %%", fabs(share) < 0.5 ? 0 : share);
}

static void parts_table(FILE *out, const struct pp_report_style *style,
                        const struct pp_report_explanation *of)
{
    const struct pp_explanation *explanation = of->explanation;
    char labels[PP_PARTS][PP_FORMAT_BYTES];
    struct pp_table table = { .title = "RTT p50 \u00b5s", .rows = explanation->part_count + 1 };

    (void)pp_table_head(&table, "part");
    (void)pp_table_head(&table, "95 %% interval");
    (void)pp_table_head(&table, "share");
    for (unsigned i = 0; i < explanation->part_count; i++) {
        (void)snprintf(labels[i], sizeof labels[i], "  %c %s", letter_of(i),
                       pp_parts[explanation->parts[i].part].title);
        table.labels[i] = labels[i];
        part_cells(table.cells[i], of, &explanation->parts[i].shift);
    }
    table.labels[explanation->part_count] = "    the whole";
    part_cells(table.cells[explanation->part_count], of, &explanation->whole);
    pp_table_write(&table, out, style->columns);
}

/* As long as the parts that take time are together; each has its letter. */
static void bar(FILE *out, const struct pp_report_style *style,
                const struct pp_report_explanation *of)
{
    const struct pp_explanation *explanation = of->explanation;
    const unsigned columns = style->columns > 0 && style->columns < BAR_COLUMNS + 4
                                 ? style->columns - 4
                                 : BAR_COLUMNS;
    double all = 0, before = 0;

    for (unsigned i = 0; i < explanation->part_count; i++)
        all += fmax(explanation->parts[i].shift.estimate, 0);
    if (!(all > 0))
        return;
    (void)fputs("\n  [", out);
    for (unsigned i = 0, used = 0; i < explanation->part_count; i++) {
        before += fmax(explanation->parts[i].shift.estimate, 0);
        for (; used < (unsigned)lround(before / all * columns); used++)
            (void)fputc(letter_of(i), out);
    }
    (void)fputs("]\n", out);
}

/* ---- what else was run ---- */

static void other_cells(char (*cells)[PP_FORMAT_BYTES], const struct pp_report_explanation *of,
                        const struct pp_shift *longer)
{
    (void)us(cells[0], of->explanation->whole.estimate + longer->estimate, decimals_of(of));
    (void)signed_us(cells[1], longer->estimate, decimals_of(of));
    interval_text(cells[2], longer, decimals_of(of), signed_us);
    (void)snprintf(cells[3], PP_FORMAT_BYTES, "%s", verdict(longer));
}

/* Where lines are short, letters stand for the options. */
static bool has_letters(const struct pp_report_style *style)
{
    return style->columns > 0 && style->columns < WIDE_COLUMNS;
}

static void others_table(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_explanation *of)
{
    char labels[PP_EXPLAINED_OTHERS_MAX][PP_FORMAT_BYTES];
    struct pp_table table = { .title = has_letters(style) ? "instead" : "RTT p50 \u00b5s, instead",
                              .rows = of->explanation->other_count };

    (void)pp_table_head(&table, "whole");
    (void)pp_table_head(&table, "change");
    (void)pp_table_head(&table, "95 %% interval");
    (void)pp_table_head(&table, "%s", "");
    (void)fputc('\n', out);
    for (unsigned i = 0; i < table.rows; i++) {
        const char letter = (char)('A' + (char)i);

        (void)snprintf(labels[i], sizeof labels[i], "  %s", of->others[i]);
        if (has_letters(style)) {
            pp_text_legend_line(out, style, letter, of->others[i]);
            (void)snprintf(labels[i], sizeof labels[i], "  %c", letter);
        }
        table.labels[i] = labels[i];
        other_cells(table.cells[i], of, &of->explanation->others[i]);
    }
    pp_table_write(&table, out, style->columns);
}

/* With -v: what the parts are differences of. */
static void runs_table(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_explanation *of)
{
    char labels[PP_EXPLAINED_RUNS][PP_FORMAT_BYTES];
    struct pp_table table = { .title = "of these runs" };

    (void)pp_table_head(&table, "p50 \u00b5s");
    for (unsigned i = 0; i < PP_EXPLAINED_RUNS; i++) {
        if (!isfinite(of->explanation->runs[i]))
            continue;
        (void)snprintf(labels[table.rows], sizeof labels[0], "  %s", pp_explained_titles[i]);
        table.labels[table.rows] = labels[table.rows];
        (void)us(table.cells[table.rows][0], of->explanation->runs[i], decimals_of(of));
        table.rows++;
    }
    (void)fputc('\n', out);
    pp_table_write(&table, out, style->columns);
}

/* ---- sentences ---- */

/* "4.52 µs [4.40, 4.61]" */
static const char *shift_text(char *text, size_t bytes, const struct pp_report_explanation *of,
                              const struct pp_shift *shift)
{
    const unsigned decimals = decimals_of(of);
    char value[PP_FORMAT_BYTES], low[PP_FORMAT_BYTES], high[PP_FORMAT_BYTES];
    const size_t used = (size_t)snprintf(text, bytes, "%s \u00b5s",
                                         us(value, shift->estimate, decimals));

    if (has_interval(shift) && used < bytes)
        (void)snprintf(text + used, bytes - used, " [%s, %s]", us(low, shift->at95.low, decimals),
                       us(high, shift->at95.high, decimals));
    return text;
}

/* The largest part, of which whoever reads one line should know. */
static void summary_line(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_explanation *of)
{
    const struct pp_explanation *explanation = of->explanation;
    char text[256], whole[3 * PP_FORMAT_BYTES], most[PP_FORMAT_BYTES];
    unsigned largest = 0;

    for (unsigned i = 1; i < explanation->part_count; i++)
        if (explanation->parts[i].shift.estimate > explanation->parts[largest].shift.estimate)
            largest = i;
    (void)snprintf(text, sizeof text, "A round trip takes %s, most of all for %s: %s \u00b5s.",
                   shift_text(whole, sizeof whole, of, &explanation->whole),
                   pp_parts[explanation->parts[largest].part].title,
                   us(most, explanation->parts[largest].shift.estimate, decimals_of(of)));
    pp_line_put(out, style->columns, text);
}

static void advice_text(char *text, size_t bytes, const struct pp_report_explanation *of,
                        const struct pp_advice *advice)
{
    char saves[3 * PP_FORMAT_BYTES];

    (void)shift_text(saves, sizeof saves, of, &advice->saves);
    if (advice->measured)
        (void)snprintf(text, bytes, "%s saves %s, %.0f %% of a round trip.",
                       of->others[advice->other], saves, share_of(of, advice->saves.estimate));
    else
        (void)snprintf(text, bytes, "%s would save up to %s, %.0f %%.", pp_parts[advice->part].cure,
                       saves, share_of(of, advice->saves.estimate));
}

static void advice_lines(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_explanation *of)
{
    const struct pp_explanation *explanation = of->explanation;
    char text[256];

    for (unsigned i = 0; i < explanation->advice_count; i++) {
        advice_text(text, sizeof text, of, &explanation->advice[i]);
        (void)fputs(style->colour && i == 0 ? BOLD : "", out);
        pp_line_put(out, style->columns, text);
        (void)fputs(style->colour && i == 0 ? PLAIN : "", out);
    }
    if (explanation->advice_count == 0 && has_interval(&explanation->whole))
        pp_line_put(out, style->columns,
                    "Nothing that was tried surely saves 2 % of a round trip.");
}

/* Whether the estimates, each by itself, are those of one thing. */
static void sum_line(FILE *out, const struct pp_report_style *style,
                     const struct pp_report_explanation *of)
{
    const struct pp_explanation *explanation = of->explanation;
    const struct pp_interval *whole = &explanation->whole.at95;
    char text[160], sum[PP_FORMAT_BYTES];
    const bool within = whole->low <= explanation->sum && explanation->sum <= whole->high;

    if (!isfinite(explanation->sum))
        return;
    (void)snprintf(text, sizeof text, "the parts add up to %s \u00b5s, %s",
                   us(sum, explanation->sum, decimals_of(of)),
                   within ? "within the interval of the whole"
                          : "outside the interval of the whole: what else runs here disturbs them");
    pp_line_put(out, style->columns, text);
}

static void note_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_explanation *of)
{
    const struct pp_explanation *explanation = of->explanation;
    char text[160];

    if (of->signal)
        pp_line_put(out, style->columns,
                    "PARTIAL: interrupted; what is here are the rounds that were whole");
    if (explanation->rounds == 0)
        pp_line_put(out, style->columns, "note: no round was whole, and so nothing is known");
    if (explanation->rounds > 0 && !has_interval(&explanation->whole))
        pp_line_put(out, style->columns, "note: it takes 6 rounds to tell how sure this is");
    if (explanation->invalid > 0) {
        (void)snprintf(text, sizeof text,
                       "note: %u of the %u runs of the program %s INVALID, as on a machine that is "
                       "busy otherwise, and in the figures all the same",
                       explanation->invalid, explanation->trials,
                       explanation->invalid == 1 ? "was" : "were");
        pp_line_put(out, style->columns, text);
    }
}

/* ---- text ---- */

static void head_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_explanation *of)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };

    pp_line_field(&line, "pingpong %s", PP_VERSION);
    pp_line_field(&line, "%s", pp_text_transport_name(of->plan));
    pp_text_load_fields(&line, of->plan);
    pp_line_end(&line);
    pp_line_field(&line, "engine %s", of->engine);
    pp_text_wait_field(&line, of->plan);
    pp_text_placement_field(&line, of->plan);
    pp_line_end(&line);
    pp_line_field(&line, "%u round%s of %u runs", of->explanation->rounds,
                  pp_text_plural(of->explanation->rounds), of->runs);
    pp_line_field(&line, "in shuffled order (--seed %" PRIu64 ")", of->seed);
    pp_line_end(&line);
}

void pp_report_explanation_text(FILE *out, const struct pp_report_style *style,
                                const struct pp_report_explanation *of)
{
    if (style->quiet) {
        if (of->explanation->rounds > 0)
            summary_line(out, style, of);
        advice_lines(out, style, of);
        note_lines(out, style, of);
        return;
    }
    head_lines(out, style, of);
    (void)fputc('\n', out);
    parts_table(out, style, of);
    bar(out, style, of);
    if (of->explanation->other_count > 0)
        others_table(out, style, of);
    if (style->verbose)
        runs_table(out, style, of);
    (void)fputc('\n', out);
    advice_lines(out, style, of);
    sum_line(out, style, of);
    note_lines(out, style, of);
}

/* ---- Markdown ---- */

static void markdown_row(FILE *out, const char *label, char (*cells)[PP_FORMAT_BYTES],
                         unsigned count)
{
    (void)fprintf(out, "| %s ", label);
    for (unsigned i = 0; i < count; i++)
        (void)fprintf(out, "| %s ", cells[i]);
    (void)fputs("|\n", out);
}

void pp_report_explanation_markdown(FILE *out, const struct pp_report_explanation *of)
{
    static const struct pp_report_style plain = { .columns = 0 };
    const struct pp_explanation *explanation = of->explanation;
    char cells[4][PP_FORMAT_BYTES] = { "" }, label[PP_FORMAT_BYTES];

    (void)fputs("| RTT p50 \u00b5s | part | 95 % interval | share |\n|---|---|---|---|\n", out);
    for (unsigned i = 0; i < explanation->part_count; i++) {
        part_cells(cells, of, &explanation->parts[i].shift);
        markdown_row(out, pp_parts[explanation->parts[i].part].title, cells, 3);
    }
    part_cells(cells, of, &explanation->whole);
    markdown_row(out, "the whole", cells, 3);
    (void)fputs("\n| RTT p50 \u00b5s, instead | whole | change | 95 % interval | "
                "|\n|---|---|---|---|---|\n",
                out);
    for (unsigned i = 0; i < explanation->other_count; i++) {
        other_cells(cells, of, &explanation->others[i]);
        (void)snprintf(label, sizeof label, "`%.40s`", of->others[i]);
        markdown_row(out, label, cells, 4);
    }
    (void)fputc('\n', out);
    advice_lines(out, &plain, of);
    (void)fputc('\n', out);
    head_lines(out, &plain, of);
}

/* ---- CSV ---- */

static void csv_row(FILE *out, const struct pp_report_explanation *of, const char *kind,
                    const char *name, const struct pp_shift *shift)
{
    const bool known = has_interval(shift);

    (void)fprintf(out, "%s,\"%s\"", kind, name);
    pp_csv_number(out, shift->estimate);
    pp_csv_number(out, known ? shift->at95.low : NAN);
    pp_csv_number(out, known ? shift->at95.high : NAN);
    pp_csv_number(out, share_of(of, shift->estimate) / 100);
    (void)fprintf(out, ",%u\n", shift->n);
}

void pp_report_explanation_csv(FILE *out, const struct pp_report_explanation *of)
{
    const struct pp_explanation *explanation = of->explanation;

    (void)fputs("kind,name,ns,ns_low,ns_high,share,rounds\n", out);
    csv_row(out, of, "whole", "round_trip", &explanation->whole);
    for (unsigned i = 0; i < explanation->part_count; i++)
        csv_row(out, of, "part", pp_parts[explanation->parts[i].part].name,
                &explanation->parts[i].shift);
    for (unsigned i = 0; i < explanation->other_count; i++)
        csv_row(out, of, "instead", of->names[i], &explanation->others[i]);
}
