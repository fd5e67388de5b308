/* Whether a result can be believed. Each reason has a function that finds it, with its figures; a
 * table of them, in the order in which they count; and what they come to, at the end. */
#include "result/verdict.h"

#include "base/clock.h"
#include "base/format.h"
#include "result/result.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What was under way at the end is no sample, and may be what would have been the worst of them. It
 * is not of interest below the first. What has waited so many times as long as the slowest answer
 * did is SUSPECT; what has waited longer than that by more than such a share of the time makes the
 * maximum, and all that an even pace would have shown, wrong. */
#define UNANSWERED_MIN_NS PP_NS_PER_MS
#define UNANSWERED_FACTOR 2
#define UNANSWERED_SHARE 0.10

/* Shares of the CPUs' time, and of their frequency, that may be lost without a word. */
#define STEAL_SHARE 0.01
#define OTHERS_SHARE 0.10
#define STOPPED_SHARE 0.01
#define THROTTLED_SHARE 0.01
#define STARVED_SHARE 0.05
#define FREQUENCY_CHANGE 0.10

/* What happens now and then is not seen in less time than this, nor in fewer slices how steady it
 * was. The first message is sent a little after the start, so that all of a second is less. */
#define SHORT_NS (99 * PP_NS_PER_S / 100)
#define NEARLY_NS (9 * PP_NS_PER_S / 10) /* where a second or more was asked for */
#define SHORT_SLICES 10

/* A client that was kept from its work for such a share of the time has not measured the server:
 * the rate is wrong by as much, and in an open loop the upper percentiles are all its own. */
#define TAKEN_SHARE 0.25

/* Segments sent again by the client, for each round trip: with one in a thousand p99.9 is made of
 * them. */
#define RETRANSMITS_SHARE 0.001

/* A reading of the clock costs 20 ns where it needs no system call. */
#define CLOCK_SLOW_NS 1000

/* An open loop is disturbed if the client itself sent this share of the messages late, and that
 * makes this share of the latencies; and junk, if it makes most of them. */
#define DELAYED_SENT 0.001
#define DELAYED_SHARE 0.1
#define DELAYED_MOST 0.5

struct reason_text {
    const char *name;
    const char *cure;
};

static const struct reason_text texts[PP_REASONS] = {
    [PP_REASON_ACCOUNTING] = { "accounting", "this is a defect of pingpong; please report it" },
    [PP_REASON_NOTHING] = { "no_round_trips", "measure for longer, or see what the server does" },
    [PP_REASON_RATE_MISSED] = { "rate_missed",
                                "ask for less (-R), or give it more threads (-T) or connections "
                                "(-c)" },
    [PP_REASON_NOT_KEPT_UP] = { "not_kept_up",
                                "a lower rate (-R); pingpong without -R shows what can be had" },
    [PP_REASON_ERRORS] = { "errors", "see what went wrong, and measure again" },
    [PP_REASON_UNANSWERED] = { "unanswered",
                               "see whether the server stalled or died, and measure again" },
    [PP_REASON_CLOCK] = { "clock", "keep the machine from sleeping, and see its clock source "
                                   "(current_clocksource below /sys)" },
    [PP_REASON_STOPPED] = { "stopped", "see what stopped it or had its CPU, and measure again" },
    [PP_REASON_THROTTLED] = { "throttled", "a higher CPU limit of the control group, or none" },
    [PP_REASON_STARVED] = { "starved", "stop what else runs there, or other CPUs (-A)" },
    [PP_REASON_PARTIAL] = { "partial", "let it run to its end, or see what ended it" },
    [PP_REASON_LOSS] = { "loss",
                         "fewer messages under way (-D, -c, -R) or larger buffers (--rcvbuf); or "
                         "the path loses them" },
    [PP_REASON_SHORT] = { "short", "measure for longer (-t), or ask for a count (-n)" },
    [PP_REASON_CLIENT_SATURATED] = { "client_saturated",
                                     "more client threads (-T), or fewer connections (-c)" },
    [PP_REASON_FEW_SAMPLES] = { "few_samples",
                                "measure for longer (-n, -t), or ask for lower --percentiles" },
    [PP_REASON_OUT_OF_RANGE] = { "out_of_range", "see what holds answers back for a minute" },
    [PP_REASON_UNSTEADY] = { "unsteady", "a longer warm-up (-w), and nothing else on the machine" },
    [PP_REASON_SENT_LATE] = { "sent_late", "a CPU that nobody else uses (-A), or --wait spin" },
    [PP_REASON_OTHERS_BUSY] = { "others_busy", "stop what else runs there, or other CPUs (-A)" },
    [PP_REASON_STEAL] = { "steal", "a machine with CPUs of its own, or another hour" },
    [PP_REASON_FREQUENCY] = { "frequency",
                              "the governor performance, turbo off, a longer warm-up (-w)" },
    [PP_REASON_STALL_HIDDEN] = { "stall_hidden",
                                 "an open loop (-R) shows them; see what stands still" },
    [PP_REASON_RETRANSMITS] = { "retransmits", "a path that loses nothing, or UDP (-u)" },
};

