/* When messages are sent: by the schedule of an open loop, or after a time to think. */
#include "client/conn.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/container.h"

/* ---- the open loop ---- */

static enum pp_io_next on_pace(struct pp_io_op *op);

static void pace_timer(struct pp_client *client, uint64_t deadline_ns)
{
    if (!pp_io_is_armed(&client->pace_op))
        pp_io_timer(client->options.loop, &client->pace_op, deadline_ns, on_pace);
}

void pp_schedule_free(struct conn *c)
{
    struct pp_client *client = c->client;

    if (c->queued || c->failed || c->under_way >= client->plan->depth)
        return;
    c->queued = true;
    c->next_free = NULL;
    if (client->free_first)
        client->free_last->next_free = c;
    else
        client->free_first = c;
    client->free_last = c;
}

static struct conn *pop_free(struct pp_client *client)
{
    struct conn *c = client->free_first;

    if (c) {
        pp_assert(c->queued && c->client == client);
        client->free_first = c->next_free;
        c->queued = false;
    }
    return c;
}

/* A message that was due at due_ns goes out now. Since free_since_ns it could have. Those that were
 * due while the client was away are late by that, even if they wait for room then. */
static void note_late(struct pp_client *client, uint64_t due_ns, uint64_t now_ns)
{
    const uint64_t could_ns = client->free_since_ns > due_ns ? client->free_since_ns : due_ns;
    uint64_t delayed_ns = now_ns - could_ns;

    pp_assert(now_ns >= due_ns && now_ns >= could_ns);
    client->counts.lag_ns = now_ns - due_ns;
    client->counts.behind_ns += now_ns - due_ns;
    pp_hist_record(client->options.late, now_ns - due_ns);
    if (delayed_ns >= PP_DELAYED_MIN_NS)
        client->away_until_ns = now_ns;
    else if (client->away_until_ns > due_ns)
        delayed_ns = client->away_until_ns - due_ns;
    if (delayed_ns < PP_DELAYED_MIN_NS)
        return;
    client->counts.delayed++;
    client->counts.delayed_ns += delayed_ns;
}

void pp_schedule_keep(struct pp_client *client, uint64_t now_ns)
{
    struct pp_pace *pace = &client->pace;

    pp_assert(client->plan->rate > 0);
    while (pace->next_ns <= now_ns && pace->next_ns < client->end_ns && client->free_first &&
           pp_client_may_send(client, now_ns)) {
        struct conn *c = pop_free(client);

        if (c->failed)
            continue;
        if (!pp_client_take_quota(client))
            break;
        note_late(client, pace->next_ns, now_ns);
        client->transport->send(c, now_ns, pace->next_ns);
        client->transport->flush(c);
        pp_pace_step(pace);
        pp_schedule_free(c);
        now_ns = pp_client_now_ns(client);
    }
    if (pace->next_ns > now_ns && pace->next_ns < client->end_ns && !client->spent)
        pace_timer(client, pace->next_ns);
}

/* ---- thinking ---- */

void pp_schedule_think(struct conn *c, uint32_t count, uint64_t now_ns)
{
    struct pp_client *client = c->client;

    pp_assert(client->plan->think_ns > 0);
    pp_assert(client->thoughts_count + count <= client->thoughts_max);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = (client->thoughts_first + client->thoughts_count++) %
                            client->thoughts_max;

        client->thoughts[at] = (struct thought){ c, now_ns + client->plan->think_ns };
    }
    pace_timer(client, now_ns + client->plan->think_ns);
}

static void end_thoughts(struct pp_client *client, uint64_t now_ns)
{
    while (client->thoughts_count > 0) {
        const struct thought *thought = &client->thoughts[client->thoughts_first];

        if (thought->due_ns > now_ns) {
            pace_timer(client, thought->due_ns);
            return;
        }
        client->thoughts_first = (client->thoughts_first + 1) % client->thoughts_max;
        client->thoughts_count--;
        if (thought->conn->failed || !pp_client_take_quota(client))
            continue;
        client->transport->send(thought->conn, now_ns, now_ns);
        client->transport->flush(thought->conn);
    }
}

static enum pp_io_next on_pace(struct pp_io_op *op)
{
    struct pp_client *client = container_of(op, struct pp_client, pace_op);
    const uint64_t now_ns = pp_client_now_ns(client);

    if (client->state != PHASE_ACTIVE || op->res < 0 || now_ns >= client->end_ns)
        return PP_IO_DISARM;
    if (client->plan->rate > 0)
        pp_schedule_keep(client, now_ns);
    else
        end_thoughts(client, now_ns);
    pp_client_finish_if_idle(client);
    return PP_IO_DISARM;
}
