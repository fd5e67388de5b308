/* Inside this layer: what sockets to connect with and sockets to listen on have in common. */
#ifndef PP_IO_SOCKETS_H
#define PP_IO_SOCKETS_H

#include "io/io.h"

/* A socket of the family that has all the options, bound to nothing. The descriptor, or a negative
 * errno with err set. */
int pp_io_socket_open(int family, const struct pp_io_socket_options *options, struct pp_error *err);

/* Sets an option of the socket, which an error calls name. 0 or a negative errno with err set. */
int pp_io_socket_set(int fd, int level, int option, int value, const char *name,
                     struct pp_error *err);

#endif
