#include "bench/wire.h"

#include <errno.h>
#include <string.h>

static uint32_t first_difference(const char *a, const char *b, uint32_t len)
{
    uint32_t i = 0;

    while (i < len && a[i] == b[i])
        i++;
    return i;
}

int pp_wire_check(const struct pp_wire *wire, uint32_t *at, const char *data, uint32_t len,
                  uint32_t *wrong)
{
    uint32_t done = 0;
    int messages = 0;

    while (done < len) {
        const uint32_t to_end = wire->bytes - *at;
        const uint32_t part = len - done < to_end ? len - done : to_end;

        if (memcmp(data + done, wire->message + *at, part) != 0) {
            const uint32_t good = first_difference(data + done, wire->message + *at, part);

            *wrong = done + good;
            *at += good;
            return -EBADMSG;
        }
        done += part;
        *at += part;
        if (*at == wire->bytes) {
            *at = 0;
            messages++;
        }
    }
    return messages;
}
