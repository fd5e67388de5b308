/* A trial from its server's start to its end; the first part fills in commands, the second waits
 * for what is started, the third reads what the trial prints, the last takes figures from it. */
#include "experiment/trial.h"

#include "base/clock.h"
#include "base/format.h"
#include "base/memory.h"
#include "base/number.h"
#include "experiment/process.h"
#include "job/interrupt.h"
#include "result/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST "127.0.0.1"
#define RESULT_FORMAT "pingpong-result"

/* A server listens after so long, or not at all; one that is told to end is made to after so long.
 */
#define LISTEN_NS (10 * PP_NS_PER_S)
#define LISTEN_LOOK_NS (10 * PP_NS_PER_MS)
#define STOP_NS (2 * PP_NS_PER_S)
#define COMMAND_NS (60 * PP_NS_PER_S)

/* A result with its histogram has some ten thousand bytes. */
#define RESULT_MAX (UINT64_C(64) << 20)

#define ARGS_MAX 256
#define COMMAND_BYTES 4096

/* ---- commands ---- */

struct places {
    uint16_t port;
    pid_t pid;
};

/* text with {host}, {port} and {pid} filled in; false where it does not fit. */
static bool fill_in(char *out, size_t bytes, const char *text, const struct places *places)
{
    size_t used = 0;

    while (*text) {
        char what[24] = { *text, '\0' };
        size_t skip = 1;

        if (strncmp(text, "{host}", 6) == 0) {
            (void)snprintf(what, sizeof what, HOST);
            skip = 6;
        } else if (strncmp(text, "{port}", 6) == 0) {
            (void)snprintf(what, sizeof what, "%u", places->port);
            skip = 6;
        } else if (strncmp(text, "{pid}", 5) == 0) {
            (void)snprintf(what, sizeof what, "%d", (int)places->pid);
            skip = 5;
        }
        if (used + strlen(what) >= bytes)
            return false;
        memcpy(out + used, what, strlen(what));
        used += strlen(what);
        text += skip;
    }
    out[used] = '\0';
    return true;
}

/* "; it said: ...", of what a process said last, without the name that our own lines begin with. */
static const char *said(const struct pp_process *process, char *text, size_t bytes)
{
    char line[PP_PROCESS_LINE_BYTES];
    const char *last = pp_process_last_line(process, line);
    const char *own = "pingpong: ";

    if (strncmp(last, own, strlen(own)) == 0)
        last += strlen(own);
    text[0] = '\0';
    if (last[0])
        (void)snprintf(text, bytes, ": %s", last);
    return text;
}

/* What a process has come to, in words. */
static int failed(const struct pp_process *process, const char *name, struct pp_error *err)
{
    static const enum pp_error_kind kinds[] = {
        [4] = PP_ERROR_UNAVAILABLE, [5] = PP_ERROR_WRONG_ECHO
    };
    const int status = WIFEXITED(process->status) ? WEXITSTATUS(process->status) : 0;
    char text[PP_PROCESS_LINE_BYTES + 8];

    (void)said(process, text, sizeof text);
    if (WIFSIGNALED(process->status))
        return pp_error_set(err, PP_ERROR_RUN, -EIO, "%.80s was ended by signal %d%s", name,
                            WTERMSIG(process->status), text);
    return pp_error_set(err, status == 4 || status == 5 ? kinds[status] : PP_ERROR_RUN, -EIO,
                        "%.80s ended with status %d%s", name, status, text);
}

/* One of before and after, to its end; what it leaves running is the caller's to stop. */
static int run_command(struct pp_process *process, const char *command, struct pp_error *err)
{
    const struct pp_cpus any = { .count = 0 };
    const int ret = pp_process_start_shell(process, command, &any, err);

    if (ret < 0)
        return ret;
    if (!pp_process_ends(process, pp_clock_now_ns() + COMMAND_NS))
        return pp_error_set(err, PP_ERROR_RUN, -ETIMEDOUT, "%.120s has not ended after 60 s",
                            command);
    return process->status == 0 ? 0 : failed(process, command, err);
}

/* ---- a server ---- */

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* One that is free now, and will be in a moment, as the kernel hands out others first. */
static uint16_t free_port(void)
{
    struct sockaddr_in addr = address_of(0);
    socklen_t bytes = sizeof addr;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &bytes) < 0)
        addr.sin_port = 0;
    if (fd >= 0)
        (void)close(fd);
    return ntohs(addr.sin_port);
}

