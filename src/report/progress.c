#include "report/progress.h"

#include "base/clock.h"
#include "base/format.h"
#include "base/number.h"

#include <inttypes.h>
#include <string.h>

#define BAR_COLUMNS_MAX 30

/* What stands beside the bar: brackets, a percentage and a rate. */
#define TEXT_COLUMNS 36

/* With less than this beside it, what it looks like so far is left out. */
#define BESIDE_COLUMNS_MIN 44

static unsigned bar_columns(unsigned columns)
{
    if (columns < TEXT_COLUMNS)
        return 0;
    return columns - TEXT_COLUMNS < BAR_COLUMNS_MAX ? columns - TEXT_COLUMNS : BAR_COLUMNS_MAX;
}

static void draw_bar(FILE *out, unsigned columns, double share)
{
    const unsigned bar = bar_columns(columns);
    const unsigned full = (unsigned)(share * bar);

    (void)fputs("\r\033[K[", out);
    for (unsigned i = 0; i < bar; i++)
        (void)fputs(i < full ? "=" : " ", out);
    (void)fputs("]", out);
}

void pp_progress_draw(FILE *out, unsigned columns, uint64_t done, double share, uint64_t elapsed_ns)
{
    const double rate = pp_number_per_s(done, elapsed_ns);
    char text[PP_FORMAT_BYTES];

    draw_bar(out, columns, share);
    (void)fprintf(out, " %3.0f %%  %s roundtrips/s", share * 100, pp_format_decimal(text, rate, 0));
    (void)fflush(out);
}

/* "1:05", or "45 s" */
static void put_left(FILE *out, uint64_t left_ns)
{
    const uint64_t seconds = (left_ns + PP_NS_PER_S / 2) / PP_NS_PER_S;

    if (seconds >= 60)
        (void)fprintf(out, ", %" PRIu64 ":%02" PRIu64 " left", seconds / 60, seconds % 60);
    else if (left_ns > 0)
        (void)fprintf(out, ", %" PRIu64 " s left", seconds);
}

void pp_progress_trials(FILE *out, unsigned columns, unsigned done, unsigned of, uint64_t left_ns,
                        const char *text)
{
    const unsigned room = columns > strlen(text) + 4 ? columns - (unsigned)strlen(text) - 4 : 0;

    draw_bar(out, room >= BESIDE_COLUMNS_MIN ? room : columns, of ? (double)done / of : 0);
    (void)fprintf(out, " run %u of %u", done < of ? done + 1 : of, of);
    put_left(out, left_ns);
    if (text[0] && room >= BESIDE_COLUMNS_MIN)
        (void)fprintf(out, "  %s", text);
    (void)fflush(out);
}

void pp_progress_clear(FILE *out)
{
    (void)fputs("\r\033[K", out);
    (void)fflush(out);
}
