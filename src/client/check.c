/* What always holds of a client between two callbacks, whatever has come from outside. */
#include "client/conn.h"

#include "base/assert.h"

/* With more connections than this the sums over all of them are taken seldom. */
#define CONNECTIONS_FEW 64
#define SELDOM 1024

static void check_books(const struct pp_client *client)
{
    const struct pp_counts *counts = &client->counts;

    pp_assert(counts->sent == counts->received + counts->lost + counts->errors + client->under_way +
                                  client->too_late);
    pp_assert(counts->drained <= client->too_late);
    pp_assert(counts->backwards <= counts->errors);
    pp_assert(counts->delayed <= counts->sent);
    pp_assert(counts->failed_connections <= client->options.connections);
    pp_assert(atomic_load_explicit(&client->received, memory_order_relaxed) == counts->received);
}

static void check_numbers(const struct pp_client *client)
{
    const uint32_t connections = client->options.connections;

    pp_assert(client->connecting <= connections && client->connected <= connections);
    pp_assert(client->live <= connections);
    pp_assert(client->live + client->counts.failed_connections == connections);
    pp_assert(client->thoughts_count <= client->thoughts_max);
    pp_assert(client->came_bytes <= sizeof client->came);
    pp_assert(!client->spent || client->quota == 0);
    pp_assert((client->trip_mask & (client->trip_mask + 1)) == 0);
    pp_assert(!client->free_first || client->free_last);
}

static void check_state(const struct pp_client *client)
{
    pp_assert(client->state <= PHASE_FINISHED);
    pp_assert(client->state != PHASE_READY || client->plan->crr ||
              client->connected == client->options.connections);
    pp_assert(client->state == PHASE_DRAIN || client->state == PHASE_FINISHED ||
              client->state == PHASE_READY || !client->catches_up);
    pp_assert(client->state != PHASE_DRAIN || client->end_ns != UINT64_MAX);
}

static void check_stream(const struct conn *c)
{
    const struct pp_client *client = c->client;

    pp_assert(!client->dgrams);
    pp_assert(c->failed || c->under_way == c->number - c->oldest);
    if (c->under_way > 0 && !c->failed && client->plan->expect_how != PP_EXPECT_UNTIL)
        pp_assert(c->left > 0 && c->left <= pp_conn_trip(c, c->oldest)->answer_bytes);
}

static void check_dgram(const struct conn *c)
{
    const struct conn_dgram *dgram = pp_conn_dgram(c);

    pp_assert(dgram->flying <= c->client->plan->depth);
    pp_assert((dgram->flying < c->client->plan->depth) == (dgram->free_outgoing != NULL));
    pp_assert(dgram->base <= dgram->first || dgram->first == 0);
    pp_assert(dgram->base <= c->oldest && dgram->base <= dgram->highest);
    pp_assert(dgram->highest <= c->number);
    pp_assert(c->unsent == 0);
}

static void check_conn(const struct pp_client *client, const struct conn *c)
{
    pp_assert(c->client == client);
    pp_assert(c->oldest <= c->number);
    pp_assert(c->number - c->oldest <= client->trip_mask + 1);
    pp_assert(c->under_way <= client->plan->depth);
    pp_assert(c->leaving || !c->dropped);
    pp_assert(c->leaving || c->fd < 0 || !c->failed);
    pp_assert(c->fd >= 0 || !pp_io_is_armed(&c->send_op));
    pp_assert(c->recent.count < PP_SKETCH_RECENT);
    pp_assert(!c->queued || c->failed || c->under_way < client->plan->depth);
    if (client->state == PHASE_FINISHED || client->state == PHASE_CONNECT)
        return; /* what still comes is not looked at */
    if (client->dgrams)
        check_dgram(c);
    else
        check_stream(c);
}

/* Messages of c that belong to the phase. */
static uint32_t counted_under_way(const struct conn *c)
{
    uint32_t count = 0;

    for (uint64_t n = c->oldest; n < c->number; n++) {
        const struct trip *trip = pp_conn_trip(c, n);

        count += trip->state == TRIP_UNDER_WAY && trip->sent_ns;
    }
    return count;
}

static void check_sums(const struct pp_client *client)
{
    uint64_t received = 0, under_way = 0;
    uint32_t failed = 0, open = 0, queued = 0, listed = 0;

    for (uint32_t i = 0; i < client->options.connections; i++) {
        const struct conn *c = &client->conns[i];

        check_conn(client, c);
        received += c->received;
        under_way += c->failed ? 0 : counted_under_way(c);
        failed += c->failed;
        open += c->fd >= 0;
        queued += c->queued;
    }
    for (const struct conn *c = client->free_first; c && listed <= queued; c = c->next_free)
        listed++;
    pp_assert(listed == queued);
    pp_assert(open <= client->open);
    pp_assert(failed == client->counts.failed_connections);
    pp_assert(!pp_client_is_active(client) || received == client->counts.received);
    pp_assert(!pp_client_is_active(client) || under_way == client->under_way);
}

void pp_client_check(void *owner)
{
    struct pp_client *client = owner;
    const uint32_t connections = client->options.connections;

    check_books(client);
    check_numbers(client);
    check_state(client);
    client->checks++;
    if (connections <= CONNECTIONS_FEW || client->checks % SELDOM == 0)
        check_sums(client);
    else
        check_conn(client, &client->conns[client->checks % connections]);
}
