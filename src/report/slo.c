#include "report/slo.h"

#include "base/format.h"
#include "report/csv_cell.h"
#include "report/line.h"
#include "report/text_parts.h"
#include "result/verdict.h"

#include <inttypes.h>
#include <math.h>

/* ---- sentences ---- */

static void write_rate(char text[PP_FORMAT_BYTES], double rate)
{
    (void)pp_format_decimal(text, rate, rate < 100 ? 2 : 0);
}

/* "epoll: p99<200us holds up to 41,200 messages/s [40,100, 42,500], of 8 searches." */
static void sentence(char *out, size_t bytes, const struct pp_report_slo *of, unsigned candidate)
{
    const struct pp_slo *found = &of->found[candidate];
    const struct pp_interval *interval = &found->edge.at95;
    char name[256], rate[PP_FORMAT_BYTES], low[PP_FORMAT_BYTES], high[PP_FORMAT_BYTES];
    const char *colon = of->names[candidate][0] ? ": " : "";

    (void)pp_format_line(name, sizeof name, of->names[candidate]);
    write_rate(rate, found->edge.ratio);
    write_rate(low, interval->low);
    write_rate(high, interval->high);
    if (found->rounds == 0) {
        (void)snprintf(out, bytes, "%s%s%s: no search came to its end.", name, colon,
                       of->slo->text);
    } else if (found->never * 2 > found->rounds) {
        write_rate(rate, of->least[candidate]);
        (void)snprintf(out, bytes, "%s%s%s does not even hold at %s messages/s.", name, colon,
                       of->slo->text, rate);
    } else if (found->most * 2 > found->rounds || found->edge.n == 0) {
        write_rate(rate, of->most[candidate]);
        (void)snprintf(out, bytes,
                       "%s%s%s holds up to %s messages/s, more than which was not tried.", name,
                       colon, of->slo->text, rate);
    } else if (interval->low > 0 && isfinite(interval->high)) {
        (void)snprintf(out, bytes, "%s%s%s holds up to %s messages/s [%s, %s].", name, colon,
                       of->slo->text, rate, low, high);
    } else {
        (void)snprintf(out, bytes,
                       "%s%s%s holds up to about %s messages/s; an interval takes 6 --rounds.",
                       name, colon, of->slo->text, rate);
    }
}

/* ---- text ---- */

static unsigned most_rounds(const struct pp_report_slo *of)
{
    unsigned most = 0;

    for (unsigned i = 0; i < of->count; i++)
        most = of->found[i].rounds > most ? of->found[i].rounds : most;
    return most;
}

static void head_lines(FILE *out, const struct pp_report_style *style,
                       const struct pp_report_slo *of)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };

    pp_line_field(&line, "pingpong %s", PP_VERSION);
    pp_line_field(&line, "%s", pp_text_transport_name(of->plan));
    pp_line_field(&line, "the highest rate with %s", of->slo->text);
    pp_line_end(&line);
    pp_text_load_fields(&line, of->plan);
    pp_line_end(&line);
    pp_text_wait_field(&line, of->plan);
    pp_text_placement_field(&line, of->plan);
    pp_line_end(&line);
    pp_line_field(&line, "%u search%s and a first one", most_rounds(of),
                  most_rounds(of) == 1 ? "" : "es");
    pp_line_field(&line, "%zu run%s", of->trial_count, pp_text_plural(of->trial_count));
    pp_line_field(&line, "--seed %" PRIu64, of->seed);
    pp_line_end(&line);
    if (of->signal)
        pp_line_put(out, style->columns,
                    "PARTIAL: interrupted; what is here are the searches that were whole");
}

