#include "report/table.h"

#include "base/assert.h"
#include "report/line.h"

#include <stdarg.h>

#define GAP 2

unsigned pp_table_head(struct pp_table *table, const char *format, ...)
{
    const unsigned column = table->columns++;
    va_list args;

    pp_assert(column < PP_TABLE_COLUMNS);
    va_start(args, format);
    (void)vsnprintf(table->heads[column], PP_FORMAT_BYTES, format, args);
    va_end(args);
    return column;
}

static unsigned wider(unsigned width, const char *text)
{
    const unsigned columns = pp_line_columns(text);

    return columns > width ? columns : width;
}

static unsigned label_width(const struct pp_table *table)
{
    unsigned width = pp_line_columns(table->title);

    for (unsigned row = 0; row < table->rows; row++)
        width = wider(width, table->labels[row]);
    return width;
}

static unsigned column_width(const struct pp_table *table, unsigned column)
{
    unsigned width = pp_line_columns(table->heads[column]);

    for (unsigned row = 0; row < table->rows; row++)
        width = wider(width, table->cells[row][column]);
    return width + GAP;
}

static void pad(FILE *out, unsigned columns)
{
    while (columns-- > 0)
        (void)fputc(' ', out);
}

/* One past the last column that fits beside the first of them. */
static unsigned last_that_fits(const struct pp_table *table, unsigned first, unsigned limit)
{
    unsigned used = label_width(table);
    unsigned column = first;

    while (column < table->columns) {
        used += column_width(table, column);
        if (limit && used > limit && column > first)
            break;
        column++;
    }
    return column;
}

static void write_row(const struct pp_table *table, FILE *out, const char *label,
                      const char (*cells)[PP_FORMAT_BYTES], unsigned first, unsigned end)
{
    while (end > first && !cells[end - 1][0])
        end--;
    (void)fputs(label, out);
    if (end > first)
        pad(out, label_width(table) - pp_line_columns(label));
    for (unsigned column = first; column < end; column++) {
        pad(out, column_width(table, column) - pp_line_columns(cells[column]));
        (void)fputs(cells[column], out);
    }
    (void)fputc('\n', out);
}

void pp_table_write(const struct pp_table *table, FILE *out, unsigned limit)
{
    for (unsigned first = 0; first < table->columns;) {
        const unsigned end = last_that_fits(table, first, limit);

        write_row(table, out, table->title, table->heads, first, end);
        for (unsigned row = 0; row < table->rows; row++)
            write_row(table, out, table->labels[row], table->cells[row], first, end);
        first = end;
    }
}
