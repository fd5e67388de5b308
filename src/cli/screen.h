/* Where output goes: how wide it may be, and whether it arrives. */
#ifndef PP_CLI_SCREEN_H
#define PP_CLI_SCREEN_H

#include "base/error.h"
#include "cli/options.h"
#include "report/report.h"

struct pp_screen {
    struct pp_report_style style; /* of standard output */
    unsigned bar_columns;         /* of the terminal that shows a progress bar; 0: no bar */
};

struct pp_screen pp_screen_of(const struct pp_cli *cli);

/* As wide as the terminals are by now, of standard output (0: it is none) and for the bar. */
unsigned pp_screen_columns(void);
unsigned pp_screen_bar_columns(const struct pp_screen *screen);

/* 0, or a negative errno with err set: what was printed did not arrive. */
int pp_screen_flush(struct pp_error *err);

#endif
