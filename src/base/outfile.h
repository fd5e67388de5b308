/* A file that takes its name when it is whole; until then what had that name before stays as it
 * was. No mode, owner or link of a stranger's is taken over. What cannot be replaced, a pipe or a
 * device, is written to as it is. */
#ifndef PP_BASE_OUTFILE_H
#define PP_BASE_OUTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct pp_outfile {
    int folder;                   /* where it will be; -1: it is none to be replaced */
    char name[NAME_MAX + 1];      /* that it will have there */
    char temporary[NAME_MAX + 1]; /* that it has until then; "": none at all */
    bool exists;                  /* there was a file of that name at first */
    const char *why; /* it was refused, in words and with advice; NULL: errno says it */
};

/* The descriptor to write to, or a negative errno. Waits until a pipe has a reader: -EINTR if it is
 * told to stop meanwhile, by anything but 0. To be closed, after errors as well. */
int pp_outfile_open(struct pp_outfile *file, const char *path, int (*is_stopped)(void));

/* A stream that writes to fd and owns it from now on; NULL: there is no memory, and fd is closed.
 */
FILE *pp_outfile_stream(int fd);

/* Whether both will have the same name. */
bool pp_outfile_are_same(const struct pp_outfile *a, const struct pp_outfile *b);

/* Gives what was written to fd, which came from pp_outfile_open(), its name. 0 or a negative
 * errno. */
int pp_outfile_commit(struct pp_outfile *file, int fd);

/* Leaves nothing of a file that was not committed. The descriptor to write to is the caller's to
 * close. */
void pp_outfile_close(struct pp_outfile *file);

#endif
