/* Small files of /proc and /sys, read without allocating; what is not there reads as nothing. Where
 * a root is passed, it is put in front of the path: "" for the system itself. */
#ifndef PP_MEASURE_FILE_H
#define PP_MEASURE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PP_FILE_PATH_BYTES 512

/* The path made from root and format. Returns path, which is cut where it does not fit. */
const char *pp_file_path(char path[PP_FILE_PATH_BYTES], const char *root, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What the file begins with, at most capacity - 1 bytes and a zero. Returns how many; 0 and an
 * empty text if it cannot be read. */
size_t pp_file_bytes(const char *path, char *text, size_t capacity);

/* The same up to the end of the first line, which is left out; false if that is empty. */
bool pp_file_line(const char *path, char *line, size_t capacity);

/* A file that holds one whole number; false, with *number left alone, if it holds anything else. */
bool pp_file_number(const char *path, uint64_t *number);

/* A file line by line; lines are at most as long as what is in bytes. */
struct pp_file_lines {
    int fd; /* negative: the file cannot be opened, and there are no lines */
    size_t begin;
    size_t end;
    char mark; /* that ends a line */
    char bytes[8192];
};

void pp_file_lines_open(struct pp_file_lines *lines, const char *path);

/* The same word by word, of a file in which each ends with a blank. */
void pp_file_words_open(struct pp_file_lines *words, const char *path);

/* The next line, without its end, valid until the next call; NULL after the last one, or before one
 * that is too long. */
char *pp_file_lines_next(struct pp_file_lines *lines);

void pp_file_lines_close(struct pp_file_lines *lines);

/* The names in a directory, in no order, without "." and "..". */
struct pp_file_names {
    int fd; /* negative: the directory cannot be opened, and there are no names */
    size_t next;
    size_t end;
    _Alignas(8) char entries[4096];
};

void pp_file_names_open(struct pp_file_names *names, const char *path);

/* Valid until the next call; NULL after the last. */
const char *pp_file_names_next(struct pp_file_names *names);

void pp_file_names_close(struct pp_file_names *names);

#endif
