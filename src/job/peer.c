#include "job/peer.h"

#include "base/clock.h"
#include "job/interrupt.h"

/* What a hello's answer and the last messages make of what the server sent is less than this. */
#define SHARED_LEAST 0.02

/* The same address and any port: the one given is for the connection that is measured. */
static struct pp_io_addr without_port(struct pp_io_addr addr)
{
    if (addr.any.sa_family == AF_INET)
        addr.in.sin_port = 0;
    else if (addr.any.sa_family == AF_INET6)
        addr.in6.sin6_port = 0;
    return addr;
}

void pp_peer_meet(struct pp_peer_talk *talk, struct pp_result *result,
                  const struct pp_io_addr *source)
{
    const struct pp_plan *plan = &result->plan;
    const struct pp_io_addr from = source ? without_port(*source) : (struct pp_io_addr){ 0 };
    const uint64_t deadline_ns = pp_clock_now_ns() + plan->connect_timeout_ns / 2;

    result->peer = PP_PEER_UNKNOWN;
    if (!plan->hello || plan->expect_how != PP_EXPECT_ECHO || pp_interrupt_signal())
        return;
    if (pp_control_open(&talk->control, plan, &result->addr, source ? &from : NULL, deadline_ns) <
        0)
        return;
    talk->greeted = !plan->socket.dgram;
    if (!pp_interrupt_signal() &&
        pp_control_ask(&talk->control, &result->peer_says, deadline_ns) == 0)
        result->peer = PP_PEER_PINGPONG;
}

static bool ask(struct pp_peer_talk *talk, struct pp_result *result)
{
    return result->peer == PP_PEER_PINGPONG &&
           pp_control_ask(&talk->control, &result->peer_says, UINT64_MAX) == 0;
}

void pp_peer_ask_before(struct pp_peer_talk *talk, struct pp_result *result)
{
    talk->asked_ns = pp_clock_now_ns();
    if (ask(talk, result))
        talk->before = result->peer_says;
}

void pp_peer_ask_ahead(struct pp_peer_talk *talk, const struct pp_result *result)
{
    if (result->peer == PP_PEER_PINGPONG)
        pp_control_ask_ahead(&talk->control);
}

/* The bytes of answers that came, and of those that may have been lost on their way back: as many
 * as the others have on average. */
static double bytes_for_us(const struct pp_counts *counts)
{
    const double answers = (double)(counts->received + counts->drained);
    const double lost = answers > 0 ? (double)counts->lost / answers : 0;

    return (double)counts->bytes * (1 + lost);
}

/* The server may have worked for others, too. What was under way when the time was over counts as
 * ours, as do lost datagrams: it may have been answered by then. */
static void note_sharing(const struct pp_peer_talk *talk, struct pp_result *result,
                         const struct pp_counts *counts)
{
    const double ours = bytes_for_us(counts);
    const struct pp_hello_reply *says = &result->peer_says, *before = &talk->before;
    const uint64_t all = says->bytes - before->bytes;
    const uint64_t own = result->plan.socket.dgram ? 0 : (uint64_t)result->plan.connections + 1;

    if (!says->says_bytes || !before->says_bytes || says->bytes < before->bytes)
        return;
    result->server_share = 1;
    if ((double)all * (1 - SHARED_LEAST) <= ours)
        return;
    result->server_share = ours / (double)all;
    result->server_others = says->connections > own ? says->connections - own : 0;
}

void pp_peer_ask_after(struct pp_peer_talk *talk, struct pp_result *result,
                       const struct pp_counts *counts)
{
    const struct pp_hello_reply *says = &result->peer_says, *before = &talk->before;

    if (!ask(talk, result))
        return;
    result->peer_costs_known =
        pp_hello_reply_follows(before, says, pp_clock_now_ns() - talk->asked_ns) &&
        says->user_ns + says->system_ns > 0; /* or it could not read them itself */
    if (!result->peer_costs_known)
        return;
    result->server.usage = (struct pp_usage){
        .user_ns = says->user_ns - before->user_ns,
        .system_ns = says->system_ns - before->system_ns,
        .context_switches = says->context_switches - before->context_switches,
    };
    result->server.io.syscalls = says->syscalls - before->syscalls;
    note_sharing(talk, result, counts);
}

void pp_peer_end(struct pp_peer_talk *talk)
{
    pp_control_close(&talk->control);
}
