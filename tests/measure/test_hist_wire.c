/* The counts' bytes are those that hdr-histogram-js 3 writes for the same samples. */
#include "measure/hist_wire.h"

#include "base/container.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */
#include <zlib.h>

#define HEADER_BYTES 40
#define COUNTS_BYTES_MAX (PP_HIST_COUNTS * 9)

/* What a reader finds in the text, before it looks at the counts. */
struct decoded {
    uint8_t prefix[8];
    size_t packed_bytes; /* what follows the prefix */
    size_t payload_bytes;
    uint8_t payload[HEADER_BYTES + COUNTS_BYTES_MAX];
};

struct fixture {
    struct pp_hist_encoder *encoder;
    struct decoded decoded;
    uint8_t packed[2 * COUNTS_BYTES_MAX];
    struct pp_hist hist;
};

static int open_fixture(void **state)
{
    struct fixture *f = pp_memory_alloc(1, sizeof *f);

    *state = f;
    if (!f)
        return -1;
    f->encoder = pp_hist_encoder_open();
    pp_hist_reset(&f->hist);
    return f->encoder ? 0 : -1;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;

    pp_hist_encoder_close(f->encoder);
    pp_memory_free(f);
    return 0;
}

static uint32_t six_bits(char digit)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = strchr(digits, digit);

    assert_non_null(found);
    return (uint32_t)(found - digits);
}

static size_t decode_base64(uint8_t *bytes, const char *text)
{
    uint32_t bits = 0;
    size_t digits = 0;

    for (; text[digits] != '\0' && text[digits] != '='; digits++) {
        bits = bits << 6 | six_bits(text[digits]);
        if (digits % 4 > 0)
            bytes[digits / 4 * 3 + digits % 4 - 1] = (uint8_t)(bits >> (6 - digits % 4 * 2));
    }
    return digits * 3 / 4;
}

static const struct decoded *encode(struct fixture *f)
{
    struct decoded *d = &f->decoded;
    const char *text = pp_hist_encode(f->encoder, &f->hist);
    unsigned long bytes = sizeof d->payload;

    assert_true(strncmp(text, "HISTFAA", 7) == 0);
    d->packed_bytes = decode_base64(f->packed, text) - sizeof d->prefix;
    memcpy(d->prefix, f->packed, sizeof d->prefix);
    assert_int_equal(uncompress(d->payload, &bytes, f->packed + sizeof d->prefix, d->packed_bytes),
                     Z_OK);
    d->payload_bytes = bytes;
    return d;
}

static void check_counts(struct fixture *f, const uint8_t *want, size_t bytes)
{
    const struct decoded *d = encode(f);

    assert_int_equal(d->payload_bytes, HEADER_BYTES + bytes);
    assert_memory_equal(d->payload + HEADER_BYTES, want, bytes);
}

#define CHECK_COUNTS(f, ...)                                                                       \
    do {                                                                                           \
        static const uint8_t want_[] = { __VA_ARGS__ };                                            \
        check_counts(f, want_, sizeof want_);                                                      \
    } while (0)

static void test_the_header_says_what_the_buckets_are(void **state)
{
    static const uint8_t want[HEADER_BYTES] = {
        0x1c, 0x84, 0x93, 0x13,                         /* V2, counts of variable size */
        0x00, 0x00, 0x00, 0x02,                         /* bytes of counts */
        0x00, 0x00, 0x00, 0x00,                         /* not shifted */
        0x00, 0x00, 0x00, 0x03,                         /* significant digits */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, /* 1 ns */
        0x00, 0x00, 0x00, 0x0d, 0xf8, 0x47, 0x58, 0x00, /* 60 s */
        0x3f, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 1.0 */
    };
    struct fixture *f = *state;

    pp_hist_record(&f->hist, 1);
    assert_memory_equal(encode(f)->payload, want, sizeof want);
}

