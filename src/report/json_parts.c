/* The objects of a result as JSON: the options, the host, and the figures. */
#include "report/json_parts.h"

#include "base/escape.h"
#include "base/format.h"

#define TEXT_BYTES 2304

json_t *pp_json_text(const char *text)
{
    char clean[TEXT_BYTES];

    return text[0] ? json_string(pp_format_utf8(clean, sizeof clean, text)) : json_null();
}

json_t *pp_json_ns(uint64_t ns, bool known)
{
    return known ? json_integer((json_int_t)ns) : json_null();
}

/* ---- options ---- */

static json_t *sizes(const struct pp_sizes *sizes_)
{
    char text[PP_SIZES_TEXT_BYTES];

    return json_pack("{s:o, s:I, s:I, s:f}", "sizes", pp_json_text(pp_sizes_format(sizes_, text)),
                     "min_bytes", (json_int_t)sizes_->min, "max_bytes", (json_int_t)sizes_->max,
                     "mean_bytes", pp_sizes_mean(sizes_));
}

static json_t *load(const struct pp_plan *plan)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:b, s:I, s:s, s:I, s:I}",
        "connections", (json_int_t)plan->connections, "client_threads",
        (json_int_t)plan->client_threads, "server_threads",
        (json_int_t)(plan->job == PP_JOB_RUN ? plan->server_threads : 0), "depth",
        (json_int_t)plan->depth, "request", sizes(&plan->request), "response",
        sizes(&plan->response), "count", (json_int_t)plan->count, "time_ns",
        (json_int_t)plan->time_ns, "warmup_count", (json_int_t)plan->warmup_count, "warmup_ns",
        (json_int_t)plan->warmup_ns, "rate_per_s",
        plan->rate > 0 ? json_real(plan->rate) : json_null(), "arrivals",
        pp_json_text(plan->rate > 0 ? pp_arrivals_names[plan->arrivals] : ""), "crr",
        (int)plan->crr, "think_ns", (json_int_t)plan->think_ns, "verify",
        pp_verify_names[plan->verify], "seed", (json_int_t)plan->seed, "connect_timeout_ns",
        (json_int_t)plan->connect_timeout_ns);
}

/* Bytes as they were typed. */
static json_t *typed(const struct pp_plan_text *text)
{
    char shown[4 * PP_PLAN_TEXT_MAX + 1];

    return text->bytes ? json_string(pp_escape_encode(shown, sizeof shown, text->text, text->bytes))
                       : json_null();
}

/* A server of this process is known, and one of another service would not understand. */
static bool asks_who_it_is(const struct pp_plan *plan)
{
    return plan->job == PP_JOB_CLIENT && plan->hello && plan->expect_how == PP_EXPECT_ECHO;
}

static json_t *exchange(const struct pp_plan *plan)
{
    static const char *const answers[] = { [PP_EXPECT_ECHO] = "echo",
                                           [PP_EXPECT_TEXT] = "text",
                                           [PP_EXPECT_BYTES] = "bytes",
                                           [PP_EXPECT_UNTIL] = "until" };

    return json_pack("{s:s, s:o, s:o, s:o, s:b}", "answer", answers[plan->expect_how], "send",
                     typed(&plan->send), "expect", typed(&plan->expect), "expect_bytes",
                     plan->expect_how == PP_EXPECT_BYTES
                         ? json_integer((json_int_t)plan->expect_bytes)
                         : json_null(),
                     "hello", (int)asks_who_it_is(plan));
}

/* An address to connect from. */
static json_t *source(const struct pp_plan *plan)
{
    char text[PP_TARGET_TEXT_BYTES];

    return plan->source.host[0] || plan->source.port
               ? pp_json_text(pp_target_format(&plan->source, text))
               : json_null();
}

static json_t *sockets(const struct pp_plan *plan)
{
    const struct pp_io_socket_options *socket = &plan->socket;

    return json_pack("{s:o, s:b, s:b, s:o, s:I, s:I, s:I, s:o}", "bind", source(plan), "mptcp",
                     (int)socket->mptcp, "nodelay", (int)!socket->nagle, "tos",
                     socket->tos_given ? json_integer(socket->tos) : json_null(), "sndbuf_bytes",
                     (json_int_t)socket->sndbuf, "rcvbuf_bytes", (json_int_t)socket->rcvbuf,
                     "busy_poll_us", (json_int_t)socket->busy_poll_us, "congestion_control",
                     pp_json_text(socket->congestion));
}

