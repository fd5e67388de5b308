/* A candidate is words with spaces between: the first part takes them apart, the second makes the
 * arguments of a trial of them and of what is handed on to all, the third decides what is to be the
 * same for all, the fourth makes the arguments of a peer's trial. */
#include "cli/candidates.h"

#include "base/container.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/peers.h"
#include "cli/table.h"
#include "experiment/saved.h"
#include "job/loops.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* No trial takes so much longer than it should. */
#define TRIAL_GRACE_NS (60 * PP_NS_PER_S)
#define TRIAL_COUNT_NS (3600 * PP_NS_PER_S)

/* What was typed, taken apart. */
struct candidate {
    const char *text;
    char program[PATH_MAX];             /* another than this one; "": this one */
    bool is_peer;                       /* and then that is its program */
    bool has_engine;                    /* by its name alone */
    const char *server;                 /* a command that starts its server; NULL: none */
    char address[PP_TARGET_TEXT_BYTES]; /* of a server that runs already; "": none */
    struct pp_cli_trial_args options;   /* its own */
};

#define refuse(err, ...) pp_error_set(err, PP_ERROR_USAGE, -EINVAL, __VA_ARGS__)

/* ---- arguments ---- */

__attribute__((format(printf, 3, 4))) static int add(struct pp_cli_trial_args *args,
                                                     struct pp_error *err, const char *format, ...)
{
    va_list list;
    char *text;
    int bytes;

    va_start(list, format);
    bytes = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (args->count == PP_CLI_TRIAL_ARGS_MAX)
        return refuse(err, "a trial has more than %d arguments", PP_CLI_TRIAL_ARGS_MAX);
    text = bytes >= 0 ? pp_memory_alloc(1, (size_t)bytes + 1) : NULL;
    if (!text)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the arguments of a trial");
    va_start(list, format);
    (void)vsnprintf(text, (size_t)bytes + 1, format, list);
    va_end(list);
    args->args[args->count++] = text;
    return 0;
}

static void clear(struct pp_cli_trial_args *args)
{
    while (args->count > 0) {
        pp_memory_free(args->args[--args->count]);
        args->args[args->count] = NULL;
    }
}

/* ---- what was typed ---- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_flag(const char *word)
{
    for (size_t i = 0; i < pp_cli_option_count; i++)
        if (pp_cli_options[i].type == PP_CLI_FLAG && pp_cli_is_of_runs(&pp_cli_options[i]) &&
            strcmp(pp_cli_options[i].name, word) == 0)
            return true;
    return false;
}

static int refuse_word(const struct candidate *candidate, const char *word, struct pp_error *err)
{
    return refuse(
        err,
        "%.80s: \"%.80s\" is no candidate: that is an engine, a peer of \"pingpong engines\", "
        "OPTION=VALUE, server:COMMAND, at:ADDRESS, bin:PROGRAM or FILE.json",
        candidate->text, word);
}

/* The name of the candidate would say something else than what is run. */
static int refuse_second(const struct candidate *candidate, const char *word, struct pp_error *err)
{
    return refuse(
        err,
        "%.80s: \"%.80s\" comes second: a candidate has one engine (or CLIENT/SERVER), one "
        "program and one address; make two of it",
        candidate->text, word);
}

static int add_engine(struct candidate *candidate, const char *name, struct pp_error *err)
{
    candidate->has_engine = true;
    return add(&candidate->options, err, "--engine=%s", name);
}

/* "epoll/io_uring"; 1: it is something else. */
static int take_two_engines(struct candidate *candidate, const char *word, struct pp_error *err)
{
    const char *slash = strchr(word, '/');
    char client[PP_CLI_MADE_BYTES];
    int ret;

    if (!slash || (size_t)(slash - word) >= sizeof client)
        return 1;
    (void)snprintf(client, sizeof client, "%.*s", (int)(slash - word), word);
    if (!pp_io_engine_exists(client) || !pp_io_engine_exists(slash + 1))
        return 1;
    if (candidate->has_engine)
        return refuse_second(candidate, word, err);
    ret = add_engine(candidate, client, err);
    return ret == 0 ? add(&candidate->options, err, "--server-engine=%s", slash + 1) : ret;
}

