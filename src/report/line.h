/* A line of fields, folded where the next one would not fit: only a word can be wider than the
 * limit. */
#ifndef PP_REPORT_LINE_H
#define PP_REPORT_LINE_H

#include <stdio.h>

#define PP_LINE_DOT " \u00b7 "
#define PP_LINE_SPACES "  "

struct pp_line {
    FILE *out;
    const char *separator;
    unsigned limit; /* columns; 0: none */
    unsigned used;
};

/* How many columns UTF-8 text takes up. Codes of colours, "\033[...m", take up none. */
unsigned pp_line_columns(const char *text);

/* One more field; of 512 B at most. One that is wider than a line is folded between its words. */
__attribute__((format(printf, 2, 3))) void pp_line_field(struct pp_line *line, const char *format,
                                                         ...);

/* Each word of text is a field; a figure stays with its unit, as in "98.5 ms". */
void pp_line_words(struct pp_line *line, const char *text);

void pp_line_end(struct pp_line *line);

/* Such words as lines of their own. */
void pp_line_put(FILE *out, unsigned columns, const char *text);

#endif
