/* Words and figures of an effect first, then a table a metric, the sentences, the notes, and the
 * three forms that these are put together to. */
#include "report/comparison.h"

#include "base/container.h"
#include "base/format.h"
#include "report/csv_cell.h"
#include "report/line.h"
#include "report/table.h"
#include "report/text_parts.h"
#include "result/verdict.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define BOLD "\033[1m"
#define PLAIN "\033[0m"

/* ---- figures ---- */

/* In tables a name has so many columns at most; where one has more, letters stand for all, and the
 * legend says for which. Lines that are short have room for less, and a table of runs has, too. */
#define WIDE_COLUMNS 80

static bool is_narrow(const struct pp_report_style *style)
{
    return style->columns > 0 && style->columns < WIDE_COLUMNS;
}

static bool has_legend(const struct pp_report_style *style, const struct pp_report_comparison *of)
{
    static const size_t mosts[2][2] = { { 24, 16 }, { 12, 6 } };
    const size_t most = mosts[is_narrow(style)][style->verbose];

    for (unsigned i = 0; i < of->comparison->candidates; i++)
        if (strlen(of->names[i]) > most)
            return true;
    return false;
}

/* A candidate's name for people, who may have typed anything, or its letter. */
static const char *label_of(const struct pp_report_style *style,
                            const struct pp_report_comparison *of, unsigned candidate,
                            char text[PP_FORMAT_BYTES])
{
    if (!has_legend(style, of))
        return pp_format_line(text, PP_FORMAT_BYTES, of->names[candidate]);
    (void)snprintf(text, PP_FORMAT_BYTES, "%c", 'A' + (char)candidate);
    return text;
}

static const char *figure(char text[PP_FORMAT_BYTES], enum pp_metric metric, double value)
{
    if (!isfinite(value)) {
        (void)snprintf(text, PP_FORMAT_BYTES, "n/a");
        return text;
    }
    return metric == PP_METRIC_RATE ? pp_format_decimal(text, value, 0) : pp_format_us(text, value);
}

static double percent(double ratio)
{
    return (ratio - 1) * 100;
}

static bool has_interval(const struct pp_paired *paired)
{
    return isfinite(paired->ratio) && paired->at95.low > 0 && isfinite(paired->at95.high);
}

static const char *verdict(const struct pp_effect *effect, enum pp_metric metric,
                           char text[PP_FORMAT_BYTES])
{
    switch (effect->difference) {
    case PP_DIFFERENCE_BETTER:
        return metric == PP_METRIC_CPU ? "cheaper" : "faster";
    case PP_DIFFERENCE_WORSE:
        return metric == PP_METRIC_CPU ? "dearer" : "slower";
    case PP_DIFFERENCE_SAME:
        return "same";
    case PP_DIFFERENCE_CANNOT_TELL:
        (void)snprintf(text, PP_FORMAT_BYTES, "cannot tell");
        if (effect->rounds_needed > PP_ROUNDS_MAX)
            (void)snprintf(text, PP_FORMAT_BYTES, "cannot tell (> %d)", PP_ROUNDS_MAX);
        else if (effect->rounds_needed > effect->paired.n)
            (void)snprintf(text, PP_FORMAT_BYTES, "cannot tell (%u)", effect->rounds_needed);
        return text;
    case PP_DIFFERENCE_NOISE:
        return "within noise";
    case PP_DIFFERENCE_UNKNOWN:
        break;
    }
    return effect->paired.n > 0 ? "too few rounds" : "n/a";
}

/* ---- a table a metric ---- */

static void effect_cells(char (*cells)[PP_FORMAT_BYTES], const struct pp_effect *effect,
                         enum pp_metric metric)
{
    const struct pp_paired *paired = &effect->paired;
    char text[PP_FORMAT_BYTES];

    (void)snprintf(cells[1], PP_FORMAT_BYTES, "n/a");
    if (isfinite(paired->ratio))
        (void)snprintf(cells[1], PP_FORMAT_BYTES, "%+.1f %%", percent(paired->ratio));
    if (has_interval(paired))
        (void)snprintf(cells[2], PP_FORMAT_BYTES, "%+.1f .. %+.1f", percent(paired->at95.low),
                       percent(paired->at95.high));
    (void)snprintf(cells[3], PP_FORMAT_BYTES, "%s", verdict(effect, metric, text));
}

