/* From the arguments to the plan: the command and other words, options, why one is not taken; and
 * at the end what several options decide on together, and where output goes. */
#include "base/clock.h"
#include "cli/args.h"
#include "cli/axis.h"
#include "cli/describe.h"
#include "cli/experiments.h"
#include "cli/hints.h"
#include "cli/options.h"
#include "cli/suggest.h"
#include "cli/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A misspelt command has so few letters wrong. */
#define COMMAND_DISTANCE 2

#define usage_error(err, ...) pp_error_set(err, PP_ERROR_USAGE, -EINVAL, __VA_ARGS__)

/* Where to read more: "help serve", or "help" for all there is. */
static struct pp_cli_text help_of(const struct pp_cli *cli)
{
    struct pp_cli_text out = { 0 };

    pp_cli_text_add(&out, "help");
    if (cli->help_jobs != PP_CLI_ALL)
        pp_cli_text_add(&out, " %s", pp_cli_jobs_text(cli->help_jobs, "", "").text);
    return out;
}

/* ---- words ---- */

/* What looks like an address is one; any other word is so only if no command is like it. */
static int check_first_word(const char *word, struct pp_error *err)
{
    struct pp_cli_nearest nearest = pp_cli_nearest_begin(word, strlen(word), COMMAND_DISTANCE);
    struct pp_target target = { 0 };

    if (strpbrk(word, ".:/"))
        return 0;
    for (size_t i = 0; isalpha((unsigned char)*word) && i < pp_cli_command_count; i++)
        pp_cli_nearest_offer(&nearest, pp_cli_commands[i].name);
    if (nearest.name)
        return usage_error(err,
                           "there is no command %.80s; did you mean %s? (a host of that name: "
                           "pingpong client %.80s)",
                           word, nearest.name, word);
    if (pp_target_parse(&target, word) < 0)
        return usage_error(err,
                           "nothing is known to do with \"%.80s\", which is no command and no "
                           "address; pingpong help lists the commands",
                           word);
    return 0;
}

/* The first word that is no value. An unknown option will be refused, but what follows it must not
 * be taken for a command that was mistyped before that. */
static const char *first_word(int argc, char **argv, bool *unsure)
{
    struct pp_cli_args args = pp_cli_args_begin(argc, argv, PP_CLI_ALL);
    const char *skipped = NULL;
    struct pp_cli_arg arg;

    *unsure = false;
    while (pp_cli_args_next(&args, &arg)) {
        if (arg.kind == PP_CLI_ARG_WORD && (arg.name != skipped || pp_cli_command_find(arg.name)))
            return arg.name;
        if (arg.kind == PP_CLI_ARG_UNKNOWN) {
            *unsure = true;
            skipped = arg.value;
        }
    }
    return NULL;
}

/* The first word decides on the command, wherever it stands. */
static int find_command(int argc, char **argv, struct pp_cli *cli, struct pp_error *err)
{
    bool unsure;
    const char *word = first_word(argc, argv, &unsure);

    cli->command = pp_cli_command_of(PP_CLI_RUN);
    if (!word)
        return 0;
    cli->command = pp_cli_command_find(word);
    if (!cli->command) {
        cli->command = pp_cli_command_of(PP_CLI_CLIENT);
        return unsure ? 0 : check_first_word(word, err);
    }
    if (cli->command->jobs)
        cli->help_jobs = cli->command->jobs;
    return 0;
}

/* The word after "help", if there is one. */
static int take_topic(struct pp_cli *cli, struct pp_cli_args *args, struct pp_error *err)
{
    const struct pp_cli_command *command;
    struct pp_cli_text names = { 0 };
    struct pp_cli_arg arg = { 0 };

    while (args->words == 1)
        if (!pp_cli_args_next(args, &arg))
            return 0;
    command = pp_cli_command_find(arg.name);
    if (command && command->jobs)
        cli->help_jobs = command->jobs;
    if (command)
        return 0;
    for (size_t i = 0; i < pp_cli_command_count; i++)
        pp_cli_text_add(&names, "%s%s", pp_cli_separator(i, pp_cli_command_count, ", ", " and "),
                        pp_cli_commands[i].name);
    return usage_error(err, "there is no command %.80s; the commands are %s", arg.name, names.text);
}