/* Behind those of its level, and before all lesser ones. */
__attribute__((format(printf, 4, 5))) static void add(struct pp_verdict *verdict,
                                                      enum pp_reason_id id,
                                                      enum pp_verdict_level level,
                                                      const char *format, ...)
{
    struct pp_reason *reason = &verdict->reasons[verdict->count++];
    va_list args;

    for (; reason > verdict->reasons && reason[-1].level < level; reason--)
        *reason = reason[-1];
    reason->id = id;
    reason->level = level;
    va_start(args, format);
    (void)vsnprintf(reason->text, sizeof reason->text, format, args);
    va_end(args);
    if (level > verdict->level)
        verdict->level = level;
}

/* What could not be read cannot be judged. Returns known. */
static bool is_known(struct pp_verdict *verdict, enum pp_reason_id id, bool known)
{
    if (!known)
        verdict->unknown[verdict->unknowns++] = id;
    return known;
}

static void judge_accounting(struct pp_verdict *verdict, const struct pp_result *result)
{
    if (!result->balanced)
        add(verdict, PP_REASON_ACCOUNTING, PP_INVALID,
            "what was sent is not what was received, lost, failed and in flight");
    if (result->counts.received == 0)
        add(verdict, PP_REASON_NOTHING, PP_INVALID, "not one round trip was completed");
}

static void judge_rate(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;
    const double sent = counts->sent > 0 ? (double)counts->sent : 1;
    char rate[PP_FORMAT_BYTES], behind[PP_FORMAT_BYTES], unsent[PP_FORMAT_BYTES];
    char from[PP_FORMAT_BYTES], to[PP_FORMAT_BYTES];

    if (result->rate_missed)
        add(verdict, PP_REASON_RATE_MISSED, PP_INVALID,
            "RATE NOT HELD: %s messages/s were asked for; messages went out %s \u00b5s late on "
            "average%s%s%s",
            pp_format_decimal(rate, result->plan.rate, 0),
            pp_format_us(behind, (double)counts->behind_ns / sent), counts->unsent ? ", and " : "",
            counts->unsent ? pp_format_count(unsent, counts->unsent) : "",
            counts->unsent ? " that were due not at all" : "");
    if (result->growth.until_end)
        add(verdict, PP_REASON_NOT_KEPT_UP, PP_INVALID,
            "%s messages/s were not kept up with: the mean latency grew from %s to %s \u00b5s, and "
            "did not stop",
            pp_format_decimal(rate, result->plan.rate, 0),
            pp_format_us(from, result->growth.from_ns), pp_format_us(to, result->growth.to_ns));
}

static void judge_errors(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;
    char errors[PP_FORMAT_BYTES], connections[PP_FORMAT_BYTES];

    if (counts->wrong)
        add(verdict, PP_REASON_ERRORS, PP_INVALID, "an answer was wrong, and all ended there");
    else if (counts->errors > counts->backwards || counts->failed_connections > 0)
        add(verdict, PP_REASON_ERRORS, PP_INVALID, "messages failed: %s; connections broke: %s",
            pp_format_count(errors, counts->errors - counts->backwards),
            pp_format_count(connections, counts->failed_connections));
}