static int take_word(struct candidate *candidate, const char *word, struct pp_error *err)
{
    char peer[PATH_MAX];
    int ret;

    if (begins(word, "at:") && word[3] && strlen(word + 3) < sizeof candidate->address) {
        if (candidate->address[0])
            return refuse_second(candidate, word, err);
        memcpy(candidate->address, word + 3, strlen(word + 3) + 1);
        return 0;
    }
    if (begins(word, "bin:") && word[4]) {
        if (candidate->program[0])
            return refuse_second(candidate, word, err);
        (void)snprintf(candidate->program, sizeof candidate->program, "%s", word + 4);
        return 0;
    }
    if (strchr(word, '=') && isalpha((unsigned char)word[0]))
        return add(&candidate->options, err, word[1] == '=' ? "-%c%s" : "--%c%s", word[0],
                   word[1] == '=' ? word + 2 : word + 1);
    if (pp_io_engine_exists(word) || strcmp(word, "auto") == 0)
        return candidate->has_engine ? refuse_second(candidate, word, err)
                                     : add_engine(candidate, word, err);
    if (is_flag(word))
        return add(&candidate->options, err, "--%s", word);
    ret = take_two_engines(candidate, word, err);
    if (ret <= 0)
        return ret;
    if (!pp_cli_peer_find(word, peer))
        return refuse_word(candidate, word, err);
    if (candidate->program[0])
        return refuse_second(candidate, word, err);
    memcpy(candidate->program, peer, sizeof peer);
    candidate->is_peer = true;
    return 0;
}

static int check_together(const struct candidate *candidate, struct pp_error *err)
{
    if (candidate->is_peer && (candidate->address[0] || candidate->server))
        return refuse(err, "%.80s: a peer has a server of its own: leave one of them out",
                      candidate->text);
    if (candidate->server && !strstr(candidate->server, "{port}"))
        return refuse(err,
                      "%.80s: its command has no {port}, which stands for where it is to listen: "
                      "say where it goes, as in 'server:./echo {port}'",
                      candidate->text);
    if (candidate->program[0] && candidate->address[0])
        return refuse(err,
                      "%.80s: a program with a client and a server of its own is at no "
                      "ADDRESS: give one of bin: and at:",
                      candidate->text);
    return 0;
}

/* What follows "server:" is a command with all its spaces. */
static int take_apart(struct candidate *candidate, const char *text, struct pp_error *err)
{
    candidate->text = text;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        const size_t bytes = strcspn(text, " ");
        char word[PATH_MAX];
        int ret;

        if (begins(text, "server:")) {
            candidate->server = text + strlen("server:");
            return candidate->server[0] ? check_together(candidate, err)
                                        : refuse_word(candidate, text, err);
        }
        if (bytes >= sizeof word)
            return refuse_word(candidate, text, err);
        (void)snprintf(word, sizeof word, "%.*s", (int)bytes, text);
        ret = take_word(candidate, word, err);
        if (ret < 0)
            return ret;
        text += bytes;
    }
    return check_together(candidate, err);
}

/* ---- what was saved ---- */

/* "old.json", or "old.json#NAME" for a candidate in it that is not the first. */
static bool is_file(const char *text)
{
    const char *end = strchr(text, '#') ? strchr(text, '#') : text + strlen(text);

    return end - text > 5 && strncmp(end - 5, ".json", 5) == 0 &&
           !memchr(text, '=', (size_t)(end - text)) && !begins(text, "server:");
}

static int settle_file(struct pp_cli_candidates *candidates, const char *text,
                       struct pp_experiment *experiment, struct pp_error *err)
{
    const unsigned number = experiment->count;
    struct pp_candidate *out = &experiment->candidates[number];
    const char *name = strchr(text, '#');
    struct pp_saved *saved = pp_memory_alloc(1, sizeof *saved);
    char path[PATH_MAX];
    int ret;

