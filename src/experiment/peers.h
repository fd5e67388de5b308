/* Echo pairs on other libraries, which are installed beside the program: peers/README.md. */
#ifndef PP_EXPERIMENT_PEERS_H
#define PP_EXPERIMENT_PEERS_H

#include <stdbool.h>
#include <stddef.h>

/* Of this program's own file; "" if that cannot be found out. */
const char *pp_own_path(char *path, size_t bytes);

/* The file of the peer called name, if there is one that can be run: in the folder peers beside the
 * program, as the build leaves it, or where it is installed. */
bool pp_peer_find(const char *name, char *path, size_t bytes);

/* Calls each() with the name of every peer there is, in alphabetical order. */
void pp_peer_each(void (*each)(void *context, const char *name), void *context);

#endif
