/* Opening event loops as a plan asks for. */
#ifndef PP_JOB_LOOPS_H
#define PP_JOB_LOOPS_H

#include "base/error.h"
#include "io/io.h"
#include "plan/plan.h"

/* Opens a loop for each of the count threads of a side, which have equal shares of the plan's
 * connections, on the engine asked for, or with "auto" on the best one that works here: all on the
 * same one, or a result would say what it was not. refused says why auto could not take the one
 * that it prefers; it is left alone if it could. After an error none is open. */
int pp_loops_open(struct pp_io_loop **loops, unsigned count, const struct pp_plan *plan,
                  const char *engine, char refused[PP_REFUSED_BYTES], struct pp_error *err);

/* A loop that only waits, for wakes and jobs: as small as can be, and it never looks again and
 * again. */
int pp_loop_open_waiting(struct pp_io_loop **out, struct pp_error *err);

/* The engine of loop has broken down with code, which is returned. */
int pp_loop_broken(const struct pp_io_loop *loop, int code, struct pp_error *err);

/* Raises the limit on descriptors as far as it goes, and checks that it is enough for the plan.
 * Returns the limit, at most PP_IO_FDS_MAX, or a negative errno. */
int pp_descriptors_raise(const struct pp_plan *plan, struct pp_error *err);

/* Finds the address of target, by name if need be, which may take as long as the system's resolver
 * does, or until a signal comes: then -EINTR. For a server no host means all addresses of this
 * machine; for a client, this machine. */
int pp_address_find(const struct pp_io_world *world, struct pp_io_addr *addr,
                    const struct pp_target *target, bool server, struct pp_error *err);

#endif
