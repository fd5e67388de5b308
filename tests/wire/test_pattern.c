#include "base/container.h"
#include "base/random.h"
#include "wire/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#define SIZE_MAX_TESTED 200u
#define PLACES 50

/* No two windows of so many bytes are alike: what is that long cannot be taken for another. */
#define TELLING 8u

#define STREAM_BYTES (4 * SIZE_MAX_TESTED)

/* What came, where a stream is three messages of size bytes and so much more. */
struct received {
    uint32_t at; /* in the pattern */
    uint32_t size;
    uint32_t fault_at; /* where the second message begins */
    char data[STREAM_BYTES];
};

static struct pp_pattern random_pattern(uint32_t size)
{
    struct pp_pattern pattern;
    struct pp_error err = { 0 };

    assert_int_equal(pp_pattern_open_random(&pattern, size, &err), 0);
    return pattern;
}

static struct pp_pattern text_pattern(const char *text, uint32_t bytes)
{
    struct pp_pattern pattern;
    struct pp_error err = { 0 };

    assert_int_equal(pp_pattern_open(&pattern, text, bytes, &err), 0);
    return pattern;
}

static struct received receive(const struct pp_pattern *pattern, uint32_t size,
                               struct pp_random *random)
{
    struct received received = { .at = pp_random_below(random, pattern->period),
                                 .size = size,
                                 .fault_at = size };

    memcpy(received.data, pattern->bytes + received.at, STREAM_BYTES);
    return received;
}

/* The wrong byte is found, and at its place. Returns whether there is one. */
static bool check_found(const struct pp_pattern *pattern, const struct received *received)
{
    const char *want = pattern->bytes + received->at;
    uint32_t good = 0;

    while (good < STREAM_BYTES && received->data[good] == want[good])
        good++;
    assert_int_equal(pp_pattern_match(pattern, received->at, received->data, STREAM_BYTES), good);
    assert_true(good >= received->fault_at);
    return good < STREAM_BYTES;
}

static void test_a_stream_that_is_right_matches_from_any_place(void **state)
{
    const struct pp_pattern patterns[] = { random_pattern(64), text_pattern("PING\n", 5),
                                           text_pattern("x", 1) };
    struct pp_random random = { .state = 1 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct pp_pattern pattern = patterns[i];

        for (int j = 0; j < 100; j++) {
            const uint32_t at = pp_random_below(&random, pattern.period);
            const uint32_t len = pp_random_below(&random, PP_PATTERN_PIECE + 1);

            assert_int_equal(pp_pattern_match(&pattern, at, pattern.bytes + at, len), len);
        }
        assert_int_equal(pp_pattern_match(&pattern, 0, "", 0), 0);
        pp_pattern_close(&pattern);
    }
}

static void test_every_byte_that_can_be_had_repeats_the_period(void **state)
{
    static const uint32_t lengths[] = { 1, 2, 3, 5, 4096, 65535, 65536 };
    static char text[65536];
    struct pp_random random = { .state = 2 };

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)pp_random_next(&random);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct pp_pattern pattern = text_pattern(text, lengths[i]);

        assert_int_equal(pattern.period, lengths[i]);
        for (uint32_t j = 0; j < pattern.period + PP_PATTERN_PIECE; j++)
            if (pattern.bytes[j] != text[j % lengths[i]])
                fail_msg("period %u, byte %u", lengths[i], j);
        pp_pattern_close(&pattern);
    }
}

static void test_the_place_after_any_number_of_bytes_is_in_the_period(void **state)
{
    static const uint32_t periods[] = { 1, 5, 65521, 65536 };
    struct pp_random random = { .state = 3 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(periods); i++) {
        const struct pp_pattern pattern = { .period = periods[i] };

        for (int j = 0; j < 10000; j++) {
            const uint32_t at = pp_random_below(&random, periods[i]);
            const uint32_t n = (uint32_t)(pp_random_next(&random) >>
                                          (32 + pp_random_below(&random, 32)));

            assert_int_equal(pp_pattern_after(&pattern, at, n), ((uint64_t)at + n) % periods[i]);
        }
    }
}

