#include "report/line.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#define FIELD_BYTES 512

/* Its bytes without the continuation bytes, and without what switches colours. */
unsigned pp_line_columns(const char *text)
{
    unsigned columns = 0;

    while (*text) {
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

void pp_line_field(struct pp_line *line, const char *format, ...)
{
    char text[FIELD_BYTES];
    va_list args;
    unsigned columns, separator_columns;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    columns = pp_line_columns(text);
    separator_columns = pp_line_columns(line->separator);
    if (line->used && line->limit && line->used + separator_columns + columns > line->limit) {
        (void)fputs("\n  ", line->out);
        line->used = 2;
    } else if (line->used) {
        (void)fputs(line->separator, line->out);
        line->used += separator_columns;
    }
    (void)fputs(text, line->out);
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

void pp_line_words(struct pp_line *line, const char *text)
{
    while (*text) {
        const size_t bytes = word_bytes(text);

        pp_line_field(line, "%.*s", (int)bytes, text);
        text += bytes + strspn(text + bytes, " ");
    }
}

void pp_line_end(struct pp_line *line)
{
    (void)fputc('\n', line->out);
    line->used = 0;
}