static const char *title_of(const struct pp_report_style *style, enum pp_metric metric)
{
    static const char *const titles[] = { [PP_METRIC_CPU] = "CPU a round trip \u00b5s",
                                          [PP_METRIC_RATE] = "Round trips/s",
                                          [PP_METRIC_P50] = "RTT p50 \u00b5s",
                                          [PP_METRIC_P99] = "RTT p99 \u00b5s" };
    static const char *const short_titles[] = { [PP_METRIC_CPU] = "CPU \u00b5s",
                                                [PP_METRIC_RATE] = "Trips/s",
                                                [PP_METRIC_P50] = "p50 \u00b5s",
                                                [PP_METRIC_P99] = "p99 \u00b5s" };

    return is_narrow(style) ? short_titles[metric] : titles[metric];
}

static void metric_table(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_comparison *of, enum pp_metric metric)
{
    char labels[PP_CANDIDATES_MAX][PP_FORMAT_BYTES + 2], name[PP_FORMAT_BYTES];
    struct pp_table table = { .title = title_of(style, metric),
                              .rows = of->comparison->candidates };

    (void)pp_table_head(&table, "median");
    (void)pp_table_head(&table, "change");
    (void)pp_table_head(&table, "95 %% interval");
    (void)pp_table_head(&table, "%s", "");
    for (unsigned i = 0; i < table.rows; i++) {
        const struct pp_effect *effect = &of->comparison->effects[i][metric];

        (void)snprintf(labels[i], sizeof labels[i], "  %s", label_of(style, of, i, name));
        table.labels[i] = labels[i];
        (void)figure(table.cells[i][0], metric, effect->median);
        if (i > 0)
            effect_cells(table.cells[i], effect, metric);
    }
    pp_table_write(&table, out, style->columns);
}

/* Rates: a row for each engine as the client's, a column for each as the server's. */
static void matrix_table(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_comparison *of)
{
    char labels[PP_CANDIDATES_MAX][PP_FORMAT_BYTES + 2];
    struct pp_table table = { .title = is_narrow(style) ? "Trips/s" : "Round trips/s",
                              .rows = of->matrix };

    for (unsigned i = 0; i < of->matrix; i++) {
        const char *client = of->names[(size_t)i * of->matrix];

        (void)snprintf(labels[i], sizeof labels[i], "  client %.*s", (int)strcspn(client, "/"),
                       client);
        table.labels[i] = labels[i];
        (void)pp_table_head(&table, "server %.40s", strchr(of->names[i], '/') + 1);
        for (unsigned j = 0; j < of->matrix; j++)
            (void)figure(table.cells[i][j], PP_METRIC_RATE,
                         of->comparison->effects[i * of->matrix + j][PP_METRIC_RATE].median);
    }
    (void)fputc('\n', out);
    pp_table_write(&table, out, style->columns);
}

/* ---- sentences ---- */

/* "14.1 % faster than epoll [12.9, 15.2]": of a rate, and of how much less as a share of the
 * baseline's. */
static void rate_words(char *out, size_t bytes, const struct pp_effect *effect, double floor,
                       const char *name, const char *baseline)
{
    const struct pp_paired *paired = &effect->paired;
    const double low = percent(paired->at95.low), high = percent(paired->at95.high);

    switch (effect->difference) {
    case PP_DIFFERENCE_BETTER:
        (void)snprintf(out, bytes, "%s is %.1f %% faster than %s [%.1f, %.1f]", name,
                       percent(paired->ratio), baseline, low, high);
        return;
    case PP_DIFFERENCE_WORSE:
        (void)snprintf(out, bytes, "%s is %.1f %% slower than %s [%.1f, %.1f]", name,
                       -percent(paired->ratio), baseline, -high, -low);
        return;
    case PP_DIFFERENCE_SAME:
        (void)snprintf(out, bytes, "%s is as fast as %s, within 2 %%", name, baseline);
        return;
    case PP_DIFFERENCE_NOISE:
        (void)snprintf(
            out, bytes,
            "%s differs from %s by %+.1f %% [%+.1f, %+.1f], and %s from itself by %.1f %%, "
            "which is no difference",
            name, baseline, percent(paired->ratio), low, high, baseline, floor * 100);
        return;
    case PP_DIFFERENCE_CANNOT_TELL:
        (void)snprintf(out, bytes,
                       "whether %s is faster than %s cannot be told (%+.1f %% [%+.1f, %+.1f])",
                       name, baseline, percent(paired->ratio), low, high);
        return;
    case PP_DIFFERENCE_UNKNOWN:
        break;
    }
    (void)snprintf(out, bytes, "%s and %s: %s", name, baseline,
                   paired->n > 0 ? "too few rounds to tell" : "there are no runs of both");
}