/* Each loses 1 to size bytes, and all that follow are early. */
static void test_bytes_that_were_lost_are_found(void **state)
{
    struct pp_pattern pattern = random_pattern(0);
    struct pp_random random = { .state = 4 };

    (void)state;
    for (uint32_t size = 1; size <= SIZE_MAX_TESTED; size++) {
        for (int i = 0; i < PLACES; i++) {
            struct received received = receive(&pattern, size, &random);
            const uint32_t lost = 1 + pp_random_below(&random, size);

            memcpy(received.data + received.fault_at,
                   pattern.bytes + received.at + received.fault_at + lost,
                   STREAM_BYTES - received.fault_at);
            assert_true(check_found(&pattern, &received));
        }
    }
    pp_pattern_close(&pattern);
}

static void test_a_message_that_came_twice_is_found(void **state)
{
    struct pp_pattern pattern = random_pattern(0);
    struct pp_random random = { .state = 5 };

    (void)state;
    for (uint32_t size = 1; size <= SIZE_MAX_TESTED; size++) {
        for (int i = 0; i < PLACES; i++) {
            struct received received = receive(&pattern, size, &random);

            memcpy(received.data + received.fault_at, pattern.bytes + received.at,
                   STREAM_BYTES - received.fault_at);
            assert_true(check_found(&pattern, &received));
        }
    }
    pp_pattern_close(&pattern);
}

/* Short messages may be alike; then they are as good as not swapped. */
static void test_two_messages_that_changed_places_are_found_unless_they_are_alike(void **state)
{
    struct pp_pattern pattern = random_pattern(0);
    struct pp_random random = { .state = 6 };

    (void)state;
    for (uint32_t size = 1; size <= SIZE_MAX_TESTED; size++) {
        for (int i = 0; i < PLACES; i++) {
            struct received received = receive(&pattern, size, &random);
            const char *second = pattern.bytes + received.at + size;
            const bool alike = memcmp(second, second + size, size) == 0;

            memcpy(received.data + size, second + size, size);
            memcpy(received.data + 2 * (size_t)size, second, size);
            assert_true(!alike || size < TELLING);
            assert_int_equal(check_found(&pattern, &received), !alike);
        }
    }
    pp_pattern_close(&pattern);
}

/* It is of another connection, that is somewhere else in the pattern. */
static void test_a_message_of_somebody_else_is_found_unless_it_is_alike(void **state)
{
    struct pp_pattern pattern = random_pattern(0);
    struct pp_random random = { .state = 7 };

    (void)state;
    for (uint32_t size = 1; size <= SIZE_MAX_TESTED; size++) {
        for (int i = 0; i < PLACES; i++) {
            struct received received = receive(&pattern, size, &random);
            const uint32_t second_at = pp_pattern_after(&pattern, received.at, size);
            const uint32_t away = 1 + pp_random_below(&random, pattern.period - 1);
            const char *foreign = pattern.bytes + pp_pattern_after(&pattern, second_at, away);
            const bool alike = memcmp(foreign, pattern.bytes + second_at, size) == 0;

            memcpy(received.data + received.fault_at, foreign, size);
            assert_true(!alike || size < TELLING);
            assert_int_equal(check_found(&pattern, &received), !alike);
        }
    }
    pp_pattern_close(&pattern);
}

static void test_every_single_wrong_bit_is_found_at_its_place(void **state)
{
    struct pp_pattern pattern = random_pattern(64);
    struct pp_random random = { .state = 8 };

    (void)state;
    for (uint32_t i = 0; i < STREAM_BYTES; i++) {
        struct received received = receive(&pattern, 1, &random);

        received.data[i] = (char)(received.data[i] ^ 1 << i % 8);
        assert_int_equal(pp_pattern_match(&pattern, received.at, received.data, STREAM_BYTES), i);
    }
    pp_pattern_close(&pattern);
}

