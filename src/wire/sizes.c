/* Sizes of messages: as people write them, in an argument or a file of weights; as they are shown,
 * and read back from a hello; and drawing from them. */
#include "wire/sizes.h"

#include "base/assert.h"
#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Of one line of a file without its comment; no range with its weight needs as much. */
#define LINE_BYTES 128

/* Of a number in text: no size and no weight that is not padded needs as much. */
#define NUMBER_BYTES 32

#define BLANKS " \t\r"

struct lines {
    FILE *file;
    unsigned number; /* of the line in text, from 1 */
    char text[LINE_BYTES];
};

static struct pp_sizes empty(void)
{
    return (struct pp_sizes){ .min = UINT32_MAX };
}

static uint32_t total_weight(const struct pp_sizes *sizes)
{
    return sizes->ranges[sizes->count - 1].weight_to;
}

/* 0; -E2BIG: one range too many; -EOVERFLOW: the weights are too large to be summed up. */
static int add(struct pp_sizes *sizes, uint32_t low, uint32_t high, uint32_t weight)
{
    uint32_t weight_to = sizes->count > 0 ? total_weight(sizes) : 0;

    if (sizes->count == PP_SIZES_RANGES_MAX)
        return -E2BIG;
    if (__builtin_add_overflow(weight_to, weight, &weight_to))
        return -EOVERFLOW;
    sizes->ranges[sizes->count++] =
        (struct pp_sizes_range){ .low = low, .high = high, .weight_to = weight_to };
    sizes->min = low < sizes->min ? low : sizes->min;
    sizes->max = high > sizes->max ? high : sizes->max;
    return 0;
}

static struct pp_sizes one_range(uint32_t low, uint32_t high)
{
    struct pp_sizes sizes = empty();

    (void)add(&sizes, low, high, 1);
    return sizes;
}

struct pp_sizes pp_sizes_of(uint32_t bytes)
{
    pp_assert(bytes >= 1 && bytes <= PP_SIZES_BYTES_MAX);
    return one_range(bytes, bytes);
}

static int parse_size(const char *text, uint32_t *bytes)
{
    uint64_t value = 0;
    const int ret = pp_number_parse_size(text, 1, PP_SIZES_BYTES_MAX, &value);

    *bytes = (uint32_t)value;
    return ret;
}

/* "LOW-HIGH", which dash points into. */
static int parse_range(const char *text, const char *dash, uint32_t *low, uint32_t *high)
{
    char first[NUMBER_BYTES];
    const size_t length = (size_t)(dash - text);
    int ret;

    if (length >= sizeof first)
        return -EINVAL;
    memcpy(first, text, length);
    first[length] = '\0';
    ret = parse_size(first, low);
    if (ret == 0)
        ret = parse_size(dash + 1, high);
    if (ret == 0 && *low > *high)
        ret = -EINVAL;
    return ret;
}

/* "SIZE" or "LOW-HIGH" */
static int parse_size_or_range(const char *text, uint32_t *low, uint32_t *high)
{
    const char *dash = strchr(text, '-');
    int ret;

    if (dash)
        return parse_range(text, dash, low, high);
    ret = parse_size(text, low);
    *high = *low;
    return ret;
}

/* Moves on to the next line: 1, 0 at the end of the file, or a negative errno. Comments may be of
 * any length; a zero byte would hide what follows it. */
static int next_line(struct lines *lines)
{
    size_t length = 0;
    bool comment = false;
    int c = getc(lines->file);

    if (c == EOF)
        return ferror(lines->file) ? -EIO : 0;
    lines->number++;
    for (; c != '\n' && c != EOF; c = getc(lines->file)) {
        comment = comment || c == '#';
        if (comment)
            continue;
        if (c == '\0' || length == sizeof lines->text - 1)
            return -EBADMSG;
        lines->text[length++] = (char)c;
    }
    lines->text[length] = '\0';
    return ferror(lines->file) ? -EIO : 1;
}