static void cpu_words(char *out, size_t bytes, const struct pp_effect *effects)
{
    const enum pp_difference of_rate = effects[PP_METRIC_RATE].difference;
    const bool said = of_rate == PP_DIFFERENCE_BETTER || of_rate == PP_DIFFERENCE_WORSE ||
                      of_rate == PP_DIFFERENCE_SAME;
    const char *begin = said ? " and uses" : "; it uses";
    const double change = percent(effects[PP_METRIC_CPU].paired.ratio);

    out[0] = '\0';
    if (effects[PP_METRIC_CPU].difference == PP_DIFFERENCE_BETTER)
        (void)snprintf(out, bytes, "%s %.0f %% less CPU", begin, -change);
    else if (effects[PP_METRIC_CPU].difference == PP_DIFFERENCE_WORSE)
        (void)snprintf(out, bytes, "%s %.0f %% more CPU", begin, change);
    else if (effects[PP_METRIC_CPU].difference == PP_DIFFERENCE_SAME)
        (void)snprintf(out, bytes, "%s as much CPU", begin);
}

static void sentence(char *out, size_t bytes, const struct pp_report_style *style,
                     const struct pp_report_comparison *of, unsigned candidate)
{
    const struct pp_effect *effects = of->comparison->effects[candidate];
    const struct pp_effect *rate = &effects[PP_METRIC_RATE];
    char name[PP_FORMAT_BYTES], baseline[PP_FORMAT_BYTES], count[PP_FORMAT_BYTES];
    char rates[256], cpu[64], more[96] = "", at[96] = "";

    rate_words(rates, sizeof rates, rate, of->comparison->floor[PP_METRIC_RATE],
               label_of(style, of, candidate, name), label_of(style, of, 0, baseline));
    cpu_words(cpu, sizeof cpu, effects);
    if (rate->difference == PP_DIFFERENCE_CANNOT_TELL && rate->rounds_needed > PP_ROUNDS_MAX)
        (void)snprintf(more, sizeof more, "; longer runs or a quieter machine might tell");
    else if (rate->difference == PP_DIFFERENCE_CANNOT_TELL && rate->rounds_needed > rate->paired.n)
        (void)snprintf(more, sizeof more, "; --rounds %u might tell", rate->rounds_needed);
    if (of->plan)
        (void)snprintf(at, sizeof at, ", at %s connection%s",
                       pp_format_count(count, of->plan->connections),
                       pp_text_plural(of->plan->connections));
    (void)snprintf(out, bytes, "%s%s%s%s.", rates, cpu, at, more);
}

/* ---- notes ---- */

/* By how much the baseline differs from itself, which nothing but noise can be. */
static void noise_line(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_comparison *of)
{
    char text[512], name[PP_FORMAT_BYTES];
    size_t used = (size_t)snprintf(text, sizeof text, "noise: %s against itself",
                                   label_of(style, of, 0, name));
    const char *before = ": ";

    for (unsigned i = 0; i < PP_METRICS; i++) {
        const struct pp_paired *paired = &of->comparison->twin[i].paired;

        if (!has_interval(paired))
            continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %+.1f %% [%+.1f, %+.1f]",
                                 before, pp_metrics[i].name, percent(paired->ratio),
                                 percent(paired->at95.low), percent(paired->at95.high));
        before = ", ";
    }
    if (before[0] == ',')
        pp_line_put(out, style->columns, text);
}

