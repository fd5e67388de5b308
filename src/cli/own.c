#include "cli/own.h"

#include "base/number.h"
#include "measure/cpulist.h"
#include "report/figures.h"
#include "result/change.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#define CPU_MAX 1023

/* ---- the load ---- */

int pp_cli_apply_size(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                      struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    const size_t bytes = strcspn(value, ",");
    char request[PATH_MAX];
    int ret;

    (void)option;
    if (bytes >= sizeof request)
        return -EINVAL;
    memcpy(request, value, bytes);
    request[bytes] = '\0';
    ret = pp_sizes_parse(&plan->request, request, err);
    if (ret == 0 && value[bytes])
        ret = pp_sizes_parse(&plan->response, value + bytes + 1, err);
    else if (ret == 0)
        plan->response = plan->request;
    if (ret < 0)
        return ret;
    plan->answers = !pp_sizes_equal(&plan->request, &plan->response);
    return 0;
}

/* What is no number alone has the unit of a time. */
int pp_cli_apply_warmup(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                        struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    int ret;

    (void)err;
    plan->warmup_count = 0;
    plan->warmup_ns = 0;
    ret = pp_number_parse_count(value, 0, option->max, &plan->warmup_count);
    if (ret == -EINVAL)
        ret = pp_number_parse_duration(value, 1, 0, PP_CLI_YEAR_NS, &plan->warmup_ns);
    return ret;
}

int pp_cli_apply_strict(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                        struct pp_error *err)
{
    const bool suspect = value && strcmp(value, option->words[1]) == 0;

    (void)err;
    if (value && !suspect && strcmp(value, option->words[0]) != 0)
        return -EINVAL;
    cli->plan.strict = suspect ? PP_SUSPECT : PP_INVALID;
    return 0;
}

/* ---- how it runs ---- */

/* "spin" or "spin:50": a word, and a time if it may have one. */
int pp_cli_apply_wait(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                      struct pp_error *err)
{
    static const uint64_t without[PP_WAITS] = {
        [PP_IO_WAIT_SPIN] = PP_IO_SPIN_FOREVER,
        [PP_IO_WAIT_YIELD] = PP_PLAN_LOOK_US * PP_NS_PER_US,
    };
    const size_t bytes = strcspn(value, ":");
    struct pp_plan *plan = &cli->plan;
    unsigned wait = 0;

    (void)err;
    plan->wait_auto = strcmp(value, "auto") == 0;
    while (wait < PP_WAITS &&
           (strlen(option->words[wait]) != bytes || memcmp(option->words[wait], value, bytes) != 0))
        wait++;
    if (plan->wait_auto)
        wait = PP_IO_WAIT_BLOCK;
    else if (wait == PP_WAITS || (value[bytes] && !(option->timed >> wait & 1)))
        return -EINVAL;
    plan->wait = (enum pp_io_wait)wait;
    plan->spin_ns = without[wait];
    if (!value[bytes])
        return 0;
    return pp_number_parse_duration(value + bytes + 1, option->unit_ns, option->min, option->max,
                                    &plan->spin_ns);
}

/* "0,2-3" up to end, what is no such list. */
static int parse_cpus(struct pp_cpus *cpus, const char *text, const char **end)
{
    struct pp_cpulist list = { .rest = text };
    unsigned cpu;

    cpus->count = 0;
    while (pp_cpulist_next(&list, &cpu)) {
        if (cpu > CPU_MAX || cpus->count == PP_PLAN_THREADS_MAX)
            return -EINVAL;
        cpus->cpus[cpus->count++] = (int)cpu;
    }
    *end = list.rest;
    return isdigit((unsigned char)*text) ? 0 : -EINVAL;
}

/* "0,1", one CPU each, has been read as a list: the second one is the server's. */
static int split_pair(struct pp_plan *plan, const char *value)
{
    struct pp_cpus *cpus = &plan->client_cpus_given;

    if (cpus->count != 2 || strchr(value, '-'))
        return -EINVAL;
    cpus->count = plan->server_cpus_given.count = 1;
    plan->server_cpus_given.cpus[0] = cpus->cpus[1];
    return 0;
}

int pp_cli_apply_cpus_of_both(struct pp_cli *cli, const struct pp_cli_option *option,
                              const char *value, struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    const char *end;

    (void)option;
    (void)err;
    if (parse_cpus(&plan->client_cpus_given, value, &end) < 0)
        return -EINVAL;
    if (!*end)
        return split_pair(plan, value);
    if (*end != '/' || parse_cpus(&plan->server_cpus_given, end + 1, &end) < 0 || *end)
        return -EINVAL;
    return 0;
}

int pp_cli_apply_cpus(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                      struct pp_error *err)
{
    struct pp_plan *plan = &cli->plan;
    const char *end;
    const int ret = parse_cpus(plan->job == PP_JOB_SERVE ? &plan->server_cpus_given
                                                         : &plan->client_cpus_given,
                               value, &end);

    (void)option;
    (void)err;
    return ret == 0 && *end ? -EINVAL : ret;
}

/* ---- the result ---- */

static int take_figure(struct pp_gate *gate, const char *text, size_t bytes, struct pp_error *err)
{
    const int ret = pp_gate_parse(gate, text, bytes, err);

    return ret == 0 ? pp_figure_check(gate->figure, err) : ret;
}

static int take_change(struct pp_gate *gate, const char *text, size_t bytes, struct pp_error *err)
{
    const int ret = pp_gate_parse_change(gate, text, bytes, err);

    return ret == 0 ? pp_change_check(gate, err) : ret;
}

/* One or several, with commas or spaces between them. */
static int take_conditions(struct pp_plan *plan, const char *value,
                           int (*take)(struct pp_gate *gate, const char *text, size_t bytes,
                                       struct pp_error *err),
                           struct pp_error *err)
{
    int ret = *value ? 0 : -EINVAL;

    while (ret == 0 && *value) {
        const size_t bytes = strcspn(value, ", ");
        struct pp_gate *gate = &plan->gates[plan->gate_count];

        if (bytes > 0 && plan->gate_count == PP_GATES_MAX)
            return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                                "--fail-if takes %d conditions at most", PP_GATES_MAX);
        if (bytes > 0)
            ret = take(gate, value, bytes, err);
        plan->gate_count += bytes > 0 && ret == 0;
        value += bytes + (value[bytes] != '\0');
    }
    return ret;
}

/* One percentile that has to be short enough. */
int pp_cli_apply_slo(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                     struct pp_error *err)
{
    struct pp_gate *slo = &cli->experiment.slo;
    struct pp_error why = { 0 };

    (void)option;
    if (pp_gate_parse(slo, value, strlen(value), &why) == 0 && pp_gate_quantile(slo->figure) > 0 &&
        (slo->op == PP_GATE_LESS || slo->op == PP_GATE_LESS_EQUAL))
        return 0;
    return pp_error_set(err, PP_ERROR_USAGE, -EINVAL,
                        "--slo \"%.60s\": that is a percentile below a time, as in 'p99<200us' (in "
                        "quotes: the shell takes < for itself)",
                        value);
}

int pp_cli_apply_fail_if(struct pp_cli *cli, const struct pp_cli_option *option, const char *value,
                         struct pp_error *err)
{
    (void)option;
    return take_conditions(&cli->plan, value, take_figure, err);
}

int pp_cli_apply_fail_if_change(struct pp_cli *cli, const struct pp_cli_option *option,
                                const char *value, struct pp_error *err)
{
    (void)option;
    return take_conditions(&cli->plan, value, take_change, err);
}