    if (!saved)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for %.80s", text);
    candidates->saved[number] = saved;
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(text, "#"), text);
    ret = pp_saved_read(path, saved, err);
    if (ret < 0)
        return ret;
    *out = (struct pp_candidate){ .name = text, .saved = saved };
    while (name && out->saved_as < saved->count &&
           strcmp(saved->names[out->saved_as], name + 1) != 0)
        out->saved_as++;
    if (out->saved_as == saved->count)
        return refuse(err, "%.120s has no candidate \"%.80s\"", path, name + 1);
    out->spec.argv = candidates->args[number].args; /* none */
    experiment->count++;
    return 0;
}

/* ---- a trial ---- */

static bool is_client(const struct candidate *candidate)
{
    return candidate->server || candidate->address[0];
}

static int add_option(struct pp_cli_trial_args *args, const struct pp_cli_passed *passed,
                      struct pp_error *err)
{
    if (!passed->value)
        return add(args, err, "--%s", passed->option->name);
    return add(args, err, "--%s=%s", passed->option->name, passed->value);
}

/* Where threads run is said anew, from what was decided. */
static bool is_placing(const char *option)
{
    return begins(option, "--placement") || begins(option, "--cpus") || begins(option, "-A");
}

static bool has_option(const struct candidate *candidate, const char *option)
{
    for (unsigned i = 0; i < candidate->options.count; i++)
        if (begins(candidate->options.args[i], option))
            return true;
    return false;
}

static bool has_place(const struct candidate *candidate)
{
    for (unsigned i = 0; i < candidate->options.count; i++)
        if (is_placing(candidate->options.args[i]))
            return true;
    return false;
}

static int add_options(struct pp_cli_trial_args *args, const struct pp_cli *cli,
                       const struct candidate *candidate, bool with_places, struct pp_error *err)
{
    const struct pp_cli_experiment *experiment = &cli->experiment;
    const bool passes = with_places && !has_place(candidate);
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < experiment->passed_count; i++) {
        struct pp_cli_passed passed = experiment->passed[i];

        if (!passes && (strcmp(passed.option->name, "placement") == 0 ||
                        strcmp(passed.option->name, "cpus") == 0))
            continue;
        ret = add_option(args, &passed, err);
    }
    for (unsigned i = 0; ret == 0 && i < candidate->options.count; i++)
        if (with_places || !is_placing(candidate->options.args[i]))
            ret = add(args, err, "%s", candidate->options.args[i]);
    return ret;
}

/* The program, its command, and which server: all that is not said by options. */
static int add_head(struct pp_cli_trial_args *args, const struct candidate *candidate,
                    bool with_server, struct pp_error *err)
{
    char own[PATH_MAX];
    int ret = add(args, err, "%s",
                  candidate->program[0] ? candidate->program : pp_cli_own_path(own));

    if (ret == 0)
        ret = add(args, err, "%s", is_client(candidate) ? "client" : "run");
    if (ret == 0 && candidate->address[0])
        ret = add(args, err, "%s", candidate->address);
    if (ret == 0 && candidate->server)
        ret = add(args, err, "%s", with_server ? "{host}:{port}" : "127.0.0.1:1");
    return ret;
}

/* What the parser makes of the trial's options, as far as they go: errors of theirs are those of
 * the candidate. out points into args. */
static int parse(struct pp_cli *out, struct pp_cli_trial_args *args, const struct pp_cli *cli,
                 const struct candidate *candidate, struct pp_error *err)
{
    struct pp_error why = { 0 };
    int ret = add_head(args, candidate, false, err);

    if (ret == 0)
        ret = add_options(args, cli, candidate, true, err);
    if (ret == 0)
        ret = pp_cli_parse(out, (int)args->count, args->args, &why);
    if (ret == 0)
        ret = pp_plan_decide(&out->plan, &why);
    if (!why.code)
        return ret;
    return pp_error_set(err, why.kind, why.code, "%.80s%s%.200s", candidate->text,
                        candidate->text[0] ? ": " : "", why.text);
}

/* ---- what is the same for all ---- */

/* The name of the engine that auto takes here, which is the baseline's. */
static int name_engine(const struct pp_plan *plan, char *name, size_t bytes, struct pp_error *err)
{
    char refused[PP_REFUSED_BYTES];
    struct pp_io_loop *loop;
    int ret = pp_loops_open(&loop, 1, plan, "auto", refused, err);

    if (ret < 0)
        return ret;
    (void)snprintf(name, bytes, "%.*s", (int)strcspn(pp_io_loop_describe(loop), ":"),
                   pp_io_loop_describe(loop));
    pp_io_loop_close(loop);
    return 0;
}

