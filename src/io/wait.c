#include "io/wait.h"

#include "base/assert.h"
#include "io/engine.h"

#include <sched.h>

/* Waking up from sleep takes about this long. */
#define WAKE_UP_NS (50 * PP_NS_PER_US)

#define GUARD_SLOW_NS (300 * PP_NS_PER_US)
#define GUARD_SLOW_POINTS 8
#define GUARD_TRIP_POINTS 24
#define GUARD_SUSPICIOUS_POINTS 16 /* after a trip: the next slow wait is enough */
#define GUARD_SLEEPS_FIRST 512
#define GUARD_SLEEPS_MAX 32768

void pp_io_waiter_init(struct pp_io_waiter *waiter, enum pp_io_wait policy, uint64_t spin_ns)
{
    pp_assert(policy <= PP_IO_WAIT_YIELD);
    *waiter = (struct pp_io_waiter){
        .policy = spin_ns > 0 ? policy : PP_IO_WAIT_BLOCK,
        .spin_ns = spin_ns,
        .guard.sleeps_next = GUARD_SLEEPS_FIRST,
    };
}

bool pp_io_guard_note(struct pp_io_guard *guard, uint64_t waited_ns)
{
    pp_assert(guard->score < GUARD_TRIP_POINTS && guard->sleeps_left == 0);
    if (waited_ns <= GUARD_SLOW_NS) {
        guard->score -= guard->score > 0;
        return false;
    }
    guard->score += GUARD_SLOW_POINTS;
    if (guard->score < GUARD_TRIP_POINTS)
        return false;
    guard->score = GUARD_SUSPICIOUS_POINTS;
    guard->sleeps_left = guard->sleeps_next;
    if (guard->sleeps_next < GUARD_SLEEPS_MAX)
        guard->sleeps_next *= 4;
    return true;
}

static bool something_happened(struct pp_io_loop *loop)
{
    return pp_io_has_done(loop) || atomic_load_explicit(&loop->woken, memory_order_relaxed);
}

static int sleep_until(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct pp_io_guard *guard = &loop->waiter.guard;
    const int ret = loop->engine->poll(loop, deadline_ns);

    guard->sleeps_left -= guard->sleeps_left > 0;
    loop->waiter.last_ns = pp_io_now_ns(loop);
    return ret;
}

static uint64_t wake_up_ns(uint64_t deadline_ns)
{
    pp_assert(deadline_ns > WAKE_UP_NS);
    return deadline_ns == PP_IO_NO_DEADLINE ? deadline_ns : deadline_ns - WAKE_UP_NS;
}

/* Looks until something has happened, or for spin_ns, and then sleeps, but never just before the
 * deadline: it would be missed. The spell is counted from the end of the last wait, so that one
 * clock reading a wait is enough. */
static int spin_until(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    struct pp_io_waiter *waiter = &loop->waiter;

    pp_assert(waiter->policy != PP_IO_WAIT_BLOCK && waiter->spin_ns > 0);
    for (;;) {
        uint64_t now_ns;
        bool over;
        int ret;

        if (waiter->policy == PP_IO_WAIT_YIELD) {
            (void)sched_yield();
            pp_io_count_syscall(loop);
        }
        ret = loop->engine->poll(loop, PP_IO_NO_WAIT);
        now_ns = pp_io_now_ns(loop);
        over = ret < 0 || something_happened(loop) || now_ns >= deadline_ns;
        if (!over)
            pp_io_count(&loop->counters.idle_looks);
        if (!over &&
            (now_ns - waiter->last_ns < waiter->spin_ns || deadline_ns - now_ns <= WAKE_UP_NS))
            continue;
        if (waiter->policy == PP_IO_WAIT_YIELD &&
            pp_io_guard_note(&waiter->guard, now_ns - waiter->last_ns))
            pp_io_count(&loop->counters.guard_trips);
        waiter->last_ns = now_ns;
        return over ? ret : sleep_until(loop, wake_up_ns(deadline_ns));
    }
}

int pp_io_wait_until(struct pp_io_loop *loop, uint64_t deadline_ns)
{
    const struct pp_io_waiter *waiter = &loop->waiter;

    pp_assert(!pp_io_has_done(loop));
    if (waiter->policy == PP_IO_WAIT_BLOCK)
        return loop->engine->poll(loop, deadline_ns);
    if (waiter->guard.sleeps_left > 0)
        return sleep_until(loop, deadline_ns);
    return spin_until(loop, deadline_ns);
}
