/* What a machine has to offer, for people and for programs. */
#ifndef PP_REPORT_CAPABILITIES_H
#define PP_REPORT_CAPABILITIES_H

#include "report/report.h"
#include "result/capabilities.h"

void pp_report_capabilities_text(FILE *out, const struct pp_report_style *style,
                                 const struct pp_capabilities *found);

/* One object. 0, or a negative errno with err set; whether out has taken it is for its owner to
 * find out. */
int pp_report_capabilities_json(FILE *out, const struct pp_capabilities *found,
                                struct pp_error *err);

#endif