static int compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void check_windows(uint32_t size)
{
    struct pp_pattern pattern = random_pattern(size);
    uint64_t *windows = calloc(pattern.period, sizeof *windows);

    assert_non_null(windows);
    for (uint32_t i = 0; i < pattern.period; i++)
        memcpy(&windows[i], pattern.bytes + i, TELLING);
    qsort(windows, pattern.period, sizeof *windows, compare);
    for (uint32_t i = 1; i < pattern.period; i++)
        assert_true(windows[i - 1] != windows[i]);
    free(windows);
    pp_pattern_close(&pattern);
}

static void test_no_eight_bytes_come_twice_in_a_period(void **state)
{
    (void)state;
    check_windows(64);
    check_windows(65521);
    check_windows(0);
}

static void check_period(uint32_t size)
{
    struct pp_pattern pattern = random_pattern(size);

    if (size % pattern.period == 0 || pattern.period < PP_PATTERN_RANDOM_PERIOD_MIN)
        fail_msg("size %u has the period %u", size, pattern.period);
    pp_pattern_close(&pattern);
}

static void test_the_period_never_divides_the_size(void **state)
{
    static const uint32_t primes[] = { 65519, 65521, 65537 };

    (void)state;
    for (uint32_t i = 1; i <= 20; i++)
        for (size_t j = 0; j < COUNT_OF(primes); j++)
            check_period(i * primes[j]);
    check_period(1);
    check_period(65536);
    check_period(UINT32_C(64) << 20);
    check_period(UINT32_C(65519) * 65521);
    check_period(UINT32_C(65521) * 65537);
    check_period(UINT32_C(65519) * 65537);
}

static void test_the_random_pattern_is_always_the_same(void **state)
{
    static const unsigned char begin[] = { 0x01, 0x6a, 0xc9, 0x66 };
    struct pp_pattern a = random_pattern(64);
    struct pp_pattern b = random_pattern(1400);

    (void)state;
    assert_int_equal(a.period, b.period);
    assert_memory_equal(a.bytes, b.bytes, a.period);
    assert_memory_equal(a.bytes, begin, sizeof begin);
    pp_pattern_close(&a);
    pp_pattern_close(&b);
}

static void test_a_pattern_that_was_closed_may_be_closed_again(void **state)
{
    struct pp_pattern pattern = text_pattern("PING\n", 5);

    (void)state;
    pp_pattern_close(&pattern);
    assert_null(pattern.bytes);
    pp_pattern_close(&pattern);
}

/* Where the first message ends that begins at begin; 0: nowhere. */
static uint32_t find_naively(const char *text, uint32_t bytes, const char *stream, uint32_t begin,
                             uint32_t len)
{
    for (uint32_t end = begin + bytes; end <= len; end++)
        if (memcmp(stream + end - bytes, text, bytes) == 0)
            return end;
    return 0;
}

/* The stream comes in pieces of up to piece_max bytes. */
static void check_find(const char *text, uint32_t bytes, const char *stream, uint32_t len,
                       uint32_t piece_max, struct pp_random *random)
{
    uint32_t seen = 0;
    uint32_t begin = 0;
    uint32_t done = 0;

    while (done < len) {
        uint32_t to = done + 1 + pp_random_below(random, piece_max);
        const uint32_t want = find_naively(text, bytes, stream, begin, len);
        uint32_t got;

        to = to < len ? to : len;
        got = pp_pattern_find(text, bytes, &seen, stream + done, to - done);
        if (got == 0) {
            assert_true(want == 0 || want > to);
            done = to;
            continue;
        }
        assert_int_equal(done + got, want);
        assert_int_equal(seen, 0);
        done += got;
        begin = done;
    }
}

