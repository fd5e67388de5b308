/* What people read of where the time goes: tables that fit, a bar, and advice that claims what is
 * so. */
#include "base/container.h"
#include "report/explanation.h"
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

static const char *const others[] = { "--placement=split --wait=auto", "--wait=block" };
static const char *const names[] = { "placement=split wait=auto", "wait=block" };

static struct pp_explanation explanation;
static struct pp_plan plan;

static struct pp_shift shift_of(double ns)
{
    return (struct pp_shift){ .n = 12, .estimate = ns, .at95 = { ns - 100, ns + 150 } };
}

/* On one CPU, over TCP; the engine is faster than what is done by hand. */
static struct pp_report_explanation report(void)
{
    explanation = (struct pp_explanation){
        .rounds = 12,
        .whole = shift_of(10000),
        .part_count = 6,
        .parts = { { PP_PART_CALLS, shift_of(500) },
                   { PP_PART_SOCKETS, shift_of(2500) },
                   { PP_PART_TCP, shift_of(4000) },
                   { PP_PART_SWITCHES, shift_of(3300) },
                   { PP_PART_ENGINE, shift_of(-350) },
                   { PP_PART_MEASURING, shift_of(60) } },
        .sum = 10010,
        .runs = { 10000, NAN, 500, 60, 3060, 7060, NAN, NAN, 10360 },
        .other_count = 2,
        .others = { shift_of(-2000), shift_of(900) },
        .advice_count = 2,
        .advice = { { .part = PP_PART_TCP, .saves = shift_of(4000) },
                    { .measured = true, .other = 0, .saves = shift_of(2000) } },
        .trials = 36,
    };
    pp_plan_default(&plan, PP_JOB_RUN);
    plan.depth = 1;
    return (struct pp_report_explanation){ .explanation = &explanation,
                                           .others = others,
                                           .names = names,
                                           .plan = &plan,
                                           .engine = "epoll",
                                           .runs = 9,
                                           .seed = 7 };
}

/* The caller's to free(). */
static char *text_of(const struct pp_report_explanation *of, struct pp_report_style style)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    assert_non_null(out);
    pp_report_explanation_text(out, &style, of);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void check(const struct pp_report_explanation *of, struct pp_report_style style,
                  const char *words, bool wanted)
{
    char *text = text_of(of, style);

    if ((strstr(text, words) != NULL) != wanted)
        fail_msg("%s \"%s\" in:\n%s", wanted ? "no" : "there is", words, text);
    free(text);
}

static void test_each_part_has_a_row_and_its_share_of_the_bar(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    const struct pp_report_explanation of = report();

    (void)state;
    check(&of, plain, "\n12 rounds of 9 runs \u00b7 in shuffled order (--seed 7)\n", true);
    check(&of, plain, "\n  a 4 system calls       0.50    0.40 .. 0.65    5 %\n", true);
    check(&of, plain, "\n  e event loop, engine  -0.35  -0.45 .. -0.20   -4 %\n", true);
    check(&of, plain, "\n    the whole           10.00   9.90 .. 10.15  100 %\n", true);
    /* 500, 2500, 4000, 3300 and 60 of 10360 in 56 columns; what is negative has none */
    check(&of, plain, "\n  [aaabbbbbbbbbbbbbccccccccccccccccccccccdddddddddddddddddd]\n", true);
    check(&of, plain, "\nthe parts add up to 10.01 \u00b5s, within the interval of the whole\n",
          true);
}

static void test_what_was_run_instead_is_told_with_its_change(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    const struct pp_report_explanation of = report();

    (void)state;
    check(&of, plain, "  --placement=split --wait=auto   8.00   -2.00  -2.10 .. -1.85  faster\n",
          true);
    check(&of, plain, "  --wait=block                   10.90   +0.90  +0.80 .. +1.05  slower\n",
          true);
    explanation.others[1].at95.low = -20;
    check(&of, plain, "+0.90  -0.02 .. +1.05  cannot tell\n", true);
}

static void test_where_lines_are_short_options_have_letters(void **state)
{
    const struct pp_report_style narrow = { .columns = 60 };
    const struct pp_report_explanation of = report();

    (void)state;
    check(&of, narrow, "\nA  --placement=split --wait=auto\nB  --wait=block\ninstead  whole", true);
    check(&of, narrow, "\n  B      10.90   +0.90  +0.80 .. +1.05  slower\n", true);
}

