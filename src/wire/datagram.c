#include "wire/datagram.h"

#include "base/assert.h"

#include <string.h>

#define KIND_AT 4
#define REPLY_BYTES_AT 5
#define REPLY_BYTES_WIDTH 3
#define NUMBER_AT 8
#define NUMBER_WIDTH 8

/* The last byte is the version. */
static const char magic[KIND_AT] = { 'p', 'p', '\x9d', 1 };

static void write_number(char *data, unsigned width, uint64_t value)
{
    for (unsigned i = width; i-- > 0; value >>= 8)
        data[i] = (char)(unsigned char)value;
}

static uint64_t read_number(const char *data, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value = value << 8 | (unsigned char)data[i];
    return value;
}

void pp_datagram_write(const struct pp_datagram *datagram, char data[PP_DATAGRAM_HEADER_BYTES])
{
    pp_assert(datagram->reply_bytes <= PP_DATAGRAM_BYTES_MAX);
    memcpy(data, magic, sizeof magic);
    data[KIND_AT] = (char)datagram->kind;
    write_number(data + REPLY_BYTES_AT, REPLY_BYTES_WIDTH, datagram->reply_bytes);
    write_number(data + NUMBER_AT, NUMBER_WIDTH, datagram->number);
}

bool pp_datagram_read(struct pp_datagram *datagram, const char *data, uint32_t len)
{
    struct pp_datagram read;

    if (len < PP_DATAGRAM_HEADER_BYTES || memcmp(data, magic, sizeof magic) != 0)
        return false;
    if ((unsigned char)data[KIND_AT] > PP_DATAGRAM_HELLO_REPLY)
        return false;
    read.kind = (enum pp_datagram_kind)data[KIND_AT];
    read.reply_bytes = (uint32_t)read_number(data + REPLY_BYTES_AT, REPLY_BYTES_WIDTH);
    read.number = read_number(data + NUMBER_AT, NUMBER_WIDTH);
    *datagram = read;
    return true;
}

void pp_datagram_turn(char *data, enum pp_datagram_kind kind)
{
    data[KIND_AT] = (char)kind;
}
