#include "job/silence.h"

#include "base/escape.h"
#include "base/format.h"

#include <inttypes.h>
#include <stdio.h>

/* How long no byte may come or go without anything being wrong. */
static uint64_t patience_ns(const struct pp_plan *plan)
{
    const double interval_ns = plan->rate > 0 ? 10e9 / plan->rate : 0;

    return plan->silence_ns + plan->think_ns + (uint64_t)interval_ns;
}

bool pp_silence_watch(struct pp_silence *silence, bool may_last, uint64_t period_ns)
{
    const uint64_t patience = patience_ns(silence->plan);
    const uint64_t moved = pp_clients_moved(silence->clients);
    const bool is_quiet = moved == silence->moved;

    if (!is_quiet)
        silence->moved_ns = pp_io_now_ns(silence->loop);
    silence->quiet_ns = may_last && is_quiet ? silence->quiet_ns + period_ns : 0;
    silence->moved = moved;
    if (silence->quiet_ns >= patience)
        return true;
    if (silence->quiet_ns >= patience / 10)
        pp_clients_look(silence->clients);
    return false;
}

const char *pp_silence_came(const struct pp_silence *silence, uint64_t until_ns,
                            char text[PP_SILENCE_TEXT_BYTES])
{
    const struct pp_client_part part = pp_clients_part(silence->clients);
    const double quiet_s = until_ns > silence->moved_ns
                               ? (double)(until_ns - silence->moved_ns) / 1e9
                               : 0;
    char shown[4 * PP_CLIENT_CAME_BYTES + 4], seconds[PP_FORMAT_BYTES];

    (void)pp_escape_encode(shown, sizeof shown, part.came, part.came_bytes);
    if (part.bytes == 0)
        (void)snprintf(text, PP_SILENCE_TEXT_BYTES, "and not a byte came");
    else if (part.of > 0)
        (void)snprintf(text, PP_SILENCE_TEXT_BYTES,
                       "%" PRIu64 " of %u B of an answer came, then nothing for %s s: \"%s\"",
                       part.bytes, part.of, pp_format_decimal(seconds, quiet_s, 1), shown);
    else
        (void)snprintf(text, PP_SILENCE_TEXT_BYTES,
                       "and %" PRIu64 " B that came made up no answer: \"%s\"", part.bytes, shown);
    return text;
}

void pp_silence_explain(const struct pp_silence *silence, char *text, size_t bytes)
{
    const bool part = pp_clients_counts(silence->clients).received == 0 &&
                      pp_clients_part(silence->clients).bytes > 0;
    char came[PP_SILENCE_TEXT_BYTES], seconds[PP_FORMAT_BYTES];

    (void)snprintf(text, bytes,
                   "no round trip was completed for %s s, nor any part of one%s%s; does the server "
                   "hang, or is something on the way dropping packets?",
                   pp_format_decimal(seconds, (double)silence->plan->silence_ns / 1e9, 0),
                   part ? ": " : "",
                   part ? pp_silence_came(silence, pp_io_now_ns(silence->loop), came) : "");
}