static void test_a_text_that_overlaps_itself_is_found(void **state)
{
    static const struct {
        const char *text, *stream;
        uint32_t end;
    } table[] = {
        { "aab", "aaab", 4 },
        { "aab", "aaaaaab", 7 },
        { "\n", "\n", 1 },
        { "abab", "ababab", 4 },
        { "ababc", "abababc", 7 },
        { "\r\n\r\n", "a\r\n\r\r\n\r\n", 8 },
        { "aabaaac", "aabaabaaac", 10 },
        { "abcabd", "abcabcabd", 9 },
        { "aa", "aaa", 2 },
        { "aab", "aabb", 3 },
        { "b", "aaaa", 0 },
        { "aab", "aa", 0 },
        { "PONG", "PING", 0 },
        { "aab", "", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const uint32_t bytes = (uint32_t)strlen(table[i].text);
        const uint32_t len = (uint32_t)strlen(table[i].stream);
        uint32_t seen = 0;
        uint32_t end = 0;

        if (pp_pattern_find(table[i].text, bytes, &seen, table[i].stream, len) != table[i].end)
            fail_msg("\"%s\" in \"%s\"", table[i].text, table[i].stream);
        seen = 0;
        for (uint32_t j = 0; j < len && end == 0; j++)
            if (pp_pattern_find(table[i].text, bytes, &seen, table[i].stream + j, 1) == 1)
                end = j + 1;
        assert_int_equal(end, table[i].end);
    }
}

static void test_finds_agree_with_a_naive_search_however_the_stream_is_cut(void **state)
{
    struct pp_random random = { .state = 9 };

    (void)state;
    for (int round = 0; round < 20000; round++) {
        const uint32_t letters = 1 + pp_random_below(&random, 3);
        const uint32_t bytes = 1 + pp_random_below(&random, 10);
        char text[10], stream[150];

        for (uint32_t i = 0; i < bytes; i++)
            text[i] = (char)pp_random_below(&random, letters);
        for (uint32_t i = 0; i < sizeof stream; i++)
            stream[i] = (char)pp_random_below(&random, letters);
        check_find(text, bytes, stream, sizeof stream, 1 + pp_random_below(&random, 20), &random);
    }
}

/* The text is nearly of one byte alone, and so is the stream: the most candidates there can be. */
static void test_the_longest_text_is_found_in_a_stream_that_nearly_is_it(void **state)
{
    static char text[4096], stream[20000];
    struct pp_random random = { .state = 10 };

    (void)state;
    memset(text, 'a', sizeof text);
    memset(stream, 'a', sizeof stream);
    text[sizeof text - 1] = 'b';
    stream[9000] = stream[12000] = stream[17000] = 'b';
    check_find(text, sizeof text, stream, sizeof stream, 3000, &random);
    text[2000] = 'b';
    stream[17000 - 2095] = 'b';
    check_find(text, sizeof text, stream, sizeof stream, 3000, &random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_that_is_right_matches_from_any_place),
        cmocka_unit_test(test_every_byte_that_can_be_had_repeats_the_period),
        cmocka_unit_test(test_the_place_after_any_number_of_bytes_is_in_the_period),
        cmocka_unit_test(test_bytes_that_were_lost_are_found),
        cmocka_unit_test(test_a_message_that_came_twice_is_found),
        cmocka_unit_test(test_two_messages_that_changed_places_are_found_unless_they_are_alike),
        cmocka_unit_test(test_a_message_of_somebody_else_is_found_unless_it_is_alike),
        cmocka_unit_test(test_every_single_wrong_bit_is_found_at_its_place),
        cmocka_unit_test(test_no_eight_bytes_come_twice_in_a_period),
        cmocka_unit_test(test_the_period_never_divides_the_size),
        cmocka_unit_test(test_the_random_pattern_is_always_the_same),
        cmocka_unit_test(test_a_pattern_that_was_closed_may_be_closed_again),
        cmocka_unit_test(test_a_text_that_overlaps_itself_is_found),
        cmocka_unit_test(test_finds_agree_with_a_naive_search_however_the_stream_is_cut),
        cmocka_unit_test(test_the_longest_text_is_found_in_a_stream_that_nearly_is_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