static bool listens(uint16_t port)
{
    const struct sockaddr_in addr = address_of(port);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0;

    if (fd >= 0)
        (void)close(fd);
    return connected;
}

/* A while, or until there is none any more: a command that starts a server in the background has
 * ended well. */
static int wait_for_server(struct pp_process *server)
{
    const uint64_t until_ns = pp_clock_now_ns() + LISTEN_LOOK_NS;
    const int ret = pp_process_wait(server, until_ns);

    return ret == 1 && server->status == 0 ? pp_process_wait(server, until_ns) : ret;
}

static int await_server(struct pp_process *server, uint16_t port, struct pp_error *err)
{
    const uint64_t deadline_ns = pp_clock_now_ns() + LISTEN_NS;
    char text[PP_PROCESS_LINE_BYTES + 8];
    int ret = -ETIMEDOUT;

    while (ret == -ETIMEDOUT && pp_clock_now_ns() < deadline_ns) {
        if (listens(port))
            return 0;
        ret = wait_for_server(server);
    }
    if (ret == -EINTR)
        return ret;
    if (ret == 1)
        return failed(server, "its server", err);
    return pp_error_set(err, PP_ERROR_RUN, -ETIMEDOUT,
                        "its server does not listen on " HOST ":%u ({host}:{port}) after 10 s%s",
                        port, said(server, text, sizeof text));
}

static int start_server(struct pp_process *server, const struct pp_trial_spec *spec,
                        struct places *places, struct pp_error *err)
{
    char command[COMMAND_BYTES];
    int ret;

    places->port = free_port();
    if (!fill_in(command, sizeof command, spec->server, places))
        return pp_error_set(err, PP_ERROR_USAGE, -E2BIG, "the command is too long: %.80s...",
                            spec->server);
    ret = pp_process_start_shell(server, command, &spec->server_cpus, err);
    if (ret == 0)
        ret = await_server(server, places->port, err);
    places->pid = server->ended ? server->guard : server->pid; /* who has it then */
    return ret;
}

/* ---- what it prints ---- */

struct text {
    char *bytes;
    size_t used, capacity;
};

