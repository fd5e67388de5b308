#include "report/hlog.h"

#include "base/assert.h"

#include <inttypes.h>
#include <string.h>

#define MS_NS UINT64_C(1000000)

/* A number of milliseconds as seconds. Never through a double or the locale: the readers know one
 * decimal point. */
static void put_seconds(FILE *out, uint64_t ns)
{
    const uint64_t ms = ns / MS_NS + (ns % MS_NS >= MS_NS / 2);

    (void)fprintf(out, "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000);
}

/* Both times are the same: the readers show the first, and count intervals from the second. */
void pp_hlog_begin(FILE *out, uint64_t start_wall_ns)
{
    (void)fputs("#[pingpong: RTT in ns; Interval_Max in ms]\n"
                "#[Histogram log format version 1.3]\n"
                "#[StartTime: ",
                out);
    put_seconds(out, start_wall_ns);
    (void)fputs(" (seconds since epoch)]\n#[BaseTime: ", out);
    put_seconds(out, start_wall_ns);
    (void)fputs(" (seconds since epoch)]\n"
                "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                "\"Interval_Compressed_Histogram\"\n",
                out);
}

void pp_hlog_line(FILE *out, struct pp_hist_encoder *encoder, const char *tag, uint64_t start_ns,
                  uint64_t length_ns, const struct pp_hist *hist)
{
    if (tag) {
        pp_assert(*tag && !strpbrk(tag, ", \t\r\n"));
        (void)fprintf(out, "Tag=%s,", tag);
    }
    put_seconds(out, start_ns);
    (void)fputc(',', out);
    put_seconds(out, length_ns);
    (void)fprintf(out, ",%" PRIu64 ".%06" PRIu64 ",%s\n", hist->max_ns / MS_NS,
                  hist->max_ns % MS_NS, pp_hist_encode(encoder, hist));
}
