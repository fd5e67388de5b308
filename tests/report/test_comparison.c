/* What people read of a comparison: tables that fit, and sentences that claim what is so. */
#include "base/container.h"
#include "report/comparison.h"
#include "report/line.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h needs some of those before it. */
#include <cmocka.h>

#define ROUNDS 12
#define CANDIDATES 3

static struct pp_trial trials[ROUNDS * (CANDIDATES + 1)];
static struct pp_comparison comparison;
static struct pp_plan plan;

/* Each round is a little apart from the one before, which no ratio sees; B's rate is A's times b,
 * and C's goes up and down around A's by noise. */
static void compare(double b, double noise)
{
    unsigned count = 0;

    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i <= CANDIDATES; i++) {
            const double up = round % 2 ? 1 + noise : 1 - noise;
            const double factor = i == 1 ? b : i == 2 ? up : 1;
            const double base = 1000 + round;

            trials[count++] = (struct pp_trial){
                .candidate = i % CANDIDATES,
                .round = round,
                .twin = i == CANDIDATES,
                .figures = { 8 * base / factor, base * factor, 9 * base / factor, NAN },
            };
        }
    assert_int_equal(pp_comparison_of(trials, count, CANDIDATES, &comparison), 0);
    pp_plan_default(&plan, PP_JOB_RUN);
    plan.connections = 100;
    plan.depth = 1;
}

static struct pp_report_comparison report_of(const char *b)
{
    return (struct pp_report_comparison){ .comparison = &comparison,
                                          .names = { "epoll", b, "wait=block" },
                                          .plan = &plan,
                                          .trials = trials,
                                          .trial_count = COUNT_OF(trials),
                                          .seed = 7 };
}

/* The caller's to free(). */
static char *text_of(const struct pp_report_comparison *of, struct pp_report_style style)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    assert_non_null(out);
    pp_report_comparison_text(out, &style, of);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void check_has(const struct pp_report_comparison *of, struct pp_report_style style,
                      const char *words)
{
    char *text = text_of(of, style);

    if (!strstr(text, words))
        fail_msg("no \"%s\" in:\n%s", words, text);
    free(text);
}

static void check_has_not(const struct pp_report_comparison *of, struct pp_report_style style,
                          const char *words)
{
    char *text = text_of(of, style);

    assert_null(strstr(text, words));
    free(text);
}

static void test_a_difference_is_said_with_its_interval_and_what_it_costs(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    struct pp_report_comparison of;

    (void)state;
    compare(1.25, 0.001);
    of = report_of("io_uring");
    check_has(&of, plain,
              "io_uring is 25.0 % faster than epoll [25.0, 25.0] and uses 20 % less CPU, at 100 "
              "connections.\n");
    check_has(&of, plain, "  io_uring      1,257  +25.0 %  +25.0 .. +25.0  faster\n");
    check_has_not(&of, plain, "RTT p99"); /* of which nothing is known */
    compare(0.8, 0.001);
    check_has(&of, plain,
              "io_uring is 20.0 % slower than epoll [20.0, 20.0] and uses 25 % more CPU, at 100 "
              "connections.\n");
    check_has(&of, plain, "dearer\n");
    check_has(&of, plain, "wait=block is as fast as epoll, within 2 % and uses as much CPU, at ");
}

static void test_what_cannot_be_told_is_not_claimed(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    struct pp_report_comparison of;

    (void)state;
    compare(1, 0.05);
    of = report_of("io_uring");
    check_has(&of, plain, "whether wait=block is faster than epoll cannot be told (");
    check_has(&of, plain, "(N): with so many --rounds it might be told\n");
    for (unsigned i = 0; i < COUNT_OF(trials); i++)
        trials[i].missing = trials[i].candidate == 1;
    assert_int_equal(pp_comparison_of(trials, COUNT_OF(trials), CANDIDATES, &comparison), 0);
    check_has(&of, plain, "io_uring and epoll: there are no runs of both");
    check_has(&of, plain, "note: 12 of the 12 runs of io_uring gave no result\n");
}

/* The baseline's second runs are 30 % off. */
static void test_what_is_no_more_than_noise_says_so(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    struct pp_report_comparison of;

    (void)state;
    compare(1.25, 0.001);
    for (unsigned i = 0; i < COUNT_OF(trials); i++)
        for (unsigned j = 0; trials[i].twin && j < PP_METRICS; j++)
            trials[i].figures[j] *= 1.3;
    assert_int_equal(pp_comparison_of(trials, COUNT_OF(trials), CANDIDATES, &comparison), 0);
    of = report_of("io_uring");
    check_has(&of, plain,
              "io_uring differs from epoll by +25.0 % [+25.0, +25.0], and epoll from itself by "
              "30.0 %, which is no difference");
    check_has(&of, plain, "SUSPECT: the baseline differs from itself");
}

static void test_lines_fit_and_long_names_have_letters(void **state)
{
    (void)state;
    compare(1.25, 0.05);
    for (unsigned columns = 60; columns <= 140; columns++) {
        const struct pp_report_style style = { .columns = columns, .verbose = true };
        struct pp_report_comparison of = report_of("server:./a/long/path {host} {port} -x -y -z");
        char *text = text_of(&of, style), *line, *rest = text;

        assert_non_null(strstr(text, "B  server:./a/long/path {host} {port} -x -y -z\n"));
        assert_non_null(strstr(text, "B is 25.0 % faster than A"));
        while ((line = strsep(&rest, "\n")))
            if (pp_line_columns(line) > columns)
                fail_msg("%u columns: %s", columns, line);
        free(text);
    }
}