static void test_the_prefix_says_how_long_the_compressed_part_is(void **state)
{
    struct fixture *f = *state;
    const struct decoded *d;

    for (uint64_t ns = 1; ns < 5000; ns += ns / 100 + 1)
        pp_hist_record(&f->hist, ns * ns);
    d = encode(f);
    assert_memory_equal(d->prefix, "\x1c\x84\x93\x14", 4);
    assert_int_equal((uint32_t)d->prefix[4] << 24 | (uint32_t)d->prefix[5] << 16 |
                         (uint32_t)d->prefix[6] << 8 | d->prefix[7],
                     d->packed_bytes);
}

static void test_without_a_sample_there_is_one_count_of_zero(void **state)
{
    CHECK_COUNTS(*state, 0x00);
}

static void test_a_single_empty_bucket_is_a_zero_and_several_are_a_negative_count(void **state)
{
    struct fixture *f = *state;

    pp_hist_record(&f->hist, 1);
    CHECK_COUNTS(f, 0x00, 0x02);
    pp_hist_record(&f->hist, 4);
    CHECK_COUNTS(f, 0x00, 0x02, 0x03, 0x02);
    pp_hist_reset(&f->hist);
    pp_hist_record(&f->hist, PP_HIST_HIGHEST_NS);
    CHECK_COUNTS(f, 0xf7, 0xab, 0x03, 0x02);
}

static void test_counts_take_a_byte_for_each_seven_bits(void **state)
{
    static const struct {
        uint64_t value_ns, count;
    } samples[] = { { 0, 1 }, { 5, 2 }, { 2047, 64 }, { 2049, 8192 }, { 1000000, 300 } };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(samples); i++)
        f->hist.counts[pp_hist_index(samples[i].value_ns)] += samples[i].count;
    CHECK_COUNTS(f, 0x02, 0x07, 0x04, 0xf1, 0x1f, 0x80, 0x01, 0x80, 0x80, 0x01, 0xbf, 0x8e, 0x01,
                 0xd8, 0x04);
}

static void test_the_largest_counts_take_nine_bytes_with_eight_bits_in_the_last(void **state)
{
    struct fixture *f = *state;

    f->hist.counts[0] = UINT64_C(1) << 48;
    CHECK_COUNTS(f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
    f->hist.counts[0] = UINT64_C(1) << 55;
    CHECK_COUNTS(f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
    f->hist.counts[0] = INT64_MAX;
    CHECK_COUNTS(f, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
}

/* Counts of nine bytes without a pattern, in every bucket, compress to nothing less. */
static void test_the_worst_case_fits_and_takes_no_memory(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 1;
    const struct decoded *d;

    for (uint32_t i = 0; i < PP_HIST_COUNTS; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        f->hist.counts[i] = random >> 1 | UINT64_C(1) << 62;
    }
    pp_memory_seal(true);
    d = encode(f);
    pp_memory_seal(false);
    assert_int_equal(d->payload_bytes, sizeof d->payload);
    assert_true(d->packed_bytes > COUNTS_BYTES_MAX / 4 * 3);
}

static void test_an_encoding_does_not_depend_on_what_was_encoded_before(void **state)
{
    struct fixture *f = *state;
    char first[256];

    pp_hist_record(&f->hist, 123456);
    assert_in_range(snprintf(first, sizeof first, "%s", pp_hist_encode(f->encoder, &f->hist)), 1,
                    sizeof first - 1);
    f->hist.counts[777] = 99;
    assert_string_not_equal(pp_hist_encode(f->encoder, &f->hist), first);
    f->hist.counts[777] = 0;
    assert_string_equal(pp_hist_encode(f->encoder, &f->hist), first);
}

static void test_closing_no_encoder_is_fine(void **state)
{
    (void)state;
    pp_hist_encoder_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_header_says_what_the_buckets_are),
        TEST(test_the_prefix_says_how_long_the_compressed_part_is),
        TEST(test_without_a_sample_there_is_one_count_of_zero),
        TEST(test_a_single_empty_bucket_is_a_zero_and_several_are_a_negative_count),
        TEST(test_counts_take_a_byte_for_each_seven_bits),
        TEST(test_the_largest_counts_take_nine_bytes_with_eight_bits_in_the_last),
        TEST(test_the_worst_case_fits_and_takes_no_memory),
        TEST(test_an_encoding_does_not_depend_on_what_was_encoded_before),
        cmocka_unit_test(test_closing_no_encoder_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
