#include "report/progress.h"

#include "base/format.h"
#include "base/number.h"

#define BAR_COLUMNS_MAX 30

/* What stands beside the bar: brackets, a percentage and a rate. */
#define TEXT_COLUMNS 36

static unsigned bar_columns(unsigned columns)
{
    if (columns < TEXT_COLUMNS)
        return 0;
    return columns - TEXT_COLUMNS < BAR_COLUMNS_MAX ? columns - TEXT_COLUMNS : BAR_COLUMNS_MAX;
}

void pp_progress_draw(FILE *out, unsigned columns, uint64_t done, double share, uint64_t elapsed_ns)
{
    const unsigned bar = bar_columns(columns);
    const unsigned full = (unsigned)(share * bar);
    const double rate = pp_number_per_s(done, elapsed_ns);
    char text[PP_FORMAT_BYTES];

    (void)fputs("\r\033[K[", out);
    for (unsigned i = 0; i < bar; i++)
        (void)fputs(i < full ? "=" : " ", out);
    (void)fprintf(out, "] %3.0f %%  %s roundtrips/s", share * 100,
                  pp_format_decimal(text, rate, 0));
    (void)fflush(out);
}

void pp_progress_clear(FILE *out)
{
    (void)fputs("\r\033[K", out);
    (void)fflush(out);
}