static bool asks_for_rounds(const struct pp_comparison *comparison)
{
    for (unsigned i = 1; i < comparison->candidates; i++)
        for (unsigned j = 0; j < PP_METRICS; j++) {
            const struct pp_effect *effect = &comparison->effects[i][j];

            if (effect->difference == PP_DIFFERENCE_CANNOT_TELL &&
                effect->rounds_needed > effect->paired.n)
                return true;
        }
    return false;
}

/* How many are clear by themselves, and not with so many beside them. */
static unsigned held_back(const struct pp_comparison *comparison)
{
    unsigned count = 0;

    for (unsigned i = 1; i < comparison->candidates; i++)
        for (unsigned j = 0; j < PP_METRICS; j++) {
            const struct pp_effect *effect = &comparison->effects[i][j];
            const struct pp_interval *interval = &effect->paired.at95;

            count += effect->difference == PP_DIFFERENCE_CANNOT_TELL &&
                     (interval->low > 1 || interval->high < 1) &&
                     fabs(effect->paired.ratio - 1) > PP_DIFFERENCE_LEAST;
        }
    return count;
}

static bool differs_from_itself(const struct pp_comparison *comparison)
{
    for (unsigned i = 0; i < PP_METRICS; i++) {
        const struct pp_effect *twin = &comparison->twin[i];

        if (twin->paired.n >= PP_ROUNDS_LEAST && twin->paired.p * PP_METRICS < 0.05 &&
            comparison->floor[i] > PP_DIFFERENCE_LEAST)
            return true;
    }
    return false;
}

/* Of servers that were started for it. */
static void memory_line(FILE *out, const struct pp_report_style *style,
                        const struct pp_report_comparison *of)
{
    struct pp_line line = { .out = out, .separator = ", ", .limit = style->columns };
    const char *begin = "memory of the server: ";
    char name[PP_FORMAT_BYTES], text[PP_FORMAT_BYTES];

    for (unsigned i = 0; i < of->comparison->candidates; i++) {
        const double bytes = of->comparison->tallies[i].memory_bytes;

        if (!(bytes > 0))
            continue;
        pp_line_field(&line, "%s%s %s MB", begin, label_of(style, of, i, name),
                      pp_format_decimal(text, bytes / 1e6, 1));
        begin = "";
    }
    if (!begin[0])
        pp_line_end(&line);
}

/* What was not measured in turns, or elsewhere. */
static void time_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_comparison *of)
{
    char text[1024], name[PP_FORMAT_BYTES];

    for (unsigned i = 0; i < of->comparison->candidates; i++) {
        (void)label_of(style, of, i, name);
        if (of->saved[i]) {
            (void)snprintf(text, sizeof text,
                           "SUSPECT: %s was measured at another time: all that has changed since "
                           "is in the difference",
                           name);
            pp_line_put(out, style->columns, text);
        }
        if (of->differences[i] && of->differences[i][0]) {
            (void)snprintf(text, sizeof text,
                           "note: where %s was measured, against the baseline: %s", name,
                           of->differences[i]);
            pp_line_put(out, style->columns, text);
        }
    }
}

static void note_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_comparison *of)
{
    const unsigned columns = style->columns;
    char text[256], name[PP_FORMAT_BYTES];

    if (of->signal)
        pp_line_put(out, columns,
                    "PARTIAL: interrupted; what is here are the rounds that were whole");
    if (asks_for_rounds(of->comparison))
        pp_line_put(out, columns, "(N): with so many --rounds it might be told");
    if (held_back(of->comparison) > 0)
        pp_line_put(
            out, columns,
            "note: an interval without 0 that cannot be told would be a difference if it were "
            "asked for alone; among so many, chance makes one (Holm's correction)");
    if (differs_from_itself(of->comparison))
        pp_line_put(out, columns,
                    "SUSPECT: the baseline differs from itself by more than chance would have it: "
                    "something on this machine changes with the trials");
    for (unsigned i = 0; i < of->comparison->candidates; i++) {
        const struct pp_candidate_tally *tally = &of->comparison->tallies[i];

        (void)label_of(style, of, i, name);
        if (tally->missing > 0) {
            (void)snprintf(text, sizeof text, "note: %u of the %u runs of %s gave no result",
                           tally->missing, tally->trials, name);
            pp_line_put(out, columns, text);
        }
        if (tally->suspect > 0) {
            (void)snprintf(
                text, sizeof text,
                "note: %u of the %u runs of %s %s SUSPECT (%s), and in the figures all the same",
                tally->suspect, tally->trials, name, tally->suspect == 1 ? "was" : "were",
                tally->reason[0] ? tally->reason : "no reason given");
            pp_line_put(out, columns, text);
        }
    }
}

