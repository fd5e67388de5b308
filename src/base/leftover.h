/* Files that the program has made and that are to go with it: sockets, and what is not whole yet.
 * They are noted here, so that a handler of signals, too, can remove them. */
#ifndef PP_BASE_LEFTOVER_H
#define PP_BASE_LEFTOVER_H

#include <sys/stat.h>

#define PP_LEFTOVERS_MAX 16
#define PP_LEFTOVER_NAME_BYTES 256

/* Notes that the file called name in folder, which is a descriptor or AT_FDCWD, is ours: the one
 * that status is of, and no other that may get that name later. Takes the place of an earlier note
 * of the same name. name is copied; folder must stay open until the note is gone. If there are
 * PP_LEFTOVERS_MAX already, or name does not fit, nothing is noted. */
void pp_leftover_note(int folder, const char *name, const struct stat *status);

/* It is not ours to remove any more. */
void pp_leftover_forget(int folder, const char *name);

/* Removes the file, if it was noted and still is the one that was, and forgets it. */
void pp_leftover_remove(int folder, const char *name);

/* Removes all that were noted. Safe in a handler of signals. */
void pp_leftover_remove_all(void);

#endif
