/* The payload is a header and the counts in the order of their buckets, up to the last that is not
 * zero. A count is a number in zig-zag LEB128 of 9 bytes at most; a negative one stands for as many
 * buckets with nothing in them. Ours have the very order and number of HdrHistogram's buckets. */
#include "measure/hist_wire.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/memory.h"

#include <assert.h>
#include <string.h>

#include <zlib.h>

#define COOKIE_PAYLOAD UINT32_C(0x1c849313)    /* 0x1c849303, and 0x10: words of variable size */
#define COOKIE_COMPRESSED UINT32_C(0x1c849314) /* 0x1c849304, likewise */

#define SIGNIFICANT_DIGITS 3
#define LOWEST_NS 1

/* cookie 4, payload length 4, offset 4, digits 4, lowest 8, highest 8, ratio 8 */
#define HEADER_BYTES 40
#define COUNT_BYTES_MAX 9

/* Each count in the worst case: a run of zeros takes the room of one count and stands for more. */
#define PAYLOAD_BYTES_MAX (HEADER_BYTES + PP_HIST_COUNTS * COUNT_BYTES_MAX)

#define PREFIX_BYTES 8 /* cookie 4, compressed length 4 */

/* The fastest: an interval is encoded while others are measured, and the better levels take several
 * times as long for a few per cent. */
#define LEVEL Z_BEST_SPEED

struct pp_hist_encoder {
    z_stream deflate;
    size_t packed_capacity;
    uint8_t *packed; /* the prefix and the compressed payload */
    char *text;
    uint8_t payload[PAYLOAD_BYTES_MAX];
};

/* ---- memory ---- */

static void *deflate_alloc(void *context, unsigned count, unsigned size)
{
    (void)context;
    return pp_memory_alloc(count, size);
}

static void deflate_free(void *context, void *memory)
{
    (void)context;
    pp_memory_free(memory);
}

struct pp_hist_encoder *pp_hist_encoder_open(void)
{
    struct pp_hist_encoder *encoder = pp_memory_alloc(1, sizeof *encoder);

    if (!encoder)
        return NULL;
    encoder->deflate.zalloc = deflate_alloc;
    encoder->deflate.zfree = deflate_free;
    if (deflateInit(&encoder->deflate, LEVEL) != Z_OK)
        goto fail_deflate;
    encoder->packed_capacity = PREFIX_BYTES + deflateBound(&encoder->deflate, PAYLOAD_BYTES_MAX);
    encoder->packed = pp_memory_alloc(1, encoder->packed_capacity);
    encoder->text = pp_memory_alloc(1, PP_BASE64_BYTES(encoder->packed_capacity));
    if (!encoder->packed || !encoder->text)
        goto fail_buffers;
    return encoder;

fail_buffers:
    pp_memory_free(encoder->text);
    pp_memory_free(encoder->packed);
    (void)deflateEnd(&encoder->deflate);
fail_deflate:
    pp_memory_free(encoder);
    return NULL;
}

void pp_hist_encoder_close(struct pp_hist_encoder *encoder)
{
    if (!encoder)
        return;
    pp_memory_free(encoder->text);
    pp_memory_free(encoder->packed);
    (void)deflateEnd(&encoder->deflate);
    pp_memory_free(encoder);
}

/* ---- the payload ---- */

/* Each puts a number at to and returns what follows. */

static uint8_t *put_32(uint8_t *to, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(value >> shift);
    return to;
}

static uint8_t *put_64(uint8_t *to, uint64_t value)
{
    return put_32(put_32(to, (uint32_t)(value >> 32)), (uint32_t)value);
}

static uint8_t *put_double(uint8_t *to, double value)
{
    uint64_t bits;

    static_assert(sizeof bits == sizeof value, "a double is an IEEE 754 binary64");
    memcpy(&bits, &value, sizeof bits);
    return put_64(to, bits);
}

/* Zig-zag, so that small negative numbers are short, too; seven bits a byte, the lowest first. The
 * ninth byte has no flag that more follow, and so takes the last eight bits. */
static uint8_t *put_zigzag(uint8_t *to, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

    for (int i = 1; i < COUNT_BYTES_MAX && bits > 0x7f; i++, bits >>= 7)
        *to++ = (uint8_t)(bits | 0x80);
    *to++ = (uint8_t)bits;
    return to;
}

/* How many counts are written; at least one, as an empty payload is not foreseen. */
static uint32_t counts_used(const struct pp_hist *hist)
{
    uint32_t used = PP_HIST_COUNTS;

    while (used > 1 && hist->counts[used - 1] == 0)
        used--;
    return used;
}

static uint8_t *put_counts(uint8_t *to, const struct pp_hist *hist)
{
    const uint32_t used = counts_used(hist);

    for (uint32_t i = 0; i < used;) {
        const uint32_t first = i++;

        if (hist->counts[first] > 0) {
            to = put_zigzag(to, (int64_t)hist->counts[first]);
            continue;
        }
        while (i < used && hist->counts[i] == 0)
            i++;
        to = put_zigzag(to, i - first > 1 ? -(int64_t)(i - first) : 0);
    }
    return to;
}

static size_t encode_payload(uint8_t *payload, const struct pp_hist *hist)
{
    uint8_t *const counts = payload + HEADER_BYTES;
    uint8_t *const end = put_counts(counts, hist);
    uint8_t *to = payload;

    to = put_32(to, COOKIE_PAYLOAD);
    to = put_32(to, (uint32_t)(end - counts));
    to = put_32(to, 0); /* the counts are not shifted */
    to = put_32(to, SIGNIFICANT_DIGITS);
    to = put_64(to, LOWEST_NS);
    to = put_64(to, PP_HIST_HIGHEST_NS);
    to = put_double(to, 1); /* values are what they say */
    pp_assert(to == counts);
    return (size_t)(end - payload);
}

/* ---- around it ---- */

static size_t compress_payload(struct pp_hist_encoder *encoder, size_t payload_bytes)
{
    z_stream *deflate_stream = &encoder->deflate;
    const size_t capacity = encoder->packed_capacity - PREFIX_BYTES;

    pp_assert(deflateReset(deflate_stream) == Z_OK);
    deflate_stream->next_in = encoder->payload;
    deflate_stream->avail_in = (unsigned)payload_bytes;
    deflate_stream->next_out = encoder->packed + PREFIX_BYTES;
    deflate_stream->avail_out = (unsigned)capacity;
    pp_assert(deflate(deflate_stream, Z_FINISH) == Z_STREAM_END);
    return capacity - deflate_stream->avail_out;
}

const char *pp_hist_encode(struct pp_hist_encoder *encoder, const struct pp_hist *hist)
{
    const size_t payload_bytes = encode_payload(encoder->payload, hist);
    const size_t compressed_bytes = compress_payload(encoder, payload_bytes);

    (void)put_32(put_32(encoder->packed, COOKIE_COMPRESSED), (uint32_t)compressed_bytes);
    (void)pp_base64_encode(encoder->text, encoder->packed, PREFIX_BYTES + compressed_bytes);
    return encoder->text;
}