/* Those that the drain has not brought either. */
static uint64_t unanswered(const struct pp_result *result)
{
    return result->in_flight - result->counts.drained;
}

/* In an open loop, more of those that were sent than lie beyond the highest percentile shown. */
static bool too_many_unanswered(const struct pp_result *result)
{
    const double highest = pp_latency_highest(pp_result_latency(result));
    const double sent = (double)result->counts.received + (double)result->in_flight;

    return result->plan.rate > 0 && highest > 0 &&
           (double)unanswered(result) > (1 - highest) * sent;
}

static enum pp_verdict_level unanswered_level(const struct pp_result *result)
{
    const double waited_ns = (double)result->counts.unanswered_ns;
    const double slowest_ns = (double)result->counts.worst_ns;
    const double share_ns = (double)result->duration_ns * UNANSWERED_SHARE;

    if (waited_ns <= UNANSWERED_MIN_NS || waited_ns <= slowest_ns)
        return PP_VALID;
    if (waited_ns > slowest_ns + share_ns || too_many_unanswered(result))
        return PP_INVALID;
    return waited_ns >= UNANSWERED_FACTOR * slowest_ns ? PP_SUSPECT : PP_VALID;
}

static void judge_unanswered(struct pp_verdict *verdict, const struct pp_result *result)
{
    const enum pp_verdict_level level = unanswered_level(result);
    const bool answers = result->counts.received + result->counts.drained > 0;
    char count[PP_FORMAT_BYTES], waited[PP_FORMAT_BYTES], slowest[PP_FORMAT_BYTES];

    if (level > PP_VALID)
        add(verdict, PP_REASON_UNANSWERED, level,
            "messages unanswered at the end: %s, the oldest for %s \u00b5s; %s%s%s",
            pp_format_count(count, unanswered(result)),
            pp_format_us(waited, (double)result->counts.unanswered_ns),
            answers ? "the slowest answer took " : "there was no answer",
            answers ? pp_format_us(slowest, (double)result->counts.worst_ns) : "",
            answers ? " \u00b5s" : "");
}

static void judge_clock(struct pp_verdict *verdict, const struct pp_result *result)
{
    char text[PP_FORMAT_BYTES];

    if (result->counts.backwards > 0)
        add(verdict, PP_REASON_CLOCK, PP_INVALID, "%s times the clock went backwards",
            pp_format_count(text, result->counts.backwards));
    else if (result->disturbance.suspended_ns > 0)
        add(verdict, PP_REASON_CLOCK, PP_INVALID, "the machine slept for %s s meanwhile",
            pp_format_decimal(text, (double)result->disturbance.suspended_ns / 1e9, 1));
    else if (result->clock_reading_ns > CLOCK_SLOW_NS)
        add(verdict, PP_REASON_CLOCK, PP_SUSPECT,
            "one reading of the clock takes %s \u00b5s, and there is one for each message",
            pp_format_us(text, (double)result->clock_reading_ns));
}

/* Of time that our own threads were kept from working. In a short run one turn of others is a large
 * share, and nothing unusual. */
static enum pp_verdict_level taken_level(double taken_ns, double of_ns)
{
    return taken_ns >= TAKEN_SHARE * fmax(of_ns, PP_NS_PER_S) ? PP_INVALID : PP_SUSPECT;
}

/* What a quota has done has a reason of its own. */
static void judge_stopped(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_stopped *stopped = &result->stopped;
    const double duration_ns = (double)result->duration_ns;
    const double sum_ns = (double)stopped->sum_ns;
    char sum[PP_FORMAT_BYTES], longest[PP_FORMAT_BYTES];

    if (sum_ns - (double)result->throttled.sum_ns > STOPPED_SHARE * duration_ns)
        add(verdict, PP_REASON_STOPPED, taken_level(sum_ns, duration_ns),
            "a client thread stood still for %s ms, %s ms at once: answers waited for it",
            pp_format_decimal(sum, sum_ns / 1e6, 0),
            pp_format_decimal(longest, (double)stopped->longest_ns / 1e6, 0));
}