static int take_address(struct pp_cli *cli, const char *text, struct pp_error *err)
{
    struct pp_target target = { 0 };
    int ret;

    if (cli->command->jobs & (PP_CLI_ENGINES | PP_CLI_EXPLAIN))
        return usage_error(err, "%s is about this machine and takes no ADDRESS, not %.80s",
                           cli->command->name, text);
    if (cli->command->operand != PP_CLI_AN_ADDRESS)
        return usage_error(err,
                           "run takes no ADDRESS: its server is in this process, where --host "
                           "says; to measure against %.80s: pingpong client %.80s",
                           text, text);
    if (cli->given.address)
        return usage_error(err, "one ADDRESS is enough: %.80s or %.80s", cli->given.address, text);
    if (strstr(text, "://"))
        return usage_error(
            err, "an ADDRESS is HOST:PORT without http:// or the like, not \"%.80s\"", text);
    ret = pp_cli_hint_address(text, err);
    if (ret < 0)
        return ret;
    if (pp_target_parse(&target, text) < 0)
        return usage_error(err, "an " PP_CLI_ADDRESS_IS ", not \"%.80s\"", text);
    cli->given.address = text;
    return 0;
}

static int take_candidate(struct pp_cli *cli, const char *text, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;

    if (experiment->candidate_count == PP_CANDIDATES_MAX)
        return usage_error(err, "%s takes %d candidates at most", cli->command->name,
                           PP_CANDIDATES_MAX);
    experiment->candidates[experiment->candidate_count++] = text;
    return 0;
}

static int take_word(struct pp_cli *cli, struct pp_cli_args *args, const char *word,
                     struct pp_error *err)
{
    const struct pp_cli_command *command = args->words == 1 ? pp_cli_command_find(word) : NULL;

    if (!command && cli->command->operand == PP_CLI_CANDIDATES)
        return take_candidate(cli, word, err);
    if (!command)
        return take_address(cli, word, err);
    cli->command = command;
    return command->operand == PP_CLI_A_COMMAND ? take_topic(cli, args, err) : 0;
}

/* ---- options that are not taken ---- */

static int refuse_letter(const struct pp_cli *cli, const struct pp_cli_args *args,
                         const struct pp_cli_arg *arg, struct pp_error *err)
{
    const int ret = pp_cli_hint_letter(args, arg, err);

    if (ret < 0)
        return ret;
    if (!isgraph((unsigned char)arg->letter))
        return usage_error(err, "there is no option of that letter; pingpong %s lists the options",
                           help_of(cli).text);
    return usage_error(err, "there is no option -%c; pingpong %s lists the options", arg->letter,
                       help_of(cli).text);
}

/* For each option of the job, its name and its aliases. */
static struct pp_cli_nearest nearest_option(unsigned jobs, const char *name, size_t bytes)
{
    struct pp_cli_nearest nearest = pp_cli_nearest_begin(name, bytes, pp_cli_nearest_max(bytes));

    for (size_t i = 0; i < pp_cli_option_count; i++) {
        if (!(pp_cli_takers(&pp_cli_options[i]) & jobs))
            continue;
        pp_cli_nearest_offer(&nearest, pp_cli_options[i].name);
        for (const char *const *alias = pp_cli_options[i].aliases; *alias; alias++)
            pp_cli_nearest_offer(&nearest, *alias);
    }
    return nearest;
}

static int refuse_name(const struct pp_cli *cli, const struct pp_cli_args *args,
                       const struct pp_cli_arg *arg, struct pp_error *err)
{
    const int shown = arg->name_bytes < 80 ? (int)arg->name_bytes : 80;
    struct pp_cli_nearest nearest = nearest_option(args->jobs, arg->name, arg->name_bytes);

    if (!nearest.name)
        nearest = nearest_option(PP_CLI_ALL, arg->name, arg->name_bytes);
    if (!nearest.name)
        return usage_error(err, "there is no option --%.*s; pingpong %s lists the options", shown,
                           arg->name, help_of(cli).text);
    return usage_error(err, "there is no option --%.*s; did you mean --%s?", shown, arg->name,
                       nearest.name);
}

/* The names of all options that begin so: of the job, or where it has none, of any. */
static int refuse_ambiguous(const struct pp_cli_args *args, const struct pp_cli_arg *arg,
                            struct pp_error *err)
{
    const unsigned jobs = pp_cli_takers(arg->option) & args->jobs ? args->jobs : PP_CLI_ALL;
    struct pp_cli_text names = { 0 };

