#include "measure/stat.h"

#include <math.h>
#include <stdlib.h>

#define Z_95 1.959963984540054 /* the normal distribution's 97.5th percentile */

struct pp_interval pp_stat_proportion(uint64_t hits, uint64_t n)
{
    const double count = (double)n;
    const double share = n ? (double)hits / count : 0;
    const double scale = 1 + Z_95 * Z_95 / count;
    const double middle = (share + Z_95 * Z_95 / (2 * count)) / scale;
    const double half =
        Z_95 * sqrt(share * (1 - share) / count + Z_95 * Z_95 / (4 * count * count)) / scale;

    if (n == 0)
        return (struct pp_interval){ 0, 1 };
    return (struct pp_interval){ hits == 0 ? 0 : middle - half, hits == n ? 1 : middle + half };
}

double pp_stat_jain(uint64_t n, double sum, double sum_of_squares)
{
    return n > 0 && sum_of_squares > 0 ? sum * sum / ((double)n * sum_of_squares) : 1;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double pp_stat_median(double *values, unsigned count)
{
    if (count == 0)
        return NAN;
    qsort(values, count, sizeof values[0], compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}
