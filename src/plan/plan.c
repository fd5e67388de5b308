/* What is run unless something else is said, and what contradicts itself. */
#include "plan/plan.h"

#include "base/clock.h"
#include "wire/datagram.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define MESSAGE_DEFAULT "PING\n"

/* How long a connection to a server by itself may say nothing at all. */
#define SILENT_NS (120 * PP_NS_PER_S)

void pp_plan_default(struct pp_plan *plan, enum pp_job job)
{
    *plan = (struct pp_plan){
        .job = job,
        .target = { .host = "127.0.0.1", .port = PP_PLAN_PORT },
        .connections = 1,
        .client_threads = 1,
        .server_threads = 1,
        .request = pp_sizes_of(sizeof MESSAGE_DEFAULT - 1),
        .response = pp_sizes_of(sizeof MESSAGE_DEFAULT - 1),
        .send = { .bytes = sizeof MESSAGE_DEFAULT - 1, .text = MESSAGE_DEFAULT },
        .count = job == PP_JOB_RUN ? 500000 : 0,
        .time_ns = job == PP_JOB_CLIENT ? 10 * PP_NS_PER_S : 0,
        .quantile_count = PP_PLAN_QUANTILES_COUNT,
        .quantiles = { PP_PLAN_QUANTILES },
        .connect_timeout_ns = 5 * PP_NS_PER_S,
        .server_limits = pp_server_limits_default(),
        .silence_ns = 10 * PP_NS_PER_S,
        .seed = 1,
        .hello = true,
        .client_engine = "auto",
        .server_engine = "auto",
        .wait_auto = true,
        .placement_auto = true,
    };
    plan->server_limits.silent_ns = job == PP_JOB_SERVE ? SILENT_NS : 0;
}

/* ---- what contradicts itself ---- */

static int refuse(struct pp_error *err, const char *text)
{
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL, "%s", text);
}

static bool is_unix(const struct pp_plan *plan)
{
    return plan->target.path[0];
}

static int check_transport(const struct pp_plan *plan, struct pp_error *err)
{
    const struct pp_io_socket_options *socket = &plan->socket;
    const bool tcp = !socket->dgram && !is_unix(plan);

    if (socket->mptcp && !tcp)
        return refuse(err, "--mptcp is a kind of TCP: leave it out, or --udp and unix:");
    if (socket->congestion[0] && !tcp)
        return refuse(err, "--cc chooses TCP's congestion control, and this is not TCP");
    if (socket->nagle && !tcp)
        return refuse(err, "--nodelay is an option of TCP, and this is not TCP");
    if ((socket->tos_given || socket->busy_poll_given) && is_unix(plan))
        return refuse(err, "--tos and --busy-poll are for networks; a Unix socket has none");
    if (plan->target.family != AF_UNSPEC && is_unix(plan))
        return refuse(err, "-4 and -6 choose between addresses; a Unix socket has a path");
    if ((plan->source.host[0] || plan->source.port) && is_unix(plan))
        return refuse(err, "--bind takes an address to send from; a Unix socket has a path");
    if (plan->source.port && plan->crr)
        return refuse(err, "--crr makes a connection for each round trip, and --bind with a port "
                           "is good for one: leave the port out");
    if (plan->source.port && plan->connections > 1)
        return refuse(err, "--bind with a port is good for one connection: leave the port out");
    return 0;
}

static bool is_foreign(const struct pp_plan *plan)
{
    return plan->expect_how != PP_EXPECT_ECHO;
}

static bool is_default_text(const struct pp_plan_text *text)
{
    return text->bytes == sizeof MESSAGE_DEFAULT - 1 &&
           memcmp(text->text, MESSAGE_DEFAULT, text->bytes) == 0;
}

static int check_datagrams(const struct pp_plan *plan, struct pp_error *err)
{
    if (!plan->socket.dgram || plan->job == PP_JOB_SERVE)
        return 0;
    if (plan->crr)
        return refuse(err, "--crr connects for each round trip, and --udp knows no connections");
    if (is_foreign(plan) || !is_default_text(&plan->send))
        return refuse(err, "--send and --expect are for streams, not for --udp: its messages carry "
                           "a header");
    if (!plan->sizes_given)
        return 0;
    if (plan->request.min < PP_DATAGRAM_HEADER_BYTES ||
        plan->response.min < PP_DATAGRAM_HEADER_BYTES)
        return refuse(err, "--size: a datagram carries a header, so 16 B is the least with --udp");
    if (plan->request.max > PP_DATAGRAM_BYTES_MAX)
        return refuse(err, "--size: a datagram holds at most 65,507 B");
    if (plan->answers && plan->response.max > plan->request.min)
        return refuse(err, "--size: with --udp a response may not be longer than its request, so "
                           "that no server can be made to flood others");
    return 0;
}

static int check_load(const struct pp_plan *plan, struct pp_error *err)
{
    const bool own_text = !is_default_text(&plan->send);

    if (plan->client_threads > plan->connections)
        return refuse(err, "--threads: each thread needs a connection, so --connections must be at "
                           "least as many");
    if (plan->sizes_given && (own_text || is_foreign(plan)))
        return refuse(err, "--size makes up messages, --send and --expect name them: give one or "
                           "the other");
    if (plan->expect_how == PP_EXPECT_ECHO && plan->answers && plan->crr)
        return refuse(err, "--crr and responses of another size exclude each other: give --size "
                           "one value");
    if (plan->crr && plan->depth > 1)
        return refuse(err, "--crr has one message on a connection: leave out --depth");
    if (plan->rate > 0 && plan->think_ns)
        return refuse(err, "--rate says when messages go out, so --think cannot: give one of them");
    if (!(plan->rate > 0) && plan->arrivals == PP_ARRIVALS_POISSON)
        return refuse(err, "--arrivals needs a --rate");
    if (plan->warmup_ns && plan->time_ns && !plan->count && plan->warmup_ns >= plan->time_ns * 100)
        return refuse(err, "--warmup is more than a hundred times as long as what is measured");
    return 0;
}

static int check_placement(const struct pp_plan *plan, struct pp_error *err)
{
    if (plan->placement_auto || plan->placement != PP_PLACEMENT_PAIRS)
        return 0;
    if (plan->job == PP_JOB_RUN && plan->client_threads != plan->server_threads)
        return refuse(err, "--placement pairs needs as many --server-threads as --threads");
    if (is_unix(plan))
        return refuse(err, "--placement pairs steers packets by the CPU that they arrive on; a "
                           "Unix socket has none");
    return 0;
}

int pp_plan_check(const struct pp_plan *plan, struct pp_error *err)
{
    int ret = check_transport(plan, err);

    if (ret == 0)
        ret = check_datagrams(plan, err);
    if (ret == 0 && plan->job != PP_JOB_SERVE)
        ret = check_load(plan, err);
    return ret == 0 ? check_placement(plan, err) : ret;
}