static int add_wait(struct pp_cli_trial_args *args, const struct pp_plan *plan,
                    struct pp_error *err)
{
    const char *name = pp_wait_names[plan->wait];

    if (plan->wait == PP_IO_WAIT_BLOCK || plan->spin_ns == PP_IO_SPIN_FOREVER)
        return add(args, err, "--wait=%s", name);
    return add(args, err, "--wait=%s:%" PRIu64 "ns", name, plan->spin_ns);
}

/* "0,2" */
static const char *cpus_text(const int *cpus, unsigned count, char *text, size_t bytes)
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < count && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%d", i > 0 ? "," : "", cpus[i]);
    return text;
}

static int add_places(struct pp_cli_trial_args *args, const struct pp_plan *plan, bool client,
                      struct pp_error *err)
{
    char clients[8 * PP_PLAN_THREADS_MAX], servers[8 * PP_PLAN_THREADS_MAX];

    if (plan->client_cpus[0] == PP_CPU_ANY)
        return add(args, err, "--placement=none");
    (void)cpus_text(plan->client_cpus, plan->client_threads, clients, sizeof clients);
    (void)cpus_text(plan->server_cpus, plan->server_threads, servers, sizeof servers);
    if (client)
        return add(args, err, "--cpus=%s", clients);
    return add(args, err, "--cpus=%s/%s", clients, servers);
}

/* Of what a candidate does not ask for itself, the baseline's. Threads in another number have other
 * places. */
static void share_decisions(struct pp_plan *plan, const struct pp_plan *baseline,
                            const struct candidate *candidate)
{
    if (!has_option(candidate, "--wait")) {
        plan->wait = baseline->wait;
        plan->spin_ns = baseline->spin_ns;
    }
    if (has_place(candidate) || plan->client_threads != baseline->client_threads ||
        plan->server_threads != baseline->server_threads)
        return;
    plan->placement = baseline->placement;
    memcpy(plan->client_cpus, baseline->client_cpus, sizeof plan->client_cpus);
    memcpy(plan->server_cpus, baseline->server_cpus, sizeof plan->server_cpus);
}

/* A percentile that a result has only if it is asked for. */
static bool is_unusual(const struct pp_gate *slo)
{
    static const char *const usual[] = { "p50", "p99", "p99.9" };

    for (size_t i = 0; i < COUNT_OF(usual); i++)
        if (strcmp(slo->figure, usual[i]) == 0)
            return false;
    return slo->figure[0] != '\0';
}

static int add_decided(struct pp_cli_trial_args *args, const struct candidate *candidate,
                       const struct pp_cli *parsed, const char *engine, const struct pp_cli *cli,
                       struct pp_error *err)
{
    const struct pp_plan *plan = &parsed->plan;
    const bool client = plan->job == PP_JOB_CLIENT;
    int ret = add_places(args, plan, client, err);

    if (ret == 0)
        ret = add_wait(args, plan, err);
    if (ret == 0 && strcmp(plan->client_engine, "auto") == 0)
        ret = add(args, err, "--engine=%s", engine);
    if (ret == 0 && !client && strcmp(plan->server_engine, "auto") == 0)
        ret = add(args, err, "--server-engine=%s", engine);
    if (ret == 0 && !client && !plan->target.path[0] && !parsed->given.port)
        ret = add(args, err, "--port=0");
    if (ret == 0 && candidate->server && plan->hello)
        ret = add(args, err, "--no-hello");
    if (ret == 0 && candidate->server && !plan->server_pid)
        ret = add(args, err, "--server-pid={pid}");
    if (ret == 0 && !parsed->given.count && !parsed->given.time)
        ret = add(args, err, "--time=%" PRIu64 "us", cli->experiment.trial_ns / PP_NS_PER_US);
    if (ret == 0 && !candidate->program[0]) /* which may be older than the option */
        ret = add(args, err, "--histogram");
    if (ret == 0 && is_unusual(&cli->experiment.slo))
        ret = add(args, err, "--percentiles=50,99,99.9,%s", cli->experiment.slo.figure + 1);
    if (ret == 0)
        ret = add(args, err, "--json=-");
    return ret;
}

