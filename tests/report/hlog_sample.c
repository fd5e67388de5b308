/* Writes a log of known samples to the file that it is given, and prints as JSON what the program
 * itself makes of the same histograms: tests/system/test_hlog_readers.py has others read it. */
#include "base/container.h"
#include "base/memory.h"
#include "base/random.h"
#include "report/hlog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define EXPECTED_NS 20000

static const double qs[] = { 0.001, 0.07, 0.25, 0.5, 0.55, 0.9, 0.99, 0.999, 0.9999, 1 };

struct interval {
    const char *tag;
    void (*fill)(struct pp_hist *hist, struct pp_random *random);
    uint64_t start_ns;
    uint64_t length_ns;
};

/* A loopback's: 10 to 40 µs, and a tail. The highest is the highest of its bucket, so that those
 * who know no exact maximum know this one. */
static void fill_usual(struct pp_hist *hist, struct pp_random *random)
{
    for (int i = 0; i < 20000; i++) {
        const uint64_t body_ns = 10000 + pp_random_below(random, 30000);

        pp_hist_record(hist, i % 100 ? body_ns : body_ns << pp_random_below(random, 8));
    }
    pp_hist_record(hist, pp_hist_highest_ns(pp_hist_index(12345678)));
}

/* About as many of each magnitude, and at both ends of the range. */
static void fill_wide(struct pp_hist *hist, struct pp_random *random)
{
    pp_hist_record(hist, 0);
    for (int i = 0; i < 20000; i++) {
        const uint64_t wide = pp_random_next(random) >> (28 + pp_random_below(random, 36));

        pp_hist_record(hist, wide % (PP_HIST_HIGHEST_NS + 1));
    }
    pp_hist_record(hist, PP_HIST_HIGHEST_NS);
}

static void fill_saturated(struct pp_hist *hist, struct pp_random *random)
{
    for (int i = 0; i < 100; i++)
        pp_hist_record(hist, pp_random_below(random, 1000000) + (i % 10 ? 0 : PP_HIST_HIGHEST_NS));
}

/* The longest line that there can be: no two buckets alike, and none empty. */
static void fill_every_bucket(struct pp_hist *hist, struct pp_random *random)
{
    for (uint32_t i = 0; i <= pp_hist_index(PP_HIST_HIGHEST_NS); i++) {
        hist->counts[i] = 1 + (pp_random_next(random) >> 28);
        hist->total += hist->counts[i];
    }
    hist->min_ns = 0;
    hist->max_ns = PP_HIST_HIGHEST_NS;
}

static void fill_one(struct pp_hist *hist, struct pp_random *random)
{
    (void)random;
    pp_hist_record(hist, 123456789);
}

static void fill_nothing(struct pp_hist *hist, struct pp_random *random)
{
    (void)hist;
    (void)random;
}

static const struct interval intervals[] = {
    { NULL, fill_usual, 0, 1000 * MS },
    { "intended", fill_wide, 0, 1000 * MS },
    { NULL, fill_usual, 1000 * MS, 1000 * MS },
    { "intended", fill_nothing, 1000 * MS, 1000 * MS },
    { NULL, fill_nothing, 2000 * MS, 1000 * MS },
    { "intended", fill_saturated, 2000 * MS, 1000 * MS },
    { "one", fill_one, 3000 * MS, 437 * MS + MS / 2 },
    { "dense", fill_every_bucket, 3000 * MS, 437 * MS },
};

static void print_hist(const struct pp_hist *hist)
{
    printf("\"total\": %" PRIu64 ", \"max_ns\": %" PRIu64 ", \"quantiles_ns\": {", hist->total,
           hist->max_ns);
    for (size_t i = 0; i < COUNT_OF(qs); i++)
        printf("%s\"%g\": %" PRIu64, i ? ", " : "", qs[i], pp_hist_quantile_ns(hist, qs[i]));
    printf("}}");
}

static void write_interval(FILE *log, struct pp_hist_encoder *encoder,
                           const struct interval *interval, const struct pp_hist *hist)
{
    pp_hlog_line(log, encoder, interval->tag, interval->start_ns, interval->length_ns, hist);
    printf("{\"tag\": \"%s\", \"start_ms\": %" PRIu64 ", \"length_ms\": %" PRIu64 ", ",
           interval->tag ? interval->tag : "", interval->start_ns / MS,
           (interval->length_ns + MS / 2) / MS);
    print_hist(hist);
}

/* The histograms without a tag are also gathered in usual, and corrected as those of a closed loop
 * in corrected. */
static void write_log(FILE *log, struct pp_hist_encoder *encoder, struct pp_hist *hist,
                      struct pp_hist *usual, struct pp_hist *corrected)
{
    struct pp_random random = { 0x70696e67 };

    pp_hlog_begin(log, UINT64_C(1700000000123456789));
    printf("{\"intervals\": [");
    for (size_t i = 0; i < COUNT_OF(intervals); i++) {
        pp_hist_reset(hist);
        intervals[i].fill(hist, &random);
        printf("%s", i ? ",\n" : "\n");
        write_interval(log, encoder, &intervals[i], hist);
        if (!intervals[i].tag) {
            pp_hist_merge(usual, hist);
            pp_hist_correct(corrected, hist, EXPECTED_NS);
        }
    }
    printf("],\n\"whole\": {");
    print_hist(usual);
    printf(",\n\"expected_ns\": %d,\n\"corrected\": {", EXPECTED_NS);
    print_hist(corrected);
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct pp_hist_encoder *encoder = pp_hist_encoder_open();
    struct pp_hist *hists = pp_memory_alloc(3, sizeof *hists);
    FILE *log = argc == 2 ? fopen(argv[1], "w") : NULL;

    if (!log || !encoder || !hists) {
        (void)fprintf(stderr, "usage: hlog_sample FILE (%s)\n", strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < 3; i++)
        pp_hist_reset(&hists[i]);
    pp_memory_seal(true);
    write_log(log, encoder, &hists[0], &hists[1], &hists[2]);
    pp_memory_seal(false);
    pp_memory_free(hists);
    pp_hist_encoder_close(encoder);
    return fclose(log) == 0 && fflush(stdout) == 0 ? 0 : 1;
}