static int line_error(const struct lines *lines, const char *path, struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_USAGE, -EBADMSG,
                        "%s, line %u: expected \"SIZE [WEIGHT]\" or \"LOW-HIGH [WEIGHT]\", sizes "
                        "from 1 to 64MiB, weights from 1",
                        path, lines->number);
}

static int add_error(const struct lines *lines, const char *path, int code, struct pp_error *err)
{
    if (code == -E2BIG)
        return pp_error_set(err, PP_ERROR_USAGE, code, "%s, line %u: more than %d ranges", path,
                            lines->number, PP_SIZES_RANGES_MAX);
    return pp_error_set(err, PP_ERROR_USAGE, code,
                        "%s, line %u: the weights up to here are more than %" PRIu32 " in all",
                        path, lines->number, UINT32_MAX);
}

/* An empty line adds nothing. */
static int add_line(struct pp_sizes *sizes, struct lines *lines, const char *path,
                    struct pp_error *err)
{
    char *place = NULL;
    const char *range = strtok_r(lines->text, BLANKS, &place);
    const char *weight_text = range ? strtok_r(NULL, BLANKS, &place) : NULL;
    uint64_t weight = 1;
    uint32_t low, high;
    int ret;

    if (!range)
        return 0;
    if (parse_size_or_range(range, &low, &high) < 0)
        return line_error(lines, path, err);
    if (weight_text && pp_number_parse_count(weight_text, 1, UINT32_MAX, &weight) < 0)
        return line_error(lines, path, err);
    if (weight_text && strtok_r(NULL, BLANKS, &place))
        return line_error(lines, path, err);
    ret = add(sizes, low, high, (uint32_t)weight);
    return ret < 0 ? add_error(lines, path, ret, err) : 0;
}

static int add_lines(struct pp_sizes *sizes, struct lines *lines, const char *path,
                     struct pp_error *err)
{
    int ret = next_line(lines);

    while (ret > 0) {
        ret = add_line(sizes, lines, path, err);
        if (ret == 0)
            ret = next_line(lines);
        else
            return ret;
    }
    if (ret == -EBADMSG)
        return line_error(lines, path, err);
    if (ret < 0)
        return pp_error_set(err, PP_ERROR_USAGE, ret, "cannot read %s: %s", path, strerror(errno));
    if (sizes->count == 0)
        return pp_error_set(err, PP_ERROR_USAGE, -ENODATA, "%s holds no size", path);
    return 0;
}

/* A range that stands alone always comes: its weight says nothing, and is not kept. */
static int parse_file(struct pp_sizes *sizes, const char *path, struct pp_error *err)
{
    struct pp_sizes parsed = empty();
    struct lines lines = { .file = fopen(path, "re") };
    int ret;

    if (!lines.file)
        return pp_error_set(err, PP_ERROR_USAGE, errno == EINVAL ? -EIO : -errno,
                            "cannot open %s: %s", path, strerror(errno));
    ret = add_lines(&parsed, &lines, path, err);
    (void)fclose(lines.file);
    if (ret < 0)
        return ret;
    if (parsed.count == 1)
        parsed.ranges[0].weight_to = 1;
    *sizes = parsed;
    return 0;
}

