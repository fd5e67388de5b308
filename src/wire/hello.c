/* A hello and its reply are lines of a name and a value: writing them first, then reading them, of
 * which nothing is believed. */
#include "wire/hello.h"

#include "base/assert.h"
#include "base/number.h"
#include "wire/pattern.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define REPLY_MAGIC "\x9dpingpong here 1\n"

struct writer {
    char *data;
    uint32_t used;
    bool full; /* something did not fit */
};

/* What stands behind the magic line, with a zero at the end of each line. */
struct lines {
    uint32_t bytes;
    char text[PP_HELLO_BYTES];
};

/* Room for a zero is kept: the last byte is never anything else. */
static __attribute__((format(printf, 2, 3))) void put(struct writer *writer, const char *format,
                                                      ...)
{
    const uint32_t room = PP_HELLO_BYTES - writer->used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(writer->data + writer->used, room, format, args);
    va_end(args);
    pp_assert(length >= 0);
    if ((uint32_t)length >= room)
        writer->full = true;
    else
        writer->used += (uint32_t)length;
}

static struct writer begin(char data[PP_HELLO_BYTES], const char *magic)
{
    struct writer writer = { .data = data };

    memset(data, 0, PP_HELLO_BYTES);
    put(&writer, "%s", magic);
    return writer;
}

static void put_sizes(struct writer *writer, const char *name, const struct pp_sizes *sizes)
{
    char text[PP_SIZES_TEXT_BYTES];

    put(writer, "%s=%s\n", name, pp_sizes_format(sizes, text));
}

static void put_number(struct writer *writer, const char *name, uint64_t value)
{
    put(writer, "%s=%" PRIu64 "\n", name, value);
}

int pp_hello_write(const struct pp_hello *hello, char data[PP_HELLO_BYTES])
{
    struct writer writer = begin(data, PP_HELLO_MAGIC);

    put_number(&writer, "answers", hello->answers);
    if (!hello->answers)
        return 0;
    pp_assert(hello->response_at < PP_PATTERN_RANDOM_PERIOD_MIN);
    put_sizes(&writer, "request", &hello->request);
    put_sizes(&writer, "response", &hello->response);
    put_number(&writer, "request_seed", hello->request_seed);
    put_number(&writer, "response_seed", hello->response_seed);
    put_number(&writer, "response_at", hello->response_at);
    return writer.full ? -E2BIG : 0;
}

/* The length of a character that is safe to show, 0 if it is none: printable ASCII, and the micro
 * sign of durations. Any other byte is not from us, and may do things to a terminal. */
static uint32_t shown_length(const char *text)
{
    if (text[0] >= ' ' && text[0] <= '~')
        return 1;
    return text[0] == '\xc2' && text[1] == '\xb5' ? 2 : 0;
}

/* Cuts value to bytes with its zero, and replaces what is not to be shown. */
static void copy_shown(char *out, size_t bytes, const char *value)
{
    (void)snprintf(out, bytes, "%s", value);
    while (*out) {
        const uint32_t length = shown_length(out);

        if (length == 0)
            *out = '?';
        out += length > 0 ? length : 1;
    }
}

/* A line end in a text would begin another line. */
static void put_text(struct writer *writer, const char *name, const char *value)
{
    char shown[PP_HELLO_BYTES];

    copy_shown(shown, sizeof shown, value);
    put(writer, "%s=%s\n", name, shown);
}

void pp_hello_reply_write(const struct pp_hello_reply *reply, char data[PP_HELLO_BYTES])
{
    struct writer writer = begin(data, REPLY_MAGIC);

    put_text(&writer, "version", reply->version);
    put_text(&writer, "engine", reply->engine);
    put_text(&writer, "wait", reply->wait);
    put_text(&writer, "host", reply->host);
    put_text(&writer, "boot_id", reply->boot_id);
    put_number(&writer, "threads", reply->threads);
    put_number(&writer, "user_ns", reply->user_ns);
    put_number(&writer, "system_ns", reply->system_ns);
    put_number(&writer, "context_switches", reply->context_switches);
    put_number(&writer, "syscalls", reply->syscalls);
    if (reply->says_bytes) {
        put_number(&writer, "bytes", reply->bytes);
        put_number(&writer, "connections", reply->connections);
    }
    pp_assert(!writer.full);
}

