#include "cli/suggest.h"

#include <string.h>

#define WORD_MAX 32

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The distance with swaps of neighbours, row by row: rows[i][j] is that of the first i letters of a
 * from the first j of b. */
unsigned pp_cli_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned rows[WORD_MAX + 1][WORD_MAX + 1];

    if (a_bytes > WORD_MAX || b_bytes > WORD_MAX)
        return UINT_MAX;
    for (size_t j = 0; j <= b_bytes; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_bytes; i++) {
        rows[i][0] = (unsigned)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            const unsigned changed = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

            rows[i][j] = least(changed, 1 + least(rows[i - 1][j], rows[i][j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    }
    return rows[a_bytes][b_bytes];
}

struct pp_cli_nearest pp_cli_nearest_begin(const char *typed, size_t bytes, unsigned max)
{
    return (struct pp_cli_nearest){ .typed = typed, .typed_bytes = bytes, .distance = max + 1 };
}

/* In a short word, what is left unchanged must still say something. */
unsigned pp_cli_nearest_max(size_t bytes)
{
    return bytes < 4 ? 1 : bytes < 8 ? 2 : 3;
}

void pp_cli_nearest_offer(struct pp_cli_nearest *nearest, const char *name)
{
    const unsigned distance = pp_cli_distance(nearest->typed, nearest->typed_bytes, name,
                                              strlen(name));

    if (distance >= nearest->distance)
        return;
    nearest->distance = distance;
    nearest->name = name;
}