/* ---- text ---- */

static void head_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_comparison *of)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };

    pp_line_field(&line, "pingpong %s", PP_VERSION);
    if (of->plan) {
        pp_line_field(&line, "%s", pp_text_transport_name(of->plan));
        pp_text_load_fields(&line, of->plan);
        pp_line_end(&line);
        pp_text_wait_field(&line, of->plan);
        pp_text_placement_field(&line, of->plan);
    }
    pp_line_end(&line);
    pp_line_field(&line, "%u round%s of %u runs", of->comparison->rounds,
                  pp_text_plural(of->comparison->rounds), of->comparison->candidates + 1);
    pp_line_field(&line, "in shuffled order (--seed %" PRIu64 ")", of->seed);
    pp_line_end(&line);
}

static void legend_lines(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_comparison *of)
{
    for (unsigned i = 0; has_legend(style, of) && i < of->comparison->candidates; i++)
        pp_text_legend_line(out, style, (char)('A' + i), of->names[i]);
}

/* With -v: each run, in the order in which they were made. */
static void trial_lines(FILE *out, const struct pp_report_style *style,
                        const struct pp_report_comparison *of)
{
    const char *const p50_head = is_narrow(style) ? "" : "   p50 \u00b5s";
    char rate[PP_FORMAT_BYTES], cpu[PP_FORMAT_BYTES], p50[PP_FORMAT_BYTES], p99[PP_FORMAT_BYTES];
    char name[PP_FORMAT_BYTES];

    (void)fprintf(out, "\nround %12s   CPU \u00b5s%s   p99 \u00b5s verdict  candidate\n", "trips/s",
                  p50_head);
    for (size_t i = 0; i < of->trial_count; i++) {
        const struct pp_trial *trial = &of->trials[i];

        (void)fprintf(out, "%5u %12s %8s", trial->round + 1,
                      figure(rate, PP_METRIC_RATE, trial->figures[PP_METRIC_RATE]),
                      figure(cpu, PP_METRIC_CPU, trial->figures[PP_METRIC_CPU]));
        if (!is_narrow(style))
            (void)fprintf(out, " %8s", figure(p50, PP_METRIC_P50, trial->figures[PP_METRIC_P50]));
        (void)fprintf(out, " %8s %-8s %s%s\n",
                      figure(p99, PP_METRIC_P99, trial->figures[PP_METRIC_P99]),
                      trial->missing ? "missing" : pp_verdict_level_name(trial->level),
                      label_of(style, of, trial->candidate, name), trial->twin ? " (again)" : "");
    }
}

static void sentence_lines(FILE *out, const struct pp_report_style *style,
                           const struct pp_report_comparison *of)
{
    char text[512];

    for (unsigned i = 1; i < of->comparison->candidates; i++) {
        sentence(text, sizeof text, style, of, i);
        (void)fputs(style->colour ? BOLD : "", out);
        pp_line_put(out, style->columns, text);
        (void)fputs(style->colour ? PLAIN : "", out);
    }
}

static bool is_known(const struct pp_comparison *comparison, unsigned metric)
{
    for (unsigned i = 0; i < comparison->candidates; i++)
        if (isfinite(comparison->effects[i][metric].median))
            return true;
    return false;
}