static bool begins_with(const char *data, uint32_t len, const char *magic)
{
    const size_t length = strlen(magic);

    return len >= length && memcmp(data, magic, length) == 0;
}

bool pp_hello_begins(const char *data, uint32_t len)
{
    return begins_with(data, len, PP_HELLO_MAGIC);
}

bool pp_hello_reply_may_begin(const char *data, uint32_t len)
{
    const size_t length = strlen(REPLY_MAGIC);

    return memcmp(data, REPLY_MAGIC, len < length ? len : length) == 0;
}

static bool all_zero(const char *data, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        if (data[i] != '\0')
            return false;
    return true;
}

/* A line is a name, "=" and a value, which may be empty. */
static int split(struct lines *lines)
{
    char *line = lines->text;
    char *const end = lines->text + lines->bytes;

    while (line < end) {
        char *const line_end = memchr(line, '\n', (size_t)(end - line));
        const char *equals = memchr(line, '=', (size_t)(end - line));

        if (!line_end || !equals || equals == line || equals > line_end)
            return -EINVAL;
        *line_end = '\0';
        line = line_end + 1;
    }
    return 0;
}

/* 0, or -EINVAL when data is not magic, whole lines and then nothing but zeros. */
static int read_lines(struct lines *lines, const char data[PP_HELLO_BYTES], const char *magic)
{
    const uint32_t used = (uint32_t)strnlen(data, PP_HELLO_BYTES);

    if (used == PP_HELLO_BYTES || !all_zero(data + used, PP_HELLO_BYTES - used))
        return -EINVAL;
    if (!begins_with(data, used, magic))
        return -EINVAL;
    lines->bytes = used - (uint32_t)strlen(magic);
    memcpy(lines->text, data + strlen(magic), lines->bytes);
    return split(lines);
}

/* The value of the last line of that name, or NULL. */
static const char *value_of(const struct lines *lines, const char *name)
{
    const size_t length = strlen(name);
    const char *value = NULL;

    for (uint32_t at = 0; at < lines->bytes; at += (uint32_t)strlen(lines->text + at) + 1) {
        const char *line = lines->text + at;

        if (strncmp(line, name, length) == 0 && line[length] == '=')
            value = line + length + 1;
    }
    return value;
}

/* Digits alone: a suffix or a fraction is not what we write. */
static int read_number(const struct lines *lines, const char *name, uint64_t min, uint64_t max,
                       uint64_t *out)
{
    const char *value = value_of(lines, name);

    if (!value || value[strspn(value, "0123456789")] != '\0')
        return -EINVAL;
    return pp_number_parse_count(value, min, max, out) < 0 ? -EINVAL : 0;
}

static int read_number32(const struct lines *lines, const char *name, uint32_t min, uint32_t max,
                         uint32_t *out)
{
    uint64_t value = 0;
    const int ret = read_number(lines, name, min, max, &value);

    *out = (uint32_t)value;
    return ret;
}

static int read_sizes(const struct lines *lines, const char *name, struct pp_sizes *sizes)
{
    const char *value = value_of(lines, name);

    return value ? pp_sizes_read(sizes, value) : -EINVAL;
}

static int read_text(const struct lines *lines, const char *name, char *out, size_t bytes)
{
    const char *value = value_of(lines, name);

    if (!value)
        return -EINVAL;
    copy_shown(out, bytes, value);
    return 0;
}

static int read_answers(struct pp_hello *hello, const struct lines *lines)
{
    if (read_sizes(lines, "request", &hello->request) < 0 ||
        read_sizes(lines, "response", &hello->response) < 0 ||
        read_number(lines, "request_seed", 0, UINT64_MAX, &hello->request_seed) < 0 ||
        read_number(lines, "response_seed", 0, UINT64_MAX, &hello->response_seed) < 0 ||
        read_number32(lines, "response_at", 0, PP_PATTERN_RANDOM_PERIOD_MIN - 1,
                      &hello->response_at) < 0)
        return -EINVAL;
    return 0;
}

