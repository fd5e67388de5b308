/* A client's memory: opening and closing. */
#include "client/conn.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/number.h"
#include "client/ledger.h"
#include "wire/datagram.h"

#include <errno.h>
#include <unistd.h>

/* A ring of trips remembers so many times the depth, and more where there are few connections: a
 * datagram that is overtaken by as many is given up. So many of these are remembered by all client
 * threads together: those of a minute, if 17,000 are lost in a second. */
#define REMEMBERED 4
#define REMEMBERED_MIN 64
#define REMEMBERED_MAX 4096
#define REMEMBERED_BY_ALL 65536
#define GIVEN_UP_REMEMBERED (1u << 20)
#define GIVEN_UP_REMEMBERED_MIN (1u << 14)

static uint64_t ring_length(const struct pp_plan *plan)
{
    uint64_t remembered = REMEMBERED_BY_ALL / plan->connections;

    if (!plan->socket.dgram)
        return pp_number_power_of_two(plan->depth);
    if (remembered > REMEMBERED_MAX)
        remembered = REMEMBERED_MAX;
    if (remembered < REMEMBERED_MIN)
        remembered = REMEMBERED_MIN;
    if (remembered < (uint64_t)plan->depth * REMEMBERED)
        remembered = (uint64_t)plan->depth * REMEMBERED;
    return pp_number_power_of_two(remembered);
}

static uint32_t given_up_remembered(const struct pp_client *client)
{
    const uint32_t share = GIVEN_UP_REMEMBERED / client->options.shares;

    return share < GIVEN_UP_REMEMBERED_MIN ? GIVEN_UP_REMEMBERED_MIN : share;
}

/* The tables of all connections. */
static bool allocate(struct pp_client *client)
{
    const struct pp_plan *plan = client->plan;
    const size_t connections = client->options.connections;
    const size_t most = connections * plan->depth;

    client->trips = pp_memory_alloc(connections * (client->trip_mask + 1), sizeof(struct trip));
    client->sketches = pp_memory_alloc(connections, sizeof(struct pp_sketch));
    client->rests = pp_memory_alloc(connections, sizeof(struct conn_rest));
    if (plan->think_ns)
        client->thoughts = pp_memory_alloc(most, sizeof(struct thought));
    if (plan->answers && !plan->socket.dgram)
        client->hellos = pp_memory_alloc(connections, PP_HELLO_BYTES);
    if (plan->socket.dgram) {
        client->dgrams = pp_memory_alloc(connections, sizeof(struct conn_dgram));
        client->outgoings = pp_memory_alloc(most, sizeof(struct outgoing));
        client->datagrams = pp_memory_alloc(most, plan->request.max);
        client->ledger = pp_ledger_open(given_up_remembered(client));
    }
    return client->trips && client->sketches && client->rests &&
           (!plan->think_ns || client->thoughts) &&
           (!plan->answers || plan->socket.dgram || client->hellos) &&
           (!plan->socket.dgram ||
            (client->dgrams && client->outgoings && client->datagrams && client->ledger));
}

/* The datagrams that c may have on their way out at once. */
static void deal_outgoings(struct conn *c, uint32_t index)
{
    struct pp_client *client = c->client;
    struct conn_dgram *dgram = &client->dgrams[index];
    const uint32_t depth = client->plan->depth;

    pp_assert(index < client->options.connections && depth > 0);
    dgram->outgoings = client->outgoings + (size_t)index * depth;
    for (uint32_t i = 0; i < depth; i++) {
        struct outgoing *out = &dgram->outgoings[i];

        out->conn = c;
        out->data = client->datagrams + ((size_t)index * depth + i) * client->plan->request.max;
        out->next = dgram->free_outgoing;
        dgram->free_outgoing = out;
    }
}

static void conn_init(struct pp_client *client, uint32_t index)
{
    const struct pp_plan *plan = client->plan;
    const uint64_t number = client->options.first + index;
    struct pp_random random = { .state = plan->seed ^ number << 32 };
    struct conn *c = &client->conns[index];

    pp_assert(!c->client);
    c->client = client;
    c->fd = -1;
    c->trips = client->trips + (client->trip_mask + 1) * index;
    c->request_sizes.state = pp_random_next(&random);
    c->answer_sizes.state = pp_random_next(&random);
    if (plan->socket.dgram) {
        c->number = c->oldest = pp_random_next(&random) >> 1;
        client->dgrams[index].base = client->dgrams[index].highest = c->number;
        deal_outgoings(c, index);
    } else if (plan->sizes_given) {
        c->out_at = pp_random_below(&random, PP_PATTERN_RANDOM_PERIOD_MIN);
        c->in_at = plan->answers ? pp_random_below(&random, PP_PATTERN_RANDOM_PERIOD_MIN)
                                 : c->out_at;
    }
}

int pp_client_open(struct pp_client **out, const struct pp_client_options *options,
                   struct pp_error *err)
{
    struct pp_client *client =
        pp_memory_alloc(1, sizeof *client + options->connections * sizeof client->conns[0]);

    if (!client)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %u connections",
                            options->connections);
    client->options = *options;
    client->world = pp_io_world_of(options->loop);
    client->plan = options->plan;
    client->transport = options->transport;
    client->live = options->connections;
    client->trip_mask = ring_length(options->plan) - 1;
    client->moved_at_look = UINT64_MAX;
    client->random.state = options->plan->seed ^ options->first;
    client->thoughts_max = options->connections * options->plan->depth;
    if (!allocate(client)) {
        pp_client_close(client);
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM,
                            "no memory for %u connections with %u messages under way on each",
                            options->connections, options->plan->depth);
    }
    for (uint32_t i = 0; i < options->connections; i++)
        conn_init(client, i);
    if (options->out)
        pp_io_loop_constant(options->loop, options->out->bytes, pp_pattern_bytes(options->out));
    if (PP_CHECKS)
        pp_io_loop_check(options->loop, pp_client_check, client);
    *out = client;
    return 0;
}

void pp_client_close(struct pp_client *client)
{
    if (!client)
        return;
    for (uint32_t i = 0; i < client->options.connections; i++)
        if (client->conns[i].client && client->conns[i].fd >= 0) /* the loop broke down */
            client->world->close(client->conns[i].fd);
    pp_memory_free(client->trips);
    pp_memory_free(client->sketches);
    pp_memory_free(client->rests);
    pp_memory_free(client->thoughts);
    pp_memory_free(client->hellos);
    pp_memory_free(client->dgrams);
    pp_memory_free(client->outgoings);
    pp_memory_free(client->datagrams);
    pp_ledger_close(client->ledger);
    pp_memory_free(client);
}
