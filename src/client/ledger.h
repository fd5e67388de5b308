/* The datagrams that a client has given up for lost, and whose answers may still come. Each is
 * known by its connection and its number. */
#ifndef PP_CLIENT_LEDGER_H
#define PP_CLIENT_LEDGER_H

#include "client/conn.h"

/* Remembers the latest ones, as many as capacity, which is rounded up to a power of two. NULL when
 * there is no memory; only as much of it is touched as there are messages. */
struct pp_ledger *pp_ledger_open(uint32_t capacity);

/* May be NULL. */
void pp_ledger_close(struct pp_ledger *ledger);

/* Forgets all. */
void pp_ledger_clear(struct pp_ledger *ledger);

/* The message must not be in it. The oldest one is forgotten if there is no room. */
void pp_ledger_add(struct pp_ledger *ledger, const struct conn *c, uint64_t number,
                   const struct trip *trip);

/* Takes the message out of it, into *trip; false if it is not in it. */
bool pp_ledger_take(struct pp_ledger *ledger, const struct conn *c, uint64_t number,
                    struct trip *trip);

#endif
