/* What a server by itself says. */
#include "report/text.h"

#include "base/format.h"
#include "report/text_parts.h"

#include <errno.h>
#include <string.h>

void pp_text_serve_begin(FILE *out, const struct pp_report_style *style, const struct pp_plan *plan,
                         const struct pp_serve_report *report)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    const bool both = !plan->socket.dgram && !plan->target.path[0];
    char addr[PP_IO_ADDR_TEXT_BYTES], shown[PP_IO_ADDR_TEXT_BYTES];

    pp_line_field(&line, "listening on %s %s", both ? "TCP and UDP" : pp_text_transport_name(plan),
                  pp_format_line(shown, sizeof shown, pp_io_addr_format(&report->addr, addr)));
    pp_line_field(&line, "engine %.*s%s", (int)strcspn(report->engine, ":"), report->engine,
                  strcmp(plan->server_engine, "auto") == 0 ? " (auto)" : "");
    pp_text_wait_field(&line, plan);
    if (plan->server_threads > 1)
        pp_line_field(&line, "%u threads", plan->server_threads);
    pp_text_placement_field(&line, plan);
    pp_line_end(&line);
    if (style->verbose) {
        pp_line_field(&line, "engine %s", report->engine);
        pp_line_end(&line);
    }
    pp_text_refused_line(out, style, report->refused_engine);
}

static const char *missing(int code)
{
    return code == -ENOMEM || code == -ENOBUFS ? "memory" : "descriptor";
}

/* Of the process, of the machine, or memory. */
static const char *cure(int code)
{
    switch (-code) {
    case ENFILE:
        return "raise the machine's limit (fs.file-max)";
    case ENOMEM:
    case ENOBUFS:
        return "give it more";
    default:
        return "raise the limit (ulimit -n)";
    }
}

void pp_text_serve_notice(FILE *out, const struct pp_server_counts *before,
                          const struct pp_server_counts *now, const struct pp_io_addr *from)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT };
    const uint64_t idle = now->idle - before->idle;
    const uint64_t turned_away = now->turned_away - before->turned_away;
    const char *begin = "pingpong: ";
    char text[PP_FORMAT_BYTES], address[PP_IO_ADDR_TEXT_BYTES];
    char one[PP_IO_ADDR_TEXT_BYTES + 16] = "";

    if (now->full != before->full) {
        pp_line_field(&line,
                      "%sno %s for another connection: it waits; %s or close idle ones "
                      "(--idle-timeout)",
                      begin, missing(now->full_code), cure(now->full_code));
        begin = "";
    }
    if (turned_away) {
        if (from && from->any.sa_family != AF_UNIX) /* whose clients have no names */
            (void)snprintf(one, sizeof one, ", %sfrom %s", turned_away > 1 ? "one " : "",
                           pp_io_addr_format(from, address));
        pp_line_field(&line, "%s%s connection%s turned away%s", begin,
                      pp_format_count(text, turned_away), pp_text_plural(turned_away), one);
        begin = "";
    }
    if (idle)
        pp_line_field(&line, "%s%s idle connection%s closed", begin, pp_format_count(text, idle),
                      pp_text_plural(idle));
    pp_line_end(&line);
}

void pp_text_serve_end(FILE *out, const struct pp_report_style *style,
                       const struct pp_serve_report *report)
{
    struct pp_line line = { .out = out, .separator = PP_LINE_DOT, .limit = style->columns };
    char text[PP_FORMAT_BYTES];

    if (style->quiet)
        return;
    pp_line_field(&line, "served %s connection%s",
                  pp_format_count(text, report->counts.streams.accepted),
                  pp_text_plural(report->counts.streams.accepted));
    if (report->counts.streams.idle)
        pp_line_field(&line, "closed %s idle", pp_format_count(text, report->counts.streams.idle));
    if (report->counts.streams.turned_away)
        pp_line_field(&line, "turned %s away",
                      pp_format_count(text, report->counts.streams.turned_away));
    pp_line_field(&line, "answered %s datagram%s", pp_format_count(text, report->counts.datagrams),
                  pp_text_plural(report->counts.datagrams));
    pp_line_field(&line, "ignored %s", pp_format_count(text, report->counts.ignored));
    pp_line_end(&line);
}
