/* What came out of serving. */
#ifndef PP_RESULT_SERVING_H
#define PP_RESULT_SERVING_H

#include "io/io.h"
#include "plan/plan.h"
#include "result/counts.h"

struct pp_serve_report {
    struct pp_io_addr addr;
    char engine[160]; /* as pp_io_loop_describe() */
    char refused_engine[PP_REFUSED_BYTES];
    struct pp_servers_counts counts; /* at the end */
    int signal;                      /* that ended it */
};

#endif
