#include "job/peer.h"

#include "job/interrupt.h"
#include "measure/family.h"

/* What a hello's answer and the last messages make of what the server sent is less than this. */
#define SHARED_LEAST 0.02

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
void pp_peer_share(struct pp_peer_talk *talk)
{
    struct pp_result *result = talk->result;
    const double ours = bytes_for_us(&result->counts);
    const struct pp_hello_reply *says = &result->peer_says, *before = &talk->before;
    const uint64_t all = says->bytes - before->bytes;
    const uint64_t own = result->plan.socket.dgram ? 0 : (uint64_t)result->plan.connections + 1;

    if (!result->peer_costs_known || !says->says_bytes || !before->says_bytes ||
        says->bytes < before->bytes)
        return;
    result->server_share = 1;
    if ((double)all * (1 - SHARED_LEAST) <= ours)
        return;
    result->server_share = ours / (double)all;
    result->server_others = says->connections > own ? says->connections - own : 0;
}

/* ---- what the server has said ---- */

static void note_costs(struct pp_peer_talk *talk)
{
    struct pp_result *result = talk->result;
    const struct pp_hello_reply *says = &result->peer_says, *before = &talk->before;
    const uint64_t elapsed_ns = pp_io_now_ns(talk->control.loop) - talk->asked_ns;

    result->peer_costs_known = pp_hello_reply_follows(before, says, elapsed_ns) &&
                               says->user_ns + says->system_ns > 0; /* or it could not read them */
    if (!result->peer_costs_known)
        return;
    result->server.usage = (struct pp_usage){
        .user_ns = says->user_ns - before->user_ns,
        .system_ns = says->system_ns - before->system_ns,
        .context_switches = says->context_switches - before->context_switches,
    };
    result->server.io.syscalls = says->syscalls - before->syscalls;
}

/* The step that is over; true: the next one has begun. */
static bool note(struct pp_peer_talk *talk)
{
    struct pp_result *result = talk->result;

    if (talk->control.code < 0)
        return false;
    if (talk->step == PP_PEER_CONNECT) {
        talk->greeted = !result->plan.socket.dgram;
        talk->step = PP_PEER_MEET;
        return pp_control_ask(&talk->control, talk->deadline_ns) || note(talk);
    }
    result->peer = PP_PEER_PINGPONG;
    result->peer_says = talk->control.reply;
    if (talk->step == PP_PEER_BEFORE)
        talk->before = result->peer_says;
    else if (talk->step == PP_PEER_AFTER)
        note_costs(talk);
    return false;
}

static void on_control(void *owner)
{
    struct pp_peer_talk *talk = owner;

    if (!note(talk))
        talk->on_done(talk->owner);
}

/* ---- asking ---- */

void pp_peer_begin(struct pp_peer_talk *talk, struct pp_io_loop *loop, struct pp_result *result,
                   void (*on_done)(void *owner), void *owner)
{
    *talk = (struct pp_peer_talk){ .result = result, .on_done = on_done, .owner = owner };
    pp_control_init(&talk->control, loop, on_control, talk);
}

/* The same address and any port: the one given is for the connection that is measured. */
static struct pp_io_addr without_port(struct pp_io_addr addr)
{
    if (addr.any.sa_family == AF_INET)
        addr.in.sin_port = 0;
    else if (addr.any.sa_family == AF_INET6)
        addr.in6.sin6_port = 0;
    return addr;
}

static void begin_step(struct pp_peer_talk *talk, enum pp_peer_step step)
{
    talk->step = step;
    talk->signal = pp_interrupt_signal();
}

bool pp_peer_meet(struct pp_peer_talk *talk, const struct pp_io_addr *source)
{
    struct pp_result *result = talk->result;
    const struct pp_plan *plan = &result->plan;
    const struct pp_io_addr from = source ? without_port(*source) : (struct pp_io_addr){ 0 };

    begin_step(talk, PP_PEER_CONNECT);
    result->peer = PP_PEER_UNKNOWN;
    if (!plan->hello || plan->expect_how != PP_EXPECT_ECHO || talk->signal)
        return false;
    talk->deadline_ns = pp_io_now_ns(talk->control.loop) + plan->connect_timeout_ns / 2;
    return pp_control_connect(&talk->control, plan, &result->addr, source ? &from : NULL,
                              talk->deadline_ns) ||
           note(talk);
}

static bool ask(struct pp_peer_talk *talk, enum pp_peer_step step)
{
    begin_step(talk, step);
    return talk->result->peer == PP_PEER_PINGPONG &&
           (pp_control_ask(&talk->control, UINT64_MAX) || note(talk));
}

/* One that does not say what it costs may be a process of this machine. */
static void read_family_before(struct pp_peer_talk *talk)
{
    const uint32_t pid = talk->result->plan.server_pid;

    if (talk->result->peer == PP_PEER_UNKNOWN && pid)
        talk->family_before = pp_usage_of_family((pid_t)pid);
}

static void read_family_after(struct pp_peer_talk *talk)
{
    struct pp_result *result = talk->result;
    struct pp_usage after;

    if (result->peer != PP_PEER_UNKNOWN || !result->plan.server_pid)
        return;
    after = pp_usage_of_family((pid_t)result->plan.server_pid);
    result->server.usage = pp_usage_between(&talk->family_before, &after);
    result->server_memory_bytes = pp_memory_of_family((pid_t)result->plan.server_pid);
    result->peer_costs_known = !result->server.usage.unknown;
}

bool pp_peer_ask_before(struct pp_peer_talk *talk)
{
    read_family_before(talk);
    talk->asked_ns = pp_io_now_ns(talk->control.loop);
    return ask(talk, PP_PEER_BEFORE);
}

bool pp_peer_ask_after(struct pp_peer_talk *talk)
{
    read_family_after(talk);
    return ask(talk, PP_PEER_AFTER);
}

void pp_peer_ask_ahead(struct pp_peer_talk *talk)
{
    if (talk->result->peer == PP_PEER_PINGPONG)
        pp_control_ask_ahead(&talk->control);
}

void pp_peer_interrupt(struct pp_peer_talk *talk)
{
    if (pp_interrupt_signal() != talk->signal)
        pp_control_cancel(&talk->control);
}

void pp_peer_leave(struct pp_peer_talk *talk)
{
    pp_control_leave(&talk->control);
}

void pp_peer_end(struct pp_peer_talk *talk)
{
    pp_control_close(&talk->control);
}
