#include "result/counts.h"

#include <string.h>

void pp_counts_add(struct pp_counts *sum, const struct pp_counts *counts)
{
#define PP_COUNT(name) sum->name += counts->name;
    PP_COUNTS(PP_COUNT)
#undef PP_COUNT
    sum->wrong |= counts->wrong;
    if (counts->first_ns < sum->first_ns)
        sum->first_ns = counts->first_ns;
    if (counts->last_ns > sum->last_ns)
        sum->last_ns = counts->last_ns;
    if (counts->lag_ns > sum->lag_ns)
        sum->lag_ns = counts->lag_ns;
    if (counts->unanswered_ns > sum->unanswered_ns)
        sum->unanswered_ns = counts->unanswered_ns;
    if (counts->worst_ns >= sum->worst_ns) {
        sum->worst_ns = counts->worst_ns;
        sum->worst_at_ns = counts->worst_at_ns;
    }
}

struct pp_counts pp_counts_between(const struct pp_counts *from, const struct pp_counts *to)
{
    struct pp_counts between = *to;

#define PP_COUNT(name) between.name -= from->name;
    PP_COUNTS(PP_COUNT)
#undef PP_COUNT
    return between;
}

void pp_spread_add(struct pp_spread *sum, const struct pp_spread *spread)
{
    if (sum->connections == 0 || spread->least < sum->least)
        sum->least = spread->least;
    if (spread->most > sum->most)
        sum->most = spread->most;
    if (spread->with_p99 && (sum->with_p99 == 0 || spread->p99_least_ns < sum->p99_least_ns))
        sum->p99_least_ns = spread->p99_least_ns;
    if (spread->p99_most_ns > sum->p99_most_ns)
        sum->p99_most_ns = spread->p99_most_ns;
    sum->connections += spread->connections;
    sum->sum += spread->sum;
    sum->sum_squares += spread->sum_squares;
    sum->with_p99 += spread->with_p99;
}

void pp_tcp_add(struct pp_tcp_summary *sum, const struct pp_tcp_summary *tcp)
{
    const bool first = sum->connections == 0;

    sum->fallbacks += tcp->fallbacks;
    sum->retransmits += tcp->retransmits;
    if (tcp->connections == 0)
        return;
    if (first)
        memcpy(sum->congestion, tcp->congestion, sizeof sum->congestion);
    if (tcp->min_rtt_ns && (!sum->min_rtt_ns || tcp->min_rtt_ns < sum->min_rtt_ns))
        sum->min_rtt_ns = tcp->min_rtt_ns;
    if (first || tcp->mss_least < sum->mss_least)
        sum->mss_least = tcp->mss_least;
    if (tcp->mss_most > sum->mss_most)
        sum->mss_most = tcp->mss_most;
    sum->connections += tcp->connections;
}