void pp_report_comparison_text(FILE *out, const struct pp_report_style *style,
                               const struct pp_report_comparison *of)
{
    if (style->quiet) {
        legend_lines(out, style, of);
        sentence_lines(out, style, of);
        return;
    }
    head_lines(out, style, of);
    legend_lines(out, style, of);
    for (unsigned i = 0; i < PP_METRICS; i++)
        if (is_known(of->comparison, i)) {
            (void)fputc('\n', out);
            metric_table(out, style, of, (enum pp_metric)i);
        }
    if (of->matrix > 0)
        matrix_table(out, style, of);
    if (style->verbose)
        trial_lines(out, style, of);
    (void)fputc('\n', out);
    sentence_lines(out, style, of);
    noise_line(out, style, of);
    memory_line(out, style, of);
    note_lines(out, style, of);
    time_lines(out, style, of);
}

/* ---- Markdown ---- */

static void put_markdown(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("|*_`<>[]\\", *text))
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

static void markdown_row(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_comparison *of, unsigned candidate)
{
    char text[PP_FORMAT_BYTES], name[512];

    (void)fputs("| ", out);
    if (has_legend(style, of))
        (void)fprintf(out, "%s: ", label_of(style, of, candidate, text));
    put_markdown(out, pp_format_line(name, sizeof name, of->names[candidate]));
    for (unsigned i = 0; i < PP_METRICS; i++) {
        const struct pp_effect *effect = &of->comparison->effects[candidate][i];

        (void)fprintf(out, " | %s", figure(text, (enum pp_metric)i, effect->median));
        if (candidate > 0 && has_interval(&effect->paired))
            (void)fprintf(out, " (%+.1f %% [%+.1f, %+.1f], %s)", percent(effect->paired.ratio),
                          percent(effect->paired.at95.low), percent(effect->paired.at95.high),
                          verdict(effect, (enum pp_metric)i, text));
    }
    (void)fputs(" |\n", out);
}

void pp_report_comparison_markdown(FILE *out, const struct pp_report_comparison *of)
{
    static const struct pp_report_style plain = { .columns = 0 };
    char text[512];

    (void)fputs(
        "| | CPU a round trip \u00b5s | round trips/s | RTT p50 \u00b5s | RTT p99 \u00b5s |\n"
        "|---|---|---|---|---|\n",
        out);
    for (unsigned i = 0; i < of->comparison->candidates; i++)
        markdown_row(out, &plain, of, i);
    (void)fputc('\n', out);
    for (unsigned i = 1; i < of->comparison->candidates; i++) {
        sentence(text, sizeof text, &plain, of, i);
        put_markdown(out, text);
        (void)fputs("\n\n", out);
    }
    head_lines(out, &plain, of);
}

/* ---- CSV ---- */

void pp_report_comparison_csv(FILE *out, const struct pp_report_comparison *of)
{
    const struct pp_comparison *comparison = of->comparison;

    (void)fputs("candidate,metric,unit,median,pairs,ratio,ratio_low,ratio_high,p_holm,verdict,"
                "rounds_needed,noise\n",
                out);
    for (unsigned i = 0; i < comparison->candidates; i++)
        for (unsigned j = 0; j < PP_METRICS; j++) {
            const struct pp_effect *effect = &comparison->effects[i][j];
            const struct pp_paired *paired = &effect->paired;

            pp_csv_text(out, of->names[i]);
            (void)fprintf(out, ",%s,%s", pp_metrics[j].name, pp_metrics[j].unit);
            pp_csv_number(out, effect->median);
            (void)fprintf(out, ",%u", i > 0 ? paired->n : 0);
            pp_csv_number(out, i > 0 ? paired->ratio : NAN);
            pp_csv_number(out, has_interval(paired) && i > 0 ? paired->at95.low : NAN);
            pp_csv_number(out, has_interval(paired) && i > 0 ? paired->at95.high : NAN);
            pp_csv_number(out, i > 0 ? effect->p_holm : NAN);
            (void)fprintf(out, ",%s,%u",
                          i > 0 ? pp_difference_names[effect->difference] : "baseline",
                          i > 0 ? effect->rounds_needed : 0);
            pp_csv_number(out, comparison->floor[j]);
            (void)fputc('\n', out);
        }
}