static const char *after_prefix(const char *text, const char *prefix)
{
    const size_t length = strlen(prefix);

    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

int pp_sizes_parse(struct pp_sizes *sizes, const char *text, struct pp_error *err)
{
    const char *path = after_prefix(text, "file:");
    const char *range = after_prefix(text, "uniform:");
    const char *dash = range ? strchr(range, '-') : NULL;
    uint32_t low, high;
    int ret;

    if (path)
        return *path ? parse_file(sizes, path, err) : -EINVAL;
    if (range && !dash)
        return -EINVAL;
    ret = range ? parse_range(range, dash, &low, &high) : parse_size(text, &low);
    if (ret == 0)
        *sizes = one_range(low, range ? high : low);
    return ret;
}

static __attribute__((format(printf, 3, 4))) void put(char text[PP_SIZES_TEXT_BYTES],
                                                      uint32_t *used, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(text + *used, PP_SIZES_TEXT_BYTES - *used, format, args);
    va_end(args);
    pp_assert(length >= 0 && (uint32_t)length < PP_SIZES_TEXT_BYTES - *used);
    *used += (uint32_t)length;
}

const char *pp_sizes_format(const struct pp_sizes *sizes, char text[PP_SIZES_TEXT_BYTES])
{
    uint32_t weight_before = 0;
    uint32_t used = 0;

    for (uint32_t i = 0; i < sizes->count; i++) {
        const struct pp_sizes_range *range = &sizes->ranges[i];

        put(text, &used, "%s%" PRIu32, i > 0 ? "," : "", range->low);
        if (range->low < range->high)
            put(text, &used, "-%" PRIu32, range->high);
        if (sizes->count > 1)
            put(text, &used, "*%" PRIu32, range->weight_to - weight_before);
        weight_before = range->weight_to;
    }
    return text;
}

/* Digits alone, from 1 to max. Returns what stands behind them, or NULL. */
static const char *read_number(const char *text, uint32_t max, uint32_t *out)
{
    char digits[NUMBER_BYTES];
    const size_t length = strspn(text, "0123456789");
    uint64_t value;

    if (length >= sizeof digits)
        return NULL;
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (pp_number_parse_count(digits, 1, max, &value) < 0)
        return NULL;
    *out = (uint32_t)value;
    return text + length;
}

/* "LOW", "LOW-HIGH", and either with "*WEIGHT". Returns what stands behind it, or NULL. */
static const char *read_range(struct pp_sizes *sizes, const char *text)
{
    uint32_t low, high;
    uint32_t weight = 1;

    text = read_number(text, PP_SIZES_BYTES_MAX, &low);
    high = text ? low : 0;
    if (text && *text == '-')
        text = read_number(text + 1, PP_SIZES_BYTES_MAX, &high);
    if (text && *text == '*')
        text = read_number(text + 1, UINT32_MAX, &weight);
    if (!text || low > high || add(sizes, low, high, weight) < 0)
        return NULL;
    return text;
}

int pp_sizes_read(struct pp_sizes *sizes, const char *text)
{
    struct pp_sizes read = empty();
    const char *rest = read_range(&read, text);
    char again[PP_SIZES_TEXT_BYTES];

    while (rest && *rest == ',')
        rest = read_range(&read, rest + 1);
    if (!rest || strcmp(pp_sizes_format(&read, again), text) != 0)
        return -EINVAL;
    *sizes = read;
    return 0;
}

bool pp_sizes_equal(const struct pp_sizes *a, const struct pp_sizes *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct pp_sizes_range *of_a = &a->ranges[i];
        const struct pp_sizes_range *of_b = &b->ranges[i];

        if (of_a->low != of_b->low || of_a->high != of_b->high ||
            of_a->weight_to != of_b->weight_to)
            return false;
    }
    return true;
}

/* The range that place, below the total of the weights, falls into. */
static const struct pp_sizes_range *range_at(const struct pp_sizes *sizes, uint32_t place)
{
    uint32_t from = 0;
    uint32_t to = sizes->count - 1;

    while (from < to) {
        const uint32_t middle = (from + to) / 2;

        if (place < sizes->ranges[middle].weight_to)
            to = middle;
        else
            from = middle + 1;
    }
    return &sizes->ranges[from];
}

uint32_t pp_sizes_draw(const struct pp_sizes *sizes, struct pp_random *random)
{
    const struct pp_sizes_range *range = sizes->ranges;

    if (sizes->count > 1)
        range = range_at(sizes, pp_random_below(random, total_weight(sizes)));
    if (range->low == range->high)
        return range->low;
    return range->low + pp_random_below(random, range->high - range->low + 1);
}

double pp_sizes_mean(const struct pp_sizes *sizes)
{
    uint32_t weight_before = 0;
    double sum = 0;

    for (uint32_t i = 0; i < sizes->count; i++) {
        const struct pp_sizes_range *range = &sizes->ranges[i];
        const double middle = ((double)range->low + (double)range->high) / 2;

        sum += middle * (double)(range->weight_to - weight_before);
        weight_before = range->weight_to;
    }
    return sum / (double)total_weight(sizes);
}