/* The CPU of each thread; null for one that is not pinned. */
static json_t *cpus(const int *numbers, uint32_t count)
{
    json_t *array = json_array();

    for (uint32_t i = 0; array && i < count; i++)
        if (json_array_append_new(array, numbers[i] == PP_CPU_ANY ? json_null()
                                                                  : json_integer(numbers[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *placement(const struct pp_plan *plan)
{
    return json_pack("{s:s, s:b, s:o, s:o}", "how", pp_placement_names[plan->placement],
                     "chosen_by_itself",
                     (int)(plan->placement_auto && !plan->client_cpus_given.count &&
                           !plan->server_cpus_given.count),
                     "client_cpus", cpus(plan->client_cpus, plan->client_threads), "server_cpus",
                     cpus(plan->server_cpus, plan->job == PP_JOB_RUN ? plan->server_threads : 0));
}

static json_t *waiting(const struct pp_plan *plan)
{
    const bool looks = plan->wait != PP_IO_WAIT_BLOCK;

    return json_pack("{s:s, s:b, s:o}", "how", pp_wait_names[plan->wait], "chosen_by_itself",
                     (int)plan->wait_auto, "block_after_ns",
                     pp_json_ns(plan->spin_ns, looks && plan->spin_ns != PP_IO_SPIN_FOREVER));
}

json_t *pp_json_options(const struct pp_plan *plan)
{
    char target[PP_TARGET_TEXT_BYTES];

    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:b, s:o, s:o}", "command",
        plan->job == PP_JOB_RUN ? "run" : "client", "target",
        pp_json_text(pp_target_format(&plan->target, target)), "load", load(plan), "exchange",
        exchange(plan), "sockets", sockets(plan), "engine", plan->client_engine, "server_engine",
        plan->server_engine, "wait", waiting(plan), "placement", placement(plan), "strict",
        (int)(plan->strict != PP_VALID), "strict_level",
        plan->strict == PP_VALID ? json_null() : json_string(pp_verdict_level_name(plan->strict)),
        "interval_ns", pp_json_ns(plan->interval_ns, plan->interval_ns > 0));
}

/* ---- the host ---- */

static json_t *sysctls(const struct pp_machine *machine)
{
    json_t *object = json_object();

    for (unsigned i = 0; object && i < PP_MACHINE_SYSCTLS; i++) {
        const struct pp_machine_sysctl *sysctl = &machine->sysctls[i];

        if (sysctl->value[0] &&
            json_object_set_new(object, sysctl->name, pp_json_text(sysctl->value)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *limit(uint64_t value)
{
    return value == PP_MACHINE_UNLIMITED ? json_null() : json_integer((json_int_t)value);
}

static json_t *cpu(const struct pp_machine *machine)
{
    return json_pack(
        "{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "model",
        pp_json_text(machine->cpu_model), "online", (json_int_t)machine->cpus_online, "allowed",
        pp_json_text(machine->cpus_allowed), "governor", pp_json_text(machine->governor),
        "scaling_driver", pp_json_text(machine->scaling_driver), "turbo",
        pp_json_text(machine->turbo), "smt", pp_json_text(machine->smt), "mitigations",
        pp_json_text(machine->mitigations), "mitigations_off", (int)machine->mitigations_off,
        "limit_cpus", machine->cpu_limit > 0 ? json_real(machine->cpu_limit) : json_null());
}

json_t *pp_json_host(const struct pp_result *result)
{
    const struct pp_machine *machine = &result->machine;

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "name",
        pp_json_text(machine->host_name), "os", pp_json_text(machine->os), "kernel",
        pp_json_text(machine->kernel_release), "kernel_version",
        pp_json_text(machine->kernel_version), "architecture", pp_json_text(machine->architecture),
        "cpu", cpu(machine), "virtualisation", pp_json_text(machine->virtualisation), "container",
        pp_json_text(machine->container), "clocksource", pp_json_text(machine->clocksource),
        "clock_reading_ns", (json_int_t)result->clock_reading_ns, "memory_bytes",
        (json_int_t)machine->memory_bytes, "load_average",
        machine->load < 0 ? json_null() : json_real(machine->load), "limit_open_files",
        limit(machine->open_files), "limit_locked_bytes", limit(machine->locked_bytes), "sysctls",
        sysctls(machine));
}

json_t *pp_json_route(const struct pp_result *result)
{
    const struct pp_route *route = &result->route;

    if (!route->interface[0])
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "interface", pp_json_text(route->interface),
                     "source", pp_json_text(route->source), "gateway", pp_json_text(route->gateway),
                     "driver", pp_json_text(route->driver), "mtu_bytes", (json_int_t)route->mtu,
                     "speed_mbit_per_s",
                     route->speed_mbit ? json_integer(route->speed_mbit) : json_null());
}

/* from, to and at_ns are null where the course has none. */
static json_t *course(const struct pp_steadiness *steadiness)
{
    const struct pp_course *course_ = &steadiness->course;
    const bool moves = course_->shape > PP_COURSE_STEADY;

    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I}", "of",
                     steadiness->of_latency ? "latency_ns" : "round_trips_per_s", "shape",
                     pp_course_name(course_->shape), "from",
                     moves ? json_real(course_->from) : json_null(), "to",
                     moves ? json_real(course_->to) : json_null(), "at_ns",
                     pp_json_ns(steadiness->at_ns, course_->shape == PP_COURSE_STEP), "slice_ns",
                     (json_int_t)steadiness->slice_ns);
}

json_t *pp_json_disturbance(const struct pp_result *result)
{
    const struct pp_disturbance *disturbance = &result->disturbance;
    const struct pp_throttled *throttled = &result->throttled;
    const struct pp_waiting *waiting = &result->waiting;

    return json_pack(
        "{s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "others_share",
        disturbance->others_known ? json_real(disturbance->others_share) : json_null(),
        "steal_share", disturbance->steal_known ? json_real(disturbance->steal_share) : json_null(),
        "frequency_change",
        disturbance->frequency_known ? json_real(disturbance->frequency_change) : json_null(),
        "suspended_ns", (json_int_t)disturbance->suspended_ns, "stopped_ns",
        (json_int_t)result->stopped.sum_ns, "stopped_longest_ns",
        (json_int_t)result->stopped.longest_ns, "waiting_share",
        waiting->known ? json_real(waiting->share) : json_null(), "starved_share",
        waiting->others_known ? json_real(waiting->others_share) : json_null(), "throttled",
        throttled->known ? json_integer((json_int_t)throttled->times) : json_null(), "throttled_ns",
        pp_json_ns(throttled->sum_ns, throttled->known), "wall_clock_step_ns",
        (json_int_t)disturbance->wall_step_ns, "load_average_before",
        disturbance->load_before < 0 ? json_null() : json_real(disturbance->load_before),
        "load_average_after",
        disturbance->load_after < 0 ? json_null() : json_real(disturbance->load_after), "course",
        course(&result->steadiness));
}

/* ---- figures ---- */

static json_t *quantiles(const struct pp_latency *latency)
{
    json_t *array = json_array();

    for (unsigned i = 0; array && i < latency->count; i++) {
        const struct pp_quantile *quantile = &latency->quantiles[i];
        json_t *object = json_pack("{s:f, s:o}", "percentile", quantile->q * 100, "ns",
                                   pp_json_ns(quantile->ns, quantile->supported));

        if (json_array_append_new(array, object) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *pp_json_latency(const struct pp_latency *latency)
{
    const bool any = latency->samples > 0;

    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "samples", (json_int_t)latency->samples,
                     "out_of_range", (json_int_t)latency->saturated, "min_ns",
                     pp_json_ns(latency->min_ns, any), "mean_ns",
                     pp_json_ns((uint64_t)(latency->mean_ns + 0.5), any), "max_ns",
                     pp_json_ns(latency->max_ns, any), "percentiles", quantiles(latency));
}

static json_t *reason(const struct pp_reason *reason_)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "id", pp_reason_name(reason_->id), "level",
                     pp_verdict_level_name(reason_->level), "text", reason_->text, "cure",
                     pp_reason_cure(reason_->id));
}

static json_t *unknown(const struct pp_verdict *verdict)
{
    json_t *names = json_array();

    for (unsigned i = 0; names && i < verdict->unknowns; i++)
        if (json_array_append_new(names, json_string(pp_reason_name(verdict->unknown[i]))) < 0) {
            json_decref(names);
            return NULL;
        }
    return names;
}

json_t *pp_json_verdict(const struct pp_verdict *verdict)
{
    json_t *reasons = json_array();

    for (unsigned i = 0; reasons && i < verdict->count; i++)
        if (json_array_append_new(reasons, reason(&verdict->reasons[i])) < 0) {
            json_decref(reasons);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:o}", "level", pp_verdict_level_name(verdict->level), "reasons",
                     reasons, "unknown", unknown(verdict));
}

json_t *pp_json_counts(const struct pp_counts *counts, uint64_t in_flight)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sent",
                     (json_int_t)counts->sent, "received", (json_int_t)counts->received, "lost",
                     (json_int_t)counts->lost, "errors", (json_int_t)counts->errors, "in_flight",
                     (json_int_t)in_flight, "drained", (json_int_t)counts->drained, "late",
                     (json_int_t)counts->late, "reordered", (json_int_t)counts->reordered,
                     "duplicates", (json_int_t)counts->duplicates, "strays",
                     (json_int_t)counts->strays, "backwards", (json_int_t)counts->backwards,
                     "failed_connections", (json_int_t)counts->failed_connections);
}
