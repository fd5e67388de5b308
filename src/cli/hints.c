#include "cli/hints.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/number.h"
#include "cli/describe.h"
#include "cli/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const struct {
    char letter;
    const char *what;
    const char *option;
    const char *value; /* where none was given */
} habits[] = {
    { 'P', "for several connections there is -c", "-c", "N" },
    { 'l', "for the size of a message there is -m", "-m", "SIZE" },
    { 'b', "for a rate, in messages a second, there is -R", "-R", "RATE" },
};

static bool is_time(const char *text)
{
    uint64_t ns;

    return text && pp_number_parse_duration(text, PP_NS_PER_S, 1, UINT64_MAX, &ns) == 0;
}

static bool is_count(const char *text, uint64_t max)
{
    uint64_t count;

    return text && pp_number_parse_count(text, 1, max, &count) == 0;
}

/* What the option of that letter was given, wherever it stands. */
static const char *find_value(const struct pp_cli_args *args, char letter)
{
    struct pp_cli_args all = pp_cli_args_begin(args->argc, args->argv, args->jobs);
    struct pp_cli_arg arg;

    while (pp_cli_args_next(&all, &arg))
        if (arg.kind == PP_CLI_ARG_OPTION && arg.letter == letter)
            return arg.value;
    return NULL;
}

/* wrk -t2 -c100 -d30s: two threads, a hundred connections, thirty seconds. Each thread needs a
 * connection. */
static int hint_duration(const struct pp_cli_args *args, const char *value, struct pp_error *err)
{
    const char *time = is_time(value) ? value : "TIME";
    const char *threads = find_value(args, 't');
    const char *connections = find_value(args, 'c');

    if (is_count(threads, PP_PLAN_THREADS_MAX))
        return pp_error_set(
            err, PP_ERROR_USAGE, -EINVAL,
            "there is no option -d; for the time there is -t, for threads -T: "
            "pingpong client -T %.40s -c %.40s -t %.40s ADDRESS",
            threads, is_count(connections, PP_PLAN_CONNECTIONS_MAX) ? connections : threads, time);
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "there is no option -d; for the time there is -t: "
                        "pingpong client -t %.40s ADDRESS",
                        time);
}

int pp_cli_hint_letter(const struct pp_cli_args *args, const struct pp_cli_arg *arg,
                       struct pp_error *err)
{
    if (arg->letter == 's')
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "there is no option -s; the server is: pingpong serve");
    if (arg->letter == 'd')
        return hint_duration(args, arg->value, err);
    for (size_t i = 0; i < COUNT_OF(habits); i++)
        if (habits[i].letter == arg->letter)
            return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                                "there is no option -%c; %s: pingpong client %s %.40s ADDRESS",
                                arg->letter, habits[i].what, habits[i].option,
                                arg->value ? arg->value : habits[i].value);
    return 0;
}

/* A number that is wrong is no host: those begin with a letter, or have dots or colons enough. */
static bool looks_like_host(const char *text)
{
    struct pp_target target = { 0 };
    const char *dot = strchr(text, '.');

    if (pp_target_parse(&target, text) < 0)
        return false;
    if (isalpha((unsigned char)*text) || strchr(text, ':'))
        return true;
    dot = dot ? strchr(dot + 1, '.') : NULL;
    return dot && strchr(dot + 1, '.');
}

/* iperf -c HOST is a client. */
static int hint_host(const char *value, struct pp_error *err)
{
    if (!looks_like_host(value))
        return 0;
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "--connections takes a number; to measure against %.80s: "
                        "pingpong client %.80s",
                        value, value);
}

int pp_cli_hint_address(const char *text, struct pp_error *err)
{
    const struct pp_target *target = NULL;
    struct pp_target unused = { 0 };
    const char *colon = strchr(text, ':');

    if (!colon || pp_target_parse(&unused, text) != -ENAMETOOLONG)
        return 0;
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "the path of a Unix socket has at most %zu bytes, and this one has %zu: "
                        "%.80s...",
                        sizeof target->path - 1, strlen(colon + 1), colon + 1);
}

static int hint_word(const struct pp_cli_option *option, const char *value, struct pp_error *err)
{
    const size_t bytes = strlen(value);
    struct pp_cli_nearest nearest = pp_cli_nearest_begin(value, bytes, pp_cli_nearest_max(bytes));
    const char *words[PP_CLI_WORDS_MAX];
    const unsigned count = pp_cli_words(option, words);

    for (unsigned i = 0; i < count; i++)
        pp_cli_nearest_offer(&nearest, words[i]);
    if (!nearest.name)
        return 0;
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "--%s takes %s, not \"%.80s\"; did you mean %s?", option->name,
                        pp_cli_takes_text(option).text, value, nearest.name);
}

int pp_cli_hint_value(const struct pp_cli_option *option, const char *value, struct pp_error *err)
{
    if (option->letter == 'c')
        return hint_host(value, err);
    if (option->has_path)
        return pp_cli_hint_address(value, err);
    return option->type == PP_CLI_CHOICE && !option->value ? hint_word(option, value, err) : 0;
}

int pp_cli_hint_job(const struct pp_cli_option *option, enum pp_job job, struct pp_error *err)
{
    if (option->letter == 'T' && job == PP_JOB_SERVE)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "--threads is for run and client; a server has --server-threads");
    if (option->letter == 'S' && job == PP_JOB_CLIENT)
        return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                            "--server-threads is for run and serve; a client has --threads");
    return 0;
}
