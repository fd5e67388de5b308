#include "report/line.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define FIELD_BYTES 512
#define INDENT 2 /* of a line that goes on */

/* The bytes without the continuation bytes, and without what switches colours. */
static unsigned columns_of(const char *text, size_t bytes)
{
    const char *const end = text + bytes;
    unsigned columns = 0;

    while (text < end) {
        if (text[0] == '\033' && text[1] == '[') {
            text += strcspn(text, "m");
            text += *text == 'm';
            continue;
        }
        columns += ((unsigned char)*text & 0xc0) != 0x80;
        text++;
    }
    return columns;
}

unsigned pp_line_columns(const char *text)
{
    return columns_of(text, strlen(text));
}

/* Behind the separator, or on the next line if there is no room. */
static void put(struct pp_line *line, const char *separator, const char *text, size_t bytes)
{
    const unsigned columns = columns_of(text, bytes);
    const unsigned separator_columns = pp_line_columns(separator);

    if (line->used && line->limit && line->used + separator_columns + columns > line->limit) {
        (void)fprintf(line->out, "\n%*s", INDENT, "");
        line->used = INDENT;
    } else if (line->used) {
        (void)fputs(separator, line->out);
        line->used += separator_columns;
    }
    (void)fwrite(text, 1, bytes, line->out);
    line->used += columns;
}

/* A figure and its unit stay together: how many bytes the word that begins text takes. */
static size_t word_bytes(const char *text)
{
    static const char *const units[] = { "%", "ms", "\u00b5s", "s" };
    const size_t bytes = strcspn(text, " ");
    const char *next = text + bytes + strspn(text + bytes, " ");
    const size_t length = strcspn(next, " .,:;");

    if (!isdigit((unsigned char)*text) || next[-1] != ' ')
        return bytes;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (length == strlen(units[i]) && strncmp(next, units[i], length) == 0)
            return (size_t)(next - text) + strcspn(next, " ");
    return bytes;
}

/* With the separator between them; NULL: with the blanks that are there. */
static void put_words(struct pp_line *line, const char *text, const char *separator)
{
    const char *before = line->separator;

    while (*text) {
        const size_t bytes = word_bytes(text);
        const size_t blanks = strspn(text + bytes, " ");

        put(line, before, text, bytes);
        before = separator ? separator : blanks > 1 ? PP_LINE_SPACES : " ";
        text += bytes + blanks;
    }
}

void pp_line_words(struct pp_line *line, const char *text)
{
    put_words(line, text, line->separator);
}

/* Whether text has room on a line of its own. */
static bool fits_alone(const struct pp_line *line, const char *text)
{
    return !line->limit || pp_line_columns(text) + (line->used ? INDENT : 0) <= line->limit;
}

void pp_line_field(struct pp_line *line, const char *format, ...)
{
    char text[FIELD_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (fits_alone(line, text))
        put(line, line->separator, text, strlen(text));
    else
        put_words(line, text, NULL);
}

void pp_line_end(struct pp_line *line)
{
    (void)fputc('\n', line->out);
    line->used = 0;
}

void pp_line_put(FILE *out, unsigned columns, const char *text)
{
    struct pp_line line = { .out = out, .separator = " ", .limit = columns };

    pp_line_words(&line, text);
    pp_line_end(&line);
}
