/* Inside this layer: cells of CSV (RFC 4180), of measurements and of experiments. */
#ifndef PP_REPORT_CSV_CELL_H
#define PP_REPORT_CSV_CELL_H

#include <stdio.h>

/* In quotes. What a spreadsheet would take for a formula is none, and what is no text is "?". */
void pp_csv_text(FILE *out, const char *text);

/* With a comma in front; nothing behind it where value is not known, NAN or infinite. */
void pp_csv_number(FILE *out, double value);

#endif
