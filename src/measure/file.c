#include "measure/file.h"

#include "base/assert.h"
#include "base/number.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *pp_file_path(char path[PP_FILE_PATH_BYTES], const char *root, const char *format, ...)
{
    const size_t bytes = strnlen(root, PP_FILE_PATH_BYTES - 1);
    va_list args;

    memcpy(path, root, bytes);
    va_start(args, format);
    (void)vsnprintf(path + bytes, PP_FILE_PATH_BYTES - bytes, format, args);
    va_end(args);
    return path;
}

/* One read() of /proc may end early, after a page or a line, so it takes several. */
size_t pp_file_bytes(const char *path, char *text, size_t capacity)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t bytes = 0;
    ssize_t got;

    pp_assert(capacity > 0);
    text[0] = '\0';
    if (fd < 0)
        return 0;
    while (bytes < capacity - 1 && (got = read(fd, text + bytes, capacity - 1 - bytes)) > 0)
        bytes += (size_t)got;
    (void)close(fd);
    text[bytes] = '\0';
    return bytes;
}

bool pp_file_line(const char *path, char *line, size_t capacity)
{
    (void)pp_file_bytes(path, line, capacity);
    line[strcspn(line, "\n")] = '\0';
    return line[0] != '\0';
}

bool pp_file_number(const char *path, uint64_t *number)
{
    char line[32];

    return pp_file_line(path, line, sizeof line) &&
           pp_number_parse_count(line, 0, UINT64_MAX, number) == 0;
}

void pp_file_lines_open(struct pp_file_lines *lines, const char *path)
{
    lines->fd = open(path, O_RDONLY | O_CLOEXEC);
    lines->begin = 0;
    lines->end = 0;
    lines->mark = '\n';
}

void pp_file_words_open(struct pp_file_lines *words, const char *path)
{
    pp_file_lines_open(words, path);
    words->mark = ' ';
}

/* False at the end of the file, or when a line is longer than there is room for. */
static bool fill(struct pp_file_lines *lines)
{
    ssize_t got;

    memmove(lines->bytes, lines->bytes + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    if (lines->fd < 0 || lines->end == sizeof lines->bytes)
        return false;
    got = read(lines->fd, lines->bytes + lines->end, sizeof lines->bytes - lines->end);
    if (got <= 0)
        return false;
    lines->end += (size_t)got;
    return true;
}

char *pp_file_lines_next(struct pp_file_lines *lines)
{
    char *line;
    char *end;

    for (;;) {
        line = lines->bytes + lines->begin;
        end = memchr(line, lines->mark, lines->end - lines->begin);
        if (end)
            break;
        if (!fill(lines))
            return NULL;
    }
    *end = '\0';
    lines->begin = (size_t)(end + 1 - lines->bytes);
    return line;
}

void pp_file_lines_close(struct pp_file_lines *lines)
{
    if (lines->fd >= 0)
        (void)close(lines->fd);
    lines->fd = -1;
}

void pp_file_names_open(struct pp_file_names *names, const char *path)
{
    names->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    names->next = 0;
    names->end = 0;
}

/* Not readdir(3), as opendir(3) allocates. */
static const struct dirent64 *entry_next(struct pp_file_names *names)
{
    const struct dirent64 *entry;

    if (names->next == names->end) {
        const ssize_t got = names->fd < 0
                                ? -1
                                : getdents64(names->fd, names->entries, sizeof names->entries);

        if (got <= 0)
            return NULL;
        names->next = 0;
        names->end = (size_t)got;
    }
    entry = (const void *)(names->entries + names->next);
    names->next += entry->d_reclen;
    return entry;
}

const char *pp_file_names_next(struct pp_file_names *names)
{
    const struct dirent64 *entry;

    while ((entry = entry_next(names))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry->d_name;
    }
    return NULL;
}

void pp_file_names_close(struct pp_file_names *names)
{
    if (names->fd >= 0)
        (void)close(names->fd);
    names->fd = -1;
}