static void judge_throttled(struct pp_verdict *verdict, const struct pp_result *result)
{
    const double duration_ns = (double)result->duration_ns;
    const double sum_ns = fmin((double)result->throttled.sum_ns, duration_ns);
    char times[PP_FORMAT_BYTES];

    if (is_known(verdict, PP_REASON_THROTTLED, result->throttled.known) &&
        sum_ns > THROTTLED_SHARE * duration_ns)
        add(verdict, PP_REASON_THROTTLED, taken_level(sum_ns, duration_ns),
            "the CPU quota of the control group was used up %s times: threads waited for %.0f %% "
            "of the time",
            pp_format_count(times, result->throttled.times), sum_ns / duration_ns * 100);
}

static void judge_starved(struct pp_verdict *verdict, const struct pp_result *result)
{
    const double share = result->waiting.others_share;
    const bool may_be_server = result->waits_for_server;
    const double duration_ns = (double)result->duration_ns;

    if (is_known(verdict, PP_REASON_STARVED, result->waiting.others_known) && share > STARVED_SHARE)
        add(verdict, PP_REASON_STARVED,
            may_be_server ? PP_SUSPECT : taken_level(share * duration_ns, duration_ns),
            "other programs%s had the CPU of a %s thread, which waited for it for %.0f %% of the "
            "time",
            may_be_server ? ", or the server," : "", result->waits_of_server ? "server" : "client",
            share * 100);
}

/* Whoever asks for a count gets it, and percentiles as far as it has the samples. */
static void judge_length(struct pp_verdict *verdict, const struct pp_result *result)
{
    const uint64_t count = result->plan.count;
    char text[PP_FORMAT_BYTES];

    if (!result->plan.time_ns || (count > 0 && result->counts.sent >= count))
        return;
    if (result->duration_ns < (result->plan.time_ns < SHORT_NS ? SHORT_NS : NEARLY_NS))
        add(verdict, PP_REASON_SHORT, PP_SUSPECT,
            "%s s are too short: what happens now and then is left to chance",
            pp_format_decimal(text, (double)result->duration_ns / 1e9, 2));
    else if (result->steadiness.slices < SHORT_SLICES)
        add(verdict, PP_REASON_SHORT, PP_SUSPECT,
            "with %s round trips nobody can tell how steady they were",
            pp_format_count(text, result->counts.received));
}

static void judge_completeness(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;
    char lost[PP_FORMAT_BYTES], of[PP_FORMAT_BYTES];

    if (result->partial)
        add(verdict, PP_REASON_PARTIAL, PP_SUSPECT, "it ended before it was complete");
    if (counts->lost > 0)
        add(verdict, PP_REASON_LOSS, PP_SUSPECT,
            "%s of %s messages were lost: latencies are of those answered",
            pp_format_count(lost, counts->lost),
            pp_format_count(of, counts->received + counts->lost));
}

static void judge_client(struct pp_verdict *verdict, const struct pp_result *result)
{
    if (is_known(verdict, PP_REASON_CLIENT_SATURATED, !result->client_load.unknown) &&
        result->client_load.saturated)
        add(verdict, PP_REASON_CLIENT_SATURATED, PP_SUSPECT,
            "a client thread had its CPU busy for %.0f %% of the time: latencies hold its own "
            "queue",
            result->client_load.share * 100);
}

static void judge_samples(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_latency *latency = pp_result_latency(result);
    char text[PP_FORMAT_BYTES];

    if (result->plan.quantiles_given && latency->samples > 0 && !pp_latency_is_supported(latency))
        add(verdict, PP_REASON_FEW_SAMPLES, PP_SUSPECT,
            "too few samples (%s) for percentiles that were asked for",
            pp_format_count(text, latency->samples));
    if (latency->saturated > 0)
        add(verdict, PP_REASON_OUT_OF_RANGE, PP_SUSPECT,
            "round trips of more than 60 s, which are not told apart: %s; a percentile among "
            "them is given as the maximum",
            pp_format_count(text, latency->saturated));
}

