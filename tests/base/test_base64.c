#include "base/base64.h"
#include "base/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

static void test_the_vectors_of_rfc_4648_come_out(void **state)
{
    static const struct {
        const char *bytes, *text;
    } table[] = { { "", "" },
                  { "f", "Zg==" },
                  { "fo", "Zm8=" },
                  { "foo", "Zm9v" },
                  { "foob", "Zm9vYg==" },
                  { "fooba", "Zm9vYmE=" },
                  { "foobar", "Zm9vYmFy" } };
    char text[PP_BASE64_BYTES(6)];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const size_t bytes = strlen(table[i].bytes);

        assert_int_equal(pp_base64_encode(text, table[i].bytes, bytes), strlen(table[i].text));
        assert_string_equal(text, table[i].text);
        assert_int_equal(PP_BASE64_BYTES(bytes), strlen(table[i].text) + 1);
    }
}

static void test_every_digit_stands_for_its_six_bits(void **state)
{
    static const uint8_t bytes[] = {
        0x00, 0x10, 0x83, 0x10, 0x51, 0x87, 0x20, 0x92, 0x8b, 0x30, 0xd3, 0x8f,
        0x41, 0x14, 0x93, 0x51, 0x55, 0x97, 0x61, 0x96, 0x9b, 0x71, 0xd7, 0x9f,
        0x82, 0x18, 0xa3, 0x92, 0x59, 0xa7, 0xa2, 0x9a, 0xab, 0xb2, 0xdb, 0xaf,
        0xc3, 0x1c, 0xb3, 0xd3, 0x5d, 0xb7, 0xe3, 0x9e, 0xbb, 0xf3, 0xdf, 0xbf,
    };
    char text[PP_BASE64_BYTES(sizeof bytes)];

    (void)state;
    assert_int_equal(pp_base64_encode(text, bytes, sizeof bytes), 64);
    assert_string_equal(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

static void test_nothing_is_read_or_written_beyond_what_was_said(void **state)
{
    char text[PP_BASE64_BYTES(4) + 1];

    (void)state;
    memset(text, '#', sizeof text);
    (void)pp_base64_encode(text, "\xff\xff\xff\xff\xff\xff", 4);
    assert_memory_equal(text, "/////w==\0#", sizeof text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_of_rfc_4648_come_out),
        cmocka_unit_test(test_every_digit_stands_for_its_six_bits),
        cmocka_unit_test(test_nothing_is_read_or_written_beyond_what_was_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