int pp_hello_read(struct pp_hello *hello, const char data[PP_HELLO_BYTES])
{
    struct pp_hello read = { 0 };
    struct lines lines;
    uint32_t answers;

    if (read_lines(&lines, data, PP_HELLO_MAGIC) < 0)
        return -EINVAL;
    if (read_number32(&lines, "answers", 0, 1, &answers) < 0)
        return -EINVAL;
    read.answers = answers == 1;
    if (read.answers && read_answers(&read, &lines) < 0)
        return -EINVAL;
    *hello = read;
    return 0;
}

static int read_texts(struct pp_hello_reply *reply, const struct lines *lines)
{
    if (read_text(lines, "version", reply->version, sizeof reply->version) < 0 ||
        read_text(lines, "engine", reply->engine, sizeof reply->engine) < 0 ||
        read_text(lines, "wait", reply->wait, sizeof reply->wait) < 0 ||
        read_text(lines, "host", reply->host, sizeof reply->host) < 0)
        return -EINVAL;
    (void)read_text(lines, "boot_id", reply->boot_id, sizeof reply->boot_id);
    return 0;
}

static int read_numbers(struct pp_hello_reply *reply, const struct lines *lines)
{
    if (read_number32(lines, "threads", 1, PP_HELLO_THREADS_MAX, &reply->threads) < 0 ||
        read_number(lines, "user_ns", 0, INT64_MAX, &reply->user_ns) < 0 ||
        read_number(lines, "system_ns", 0, INT64_MAX, &reply->system_ns) < 0 ||
        read_number(lines, "context_switches", 0, INT64_MAX, &reply->context_switches) < 0 ||
        read_number(lines, "syscalls", 0, INT64_MAX, &reply->syscalls) < 0)
        return -EINVAL;
    return 0;
}

int pp_hello_reply_read(struct pp_hello_reply *reply, const char data[PP_HELLO_BYTES])
{
    struct pp_hello_reply read = { 0 };
    struct lines lines;

    if (read_lines(&lines, data, REPLY_MAGIC) < 0)
        return -EINVAL;
    if (read_texts(&read, &lines) < 0 || read_numbers(&read, &lines) < 0)
        return -EINVAL;
    read.says_bytes = read_number(&lines, "bytes", 0, INT64_MAX, &read.bytes) == 0 &&
                      read_number(&lines, "connections", 0, INT64_MAX, &read.connections) == 0;
    *reply = read;
    return 0;
}

/* Nobody makes a system call or changes to another thread in less. */
#define LEAST_CALL_NS 10

/* Some kernels count CPU time in ticks as long as this. */
#define TICK_NS 10000000

/* The thread that waits for signals counts, too, and as many that the kernel may run for them. */
static double most_cpu_ns(const struct pp_hello_reply *reply, uint64_t elapsed_ns)
{
    return 2.0 * (reply->threads + 1.0) * ((double)elapsed_ns + TICK_NS);
}

static bool rises_within(uint64_t from, uint64_t to, double most)
{
    return to >= from && (double)(to - from) <= most;
}

bool pp_hello_reply_follows(const struct pp_hello_reply *earlier,
                            const struct pp_hello_reply *later, uint64_t elapsed_ns)
{
    const double cpu_ns = most_cpu_ns(earlier, elapsed_ns);

    return later->threads == earlier->threads &&
           rises_within(earlier->user_ns, later->user_ns, cpu_ns) &&
           rises_within(earlier->system_ns, later->system_ns, cpu_ns) &&
           rises_within(earlier->context_switches, later->context_switches,
                        cpu_ns / LEAST_CALL_NS) &&
           rises_within(earlier->syscalls, later->syscalls, cpu_ns / LEAST_CALL_NS);
}