    for (size_t i = 0; i < pp_cli_option_count; i++) {
        const struct pp_cli_option *option = &pp_cli_options[i];

        if ((pp_cli_takers(option) & jobs) &&
            pp_cli_option_begins(option, arg->name, arg->name_bytes))
            pp_cli_text_add(&names, "%s--%s", names.used ? ", " : "", option->name);
    }
    return usage_error(err, "--%.*s is short for several: %.160s", (int)arg->name_bytes, arg->name,
                       names.text);
}

static int refuse_job(const struct pp_cli *cli, const struct pp_cli_option *option,
                      struct pp_error *err)
{
    const int ret = pp_cli_hint_job(option, cli->plan.job, err);

    if (ret < 0)
        return ret;
    if (cli->command->jobs & PP_CLI_EXPLAIN && pp_cli_is_of_runs(option))
        return usage_error(
            err,
            "explain has no round trips by hand that are like those of --%s: leave it "
            "out",
            option->name);
    return usage_error(err, "--%s is for %s, not for %s", option->name,
                       pp_cli_jobs_text(option->jobs, ", ", " and ").text, cli->command->name);
}

/* ---- options ---- */

static int take_value(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                      struct pp_error *err)
{
    int ret = pp_cli_option_apply(cli, option, value, err);

    if (ret >= 0)
        return 0;
    ret = pp_cli_hint_value(option, value, err);
    if (ret < 0)
        return ret;
    return usage_error(err, "--%s takes %s, not \"%.80s\"", option->name,
                       pp_cli_takes_text(option).text, value ? value : "");
}

/* An experiment's runs get it, too. */
static int hand_on(struct pp_cli *cli, const struct pp_cli_arg *arg, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;

    if (experiment->passed_count == PP_CLI_PASSED_MAX)
        return usage_error(err, "there are more than %d options", PP_CLI_PASSED_MAX);
    experiment->passed[experiment->passed_count++] = (struct pp_cli_passed){ .option = arg->option,
                                                                             .value = arg->value };
    return 0;
}

static int take_axis(struct pp_cli *cli, const struct pp_cli_arg *arg, struct pp_error *err)
{
    struct pp_cli_experiment *experiment = &cli->experiment;
    struct pp_cli_axis axis;

    if (experiment->axis_count == PP_CLI_AXES_MAX)
        return usage_error(err, "a sweep has %d axes at most: give --%s one value", PP_CLI_AXES_MAX,
                           arg->option->name);
    experiment->axes[experiment->axis_count++] = (struct pp_cli_passed){ arg->option, arg->value };
    return pp_cli_axis_parse(&axis, arg->option, arg->value, err);
}

static int take_option(struct pp_cli *cli, const struct pp_cli_arg *arg, struct pp_error *err)
{
    const struct pp_cli_option *option = arg->option;

    if (!(pp_cli_takers(option) & cli->command->jobs))
        return refuse_job(cli, option, err);
    if (pp_cli_takes_value(option) && !arg->value && !option->optional)
        return usage_error(err, "--%s takes %s, and none was given", option->name,
                           pp_cli_takes_text(option).text);
    if (!pp_cli_takes_value(option) && arg->value)
        return usage_error(err, "this option takes no value: --%s=%.80s", option->name, arg->value);
    if (cli->command->jobs & PP_CLI_SWEEP && pp_cli_is_of_runs(option) &&
        pp_cli_is_axis(option, arg->value))
        return take_axis(cli, arg, err);
    if (cli->command->jobs & PP_CLI_EXPERIMENTS && pp_cli_is_of_runs(option) &&
        hand_on(cli, arg, err) < 0)
        return -EINVAL;
    return take_value(cli, option, arg->value, err);
}

static int take(struct pp_cli *cli, struct pp_cli_args *args, const struct pp_cli_arg *arg,
                struct pp_error *err)
{
    switch (arg->kind) {
    case PP_CLI_ARG_WORD:
        return take_word(cli, args, arg->name, err);
    case PP_CLI_ARG_OPTION:
        return take_option(cli, arg, err);
    case PP_CLI_ARG_AMBIGUOUS:
        return refuse_ambiguous(args, arg, err);
    case PP_CLI_ARG_UNKNOWN:
        break;
    }
    return arg->letter ? refuse_letter(cli, args, arg, err) : refuse_name(cli, args, arg, err);
}