static bool make_room(struct text *text)
{
    const size_t capacity = text->capacity ? 2 * text->capacity : 65536;
    char *bytes;

    if (text->used < text->capacity)
        return true;
    bytes = capacity <= RESULT_MAX ? pp_memory_alloc(1, capacity) : NULL;
    if (!bytes)
        return false;
    if (text->used > 0)
        memcpy(bytes, text->bytes, text->used);
    pp_memory_free(text->bytes);
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

/* What is there to read, up to its end, of which there is no more then. */
static int read_some(struct pp_process *process, struct text *text)
{
    while (1) {
        ssize_t bytes;

        if (!make_room(text))
            return -EFBIG;
        bytes = read(process->out, text->bytes + text->used, text->capacity - text->used);
        if (bytes > 0) {
            text->used += (size_t)bytes;
        } else if (bytes == 0) {
            pp_process_close_out(process);
            return 0;
        } else if (errno != EINTR) {
            return 0;
        }
    }
}

/* What it prints before it ends; a child of its own may have its output for longer. */
static int read_all(struct pp_process *process, struct text *text, uint64_t deadline_ns)
{
    int ret = 0;

    while (ret == 0 && !process->ended) {
        ret = pp_process_wait(process, deadline_ns);
        if (ret >= 0 && process->out >= 0)
            ret = read_some(process, text);
    }
    return ret < 0 ? ret : 0;
}

static int parse(const struct text *text, const char *name, json_t **result_out,
                 struct pp_error *err)
{
    json_error_t why = { .text = "" };
    char shown[81];

    *result_out = text->used > 0 ? json_loadb(text->bytes, text->used, JSON_REJECT_DUPLICATES, &why)
                                 : NULL;
    if (*result_out)
        return 0;
    return pp_error_set(err, PP_ERROR_RUN, -EBADMSG,
                        "%.80s printed no result that can be read as JSON%s%s", name,
                        text->used > 0 ? ": " : "", pp_format_line(shown, sizeof shown, why.text));
}

static int read_result(struct pp_process *process, const struct pp_trial_spec *spec,
                       json_t **result_out, struct pp_error *err)
{
    const char *name = "its run";
    struct text text = { 0 };
    int ret = read_all(process, &text, pp_clock_now_ns() + spec->limit_ns);

    pp_process_stop(process, ret == -EINTR ? STOP_NS : 0);
    if (ret == -ETIMEDOUT)
        (void)pp_error_set(err, PP_ERROR_RUN, ret, "%.80s has not ended after %" PRIu64 " s", name,
                           spec->limit_ns / PP_NS_PER_S);
    else if (ret == -EFBIG)
        (void)pp_error_set(err, PP_ERROR_RUN, ret, "%.80s printed more than 64 MiB", name);
    else if (ret == 0 && process->status != 0)
        ret = failed(process, name, err);
    else if (ret == 0)
        ret = parse(&text, name, result_out, err);
    pp_memory_free(text.bytes);
    return ret;
}

/* ---- a trial ---- */

static int run_program(const struct pp_trial_spec *spec, const struct places *places,
                       json_t **result_out, struct pp_error *err)
{
    static const struct pp_cpus any = { .count = 0 };
    const size_t bytes = COMMAND_BYTES;
    char *texts = pp_memory_alloc(ARGS_MAX, bytes), *argv[ARGS_MAX + 1] = { NULL };
    struct pp_process process = PP_PROCESS_NONE;
    int ret = 0;

    if (!texts)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a trial");
    for (unsigned i = 0; ret == 0 && spec->argv[i]; i++) {
        if (i == ARGS_MAX || !fill_in(texts + i * bytes, bytes, spec->argv[i], places))
            ret = pp_error_set(err, PP_ERROR_USAGE, -E2BIG, "the arguments of %.80s are too long",
                               spec->argv[0]);
        else
            argv[i] = texts + i * bytes;
    }
    if (ret == 0)
        ret = pp_process_start(&process, argv, true, &any, err);
    if (ret == 0)
        ret = read_result(&process, spec, result_out, err);
    pp_process_forget(&process);
    pp_memory_free(texts);
    return ret;
}

static void end(struct pp_process *process, uint64_t grace_ns)
{
    pp_process_stop(process, grace_ns);
    pp_process_forget(process);
}

static int run_between(const struct pp_trial_spec *spec, json_t **result_out, struct pp_error *err)
{
    struct pp_process server = PP_PROCESS_NONE;
    struct places places = { 0 };
    int ret = spec->server ? start_server(&server, spec, &places, err) : 0;

    if (ret == 0)
        ret = run_program(spec, &places, result_out, err);
    end(&server, STOP_NS);
    return ret;
}

/* A result as small as can be. */
static int run_by_hand(const struct pp_floor_spec *spec, json_t **result_out, struct pp_error *err)
{
    struct pp_floor floor;
    const int ret = pp_floor_measure(spec, &floor, err);

    if (pp_interrupt_signal())
        return -EINTR;
    if (ret < 0)
        return ret;
    *result_out = json_pack("{s:s, s:f, s:I, s:{s:[{s:f, s:f}]}}", "format", RESULT_FORMAT,
                            "round_trips_per_s",
                            pp_number_per_s(floor.round_trips, floor.elapsed_ns), "round_trips",
                            (json_int_t)floor.round_trips, "rtt", "percentiles", "percentile", 50.0,
                            "ns", floor.median_ns);
    return *result_out ? 0 : pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for a trial");
}

/* What before leaves running, such as a recorder, does so until after is over. */
int pp_trial_run(const struct pp_trial_spec *spec, json_t **result_out, struct pp_error *err)
{
    struct pp_process before = PP_PROCESS_NONE, after = PP_PROCESS_NONE;
    struct pp_error error = { 0 };
    int ret;

    *result_out = NULL;
    if (spec->floor)
        return run_by_hand(spec->floor, result_out, err);
    ret = spec->before ? run_command(&before, spec->before, err) : 0;
    if (ret == 0)
        ret = pp_interrupt_signal() ? -EINTR : run_between(spec, result_out, err);
    if (spec->after && run_command(&after, spec->after, &error) < 0 && ret == 0) {
        json_decref(*result_out);
        *result_out = NULL;
        *err = error;
        ret = error.code;
    }
    end(&after, 0);
    end(&before, STOP_NS);
    return ret;
}

/* ---- figures ---- */

static int refuse(const char *what, struct pp_error *err)
{
    return pp_error_set(err, PP_ERROR_RUN, -EBADMSG, "this is no result of pingpong: %s", what);
}

/* A number that is null or not there is not known; anything but a number, or less than zero, is
 * refused. */
static bool take_number(const json_t *value, double *number)
{
    *number = NAN;
    if (!value || json_is_null(value))
        return true;
    if (!json_is_number(value) || !(json_number_value(value) >= 0))
        return false;
    *number = json_number_value(value);
    return true;
}

/* Of what came back in an open loop, from when it ought to have been sent. */
static const json_t *latency_of(const json_t *result)
{
    const json_t *response = json_object_get(result, "response");

    return json_is_object(response) ? response : json_object_get(result, "rtt");
}

static bool take_percentile(const json_t *result, double percentile, double *ns)
{
    const json_t *all = json_object_get(latency_of(result), "percentiles");

    *ns = NAN;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        double which;

        if (!take_number(json_object_get(one, "percentile"), &which))
            return false;
        if (fabs(which - percentile) < 1e-9)
            return take_number(json_object_get(one, "ns"), ns);
    }
    return true;
}