/* ---- a peer's trial ---- */

/* What all are given, such as a wait, is for those that have it; of its own it has none. */
static int check_peer(const struct candidate *candidate, const struct pp_plan *plan,
                      struct pp_error *err)
{
    static const char *const not_its_own[] = { "--engine", "--server-engine", "--wait" };
    const char *cannot = pp_cli_peer_cannot(plan);

    for (size_t i = 0; !cannot && i < COUNT_OF(not_its_own); i++)
        if (has_option(candidate, not_its_own[i]))
            cannot = not_its_own[i];
    if (!cannot)
        return 0;
    return refuse(err,
                  "%.80s: a peer has no %s: it makes round trips over TCP on 127.0.0.1, with one "
                  "message on each connection; leave out one of them",
                  candidate->text, cannot);
}

static int add_peer(struct pp_cli_trial_args *args, const struct candidate *candidate,
                    const struct pp_cli *parsed, const struct pp_cli *cli, struct pp_error *err)
{
    const struct pp_plan *plan = &parsed->plan;
    const bool counted = parsed->given.count, timed = parsed->given.time || !counted;
    const uint64_t time_ns = parsed->given.time ? plan->time_ns : cli->experiment.trial_ns;
    const uint64_t warmup_ns = plan->warmup_given || counted ? plan->warmup_ns
                                                             : pp_plan_warmup_ns(time_ns);
    int ret = check_peer(candidate, plan, err);

    if (ret == 0)
        ret = add(args, err, "%s", candidate->program);
    if (ret == 0)
        ret = add(args, err, "--connections=%" PRIu32, plan->connections);
    if (ret == 0)
        ret = add(args, err, "--size=%" PRIu32, plan->request.min);
    if (ret == 0 && counted)
        ret = add(args, err, "--count=%" PRIu64, plan->count);
    if (ret == 0 && timed)
        ret = add(args, err, "--time=%" PRIu64 "ns", time_ns);
    if (ret == 0 && plan->warmup_count)
        ret = add(args, err, "--warmup=%" PRIu64, plan->warmup_count);
    else if (ret == 0)
        ret = add(args, err, "--warmup=%" PRIu64 "ns", warmup_ns);
    if (ret == 0 && plan->client_cpus[0] != PP_CPU_ANY)
        ret = add(args, err, "--cpus=%d,%d", plan->client_cpus[0], plan->server_cpus[0]);
    return ret;
}

/* ---- all of them ---- */

static uint64_t limit_of(const struct pp_plan *plan, const struct pp_cli *parsed,
                         const struct pp_cli *cli)
{
    const bool timed = parsed->given.time || !parsed->given.count;
    const uint64_t time_ns = parsed->given.time ? plan->time_ns : cli->experiment.trial_ns;

    return timed ? 2 * (time_ns + plan->warmup_ns) + plan->connect_timeout_ns + TRIAL_GRACE_NS
                 : TRIAL_COUNT_NS;
}

/* A server of its own process runs where the baseline's threads do. */
static struct pp_cpus server_cpus(const struct pp_plan *baseline)
{
    struct pp_cpus cpus = { .count = 0 };

    for (unsigned i = 0; baseline->job == PP_JOB_RUN && i < baseline->server_threads; i++)
        if (baseline->server_cpus[i] != PP_CPU_ANY)
            cpus.cpus[cpus.count++] = baseline->server_cpus[i];
    return cpus;
}

static int add_trial(struct pp_cli_trial_args *args, const struct candidate *candidate,
                     const struct pp_cli *parsed, const char *engine, const struct pp_cli *cli,
                     struct pp_error *err)
{
    int ret;

    if (candidate->is_peer)
        return add_peer(args, candidate, parsed, cli, err);
    ret = add_head(args, candidate, true, err);
    if (ret == 0)
        ret = add_options(args, cli, candidate, false, err);
    return ret == 0 ? add_decided(args, candidate, parsed, engine, cli, err) : ret;
}