/* ---- what depends on several options ---- */

static int check_exclusions(const struct pp_cli *cli, struct pp_error *err)
{
    const struct pp_plan *plan = &cli->plan;
    const struct pp_cli_given *given = &cli->given;

    if ((plan->client_cpus_given.count || plan->server_cpus_given.count) && !plan->placement_auto)
        return usage_error(err, "--cpus says where the threads run, so --placement cannot: give "
                                "one of them");
    if (cli->quiet && cli->verbose)
        return usage_error(err, "--quiet and --verbose exclude each other: give one of them");
    if (given->ipv4 && given->ipv6)
        return usage_error(err, "--ipv4 and --ipv6 exclude each other: give one of them, or none "
                                "for either");
    if (given->expect + given->expect_bytes + given->expect_until > 1)
        return usage_error(err, "--expect, --expect-bytes and --expect-until exclude each other: "
                                "give one of them");
    return 0;
}

/* What the plan is to be where several options, or one and its absence, decide on it. */
static void settle_plan(struct pp_cli *cli)
{
    const struct pp_cli_given *given = &cli->given;
    struct pp_plan *plan = &cli->plan;

    /* Who says how many does not want to be stopped by a clock, and the other way round. */
    if (given->time && !given->count)
        plan->count = 0;
    if (given->count && !given->time)
        plan->time_ns = 0;
    if (given->idle_timeout)
        plan->server_limits.silent_ns = 0; /* with a limit of one's own there is none besides */
    plan->server_engine = given->server_engine ? given->server_engine : plan->client_engine;
    plan->expect_how = given->expect         ? PP_EXPECT_TEXT
                       : given->expect_bytes ? PP_EXPECT_BYTES
                       : given->expect_until ? PP_EXPECT_UNTIL
                                             : PP_EXPECT_ECHO;
}

static int check_target(const struct pp_cli *cli, struct pp_error *err)
{
    const struct pp_cli_given *given = &cli->given;

    if (given->address && given->host)
        return usage_error(err, "the server is named twice, by ADDRESS and by --host: give one of "
                                "them");
    if (cli->plan.job == PP_JOB_CLIENT && !given->address && !given->host && !given->port)
        return usage_error(err, "client takes the ADDRESS of a server: pingpong client "
                                "HOST[:PORT]");
    if (given->port && given->address && pp_cli_has_port(given->address))
        return usage_error(err, "the port is named twice, in %.80s and by --port: give one of them",
                           given->address);
    return 0;
}

static int settle_target(struct pp_cli *cli, struct pp_error *err)
{
    const char *text = cli->given.address ? cli->given.address : cli->given.host;
    struct pp_target *target = &cli->plan.target, *source = &cli->plan.source;
    const uint16_t port = target->port;

    if (cli->given.ipv4 || cli->given.ipv6)
        target->family = cli->given.ipv4 ? AF_INET : AF_INET6;
    if (cli->given.bind && pp_target_parse(source, cli->given.bind) == 0 &&
        !pp_cli_has_port(cli->given.bind))
        source->port = 0;
    if (text)
        (void)pp_target_parse(target, text); /* it has been before */
    else if (cli->given.ipv6)
        memcpy(target->host, "::1", sizeof "::1");
    if (target->path[0])
        return !cli->given.port ? 0
                                : usage_error(err,
                                              "%.80s is a Unix socket, which has no port: leave "
                                              "--port out",
                                              text);
    if (cli->given.port)
        target->port = port;
    if (cli->plan.job == PP_JOB_CLIENT && target->port == 0)
        return usage_error(err, "a client has to know the port of its server; 0 for any free one "
                                "is for run and serve");
    return 0;
}

/* ---- outputs ---- */

static void add_text(struct pp_cli *cli, const char *path)
{
    cli->outputs[cli->output_count++] = (struct pp_cli_output){ .format = &pp_report_text,
                                                                .path = path };
}

static bool goes_to_stdout(const struct pp_cli_output *output)
{
    return strcmp(output->path, "-") == 0;
}