static void test_advice_names_what_to_do_and_what_it_is_worth(void **state)
{
    const struct pp_report_style plain = { .columns = 0 }, quiet = { .quiet = true };
    const struct pp_report_explanation of = report();

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct pp_report_style style = i ? quiet : plain;

        check(&of, style,
              "a Unix socket in place of TCP (-H unix:PATH) would save up to 4.00 \u00b5s [3.90, "
              "4.15], 40 %.\n",
              true);
        check(&of, style,
              "--placement=split --wait=auto saves 2.00 \u00b5s [1.90, 2.15], 20 % of a round "
              "trip.\n",
              true);
    }
    check(&of, quiet,
          "A round trip takes 10.00 \u00b5s [9.90, 10.15], most of all for TCP/IP: 4.00 \u00b5s.\n",
          true);
    explanation.advice_count = 0;
    check(&of, plain, "Nothing that was tried surely saves 2 % of a round trip.\n", true);
}

static void test_what_is_doubtful_is_said(void **state)
{
    const struct pp_report_style plain = { .columns = 0 };
    struct pp_report_explanation of = report();

    (void)state;
    check(&of, plain, "note: ", false);
    explanation.sum = 11000;
    explanation.invalid = 3;
    of.signal = 2;
    check(&of, plain, "outside the interval of the whole: what else runs here", true);
    check(&of, plain, "note: 3 of the 36 runs of the program were INVALID", true);
    check(&of, plain, "PARTIAL: interrupted", true);
    explanation.whole.at95 = (struct pp_interval){ -INFINITY, INFINITY };
    check(&of, plain, "note: it takes 6 rounds to tell how sure this is", true);
}

static void test_without_a_round_nothing_is_claimed(void **state)
{
    const struct pp_shift unknown = { .estimate = NAN, .at95 = { -INFINITY, INFINITY } };
    const struct pp_report_style plain = { .columns = 0 };
    const struct pp_report_explanation of = report();

    (void)state;
    explanation.rounds = explanation.advice_count = 0;
    explanation.whole = unknown;
    explanation.sum = NAN;
    for (unsigned i = 0; i < explanation.part_count; i++)
        explanation.parts[i].shift = unknown;
    for (unsigned i = 0; i < explanation.other_count; i++)
        explanation.others[i] = unknown;
    check(&of, plain, "no round was whole", true);
    check(&of, plain, "nan", false);
    check(&of, plain, "inf", false);
    check(&of, plain, "[a", false);
    check(&of, plain, "surely", false);
    check(&of, (struct pp_report_style){ .quiet = true }, "no round was whole", true);
    check(&of, (struct pp_report_style){ .quiet = true }, "A round trip takes", false);
}

static void test_lines_fit_a_terminal(void **state)
{
    static const unsigned columns[] = { 60, 80, 120 };
    const struct pp_report_explanation of = report();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        char *text = text_of(&of,
                             (struct pp_report_style){ .columns = columns[i], .verbose = true });

        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            if (pp_line_columns(line) > columns[i])
                fail_msg("%u columns: %s", columns[i], line);
        free(text);
    }
}

static void test_the_runs_that_parts_are_made_of_are_told_on_request(void **state)
{
    const struct pp_report_explanation of = report();

    (void)state;
    check(&of, (struct pp_report_style){ .verbose = true }, "  one thread, as asked         7.06\n",
          true);
    check(&of, (struct pp_report_style){ .verbose = true }, "two threads, spinning", false);
    check(&of, (struct pp_report_style){ .columns = 0 }, "one thread, as asked", false);
}

static void test_csv_has_all_of_it_in_ns(void **state)
{
    const struct pp_report_explanation of = report();
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    (void)state;
    assert_non_null(out);
    explanation.others[1].at95.high = INFINITY;
    pp_report_explanation_csv(out, &of);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "kind,name,ns,ns_low,ns_high,share,rounds\n"
                                 "whole,\"round_trip\",10000,9900,10150,1,12\n"
                                 "part,\"system_calls\",500,400,650,0.05,12\n"));
    assert_non_null(strstr(text, "\ninstead,\"wait=block\",900,,,0.09,12\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_part_has_a_row_and_its_share_of_the_bar),
        cmocka_unit_test(test_what_was_run_instead_is_told_with_its_change),
        cmocka_unit_test(test_where_lines_are_short_options_have_letters),
        cmocka_unit_test(test_advice_names_what_to_do_and_what_it_is_worth),
        cmocka_unit_test(test_what_is_doubtful_is_said),
        cmocka_unit_test(test_without_a_round_nothing_is_claimed),
        cmocka_unit_test(test_lines_fit_a_terminal),
        cmocka_unit_test(test_the_runs_that_parts_are_made_of_are_told_on_request),
        cmocka_unit_test(test_csv_has_all_of_it_in_ns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
