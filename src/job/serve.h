/* A server by itself: it serves until a signal comes. */
#ifndef PP_JOB_SERVE_H
#define PP_JOB_SERVE_H

#include "base/error.h"
#include "job/loops.h"
#include "plan/plan.h"
#include "result/serving.h"

/* It listens. 0, or a negative errno with err set: then it does not go on. */
typedef int pp_serve_begin(void *context, const struct pp_plan *plan,
                           const struct pp_serve_report *report, struct pp_error *err);

/* Something has happened that whoever runs the server may want to know: counts are as of now, and
 * before as of the last call; from is where one came from that was turned away, or NULL. At most
 * once a second. */
typedef void pp_serve_notice(void *context, const struct pp_servers_counts *before,
                             const struct pp_servers_counts *now, const struct pp_io_addr *from);

struct pp_serve_hooks {
    void *context;
    pp_serve_begin *on_begin;
    pp_serve_notice *on_notice;
};

/* Serves plan, a decided one. on_begin is called once it listens. 0, or a negative errno with err
 * set; being ended by a signal is no error, but before it listens: then -EINTR. */
int pp_serve(const struct pp_plan *plan, const struct pp_serve_hooks *hooks,
             struct pp_serve_report *report, struct pp_error *err);

#endif
