/* What differs between where two results come from: which differences are named, which make the
 * figures incomparable, and which are none. */
#include "experiment/unlike.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h> /* needs the headers above */

static json_t *parsed(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);

    assert_non_null(value);
    return value;
}

/* What the list of both is, and what in it makes the hosts unlike; NULL: nothing. */
static void check(const char *baseline, const char *other, const char *list, const char *unlike)
{
    json_t *one = parsed(baseline), *two = parsed(other), *wanted = parsed(list);
    json_t *found = pp_unlike_list(one, two);
    const json_t *decisive = pp_unlike_hosts(found);

    assert_non_null(found);
    assert_true(json_equal(found, wanted));
    if (unlike)
        assert_string_equal(json_string_value(json_object_get(decisive, "key")), unlike);
    else
        assert_null(decisive);
    json_decref(found);
    json_decref(wanted);
    json_decref(two);
    json_decref(one);
}

static void test_what_is_the_same_is_not_listed(void **state)
{
    const char *same = "{\"host\": {\"kernel\": \"6.18\", \"cpu\": {\"model\": \"x\"}}}";

    (void)state;
    check(same, same, "[]", NULL);
    check("{}", "{}", "[]", NULL);
}

static void test_what_differs_is_listed_with_both_values(void **state)
{
    (void)state;
    check("{\"host\": {\"mitigations\": \"on\", \"thp\": 1}, \"pingpong\": {\"version\": \"1\"}}",
          "{\"host\": {\"mitigations\": \"off\", \"thp\": 1}, \"pingpong\": {\"version\": \"2\"}}",
          "[{\"key\": \"host.mitigations\", \"baseline\": \"on\", \"other\": \"off\"},"
          " {\"key\": \"pingpong.version\", \"baseline\": \"1\", \"other\": \"2\"}]",
          NULL);
}

static void test_what_only_one_of_them_says_is_listed_once(void **state)
{
    (void)state;
    check("{\"host\": {\"a\": 1}}", "{\"host\": {\"b\": 2}}",
          "[{\"key\": \"host.a\", \"baseline\": 1, \"other\": null},"
          " {\"key\": \"host.b\", \"baseline\": null, \"other\": 2}]",
          NULL);
}

static void test_what_changes_by_itself_is_no_difference(void **state)
{
    (void)state;
    check("{\"host\": {\"load_average\": 1, \"clock_reading_ns\": 2, \"memory_bytes\": 3}}",
          "{\"host\": {\"load_average\": 4, \"clock_reading_ns\": 5, \"memory_bytes\": 6}}", "[]",
          NULL);
}

static void test_a_host_of_which_nothing_is_known_is_not_unlike(void **state)
{
    (void)state;
    check("{\"host\": {\"kernel\": \"6.18\"}}", "{}", "[]", NULL);
    check("{\"host\": {\"kernel\": \"6.18\"}}", "{\"host\": 7}", "[]", NULL);
}

static void test_another_machine_makes_them_unlike(void **state)
{
    static const char *const keys[] = { "kernel", "architecture", "os", "virtualisation" };
    char one[64], two[64], list[128], key[64];

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        (void)snprintf(one, sizeof one, "{\"host\": {\"%s\": \"x\"}}", keys[i]);
        (void)snprintf(two, sizeof two, "{\"host\": {\"%s\": \"y\"}}", keys[i]);
        (void)snprintf(key, sizeof key, "host.%s", keys[i]);
        (void)snprintf(list, sizeof list,
                       "[{\"key\": \"%s\", \"baseline\": \"x\", \"other\": \"y\"}]", key);
        check(one, two, list, key);
    }
    check("{\"host\": {\"cpu\": {\"model\": \"a\", \"online\": 2}}}",
          "{\"host\": {\"cpu\": {\"model\": \"a\", \"online\": 4}}}",
          "[{\"key\": \"host.cpu.online\", \"baseline\": 2, \"other\": 4}]", "host.cpu.online");
    check("{\"host\": {\"cpu\": {\"model\": \"a\", \"online\": 2}}}",
          "{\"host\": {\"cpu\": {\"model\": \"b\", \"online\": 2}}}",
          "[{\"key\": \"host.cpu.model\", \"baseline\": \"a\", \"other\": \"b\"}]",
          "host.cpu.model");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_the_same_is_not_listed),
        cmocka_unit_test(test_what_differs_is_listed_with_both_values),
        cmocka_unit_test(test_what_only_one_of_them_says_is_listed_once),
        cmocka_unit_test(test_what_changes_by_itself_is_no_difference),
        cmocka_unit_test(test_a_host_of_which_nothing_is_known_is_not_unlike),
        cmocka_unit_test(test_another_machine_makes_them_unlike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
