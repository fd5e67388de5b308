#include "base/container.h"
#include "plan/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static void check(const char *text, const char *host, uint16_t port, const char *path)
{
    struct pp_target target;

    memset(&target, 0x5a, sizeof target);
    target.family = AF_INET6;
    if (pp_target_parse(&target, text) != 0)
        fail_msg("\"%s\" is refused", text);
    if (strcmp(target.host, host) != 0 || target.port != port || strcmp(target.path, path) != 0)
        fail_msg("\"%s\": host \"%s\" port %u path \"%s\"", text, target.host, target.port,
                 target.path);
    assert_int_equal(target.family, AF_INET6);
}

/* And leaves the target as it was. */
static void check_refused_with(int code, const char *text)
{
    struct pp_target target, before;

    memset(&target, 0x5a, sizeof target);
    before = target;
    if (pp_target_parse(&target, text) != code)
        fail_msg("\"%s\" is not refused", text);
    assert_memory_equal(&target, &before, sizeof target);
}

static void check_refused(const char *text)
{
    check_refused_with(-EINVAL, text);
}

static void test_an_address_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } table[] = {
        { "localhost", "localhost", PP_PLAN_PORT },
        { "localhost:80", "localhost", 80 },
        { "h", "h", PP_PLAN_PORT },
        { "h:0", "h", 0 },
        { "h:65535", "h", 65535 },
        { "h:00080", "h", 80 },
        { ":3131", "", 3131 },
        { ":0", "", 0 },
        { "1.2.3.4", "1.2.3.4", PP_PLAN_PORT },
        { "1.2.3.4:5", "1.2.3.4", 5 },
        { "0.0.0.0:5", "0.0.0.0", 5 },
        { "example.com", "example.com", PP_PLAN_PORT },
        { "example.com.:7", "example.com.", 7 },
        { "3com.example-1.org", "3com.example-1.org", PP_PLAN_PORT },
        { "web_1", "web_1", PP_PLAN_PORT },
        { "::", "::", PP_PLAN_PORT },
        { "::1", "::1", PP_PLAN_PORT },
        { "::1:3131", "::1:3131", PP_PLAN_PORT }, /* an address, whoever thinks of a port */
        { "::ffff:1.2.3.4", "::ffff:1.2.3.4", PP_PLAN_PORT },
        { "fe80::1%eth0", "fe80::1%eth0", PP_PLAN_PORT },
        { "[::1]", "::1", PP_PLAN_PORT },
        { "[::1]:5", "::1", 5 },
        { "[::]:0", "::", 0 },
        { "[fe80::1%eth0.5]:5", "fe80::1%eth0.5", 5 },
        { "2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3:8d3:1319:8a2e:370:7348",
          PP_PLAN_PORT },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check(table[i].text, table[i].host, table[i].port, "");
}

static void test_a_path_is_a_unix_socket(void **state)
{
    (void)state;
    check("unix:/run/x.sock", "", 0, "/run/x.sock");
    check("unix:x", "", 0, "x");
    check("unix:/a:b c", "", 0, "/a:b c");
    check("unix:3131", "", 0, "3131");
}

static const char *const no_addresses[] = {
    "",       ":",         "::1]",    "[::1",        "[",           "[]",           "[]:5",
    "[::1]5", "[::1]:",    "[::1]:x", "[::1]:65536", "[1.2.3.4]:5", "[h]:5",        "[::1%]:5",
    "::1%",   "::1%a b",   "h:",      "h:x",         "h:65536",     "h:4294967297", "h:-1",
    "h:+1",   "h: 1",      "h:1 ",    "h:5k",        "h:0x10",      "h:1:2",        ":x",
    ":::",    "1::2::3",   "g::1",    "1.2.3",       "1.2.3.4.5",   "256.1.1.1",    "1.2.3.256:5",
    "5",      "3131",      ".",       "..",          ".h",          "a..b",         "-h",
    "a.-b",   "a b",       " h",      "h ",          "a/b",         "/run/x",       "http://h:80/",
    "h\n",    "h\xc3\xa4", "*",       "*:5",         "user@h",      "unix:",
};

static void test_what_is_no_address_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(no_addresses); i++)
        check_refused(no_addresses[i]);
}

static void test_the_longest_host_and_path_fit_and_no_longer_ones(void **state)
{
    char text[310], part[300];

    (void)state;
    memset(part, 'a', sizeof part);
    part[253] = '\0';
    check(part, part, PP_PLAN_PORT, "");
    part[253] = 'a';
    part[254] = '\0';
    check_refused(part);
    part[107] = '\0';
    (void)snprintf(text, sizeof text, "unix:%s", part);
    check(text, "", 0, part);
    part[107] = 'a';
    part[108] = '\0';
    (void)snprintf(text, sizeof text, "unix:%s", part);
    check_refused_with(-ENAMETOOLONG, text);
}

static void test_what_is_shown_can_be_typed(void **state)
{
    static const struct {
        const char *typed, *shown;
    } table[] = {
        { "h", "h:3131" },        { "1.2.3.4:5", "1.2.3.4:5" },
        { "::1", "[::1]:3131" },  { "[fe80::1%eth0]:5", "[fe80::1%eth0]:5" },
        { ":7", ":7" },           { "unix:/run/x", "unix:/run/x" },
        { "[::1]:0", "[::1]:0" },
    };
    char text[PP_TARGET_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct pp_target target = { 0 };

        assert_int_equal(pp_target_parse(&target, table[i].typed), 0);
        assert_string_equal(pp_target_format(&target, text), table[i].shown);
        assert_int_equal(pp_target_parse(&target, text), 0);
        assert_string_equal(pp_target_format(&target, text), table[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_taken_apart),
        cmocka_unit_test(test_a_path_is_a_unix_socket),
        cmocka_unit_test(test_what_is_no_address_is_refused_and_changes_nothing),
        cmocka_unit_test(test_the_longest_host_and_path_fit_and_no_longer_ones),
        cmocka_unit_test(test_what_is_shown_can_be_typed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
