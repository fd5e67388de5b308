#include "report/progress.h"

#include "report/format.h"

#define BAR_COLUMNS 30

void pp_progress_draw(FILE *out, uint64_t done, uint64_t count, uint64_t elapsed_ns)
{
    const unsigned full = (unsigned)((double)done / (double)count * BAR_COLUMNS);
    const double rate = elapsed_ns ? (double)done * 1e9 / (double)elapsed_ns : 0;
    char text[PP_FORMAT_BYTES];

    (void)fputs("\r\033[K[", out);
    for (unsigned i = 0; i < BAR_COLUMNS; i++)
        (void)fputs(i < full ? "=" : " ", out);
    (void)fprintf(out, "] %3.0f %%  %s roundtrips/s", (double)done * 100 / (double)count,
                  pp_format_decimal(text, rate, 0));
    (void)fflush(out);
}

void pp_progress_clear(FILE *out)
{
    (void)fputs("\r\033[K", out);
    (void)fflush(out);
}