/* --output is for the one output that has no name of its own, or for the text. */
static int settle_path(struct pp_cli *cli, struct pp_error *err)
{
    const char *first = NULL;

    for (unsigned i = 0; i < cli->output_count; i++) {
        struct pp_cli_output *output = &cli->outputs[i];

        if (output->path)
            continue;
        if (first)
            return usage_error(err,
                               "--%s and --%s cannot both go to the same place: name a file for "
                               "one, as --%s=FILE",
                               first, output->format->name, output->format->name);
        first = output->format->name;
        output->path = cli->given.output ? cli->given.output : "-";
    }
    if (!first && cli->given.output)
        add_text(cli, cli->given.output);
    return 0;
}

static int check_paths(const struct pp_cli *cli, struct pp_error *err)
{
    for (unsigned i = 0; i < cli->output_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(cli->outputs[i].path, cli->outputs[j].path) == 0)
                return usage_error(err,
                                   "--%s and --%s cannot both go to %.80s: name another file for "
                                   "one of them",
                                   pp_cli_output_option(cli->outputs[j].format),
                                   pp_cli_output_option(cli->outputs[i].format),
                                   goes_to_stdout(&cli->outputs[i]) ? "standard output"
                                                                    : cli->outputs[i].path);
    return 0;
}

static int check_histogram(const struct pp_cli *cli, struct pp_error *err)
{
    for (unsigned i = 0; i < cli->output_count; i++)
        if (cli->outputs[i].format == &pp_report_json ||
            cli->outputs[i].format == &pp_report_json_stream)
            return 0;
    return !cli->histogram
               ? 0
               : usage_error(err, "--histogram is a part of the JSON: give --json, too");
}

/* People get text on standard output, unless a program reads something else there. */
static int settle_outputs(struct pp_cli *cli, struct pp_error *err)
{
    bool taken = false, has_text = false, wants_intervals = false;
    int ret = settle_path(cli, err);

    if (ret == 0)
        ret = check_paths(cli, err);
    if (ret == 0)
        ret = check_histogram(cli, err);
    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < cli->output_count; i++) {
        taken |= goes_to_stdout(&cli->outputs[i]);
        has_text |= cli->outputs[i].format == &pp_report_text;
        wants_intervals |= cli->outputs[i].format->wants_intervals;
    }
    if (!taken && !has_text)
        add_text(cli, "-");
    cli->intervals = cli->plan.interval_ns > 0;
    if (wants_intervals && !cli->intervals)
        cli->plan.interval_ns = PP_NS_PER_S;
    return 0;
}

/* ---- all of it ---- */

static int settle(struct pp_cli *cli, struct pp_error *err)
{
    int ret = check_exclusions(cli, err);

    if (cli->command->jobs & PP_CLI_ENGINES)
        return settle_outputs(cli, err);
    if (ret == 0)
        ret = check_target(cli, err);
    if (ret == 0)
        ret = settle_target(cli, err);
    if (ret == 0)
        ret = settle_outputs(cli, err);
    if (ret < 0)
        return ret;
    if (cli->command->jobs & PP_CLI_EXPERIMENTS)
        return pp_cli_experiment_settle(cli, err);
    settle_plan(cli);
    return pp_plan_check(&cli->plan, err);
}

/* What an experiment hands on is tried out on a plan of the main job, which engines has no use
 * for. */
static enum pp_job job_of(unsigned jobs)
{
    return jobs & ~PP_CLI_JOBS ? PP_JOB_RUN : (enum pp_job)__builtin_ctz(jobs);
}

int pp_cli_parse(struct pp_cli *cli, int argc, char **argv, struct pp_error *err)
{
    struct pp_cli_args args;
    struct pp_cli_arg arg;
    unsigned jobs;
    int ret;

    *cli = (struct pp_cli){ .help_jobs = PP_CLI_ALL, .experiment.trial_ns = PP_CLI_TRIAL_NS };
    cli->words = argv + (argc > 0);
    ret = find_command(argc, argv, cli, err);
    if (ret < 0)
        return ret;
    jobs = cli->command->jobs ? cli->command->jobs : PP_CLI_RUN;
    pp_plan_default(&cli->plan, job_of(jobs));
    args = pp_cli_args_begin(argc, argv, jobs);
    cli->command = pp_cli_command_of(jobs);
    while (pp_cli_args_next(&args, &arg)) {
        ret = take(cli, &args, &arg, err);
        if (ret < 0 || !cli->command->jobs)
            return ret;
    }
    return settle(cli, err);
}
