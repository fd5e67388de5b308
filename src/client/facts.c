/* What is known of a client's connections apart from the samples: how evenly they were served, and
 * what the kernel says of them. */
#include "client/conn.h"

#include "base/assert.h"

#include <string.h>

/* Connections that a round trip uses up are gone before anybody could ask. */
static bool asks_tcp(const struct pp_client *client)
{
    return client->options.addr->any.sa_family != AF_UNIX && !client->plan->socket.dgram &&
           !client->plan->crr;
}

/* Segments that c has sent again in this phase; false: it is not known. */
static bool ask(const struct conn *c, struct pp_io_tcp_info *info)
{
    if (!asks_tcp(c->client) || c->fd < 0 || c->failed ||
        c->client->world->tcp_info(c->fd, info) < 0)
        return false;
    info->retransmits -= pp_conn_rest(c)->retransmits_before;
    return true;
}

void pp_client_prepare(struct pp_client *client)
{
    pp_assert(!pp_client_is_active(client));
    client->retransmits = 0;
    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct conn *c = &client->conns[i];
        struct pp_io_tcp_info info;

        pp_sketch_reset(&client->sketches[i], &c->recent);
        c->received = 0;
        client->rests[i].retransmits_before = 0;
        if (ask(c, &info))
            client->rests[i].retransmits_before = info.retransmits;
    }
}

void pp_conn_note_tcp(struct conn *c)
{
    struct pp_io_tcp_info info;

    if (ask(c, &info))
        c->client->retransmits += info.retransmits;
}

static void tcp_add(struct pp_tcp_summary *sum, const struct pp_io_tcp_info *info)
{
    if (sum->connections++ == 0) {
        memcpy(sum->congestion, info->congestion, sizeof sum->congestion);
        sum->mss_least = info->mss;
    }
    sum->retransmits += info->retransmits;
    if (info->min_rtt_ns && (!sum->min_rtt_ns || info->min_rtt_ns < sum->min_rtt_ns))
        sum->min_rtt_ns = info->min_rtt_ns;
    if (info->mss < sum->mss_least)
        sum->mss_least = info->mss;
    if (info->mss > sum->mss_most)
        sum->mss_most = info->mss;
}

void pp_client_tcp_add(const struct pp_client *client, struct pp_tcp_summary *sum)
{
    sum->retransmits += client->retransmits;
    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct pp_io_tcp_info info;

        if (!ask(&client->conns[i], &info))
            continue;
        tcp_add(sum, &info);
        sum->fallbacks += client->plan->socket.mptcp &&
                          !client->world->speaks_mptcp(client->conns[i].fd);
    }
}

void pp_client_look(struct pp_client *client)
{
    uint64_t acked = 0;

    if (client->options.addr->any.sa_family == AF_UNIX || client->plan->socket.dgram)
        return;
    for (uint32_t i = 0; i < client->options.connections; i++) {
        const struct conn *c = &client->conns[i];
        struct pp_io_tcp_info info;

        if (c->fd >= 0 && client->world->tcp_info(c->fd, &info) == 0)
            acked += info.acked;
    }
    if (acked != client->acked && pp_client_moved(client) == client->moved_at_look)
        pp_client_note_moved(client, 1);
    client->acked = acked;
    client->moved_at_look = pp_client_moved(client);
}

static void p99_add(struct pp_spread *sum, const struct pp_sketch *sketch, uint64_t max_ns)
{
    uint64_t p99_ns;

    if (!pp_hist_total_supports(pp_sketch_total(sketch), 0.99))
        return;
    p99_ns = pp_sketch_quantile_ns(sketch, 0.99, max_ns);
    if (sum->with_p99++ == 0 || p99_ns < sum->p99_least_ns)
        sum->p99_least_ns = p99_ns;
    if (p99_ns > sum->p99_most_ns)
        sum->p99_most_ns = p99_ns;
}

void pp_client_spread_add(struct pp_client *client, struct pp_spread *sum)
{
    for (uint32_t i = 0; i < client->options.connections; i++) {
        struct conn *c = &client->conns[i];
        const uint64_t received = c->received;

        if (sum->connections++ == 0 || received < sum->least)
            sum->least = received;
        if (received > sum->most)
            sum->most = received;
        sum->sum += (double)received;
        sum->sum_squares += (double)received * (double)received;
        pp_sketch_flush(&client->sketches[i], &c->recent, &client->random);
        p99_add(sum, &client->sketches[i], client->counts.worst_ns);
    }
}

void pp_client_keep_came(struct pp_client *client, const char *data, uint32_t bytes)
{
    const uint32_t room = PP_CLIENT_CAME_BYTES - client->came_bytes;
    const uint32_t part = bytes < room ? bytes : room;

    pp_assert(client->came_bytes < PP_CLIENT_CAME_BYTES);
    memcpy(client->came + client->came_bytes, data, part);
    client->came_bytes += part;
}

struct pp_client_part pp_client_part(const struct pp_client *client)
{
    struct pp_client_part part = { .bytes = client->counts.bytes,
                                   .came_bytes = client->came_bytes };
    const bool by_length = !client->plan->socket.dgram &&
                           client->plan->expect_how != PP_EXPECT_UNTIL;

    if (part.bytes < client->came_bytes) /* before the phase */
        part.bytes = client->came_bytes;
    memcpy(part.came, client->came, client->came_bytes);
    for (uint32_t i = 0; by_length && i < client->options.connections; i++) {
        const struct conn *c = &client->conns[i];
        const uint32_t of = c->under_way > 0 ? pp_conn_trip(c, c->oldest)->answer_bytes : 0;

        if (c->left >= of)
            continue;
        part.bytes = of - c->left;
        part.of = of;
        break;
    }
    return part;
}