/* With -v: each try, in the order in which they were made. */
static void try_lines(FILE *out, const struct pp_report_slo *of)
{
    char rate[PP_FORMAT_BYTES], value[PP_FORMAT_BYTES];

    (void)fprintf(out, "\nround   messages/s %9s \u00b5s  holds\n", of->slo->figure);
    for (size_t i = 0; i < of->trial_count; i++) {
        write_rate(rate, of->tries[i].rate);
        (void)fprintf(out, "%5u %12s %12s  %-5s", of->trials[i].round, rate,
                      pp_format_us(value, of->tries[i].value_ns),
                      of->tries[i].holds ? "yes" : "no");
        if (of->count > 1)
            (void)fprintf(out, "  %c", 'A' + (char)of->trials[i].candidate);
        (void)fputc('\n', out);
    }
}

static void legend_lines(FILE *out, const struct pp_report_style *style,
                         const struct pp_report_slo *of)
{
    char name[256];

    for (unsigned i = 0; of->count > 1 && i < of->count; i++) {
        struct pp_line line = { .out = out, .separator = " ", .limit = style->columns };

        pp_line_field(&line, "%c ", 'A' + (char)i);
        pp_line_words(&line, pp_format_line(name, sizeof name, of->names[i]));
        pp_line_end(&line);
    }
}

void pp_report_slo_text(FILE *out, const struct pp_report_style *style,
                        const struct pp_report_slo *of)
{
    char text[1024];

    if (!style->quiet)
        head_lines(out, style, of);
    if (!style->quiet && style->verbose) {
        try_lines(out, of);
        legend_lines(out, style, of);
    }
    if (!style->quiet)
        (void)fputc('\n', out);
    for (unsigned i = 0; i < of->count; i++) {
        sentence(text, sizeof text, of, i);
        pp_line_put(out, style->columns, text);
    }
}

/* ---- Markdown and CSV ---- */

void pp_report_slo_markdown(FILE *out, const struct pp_report_slo *of)
{
    char text[PP_FORMAT_BYTES], name[256];

    (void)fprintf(
        out, "| | highest messages/s with `%s` | 95 %% interval | searches |\n|---|---|---|---|\n",
        of->slo->text);
    for (unsigned i = 0; i < of->count; i++) {
        const struct pp_slo *found = &of->found[i];
        const struct pp_interval *interval = &found->edge.at95;

        (void)fprintf(out, "| `%s` | ", pp_format_line(name, sizeof name, of->names[i]));
        write_rate(text, found->edge.n > 0 ? found->edge.ratio : of->most[i]);
        if (found->never * 2 > found->rounds)
            (void)fputs("none", out);
        else
            (void)fprintf(out, "%s%s", found->edge.n > 0 ? "" : "\u2265 ", text);
        write_rate(text, interval->low);
        if (found->edge.n > 0 && interval->low > 0)
            (void)fprintf(out, " | %s .. ", text);
        else
            (void)fputs(" | n/a", out);
        write_rate(text, interval->high);
        (void)fprintf(out, "%s | %u |\n", found->edge.n > 0 && interval->low > 0 ? text : "",
                      found->rounds);
    }
}

void pp_report_slo_csv(FILE *out, const struct pp_report_slo *of)
{
    (void)fputs("candidate,round,rate,holds,value_ns,round_trips_per_s,p50_ns,p99_ns,verdict\n",
                out);
    for (size_t i = 0; i < of->trial_count; i++) {
        const struct pp_trial *trial = &of->trials[i];

        pp_csv_text(out, of->names[trial->candidate]);
        (void)fprintf(out, ",%u", trial->round);
        pp_csv_number(out, of->tries[i].rate);
        (void)fprintf(out, ",%d", of->tries[i].holds);
        pp_csv_number(out, of->tries[i].value_ns);
        pp_csv_number(out, trial->figures[PP_METRIC_RATE]);
        pp_csv_number(out, trial->figures[PP_METRIC_P50]);
        pp_csv_number(out, trial->figures[PP_METRIC_P99]);
        (void)fprintf(out, ",%s\n", pp_verdict_level_name(trial->level));
    }
}
