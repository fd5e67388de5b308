#include "base/container.h"
#include "cli/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static unsigned distance(const char *a, const char *b)
{
    return pp_cli_distance(a, strlen(a), b, strlen(b));
}

/* Of names with the separator between them. */
static const char *nearest(const char *typed, const char *list, char separator, unsigned max)
{
    struct pp_cli_nearest found = pp_cli_nearest_begin(typed, strlen(typed), max);
    const char between[] = { separator, '\0' };
    static char names[160];
    char *place = NULL;

    assert_true(strlen(list) < sizeof names);
    (void)strcpy(names, list);
    for (char *name = strtok_r(names, between, &place); name;
         name = strtok_r(NULL, between, &place))
        pp_cli_nearest_offer(&found, name);
    return found.name;
}

/* ---- distance ---- */

static void test_the_distance_counts_letters_added_removed_changed_or_swapped(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } table[] = {
        { "", "", 0 },           { "", "abc", 3 },
        { "count", "count", 0 }, { "count", "counts", 1 },
        { "count", "cont", 1 },  { "count", "coumt", 1 },
        { "count", "cuont", 1 }, { "ab", "ba", 1 },
        { "abc", "cab", 2 },     { "kitten", "sitting", 3 },
        { "serve", "sevre", 1 }, { "abcd", "badc", 2 },
        { "count", "COUNT", 5 }, { "abc", "xyz", 3 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_int_equal(distance(table[i].a, table[i].b), table[i].distance);
        assert_int_equal(distance(table[i].b, table[i].a), table[i].distance);
    }
}

static void test_only_the_bytes_that_are_given_are_compared(void **state)
{
    (void)state;
    assert_int_equal(pp_cli_distance("count=5", 5, "counted", 5), 0);
    assert_int_equal(pp_cli_distance("count=5", 0, "counted", 2), 2);
}

static void test_words_longer_than_any_name_are_like_nothing(void **state)
{
    char word[4096];

    (void)state;
    memset(word, 'a', sizeof word);
    assert_int_equal(pp_cli_distance(word, 32, word, 32), 0);
    assert_int_equal(pp_cli_distance(word, 33, word, 33), UINT_MAX);
    assert_int_equal(pp_cli_distance(word, 33, word, 1), UINT_MAX);
    assert_int_equal(pp_cli_distance(word, 1, word, 33), UINT_MAX);
    assert_int_equal(pp_cli_distance(word, sizeof word, word, sizeof word), UINT_MAX);
}

/* ---- the nearest ---- */

static void test_the_nearest_of_a_list_is_found(void **state)
{
    (void)state;
    assert_string_equal(nearest("pair", "auto|same|split|pairs|none", '|', 2), "pairs");
    assert_string_equal(nearest("atuo", "auto|same|split|pairs|none", '|', 2), "auto");
    assert_string_equal(nearest("nome", "auto|same|split|pairs|none", '|', 2), "none");
    assert_string_equal(nearest("durration", "flows,duration", ',', 3), "duration");
    assert_string_equal(nearest("on", "on", ',', 0), "on");
}

static void test_of_two_equally_near_the_first_is_taken(void **state)
{
    (void)state;
    assert_string_equal(nearest("cat", "bat,rat", ',', 1), "bat");
    assert_string_equal(nearest("cat", "rat,bat", ',', 1), "rat");
}

static void test_what_is_farther_than_allowed_is_not_taken(void **state)
{
    (void)state;
    assert_string_equal(nearest("cout", "count", ',', 1), "count");
    assert_null(nearest("cot", "count", ',', 1));
    assert_string_equal(nearest("cot", "count", ',', 2), "count");
    assert_null(nearest("cat", "", ',', 2));
}

static void test_in_a_short_word_less_may_be_wrong_than_in_a_long_one(void **state)
{
    unsigned before = 0;

    (void)state;
    for (size_t bytes = 1; bytes < 40; bytes++) {
        const unsigned max = pp_cli_nearest_max(bytes);

        assert_true(max >= before && max <= 3);
        assert_true(max >= 1 && max <= bytes);
        before = max;
    }
    assert_int_equal(pp_cli_nearest_max(3), 1);
    assert_int_equal(pp_cli_nearest_max(11), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_distance_counts_letters_added_removed_changed_or_swapped),
        cmocka_unit_test(test_only_the_bytes_that_are_given_are_compared),
        cmocka_unit_test(test_words_longer_than_any_name_are_like_nothing),
        cmocka_unit_test(test_the_nearest_of_a_list_is_found),
        cmocka_unit_test(test_of_two_equally_near_the_first_is_taken),
        cmocka_unit_test(test_what_is_farther_than_allowed_is_not_taken),
        cmocka_unit_test(test_in_a_short_word_less_may_be_wrong_than_in_a_long_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
