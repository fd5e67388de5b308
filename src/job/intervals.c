#include "job/intervals.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"

#include <errno.h>

int pp_intervals_open(struct pp_intervals *intervals, struct pp_io_loop *loop,
                      struct pp_result *result, pp_intervals_tell *tell, void *context,
                      struct pp_error *err)
{
    intervals->loop = loop;
    intervals->result = result;
    intervals->tell = tell;
    intervals->context = context;
    if (!result->plan.interval_ns || !tell)
        return 0;
    intervals->interval = pp_memory_alloc(1, sizeof *intervals->interval);
    if (!intervals->interval)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for histograms");
    return pp_io_workers_open(&intervals->writer, pp_io_world_of(loop), 1, err);
}

bool pp_intervals_wanted(const struct pp_intervals *intervals)
{
    return intervals->interval != NULL;
}

/* The next interval, up to split_ns, goes into the result, and to whoever wants it. */
static int report(struct pp_intervals *intervals, bool last)
{
    struct pp_result_interval *interval = intervals->interval;
    struct pp_result *result = intervals->result;
    const struct pp_plan *plan = &result->plan;
    const struct pp_hist *main_hist = plan->rate > 0 ? &interval->response : &interval->rtt;
    const struct pp_counts counts = pp_clients_take(intervals->clients, last, &interval->rtt,
                                                    &interval->response, &interval->late);

    interval->number++;
    interval->last = last;
    interval->start_ns += interval->length_ns;
    interval->length_ns = intervals->split_ns - intervals->started_ns - interval->start_ns;
    interval->counts = pp_counts_between(&intervals->counted, &counts);
    interval->in_flight = pp_counts_in_flight(&counts);
    intervals->counted = counts;
    pp_hist_merge(&result->rtt, &interval->rtt);
    pp_hist_merge(&result->response, &interval->response);
    pp_hist_merge(&result->late, &interval->late);
    pp_latency_of(&interval->rtt_latency, &interval->rtt, plan);
    pp_latency_of(&interval->response_latency, &interval->response, plan);
    pp_quantile_of(&interval->p50, main_hist, 0.5);
    pp_quantile_of(&interval->p99, main_hist, 0.99);
    return intervals->tell(intervals->context, interval);
}

static int write_interval(struct pp_io_job *job)
{
    return report(container_of(job, struct pp_intervals, job), false);
}

static enum pp_io_next on_written(struct pp_io_op *op)
{
    struct pp_intervals *intervals = container_of(op, struct pp_intervals, job.op);

    if (op->res < 0 && intervals->going_on) {
        intervals->unheard = true;
        pp_clients_interrupt(intervals->clients);
    }
    return PP_IO_DISARM;
}

/* A client that was away splits late: no interval lasts for longer than the measurement. */
void pp_intervals_split(struct pp_intervals *intervals)
{
    const uint64_t time_ns = intervals->result->plan.time_ns;
    const uint64_t end_ns = time_ns ? intervals->started_ns + time_ns : UINT64_MAX;

    if (!intervals->going_on)
        return;
    intervals->split_ns = pp_io_now_ns(intervals->loop);
    if (intervals->split_ns > end_ns)
        intervals->split_ns = end_ns;
    pp_io_work_start(intervals->writer, intervals->loop, &intervals->job, write_interval,
                     on_written);
}

static enum pp_io_next on_over(struct pp_io_op *op)
{
    struct pp_intervals *intervals = container_of(op, struct pp_intervals, timer_op);
    const struct pp_plan *plan = &intervals->result->plan;

    if (op->res < 0 || !intervals->going_on)
        return PP_IO_DISARM;
    if (!pp_io_is_armed(&intervals->job.op) && !pp_clients_splitting(intervals->clients))
        pp_clients_split(intervals->clients);
    op->deadline_ns = pp_clock_next(op->deadline_ns, plan->interval_ns,
                                    pp_io_now_ns(intervals->loop));
    if (plan->time_ns && op->deadline_ns >= intervals->started_ns + plan->time_ns)
        return PP_IO_DISARM; /* the last one ends with the measurement */
    return PP_IO_REARM;
}

void pp_intervals_begin(struct pp_intervals *intervals, struct pp_clients *clients,
                        uint64_t started_ns)
{
    intervals->clients = clients;
    intervals->started_ns = started_ns;
    intervals->going_on = true;
    if (intervals->interval)
        pp_io_timer(intervals->loop, &intervals->timer_op,
                    started_ns + intervals->result->plan.interval_ns, on_over);
}

void pp_intervals_end(struct pp_intervals *intervals)
{
    intervals->going_on = false;
    if (intervals->loop)
        pp_io_cancel(intervals->loop, &intervals->timer_op);
}

void pp_intervals_finish(struct pp_intervals *intervals)
{
    const struct pp_result_interval *interval = intervals->interval;
    struct pp_result *result = intervals->result;
    struct pp_counts counts;
    uint64_t end_ns;

    pp_io_workers_close(intervals->writer); /* it may be at work, if the loop has broken down */
    intervals->writer = NULL;
    if (!interval) {
        (void)pp_clients_take(intervals->clients, true, &result->rtt, &result->response,
                              &result->late);
        return;
    }
    end_ns = intervals->started_ns + interval->start_ns + interval->length_ns;
    counts = pp_clients_counts(intervals->clients);
    intervals->split_ns = counts.last_ns > end_ns ? counts.last_ns : end_ns;
    if (intervals->split_ns > end_ns || counts.sent > intervals->counted.sent ||
        counts.received > intervals->counted.received ||
        counts.drained > intervals->counted.drained)
        (void)report(intervals, true);
}

void pp_intervals_close(struct pp_intervals *intervals)
{
    pp_io_workers_close(intervals->writer);
    intervals->writer = NULL;
    pp_memory_free(intervals->interval);
    intervals->interval = NULL;
}
