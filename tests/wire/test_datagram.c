#include "base/random.h"
#include "wire/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define ROUNDS 100000

static const struct pp_datagram request = { .kind = PP_DATAGRAM_REQUEST,
                                            .reply_bytes = 0xabcd,
                                            .number = UINT64_C(0x0123456789abcdef) };

static void test_the_bytes_on_the_wire_are_in_network_order(void **state)
{
    static const char want[PP_DATAGRAM_HEADER_BYTES] = "pp\x9d\x01\x00\x00\xab\xcd"
                                                       "\x01\x23\x45\x67\x89\xab\xcd\xef";
    char data[PP_DATAGRAM_HEADER_BYTES];

    (void)state;
    pp_datagram_write(&request, data);
    assert_memory_equal(data, want, sizeof data);
}

static void test_what_is_written_reads_as_the_same(void **state)
{
    struct pp_random random = { .state = 1 };

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const uint32_t len = PP_DATAGRAM_HEADER_BYTES +
                             pp_random_below(&random, PP_DATAGRAM_BYTES_MAX - 15);
        const struct pp_datagram datagram = {
            .kind = (enum pp_datagram_kind)pp_random_below(&random, 4),
            .reply_bytes = 16 + pp_random_below(&random, len - 15),
            .number = pp_random_next(&random),
        };
        char data[PP_DATAGRAM_HEADER_BYTES];
        struct pp_datagram read;

        pp_datagram_write(&datagram, data);
        assert_true(pp_datagram_read(&read, data, len));
        assert_int_equal(read.kind, datagram.kind);
        assert_int_equal(read.reply_bytes, datagram.reply_bytes);
        assert_true(read.number == datagram.number);
    }
}

static bool reads(uint32_t at, int byte, uint32_t len)
{
    char data[PP_DATAGRAM_HEADER_BYTES];
    struct pp_datagram read;

    pp_datagram_write(&request, data);
    data[at] = (char)byte;
    return pp_datagram_read(&read, data, len);
}

static void test_another_magic_value_version_or_kind_is_refused(void **state)
{
    (void)state;
    assert_true(reads(0, 'p', 65000));
    for (uint32_t at = 0; at < 4; at++)
        for (int bit = 0; bit < 8; bit++)
            assert_false(reads(at, "pp\x9d\x01"[at] ^ 1 << bit, 65000));
    for (int kind = 0; kind < 256; kind++)
        assert_int_equal(reads(4, kind, 65000), kind <= PP_DATAGRAM_HELLO_REPLY);
}

static void test_what_is_shorter_than_a_header_is_refused_unread(void **state)
{
    struct pp_datagram datagram = request;
    char data[PP_DATAGRAM_HEADER_BYTES];

    (void)state;
    datagram.reply_bytes = PP_DATAGRAM_HEADER_BYTES;
    pp_datagram_write(&datagram, data);
    for (uint32_t len = 0; len < PP_DATAGRAM_HEADER_BYTES; len++)
        assert_false(pp_datagram_read(&datagram, data + sizeof data - len, len));
    assert_true(pp_datagram_read(&datagram, data, sizeof data));
}

/* An echo may have cut it short. */
static void test_what_came_of_a_request_is_read_whatever_reply_it_asked_for(void **state)
{
    struct pp_datagram datagram = request, read;
    char data[PP_DATAGRAM_HEADER_BYTES];

    (void)state;
    datagram.reply_bytes = 17;
    pp_datagram_write(&datagram, data);
    assert_true(pp_datagram_read(&read, data, sizeof data));
    assert_int_equal(read.reply_bytes, 17);
    assert_true(read.number == request.number);
}

static void test_what_is_refused_is_not_written(void **state)
{
    struct pp_datagram datagram = request;
    char data[PP_DATAGRAM_HEADER_BYTES] = { 0 };

    (void)state;
    assert_false(pp_datagram_read(&datagram, data, sizeof data));
    assert_int_equal(datagram.reply_bytes, request.reply_bytes);
    assert_true(datagram.number == request.number);
}

static void test_turning_changes_the_kind_alone(void **state)
{
    char data[PP_DATAGRAM_HEADER_BYTES], turned[PP_DATAGRAM_HEADER_BYTES];
    struct pp_datagram read;

    (void)state;
    pp_datagram_write(&request, data);
    memcpy(turned, data, sizeof data);
    pp_datagram_turn(turned, PP_DATAGRAM_REPLY);
    assert_true(pp_datagram_read(&read, turned, 65000));
    assert_int_equal(read.kind, PP_DATAGRAM_REPLY);
    assert_int_equal(read.reply_bytes, request.reply_bytes);
    assert_true(read.number == request.number);
    pp_datagram_turn(turned, PP_DATAGRAM_REQUEST);
    assert_memory_equal(turned, data, sizeof data);
}

static void test_no_random_bytes_are_read_as_what_they_are_not(void **state)
{
    struct pp_random random = { .state = 2 };

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const uint32_t len = pp_random_below(&random, 65508);
        char data[PP_DATAGRAM_HEADER_BYTES];
        struct pp_datagram read;

        pp_datagram_write(&request, data);
        for (uint32_t at = pp_random_below(&random, 6); at < sizeof data; at++)
            data[at] = (char)(pp_random_next(&random) >> 56);
        if (!pp_datagram_read(&read, data, len))
            continue;
        assert_true(len >= PP_DATAGRAM_HEADER_BYTES && read.kind <= PP_DATAGRAM_HELLO_REPLY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_on_the_wire_are_in_network_order),
        cmocka_unit_test(test_what_is_written_reads_as_the_same),
        cmocka_unit_test(test_another_magic_value_version_or_kind_is_refused),
        cmocka_unit_test(test_what_is_shorter_than_a_header_is_refused_unread),
        cmocka_unit_test(test_what_came_of_a_request_is_read_whatever_reply_it_asked_for),
        cmocka_unit_test(test_what_is_refused_is_not_written),
        cmocka_unit_test(test_turning_changes_the_kind_alone),
        cmocka_unit_test(test_no_random_bytes_are_read_as_what_they_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