static int settle_one(struct pp_cli_candidates *candidates, const struct pp_cli *cli,
                      struct pp_experiment *experiment, const char *engine,
                      struct candidate *candidate, struct pp_cli *parsed, struct pp_error *err)
{
    const unsigned number = experiment->count;
    struct pp_cli_trial_args *args = &candidates->args[number];
    struct pp_candidate *out = &experiment->candidates[number];
    int ret;

    if (number > 0)
        share_decisions(&parsed->plan, &candidates->plan, candidate);
    ret = add_trial(args, candidate, parsed, engine, cli, err);
    out->name = candidate->text;
    out->spec = (struct pp_trial_spec){ .argv = args->args,
                                        .server_cpus = server_cpus(&candidates->plan),
                                        .server = candidate->server,
                                        .before = cli->experiment.before,
                                        .after = cli->experiment.after,
                                        .limit_ns = limit_of(&parsed->plan, parsed, cli) };
    experiment->count++;
    return ret;
}

static int check_names(const char *const *texts, unsigned count, struct pp_error *err)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(texts[i], texts[j]) == 0)
                return refuse(err,
                              "%.80s stands there twice; the first candidate is compared with "
                              "itself in any case",
                              texts[i]);
    return 0;
}

/* candidate and parsed are for its own use. */
static int settle_all(struct pp_cli_candidates *candidates, const struct pp_cli *cli,
                      const char *const *texts, unsigned count, struct pp_experiment *experiment,
                      struct candidate *candidate, struct pp_cli *parsed, struct pp_error *err)
{
    char *engine = candidates->engine;
    int ret = check_names(texts, count, err);

    for (unsigned i = 0; ret == 0 && i < count; i++) {
        *candidate = (struct candidate){ 0 };
        if (is_file(texts[i])) {
            ret = settle_file(candidates, texts[i], experiment, err);
            continue;
        }
        ret = take_apart(candidate, texts[i], err);
        if (ret == 0)
            ret = parse(parsed, &candidates->parsed[experiment->count], cli, candidate, err);
        if (ret == 0 && !engine[0]) {
            candidates->plan = parsed->plan;
            ret = name_engine(&parsed->plan, engine, sizeof candidates->engine, err);
        }
        if (ret == 0)
            ret = settle_one(candidates, cli, experiment, engine, candidate, parsed, err);
        clear(&candidate->options);
    }
    return ret;
}

int pp_cli_candidates_settle(struct pp_cli_candidates *candidates, const struct pp_cli *cli,
                             const char *const *texts, unsigned count,
                             struct pp_experiment *experiment, struct pp_error *err)
{
    struct candidate *candidate = pp_memory_alloc(1, sizeof *candidate);
    struct pp_cli *parsed = pp_memory_alloc(1, sizeof *parsed);
    int ret;

    if (candidate && parsed)
        ret = settle_all(candidates, cli, texts, count, experiment, candidate, parsed, err);
    else
        ret = pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory for the candidates");
    pp_memory_free(candidate);
    pp_memory_free(parsed);
    return ret;
}

void pp_cli_candidates_fini(struct pp_cli_candidates *candidates)
{
    for (unsigned i = 0; i < PP_EXPERIMENT_CANDIDATES_MAX; i++) {
        clear(&candidates->args[i]);
        clear(&candidates->parsed[i]);
    }
    candidates->engine[0] = '\0';
    for (unsigned i = 0; i < PP_CANDIDATES_MAX; i++) {
        if (candidates->saved[i])
            pp_saved_fini(candidates->saved[i]);
        pp_memory_free(candidates->saved[i]);
        candidates->saved[i] = NULL;
    }
}

uint64_t pp_cli_experiment_seed(const struct pp_cli *cli)
{
    const struct pp_cli_experiment *asked = &cli->experiment;
    struct pp_random random = { .state = pp_clock_now_ns() };

    for (unsigned i = 0; i < asked->passed_count; i++)
        if (strcmp(asked->passed[i].option->name, "seed") == 0)
            return cli->plan.seed;
    return pp_random_next(&random) % 1000000;
}
