/* Markdown, in which experiments alone are written: the format has no form for a single result. */
#include "report/report.h"

static int markdown_open(struct pp_report *report, struct pp_error *err)
{
    (void)report;
    (void)err;
    return 0;
}

static void markdown_close(struct pp_report *report)
{
    (void)report;
}

const struct pp_report_format pp_report_markdown = {
    .name = "markdown",
    .suffix = ".md",
    .open = markdown_open,
    .close = markdown_close,
};