/* A server in another process of this machine is busy for us: how much, it must say. */
static bool can_tell_others(const struct pp_result *result)
{
    return !pp_result_server_is_near(result) || pp_result_server_costs_known(result);
}

/* What the course was of, in the units of the figures that are shown. */
static const char *level_text(char text[PP_FORMAT_BYTES], const struct pp_steadiness *steadiness,
                              double value)
{
    return steadiness->of_latency ? pp_format_us(text, value) : pp_format_decimal(text, value, 0);
}

static void judge_course(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_steadiness *steadiness = &result->steadiness;
    const struct pp_course *course = &steadiness->course;
    const char *what = steadiness->of_latency ? "the mean latency" : "the rate";
    const char *unit = steadiness->of_latency ? "\u00b5s" : "roundtrips/s";
    char from[PP_FORMAT_BYTES], to[PP_FORMAT_BYTES], at[PP_FORMAT_BYTES];

    (void)level_text(from, steadiness, course->from);
    (void)level_text(to, steadiness, course->to);
    (void)is_known(verdict, PP_REASON_UNSTEADY, course->shape != PP_COURSE_UNKNOWN);
    if (result->growth.until_end && course->shape == PP_COURSE_LINE) /* said, with another cure */
        return;
    if (course->shape == PP_COURSE_STEP)
        add(verdict, PP_REASON_UNSTEADY, PP_SUSPECT, "%s went from %s to %s %s about %s s in", what,
            from, to, unit, pp_format_decimal(at, (double)steadiness->at_ns / 1e9, 1));
    else if (course->shape == PP_COURSE_LEVELS)
        add(verdict, PP_REASON_UNSTEADY, PP_SUSPECT, "%s went to and fro between %s and %s %s",
            what, from, to, unit);
    else if (course->shape == PP_COURSE_LINE)
        add(verdict, PP_REASON_UNSTEADY, PP_SUSPECT, "%s %s from %s to %s %s", what,
            course->to > course->from ? "rose" : "fell", from, to, unit);
}

/* A message that is sent late by the client itself is no slowness of the server's, though its
 * latency, from when it was due, holds it. Those without an answer were late, too, but have no
 * latency: they are taken for as slow as the others. */
static void judge_delayed(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_counts *counts = &result->counts;
    const double answered = (double)result->response.total;
    const double whole = answered > 0 ? fmax((double)counts->sent / answered, 1) : 1;
    const double all_ns = (double)result->response.sum_ns * whole;
    const double share = all_ns > 0 ? fmin((double)counts->delayed_ns / all_ns, 1) : 0;
    char delayed[PP_FORMAT_BYTES], sent[PP_FORMAT_BYTES];

    if (share < DELAYED_SHARE || (double)counts->delayed < DELAYED_SENT * (double)counts->sent)
        return;
    add(verdict, PP_REASON_SENT_LATE, share < DELAYED_MOST ? PP_SUSPECT : PP_INVALID,
        "the client itself sent %s of %s messages late by more than 1 ms: that is %.0f %% of all "
        "latencies",
        pp_format_count(delayed, counts->delayed), pp_format_count(sent, counts->sent),
        share * 100);
}

static void judge_steadiness(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_disturbance *disturbance = &result->disturbance;

    if (is_known(verdict, PP_REASON_OTHERS_BUSY,
                 disturbance->others_known && can_tell_others(result)) &&
        disturbance->others_share > OTHERS_SHARE)
        add(verdict, PP_REASON_OTHERS_BUSY, PP_SUSPECT,
            "other programs had %.0f %% of the CPUs' time", disturbance->others_share * 100);
    if (is_known(verdict, PP_REASON_STEAL, disturbance->steal_known) &&
        disturbance->steal_share > STEAL_SHARE)
        add(verdict, PP_REASON_STEAL, PP_SUSPECT,
            "the hypervisor took away %.1f %% of the CPUs' time", disturbance->steal_share * 100);
    if (is_known(verdict, PP_REASON_FREQUENCY, disturbance->frequency_known) &&
        disturbance->frequency_change > FREQUENCY_CHANGE)
        add(verdict, PP_REASON_FREQUENCY, PP_SUSPECT,
            "the CPUs' frequency was %.0f %% different at the end",
            disturbance->frequency_change * 100);
}

