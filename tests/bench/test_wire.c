#include "bench/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define UNTOUCHED 77

static const struct pp_wire ping = { .message = "PING\n", .bytes = 5 };

struct good {
    uint32_t at; /* before */
    const char *data;
    int messages;
    uint32_t want_at;
};

struct bad {
    uint32_t at; /* before */
    const char *data;
    uint32_t want_at;
    uint32_t wrong;
};

static void test_whole_and_part_messages_are_counted(void **state)
{
    static const struct good table[] = {
        { 0, "", 0, 0 },
        { 3, "", 0, 3 },
        { 0, "PING\n", 1, 0 },
        { 0, "PI", 0, 2 },
        { 2, "NG\n", 1, 0 },
        { 2, "N", 0, 3 },
        { 4, "\n", 1, 0 },
        { 0, "PING\nP", 1, 1 },
        { 0, "PING\nPING", 1, 4 },
        { 0, "PING\nPING\n", 2, 0 },
        { 3, "G\nPING\nPING\nPI", 3, 2 },
        { 1, "ING\nPING\nPING\nPING\n", 4, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint32_t at = table[i].at;
        uint32_t wrong = UNTOUCHED;
        const int messages = pp_wire_check(&ping, &at, table[i].data,
                                           (uint32_t)strlen(table[i].data), &wrong);

        if (messages != table[i].messages || at != table[i].want_at || wrong != UNTOUCHED)
            fail_msg("row %zu: %d messages, at %u", i, messages, at);
    }
}

static void test_the_first_wrong_byte_is_found_in_the_message_and_in_the_data(void **state)
{
    static const struct bad table[] = {
        { 0, "X", 0, 0 },
        { 0, "ping\n", 0, 0 },
        { 0, "PONG\n", 1, 1 },
        { 0, "PING\r\n", 4, 4 },
        { 2, "NX", 3, 1 },
        { 4, "P", 4, 0 },
        { 0, "PING\nPINK\n", 3, 8 },
        { 3, "G\nPING\nPI.G\n", 2, 9 },
        { 0, "PING\n\n", 0, 5 },
        { 0, "PONK\n", 1, 1 }, /* two are wrong: the first counts */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint32_t at = table[i].at;
        uint32_t wrong = UNTOUCHED;
        const int ret = pp_wire_check(&ping, &at, table[i].data, (uint32_t)strlen(table[i].data),
                                      &wrong);

        if (ret != -EBADMSG || at != table[i].want_at || wrong != table[i].wrong)
            fail_msg("row %zu: returned %d, at %u, wrong %u", i, ret, at, wrong);
    }
}

static void test_any_split_of_a_stream_gives_the_same_count(void **state)
{
    static const char stream[] = "PING\nPING\nPING\n";
    const uint32_t bytes = sizeof stream - 1;
    uint32_t wrong = UNTOUCHED;

    (void)state;
    for (uint32_t piece = 1; piece <= bytes; piece++) {
        uint32_t at = 0;
        int messages = 0;

        for (uint32_t done = 0; done < bytes; done += piece) {
            const uint32_t left = bytes - done;
            const int more = pp_wire_check(&ping, &at, stream + done, left < piece ? left : piece,
                                           &wrong);

            assert_true(more >= 0);
            messages += more;
            assert_int_equal(messages, (done + (left < piece ? left : piece)) / ping.bytes);
        }
        assert_int_equal(messages, 3);
        assert_int_equal(at, 0);
    }
    assert_int_equal(wrong, UNTOUCHED);
}

static void test_every_single_wrong_byte_is_found(void **state)
{
    static const char stream[] = "PING\nPING\n";
    const uint32_t bytes = sizeof stream - 1;
    char damaged[sizeof stream];

    (void)state;
    for (uint32_t i = 0; i < bytes; i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint32_t at = 0;
            uint32_t wrong = UNTOUCHED;

            memcpy(damaged, stream, sizeof stream);
            damaged[i] = (char)(damaged[i] ^ 1 << bit);
            assert_int_equal(pp_wire_check(&ping, &at, damaged, bytes, &wrong), -EBADMSG);
            assert_int_equal(wrong, i);
            assert_int_equal(at, i % ping.bytes);
        }
    }
}

static void test_a_message_is_bytes_and_not_a_string(void **state)
{
    static const struct pp_wire wire = { .message = "\0a\0", .bytes = 3 };
    uint32_t at = 0;
    uint32_t wrong = UNTOUCHED;

    (void)state;
    assert_int_equal(pp_wire_check(&wire, &at, "\0a\0\0a", 5, &wrong), 1);
    assert_int_equal(at, 2);
    assert_int_equal(pp_wire_check(&wire, &at, "b", 1, &wrong), -EBADMSG);
    assert_int_equal(at, 2);
    assert_int_equal(wrong, 0);
}

static void test_a_message_of_one_byte_ends_with_each_byte(void **state)
{
    static const struct pp_wire wire = { .message = "x", .bytes = 1 };
    uint32_t at = 0;
    uint32_t wrong = UNTOUCHED;

    (void)state;
    assert_int_equal(pp_wire_check(&wire, &at, "xxxx", 4, &wrong), 4);
    assert_int_equal(at, 0);
    assert_int_equal(pp_wire_check(&wire, &at, "xxy", 3, &wrong), -EBADMSG);
    assert_int_equal(at, 0);
    assert_int_equal(wrong, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_part_messages_are_counted),
        cmocka_unit_test(test_the_first_wrong_byte_is_found_in_the_message_and_in_the_data),
        cmocka_unit_test(test_any_split_of_a_stream_gives_the_same_count),
        cmocka_unit_test(test_every_single_wrong_byte_is_found),
        cmocka_unit_test(test_a_message_is_bytes_and_not_a_string),
        cmocka_unit_test(test_a_message_of_one_byte_ends_with_each_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
