/* Conditions as people type them. */
#include "plan/gate.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static struct pp_gate gate_of(const char *text)
{
    struct pp_error err = { 0 };
    struct pp_gate gate;

    if (pp_gate_parse(&gate, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(gate.text, text);
    return gate;
}

static void check(const char *text, const char *figure, enum pp_gate_op op, double limit)
{
    const struct pp_gate gate = gate_of(text);

    assert_string_equal(gate.figure, figure);
    assert_int_equal(gate.op, op);
    if (fabs(gate.limit - limit) > 1e-9 * limit)
        fail_msg("%s: %g", text, gate.limit);
}

static void refused(const char *text, const char *why)
{
    struct pp_error err = { 0 };
    struct pp_gate gate;

    assert_int_equal(pp_gate_parse(&gate, text, strlen(text), &err), -EINVAL);
    assert_int_equal(err.kind, PP_ERROR_USAGE);
    if (!strstr(err.text, why) || !strstr(err.text, "in quotes"))
        fail_msg("%s", err.text);
}

static void test_a_condition_is_a_figure_a_sign_and_a_limit(void **state)
{
    (void)state;
    check("p99>200us", "p99", PP_GATE_MORE, 200000);
    check("p99.9>=1ms", "p99.9", PP_GATE_MORE_EQUAL, 1e6);
    check("rtt.mean_ns<=15us", "rtt.mean_ns", PP_GATE_LESS_EQUAL, 15000);
    check("max>0", "max", PP_GATE_MORE, 0);
    check("rate<50k", "rate", PP_GATE_LESS, 50000);
    check("rate<1.5M", "rate", PP_GATE_LESS, 1.5e6);
    check("loss>0.1%", "loss", PP_GATE_MORE, 0.001);
    check("counts.lost!=0", "counts.lost", PP_GATE_NOT_EQUAL, 0);
    check("tcp.retransmits==2G", "tcp.retransmits", PP_GATE_EQUAL, 2e9);
}

static void test_only_so_many_bytes_are_read_and_no_blanks(void **state)
{
    struct pp_error err = { 0 };
    struct pp_gate gate;

    (void)state;
    assert_int_equal(pp_gate_parse(&gate, "rate < 5k,more", 9, &err), 0);
    assert_string_equal(gate.text, "rate<5k");
}

static void test_what_makes_no_sense_is_refused_with_the_reason(void **state)
{
    (void)state;
    refused("p99", "it takes a figure, < or >, and a limit");
    refused(">5", "it takes a figure");
    refused("rate=5", "it takes a figure");
    refused("rate<", "a limit is missing");
    refused("p99>200", "a time needs a unit");
    refused("p99>fast", "it takes a time");
    refused("rate<fast", "it takes a number");
    refused("foo<1s", "no time that a result has is called that");
    refused("foo<5ms", "no time that a result has is called that");
    refused("rate<-5", "it takes a number");
    refused("rate<0x10", "it takes a number");
    refused("rate<5kk", "it takes a number");
    refused("rate<inf", "it takes a number");
    refused("a.name.that.is.so.long.that.nobody.would.type.it.but.who.knows.what.a.script.makes.of."
            "it.or.of.me."
            "all>5",
            "it is too long");
}

static void test_a_value_meets_a_condition_or_does_not(void **state)
{
    static const struct {
        const char *text;
        bool below, at, above;
    } rows[] = {
        { "rate<5", true, false, false },  { "rate<=5", true, true, false },
        { "rate>5", false, false, true },  { "rate>=5", false, true, true },
        { "rate==5", false, true, false }, { "rate!=5", true, false, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pp_gate gate = gate_of(rows[i].text);

        assert_int_equal(pp_gate_meets(&gate, 4.9), rows[i].below);
        assert_int_equal(pp_gate_meets(&gate, 5), rows[i].at);
        assert_int_equal(pp_gate_meets(&gate, 5.1), rows[i].above);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_condition_is_a_figure_a_sign_and_a_limit),
        cmocka_unit_test(test_only_so_many_bytes_are_read_and_no_blanks),
        cmocka_unit_test(test_what_makes_no_sense_is_refused_with_the_reason),
        cmocka_unit_test(test_a_value_meets_a_condition_or_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
