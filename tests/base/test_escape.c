#include "base/container.h"
#include "base/escape.h"
#include "base/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define UNTOUCHED 77u
#define CAPACITY 64u

/* Bytes, of which some may be zero. */
#define BYTES(literal) (literal), sizeof(literal) - 1

struct decoded {
    const char *text;
    const char *data;
    size_t bytes;
};

static void check_decoded(const struct decoded *want)
{
    char out[CAPACITY];
    uint32_t bytes = UNTOUCHED;
    const int ret = pp_escape_decode(want->text, out, sizeof out, &bytes);

    if (ret != 0 || bytes != want->bytes || memcmp(out, want->data, bytes) != 0)
        fail_msg("\"%s\": returned %d, %u bytes", want->text, ret, bytes);
}

static void test_escapes_mean_what_they_mean_in_c(void **state)
{
    static const struct decoded table[] = {
        { "", BYTES("") },
        { "PING", BYTES("PING") },
        { "PING\\n", BYTES("PING\n") },
        { "\\a\\b\\e\\f\\n\\r\\t\\v", BYTES("\a\b\033\f\n\r\t\v") },
        { "\\\\\\'\\\"\\?", BYTES("\\'\"?") },
        { "\\\\n", BYTES("\\n") },
        { "\\0", BYTES("\0") },
        { "a\\0b", BYTES("a\0b") },
        { "\\08", BYTES("\0"
                        "8") },
        { "\\7\\12\\101\\377", BYTES("\7\12A\377") },
        { "\\0101", BYTES("\0101") },
        { "\\x0", BYTES("\0") },
        { "\\x41\\x4a\\x4A\\xff", BYTES("AJJ\377") },
        { "\\xag", BYTES("\ng") },
        { "\\x414", BYTES("A4") },
        { "\xc2\xb5 \x01", BYTES("\xc2\xb5 \x01") },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_decoded(&table[i]);
}

static void test_an_escape_that_is_unknown_or_unfinished_is_refused(void **state)
{
    static const char *const table[] = {
        "\\",  "PING\\", "\\\\\\",  "\\x", "\\xg", "\\x\\n", "\\x-1", "\\x 1", "\\c", "\\N",
        "\\8", "\\9",    "\\u0041", "\\ ", "\\\n", "\\X41",  "\\400", "\\777", "\\s", "\\d10",
    };
    char out[CAPACITY];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint32_t bytes = UNTOUCHED;

        if (pp_escape_decode(table[i], out, sizeof out, &bytes) != -EINVAL || bytes != UNTOUCHED)
            fail_msg("\"%s\" was not refused", table[i]);
    }
}

static void test_bytes_that_do_not_fit_are_refused_and_not_written(void **state)
{
    char out[] = "....";
    uint32_t bytes = UNTOUCHED;

    (void)state;
    assert_int_equal(pp_escape_decode("ab\\x43", out, 3, &bytes), 0);
    assert_int_equal(bytes, 3);
    assert_string_equal(out, "abC.");
    bytes = UNTOUCHED;
    assert_int_equal(pp_escape_decode("ab\\x43d", out, 3, &bytes), -E2BIG);
    assert_int_equal(pp_escape_decode("a", out, 0, &bytes), -E2BIG);
    assert_int_equal(pp_escape_decode("abcdef\\q", out, 3, &bytes), -EINVAL);
    assert_int_equal(bytes, UNTOUCHED);
    assert_int_equal(out[3], '.');
    assert_int_equal(pp_escape_decode("", out, 0, &bytes), 0);
    assert_int_equal(bytes, 0);
}

static void check_encoded(uint32_t capacity, const char *data, size_t bytes, const char *want)
{
    char out[CAPACITY];

    memset(out, '#', sizeof out);
    assert_ptr_equal(pp_escape_encode(out, capacity, data, (uint32_t)bytes), out);
    assert_string_equal(out, want);
    assert_true(strlen(out) < capacity);
    for (size_t i = capacity; i < sizeof out; i++)
        assert_int_equal(out[i], '#');
}

static void test_bytes_are_shown_as_printable_ascii(void **state)
{
    (void)state;
    check_encoded(CAPACITY, BYTES(""), "");
    check_encoded(CAPACITY, BYTES(" PING~"), " PING~");
    check_encoded(CAPACITY, BYTES("a\r\n\t\\\"'?"), "a\\r\\n\\t\\\\\\\"'?");
    check_encoded(CAPACITY, BYTES("\0\a\x1f\x7f\x80\xff"), "\\x00\\x07\\x1f\\x7f\\x80\\xff");
    check_encoded(CAPACITY,
                  BYTES("\0"
                        "1"),
                  "\\x001");
}

static void test_what_does_not_fit_is_cut_between_two_bytes(void **state)
{
    (void)state;
    check_encoded(5, BYTES("PING"), "PING");
    check_encoded(5, BYTES("PINGS"), "P...");
    check_encoded(4, BYTES("PIN"), "PIN");
    check_encoded(4, BYTES("PING"), "...");
    check_encoded(4, BYTES("\0"), "...");
    check_encoded(5, BYTES("\0"), "\\x00");
    check_encoded(7,
                  BYTES("\0"
                        "12"),
                  "\\x0012");
    check_encoded(7,
                  BYTES("\0"
                        "123"),
                  "...");
    check_encoded(8,
                  BYTES("\0"
                        "1234"),
                  "\\x00...");
    check_encoded(8, BYTES("\n\n\n\n"), "\\n\\n...");
}

static void test_what_is_shown_decodes_to_the_same_bytes(void **state)
{
    struct pp_random random = { .state = 4 };

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char data[32], shown[sizeof data * 4 + 1], again[sizeof data];
        const uint32_t bytes = pp_random_below(&random, sizeof data + 1);
        uint32_t got = UNTOUCHED;

        for (uint32_t i = 0; i < bytes; i++)
            data[i] = (char)pp_random_next(&random);
        (void)pp_escape_encode(shown, sizeof shown, data, bytes);
        assert_int_equal(pp_escape_decode(shown, again, sizeof again, &got), 0);
        assert_int_equal(got, bytes);
        assert_memory_equal(again, data, bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes_mean_what_they_mean_in_c),
        cmocka_unit_test(test_an_escape_that_is_unknown_or_unfinished_is_refused),
        cmocka_unit_test(test_bytes_that_do_not_fit_are_refused_and_not_written),
        cmocka_unit_test(test_bytes_are_shown_as_printable_ascii),
        cmocka_unit_test(test_what_does_not_fit_is_cut_between_two_bytes),
        cmocka_unit_test(test_what_is_shown_decodes_to_the_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
