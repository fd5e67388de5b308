/* Peers: what users would pick instead of an engine, as programs of their own with a client and a
 * server on another library. "pingpong-peer-NAME" stands beside this program, or where it has been
 * installed. */
#ifndef PP_CLI_PEERS_H
#define PP_CLI_PEERS_H

#include "plan/plan.h"
#include "result/capabilities.h"

#include <limits.h>

/* This program's own file; "" if that cannot be found out. Returns path. */
const char *pp_cli_own_path(char path[PATH_MAX]);

/* Whether there is a peer of that name; path is its program then. */
bool pp_cli_peer_find(const char *name, char path[PATH_MAX]);

/* Fills in the names, in their order, and returns how many there are. */
unsigned pp_cli_peers_list(char names[PP_PEERS_MAX][PP_PEER_BYTES]);

/* The option that asks for what no peer does; NULL: there is none. */
const char *pp_cli_peer_cannot(const struct pp_plan *plan);

#endif