/* In an open loop they show, as all that was due meanwhile has waited. */
static void judge_stalls(struct pp_verdict *verdict, const struct pp_result *result)
{
    const struct pp_latency *latency = &result->rtt_latency;
    const struct pp_stalls *stalls = &result->stalls;
    const unsigned lowest = pp_hidden_lowest(&result->hidden, latency);
    char trips[PP_FORMAT_BYTES], limit[PP_FORMAT_BYTES], q[PP_FORMAT_BYTES];
    char corrected[PP_FORMAT_BYTES], shown[PP_FORMAT_BYTES],
        pace[sizeof verdict->reasons->text] = "";

    if (!result->hidden.matters)
        return;
    if (lowest < latency->count)
        (void)snprintf(pace, sizeof pace, ": at an even pace p%s would be about %s \u00b5s, not %s",
                       pp_format_percentile(q, latency->quantiles[lowest].q),
                       pp_format_us(corrected, (double)result->hidden.corrected_ns[lowest]),
                       pp_format_us(shown, (double)latency->quantiles[lowest].ns));
    add(verdict, PP_REASON_STALL_HIDDEN, PP_SUSPECT,
        "%.0f %% of the time went into stalls, %s of more than %s \u00b5s%s",
        stalls->time_share * 100, pp_format_count(trips, stalls->trips),
        pp_format_us(limit, (double)stalls->longer_than_ns), pace);
}

static bool is_tcp(const struct pp_result *result)
{
    return !result->plan.socket.dgram && !result->plan.target.path[0];
}

/* A segment that is sent again makes its round trip as long as TCP waits for it. */
static void judge_retransmits(struct pp_verdict *verdict, const struct pp_result *result)
{
    const double retransmits = (double)result->tcp.retransmits;
    char again[PP_FORMAT_BYTES], trips[PP_FORMAT_BYTES];

    if (is_tcp(result) &&
        is_known(verdict, PP_REASON_RETRANSMITS, result->tcp.connections > 0 || retransmits > 0) &&
        retransmits > RETRANSMITS_SHARE * (double)result->counts.received)
        add(verdict, PP_REASON_RETRANSMITS, PP_SUSPECT,
            "TCP sent %s segments again, in %s round trips: latencies hold the path's losses",
            pp_format_count(again, result->tcp.retransmits),
            pp_format_count(trips, result->counts.received));
}

void pp_verdict_of(struct pp_verdict *verdict, const struct pp_result *result)
{
    *verdict = (struct pp_verdict){ .level = PP_VALID };
    judge_accounting(verdict, result);
    judge_rate(verdict, result);
    judge_errors(verdict, result);
    judge_unanswered(verdict, result);
    judge_clock(verdict, result);
    judge_stopped(verdict, result);
    judge_throttled(verdict, result);
    judge_starved(verdict, result);
    judge_completeness(verdict, result);
    judge_length(verdict, result);
    judge_client(verdict, result);
    judge_samples(verdict, result);
    judge_course(verdict, result);
    judge_delayed(verdict, result);
    judge_steadiness(verdict, result);
    judge_stalls(verdict, result);
    judge_retransmits(verdict, result);
}

const char *pp_verdict_level_name(enum pp_verdict_level level)
{
    static const char *const names[] = {
        [PP_VALID] = "VALID", [PP_SUSPECT] = "SUSPECT", [PP_INVALID] = "INVALID"
    };

    return names[level];
}

const char *pp_reason_name(enum pp_reason_id id)
{
    return texts[id].name;
}

const char *pp_reason_cure(enum pp_reason_id id)
{
    return texts[id].cure;
}
