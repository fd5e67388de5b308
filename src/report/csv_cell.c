#include "report/csv_cell.h"

#include "base/format.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* A spreadsheet would take a text that begins like this for a formula, wherever it came from. */
static bool looks_like_a_formula(const char *text)
{
    return text[0] && strchr("=+-@\t\r", text[0]);
}

void pp_csv_text(FILE *out, const char *text)
{
    (void)fputc('"', out);
    if (looks_like_a_formula(text))
        (void)fputc('\'', out);
    while (*text) {
        const size_t bytes = pp_format_character(text);

        if (*text == '"')
            (void)fputc('"', out);
        (void)fwrite(bytes > 0 ? text : "?", 1, bytes > 0 ? bytes : 1, out);
        text += bytes > 0 ? bytes : 1;
    }
    (void)fputc('"', out);
}

void pp_csv_number(FILE *out, double value)
{
    if (isfinite(value))
        (void)fprintf(out, ",%.9g", value);
    else
        (void)fputc(',', out);
}
