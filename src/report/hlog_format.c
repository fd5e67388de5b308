/* The histograms of all intervals, for HdrHistogram's tools. */
#include "base/clock.h"
#include "base/memory.h"
#include "report/figures.h"
#include "report/hlog.h"
#include "report/report.h"

#include <errno.h>

struct hlog {
    struct pp_hist_encoder *encoder;
    bool begun;
};

static int hlog_open(struct pp_report *report, struct pp_error *err)
{
    struct hlog *hlog = pp_memory_alloc(1, sizeof *hlog);

    report->state = hlog;
    if (hlog)
        hlog->encoder = pp_hist_encoder_open();
    if (!hlog || !hlog->encoder)
        return pp_error_set(err, PP_ERROR_RUN, -ENOMEM, "no memory to write histograms");
    return 0;
}

/* When the measurement begins is known only then; of one that never did, it is now. */
static void begin_log(struct pp_report *report, const struct pp_result *result)
{
    struct hlog *hlog = report->state;

    if (!hlog->begun)
        pp_hlog_begin(report->out, result->measured ? result->wall_start_ns : pp_clock_wall_ns());
    hlog->begun = true;
}

static void hlog_begin(struct pp_report *report, const struct pp_result *result)
{
    (void)report;
    (void)result;
}

/* In an open loop the main figures have no tag, as those of a closed one, and what was counted from
 * the actual send has one. */
static void hlog_interval(struct pp_report *report, const struct pp_result *result,
                          const struct pp_result_interval *interval)
{
    const bool open_loop = result->plan.rate > 0;
    struct hlog *hlog = report->state;

    begin_log(report, result);
    pp_hlog_line(report->out, hlog->encoder, NULL, interval->start_ns, interval->length_ns,
                 open_loop ? &interval->response : &interval->rtt);
    if (open_loop)
        pp_hlog_line(report->out, hlog->encoder, "actual", interval->start_ns, interval->length_ns,
                     &interval->rtt);
    (void)fflush(report->out);
}

static int hlog_end(struct pp_report *report, const struct pp_result *result,
                    const struct pp_error *error, struct pp_error *err)
{
    char text[PP_FIGURES_TEXT_BYTES];

    (void)error;
    (void)err;
    begin_log(report, result);
    for (unsigned i = 0; i < result->plan.gate_count; i++)
        (void)fprintf(report->out, "#[Fail if %s]\n", pp_figures_gate_text(text, result, i));
    return 0;
}

static void hlog_close(struct pp_report *report)
{
    struct hlog *hlog = report->state;

    if (hlog)
        pp_hist_encoder_close(hlog->encoder);
    pp_memory_free(hlog);
    report->state = NULL;
}

const struct pp_report_format pp_report_hlog = {
    .name = "hlog",
    .suffix = ".hlog",
    .streams = true,
    .wants_intervals = true,
    .open = hlog_open,
    .begin = hlog_begin,
    .interval = hlog_interval,
    .end = hlog_end,
    .close = hlog_close,
};
