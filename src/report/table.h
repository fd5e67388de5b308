/* A small table for people: a label in front of each row, figures aligned to the right under their
 * heads. Where it gets too wide for the terminal, what is left goes into a second table below. */
#ifndef PP_REPORT_TABLE_H
#define PP_REPORT_TABLE_H

#include "base/format.h"

#include <stdio.h>

#define PP_TABLE_COLUMNS 24
#define PP_TABLE_ROWS 16

/* Zero it, but for its title. */
struct pp_table {
    const char *title; /* above the labels; with the unit of all figures, where they share one */
    unsigned columns, rows;
    const char *labels[PP_TABLE_ROWS];
    char heads[PP_TABLE_COLUMNS][PP_FORMAT_BYTES];
    char cells[PP_TABLE_ROWS][PP_TABLE_COLUMNS][PP_FORMAT_BYTES];
};

/* The next column's head, and where its cells go: cells[row][that]. */
__attribute__((format(printf, 2, 3))) unsigned pp_table_head(struct pp_table *table,
                                                             const char *format, ...);

/* limit is in columns of the terminal; 0: none. */
void pp_table_write(const struct pp_table *table, FILE *out, unsigned limit);

#endif