static void test_a_table_of_runs_fits_too(void **state)
{
    static const char *const names[] = { "io_uring", "engine=io_uring", "engine=io_uring:x",
                                         "engine=io_uring wait=spn" };
    static const unsigned columns[] = { 60, 80, 120 };

    (void)state;
    compare(1.25, 0.001);
    for (size_t i = 0; i < COUNT_OF(columns) * COUNT_OF(names); i++) {
        const unsigned most = columns[i % COUNT_OF(columns)];
        struct pp_report_comparison of = report_of(names[i / COUNT_OF(columns)]);
        const struct pp_report_style style = { .columns = most, .verbose = true };
        char *text;

        of.names[0] = names[COUNT_OF(names) - 1]; /* which has "(again)" */
        of.names[1] = "epoll";
        if (i / COUNT_OF(columns) < 2)
            of.names[0] = names[i / COUNT_OF(columns)];
        text = text_of(&of, style);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            if (pp_line_columns(line) > most)
                fail_msg("%u columns: %s", most, line);
        free(text);
    }
}

static void test_what_letters_stand_for_is_in_the_markdown_table(void **state)
{
    const char *name = "engine=io_uring wait=spin:20";
    struct pp_report_comparison of = report_of(name);
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    (void)state;
    assert_non_null(out);
    compare(1.25, 0.001);
    pp_report_comparison_markdown(out, &of);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\n| A: epoll | "));
    assert_non_null(strstr(text, "\n| B: engine=io\\_uring wait=spin:20 | "));
    assert_non_null(strstr(text, "B is 25.0 % faster than A"));
    free(text);
}

static void test_no_more_rounds_are_advised_than_there_can_be(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    struct pp_effect *effect = &comparison.effects[1][PP_METRIC_RATE];
    const struct pp_report_comparison of = report_of("io_uring");

    (void)state;
    compare(1.01, 0.001);
    effect->difference = PP_DIFFERENCE_CANNOT_TELL;
    effect->rounds_needed = PP_ROUNDS_MAX;
    check_has(&of, plain, "cannot tell (500)");
    check_has(&of, plain, "; --rounds 500 might tell.");
    effect->rounds_needed = PP_ROUNDS_MAX + 1;
    check_has(&of, plain, "cannot tell (> 500)");
    check_has(&of, plain, "; longer runs or a quieter machine might tell.");
}

static void test_memory_is_said_of_servers_that_have_any(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    const struct pp_report_comparison of = report_of("io_uring");
    const char *noise = "p50 +0.0 % [+0.0, +0.0]\n";

    (void)state;
    compare(1.25, 0.001);
    check_has(&of, plain, noise);
    check_has_not(&of, plain, "p50 +0.0 % [+0.0, +0.0]\n\n");
    check_has_not(&of, plain, "memory");
    comparison.tallies[1].memory_bytes = 2.5e6;
    check_has(&of, plain, "\nmemory of the server: io_uring 2.5 MB\n");
}

static void test_a_name_is_no_formula_in_csv(void **state)
{
    struct pp_report_comparison of = report_of("=1+\"1\"");
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    (void)state;
    assert_non_null(out);
    compare(1.25, 0.001);
    pp_report_comparison_csv(out, &of);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\n\"'=1+\"\"1\"\"\",cpu,ns,"));
    free(text);
}

static void test_why_what_looks_clear_cannot_be_told_is_said(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    struct pp_effect *effect = &comparison.effects[2][PP_METRIC_RATE];
    const struct pp_report_comparison of = report_of("io_uring");

    (void)state;
    compare(1.25, 0.001);
    check_has_not(&of, plain, "Holm");
    effect->paired.ratio = 1.05;
    effect->paired.at95 = (struct pp_interval){ 1.01, 1.09 };
    effect->difference = PP_DIFFERENCE_CANNOT_TELL;
    check_has(&of, plain, "among so many, chance makes one (Holm's correction)");
}

static void test_control_characters_of_names_are_none(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    struct pp_report_comparison of;

    (void)state;
    compare(1.25, 0.001);
    of = report_of("x\033[2Jy");
    check_has(&of, plain, "x?[2Jy is 25.0 % faster");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_difference_is_said_with_its_interval_and_what_it_costs),
        cmocka_unit_test(test_what_cannot_be_told_is_not_claimed),
        cmocka_unit_test(test_what_is_no_more_than_noise_says_so),
        cmocka_unit_test(test_lines_fit_and_long_names_have_letters),
        cmocka_unit_test(test_a_table_of_runs_fits_too),
        cmocka_unit_test(test_what_letters_stand_for_is_in_the_markdown_table),
        cmocka_unit_test(test_no_more_rounds_are_advised_than_there_can_be),
        cmocka_unit_test(test_memory_is_said_of_servers_that_have_any),
        cmocka_unit_test(test_a_name_is_no_formula_in_csv),
        cmocka_unit_test(test_why_what_looks_clear_cannot_be_told_is_said),
        cmocka_unit_test(test_control_characters_of_names_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