/* Of both sides; one that is not known makes the sum unknown. */
static bool take_cpu(const json_t *result, double *ns)
{
    const json_t *costs = json_object_get(result, "costs");
    double client, server;

    if (!take_number(json_object_get(json_object_get(costs, "client"), "cpu_ns_per_round_trip"),
                     &client) ||
        !take_number(json_object_get(json_object_get(costs, "server"), "cpu_ns_per_round_trip"),
                     &server))
        return false;
    *ns = client + server;
    return true;
}

/* Of requests and responses together. */
static bool take_bytes(const json_t *result, double rate, double *bytes_per_s)
{
    const json_t *load = json_object_get(json_object_get(result, "options"), "load");
    double request, response;

    if (!take_number(json_object_get(json_object_get(load, "request"), "mean_bytes"), &request) ||
        !take_number(json_object_get(json_object_get(load, "response"), "mean_bytes"), &response))
        return false;
    *bytes_per_s = rate * (request + response);
    return true;
}

/* Who judges nothing has nothing to say against it. */
static bool take_level(const json_t *result, enum pp_verdict_level *level)
{
    const json_t *verdict = json_object_get(result, "verdict");
    const char *text = json_string_value(json_object_get(verdict, "level"));

    *level = PP_VALID;
    for (int i = PP_VALID; verdict && !json_is_null(verdict) && i <= PP_INVALID; i++)
        if (text && strcmp(text, pp_verdict_level_name((enum pp_verdict_level)i)) == 0) {
            *level = (enum pp_verdict_level)i;
            return true;
        }
    return !verdict || json_is_null(verdict);
}

/* What the verdict's first reason has under key; "" if there is none. */
static const char *first_reason(const json_t *result, const char *key)
{
    const json_t *reasons = json_object_get(json_object_get(result, "verdict"), "reasons");
    const char *text = json_string_value(json_object_get(json_array_get(reasons, 0), key));

    return text ? text : "";
}

int pp_trial_percentile(const json_t *result, double percentile, double *ns, struct pp_error *err)
{
    return take_percentile(result, percentile, ns) ? 0 : refuse("\"percentiles\" are none", err);
}

int pp_trial_read(const json_t *result, struct pp_trial *trial, struct pp_error *err)
{
    const char *format = json_string_value(json_object_get(result, "format"));
    double *figures = trial->figures;

    if (!format || strcmp(format, RESULT_FORMAT) != 0)
        return refuse("\"format\" is not \"" RESULT_FORMAT "\"", err);
    if (!take_number(json_object_get(result, "round_trips_per_s"), &figures[PP_METRIC_RATE]) ||
        isnan(figures[PP_METRIC_RATE]))
        return refuse("\"round_trips_per_s\" is no rate", err);
    if (!take_percentile(result, 50, &figures[PP_METRIC_P50]) ||
        !take_percentile(result, 99, &figures[PP_METRIC_P99]))
        return refuse("\"percentiles\" are none", err);
    if (!take_percentile(result, 99.9, &trial->p999_ns))
        return refuse("\"percentiles\" are none", err);
    if (!take_bytes(result, figures[PP_METRIC_RATE], &trial->bytes_per_s))
        return refuse("\"load\" is none", err);
    if (!take_cpu(result, &figures[PP_METRIC_CPU]) ||
        !take_number(json_object_get(json_object_get(result, "costs"), "server_memory_bytes"),
                     &trial->memory_bytes))
        return refuse("\"costs\" are none", err);
    if (!take_level(result, &trial->level))
        return refuse("\"verdict\" is none", err);
    (void)pp_format_line(trial->reason, sizeof trial->reason, first_reason(result, "id"));
    return 0;
}

const char *pp_trial_reason(const json_t *result)
{
    const char *text = first_reason(result, "text");

    return text[0] ? text : "?";
}
